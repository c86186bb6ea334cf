"""Erasure in the ledger: what it holds of a person's records, and the tombstones that keep them away."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update

from core import ledger_tables as t
from core.ledger import Ledger, upsert


def forget_records(ledger: Ledger, keys: Sequence[tuple[str, str, str]], now: datetime, why: str = "") -> None:
    """Erase the values the ledger holds of these (account, resource, vendor_id) records, and keep a tombstone of each.

    Plans that touch one lose their body and can no longer be applied or undone.
    """
    rows = [{"account": a, "resource": r, "vendor_id": v, "at": now, "why": why} for a, r, v in keys]
    with ledger.write() as c:
        upsert(c, t.tombstone, rows)
        for account, resource, vendor_id in keys:
            of = t.change.c
            mine = (of.account == account) & (of.target == resource) & (of.vendor_id == vendor_id)
            touched = list(c.execute(select(of.change_id).where(mine)).scalars())
            plans = list(c.execute(select(of.plan_id).where(mine).distinct()).scalars())
            c.execute(update(t.outcome).where(t.outcome.c.change_id.in_(touched)).values(before_image=None, detail="erased"))
            c.execute(update(t.plan).where(t.plan.c.id.in_(plans)).values(body=zlib.compress(b"{}"), status="erased"))
            c.execute(update(t.change).where(mine).values(before=None, after=None, why="erased"))
            c.execute(delete(t.base_value).where(t.base_value.c.key == f"{account}:{resource}:{vendor_id}"))
            for table in (t.pushed, t.reject):
                same = (table.c.account == account) & (table.c.resource == resource) & (table.c.vendor_id == vendor_id)
                c.execute(delete(table).where(same))
