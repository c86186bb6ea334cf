"""What the experiment tools say themselves: their numbers as they came, and what their own counts mean by our formulas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.measure.experiment_visitors import context
from core.measure.metric import Metric, Scope, pairs, share
from core.rules.experiments_known import TEST, experiments, part, tally
from core.statistics.chances import of_counts
from core.statistics.sample_ratio import chi_square

Test = tuple[str, str]  # account, experiment
_FIGURES = ("rate", "lift", "lift_low", "lift_high", "significance", "standard_error")
_MOVING = "bandit"  # tests whose shares change while they run
_LEAST = 5  # visitors a variant must be due for chi-square to mean anything


@dataclass(frozen=True)
class Arm:
    variation: str
    name: str
    baseline: bool
    share: float | None
    visitors: float | None  # as the tool counts them
    settled: bool  # was never taken out


@dataclass(frozen=True)
class Plan:
    """One test as its tool has it. The first arm is the baseline."""

    account: str
    vendor: str
    experiment: str
    name: str
    ended_at: Any
    moving: bool
    arms: tuple[Arm, ...]

    def broken(self, counts: Mapping[str, float], least_p: float) -> tuple[float | None, str]:
        """(p of the sample ratio, why no effect can be shown or ""). counts: visitors by variation.

        No p for bandits, without planned shares, where a variant was taken out, or with too few visitors.
        """
        shares = [arm.share for arm in self.arms]
        due = min((share or 0) for share in shares) * sum(counts.values()) if shares else 0
        if self.moving or not all(shares) or not all(arm.settled for arm in self.arms) or due < _LEAST * sum(s or 0 for s in shares):
            return None, ""
        found = chi_square([counts.get(arm.variation, 0.0) for arm in self.arms], [share or 0.0 for share in shares])
        if found is None:
            return None, ""
        return found[1], f"sample ratio mismatch: p = {found[1]:.2g}" if found[1] < least_p else ""


def plans(scope: Scope) -> dict[Test, Plan]:
    """Tests with the variants their tools tell of; one without any is left out."""
    ctx = context(scope)
    arms: dict[Test, dict[str, dict[str, Any]]] = {}
    for measure in ("experiment_share", "experiment_visitors"):
        t = tally(ctx, measure)
        for row in pairs(t.mutate(variant=part(t, "variant")).order_by(*TEST, "variation", "day")):
            said = json.loads(row["attributes"] or "{}")
            at = arms.setdefault((row["account"], row["experiment"]), {}).setdefault(str(row["variation"]), {})
            at[measure] = max(float(row["amount"]), at.get(measure, 0.0))
            at["name"] = row["variant"] or at.get("name")
            at["baseline"] = bool(said.get("baseline")) or at.get("baseline", False)
            at["settled"] = at.get("settled", True) and not said.get("disabled") and said.get("status") not in ("paused", "archived")
    found = {}
    for row in pairs(experiments(ctx).order_by("account", "experiment")):
        key = (row["account"], row["experiment"])
        if key in arms:
            found[key] = _plan(row, arms[key])
    return found


def _plan(row: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> Plan:
    order = list(row["variants"] or ())
    made = [
        Arm(key, a["name"] or key, a["baseline"], a.get("experiment_share"), a.get("experiment_visitors"), a["settled"])
        for key, a in arms.items()
    ]
    made.sort(key=lambda a: (not a.baseline, order.index(a.name) if a.name in order else len(order), a.variation))
    moving = _MOVING in str(json.loads(row["attributes"] or "{}").get("type", ""))
    return Plan(row["account"], row["vendor"], row["experiment"], row["called"], row["ended_at"], moving, tuple(made))


def imported(scope: Scope, known: Mapping[Test, Plan]) -> Iterator[Metric]:
    """The tools' numbers, figure by figure; then rates, improvement, chance and expected loss from their counts."""
    ctx = context(scope)
    counts: dict[tuple[Test, str], dict[str, tuple[float, float]]] = {}
    for measure in ("experiment_visitors", "experiment_conversions", "experiment_revenue"):
        for row in pairs(tally(ctx, measure).order_by(*TEST, "variation", "attributes")):
            key = (row["account"], row["experiment"])
            if key in known:
                said = json.loads(row["attributes"] or "{}")
                yield from _verbatim(known[key], measure.removeprefix("experiment_"), row, said)
                if measure == "experiment_conversions" and said.get("visitors"):
                    pair = (float(row["amount"]), float(said["visitors"]))
                    counts.setdefault((key, str(said.get("metric") or "")), {})[str(row["variation"])] = pair
    for (key, goal), arms in counts.items():
        yield from _ours(known[key], goal, arms, float(scope.choice("sample_ratio_p")))


def _verbatim(plan: Plan, measure: str, row: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[Metric]:
    dims = {"experiment": plan.name, "tool": plan.account, "variant": _name(plan, row), "goal": str(said.get("metric") or "")}
    words = "the tool's own number, as it came"
    n = round(float(said.get("visitors") or row["amount"]))
    yield Metric("experiment_vendor", words, {**dims, "figure": measure}, float(row["amount"]), "units", n)
    for figure in _FIGURES:
        value = said.get(figure)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Metric("experiment_vendor", words, {**dims, "figure": figure}, float(value), "units", n)


def _name(plan: Plan, row: Mapping[str, Any]) -> str:
    return next((arm.name for arm in plan.arms if arm.variation == str(row["variation"])), str(row["variation"]))


def _ours(plan: Plan, goal: str, arms: Mapping[str, tuple[float, float]], least_p: float) -> Iterator[Metric]:
    """From counts of visitors who converted; a goal that counts events (more of them than visitors) is no share."""
    if any(hits > n for hits, n in arms.values()):
        return
    _, broken = plan.broken({variation: n for variation, (_, n) in arms.items()}, least_p)
    base = plan.arms[0]
    for arm in plan.arms:
        if arm.variation not in arms:
            continue
        dims = {"experiment": plan.name, "tool": plan.account, "variant": arm.name, "goal": goal}
        yield share("experiment_goal_rate", "converted ÷ visitors, by the tool's counts", dims, *arms[arm.variation])
        if arm is not base and base.variation in arms:
            yield from _compared({**dims, "against": base.name}, arms[base.variation], arms[arm.variation], broken)


def _compared(dims: Mapping[str, Any], control: tuple[float, float], treatment: tuple[float, float], broken: str) -> Iterator[Metric]:
    (x, m), (y, n) = control, treatment
    excluded = {"not computable": broken} if broken else {}
    chance = None if broken else of_counts(control, treatment)
    lift = (y / n) / (x / m) - 1 if x and not broken else None
    units = round(m + n)
    yield Metric(
        "experiment_goal_improvement", "rate ÷ the baseline's − 1, by the tool's counts", dims, lift, "share", units, excluded=excluded
    )
    words = "chance that the variant is better than the baseline (uniform priors), by the tool's counts"
    yield Metric("experiment_goal_chance", words, dims, chance.better if chance else None, "share", units, excluded=excluded)
    words = "share of visitors lost on average by taking the variant, where it is the worse one"
    yield Metric("experiment_goal_loss", words, dims, chance.loss_treatment if chance else None, "share", units, excluded=excluded)
