"""Configuration: vendor stages that the mapping does not know, or takes for something else than the vendor does."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side
from core.rules.stages_known import LIFE_CYCLE, STAGED, by_stage, defined, stage_name
from core.tables import stack


def _unmapped(ctx: Context) -> ibis.Table:
    """One finding per stage of an account, with some of the records in it, or with its definition when none is."""
    d = defined(ctx)
    d = d.filter(d.stage.isnull(), d.record_kind != LIFE_CYCLE)
    t = by_stage(stack([_deals(ctx), *_others(ctx)], STAGED), d.mutate(value="raw_stage"))
    return side(t, "stage", "stage", note=t.n.cast("string").concat(" records"))


def _deals(ctx: Context) -> ibis.Table:
    t = ctx.facts["deals"].filter(lambda d: d.raw_stage.notnull() & d.stage.isnull())
    return t.mutate(entity_kind=ibis.literal("deal"), at=ibis.coalesce(t.stage_entered_at, t.created_at), value="raw_stage")


def _others(ctx: Context) -> list[ibis.Table]:
    """Persons and companies; a subscription status is no stage, and stages of a life cycle are G-07's."""
    parts = []
    for kind, name in (("person", "people"), ("company", "companies")):
        t = ctx.facts[name]
        t = t.filter(t.raw_stage.notnull(), t.stage.isnull())
        t = t.filter(~t.raw_stage.identical_to(t.consent)) if kind == "person" else t
        t = t.anti_join(_life_cycle(ctx), ["account", "resource", "raw_stage"])
        parts.append(t.mutate(entity_kind=ibis.literal(kind), pipeline_id=ibis.null("string"), at="created_at", value="raw_stage"))
    return parts


def _life_cycle(ctx: Context) -> ibis.Table:
    """Unmapped stages of life cycles, once for each object that goes through it."""
    d = defined(ctx)
    d = d.filter(d.record_kind == LIFE_CYCLE, d.stage.isnull())
    d = d.mutate(definition="resource", resource=ibis.array([str(name) for name in ctx.limit("lifecycle_resources")]))
    return d.unnest("resource")


def _custom_stage(ctx: Context) -> ibis.Table:
    """One finding per stage: its definition; the note says how many are in it."""
    d = _life_cycle(ctx)
    there = [ctx.facts[name].select("account", "resource", "raw_stage") for name in ("people", "companies")]
    n = ibis.union(*there).group_by("account", "resource", "raw_stage").agg(n=lambda t: t.count())
    d = d.left_join(n, ["account", "resource", "raw_stage"]).drop("account_right", "resource_right", "raw_stage_right")
    t = d.group_by("account", "definition", "vendor_id", "entity_kind", "pipeline_id", "raw_stage", "label").agg(
        n=d.n.sum(), at=d["at"].min()
    )
    t = t.mutate(entity_id=stage_name(t), resource="definition", called=ibis.coalesce(t.label, t.raw_stage))
    return side(t, "stage", "lifecycle", value=t.called, note=t.n.fill_null(0).cast("string").concat(" records"))


def _flagged(t: ibis.Table) -> ibis.Value:
    """The outcome by the vendor's own flags; null where it has none."""
    return ibis.cases((t.closed & t.won, "won"), (t.closed & ~t.won, "lost"), (~t.closed, "open"), else_=None)


def _contradicted(ctx: Context) -> ibis.Table:
    """One finding per stage: deals in it by their own flags, or, where there are none, its definition."""
    deals = ctx.facts["deals"].filter(lambda d: d.raw_stage.notnull() & d.outcome.notnull())
    deals = deals.mutate(
        entity_kind=ibis.literal("deal"), at=ibis.coalesce(deals.stage_entered_at, deals.created_at), value=_flagged(deals)
    )
    wrong = deals.filter(deals.value != deals.outcome, deals.updated_at <= ctx.quiet)
    d = defined(ctx)
    d = d.filter(d.record_kind == "deal", d.stage.notnull(), d.stage != "MX")
    d = d.mutate(value=_flagged(d), outcome=ibis.cases((d.stage == "M80", "won"), (d.stage == "M85", "lost"), else_="open"))
    key = ["account", "raw_stage"]
    unused = d.filter(d.value != d.outcome).anti_join(deals.select(*key).distinct(), key)
    t = by_stage(wrong, unused)
    return side(t, "stage", "outcome", note=t.n.cast("string").concat(" records"))


RULES = (
    Rule(
        "G-01", "Stage unmapped", "S2", "Records in a stage nobody mapped are in no stage metric.", _unmapped,
        question="Which milestone does this stage mean? Add it to the mapping's stage table.",
        example="An administrator added the stage \"Legal review\" in HubSpot; three deals stand in it and nobody told the mapping.",
        exact="Records stand in a stage, or an account defines an active one, that the mapping's stage table does not have.",
    ),
    Rule(
        "G-03", "Won or lost against the mapping", "S1", "The vendor closes deals in this stage, or not, and the mapping says otherwise; "
        "every number of outcomes depends on it.", _contradicted,
        question="What does the stage mean? The vendor's flag counts until the mapping's stage table says the same.",
        example="The mapping has the stage \"Signed\" as open (M70), Salesforce marks its deals as won.",
        exact="Deals in a stage are open, won or lost by the vendor's own flags and something else by the mapping's stage table; of a "
        "stage without deals, its definition is asked. Vendors that flag neither deals nor stages are left alone, and so are deals "
        "changed within the quiet period.",
    ),
    Rule(
        "G-07", "Life cycle stage unmapped", "S2", "Who is put into this stage falls out of the funnel.", _custom_stage,
        question="Which milestone does this stage of the life cycle mean? Add it to the mapping's stage table.",
        example="An administrator added \"Trial\" to HubSpot's lifecycle stages, and the mapping does not know what it means.",
        exact="A CRM's life cycle has a stage, not hidden, that the mapping's stage table does not have, whether anybody is in it or not.",
    ),
)  # fmt: skip
