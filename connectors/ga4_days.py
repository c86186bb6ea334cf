"""Which days a report is read for, as pure functions of what was read before and what day it is at the property.

Today never counts: its numbers are only part of a day. Days already read are read again, the last few at every run and
more of them once a week, because Analytics restates them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month"]
WEEK = 7
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Lookback:
    """Days read again: `nightly` at every run, `weekly` once in seven days; `history` by the first read."""

    nightly: int = 5
    weekly: int = 30
    history: int = 400


@dataclass(frozen=True)
class Span:
    """The days of one run, both included, and whether the weekly look back is among them. `resumes`: goes on with a broken run."""

    first: date
    last: date
    deep: bool
    resumes: bool = False


def yesterday(now: datetime, zone: str) -> date:
    """The last whole day at the property."""
    return now.astimezone(ZoneInfo(zone)).date() - DAY


def span(state: Mapping[str, Any] | None, last: date, back: Lookback, since: date | None = None) -> Span:
    """What to read when `last` is the last whole day. A first read begins with `since`, or so many days ago."""
    if not state or ("through" not in state and "next" not in state):
        return Span(max(since, date(2015, 8, 14)) if since else last - DAY * (back.history - 1), last, True)
    through, deep = _date(state.get("through")), _date(state.get("deep"))
    again = deep is None or (last - deep).days >= WEEK
    first = last - DAY * ((max(back.weekly, back.nightly) if again else back.nightly) - 1)
    first = min(first, through + DAY) if through else first
    pending = _date(state.get("next"))
    return Span(min(first, pending) if pending else first, last, again, pending is not None)


def windows(first: date, last: date, days: int, period: Period = "day") -> Iterator[tuple[date, date]]:
    """The span in pieces of at most so many days; weeks (Monday first) and months are whole, and only those that are over."""
    start = beginning(first, period)
    while start <= last:
        end = _end(start + DAY * (max(days, 1) - 1), period)
        if end > last:
            end = last if period == "day" else beginning(last + DAY, period) - DAY
        if end < start:
            return
        yield start, end
        start = end + DAY


def beginning(day: date, period: Period) -> date:
    return {"day": day, "week": day - DAY * day.weekday(), "month": day.replace(day=1)}[period]


def _end(day: date, period: Period) -> date:
    if period == "month":
        return (day.replace(day=28) + DAY * 4).replace(day=1) - DAY
    return day if period == "day" else beginning(day, "week") + DAY * 6


def _date(text: Any) -> date | None:
    return date.fromisoformat(text) if text else None


def period_start(text: str, period: Period) -> date | None:
    """The first day of what Analytics calls 20260629, 202627 (ISO week) or 202606; None for "(other)"."""
    try:
        if period == "day":
            return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007
        year, number = int(text[:4]), int(text[4:])
        return date.fromisocalendar(year, number, 1) if period == "week" else date(year, number, 1)
    except ValueError:
        return None
