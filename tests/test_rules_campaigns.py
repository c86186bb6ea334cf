# ruff: noqa: E501  (the literals are tables)
"""E-06 from literals: who answered a campaign by the CRM, and who came by it; each beside its near miss."""

from __future__ import annotations

from typing import Any

import pytest
from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import found_in, hit, miss
from unified_rows import row

MINE = ("E-06",)


def lead(id: str, **values: Any) -> dict[str, Any]:
    return row("person", "salesforce", id, resource="Lead", converted=False, **{"created_at": "2026-01-10", **values})


def listed(person: str, at: str, campaign: str = "C1", kind: str = "response") -> dict[str, Any]:
    """A membership of a campaign of Salesforce's."""
    of = {"resource": "CampaignMember", "channel": "campaign", "kind": kind, "campaign_id": campaign}
    return row("touch", "salesforce", f"m-{person}-{campaign}-{at}", person_id=person, occurred_at=at, **of)


def came(person: str, at: str, campaign: str = "flow_webinar", kind: str = "visit", account: str = "files") -> dict[str, Any]:
    of = {"resource": "ga4_events", "channel": "Email", "kind": kind, "campaign_id": campaign, "links": [f"salesforce:Lead:{person}"]}
    return row("touch", account, f"v-{person}-{campaign}-{at}", occurred_at=at, **of)


BASE = {
    "campaign": [
        row("campaign", "salesforce", "C1", name="Flow Webinar"),
        row("campaign", "salesforce", "C2", name="Hall 7"),
        row("campaign", "mailchimp", "M1", name="flow-webinar"),
        row("campaign", "hubspot", "H1", name="Flow Webinar"),  # a system without members
    ],
    "person": [lead("edge")],
    "touch": [came("edge", "2026-02-01", "x"), came("edge", "2026-06-28", "x")],  # how far back and up to when the web tells
}
HIT = {"entity_kind": "person", "field": "campaign", "fix": None}
CASES = [
    hit("E-06", "answered two days after he came", "a1", {**HIT, "values": {"salesforce": "answered 2026-05-10"}, "evidence.notes": ["Flow Webinar: nobody saw him come by it then"]},
        person=[lead("a1")], touch=[listed("a1", "2026-05-10"), came("a1", "2026-05-08T12:00")]),
    hit("E-06", "answered and never came", "a2", HIT, person=[lead("a2")], touch=[listed("a2", "2026-05-10")]),
    hit("E-06", "came and is no member", "a3", {**HIT, "values": {"salesforce": "came 2026-05-10"}, "evidence.notes": ["Flow Webinar: not a member of it who answered"]},
        person=[lead("a3")], touch=[came("a3", "2026-05-10T23:00"), came("a3", "2026-05-20")]),
    hit("E-06", "came and was only sent it", "a4", HIT, person=[lead("a4")], touch=[listed("a4", "2026-05-10", kind="send"), came("a4", "2026-05-10")]),
    hit("E-06", "clicked in a letter that is called so", "a5", HIT, person=[lead("a5")], touch=[came("a5", "2026-05-10", "M1", "click", "mailchimp")]),
    hit("E-06", "lead and contact are one person", "a6 a6c", HIT, person=[lead("a6", links=["salesforce:Contact:a6c"]), row("person", "salesforce", "a6c", created_at="2026-02-10")],
        touch=[came("a6", "2026-05-10")]),
    miss("E-06", "answered the day before, the day after, and late on the eve",
         person=[lead("b1"), lead("b2"), lead("b3")],
         touch=[listed("b1", "2026-05-10"), came("b1", "2026-05-11T23:59"), listed("b2", "2026-05-10"), came("b2", "2026-05-09T00:01"),
                listed("b3", "2026-05-10"), came("b3", "2026-03-01"), came("b3", "2026-05-10")]),
    miss("E-06", "a click in the letter, where the answer was noted", person=[lead("b4")], touch=[listed("b4", "2026-05-10"), came("b4", "2026-05-10", "M1", "click", "mailchimp")]),
    miss("E-06", "an opened letter is no answer; who was sent it did nothing", person=[lead("b5"), lead("b6")],
         touch=[came("b5", "2026-05-10", "M1", "open", "mailchimp"), listed("b6", "2026-05-10", kind="send")]),
    miss("E-06", "campaigns only one side knows", person=[lead("b7"), lead("b8")], touch=[listed("b7", "2026-05-10", "C2"), came("b8", "2026-05-10", "brand")]),
    miss("E-06", "answered before the web tells of anything, on its first day, and after its last",
         person=[lead("b9"), lead("b10"), lead("b11")], touch=[listed("b9", "2026-01-20"), listed("b10", "2026-02-01"), listed("b11", "2026-06-28")]),
    miss("E-06", "came before the CRM knew him; is not in it; came too lately",
         person=[lead("b12", created_at="2026-05-11"), row("person", "hubspot", "b13"), lead("b14")],
         touch=[came("b12", "2026-05-10"), {**came("b13", "2026-05-10"), "links": ["hubspot:contacts:b13"]}, came("b14", "2026-06-28T01:00")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("same", "found"), [({}, 0), ({"hall-7": ["messe 26"]}, 1), ({"Hall 7": ["Messe_26", "x"]}, 1), ({"Hall 8": ["Messe_26"]}, 0)]
)
def test_names_that_differ_are_one_campaign_where_the_funnel_says_so(same: dict[str, list[str]], found: int) -> None:
    rows = {**BASE, "person": [lead("p")], "touch": [listed("q", "2026-05-10", "C2"), came("p", "2026-05-10", "messe-26")]}
    assert found_in(rules=["E-06"], funnel={"thresholds": {"same_campaigns": same}}, **rows).num_rows == found


def test_so_many_days_apart_is_a_threshold() -> None:
    rows = {**BASE, "person": [*BASE["person"], lead("p")], "touch": [*BASE["touch"], listed("p", "2026-05-10"), came("p", "2026-05-08")]}
    assert found_in(rules=["E-06"], **rows).num_rows == 1
    assert found_in(rules=["E-06"], funnel={"thresholds": {"campaign_days": 2}}, **rows).num_rows == 0


def test_what_counts_as_an_answer_is_a_threshold() -> None:
    rows = {**BASE, "person": [lead("p")], "touch": [listed("q", "2026-05-10"), came("p", "2026-05-10")]}
    assert found_in(rules=["E-06"], **rows).num_rows == 1
    assert found_in(rules=["E-06"], funnel={"thresholds": {"campaign_answers": ["form"]}}, **rows).num_rows == 0


def test_a_person_and_campaign_are_one_finding_through_time() -> None:
    rows = {**BASE, "person": [lead("p")], "touch": [listed("q", "2026-05-10"), came("p", "2026-05-10")]}
    first = found_in(rules=["E-06"], **rows)
    more = {**rows, "touch": [*rows["touch"], came("p", "2026-05-20")]}
    assert first["finding_id"].to_pylist() == found_in(rules=["E-06"], **more)["finding_id"].to_pylist()
