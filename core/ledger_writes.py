"""What the hub wrote into fields that it shares with people: the last write of a field in hand, and writes that came again and again.

However long the history, only what is asked for comes into memory. It must not know vendors or what the values mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import RowMapping, Select, Text, cast, func, select, tuple_

from core import ledger_tables as t
from core.change import Written
from core.connector import Connector
from core.ledger import Ledger
from core.mapping import Mapping as VendorMapping

FieldKey = tuple[str, str, str, str]  # account, resource, vendor id, our name of the field
VendorField = tuple[str, str, str, str]  # account, target, vendor id, the vendor's field
_TOUCHED = ("applied", "undone")
_AT_ONCE = 400  # ids a query
_FIELD = itemgetter("account", "target", "vendor_id", "field")


@dataclass(frozen=True)
class SharedFields:
    """The pushes that share their field with people. Fields that are the hub's alone have no other writer."""

    connectors: Mapping[str, Connector]
    mappings: Mapping[str, VendorMapping]

    @cached_property
    def ours(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        """(account, target, vendor's field) → (resource, our field)."""
        found: dict[tuple[str, str, str], tuple[str, str]] = {}
        for account, connector in self.connectors.items():
            objects = {target.name: target.resource for target in connector.targets}
            found |= {(account, p.target, p.field): (objects[p.target], p.source) for p in self.mappings[account].push if not p.owned}
        return found

    def named(self, one: VendorField) -> FieldKey:
        """By our own names of object and field."""
        account, target, vendor_id, field = one
        resource, source = self.ours[(account, target, field)]
        return account, resource, vendor_id, source

    def spelt(self, key: FieldKey) -> Iterator[VendorField]:
        """By the vendor's names: nothing where no mapping writes the field, and several where several do."""
        account, resource, vendor_id, source = key
        for (owner, target, field), ours in self.ours.items():
            if owner == account and ours == (resource, source):
                yield account, target, vendor_id, field


def last_writes(ledger: Ledger, fields: Iterable[VendorField], until: datetime) -> dict[VendorField, Written]:
    """Our last write of each of these fields, where there was one."""
    wanted = set(fields)
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for account, target, vendor_id, _ in wanted:
        ids[(account, target)].add(vendor_id)
    found: dict[VendorField, Written] = {}
    for (account, target), of in ids.items():
        rest = iter(sorted(of))
        while part := list(islice(rest, _AT_ONCE)):
            query = _history(until).where(t.change.c.account == account, t.change.c.target == target, t.change.c.vendor_id.in_(part))
            with ledger.read() as c:
                rows = c.execute(query.order_by(t.outcome.c.at, t.apply_run.c.started_at)).mappings().all()
            found |= {_FIELD(row): _written(row) for row in rows if _FIELD(row) in wanted}
    return found


def last_named(ledger: Ledger, shared: SharedFields, keys: Iterable[FieldKey], until: datetime) -> dict[FieldKey, Written]:
    """The same by our own names."""
    rows = last_writes(ledger, [one for key in keys for one in shared.spelt(key)], until)
    return {shared.named(one): own for one, own in sorted(rows.items(), key=lambda row: row[1].at)}


def repeated_writes(ledger: Ledger, shared: SharedFields, times: int, until: datetime) -> Iterator[tuple[FieldKey, list[Written]]]:
    """All our writes, oldest first, of each field into which we wrote one value over the same other one so often."""
    if not shared.ours:
        return
    ch, ours = t.change.c, _history(until).where(tuple_(t.change.c.account, t.change.c.target, t.change.c.field).in_(list(shared.ours)))
    applied = ours.where(t.outcome.c.status == "applied").with_only_columns(*(ch[n] for n in ("account", "target", "vendor_id", "field")))
    alike = applied.group_by(*applied.selected_columns, cast(ch.before, Text), cast(ch.after, Text)).having(func.count() >= times)
    again = alike.distinct().subquery()
    query = ours.join(again, _same(ch, again.c)).order_by(ch.account, ch.target, ch.vendor_id, ch.field, t.outcome.c.at)
    with ledger.read() as c:
        rows = c.execution_options(yield_per=1_000).execute(query.order_by(t.apply_run.c.started_at)).mappings()
        for one, writes in groupby(rows, key=_FIELD):
            yield shared.named(one), [_written(row) for row in writes]


def _same(one: Any, other: Any) -> Any:
    return tuple_(one.account, one.target, one.vendor_id, one.field) == tuple_(other.account, other.target, other.vendor_id, other.field)


def _history(until: datetime) -> Select[Any]:
    """Outcomes that touched a vendor. What was derived was no field of people's then."""
    ch, o, a = t.change.c, t.outcome.c, t.apply_run.c
    query = select(ch.account, ch.target, ch.vendor_id, ch.field, ch.before, ch.after, o.status, o.at)
    query = query.join_from(t.outcome, t.apply_run, o.apply_id == a.id)
    query = query.join(t.change, (ch.change_id == o.change_id) & (ch.plan_id == a.plan_id))
    return query.where(o.status.in_(_TOUCHED), o.at <= until, ch.detail["policy"].as_string() != "derived")


def _written(row: RowMapping) -> Written:
    return Written(row["after"], row["at"], row["before"], row["status"] == "undone")
