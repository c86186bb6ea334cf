"""The stage map as the records show it: every stage that somebody stands in, what the mapping says it means, and how many stand there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import ibis
import pyarrow as pa

from core.compiled import Compiled
from core.tables import records

SEEN = pa.schema(
    [(name, pa.string()) for name in ("kind", "account", "resource", "pipeline", "stage", "milestone", "pipeline_stage")]
    + [("unmapped", pa.bool_()), ("n", pa.int64())]
)


@dataclass(frozen=True)
class Seen:
    """Pipeline and stage by their labels where the vendor gives any, else by their ids. `milestone` None: the mapping names none."""

    kind: str
    account: str
    resource: str
    pipeline: str | None
    stage: str
    milestone: str | None
    pipeline_stage: str | None
    unmapped: bool
    n: int


def stages_seen(facts: Mapping[str, ibis.Table], tables: Mapping[str, ibis.Table], compiled: Compiled) -> list[Seen]:
    """Deals before persons; those that no mapping names first, then in the ladder's order."""
    rows = compiled.rows("stages_seen", partial(_seen, facts["deals"], facts["people"], records(tables, "stage_definition")), SEEN)
    found = [Seen(**row) for row in rows.to_pylist()]
    return sorted(found, key=lambda s: (s.kind, not s.unmapped, s.milestone or "", s.account, s.resource, s.pipeline or "", s.stage))


def _seen(deals: ibis.Table, people: ibis.Table, definitions: ibis.Table) -> ibis.Table:
    d = deals.filter(deals.raw_stage.notnull())
    d = d.mutate(kind=ibis.literal("deal"), pipeline_id=d.pipeline_id.fill_null(""), unmapped=d.stage.isnull())
    p = people.filter(people.raw_stage.notnull())
    p = p.filter(p.stage.notnull() | ~p.raw_stage.identical_to(p.consent))  # a subscription's status is no stage
    p = p.mutate(kind=ibis.literal("person"), pipeline_id=ibis.literal(""), pipeline_stage=ibis.null("string"), unmapped=p.stage.isnull())
    columns = ("kind", "account", "resource", "pipeline_id", "raw_stage", "stage", "pipeline_stage", "unmapped")
    both = ibis.union(d.select(*columns), p.select(*columns))
    t = both.group_by(*columns).agg(n=both.count())
    s = definitions.filter(~definitions.deleted.fill_null(False))
    lines = s.filter(s.pipeline_label.notnull()).group_by("account", "pipeline_id").agg(pipeline_label=s.pipeline_label.min())
    s = s.filter(s.label.notnull()).mutate(kind=s.record_kind.fill_null("deal"), raw_stage=s.vendor_id.re_replace("^.*:", ""))
    s = s.mutate(pipeline_id=ibis.ifelse(s.kind == "deal", s.pipeline_id.fill_null(""), ""))  # a person's record names no pipeline
    s = s.group_by("kind", "account", "pipeline_id", "raw_stage").agg(label=s.label.min())
    t = t.left_join(s, ["kind", "account", "pipeline_id", "raw_stage"], rname="s_{name}")
    t = t.left_join(lines, ["account", "pipeline_id"], rname="l_{name}")
    return t.select(
        "kind", "account", "resource", "pipeline_stage", "unmapped", "n", milestone="stage",
        pipeline=ibis.coalesce(t.pipeline_label, t.pipeline_id).nullif(""), stage=ibis.coalesce(t.label, t.raw_stage),
    ).select(*SEEN.names)  # fmt: skip
