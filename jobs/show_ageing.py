"""Findings through time as tables: ages against their limits, the trend by rule, what was settled lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from core.finding_history import AGES
from jobs.report.sparkline import blocks
from jobs.show_findings import day, keys, opened
from jobs.show_private import without_people
from jobs.show_table import Table, table, text

POINTS = 8  # days of the trend that a table shows
SPARKS = 24  # of its sparklines


def ageing_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Open findings by severity and age."""
    names = [f"≤ {edge} d" for edge in AGES]
    columns = ["sev", "limit", "open", *names, "older", "median", "oldest", "over limit"]
    lines = [
        [
            r["severity"],
            _d(r["limit_days"]) or "none",
            r["open"],
            *r["ages"].values(),
            _d(r["median_days"]),
            _d(r["oldest_days"]),
            r["over"],
        ]
        for r in rows
    ]
    return table(columns, lines, title="Open findings by age (since first seen)", numbers=columns[1:])


def over_table(over: Sequence[Mapping[str, Any]], limit: int | None = None) -> Table | None:
    """Those over their limit, the latest first; None when there are none."""
    shown = over[:limit]
    lines = [
        [r["severity"], r["rule"], without_people(str(r["title"])), r["entity_id"], day(r["first_seen"]), _d(r["age_days"]), day(r["due"]),
         _d(r["over_days"]), keys(opened(r))]
        for r in shown
    ]  # fmt: skip
    note = f"{len(over) - len(shown)} more: --format csv" if len(shown) < len(over) else ""
    columns = ["sev", "rule", "finding", "entity", "first seen", "age", "due", "over by", "records"]
    return table(columns, lines, title="Over their limit", numbers=("age", "over by"), note=note) if lines else None


def trend_table(days: Sequence[Mapping[str, Any]]) -> Table | None:
    """Open findings by rule, on up to eight of the days; with what was new and fixed since the one before. None for no day.

    `trend` is a sparkline over all of the time.
    """
    if not days:
        return None
    shown, fine = sampled(days, POINTS), sampled(days, SPARKS)
    rules = sorted({rule for d in shown for rule in d["open"]})
    lines: list[list[Any]] = [
        [rule, *(d["open"].get(rule, 0) for d in shown), blocks([d["open"].get(rule, 0) for d in fine])] for rule in rules
    ]
    lines.append(["all", *(sum(d["open"].values()) for d in shown), blocks([sum(d["open"].values()) for d in fine])])
    for name in ("new", "fixed"):
        lines.append([name, *_between(days, shown, name), blocks(_between(days, fine, name))])
    columns = ["rule", *(d["day"] for d in shown), "trend"]
    return table(columns, lines, title="Open findings by rule, day by day", numbers=columns[1:-1])


def resolved_table(rows: Sequence[Mapping[str, Any]], limit: int | None = None) -> Table | None:
    """What is gone, the latest first; None when nothing is."""
    shown = rows[:limit]
    lines = [
        [r["severity"], r["rule"], without_people(str(r["title"])), r["entity_id"], day(r["first_seen"]), day(r["resolved_at"]),
         _d(r["days"]), keys(opened(r))]
        for r in shown
    ]  # fmt: skip
    note = f"{len(rows) - len(shown)} more: --format csv" if len(shown) < len(rows) else ""
    columns = ["sev", "rule", "finding", "entity", "first seen", "resolved", "open for", "records"]
    return table(columns, lines, title="Resolved lately", numbers=("open for",), note=note) if lines else None


def texts(data: Mapping[str, Any], limit: int) -> list[str]:
    """The tables for a terminal, of the long ones `limit` lines."""
    made = [
        ageing_table(data["ageing"]["severities"]), over_table(data["ageing"]["over"], limit), trend_table(data["trend"]),
        resolved_table(data["resolved"], limit),
    ]  # fmt: skip
    return [text(shown) for shown in made if shown is not None]


def sampled(days: Sequence[Mapping[str, Any]], points: int) -> list[Mapping[str, Any]]:
    """At most `points` of the days, evenly spread in time, the last one among them."""
    if len(days) <= points:
        return list(days)
    first, last = (date.fromisoformat(days[i]["day"]) for i in (0, -1))
    marks = [str(first + (last - first) * i // (points - 1)) for i in range(points)]
    wanted = {max(d["day"] for d in days if d["day"] <= mark) for mark in marks}
    return [d for d in days if d["day"] in wanted]


def _between(days: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    """Sums of the days after the one shown before, up to each that is shown."""
    before = ["", *(d["day"] for d in shown)]
    return [sum(d[name] for d in days if since < d["day"] <= until["day"]) for since, until in zip(before, shown, strict=False)]


def _d(days: float | None) -> str:
    return "" if days is None else f"{days:g} d"
