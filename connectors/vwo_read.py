"""Reading VWO: campaigns with what they test, their reports by variation, goal and day, the change log, people.

Nothing can be asked by date except the change log, and a call a second is all there is. So the list of campaigns is read
whole (twelve calls for three hundred) and one campaign more closely only when something about it may have moved: its
line in the list is another, the change log names it, it is running, or a week has passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import xxhash

from connectors.vwo_session import Row, Session, collection, fields_or_none, rows_or_none, thing
from core.connector import Ask, Page, State
from core.errors import VendorError

PAGE = 25  # more is cut to this without a word. Source: https://github.com/nextafter-michael/unofficial-vwo-mcp-server, read 2026-11
FEEDS_PAGE = 100
FEEDS_OVERLAP_S = 2 * 86_400.0  # a line may be written late; and a run may die between reading the log and the campaigns
WEEK_S = 7 * 86_400
TESTS = frozenset({"ab", "multivariate", "split", "mobile-ab", "server-ab", "feature-test"})  # what has variations and a report
MOVING = frozenset({"RUNNING", "PAUSED"})
# What moves with every visitor and is read as results; the rest of a campaign is what people set.
REPORT = frozenset({"variationGoalData", "dataIntervalRange", "stats", "metricData", "funnels"})
GOAL_REPORT = frozenset({"averageData", "aggregatedData"})


# -- which campaigns to look at ------------------------------------------------------------------------------------------
@dataclass
class _Round:
    """One reading of a resource made from campaigns. `known`: campaign → what its line in the list was; `done`: in this round."""

    whole: bool  # everything is looked at
    listing: bool  # and the core reckons with all of it
    whole_at: int
    known: dict[str, str]
    done: list[str]

    @classmethod
    def begin(cls, ask: Ask) -> _Round:
        state, now = dict(ask.state or {}), int(ask.now.timestamp())
        if ask.full or ask.state is None:
            return cls(True, True, now, {}, [])
        known, whole_at = dict(state["known"]), int(state["whole_at"])
        if "done" in state:  # an interrupted round goes on
            return cls(bool(state["whole"]), bool(state["listing"]), whole_at, known, list(state["done"]))
        whole = now - whole_at >= WEEK_S
        return cls(whole, False, now if whole else whole_at, known, [])

    def wants(self, item: Row, digest: str, told: set[int]) -> bool:
        key = str(item["id"])
        if key in self.done:
            return False
        return self.whole or self.known.get(key) != digest or item["id"] in told or _moves(item)

    def take(self, item: Row, digest: str) -> State:
        self.known[str(item["id"])] = digest
        self.done.append(str(item["id"]))
        return self.state()

    def state(self, *, ended: bool = False) -> State:
        found: State = {"v": 1, "whole_at": self.whole_at, "known": dict(self.known)}
        return found if ended else found | {"whole": self.whole, "listing": self.listing, "done": list(self.done)}


def _moves(item: Row) -> bool:
    return item.get("type") in TESTS and item.get("status") in MOVING


def _digest(item: Row) -> str:
    return xxhash.xxh3_64_hexdigest(orjson.dumps(item, option=orjson.OPT_SORT_KEYS))


def listed(session: Session, now: datetime | None) -> tuple[list[Row], int]:
    """All campaigns, the deleted too, and the vendor's count. Paged by that count: a short page says nothing."""
    found: dict[int, Row] = {}
    offset, total = 0, None
    while total is None or offset < total:
        rows, total = collection(session.once(now, "/campaigns", limit=PAGE, offset=offset), "campaigns")
        if total is None:
            raise VendorError("VWO sent campaigns without their number", next_step="report it: the vendor's API has changed")
        if not rows:
            break
        found |= {row["id"]: row for row in rows}
        offset += len(rows)
    return list(found.values()), total


def archived(session: Session, now: datetime) -> set[int]:
    """Campaigns in the archive: their own status still says STOPPED, only the filter tells. Without the filter: nobody knows, so none."""
    found: set[int] = set()
    while True:
        try:
            answer = session.once(now, "/campaigns", limit=PAGE, offset=len(found), status="ARCHIVED")
        except VendorError as refusal:
            if refusal.status == 400:  # the filter is in no document
                return found
            raise
        ids = {row["id"] for row in collection(answer, "campaigns")[0]}
        if not ids - found:
            return found
        found |= ids


def _detail(session: Session, now: datetime, item: Row) -> Row:
    """A test with its configuration and report; nothing for campaigns that are no tests. One that is gone meanwhile has nothing either."""
    if item.get("type") not in TESTS:
        return {}
    try:
        return thing(session.once(now, f"/campaigns/{item['id']}"), "a campaign")
    except VendorError as refusal:
        if refusal.status == 404:
            return {}
        raise


# -- campaigns ---------------------------------------------------------------------------------------------------------------
def campaigns(session: Session, ask: Ask) -> Iterator[Page]:
    """One row per campaign: its line of the list, with `setup` (what people set), `variants` (names), `archived`, `began` and `ended`."""
    items, total = listed(session, ask.now)
    put_away = archived(session, ask.now)
    lines = [(item, _digest(item | {"archived": item["id"] in put_away})) for item in items]
    turn = _Round.begin(ask)
    shown: dict[str, Any] = {"total": total, "present": True} if turn.listing else {}
    plain = [(i, d) for i, d in lines if i.get("type") not in TESTS and turn.wants(i, d, session.told)]
    if plain:
        rows = [_campaign(item, {}, put_away, None) for item, _ in plain]
        state = [turn.take(*line) for line in plain][-1]
        yield Page(orjson.dumps(rows), "", state, **shown)
    for item, digest in lines:
        if item.get("type") in TESTS and turn.wants(item, digest, session.told):
            row = _campaign(item, _detail(session, ask.now, item), put_away, _zone(session, ask.now))
            yield Page(orjson.dumps([row]), "", turn.take(item, digest), **shown)
    yield Page(b"[]", "", turn.state(ended=True), **shown)


def _campaign(item: Row, detail: Row, put_away: set[int], zone: ZoneInfo | None) -> Row:
    setup = {k: v for k, v in detail.items() if k not in REPORT}
    goals = [{k: v for k, v in goal.items() if k not in GOAL_REPORT} for goal in rows_or_none(detail.get("goals"))]
    span = fields_or_none(detail.get("dataIntervalRange"))
    return {
        **{k: v for k, v in item.items() if k not in ("goals", "variations")},  # cut in lists
        "setup": setup | {"goals": goals},
        "variants": [str(v.get("name")) for v in rows_or_none(detail.get("variations"))],
        "archived": item["id"] in put_away,
        "began": span.get("limitingStartTime"),
        "first_day": _day(span.get("limitingStartTime"), zone),
        "ended": None if item.get("status") in MOVING else span.get("limitingEndTime"),
    }


# -- results -----------------------------------------------------------------------------------------------------------------
def results(session: Session, ask: Ask) -> Iterator[Page]:
    """One row per variation and goal of each test, with both names beside the numbers and the day beside each interval."""
    items, _ = listed(session, ask.now)
    turn = _Round.begin(ask)
    for item in items:
        digest = _digest(item)
        if item.get("type") in TESTS and item.get("status") != "NOT_STARTED" and turn.wants(item, digest, session.told):
            rows = _reported(_detail(session, ask.now, item), _zone(session, ask.now))
            session.forget(f"/campaigns/{item['id']}")
            yield Page(orjson.dumps(rows), "", turn.take(item, digest), context={"campaign_id": str(item["id"])})
    yield Page(b"[]", "", turn.state(ended=True), context={"campaign_id": ""})


def _reported(detail: Row, zone: ZoneInfo) -> list[Row]:
    variations = {v["id"]: v for v in rows_or_none(detail.get("variations"))}
    goals = {g["id"]: g for g in rows_or_none(detail.get("goals"))}
    end = fields_or_none(detail.get("dataIntervalRange")).get("limitingEndTime")
    return [
        {
            **row,
            "variation": _named(variations, row["variation"], "name", "isControl"),
            "goal": _named(goals, row["goal"], "name", "type", "isPrimary"),
            "last_day": _day(end, zone),
            "intervalWise": [{**each, "day": str(day_of(each["interval"], zone))} for each in rows_or_none(row.get("intervalWise"))],
        }
        for row in rows_or_none(detail.get("variationGoalData"))
    ]


def _zone(session: Session, now: datetime) -> ZoneInfo:
    return ZoneInfo(thing(session.once(now, ""), "the workspace").get("timezone") or "UTC")


def _day(moment: Any, zone: ZoneInfo | None) -> str | None:
    return None if moment is None or zone is None else str(datetime.fromtimestamp(int(moment), zone).date())


def _named(known: dict[Any, Row], id_: Any, *names: str) -> Row:
    return {"id": id_} | {name: known.get(id_, {}).get(name) for name in names}


def day_of(interval: int | str, zone: ZoneInfo) -> date:
    """The day an interval counts: its start is a midnight, of the workspace's zone or of UTC (no document says which)."""
    start = int(interval)
    return datetime.fromtimestamp(start, UTC if start % 86_400 == 0 else zone).date()


# -- the change log, people, labels ----------------------------------------------------------------------------------------------
def feeds(session: Session, ask: Ask) -> Iterator[Page]:
    """Who did what to which campaign, newest first, up to the run's start so that nothing shifts while it is paged."""
    state = {} if ask.full else dict(ask.state or {})
    since = state.get("since")
    if since is None and ask.since and not ask.full:
        since = int(ask.since.timestamp())
    until = int(ask.now.timestamp())
    start = None if since is None else max(0, int(since - FEEDS_OVERLAP_S - ask.extra_overlap_s))
    seen: set[Any] = set()
    while True:
        body = session.get("/feeds", limit=FEEDS_PAGE, offset=len(seen), startTime=start, endTime=until)
        rows, _ = collection(orjson.loads(body), "feeds")
        fresh = {row["id"] for row in rows} - seen
        seen |= fresh
        if start is not None:
            session.told |= {row["campaign"]["id"] for row in rows if isinstance(row.get("campaign"), dict)}
        if not fresh:
            yield Page(b"[]", "", {"v": 1, "since": until})
            return
        yield Page(orjson.dumps(rows), "", {"v": 1} | ({} if since is None else {"since": since}))


def users(session: Session, ask: Ask) -> Iterator[Page]:
    yield from _whole(session, "/users")


def labels(session: Session, ask: Ask) -> Iterator[Page]:
    yield from _whole(session, "/labels")


def _whole(session: Session, path: str) -> Iterator[Page]:
    """A list that comes in one piece."""
    rows, total = collection(orjson.loads(session.get(path)), path[1:])
    yield Page(orjson.dumps(rows), "", {"v": 1}, total=total, present=True)
