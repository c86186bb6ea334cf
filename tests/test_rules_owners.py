"""G-06: fields that another integration writes as well as the hub: said in the mapping, or seen in Salesforce's history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sandbox_hub import standing
from test_reconcile import contact, hs, ids, look, path, sf
from unified_rows import NOW, row, tables

from core.change import Desired
from core.compiled import over
from core.errors import UserError
from core.facts import facts
from core.mapping import compile_mapping
from core.reconcile import reconcile
from core.resolve import resolve
from core.written_fields import left_to_others, written_fields
from jobs.steps import run_plan, run_reconcile, run_sync
from jobs.wiring import all_connectors

MAPPED = """vendor: hubspot
version: 1
resources:
  deals: {kind: deal}
  contacts: {kind: person}
push:
  deals:
    tundish_amount: {from: amount}
    amount: {from: amount, policy: source_of_truth}
  contacts:
    lifecyclestage: {from: lifecycle, policy: never_regress}
"""
SYNCED = """synced_natively:
  deals: [dealname, amount]
"""
USERS = [
    row("owner", "salesforce", "u1", name="Noor Calder"),
    row("owner", "salesforce", "u2", name="HubSpot Integration"),
    row("owner", "hubspot", "u2", name="HubSpot robot"),
]
BY_SYNC = {"deal": [hs("h1"), sf("s1", "h1")], "owner": USERS}


def mapped(text: str = MAPPED) -> Any:
    return {"hubspot": compile_mapping(text, all_connectors()["hubspot"], name="m.yaml")}


def found(mappings: Any, funnel: Any = None, **rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = tables(**rows)
    run = over(known, funnel or {})
    members = resolve(known, funnel or {}, compiled=run).members
    written = run.give("fact.written", written_fields(mappings, all_connectors()))
    given = facts(known, members, funnel or {}, NOW, run) | {"written": written}
    return list(reconcile(known, members, given, funnel or {}, NOW, rules=["G-06"], compiled=run).to_pylist())


def amounts(*steps: tuple[str, str], writers: str, account: str = "salesforce", record: str = "s1") -> list[dict[str, Any]]:
    made = path(account, record, *((value, at, None) for value, at in steps), field="amount", writers=writers)
    return [{**one, "writer": f"u{one['writer']}"} for one in made]


LATELY = (("800", "2026-05-01"), ("1000", "2026-06-01"))


def test_a_field_the_mapping_leaves_to_others_is_found_when_the_hub_would_write_it():
    (one,) = found(mapped(MAPPED + SYNCED))
    assert (one["entity_kind"], one["entity_id"], one["severity"], one["fix"]) == ("field", "hubspot:deals:amount", "S1", None)
    assert look(one, "evidence.notes") == ["the hub writes it by m.yaml:9:5; left to others by m.yaml:13:21"]


def test_a_field_the_hub_does_not_write_may_be_synced():
    assert found(mapped(MAPPED + "synced_natively:\n  deals: [dealname]\n")) == []


def test_the_sync_is_seen_at_work_in_salesforce():
    (one,) = found(mapped(), **BY_SYNC, stage_change=amounts(*LATELY, writers="12"))
    assert (one["entity_id"], ids(one)) == ("hubspot:deals:amount", {"amount", "s1"})
    assert look(one, "values") == {"hubspot": None, "salesforce": "1000"}
    assert set(look(one, "evidence.notes")) == {"the hub writes it by m.yaml:9:5", "written by HubSpot Integration"}


@pytest.mark.parametrize(
    "changes",
    [
        amounts(*LATELY, writers="11"),
        amounts(*LATELY, writers="21"),
        amounts(("800", "2026-01-01"), ("1000", "2026-03-31"), writers="12"),
        amounts(*LATELY, writers="12", account="hubspot", record="h1"),
        [{**one, "field": "close_date"} for one in amounts(*LATELY, writers="12")],
        [{**one, "record_kind": "person", "record_id": "p"} for one in amounts(*LATELY, writers="12")],
    ],
    ids=["by a rep", "when the record was created", "91 days ago", "in HubSpot", "a field the hub leaves alone", "of another kind"],
)
def test_other_changes_are_no_second_owner(changes):
    assert found(mapped(), **BY_SYNC, person=[contact("p")], stage_change=changes) == []


def test_a_field_of_the_hubs_own_is_no_second_owner():
    own = MAPPED.replace("    amount: {from: amount, policy: source_of_truth}\n", "")
    assert found(mapped(own), **BY_SYNC, stage_change=amounts(*LATELY, writers="12")) == []


def test_the_sync_may_sign_in_under_another_name():
    rows = {**BY_SYNC, "stage_change": amounts(*LATELY, writers="21")}
    rows["stage_change"].append({**rows["stage_change"][1], "vendor_id": "again", "value": "1200", "entered_at": NOW})
    assert found(mapped(), **rows) == []
    assert len(found(mapped(), {"thresholds": {"sync_users": ["calder", "bridge"]}}, **rows)) == 1
    assert found(mapped(), {"thresholds": {"sync_users": []}}, **rows) == []


def test_many_records_are_one_finding_that_names_some_of_them():
    many = [sf(f"s{i}") for i in range(30)]
    changes = [one for i in range(30) for one in amounts(*LATELY, writers="12", record=f"s{i}")]
    (one,) = found(mapped(), deal=many, owner=USERS, stage_change=changes)
    assert len(ids(one)) == 21  # and the field itself


def wish(field: str, policy: str, vendor_id: str, target: str = "deals") -> Desired:
    return Desired("hubspot", target, vendor_id, field, "number", "1", "because", policy, "D-01", "deal-1")


def test_the_hub_only_reads_a_field_that_others_own():
    wishes = [wish("amount", "source_of_truth", "1"), wish("amount", "source_of_truth", "2"), wish("tundish_amount", "derived", "1")]
    kept, held = left_to_others(wishes, mapped(MAPPED + SYNCED))
    assert [(w.field, w.vendor_id) for w in kept] == [("tundish_amount", "1")]
    reason = "another integration owns this field (m.yaml:13:21, `synced_natively`): the hub only reads it (G-06)"
    assert [(h.field, h.vendor_id, h.wanted, h.reason, h.rule) for h in held] == [
        ("amount", "1", "1", reason, "D-01"),
        ("amount", "2", "1", reason, "D-01"),
    ]
    assert left_to_others(wishes, mapped()) == (wishes, [])


def test_a_field_of_the_hubs_own_is_held_once_for_all_records():
    both = [wish("tundish_amount", "derived", id) for id in ("1", "2")]
    kept, held = left_to_others(both, mapped(MAPPED + "synced_natively: {deals: [tundish_amount]}\n"))
    assert (kept, [(h.vendor_id, h.wanted) for h in held]) == ([], [("*", None)])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("synced_natively: {deal: [amount]}", "m.yaml:12:19: unknown target of hubspot 'deal'; did you mean 'deals'?"),
        ("synced_natively: {deals: [amount, x, amount]}", "m.yaml:12:38: 'amount' stands here twice"),
        ("synced_natively: {deals: [Amount]}", "m.yaml:12:27: `push` writes this field as 'amount'; write it alike here"),
        ("synced_natively: {deals: amount}", "m.yaml:12:26: "),
    ],
)
def test_mistakes_in_the_line_are_told_with_their_place(line: str, told: str):
    with pytest.raises(UserError) as caught:
        mapped(MAPPED + line + "\n")
    assert str(caught.value).startswith(told)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plan_writes_no_field_that_others_own(tmp_path: Path):
    with standing(tmp_path, size=6, vendors=["hubspot", "salesforce"], rules=["G-06", "D-01"]) as sandbox:
        run_sync(sandbox.hub, quiet=True)
        before = [c for c in run_plan(sandbox.hub).changes if (c.target, c.field) == ("deals", "amount")]
        mapping = sandbox.hub.setup.mappings["hubspot"]
        pushes = [replace(p, synced="hubspot.yaml:9:9") if (p.target, p.field) == ("deals", "amount") else p for p in mapping.push]
        sandbox.hub.setup.mappings["hubspot"] = replace(mapping, push=tuple(pushes))
        found = run_reconcile(sandbox.hub)
        plan = run_plan(sandbox.hub, found=found)
    assert before
    assert [c for c in plan.changes if (c.target, c.field) == ("deals", "amount")] == []
    assert {h.vendor_id for h in plan.held if "hubspot.yaml:9:9" in h.reason} == {c.vendor_id for c in before}
    assert "hubspot:deals:amount" in {f["entity_id"] for f in found.open_findings() if f["rule"] == "G-06"}
