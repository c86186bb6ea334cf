"""Who saw which variant, and what became of him: one row per visitor of a test, the unit that was drawn.

A visitor belongs to a person by the ids the CRM carries; most belong to nobody, and to nothing that was won. Persons who saw
two variants are in neither. What a person or a deal became counts once, for the visitor who saw the test first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.metric import Scope, pairs
from core.measure.seconds import DAY_S, seconds
from core.rules.experiments_known import TEST, experiments, part, plain, spelled
from core.rules.rule import Context
from core.tables import MOMENT, instant, keep

UNIT = [*TEST, "unit"]


@dataclass(frozen=True)
class Goal:
    """What may become of a visitor within `days`; `money`: an amount, not whether."""

    name: str
    days: int
    money: bool = False


def goals(scope: Scope) -> tuple[Goal, ...]:
    soon, late = int(scope.choice("experiment_days")), int(scope.choice("experiment_won_days"))
    rungs = [Goal(code, soon) for code in scope.choice("funnel_steps") if "M20" <= code < "M80"]
    return (*rungs, Goal("won", late), Goal("pipeline", soon, True), Goal("revenue", late, True))


def context(scope: Scope) -> Context:
    """What rules of experiments look at, for what metrics share with them."""
    names = {"tally": "tallies", "experiment": "experiments", "touch": "all_touches"}
    return Context({kind: scope.facts[name] for kind, name in names.items()}, scope.facts, scope.funnel, scope.as_of)


def sightings(scope: Scope) -> ibis.Table:
    """(account, experiment, variation, source, unit, at, person) of all exposures, the tool's own and web analytics'."""
    ctx = context(scope)
    t = scope.facts["all_touches"]
    t = t.filter(t.kind == "exposure", t.event.notnull(), t.occurred_at <= instant(scope.as_of), ~t.deleted.fill_null(False))
    owned = scope.facts["touches"].filter(lambda x: x.kind == "exposure").select("account", "resource", "vendor_id", person="entity_id")
    t = t.left_join(owned, ["account", "resource", "vendor_id"], rname="o_{name}")
    t = t.mutate(unit=_visitor(t), at=seconds(t.occurred_at), source=t.account.concat(":", t.resource))
    t = t.filter(t.unit.notnull())
    columns = ["source", "unit", "at", "person"]
    e = experiments(ctx)
    variation = ibis.coalesce(part(t, "variation_id"), t.event)
    own = t.select(*columns, "account", experiment="campaign_id", variation=variation).semi_join(e.select(*TEST), TEST)
    seen = t.select(*columns, own="account", key=plain(t.event)).inner_join(spelled(ctx, e), "key")
    seen = seen.filter(seen.own != seen.account)
    return ibis.union(*[x.select(*TEST, "variation", *columns) for x in (own, seen)])


def _visitor(t: ibis.Table) -> ibis.Value:
    """Whom a touch names, in the words of its own source."""
    return ibis.coalesce(t.links[0], t.person_id, t.email)


def sources(t: ibis.Table) -> dict[tuple[str, str], dict[str, Any]]:
    """For each test the source of sightings that knows most visitors: {source, units, whole}; whole: it tells of strangers, in any test."""
    each = t.group_by(*TEST, "source").agg(units=t.unit.nunique(), strangers=t.unit.nunique(where=t.person.isnull()))
    rows = pairs(each.order_by(*TEST, "source"))
    whole = {row["source"] for row in rows if row["strangers"]}
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["account"], row["experiment"])
        if key not in best or row["units"] > best[key]["units"]:
            best[key] = {**row, "whole": row["source"] in whole}
    return best


def visitors(scope: Scope, seen: ibis.Table, chosen: Mapping[tuple[str, str], Mapping[str, Any]], currency: str | None) -> ibis.Table:
    """(account, experiment, variation, unit, person, cluster, several, first, x, old_<days>, y_<goal>) of the chosen sources.

    cluster: the account he is of, himself where nobody knows. x: visits before, in `experiment_before_days`; old_: long enough ago.
    """
    wanted = [f"{account}|{test}|{row['source']}" for (account, test), row in chosen.items()]
    t = seen.filter((seen.account + "|" + seen.experiment + "|" + seen.source).isin(wanted or [""]))
    u = t.group_by(*UNIT, "source").agg(
        first=t["at"].min(),
        variation=t.variation.argmin(t["at"].cast("string").concat(":", t.variation)),
        variants=t.variation.nunique(),
        person=t.person.max(),
    )
    u = u.mutate(who=ibis.coalesce(u.person, u.unit))
    one = {"group_by": [*TEST, "who"]}
    u = u.mutate(several=(u.variants.max().over(**one) > 1) | (u.variation.min().over(**one) != u.variation.max().over(**one)))
    company = scope.facts["person_company"]
    company = company.group_by("person").agg(company=company.company.min())
    u = u.left_join(company, "person", rname="c_{name}").drop("c_person")
    u = keep(u.mutate(cluster=ibis.coalesce(u.company, u.who)).drop("company", "variants", "who"))
    now = int(scope.as_of.timestamp())
    spans = sorted({goal.days for goal in goals(scope)})
    t = _before(scope, u)
    for outcome in (_reached(scope, u), _dealt(scope, u, currency)):
        t = t.left_join(outcome, UNIT, rname="r_{name}").drop(*(f"r_{name}" for name in UNIT))
    zeros = {f"y_{goal.name}": t[f"y_{goal.name}"].fill_null(0.0) for goal in goals(scope)}
    return t.mutate(**zeros, **{f"old_{days}": t["first"] <= now - days * DAY_S for days in spans})


def _before(scope: Scope, u: ibis.Table) -> ibis.Table:
    """The visitors with x: their visits strictly before the test, by the same source's ids, whether the CRM knows them or not."""
    t = scope.facts["all_touches"]
    t = t.filter(t.kind == "visit", t.occurred_at.notnull(), ~t.deleted.fill_null(False))
    t = t.select(
        came=seconds(t.occurred_at), source=t.account.concat(":", t.resource), unit=ibis.coalesce(t.links[0], t.person_id, t.email)
    )
    v = u.select(*UNIT, "source", "first").inner_join(t, ["source", "unit"])
    reach = int(scope.choice("experiment_before_days")) * DAY_S
    v = v.filter(v.came < v["first"], v.came >= v["first"] - reach)
    counted = v.group_by(*UNIT).agg(x=v.count().cast("float64"))
    t = u.left_join(counted, UNIT, rname="x_{name}").drop(*(f"x_{name}" for name in UNIT))
    return t.mutate(x=t.x.fill_null(0.0))


def _earliest(t: ibis.Table, of: str) -> ibis.Table:
    """Of each test's rows about one thing those of the visitor who saw the test first."""
    return t.filter(ibis.row_number().over(group_by=[*TEST, of], order_by=["first", "unit"]) == 0)


def _reached(scope: Scope, u: ibis.Table) -> ibis.Table:
    """(unit, y_<code>): persons who reached the milestone after they saw the test."""
    rungs = [goal for goal in goals(scope) if goal.name.startswith("M")]
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", ~m.implied, m.code.isin([goal.name for goal in rungs]), m.reached_at.notnull())
    first = _earliest(u.filter(u.person.notnull(), ~u.several).select(*UNIT, "first", "person"), "person")
    t = first.inner_join(m.select("code", reached=seconds(m.reached_at), person="entity_id"), "person")
    hits = {
        f"y_{g.name}": ((t.code == g.name) & (t.reached > t["first"]) & (t.reached <= t["first"] + g.days * DAY_S)).any().cast("float64")
        for g in rungs
    }
    return t.group_by(*UNIT).agg(**hits)


def _dealt(scope: Scope, u: ibis.Table, currency: str | None) -> ibis.Table:
    """(unit, y_won, y_pipeline, y_revenue): deals made and won after, each for one visitor; amounts in the reporting currency, capped."""
    days = {goal.name: goal.days * DAY_S for goal in goals(scope)}
    on = scope.facts["deal_person"]
    first = u.filter(u.person.notnull(), ~u.several).select(*UNIT, "first", "person")
    t = _earliest(first.inner_join(on, "person"), "deal").select(*UNIT, "first", "deal")
    d = scope.facts["deal"]
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "deal", m.code == "M80", m.reached_at.notnull()).select("reached_at", entity_id="entity_id")
    d = d.left_join(m, "entity_id", rname="m_{name}")
    sold = ibis.ifelse(d.outcome == "won", ibis.coalesce(d.reached_at, d.close_date.cast(MOMENT)), ibis.null(MOMENT))
    ours = d.currency.identical_to(ibis.literal(currency, type="string"))
    amount = ibis.ifelse(ours, d.amount.cast("float64"), 0.0).fill_null(0.0)
    d = d.select(deal="entity_id", made=seconds(d.created_at), sold=seconds(sold), amount=amount)
    t = t.inner_join(d, "deal")
    t = t.filter(t.made > t["first"])
    won = (t.sold > t["first"]) & (t.sold <= t["first"] + days["won"])
    soon = t.made <= t["first"] + days["pipeline"]
    limit = cap(scope, currency)
    parts = t.group_by(*UNIT).agg(
        y_won=won.fill_null(False).any().cast("float64"),
        y_pipeline=total(t.amount, soon).fill_null(0.0), y_revenue=total(t.amount, won.fill_null(False)).fill_null(0.0),
    )  # fmt: skip
    if limit is None:
        return parts
    return parts.mutate(**{name: ibis.least(parts[name], limit) for name in ("y_pipeline", "y_revenue")})


def cap(scope: Scope, currency: str | None) -> float | None:
    """What a visitor can count at most: the quantile of the amounts won until the window began, before any of its tests could matter.

    None where nothing was won before.
    """
    first = scope.as_of.date() - timedelta(days=int(scope.choice("window_days")))
    d = scope.facts["deal"]
    d = d.filter(d.outcome == "won", d.currency.identical_to(ibis.literal(currency, type="string")), d.close_date < ibis.literal(first))
    value = pairs(d.agg(cap=d.amount.cast("float64").quantile(float(scope.choice("experiment_cap_quantile")))))[0]["cap"]
    return None if value is None else float(value)
