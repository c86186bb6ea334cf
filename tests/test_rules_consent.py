# ruff: noqa: E501  (the literals are tables)
"""The rules of consent. Nothing they ask for ever loosens consent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rule_cases import Case, Finding, findings, hit, look, miss, of, person
from sandbox_hub import standing
from unified_rows import OLD, row

from jobs.steps import run_plan, run_reconcile, run_sync

RULES = ["C-01", "C-02", "C-04", "C-06"]
OUT = {"consent": "unsubscribed", "marketable": False}
MAILED = {"consent": "subscribed", "marketable": True}


def crm(id: str, **values: Any) -> dict[str, Any]:
    return person(id, **{"marketable": True, **values})


def member(id: str, contact_id: str, account: str = "mailchimp", **values: Any) -> dict[str, Any]:
    return row("person", account, id, links=[f"hubspot:contacts:{contact_id}"], list_id="letter", **values)


def opted_in(at: str) -> str:
    return json.dumps({"rating": 3, "opted_in_at": at})


def refused(id: str) -> dict[str, Any]:
    """The CRM's history: opted out on 10 January, at nine."""
    return row(
        "stage_change", "hubspot", f"{id}:consent", record_kind="person", record_id=id, field="consent", value="true", entered_at=OLD
    )


CASES = [
    hit("C-02", "opted out in the CRM, on a mailing list", "a1 a1m", expect={"fix.account": "mailchimp", "fix.vendor_id": "a1m", "fix.value": "false", "fix.policy": "strictest", "severity": "S1"},
        person=[crm("a1", **OUT), member("a1m", "a1", **MAILED)]),
    hit("C-02", "an opt-in before the opt-out does not count", "a2 a2m", expect={"fix.value": "false"},
        person=[crm("a2", **OUT), member("a2m", "a2", **MAILED, attributes=opted_in("2026-01-10T08:59:59Z"))], stage_change=[refused("a2")]),
    hit("C-02", "a person decides when the opt-in is younger", "a3 a3m", expect={"fix": None, "note": "the opt-in is younger than the opt-out"},
        person=[crm("a3", **OUT), member("a3m", "a3", **MAILED, attributes=opted_in("2026-01-10T09:00:01+00:00"))], stage_change=[refused("a3")]),
    hit("C-02", "nobody knows when he opted out: it counts", "a10 a10m", expect={"fix.value": "false"},
        person=[crm("a10", **OUT), member("a10m", "a10", **MAILED, attributes=opted_in("2026-06-29T09:00:01+00:00"))]),
    hit("C-02", "a date nobody can read is none", "a4 a4m", expect={"fix.value": "false"},
        person=[crm("a4", **OUT), member("a4m", "a4", **MAILED, attributes=opted_in("soon"))]),
    hit("C-02", "one CRM opted out, the other mails", "a5 a5s", expect={"fix.account": "hubspot"},
        person=[crm("a5"), person("a5s", "salesforce", links=["hubspot:contacts:a5"], **OUT)]),
    miss("C-02", "everywhere suppressed; archived", person=[crm("a6", **OUT), member("a6m", "a6", **OUT), member("a6n", "a6", consent="archived", marketable=False)]),
    miss("C-02", "nobody opted out", person=[crm("a7"), member("a7m", "a7", **MAILED)]),
    miss("C-02", "a mailing tool's opt-out is C-01's, with or without the CRM's",
         person=[crm("a8", **OUT), member("a8m", "a8", **OUT), member("a8a", "a8", "activecampaign", **MAILED)]),
    miss("C-02", "opted out and active in one system: two records, and its own rules", person=[crm("a9", **OUT), crm("a9b", email="z@a9.example", other_emails=["y@a9.example"])]),
    hit("C-04", "pending here, a CRM mails", "b1 b1m", expect={"fix.account": "hubspot", "fix.value": "false", "severity": "S1"},
        person=[crm("b1"), member("b1m", "b1", consent="pending", marketable=False)]),
    miss("C-04", "the other system has a confirmed consent of its own",
         person=[member("b2m", "b2", consent="pending", marketable=False), member("b2a", "b2", "activecampaign", **MAILED), crm("b2", marketable=False)]),
    miss("C-04", "suppressed; not a marketing contact",
         person=[crm("b3", marketable=False), member("b3m", "b3", consent="pending", marketable=False),
                 crm("b4", attributes='{"marketable_status":"false"}'), member("b4m", "b4", consent="pending", marketable=False)]),
    hit("C-06", "opted out", "d1", expect={"fix": None, "note": "unsubscribed"}, person=[crm("d1", **OUT, attributes='{"marketable_status":"true"}')]),
    hit("C-06", "bounced for good", "d2", expect={"note": "hard bounce"}, person=[crm("d2", attributes='{"marketable_status":"true","hard_bounce_reason":"UNKNOWN_USER"}')]),
    miss("C-06", "mailable; or no marketing contact; or a portal without them",
         person=[crm("d3", attributes='{"marketable_status":"true","hard_bounce_reason":null}'), crm("d4", **OUT, attributes='{"marketable_status":"false"}'), crm("d5", **OUT)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    return findings(CASES, RULES, {})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_finds_what_it_should_and_nothing_else(case: Case, found: list[Finding]):
    mine = of(case, found)
    assert set(mine) == set(case.found)
    for finding in list(mine.values())[:1]:
        assert {name: look(finding, name) for name in case.expect} == case.expect
        assert finding["fix"] or finding["question"]


def test_no_fix_ever_loosens_consent(found: list[Finding]):
    fixes = [json.loads(f["fix"]) for f in found if f["fix"]]
    assert fixes
    assert {(fix["field"], fix["value"], fix["policy"]) for fix in fixes} == {("marketable", "false", "strictest")}


def test_an_erased_person_is_known_again_by_id_in_the_same_system_and_by_address_in_another(tmp_path: Path):
    with standing(tmp_path, size=6, vendors=["hubspot", "salesforce"], rules=["C-05"]) as sandbox:
        run_sync(sandbox.hub, quiet=True)
        person_ = next(p for p in sandbox.truth["people"] if {r[0] for r in p["records"]} == {"hubspot", "salesforce"})
        mine, others = ([tuple(r) for r in person_["records"] if (r[0] == "hubspot") == here] for here in (True, False))
        assert not [f for f in run_reconcile(sandbox.hub).open_findings() if f["rule"] == "C-05"]
        sandbox.hub.lake.forget(mine, sandbox.hub.clock())
        run_sync(sandbox.hub, full=True, quiet=True)
        found = run_reconcile(sandbox.hub)
        records = {tuple(r) for f in found.open_findings() if f["rule"] == "C-05" for r in json.loads(f["records"])}
        plan = run_plan(sandbox.hub, found=found)
    assert records == {*mine, *others}
    assert {c.vendor_id for c in plan.changes} & {r[2] for r in records} == set()
    assert {h.vendor_id for h in plan.held if "erased" in h.reason} >= {r[2] for r in others if r[1] == "Contact"}
