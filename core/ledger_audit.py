"""The audit trail: every change that was ever tried to be written or taken back, as the ledger remembers it.

It is handed on row by row: a ledger of years does not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select

from core import ledger_tables as t
from core.change import Change
from core.ledger import Ledger
from core.ledger_plans import change_of

_AT_ONCE = 500  # rows that are looked up together


@dataclass(frozen=True)
class Entry:
    """One change of one run. `kind`: apply or undo. `before` stood there when it was written, `after` was written over it.

    `change` as it was planned. `undo` of an applied change: the run that took it back, and how that went; "" while nobody tried.
    """

    at: datetime
    by: str
    kind: str
    run: str
    plan: str
    change: Change
    before: str | None
    after: str | None
    outcome: str
    detail: str
    why: str
    undo: str = ""


def audit(ledger: Ledger, since: datetime | None = None, until: datetime | None = None) -> Iterator[Entry]:
    """Oldest first; from `since` on, before `until`. A read transaction is open until the last entry is taken."""
    o, a, ch = t.outcome.c, t.apply_run.c, t.change.c
    whole = t.outcome.join(t.apply_run, a.id == o.apply_id)
    whole = whole.join(t.change, and_(ch.plan_id == a.plan_id, ch.change_id == o.change_id))
    said = (o.apply_id, o.status, o.detail.label("outcome_detail"), o.before_image, o.at, a.kind, a.of, a.detail.label("run_detail"))
    query = select(*said, t.change).select_from(whole).order_by(o.at, o.apply_id, ch.position)
    for limit in ([o.at >= since] if since else []) + ([o.at < until] if until else []):
        query = query.where(limit)
    with ledger.read() as c:
        for rows in c.execute(query, execution_options={"yield_per": _AT_ONCE}).mappings().partitions():
            undone, found = _undone(c, rows), _found(c, rows)
            for row in rows:
                yield _entry(row, undone, found)


def _undone(c: Connection, rows: Sequence[Any]) -> dict[tuple[str, str], str]:
    """(apply run, change) → the last run that took it back, and how that went."""
    o, a = t.outcome.c, t.apply_run.c
    runs, ids = _named(rows, "apply", "apply_id")
    query = select(a.of, o.change_id, o.apply_id, o.status).join_from(t.apply_run, t.outcome, a.id == o.apply_id)
    query = query.where(a.kind == "undo", a.of.in_(runs), o.change_id.in_(ids)).order_by(o.at)
    return {(of, change_id): f"{run} {status}" for of, change_id, run, status in c.execute(query)} if runs else {}


def _found(c: Connection, rows: Sequence[Any]) -> dict[tuple[str, str], str | None]:
    """(apply run, change) → what stood there before, of what undo runs take back."""
    o = t.outcome.c
    runs, ids = _named(rows, "undo", "of")
    query = select(o.apply_id, o.change_id, o.before_image).where(o.apply_id.in_(runs), o.change_id.in_(ids), o.status == "applied")
    return {(run, change_id): found for run, change_id, found in c.execute(query)} if runs else {}


def _named(rows: Sequence[Any], kind: str, run: str) -> tuple[set[str], set[str]]:
    mine = [row for row in rows if row["kind"] == kind]
    return {row[run] for row in mine}, {row["change_id"] for row in mine}


def _entry(row: Any, undone: Mapping[tuple[str, str], str], found: Mapping[tuple[str, str], str | None]) -> Entry:
    change, back = change_of(row), row["kind"] == "undo"
    return Entry(
        at=row["at"],
        by=(row["run_detail"] or {}).get("by", ""),
        kind=row["kind"],
        run=row["apply_id"],
        plan=row["plan_id"],
        change=change,
        before=row["before_image"],
        after=found.get((row["of"], change.change_id)) if back else change.after,
        outcome=row["status"],
        detail=row["outcome_detail"],
        why=f"undo of {row['of']}" if back else change.why,
        undo="" if back else undone.get((row["apply_id"], change.change_id), ""),
    )
