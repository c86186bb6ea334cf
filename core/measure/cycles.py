"""How long it takes from the first lead to the sale, and how long open deals stand in their stages next to those that were won."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis
import numpy as np

from core.measure.durations import kaplan_meier
from core.measure.metric import Metric, Scope, pairs
from core.measure.spells import UNKNOWN, WON, leaders, stays
from core.tables import days_between, instant

_QUANTILES = (("median", 0.5), ("p75", 0.75), ("p90", 0.9))


def measure(scope: Scope) -> Iterator[Metric]:
    yield from lead_to_won(scope)
    yield from against_winners(scope)


def lead_to_won(scope: Scope) -> Iterator[Metric]:
    """Days from when the first of a deal's persons became a lead until it was won. Of the won: others say nothing here."""
    t = led(scope)
    rows = pairs(t.group_by("days", "usable").agg(n=t.count()).order_by("days"))
    curve = kaplan_meier([(float(r["days"]), 1, int(r["n"])) for r in rows if r["usable"]])
    away = {"without a lead before the win, or dates not believed": sum(int(r["n"]) for r in rows if not r["usable"])}
    words = "days from the lead (the first of the deal's persons) to won, of the deals that were won"
    for label, q in _QUANTILES:
        value = curve.quantile(q)[0] if curve.n else None
        yield Metric("lead_to_won", words, {"quantile": label}, value, "days", curve.n, excluded={k: n for k, n in away.items() if n})


def led(scope: Scope) -> ibis.Table:
    """(entity_id, days, usable) of won deals."""
    s, m = stays(scope), scope.facts["milestone"]
    m = m.filter(m.kind == "person", m.code == "M20", ~m.implied, m.reached_at.notnull()).select("reached_at", person="entity_id")
    on = scope.facts["deal_person"].inner_join(m, "person")
    first = on.group_by(entity_id="deal").agg(lead_at=on.reached_at.min())
    shut = s.group_by("entity_id").agg(won_at=s.closed_at.max(), sound=s.sound.all())
    t = leaders(scope).filter(lambda d: d.outcome == WON).select("entity_id")
    for part in (shut, first):
        t = t.left_join(part, "entity_id").drop("entity_id_right")
    days = days_between(t.lead_at, t.won_at).floor().cast("int64")
    usable = (t.sound & (days >= 0)).fill_null(False)
    return t.select("entity_id", days=ibis.ifelse(usable, days, 0), usable=usable)


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    t = led(scope)
    return t.filter(t.usable)


def against_winners(scope: Scope) -> Iterator[Metric]:
    """Days in the stage of open deals now ÷ days that deals which were won had spent there."""
    s = stays(scope)
    s = s.filter(s.code != UNKNOWN, s.sound)
    here = s.until.isnull()
    s = s.filter(here | (s.until.notnull() & (s.result == WON)).fill_null(False))
    days = days_between(s.since, ibis.coalesce(s.until, instant(scope.as_of))).floor().cast("int64")
    rows = pairs(s.group_by("code", here=s.until.isnull(), days=days).agg(n=s.count()).order_by("code", "here", "days"))
    for code in sorted({r["code"] for r in rows}):
        now, won = (_spent(rows, code, here) for here in (True, False))
        for label, q in (("P50", 0.5), ("P90", 0.9)):
            if len(now) and len(won) and (limit := float(np.quantile(won, q))) > 0:
                words = "median days in the stage of open deals ÷ days that winners spent in it"
                middle = float(np.median(now))
                dims = {"stage": code, "against": label}
                yield Metric("stage_age_ratio", words, dims, middle / limit, "×", len(now), middle, limit)


def _spent(rows: list[dict[str, Any]], code: str, here: bool) -> Any:
    mine = [r for r in rows if r["code"] == code and r["here"] == here]
    return np.repeat([float(r["days"]) for r in mine], [int(r["n"]) for r in mine])
