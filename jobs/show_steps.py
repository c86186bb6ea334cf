"""Whom to turn to next: each owner's steps, and the leads that come first. Entities by their id; nothing personal of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.show_metrics import number
from jobs.show_table import Table, table

Opened = tuple[Mapping[str, Any], Mapping[str, str]]  # a metric row and its dimensions
_BY_OWNER, _FIRST = "Next steps by owner", "Leads that come first"
AHEAD = (_BY_OWNER, _FIRST, "Leads by owner and band")  # titles of what is read before all else
LISTED = 20  # steps of one owner that were measured: where so many are shown, there may be more


def step_tables(rows: Sequence[Opened]) -> list[Table]:
    """All owners side by side, then each one's steps, those that most depends on first. rows: of the metric `follow_up`."""
    owners: dict[str, list[Opened]] = {}
    for row, dims in rows:
        owners.setdefault(dims["owner"], []).append((row, dims))
    lists = [_steps(owner, mine) for owner, mine in owners.items()]
    return [_owners(owners), *lists] if len(owners) > 1 else lists


def _owners(owners: Mapping[str, Sequence[Opened]]) -> Table:
    lines = []
    for owner, mine in owners.items():
        late = sum(_late(row, dims) for row, dims in mine)
        known = [float(row["value"]) for row, _ in mine if row.get("value") is not None]
        due = min((dims["due"] for _, dims in mine if dims["due"]), default="")
        n = f"{len(mine)} or more" if len(mine) >= LISTED else str(len(mine))
        lines.append([owner, n, late, due, number(round(sum(known))) if known else ""])
    unit = next((str(row["unit"]) for mine in owners.values() for row, _ in mine), "")
    numbers = ("steps", "overdue", f"at stake, {unit}")
    return table(["owner", "steps", "overdue", "first due", numbers[-1]], lines, numbers=numbers, title=_BY_OWNER)


def _late(row: Mapping[str, Any], dims: Mapping[str, str]) -> bool:
    return bool(dims["due"]) and row.get("as_of") is not None and dims["due"] < str(row["as_of"])[:10]


def _steps(owner: str, mine: Sequence[Opened]) -> Table:
    unit = str(mine[0][0]["unit"])
    lines = [
        [dims["action"], dims["entity"], dims["why"], _due(row, dims), "" if row["value"] is None else number(row["value"])]
        for row, dims in mine
    ]
    worth = f"at stake, {unit}"
    return table(["to do", "entity", "why", "due", worth], lines, numbers=[worth], title=f"Next steps of {owner}")


def _due(row: Mapping[str, Any], dims: Mapping[str, str]) -> str:
    return f"{dims['due']}, overdue" if _late(row, dims) else dims["due"]


def kind_tables(rows: Sequence[Opened]) -> list[Table]:
    """Every step with how often it is to be taken, the most frequent first. rows: of the metric `follow_ups`."""
    lines = [
        [*(dims[name] for name in ("action", "why", "state")), int(row["value"] or 0), int(row.get("numerator") or 0)]
        for row, dims in sorted(rows, key=lambda pair: -float(pair[0]["value"] or 0))
    ]
    numbers = ("number", "overdue")
    return [table(("to do", "why", "stage", *numbers), lines, numbers=numbers, title="Next steps")]


def lead_tables(rows: Sequence[Opened]) -> list[Table]:
    """The leads that come first. rows: of the metric `lead_score`; its numerator is the chance, where there is one."""
    chances = any(row.get("numerator") is not None for row, _ in rows)
    lines = [[dims["person"], dims["band"], number(row["value"]), *([_chance(row)] if chances else []), dims["why"]] for row, dims in rows]
    numbers = ["score", *(["chance"] if chances else [])]
    return [table(["person", "band", *numbers, "why"], lines, numbers=numbers, title=_FIRST)]


def _chance(row: Mapping[str, Any]) -> str:
    return "" if row.get("numerator") is None else f"{100 * float(row['numerator']):.0f} %"


LISTS = {"follow_ups": kind_tables, "follow_up": step_tables, "lead_score": lead_tables}


def listed(rows: Sequence[tuple[Mapping[str, Any], dict[str, str]]]) -> list[Table]:
    """The tables of the metrics that have one of their own."""
    found = {name: [(row, dims) for row, dims in rows if row["name"] == name] for name in LISTS}
    return [t for name, mine in found.items() if mine for t in LISTS[name](mine)]
