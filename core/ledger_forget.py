"""Erasure in the ledger: what it holds of a person's records, and the tombstones that keep them away."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
from sqlalchemy import delete, select, update

from core import ledger_tables as t
from core.ledger import Ledger, upsert
from core.ledger_identity import forget_decisions

_AT = pa.field("at", pa.timestamp("us", "UTC"))
ERASED = {
    "erased_address": pa.schema([pa.field("digest", pa.string()), _AT]),
    "erased_seen": pa.schema([*(pa.field(name, pa.string()) for name in ("account", "resource", "vendor_id")), _AT]),
}


def forget_records(ledger: Ledger, keys: Sequence[tuple[str, str, str]], now: datetime, why: str = "") -> None:
    """Erase the values the ledger holds of these (account, resource, vendor_id) records, and keep a tombstone of each.

    Plans that touch one lose their body and can no longer be applied or undone.
    """
    rows = [{"account": a, "resource": r, "vendor_id": v, "at": now, "why": why} for a, r, v in keys]
    with ledger.write() as c:
        upsert(c, t.tombstone, rows)
        forget_decisions(c, [":".join(key) for key in keys])
        for account, resource, vendor_id in keys:
            of = t.change.c
            mine = (of.account == account) & (of.target == resource) & (of.vendor_id == vendor_id)
            touched = list(c.execute(select(of.change_id).where(mine)).scalars())
            plans = list(c.execute(select(of.plan_id).where(mine).distinct()).scalars())
            c.execute(update(t.outcome).where(t.outcome.c.change_id.in_(touched)).values(before_image=None, detail="erased"))
            c.execute(update(t.plan).where(t.plan.c.id.in_(plans)).values(body=zlib.compress(b"{}"), status="erased"))
            c.execute(delete(t.note).where(t.note.c.about.in_([f"change:{id_}" for id_ in touched])))
            c.execute(update(t.change).where(mine).values(before=None, after=None, why="erased"))
            own, base = f"{account}:{resource}:{vendor_id}", t.base_value.c.key  # alone, or on either side of a pair
            either = base.startswith(f"{own}|", autoescape=True) | base.endswith(f"|{own}", autoescape=True)
            c.execute(delete(t.base_value).where((base == own) | either))
            for table in (t.pushed, t.reject):
                same = (table.c.account == account) & (table.c.resource == resource) & (table.c.vendor_id == vendor_id)
                c.execute(delete(table).where(same))


def keep_digests(ledger: Ledger, digests: Iterable[str], now: datetime) -> None:
    """Digests of an erased person's addresses: a record with one of them is that person again (rule C-05)."""
    with ledger.write() as c:
        upsert(c, t.erased_address, [{"digest": digest, "at": now} for digest in digests])


def note_seen(ledger: Ledger, account: str, resource: str, vendor_ids: Iterable[str], now: datetime) -> None:
    """Records with a tombstone that the vendor lists as live; they are not taken, but told (rule C-05)."""
    with ledger.write() as c:
        rows = [{"account": account, "resource": resource, "vendor_id": v, "at": now} for v in sorted(vendor_ids)]
        upsert(c, t.erased_seen, rows)


def erased(ledger: Ledger) -> dict[str, pa.Table]:
    """Tables for the rules by name: erased_address (digest, at) and erased_seen (account, resource, vendor_id, at)."""
    with ledger.read() as c:
        rows = {table.name: [dict(row) for row in c.execute(select(table)).mappings()] for table in (t.erased_address, t.erased_seen)}
    return {name: pa.Table.from_pylist(found, schema=ERASED[name]) for name, found in rows.items()}
