"""SOQL's date literals: words such as LAST_N_DAYS:30 or THIS_QUARTER, and the days they stand for (UTC here).

Source: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_dateformats.htm
"""

from __future__ import annotations

import re
from datetime import date, timedelta

DAY = timedelta(days=1)
_CALENDAR = re.compile(r"(THIS|LAST|NEXT)_(N_)?(WEEK|MONTH|QUARTER|YEAR)(S?)")
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def days_of(word: str, today: date) -> tuple[date, date] | None:
    """The first day and the day after the last; None for a word that is no date literal."""
    name, _, number = word.partition(":")
    n = int(number or 0)
    spans = {
        "TODAY": (today, today + DAY),
        "YESTERDAY": (today - DAY, today),
        "TOMORROW": (today + DAY, today + 2 * DAY),
        "LAST_N_DAYS": (today - n * DAY, today + DAY),
        "NEXT_N_DAYS": (today + DAY, today + (n + 1) * DAY),
        "LAST_90_DAYS": (today - 90 * DAY, today + DAY),
        "NEXT_90_DAYS": (today + DAY, today + 91 * DAY),
    }
    return spans.get(name) or _calendar(name, n, today)


def _calendar(name: str, n: int, today: date) -> tuple[date, date] | None:
    """Whole weeks (from Sunday), months, quarters, years (from January): this one, the last, the next, or n of them."""
    found = _CALENDAR.fullmatch(name)
    if found is None or bool(found[2]) != bool(found[4]) or (found[2] and (found[1] == "THIS" or n < 1)):
        return None
    count = n if found[2] else 1
    first, end = {"THIS": (0, 1), "LAST": (-count, 0), "NEXT": (1, count + 1)}[found[1]]
    return _turn(found[3], first, today), _turn(found[3], end, today)


def _turn(unit: str, steps: int, today: date) -> date:
    """The first day of the unit that lies so many units from today's."""
    if unit == "WEEK":
        return today - today.isoweekday() % 7 * DAY + timedelta(weeks=steps)
    size = _MONTHS[unit]
    month = (today.year * 12 + today.month - 1) // size * size + steps * size
    return date(month // 12, month % 12 + 1, 1)
