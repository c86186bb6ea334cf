"""Business hours between two instants: a clock that only runs while somebody is there. Public holidays are not known.

A week is the same every week, so the clock's reading at an instant is written down at once, without walking through days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis

from core.errors import UserError
from core.measure.metric import Scope
from core.measure.seconds import DAY_S, seconds

_MONDAY = 3 * DAY_S  # 1970 began on a Thursday
_LONG = 15  # years back in which the zone's clock changes are looked for; before them it is as in the first


@dataclass(frozen=True)
class Hours:
    """Open on these weekdays (1 is Monday) from `first` to `last` seconds of the day, by a zone's clock."""

    days: tuple[int, ...]
    first: int
    last: int
    zone: str

    @property
    def said(self) -> str:
        named = [("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day - 1] for day in self.days]
        row = self.days == tuple(range(self.days[0], self.days[-1] + 1)) and len(self.days) > 2
        names = f"{named[0]}–{named[-1]}" if row else " ".join(named)
        first, last = (f"{at // 3600:02d}:{at % 3600 // 60:02d}" for at in (self.first, self.last))
        return f"{names} {first}–{last} {self.zone}"


def hours(scope: Scope) -> Hours:
    """As the funnel says. Raises: UserError for hours or days there are none of."""
    first, last = (round(3600 * float(hour)) for hour in scope.choice("business_hours"))
    days = tuple(sorted({int(day) for day in scope.choice("business_days")}))
    if not 0 <= first < last <= DAY_S or not days or not set(days) <= set(range(1, 8)):
        raise UserError(
            "business_hours and business_days of the funnel name no time of the week",
            next_step="two hours of a day, the first before the last, such as [9, 17], and days from 1 (Monday) to 7",
        )
    return Hours(days, first, last, str(scope.choice("business_timezone") or "UTC"))


def between(open_: Hours, start: ibis.Value, end: ibis.Value, as_of: datetime) -> ibis.Value:
    """Seconds of business hours from one instant to a later one. as_of: no instant is later."""
    shifts = _shifts(open_.zone, as_of)
    return _reading(open_, shifts, end) - _reading(open_, shifts, start)


def _reading(open_: Hours, shifts: Sequence[tuple[int, int]], at: ibis.Value) -> ibis.Value:
    """Seconds it was open from a Monday long ago until the instant."""
    utc = seconds(at)
    (_, shift), *later = shifts
    ahead = ibis.cases(*[(utc >= since, by) for since, by in reversed(later)], else_=shift) if later else shift
    local = utc + _MONDAY + ahead
    day = (local / float(DAY_S)).floor().cast("int64")
    week = (day / 7.0).floor().cast("int64")
    weekday, second = day - week * 7, local - day * DAY_S
    span = open_.last - open_.first
    gone = ibis.cases(*[(weekday == i, sum(d <= i for d in open_.days)) for i in range(7)], else_=0)  # whole days of the week before it
    today = ibis.greatest(ibis.least(second, open_.last) - open_.first, 0)
    here = ibis.ifelse(weekday.isin([d - 1 for d in open_.days]), today, 0)
    return (week * len(open_.days) + gone) * span + here


def _shifts(zone: str, as_of: datetime) -> list[tuple[int, int]]:
    """(since when in seconds since 1970, seconds ahead of UTC) of a zone's clock, the earliest first; found to the hour."""
    clock, at = ZoneInfo(zone), datetime(as_of.year - _LONG, 1, 1, tzinfo=UTC)
    found = [(0, _ahead(clock, at))]
    while at <= as_of:
        after = at + timedelta(days=7)
        if _ahead(clock, after) != found[-1][1]:
            hour = next(at + timedelta(hours=h) for h in range(1, 169) if _ahead(clock, at + timedelta(hours=h)) != found[-1][1])
            found.append((int(hour.timestamp()), _ahead(clock, hour)))
        at = after
    return found


def _ahead(clock: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(clock).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
