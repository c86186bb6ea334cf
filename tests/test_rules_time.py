# ruff: noqa: E501  (the literals are tables)
"""Rules of time and sync health from literals: each beside its near miss."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_apply import Vendor, planned, run
from test_reconcile import WON, contact, found_in, hit, hs, ids, look, miss, path
from unified_rows import NOW, moment, row, tables

from core.compiled import over
from core.facts import facts
from core.ledger import Count, Ledger
from core.ledger_facts import SCHEMAS, ledger_facts
from core.ledger_plans import PlanBook
from core.reconcile import reconcile
from core.resolve import resolve

MINE = ("T-02", "T-03", "T-04")


def lived(record: str, *steps: tuple[str, str, str], account: str = "hubspot") -> list[dict[str, Any]]:
    """A person's lifecycle: (value, when, milestone)."""
    return [
        row(
            "stage_change",
            account,
            f"{record}:{i}",
            record_kind="person",
            record_id=record,
            field="lifecycle",
            value=value,
            entered_at=at,
            stage=code,
            writer="r",
        )
        for i, (value, at, code) in enumerate(steps)
    ]


def crowd(value: str, at: list[str]) -> dict[str, list[dict[str, Any]]]:
    names = [f"{value}{i:02d}" for i in range(len(at))]
    return {
        "person": [contact(name) for name in names],
        "stage_change": [step for name, when in zip(names, at, strict=True) for step in lived(name, (value, when, "M30"))],
    }


MINUTE = [f"2026-05-01T10:00:{2 * i:02d}" for i in range(10)]
SPREAD = [f"2026-03-{i + 1:02d}T10:00" for i in range(10)]
CASES = [
    hit("T-02", "a record changed six minutes after it was pulled", "t02a",
        {"values": {"hubspot": "2026-06-30T00:06:00Z"}, "evidence.notes": ["seen at 2026-06-30 00:00"]},
        person=[contact("t02a", updated_at="2026-06-30T00:06")]),
    hit("T-02", "a stage entered tomorrow", "t02b", deal=[hs("t02b")],
        stage_change=path("hubspot", "t02b", ("qualifiedtobuy", "2026-07-01", "M50"))),
    hit("T-02", "a touch of tomorrow names the person's record in that system", "t02c", {"values": {"hubspot": "2026-07-02T00:00:00Z"}},
        person=[contact("t02c"), row("person", "mailchimp", "t02d", links=["hubspot:contacts:t02c"])],
        touch=[row("touch", "hubspot", "e1", person_id="t02c", kind="conversion", event="x", occurred_at="2026-07-01"),
               row("touch", "hubspot", "e2", person_id="t02c", kind="conversion", event="x", occurred_at="2026-07-02")]),
    miss("T-02", "five minutes ahead; a close date and a next activity to come",
         person=[contact("t02e", updated_at="2026-06-30T00:05")],
         deal=[hs("t02f", close_date="2026-09-30", next_activity_at="2026-07-04")]),
    hit("T-03", "SQL two days before MQL", "t03a", {"values": {"hubspot": "M40 on 2026-05-01, M30 not before 2026-05-03"}},
        person=[contact("t03a")], stage_change=lived("t03a", ("salesqualifiedlead", "2026-05-01T09:00", "M40"), ("marketingqualifiedlead", "2026-05-03T10:00", "M30"))),
    hit("T-03", "a deal won before it was an opportunity", "t03b",
        deal=[hs("t03b", **{**WON, "created_at": "2026-03-01"})],
        stage_change=path("hubspot", "t03b", ("qualifiedtobuy", "2026-03-01", "M50"), ("closedwon", "2026-02-01", "M80"))[::-1]),
    miss("T-03", "a day apart; a customer who subscribes; who recommends before he buys again; a stage nobody dated; a deal's dates are not its persons'",
         person=[contact("t03c"), row("person", "mailchimp", "t03d", stage="M10", created_at="2026-06-01"), contact("t03e", stage="M40"),
                 contact("t03f"), contact("t03g")],
         stage_change=[
             *lived("t03c", ("salesqualifiedlead", "2026-05-01T09:00", "M40"), ("marketingqualifiedlead", "2026-05-02T09:00", "M30")),
             *lived("t03e", ("marketingqualifiedlead", "2026-05-02T09:00", "M30")),
             *lived("t03f", ("evangelist", "2026-05-01T09:00", "M95"), ("customer", "2026-06-02T09:00", "M80")),
             *lived("t03g", ("customer", "2026-05-01T09:00", "M80"), ("opportunity", "2026-06-02T09:00", "M50"))]),
    hit("T-04", "ten of ten in one minute", " ".join(f"bulk{i:02d}" for i in range(10)),
        {"evidence.notes": ["10 of 10 entered it in this minute"], "field": "lifecycle"}, **crowd("bulk", MINUTE)),
    miss("T-04", "nine in one minute; ten over days", **{
        kind: crowd("nine", MINUTE[:9])[kind] + crowd("slow", SPREAD)[kind] for kind in ("person", "stage_change")}),
]  # fmt: skip


@pytest.mark.parametrize("others", [40, 39])
def test_a_fifth_of_all_entries_in_one_minute_is_not_yet_a_bulk_stamp(others):
    spread = [f"2026-03-{1 + i % 28:02d}T{10 + i // 28}:00" for i in range(others)]
    assert found_in(rules=["T-04"], **crowd("some", [*MINUTE, *spread])).num_rows == (1 if others < 40 else 0)


def test_a_person_of_a_deal_out_of_order_is_not_named_again():
    rows = {"person": [contact("p")], "deal": [hs("d", **{**WON, "created_at": "2026-03-01"}, person_id="p")]}
    steps = path("hubspot", "d", ("qualifiedtobuy", "2026-03-01", "M50"), ("closedwon", "2026-02-01", "M80"))
    assert [f["entity_kind"] for f in found_in(rules=["T-03"], **rows, stage_change=steps).to_pylist()] == ["deal"]


# -- what only the ledger knows ------------------------------------------------------------------------------------------
def told_by_the_ledger(rule: str, rows: dict[str, list[dict[str, Any]]], **given: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    known = tables(**rows)
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    ground = facts(known, members, {}, NOW, run)
    for name, some in given.items():
        schema = SCHEMAS[name]
        told = [dict(zip(schema.names, one, strict=True)) for one in some]
        ground[name] = run.give(f"fact.{name}", pa.Table.from_pylist(told, schema=schema))
    return reconcile(known, members, ground, {}, NOW, None, [rule], run).to_pylist()


def moved(
    at: str = "2026-06-20T10:16", changed: str = "2026-06-20T10:00", stage: str = "presentationscheduled"
) -> dict[str, list[dict[str, Any]]]:
    return {
        "deal": [hs("d", updated_at=changed)],
        "stage_change": path("hubspot", "d", ("qualifiedtobuy", "2026-06-01", "M50"), (stage, at, "M60")),
    }


def read(at: str = "2026-06-20T10:32", resource: str = "deals") -> list[tuple[Any, ...]]:
    return [("hubspot", resource, moment(at))]


def test_a_newer_stage_in_the_history_was_never_pulled():
    found = told_by_the_ledger("T-01", moved(), pulled=read())
    assert [(ids(f), look(f, "values"), look(f, "evidence.notes")) for f in found] == [
        ({"d"}, {"hubspot": "qualifiedtobuy"}, ["in the history since 2026-06-20 10:16: presentationscheduled"])
    ]


@pytest.mark.parametrize(
    ("rows", "pulled"),
    [
        (moved(at="2026-06-20T10:15"), read()),
        (moved(), read("2026-06-20T10:31")),
        (moved(), read(resource="contacts")),
        (moved(stage="qualifiedtobuy"), read()),
    ],
    ids=["a quarter of an hour newer", "not read since", "another list read", "the same stage"],
)
def test_what_the_next_read_will_bring_is_no_finding(rows, pulled):
    assert told_by_the_ledger("T-01", rows, pulled=pulled) == []


def test_a_lead_status_is_compared_with_the_lead_status():
    rows = {"person": [contact("p", lead_status="NEW", raw_stage="lead", updated_at="2026-06-20")]}
    rows["stage_change"] = [{**step, "field": "status"} for step in lived("p", ("OPEN", "2026-06-22", "M30"))]
    assert [look(f, "values") for f in told_by_the_ledger("T-01", rows, pulled=read("2026-06-25", "contacts"))] == [{"hubspot": "NEW"}]


def test_without_a_ledger_nothing_is_said_of_reads_and_writes():
    assert found_in(rules=["T-01", "T-06"], **moved()).num_rows == 0


def test_a_write_that_was_not_taken_is_found_for_so_many_days():
    def refused(days: float) -> list[dict[str, Any]]:
        return told_by_the_ledger(
            "T-06", {"deal": [hs("d")]}, refused=[("hubspot", "deals", "d", "dealstage", "x", "no", NOW - timedelta(days=days))]
        )

    assert [(f["entity_kind"], f["field"], look(f, "values"), look(f, "evidence.notes")) for f in refused(90)] == [
        ("deal", "dealstage", {"hubspot": "x"}, ["no"])
    ]
    assert refused(90.1) == []


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def known_to(ledger: Ledger, name: str, until: datetime) -> list[dict[str, Any]]:
    return ledger_facts(ledger, {}, over({}, None, {}), until)[name].to_pyarrow().to_pylist()


def test_the_ledger_names_the_last_write_of_a_field_that_was_not_taken(ledger: Ledger):
    plans, vendor = PlanBook(ledger), Vendor(a={"stage": "1"}, b={"stage": "1"}, c={"stage": "1"})
    vendor.bad, vendor.deaf = {"a"}, {"b"}
    assert run(plans, planned(plans, vendor, a="2", b="2", c="2"), vendor) == {"a": "rejected", "b": "rejected", "c": "applied"}
    late = moment("2026-06-30T12:00")
    assert {r["vendor_id"]: (r["account"], r["resource"], r["value"], r["reason"]) for r in known_to(ledger, "refused", late)} == {
        "a": ("hs", "contacts", "2", "INVALID: the vendor says no"),
        "b": ("hs", "contacts", "2", "the vendor accepted the write but the value read back differs (T-06)"),
    }
    assert known_to(ledger, "refused", moment("2026-06-30T11:59")) == []


def test_a_field_written_since_is_not_named_any_more(ledger: Ledger, monkeypatch):
    plans, vendor = PlanBook(ledger), Vendor(a={"stage": "1"})
    vendor.bad = {"a"}
    run(plans, planned(plans, vendor, a="2"), vendor)
    vendor.bad = set()
    monkeypatch.setattr("test_apply.NOW", moment("2026-06-30T13:00"))
    assert run(plans, planned(plans, vendor, a="3"), vendor, "a2") == {"a": "applied"}
    assert known_to(ledger, "refused", moment("2026-06-30T14:00")) == []
    assert len(known_to(ledger, "refused", moment("2026-06-30T12:30"))) == 1


def test_the_ledger_knows_when_each_object_was_last_read_whole(ledger: Ledger):
    for day, status in (("2026-06-01", "done"), ("2026-06-02", "done"), ("2026-06-03", "partial")):
        run_id = ledger.start_run("sync", moment(day))
        ledger.set_count(Count(run_id, "hubspot", "deals", status=status))
    assert known_to(ledger, "pulled", NOW) == [{"account": "hubspot", "resource": "deals", "read_at": moment("2026-06-02")}]
    assert known_to(ledger, "pulled", moment("2026-06-01T12:00"))[0]["read_at"] == moment("2026-06-01")
