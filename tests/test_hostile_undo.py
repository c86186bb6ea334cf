"""Undo twice, undo of an undo, undo while a vendor is away: nothing is taken back that somebody wants, and every account gets its turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from two_vendors import NOW, Table

from core.carry_out import apply_plan, undo_run
from core.errors import UnsafePlan, UserError


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path / "ledger.db")
    yield made
    made.line.ledger.close()


def test_undo_again_lets_be_what_was_written_since(table: Table) -> None:
    """The same plan applied anew is wanted: the undo of the first run took its own back long ago."""
    first, _ = table.apply()
    assert table.undo(first)[1] == ["undone"] * 3
    second, again = table.apply()
    assert again == ["applied"] * 3
    assert table.plans.left_to_undo(first) == []
    assert table.undo(first)[1] == []
    assert table.one.stages() == {"M20"}
    assert table.undo(second)[1] == ["undone"] * 3
    assert table.one.stages() == {"M10"}


def test_an_account_closed_since_stops_no_undo_of_what_would_be_kept_there_anyway(table: Table) -> None:
    table.plan = table.opting_out()
    run, _ = table.apply()
    table.closed = {"two"}
    assert table.undo(run)[1] == ["kept", "undone", "undone"]
    table.closed = {"one"}
    with pytest.raises(UnsafePlan, match="not open to writing: one/contacts"):
        table.undo(table.apply()[0])


def test_what_somebody_put_back_by_hand_stood_there_already(table: Table) -> None:
    run, _ = table.apply()
    table.one.records["a"]["stage"] = "M10"
    assert table.undo(run)[1] == ["already", "undone", "undone"]
    assert table.plans.pushed("one").num_rows == 0  # so that the next plan looks at the vendor again
    assert table.plans.left_to_undo(run) == []


def test_an_undo_cannot_be_undone_but_says_how_to_write_again(table: Table) -> None:
    run, _ = table.apply()
    undo, _ = table.undo(run)
    with pytest.raises(UserError, match="is an undo") as refused:
        table.undo(undo)
    assert f"tundish apply {table.plan.plan_id}" in refused.value.next_step


@pytest.mark.parametrize("way", ["apply", "undo"])
def test_one_vendor_away_stops_neither_the_other_nor_hides_why(table: Table, way: str) -> None:
    run = table.apply()[0] if way == "undo" else ""
    table.one.away = True
    act = (lambda: undo_run(table.line, run, table.hands(), NOW)) if way == "undo" else (
        lambda: apply_plan(table.line, table.plan, table.hands(), NOW)
    )  # fmt: skip
    id_, outcomes = act()
    assert {o.status: o.detail for o in outcomes if o.status == "failed"} == {"failed": "the vendor did not answer"}
    assert len(outcomes) == 3
    assert table.two.stages() == ({"M10"} if way == "undo" else {"M20"})
    table.one.away = False
    again_id, again = act()
    assert again_id == id_
    assert {o.status for o in again} == {"undone" if way == "undo" else "applied"}


def test_a_plan_from_before_the_mapping_changed_is_refused(table: Table) -> None:
    table.pushes.clear()
    with pytest.raises(UnsafePlan, match="no longer says to write one/contacts stage, two/contacts stage"):
        table.apply()
    assert table.one.stages() == {"M10"}


@pytest.mark.parametrize("way", ["apply", "undo"])
def test_an_account_closed_to_writing_since_is_named(table: Table, way: str) -> None:
    run = table.apply()[0] if way == "undo" else ""
    table.closed = {"two"}
    with pytest.raises(UnsafePlan, match="not open to writing: two/contacts"):
        table.undo(run) if way == "undo" else table.apply()
    only_one = [o.status for o in apply_plan(table.line, table.plan, table.hands(), NOW, only=lambda c: c.account == "one")[1]]
    assert only_one == ([] if way == "undo" else ["applied"] * 2)  # what was applied before is not touched again
