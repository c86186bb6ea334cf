"""Marks of counts that their own vendor says are not whole, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.show_table import Table, table, text

CLEAN = "no vendor marks its counts as sampled, withheld, folded or old, and none was restated"
COLUMNS = ("account", "report", "mark", "what it means", "values", "of", "days", "first day", "last day")


def quality_table(marks: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [m["account"], m["report"], m["mark"], _meaning(m), m["values"], m["of"], m["days"], m["first_day"], m["last_day"]] for m in marks
    ]
    return table(COLUMNS, rows, numbers=("values", "of", "days"))


def _meaning(mark: Mapping[str, Any]) -> str:
    return f"{mark['meaning']} ({mark['sample']})" if mark.get("sample") else str(mark["meaning"])


def quality_text(marks: Sequence[Mapping[str, Any]]) -> str:
    return text(quality_table(marks)) if marks else CLEAN
