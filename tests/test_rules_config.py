# ruff: noqa: E501  (the literals are tables)
"""Rules of configuration from literals: stages that are contradicted, out of order, in no forecast or unmapped; each beside its near miss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import LOST, RECENTLY, WON, contact, found_in, hit, look, miss, sf
from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.mapping import compile_mapping
from core.reconcile import reconcile
from core.resolve import resolve
from core.stage_map import stage_map
from jobs.wiring import all_connectors

MINE = ("G-03", "G-04", "G-05", "G-07")


def stage(account: str, name: str, place: int, **values: Any) -> dict[str, Any]:
    """A stage of deals; its id says where it stands. Open, without chance and category unless said."""
    id = f"{account}-{name}"
    shape = {
        "record_kind": "deal",
        "stage": "M50",
        "raw_stage": name,
        "label": name.title(),
        "position": place,
        "closed": False,
        "won": False,
    }
    return row("stage_definition", account, id, **{**shape, **values})


SURE = {"probability": 1.0, "closed": True, "won": True, "stage": "M80"}
GONE = {"probability": 0.0, "closed": True, "won": False, "stage": "M85"}
CYCLE = {"record_kind": "lifecycle", "closed": None, "won": None}
CASES = [
    hit("G-03", "deals closed as lost in a stage that is mapped open", "g03a g03b",
        {"values": {"salesforce:Opportunity:g03a": "lost", "salesforce:Opportunity:g03b": "lost"}, "evidence.notes": ["2 records"], "fix": None},
        deal=[sf(k, **{**LOST, "raw_stage": "Parked", "stage": "M60", "outcome": "open"}) for k in ("g03a", "g03b")]),
    hit("G-03", "an open deal in a stage that is mapped won", "g03c", {"values": {"salesforce": "open"}},
        deal=[sf("g03c", raw_stage="Verbal", stage="M80", outcome="won")]),
    hit("G-03", "nobody is in it, but its definition says so", "sf-g03-won", {"values": {"sf-g03": "won"}},
        stage_definition=[stage("sf-g03", "won", 1, closed=True, won=True)]),
    miss("G-03", "flags and mapping agree; no flags; changed just now; unmapped; off the ladder",
         deal=[sf("g03d", **WON, outcome="won"), sf("g03e", closed=None, won=None, raw_stage="Won", outcome="won"),
               sf("g03f", **{**LOST, "raw_stage": "Fresh", "outcome": "open"}, updated_at=RECENTLY)],
         stage_definition=[stage("sf-g03", "unmapped", 2, **SURE) | {"stage": None}, stage("sf-g03", "off", 3, **GONE) | {"stage": "MX"},
                           stage("sf-g03", "unflagged", 4, closed=None, won=None, stage="M80"), stage("sf-g03", "done", 5, **SURE)]),
    hit("G-04", "20 % before 19 %", "a-two", {"values": {"a": "19 %"}, "evidence.notes": ["after One with 20 %"]},
        stage_definition=[stage("a", "one", 1, probability=0.2), stage("a", "two", 2, probability=0.19)]),
    miss("G-04", "equal, lost and won at the end, and open ones that stand after them",
         stage_definition=[stage("b", "one", 1, probability=0.2), stage("b", "two", 2, probability=0.2), stage("b", "won", 3, **SURE),
                           stage("b", "lost", 4, **GONE), stage("b", "later", 5, probability=0.3)]),
    miss("G-04", "two pipelines, a stage without a chance, one that is retired, one of leads",
         stage_definition=[stage("c", "one", 1, probability=0.9, pipeline_id="x"), stage("c", "two", 2, probability=0.1, pipeline_id="y"),
                           stage("d", "one", 1, probability=0.2), stage("d", "old", 2, probability=0.9, active=False),
                           stage("d", "two", 3), stage("d", "three", 4, probability=0.3),
                           stage("d", "lead", 5, probability=0.1, record_kind="person", pipeline_id="l")]),
    hit("G-05", "won deals are omitted", "e-won", {"values": {"e": "omitted"}, "evidence.notes": ["a won stage"]},
        stage_definition=[stage("e", "won", 1, **SURE, forecast_category="omitted"), stage("e", "open", 0, forecast_category="commit")]),
    hit("G-05", "every open stage is just pipeline", "f-one f-two", {"entity_kind": "pipeline"},
        stage_definition=[stage("f", "one", 1, forecast_category="pipeline"), stage("f", "two", 2, forecast_category="omitted"),
                          stage("f", "won", 3, **SURE, forecast_category="closed")]),
    miss("G-05", "one is best case; another vendor has no categories; a category of one stage is not known; lost is omitted",
         stage_definition=[stage("g", "one", 1, forecast_category="pipeline"), stage("g", "two", 2, forecast_category="best_case"),
                           stage("g", "won", 3, **SURE, forecast_category="closed"), stage("g", "lost", 4, **GONE, forecast_category="omitted"),
                           stage("h", "one", 1), stage("h", "won", 2, **SURE),
                           stage("i", "one", 1, forecast_category="pipeline"), stage("i", "two", 2), stage("i", "won", 3, **SURE)]),
    hit("G-07", "two contacts and a company are in it", "hubspot-trial",
        {"values": {"hubspot": "Trial"}, "evidence.notes": ["3 records"], "entity_kind": "stage"},
        stage_definition=[stage("hubspot", "trial", 8, **CYCLE, stage=None)],
        person=[contact(k, raw_stage="trial") for k in ("g07a", "g07b")], company=[row("company", "hubspot", "g07c", raw_stage="trial")]),
    hit("G-07", "nobody is in it", "crm-new", {"evidence.notes": ["0 records"]}, stage_definition=[stage("crm", "new", 9, **CYCLE, stage=None)]),
    miss("G-07", "mapped; off the ladder; hidden; an unmapped stage of a pipeline",
         stage_definition=[stage("crm", "lead", 1, **CYCLE), stage("crm", "other", 7, **CYCLE, stage="MX"),
                           stage("crm", "old", 8, **CYCLE, stage=None, active=False), stage("crm", "odd", 1, record_kind="person", stage=None)]),
]  # fmt: skip


def test_a_stage_of_many_records_is_one_finding_that_names_some_of_them():
    many = [sf(f"n{i:02}", **{**LOST, "raw_stage": "Parked", "stage": "M60", "outcome": "open"}) for i in range(30)]
    (one,) = found_in(rules=["G-03"], deal=many).to_pylist()
    assert len(json.loads(one["records"])) == 20
    assert look(one, "evidence.notes") == ["30 records"]


def test_who_is_in_an_unmapped_stage_of_a_life_cycle_is_told_once():
    rows = {"stage_definition": [stage("hubspot", "trial", 8, **CYCLE, stage=None)], "person": [contact("1", raw_stage="trial")]}
    assert [f["rule"] for f in found_in(rules=["G-01", "G-07"], **rows).to_pylist()] == ["G-07"]
    assert [f["rule"] for f in found_in(rules=["G-01", "G-07"], person=rows["person"]).to_pylist()] == ["G-01"]


MAPPED = """
vendor: hubspot
version: 1
resources:
  pipelines:
    kind: stage_definition
    each: stages
    id: [^.id, id]
    stage: {path: id, pipeline: ^.id, table: deals}
stages:
  deals:
    default/one: {milestone: M50, label: Talks, probability: 0.2}
    two: {milestone: M60, label: Offer}
    three: M70
"""


def stale(**values: Any) -> list[tuple[str, str, list[str]]]:
    """(field, value, notes) of what G-02 says of one stage definition, by MAPPED."""
    shape = {"record_kind": "deal", "resource": "pipelines", "stage": "M50", "pipeline_id": "default", "label": "Talks", "probability": 0.2}
    known = tables(stage_definition=[row("stage_definition", "hubspot", "s", **{**shape, **values})])
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    said = stage_map({"hubspot": compile_mapping(MAPPED, all_connectors()["hubspot"])})
    given = facts(known, members, {}, NOW, run) | {"stage_map": run.give("fact.stage_map", said)}
    found = reconcile(known, members, given, {}, NOW, rules=["G-02"], compiled=run).to_pylist()
    return [(f["field"], look(f, "values.hubspot"), look(f, "evidence.notes")) for f in found]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"raw_stage": "one"}, []),
        ({"raw_stage": "one", "label": " TALKS", "probability": None}, []),
        ({"raw_stage": "one", "label": "Signed"}, [("label", "Signed", ["mapped as Talks"])]),
        ({"raw_stage": "one", "probability": 0.25}, [("probability", "25.0 %", ["mapped as 20.0 %"])]),
        ({"raw_stage": "one", "label": "Signed", "active": False}, []),
        ({"raw_stage": "one", "label": "Signed", "pipeline_id": "other"}, []),
        ({"raw_stage": "one", "label": "Signed", "resource": "lead_pipelines"}, []),
        ({"raw_stage": "two", "label": "Offer", "probability": 0.9}, []),
        ({"raw_stage": "two", "label": "Order"}, [("label", "Order", ["mapped as Offer"])]),
        ({"raw_stage": "two", "label": "Order", "pipeline_id": None}, [("label", "Order", ["mapped as Offer"])]),
        ({"raw_stage": "three", "label": "Anything"}, []),
    ],
)
def test_a_stage_is_stale_when_it_is_not_what_its_line_says(now, told):
    assert stale(**now) == told


def test_without_mappings_no_stage_is_stale():
    assert found_in(rules=["G-02"], stage_definition=[stage("hubspot", "one", 1, label="Signed")]).num_rows == 0
