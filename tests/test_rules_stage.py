# ruff: noqa: E501  (the literals are tables)
"""Stage and lifecycle rules from literals: each beside its near miss."""

from __future__ import annotations

import json
from typing import Any

from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import (
    LOST,
    OWNERS,
    PIPELINE,
    RECENTLY,
    WON,
    contact,
    found_in,
    hit,
    hs,
    ids,
    lead,
    miss,
    on_deal,
    one_of,
    path,
    sf,
)
from unified_rows import row

from core.merge import POLICIES_OF

A, Q, P, C = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent")
MINE = ("S-04", "S-08", "S-10", "S-12", "S-13", "S-14", "S-15")
LONG_LOST = {**LOST, "close_date": "2026-05-30", "stage_entered_at": "2026-05-30"}
ENDED = {**WON, "close_date": "2025-06-01", "end_date": "2026-05-31"}


def company(id: str, **values: Any) -> dict[str, Any]:
    return row("company", "hubspot", id, **values)


CASES = [
    hit("S-04", "opportunity, the last deal lost 31 days ago", "s04a",
        {"fix": {"account": "hubspot", "resource": "contacts", "vendor_id": "s04a", "field": "lead_status", "value": "recycled", "policy": "source_of_truth"},
         "question": None, "evidence.notes": ["last deal lost on 2026-05-30"]},
        **one_of("person", "s04a", "M50", hs("s04d", **LONG_LOST))),
    hit("S-04", "opportunity, never any deal", "s04b", {"evidence.notes": ["no deal at all"]}, person=[contact("s04b", stage="M50")]),
    hit("S-04", "a company has no lead status to set, a person decides", "s04co", {"fix": None}, company=[company("s04co", stage="M50")]),
    miss("S-04", "lost 29 days ago; recycled; another deal open or won; the company's deal open; further or less far; touched just now",
         person=[contact("s04e", stage="M50"), contact("s04f", stage="M50", lead_status="BAD_TIMING"), contact("s04g", stage="M50"),
                 contact("s04h", stage="M50"), contact("s04i", stage="M50", company_id="s04cp"), contact("s04j", stage="M40"),
                 contact("s04k", stage="M80"), contact("s04l", stage="M50", updated_at=RECENTLY)],
         company=[company("s04cp", stage="M50")],
         deal=[hs("s04m", **{**LOST, "close_date": "2026-06-01"}), hs("s04n", **LONG_LOST), hs("s04o"), hs("s04p", **LONG_LOST), hs("s04q", **WON),
               hs("s04r", company_id="s04cp")],
         association=[on_deal("s04m", "s04e"), on_deal("s04n", "s04f"), on_deal("s04o", "s04g"), on_deal("s04p", "s04g"), on_deal("s04q", "s04h")]),
    hit("S-08", "won in the quarter before, open again: S1", "s08a",
        {"severity": "S1", "values": {"hubspot": f"closedwon → {P}"}, "evidence.notes": ["closed on 2026-03-30, in a period now booked"]},
        deal=[hs("s08a")], stage_change=path("hubspot", "s08a", (P, "2026-03-01", "M60"), ("closedwon", "2026-03-30", "M80"), (P, "2026-04-05", "M60"))),
    hit("S-08", "lost and open again within one quarter: S2", "s08b", {"severity": "S2"},
        deal=[hs("s08b")], stage_change=path("hubspot", "s08b", (Q, "2026-04-02", "M50"), ("closedlost", "2026-04-20", "M85"), (Q, "2026-04-22", "M50"))),
    miss("S-08", "closed by mistake and back within a day; lost after won; won at once; touched three minutes ago",
         deal=[hs("s08c"), hs("s08d", **LOST), hs("s08e", **WON), hs("s08f")],
         stage_change=[
             *path("hubspot", "s08c", (Q, "2026-04-02", "M50"), ("closedlost", "2026-04-20T10:00", "M85"), (Q, "2026-04-21T09:00", "M50")),
             *path("hubspot", "s08d", (Q, "2026-03-02", "M50"), ("closedwon", "2026-03-20", "M80"), ("closedlost", "2026-04-22", "M85")),
             *path("hubspot", "s08e", ("closedwon", "2026-04-22", "M80")),
             *path("hubspot", "s08f", ("closedlost", "2026-03-22", "M85")),
             row("stage_change", "hubspot", "s08f:now", record_kind="deal", record_id="s08f", field="stage", value=Q, entered_at=RECENTLY, stage="M50")]),
    hit("S-10", "there and back within 23 hours", "s10a", {"values": {"hubspot": f"{Q} → {P} → {Q}"}, "evidence.notes": ["1 times"]},
        deal=[hs("s10a")], stage_change=path("hubspot", "s10a", (Q, "2026-06-01", "M50"), (P, "2026-06-10T10:00", "M60"), (Q, "2026-06-11T09:00", "M50"))),
    miss("S-10", "back after a day; on to a third stage; one step",
         deal=[hs("s10b"), hs("s10c"), hs("s10d")],
         stage_change=[
             *path("hubspot", "s10b", (Q, "2026-06-01", "M50"), (P, "2026-06-10T10:00", "M60"), (Q, "2026-06-11T10:00", "M50")),
             *path("hubspot", "s10c", (Q, "2026-06-01", "M50"), (P, "2026-06-10T10:00", "M60"), (C, "2026-06-10T11:00", "M70")),
             *path("hubspot", "s10d", (Q, "2026-06-01", "M50"))]),
    hit("S-12", "disqualified in Salesforce, SQL in HubSpot", "s12a s12b", {"values": {"hubspot": "salesqualifiedlead", "salesforce": "Unqualified"}},
        person=[contact("s12a", stage="M40", raw_stage="salesqualifiedlead"), lead("s12b", "s12a", stage="MX", raw_stage="Unqualified", updated_at="2026-06-20")]),
    hit("S-12", "disqualified in Salesforce, a deal open in HubSpot; dated by its history", "s12c s12d",
        person=[contact("s12p", stage="M50"), lead("s12c", "s12p", stage="MX", raw_stage="Unqualified", updated_at="2026-06-25")],
        deal=[hs("s12d")], association=[on_deal("s12d", "s12p")],
        stage_change=[row("stage_change", "salesforce", "s12c:1", record_kind="person", record_id="s12c", field="status", value="Unqualified", entered_at="2026-06-20", stage="MX")]),
    miss("S-12", "31 days ago by its history; only a lead there; in one system; the other converted long ago; the deal lost",
         person=[contact("s12e", stage="M40"), lead("s12f", "s12e", stage="MX", updated_at="2026-06-20"),
                 contact("s12g", stage="M20"), lead("s12h", "s12g", stage="MX", updated_at="2026-06-20"),
                 contact("s12i", stage="MX", updated_at="2026-06-20"), row("person", "hubspot", "s12j", resource="leads", stage="M40", links=["hubspot:contacts:s12i"]),
                 contact("s12k", stage="MX", updated_at="2026-06-20"), lead("s12l", "s12k", stage="M40") | {"converted": True},
                 contact("s12m", stage="M30"), lead("s12n", "s12m", stage="MX", updated_at="2026-06-20")],
         deal=[hs("s12o", **LOST)], association=[on_deal("s12o", "s12m")],
         stage_change=[row("stage_change", "salesforce", "s12f:1", record_kind="person", record_id="s12f", field="status", value="Unqualified", entered_at="2026-05-30", stage="MX")]),
    hit("S-13", "what was sold ended a month ago", "s13a s13d", {"values": {"hubspot:contacts:s13a": "M80", "hubspot:deals:s13d": "ended 2026-05-31"}},
        **one_of("person", "s13a", "M80", hs("s13d", **ENDED))),
    hit("S-13", "a company likewise", "s13co s13e", **one_of("company", "s13co", "M95", hs("s13e", **ENDED))),
    miss("S-13", "ends today; renewed; the later sale has no end; set back already; lost",
         person=[contact("s13f", stage="M80"), contact("s13g", stage="M80"), contact("s13h", stage="M80"), contact("s13i", stage="M50"), contact("s13j", stage="M80")],
         deal=[hs("s13k", **{**ENDED, "end_date": "2026-06-30"}), hs("s13l", **ENDED), hs("s13m", **{**WON, "end_date": "2027-05-31"}),
               hs("s13n", **ENDED), hs("s13o", **WON), hs("s13q", **ENDED), hs("s13r", **{**LOST, "end_date": "2026-05-31"})],
         association=[on_deal("s13k", "s13f"), on_deal("s13l", "s13g"), on_deal("s13m", "s13g"), on_deal("s13n", "s13h"), on_deal("s13o", "s13h"),
                      on_deal("s13q", "s13i"), on_deal("s13r", "s13j")]),
    hit("S-14", "no lifecycle, subscribed in Mailchimp: the lowest evidence", "s14a",
        {"fix": {"account": "hubspot", "resource": "contacts", "vendor_id": "s14a", "field": "lifecycle", "value": "M10", "policy": "never_regress"}},
        person=[contact("s14a"), row("person", "mailchimp", "s14m", links=["hubspot:contacts:s14a"], stage="M10")]),
    hit("S-14", "as far as the open deal asks", "s14b", {"fix.value": "M50"}, person=[contact("s14b")], deal=[hs("s14d")], association=[on_deal("s14d", "s14b")]),
    hit("S-14", "a converted lead: SQL", "s14c", {"fix.value": "M40"}, person=[contact("s14c"), lead("s14l", "s14c") | {"converted": True}]),
    hit("S-14", "a company with a won deal", "s14co", {"fix.value": "M80"}, company=[company("s14co")], deal=[hs("s14e", company_id="s14co", **WON)]),
    miss("S-14", "nothing known of him; a stage nobody mapped; touched just now; not an object with a lifecycle",
         person=[contact("s14f"), contact("s14g", raw_stage="vip"), row("person", "mailchimp", "s14n", links=["hubspot:contacts:s14g"], stage="M10"),
                 contact("s14h", updated_at=RECENTLY), row("person", "mailchimp", "s14o", links=["hubspot:contacts:s14h"], stage="M10"),
                 row("person", "salesforce", "s14i", stage=None), row("person", "mailchimp", "s14p", links=["salesforce:Contact:s14i"], stage="M10")]),
    hit("S-15", "company customer, its contact with the won deal still MQL", "s15co s15a",
        {"fix": {"account": "hubspot", "resource": "contacts", "vendor_id": "s15a", "field": "lifecycle", "value": "M80", "policy": "never_regress",
                 "before": "marketingqualifiedlead"}},
        company=[company("s15co", stage="M80")], deal=[hs("s15d", **WON)], association=[on_deal("s15d", "s15a")],
        person=[contact("s15a", stage="M30", raw_stage="marketingqualifiedlead", company_id="s15co"), contact("s15b", stage="M10", company_id="s15co")]),
    hit("S-15", "a contact two steps ahead: a person decides", "s15cp s15c", {"fix": None}, company=[company("s15cp", stage="M20")],
        person=[contact("s15c", stage="M40", company_id="s15cp")]),
    hit("S-15", "the deal asks for less than the company has", "s15cq s15e", {"fix": None}, company=[company("s15cq", stage="M95")],
        person=[contact("s15e", stage="M50", company_id="s15cq")], deal=[hs("s15f")], association=[on_deal("s15f", "s15e")]),
    miss("S-15", "one step apart; SAL and SQL are one step; another contact reaches it; in another account; touched just now",
         company=[company("s15cr", stage="M80"), company("s15cs", stage="M20"), company("s15ct", stage="M80"), company("s15cu", stage="M80"),
                  company("s15cv", stage="M80")],
         person=[contact("s15g", stage="M95", company_id="s15cr"), contact("s15h", stage="M30", company_id="s15cs"),
                 contact("s15i", stage="M80", company_id="s15ct"), contact("s15j", stage="M10", company_id="s15ct"),
                 row("person", "salesforce", "s15k", stage="M20", company_id="s15cu"),
                 contact("s15l", stage="M20", company_id="s15cv", updated_at=RECENTLY)]),
]  # fmt: skip


BASE = {"owner": OWNERS, "stage_definition": PIPELINE}


def worded(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """A stage comes of a word of the vendor's."""
    return rows | {kind: [{"raw_stage": r.get("stage"), **r} for r in rows[kind]] for kind in ("person", "company")}


def test_where_nobody_keeps_lifecycles_none_is_empty():
    rows = [contact("1"), row("person", "mailchimp", "2", links=["hubspot:contacts:1"], stage="M10")]
    assert found_in(rules=["S-14"], person=rows).num_rows == 0


def test_named_campaigns_limit_who_counts_as_a_customer_written_to():
    rows = one_of("person", "a", "M80", hs("d", **ENDED))
    rows["campaign"] = [row("campaign", "mailchimp", "c1", name="Customer letter 2026-06")]
    rows["person"] += [row("person", "mailchimp", "m", links=["hubspot:contacts:a"])]
    letter = row("touch", "mailchimp", "t", person_id="m", campaign_id="c1", kind="send", occurred_at="2026-06-20")
    named = {"thresholds": {"customer_campaigns": ["customer letter*"]}}
    assert found_in(rules=["S-13"], funnel=named, **rows).num_rows == 0
    assert found_in(rules=["S-13"], funnel=named, **rows, touch=[letter]).num_rows == 1


# -- where a rule looks ----------------------------------------------------------------------------------------------
def scoped(rule: str, **where: list[str]) -> dict[str, Any]:
    return {"rules": {rule: where}}


def test_a_rule_can_be_limited_to_accounts():
    rows = {"deal": [hs("1", close_date="2026-06-01"), row("deal", "salesforce", "2", stage="M50", closed=False, close_date="2026-06-01")]}
    found = found_in(rules=["D-06"], funnel=scoped("D-06", accounts=["salesforce"]), **rows).to_pylist()
    assert [f["systems"] for f in found] == [["salesforce"]]
    assert found_in(rules=["D-06"], funnel=scoped("D-06", accounts=["elsewhere"]), **rows).num_rows == 0


def test_a_rule_can_be_limited_to_pipelines_and_its_findings_stay_whole():
    ours = {**WON, "pipeline_id": "ours"}
    rows = {
        "person": [contact("p1", stage="M50"), contact("p2", stage="M50")],
        "deal": [hs("d1", **ours), hs("d2", **{**WON, "pipeline_id": "theirs"})],
        "association": [on_deal("d1", "p1"), on_deal("d2", "p2")],
    }
    found = found_in(rules=["S-02"], funnel=scoped("S-02", pipelines=["ours"]), **rows).to_pylist()
    assert [ids(f) for f in found] == [{"p1", "d1"}]
    both = scoped("S-02", pipelines=["ours"], accounts=["salesforce"])
    assert found_in(rules=["S-02"], funnel=both, **rows).num_rows == 0


def test_who_closes_an_open_mirror_is_for_the_policy_of_the_stage_to_say() -> None:
    rows = {"deal": [hs("s06p"), sf("s06q", "s06p", **WON)]}
    said = {policy: found_in(rules=["S-06"], funnel={"policies": {"stage": {"policy": policy}}}, **rows) for policy in POLICIES_OF["stage"]}
    fixed = {policy: [json.loads(f["fix"])["policy"] for f in found.to_pylist() if f["fix"]] for policy, found in said.items()}
    believed = {"source_of_truth": ["source_of_truth"], "prefer_unless_blank": ["prefer_unless_blank"]}
    assert fixed == {
        policy: believed.get(policy, []) for policy in POLICIES_OF["stage"]
    }  # nothing was merged here, so no other one decides
