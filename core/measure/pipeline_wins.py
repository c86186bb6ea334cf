"""Win rates in the senses that are not "by close date": of deals created together, and of deals that ever came to a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis

from core.measure.durations import incidence
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import no_losses, quarter
from core.measure.spells import LOST, UNKNOWN, WON, leaders, stays
from core.tables import MOMENT, days_between, instant

COHORTS = 8


def measure(scope: Scope) -> Iterator[Metric]:
    yield from cohorts(scope)
    yield from by_stage(scope)


def closable(scope: Scope) -> ibis.Table:
    """Deals without those that were never any (duplicates, tests, data errors), with `created` (the quarter's name)."""
    d = leaders(scope).anti_join(no_losses(scope), "entity_id")
    at = d.created_at
    return d.mutate(created=at.year().cast("string").concat("-Q", at.quarter().cast("string")))


def cohorts(scope: Scope) -> Iterator[Metric]:
    """Of the deals created in a quarter: won for certain, expected, and won if every open one is won."""
    d = closable(scope)
    s = stays(scope)
    ends = s.group_by("entity_id").agg(closed_at=s.closed_at.max())
    d = d.filter(d.created_at.notnull()).left_join(ends, "entity_id").drop("entity_id_right")
    end = ibis.cases((d.outcome == WON, 1), (d.outcome == LOST, 2), else_=0)
    until = ibis.ifelse(end == 0, instant(scope.as_of), ibis.coalesce(d.closed_at, d.close_date.cast(MOMENT)))
    days = ibis.greatest(days_between(d.created_at, ibis.coalesce(until, instant(scope.as_of))).floor().cast("int64"), 0)
    d = d.mutate(days=days, end=end)
    rows = pairs(d.group_by("created", "days", "end").agg(n=d.count()).order_by("created", "days", "end"))
    for back in range(COHORTS):
        name, *_ = quarter(scope.as_of.date(), back)
        yield from _cohort(name, [(float(r["days"]), int(r["end"]), int(r["n"])) for r in rows if r["created"] == name])


def _cohort(name: str, mine: list[tuple[float, int, int]]) -> Iterator[Metric]:
    n, won, open_ = (sum(k for _, end, k in mine if end in ends) for ends in ((0, 1, 2), (1,), (0,)))
    excluded = {"still open": open_} if open_ else {}
    words = "won ÷ deals created in the quarter"
    yield share("cohort_win_rate", words, {"created": name, "bound": "low"}, won, n, excluded=excluded)
    found, far = incidence(mine, 2), max((days for days, _, _ in mine), default=0.0)
    low, high = found.limits(far, 1)
    said = f"share of the deals created in the quarter that is won within {far:.0f} days, lost ones compete (Aalen-Johansen)"
    dims = {"created": name, "bound": "expected"}
    yield Metric(
        "cohort_win_rate", said, dims, found.at(far, 1) if n else None, "share", n, low=low if n else None, high=high if n else None
    )
    words = "won or still open ÷ deals created in the quarter"
    yield share("cohort_win_rate", words, {"created": name, "bound": "high"}, won + open_, n, excluded=excluded)


def of_cohort(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals that were won (bound low or expected), and the open ones with them (high)."""
    d = closable(scope)
    d = d.filter(d.created == dims["created"])
    return d.filter(d.outcome.isin([WON, "open"] if dims.get("bound") == "high" else [WON]))


def ever_in_stage(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The closed deals that were ever in the stage."""
    s = stays(scope)
    closed = closable(scope).filter(lambda d: d.outcome != "open")
    return closed.semi_join(s.filter(s.code == dims["stage"]), "entity_id")


def by_stage(scope: Scope) -> Iterator[Metric]:
    """Of the closed deals that were ever in a stage, those that were won (each deal once, as it closed last)."""
    s = stays(scope)
    s = s.filter(s.code != UNKNOWN)
    d = closable(scope).select("entity_id", "outcome")
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
