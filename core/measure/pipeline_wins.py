"""Win rates in the senses that are not "by close date": of deals created together, and of deals that ever came to a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import ibis

from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import quarter
from core.measure.spells import UNKNOWN, WON, leaders, stays

COHORTS = 8


def measure(scope: Scope) -> Iterator[Metric]:
    yield from cohorts(scope)
    yield from by_stage(scope)


def cohorts(scope: Scope) -> Iterator[Metric]:
    """Of the deals created in a quarter: won for certain, and won if every open one is won. The truth lies between."""
    d = leaders(scope)
    for back in range(COHORTS):
        name, first, last = quarter(scope.as_of.date(), back)
        mine = d.filter(d.created_at.date().between(ibis.literal(first), ibis.literal(last)))
        row = pairs(mine.agg(n=mine.count(), won=(mine.outcome == WON).sum(), open=(mine.outcome == "open").sum()))[0]
        won, open_ = row["won"] or 0, row["open"] or 0
        excluded = {"still open": open_} if open_ else {}
        for bound, part in (("low", won), ("high", won + open_)):
            words = f"won{' or still open' if bound == 'high' else ''} ÷ deals created in the quarter"
            yield share("cohort_win_rate", words, {"created": name, "bound": bound}, part, row["n"], excluded=excluded)


def of_cohort(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals that were won (bound low), and the open ones with them (high)."""
    year, q = str(dims["created"]).split("-Q")
    _, first, last = quarter(date(int(year), 3 * int(q), 1))
    d = leaders(scope)
    d = d.filter(d.created_at.date().between(ibis.literal(first), ibis.literal(last)))
    return d.filter(d.outcome.isin([WON, "open"] if dims.get("bound") == "high" else [WON]))


def ever_in_stage(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The closed deals that were ever in the stage."""
    s = stays(scope)
    closed = leaders(scope).filter(lambda d: d.outcome != "open")
    return closed.semi_join(s.filter(s.code == dims["stage"]), "entity_id")


def by_stage(scope: Scope) -> Iterator[Metric]:
    """Of the closed deals that were ever in a stage, those that were won (each deal once, as it closed last)."""
    s = stays(scope)
    s = s.filter(s.code != UNKNOWN)
    d = leaders(scope).select("entity_id", "outcome")
    t = s.select("entity_id", "code").distinct().inner_join(d, "entity_id")
    rows = pairs(
        t.group_by("code")
        .agg(won=(t.outcome == WON).sum(), closed=(t.outcome != "open").sum(), open=(t.outcome == "open").sum())
        .order_by("code")
    )
    for row in rows:
        excluded = {"still open": row["open"]} if row["open"] else {}
        words = "won ÷ (won + lost) of deals that were ever in the stage"
        yield share("stage_win_rate", words, {"stage": row["code"]}, row["won"], row["closed"], excluded=excluded)
