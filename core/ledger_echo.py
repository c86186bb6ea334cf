"""What the hub itself wrote into fields of people's, so that its own value coming back is no edit of theirs; and what both sides agreed on.

A base stands under the keys of both records. It must not know vendors or what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from core import ledger_tables as t
from core.change import EVENT
from core.connector import Connector
from core.ledger import Ledger, upsert
from core.mapping import Mapping as VendorMapping

BASES = pa.schema([("pair", pa.string()), ("field", pa.string()), ("base", pa.string()), ("base_at", pa.timestamp("us", "UTC"))])
FieldKey = tuple[str, str, str, str]  # account, resource, vendor id, our name of the field
_TOUCHED = ("applied", "undone")


@dataclass(frozen=True)
class Written:
    """What we wrote last, in the vendor's words, and when."""

    value: str | None
    at: datetime


def bases(ledger: Ledger, until: datetime) -> pa.Table:
    """The last agreed values of mirrored records, as known then (columns: BASES)."""
    b = t.base_value.c
    with ledger.read() as c:
        rows = c.execute(select(b.key, b.field, b.value, b.at).where(b.at <= until, b.key.contains("|"))).all()
    return pa.Table.from_pylist([dict(zip(BASES.names, row, strict=True)) for row in rows], schema=BASES)


def keep_bases(ledger: Ledger, rows: Iterable[tuple[str, str, str]], now: datetime) -> None:
    """(pair, field, value) both sides agree on now."""
    agreed = [
        {"key": pair, "field": field, "value": value, "value_hash": blake2b(value.encode(), digest_size=8).hexdigest(), "at": now}
        for pair, field, value in rows
    ]
    with ledger.write() as c:
        upsert(c, t.base_value, agreed)


def own_writes(
    ledger: Ledger, connectors: Mapping[str, Connector], mappings: Mapping[str, VendorMapping], until: datetime
) -> dict[FieldKey, Written]:
    """Our last write of each field of people's, without those undone since. The hub's own fields have no other writer."""
    names = dict(_names(connectors, mappings))
    last: dict[FieldKey, Written] = {}
    for row in _history(ledger, until):
        known = names.get((row["account"], row["target"], row["field"]))
        if known is None:
            continue
        key = (row["account"], known[0], row["vendor_id"], known[1])
        if row["status"] == "undone":
            last.pop(key, None)
        else:
            last[key] = Written(row["after"], row["at"])
    return last


def _names(
    connectors: Mapping[str, Connector], mappings: Mapping[str, VendorMapping]
) -> Iterator[tuple[tuple[str, str, str], tuple[str, str]]]:
    """((account, target, vendor's field), (resource, our field)) of every push that shares its field with people."""
    for account, connector in connectors.items():
        objects = {target.name: target.resource for target in connector.targets}
        for push in mappings[account].push:
            if not push.owned:
                yield (account, push.target, push.field), (objects[push.target], push.source)


def _history(ledger: Ledger, until: datetime) -> Sequence[Mapping[str, Any]]:
    """Outcomes that touched a vendor, oldest first."""
    ch, o, a = t.change.c, t.outcome.c, t.apply_run.c
    query = select(ch.account, ch.target, ch.vendor_id, ch.field, ch.after, o.status, o.at)
    query = query.join_from(t.outcome, t.apply_run, o.apply_id == a.id)
    query = query.join(t.change, (ch.change_id == o.change_id) & (ch.plan_id == a.plan_id))
    query = query.where(o.status.in_(_TOUCHED), o.at <= until)
    query = query.where(ch.detail["type"].as_string() != EVENT, ch.detail["policy"].as_string() != "derived")
    with ledger.read() as c:
        return [dict(row) for row in c.execute(query.order_by(o.at, a.started_at)).mappings()]
