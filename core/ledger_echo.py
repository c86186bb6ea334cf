"""What the ledger knows of fields that several write: what both sides agreed on, who fights us, and what a person thawed.

A base stands under the keys of both records. It must not know vendors or what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import orjson
import pyarrow as pa
from sqlalchemy import func, insert, select

from core import ledger_tables as t
from core.change import Written
from core.ledger import Ledger, upsert
from core.ledger_writes import FieldKey

BASES = pa.schema([("pair", pa.string()), ("field", pa.string()), ("base", pa.string()), ("base_at", pa.timestamp("us", "UTC"))])
_KEY = [(n, pa.string()) for n in ("account", "resource", "vendor_id", "field")]
FOUGHT = pa.schema([*_KEY, ("value", pa.string()), ("at", pa.timestamp("us", "UTC"))])
THAWED = pa.schema([*_KEY, ("at", pa.timestamp("us", "UTC"))])
_THAWED = "thaw:"
_AT_ONCE = 10_000


def bases(ledger: Ledger, until: datetime) -> pa.Table:
    """The last agreed values of mirrored records, as known then (columns: BASES)."""
    b = t.base_value.c
    query = select(b.key, b.field, b.value, b.at).where(b.at <= until, b.key.contains("|"))
    with ledger.read() as c:  # a part at a time: as rows of Python's they would take ten times the room
        parts = c.execution_options(yield_per=_AT_ONCE).execute(query).partitions()
        tables = [pa.table([*zip(*part, strict=True)], schema=BASES) for part in parts]
    return pa.concat_tables([BASES.empty_table(), *tables])


def keep_bases(ledger: Ledger, rows: Iterable[tuple[str, str, str]], now: datetime) -> None:
    """(pair, field, value) both sides agree on now."""
    agreed = [
        {"key": pair, "field": field, "value": value, "value_hash": blake2b(value.encode(), digest_size=8).hexdigest(), "at": now}
        for pair, field, value in rows
    ]
    with ledger.write() as c:
        upsert(c, t.base_value, agreed)


def fights(
    written: Iterable[tuple[FieldKey, Sequence[Written]]], thawed: Mapping[FieldKey, datetime], span: timedelta, ours: int
) -> dict[FieldKey, Written]:
    """Fields where we wrote the same value over the same other one `ours` times: each time somebody else had put it back.
    Gives the last of these writes.
    """
    found = {}
    for key, all_ in written:
        since = thawed.get(key, datetime.min.replace(tzinfo=UTC))
        mine = [w for w in all_ if not w.undone and w.at > since]
        for i in range(len(mine) - ours + 1):
            run = mine[i : i + ours]
            if len({(w.before, w.value) for w in run}) == 1 and run[-1].at - run[0].at <= span:
                found[key] = run[-1]
    return found


def our_moves(times: int) -> int:
    """How many of so many alternating moves are ours: of ours, theirs, ours two."""
    return max(2, (times + 1) // 2)


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
