"""The funnel by where people came from and whose they are, with the exits that compete, and what the plain counts cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import ibis

from core.errors import UserError
from core.measure.durations import incidence
from core.measure.episodes import came_back, ever
from core.measure.funnel import _progress, _reached, _sound, progress_of
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.touch_names import UNKNOWN, group
from core.tables import days_between, further, instant, sortable
from core.threshold_bounds import BREAKDOWNS

MOST = 20  # values of a breakdown that are listed; the rest are one
REST = "(all others)"


def measure(scope: Scope) -> Iterator[Metric]:
    steps = tuple(scope.choice("funnel_steps"))
    progress = progress_of(scope)
    for by in scope.choice("funnel_by"):
        yield from broken_down(scope, progress, steps, str(by))
    yield from young(scope, progress, steps)
    yield from hubspot(scope, progress, steps)
    yield units(scope)


def of_person(scope: Scope, by: str) -> ibis.Table:
    """(entity_id, part): what a person belongs to in a breakdown, one each. Campaign and variant: the first touch that names one.

    Raises: UserError for a breakdown that is none.
    """
    p = scope.persons
    if by == "owner":
        return p.select("entity_id", part=p.owner_email.strip().lower().nullif(""))
    if by == "source":
        return p.select("entity_id", part=group(scope, p.source).nullif(UNKNOWN))
    if by == "segment":
        c = scope.facts["company"].select(company_entity="entity_id", part="industry")
        return p.select("entity_id", "company_entity").left_join(c, "company_entity").select("entity_id", "part")
    if by not in BREAKDOWNS:
        raise UserError(f"funnel_by: no breakdown {by!r}", next_step=f"one of: {', '.join(BREAKDOWNS)}")
    t = scope.facts["touches"]
    t = t.filter(t.occurred_at.notnull(), t.occurred_at <= instant(scope.as_of), t.campaign_id.notnull())
    shown = t.kind == "exposure"
    t = t.filter(shown, t.event.notnull()) if by == "variant" else t.filter(~shown.fill_null(False))
    named = t.campaign_id.concat(" ", t.event) if by == "variant" else t.campaign_id
    t = t.mutate(part=named)
    return t.group_by("entity_id").agg(part=t.part.argmin(sortable(t.occurred_at).concat(t.part)))


def broken_down(scope: Scope, progress: ibis.Table, steps: tuple[str, ...], by: str) -> Iterator[Metric]:
    """Cohort reach (implied) over all months, by part: the largest parts, and the rest as one."""
    t = progress.filter(progress[f"at_{steps[0]}"].notnull())
    t = t.filter(_sound(t, steps[0])).left_join(of_person(scope, by), "entity_id")
    t = t.mutate(part=t.part.fill_null(UNKNOWN))
    counts = {f"n_{i}": _reached(t, "implied", steps, i).sum() for i in range(len(steps))}
    rows = pairs(t.group_by("part").agg(**counts))
    rows.sort(key=lambda r: (-r["n_0"], r["part"]))
    rest = rows[MOST:]
    shown = rows[:MOST] + ([{"part": REST, **{name: sum(r[name] for r in rest) for name in counts}}] if rest else [])
    for row in shown:
        for i, code in enumerate(steps):
            words = f"persons of this {by} with evidence of the milestone or a later one ÷ those who entered the first step"
            yield share("reach_by", words, {"by": by, "part": row["part"], "to": code}, row[f"n_{i}"] or 0, row["n_0"])


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The persons of a part who reached a step. "(all others)" are those without a part of their own in the report."""
    steps = tuple(scope.choice("funnel_steps"))
    t = _progress(scope, steps)
    t = t.filter(t[f"at_{steps[0]}"].notnull())
    t = t.filter(_sound(t, steps[0])).left_join(of_person(scope, str(dims["by"])), "entity_id")
    t = t.filter(t.part.fill_null(UNKNOWN) == dims["part"])
    return t.filter(_reached(t, "implied", steps, steps.index(str(dims["to"]))))


def competing(scope: Scope) -> Iterator[Metric]:
    """Reach within H days of all who entered a step, as if all were watched: those who were disqualified or lost cannot come any more."""
    progress, steps = progress_of(scope), tuple(scope.choice("funnel_steps"))
    gone = _exits(scope)
    for start, end in dict.fromkeys([*pairwise(steps), (steps[0], steps[-1])]):
        t = progress.filter(progress[f"at_{start}"].notnull(), progress[f"at_{start}"] <= instant(scope.as_of))
        t = t.filter(_sound(t, start, end)).left_join(gone, "entity_id").drop("entity_id_right")
        began, reached = t[f"at_{start}"], t[f"at_{end}"]
        undated = reached.isnull() & (t.top >= end).fill_null(False)
        left = ibis.ifelse(reached.isnull() & (t.gone_at >= began), t.gone_at, None)
        stop = ibis.coalesce(reached, left, instant(scope.as_of))
        days = days_between(began, stop).floor().cast("int64")
        kind = ibis.cases((reached.notnull(), 1), (left.notnull(), 2), else_=0)
        t = t.mutate(days=days, kind=kind, usable=~undated & (days >= 0))
        rows = pairs(t.group_by("days", "kind", "usable").agg(n=t.count()).order_by("days", "kind"))
        mine = [(float(r["days"]), int(r["kind"]), int(r["n"])) for r in rows if r["usable"]]
        found = incidence(mine, 2)
        away, lost = sum(int(r["n"]) for r in rows if not r["usable"]), sum(n for _, kind_, n in mine if kind_ == 2)
        excluded = {"reached, date unknown or before the start": away} if away else {}
        for horizon in scope.choice("within_days"):
            low, high = found.limits(float(horizon), 1)
            words = f"share that reaches the milestone within the days; disqualified and lost ones ({lost}) compete (Aalen-Johansen)"
            dims = {"from": start, "to": end, "days": horizon}
            value = found.at(float(horizon), 1) if found.n else None
            yield Metric("reach_within_cif", words, dims, value, "share", found.n, low=low, high=high, excluded=excluded)


def _exits(scope: Scope) -> ibis.Table:
    """(entity_id, gone_at): persons by when they were last disqualified, or the last of their deals was lost, with none open."""
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", m.reached_at.notnull())
    off = m.filter(m.code == "MX").select("entity_id", at="reached_at")
    d = scope.facts["milestone"].filter(lambda t: (t.kind == "deal") & (t.code == "M85") & t.reached_at.notnull())
    d = d.select(deal="entity_id", at="reached_at").inner_join(scope.facts["deal_person"], "deal")
    alone = scope.persons.filter(lambda p: (p.open_deals == 0) & (p.won_deals == 0)).select("entity_id")
    lost = d.select("at", entity_id="person").select("entity_id", "at").semi_join(alone, "entity_id")
    both = ibis.union(off, lost)
    return both.group_by("entity_id").agg(gone_at=both["at"].max())


def young(scope: Scope, progress: ibis.Table, steps: tuple[str, ...]) -> Iterator[Metric]:
    """What cohorts do not say: who is too young to be judged, and who was known only from a later step on (left truncation)."""
    horizon = max(int(days) for days in scope.choice("within_days"))
    began = progress[f"at_{steps[0]}"]
    fresh = (began > instant(scope.as_of - timedelta(days=horizon))).fill_null(False)
    later = began.isnull() & (progress.top > steps[0]).fill_null(False)
    row = pairs(progress.agg(n=progress.count(), fresh=fresh.sum(), began=began.notnull().sum(), later=later.sum()))[0]
    words = f"persons in a cohort for less than {horizon} days: their reach is still growing ÷ all in cohorts"
    yield share("young", words, {"days": horizon}, row["fresh"] or 0, row["began"] or 0)
    words = f"persons first known beyond {steps[0]} (imported, or a step skipped): in no cohort ÷ all with evidence"
    yield share("left_truncated", words, {"from": steps[0]}, row["later"] or 0, row["n"])


def hubspot(scope: Scope, progress: ibis.Table, steps: tuple[str, ...]) -> Iterator[Metric]:
    """As HubSpot's funnel report counts, to compare with it: "all stages" (in order, none left out) and "any stage"; created in the month.

    Source: HubSpot knowledge base, create custom funnel reports; read 2026-11.
    """
    p = scope.persons.filter(lambda t: t.created_at.notnull()).select("entity_id", month=lambda t: t.created_at.strftime("%Y-%m"))
    if came_back(scope) is not None:  # there a record is one, however often the person came
        progress = _progress(scope, steps, ever(scope))
    t = p.left_join(progress, "entity_id").drop("entity_id_right")
    counts: dict[str, Any] = {"created": t.count()}
    for mode, words in (("strict", "all"), ("any", "any")):
        counts |= {f"{words}_{i}": _reached(t, mode, steps, i).sum() for i in range(len(steps))}
    rows = pairs(t.group_by("month").agg(**counts).order_by("month"))
    for row in rows[-12:]:
        for mode in ("all", "any"):
            dims: dict[str, Any] = {"created": row["month"], "stages": mode}
            yield Metric(
                "hubspot_funnel", "persons created in the month", {**dims, "to": "created"}, row["created"], "persons", row["created"]
            )
            for i, code in enumerate(steps):
                said = "that went through all stages until this one, in order" if mode == "all" else "that were ever in this stage"
                words, n = f"persons created in the month {said}, as HubSpot's report counts", row[f"{mode}_{i}"] or 0
                yield share("hubspot_funnel", words, {**dims, "to": code}, n, row["created"])


def units(scope: Scope) -> Metric:
    """Persons with an opportunity are not opportunities: several persons are on one deal."""
    p = scope.persons
    furthest = further(p.furthest_stage)
    persons = int(p.filter(furthest >= "M50").count().execute())
    deals = int(scope.facts["deal"].count().execute())
    words = "persons with an opportunity ÷ opportunities (two units: several persons are on one deal)"
    return Metric("persons_per_opportunity", words, {}, persons / deals if deals else None, "×", deals, persons, deals)
