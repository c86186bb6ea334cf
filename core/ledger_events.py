"""Events in the ledger: what each vendor was told, so that nothing is told twice. No clock, no vendor.

A row of the table `pushed` per event: its field is "<event> <id>", its value_hash how far it got: sent (asked, answer
unknown), applied, uncertain. An event that was certainly not taken has no row.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from core import ledger_tables as t
from core.change import EVENT, Change, Outcome, event_values
from core.ledger import Ledger, upsert

_TAKEN = ("applied", "uncertain")


def told(ledger: Ledger, account: str, target: str, *, resendable: bool) -> list[tuple[str, str, str, datetime]]:
    """(visitor, event, id, when) of what the target was told. Where resending does no harm, what was only asked does not count."""
    p = t.pushed.c
    states = _TAKEN if resendable else (*_TAKEN, "sent")
    query = select(p.vendor_id, p.field, p.at).where(p.account == account, p.resource == target, p.value_hash.in_(states))
    with ledger.read() as c:
        rows = c.execute(query).all()
    return [(visitor, *name.rsplit(" ", 1), at) for visitor, name, at in rows if " " in name]


def told_entities(ledger: Ledger, until: datetime) -> list[tuple[str, str, datetime]]:
    """(entity, event, when) of what any vendor was told until then, and of what may have arrived there."""
    ch, o = t.change.c, t.outcome.c
    query = select(ch.entity_id, ch.field, o.at).join_from(t.change, t.outcome, ch.change_id == o.change_id)
    query = query.where(o.status.in_(_TAKEN), o.at <= until, ch.entity_id.is_not(None), ch.detail["type"].as_string() == EVENT)
    with ledger.read() as c:
        return [(entity, event, at) for entity, event, at in c.execute(query.distinct())]


def note_intents(c: Any, changes: Iterable[Change], now: datetime) -> None:
    """In the transaction `c`: these events are about to be sent."""
    upsert(c, t.pushed, [_row(change, "sent", now) for change in changes if change.type == EVENT])


def note_outcomes(c: Any, outcomes: Sequence[tuple[Change, Outcome]], now: datetime) -> None:
    """In the transaction `c`: what became of events. Those the vendor certainly did not take may be told again."""
    mine = [(change, outcome.status) for change, outcome in outcomes if change.type == EVENT and outcome.status != "kept"]
    upsert(c, t.pushed, [_row(change, status, now) for change, status in mine if status in _TAKEN])
    for change, status in mine:
        if status not in _TAKEN:
            row, p = _row(change, status, now), t.pushed.c
            same = (p.account == row["account"]) & (p.resource == row["resource"]) & (p.vendor_id == row["vendor_id"])
            c.execute(delete(t.pushed).where(same, p.field == row["field"]))


def forget_events(ledger: Ledger, visitors: Iterable[str]) -> None:
    """Erase whose events were told and what they said. That they were told stays: whoever shares a device is not told of twice.

    Plans that hold one lose their body and can no longer be applied or undone.
    """
    ids, ch, p = list(visitors), t.change.c, t.pushed.c
    with ledger.write() as c:
        rows = c.execute(select(ch.plan_id, ch.change_id, ch.detail).where(ch.vendor_id.in_(ids))).all()
        mine = [(plan_id, change_id) for plan_id, change_id, detail in rows if (detail or {}).get("type") == EVENT]
        plans, changes = {plan_id for plan_id, _ in mine}, {change_id for _, change_id in mine}
        c.execute(update(t.plan).where(t.plan.c.id.in_(plans)).values(body=zlib.compress(b"{}"), status="erased"))
        c.execute(update(t.change).where(ch.change_id.in_(changes)).values(vendor_id="erased", after=None, why="erased"))
        c.execute(update(t.pushed).where(p.vendor_id.in_(ids), p.field.contains(" ")).values(vendor_id="erased"))


def _row(change: Change, state: str, now: datetime) -> dict[str, Any]:
    name = f"{change.field} {event_values(change.after).get('id', change.change_id)}"
    return {
        "account": change.account, "resource": change.target, "vendor_id": change.vendor_id, "field": name, "value_hash": state, "at": now,
    }  # fmt: skip


def history(ledger: Ledger, entities: Sequence[str]) -> list[dict[str, Any]]:
    """Events of these entities that were sent: entity_id, account, target, vendor_id, field, values, status, at (when)."""
    ch, o = t.change.c, t.outcome.c
    columns = (ch.entity_id, ch.account, ch.target, ch.vendor_id, ch.field, ch.after, ch.detail, ch.change_id, o.status, o.at)
    query = select(*columns).join_from(t.change, t.outcome, ch.change_id == o.change_id)
    with ledger.read() as c:
        rows = [dict(row) for row in c.execute(query.where(ch.entity_id.in_(entities), o.status.in_(_TAKEN))).mappings()]
    sent = {row["change_id"]: row for row in rows if (row["detail"] or {}).get("type") == EVENT}  # a change may stand in several plans
    return [{**row, "values": event_values(row["after"])} for row in sent.values()]
