# ruff: noqa: E501  (the literals are tables)
"""Rules of conversion events and counted leads from literals: each beside its near miss."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import WON, contact, found_in, hit, hs, lead, miss, sf
from unified_rows import moment, row

MINE = ("E-02", "E-03", "E-04", "E-05", "E-07", "E-08")
TESTS = {"exclude": {"domains": ["us.example"], "emails": ["*+test@*"]}}


def sent(
    id: str, account: str = "hubspot", *, event: str = "close_convert_lead", at: str = "2026-06-01T10:00", **values: Any
) -> dict[str, Any]:
    return row("touch", account, id, resource="events", kind="conversion", event=event, occurred_at=at, **values)


def merged(*parts: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [r for part in parts for r in part.get(kind, [])] for kind in {kind for part in parts for kind in part}}


def week(monday: str, counted: int, *, leads: int, told: int = 0, days: int = 7) -> dict[str, list[dict[str, Any]]]:
    """Analytics' seven days with so many leads on the Sunday, and as many persons who became leads on the Wednesday."""
    start = date.fromisoformat(monday)
    dates = [(start + timedelta(days=i)).isoformat() for i in range(days)]
    tallies = [
        row("tally", "ga4", f"{day} visits", day=day, measure="eventCount", value=90.0, dimensions='{"eventName":"session_start"}')
        for day in dates
    ]
    if counted:
        tallies.append(
            row(
                "tally",
                "ga4",
                dates[-1],
                day=dates[-1],
                measure="eventCount",
                value=float(counted),
                dimensions='{"eventName":"generate_lead"}',
            )
        )
    names = [(f"lead{i}" if i < told else f"gone{i - told}") if told else f"{monday}/{i}" for i in range(leads)]
    return {
        "tally": tallies,
        "person": [contact(name, client_id=name) for name in names],
        "stage_change": [
            row(
                "stage_change",
                "hubspot",
                name,
                record_kind="person",
                record_id=name,
                field="lifecycle",
                value="lead",
                stage="M20",
                entered_at=f"{dates[2]}T12:00",
            )
            for name in names
        ],
        "touch": [sent(f"{name}!", event="generate_lead", person_id=name, at=f"{dates[2]}T12:00") for name in names[:told]],
    }


def came(id: str, at: str, *, account: str = "files", event: str = "generate_lead", **values: Any) -> dict[str, Any]:
    return sent(id, account, event=event, at=at, **values)


CASES = [
    hit("E-02", "a form 24 hours old whose visitor nobody has", "e02x", {"entity_id": "files:events:e02x", "values": {"files": "generate_lead"}},
        touch=[came("e02x", "2026-06-29T00:00", links=["ga4.clients:lost"])], person=[contact("e02a", links=["ga4.clients:known"])]),
    hit("E-02", "an address nobody has", "e02y", touch=[came("e02y", "2026-06-20", email="who@e02.example")]),
    miss("E-02", "an hour less; a quarter and more ago; found by link, address and id, also of deleted and shared records; nobody named; a sale; a source that finds nobody",
         touch=[came("e02b", "2026-06-29T01:00", links=["ga4.clients:lost"]), came("e02c", "2026-03-31", links=["ga4.clients:lost"]),
                came("e02d", "2026-06-20", links=["ga4.clients:known"]), came("e02e", "2026-06-20", email="KNOWN@e02.example"),
                came("e02f", "2026-06-20", links=["ga4.clients:gone"]), came("e02g", "2026-06-20", links=["ga4.clients:shared"]),
                came("e02h", "2026-06-20"), came("e02i", "2026-06-20", links=["ga4.clients:lost"], event="purchase"),
                came("e02j", "2026-06-20", account="ga4", links=["ga4.clients:lost"]), came("e02k", "2026-06-20", account="hubspot", person_id="e02l")],
         person=[contact("e02l", email="known@e02.example"), contact("e02m", links=["ga4.clients:gone"], deleted=True),
                 contact("e02n", links=["ga4.clients:shared"]), contact("e02o", links=["ga4.clients:shared"])]),
    hit("E-03", "one sale told twice by one system", "e03a e03b e03d",
        {"evidence.notes": ["2 times close_convert_lead"]},
        deal=[hs("e03d", **WON)], touch=[sent("e03a", deal_id="e03d"), sent("e03b", deal_id="e03d", at="2026-06-03T10:00")]),
    miss("E-03", "once in each of two systems; two events of other names; two deals; one deleted",
         deal=[hs("e03e", **WON), hs("e03f", **WON), hs("e03g", **WON), hs("e03h", **WON)],
         touch=[sent("e03i", deal_id="e03e"), sent("e03j", "files", deal_id="e03e"), sent("e03k", deal_id="e03f"), sent("e03l", deal_id="e03g"),
                sent("e03m", deal_id="e03g", event="purchase"), sent("e03n", deal_id="e03h"), sent("e03o", deal_id="e03h", deleted=True)]),
    hit("E-04", "1.1 % more than the amount", "e04a e04d", {"evidence.notes": ["the deal says 1000.00 EUR"]},
        deal=[hs("e04d", **WON)], touch=[sent("e04a", deal_id="e04d", value="1011", currency="EUR")]),
    hit("E-04", "neither of the mirrors' amounts", "e04b e04e", {"evidence.notes": ["the deal says 1000.00 to 1500.00 EUR"]},
        deal=[hs("e04e", **WON), sf("e04f", "e04e", **{**WON, "amount": 1500})], touch=[sent("e04b", deal_id="e04e", value="1200", currency="EUR")]),
    miss("E-04", "1 % off; as one of the mirrors says; another currency; an open deal; another event; no value",
         deal=[hs("e04g", **WON), hs("e04h", **WON), sf("e04i", "e04h", **{**WON, "amount": 1500}), hs("e04j", **WON), hs("e04k"), hs("e04l", **WON),
               hs("e04m", **WON)],
         touch=[sent("e04n", deal_id="e04g", value="1010", currency="EUR"), sent("e04o", deal_id="e04h", value="1500", currency="EUR"),
                sent("e04p", deal_id="e04j", value="1200", currency="USD"), sent("e04q", deal_id="e04k", value="1200", currency="EUR"),
                sent("e04r", deal_id="e04l", event="qualify_lead", value="1", currency="EUR"), sent("e04s", deal_id="e04m")]),
    hit("E-05", "paid search or a trade show", "e05a e05b", {"values": {"hubspot": "PAID_SEARCH", "salesforce": "trade show "},
        "evidence.notes": ["hubspot: paid search", "salesforce: offline"]},
        person=[contact("e05a", source="PAID_SEARCH"), lead("e05b", "e05a", source="trade show ")]),
    miss("E-05", "two words for one source; a word of no group; a list of visitors; two records of one system",
         person=[contact("e05c", source="PAID_SEARCH"), lead("e05d", "e05c", source="AdWords"), contact("e05e", source="PAID_SEARCH"),
                 lead("e05f", "e05e", source="Carrier pigeon"), contact("e05g", source="PAID_SEARCH"),
                 row("person", "files", "e05h", source="Trade Show", links=["hubspot:contacts:e05g"])]),
    hit("E-07", "eleven leads, nine of them counted", "2026-06-14 gone0 gone1" + "".join(f" lead{i}" for i in range(9)),
        {"values.ga4": "9", "entity_id": "leads:2026-06-08", "evidence.notes": ["9 in analytics, 11 in the CRM"]},
        **week("2026-06-08", 9, leads=11, told=9)),
    miss("E-07", "a week of ten, nine of them counted; of nine, none counted; of a quarter ago; not over for two days; read in part", **merged(
        week("2026-06-01", 9, leads=10), week("2026-05-25", 0, leads=9), week("2026-03-16", 0, leads=20), week("2026-06-22", 0, leads=20),
        week("2026-05-18", 0, leads=20, days=6))),
    hit("E-08", "a test address is an MQL", "e08a", {"values": {"hubspot": "mql"}},
        person=[contact("e08a", email="bo+test@e08.example", stage="M30", raw_stage="mql")]),
    hit("E-08", "a colleague is a lead in one system, which is named alone", "e08b",
        person=[contact("e08b", email="ada@us.example", stage="M20"), row("person", "mailchimp", "e08c", email="ada@us.example", stage="M10")]),
    miss("E-08", "a colleague who reads the letter; disqualified already; a real lead",
         person=[row("person", "mailchimp", "e08d", email="cy@us.example", stage="M10"), contact("e08e", email="di+test@e08.example", stage="MX"),
                 contact("e08f", email="ed@e08.example", stage="M40")]),
]  # fmt: skip


FUNNEL = TESTS


def test_a_lead_near_the_edge_of_a_week_counts_for_either():
    rows = week("2026-06-08", 9, leads=11)
    for step in rows["stage_change"][:2]:
        step["entered_at"] = moment("2026-06-08T13:59")
    assert found_in(rules=["E-07"], **rows).num_rows == 0
    rows["stage_change"][0]["entered_at"] = rows["stage_change"][1]["entered_at"] = moment("2026-06-08T14:00")
    assert found_in(rules=["E-07"], **rows).num_rows == 1


def test_leads_without_web_ids_cannot_be_compared():
    rows = week("2026-06-08", 20, leads=10)
    assert found_in(rules=["E-07"], **rows).num_rows == 1
    for person in rows["person"]:
        person["client_id"] = None
    assert found_in(rules=["E-07"], **rows).num_rows == 0


def test_what_words_mean_one_source_is_the_funnels():
    rows = {"person": [contact("a", source="PAID_SEARCH"), lead("b", "a", source="Trade Show")]}
    one = {"thresholds": {"source_groups": {"bought": ["PAID_SEARCH", "Trade Show"]}}}
    assert found_in(rules=["E-05"], **rows).num_rows == 1
    assert found_in(rules=["E-05"], funnel=one, **rows).num_rows == 0
