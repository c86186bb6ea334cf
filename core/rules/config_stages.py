"""Configuration: default probabilities and forecast categories of the vendors' stages."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side
from core.rules.stages_known import EXAMPLES, on_the_way, stage_name
from core.rules.stages_known import defined as stages

_STRONG = ["commit", "best_case", "most_likely"]


def _percent(share: ibis.Value) -> ibis.Value:
    return (share * 100).round(0).cast("int64").cast("string").concat(" %")


def _falling(ctx: Context) -> ibis.Table:
    t = on_the_way(ctx)
    t = t.filter(t.position.notnull(), t.probability.notnull())
    line = {"group_by": [t.account, t.pipeline_id.fill_null("")], "order_by": [t.position, t.vendor_id]}
    t = t.mutate(before=t.probability.lag().over(**line), above=ibis.coalesce(t.label, t.raw_stage).lag().over(**line))
    t = t.filter(t.probability < t.before - 1e-9)
    t = t.mutate(entity_id=stage_name(t))
    return side(
        t, "stage", "probability", value=_percent(t.probability), note=ibis.literal("after ").concat(t.above, " with ", _percent(t.before))
    )


def _forecast(ctx: Context) -> ibis.Table:
    return ibis.union(_hidden(ctx), _never_sure(ctx))


def _hidden(ctx: Context) -> ibis.Table:
    """Won stages in another category than closed."""
    t = stages(ctx)
    t = t.filter(t.record_kind == "deal", t.closed & t.won, t.forecast_category != "closed")
    t = t.mutate(entity_id=stage_name(t))
    return side(t, "stage", "forecast_category", value=t.forecast_category, note="a won stage")


def _never_sure(ctx: Context) -> ibis.Table:
    """Pipelines whose open stages all have categories, none of them a strong one; with some of the stages."""
    t = on_the_way(ctx).mutate(entity_id=lambda d: d.account.concat(":deal:", d.pipeline_id.fill_null("")))
    line = t.group_by("entity_id").agg(weak=(t.forecast_category.notnull() & ~t.forecast_category.isin(_STRONG)).all())
    t = t.semi_join(line.filter(line.weak), "entity_id")
    t = t.mutate(place=ibis.row_number().over(group_by="entity_id", order_by=[t.position, t.vendor_id]))
    t = t.filter(t.place < EXAMPLES)
    return side(t, "pipeline", "forecast_category", value=t.forecast_category, note="no open stage is in Best Case or Commit")


RULES = (
    Rule(
        "G-04", "Probability falls along the stages", "S3", "A deal that moves on becomes less likely: weighted pipeline drops when "
        "nothing was lost.", _falling, question="Set the stages' probabilities, or their order, right in the vendor.",
        example="\"Proposal\" stands at 60 % and \"Negotiation\", the stage after it, at 50 %.",
        exact="An open stage of a pipeline has a lower default probability than the open stage before it.",
    ),
    Rule(
        "G-05", "Forecast categories of no use", "S3", "Bookings are missing from the vendor's forecasts, or nothing ever is Best Case or "
        "Commit there.", _forecast,
        question="Set the stages' forecast categories right in the vendor. Until then our own bands of probability count.",
        example="Every open stage of a Salesforce org has the category Pipeline, as shipped: Commit and Best Case are always zero.",
        exact="A won stage has a forecast category other than closed; or all open stages of a pipeline have one, and none is Best Case, "
        "Most Likely or Commit. Vendors whose stages have no forecast category are left alone.",
    ),
)  # fmt: skip
