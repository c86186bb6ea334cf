# ruff: noqa: E501  (the literals are tables)
"""Rules of time and sync health from literals: each beside its near miss."""

from __future__ import annotations

from typing import Any

import pytest
from test_reconcile import WON, Case, contact, found_in, hit, hs, ids, look, miss, path
from unified_rows import row

from core.rules import RULES

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


@pytest.fixture(scope="module")
def findings() -> list[dict[str, Any]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for case in CASES:
        for kind, some in case.rows.items():
            rows.setdefault(kind, []).extend(some)
    return found_in(rules=list(MINE), **rows).to_pylist()


@pytest.mark.parametrize("case", [c for c in CASES if c.found], ids=lambda c: f"{c.rule} {c.says}")
def test_a_rule_finds(case: Case, findings):
    mine = [f for f in findings if f["rule"] == case.rule and ids(f) == set(case.found.split())]
    assert len(mine) == 1
    assert {name: look(mine[0], name) for name in case.expect} == case.expect
    assert mine[0]["severity"] == RULES[case.rule].severity
    assert mine[0]["question"]


@pytest.mark.parametrize("case", [c for c in CASES if not c.found], ids=lambda c: f"{c.rule} {c.says}")
def test_a_rule_leaves_the_near_miss_alone(case: Case, findings):
    own = {r["vendor_id"] for some in case.rows.values() for r in some}
    assert [(f["rule"], f["values"]) for f in findings if f["rule"] == case.rule and ids(f) & own] == []


@pytest.mark.parametrize("rule", MINE)
def test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence(rule):
    assert {bool(c.found) for c in CASES if c.rule == rule} == {True, False}
    assert RULES[rule].exact


@pytest.mark.parametrize("others", [40, 39])
def test_a_fifth_of_all_entries_in_one_minute_is_not_yet_a_bulk_stamp(others):
    spread = [f"2026-03-{1 + i % 28:02d}T{10 + i // 28}:00" for i in range(others)]
    assert found_in(rules=["T-04"], **crowd("some", [*MINUTE, *spread])).num_rows == (1 if others < 40 else 0)


def test_a_person_of_a_deal_out_of_order_is_not_named_again():
    rows = {"person": [contact("p")], "deal": [hs("d", **{**WON, "created_at": "2026-03-01"}, person_id="p")]}
    steps = path("hubspot", "d", ("qualifiedtobuy", "2026-03-01", "M50"), ("closedwon", "2026-02-01", "M80"))
    assert [f["entity_kind"] for f in found_in(rules=["T-03"], **rows, stage_change=steps).to_pylist()] == ["deal"]
