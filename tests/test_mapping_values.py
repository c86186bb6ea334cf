"""What becomes of values once they are read: units, money, dates, tables, links, lists, stages and their history."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pytest
from test_mapping import HISTORY, compiled, one, person, shipped

from core.errors import UserError


# -- finishing ------------------------------------------------------------------------------------------------------------
def test_shares_are_read_in_the_unit_the_mapping_says() -> None:
    tallies = compiled("{kind: tally, fields: {value: {path: w, read: basis_points}}}", resource="deals")
    assert [one(tallies, {"w": w})["value"] for w in (10_000, 3_333, "50", None)] == [1.0, 0.3333, 0.005, None]
    assert one(compiled("{kind: tally, fields: {value: {path: w, read: percent}}}", resource="deals"), {"w": 250})["value"] == 2.5


def test_money_knows_minor_units_and_never_travels_without_a_currency() -> None:
    deals = compiled(
        "{kind: deal, fields: {amount: {path: v, read: money, minor_units: true, currency: c}}}", resource="deals", currency="EUR"
    )
    rows = [("1234", "usd"), ("1234", "JPY"), (1234, ""), (None, "BHD"), ("1234", "BHD")]
    body = orjson.dumps([{"id": str(i), "v": v, "c": c} for i, (v, c) in enumerate(rows)])
    ((_, columns),) = deals.columns(deals.parse(body).rows)
    assert columns["amount"] == [Decimal("12.34"), Decimal("1234"), Decimal("12.34"), None, Decimal("1.234")]
    assert columns["currency"] == ["USD", "JPY", "EUR", "BHD", "BHD"]


def test_amounts_are_exact_and_fit_the_lake() -> None:
    deals = compiled("{kind: deal, fields: {amount: v}}", resource="deals")
    assert one(deals, {"v": "0.10"})["amount"] == Decimal("0.10")
    assert one(deals, {"v": 0.1 + 0.2})["amount"] == Decimal("0.3")
    assert [u.label for u in deals.parse(b'[{"id": "1", "v": "1e30"}]').unread] == ["amount"]


def test_a_plain_date_stays_and_a_time_becomes_the_organisations_day() -> None:
    deals = compiled("{kind: deal, fields: {close_date: d}}", resource="deals", timezone="America/New_York")
    assert one(deals, {"d": "2026-07-01"})["close_date"] == date(2026, 7, 1)
    assert one(deals, {"d": "2026-07-01T00:00:00Z"})["close_date"] == date(2026, 7, 1)
    assert one(deals, {"d": "2026-07-01T03:00:00Z"})["close_date"] == date(2026, 6, 30)
    assert person("{last_activity_at: {path: d, read: midnight}}", {"d": "2026-07-01"})["last_activity_at"] == datetime(
        2026, 7, 1, tzinfo=UTC
    )


def test_lists_constants_defaults_first_of_several_and_joined_paths() -> None:
    fields = (
        '{other_emails: m, source: {const: web}, phone: {path: p, default: none}, first_name: [a, b], last_name: {path: [a, b], join: " "}}'
    )
    made = person(fields, {"m": "a@x.io; b@x.io;", "b": "B"})
    assert made["other_emails"] == ("a@x.io", "b@x.io")
    assert (made["source"], made["phone"], made["first_name"], made["last_name"]) == ("web", "none", "B", "B")
    assert person(fields, {"m": ["a@x.io"], "a": "A", "b": "B"})["last_name"] == "A B"
    assert person(fields, {})["other_emails"] == ()


def test_value_tables_keep_null_or_reject_what_they_do_not_know() -> None:
    assert person("{consent: {path: s, values: {1: subscribed}}}", {"s": 1})["consent"] == "subscribed"
    assert person("{consent: {path: s, values: {a: b}}}", {"s": "zzz"})["consent"] == "zzz"
    assert person("{consent: {path: s, values: {a: b}, else: null}}", {"s": "zzz"})["consent"] is None
    assert person("{consent: {path: s, values: {true: unsubscribed, false: null}, else: null}}", {"s": True})["consent"] == "unsubscribed"
    strict = compiled("{kind: person, fields: {consent: {path: s, values: {a: b}, else: reject}}}")
    assert len(strict.parse(b'[{"id": "1", "s": "zzz"}, {"id": "2", "s": "a"}, {"id": "3"}]').rejects) == 1


def test_links_are_named_by_vendor_and_resource_and_salesforce_ids_are_made_long() -> None:
    people = compiled("{kind: person, links: {salesforce.Contact: {path: c, read: id18}, salesforce.Lead: l}}")
    assert one(people, {"c": "001A0000006Vm9r", "l": ""})["links"] == ("salesforce:Contact:001A0000006Vm9rIAC",)
    assert one(people, {})["links"] == ()


def test_when_keeps_matching_rows_only() -> None:
    people = compiled("[{kind: person, when: {t: [a, b], ok: true}}]")
    body = b'[{"id":"1","t":"a","ok":true},{"id":"2","t":"c","ok":true},{"id":"3","t":"b","ok":"true"},{"id":"4","t":"a","ok":false}]'
    assert people.columns(people.parse(body).rows)[0][1]["vendor_id"] == ["1", "3"]


def test_attributes_keep_any_json_and_big_numbers() -> None:
    people = compiled("{kind: person, attributes: {tags: p.tags, n: p.n}}")
    made = one(people, {"p": {"tags": [{"id": 1}], "n": 7}})
    assert json.loads(made["attributes"]) == {"tags": [{"id": 1}], "n": 7}
    huge = people.parse(b'[{"id": "1", "p": {"n": 123456789012345678901234567890}}]')
    assert "123456789012345678901234567890" in people.columns(huge.rows)[0][1]["attributes"][0]


# -- explosion and stages ------------------------------------------------------------------------------------------------
def test_a_list_in_the_row_becomes_one_record_per_item_with_the_row_and_the_page_in_reach() -> None:
    deals = compiled(HISTORY, "{deals: {p1/won: M80, new: {milestone: M50, stage: Qualifying}}}", "deals")
    body = {"id": "7", "pipeline": "p1", "now": "won"}
    body["history"] = {
        "dealstage": [{"value": "won", "timestamp": "2026-05-02T00:00:00Z"}, {"value": "new", "timestamp": "2026-05-01T00:00:00Z"}]
    }  # type: ignore[assignment]
    rows = deals.parse(orjson.dumps([body, {"id": "8"}, {"id": "9", "history": {"dealstage": []}}])).rows
    (change_kind, changes), (deal_kind, made) = deals.columns(rows, {"writer": "w"})
    assert (change_kind, deal_kind) == ("stage_change", "deal")
    assert changes["vendor_id"] == ["7:stage:2026-05-02T00:00:00Z", "7:stage:2026-05-01T00:00:00Z"]
    assert (changes["record_id"], changes["writer"]) == (["7", "7"], ["w", "w"])
    assert changes["stage"] == ["M80", "M50"]
    assert (made["stage"], made["outcome"], made["pipeline_id"]) == (["M80", None, None], ["won", None, None], ["p1", None, None])
    with pytest.raises(UserError, match=r"do not say context\.writer"):
        deals.columns(rows, {})


def test_an_unmapped_stage_keeps_its_raw_name_and_has_no_milestone() -> None:
    made = one(compiled("{kind: person, stage: {path: s, table: t}}", "{t: {lead: M20}}"), {"s": "custom"})
    assert (made["raw_stage"], made["stage"]) == ("custom", None)


def test_old_history_is_read_with_the_meaning_that_was_valid_then() -> None:
    stages = "{t: {demo: [{milestone: M50, valid_to: 2026-01-01}, {milestone: M60, valid_from: 2026-01-01}]}}"
    change = compiled("{kind: stage_change, fields: {entered_at: at}, stage: {path: s, table: t}}", stages)
    assert one(change, {"s": "demo", "at": "2025-12-31T23:59:59Z"})["stage"] == "M50"
    assert one(change, {"s": "demo", "at": "2026-01-01T00:00:00Z"})["stage"] == "M60"
    assert one(change, {"s": "demo"})["stage"] == "M60"


def test_a_stage_that_was_renamed_or_moved_leaves_the_milestones_of_its_history_alone() -> None:
    """Ids mean the milestone, not labels or places; a stage that means more now does so from its day on."""
    before = "{t: {a: M50, b: M60}}"
    after = "{t: {b: [{milestone: M60, valid_to: 2026-03-01}, {milestone: M70, valid_from: 2026-03-01, label: Negotiating}], a: M50}}"
    rows = [{"s": "a", "at": "2026-01-05T00:00:00Z"}, {"s": "b", "at": "2026-02-05T00:00:00Z"}, {"s": "gone", "at": "2026-02-06T00:00:00Z"}]
    output = "{kind: stage_change, fields: {entered_at: at}, stage: {path: s, table: t}}"
    reached = [[one(compiled(output, table), row)["stage"] for row in rows] for table in (before, after)]
    assert reached[0] == reached[1] == ["M50", "M60", None]
    assert one(compiled(output, after), {"s": "b", "at": "2026-03-01T00:00:00Z"})["stage"] == "M70"
    assert one(compiled(output, after), rows[2])["raw_stage"] == "gone"  # told by G-01, not dropped


def test_a_milestone_leads_back_to_the_vendors_stage() -> None:
    hubspot = shipped("hubspot")
    assert hubspot.vendor_stage("lifecycle", "M80") == "customer"
    assert hubspot.vendor_stage("deals", "M80", "default") == "closedwon"
    assert hubspot.vendor_stage("deals", "M35", "default") is None
    salesforce = shipped("salesforce")
    assert salesforce.vendor_stage("opportunities", "M60") == "Proposal/Price Quote"
