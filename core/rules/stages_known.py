"""Stages as findings name them, and as the vendors define them."""

from __future__ import annotations

import ibis

from core.rules.rule import Context
from core.tables import MOMENT, stack

LIFE_CYCLE = "lifecycle"  # kind of record of the stages that persons and companies go through alike
EXAMPLES = 20  # records named per stage
STAGED = {
    **dict.fromkeys(("account", "resource", "vendor_id", "entity_kind", "pipeline_id", "raw_stage", "value"), "string"), "at": MOMENT,
}  # fmt: skip


def stage_name(t: ibis.Table) -> ibis.Value:
    """The id of a stage in findings: account, kind of record, pipeline and stage."""
    return t.account.concat(":", t.entity_kind, ":", t.pipeline_id.fill_null(""), "/", t.raw_stage)


def defined(ctx: Context) -> ibis.Table:
    """Live stage definitions that can be chosen, with the kind of record that is in them."""
    d = ctx.records("stage_definition")
    d = d.filter(~d.deleted.fill_null(False), d.raw_stage.notnull(), d.active.fill_null(True))
    return d.mutate(entity_kind="record_kind", at="observed_at")


def on_the_way(ctx: Context) -> ibis.Table:
    """The open stages of deals."""
    d = defined(ctx).filter(lambda t: t.record_kind == "deal")
    return d.filter(~d.closed.fill_null(False), ~d.stage.isin(["M80", "M85"]).fill_null(False))


def by_stage(used: ibis.Table, unused: ibis.Table) -> ibis.Table:
    """Some of the records of each stage, or its definition where no record is in it; `n` says how many there are."""
    t = stack([used], STAGED)
    t = t.mutate(entity_id=stage_name(t))
    rest = stack([unused], STAGED)
    rest = rest.mutate(entity_id=stage_name(rest))
    key = ["account", "entity_kind", "raw_stage"]
    t = ibis.union(t, rest.anti_join(t.select(*key).distinct(), key))
    group = {"group_by": "entity_id"}
    t = t.mutate(place=ibis.row_number().over(order_by=["resource", "vendor_id"], **group), n=t.count().over(**group))
    return t.filter(t.place < EXAMPLES)
