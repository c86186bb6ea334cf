"""The audit trail: every change that was ever tried to be written or taken back, as the ledger remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select

from core import ledger_tables as t
from core.ledger import Ledger


@dataclass(frozen=True)
class Entry:
    """One change of one run. `kind`: apply or undo. `before` stood there when it was written, `after` was written over it.

    `undo` of an applied change: the run that took it back, and how that went; "" while nobody tried.
    """

    at: datetime
    by: str
    kind: str
    run: str
    plan: str
    change_id: str
    account: str
    target: str
    vendor_id: str
    field: str
    type: str
    before: str | None
    after: str | None
    outcome: str
    detail: str
    why: str
    rule: str
    policy: str
    entity_id: str
    undo: str


def audit(ledger: Ledger, since: datetime | None = None, until: datetime | None = None) -> list[Entry]:
    """Oldest first; from `since` on, before `until`."""
    o, a, ch = t.outcome.c, t.apply_run.c, t.change.c
    joined = t.outcome.join(t.apply_run, a.id == o.apply_id)
    whole = joined.join(t.change, and_(ch.plan_id == a.plan_id, ch.change_id == o.change_id))
    said = (o.apply_id, o.change_id, o.status, o.detail.label("outcome_detail"), o.before_image, o.at, a.kind, a.of, a.plan_id)
    of = (ch.account, ch.target, ch.vendor_id, ch.field, ch.after, ch.why, ch.entity_id, ch.detail.label("said"))
    query = select(*said, a.detail.label("run_detail"), *of).select_from(whole).order_by(o.at, o.apply_id, ch.position)
    for limit in ([o.at >= since] if since else []) + ([o.at < until] if until else []):
        query = query.where(limit)
    with ledger.read() as c:
        undone = {
            (row.of, row.change_id): f"{row.apply_id} {row.status}"
            for row in c.execute(select(a.of, o.change_id, o.apply_id, o.status).select_from(joined).where(a.kind == "undo").order_by(o.at))
        }
        found = {
            (row.apply_id, row.change_id): row.before_image
            for row in c.execute(select(o.apply_id, o.change_id, o.before_image).where(o.status == "applied"))
        }
        return [_entry(row, undone, found) for row in c.execute(query)]


def _entry(row: Any, undone: dict[tuple[str, str], str], found: dict[tuple[str, str], str | None]) -> Entry:
    said = row.said or {}
    back = row.kind == "undo"
    return Entry(
        at=row.at,
        by=(row.run_detail or {}).get("by", ""),
        kind=row.kind,
        run=row.apply_id,
        plan=row.plan_id,
        change_id=row.change_id,
        account=row.account,
        target=row.target,
        vendor_id=row.vendor_id,
        field=row.field,
        type=said.get("type", ""),
        before=row.before_image,
        after=found.get((row.of, row.change_id)) if back else row.after,
        outcome=row.status,
        detail=row.outcome_detail,
        why=f"undo of {row.of}" if back else row.why,
        rule=said.get("rule", ""),
        policy=said.get("policy", ""),
        entity_id=row.entity_id or "",
        undo="" if back else undone.get((row.apply_id, row.change_id), ""),
    )
