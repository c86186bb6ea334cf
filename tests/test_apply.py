"""Applying and undoing against a vendor made of a dict: drift, partial failure, lost replies, resuming, undo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.apply import Hand, apply, undo
from core.change import Change, Desired, Outcome, Plan
from core.connector import Target, Write, WriteResult
from core.errors import VendorUnavailable
from core.ledger import Ledger
from core.ledger_plans import PlanBook
from core.plan import Limits, build

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


class Vendor:
    """Records by id; refuses ids in `bad`, ignores writes to `deaf`, loses the reply once when `lose` is set."""

    def __init__(self, **records: dict[str, Any]) -> None:
        self.records = records
        self.bad: set[str] = set()
        self.deaf: set[str] = set()
        self.lose = False
        self.writes = 0

    def write(self, session: Any, batch: Sequence[Write]) -> list[WriteResult]:
        self.writes += 1
        results = []
        for w in batch:
            if w.vendor_id in self.bad:
                results.append(WriteResult(w.key, False, "INVALID", "the vendor says no"))
                continue
            if w.vendor_id not in self.deaf:
                self.records[w.vendor_id].update(w.values)
            results.append(WriteResult(w.key, True))
        if self.lose:
            self.lose = False
            raise VendorUnavailable("the connection was cut; the write's outcome is unknown")
        return results

    def read_back(self, session: Any, ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {i: {f: self.records[i].get(f) for f in fields} for i in ids if i in self.records}

    def hands(self) -> dict[str, Hand]:
        return {"hs": Hand(None, {"contacts": Target("contacts", "contacts", 2, self.write, self.read_back)})}


@pytest.fixture
def plans(tmp_path: Path) -> Iterator[PlanBook]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield PlanBook(ledger)
    ledger.close()


def planned(plans: PlanBook, vendor: Vendor, **values: str) -> Plan:
    wishes = [Desired("hs", "contacts", i, "stage", "text", v, "why") for i, v in values.items()]
    live = {("hs", "contacts", i): dict(r) for i, r in vendor.records.items()}
    plan = build(wishes, live, now=NOW, as_of=NOW, limits=Limits())
    plans.save(plan, {("hs", "contacts", i, "stage"): f"hash-{v}" for i, v in values.items()}, NOW)
    return plan


def run(plans: PlanBook, plan: Plan, vendor: Vendor, apply_id: str = "a1") -> dict[str, str]:
    if not plans.open_apply(plan.plan_id):
        plans.start_apply(plan.plan_id, "apply", NOW, apply_id)
    apply(plan.changes, vendor.hands(), plans.book(apply_id, NOW))
    by_id = {c.change_id: c.vendor_id for c in plan.changes}
    return {by_id[o.change_id]: o.status for o in plans.outcomes(apply_id)}


def test_every_change_is_written_read_back_and_remembered(plans: PlanBook) -> None:
    vendor = Vendor(a={}, b={}, c={"stage": "M10"})
    plan = planned(plans, vendor, a="M20", b="M30", c="M40")
    assert run(plans, plan, vendor) == {"a": "applied", "b": "applied", "c": "applied"}
    assert vendor.records["c"]["stage"] == "M40"
    assert plans.pushed("hs").num_rows == 3


def test_what_drifted_since_the_plan_is_not_touched(plans: PlanBook) -> None:
    vendor = Vendor(a={"stage": "M10"}, b={"stage": "M10"}, c={})
    plan = planned(plans, vendor, a="M20", b="M20", c="M20")
    vendor.records["a"]["stage"] = "a person's choice"
    vendor.records["b"]["stage"] = "M20"
    del vendor.records["c"]
    assert run(plans, plan, vendor) == {"a": "drifted", "b": "already", "c": "gone"}
    assert vendor.records["a"]["stage"] == "a person's choice"
    assert vendor.writes == 0


def test_one_bad_row_does_not_stop_the_others(plans: PlanBook) -> None:
    vendor = Vendor(a={}, b={}, c={})
    plan = planned(plans, vendor, a="M20", b="M20", c="M20")
    vendor.bad, vendor.deaf = {"a"}, {"b"}
    assert run(plans, plan, vendor) == {"a": "rejected", "b": "rejected", "c": "applied"}


def test_a_lost_reply_is_settled_by_reading_back(plans: PlanBook) -> None:
    vendor = Vendor(a={}, b={})
    plan = planned(plans, vendor, a="M20", b="M20")
    vendor.lose = True
    assert run(plans, plan, vendor) == {"a": "applied", "b": "applied"}
    assert vendor.writes == 1


class Killed(BaseException):
    """The process dies."""


def test_a_run_killed_after_the_write_goes_on_without_writing_twice(plans: PlanBook) -> None:
    vendor = Vendor(a={}, b={}, c={})
    plan = planned(plans, vendor, a="M20", b="M20", c="M20")
    plans.start_apply(plan.plan_id, "apply", NOW, "a1")
    book = plans.book("a1", NOW)

    class Dying:
        settled, intended, intend = book.settled, book.intended, book.intend

        def record(self, outcomes: Sequence[tuple[Change, Outcome]]) -> None:
            raise Killed

    with pytest.raises(Killed):
        apply(plan.changes, vendor.hands(), Dying())
    assert run(plans, plan, vendor) == {"a": "applied", "b": "applied", "c": "applied"}
    assert vendor.writes == 2  # the batch of two before the kill, the one record after it


def test_undo_restores_what_nobody_touched_since(plans: PlanBook) -> None:
    vendor = Vendor(a={"stage": "M10"}, b={}, c={"stage": "M20"})
    plan = planned(plans, vendor, a="M20", b="M30", c="M40")
    vendor.records["c"]["stage"] = "M40"  # a person was quicker: not ours to undo
    run(plans, plan, vendor)
    vendor.records["b"]["stage"] = "edited later"
    plans.start_apply(plan.plan_id, "undo", NOW, "u1", of="a1")
    undo(plans.applied("a1"), vendor.hands(), plans.book("u1", NOW))
    assert {o.status for o in plans.outcomes("u1")} == {"undone", "kept"}
    assert vendor.records == {"a": {"stage": "M10"}, "b": {"stage": "edited later"}, "c": {"stage": "M40"}}


def test_undo_never_loosens_consent_and_takes_the_records_other_fields_back(plans: PlanBook) -> None:
    vendor = Vendor(a={"stage": "M10", "status": "subscribed"})
    fields = (("stage", "M20", "derived"), ("status", "unsubscribed", "strictest"))
    wishes = [Desired("hs", "contacts", "a", name, "text", value, "why", policy) for name, value, policy in fields]
    plan = build(wishes, {("hs", "contacts", "a"): dict(vendor.records["a"])}, now=NOW, as_of=NOW, limits=Limits())
    plans.save(plan, {}, NOW)
    assert set(run(plans, plan, vendor).values()) == {"applied"}
    plans.start_apply(plan.plan_id, "undo", NOW, "u1", of="a1")
    undo(plans.applied("a1"), vendor.hands(), plans.book("u1", NOW))
    assert {o.status for o in plans.outcomes("u1")} == {"undone", "kept"}
    assert vendor.records == {"a": {"stage": "M10", "status": "unsubscribed"}}
