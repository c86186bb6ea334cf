"""Marks: of counts that their own vendor says are not whole, and of the numbers that stand on them, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.show_metrics import marks
from jobs.show_table import Table, table, text

CLEAN = "no vendor marks its counts as sampled, withheld, folded or old"
COLUMNS = ("account", "report", "mark", "what it means", "values", "of", "days", "first day", "last day")


def quality_table(spoiled: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [m["account"], m["report"], m["mark"], _meaning(m), m["values"], m["of"], m["days"], m["first_day"], m["last_day"]] for m in spoiled
    ]
    return table(COLUMNS, rows, numbers=("values", "of", "days"))


def _meaning(mark: Mapping[str, Any]) -> str:
    return f"{mark['meaning']} ({mark['sample']})" if mark.get("sample") else str(mark["meaning"])


def quality_text(spoiled: Sequence[Mapping[str, Any]]) -> str:
    return text(quality_table(spoiled)) if spoiled else CLEAN


def marks_table(metrics: Iterable[Mapping[str, Any]]) -> Table | None:
    """What is to be known of the numbers' ground, and of how many numbers of which families; None where there is nothing."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in metrics:
        for mark, said in marks(row).items():
            families = found.setdefault((mark, said), {})
            families[row["family"]] = families.get(row["family"], 0) + 1
    rows = [[mark, said, sum(f.values()), ", ".join(f)] for (mark, said), f in found.items()]
    return table(["mark", "what", "numbers", "of"], rows, numbers=["numbers"], title="How sound these numbers are") if rows else None


def marks_texts(metrics: Iterable[Mapping[str, Any]]) -> list[str]:
    made = marks_table(metrics)
    return [text(made)] if made is not None else []
