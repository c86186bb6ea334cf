"""Who is behind a visitor's id: people who carry the same one, and the touches that belong to them."""

from __future__ import annotations

from functools import cache
from typing import Any

import ibis
import pytest
from test_resolve import groups, people
from unified_rows import NOW, moment, row, tables

from core import relations
from core.compiled import over
from core.facts import facts
from core.reconcile import reconcile
from core.resolve import resolve
from core.touches import touch_owners, touches

VISITOR = ["ga4:clients:1.2"]


def test_records_that_carry_one_visitors_id_are_one_person_and_say_why() -> None:
    found = people(
        row("person", "hubspot", "1", email="ada@example.org", links=VISITOR),
        row("person", "salesforce", "003", email="a.lovelace@example.org", links=VISITOR),
        row("person", "salesforce", "004", email="bob@example.org", links=["ga4:clients:1.20", "ga4:users:1.2", "vwo:clients:1.2"]),
    )
    assert groups(found) == {frozenset({"hubspot:1", "salesforce:003"})}
    assert [(r["evidence"], r["detail"]) for r in found.links.to_pylist()] == [("web_id", "ga4:clients:1.2")]


@pytest.mark.parametrize(("records", "one"), [(3, True), (4, False)])
def test_an_id_of_a_shared_device_glues_nobody(records: int, one: bool) -> None:
    found = people(*(row("person", "hubspot", str(i), email=f"p{i}@example.org", links=VISITOR) for i in range(records)))
    assert bool(groups(found)) is one


def test_the_number_of_a_shared_device_can_be_set() -> None:
    rows = [row("person", "hubspot", str(i), links=VISITOR) for i in range(2)]
    known = tables(person=rows)
    assert groups(resolve(known, {"thresholds": {"shared_web_id_records": 1}})) == set()


def test_deleted_records_say_nothing_about_a_visitor() -> None:
    found = people(row("person", "hubspot", "1", links=VISITOR), row("person", "salesforce", "003", links=VISITOR, deleted=True))
    assert groups(found) == set()


def test_an_id_that_is_a_pulled_record_is_a_link_and_no_visitor() -> None:
    target = ["salesforce:Contact:003A"]
    found = people(
        row("person", "hubspot", "1", links=target), row("person", "hubspot-two", "2", links=target), row("person", "salesforce", "003A")
    )
    assert groups(found) == {frozenset({"hubspot:1", "hubspot-two:2", "salesforce:003A"})}
    assert {r["evidence"] for r in found.links.to_pylist()} == {"link"}


def test_a_link_inside_a_vendor_is_no_visitor_of_it() -> None:
    gone = ["hubspot:contacts:99"]  # of two portals: two different contacts that were never pulled
    found = people(row("person", "hubspot", "1", links=gone), row("person", "hubspot-two", "2", links=gone))
    assert groups(found) == set()


def test_links_to_what_nobody_pulls_are_no_finding() -> None:
    carried = ["ga4:clients:1.2", "optimizely:visitors:oeu1", "vwo:visitors:D0A"]
    known = tables(
        person=[row("person", "hubspot", "1", links=carried), row("person", "salesforce", "003")],
        tally=[row("tally", "ga4", "t1", resource="sessions")],
        touch=[row("touch", "optimizely", "x", resource="visitors", links=["optimizely:visitors:oeu1"])],
    )
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    found = reconcile(known, members, facts(known, members, {}, NOW, run), {}, NOW, None, frozenset({"I-06"}), run)
    assert found.num_rows == 0


# -- touches ----------------------------------------------------------------------------------------------------------------
PERSONS = [
    row("person", "hubspot", "1", email="ada@example.org", links=VISITOR),
    row("person", "salesforce", "003000000000001AAA", email="bob@example.org", other_emails=["bobby@example.org"]),
    row("person", "hubspot", "3", email="one@example.org", links=["ga4:clients:kiosk"]),
    row("person", "mailchimp", "m4", email="two@example.org", links=["ga4:clients:kiosk"]),
    row("person", "mailchimp", "m5", email="info@example.org", list_id="a"),
    row("person", "mailchimp", "m6", email="info@example.org", list_id="b"),
]
FUNNEL = {"thresholds": {"shared_web_id_records": 0}}


def attached(*rows: dict[str, Any]) -> dict[str, str]:
    """touch id → vendor id of a record of the person it belongs to"""
    known = tables(person=PERSONS, touch=list(rows))
    run = over(known, FUNNEL)
    members = resolve(known, FUNNEL, compiled=run).members
    names: dict[str, str] = {}
    for m in members.to_pylist():
        names.setdefault(m["entity_id"], m["vendor_id"])
    table = ibis.memtable(members)
    owners = touch_owners(known, table, relations.people(known, table))
    found = touches(known, owners).select("vendor_id", "entity_id").to_pyarrow().to_pylist()
    assert len(found) == len({t["vendor_id"] for t in found})
    return {t["vendor_id"]: names[t["entity_id"]] for t in found}


TOUCHES: list[tuple[dict[str, Any], str | None]] = [
    ({"account": "hubspot", "person_id": "1"}, "1"),
    ({"account": "ga4", "links": VISITOR}, "1"),
    ({"account": "ga4", "links": ["ga4:clients:nobody", *VISITOR]}, "1"),
    ({"account": "vwo", "links": ["hubspot:contacts:1"]}, "1"),
    ({"account": "hotjar", "links": ["salesforce:Contact:003000000000001"]}, "003000000000001AAA"),
    ({"account": "hotjar", "email": " Ada@Example.org"}, "1"),
    ({"account": "hotjar", "email": "bobby@example.org"}, "003000000000001AAA"),
    ({"account": "hubspot", "person_id": "3", "links": VISITOR, "email": "bob@example.org"}, "3"),
    ({"account": "ga4", "links": VISITOR, "email": "bob@example.org"}, "1"),
    ({"account": "ga4", "person_id": "1", "email": "bob@example.org"}, "003000000000001AAA"),
    ({"account": "ga4", "person_id": "1"}, None),
    ({"account": "ga4", "links": ["ga4:clients:kiosk"]}, None),
    ({"account": "ga4", "links": [*VISITOR, "hubspot:contacts:3"]}, None),
    ({"account": "hotjar", "email": "info@example.org"}, None),
    ({"account": "hotjar", "email": "stranger@example.org"}, None),
    ({"account": "hubspot", "person_id": "1", "deleted": True}, None),
]


@cache
def of_touches() -> dict[str, str]:
    """All of them in one lake: none says anything about another."""
    return attached(
        *(
            row("touch", touch["account"], str(i), **{k: v for k, v in touch.items() if k != "account"})
            for i, (touch, _) in enumerate(TOUCHES)
        )
    )


@pytest.mark.parametrize("i", range(len(TOUCHES)), ids=[str(touch) for touch, _ in TOUCHES])
def test_a_touch_belongs_to_whom_it_names_first_by_id_then_by_link_then_by_address(i: int) -> None:
    assert of_touches().get(str(i)) == TOUCHES[i][1]


def test_a_visit_with_a_stage_dates_the_milestone_of_the_person_behind_the_visitor() -> None:
    known = tables(person=PERSONS, touch=[row("touch", "ga4", "t", links=VISITOR, stage="M00", occurred_at="2026-05-01T10:00")])
    run = over(known, FUNNEL)
    members = resolve(known, FUNNEL, compiled=run).members
    m = facts(known, members, FUNNEL, NOW, run)["milestone"]
    assert m.filter(m.code == "M00", ~m.implied).reached_at.to_pyarrow().to_pylist() == [moment("2026-05-01T10:00")]
