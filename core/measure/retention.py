"""Do customers stay? Cohorts by the month they were won, what they pay a year, and how many will be left later.

Contracts count where their ends are known. Where not, a deal counts for `renewal_days`, and every number says it is a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from core.measure.customers import MONTH, Customers, behind, customers
from core.measure.known import days_of
from core.measure.metric import Metric, Scope, share, survival
from core.measure.pipeline import quarter
from core.statistics.tail import fitted

Array = NDArray[Any]
AGES = (*range(1, 13), 15, 18, 21, 24, 30, 36)  # months
WORTH = (3, 6, 12, 24, 36)  # months at which the value of one month's customers is told
COHORTS = 24  # months back; older ones are in "all" only
TAIL = 12  # terms
MODES = {
    "classic": "still customers so many months after they were won ÷ customers watched that long",
    "returned": "won another deal in that month after they were won ÷ customers watched that long",
}
KINDS = {
    "GRR": "(yearly value at the start − contraction − churn) ÷ yearly value at the start, of the same customers",
    "NRR": "(yearly value at the start − contraction − churn + expansion) ÷ yearly value at the start, of the same customers",
}


@dataclass(frozen=True)
class Moved:
    """What became of a yearly value between two days, customer by customer: start + expansion − contraction − churn = end."""

    start: float
    expansion: float
    contraction: float
    churn: float

    @property
    def end(self) -> float:
        return self.start + self.expansion - self.contraction - self.churn

    def retained(self, kind: str) -> float:
        """What GRR or NRR counts of the start; the rest of the ratio is `start`."""
        return self.start - self.contraction - self.churn + (self.expansion if kind == "NRR" else 0.0)


def moved(before: Array, after: Array) -> Moved:
    """From each customer's value then and now. Who had none then is new, and in no part of it."""
    then, now = (np.asarray(values, float)[np.asarray(before) > 0] for values in (before, after))
    gain, loss = np.maximum(now - then, 0).sum(), np.maximum(then - now, 0)
    return Moved(float(then.sum()), float(gain), float(loss[now > 0].sum()), float(loss[now <= 0].sum()))


def measure(scope: Scope) -> Iterator[Metric]:
    known = customers(scope)
    if not known.n:
        why = {"not computable": "no deal was won"}
        yield Metric("customers", "customers now", {}, 0, "customers", 0, excluded=why)
        return
    said = proxy(known)
    yield from _now(known, said)
    for cohort in ("all", *cohorts(known)):
        yield from _cohort(known, cohort, said)
    yield from _kept(known, said)
    yield bought_again(scope, known)
    yield from _years(scope, known, said)
    yield from _tail(scope, known, said)


def proxy(known: Customers) -> dict[str, Any]:
    """How far the numbers stand on a stand-in for contracts, for `excluded`."""
    blank = int((~known.dated).sum())
    out: dict[str, Any] = {"won in the future": known.later} if known.later else {}
    if blank:
        out["proxy"] = f"{blank} of {len(known.dated)} won deals say no end; they count for the usual term (renewal_days)"
    return out


def _now(known: Customers, said: Mapping[str, Any]) -> Iterator[Metric]:
    here = known.active(np.full(known.n, known.now))
    yield share("customers", "customers now ÷ all there ever were", {}, int(here.sum()), known.n, excluded=said)


# -- cohorts --------------------------------------------------------------------------------------------------------------
def cohorts(known: Customers) -> list[str]:
    """The months in which somebody became a customer, of the last two years."""
    first = f"{datetime.fromtimestamp((known.now - COHORTS * MONTH) * 86400, UTC):%Y-%m}"
    return [str(month) for month in np.unique(known.months[known.known_from_start]) if month >= first]


def members(known: Customers, cohort: str) -> Array:
    """Is each customer of it? Those who were customers before anything is known of them are of none."""
    return known.known_from_start if cohort == "all" else known.known_from_start & (known.months == cohort)


def of_age(known: Customers, cohort: str, age: int, mode: str) -> tuple[Array, Array]:
    """(who was watched so many months, who of them stayed or returned), of all customers."""
    at = known.since + age * MONTH
    watched = members(known, cohort) & (at <= known.now)
    kept = known.aged("active" if mode == "classic" else "bought", age * MONTH)
    return watched, watched & kept


def _cohort(known: Customers, cohort: str, said: Mapping[str, Any]) -> Iterator[Metric]:
    whole = members(known, cohort)
    earlier = int((~known.known_from_start).sum()) if cohort == "all" else 0
    for age in AGES:
        for mode, words in MODES.items():
            watched, kept = of_age(known, cohort, age, mode)
            if not watched.any():
                continue
            young = int(whole.sum() - watched.sum())
            excluded = {**said, **({"not watched long enough": young} if young else {})}
            excluded |= {"customers before their first known deal": earlier} if earlier else {}
            dims = {"cohort": cohort, "month": age, "mode": mode}
            yield share("retention", words, dims, int(kept.sum()), int(watched.sum()), excluded=excluded)
        if cohort == "all" or age in WORTH:
            yield from _worth(known, cohort, age, said)


def worth(known: Customers, cohort: str, age: int) -> tuple[Array, Moved]:
    """(which customers, what became of what they paid at first): of those watched so long and valued in the one currency."""
    at = known.since + age * MONTH
    mine = members(known, cohort) & known.valued & (at <= known.now)
    return mine, moved(np.where(mine, known.aged("value", 0), 0.0), known.aged("value", age * MONTH))


def _worth(known: Customers, cohort: str, age: int, said: Mapping[str, Any]) -> Iterator[Metric]:
    mine, change = worth(known, cohort, age)
    if not mine.any() or not change.start:
        return
    excluded = {**said, **_unvalued(known, members(known, cohort))}
    for kind, words in KINDS.items():
        dims = {"cohort": cohort, "month": age, "kind": kind, "currency": known.currency}
        yield _ratio("revenue_retention", words, dims, change, kind, int(mine.sum()), excluded)


def _unvalued(known: Customers, mine: Array) -> dict[str, int]:
    n = int((mine & ~known.valued).sum())
    return {"customers without an amount, or with one in another currency": n} if n else {}


def _ratio(name: str, words: str, dims: Mapping[str, Any], change: Moved, kind: str, n: int, excluded: Mapping[str, Any]) -> Metric:
    above = round(change.retained(kind), 2)
    value = above / change.start if change.start else None
    return Metric(name, words, dims, value, "share", n, above, round(change.start, 2), excluded=excluded)


# -- through time -----------------------------------------------------------------------------------------------------------
def _kept(known: Customers, said: Mapping[str, Any]) -> Iterator[Metric]:
    """Kaplan-Meier: those still here count as far as they were watched."""
    day, gone = known.left
    mine = known.known_from_start
    spent = np.floor(np.maximum(day - known.since, 0.0))
    curve = survival((float(t), bool(g), 1) for t, g in zip(spent[mine], gone[mine], strict=True))
    words = "still customers so many months after they were won, those not watched so long counted as far as they were (Kaplan-Meier)"
    for age in (6, 12, 24, 36):
        watched = int((known.now - known.since[mine] >= age * MONTH).sum())
        left = curve.reached_by(age * MONTH)
        if watched and left is not None:
            yield Metric("customers_kept", words, {"month": age}, 1 - left, "share", curve.n, excluded=said)


def bought_again(scope: Scope, known: Customers) -> Metric:
    """The stand-in where nobody keeps contracts: bought again, or a deal whose type says renewal."""
    days = float(scope.choice("renewal_days"))
    watched, again = again_in(known, days)
    words = "proxy of retention: won a second deal within so many days of the first ÷ customers watched that long"
    young = int((known.known_from_start & ~watched).sum())
    excluded: dict[str, Any] = {"not watched long enough": young} if young else {}
    return share("bought_again", words, {"days": int(days)}, int(again.sum()), int(watched.sum()), excluded=excluded)


def again_in(known: Customers, days: float) -> tuple[Array, Array]:
    watched = known.known_from_start & (known.since + days <= known.now)
    return watched, watched & known.bought(known.since, known.since + days)


def _years(scope: Scope, known: Customers, said: Mapping[str, Any]) -> Iterator[Metric]:
    """GRR and NRR over the year to now and to the ends of the last quarters; customers won in the year are in none of them."""
    excluded = {**said, **_unvalued(known, np.ones(known.n, bool))}
    for name, last in year_ends(scope):
        mine, change = over_year(known, last)
        if not change.start:
            continue
        for kind, words in KINDS.items():
            dims = {"year_to": name, "kind": kind, "currency": known.currency}
            yield _ratio("revenue_retention_year", words, dims, change, kind, int(mine.sum()), excluded)
        if last == known.now:
            parts = {"start": change.start, "expansion": change.expansion, "contraction": -change.contraction, "churn": -change.churn,
                     "end": change.end}  # fmt: skip
            for part, amount in parts.items():
                dims = {"part": part, "year_to": name}
                yield Metric("revenue_moves", "yearly value of those who were customers a year before", dims, round(amount, 2),
                             known.currency or "units", int(mine.sum()), excluded=excluded)  # fmt: skip


def year_ends(scope: Scope) -> list[tuple[str, float]]:
    ends = [(name, days_of(datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)))
            for name, _, end in (quarter(scope.as_of.date(), back) for back in range(1, 5))]  # fmt: skip
    return [("now", days_of(scope.as_of)), *ends]


def over_year(known: Customers, last: float) -> tuple[Array, Moved]:
    """(who was a customer a year before, what became of what they paid)."""
    before = np.where(known.valued, known.value(np.full(known.n, last - 365)), 0.0)
    return before > 0, moved(before, known.value(np.full(known.n, last)))


# -- what comes -------------------------------------------------------------------------------------------------------------
def terms(known: Customers, days: float) -> list[tuple[int, int]]:
    """(came into the term, stayed through it), by terms of so many days, of those watched to its end."""
    here, counts = known.known_from_start.copy(), []
    for k in range(1, TAIL + 1):
        # The morning after a term: who renewed by then is there.
        at = known.since + k * days + 1
        came = here & (at + known.grace <= known.now)
        if not came.any():
            break
        here = came & known.active(at)
        counts.append((int(came.sum()), int(here.sum())))
    return counts


def _tail(scope: Scope, known: Customers, said: Mapping[str, Any]) -> Iterator[Metric]:
    days = float(scope.choice("renewal_days"))
    counts = terms(known, days)
    model = fitted([(float(came), float(stayed)) for came, stayed in counts])
    words = "share of customers left after so many terms: shifted-beta-geometric model by maximum likelihood, seen: product of the terms"
    if model is None:
        why = {**said, "not computable": "too few terms, or leaving does not slow down"}
        yield Metric("customers_left", words, {"terms": len(counts) + 1, "basis": "model"}, None, "share", known.n, excluded=why)
        return
    seen = 1.0
    for k, (came, stayed) in enumerate(counts, 1):
        seen *= stayed / came
        yield Metric("customers_left", words, {"terms": k, "basis": "seen"}, seen, "share", came, excluded=said)
    for k in range(1, TAIL + 1):
        yield Metric("customers_left", words, {"terms": k, "basis": "model"}, model.left(k), "share", counts[0][0], excluded=said)
    for name, value in (("alpha", model.alpha), ("beta", model.beta)):
        yield Metric("customers_left_model", "parameters of the model", {"parameter": name}, value, "number", counts[0][0], excluded=said)


# -- rows -------------------------------------------------------------------------------------------------------------------
def kept_rows(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The won deals of the customers a share counts."""
    known = customers(scope)
    _, kept = of_age(known, str(dims.get("cohort", "all")), int(dims["month"]), str(dims.get("mode", "classic")))
    return behind(scope, known.of(np.flatnonzero(kept)))


def worth_rows(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    known = customers(scope)
    mine, _ = worth(known, str(dims.get("cohort", "all")), int(dims["month"]))
    return behind(scope, known.of(np.flatnonzero(mine)))


def year_rows(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    known = customers(scope)
    mine, _ = over_year(known, dict(year_ends(scope))[str(dims.get("year_to", "now"))])
    return behind(scope, known.of(np.flatnonzero(mine)))


def again_rows(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    known = customers(scope)
    _, again = again_in(known, float(dims.get("days", scope.choice("renewal_days"))))
    return behind(scope, known.of(np.flatnonzero(again)))


def here_rows(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    known = customers(scope)
    return behind(scope, known.of(np.flatnonzero(known.active(np.full(known.n, known.now)))))
