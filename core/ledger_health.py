"""What the ledger says of the hub's own doings: which resources were read when, and which writes vendors did not take."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, exists, func, select

from core import ledger_tables as t
from core.change import EVENT
from core.ledger import Ledger

_TAKEN = ("applied", "already")


def pulled(ledger: Ledger, until: datetime) -> list[tuple[str, str, datetime]]:
    """(account, resource, when) each resource was last read whole: the beginning of that run, no later than `until`."""
    n, r = t.count.c, t.run.c
    query = select(n.account, n.resource, func.max(r.started_at)).join_from(t.count, t.run, n.run_id == r.id)
    query = query.where(n.status == "done", r.started_at <= until).group_by(n.account, n.resource)
    with ledger.read() as connection:
        return [(account, resource, at) for account, resource, at in connection.execute(query)]


def refused_writes(ledger: Ledger, until: datetime) -> list[tuple[str, str, str, str, str | None, str, datetime]]:
    """(account, target, vendor_id, field, value, reason, when) of fields whose last write was not taken. Events are no fields."""
    ch, o = t.change.c, t.outcome.c
    newer_change, newer = t.change.alias(), t.outcome.alias()
    same = and_(
        newer_change.c.account == ch.account, newer_change.c.target == ch.target, newer_change.c.vendor_id == ch.vendor_id,
        newer_change.c.field == ch.field, newer.c.change_id == newer_change.c.change_id, newer.c.at <= until,
    )  # fmt: skip
    later = exists().where(same, newer.c.at > o.at, newer.c.status.in_((*_TAKEN, "rejected")))
    query = select(ch.account, ch.target, ch.vendor_id, ch.field, ch.after, o.detail, o.at).join_from(
        t.change, t.outcome, ch.change_id == o.change_id
    )
    query = query.where(o.status == "rejected", o.at <= until, ch.detail["type"].as_string() != EVENT, ~later)
    with ledger.read() as connection:
        return list(dict.fromkeys(tuple(row) for row in connection.execute(query)))  # not DISTINCT: PostgreSQL cannot compare JSON
