"""What a finding is through time, and how the funnel steers it."""

from __future__ import annotations

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from test_reconcile import WON, Q, found_in, hs, path, sf
from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.reconcile import FINDINGS, finding_id, reconcile, with_issues
from core.resolve import resolve
from core.rules import RULES


def test_an_open_amount_is_a_persons_decision_unless_the_funnel_says_who_is_believed():
    rows = [hs("a"), sf("b", "a", amount=2000)]
    undecided = found_in(rules=["D-01"], funnel={}, deal=rows).to_pylist()[0]
    assert undecided["fix"] is None
    assert undecided["question"] == RULES["D-01"].question


def test_stalled_compares_with_won_deals_where_there_are_enough():
    won = [hs(f"w{i}", **WON) for i in range(4)]
    spent = [path("hubspot", f"w{i}", (Q, "2026-05-01", "M50"), ("closedwon", f"2026-05-0{3 + i}", "M80")) for i in range(4)]
    rows = {"deal": [*won, hs("slow", stage_entered_at="2026-06-20")], "stage_change": [step for steps in spent for step in steps]}
    few = found_in(rules=["D-11"], **rows)
    enough = found_in(rules=["D-11"], funnel={"thresholds": {"stalled_min_won": 4}}, **rows)
    assert (few.num_rows, enough.num_rows) == (0, 1)
    assert json.loads(enough["evidence"][0].as_py())["notes"] == ["10 days in the stage; usual at most 4.7"]


def test_a_rule_can_be_switched_off_and_graded_otherwise():
    rows = {"deal": [hs("1", close_date="2026-06-01")]}
    off = {"rules": {"D-06": {"enabled": False}, "I-04": {"severity": "S4"}}}
    found = found_in(rules=["D-06", "I-04"], funnel=off, **rows).to_pylist()
    assert [(f["rule"], f["severity"]) for f in found] == [("I-04", "S4")]


def test_a_finding_keeps_its_identity_its_age_and_what_was_decided():
    late = NOW + timedelta(days=3)
    first = found_in(rules=["D-06", "I-04"], deal=[hs("1", close_date="2026-06-01"), hs("2", close_date="2026-06-01")])
    decided = pa.Table.from_pylist(
        [{**f, "status": "accepted" if f["rule"] == "I-04" else "muted_until:2026-07-02"} for f in first.to_pylist()], schema=FINDINGS
    )
    again = found_in(decided, ["D-06", "I-04"], late, deal=[hs("1", close_date="2026-06-01"), hs("2", close_date="2026-08-01")])
    by_key = {(f["rule"], f["status"]): f for f in again.to_pylist()}
    assert {key: f["first_seen"] for key, f in by_key.items()} == dict.fromkeys(
        [("D-06", "open"), ("D-06", "fixed"), ("I-04", "accepted")], NOW
    )
    assert by_key["D-06", "open"]["last_seen"] == late
    assert by_key["D-06", "fixed"]["last_seen"] == NOW
    assert found_in(again, ["D-06", "I-04"], late, deal=[hs("2", close_date="2026-08-01")])["status"].to_pylist().count("fixed") == 2


def test_the_identity_of_a_finding_is_rule_entity_and_field():
    found = found_in(rules=["D-06"], deal=[hs("1", close_date="2026-06-01")]).to_pylist()[0]
    assert found["finding_id"] == finding_id("D-06", found["entity_id"], "close_date")


def test_facts_can_carry_the_number_of_issues_and_the_flags_of_the_work_list():
    known = tables(deal=[hs("1", close_date="2026-06-01", stage_entered_at="2026-01-11"), hs("2", close_date="2026-08-01")])
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    base = facts(known, members, {}, NOW, run)
    told = with_issues(base, reconcile(known, members, base, {}, NOW, rules=["D-06", "D-11"], compiled=run))
    deals = told["deal"].order_by("source_id").select("data_issues", "flags").to_pyarrow().to_pylist()
    assert deals == [{"data_issues": 2, "flags": "past due; stalled"}, {"data_issues": 0, "flags": None}]


@pytest.mark.parametrize(
    ("funnel", "bands"), [({}, ["A", "B", "D", None]), ({"thresholds": {"score_bands": (60, 50, 1)}}, ["A", "A", "C", None])]
)
def test_a_score_has_a_band_by_the_funnels_thresholds(funnel, bands):
    known = tables(person=[row("person", "hubspot", str(i), score=s) for i, s in enumerate((75.0, 74.9, 3.0, None))])
    run = over(known, funnel)
    members = resolve(known, funnel, compiled=run).members
    ids = members.sort_by("vendor_id")["entity_id"].to_pylist()
    told = dict(
        facts(known, members, funnel, NOW, run)["person"].select("entity_id", "band").to_pyarrow().to_pandas().itertuples(index=False)
    )
    assert [told[id_] for id_ in ids] == bands


def test_reconciling_nothing_finds_nothing():
    assert found_in().num_rows == 0
