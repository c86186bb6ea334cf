"""What the hub itself wrote into fields of people's, so that its own value coming back is no edit of theirs; and what both sides agreed on.

A base stands under the keys of both records. It must not know vendors or what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
import pyarrow as pa
from sqlalchemy import func, insert, select

from core import ledger_tables as t
from core.change import EVENT, Written
from core.connector import Connector
from core.ledger import Ledger, upsert
from core.mapping import Mapping as VendorMapping

BASES = pa.schema([("pair", pa.string()), ("field", pa.string()), ("base", pa.string()), ("base_at", pa.timestamp("us", "UTC"))])
_KEY = [(n, pa.string()) for n in ("account", "resource", "vendor_id", "field")]
FOUGHT = pa.schema([*_KEY, ("value", pa.string()), ("at", pa.timestamp("us", "UTC"))])
THAWED = pa.schema([*_KEY, ("at", pa.timestamp("us", "UTC"))])
FieldKey = tuple[str, str, str, str]  # account, resource, vendor id, our name of the field
_TOUCHED = ("applied", "undone")
_THAWED = "thaw:"


VendorField = tuple[str, str, str, str]  # account, target, vendor id, the vendor's field


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


def writes(ledger: Ledger, until: datetime) -> dict[VendorField, list[Written]]:
    """All our writes of each field of people's, oldest first. Fields that are the hub's alone have no other writer."""
    found: dict[VendorField, list[Written]] = {}
    for row in _history(ledger, until):
        key = (row["account"], row["target"], row["vendor_id"], row["field"])
        found.setdefault(key, []).append(Written(row["after"], row["at"], row["before"], row["status"] == "undone"))
    return found


def named(
    written: Mapping[VendorField, Sequence[Written]], connectors: Mapping[str, Connector], mappings: Mapping[str, VendorMapping]
) -> dict[FieldKey, Sequence[Written]]:
    """The same by our own names of objects and fields; without what no mapping writes any more."""
    names = dict(_names(connectors, mappings))
    found = {}
    for (account, target, vendor_id, field), ours in written.items():
        if (account, target, field) in names:
            resource, source = names[(account, target, field)]
            found[(account, resource, vendor_id, source)] = ours
    return found


def fights(
    written: Mapping[FieldKey, Sequence[Written]], thawed: Mapping[FieldKey, datetime], span: timedelta, times: int
) -> dict[FieldKey, Written]:
    """Fields where we wrote the same value over the same other one again and again: each time somebody else had put it back.

    Two such writes are three moves (ours, his, ours), counted and spanned as rule T-05 does. Gives the last of them.
    """
    found = {}
    ours = max(2, (times + 1) // 2)
    for key, all_ in written.items():
        since = thawed.get(key, datetime.min.replace(tzinfo=UTC))
        mine = [w for w in all_ if not w.undone and w.at > since]
        for i in range(len(mine) - ours + 1):
            run = mine[i : i + ours]
            if len({(w.before, w.value) for w in run}) == 1 and run[-1].at - run[0].at <= span:
                found[key] = run[-1]
    return found


def fought_table(fought: Mapping[FieldKey, Written]) -> pa.Table:
    """The fact `fought` (columns: FOUGHT)."""
    rows = [(*key, f"{w.before or '(empty)'} ↔ {w.value or '(empty)'}", w.at) for key, w in fought.items()]
    return pa.Table.from_pylist([dict(zip(FOUGHT.names, row, strict=True)) for row in rows], schema=FOUGHT)


def thaws(ledger: Ledger) -> dict[FieldKey, datetime]:
    """When a person last thawed a frozen field."""
    n = t.note.c
    with ledger.read() as c:
        rows = c.execute(select(n.about, func.max(n.at)).where(n.about.startswith(_THAWED)).group_by(n.about)).all()
    found = {}
    for about, at in rows:
        account, resource, vendor_id, field = orjson.loads(about.removeprefix(_THAWED))
        found[(account, resource, vendor_id, field)] = at
    return found


def thawed_table(thawed: Mapping[FieldKey, datetime]) -> pa.Table:
    """The fact `thawed` (columns: THAWED)."""
    rows = [dict(zip(THAWED.names, (*key, at), strict=True)) for key, at in thawed.items()]
    return pa.Table.from_pylist(rows, schema=THAWED)


def thaw(ledger: Ledger, keys: Iterable[FieldKey], now: datetime) -> None:
    """These fields may be written again; what happened until now is no fight any more."""
    rows = [{"about": _THAWED + orjson.dumps(key).decode(), "text": "thawed", "at": now} for key in keys]
    with ledger.write() as c:
        if rows:
            c.execute(insert(t.note), rows)


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
    query = select(ch.account, ch.target, ch.vendor_id, ch.field, ch.before, ch.after, o.status, o.at)
    query = query.join_from(t.outcome, t.apply_run, o.apply_id == a.id)
    query = query.join(t.change, (ch.change_id == o.change_id) & (ch.plan_id == a.plan_id))
    query = query.where(o.status.in_(_TOUCHED), o.at <= until)
    query = query.where(ch.detail["type"].as_string() != EVENT, ch.detail["policy"].as_string() != "derived")
    with ledger.read() as c:
        return [dict(row) for row in c.execute(query.order_by(o.at, a.started_at)).mappings()]
