"""The campaigns of the emulated VWO: who saw which variation, who reached which goal, and the report made from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import sqrt
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
ITEM = ("id", "name", "type", "platform", "status", "createdOn", "isDeleted", "createdBy", "primaryUrl", "urls", "labels")
DAY = 86_400


class Campaigns:
    """By id as text. `seen` of a campaign: visitor → (variation, when); `reached`: (visitor, goal, when, revenue)."""

    def load(self, rows: Iterable[Mapping[str, Any]], timezone: str) -> None:
        self.by_id: dict[str, Row] = {str(r["id"]): dict(r) for r in rows}
        self.archived = {r["id"] for r in self.by_id.values() if r.pop("archived", False)}
        self.zone = ZoneInfo(timezone)
        for row in self.by_id.values():
            row.setdefault("seen", {})
            row.setdefault("reached", [])

    # -- what happens on the site --------------------------------------------------------------------------------------
    def visitor(self) -> str:
        """Somebody in a running test."""
        return str(next(visitor for c in self.by_id.values() if c["status"] == "RUNNING" for visitor in c["seen"]))

    def expose(self, campaign: str, visitor: str, variation: int, at: int) -> None:
        self.by_id[campaign]["seen"].setdefault(visitor, (variation, at))

    def convert(self, campaign: int, goal: int, visitor: str, at: int, revenue: float) -> None:
        """Counts for a visitor who saw the running test before."""
        row = self.by_id[str(campaign)]
        variation, first = row["seen"].get(visitor, (None, 0))
        if row["status"] == "RUNNING" and variation is not None and at >= first:
            row["reached"].append((visitor, goal, at, revenue))

    # -- lists ---------------------------------------------------------------------------------------------------------
    def listed(self, type_: str | None, platform: str | None) -> list[Row]:
        """All of them, the deleted too, newest first."""
        rows = sorted(self.by_id.values(), key=lambda c: (-c["createdOn"], -c["id"]))
        return [self._item(c) for c in rows if type_ in (None, c["type"]) and platform in (None, c["platform"])]

    def with_status(self, rows: list[Row], status: str) -> list[Row]:
        """Archived is an axis of its own; so is deleted."""
        if status == "ARCHIVED":
            return [r for r in rows if r["id"] in self.archived]
        if status == "DELETED":
            return [r for r in rows if r["isDeleted"]]
        live = [r for r in rows if not r["isDeleted"] and r["id"] not in self.archived]
        return live if status == "ACTIVE" else [r for r in live if r["status"] == status]

    def _item(self, campaign: Row) -> Row:
        """As lists show it: the nested collections are cut, and say how many there are."""
        goals = [{**g, "averageData": []} for g in campaign["goals"][:1]]
        return {
            **{k: campaign[k] for k in ITEM},
            "goals": {"partialCollection": goals, "offset": 0, "totalCount": len(campaign["goals"])},
            "primaryGoal": next((g["id"] for g in campaign["goals"] if g["isPrimary"]), None),
            "variations": {"partialCollection": [], "totalCount": len(campaign["variations"])},
        }

    # -- one campaign, with its report ------------------------------------------------------------------------------------
    def detail(self, campaign: Row) -> Row:
        """Neither platform nor isDeleted are in here. Without visitors, empty arrays stand where objects are otherwise."""
        report = self._report(campaign) if campaign["seen"] else []
        goals = [{**g, "averageData": [], "aggregatedData": _by_variation(report, g["id"]) or []} for g in campaign["goals"]]
        return {
            **{k: campaign[k] for k in ITEM if k not in ("platform", "isDeleted")},
            "percentTraffic": campaign.get("percentTraffic", 100),
            "thresholds": {"winningPercent": 0.95, "losingPercent": 0.05, "visitors": 20},
            "variations": campaign["variations"],
            "goals": goals,
            "dataIntervalRange": self._range(campaign) if report else [],
            "variationGoalData": report,
            "schedules": [],
            "isCrossDomainEnabled": False,
        }

    def shown(self, campaign: Row) -> Row:
        """For comparing: what a person set, and how many were counted."""
        kept = {k: v for k, v in campaign.items() if k not in ("seen", "reached")}
        return kept | {"visitors": len(campaign["seen"]), "conversions": len(campaign["reached"])}

    def _range(self, campaign: Row) -> Row:
        times = [at for _, at in campaign["seen"].values()] + [at for _, _, at, _ in campaign["reached"]]
        start, end = self.midnight(min(times)), self.midnight(max(times)) + DAY - 1
        return {"intervalSize": DAY, "startTime": start, "endTime": end, "limitingStartTime": start, "limitingEndTime": end}

    def midnight(self, at: int) -> int:
        """The start of the workspace's day that this instant is in."""
        return int(datetime.fromtimestamp(at, self.zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())

    def _report(self, campaign: Row) -> list[Row]:
        made = [self._of(campaign, v["id"], g["id"]) for v in campaign["variations"] for g in campaign["goals"]]
        control = {row["goal"]: row["aggregated"]["conversionRate"] for row in made if row["variation"] == campaign["variations"][0]["id"]}
        for row in made:
            base = control[row["goal"]]
            median = (row["aggregated"]["conversionRate"] / base - 1) if base else None
            row["aggregated"]["relativeImprovementRate"] = {"median": median}
        return made

    def _of(self, campaign: Row, variation: int, goal: int) -> Row:
        """What one variation did for one goal. A visitor counts once as converted; `totalCount` counts every time."""
        mine = {visitor: at for visitor, (v, at) in campaign["seen"].items() if v == variation}
        visitors = Counter(self.midnight(at) for at in mine.values())
        firsts: dict[str, int] = {}
        totals: Counter[int] = Counter()
        revenue = 0.0
        for visitor, reached, at, worth in campaign["reached"]:
            if reached == goal and visitor in mine:
                firsts.setdefault(visitor, self.midnight(at))
                totals[self.midnight(at)] += 1
                revenue += worth
        converted = Counter(firsts.values())
        days = sorted({*visitors, *totals})
        return {
            "variation": variation,
            "goal": goal,
            "isWinner": False,
            "isLoser": False,
            "aggregated": _aggregated(len(mine), len(firsts), revenue),
            "intervalWise": [
                {"interval": d, "visitorCount": visitors[d], "conversionCount": converted[d], "totalCount": totals[d]} for d in days
            ],
        }


def _aggregated(visitors: int, conversions: int, revenue: float) -> Row:
    rate = conversions / visitors if visitors else 0.0
    return {
        "visitorCount": visitors,
        "conversionCount": conversions,
        "conversionRate": round(rate, 6),
        "standardError": round(sqrt(rate * (1 - rate) / visitors), 6) if visitors else 0.0,
        "totalRevenue": round(revenue, 2),
        "revenuePerVisitor": round(revenue / visitors, 4) if visitors else 0.0,
        "revenuePerConversion": round(revenue / conversions, 4) if conversions else 0.0,
    }


def _by_variation(report: list[Row], goal: int) -> Row:
    kept = ("visitorCount", "conversionCount", "totalRevenue")
    return {str(r["variation"]): {k: r["aggregated"][k] for k in kept} for r in report if r["goal"] == goal}
