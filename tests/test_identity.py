"""Who is who where it is doubtful: too much evidence, weak evidence, and what people decided. From literals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_resolve import entity, groups, people
from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.identity_decisions import Decision
from core.reconcile import reconcile
from core.resolve import Resolution, resolve

SMALL = {"thresholds": {"component_records": 4, "bridge_records": 2}}


def decided(*decisions: Decision, funnel: Any = None, **rows: list[dict[str, Any]]) -> Resolution:
    return resolve(tables(**rows), funnel or {}, decisions=decisions)


def found(funnel: Any, rules: tuple[str, ...], *decisions: Decision, **rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = tables(**rows)
    run = over(known, funnel)
    said = resolve(known, funnel, compiled=run, decisions=decisions)
    ground = facts(known, said.members, funnel, NOW, run) | {"cut": run.give("fact.cut", said.cuts)}
    return list(reconcile(known, said.members, ground, funnel, NOW, rules=rules, compiled=run).to_pylist())


# -- what holds without doubt -------------------------------------------------------------------------------------------------
def test_merges_in_a_row_end_in_the_last_survivor():
    chained = people(
        row("person", "salesforce", "003A", merged_into="003B", deleted=True),
        row("person", "salesforce", "003B", merged_into="003C", deleted=True),
        row("person", "salesforce", "003C"),
        row("person", "hubspot", "1", links=["salesforce:Contact:003A"]),
    )
    assert groups(chained) == {frozenset({"salesforce:003A", "salesforce:003B", "salesforce:003C", "hubspot:1"})}


def test_a_deal_that_two_systems_mirror_is_counted_once():
    open_ = {"stage": "M50", "closed": False, "won": False, "raw_stage": "q", "amount": 100, "currency": "EUR"}
    known = tables(
        deal=[row("deal", "hubspot", "1", **open_, links=["salesforce:Opportunity:0061"]), row("deal", "salesforce", "0061", **open_)]
    )
    run = over(known, {})
    deals = facts(known, resolve(known, {}, compiled=run).members, {}, NOW, run)["deal"].to_pyarrow().to_pylist()
    assert [(deal["outcome"], int(deal["amount"]), deal["systems"]) for deal in deals] == [("open", 100, 2)]


def test_evidence_says_which_address_it_is():
    twice = people(
        row("person", "hubspot", "1", email="ada@example.com", other_emails=["old@example.com"]),
        row("person", "mailchimp", "m1", email="old@example.com"),
        row("person", "salesforce", "003", email="old@example.com"),
    )
    pairs = [(r["left_key"], r["right_key"], r["evidence"]) for r in twice.links.to_pylist()]
    assert pairs == [
        ("mailchimp:members:m1", "hubspot:contacts:1", "other_email"),
        ("mailchimp:members:m1", "salesforce:Contact:003", "email"),
    ]


# -- groups in doubt --------------------------------------------------------------------------------------------------------------
COPIED = [row("person", "hubspot", str(n), email=f"p{n}@example.com", links=["salesforce:Contact:003X"]) for n in range(5)]
MAILED = [row("person", "mailchimp", f"m{n}", email=f"p{n}@example.com") for n in range(5)]
CENTRE = row("person", "salesforce", "003X", email="x@example.com")


def test_an_id_that_was_copied_everywhere_joins_nobody_and_is_asked_about():
    (asked,) = found(SMALL, ("I-02", "I-09"), person=[*COPIED, *MAILED, CENTRE])
    assert (asked["rule"], asked["severity"], asked["field"]) == ("I-09", "S1", "records")
    assert {key for _, _, key in json.loads(asked["records"])} == {"003X", *"01234"}
    assert json.loads(asked["evidence"])["notes"] == ["more than 4 live records hang together; not believed: link (5)"]
    together = groups(resolve(tables(person=[*COPIED, *MAILED, CENTRE]), SMALL))
    assert together == {frozenset({f"hubspot:{n}", f"mailchimp:m{n}"}) for n in range(5)}


def test_a_group_that_is_not_too_large_is_left_whole():
    assert found({}, ("I-02", "I-09"), person=[*COPIED, *MAILED, CENTRE]) == []
    assert len(groups(resolve(tables(person=[*COPIED, *MAILED, CENTRE]), {}))) == 1


def two_on_one_device() -> list[dict[str, Any]]:
    kiosk = ["ga4:clients:1.2"]
    return [
        row("person", "hubspot", "a", email="a@example.com", links=kiosk), row("person", "mailchimp", "ma", email="a@example.com"),
        row("person", "salesforce", "b", email="b@example.com", links=kiosk), row("person", "mailchimp", "mb", email="b@example.com"),
    ]  # fmt: skip


def test_two_groups_that_one_browser_joins_stay_two_and_are_asked_about_without_addresses():
    (asked,) = found(SMALL, ("I-02", "I-09"), person=two_on_one_device())
    assert (asked["rule"], {key for _, _, key in json.loads(asked["records"])}) == ("I-02", {"a", "b"})
    assert "one weak piece of evidence" in asked["evidence"]
    assert "1.2" not in json.dumps(asked, default=str)
    parted = resolve(tables(person=two_on_one_device()), SMALL)
    assert groups(parted) == {frozenset({"hubspot:a", "mailchimp:ma"}), frozenset({"salesforce:b", "mailchimp:mb"})}
    assert [(c["evidence"], c["why"]) for c in parted.cuts.to_pylist()] == [("web_id", "bridge")]


def test_a_person_who_says_they_are_one_or_two_is_not_asked_again():
    keys = ("hubspot:contacts:a", "salesforce:Contact:b")
    assert found(SMALL, ("I-02",), Decision(*keys, "one"), person=two_on_one_device()) == []
    assert found(SMALL, ("I-02",), Decision(*keys, "two"), person=two_on_one_device()) == []


# -- what people decided -----------------------------------------------------------------------------------------------------------
def test_a_link_joins_what_nothing_else_joins_and_says_why():
    joined = decided(
        Decision("hubspot:contacts:1", "salesforce:Contact:003", "one", "same desk"),
        person=[row("person", "hubspot", "1"), row("person", "salesforce", "003")],
    )
    assert groups(joined) == {frozenset({"hubspot:1", "salesforce:003"})}
    assert [(r["evidence"], r["detail"]) for r in joined.links.to_pylist()] == [("manual", "same desk")]


def test_a_cut_wins_over_all_evidence_and_the_older_one_keeps_the_id():
    rows = [
        row("person", "hubspot", "1", email="a@example.com", created_at="2026-02-01", links=["salesforce:Contact:003"]),
        row("person", "salesforce", "003", email="a@example.com", created_at="2025-01-01"),
        row("person", "mailchimp", "m", email="a@example.com", created_at="2026-03-01"),
    ]
    before = people(*rows)
    cut = Decision("salesforce:Contact:003", "hubspot:contacts:1", "two", "father and son")
    after = resolve(tables(person=rows), {}, before.members, decisions=[cut])
    assert groups(after) == {frozenset({"salesforce:003", "mailchimp:m"})}
    assert entity(after, "salesforce", "003") == entity(before, "salesforce", "003")
    assert {c["why"] for c in after.cuts.to_pylist()} == {"apart"}


@pytest.mark.parametrize("named", ["salesforce:Contact:003000000000001", "salesforce:Contact:003000000000001AAA"])
def test_a_record_may_be_named_by_either_length_of_its_id(named: str):
    joined = decided(
        Decision("hubspot:contacts:1", named, "one"),
        person=[row("person", "hubspot", "1"), row("person", "salesforce", "003000000000001AAA")],
    )
    assert len(groups(joined)) == 1


def test_a_record_may_be_named_by_the_id_it_had_before_a_merge():
    rows = [row("person", "hubspot", "2", merged_ids=["1"]), row("person", "salesforce", "003")]
    assert len(groups(decided(Decision("hubspot:contacts:1", "salesforce:Contact:003", "one"), person=rows))) == 1


def test_decisions_about_unknown_records_and_about_two_kinds_are_told():
    known = Decision("hubspot:contacts:1", "salesforce:Contact:003", "one")
    lost = Decision("hubspot:contacts:1", "salesforce:Contact:00X", "one")
    mixed = Decision("hubspot:contacts:1", "hubspot:companies:7", "two")
    said = decided(
        known,
        lost,
        mixed,
        person=[row("person", "hubspot", "1"), row("person", "salesforce", "003")],
        company=[row("company", "hubspot", "7")],
    )
    assert said.unknown == (lost, mixed)
