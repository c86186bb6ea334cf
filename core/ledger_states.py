"""What became of each change of a plan, over all its apply and undo runs: what is still open, what stands, what was taken back.

A plan that is made again with the same changes starts anew: runs from before then no longer say anything about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from core import ledger_tables as t
from core.change import Change

OPEN = "open"
_UNSETTLED = ("failed", "sent")
_AGAIN = ("undone", "rejected")  # tried again when nothing else is open
_BACK = {"undone": "undone", "already": "undone", "kept": "kept", "gone": "gone"}  # what an undo's outcome says of the change


@dataclass(frozen=True)
class State:
    """Of one change. status: open, an apply run's outcome, or undone or kept; `run` said so."""

    status: str = OPEN
    run: str = ""
    at: datetime | None = None
    detail: str = ""


def states(c: Connection, plan_id: str) -> dict[str, State]:
    """State by change id; a change that no run has settled is not in it."""
    a, o = t.apply_run.c, t.outcome.c
    runs = {r.id: r for r in c.execute(select(a.id, a.kind, a.of, a.started_at, a.detail).where(a.plan_id == plan_id))}
    counted = {id_ for id_, r in runs.items() if not (r.detail or {}).get("closed")}
    rows = c.execute(select(o.apply_id, o.change_id, o.status, o.detail, o.at).where(o.apply_id.in_(runs))).all()
    back = {(runs[r.apply_id].of, r.change_id): r for r in rows if runs[r.apply_id].kind == "undo" and r.status in _BACK}
    found: dict[str, tuple[tuple[datetime, bool], State]] = {}
    for row in rows:
        run = runs[row.apply_id]
        if run.kind == "undo" or run.id not in counted or row.status in _UNSETTLED:
            continue
        undo = back.get((run.id, row.change_id))
        said = undo or row
        status = _BACK[undo.status] if undo else row.status
        last = undo is None and status not in _AGAIN  # of two runs begun at one instant: what stands was tried after what did not
        rank = (run.started_at, last)
        if row.change_id not in found or rank > found[row.change_id][0]:
            found[row.change_id] = (rank, State(status, said.apply_id, said.at, said.detail))
    return {change_id: state for change_id, (_, state) in found.items()}


def left(changes: Sequence[Change], known: Mapping[str, State], only: Callable[[Change], bool] | None = None) -> list[Change]:
    """The chosen changes that are to be written: those that are open; if none is, what was taken back or refused by the vendor."""
    chosen = [c for c in changes if only is None or only(c)]
    open_ = [c for c in chosen if c.change_id not in known]
    return open_ or [c for c in chosen if known[c.change_id].status in _AGAIN]


def plan_status(change_ids: Iterable[str], known: Mapping[str, State]) -> str:
    """applied: every change has its end; undone: nothing that was written stands; partial: some of it is open or taken back."""
    said = [known[i].status if i in known else OPEN for i in change_ids]
    if "undone" in said and "applied" not in said:
        return "undone"
    return "partial" if OPEN in said or "undone" in said else "applied"


def close_runs(c: Connection, plan_id: str) -> None:
    """From now on the runs of this plan tell nothing about it: it was made again."""
    a = t.apply_run.c
    rows: list[Any] = list(c.execute(select(a.id, a.detail).where(a.plan_id == plan_id)))
    for id_, detail in rows:
        c.execute(update(t.apply_run).where(a.id == id_).values(detail={**(detail or {}), "closed": True}))
