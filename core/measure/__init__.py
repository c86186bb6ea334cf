"""The numbers of the whole way from lead to won, as of one instant. One module per family; every number says what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from core.measure import (
    ageing,
    attribution,
    backtest,
    cycles,
    experiments,
    explain,
    follow_up,
    forecast,
    forecast_coverage,
    full_funnel,
    funnel,
    funnel_by,
    lead_response,
    lead_score,
    pipeline,
    pipeline_velocity,
    pipeline_wins,
    rates,
    retention,
    segment,
    slippage,
    sources,
    velocity,
    waterfall,
    win_parts,
    win_rate,
)
from core.measure.distrust import distrusted
from core.measure.metric import METRICS, Metric, Scope, table

__all__ = ["FAMILIES", "METRICS", "Metric", "Scope", "distrusted", "measure", "rows"]

_Measure = Callable[[Scope], Iterator[Metric]]
FAMILIES: dict[str, tuple[_Measure, ...]] = {
    "funnel": (full_funnel.measure, lead_response.measure, funnel.measure, funnel_by.competing),
    "breakdown": (funnel_by.measure,),
    "pipeline": (pipeline.measure, pipeline_velocity.measure),
    "movement": (velocity.measure, cycles.measure, slippage.measure, ageing.measure),
    "winrate": (win_rate.measure, pipeline_wins.measure, win_parts.measure),
    "sources": (sources.measure,),
    "attribution": (attribution.measure,),
    "experiments": (experiments.measure,),
    "forecast": (forecast.measure, forecast_coverage.measure),
    "backtest": (backtest.measure,),
    "waterfall": (waterfall.measure,),
    "retention": (retention.measure,),
    "score": (lead_score.measure,),
    "next": (follow_up.measure,),
}


Span = tuple[datetime, datetime]


def measure(
    facts: Mapping[str, ibis.Table],
    funnel: Any,
    as_of: datetime,
    families: Sequence[str] = tuple(FAMILIES),
    span: Span | None = None,
    only: Mapping[str, str] | None = None,
) -> pa.Table:
    """The metrics of these families.

    Columns: METRICS. `dimensions` and `excluded` are JSON objects; shares are 0–1; low and high a 95 % interval.

    `span`: the two instants of the waterfall. `only`: of this part (core.measure.segment), which every metric says in `excluded`.
    Amounts are converted where the funnel has rates for it (core.measure.rates).
    The fact `distrusted` (the function of that name makes it of findings) says what no average, wait or cohort stands on.
    """
    facts, converted = rates.converted(segment.narrowed(facts, funnel, as_of, only or {}), funnel, as_of)
    scope = Scope(facts, funnel, as_of, span)
    part_of = {"only": segment.said(only)} if only else {}

    def told(metric: Metric) -> Metric:
        said = {**part_of, **rates.said(metric, converted, str(scope.choice("currency")))}
        return replace(metric, excluded={**metric.excluded, **said}) if said else metric

    return table(((family, told(metric)) for family in families for part in FAMILIES[family] for metric in part(scope)), as_of)


def rows(
    facts: Mapping[str, ibis.Table],
    funnel: Any,
    as_of: datetime,
    name: str,
    dimensions: Mapping[str, Any],
    only: Mapping[str, str] | None = None,
) -> ibis.Table:
    """The records behind one metric: entity_id, kind, account, resource, vendor_id. `only`: as it was measured with."""
    facts, _ = rates.converted(segment.narrowed(facts, funnel, as_of, only or {}), funnel, as_of)
    return explain.rows(Scope(facts, funnel, as_of), name, dimensions)
