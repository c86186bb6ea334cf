"""Which events are due, from literals: who reached what, whose visitor it is, what the event says, what comes too late."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from described_vendors import ANALYTICS, HUBSPOT
from unified_rows import NOW, row, tables

from core.change import Plan
from core.compiled import over
from core.connector import Target
from core.entity_history import EntityHistory
from core.errors import UserError
from core.event_wishes import Told, Wished, event_id, events
from core.facts import facts
from core.mapping import compile_mapping
from core.plan import Limits, build, guard
from core.resolve import resolve

EVENTS = """
vendor: ga4
events:
  collect:
    qualify_lead: {of: person, reached: M30, params: {lead_source: source, tier: {const: gold}}}
    disqualify_lead: {of: person, reached: MX}
    close_convert_lead: {of: deal, reached: M80, value: amount}
    close_unconvert_lead: {of: deal, outcome: lost, value: amount, params: {unconvert_lead_reason: lost_reason}, late: now}
"""
CLIENT = ["ga4:clients:11.22"]


def person(vendor_id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    return row("person", account, vendor_id, **{"links": CLIENT, **values})


def reached(vendor_id: str, code: str, at: str, kind: str = "person", account: str = "hubspot") -> dict[str, Any]:
    return row(
        "stage_change", account, f"{kind}{vendor_id}{code}{at}", record_kind=kind, record_id=vendor_id,
        field="stage" if kind == "deal" else "lifecycle", value=code, stage=code, entered_at=at,
    )  # fmt: skip


def wished(
    text: str = EVENTS,
    told: Told | None = None,
    now: datetime = NOW,
    funnel: Any = None,
    past: EntityHistory | None = None,
    **given: list[dict[str, Any]],
) -> Wished:
    known = tables(**given)
    compiled = over(known, funnel or {})
    members = resolve(known, funnel or {}, compiled=compiled).members
    found = facts(known, members, funnel or {}, now, compiled)
    mapping = compile_mapping(text, ANALYTICS, name="m.yaml")
    return events("ga4", ANALYTICS, mapping, found, lambda target: told or Told(), now, compiled.also(mapping.events), past)


def said(found: Wished) -> list[dict[str, Any]]:
    return [json.loads(w.value or "") for w in found.wishes]


def test_a_person_who_got_there_is_told_with_source_and_constants() -> None:
    found = wished(person=[person("1", source="ads")], stage_change=[reached("1", "M30", "2026-06-29T10:00")])
    [wish] = found.wishes
    assert (wish.account, wish.target, wish.vendor_id, wish.field, wish.type) == ("ga4", "collect", "11.22", "qualify_lead", "event")
    assert said(found) == [{
        "event": "qualify_lead", "id": event_id("ga4", "collect", wish.entity_id, "qualify_lead"), "occurred_at": "2026-06-29T10:00:00Z",
        "value": None, "currency": None, "lead_source": "ads", "tier": "gold",
    }]  # fmt: skip


def test_nobody_is_told_of_who_has_no_visitor_id_or_no_date_or_is_a_colleague() -> None:
    changes = [reached(i, "M30", "2026-06-29T10:00") for i in ("1", "2", "4", "5")]
    people = [
        person("1", links=["vwo:visitors:9", "ga4:users:11.22", "ga4:clients:"]), person("2", links=[]), person("3", stage="M30"),
        person("4", links=["ga4:clients:4"], email="me@ourselves.example"), person("5", links=["ga4:clients:5"], deleted=True),
    ]  # fmt: skip
    assert wished(funnel={"exclude": {"domains": ["ourselves.example"]}}, person=people, stage_change=changes) == Wished()


def test_an_implied_rung_and_one_of_the_future_are_not_told() -> None:
    changes = [reached("1", "M50", "2026-06-29T10:00"), reached("2", "M30", "2026-07-02")]
    assert wished(person=[person("1"), person("2", links=["ga4:clients:2"])], stage_change=changes).wishes == []


def test_what_the_site_or_a_server_has_told_is_not_told_again() -> None:
    people = [person("1"), person("2", links=["ga4:clients:2"])]
    deals = [row("deal", "hubspot", i, person_id=i, outcome="won", stage="M80", amount="100", currency="EUR") for i in ("1", "2")]
    changes = [reached(i, "M30", "2026-06-29T10:00") for i in ("1", "2")] + [reached(i, "M80", "2026-06-29", "deal") for i in ("1", "2")]
    touches = [
        row("touch", "hubspot", "t1", kind="conversion", event="pe1_qualify_lead", person_id="1", occurred_at="2026-06-01"),
        row("touch", "hubspot", "t2", kind="conversion", event="close_convert_lead", person_id="2", deal_id="2", occurred_at="2026-06-29"),
        row("touch", "hubspot", "t3", kind="conversion", event="requalify_lead", person_id="2", occurred_at="2026-06-29"),
        row("touch", "hubspot", "t4", kind="visit", event="qualify_lead", person_id="2", occurred_at="2026-06-29"),
    ]
    found = wished(person=people, deal=deals, stage_change=changes, touch=touches)
    assert {(w.vendor_id, w.field) for w in found.wishes} == {("2", "qualify_lead"), ("11.22", "close_convert_lead")}


def test_several_records_of_one_person_make_one_event_for_the_visitor_of_the_oldest() -> None:
    people = [
        person("1", email="ada@example.org", created_at="2026-02-01", links=["ga4:clients:new"]),
        person("003", "salesforce", email="ada@example.org", created_at="2026-01-01", links=["ga4:clients:b", "ga4:clients:a"]),
    ]
    changes = [reached("1", "M30", "2026-06-29T10:00"), reached("003", "M30", "2026-06-28T10:00", account="salesforce")]
    [wish] = wished(person=people, stage_change=changes).wishes
    assert (wish.vendor_id, json.loads(wish.value or "")["occurred_at"]) == ("a", "2026-06-28T10:00:00Z")


def deal(vendor_id: str = "7", **values: Any) -> dict[str, Any]:
    return row("deal", "hubspot", vendor_id, **{"amount": "1200.50", "currency": "EUR", "stage": "M80", "outcome": "won", **values})


def joined(person_id: str, deal_id: str = "7") -> dict[str, Any]:
    return row(
        "association", "hubspot", f"{person_id}-{deal_id}", from_kind="person", from_id=person_id, to_kind="deal", to_id=deal_id
    )  # fmt: skip


WON = [reached("7", "M80", "2026-06-29T09:30", "deal")]


def test_a_won_deal_is_told_with_amount_and_currency_to_its_first_person_who_is_known() -> None:
    people = [
        person("1", links=[], created_at="2026-01-01"), person("2", links=["ga4:clients:2"], created_at="2026-02-01"),
        person("3", links=["ga4:clients:3"], created_at="2026-03-01"),
    ]  # fmt: skip
    found = wished(person=people, deal=[deal()], association=[joined(i) for i in "321"], stage_change=WON)
    [wish] = found.wishes
    assert wish.vendor_id == "2"
    assert (said(found)[0]["value"], said(found)[0]["currency"], said(found)[0]["occurred_at"]) == ("1200.5", "EUR", "2026-06-29T09:30:00Z")


def test_a_deals_primary_person_goes_before_older_ones_and_its_own_link_before_all() -> None:
    people = [person("2", links=["ga4:clients:2"], created_at="2026-01-01"), person("3", links=["ga4:clients:3"], created_at="2026-03-01")]
    given = {"person": people, "association": [joined("2")], "stage_change": WON}
    assert [w.vendor_id for w in wished(deal=[deal(person_id="3")], **given).wishes] == ["3"]
    assert [w.vendor_id for w in wished(deal=[deal(person_id="3", links=["ga4:clients:own"])], **given).wishes] == ["own"]


def test_a_lost_deal_is_told_while_it_stands_lost() -> None:
    lost = {"person": [person("1")], "association": [joined("1")], "stage_change": [reached("7", "M85", "2026-06-29T09:30", "deal")]}
    found = wished(deal=[deal(stage="M85", outcome="lost", lost_reason="price")], **lost)
    assert [(v["event"], v["unconvert_lead_reason"], v["value"]) for v in said(found)] == [("close_unconvert_lead", "price", "1200.5")]
    reopened = wished(deal=[deal(stage="M50", outcome="open")], **lost)
    assert reopened.wishes == []


def test_what_was_told_is_not_wished_again_even_when_the_person_got_another_entity_id() -> None:
    given = {"person": [person("1", links=["ga4:clients:1", "ga4:clients:2"])], "stage_change": [reached("1", "M30", "2026-06-29T10:00")]}
    [wish] = wished(**given).wishes
    assert wished(told=Told(ids={json.loads(wish.value or "")["id"]: NOW}), **given).wishes == []
    assert wished(told=Told(visits=frozenset({("collect", "2", "qualify_lead")})), **given).wishes == []
    assert len(wished(told=Told(visits=frozenset({("collect", "2", "disqualify_lead")})), **given).wishes) == 1


def test_two_deals_of_one_visitor_are_two_events() -> None:
    changes = [*WON, reached("8", "M80", "2026-06-29T11:00", "deal")]
    given = {"person": [person("1")], "deal": [deal(), deal("8")], "association": [joined("1"), joined("1", "8")], "stage_change": changes}
    found = wished(**given)
    assert [w.vendor_id for w in found.wishes] == ["11.22", "11.22"]
    told = Told({said(found)[0]["id"]: NOW}, frozenset({("collect", "11.22", "close_convert_lead")}))
    assert [v["id"] for v in said(wished(told=told, **given))] == [said(found)[1]["id"]]


@pytest.mark.parametrize(("age", "wishes", "held"), [(timedelta(hours=72), 1, 0), (timedelta(hours=73), 0, 1), (timedelta(days=31), 0, 0)])
def test_late_events_are_held_with_a_reason_and_history_is_left_alone(age: timedelta, wishes: int, held: int) -> None:
    at = (NOW - age).strftime("%Y-%m-%dT%H:%M")
    found = wished(person=[person("1")], stage_change=[reached("1", "M30", at)])
    assert (len(found.wishes), len(found.held)) == (wishes, held)
    assert all("older than the vendor accepts" in h.reason for h in found.held)


def test_a_late_event_may_be_told_with_the_current_time_and_says_so() -> None:
    given = {
        "person": [person("1")], "association": [joined("1")], "deal": [deal(stage="M85", outcome="lost")],
        "stage_change": [reached("7", "M85", "2026-06-10T09:30", "deal")],
    }  # fmt: skip
    first, later = wished(**given), wished(now=NOW + timedelta(days=1), **given)
    assert (said(first)[0]["occurred_at"], said(first)[0]["original_timestamp"]) == ("2026-06-30T00:00:00Z", "2026-06-10T09:30:00Z")
    assert first.held == []
    assert _plan(first).plan_id == _plan(later).plan_id  # the same event, although its time moves with the plan
    assert _plan(first).changes[0].after != _plan(later).changes[0].after


def _plan(found: Wished) -> Plan:
    return build(found.wishes, {}, now=NOW, as_of=NOW, limits=Limits())


def test_guards_count_events_but_ask_no_share_of_them() -> None:
    changes = [reached(str(i), "M30", "2026-06-29T10:00") for i in range(40)]
    found = wished(person=[person(str(i), links=[f"ga4:clients:{i}"]) for i in range(40)], stage_change=changes)
    assert guard(_plan(found), {}, [], Limits()).refusals == ()
    [refusal] = guard(_plan(found), {}, [], Limits(max_changes=39)).refusals
    assert refusal.startswith("ga4/collect: 40 events, more than limits.max_changes = 39")


def test_the_span_of_history_can_be_set() -> None:
    text = EVENTS.replace("reached: M30", "reached: M30, max_age_days: 2")
    found = wished(text, person=[person("1")], stage_change=[reached("1", "M30", "2026-06-27T10:00")])
    assert found == Wished()


def test_a_parameter_nobody_has_is_named_with_its_place() -> None:
    text = "vendor: ga4\nevents:\n  collect:\n    a: {of: person, reached: M30, params: {x: close_date}}\n"
    with pytest.raises(UserError, match="'close_date' is not known of a person") as caught:
        wished(text, person=[person("1")])
    assert caught.value.where == "m.yaml:4:5"


# -- what ops may write ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("event", "mistake"),
    [
        ("{of: person}", "m.yaml:4:5: either `reached` or `outcome` says when it is told"),
        ("{of: deal, reached: M80, outcome: won}", "m.yaml:4:5: either `reached` or `outcome` says when it is told"),
        ("{of: person, outcome: won}", "m.yaml:4:21: only a deal has an outcome"),
        ("{of: person, reached: M31}", "m.yaml:4:30: unknown milestone 'M31'; did you mean"),
        ("{of: person, reached: M85}", "m.yaml:4:30: a person is never lost"),
        ("{of: persn, reached: M30}", "m.yaml:4:13: unknown value 'persn'; did you mean 'person'?"),
        ("{of: deal, reached: M80, valu: amount}", "m.yaml:4:33: unknown key 'valu'; did you mean 'value'?"),
        ("{of: deal, reached: M80, value: amont}", "m.yaml:4:40: unknown number 'amont'; did you mean 'amount'?"),
        ("{of: deal, reached: M80, params: {x: sourc}}", "m.yaml:4:45: unknown value to tell 'sourc'; did you mean 'source'?"),
        ("{of: deal, reached: M80, params: {x: email}}", "m.yaml:4:45: 'email' is personal data; an event must not carry it"),
        ("{of: deal, reached: M80, params: {value: amount}}", "m.yaml:4:42: 'value' is filled by the hub"),
        ("{of: deal, reached: M80, params: {x: {}}}", "m.yaml:4:45: either a value of ours or `const`"),
        ("{of: deal, reached: M80, late: drop}", "m.yaml:4:39: unknown value 'drop'"),
        ("{of: deal, reached: M80, max_age_days: 0}", "m.yaml:4:47: Input should be greater than 0"),
    ],
)
def test_each_mistake_is_one_line_with_its_place(event: str, mistake: str) -> None:
    with pytest.raises(UserError) as caught:
        compile_mapping(f"vendor: ga4\nevents:\n  collect:\n    a: {event}\n", ANALYTICS, name="m.yaml")
    [line] = str(caught.value).splitlines()
    assert line.startswith(mistake)


def test_targets_of_the_other_kind_and_unknown_ones_are_named() -> None:
    text = "vendor: ga4\npush:\n  collect: {x: {from: stage}}\nevents:\n  audiences: {}\n  colect: {}\n"
    with pytest.raises(UserError) as caught:
        compile_mapping(text, ANALYTICS, name="m.yaml")
    assert str(caught.value).splitlines() == [
        "m.yaml:3:3: 'collect' takes events, no fields; write them under `events`",
        "m.yaml:5:3: 'audiences' takes fields, no events; write them under `push`",
        "m.yaml:6:3: ga4 has no target 'colect'; did you mean 'collect'?",
    ]


def test_a_vendor_without_events_is_asked_nothing() -> None:
    def never(target: Target) -> Told:
        raise AssertionError("asked the ledger")

    mapping = compile_mapping("vendor: hubspot", HUBSPOT)
    assert events("hubspot", HUBSPOT, mapping, {}, never, NOW, over({}, {})) == Wished()
