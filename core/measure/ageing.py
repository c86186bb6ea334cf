"""How old open deals are, next to those that were won: buckets, ratios, and deals older than any that ever came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import ibis
import numpy as np

from core.measure.distrust import flagged
from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import open_deals, reporting_currency
from core.measure.spells import WON, leaders, stays, wins
from core.tables import days_between, instant

BUCKETS = (0, 30, 60, 90, 180)
ZOMBIE = 0.99  # older than this share of the won


def measure(scope: Scope) -> Iterator[Metric]:
    yield from buckets(scope)
    yield from against_winners(scope)


def _labels() -> list[str]:
    return [f"{low}-{high}" for low, high in pairwise(BUCKETS)] + [f"{BUCKETS[-1]}+"]


def _aged(scope: Scope, basis: str) -> ibis.Table:
    d = open_deals(scope)
    age = days_between(d.created_at, instant(scope.as_of)) if basis == "since creation" else d.age_days
    return d.mutate(age=age.floor())


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The open deals of a bucket."""
    i = _labels().index(str(dims["days"]))
    t = _aged(scope, str(dims["basis"])).filter(lambda t: t.age >= BUCKETS[i])
    return t.filter(t.age < BUCKETS[i + 1]) if i + 1 < len(BUCKETS) else t


def zombies(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The open deals older than nearly all that were won."""
    days = _cycles(scope)
    limit = float(np.quantile(np.array(days), ZOMBIE)) if days else float("inf")
    return _aged(scope, "since creation").filter(lambda t: t.age > limit)


def buckets(scope: Scope) -> Iterator[Metric]:
    """Open deals by days since their creation and by days in their stage."""
    currency, others = reporting_currency(scope)
    for basis in ("since creation", "in the stage"):
        t = _aged(scope, basis)
        ours = t.currency.identical_to(ibis.literal(currency, type="string"))
        t = t.mutate(money=ibis.ifelse(ours, t.amount, None))
        place = ibis.cases(*[(t.age >= low, i) for i, low in reversed(list(enumerate(BUCKETS)))], else_=None)
        rows = {r["place"]: r for r in pairs(t.group_by(place=place).agg(n=t.count(), value=total(t.money)))}
        excluded = {**others, **({"age unknown": rows[None]["n"]} if None in rows else {})}
        for i, label in enumerate(_labels()):
            n, value = (rows[i]["n"], rows[i]["value"] or 0.0) if i in rows else (0, 0.0)
            dims = {"basis": basis, "days": label}
            yield Metric("age_deals", f"open deals by days {basis}", dims, n, "deals", n, excluded=excluded)
            money = {**dims, "currency": currency}
            yield Metric("age_value", f"amount of open deals by days {basis}", money, value, currency or "units", n, excluded=excluded)


def against_winners(scope: Scope) -> Iterator[Metric]:
    """Days from creation of open deals against those of deals when they were won."""
    days = np.array(_cycles(scope), float)
    d = leaders(scope).filter(lambda t: (t.outcome == "open") & t.created_at.notnull())
    age = days_between(d.created_at, instant(scope.as_of)).floor()
    if not len(days):
        n = int(d.count().execute())
        yield Metric(
            "zombie_deals", "open deals older than 99 % of the won", {}, None, "share", n, excluded={"not computable": "no deal was won"}
        )
        return
    limits = {f"P{round(100 * q)}": float(np.quantile(days, q)) for q in (0.5, 0.9, ZOMBIE)}
    row = pairs(d.agg(n=d.count(), median=age.median(), zombies=(age > limits["P99"]).sum()))[0]
    for name, value in limits.items():
        yield Metric("won_age", "days from creation to won", {"quantile": name}, value, "days", len(days))
        if name != "P99" and value and row["median"] is not None:
            words = "median days since creation of open deals ÷ days the won took"
            yield Metric("age_ratio", words, {"against": name}, float(row["median"]) / value, "×", row["n"], float(row["median"]), value)
    yield share("zombie_deals", "open deals older than 99 % of the won ÷ open deals", {}, row["zombies"] or 0, row["n"])


def _cycles(scope: Scope) -> list[float]:
    w = flagged(wins(scope), "disordered", scope.distrust.disordered_deals)
    days = days_between(w.created_at, w.won_at)
    w = w.mutate(days=days).filter(lambda t: ~t.disordered & t.days.notnull() & (t.days >= 0))
    found: list[float] = w.select("days").order_by("days").to_pyarrow()["days"].to_pylist()
    return found


def stalled_after(scope: Scope) -> Callable[[str], float]:
    """Of a stage: the days beyond which a deal is stalled. Longer than nine of ten winners, where so many were won there; else as the
    funnel says (`stalled_quantile`, `stalled_min_won`, `stalled_days`, as rule D-11)."""
    s = stays(scope)
    s = s.filter(s.until.notnull(), s.sound, s.result == WON)
    days = days_between(s.since, s.until).floor().cast("int64")
    rows = pairs(s.group_by("code", days=days).agg(n=s.count()).order_by("code", "days"))
    least, q = int(scope.choice("stalled_min_won")), float(scope.choice("stalled_quantile"))
    limits = {}
    for code in {r["code"] for r in rows}:
        spent = np.repeat([r["days"] for r in rows if r["code"] == code], [r["n"] for r in rows if r["code"] == code])
        if len(spent) >= least:
            limits[code] = float(np.quantile(spent, q))
    return lambda code: limits.get(code, float(scope.choice("stalled_days")))
