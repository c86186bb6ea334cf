"""What to know of a number before a forecast is staked on it: how much of its ground is unmapped, mixed, sampled, withheld or restated.

Unlike `excluded`, which says who is not in a number, marks say how sound what is in it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import ibis

from core.measure.metric import Scope, pairs
from core.measure.pipeline import reporting_currency

MONEY = ("×", "units", "mixed")
GROUND: Mapping[str, tuple[str, ...]] = {
    "funnel": ("person",), "breakdown": ("person",), "pipeline": ("deal",), "movement": ("deal",), "winrate": ("deal",),
    "sources": ("person", "deal"), "attribution": ("person", "deal"), "experiments": ("person", "deal"), "forecast": ("deal",),
    "backtest": ("deal",), "waterfall": ("deal",), "retention": ("deal",), "score": ("person",), "next": ("person", "deal"),
}  # fmt: skip
# Numbers that stand on counts of vendors, and which counts: regular expressions on the measures of tallies.
COUNTED = {
    "campaign_cost": "^cost$", "cost_per": "^cost$", "campaign_return": "^cost$", "experiment_vendor": "^experiment_",
    "experiment_goal_chance": "^experiment_", "experiment_goal_loss": "^experiment_", "experiment_sample_ratio": "^experiment_",
}  # fmt: skip
_SPOILED = {"sampled": "estimated from a sample", "thresholded": "with rows of few users withheld", "other_row": "with rare values folded"}


def marks(scope: Scope, family: str, name: str, unit: str) -> dict[str, str]:
    """Of one number: {mark: what it says}; only what there is something to say of."""
    found: dict[str, str] = {}
    for kind in GROUND.get(family, ()):
        found |= scope.once(f"unmapped {kind}", lambda kind=kind: dict(_unmapped(scope, kind)))  # type: ignore[misc]
    if "deal" in GROUND.get(family, ()) and (unit in MONEY or _is_currency(unit)):
        found |= scope.once("mixed", lambda: dict(_mixed(scope)))
    if name in COUNTED:
        measure = COUNTED[name]
        found |= scope.once(f"counts {measure}", lambda: {**dict(_spoiled(scope, measure)), **dict(_restated(scope, measure))})
    return found


def _is_currency(unit: str) -> bool:
    word = unit.split(" ")[0]
    return len(word) == 3 and word.isupper() and word.isalpha()


def _unmapped(scope: Scope, kind: str) -> Iterator[tuple[str, str]]:
    t = scope.facts.get(kind)
    if t is None or "unmapped" not in t.columns:
        return
    row = pairs(t.agg(n=t.count(), bare=t.unmapped.fill_null(False).sum()))[0]
    if row["bare"]:
        share = 100 * row["bare"] / row["n"]
        yield f"unmapped {kind}s", f"{row['bare']} of {row['n']} {kind}s ({share:.1f} %) have a stage nobody mapped"


def _mixed(scope: Scope) -> Iterator[tuple[str, str]]:
    currency, others = reporting_currency(scope)
    if others:
        listed = ", ".join(f"{n} {where}" for where, n in sorted(others.items()))
        yield "mixed currency", f"in {currency or 'no currency'} only; deals left out, never converted: {listed}"


def _counts(scope: Scope, name: str, measure: str) -> ibis.Table | None:
    if name not in scope.facts:
        return None
    t = scope.facts[name]
    return t.filter(t.measure.re_search(measure))


def _spoiled(scope: Scope, measure: str) -> Iterator[tuple[str, str]]:
    """What vendors say spoils the counts, by account."""
    t = _counts(scope, "tallies", measure)
    if t is None:
        return
    t = t.filter(~t.deleted.fill_null(False))
    said = {mark: t.attributes.re_search(f'"{mark}":"?true').fill_null(False).sum() for mark in _SPOILED}
    rows = pairs(t.group_by("account").agg(n=t.count(), **said).order_by("account"))
    for mark, words in _SPOILED.items():
        parts = [f"{row['account']} {row[mark]} of {row['n']} values" for row in rows if row[mark]]
        if parts:
            yield mark, f"{words}: {', '.join(parts)}"


def _restated(scope: Scope, measure: str) -> Iterator[tuple[str, str]]:
    """Counts that their vendor has changed since they were first read."""
    t = _counts(scope, "versions.tally", measure)
    if t is None:
        return
    each = t.group_by("account", "resource", "vendor_id").agg(values=t["value"].nunique(), n=t.count(), day=t.day.max())
    moved = each.filter(each["values"] > 1)
    rows = pairs(moved.group_by("account").agg(n=moved.count(), days=moved.day.nunique()).order_by("account"))
    if rows:
        listed = ", ".join(f"{row['account']} {row['n']} values of {row['days']} days" for row in rows)
        yield "restated", f"changed by the vendor since first read: {listed}"
