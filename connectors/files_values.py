"""Cells as people write them → texts the mapping's reads understand: numbers, dates and times. Pure, nothing is guessed.

Only columns the mapping reads as numbers or dates are touched; a telephone number stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

NUMBERS = frozenset({"integer", "number", "decimal", "money", "percent", "decimal_text"})
DATES = frozenset({"date", "datetime", "midnight"})
Convert = Callable[[str], str]

_NOTHING = frozenset({"", "-", "–", "—", "n/a", "#n/a", "na", "n.a.", "null", "none", "nan"})
_PLAIN = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_MONEY = re.compile(r"^(?:[A-Za-z]{3}(?=[\s\d+-])|[^\w\s.,+'’()%-]{1,3})\s*|\s*(?:(?<=[\s\d])[A-Za-z]{3}|[^\w\s.,'’()%-]{1,3}|%)$")
_EVEN = re.compile(r"[.,][-–—]{1,2}$")  # 5,- is an even five
_SERIAL = re.compile(r"\d{5}(?:\.\d+)?")  # 10000 is May 1927, 99999 is October 2173
_COMPACT = re.compile(r"\d+")
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  # Excel's day 0, its invented 29 February 1900 allowed for
_BLANKS = str.maketrans("", "", " \u00a0\u202f\u2009\t'’")
_KEPT = 20_000  # texts whose conversion is remembered: dates repeat


class BadCell(ValueError):
    """The text is nothing of the kind its column should hold; the message never shows it."""


class BadRow(ValueError):
    """The row has no id, or not the header's cells."""


class Unread(NamedTuple):
    """A value that could not be read and was left empty: in which column, on which line, why."""

    column: str
    line: int
    reason: str


class Plain(str):
    """A text made from a typed cell: no separators, a point for decimals."""

    __slots__ = ()


def converter(read: str, *, decimal: str | None, thousands: str | None, formats: Sequence[str], zone: str) -> Convert | None:
    """What turns texts of a column into ones the read understands; None when they are understood as they are.

    It raises BadCell. "", "-", "n/a" and the like become "".
    """
    if read in NUMBERS:
        return _numbers(decimal, thousands or {",": ".", ".": ","}.get(decimal or "", ""))
    return _remembering(_dates(read, tuple(formats), ZoneInfo(zone))) if read in DATES else None


def _remembering(convert: Convert) -> Convert:
    known: dict[str, str] = {}

    def remembered(text: str) -> str:
        found = known.get(text)
        if found is None:
            found = convert(text)
            if len(known) < _KEPT:
                known[text] = found
        return found

    return remembered


def _numbers(decimal: str | None, thousands: str) -> Convert:
    point, between = re.escape(decimal or "."), re.escape(thousands)
    grouped = rf"\d{{1,3}}(?:{between}\d{{3}})+|" if thousands else ""
    written = re.compile(rf"([+-]?)({grouped}\d+)(?:{point}(\d*))?")
    how = f"a decimal {decimal!r}" if decimal else "a decimal point and no thousands separators"

    def joined(sign: str, whole: str, rest: str | None, *, negative: bool) -> str:
        whole = whole.replace(thousands, "") if thousands else whole
        return ("-" if negative != (sign == "-") else "") + whole + (f".{rest}" if rest else "")

    def number(text: str) -> str:
        if type(text) is Plain or (decimal != "," and _PLAIN.fullmatch(text)):
            return text
        if found := written.fullmatch(text):
            return joined(*found.groups(), negative=False)
        if text.lower() in _NOTHING:
            return ""
        bare = text.replace("\u2212", "-").strip()
        for _ in range(2):
            bare = _MONEY.sub("", bare).strip()
        negative = bare.startswith("(") and bare.endswith(")")
        bare = (bare[1:-1] if negative else bare).translate(_BLANKS)
        bare = _EVEN.sub("", bare)
        if bare.endswith("-"):
            bare, negative = bare[:-1], True
        found = written.fullmatch(bare)
        if found is None:
            raise BadCell(f"not a number with {how}; see `decimal` and `thousands`")
        return joined(*found.groups(), negative=negative)

    return number


def _dates(read: str, formats: tuple[str, ...], zone: ZoneInfo) -> Convert:
    def moment(text: str) -> str:
        if text.lower() in _NOTHING:
            return ""
        value = _parsed(text, formats)
        if value is None:
            raise BadCell(f"not a date as {' or '.join(formats)}" if formats else "not an ISO date; see `date_format`")
        if type(value) is date:
            return value.isoformat() if read != "datetime" else datetime(value.year, value.month, value.day, tzinfo=zone).isoformat()
        assert isinstance(value, datetime)
        if value.tzinfo is None:
            return value.date().isoformat() if read == "date" else value.replace(tzinfo=zone).isoformat()
        return value.isoformat()

    return moment


def _parsed(text: str, formats: Sequence[str]) -> date | datetime | None:
    if _SERIAL.fullmatch(text):
        instant = _DAY_ZERO + timedelta(seconds=round(float(text) * 86_400))
        return instant if "." in text else instant.date()
    if not _COMPACT.fullmatch(text):  # 20260501 is no ISO date to us: it may as well be a number
        iso = _iso(text)
        if iso is not None:
            return iso
    for how in formats:
        try:
            value = datetime.strptime(text, how)  # noqa: DTZ007 - the zone is put on by the caller
        except ValueError:
            continue
        return value if "%H" in how or "%I" in how else value.date()
    return None


def _iso(text: str) -> date | datetime | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    except ValueError:
        return None
