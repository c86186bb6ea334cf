"""Undo twice, undo of an undo, undo while a vendor is away: nothing is taken back that somebody wants, and every account gets its turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.apply import Hand
from core.carry_out import apply_plan, undo_run
from core.change import Desired, Plan
from core.connector import Target, Write, WriteResult
from core.errors import UnsafePlan, UserError, VendorUnavailable
from core.ledger import Ledger
from core.ledger_plans import PlanBook
from core.plan import Limits, build

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


class Vendor:
    """Records by id, with one field."""

    def __init__(self, *ids: str) -> None:
        self.records: dict[str, dict[str, Any]] = {i: {"stage": "M10"} for i in ids}
        self.away = False

    def write(self, session: Any, batch: Sequence[Write]) -> list[WriteResult]:
        for w in batch:
            self.records[w.vendor_id].update(w.values)
        return [WriteResult(w.key, True) for w in batch]

    def read_back(self, session: Any, ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        if self.away:
            raise VendorUnavailable("the vendor did not answer")
        return {i: dict(self.records[i]) for i in ids}

    def stages(self) -> set[str]:
        return {r["stage"] for r in self.records.values()}


class Table:
    """Two vendors, a plan for both, and a line over a real ledger."""

    def __init__(self, folder: Path) -> None:
        self.pushes = [SimpleNamespace(field="stage", owned=False)]
        self.closed: set[str] = set()
        self.one, self.two = Vendor("a", "b"), Vendor("c")
        mapping = SimpleNamespace(pushes=lambda target: self.pushes)
        ledger = Ledger(folder / "ledger.db")
        self.plans = PlanBook(ledger)
        self.line: Any = SimpleNamespace(ledger=ledger, plans=self.plans, mappings=dict.fromkeys(("one", "two"), mapping), limits=Limits())
        self.plan = self._planned()

    def hands(self) -> dict[str, Hand]:
        vendors = {"one": self.one, "two": self.two}
        return {
            n: Hand(None, {"contacts": Target("contacts", "contacts", 1, v.write, v.read_back)})
            for n, v in vendors.items()
            if n not in self.closed
        }

    def _planned(self) -> Plan:
        places = [("one", "a"), ("one", "b"), ("two", "c")]
        wishes = [Desired(account, "contacts", i, "stage", "text", "M20", "why") for account, i in places]
        return self._saved(wishes)

    def opting_out(self) -> Plan:
        """A plan that ends the subscription of the second vendor's record beside what it does to the first's."""
        self.two.records["c"]["stage"] = "subscribed"
        mine = [Desired("one", "contacts", i, "stage", "text", "M30", "why") for i in ("a", "b")]
        return self._saved([*mine, Desired("two", "contacts", "c", "stage", "text", "unsubscribed", "why", "strictest")])

    def _saved(self, wishes: list[Desired]) -> Plan:
        live = {(w.account, w.target, w.vendor_id): dict(getattr(self, w.account).records[w.vendor_id]) for w in wishes}
        plan = build(wishes, live, now=NOW, as_of=NOW, limits=Limits())
        self.plans.save(plan, {(w.account, w.target, w.vendor_id, w.field): "hash" for w in wishes}, NOW)
        return plan

    def apply(self) -> tuple[str, list[str]]:
        run, outcomes = apply_plan(self.line, self.plan, self.hands(), NOW)
        return run, sorted(o.status for o in outcomes)

    def undo(self, run: str) -> tuple[str, list[str]]:
        undo, outcomes = undo_run(self.line, run, self.hands(), NOW)
        return undo, sorted(o.status for o in outcomes)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path)
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
    assert only_one == (["already"] * 2 if way == "undo" else ["applied"] * 2)
