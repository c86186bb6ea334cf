"""Who is who: records of all systems that are one person, company or deal, with the evidence for every link.

Deterministic: connected components over link fields, merges, conversions, e-mail addresses, visitors' ids, company domains,
associations and what people decided; groups in doubt come apart at their weakest evidence (`core.doubts`).
It must not know where tables come from or what is done with entities. Only keys and evidence are brought to this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.compiled import Compiled, over
from core.doubts import CUTS, EDGES, Limits, said_of, settle, weak
from core.evidence import comparable_id, edges
from core.identity_decisions import Decision
from core.lake_schema import record_schema
from core.thresholds import threshold

ENTITY_KINDS: dict[str, str] = {"person": "per_", "company": "com_", "deal": "dea_"}
_COLUMNS = ("account", "vendor", "resource", "vendor_id", "created_at", "deleted", "merged_into", "merged_ids", "links")
_EXTRA = {"person": ("email", "other_emails", "list_id", "converted_person_id"), "company": ("domain",), "deal": ()}
_KEY = ("account", "resource", "vendor_id")
MEMBERS = pa.schema([(n, pa.string()) for n in ("entity_id", "kind", *_KEY)] + [("live", pa.bool_())])
LINKS = pa.schema([(n, pa.string()) for n in ("kind", "left_key", "right_key", "evidence", "detail")])

_PREVIOUS = pa.schema([MEMBERS.field(n) for n in ("entity_id", "kind", *_KEY)])
_ENDS = pa.schema([record_schema("association").field(n) for n in ("account", "from_kind", "from_id", "to_kind", "to_id")])
_EDGE = pa.schema([("l", pa.int64()), ("r", pa.int64()), ("weak", pa.bool_())])
_LABEL = pa.schema([("label", pa.int64())])


@dataclass(frozen=True)
class Resolution:
    """members: every record with its entity; live is false for deleted and merged ones. links: why (keys are account:resource:id).

    cuts: evidence that was not believed, and why (`core.components`). unknown: decisions that name no record, or two of
    different kinds.
    """

    members: pa.Table
    links: pa.Table
    cuts: pa.Table = field(default_factory=CUTS.empty_table)
    unknown: tuple[Decision, ...] = ()


def resolve(
    tables: Mapping[str, ibis.Table],
    funnel: Any,
    previous_members: pa.Table | None = None,
    compiled: Compiled | None = None,
    decisions: Sequence[Decision] = (),
    engine: Any = None,
) -> Resolution:
    """The entities behind the current records. Every record of a person, company or deal belongs to exactly one.

    An entity keeps the id it had in `previous_members`: of several, the oldest member's; a new one is named after its
    smallest key. When an entity falls apart, the part with its oldest member keeps the id. `compiled` keeps the queries;
    `decisions` win over all evidence. `engine`: a DuckDB of Ibis to work in, of which nothing is left there; one of its own, without
    limits, unless it is lent.
    """
    there = compiled or over(tables, funnel)
    own = None if engine is not None else ibis.duckdb.connect()
    try:
        here = there.on(engine or own)
        here.give("resolve.associations", there.rows("resolve.associations", lambda: _associations(there), _ENDS))
        previous = _PREVIOUS.empty_table() if previous_members is None else previous_members.select(_PREVIOUS.names).cast(_PREVIOUS)
        here.give("resolve.previous", previous)
        found = [_resolve_kind(there, here, kind, funnel, decisions) for kind in ENTITY_KINDS]
    finally:
        if own is not None:
            own.disconnect()
    members, links, cuts = (pa.concat_tables(parts) for parts in zip(*(tables for tables, _ in found), strict=True))
    known = [sides for _, sides in found]
    unknown = (d for n, d in enumerate(decisions) if not any({(n, 0), (n, 1)} <= sides for sides in known))
    return Resolution(members, links, cuts, tuple(unknown))


def _resolve_kind(
    there: Compiled, here: Compiled, kind: str, funnel: Any, decisions: Sequence[Decision]
) -> tuple[tuple[pa.Table, pa.Table, pa.Table], frozenset[tuple[int, int]]]:
    """(members, links and cuts; which sides of the decisions are records of this kind)."""
    name = f"resolve.{kind}"
    nodes, size = _brought(there, here, name, kind)
    said = said_of(here, name, nodes, decisions)
    manual = here.give(f"{name}.manual", said.links)
    parts = edges(kind, nodes, here.tables["resolve.associations"], lambda part, build: here.keep(f"{name}.{part}", build), funnel)
    pairs = here.view(f"{name}.edges", lambda: ibis.union(*parts, manual))
    ends = here.rows(f"{name}.ends", lambda: pairs.select("l", "r", weak=weak(pairs.evidence)), _EDGE)
    limits = Limits(int(threshold(funnel, "component_records")), int(threshold(funnel, "bridge_records")))
    settled = settle(here, name, nodes, pairs, _components(size, ends), ends, said.apart, limits)
    members = _members(here, kind, nodes, settled.labels)
    doubted, kept = here.tables[f"{name}.doubted"], here.give(f"{name}.kept", settled.edges)
    links = here.rows(f"{name}.links", lambda: _links(kind, nodes, _believed(pairs, doubted, kept)), LINKS)
    cuts = pa.Table.from_pylist([{"kind": kind, **cut} for cut in settled.cuts], schema=CUTS)
    here.let_go(*(known for known in here.tables if known.startswith(f"{name}.")))
    return (members, links, cuts), said.found


def _brought(there: Compiled, here: Compiled, name: str, kind: str) -> tuple[ibis.Table, int]:
    """The nodes, and how many; from here on nothing else holds the records."""
    record = there.tables[f"record.{kind}"].select(*_COLUMNS, *_EXTRA[kind])
    given = there.rows(f"{name}.records", lambda: record, record.schema().to_pyarrow())
    rows = here.give(f"{name}.records", given)
    nodes = here.keep(f"{name}.nodes", lambda: _nodes(rows))
    here.let_go(f"{name}.records")
    return nodes, given.num_rows


def _believed(pairs: ibis.Table, doubted: ibis.Table, kept: ibis.Table) -> ibis.Table:
    """All edges but those of records in doubt, and of these the edges that hold."""
    return ibis.union(pairs.select(*EDGES.names).anti_join(doubted, pairs.l == doubted.i), kept)


def _associations(there: Compiled) -> ibis.Table:
    """The ends of live associations."""
    table = there.tables["record.association"]
    return table.filter(~table.deleted.fill_null(False)).select(*_ENDS.names)


def _nodes(t: ibis.Table) -> ibis.Table:
    """One row per record, numbered 0… in the order of keys. `nid` is the id as compared between systems."""
    key = t.account.concat(":", t.resource, ":", t.vendor_id)
    t = t.mutate(
        key=key,
        nid=comparable_id(t.vendor, t.vendor_id),
        live=~t.deleted.fill_null(False) & t.merged_into.isnull(),
    )
    return t.mutate(i=ibis.row_number().over(order_by=t.key))


def _components(size: int, ends: pa.Table) -> np.ndarray[Any, Any]:
    left, right = ends["l"].to_numpy(), ends["r"].to_numpy()
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    labels: np.ndarray[Any, Any] = connected_components(graph, directed=False)[1] if size else np.empty(0, dtype=np.int32)
    return labels


def _members(here: Compiled, kind: str, nodes: ibis.Table, labels: np.ndarray[Any, Any]) -> pa.Table:
    labelled = pa.table({"i": np.arange(len(labels), dtype=np.int64), "label": labels.astype(np.int64)})
    given = here.give(f"resolve.{kind}.labels", labelled)
    n = here.view(f"resolve.{kind}.labelled", lambda: nodes.inner_join(given, "i"))
    ids = _entity_ids(here, kind, n)

    def members() -> ibis.Table:
        return n.inner_join(ids, "label").order_by("i").select("entity_id", *_KEY, "live").mutate(kind=ibis.literal(kind))[MEMBERS.names]

    return here.rows(f"resolve.{kind}.members", members, MEMBERS)


def _entity_ids(here: Compiled, kind: str, nodes: ibis.Table) -> ibis.Table:
    """(label, key, kept, entity_id), every entity id once."""
    name = f"resolve.{kind}.ids"
    ids = here.keep(name, lambda: _first_ids(kind, nodes, here.tables["resolve.previous"]))
    for attempt in range(1, 100):
        if not here.rows(f"{name}.clashing", partial(_clashing, ids), _LABEL).num_rows:
            break
        ids = here.keep(f"{name}.{attempt}", partial(_renamed, ids, kind, attempt))
        here.tables[name] = here.tables.pop(f"{name}.{attempt}")  # what stands on it is one query, whatever the attempts
    return ids


def _first_ids(kind: str, nodes: ibis.Table, previous: ibis.Table) -> ibis.Table:
    first = nodes.group_by("label").agg(key=nodes.key.argmin(nodes.i))
    ids = first.left_join(_kept_ids(nodes, kind, previous), "label").select("label", "key", kept="entity_id")
    return ids.mutate(entity_id=ibis.coalesce(ids.kept, _name(kind, ids.key, 0)))


def _clash(ids: ibis.Table) -> ibis.Value:
    """Is it a new id that somebody else has, too?"""
    taken = ids.group_by("entity_id").agg(n=ids.count()).filter(lambda t: t.n > 1).select("entity_id")
    return ids.kept.isnull() & ids.entity_id.isin(taken.entity_id)


def _clashing(ids: ibis.Table) -> ibis.Table:
    return ids.filter(_clash(ids)).select("label")


def _renamed(ids: ibis.Table, kind: str, attempt: int) -> ibis.Table:
    return ids.mutate(entity_id=ibis.ifelse(_clash(ids), _name(kind, ids.key, attempt), ids.entity_id))


def _name(kind: str, key: ibis.Value, attempt: int) -> ibis.Value:
    text = key if not attempt else key.concat(f"#{attempt}")
    return ibis.literal(ENTITY_KINDS[kind]).concat(text.hexdigest("md5").left(16))


def _kept_ids(nodes: ibis.Table, kind: str, previous: ibis.Table) -> ibis.Table:
    """(label, entity_id) for components that keep an id: by their oldest member, and each id for its oldest claimant."""
    claims = nodes.inner_join(previous.filter(previous.kind == kind), list(_KEY)).select("label", "i", "created_at", "entity_id")
    claims = _oldest(claims, "label")
    return _oldest(claims, "entity_id").select("label", "entity_id")


def _oldest(claims: ibis.Table, by: str) -> ibis.Table:
    order = [claims.created_at.isnull(), claims.created_at, claims.i]
    ranked = claims.mutate(place=ibis.row_number().over(group_by=by, order_by=order))
    return ranked.filter(ranked.place == 0).drop("place")


def _links(kind: str, nodes: ibis.Table, pairs: ibis.Table) -> ibis.Table:
    left = nodes.select(l="i", left_key="key")
    right = nodes.select(r="i", right_key="key")
    rows = pairs.inner_join(left, "l").inner_join(right, "r").mutate(kind=ibis.literal(kind))
    return rows.select(*LINKS.names).distinct().order_by("left_key", "right_key", "evidence")
