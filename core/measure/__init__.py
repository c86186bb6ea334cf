"""The numbers of the whole way from lead to won, as of one instant. One module per family; every number says what it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from core.measure import attribution, experiments, explain, funnel, pipeline, sources
from core.measure.distrust import distrusted
from core.measure.metric import METRICS, Metric, Scope, table

__all__ = ["FAMILIES", "METRICS", "Metric", "Scope", "distrusted", "measure", "rows"]

FAMILIES = {
    "funnel": funnel.measure,
    "pipeline": pipeline.measure,
    "winrate": pipeline.win_rates,
    "sources": sources.measure,
    "attribution": attribution.measure,
    "experiments": experiments.measure,
}


def measure(facts: Mapping[str, ibis.Table], funnel: Any, as_of: datetime, families: Sequence[str] = tuple(FAMILIES)) -> pa.Table:
    """The metrics of these families.

    Columns: METRICS. `dimensions` and `excluded` are JSON objects; shares are 0–1; low and high a 95 % interval.

    The fact `distrusted` (the function of that name makes it of findings) says what no average, wait or cohort stands on.
    """
    scope = Scope(facts, funnel, as_of)
    return table(((family, metric) for family in families for metric in FAMILIES[family](scope)), as_of)


def rows(facts: Mapping[str, ibis.Table], funnel: Any, as_of: datetime, name: str, dimensions: Mapping[str, Any]) -> ibis.Table:
    """The records behind one metric: entity_id, kind, account, resource, vendor_id."""
    return explain.rows(Scope(facts, funnel, as_of), name, dimensions)
