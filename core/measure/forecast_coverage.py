"""Is there enough in the pipeline: what is due against what is still to be won, weighted, and how much such pipelines needed before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from core.measure.forecast import Run, run
from core.measure.known import days_of
from core.measure.metric import Metric, Scope
from core.measure.walk import Outlook
from core.measure.windows import bounds


def measure(scope: Scope) -> Iterator[Metric]:
    found = run(scope)
    o = next(o for o in found.current if o.window.kind == "period")
    yield _weighted(scope, found, o)
    yield _required(found, o)


def _weighted(scope: Scope, found: Run, o: Outlook) -> Metric:
    start, target = days_of(bounds(scope.as_of.date(), str(scope.choice("forecast_period")))[1]), scope.choice("target")
    final_at = found.known.wins.final_at
    won = float(np.nan_to_num(found.known.wins.final_amount[(final_at >= start) & (final_at <= days_of(o.window.at))]).sum())
    due = float((o.chance * o.book.amount)[~o.late].sum() * o.book.ratios.mean())
    excluded: dict[str, Any] = {}
    left = float(target) - won if target is not None else None
    if left is None or left <= 0:
        excluded["not computable"] = "the funnel has no target" if left is None else "the target is met"
    value = due / left if left is not None and left > 0 else None
    words = "open amount due in the period × its probability to be won in it ÷ (target − won in it)"
    dims = {"period": o.window.name, "currency": found.currency}
    return Metric("weighted_coverage", words, dims, value, "×", int((~o.late).sum()), round(due, 2), left, excluded=excluded)


def _required(found: Run, o: Outlook) -> Metric:
    """From past periods, seen as far from their end as this one is."""
    past = [p for p in found.scored("period") if p.window.part == o.window.part]
    due = sum(float(np.nan_to_num(p.open.amount)[~p.late].sum()) for p in past)
    won = sum(float(np.nan_to_num(p.open.won_amount)[~p.late & p.won].sum()) for p in past)
    excluded = {} if won else {"not computable": "no past period to learn it from"}
    words = "open amount due in past periods, as far from their end ÷ what of it was won in time: so much coverage was needed"
    dims = {"period": o.window.name, "currency": found.currency}
    return Metric(
        "required_coverage", words, dims, due / won if won else None, "×", len(past), round(due, 2), round(won, 2), excluded=excluded
    )
