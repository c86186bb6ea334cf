"""Configuration: vendor stages the mapping does not know."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side
from core.tables import MOMENT, stack

_EXAMPLES = 20  # records named per unmapped stage
_COLUMNS = {
    **dict.fromkeys(("account", "resource", "vendor_id", "entity_kind", "pipeline_id", "raw_stage"), "string"), "at": MOMENT,
}  # fmt: skip


def _unmapped(ctx: Context) -> ibis.Table:
    """One finding per stage of an account, with some of the records in it, or with its definition when none is."""
    t = stack([_deals(ctx), *_others(ctx)], _COLUMNS)
    stage = t.account.concat(":", t.entity_kind, ":", t.pipeline_id.fill_null(""), "/", t.raw_stage)
    t = t.mutate(entity_id=stage)
    unused = _defined(ctx).anti_join(t.select("account", "entity_kind", "raw_stage").distinct(), ["account", "entity_kind", "raw_stage"])
    t = stack([t, unused], {**_COLUMNS, "entity_id": "string"})
    by_stage = {"group_by": "entity_id"}
    t = t.mutate(place=ibis.row_number().over(order_by=["resource", "vendor_id"], **by_stage), n=t.count().over(**by_stage))
    t = t.filter(t.place < _EXAMPLES)
    return side(t, "stage", "stage", value=t.raw_stage, at=t.at, note=t.n.cast("string").concat(" records"))


def _deals(ctx: Context) -> ibis.Table:
    t = ctx.facts["deals"].filter(lambda d: d.raw_stage.notnull() & d.stage.isnull())
    return t.mutate(entity_kind=ibis.literal("deal"), at=ibis.coalesce(t.stage_entered_at, t.created_at))


def _others(ctx: Context) -> list[ibis.Table]:
    """Persons and companies; a subscription status is no stage."""
    parts = []
    for kind, name in (("person", "people"), ("company", "companies")):
        t = ctx.facts[name]
        t = t.filter(t.raw_stage.notnull(), t.stage.isnull())
        t = t.filter(~t.raw_stage.identical_to(t.consent)) if kind == "person" else t
        parts.append(t.mutate(entity_kind=ibis.literal(kind), pipeline_id=ibis.null("string"), at=t.created_at))
    return parts


def _defined(ctx: Context) -> ibis.Table:
    d = ctx.records("stage_definition")
    d = d.filter(~d.deleted.fill_null(False), d.raw_stage.notnull(), d.stage.isnull(), d.active.fill_null(True))
    d = d.mutate(entity_kind="record_kind", at="observed_at")
    return d.mutate(entity_id=d.account.concat(":", d.entity_kind, ":", d.pipeline_id.fill_null(""), "/", d.raw_stage))


RULES = (
    Rule(
        "G-01", "Stage unmapped", "S2", "Records in a stage nobody mapped are in no stage metric.", _unmapped,
        question="Which milestone does this stage mean? Add it to the mapping's stage table.",
        exact="Records stand in a stage, or an account defines an active one, that the mapping's stage table does not have.",
    ),
)  # fmt: skip
