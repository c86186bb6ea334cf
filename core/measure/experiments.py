"""From a variant to revenue: what became of those who saw it, beside what the tool says.

Everybody is watched equally long. No effect is shown where the sample is not the one that was planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from core.measure.experiment_sums import Sample, Variant, sample
from core.measure.experiment_vendors import Arm, Plan, imported, plans
from core.measure.experiment_visitors import Goal, goals, sightings, sources, visitors
from core.measure.metric import Metric, Scope, share
from core.measure.pipeline import reporting_currency
from core.statistics.bootstrap import mean_difference
from core.statistics.clusters import Grouped, Pair, grouped_means
from core.statistics.covariate import adjusted, slope
from core.statistics.effects import Effect, difference, lift
from core.statistics.multiple import false_discovery
from core.statistics.power import detectable, units_for_effect
from core.statistics.proportions import newcombe, pooled_p
from core.statistics.sequential import anytime
from core.tables import keep


def measure(scope: Scope) -> Iterator[Metric]:
    known = plans(scope)
    yield from imported(scope, known)
    currency, others = reporting_currency(scope)
    seen = keep(sightings(scope))
    chosen = {key: row for key, row in sources(seen).items() if key in known}
    if not chosen:
        return
    wanted = [goal for goal in goals(scope) if not goal.money or currency is not None or not others]
    found = sample(keep(visitors(scope, seen, chosen, currency)), wanted)
    for key, source in chosen.items():
        yield from Analysis.of(scope, known[key], source, found).metrics(scope, wanted, currency)


@dataclass(frozen=True)
class Analysis:
    """One test. `missing`: visitors by variation that the tool counted and nobody else knows; they came to nothing."""

    plan: Plan
    source: str
    sample: Sample
    whole: bool  # does the source know visitors that are nobody's?
    missing: Mapping[str, float]
    p: float | None
    broken: str

    @classmethod
    def of(cls, scope: Scope, plan: Plan, source: Mapping[str, Any], found: Sample) -> Analysis:
        seen = {arm.variation: float(_seen(plan, arm, found)["n"]) for arm in plan.arms}
        whole = bool(source["whole"])
        missing = {} if whole else {a.variation: max(0.0, (a.visitors or 0.0) - seen[a.variation]) for a in plan.arms}
        p, broken = plan.broken({v: n + missing.get(v, 0.0) for v, n in seen.items()}, float(scope.choice("sample_ratio_p")))
        return cls(plan, source["source"], found, whole, missing, p, broken)

    @property
    def dims(self) -> dict[str, Any]:
        return {"experiment": self.plan.name, "tool": self.plan.account}

    def metrics(self, scope: Scope, wanted: Sequence[Goal], currency: str | None) -> Iterator[Metric]:
        yield from self.sizes()
        if self.plan.arms[0].variation not in {a.variation for a in self.plan.arms if self.known(a, wanted[0])}:
            return
        compared: list[tuple[dict[str, Any], Goal, Comparison]] = []
        for goal in wanted:
            why = self.broken or self.unripe(scope, goal)
            for arm in self.plan.arms:
                if not self.known(arm, goal):
                    continue
                dims = {**self.dims, "variant": arm.name, "goal": goal.name, "days": goal.days}
                yield self.level(arm, goal, dims, currency, self.unripe(scope, goal))
                if arm is not self.plan.arms[0]:
                    one = None if why else self.compare(goal, arm)
                    against = {**dims, "against": self.plan.arms[0].name}
                    if one is None:
                        why = why or "too few visitors long enough ago"
                        yield Metric("experiment_lift", _LIFT, against, None, "share", 0, excluded={"not computable": why})
                    else:
                        compared.append((against, goal, one))
        yield from _told(scope, compared, currency)

    def known(self, arm: Arm, goal: Goal) -> bool:
        return (self.key(arm), goal.name) in self.sample.variants

    def key(self, arm: Arm) -> tuple[str, str, str]:
        return self.plan.account, self.plan.experiment, arm.variation

    def sizes(self) -> Iterator[Metric]:
        """Who was analysed, by variant, and whether that is the sample that was planned."""
        for arm in self.plan.arms:
            seen = _seen(self.plan, arm, self.sample)
            excluded: dict[str, Any] = {"saw several variants": seen["several"]} if seen.get("several") else {}
            if not self.whole:
                excluded["only counted by the tool"] = round(self.missing[arm.variation])
            dims = {**self.dims, "variant": arm.name, "source": self.source}
            yield Metric("experiment_visitors", "visitors who saw the variant", dims, seen["n"], "visitors", seen["n"], excluded=excluded)
        words = "chance of a sample so unlike the planned shares where nothing is wrong (chi-square)"
        left = {"not computable": "no settled plan of shares, or too few visitors"} if self.p is None else {}
        yield Metric("experiment_sample_ratio", words, self.dims, self.p, "p", sum(s["n"] for s in self.every()), excluded=left)

    def every(self) -> list[Mapping[str, int]]:
        return [_seen(self.plan, arm, self.sample) for arm in self.plan.arms]

    def unripe(self, scope: Scope, goal: Goal) -> str:
        """Why the goal's visitors are not those of all variants, watched equally long; "" where they are."""
        if self.whole:
            return ""
        if any(arm.visitors is None for arm in self.plan.arms):
            return "only visitors that the CRM knows are known"
        ended = self.plan.ended_at
        if ended is None or ended > scope.as_of - timedelta(days=goal.days):
            return f"when most visitors came is not known: to be told {goal.days} days after the test's end"
        return ""

    def variant(self, arm: Arm, goal: Goal) -> Variant:
        """With those that only the tool counted, as visitors of whom nothing came."""
        v, more = self.sample.variants[self.key(arm), goal.name], self.missing.get(arm.variation, 0.0)
        return replace(v, sums=replace(v.sums, n=v.sums.n + more), inside=v.inside + Grouped(more, 0, 0), groups=v.groups + more)

    def level(self, arm: Arm, goal: Goal, dims: Mapping[str, Any], currency: str | None, unripe: str) -> Metric:
        """The rate or the mean of one variant, shown whatever its sample is worth."""
        v = self.variant(arm, goal)
        young = _seen(self.plan, arm, self.sample).get(f"young_{goal.days}", 0)
        excluded: dict[str, Any] = {"not watched long enough": young} if young else {}
        if unripe:
            return Metric("experiment_rate", _RATE, dims, None, "share", 0, excluded={**excluded, "not computable": unripe})
        if not goal.money:
            return share("experiment_rate", _RATE, dims, v.sums.y, v.sums.n, excluded=excluded)
        value, n = (v.sums.y / v.sums.n if v.sums.n else None), round(v.sums.n)
        words = "amount of the deals per visitor, those without any too, within the days"
        money = {**dims, "currency": currency}
        return Metric("experiment_mean", words, money, value, currency or "units", n, v.sums.y, v.sums.n, excluded=excluded)

    def compare(self, goal: Goal, arm: Arm) -> Comparison | None:
        base = self.plan.arms[0]
        c, t = self.variant(base, goal), self.variant(arm, goal)
        if min(c.sums.n, t.sums.n) < 2:
            return None
        both = self.sample.both(self.key(base), self.key(arm), goal.name)
        both = replace(both, groups=both.groups + self.missing.get(base.variation, 0.0) + self.missing.get(arm.variation, 0.0))
        alone = c.inside.nn == c.sums.n and t.inside.nn == t.sums.n and not both.nn  # every visitor his own account
        control, treatment = c.sums.estimate(), t.sums.estimate()
        pair = grouped_means(control, treatment, (c.inside, t.inside), both)
        effect, p = _effect(goal, c, t, pair, alone), None
        if alone and not goal.money:
            p = pooled_p((c.sums.y, c.sums.n), (t.sums.y, t.sums.n))
            effect = replace(effect, p=1.0 if p is None else p)
        arms = c.sums + t.sums
        cuped = None
        if self.whole and arms.var_x:
            theta, middle = slope(arms), arms.x / arms.n
            means = adjusted(c.sums, theta, middle), adjusted(t.sums, theta, middle)
            cuped = _lift(grouped_means(*means, (c.inside, t.inside), both, theta, middle))
        return Comparison(effect, _lift(pair), cuped, arms.n, control.mean, alone)


@dataclass(frozen=True)
class Comparison:
    effect: Effect
    lift: Effect | None
    cuped: Effect | None
    units: float
    base: float
    alone: bool


_RATE = "visitors who got there within the days after they first saw the test ÷ visitors watched that long"
_LIFT = "effect ÷ the baseline's value (delta method, accounts as clusters)"


def _seen(plan: Plan, arm: Arm, found: Sample) -> Mapping[str, int]:
    return found.seen.get((plan.account, plan.experiment, arm.variation), {"n": 0})


def _effect(goal: Goal, c: Variant, t: Variant, pair: Pair, alone: bool) -> Effect:
    """By the accounts' variance; shares of lone visitors by Newcombe; amounts that few visitors have by drawing."""
    found = difference(pair.control, pair.treatment, shared=pair.shared, df=pair.df)
    if alone and not goal.money:
        low, high = newcombe((c.sums.y, c.sums.n), (t.sums.y, t.sums.n))
        return replace(found, low=low, high=high)
    if alone and goal.money and c.amounts is not None and t.amounts is not None:
        low, high = mean_difference(c.amounts, round(c.sums.n), t.amounts, round(t.sums.n))
        return replace(found, low=low, high=high)
    return found


def _lift(pair: Pair) -> Effect | None:
    return lift(pair.control, pair.treatment, shared=pair.shared, df=pair.df)


def _told(scope: Scope, compared: Sequence[tuple[dict[str, Any], Goal, Comparison]], currency: str | None) -> Iterator[Metric]:
    """All numbers of the comparisons of one test, p-values corrected for there being many."""
    guarded = set(scope.choice("experiment_guardrails"))
    tried = [i for i, (_, goal, one) in enumerate(compared) if goal.name not in guarded and one.effect.se]
    corrected = dict(zip(tried, false_discovery([compared[i][2].effect.p for i in tried]), strict=True))
    for i, (dims, goal, one) in enumerate(compared):
        yield from _one(scope, dims, (currency or "units") if goal.money else "share", one, corrected.get(i, one.effect.p))


def _one(scope: Scope, dims: Mapping[str, Any], unit: str, one: Comparison, corrected: float) -> Iterator[Metric]:
    n, power = round(one.units), float(scope.choice("experiment_power"))
    e = one.effect
    words = "the variant's value − the baseline's"
    if not e.se:  # nobody of either variant got there: the rates say so
        return
    yield Metric("experiment_effect", words, dims, e.value, unit, n, low=e.low, high=e.high)
    yield Metric("experiment_p", "two-sided p-value of the effect, good for one look", dims, e.p, "p", n)
    yield Metric("experiment_p_corrected", "the p-value with all goals of the test in mind (Benjamini-Hochberg)", dims, corrected, "p", n)
    for name, text, found in (
        ("experiment_lift", _LIFT, one.lift), ("experiment_lift_cuped", f"{_LIFT}, with visits before the test as a covariate", one.cuped),
        ("experiment_lift_anytime", f"{_LIFT}; the interval holds however often one looks", _always(scope, one)),
    ):  # fmt: skip
        if found is not None:
            yield Metric(name, text, dims, found.value, "share", n, low=found.low, high=found.high)
        elif name == "experiment_lift":
            yield Metric(name, text, dims, None, "share", n, excluded={"not computable": "nobody of one of the variants got there"})
    least = detectable(e.se, power=power)
    words = "smallest effect that so many visitors would have shown"
    yield Metric(
        "experiment_detectable", f"{words}, as a share of the baseline", dims, least / abs(one.base) if one.base else None, "share", n
    )
    wanted = float(scope.choice("experiment_detect_share"))
    units = units_for_effect(e.se, one.units, wanted * one.base, power=power)
    words = f"visitors of both variants that a lift of {wanted:.0%} takes"
    yield Metric("experiment_visitors_needed", words, dims, units, "visitors", n)


def _always(scope: Scope, one: Comparison) -> Effect | None:
    planned = float(scope.choice("experiment_planned"))
    return None if one.lift is None or not one.lift.se else anytime(one.lift, one.units, planned)
