"""Telling a vendor what happened: once, also when replies are lost and senders die. Nothing can be read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.apply import Hand, apply, undo
from core.change import EVENT, Change, Desired, Outcome, Plan, event_text
from core.connector import Target, Write, WriteResult
from core.errors import VendorError, VendorUnavailable
from core.event_wishes import event_id
from core.ledger import Ledger
from core.ledger_events import told
from core.ledger_plans import OutcomeBook, PlanBook
from core.plan import Limits, build

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Killed(BaseException):
    """The process dies."""


@dataclass
class Vendor:
    """Counts what it is sent, one request per event. `script` says what happens at each request; then all goes well.

    lost: counted, but the reply never comes. cut: not counted, and said so. no, later: refused. killed: counted, and we die.
    """

    idempotent: bool = False
    batch: int = 2
    script: list[str] = field(default_factory=list)
    got: list[Write] = field(default_factory=list)

    def write(self, session: Any, writes: Sequence[Write]) -> Iterator[WriteResult]:
        for w in writes:
            what = self.script.pop(0) if self.script else "ok"
            if what not in ("cut", "no", "later"):
                self.got.append(w)
            if what == "killed":
                raise Killed
            if what == "lost":
                raise VendorUnavailable("the connection was cut; whether the write was done is unknown")
            if what == "cut":
                raise VendorError("the vendor is closed today")
            yield WriteResult(w.key, what == "ok", "" if what == "ok" else "NO", "the vendor says no", retryable=what == "later")

    def hands(self) -> dict[str, Hand]:
        target = Target("collect", "clients", self.batch, self.write, kind="events", idempotent=self.idempotent, max_age_s=3 * 86400)
        return {"ga4": Hand(None, {"collect": target})}

    @property
    def names(self) -> list[str]:
        return [w.values["event"] for w in self.got]


@pytest.fixture
def plans(tmp_path: Path) -> Iterator[PlanBook]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield PlanBook(ledger)
    ledger.close()


def wish(name: str, at: datetime = NOW - DAY, entity: str = "per_1", **values: Any) -> Desired:
    id_ = event_id("ga4", "collect", entity, name)
    text = event_text({"event": name, "id": id_, "occurred_at": at.isoformat(), "value": None, "currency": None, **values})
    return Desired("ga4", "collect", "123.456", name, EVENT, text, f"M30 of {entity}", EVENT, "", entity)


def planned(plans: PlanBook, *wishes: Desired) -> Plan:
    plan = build(wishes, {}, now=NOW, as_of=NOW, limits=Limits())
    plans.save(plan, {}, NOW)
    return plan


def run(plans: PlanBook, plan: Plan, vendor: Vendor, now: datetime = NOW) -> dict[str, str]:
    """Apply, or go on with the run that was not finished; event → outcome."""
    apply_id = plans.open_apply(plan.plan_id) or plans.start_apply(plan.plan_id, "apply", now, "a1")
    apply(plan.changes, vendor.hands(), plans.book(apply_id, now))
    by_id = {c.change_id: c.field for c in plan.changes}
    return {by_id[o.change_id]: o.status for o in plans.outcomes(apply_id)}


def known(plans: PlanBook, vendor: Vendor) -> set[str]:
    """Events that will not be planned again."""
    return {name for _, name, _, _ in told(plans.ledger, "ga4", "collect", resendable=vendor.idempotent)}


def test_an_event_is_sent_once_with_its_values_and_remembered(plans: PlanBook) -> None:
    vendor = Vendor()
    plan = planned(plans, wish("qualify_lead", source="web"))
    assert run(plans, plan, vendor) == {"qualify_lead": "applied"}
    [sent] = vendor.got
    assert (sent.key, sent.vendor_id) == (plan.changes[0].change_id, "123.456")
    assert sent.values == {
        "event": "qualify_lead", "id": event_id("ga4", "collect", "per_1", "qualify_lead"), "occurred_at": "2026-06-29T12:00:00+00:00",
        "value": None, "currency": None, "source": "web",
    }  # fmt: skip
    assert run(plans, plan, vendor) == {"qualify_lead": "applied"}
    assert (vendor.names, known(plans, vendor)) == (["qualify_lead"], {"qualify_lead"})


def test_two_events_of_one_visitor_and_name_are_two_when_two_deals_were_won(plans: PlanBook) -> None:
    vendor = Vendor()
    plan = planned(plans, wish("close", entity="dea_1"), wish("close", entity="dea_2"))
    assert len(plan.changes) == 2
    run(plans, plan, vendor)
    assert len({w.values["id"] for w in vendor.got}) == 2
    assert len(told(plans.ledger, "ga4", "collect", resendable=False)) == 2


def test_a_lost_reply_is_uncertain_for_good_and_ends_the_batches(plans: PlanBook) -> None:
    vendor = Vendor(script=["ok", "lost"])
    plan = planned(plans, wish("a"), wish("b"), wish("c"))
    assert run(plans, plan, vendor) == {"a": "applied", "b": "uncertain"}  # the connection is bad: c is not risked
    assert run(plans, plan, vendor) == {"a": "applied", "b": "uncertain", "c": "applied"}
    assert vendor.names == ["a", "b", "c"]
    assert known(plans, vendor) == {"a", "b", "c"}


def test_a_lost_reply_of_an_idempotent_target_is_sent_again_with_the_same_id(plans: PlanBook) -> None:
    vendor = Vendor(idempotent=True, script=["lost"])
    plan = planned(plans, wish("a"))
    run(plans, plan, vendor)
    assert known(plans, vendor) == set()
    assert run(plans, plan, vendor) == {"a": "applied"}
    assert vendor.names == ["a", "a"]
    assert len({w.values["id"] for w in vendor.got}) == 1


@pytest.mark.parametrize(("idempotent", "outcome", "sent"), [(False, "uncertain", ["a"]), (True, "applied", ["a", "a"])])
def test_a_run_killed_between_intent_and_outcome(plans: PlanBook, idempotent: bool, outcome: str, sent: list[str]) -> None:
    vendor = Vendor(idempotent=idempotent, script=["killed"])
    plan = planned(plans, wish("a"))
    with pytest.raises(Killed):
        run(plans, plan, vendor)
    assert known(plans, vendor) == (set() if idempotent else {"a"})  # a new plan must not send it either
    assert run(plans, plan, vendor) == {"a": outcome}
    assert vendor.names == sent


def test_what_was_certainly_not_taken_may_be_sent_later(plans: PlanBook) -> None:
    vendor = Vendor(script=["ok", "cut"])
    plan = planned(plans, wish("a"), wish("b"), wish("c"))
    assert run(plans, plan, vendor) == {"a": "applied", "b": "failed"}
    assert known(plans, vendor) == {"a"}
    assert run(plans, plan, vendor) == {"a": "applied", "b": "applied", "c": "applied"}
    assert vendor.names == ["a", "b", "c"]


def test_refusals_of_single_events_are_told_apart(plans: PlanBook) -> None:
    vendor = Vendor(script=["no", "later", "ok"], batch=3)
    plan = planned(plans, wish("a"), wish("b"), wish("c"))
    assert run(plans, plan, vendor) == {"a": "rejected", "b": "failed", "c": "applied"}
    assert known(plans, vendor) == {"c"}
    assert plans.refused([c.change_id for c in plan.changes]) == {plan.changes[0].change_id: "NO: the vendor says no"}


def test_an_event_that_grew_too_old_since_the_plan_is_not_sent(plans: PlanBook) -> None:
    vendor = Vendor()
    plan = planned(plans, wish("a", NOW - timedelta(hours=71)), wish("b", NOW))
    assert run(plans, plan, vendor, NOW + timedelta(hours=2)) == {"a": "late", "b": "applied"}
    assert (vendor.names, known(plans, vendor)) == (["b"], {"b"})


def test_undo_keeps_events_and_says_why(plans: PlanBook) -> None:
    vendor = Vendor()
    plan = planned(plans, wish("a"))
    run(plans, plan, vendor)
    plans.start_apply(plan.plan_id, "undo", NOW, "u1", of="a1")
    undo(plans.applied("a1"), vendor.hands(), plans.book("u1", NOW))
    [outcome] = plans.outcomes("u1")
    assert (outcome.status, outcome.detail) == ("kept", "an event cannot be taken back")
    assert (vendor.names, known(plans, vendor)) == (["a"], {"a"})


class Forgetful(OutcomeBook):
    """Dies when it should write down the outcomes of a batch, as often as it is told."""

    dies: list[bool]

    def record(self, outcomes: Sequence[tuple[Change, Outcome]]) -> None:
        if self.dies and self.dies.pop(0):
            raise Killed
        super().record(outcomes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(st.sampled_from(["ok", "ok", "lost", "cut", "no", "later", "killed"]), max_size=12),
    dies=st.lists(st.booleans(), max_size=4),
    batch=st.integers(1, 4),
)
def test_whatever_goes_wrong_no_event_is_counted_twice_and_none_that_may_be_sent_is_left(
    tmp_path_factory: pytest.TempPathFactory, script: list[str], dies: list[bool], batch: int
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("any") / "ledger.db")
    plans, vendor = PlanBook(ledger), Vendor(script=list(script), batch=batch)
    plan = planned(plans, *(wish(name) for name in "abcde"))
    plans.start_apply(plan.plan_id, "apply", NOW, "a1")
    for _ in range(20):  # more rounds than things can go wrong
        if len(plans.book("a1", NOW).settled()) == 5:
            break
        book = Forgetful(plans, "a1", plan.plan_id, NOW)
        object.__setattr__(book, "dies", dies)
        with suppress(Killed):
            apply(plan.changes, vendor.hands(), book)
    assert len(vendor.names) == len(set(vendor.names))
    outcomes = {o.change_id: o.status for o in plans.outcomes("a1")}
    assert len(outcomes) == 5
    assert set(outcomes.values()) <= {"applied", "uncertain", "rejected"}
    counted = {c.field for c in plan.changes if outcomes[c.change_id] in ("applied", "uncertain")}
    assert set(vendor.names) <= counted == known(plans, vendor)
    ledger.close()
