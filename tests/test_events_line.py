"""Events from the lake to a vendor over real HTTP: planned once, sent once, whatever the wire does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pulled import Place, Toy
from pulled import connector as toy_connector
from scripted_vendor import Answer, Vendor, fault, serve, transport

from core import ledger_tables as t
from core.apply import Hand
from core.carry_out import apply_plan, undo_run
from core.change import Plan
from core.connector import Connector, Target, Write, WriteResult
from core.http import Transport
from core.lake_links import carried_ids
from core.ledger_events import forget_events
from core.mapping import compile_mapping
from core.pipeline import Line, make_plan, understand
from core.rules import RULES

NOW = datetime.fromisoformat("2026-06-30T12:00:00+00:00")
CRM = """
vendor: toy
resources:
  people:
    - kind: person
      fields: {source: channel}
      links: {ga4.clients: cid}
    - kind: stage_change
      id: [id, stage]
      fields: {record_kind: {const: person}, record_id: id, field: {const: lifecycle}, value: stage, stage: stage, entered_at: at}
"""
NO_RULES = {"rules": {rule: {"enabled": False} for rule in RULES}}
TOLD = """
vendor: ga4
events:
  collect:
    qualify_lead: {of: person, reached: M30, params: {lead_source: source}}
"""


def analytics(idempotent: bool) -> Connector:
    """One request per event, as a vendor without batches would have it."""

    def write(session: tuple[str, Transport], writes: list[Write]) -> Iterator[WriteResult]:
        url, wire = session
        for w in writes:
            body = orjson.dumps({"client_id": w.vendor_id, **w.values})
            wire.send("POST", f"{url}/collect", body=body, repeatable=idempotent)
            yield WriteResult(w.key, True)

    nothing: Any = None
    target = Target("collect", "clients", 1, write, kind="events", idempotent=idempotent, max_age_s=72 * 3600)
    return Connector("ga4", "Analytics", "", "2026-06-01", (), (), nothing, nothing, fault, (), (target,))


@dataclass
class Hub:
    """A CRM that was pulled, and an analytics account that is told."""

    place: Place
    vendor: Vendor
    idempotent: bool = False
    now: datetime = NOW
    crm: Any = field(default_factory=lambda: compile_mapping(CRM, toy_connector()))

    def __post_init__(self) -> None:
        self.ga4 = analytics(self.idempotent)
        self.line = Line(
            self.place.ledger, self.place.lake, NO_RULES, {"toy": toy_connector(), "ga4": self.ga4},
            {"toy": self.crm, "ga4": compile_mapping(TOLD, self.ga4)},
        )  # fmt: skip

    def hands(self, wire: Transport) -> dict[str, Hand]:
        return {"ga4": Hand((self.vendor.url, wire), {t.name: t for t in self.ga4.targets})}

    def plan(self) -> Plan:
        self.place.pull(mapping=self.crm, now=self.now, full=True)
        with transport() as wire:
            return make_plan(self.line, understand(self.line, f"r{self.now}", self.now), self.hands(wire), self.now)

    def apply(self, plan: Plan) -> dict[str, str]:
        """visitor → outcome"""
        with transport(writes=True) as wire:
            self.run, outcomes = apply_plan(self.line, plan, self.hands(wire), self.now)
        by_id = {c.change_id: c.vendor_id for c in plan.changes}
        return {by_id[o.change_id]: o.status for o in outcomes}

    def undo(self) -> list[str]:
        with transport(writes=True) as wire:
            return [o.status for o in undo_run(self.line, self.run, self.hands(wire), self.now)[1]]

    def heard(self) -> list[str]:
        return [json.loads(asked.body)["client_id"] for asked in self.vendor.asked]


PEOPLE = [
    {"id": "1", "cid": "11.1", "channel": "ads", "stage": "M30", "at": "2026-06-29T09:00:00Z"},
    {"id": "2", "cid": "22.2", "channel": None, "stage": "M30", "at": "2026-06-29T10:00:00Z"},
    {"id": "3", "cid": "33.3", "channel": "fair", "stage": "M20", "at": "2026-06-29T11:00:00Z"},
    {"id": "4", "cid": None, "channel": "ads", "stage": "M30", "at": "2026-06-29T12:00:00Z"},
    {"id": "5", "cid": "55.5", "channel": "ads", "stage": "M30", "at": "2026-06-20T09:00:00Z"},
    {"id": "6", "cid": "66.6", "channel": "ads", "stage": "M30", "at": "2024-06-20T09:00:00Z"},
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Toy([dict(p) for p in PEOPLE]))
    yield made
    made.close()


def test_what_happened_is_told_once_and_the_next_plan_has_only_news(place: Place) -> None:
    with serve() as vendor:
        hub = Hub(place, vendor)
        plan = hub.plan()
        assert [(c.vendor_id, c.field, c.before) for c in plan.changes] == [("11.1", "qualify_lead", None), ("22.2", "qualify_lead", None)]
        assert [(h.vendor_id, h.reason.split(";")[0]) for h in plan.held] == [("55.5", "older than the vendor accepts")]
        assert (plan.refusals, plan.requests) == ((), {"ga4": 2})
        assert hub.apply(plan) == {"11.1": "applied", "22.2": "applied"}
        sent = json.loads(vendor.asked[0].body)
        assert (sent["event"], sent["occurred_at"], sent["lead_source"]) == ("qualify_lead", "2026-06-29T09:00:00Z", "ads")
        assert hub.plan().changes == ()
        hub.place.toy.people[2] |= {"stage": "M30", "at": "2026-06-30T08:00:00Z"}
        assert [c.vendor_id for c in hub.plan().changes] == ["33.3"]
        told = understand(hub.line, "again", hub.now).facts["told"].to_pyarrow().to_pylist()
        assert {(row["event"], row["entity_id"]) for row in told} == {("qualify_lead", c.entity_id) for c in plan.changes}  # rule E-01 asks
        assert hub.undo() == ["kept", "kept"]
        assert [c.vendor_id for c in hub.plan().changes] == ["33.3"]
        assert hub.heard() == ["11.1", "22.2"]


def test_a_reply_that_never_comes_is_neither_sent_nor_planned_again(place: Place) -> None:
    with serve(Answer(drop=True)) as vendor:
        hub = Hub(place, vendor)
        plan = hub.plan()
        assert hub.apply(plan) == {"11.1": "uncertain", "22.2": "failed"}  # the second was never sent
        assert [c.vendor_id for c in hub.plan().changes] == ["22.2"]
        assert hub.apply(plan) == {"11.1": "uncertain", "22.2": "applied"}
        assert hub.plan().changes == ()
        assert hub.heard() == ["11.1", "22.2"]


def test_an_idempotent_vendor_is_asked_again_by_the_wire_with_the_same_id(place: Place) -> None:
    with serve(Answer(drop=True), Answer(503)) as vendor:
        hub = Hub(place, vendor, idempotent=True)
        assert hub.apply(hub.plan()) == {"11.1": "applied", "22.2": "applied"}
        assert hub.heard() == ["11.1", "11.1", "11.1", "22.2"]
        assert len({json.loads(asked.body)["id"] for asked in vendor.asked}) == 2


def test_who_is_forgotten_leaves_no_visitors_id_but_is_not_told_of_again(place: Place) -> None:
    with serve() as vendor:
        hub = Hub(place, vendor)
        hub.apply(hub.plan())
        assert carried_ids(place.lake, [("toy", "people", "1"), ("toy", "people", "4")]) == {"11.1"}
        forget_events(place.ledger, carried_ids(place.lake, [("toy", "people", "1")]))
        with place.ledger.read() as c:
            left = repr([tuple(row) for table in (t.change, t.pushed, t.outcome) for row in c.execute(table.select())])
        assert "11.1" not in left
        assert "ads" not in left
        assert "22.2" in left
        assert hub.plan().changes == ()  # the CRM still has the record here: its event is known by its own id


def test_planning_sends_nothing(place: Place) -> None:
    with serve() as vendor:
        hub = Hub(place, vendor)
        hub.plan()
        assert vendor.asked == []


def test_without_a_section_nothing_is_told(place: Place) -> None:
    with serve() as vendor:
        hub = Hub(place, vendor)
        hub.line = replace(hub.line, mappings={**hub.line.mappings, "ga4": compile_mapping("vendor: ga4", hub.ga4)})
        assert hub.plan().changes == ()
