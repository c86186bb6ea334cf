"""Footnotes of a table: a sign beside each number that is spoilt, and under the table what spoils it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.show_marks import spoilt


class Footnotes:
    """Made of the rows of one table. What half of its numbers or more have in common is said once, without signs.

    said: what stands under the table already; it is not repeated.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], said: str = "") -> None:
        counted = Counter(mark for row in rows for mark in dict.fromkeys(spoilt(row)))
        self._new = [mark for mark, n in counted.items() if n * 2 >= len(rows) and mark not in said]
        self._known = [mark for mark in counted if mark in said or mark in self._new]
        self._signs: dict[str, str] = {}

    def sign(self, row: Mapping[str, Any]) -> str:
        """ "¹" for a number with a mark of its own, "" for a clean one."""
        own = "; ".join(mark for mark in spoilt(row) if mark not in self._known)
        return self._signs.setdefault(own, superscript(len(self._signs) + 1)) if own else ""

    def text(self) -> str:
        common = [f"Most of it: {'; '.join(self._new)}."] if self._new else []
        return " ".join([*common, *(f"{sign} {own}." for own, sign in self._signs.items())])


def superscript(n: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(n))
