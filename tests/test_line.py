"""The whole line over all served vendors, as a user drives it: by commands that print JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sandbox_hub import VENDORS, Leaves, Said, Standing, differing, own_id, standing, state, tundish

from core.model import LADDER, OFF_LADDER
from core.rules import RULES as CATALOGUE
from jobs.truth import score
from jobs.wiring import all_connectors

UNPLANTED = {"C-05", "T-06"}  # they need a person forgotten, or a write refused, first: tests of their own
RULES = sorted(set(CATALOGUE) - UNPLANTED)


@dataclass(frozen=True)
class Line:
    """Everything the commands said, in their order, and the vendors' state before, between and after."""

    sandbox: Standing
    sync: Said
    reconcile: Said
    plan: Said
    refused: Said
    written_before: list[tuple[str, str]]
    apply: Said
    second_sync: Said
    second_plan: Said
    undo: Said
    before: Leaves
    applied: Leaves
    after: Leaves
    score: Mapping[str, Any]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with standing(tmp_path_factory.mktemp("line"), size=60, rules=CATALOGUE) as sandbox:

        def say(*words: str) -> Said:
            return tundish("--config", sandbox.config, *words, "--json")

        sync, before = say("sync"), state(sandbox.emulators)
        reconcile, plan = say("reconcile"), say("plan")
        refused, written = tundish("--config", sandbox.config, "apply", answer="n\n"), sandbox.writes()
        apply = say("apply", plan.json["plan_id"], "--yes")
        applied, second_sync, second_plan = state(sandbox.emulators), say("sync"), say("plan")
        undo = say("undo", apply.json["run"], "--yes")
        sandbox.clock.advance(60)
        assert say("sync").code == 0  # a vendor may show what it took only when it is asked
        found = score(reconcile.json["findings"], sandbox.truth)
        said = (sync, reconcile, plan, refused, written, apply, second_sync, second_plan, undo)
        yield Line(sandbox, *said, before, applied, state(sandbox.emulators), found)


def test_the_first_sync_is_complete(line: Line) -> None:
    assert (line.sync.code, line.sync.json["status"], line.sync.json["problems"]) == (0, "done", {})
    rows = line.sync.json["records"]
    assert {r["account"] for r in rows} == set(VENDORS)
    assert [r for r in rows if r["status"] != "done" or r["rejected"]] == []
    assert [r for r in rows if r["vendor_total"] is not None and r["kept"] + r["rejected"] < r["vendor_total"]] == []


def test_entities_are_the_true_people_companies_and_deals(line: Line) -> None:
    truth = line.sandbox.truth
    assert line.reconcile.json["entities"] == {
        "person": len(truth["people"]),
        "company": len(truth["companies"]),
        "deal": len(truth["deals"]),
    }


@pytest.mark.parametrize("rule", RULES)
def test_every_planted_discrepancy_is_found_and_nothing_else(line: Line, rule: str) -> None:
    got = line.score["rules"][rule]
    assert got["planted"] > 0
    assert (got["found"], got["missed"], got["false"]) == (got["planted"], 0, 0), line.score["false_records"].get(rule)


def test_no_other_rule_fires(line: Line) -> None:
    assert set(line.score["rules"]) == set(RULES)


def test_a_finding_says_which_records_how_bad_and_why(line: Line) -> None:
    for finding in line.reconcile.json["findings"]:
        assert re.fullmatch(r"[A-Z]-\d\d", finding["rule"])
        assert finding["severity"] in ("S1", "S2", "S3", "S4")
        assert all(len(record) == 3 for record in finding["records"])


def test_the_stage_of_everybody_without_a_planted_discrepancy_is_the_true_one(line: Line) -> None:
    truth = line.sandbox.truth
    targets = {(v, t.name): t.resource for v in VENDORS for t in all_connectors()[v].targets}
    planted = {(r[0], r[1], r[2]) for plant in truth["planted"] for r in plant["records"]}
    disputed = {p for deal in truth["deals"] if deal["disputed"] or planted & {tuple(r) for r in deal["records"]} for p in deal["people"]}
    people = {(r[0], r[1], own_id(r[2])): p for p in truth["people"] for r in p["records"]}
    wrong, right = [], 0
    for change in line.plan.json["changes"]:
        key = (change["account"], targets[change["account"], change["target"]], own_id(change["vendor_id"]))
        if key not in people or change["after"] not in (*LADDER, *OFF_LADDER):
            continue
        person = people[key]
        if change["after"] == person["stage"] or (person["disqualified"] and change["after"] == "MX"):
            right += 1
        elif person["person"] not in disputed and not planted & {tuple(r) for r in person["records"]}:
            wrong.append((person["person"], person["stage"], change["after"]))
    assert wrong == []
    assert right > len(people) * 0.7  # the others may not be written to


def test_every_change_says_what_was_what_will_be_and_why(line: Line) -> None:
    plan = line.plan.json
    assert (line.plan.code, plan["refusals"]) == (0, [])
    assert len(plan["changes"]) > 100
    assert [c for c in plan["changes"] if c["before"] == c["after"] or not c["why"]] == []
    assert {c["account"] for c in plan["changes"]} == {v for v in VENDORS if all_connectors()[v].targets} == set(plan["requests"])


def test_a_plan_never_subscribes_anybody(line: Line) -> None:
    assert [c for c in line.plan.json["changes"] if c["after"] == "subscribed"] == []


def test_nothing_is_written_before_the_user_says_yes(line: Line) -> None:
    assert line.refused.code == 130
    assert f"Write {len(line.plan.json['changes'])} changes" in line.refused.out
    assert line.written_before == []


def test_every_change_is_applied_and_nothing_beside_it(line: Line) -> None:
    assert (line.apply.code, line.apply.json["outcomes"]) == (0, {"applied": len(line.plan.json["changes"])})
    written = {own_id(c["vendor_id"]) for c in line.plan.json["changes"]}
    touched = differing(line.before, line.applied)
    records = {own_id(r[2]) for group in ("people", "companies", "deals") for thing in line.sandbox.truth[group] for r in thing["records"]}
    assert {part for path in touched for part in path} & records <= written


def test_the_second_sync_brings_only_our_own_writes_and_the_second_plan_is_empty(line: Line) -> None:
    written = {(c["account"], c["target"], c["vendor_id"]) for c in line.plan.json["changes"]}
    appended = {r["resource"]: r["appended"] for r in line.second_sync.json["records"] if r["appended"]}
    assert line.second_sync.json["status"] == "done"
    assert 0 < sum(appended.values()) <= 2 * len(written)
    assert line.second_plan.json["changes"] == []
    assert line.second_plan.json["refusals"] == []


def test_undo_brings_every_field_back_that_we_wrote(line: Line) -> None:
    # What was told is told, and nobody is subscribed again.
    final = [c for c in line.plan.json["changes"] if c["type"] == "event" or c["policy"] == "strictest"]
    fields = [c for c in line.plan.json["changes"] if c not in final]
    kept = {"kept": len(final)} if final else {}
    assert (line.undo.code, line.undo.json["outcomes"]) == (0, {"undone": len(fields)} | kept)
    written = {own_id(c["vendor_id"]) for c in fields}
    assert [path for path in differing(line.before, line.applied) if written & set(path)] != []
    left = [{*c["vendor_id"].split(":")} for c in final]  # a subscription is named by contact and list
    apart = [p for p in sorted(differing(line.before, line.after)) if written & {*p} and not any(len(ids & {*p}) > 1 for ids in left)]
    assert apart == []


def test_each_command_prints_one_json_object_of_a_known_shape(line: Line) -> None:
    assert {"run", "status", "exit", "records", "problems"} <= set(line.sync.json)
    assert {"account", "resource", "vendor_total", "kept", "rejected", "appended", "status", "reason"} <= set(line.sync.json["records"][0])
    assert {"run", "as_of", "entities", "findings"} <= set(line.reconcile.json)
    assert {"plan_id", "created_at", "expires_at", "as_of", "changes", "held", "refusals", "requests"} <= set(line.plan.json)
    assert {"change_id", "account", "target", "vendor_id", "field", "before", "after", "why", "rule"} <= set(line.plan.json["changes"][0])
    assert {"run", "plan", "outcomes", "details", "exit"} <= set(line.apply.json) & set(line.undo.json)


def test_the_history_can_be_asked_for(line: Line) -> None:
    def say(*words: str) -> Any:
        said = tundish("--config", line.sandbox.config, *words, "--json")
        assert said.code == 0, said.err
        return said.json

    assert [run["job"] for run in say("runs")["runs"]].count("sync") == 3
    assert say("runs", line.sync.json["run"])["records"] == line.sync.json["records"]
    assert {row["plan_id"] for row in say("plans")["plans"]} >= {line.plan.json["plan_id"]}
    assert say("plan", "show", line.plan.json["plan_id"])["changes"] == line.plan.json["changes"]
    assert [run["kind"] for run in say("undo", "--list")["runs"]] == ["undo", "apply"]
    [row] = say("sql", "select count(*) as n from person where not deleted")["rows"]
    assert row["n"] > 60
