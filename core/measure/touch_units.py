"""What touches are credited with: won deals, open ones, and persons who reached a milestone; and the ways that led nowhere.

`of` names what a unit is: won, open, lost (deals), never (persons without a deal) or the code of a milestone.
"""

from __future__ import annotations

from functools import reduce

import ibis

from core.measure.metric import Scope
from core.measure.pipeline import closed_in, open_deals, window
from core.measure.seconds import DAY_S, seconds
from core.tables import MOMENT, instant, sortable

_COLUMNS = ("of", "unit", "since", "until", "made", "known", "known_person", "value")


def steps(scope: Scope) -> list[str]:
    """The milestones of persons that touches are credited with: the funnel's steps before the sale."""
    return [code for code in scope.choice("funnel_steps") if code < "M80"]


def units(scope: Scope, people: ibis.Table, persons: ibis.Table, currency: str | None) -> ibis.Table:
    """(no, of, unit, since, until, made, known, known_person, value): seconds since 1970; made: the deal; known: its oldest contact.

    no: a number for of and unit. value: the amount in the reporting currency, or 1 for a person. persons: with their numbers
    (core.measure.touch_paths.Names).
    """
    t = reduce(ibis.union, [_deals(scope, people, persons, currency), *_persons(scope, persons)])
    return t.mutate(no=ibis.row_number().over(order_by=["of", "unit"]))


def people_of(scope: Scope) -> ibis.Table:
    """(of, unit, person): the persons with a role on a deal, or all of its company where nobody has one; a person himself.

    Colleagues and tests are nobody.
    """
    pairs = scope.facts["deal_person"]
    deals = _ended(scope).select("of", "unit")
    on = deals.inner_join(pairs.select(unit="deal", person="person"), "unit").select("of", "unit", "person")
    bare = deals.anti_join(pairs.select(unit="deal"), "unit")
    company = scope.facts["deal_company"].select(unit="deal", company="company")
    around = bare.inner_join(company, "unit").inner_join(scope.facts["person_company"], "company").select("of", "unit", "person")
    counted = scope.persons.select(person="entity_id")
    of_deals = ibis.union(on, around).distinct().semi_join(counted, "person")
    alone = [t.select("of", "unit", person="unit") for t in _alone(scope)]
    return reduce(ibis.union, [of_deals, *alone])


def _ended(scope: Scope) -> ibis.Table:
    """(of, unit, amount, currency, created_at, ended): deals closed in the window, and open ones as they were created."""
    closed = closed_in(scope, *window(scope)).select("outcome", "amount", "currency", "created_at", "close_date", unit="entity_id")
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "deal", m.code.isin(["M80", "M85"]), m.reached_at.notnull())
    m = m.mutate(outcome=ibis.ifelse(m.code == "M80", "won", "lost"))
    closed = closed.left_join(m.select("outcome", "reached_at", unit="entity_id"), ["unit", "outcome"], rname="m_{name}")
    at = seconds(ibis.coalesce(closed.reached_at, closed.close_date.cast(MOMENT)))
    at = ibis.ifelse(at % DAY_S == 0, at + DAY_S - 1, at)  # a plain date: the whole day
    closed = closed.select("unit", "amount", "currency", "created_at", of="outcome", ended=at)
    d = open_deals(scope)
    opened = d.select("amount", "currency", "created_at", unit="entity_id", of=ibis.literal("open"), ended=seconds(d.created_at)).select(
        *closed.columns
    )
    return ibis.union(closed, opened)


def _deals(scope: Scope, people: ibis.Table, persons: ibis.Table, currency: str | None) -> ibis.Table:
    d = _ended(scope)
    d = d.filter(d.ended.notnull())
    p = people.filter(people.of.isin(["won", "open", "lost"])).inner_join(persons, "person_no")
    p = p.filter(p.created_at.notnull())
    first = sortable(p.created_at).concat(p.person)
    oldest = p.group_by("of", "unit").agg(known=seconds(p.created_at.min()), known_person=p.person_no.argmin(first))
    d = d.left_join(oldest, ["of", "unit"], rname="o_{name}")
    ours = d.currency.identical_to(ibis.literal(currency, type="string"))
    made = seconds(d.created_at)
    value = ibis.ifelse(ours, d.amount.cast("float64"), 0.0).fill_null(0.0)
    return _unit(scope, d.mutate(made=made, until=d.ended, value=value), ibis.coalesce(made, d.ended))


def _alone(scope: Scope) -> list[ibis.Table]:
    """(of, unit, until, created_at): persons who reached a step in the window; and those who have come to nothing yet."""
    p = scope.persons.select("created_at", "open_deals", "won_deals", "lost_deals", unit="entity_id")
    m = scope.facts["milestone"]
    first = seconds(instant(scope.as_of)) - int(scope.choice("window_days")) * DAY_S
    m = m.filter(m.kind == "person", ~m.implied, m.code.isin(steps(scope)), m.reached_at <= instant(scope.as_of))
    m = m.filter(seconds(m.reached_at) >= first)
    reached = m.select(of="code", unit="entity_id", until=seconds(m.reached_at)).inner_join(p, "unit")
    none = p.filter(p.open_deals + p.won_deals + p.lost_deals == 0, p.created_at.notnull(), p.created_at <= instant(scope.as_of))
    none = none.anti_join(m.filter(m.code >= "M50").select(unit="entity_id"), "unit")
    none = none.mutate(of=ibis.literal("never"), until=seconds(instant(scope.as_of)))
    return [t.select("of", "unit", "until", "created_at") for t in (reached, none)]


def _persons(scope: Scope, persons: ibis.Table) -> list[ibis.Table]:
    numbers = persons.select("person_no", unit="person")
    return [_person(scope, t.inner_join(numbers, "unit"), value) for t, value in zip(_alone(scope), (1.0, 0.0), strict=True)]


def _person(scope: Scope, t: ibis.Table, value: float) -> ibis.Table:
    known = seconds(t.created_at)
    since = ibis.least(ibis.coalesce(known, t.until), t.until)
    return _unit(scope, t.mutate(made=ibis.null("int64"), known=known, known_person=t.person_no, value=ibis.literal(value)), since)


def _unit(scope: Scope, t: ibis.Table, since: ibis.Value) -> ibis.Table:
    return t.mutate(since=since - int(scope.choice("lookback_days")) * DAY_S).select(*_COLUMNS)
