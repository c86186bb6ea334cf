"""When a cron line is due in a named time zone, across daylight saving. Pure; no scheduler, no clock.

A skipped local time is due once, at the first valid moment after the gap; a repeated one is due once, the first time.
Only where the hour is `*` or `*/n` (every so often, rather than at a time of day) does every real hour count.
APScheduler's CronTrigger runs a repeated time twice and counts weekdays from Monday, so it is not used for this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "weekday": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_HORIZON_D = 8 * 366 + 2  # 29 February is at most eight years away


@dataclass(frozen=True)
class Cron:
    """A parsed line. weekday: 0 is Sunday. `either`: day and weekday are both limited, and one of them is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    every_hour: bool

    def on(self, day: date) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month or of_week if self.either else of_month and of_week)


@lru_cache
def parse(line: str) -> Cron:
    """Raises: ValueError for anything but five fields of numbers, names, `*`, `a-b`, `/n` and commas."""
    fields = line.split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"a schedule has five fields (minute hour day month weekday), {line!r} has {len(fields)}")
    minute, hour, day, month, weekday = (_field(text, name) for text, name in zip(fields, _RANGES, strict=True))
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))
    every_hour = fields[1].startswith("*")
    return Cron(tuple(sorted(minute)), tuple(sorted(hour)), day, month, frozenset(d % 7 for d in weekday), either, every_hour)


def _field(text: str, name: str) -> frozenset[int]:
    return frozenset(number for word in text.split(",") for number in _word(word, name))


def _word(word: str, name: str) -> range:
    low, high = _RANGES[name]
    span, _, step = word.partition("/")
    first, dash, last = span.partition("-")
    start = low if first == "*" else _number(first, name)
    end = high if first == "*" or (step and not dash) else _number(last, name) if dash else start
    if first == "*" and name == "weekday":
        end = 6
    if not low <= start <= end <= high or (step and not int(step)):
        raise ValueError(f"{word!r} is not a {name} from {low} to {high}")
    return range(start, end + 1, int(step or 1))


def _number(text: str, name: str) -> int:
    names = _NAMES.get(name, ())
    if text.lower() in names:
        return names.index(text.lower()) + (name == "month")
    return int(text)


# -- instants -----------------------------------------------------------------------------------------------------------
def due(line: str, tz: str, last: datetime | None, now: datetime) -> datetime | None:
    """The latest instant at which the job was due after `last` and not after `now`; None when it owes nothing.

    However many instants were missed, the answer is one. A job that was never seen (last None) owes nothing yet.
    """
    if last is None:
        return None
    cron, zone = parse(line), ZoneInfo(tz)
    first, day = last.astimezone(zone).date() - _DAY, now.astimezone(zone).date() + _DAY
    for back in range(min((day - first).days, _HORIZON_D) + 1):
        reached = [at for at in _instants(cron, zone, day - back * _DAY) if at <= now]
        if reached:
            return reached[-1] if reached[-1] > last else None
    return None


def next_due(line: str, tz: str, after: datetime) -> datetime | None:
    """The first instant at which the job is due after `after`, in UTC; None for a day that never comes (30 February)."""
    cron, zone = parse(line), ZoneInfo(tz)
    day = after.astimezone(zone).date() - _DAY
    for ahead in range(_HORIZON_D):
        for at in _instants(cron, zone, day + ahead * _DAY):
            if at > after:
                return at
    return None


def _instants(cron: Cron, zone: ZoneInfo, day: date) -> list[datetime]:
    """The due instants of one local day, in UTC, sorted, each once."""
    if not cron.on(day):
        return []
    return sorted(
        {at for hour in cron.hours for minute in cron.minutes for at in _real(datetime.combine(day, time(hour, minute)), cron, zone)}
    )


def _real(wall: datetime, cron: Cron, zone: ZoneInfo) -> Iterator[datetime]:
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(first, zone) != wall:  # skipped
        if not cron.every_hour:
            yield _after_gap(wall, zone)
        return
    yield first
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if cron.every_hour and second != first:
        yield second


def _after_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    while True:  # gaps are minutes to a day long and end on a whole minute
        wall += _MINUTE
        at = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if _wall(at, zone) == wall:
            return at


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
