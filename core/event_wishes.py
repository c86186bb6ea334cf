"""What happened and a vendor should hear of: milestones and outcomes → `Desired` events, by the mapping's `events` section.

Each person's or deal's event is wished once, for one visitor; what the ledger says was sent is not wished again.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ibis
import pyarrow as pa

from core.change import EVENT, Desired, Held, canonical, event_text
from core.compiled import Compiled
from core.compiled import as_of as moment
from core.connector import Connector, Target
from core.entity_history import EntityHistory
from core.errors import UserError
from core.mapping import Mapping as VendorMapping
from core.mapping_events import ORIGINAL_TIME, Event

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "tundish:event")
_DUE = (
    ("entity_id", pa.string()), ("at", pa.timestamp("us", "UTC")), ("visitor", pa.string()), ("visitors", pa.list_(pa.string())),
)  # fmt: skip
_MONEY = {"amount": "currency", "lead_value": "lead_currency"}  # which of our numbers is an amount, and where its currency stands
TOO_LATE = "older than the vendor accepts; `late: now` in the mapping would send it with the current time"


@dataclass(frozen=True)
class Told:
    """What one account was told: event ids with the time, and (target, visitor, event) of each."""

    ids: Mapping[str, datetime] = field(default_factory=dict)
    visits: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True)
class Wished:
    """Events to plan, and those held because they come too late."""

    wishes: list[Desired] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def event_id(account: str, target: str, entity_id: str, event: str) -> str:
    """The event's id at the vendor: the same for the same event for ever."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join((account, target, entity_id, event))))


def events(
    account: str,
    connector: Connector,
    mapping: VendorMapping,
    facts: Mapping[str, ibis.Table],
    told: Callable[[Target], Told],
    now: datetime,
    compiled: Compiled,
    past: EntityHistory | None = None,
) -> Wished:
    """Every event that is due: reached at a known time no later than `now`, by somebody the vendor knows as a visitor.

    What was told of an entity that `past` says was merged into another one is told of that one, too.
    facts: as `core.facts` gives them. `compiled` holds them, and depends on the mapping's events, too.
    Raises: UserError when a parameter is not known of persons or deals.
    """
    found = Wished()
    for target in connector.targets:
        named = mapping.events_to(target.name)
        if not named:
            continue
        known = told(target)
        visitors = _visitors(facts, connector.name, target.resource, compiled)
        for event in named:
            query = partial(_due, facts, visitors[event.of], event)
            schema = pa.schema([*_DUE, *((name, pa.string()) for name in _told_columns(event, facts[event.of]))])
            for row in compiled.rows(f"event.{account}.{target.name}.{event.name}", query, schema, now).to_pylist():
                if not _is_told(account, target, event, row, known, past or EntityHistory()):
                    _wish(found, account, target, event, row, now)
    return found


def _visitors(facts: Mapping[str, ibis.Table], vendor: str, resource: str, compiled: Compiled) -> dict[str, ibis.Table]:
    """Of persons and of deals: (entity_id, visitor, visitors)."""
    name = f"visitor.{vendor}.{resource}"
    person = compiled.keep(f"{name}.person", lambda: _persons(facts, vendor, resource))
    return {"person": person, "deal": compiled.keep(f"{name}.deal", lambda: _deals(facts, vendor, resource, person))}


# -- whose visitor ------------------------------------------------------------------------------------------------------
def _links(rows: ibis.Table, vendor: str, resource: str) -> ibis.Table:
    """The rows once per visitor id they carry, with `visitor`."""
    prefix = f"{vendor}:{resource}:"
    t = rows.filter(rows.links.length() > 0).unnest("links")
    t = t.filter(t.links.startswith(prefix))
    t = t.mutate(visitor=t.links.substr(len(prefix)))
    return t.filter(t.visitor != "")


def _persons(facts: Mapping[str, ibis.Table], vendor: str, resource: str) -> ibis.Table:
    """(entity_id, visitor, visitors): who is not excluded; of several ids the one of the oldest record."""
    p = facts["people"].select("entity_id", "links", "created_at", key=_key(facts["people"]))
    counted = facts["person"].filter(~facts["person"].excluded.fill_null(False)).select("entity_id")
    t = _links(p, vendor, resource).semi_join(counted, "entity_id")
    return _first(t)


def _deals(facts: Mapping[str, ibis.Table], vendor: str, resource: str, persons: ibis.Table) -> ibis.Table:
    """(entity_id, visitor, visitors): of the deal's own records, else of its primary person, else of the first who has one."""
    deals = facts["deals"]
    own = deals.select("entity_id", "links", "created_at", key=_key(deals))
    own = _links(own, vendor, resource).mutate(place=ibis.literal(0))
    named = deals.filter(deals.person_id.notnull()).select("account", vendor_id="person_id", deal="entity_id")
    members = facts["members"].filter(facts["members"].kind == "person").select("account", "vendor_id", person="entity_id")
    primary = named.inner_join(members, ["account", "vendor_id"]).select("deal", "person").distinct().mutate(first=True)
    pairs = facts["deal_person"].left_join(primary, ["deal", "person"]).drop("deal_right", "person_right")
    pairs = pairs.inner_join(persons.select("visitor", person="entity_id"), "person")
    since = facts["person"].select("created_at", person="entity_id")
    t = pairs.inner_join(since, "person")
    t = t.select(entity_id="deal", created_at="created_at", key="person", visitor="visitor", place=ibis.ifelse(t.first.notnull(), 1, 2))
    return _first(ibis.union(own.select(*t.columns).cast(t.schema()), t))


def _key(t: ibis.Table) -> ibis.Value:
    return t.account.concat(":", t.resource, ":", t.vendor_id)


def _first(t: ibis.Table) -> ibis.Table:
    place = [t.place] if "place" in t.columns else []
    order = ibis.row_number().over(group_by="entity_id", order_by=[*place, t.created_at.isnull(), t.created_at, t.key, t.visitor])
    t = t.mutate(order=order)
    return t.group_by("entity_id").agg(visitor=t.visitor.argmin(t.order), visitors=t.visitor.collect())


# -- what is due ----------------------------------------------------------------------------------------------------------
def _due(facts: Mapping[str, ibis.Table], visitors: ibis.Table, event: Event) -> ibis.Table:
    """One row per entity: entity_id, at, visitor, visitors, and the facts the event tells."""
    m = facts["milestone"]
    oldest = moment() - ibis.interval(seconds=round(timedelta(days=event.max_age_days).total_seconds()))
    m = m.filter(m.kind == event.of, m.code == event.code, ~m.implied, m.reached_at <= moment(), m.reached_at >= oldest)
    entity = facts[event.of]
    if event.outcome:
        entity = entity.filter(entity.outcome == event.outcome)
    wanted = {name: entity[source].cast("string") for name, source in _told_columns(event, entity).items()}
    rows = m.select("entity_id", at="reached_at").inner_join(visitors, "entity_id")
    rows = rows.inner_join(entity.select("entity_id", **wanted), "entity_id").anti_join(_told_by_others(facts, event), "entity_id")
    return rows.order_by("at", "entity_id").select(*(name for name, _ in _DUE), *wanted)


def _told_by_others(facts: Mapping[str, ibis.Table], event: Event) -> ibis.Table:
    """Whose conversion of this name some system has already: the site or a server told it, and twice would count double."""
    t = facts["touches"]
    t = t.filter(t.kind == "conversion", t.event.re_search(f"(^|[^A-Za-z]){re.escape(event.name)}$"))
    if event.of == "person":
        return t.select("entity_id").distinct()
    deals = facts["deals"].select("account", deal_id="vendor_id", deal="entity_id")
    return (
        t.filter(t.deal_id.notnull())
        .select("account", "deal_id")
        .inner_join(deals, ["account", "deal_id"])
        .select(entity_id="deal")
        .distinct()
    )


def _told_columns(event: Event, entity: ibis.Table) -> dict[str, str]:
    """The facts the event tells, under "p:<parameter>", value and currency."""
    sources = {f"p:{name}": source for name, source in event.sources.items()}
    if event.value:
        sources["value"] = event.value
        money = _MONEY.get(event.value)
        if money is not None and money in entity.columns:
            sources["currency"] = money
    for source in sources.values():
        if source not in entity.columns:
            have = ", ".join(sorted(set(entity.columns) - {"entity_id"}))
            raise UserError(f"{source!r} is not known of a {event.of}", where=event.where, next_step=f"use one of: {have}")
    return sources


def _is_told(account: str, target: Target, event: Event, row: Mapping[str, Any], told: Told, past: EntityHistory) -> bool:
    """Under this id, under that of an entity whose records came here since, or, of a person, of one of his visitors."""
    if event_id(account, target.name, row["entity_id"], event.name) in told.ids:
        return True
    before = ((told.ids.get(event_id(account, target.name, e, event.name)), until) for e, until in past.before(row["entity_id"]).items())
    if any(at is not None and at <= until for at, until in before):
        return True
    return event.of == "person" and any((target.name, v, event.name) in told.visits for v in row["visitors"])


def _wish(found: Wished, account: str, target: Target, event: Event, row: Mapping[str, Any], now: datetime) -> None:
    id_ = event_id(account, target.name, row["entity_id"], event.name)
    late = target.max_age_s is not None and (now - row["at"]).total_seconds() > target.max_age_s
    value = event_text(_values(event, row, id_, now if late else row["at"], late))
    why = f"{event.code} of {row['entity_id']}"
    if late and event.late == "skip":
        found.held.append(Held(account, target.name, row["visitor"], event.name, None, value, TOO_LATE))
        return
    why += ", told late" if late else ""
    found.wishes.append(Desired(account, target.name, row["visitor"], event.name, EVENT, value, why, EVENT, "", row["entity_id"]))


def _values(event: Event, row: Mapping[str, Any], id_: str, at: datetime, late: bool) -> dict[str, Any]:
    params = {name: row[f"p:{name}"] for name in event.sources if row[f"p:{name}"] not in (None, "")}
    if late:
        params[ORIGINAL_TIME] = canonical(row["at"], "datetime")
    return {
        **event.constants, **params, "event": event.name, "id": id_, "occurred_at": canonical(at, "datetime"),
        "value": canonical(row.get("value"), "number"), "currency": row.get("currency"),
    }  # fmt: skip
