"""Record tables as the stages use them: any kind may be asked for, references become entities, and results can be kept.

Expressions only; nothing here knows what a stage is or which engine computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import ibis

from core.lake_schema import record_schema
from core.model import LADDER

MOMENT = "timestamp('UTC', 6)"
_EVER = 100_000_000_000  # added to seconds since 1970, all years have equally many digits


def stack(parts: Sequence[ibis.Table], schema: Mapping[str, str]) -> ibis.Table:
    """All rows of the parts, with exactly these columns and types."""
    same = [part.select(**{name: part[name].cast(type_) for name, type_ in schema.items()}) for part in parts]
    return ibis.union(*same) if len(same) > 1 else same[0]


def records(tables: Mapping[str, ibis.Table], kind: str) -> ibis.Table:
    """The current records of a kind; an empty table where nothing of it was ever pulled."""
    if kind in tables:
        return tables[kind]
    return ibis.memtable(record_schema(kind).empty_table())


def keep(expression: ibis.Table) -> ibis.Table:
    """The same rows, computed once: a temporary table that lives as long as the result.

    What stands on literal tables only is kept in Ibis's default engine, so that must be the records' engine (core.pipeline sets it).
    """
    return expression.cache()


def instant(when: datetime) -> ibis.Value:
    return ibis.literal(when, type=MOMENT)


def seconds_between(start: ibis.Value, end: ibis.Value) -> ibis.Value:
    return end.epoch_seconds() - start.epoch_seconds()


def days_between(start: ibis.Value, end: ibis.Value) -> ibis.Value:
    return seconds_between(start, end).cast("float64") / 86400.0  # Spark would divide whole numbers as decimals of a few places


def ranked(t: ibis.Table, order: Sequence[str]) -> ibis.Value:
    """Text that sorts records by how far their vendor or account is believed; total, as the record's key comes after."""
    place = ibis.cases(*[((t.vendor == name) | (t.account == name), f"{i:02d}") for i, name in enumerate(order)], else_="99")
    return place.concat(":", t.account, ":", t.resource, ":", t.vendor_id)


def oldest(t: ibis.Table) -> ibis.Value:
    """Text that sorts records by their creation; total, as the record's key comes after. Null without a date."""
    return sortable(t.created_at).concat(":", t.account, ":", t.resource, ":", t.vendor_id)


def sortable(at: ibis.Value) -> ibis.Value:
    """Text that sorts as the instants do, to the second."""
    return (at.epoch_seconds() + _EVER).cast("string")


def refs(tables: Mapping[str, ibis.Table], members: ibis.Table, kind: str) -> ibis.Table:
    """(account, name, vendor_id, entity_id): what an id names, said by kind or by object.

    Where two objects of an account use one id, the kind's name means the first object by name, live before dead.
    """
    mine = members.filter(members.kind == kind)
    exact = mine.select("account", "vendor_id", "entity_id", name="resource")
    rank = ibis.ifelse(mine.live, "0", "1").concat(mine.resource)
    loose = mine.group_by("account", "vendor_id").agg(entity_id=mine.entity_id.argmin(rank)).mutate(name=ibis.literal(kind))
    both = ibis.union(exact.select("account", "name", "vendor_id", "entity_id"), loose.select("account", "name", "vendor_id", "entity_id"))
    return both


def further(code: ibis.Value) -> ibis.Value:
    """The code if it is a rung of the ladder, else null: rungs compare as text."""
    return ibis.ifelse(code.isin(LADDER), code, ibis.null("string"))


def first_by(column: ibis.Value, rank: ibis.Value) -> ibis.Value:
    """The value of the best-ranked row that has one."""
    return column.argmin(rank, where=column.notnull())
