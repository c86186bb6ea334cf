"""The next best step for every lead and deal that needs one: first rule that holds, ranked by what is at stake for each owner."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis
import numpy as np

from core.measure import forecast
from core.measure import hazards as hz
from core.measure.ageing import stalled_after
from core.measure.exact import mean
from core.measure.follow_rules import DEALS, OPT_OUT, PERSONS, RULES, Ground, Rule
from core.measure.lead_score import expected, scored
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import closed_in, reporting_currency, window
from core.tables import MOMENT, instant, stack
from core.thresholds import DEFAULTS

SHOWN = 20  # steps of one owner that a report lists
NOBODY = "(no owner)"
STEPS = {"entity_id": "string", "kind": "string", "owner_email": "string", "rule": "string", "due": "date"}


@dataclass(frozen=True)
class Step:
    """What to do, for whom, until when. `worth`: the expected value that depends on it, in the reporting currency; None: unknown."""

    entity_id: str
    kind: str
    owner: str
    rule: Rule
    due: date | None
    worth: float | None


def follow_ups(scope: Scope) -> ibis.Table:
    """entity_id, kind (person or deal), owner_email, rule, due (a day; null: no day) of all who need a step."""
    return scope.once("follow ups", lambda: _follow_ups(scope))


def _follow_ups(scope: Scope) -> ibis.Table:
    told, limit = _told(scope), {**DEFAULTS["follow_up"], **scope.choice("follow_up")}
    words = "|".join(re.escape(str(word).lower()) for word in scope.choice("follow_up_lost"))
    ground = Ground(_people(scope, limit), instant(scope.as_of), limit, _slow(scope), words, told)
    off = set(scope.choice("follow_up_off"))
    people = _chosen(ground, [r for r in PERSONS if r.name not in off])
    refused = people.mutate(rule=ibis.ifelse(people.marketable, people.rule, OPT_OUT.name))
    refused = refused.mutate(due=ibis.ifelse(people.marketable, people.due, ibis.null("date")))
    deals = _chosen(replace(ground, t=_deals(scope)), [r for r in DEALS if r.name not in off])
    return stack([refused.mutate(kind=ibis.literal("person")), deals.mutate(kind=ibis.literal("deal"))], STEPS)


def _chosen(g: Ground, rules: list[Rule]) -> ibis.Table:
    """The table with `rule`, the first that holds, and `due`; without those for whom none does."""
    which = ibis.cases(*[(r.when(g).fill_null(False), r.name) for r in rules], else_=ibis.null("string"))
    t = g.t.mutate(rule=which)
    t = t.filter(t.rule.notnull())
    here = replace(g, t=t)
    days = [(t.rule == r.name, r.due(here).date()) for r in rules if r.due is not None]
    return t.mutate(due=ibis.cases(*days, else_=ibis.null("date")))


def _slow(scope: Scope) -> Callable[[ibis.Value], ibis.Value]:
    limits = stalled_after(scope)
    known = {code: limits(code) for code in ("M50", "M60", "M70")}
    return lambda stage: ibis.cases(*[(stage == code, days) for code, days in known.items()], else_=limits("?"))


def _told(scope: Scope) -> dict[str, bool]:
    """What any system keeps: where nobody logs activity, its absence says nothing."""
    p, d = scope.facts["person"], scope.facts["deals"]
    t = scope.facts["touches"]
    by_touch = bool(t.filter(t.kind.isin(list(scope.choice("sales_touches")))).limit(1).count().execute())
    of_people = bool(p.last_activity_at.notnull().any().execute())
    row = pairs(d.agg(active=d.last_activity_at.notnull().any(), planned=d.next_activity_at.notnull().any()))[0]
    tasks = bool(scope.facts["tasks"].count().execute())
    return {"activity": by_touch or of_people, "deal_activity": bool(row["active"]) or tasks, "planned": bool(row["planned"]) or tasks}


# -- what the conditions are about ------------------------------------------------------------------------------------------
def _people(scope: Scope, limit: Mapping[str, float]) -> ibis.Table:
    """Leads, with when they came to us last (inbound_at), sales' last touch (sales_at), and sales' attempts since the stage began."""
    p = scope.persons.filter(lambda t: t.stage.isin(["M20", "M30", "M35", "M40"]))
    p = p.select("entity_id", "stage", "stage_at", "owner_email", "open_deals", "last_activity_at", "marketable", "created_at")
    t = scope.facts["touches"].filter(lambda t: t.occurred_at.notnull() & (t.occurred_at <= instant(scope.as_of)))
    form = (t.kind == "conversion") & t.event.isin(list(scope.choice("lead_events")))
    t = t.mutate(inbound=t.kind.isin(["form", "response"]) | form, sales=t.kind.isin(list(scope.choice("sales_touches"))))
    t = t.filter(t.inbound | t.sales).select("entity_id", "inbound", "sales", "occurred_at")
    t = t.inner_join(p.select("entity_id", "stage_at"), "entity_id")
    since = t.sales & (t.occurred_at >= t.stage_at).fill_null(False)
    got = t.group_by("entity_id").agg(
        inbound_at=t.occurred_at.max(where=t.inbound), touched_at=t.occurred_at.max(where=t.sales),
        attempts=since.sum(), last_attempt_at=t.occurred_at.max(where=since),
    )  # fmt: skip
    p = p.left_join(got, "entity_id").drop("entity_id_right")
    sales_at = ibis.coalesce(ibis.greatest(p.touched_at, p.last_activity_at), p.touched_at, p.last_activity_at)
    return p.mutate(sales_at=sales_at, attempts=p.attempts.fill_null(0), marketable=p.marketable.fill_null(True))


def _deals(scope: Scope) -> ibis.Table:
    d = scope.facts["deal"].filter(lambda t: t.outcome.isin(["open", "won", "lost"]))
    d = d.select("entity_id", "outcome", "stage", "pipeline_stage", "owner_email", "persons", "age_days", "stage_entered_at", "created_at",
                 "close_date", "lost_reason", "amount", "currency", "last_activity_at")  # fmt: skip
    records, now = scope.facts["deals"], instant(scope.as_of)
    own = records.group_by("entity_id").agg(
        ends=records.end_date.max(), planned=records.next_activity_at.min(where=records.next_activity_at >= now)
    )
    work = scope.facts["tasks"]
    work = work.filter(~work.deleted.fill_null(False), work.deal_id.notnull()).select("account", "due_at", "done", vendor_id="deal_id")
    work = work.inner_join(records.select("entity_id", "account", "vendor_id"), ["account", "vendor_id"])
    day = now.date().cast(MOMENT)
    tasks = work.group_by("entity_id").agg(
        ahead=work.due_at.min(where=~work.done.fill_null(False) & (work.due_at >= day)),
        done_at=work.due_at.max(where=work.done.fill_null(True) & (work.due_at <= now)),
    )
    for part in (own, tasks, _returns(scope), _mailable(scope)):
        d = d.left_join(part, "entity_id").drop("entity_id_right")
    worked = ibis.coalesce(ibis.greatest(d.last_activity_at, d.done_at), d.last_activity_at, d.done_at)
    return d.mutate(worked_at=worked, planned_at=ibis.coalesce(d.planned, d.ahead), end_date=d.ends, mailable=d.mailable.fill_null(False))


def _returns(scope: Scope) -> ibis.Table:
    """(entity_id, back_at): the last visit of a deal's people to a page named in `follow_up_pages`."""
    words = "|".join(re.escape(str(word).lower()) for word in scope.choice("follow_up_pages")) or "(?!)"
    t = scope.facts["touches"]
    said = ibis.coalesce(t.event, "").concat(" ", ibis.coalesce(t.attributes, "")).lower()
    t = t.filter(t.kind == "visit", t.occurred_at <= instant(scope.as_of), said.re_search(words if words != "(?!)" else "^$^"))
    t = t.select("occurred_at", person="entity_id").inner_join(scope.facts["deal_person"], "person")
    return t.group_by(entity_id="deal").agg(back_at=t.occurred_at.max())


def _mailable(scope: Scope) -> ibis.Table:
    """(entity_id, mailable): may anybody on the deal be mailed?"""
    p = scope.facts["person"].select("marketable", person="entity_id")
    t = scope.facts["deal_person"].inner_join(p, "person")
    return t.group_by(entity_id="deal").agg(mailable=t.marketable.fill_null(True).any())


# -- ranked -----------------------------------------------------------------------------------------------------------------
def steps(scope: Scope) -> list[Step]:
    """All steps, each owner's by what is at stake, then by day."""
    return scope.once("steps", lambda: _steps(scope))


def _steps(scope: Scope) -> list[Step]:
    found = follow_ups(scope).to_pyarrow().to_pylist()
    deals = _deal_worth(scope) if any(r["kind"] == "deal" for r in found) else {}
    leads = lead_worth(scope) if any(r["kind"] == "person" for r in found) else {}
    made = [
        Step(r["entity_id"], r["kind"], r["owner_email"] or NOBODY, RULES[r["rule"]], r["due"],
             (deals if r["kind"] == "deal" else leads).get(r["entity_id"]))
        for r in found
    ]  # fmt: skip
    return sorted(made, key=lambda s: (s.owner, -(s.worth if s.worth is not None else -1.0), s.due or date.max, s.entity_id))


def _deal_worth(scope: Scope) -> dict[str, float]:
    """(chance now − chance once stalled) × amount of open deals; of stalled ones the whole of chance × amount. Of won ones the amount."""
    found = forecast.chances(scope)
    now, (stage, age) = found.open, found.place
    limits = stalled_after(scope)
    slow = np.array([limits(code) for code in found.codes]) if len(stage) else np.zeros(0)
    table = hz.won_within(found.hazards, forecast.EVER)
    chance, later = table[stage, age], table[stage, np.minimum(slow, hz.AGES - 1).astype(int)]
    gain = np.where(now.age > slow, chance, np.maximum(chance - later, 0.0)) * now.amount
    worth = {name: round(float(v), 2) for name, v in zip(found.names, gain, strict=True) if not np.isnan(v)}
    d = scope.facts["deal"].filter(lambda t: t.outcome == "won")
    d = d.filter(d.currency.identical_to(ibis.literal(forecast.run(scope).currency, type="string")), d.amount.notnull())
    return worth | {r["entity_id"]: float(r["amount"]) for r in pairs(d.select("entity_id", "amount"))}


def lead_worth(scope: Scope) -> dict[str, float]:
    """Chance of an opportunity × win rate × mean won amount."""
    currency, _ = reporting_currency(scope)
    closed = closed_in(scope, *window(scope))
    ours = closed.currency.identical_to(ibis.literal(currency, type="string"))
    won = closed.outcome == "won"
    row = pairs(closed.agg(n=closed.count(), won=won.sum(), mean=mean(closed.amount, where=won & ours)))[0]
    if not row["n"] or row["mean"] is None:
        return {}
    each = row["won"] / row["n"] * row["mean"]
    s = scored(scope)
    chance = expected(s)
    return {name: round(float(p * each), 2) for name, p in zip(s.leads.who, chance, strict=True) if not np.isnan(p)}


# -- numbers --------------------------------------------------------------------------------------------------------------
def measure(scope: Scope) -> Iterator[Metric]:
    currency, others = reporting_currency(scope)
    today, every = scope.as_of.date(), steps(scope)
    words = "leads and deals for which this is the next step (numerator: overdue)"
    for rule in RULES.values():
        mine = [s for s in every if s.rule is rule]
        if mine:
            late = sum(s.due is not None and s.due < today for s in mine)
            dims = {"step": rule.name, "state": rule.state, "why": rule.why, "action": rule.action}
            yield Metric("follow_ups", words, dims, len(mine), f"{rule.of}s", len(mine), late, len(mine))
    place: dict[str, int] = {}
    for s in every:
        place[s.owner] = place.get(s.owner, 0) + 1
        if place[s.owner] <= SHOWN:
            yield _one(s, place[s.owner], currency, others)


def _one(s: Step, place: int, currency: str | None, others: Mapping[str, int]) -> Metric:
    words = "what depends on the step: of deals the chance that stalling would cost × amount, of leads the chance × mean won amount"
    due = "" if s.due is None else str(s.due)
    dims = {"owner": s.owner, "place": place, "entity": s.entity_id, "state": s.rule.state, "why": s.rule.why, "action": s.rule.action,
            "due": due}  # fmt: skip
    return Metric("follow_up", words, dims, s.worth, currency or "units", 1, excluded=others)


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """Those with this next step."""
    t = follow_ups(scope)
    return t.filter(t.rule == str(dims["step"]))


def one(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    t = follow_ups(scope)
    return t.filter(t.entity_id == str(dims["entity"]))
