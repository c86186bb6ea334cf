# ruff: noqa: E501  (the literals are tables)
"""Every rule of the catalogue, from literals: what must be found, and the near miss that must not.

The cases do not touch each other (ids, addresses and companies are their own), so all are reconciled in one go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.reconcile import FINDINGS, reconcile
from core.resolve import resolve
from core.rules import RULES

RECENTLY = NOW - timedelta(minutes=3)
HOURS_AGO = NOW - timedelta(hours=6)
FUNNEL = {"policies": {"amount": {"policy": "source_of_truth", "order": ["salesforce"]}}}


@dataclass(frozen=True)
class Case:
    rule: str
    says: str
    rows: dict[str, list[dict[str, Any]]]
    found: str = ""  # vendor ids of the finding's records, in order; "" for a near miss
    expect: dict[str, Any] = field(default_factory=dict)


def hit(rule: str, says: str, found: str, expect: dict[str, Any] | None = None, **rows: list[dict[str, Any]]) -> Case:
    return Case(rule, says, rows, found, expect or {})


def miss(rule: str, says: str, **rows: list[dict[str, Any]]) -> Case:
    return Case(rule, says, rows)


def hs(id: str, **values: Any) -> dict[str, Any]:
    return row("deal", "hubspot", id, **{**OPEN, **values})


def sf(id: str, mirror: str | None = None, **values: Any) -> dict[str, Any]:
    links = [f"hubspot:deals:{mirror}"] if mirror else []
    return row("deal", "salesforce", id, links=links, **{**OPEN, **values})


OPEN = {"stage": "M50", "pipeline_stage": "Qualifying", "raw_stage": "qualifiedtobuy", "closed": False, "won": False,
        "amount": 1000, "currency": "EUR", "close_date": "2026-07-20"}  # fmt: skip
WON = {"stage": "M80", "pipeline_stage": "Won", "raw_stage": "closedwon", "closed": True, "won": True,
       "close_date": "2026-06-01", "stage_entered_at": "2026-06-01"}  # fmt: skip
LOST = {"stage": "M85", "pipeline_stage": "Lost", "raw_stage": "closedlost", "closed": True, "won": False,
        "close_date": "2026-06-01", "stage_entered_at": "2026-06-01"}  # fmt: skip


def contact(id: str, **values: Any) -> dict[str, Any]:
    return row("person", "hubspot", id, **values)


def lead(id: str, contact_id: str, **values: Any) -> dict[str, Any]:
    return row("person", "salesforce", id, resource="Lead", links=[f"hubspot:contacts:{contact_id}"], converted=False, **values)


def member(id: str, contact_id: str, **values: Any) -> dict[str, Any]:
    return row("person", "mailchimp", id, links=[f"hubspot:contacts:{contact_id}"], **values)


def on_deal(deal: str, person: str, account: str = "hubspot") -> dict[str, Any]:
    return row("association", account, f"{deal}-{person}", from_kind="deal", from_id=deal, to_kind="person", to_id=person)


def path(account: str, record: str, *steps: tuple[str, str, str | None], field: str = "stage", writers: str = "r") -> list[dict[str, Any]]:
    """Values of a deal's field, oldest first: (value, when, milestone). `writers` has a letter per step, the last one repeated."""
    return [
        row("stage_change", account, f"{record}:{field}:{i}", record_kind="deal", record_id=record, field=field, value=value,
            entered_at=at, stage=code, writer=writers[min(i, len(writers) - 1)])
        for i, (value, at, code) in enumerate(steps)
    ]  # fmt: skip


def one_of(kind: str, id: str, stage: str, deal: dict[str, Any], **values: Any) -> dict[str, list[dict[str, Any]]]:
    """A person (or company) with a lifecycle, on one deal."""
    deal_id = deal["vendor_id"]
    if kind == "company":
        return {"company": [row("company", "hubspot", id, stage=stage, **values)], "deal": [{**deal, "company_id": id}]}
    return {"person": [contact(id, stage=stage, **values)], "deal": [deal], "association": [on_deal(deal_id, id)]}


PIPELINE = [
    row("stage_definition", "hubspot", f"default:{stage}", record_kind="deal", pipeline_id="default", position=i, raw_stage=stage, stage=code)
    for i, (stage, code) in enumerate(
        [("appointmentscheduled", "M50"), ("qualifiedtobuy", "M50"), ("presentationscheduled", "M60"), ("contractsent", "M70"),
         ("closedwon", "M80"), ("closedlost", "M85")]
    )
]  # fmt: skip
A, Q, P, C = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent")

CASES = [
    hit("I-01", "two live contacts with one address", "i01a i01b",
        person=[contact("i01a", email="Ada@i01.example"), contact("i01b", email="ada@i01.example")]),
    miss("I-01", "a lead and its contact, two audiences, and an archived double",
         person=[contact("i01c", email="bo@i01.example"), contact("i01d", email="bo@i01.example", deleted=True),
                 row("person", "salesforce", "i01e", email="bo@i01.example", resource="Lead", converted=False),
                 row("person", "salesforce", "i01f", email="bo@i01.example"),
                 row("person", "mailchimp", "i01g", email="bo@i01.example", list_id="a"),
                 row("person", "mailchimp", "i01h", email="bo@i01.example", list_id="b")]),
    hit("I-04", "an open deal without a person", "i04a", deal=[hs("i04a")]),
    miss("I-04", "lost, or with a person in the other system only",
         deal=[hs("i04b", **LOST), hs("i04c"), sf("i04d", "i04c", person_id="i04p")], person=[row("person", "salesforce", "i04p")]),
    hit("I-06", "a link to a contact that is not there", "i06a", {"values": {"hubspot": "salesforce:Contact:i06gone"}},
        person=[contact("i06a", links=["salesforce:Contact:i06gone"]), row("person", "salesforce", "i06other")]),
    hit("I-06", "flagged to sync for a day, in one CRM only", "i06b", deal=[hs("i06b", attributes='{"sync":"true"}')]),
    miss("I-06", "flagged six hours ago; or not flagged; or linked to a record that was merged",
         deal=[hs("i06c", attributes='{"sync":"true"}', created_at=HOURS_AGO), hs("i06d", attributes='{"sync":"false"}')],
         person=[contact("i06e", links=["salesforce:Contact:i06lost"]), row("person", "salesforce", "i06won", merged_ids=["i06lost"])]),
    hit("I-10", "same company, week, amount and name", "i10a i10b",
        company=[row("company", "hubspot", "i10co")],
        deal=[hs("i10a", name="Sensors – phase one", company_id="i10co"),
              hs("i10b", name="Sensors - phase one", company_id="i10co", amount=1009, created_at="2026-01-12")]),
    miss("I-10", "25 days apart; another name; another company",
         company=[row("company", "hubspot", "i10cp"), row("company", "hubspot", "i10cq")],
         deal=[hs("i10c", name="Sensors phase one", company_id="i10cp"),
               hs("i10d", name="Sensors phase one", company_id="i10cp", created_at="2026-02-10"),
               hs("i10e", name="Gateway rental", company_id="i10cp"),
               hs("i10f", name="Sensors phase one", company_id="i10cq")]),
    hit("S-01", "customer whose only deal is lost", "s01a s01d", **one_of("person", "s01a", "M80", hs("s01d", **LOST))),
    miss("S-01", "a mirror of the lost deal is won", deal=[hs("s01e", **WON), sf("s01f", "s01e", **LOST)],
         person=[contact("s01b", stage="M80")], association=[on_deal("s01e", "s01b")]),
    hit("S-02", "won, still opportunity", "s02a s02d",
        {"fix": {"account": "hubspot", "resource": "contacts", "vendor_id": "s02a", "field": "lifecycle", "value": "M80",
                 "policy": "never_regress", "before": "opportunity"}},
        **one_of("person", "s02a", "M50", hs("s02d", **WON), raw_stage="opportunity")),
    miss("S-02", "won, already evangelist", **one_of("person", "s02b", "M95", hs("s02e", **WON))),
    hit("S-03", "open deal, company still lead", "s03co s03d", {"fix.value": "M50"}, **one_of("company", "s03co", "M20", hs("s03d"))),
    miss("S-03", "open deal of a customer; or touched three minutes ago",
         person=[contact("s03b", stage="M80"), contact("s03c", stage="M20")],
         deal=[hs("s03e"), hs("s03f", updated_at=RECENTLY)], association=[on_deal("s03e", "s03b"), on_deal("s03f", "s03c")]),
    hit("S-05", "HubSpot a stage ahead for days", "s05a s05b",
        {"fix": {"account": "hubspot", "resource": "deals", "vendor_id": "s05a", "field": "stage", "value": "M50",
                 "policy": "source_of_truth", "before": "presentationscheduled", "pipeline": "default"},
         "values": {"hubspot": "Proposing", "salesforce": "Qualifying"}},
        deal=[hs("s05a", stage="M60", pipeline_stage="Proposing", raw_stage=P, pipeline_id="default", stage_entered_at="2026-06-25"),
              sf("s05b", "s05a")]),
    miss("S-05", "moved three minutes ago, and one that agrees",
         deal=[hs("s05c", stage="M60", pipeline_stage="Proposing", stage_entered_at=RECENTLY), sf("s05d", "s05c"),
               hs("s05e"), sf("s05f", "s05e", raw_stage="Qualification")]),
    hit("S-06", "won here, lost there: a person decides", "s06a s06b", {"fix": None}, deal=[hs("s06a", **WON), sf("s06b", "s06a", **LOST)]),
    hit("S-06", "won in the source of truth, open in its mirror", "s06c s06d", {"fix.value": "M80", "fix.vendor_id": "s06c"},
        deal=[hs("s06c"), sf("s06d", "s06c", **WON)]),
    miss("S-06", "closed six hours ago", deal=[hs("s06e", **{**LOST, "stage_entered_at": HOURS_AGO}), sf("s06f", "s06e")]),
    hit("S-07", "back from proposing, for four days", "s07a", {"values": {"hubspot": f"{P} → {Q}"}},
        deal=[hs("s07a")], stage_change=path("hubspot", "s07a", (Q, "2026-06-01", "M50"), (P, "2026-06-10", "M60"), (Q, "2026-06-26", "M50"))),
    miss("S-07", "re-opened; a mis-click taken back; back for less than a day",
         deal=[hs("s07b"), hs("s07c"), hs("s07d")],
         stage_change=[
             *path("hubspot", "s07b", (Q, "2026-06-01", "M50"), ("closedlost", "2026-06-10", "M85"), (Q, "2026-06-12", "M50")),
             *path("hubspot", "s07c", (Q, "2026-06-01", "M50"), (P, "2026-06-10T10:00", "M60"), (Q, "2026-06-10T11:00", "M50")),
             *path("hubspot", "s07d", (P, "2026-06-01", "M60"), (Q, "2026-06-29T12:00", "M50"))]),
    hit("S-09", "from the first stage straight to the third", "s09a",
        deal=[hs("s09a")], stage_change=path("hubspot", "s09a", (A, "2026-06-01", "M50"), (P, "2026-06-10", "M60"))),
    miss("S-09", "lost out of the second; every stage in one day; gone back and forth",
         deal=[hs("s09b", **LOST), hs("s09c"), hs("s09d")],
         stage_change=[
             *path("hubspot", "s09b", (A, "2026-06-01", "M50"), (Q, "2026-06-02", "M50"), ("closedlost", "2026-06-10", "M85")),
             *path("hubspot", "s09c", (A, "2026-06-01T09:00", "M50"), (Q, "2026-06-01T10:00", "M50"), (P, "2026-06-01T11:00", "M60")),
             *path("hubspot", "s09d", (A, "2026-06-01", "M50"), (Q, "2026-06-02", "M50"), (A, "2026-06-05", "M50"), (Q, "2026-06-08", "M50"))]),
    hit("S-11", "lead converted, contact still MQL", "s11a s11b", {"fix.value": "M40"},
        person=[contact("s11a", stage="M30"), lead("s11b", "s11a") | {"converted": True}]),
    hit("S-11", "the fix goes as far as the open deal", "s11c s11d", {"fix.value": "M50"},
        person=[contact("s11c", stage="M30"), lead("s11d", "s11c") | {"converted": True}], deal=[hs("s11e")],
        association=[on_deal("s11e", "s11c")]),
    miss("S-11", "converted and SQL", person=[contact("s11f", stage="M40"), lead("s11g", "s11f") | {"converted": True}]),
    hit("D-01", "open, two per cent apart", "d01a d01b",
        {"fix": {"account": "hubspot", "resource": "deals", "vendor_id": "d01a", "field": "amount", "value": "1020.5",
                 "policy": "source_of_truth", "before": "1000"}},
        deal=[hs("d01a"), sf("d01b", "d01a", amount="1020.5")]),
    miss("D-01", "half a per cent; less than a unit; touched just now; another currency; a blank",
         deal=[hs("d01c"), sf("d01d", "d01c", amount=1005), hs("d01e", amount=40), sf("d01f", "d01e", amount="40.9"),
               hs("d01g", updated_at=RECENTLY), sf("d01h", "d01g", amount=2000), hs("d01i"), sf("d01j", "d01i", amount=2000, currency="USD"),
               hs("d01k", amount=None), sf("d01l", "d01k")]),
    hit("D-02", "won, ten per cent apart: finance decides", "d02a d02b", {"fix": None, "severity": "S1"},
        deal=[hs("d02a", **WON), sf("d02b", "d02a", **{**WON, "amount": 1100})]),
    miss("D-02", "won, half a per cent apart", deal=[hs("d02c", **WON), sf("d02d", "d02c", **{**WON, "amount": 1005})]),
    hit("D-03", "proposing without an amount", "d03a", deal=[hs("d03a", stage="M60", pipeline_stage="Proposing", amount=0)]),
    miss("D-03", "only qualifying; or the mirror has one", deal=[hs("d03b", amount=None), hs("d03c", stage="M60", amount=None),
                                                                 sf("d03d", "d03c", stage="M60")]),
    hit("D-05", "close dates a week apart in one quarter", "d05a d05b", {"fix.value": "2026-07-27", "fix.vendor_id": "d05a"},
        deal=[hs("d05a"), sf("d05b", "d05a", close_date="2026-07-27")]),
    hit("D-05", "in two quarters: a person decides", "d05c d05d", {"fix": None}, deal=[hs("d05c"), sf("d05d", "d05c", close_date="2026-10-05")]),
    miss("D-05", "a day apart where one side keeps a time", deal=[hs("d05e"), sf("d05f", "d05e", close_date="2026-07-21")]),
    hit("D-06", "open past its close date", "d06a", deal=[hs("d06a", close_date="2026-06-29")]),
    miss("D-06", "closes today; or is lost", deal=[hs("d06b", close_date="2026-06-30"), hs("d06c", **{**LOST, "close_date": "2026-06-01"})]),
    hit("D-09", "two owners", "d09a d09b", {"fix.value": "bo@us.example"},
        deal=[hs("d09a", owner_id="1"), sf("d09b", "d09a", owner_id="005B")]),
    miss("D-09", "one owner, in capitals in Salesforce", deal=[hs("d09c", owner_id="1"), sf("d09d", "d09c", owner_id="005A")]),
    hit("D-11", "75 days in its stage", "d11a", deal=[hs("d11a", stage_entered_at="2026-04-16")]),
    miss("D-11", "26 days; or closed long ago", deal=[hs("d11b", stage_entered_at="2026-06-04"), hs("d11c", **WON)]),
    hit("D-15", "closed ten days before it was made", "d15a", deal=[hs("d15a", **{**LOST, "close_date": "2025-12-31"})]),
    hit("D-15", "closed five days before it entered the stage it was closed from", "d15c", {"values": {"hubspot": "2026-05-25"}},
        deal=[hs("d15c", **{**LOST, "close_date": "2026-05-25"})],
        stage_change=path("hubspot", "d15c", (Q, "2026-05-20", "M50"), (P, "2026-05-30", "M60"), ("closedlost", "2026-06-01", "M85"))),
    miss("D-15", "closed on the day it entered its last stage",
         deal=[hs("d15d", **{**LOST, "close_date": "2026-05-30"})],
         stage_change=path("hubspot", "d15d", (P, "2026-05-30", "M60"), ("closedlost", "2026-05-31", "M85"))),
    miss("D-15", "made and lost on one day", deal=[hs("d15b", **{**LOST, "close_date": "2026-01-10"})]),
    hit("C-01", "unsubscribed in Mailchimp, marketable in HubSpot", "c01a c01b",
        {"fix": {"account": "hubspot", "resource": "contacts", "vendor_id": "c01a", "field": "marketable", "value": "false",
                 "policy": "strictest"}, "severity": "S1"},
        person=[contact("c01a", marketable=True), member("c01b", "c01a", consent="unsubscribed", marketable=False)]),
    miss("C-01", "archived is not unsubscribed; opted out in both; not a marketing contact",
         person=[contact("c01c", marketable=True), member("c01d", "c01c", consent="archived", marketable=False),
                 contact("c01e", marketable=False), member("c01f", "c01e", consent="unsubscribed", marketable=False),
                 contact("c01g", marketable=True, attributes='{"marketable_status":"false"}'),
                 member("c01h", "c01g", consent="unsubscribed", marketable=False)]),
    hit("C-03", "dead address still mailed", "c03a c03b", {"fix.value": "false", "fix.vendor_id": "c03a"},
        person=[contact("c03a", email="x@c03.example", marketable=True), member("c03b", "c03a", email="x@c03.example", consent="cleaned")]),
    miss("C-03", "a new address over there; or suppressed",
         person=[contact("c03c", email="new@c03.example", marketable=True), member("c03d", "c03c", email="y@c03.example", consent="cleaned"),
                 contact("c03e", email="z@c03.example", marketable=True, attributes='{"hard_bounce_reason":"UNKNOWN_USER"}'),
                 member("c03f", "c03e", email="z@c03.example", consent="cleaned")]),
    hit("E-01", "won, the visitor is known, nobody told analytics", "e01d",
        **{**one_of("person", "e01a", "M80", hs("e01d", **WON)), "person": [contact("e01a", stage="M80", client_id="GA1.2")]}),
    miss("E-01", "told within three days; nobody known; won yesterday",
         person=[contact("e01b", client_id="GA1.3"), contact("e01c")],
         deal=[hs("e01e", **WON), hs("e01f", **WON), hs("e01g", **{**WON, "stage_entered_at": "2026-06-29"})],
         association=[on_deal("e01e", "e01b"), on_deal("e01f", "e01c"), on_deal("e01g", "e01b")],
         touch=[row("touch", "hubspot", "ev", kind="conversion", event="pe1_close_convert_lead", deal_id="e01e", occurred_at="2026-06-02")]),
    hit("G-01", "a stage no table maps", "g01a", {"entity_id": "hubspot:deal:7712/7712101"},
        deal=[hs("g01a", stage=None, pipeline_stage=None, raw_stage="7712101", pipeline_id="7712")]),
    miss("G-01", "mapped; and a subscription status, which is no stage",
         deal=[hs("g01b")], person=[member("g01c", "none", consent="cleaned", raw_stage="cleaned")]),
    hit("T-05", "two writers change the amount to and fro", "t05a", {"values": {"hubspot": "1000 ↔ 1200"}},
        deal=[hs("t05a")],
        stage_change=path("hubspot", "t05a", ("1000", "2026-05-01", None), ("1200", "2026-06-24", None), ("1000", "2026-06-25", None),
                          ("1200", "2026-06-26", None), field="amount", writers="rsrs")),
    miss("T-05", "one writer who cannot decide; the same turns over weeks; new values each time",
         deal=[hs("t05b"), hs("t05c"), hs("t05d")],
         stage_change=[
             *path("hubspot", "t05b", ("1", "2026-06-20", None), ("2", "2026-06-21", None), ("1", "2026-06-22", None), ("2", "2026-06-23", None),
                   field="amount", writers="rrrr"),
             *path("hubspot", "t05c", ("1", "2026-05-20", None), ("2", "2026-05-26", None), ("1", "2026-06-02", None), ("2", "2026-06-09", None),
                   field="amount", writers="rsrs"),
             *path("hubspot", "t05d", ("1", "2026-06-20", None), ("2", "2026-06-21", None), ("3", "2026-06-22", None), ("4", "2026-06-23", None),
                   field="amount", writers="rsrs")]),
]  # fmt: skip
OWNERS = [
    row("owner", "hubspot", "1", email="ada@us.example"),
    row("owner", "salesforce", "005A", email="ADA@us.example"),
    row("owner", "salesforce", "005B", email="bo@us.example"),
]


def found_in(previous: pa.Table | None = None, rules: list[str] | None = None, as_of=NOW, funnel=FUNNEL, **rows: list[dict[str, Any]]):
    known = tables(**rows)
    run = over(known, funnel)
    members = resolve(known, funnel, compiled=run).members
    return reconcile(known, members, facts(known, members, funnel, as_of, run), funnel, as_of, previous, rules, run)


@pytest.fixture(scope="module")
def findings() -> list[dict[str, Any]]:
    rows: dict[str, list[dict[str, Any]]] = {"owner": OWNERS, "stage_definition": PIPELINE}
    for case in CASES:
        for kind, some in case.rows.items():
            rows.setdefault(kind, []).extend(some)
    table = found_in(**rows)
    assert table.schema == FINDINGS
    return table.to_pylist()


def ids(finding: dict[str, Any]) -> set[str]:
    return {vendor_id for _, _, vendor_id in json.loads(finding["records"])}


def look(finding: dict[str, Any], name: str) -> Any:
    """A column, JSON decoded; "fix.value" is a key of one."""
    column, _, key = name.partition(".")
    value = json.loads(finding[column]) if column in ("fix", "values", "evidence") and finding[column] else finding[column]
    return value[key] if key else value


@pytest.mark.parametrize("case", [c for c in CASES if c.found], ids=lambda c: f"{c.rule} {c.says}")
def test_a_rule_finds(case: Case, findings):
    mine = [f for f in findings if f["rule"] == case.rule and ids(f) == set(case.found.split())]
    assert len(mine) == 1
    finding = mine[0]
    assert {name: look(finding, name) for name in case.expect} == case.expect
    assert finding["severity"] == case.expect.get("severity", RULES[case.rule].severity)
    assert finding["status"] == "open"
    assert finding["first_seen"] == finding["last_seen"] == NOW
    assert bool(finding["fix"]) or bool(finding["question"]) or case.rule == "S-09"  # S-09 is a note: nobody has to act


@pytest.mark.parametrize("case", [c for c in CASES if not c.found], ids=lambda c: f"{c.rule} {c.says}")
def test_a_rule_leaves_the_near_miss_alone(case: Case, findings):
    own = {r["vendor_id"] for some in case.rows.values() for r in some}
    assert [f for f in findings if f["rule"] == case.rule and ids(f) & own] == []


FIRST = [
    "C-01", "C-03", "D-01", "D-02", "D-03", "D-05", "D-06", "D-09", "D-11", "D-15", "E-01", "G-01", "I-01", "I-04", "I-06", "I-10", "S-01",
    "S-02", "S-03", "S-05", "S-06", "S-07", "S-09", "S-11", "T-05",
]  # fmt: skip


@pytest.mark.parametrize("rule", FIRST)
def test_every_rule_has_a_hit_and_a_near_miss(rule):
    assert {bool(c.found) for c in CASES if c.rule == rule} == {True, False}


def test_there_are_the_25_rules_that_come_first():
    assert set(FIRST) <= set(RULES)


def test_without_any_source_of_conversion_events_none_is_missing():
    rows = one_of("person", "1", "M80", hs("9", **WON))
    rows["person"][0]["client_id"] = "GA1.2"
    assert found_in(rules=["E-01"], **rows).num_rows == 0


def test_what_the_ledger_says_the_hub_told_is_not_missing():
    rows = one_of("person", "1", "M80", hs("9", **WON))
    rows["person"][0]["client_id"] = "GA1.2"
    rows["touch"] = [row("touch", "hubspot", "ev", kind="conversion", event="close_convert_lead", deal_id="8", occurred_at="2026-06-02")]
    known = tables(**rows)
    run = over(known, FUNNEL)
    members = resolve(known, FUNNEL, compiled=run).members
    ground = facts(known, members, FUNNEL, NOW, run)
    deal = ground["deal"].entity_id.to_pyarrow()[0].as_py()

    def missing(*told: tuple[str, str]) -> int:
        columns = {"entity_id": [entity for entity, _ in told], "event": [event for _, event in told]}
        table = pa.table(columns, pa.schema(dict.fromkeys(columns, pa.string())))
        return reconcile(known, members, ground | {"told": run.give("fact.told", table)}, FUNNEL, NOW, None, ["E-01"], run).num_rows

    assert (missing(), missing((deal, "generate_lead")), missing(("dea_other", "close_convert_lead"))) == (1, 1, 1)
    assert missing((deal, "close_convert_lead")) == 0
