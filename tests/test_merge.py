"""Who wins when mirrors differ: every policy, with and without a base, over clocks that disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.change import Written
from core.merge import MERGED, POLICIES_OF, Base, Decision, Side, Terms, Wins, decide
from core.merged import MIRRORED, _dated, _decision

DAY = datetime(2026, 6, 30, tzinfo=UTC)
BASE = Base("10", DAY)


def at(hours: float) -> tuple[datetime, datetime]:
    moment = DAY + timedelta(hours=hours)
    return moment, moment


def between(start: float, end: float) -> tuple[datetime, datetime]:
    return DAY + timedelta(hours=start), DAY + timedelta(hours=end)


def won(policy: str, a: Side, b: Side, base: Base | None = BASE, **terms: Any) -> Wins:
    return decide(Terms(policy, **terms), a, b, base).wins


def test_the_only_one_who_changed_wins() -> None:
    assert won("most_recent", Side("10"), Side("12", at(1))) == "b"
    assert won("most_recent", Side("12", at(1)), Side("10")) == "a"


def test_of_two_edits_the_newer_wins_if_no_clock_can_deny_it() -> None:
    assert won("most_recent", Side("11", at(1)), Side("12", at(2))) == "b"
    assert won("most_recent", Side("11", at(2)), Side("12", at(1))) == "a"
    assert won("most_recent", Side("11", between(0, 3)), Side("12", at(4))) == "b"


def test_concurrent_edits_go_by_the_order_and_without_one_to_a_person() -> None:
    one, other = Side("11", between(0, 3)), Side("12", at(2))
    assert (won("most_recent", one, other), won("most_recent", one, other, ranked=False)) == ("a", "")
    assert won("most_recent", Side("11", at(1)), Side("12", at(1.02)), ranked=False) == ""  # 72 seconds: within the tolerance
    assert won("most_recent", Side("11", at(1)), Side("12", at(1.02)), tolerance=timedelta(seconds=30)) == "b"


def test_who_came_back_to_the_base_has_been_there_too() -> None:
    assert won("most_recent", Side("10", at(3)), Side("12", at(2))) == "a"
    assert won("most_recent", Side("10", between(0, 3)), Side("12", at(2))) == "b"  # the record changed, but nobody knows that this did


OWNER = next(m for m in MIRRORED if m.field == "owner")


COPIED = {("sf", "Opportunity", "006", "owner_id"): Written("R2", DAY + timedelta(hours=26), "R1")}


def decided(a: str, b: str, ours: Any, a_until: float = 30, b_at: float = 1, **times: Any) -> Wins:
    """Both agreed on R1, then HubSpot (b) got another owner; COPIED: we wrote R2 to Salesforce (a), which dates no owner."""
    row = {
        "base": "R1", "base_at": DAY, "a_account": "sf", "a_resource": "Opportunity", "a_vendor_id": "006", "a_value": a, "a_raw": a,
        "a_since": DAY, "a_until": DAY + timedelta(hours=a_until), "b_account": "hs", "b_resource": "deals", "b_vendor_id": "1",
        "b_value": b, "b_raw": "-", "b_since": DAY + timedelta(hours=b_at), "b_until": DAY + timedelta(hours=b_at),
        "a_before": None, "b_before": None,
    }  # fmt: skip
    return _decision(Terms("most_recent"), OWNER, {**row, **times}, ours).wins


def test_who_put_the_base_back_over_our_own_write_has_edited_even_without_a_history() -> None:
    assert decided("R1", "R2", COPIED) == "a"
    assert decided("R1", "R2", {}) == "b"  # without our write nothing tells of him


def test_what_was_undone_turns_no_decision_round_until_the_other_side_is_edited_again() -> None:
    """HubSpot's edit came before our write that a person took back: it is still the newer one, and what it asks for is held."""
    undone = {key: Written("R2", DAY + timedelta(hours=27), "R4", undone=True) for key in COPIED}
    assert decided("R4", "R2", undone) == "b"
    assert decided("R4", "R3", undone, b_at=28) == "b"  # certainly after what was there before our write
    assert decided("R4", "R3", {}) == "a"  # elsewhere the order says it


def test_what_was_undone_is_no_edit_against_the_side_it_had_been_copied_from() -> None:
    """HubSpot's R1 was copied to Salesforce, which had R2, both agreed on it, and then it was undone: R2 is older than R1."""
    undone = {key: Written("R1", DAY + timedelta(hours=27), "R2", undone=True) for key in COPIED}
    agreed = {"base": "R1", "base_at": DAY + timedelta(hours=26.5), "b_at": 1, "a_until": 40}
    assert decided("R2", "R1", undone, **agreed) == "b"
    assert decided("R2", "R1", undone, **{**agreed, "base_at": DAY + timedelta(hours=30)}) == "a"  # agreed since, so somebody has set it


def test_our_own_write_is_no_edit_nor_is_a_write_the_lake_has_not_seen_yet() -> None:
    assert decided("R2", "R3", COPIED) == "b"
    assert decided("R1", "R2", COPIED, a_until=25) == "b"


def test_who_left_our_own_write_and_came_back_to_it_within_the_hour_has_edited() -> None:
    told: dict[str, Any] = {"a_until": 26.8, "b_at": 26.1, "a_since": DAY + timedelta(hours=26.8)}
    assert decided("R2", "R3", COPIED, **told, a_before=DAY + timedelta(hours=26.4)) == "a"
    assert decided("R2", "R3", COPIED, **told, a_before=DAY + timedelta(hours=25)) == "b"  # that one is our own


@pytest.mark.parametrize("policy", sorted(MERGED))
def test_without_a_base_nobody_replaces_a_value(policy: str) -> None:
    assert won(policy, Side("11", at(1)), Side("12", at(9)), None) == ""


@pytest.mark.parametrize("policy", ["source_of_truth", "prefer_unless_blank"])
def test_the_source_of_truth_may_and_gives_way_only_to_its_own_blank(policy: str) -> None:
    assert won(policy, Side("11", at(1)), Side("12", at(9)), None) == "a"
    assert won(policy, Side(None), Side("12")) == "b"


@pytest.mark.parametrize("policy", sorted(MERGED))
def test_a_blank_never_replaces_a_value(policy: str) -> None:
    assert (won(policy, Side(None, at(9)), Side("12")), won(policy, Side("12"), Side(None, at(9)))) == ("b", "a")


def test_largest_smallest_and_furthest() -> None:
    assert (won("max", Side("9"), Side("12")), won("min", Side("9"), Side("12"))) == ("b", "a")
    assert (won("max", Side("2026-08-01"), Side("2026-07-31")), won("min", Side("2026-08-01"), Side("2026-07-31"))) == ("a", "b")
    assert (won("furthest_stage", Side("M50"), Side("M70")), won("never_regress", Side("M70"), Side("M50"))) == ("b", "a")
    assert won("furthest_stage", Side("M85"), Side("M70")) == ""  # lost is no rung


def test_manual_is_always_a_persons() -> None:
    assert won("manual", Side("11", at(1)), Side("12", at(9))) == ""
    assert won("manual", Side(None), Side("12")) == ""


TIMES = st.tuples(st.integers(0, 48), st.integers(0, 48)).map(lambda t: between(min(t), max(t))) | st.just((None, None))
SIDES = st.builds(Side, st.sampled_from([None, "10", "11", "12"]), TIMES)


@given(a=SIDES, b=SIDES, base=st.none() | st.builds(Base, st.sampled_from(["10", "11"]), st.just(DAY)))
def test_merging_is_symmetric_where_nobody_is_believed_more(a: Side, b: Side, base: Base | None) -> None:
    """Turned round, the same record wins; and no certainly newer edit of another value loses."""
    for policy in MERGED:
        one, turned = (decide(Terms(policy, ranked=False), x, y, base) for x, y in ((a, b), (b, a)))
        if a.value != b.value:
            assert {"a": "b", "b": "a", "": ""}[one.wins] == turned.wins
    if base and a.value and b.value and a.value != b.value and base.value not in (a.value, b.value):
        decision: Decision = decide(Terms("most_recent"), a, b, base)
        a_since, b_until = a.changed_in[0], b.changed_in[1]
        if a_since and b_until and a_since > b_until + timedelta(minutes=2):
            assert decision.wins == "a"


def test_every_policy_a_field_can_have_is_one_that_is_decided_somewhere() -> None:
    known = {*MERGED, "source_of_truth", "prefer_unless_blank", "manual", "strictest"}
    assert {p for policies in POLICIES_OF.values() for p in policies} <= known


@pytest.mark.parametrize(
    ("history", "base", "dated"),
    [
        ([("Qualification", 10)], "M50", None),  # told because something else was changed
        ([("Qualification", 10)], "M60", 10),
        ([("Proposal", 5), ("Qualification", 10)], "M50", 10),  # somebody went there and came back
        ([("Proposal", 5), ("Qualification", 10), ("Qualification", 20)], "M60", 10),
        ([("Qualification", 5), ("Proposal", 10)], "M50", None),  # the history knows less than the record
    ],
)
def test_a_history_that_tells_a_value_again_is_no_edit(history: list[tuple[str, int]], base: str, dated: int | None) -> None:
    record = {"account": "salesforce", "resource": "Opportunity", "vendor_id": "006"}
    said = [
        {**record, "kind": "deal", "field": "stage", "value": v, "at": DAY + timedelta(hours=h), "seq": n}
        for n, (v, h) in enumerate(history)
    ]
    pair = {f"a_{name}": value for name, value in record.items()} | {"a_raw": "Qualification", "a_value": "M50", "base": base}
    pair |= {"base_at": DAY, "a_updated_at": DAY + timedelta(hours=30)}
    context: Any = SimpleNamespace(facts={"changes": ibis.memtable(said)})
    [row] = _dated(context, ibis.memtable([pair]), "stage", "a").to_pyarrow().to_pylist()
    exact = DAY + timedelta(hours=dated or 0)
    assert (row["a_since"], row["a_until"]) == ((exact, exact) if dated else (DAY, DAY + timedelta(hours=30)))
    came_before = DAY + timedelta(hours=history[0][1]) if dated and history[0][1] < dated else None
    assert row["a_before"] == came_before
