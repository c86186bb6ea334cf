"""Moves of deals through the ordered stages of their pipeline."""

from __future__ import annotations

import ibis

from core.rules.rule import Context

_LADDER_ORDER = ("M50", "M60", "M70", "M80")
_RECORD = ["account", "resource", "vendor_id"]


def deal_steps(ctx: Context) -> ibis.Table:
    """One row per stage entered after the first, with the move before it.

    `backward`: the new stage stands before the old one, by the vendor's order, else by milestone. `predecessor` is the place
    of the stage just before the new one and `furthest_before` the furthest place entered until then, in the same pipeline.
    Columns also: prev_value, prev_code, prev_at, before_last (value two moves ago), next_at.
    """
    t = _placed(ctx)
    by_record = {"group_by": _RECORD, "order_by": "seq"}
    t = t.mutate(
        prev_value=t.value.lag().over(**by_record),
        prev_code=t.code.lag().over(**by_record),
        prev_at=t.at.lag().over(**by_record),
        prev_place=t.place.lag().over(**by_record),
        prev_line=t.line.lag().over(**by_record),
        before_last=t.value.lag(2).over(**by_record),
        next_at=t.at.lead().over(**by_record),
        furthest_before=t.reached.max().over(group_by=[*_RECORD, "line"], order_by="seq", rows=(None, -1)),
    )
    t = t.filter(t.seq > 0)
    same_line = t.line.identical_to(t.prev_line) & t.place.notnull() & t.prev_place.notnull()
    return t.mutate(backward=ibis.ifelse(same_line, t.place < t.prev_place, t.code < t.prev_code).fill_null(False))


def _placed(ctx: Context) -> ibis.Table:
    """Stage changes of deals with their place in the order; `reached` is null for lost, which is no place on the way."""
    t = ctx.facts["changes"]
    t = t.filter(t.kind == "deal", t.field == "stage")
    known = _definitions(ctx)
    t = t.left_join(known, ["account", "value"]).drop("account_right", "value_right")
    ladder = ibis.cases(*[(t.code == code, i) for i, code in enumerate(_LADDER_ORDER)], else_=None).cast("int64")
    defined = t.line.notnull()
    t = t.mutate(
        line=t.line.fill_null("(ladder)"),
        place=ibis.ifelse(defined, t.place, ladder),
        predecessor=ibis.ifelse(defined, t.predecessor, ibis.ifelse(ladder > 0, ladder - 1, ibis.null("int64"))),
    )
    return t.mutate(reached=ibis.ifelse(t.code == "M85", ibis.null("int64"), t.place))


def _definitions(ctx: Context) -> ibis.Table:
    """(account, value, line, place, predecessor) of the deal stages the vendors define; lost and retired ones are not in the way."""
    d = ctx.records("stage_definition")
    d = d.filter(~d.deleted.fill_null(False), d.record_kind == "deal", d.position.notnull(), d.raw_stage.notnull())
    d = d.mutate(line=d.pipeline_id.fill_null(""), lost=((d.stage == "M85") | (d.closed & ~d.won)).fill_null(False))
    way = d.filter(~d.lost, d.active.fill_null(True))
    way = way.mutate(predecessor=way.position.lag().over(group_by=["account", "line"], order_by=["position", "vendor_id"]))
    way = way.select("account", "line", value="raw_stage", predecessor="predecessor")
    every = d.select("account", "line", value="raw_stage", place="position")
    every = every.left_join(way, ["account", "line", "value"]).drop("account_right", "line_right", "value_right")
    # Stage ids are unique in HubSpot, and Salesforce has one list: where a name stands in two pipelines the first counts.
    return every.group_by("account", "value").agg(
        place=every.place.argmin(every.line),
        predecessor=every.predecessor.argmin(every.line, where=every.predecessor.notnull()),
        line=every.line.min(),
    )
