"""Two vendors with a plan for both, over a real ledger and no wire: for what apply and undo must keep apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.apply import Hand
from core.carry_out import apply_plan, undo_run
from core.change import Change, Desired, Plan
from core.connector import Target, Write, WriteResult
from core.errors import VendorUnavailable
from core.ledger import Ledger
from core.ledger_plans import PlanBook
from core.plan import Limits, build

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
Only = Callable[[Change], bool] | None


class Vendor:
    """Records by id, with one field."""

    def __init__(self, *ids: str) -> None:
        self.records: dict[str, dict[str, Any]] = {i: {"stage": "M10"} for i in ids}
        self.away = self.refuses = False

    def write(self, session: Any, batch: Sequence[Write]) -> list[WriteResult]:
        if self.refuses:
            return [WriteResult(w.key, False, "400", "not a word of the list", False) for w in batch]
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

    def __init__(self, url: str | Path) -> None:
        """url: of the ledger."""
        self.pushes = [SimpleNamespace(field="stage", owned=False)]
        self.closed: set[str] = set()
        self.one, self.two = Vendor("a", "b"), Vendor("c")
        mapping = SimpleNamespace(pushes=lambda target: self.pushes)
        ledger = Ledger(url)
        self.plans = PlanBook(ledger)
        self.line: Any = SimpleNamespace(ledger=ledger, plans=self.plans, mappings=dict.fromkeys(("one", "two"), mapping), limits=Limits())
        self.plan = self.planned()

    def hands(self) -> dict[str, Hand]:
        vendors = {"one": self.one, "two": self.two}
        return {
            n: Hand(None, {"contacts": Target("contacts", "contacts", 1, v.write, v.read_back)})
            for n, v in vendors.items()
            if n not in self.closed
        }

    def planned(self, stage: str = "M20") -> Plan:
        places = [("one", "a"), ("one", "b"), ("two", "c")]
        wishes = [Desired(account, "contacts", i, "stage", "text", stage, "why") for account, i in places]
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

    def apply(self, only: Only = None) -> tuple[str, list[str]]:
        run, outcomes = apply_plan(self.line, self.plan, self.hands(), NOW, only=only, by="ana")
        return run, sorted(o.status for o in outcomes)

    def undo(self, run: str, only: Only = None) -> tuple[str, list[str]]:
        undo, outcomes = undo_run(self.line, run, self.hands(), NOW, only=only, by="ben")
        return undo, sorted(o.status for o in outcomes)
