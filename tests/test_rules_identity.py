# ruff: noqa: E501  (the literals are tables)
"""The rules of identity and structure, each at both sides of its threshold."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from unified_rows import NOW, row, tables

from core.facts import facts
from core.reconcile import reconcile
from core.resolve import resolve

RECENTLY = NOW - timedelta(minutes=3)
OPEN = {"stage": "M50", "closed": False, "won": False, "raw_stage": "q", "amount": 1000, "currency": "EUR"}
WON = {"stage": "M80", "closed": True, "won": True}
FREE = {"free_mail": ["gmail.com"]}


def found(rule: str, funnel: dict[str, Any] | None = None, **rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rule's findings by the vendor ids of their records, joined with a space."""
    known = tables(**rows)
    members = resolve(known, funnel or FREE).members
    table = reconcile(known, members, facts(known, members, funnel or FREE, NOW), funnel or FREE, NOW, rules=[rule])
    return {" ".join(sorted(r[2] for r in json.loads(f["records"]))): f for f in table.to_pylist()}


def note(finding: dict[str, Any]) -> list[str]:
    return json.loads(finding["evidence"])["notes"]


def contact(id: str, **values: Any) -> dict[str, Any]:
    return row("person", "hubspot", id, **values)


def sf(id: str, **values: Any) -> dict[str, Any]:
    return row("person", "salesforce", id, **values)


def lead(id: str, **values: Any) -> dict[str, Any]:
    return row("person", "salesforce", id, resource="Lead", **{"converted": False, **values})


def company(id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    return row("company", account, id, **values)


def deal(id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    return row("deal", account, id, **{**OPEN, **values})


def tie(from_kind: str, from_id: str, to_kind: str, to_id: str, account: str = "hubspot") -> dict[str, Any]:
    return row("association", account, f"{from_id}-{to_id}", from_kind=from_kind, from_id=from_id, to_kind=to_kind, to_id=to_id)


# -- I-03 -----------------------------------------------------------------------------------------------------------------
PLACED = contact("placed", email="placed@acme.example", company_id="co")


def test_a_contact_beside_the_only_company_of_its_domain_can_be_associated():
    got = found("I-03", person=[PLACED, contact("p", email="ada@eu.acme.example")], company=[company("co", domain="acme.example")])
    assert set(got) == {"p"}
    fix = json.loads(got["p"]["fix"])
    assert (fix["field"], fix["value"], fix["policy"]) == ("company_id", "co", "fill_blank")


def test_of_several_companies_with_the_domain_a_person_chooses():
    got = found("I-03", person=[PLACED, contact("p", email="ada@acme.example")], company=[company("co", domain="acme.example"), company("co2", domain="acme.example")])
    assert got["p"]["fix"] is None
    assert got["p"]["question"]


@pytest.mark.parametrize(
    "near_miss",
    [
        {"email": "ada@gmail.com"},
        {"email": "ada@other.example"},
        {"email": "ada@acme.example", "company_id": "elsewhere"},
        {"email": "ada@acme.example", "created_at": RECENTLY},
        {"email": "ada@acme.example", "converted": False},
        {"email": "ada@acme.example", "list_id": "letter"},
    ],
    ids=["free mail", "another domain", "has one", "just made", "a lead", "a member of a list"],
)
def test_who_is_no_orphan(near_miss: dict[str, Any]):
    companies = [company("co", domain="acme.example"), company("free", domain="gmail.com")]
    assert found("I-03", person=[PLACED, contact("p", **near_miss)], company=companies) == {}


def test_an_association_places_a_contact_too_and_a_system_without_any_is_no_evidence():
    people = [contact("p", email="ada@acme.example"), contact("q", email="bo@acme.example")]
    one = [company("co", domain="acme.example")]
    assert found("I-03", person=people, company=one) == {}
    assert set(found("I-03", person=people, company=one, association=[tie("companies", "co", "contacts", "p")])) == {"q"}


# -- I-05 -----------------------------------------------------------------------------------------------------------------
def test_a_deal_without_company_takes_that_of_its_only_contact():
    rows = {
        "deal": [deal("d"), deal("sound", company_id="co")],
        "person": [contact("p", company_id="co"), contact("q", company_id="co")],
        "company": [company("co")],
    }
    one = found("I-05", **rows, association=[tie("deals", "d", "contacts", "p")])
    assert (set(one), json.loads(one["d"]["fix"])["value"]) == ({"d"}, "co")
    two = found("I-05", **rows, association=[tie("deals", "d", "contacts", "p"), tie("deals", "d", "contacts", "q")])
    assert (two["d"]["fix"], bool(two["d"]["question"])) == (None, True)


def test_a_deal_has_a_company_when_one_of_its_mirrors_has():
    rows = {
        "deal": [deal("d"), deal("006", "salesforce", links=["hubspot:deals:d"], company_id="001"), deal("sound", company_id="co"), deal("new", created_at=RECENTLY)],
        "company": [company("co"), company("001", "salesforce")],
    }
    assert found("I-05", **rows) == {}


def test_a_system_that_names_no_company_for_any_deal_is_no_evidence():
    assert found("I-05", deal=[deal("d"), deal("006", "salesforce", company_id="001")], company=[company("co"), company("001", "salesforce")]) == {}


# -- I-07, I-09 -----------------------------------------------------------------------------------------------------------
def test_a_link_to_a_merged_record_is_told_with_the_survivor_of_a_chain_of_merges():
    rows = [
        contact("p", links=["salesforce:Contact:0031"]),
        sf("0031", deleted=True, merged_into="0032"),
        sf("0032", deleted=True, merged_into="0033"),
        sf("0033"),
    ]
    got = found("I-07", person=rows)
    assert (set(got), note(got["p"])) == ({"p"}, ["merged into 0033"])


def test_a_link_to_a_loser_that_was_never_pulled_and_one_to_a_deleted_record():
    rows = [sf("0031", links=["hubspot:contacts:1"]), contact("2", merged_ids=["1"]), sf("0034", links=["hubspot:contacts:4"]), contact("4", deleted=True)]
    got = found("I-07", person=rows)
    assert {key: note(f) for key, f in got.items()} == {"0031": ["merged into 2"], "0034": ["deleted"]}


def test_links_to_live_or_unknown_records_are_no_links_to_the_gone():
    rows = [
        contact("p", links=["salesforce:Contact:0031", "salesforce:Contact:unknown"]),
        sf("0031"),
        contact("dead", links=["salesforce:Contact:0039"], deleted=True),
        sf("0039", deleted=True),
    ]
    assert found("I-07", person=rows) == {}


def test_a_deal_whose_mirror_was_deleted_is_not_also_a_missing_mirror():
    rows = [deal("d", links=["salesforce:Opportunity:006"], attributes='{"sync":"true"}'), deal("006", "salesforce", deleted=True), deal("007", "salesforce")]
    assert set(found("I-07", deal=rows)) == {"d"}
    assert found("I-06", deal=rows) == {}


def test_a_copied_contact_that_kept_the_id_of_its_original_contradicts_it_and_is_another_person():
    rows = [contact("h", links=["salesforce:Contact:0031"]), sf("0031", links=["hubspot:contacts:h"]), sf("0032", links=["hubspot:contacts:h"])]
    got = found("I-09", person=rows)
    assert (set(got), got["0032 h"]["severity"]) == ({"0032 h"}, "S1")
    members = {m["vendor_id"]: m["entity_id"] for m in resolve(tables(person=rows), {}).members.to_pylist()}
    assert members["h"] == members["0031"] != members["0032"]


def test_crossed_ids_of_two_deals():
    rows = [
        deal("1", links=["salesforce:Opportunity:006B"]), deal("006A", "salesforce", links=["hubspot:deals:1"]),
        deal("2", links=["salesforce:Opportunity:006B"]), deal("006B", "salesforce", links=["hubspot:deals:2"]),
    ]  # fmt: skip
    assert set(found("I-09", deal=rows)) == {"006B 1", "006A 1"}


@pytest.mark.parametrize(
    "rows",
    [
        [contact("h", links=["salesforce:Contact:003000000000001"]), sf("003000000000001AAA", links=["hubspot:contacts:h"])],
        [contact("h", links=["salesforce:Contact:0031", "salesforce:Lead:00Q1"]), sf("0031", links=["hubspot:contacts:h"]), lead("00Q1", links=["hubspot:contacts:h"])],
        [contact("h", links=["salesforce:Contact:0031"]), sf("0031", deleted=True), sf("0032", links=["hubspot:contacts:h"])],
        [contact("h"), sf("0031", links=["hubspot:contacts:h"])],
        [contact("h", links=["salesforce:Contact:0031"]), sf("0031", links=["hubspot:contacts:h"]), row("person", "salesforce-eu", "0032", links=["hubspot:contacts:h"])],
    ],
    ids=["15 characters", "lead and contact", "the other is deleted", "one side only", "another org"],
)
def test_ids_that_do_not_contradict_each_other(rows: list[dict[str, Any]]):
    assert found("I-09", person=rows) == {}


# -- I-08 -----------------------------------------------------------------------------------------------------------------
def test_an_open_lead_beside_a_contact_of_the_same_address():
    got = found("I-08", person=[lead("00Q1", email="Ada@acme.example"), sf("0031", email="ada@acme.example ")])
    assert set(got) == {"0031 00Q1"}


@pytest.mark.parametrize(
    "rows",
    [
        [lead("00Q1", email="a@x.example", converted=True), sf("0031", email="a@x.example")],
        [lead("00Q1", email="a@x.example"), sf("0031", email="b@x.example")],
        [lead("00Q1", email="a@x.example"), sf("0031", email="a@x.example", deleted=True)],
        [lead("00Q1", email="a@x.example"), contact("h", email="a@x.example")],
        [lead("00Q1"), sf("0031")],
    ],
    ids=["converted", "another address", "the contact is deleted", "another system", "no address"],
)
def test_a_lead_that_has_no_contact_beside_it(rows: list[dict[str, Any]]):
    assert found("I-08", person=rows) == {}


# -- I-11 -----------------------------------------------------------------------------------------------------------------
def test_two_companies_of_one_domain_and_no_parent():
    got = found("I-11", company=[company("a", domain="acme.example", name="Acme"), company("b", domain="www.eu.acme.example", name="Acme Labs"), company("c", domain="acme.example", parent_id="a")])
    assert set(got) == {"a b"}


@pytest.mark.parametrize(
    "companies",
    [
        [company("a", domain="acme.example"), company("b", domain="acme.example", parent_id="a")],
        [company("a", domain="acme.example", parent_id="holding"), company("b", domain="acme.example", parent_id="holding")],
        [company("001000000000001AAA", "salesforce", domain="acme.example"), company("0012", "salesforce", domain="acme.example", parent_id="001000000000001")],
        [company("a", domain="acme.example"), company("001", "salesforce", domain="acme.example")],
        [company("a", domain="gmail.com"), company("b", domain="gmail.com")],
        [company("a", domain="acme.co.uk"), company("b", domain="other.co.uk")],
        [company("a", "activecampaign", domain="acme.example"), company("b", "activecampaign", domain="acme.example")],
        [company("a", domain="acme.example"), company("b", domain="acme.example", deleted=True)],
    ],
    ids=["parent", "siblings", "parent by 15 characters", "two systems", "free mail", "a public suffix", "no hierarchy there", "one is deleted"],
)
def test_companies_that_are_no_split_hierarchy(companies: list[dict[str, Any]]):
    assert found("I-11", company=companies) == {}


# -- I-12 -----------------------------------------------------------------------------------------------------------------
USERS = [
    row("owner", "hubspot", "1", email="ada@us.example", active=True),
    row("owner", "hubspot", "2", email="gone@us.example", active=False),
    row("owner", "salesforce", "005000000000001AAA", email="ada@us.example"),
]


def test_open_deals_and_leads_of_owners_who_left_or_whom_nobody_knows():
    got = found("I-12", owner=USERS, deal=[deal("left", owner_id="2"), deal("unknown", owner_id="9")], person=[lead("00Q1", owner_id="005X")])
    assert {key: note(f) for key, f in got.items()} == {"left": ["the user is inactive"], "unknown": ["no such user"], "00Q1": ["no such user"]}


def test_owners_who_are_there_closed_deals_queues_and_systems_whose_users_nobody_pulled():
    deals = [deal("there", owner_id="1"), deal("closed", owner_id="2", **WON), deal("none"), deal("ac", "activecampaign", owner_id="7"),
             deal("short", "salesforce", owner_id="005000000000001")]  # fmt: skip
    assert found("I-12", owner=USERS, deal=deals, person=[lead("00Q1", owner_id="00G1"), lead("00Q2", owner_id="005X", stage="MX")]) == {}
