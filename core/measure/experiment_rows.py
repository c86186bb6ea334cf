"""The persons behind an experiment's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from core.measure.experiment_vendors import plans
from core.measure.experiment_visitors import sightings, sources, visitors
from core.measure.metric import Scope
from core.measure.pipeline import reporting_currency
from core.tables import keep


def saw(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """Known persons who saw the variant and no other one."""
    t = _of(scope, dims)
    return t.filter(~t.several).select(entity_id="person")


def reached(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """Of these those who got to the goal, or had an amount, in time."""
    t = _of(scope, dims)
    hit = t[f"old_{dims['days']}"] & (t[f"y_{dims['goal']}"] > 0)
    return t.filter(~t.several, hit).select(entity_id="person")


def _of(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """Visitors of the variant who are somebody."""
    test = [(key, p) for key, p in plans(scope).items() if (p.name, p.account) == (dims["experiment"], dims["tool"])]
    arms = [(*key, arm.variation) for key, p in test for arm in p.arms if arm.name == dims["variant"]]
    seen = keep(sightings(scope))
    chosen = {key: row for key, row in sources(seen).items() if key in {arm[:2] for arm in arms}}
    t = visitors(scope, seen, chosen, reporting_currency(scope)[0])
    named = (t.account + "|" + t.experiment + "|" + t.variation).isin(["|".join(arm) for arm in arms] or [""])
    return t.filter(named, t.person.notnull())
