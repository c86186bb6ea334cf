"""The next step of leads and deals: which rule holds first, by when, for whom, and what it is worth."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from test_measure import Measured
from unified_rows import moment, row

from core.measure import measure
from core.measure.follow_rules import DEALS, PERSONS
from core.measure.follow_up import follow_ups, steps
from core.measure.metric import Scope
from core.thresholds import FOLLOW_UPS
from jobs.commands.reports import _of_owner

NOW = moment("2026-06-30T12:00")


def person(name: str, stage: str | None, since: str = "2026-06-20T09:00", /, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    """A person in the stage since then."""
    fields = {"stage": stage, "raw_stage": stage, "email": f"{name}@firm.example", "owner_id": "1", "created_at": "2026-01-10", **more}
    rows = [("person", row("person", "hubspot", name, **fields))]
    if stage:
        change = {"record_kind": "person", "record_id": name, "field": "lifecycle", "value": stage, "stage": stage, "entered_at": since}
        rows.append(("stage_change", row("stage_change", "hubspot", f"{name}:stage", **change)))
    return rows


def touch(name: str, kind: str, at: str, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    return [("touch", row("touch", "hubspot", f"{name}:{kind}:{at}", person_id=name, kind=kind, occurred_at=at, **more))]


def deal(name: str, stage: str, pipeline_stage: str, since: str, close: str, /, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    outcome = {"M80": "won", "M85": "lost"}.get(stage, "open")
    fields = {"stage": stage, "raw_stage": stage, "pipeline_stage": pipeline_stage, "outcome": outcome, "stage_entered_at": since,
              "close_date": close, "amount": 1000, "currency": "EUR", "owner_id": "1", "created_at": since, **more}  # fmt: skip
    return [("deal", row("deal", "hubspot", name, **fields))]


def on(deal_name: str, *people: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("association", row("association", "hubspot", f"{deal_name}:{p}", from_kind="deal", from_id=deal_name, to_kind="person", to_id=p))
        for p in people
    ]


OWNERS = [("owner", row("owner", "hubspot", "1", email="Ada@us.example", active=True))]


class Steps:
    def __init__(self, *groups: list[tuple[str, dict[str, Any]]], **thresholds: Any) -> None:
        given: dict[str, list[dict[str, Any]]] = {}
        for kind, made in (pair for group in (*groups, OWNERS) for pair in group):
            given.setdefault(kind, []).append(made)
        self.measured = Measured(NOW, {"thresholds": thresholds}, (), **given)
        self.scope = Scope(self.measured.facts, self.measured.funnel, NOW)
        members = self.measured.facts["members"].to_pyarrow().to_pylist()
        self.names = {r["entity_id"]: r["vendor_id"] for r in members if r["kind"] in ("person", "deal")}
        rows = follow_ups(self.scope).to_pyarrow().to_pylist()
        self.rows = {self.names[r["entity_id"]]: r for r in rows}

    @property
    def rules(self) -> dict[str, str]:
        return {name: r["rule"] for name, r in self.rows.items()}

    def due(self, name: str) -> date | None:
        return self.rows[name]["due"]


@pytest.fixture(scope="module")
def leads() -> Steps:
    return Steps(
        person("new", "M20"), touch("new", "form", "2026-06-29T10:00"),
        person("answered", "M20"), touch("answered", "form", "2026-06-28T10:00"), touch("answered", "call", "2026-06-28T11:00"),
        person("old", "M20"), touch("old", "form", "2026-05-01T10:00"),
        person("refuser", "M20", marketable=False), touch("refuser", "form", "2026-06-29T10:00"),
        person("quiet_refuser", "M10", marketable=False),
        person("waiting", "M30", "2026-06-27T09:00"),
        person("fresh", "M30", "2026-06-29T09:00"),
        person("waiting_inbound", "M30", "2026-06-20T09:00"), touch("waiting_inbound", "form", "2026-06-29T08:00"),
        person("silent", "M35", "2026-06-01T09:00"), *(touch("silent", "call", f"2026-06-{day:02}T09:00") for day in range(2, 8)),
        person("tried", "M35", "2026-06-01T09:00"), *(touch("tried", "call", f"2026-06-{day:02}T09:00") for day in range(2, 7)),
        person("replied", "M35", "2026-06-01T09:00"), *(touch("replied", "call", f"2026-06-{day:02}T09:00") for day in range(2, 8)),
        touch("replied", "form", "2026-06-20T09:00"),
        person("bare", "M40", "2026-06-20T09:00"),
        person("just", "M40", "2026-06-25T09:00"),
        person("dealt", "M40", "2026-06-20T09:00"), deal("d", "M50", "Prospecting", "2026-06-20", "2026-08-01"), on("d", "dealt"),
    )  # fmt: skip


def test_each_lead_gets_the_first_rule_that_holds(leads):
    assert leads.rules == {
        "new": "respond", "refuser": "opt_out", "waiting": "escalate", "waiting_inbound": "respond", "silent": "recycle",
        "bare": "make_deal",
    }  # fmt: skip


def test_due_days_are_counted_from_what_happened(leads):
    found = {name: leads.due(name) for name in ("new", "waiting", "silent", "bare", "refuser")}
    assert found == {
        "new": date(2026, 6, 29),
        "waiting": date(2026, 6, 29),
        "silent": date(2026, 8, 6),
        "bare": date(2026, 6, 27),
        "refuser": None,
    }


def test_who_opted_out_is_only_ever_answered_in_person():
    """Whatever rule would hold."""
    every = Steps(
        person("a", "M30", "2026-06-20T09:00", marketable=False), person("b", "M40", "2026-06-01T09:00", marketable=False),
        person("c", "M35", "2026-06-01T09:00", marketable=False), *(touch("c", "call", f"2026-06-{day:02}T09:00") for day in range(2, 9)),
    )  # fmt: skip
    assert set(every.rules.values()) == {"opt_out"}


def test_where_nobody_logs_activity_silence_says_nothing():
    mute = Steps(person("new", "M20"), touch("new", "form", "2026-06-29T10:00"))
    assert mute.rules == {}
    told = Steps(person("new", "M20"), touch("new", "form", "2026-06-29T10:00"), person("b", "M20", last_activity_at="2026-06-01"))
    assert told.rules == {"new": "respond"}


def test_where_nobody_keeps_activities_or_plans_of_deals_their_absence_says_nothing():
    quiet = deal("quiet", "M60", "Proposing", "2026-06-05", "2026-09-01")
    unplanned = deal("unplanned", "M70", "Closing", "2026-06-20", "2026-07-08")
    assert Steps(quiet, unplanned).rules == {}
    done = [("task", row("task", "hubspot", "t", deal_id="unplanned", due_at="2026-06-25T10:00", done=True))]
    assert Steps(quiet, unplanned, done).rules == {"quiet": "follow_up", "unplanned": "book_meeting"}


@pytest.fixture(scope="module")
def deals() -> Steps:
    people = [pair for name in ("p1", "p2") for pair in person(name, None)]
    refuser = person("p3", None, marketable=False)
    return Steps(
        people, refuser,
        deal("single", "M50", "Qualifying", "2026-06-10", "2026-09-01"), on("single", "p1"),
        deal("pair", "M50", "Qualifying", "2026-06-10", "2026-09-01"), on("pair", "p1", "p2"),
        deal("quiet", "M60", "Proposing", "2026-06-05", "2026-09-01", last_activity_at="2026-06-15T10:00"),
        deal("lively", "M60", "Proposing", "2026-06-05", "2026-09-01", last_activity_at="2026-06-29T10:00"),
        deal("back", "M60", "Proposing", "2026-06-05", "2026-09-01", last_activity_at="2026-06-15T10:00"), on("back", "p2"),
        touch("p2", "visit", "2026-06-28T10:00", event="/pricing"),
        deal("unplanned", "M70", "Closing", "2026-06-20", "2026-07-08", last_activity_at="2026-06-29"),
        deal("far", "M70", "Closing", "2026-06-20", "2026-08-30", last_activity_at="2026-06-29"),
        deal("planned", "M70", "Closing", "2026-06-20", "2026-07-08", next_activity_at="2026-07-02T10:00"),
        deal("tasked", "M70", "Closing", "2026-06-20", "2026-07-08"),
        [("task", row("task", "hubspot", "t", deal_id="tasked", due_at="2026-07-01T10:00", done=False))],
        deal("late", "M70", "Closing", "2026-06-20", "2026-06-25"),
        deal("stuck", "M50", "Prospecting", "2026-04-01", "2026-09-01"),
        deal("timing", "M85", "Lost", "2026-05-01", "2026-05-20", lost_reason="Bad Timing"), on("timing", "p1", "p3"),
        deal("refused", "M85", "Lost", "2026-05-01", "2026-05-20", lost_reason="No budget"), on("refused", "p3"),
        deal("price", "M85", "Lost", "2026-05-01", "2026-05-20", lost_reason="Price"),
        deal("ages_ago", "M85", "Lost", "2025-05-01", "2025-05-20", lost_reason="Timing"),
        deal("won", "M80", "Won", "2026-06-01", "2026-06-15"),
        deal("ending", "M80", "Won", "2025-08-01", "2025-08-15", end_date="2026-08-15"),
        deal("running", "M80", "Won", "2026-01-01", "2026-01-15", end_date="2027-01-15"),
    )  # fmt: skip


def test_each_deal_gets_the_first_rule_that_holds(deals):
    assert deals.rules == {
        "single": "second_contact", "quiet": "follow_up", "back": "call_today", "unplanned": "book_meeting", "late": "re_date",
        "stuck": "review", "timing": "revisit", "refused": "revisit_personally", "won": "onboard", "ending": "renew",
    }  # fmt: skip


def test_due_days_of_deals(deals):
    found = {name: str(deals.due(name)) for name in deals.rules}
    assert found == {
        "single": "2026-06-17", "quiet": "2026-06-23", "back": "2026-06-28", "unplanned": "2026-06-26", "late": "2026-06-26",
        "stuck": "2026-05-04", "timing": "2026-08-18", "refused": "2026-08-18", "won": "2026-07-15", "ending": "2026-04-17",
    }  # fmt: skip


def test_rules_can_be_switched_off_and_numbers_changed():
    found = Steps(
        person("waiting", "M30", "2026-06-27T09:00"), person("bare", "M40", "2026-06-20T09:00"),
        follow_up_off=["make_deal"], follow_up={"accept_hours": 240},
    )  # fmt: skip
    assert found.rules == {}


def test_the_funnel_knows_every_rule_by_name():
    assert tuple(rule.name for rule in (*PERSONS, *DEALS)) == FOLLOW_UPS


def test_each_owner_has_a_list_with_the_most_at_stake_first():
    found = Steps(
        deal("small", "M50", "Qualifying", "2026-06-10", "2026-09-01", amount=100),
        deal("large", "M50", "Qualifying", "2026-06-10", "2026-09-01", amount=90_000),
        deal("unpriced", "M50", "Qualifying", "2026-06-10", "2026-09-01", amount=None),
        deal("nobodys", "M50", "Qualifying", "2026-06-10", "2026-09-01", owner_id=None),
        *(deal(f"w{i}", "M80", "Won", "2026-01-01", "2026-03-01", amount=500) for i in range(4)),
    )  # fmt: skip
    listed = [(s.owner, found.names[s.entity_id], s.worth) for s in steps(found.scope)]
    assert [(owner, name) for owner, name, _ in listed] == [
        ("(no owner)", "nobodys"), ("ada@us.example", "large"), ("ada@us.example", "small"), ("ada@us.example", "unpriced"),
    ]  # fmt: skip
    worth = {name: value for _, name, value in listed}
    assert worth["large"] == pytest.approx(900 * worth["small"], rel=0.01)
    assert worth["unpriced"] is None


def test_steps_are_numbers_with_their_rows(leads):
    table = Measured(NOW, {}, ("next",))
    assert table.rows == []
    numbers = [r for r in _measured(leads) if r["name"] == "follow_ups"]
    assert {r["dimensions"]["step"]: (r["value"], r["numerator"]) for r in numbers} == {
        "opt_out": (1, 0), "respond": (2, 2), "escalate": (1, 1), "recycle": (1, 0), "make_deal": (1, 1),
    }  # fmt: skip
    assert leads.measured.behind("follow_ups", step="respond") == {"new", "waiting_inbound"}


def _measured(found: Steps) -> list[dict[str, Any]]:
    table = measure(found.measured.facts, found.measured.funnel, NOW, ("next",))
    return [{**r, "dimensions": json.loads(r["dimensions"])} for r in table.to_pylist()]


def test_a_report_may_be_of_one_owners_steps_only() -> None:
    rows = [{"name": "follow_up", "dimensions": json.dumps({"owner": o})} for o in ("ada@us.example", "bob@us.example")]
    rows.append({"name": "follow_ups", "dimensions": "{}"})
    assert list(_of_owner(rows, "Ada@us.example")) == [rows[0]]  # counts are of all owners
    assert list(_of_owner(rows, None)) == rows
