"""Every number can list the records behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ibis

from core.errors import UserError
from core.measure import (
    ageing,
    attribution_rows,
    cycles,
    episodes,
    experiment_rows,
    follow_up,
    full_funnel,
    funnel,
    funnel_by,
    lead_response,
    lead_score,
    pipeline,
    pipeline_wins,
    retention,
    slippage,
    sources,
    velocity,
    visitors,
    waterfall,
    win_parts,
    win_rate,
)
from core.measure.metric import Scope
from core.measure.touch_names import group
from core.measure.windows import period

_KEYS = ("entity_id", "kind", "account", "resource", "vendor_id")
_Select = Callable[[Scope, Mapping[str, Any]], ibis.Table]


def _stage_count(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    p = scope.persons
    return p.filter(p["stage" if dims.get("basis", "current") == "current" else "furthest_stage"] == dims["stage"])


def _open(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    d = pipeline.open_deals(scope)
    if dims.get("stage", "all") != "all":
        d = d.filter(d.pipeline_stage.fill_null("(unmapped)") == dims["stage"])
    return d.filter(d.currency.identical_to(ibis.literal(dims["currency"], type="string")), d.amount.notnull()) if "currency" in dims else d


def _due(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    _, first, last = period(scope.as_of.date(), str(scope.choice("forecast_period")))
    d = _open(scope, {k: v for k, v in dims.items() if k == "currency"})
    return d.filter(d.close_date.between(ibis.literal(first), ibis.literal(last)))


def _reach(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return funnel.reached_rows(scope, str(dims["cohort"]), str(dims["mode"]), str(dims["to"]))


def _cohort(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    first = next(iter(scope.choice("funnel_steps")))
    return funnel.reached_rows(scope, str(dims["cohort"]), "implied", first)


def _entered(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    m = episodes.entries(scope)
    return m.filter(m.code == dims["stage"], m.reached_at.strftime("%Y-%m") == dims["month"])


def _source(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    p = scope.persons
    return p.filter(group(scope, p.source) == dims["source"])


def _source_won(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return _source(scope, dims).filter(lambda p: p.furthest_stage >= "M80")


def _source_outcome(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return _source(scope, dims).filter(lambda p: sources.outcome(p) == dims["outcome"])


def _source_deals(outcome: str) -> _Select:
    def select(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
        d = sources.deals_with_source(scope)
        return d.filter(d.outcome == outcome, group(scope, d.origin) == dims["source"])

    return select


def _waterfall(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    if "from" in dims and "to" in dims:
        first, last = (datetime.fromisoformat(str(dims[name])).replace(tzinfo=UTC) for name in ("from", "to"))
        scope = replace(scope, span=(first, min(scope.as_of, last)))
    return waterfall.behind(scope, dims)


def _one_deal(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return scope.facts["deal"].filter(lambda t: t.entity_id == dims["deal"])


def _pushed(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    moved = slippage.pushes(scope).filter(lambda t: t.pushes >= int(dims["times"]))
    return pipeline.open_deals(scope).semi_join(moved, "entity_id")


_ROWS: dict[str, tuple[str, _Select]] = {
    "visitors": ("", visitors.behind),
    "visitors_by_channel": ("", visitors.behind),
    "visitor_to_lead": ("", visitors.behind),
    "level_volume": ("", full_funnel.behind),
    "level_step": ("", full_funnel.behind),
    "level_overall": ("person", full_funnel.behind),
    "level_days": ("person", full_funnel.behind),
    "level_value": ("deal", full_funnel.deals_behind),
    "level_worth": ("deal", full_funnel.deals_behind),
    "lead_response": ("person", lead_response.behind),
    "lead_response_within": ("person", lead_response.behind),
    "lead_untouched": ("person", lead_response.untouched),
    "stage_count": ("person", _stage_count),
    "entered": ("person", _entered),
    "reach": ("person", _reach),
    "cohort_age": ("person", _cohort),
    "open_deals": ("deal", _open),
    "pipeline_value": ("deal", _open),
    "weighted_pipeline": ("deal", _open),
    "win_rate": ("deal", win_rate.behind),
    "won_value": ("deal", win_rate.won),
    "closed_late": ("deal", win_rate.late),
    "coverage": ("deal", _due),
    "waterfall": ("deal", _waterfall),
    "pushed": ("deal", _pushed),
    "age_deals": ("deal", ageing.behind),
    "age_value": ("deal", ageing.behind),
    "zombie_deals": ("deal", ageing.zombies),
    "deal_moves": ("deal", velocity.movers),
    "cohort_win_rate": ("deal", pipeline_wins.of_cohort),
    "lead_to_won": ("deal", cycles.behind),
    "stage_win_rate": ("deal", pipeline_wins.ever_in_stage),
    "win_rate_by": ("deal", win_parts.of_part),
    "lost_reasons": ("deal", win_parts.lost_for),
    "forecast_large": ("deal", _one_deal),
    "reach_by": ("person", funnel_by.behind),
    "source_persons": ("person", _source),
    "source_outcome": ("person", _source_outcome),
    "source_to_won": ("person", _source_won),
    "source_won_value": ("deal", _source_deals("won")),
    "source_open_value": ("deal", _source_deals("open")),
    "attributed_deals": ("deal", attribution_rows.attributed),
    "attributed_value": ("deal", attribution_rows.attributed),
    "attributed_persons": ("person", attribution_rows.attributed),
    "influenced_deals": ("deal", attribution_rows.influenced),
    "influenced_value": ("deal", attribution_rows.influenced),
    "sourced_deals": ("deal", attribution_rows.sourced),
    "sourced_value": ("deal", attribution_rows.sourced),
    "customers": ("deal", retention.here_rows),
    "retention": ("deal", retention.kept_rows),
    "revenue_retention": ("deal", retention.worth_rows),
    "revenue_retention_year": ("deal", retention.year_rows),
    "revenue_moves": ("deal", retention.year_rows),
    "bought_again": ("deal", retention.again_rows),
    "score_band": ("person", lead_score.of_band),
    "score_expected": ("person", lead_score.of_band),
    "score_owner": ("person", lead_score.of_owner),
    "lead_score": ("person", lead_score.one_lead),
    "follow_ups": ("", follow_up.behind),
    "follow_up": ("", follow_up.one),
    "experiment_visitors": ("person", experiment_rows.saw),
    "experiment_rate": ("person", experiment_rows.reached),
    "experiment_mean": ("person", experiment_rows.reached),
}


def rows(scope: Scope, name: str, dims: Mapping[str, Any]) -> ibis.Table:
    """(entity_id, kind, account, resource, vendor_id) of the live records behind one number, by the dimensions of its row.

    Raises: UserError for a metric that cannot list its rows.
    """
    if name not in _ROWS:
        raise UserError(f"{name} cannot list its rows", next_step=f"ask for one of: {', '.join(sorted(_ROWS))}")
    kind, select = _ROWS[name]
    found = select(scope, dims)
    if "measure" in found.columns:  # counts are of nobody
        keys = found.select("account", "resource", "vendor_id")
        return keys.mutate(entity_id=ibis.literal(""), kind=ibis.literal("tally")).select(*_KEYS)
    entities = found.select("entity_id").distinct()
    m = scope.facts["members"]
    m = m.filter(m.kind == kind) if kind else m  # "": persons and deals
    return m.filter(m.live).semi_join(entities, "entity_id").select(*_KEYS)
