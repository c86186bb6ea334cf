"""Spans of time that forecasts are made for: the current period and the next N days, and the past ones they are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

PARTS = (0.0, 1 / 3, 2 / 3)  # of a past period at which a forecast is tried
FROZEN = timedelta(days=30)  # what was won is looked at so long after the end, when late entries are in
PERIODS = 12  # so many past ones


@dataclass(frozen=True)
class Window:
    """From `at` (what was known then) until `end` (not included). `part`: which of PARTS; `scored`: past, with its truth frozen."""

    kind: str  # "period" or "days"
    name: str
    at: datetime
    end: datetime
    part: int
    scored: bool
    step_days: float  # to the one before

    @property
    def days(self) -> int:
        return -(-(self.end - self.at) // timedelta(days=1))

    @property
    def last_day(self) -> date:
        return (self.end - timedelta(microseconds=1)).date()


def period(day: date, kind: str, back: int = 0) -> tuple[str, date, date]:
    """(name, first day, last day) of the calendar quarter or month that many before the day's."""
    months = 3 if kind == "quarter" else 1
    index = (day.year * 12 + day.month - 1) // months - back
    first, after = (date((index + i) * months // 12, (index + i) * months % 12 + 1, 1) for i in (0, 1))
    name = f"{first.year}-Q{(first.month - 1) // 3 + 1}" if kind == "quarter" else f"{first:%Y-%m}"
    return name, first, after - timedelta(days=1)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def bounds(day: date, kind: str, back: int = 0) -> tuple[str, datetime, datetime]:
    """(name, start, start of the next) of a period."""
    name, first, last = period(day, kind, back)
    return name, midnight(first), midnight(last + timedelta(days=1))


def windows(as_of: datetime, first: datetime, kind: str, days: int) -> list[Window]:
    """All of them by `at`, the current ones last; none begins before `first`."""
    every = [*_periods(as_of, kind), *_days(as_of, days)]
    return sorted((w for w in every if w.at >= first or w.at == as_of), key=lambda w: (w.at, w.kind))


def _periods(as_of: datetime, kind: str) -> Iterator[Window]:
    step = 91.3125 if kind == "quarter" else 30.4375
    name, start, after = bounds(as_of.date(), kind)
    gone = (as_of - start) / (after - start)
    nearest = min(range(len(PARTS)), key=lambda i: abs(PARTS[i] - gone))
    yield Window("period", name, as_of, after, nearest, False, step)
    for back in range(1, PERIODS + 1):
        name, start, after = bounds(as_of.date(), kind, back)
        if after + FROZEN <= as_of:
            for i, part in enumerate(PARTS):
                yield Window("period", name, midnight((start + (after - start) * part).date()), after, i, True, step)


def _days(as_of: datetime, days: int) -> Iterator[Window]:
    span = timedelta(days=days)
    yield Window("days", f"next {days} days", as_of, as_of + span, 0, False, float(days))
    for k in range(1, PERIODS + 1):
        at = as_of - FROZEN - span * k
        yield Window("days", f"{days} days from {at:%Y-%m-%d}", at, at + span, 0, True, float(days))
