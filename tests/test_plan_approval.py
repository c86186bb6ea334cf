"""A plan approved in parts: what is left out stays open in it, what was settled is not touched again, what was taken back stays back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from two_vendors import Table

from core.change import Change
from core.ledger_states import left


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path / "ledger.db")
    yield made
    made.line.ledger.close()


def of(*ids: str) -> Callable[[Change], bool]:
    return lambda change: change.vendor_id in ids


def still_open(table: Table) -> list[str]:
    return [c.vendor_id for c in left(table.plan.changes, table.plans.states(table.plan.plan_id))]


def test_the_rest_stays_open_in_the_same_plan_and_is_applied_later(table: Table) -> None:
    first, said = table.apply(of("a"))
    assert (said, still_open(table), table.plans.status(table.plan.plan_id)) == (["applied"], ["b", "c"], "partial")
    second, said = table.apply()
    assert (said, still_open(table), table.plans.status(table.plan.plan_id)) == (["applied", "applied"], [], "applied")
    assert first != second
    assert table.apply() == ("", [])


def test_what_somebody_changed_back_after_its_approval_is_not_written_with_the_rest(table: Table) -> None:
    table.apply(of("a"))
    table.one.records["a"]["stage"] = "M10"
    table.apply()
    assert (table.one.records["a"]["stage"], table.one.records["b"]["stage"], table.two.records["c"]["stage"]) == ("M10", "M20", "M20")


def test_what_was_taken_back_is_left_out_of_the_rest_but_written_when_it_alone_is_asked_for(table: Table) -> None:
    run, _ = table.apply(of("a", "b"))
    assert table.undo(run, of("a"))[1] == ["undone"]
    assert still_open(table) == ["c"]
    assert table.apply()[1] == ["applied"]
    assert table.one.records["a"]["stage"] == "M10"
    assert (still_open(table), table.plans.status(table.plan.plan_id)) == (["a"], "partial")
    assert table.apply(of("a"))[1] == ["applied"]
    assert table.plans.status(table.plan.plan_id) == "applied"


def test_undo_of_one_record_leaves_the_others_and_can_be_repeated(table: Table) -> None:
    run, _ = table.apply()
    assert table.undo(run, of("b"))[1] == ["undone"]
    assert (table.one.records["a"]["stage"], table.one.records["b"]["stage"]) == ("M20", "M10")
    assert table.undo(run, of("b"))[1] == []
    assert table.undo(run)[1] == ["undone", "undone"]
    assert table.plans.status(table.plan.plan_id) == "undone"


def test_a_plan_made_again_is_all_open_again(table: Table) -> None:
    """The same changes are wished anew only because somebody has put the old values back: they must not count as done."""
    table.apply()
    for vendor in (table.one, table.two):
        for record in vendor.records.values():
            record["stage"] = "M10"
    again = table.planned()
    assert again.plan_id == table.plan.plan_id
    assert still_open(table) == ["a", "b", "c"]
    assert table.apply()[1] == ["applied"] * 3


def test_an_apply_cut_short_goes_on_as_itself_even_with_another_choice(table: Table) -> None:
    table.one.away = True
    run, said = table.apply(of("a", "c"))
    assert said == ["applied", "failed"]
    table.one.away = False
    again, said = table.apply(of("b"))
    assert (again, said, still_open(table)) == (run, ["applied", "applied"], ["a"])
    assert table.apply(of("a"))[1] == ["applied"]


def test_who_asked_for_a_run_is_kept_with_it(table: Table) -> None:
    run, _ = table.apply()
    table.undo(run)
    assert [r["detail"]["by"] for r in table.plans.applies()] in (["ben", "ana"], ["ana", "ben"])  # both began at one instant


def test_undo_over_all_runs_goes_back_step_by_step_and_stops_at_a_person_s_edit(table: Table) -> None:
    """Two runs wrote one field one after the other: the newest is taken back first, so each finds what it wrote."""
    first, _ = table.apply()
    table.plan = table.planned("M30")
    second, _ = table.apply()
    table.two.records["c"]["stage"] = "M95"
    assert [table.undo(run)[1] for run in (second, first)] == [["kept", "undone", "undone"], ["kept", "undone", "undone"]]
    assert (table.one.stages(), table.two.stages()) == ({"M10"}, {"M95"})


def test_what_the_vendor_refused_is_tried_again_when_nothing_else_is_open(table: Table) -> None:
    table.one.refuses = True
    assert table.apply()[1] == ["applied", "rejected", "rejected"]
    assert table.plans.status(table.plan.plan_id) == "applied"
    table.one.refuses = False
    assert table.apply()[1] == ["applied", "applied"]
    assert table.apply() == ("", [])
