"""A person's whole way, from literals: every system's part of it in one order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from unified_rows import NOW, row, tables

from core.change import EVENT, Desired, Outcome, event_text
from core.compiled import over
from core.facts import facts
from core.ledger import Ledger
from core.ledger_plans import PlanBook
from core.pipeline import Understanding
from core.plan import Limits, build
from core.resolve import resolve
from jobs.explain import _way_text
from jobs.timeline import Moment, dated, milestones, timeline

NAMES = {"M20": "Lead", "M30": "MQL", "M50": "Opportunity", "M80": "Won"}
VISITOR = ["ga4:clients:1.2"]
GIVEN: dict[str, list[dict[str, Any]]] = {
    "person": [row("person", "hubspot", "1", email="ada@example.org", links=VISITOR, created_at="2026-02-01T08:00", source="ads")],
    "company": [row("company", "salesforce", "001", name="Loom")],
    "deal": [
        row("deal", "salesforce", "006", company_id="001", amount="1200.50", currency="EUR", created_at="2026-03-01T08:00", stage="M80",
            outcome="won", close_date="2026-04-01", name="Ada Lovelace's deal"),
    ],
    "campaign": [row("campaign", "mailchimp", "c9", name="Spring letter")],
    "experiment": [row("experiment", "vwo", "77", name="Shorter form")],
    "association": [row("association", "hubspot", "x", from_kind="person", from_id="1", to_kind="deal", to_id="d7")],
    "stage_change": [
        row("stage_change", "hubspot", "s1", record_kind="person", record_id="1", field="lifecycle", value="mql", stage="M30",
            entered_at="2026-02-10T09:00"),
        row("stage_change", "salesforce", "s2", record_kind="deal", record_id="006", field="stage", value="Closed Won", stage="M80",
            entered_at="2026-04-01T15:00"),
    ],
    "touch": [
        row("touch", "ga4", "v1", resource="sessions", kind="visit", source="google", channel="cpc", links=VISITOR,
            occurred_at="2026-01-15T10:00"),
        row("touch", "ga4", "v2", resource="sessions", kind="visit", source="(direct)", links=VISITOR, occurred_at="2026-01-16T10:00"),
        row("touch", "vwo", "e1", resource="exposures", kind="exposure", event="B", campaign_id="77", links=["hubspot:contacts:1"],
            occurred_at="2026-01-15T10:01"),
        row("touch", "mailchimp", "m1", resource="activity", kind="click", campaign_id="c9", email="ada@example.org",
            occurred_at="2026-02-05T07:00"),
        row("touch", "hotjar", "h1", resource="survey_responses", kind="response", campaign_id="12", email="Ada@example.org",
            occurred_at="2026-02-06T07:00"),
        row("touch", "hotjar", "h2", resource="responses", kind="response", email="somebody@example.org", occurred_at="2026-02-06T07:00"),
        row("touch", "hotjar", "h3", resource="responses", kind="note", event="call ada@example.org", email="ada@example.org",
            occurred_at="2026-02-07T07:00"),
    ],
}  # fmt: skip
GIVEN["deal"].append(row("deal", "hubspot", "d7", links=["salesforce:deal:006"], created_at="2026-03-02T08:00"))
GIVEN["deal"][0]["resource"] = "deal"


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    made = Ledger(tmp_path / "ledger.db")
    yield made
    made.close()


def understanding() -> Understanding:
    known = tables(**GIVEN)
    ibis.set_backend(ibis.duckdb.connect())
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    nothing = pa.table({})
    return Understanding("r", NOW, known, members, facts(known, members, {}, NOW, run), nothing, over(known, {}))


def entity(found: Understanding, kind: str) -> str:
    [entity_id] = {m["entity_id"] for m in found.members.to_pylist() if m["kind"] == kind}
    return str(entity_id)


def test_a_persons_way_is_one_line_of_time_over_all_systems(ledger: Ledger) -> None:
    found = understanding()
    person, deal = entity(found, "person"), entity(found, "deal")
    values = {"event": "close", "id": "u", "occurred_at": "2026-04-01T15:00:00Z", "value": "1200.5", "currency": "EUR"}
    wish = Desired("ga4", "collect", "1.2", "close", EVENT, event_text(values), "M80", EVENT, "", deal)
    plan, book = build([wish], {}, now=NOW, as_of=NOW, limits=Limits()), PlanBook(ledger)
    book.save(plan, {}, NOW)
    book.start_apply(plan.plan_id, "apply", NOW, "a1")
    book.book("a1", NOW).record([(plan.changes[0], Outcome(plan.changes[0].change_id, "applied"))])
    assert [(f"{m.at:%m-%d %H:%M}", m.account, m.what, m.record) for m in timeline(found, ledger, "person", person, NAMES)] == [
        ("01-15 10:00", "ga4", "first visit from google / cpc", "ga4:sessions:v1"),
        ("01-15 10:01", "vwo", "saw variant B of experiment Shorter form", "vwo:exposures:e1"),
        ("01-16 10:00", "ga4", "visit from (direct)", "ga4:sessions:v2"),
        ("02-01 08:00", "hubspot", "record created, source ads", "hubspot:contacts:1"),
        ("02-05 07:00", "mailchimp", "click (Spring letter)", "mailchimp:activity:m1"),
        ("02-06 07:00", "hotjar", "answered survey (12)", "hotjar:survey_responses:h1"),
        ("02-07 07:00", "hotjar", "note", "hotjar:responses:h3"),
        ("02-10 09:00", "hubspot", "person lifecycle: mql (M30 MQL)", "hubspot:contacts:1"),
        ("03-01 08:00", "salesforce", "deal created 1200.5 EUR", "salesforce:deal:006"),
        ("03-02 08:00", "hubspot", "deal created", "hubspot:deals:d7"),
        ("04-01 15:00", "salesforce", "deal stage: Closed Won (M80 Won)", "salesforce:deal:006"),
        ("04-01 15:00", "salesforce", "deal won 1200.5 EUR", "salesforce:deal:006"),
        ("06-30 00:00", "ga4", "told close: 2026-04-01 15:00 UTC, 1200.5 EUR", "ga4:collect:1.2"),
    ]


def test_a_deals_way_is_its_own_part(ledger: Ledger) -> None:
    found = understanding()
    assert [m.what for m in timeline(found, ledger, "deal", entity(found, "deal"), NAMES)] == [
        "deal created 1200.5 EUR", "deal created", "deal stage: Closed Won (M80 Won)", "deal won 1200.5 EUR",
    ]  # fmt: skip


def test_a_companys_way_is_that_of_its_people_and_deals_and_nobodys_is_empty(ledger: Ledger) -> None:
    found = understanding()
    company = entity(found, "company")
    way = [(m.what, m.record) for m in timeline(found, ledger, "company", company, NAMES)]
    assert ("record created, source ads", "hubspot:contacts:1") in way
    assert ("deal won 1200.5 EUR", "salesforce:deal:006") in way
    assert timeline(found, ledger, "company", "com_1", NAMES) == []
    reached = milestones(found, "company", company, timeline(found, ledger, "company", company, NAMES))
    assert [(one.code, f"{one.at:%m-%d}") for one in reached] == [("M30", "02-10"), ("M50", "03-02"), ("M80", "04-01")]


def test_every_moment_has_a_lane(ledger: Ledger) -> None:
    found = understanding()
    way = timeline(found, ledger, "person", entity(found, "person"), NAMES, sales=("note",))
    assert {m.what.split(":")[0]: m.lane for m in way} == {
        "first visit from google / cpc": "web", "visit from (direct)": "web", "saw variant B of experiment Shorter form": "web",
        "answered survey (12)": "web", "click (Spring letter)": "mail", "note": "sales", "record created, source ads": "records",
        "person lifecycle": "records", "deal created 1200.5 EUR": "deals", "deal created": "deals", "deal stage": "deals",
        "deal won 1200.5 EUR": "deals",
    }  # fmt: skip


def test_a_milestone_has_what_dates_it_and_an_implied_one_says_so(ledger: Ledger) -> None:
    found = understanding()
    person = entity(found, "person")
    reached = {one.code: one for one in milestones(found, "person", person, timeline(found, ledger, "person", person, NAMES))}
    assert [m.record for m in reached["M30"].evidence] == ["hubspot:contacts:1"]
    assert [m.record for m in reached["M50"].evidence] == ["hubspot:deals:d7"]  # the other record was never seen open
    assert dated(reached["M80"].to_json()) == ["2026-04-01 15:00", "deal stage: Closed Won (M80 Won)", "salesforce:deal:006"]
    assert dated(reached["M20"].to_json()) == ["", "implied by a later one", ""]


def test_nothing_personal_is_shown(ledger: Ledger) -> None:
    found = understanding()
    text = str(timeline(found, ledger, "person", entity(found, "person"), NAMES)).lower()
    assert "ada@" not in text
    assert "lovelace" not in text


def test_a_long_way_shows_its_beginning_and_its_end() -> None:
    way = [Moment(NOW, "ga4", f"ga4:sessions:{i}", f"visit {i}") for i in range(10)]
    lines = _way_text(way, 4).splitlines()[2:]
    assert [line.split()[-1] for line in lines] == [
        "ga4:sessions:0", "ga4:sessions:1", "10", "ga4:sessions:8", "ga4:sessions:9",
    ]  # fmt: skip
    assert len(_way_text(way, 10).splitlines()) == 12
