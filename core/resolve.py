"""Who is who: records of all systems that are one person, company or deal, with the evidence for every link.

Deterministic: connected components over link fields, merges, conversions, e-mail addresses, visitors' ids, company domains and
associations.
It must not know where tables come from or what is done with entities. Only keys and evidence are brought to this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.evidence import comparable_id, edges
from core.lake_schema import record_schema
from core.thresholds import free_mail, threshold

ENTITY_KINDS: dict[str, str] = {"person": "per_", "company": "com_", "deal": "dea_"}
_COLUMNS = ("account", "vendor", "resource", "vendor_id", "created_at", "deleted", "merged_into", "merged_ids", "links")
_EXTRA = {"person": ("email", "other_emails", "list_id", "converted_person_id"), "company": ("domain",), "deal": ()}
_KEY = ("account", "resource", "vendor_id")
MEMBERS = pa.schema([(n, pa.string()) for n in ("entity_id", "kind", *_KEY)] + [("live", pa.bool_())])
LINKS = pa.schema([(n, pa.string()) for n in ("kind", "left_key", "right_key", "evidence", "detail")])


@dataclass(frozen=True)
class Resolution:
    """members: every record with its entity; live is false for deleted and merged ones. links: why (keys are account:resource:id)."""

    members: pa.Table
    links: pa.Table


def resolve(tables: Mapping[str, ibis.Table], funnel: Any, previous_members: pa.Table | None = None) -> Resolution:
    """The entities behind the current records. Every record of a person, company or deal belongs to exactly one.

    An entity keeps the id it had in `previous_members`: of several, the oldest member's; a new one is named after its
    smallest key. When an entity falls apart, the part with its oldest member keeps the id.
    """
    engine = ibis.duckdb.connect()
    try:
        found = [_resolve_kind(engine, kind, tables, funnel, previous_members) for kind in ENTITY_KINDS if kind in tables]
    finally:
        engine.disconnect()
    members = pa.concat_tables([members for members, _ in found]) if found else MEMBERS.empty_table()
    links = pa.concat_tables([links for _, links in found]) if found else LINKS.empty_table()
    return Resolution(members, links)


def _resolve_kind(
    engine: Any, kind: str, tables: Mapping[str, ibis.Table], funnel: Any, previous: pa.Table | None
) -> tuple[pa.Table, pa.Table]:
    nodes = _nodes(engine, kind, tables[kind])
    associations = _local(
        engine, "associations", tables.get("association"), "association", ("account", "from_kind", "from_id", "to_kind", "to_id")
    )
    pairs = edges(
        kind, nodes, associations, shared_mailbox=int(threshold(funnel, "shared_mailbox_records")),
        shared_web_id=int(threshold(funnel, "shared_web_id_records")), free_mail=free_mail(funnel),
    )  # fmt: skip
    pairs = engine.create_table(f"edges_{kind}", pairs, temp=True, overwrite=True)
    ends = pairs.select("l", "r").to_pyarrow()
    size = nodes.count().execute()
    labels = _components(size, ends)
    members = _members(engine, kind, nodes, labels, previous)
    return members, _links(kind, nodes, pairs)


def _local(engine: Any, name: str, table: ibis.Table | None, kind: str, columns: tuple[str, ...]) -> ibis.Table:
    """The needed columns of live rows, in this machine's engine."""
    if table is None:
        schema = record_schema(kind)
        rows = pa.schema([schema.field(c) for c in columns]).empty_table()
    else:
        rows = table.filter(~table.deleted.fill_null(False)).select(*columns).to_pyarrow()
    return engine.create_table(name, rows, temp=True, overwrite=True)


def _nodes(engine: Any, kind: str, table: ibis.Table) -> ibis.Table:
    """One row per record, numbered 0… in the order of keys. `nid` is the id as compared between systems."""
    t = ibis.memtable(table.select(*_COLUMNS, *_EXTRA[kind]).to_pyarrow())
    key = t.account.concat(":", t.resource, ":", t.vendor_id)
    t = t.mutate(
        key=key,
        nid=comparable_id(t.vendor, t.vendor_id),
        live=~t.deleted.fill_null(False) & t.merged_into.isnull(),
    )
    t = t.mutate(i=ibis.row_number().over(order_by=t.key))
    return engine.create_table(f"nodes_{kind}", t, temp=True, overwrite=True)


def _components(size: int, ends: pa.Table) -> np.ndarray[Any, Any]:
    left, right = ends["l"].to_numpy(), ends["r"].to_numpy()
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    labels: np.ndarray[Any, Any] = connected_components(graph, directed=False)[1] if size else np.empty(0, dtype=np.int32)
    return labels


def _members(engine: Any, kind: str, nodes: ibis.Table, labels: np.ndarray[Any, Any], previous: pa.Table | None) -> pa.Table:
    labelled = pa.table({"i": np.arange(len(labels), dtype=np.int64), "label": labels.astype(np.int64)})
    labelled = engine.create_table("labels", labelled, temp=True, overwrite=True)
    n = nodes.inner_join(labelled, "i")
    ids = _entity_ids(engine, kind, n, previous)
    rows = n.inner_join(ids, "label").order_by("i").select("entity_id", *_KEY, "live").to_pyarrow()
    return rows.add_column(1, "kind", pa.array([kind] * rows.num_rows, pa.string())).cast(MEMBERS)


def _entity_ids(engine: Any, kind: str, nodes: ibis.Table, previous: pa.Table | None) -> ibis.Table:
    """(label, entity_id), every id once."""
    first = nodes.group_by("label").agg(key=nodes.key.argmin(nodes.i))
    kept = _kept_ids(nodes, kind, previous)
    ids = first.left_join(kept, "label").select("label", "key", kept="entity_id")
    ids = engine.create_table("ids", ids.mutate(entity_id=ibis.coalesce(ids.kept, _name(kind, ids.key, 0))), temp=True, overwrite=True)
    for attempt in range(1, 100):
        taken = ids.group_by("entity_id").agg(n=ids.count()).filter(lambda t: t.n > 1).select("entity_id")
        clash = ids.kept.isnull() & ids.entity_id.isin(taken.entity_id)
        if not ids.filter(clash).count().execute():
            break
        renamed = ids.mutate(entity_id=ibis.ifelse(clash, _name(kind, ids.key, attempt), ids.entity_id))
        ids = engine.create_table(f"ids_{attempt}", renamed, temp=True, overwrite=True)
    return ids.select("label", "entity_id")


def _name(kind: str, key: ibis.Value, attempt: int) -> ibis.Value:
    text = key if not attempt else key.concat(f"#{attempt}")
    return ibis.literal(ENTITY_KINDS[kind]).concat(text.hexdigest("md5").left(16))


def _kept_ids(nodes: ibis.Table, kind: str, previous: pa.Table | None) -> ibis.Table:
    """(label, entity_id) for components that keep an id: by their oldest member, and each id for its oldest claimant."""
    if previous is None or previous.num_rows == 0:
        return ibis.memtable(pa.schema([("label", pa.int64()), ("entity_id", pa.string())]).empty_table())
    old = ibis.memtable(previous.select(["entity_id", "kind", *_KEY]))
    claims = nodes.inner_join(old.filter(old.kind == kind), list(_KEY)).select("label", "i", "created_at", "entity_id")
    claims = _oldest(claims, "label")
    return _oldest(claims, "entity_id").select("label", "entity_id")


def _oldest(claims: ibis.Table, by: str) -> ibis.Table:
    order = [claims.created_at.isnull(), claims.created_at, claims.i]
    ranked = claims.mutate(place=ibis.row_number().over(group_by=by, order_by=order))
    return ranked.filter(ranked.place == 0).drop("place")


def _links(kind: str, nodes: ibis.Table, pairs: ibis.Table) -> pa.Table:
    left = nodes.select(l="i", left_key="key")
    right = nodes.select(r="i", right_key="key")
    rows = pairs.inner_join(left, "l").inner_join(right, "r").mutate(kind=ibis.literal(kind))
    return rows.select(*LINKS.names).distinct().order_by("left_key", "right_key", "evidence").to_pyarrow().cast(LINKS)
