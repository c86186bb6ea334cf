# ruff: noqa: E501  (the literals are tables)
"""Rules of conversion events and counted leads from literals: each beside its near miss."""

from __future__ import annotations

from typing import Any

import pytest
from test_reconcile import WON, Case, contact, found_in, hit, hs, ids, look, miss, sf
from unified_rows import row

from core.rules import RULES

MINE = ("E-03", "E-04", "E-08")
TESTS = {"exclude": {"domains": ["us.example"], "emails": ["*+test@*"]}}


def told(
    id: str, account: str = "hubspot", *, event: str = "close_convert_lead", at: str = "2026-06-01T10:00", **values: Any
) -> dict[str, Any]:
    return row("touch", account, id, resource="events", kind="conversion", event=event, occurred_at=at, **values)


CASES = [
    hit("E-03", "one sale told twice by one system", "e03a e03b e03d",
        {"evidence.notes": ["2 times close_convert_lead"]},
        deal=[hs("e03d", **WON)], touch=[told("e03a", deal_id="e03d"), told("e03b", deal_id="e03d", at="2026-06-03T10:00")]),
    miss("E-03", "once in each of two systems; two events of other names; two deals; one deleted",
         deal=[hs("e03e", **WON), hs("e03f", **WON), hs("e03g", **WON), hs("e03h", **WON)],
         touch=[told("e03i", deal_id="e03e"), told("e03j", "files", deal_id="e03e"), told("e03k", deal_id="e03f"), told("e03l", deal_id="e03g"),
                told("e03m", deal_id="e03g", event="purchase"), told("e03n", deal_id="e03h"), told("e03o", deal_id="e03h", deleted=True)]),
    hit("E-04", "1.1 % more than the amount", "e04a e04d", {"evidence.notes": ["the deal says 1000.00 EUR"]},
        deal=[hs("e04d", **WON)], touch=[told("e04a", deal_id="e04d", value="1011", currency="EUR")]),
    hit("E-04", "neither of the mirrors' amounts", "e04b e04e", {"evidence.notes": ["the deal says 1000.00 to 1500.00 EUR"]},
        deal=[hs("e04e", **WON), sf("e04f", "e04e", **{**WON, "amount": 1500})], touch=[told("e04b", deal_id="e04e", value="1200", currency="EUR")]),
    miss("E-04", "1 % off; as one of the mirrors says; another currency; an open deal; another event; no value",
         deal=[hs("e04g", **WON), hs("e04h", **WON), sf("e04i", "e04h", **{**WON, "amount": 1500}), hs("e04j", **WON), hs("e04k"), hs("e04l", **WON),
               hs("e04m", **WON)],
         touch=[told("e04n", deal_id="e04g", value="1010", currency="EUR"), told("e04o", deal_id="e04h", value="1500", currency="EUR"),
                told("e04p", deal_id="e04j", value="1200", currency="USD"), told("e04q", deal_id="e04k", value="1200", currency="EUR"),
                told("e04r", deal_id="e04l", event="qualify_lead", value="1", currency="EUR"), told("e04s", deal_id="e04m")]),
    hit("E-08", "a test address is an MQL", "e08a", {"values": {"hubspot": "mql"}},
        person=[contact("e08a", email="bo+test@e08.example", stage="M30", raw_stage="mql")]),
    hit("E-08", "a colleague is a lead in one system, which is named alone", "e08b",
        person=[contact("e08b", email="ada@us.example", stage="M20"), row("person", "mailchimp", "e08c", email="ada@us.example", stage="M10")]),
    miss("E-08", "a colleague who reads the letter; disqualified already; a real lead",
         person=[row("person", "mailchimp", "e08d", email="cy@us.example", stage="M10"), contact("e08e", email="di+test@e08.example", stage="MX"),
                 contact("e08f", email="ed@e08.example", stage="M40")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> list[dict[str, Any]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for case in CASES:
        for kind, some in case.rows.items():
            rows.setdefault(kind, []).extend(some)
    return found_in(rules=list(MINE), funnel=TESTS, **rows).to_pylist()


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
