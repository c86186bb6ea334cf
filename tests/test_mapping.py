"""Mappings: what ops write compiles to readers that never lose a page to a bad row, and every mistake has a place."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from described_vendors import HUBSPOT, MAILCHIMP

from core import schemas
from core.compile import Compiled, Reject
from core.errors import VendorError
from core.mapping import Mapping, compile_mapping, load_mapping
from core.model import KINDS

SHIPPED = Path(__file__).parent.parent / "mappings"


def shipped(name: str) -> Mapping:
    """The mapping that comes with Tundish, checked against the connector that comes with it."""
    return load_mapping(SHIPPED / f"{name}.yaml", importlib.import_module(f"connectors.{name}").CONNECTOR)


def compiled(resources: str, stages: str = "{}", resource: str = "contacts", **more: Any) -> Compiled:
    return mapping(f"resources:\n  {resource}:\n    {resources}\nstages: {stages}\n", **more).resource(resource)


def mapping(body: str, **more: Any) -> Mapping:
    connector = more.pop("connector", HUBSPOT)
    return compile_mapping(f"vendor: {connector.name}\n{body}", connector, name="m.yaml", **more)


def person(fields: str, row: dict[str, Any], **more: Any) -> dict[str, Any]:
    return one(compiled(f"{{kind: person, fields: {fields}}}", **more), row)


def one(resource: Compiled, row: dict[str, Any]) -> dict[str, Any]:
    """The record made from one row, which must fit."""
    parsed = resource.parse(orjson.dumps([{"id": "1", **row}]))
    assert not parsed.rejects, [resource.reasons(reject) for reject in parsed.rejects]
    ((_, columns),) = resource.columns(parsed.rows)
    return {name: column[0] for name, column in columns.items()}


HISTORY = """
    - kind: stage_change
      each: history.dealstage
      id: [^.id, {const: stage}, timestamp]
      fields: {record_id: ^.id, field: {const: stage}, value: value, entered_at: timestamp, writer: context.writer}
      stage: {path: value, pipeline: ^.pipeline, table: deals}
    - kind: deal
      stage: {path: now, pipeline: pipeline, table: deals}
"""


# -- reading ------------------------------------------------------------------------------------------------------------
def test_a_page_of_hubspot_contacts_becomes_columns_of_people() -> None:
    contacts = shipped("hubspot").resource("contacts")
    row = {
        "id": "151",
        "properties": {
            "email": " Ada@Example.com",
            "lifecyclestage": "lead",
            "hs_email_optout": "true",
            "city": "Köln",
            "hubspotscore": "7.5",
        },
        "createdAt": "2026-05-01T12:00:00.123Z",
        "updatedAt": "2026-05-02T12:00:00Z",
        "archived": False,
        "url": "https://app.hubspot.com/…",
    }
    parsed = contacts.parse(orjson.dumps({"results": [row], "paging": {"next": {"after": "152"}}}), "results")
    ((kind, columns),) = contacts.columns(parsed.rows)
    assert kind == "person"
    assert columns["vendor_id"] == ["151"]
    assert columns["email"] == ["ada@example.com"]
    assert columns["created_at"] == [datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)]
    assert (columns["raw_stage"], columns["stage"]) == (["lead"], ["M20"])
    assert (columns["consent"], columns["marketable"]) == (["unsubscribed"], [False])
    assert columns["score"] == [7.5]
    assert json.loads(columns["attributes"][0])["city"] == "Köln"
    assert (columns["deleted"], columns["links"], columns["merged_ids"]) == ([False], [()], [()])


@pytest.mark.parametrize(
    ("field", "read"),
    [
        ("phone", "text"),
        ("email", "email"),
        ("score", "number"),
        ("marketable", "boolean"),
        ("converted_at", "date"),
        ("updated_at", "datetime"),
    ],
)
@pytest.mark.parametrize("value", ["", None])
def test_empty_text_null_and_absence_are_one_null(field: str, read: str, value: object) -> None:
    fields = f"{{{field}: {{path: p.x, read: {read}}}, source: p.y}}"
    assert person(fields, {"p": {"x": value, "y": "s"}})[field] is None
    assert person(fields, {"p": {"y": "s"}})[field] is None
    assert person(fields, {"p": None})[field] is None


@pytest.mark.parametrize(
    ("written", "want"),
    [
        ("2026-05-01T12:00:00.123Z", datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)),
        ("2026-05-01T12:00:00.000+0000", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00+00:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T14:00:00+02:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("1777636800000", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        (1777636800000, datetime(2026, 5, 1, 12, tzinfo=UTC)),
    ],
)
def test_all_vendors_spellings_of_an_instant_are_the_same_instant(written: object, want: datetime) -> None:
    assert person("{updated_at: t}", {"t": written})["updated_at"] == want


def test_epochs_are_read_in_the_unit_the_mapping_says() -> None:
    row = {"s": "86400", "ms": 86400000}
    made = person("{created_at: {path: s, read: epoch_s}, updated_at: {path: ms, read: epoch_ms}}", row)
    assert made["created_at"] == made["updated_at"] == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(("word", "want"), [("true", True), ("FALSE", False), ("Yes", True), ("no", False), (True, True), (0, False)])
def test_booleans_come_from_a_fixed_table_of_words(word: object, want: bool) -> None:
    assert person("{marketable: m}", {"m": word})["marketable"] is want


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ("{score: v}", "67340;12"),
        ("{score: v}", "NaN"),
        ("{updated_at: v}", "2026-05-01 25:00"),
        ("{updated_at: v}", "2026-05-01T12:00:00"),
        ("{email: {path: v, read: email}}", "not an address"),
        ("{phone: v}", {"a": 1}),
        ("{converted: v}", "maybe"),
    ],
)
def test_a_value_that_cannot_be_read_is_empty_and_told_with_its_place_but_never_itself(fields: str, value: object) -> None:
    """gotcha 13: one odd number must not cost the person."""
    people = compiled(f"{{kind: person, fields: {fields}}}")
    rows: list[dict[str, Any]] = [{"id": "1"}, {"id": "2", "v": value}, {"id": "3"}]
    parsed = people.parse(orjson.dumps({"a": {"rows": rows}}), "a.rows")
    ((_, columns),) = people.columns(parsed.rows)
    assert columns.pop("vendor_id") == ["1", "2", "3"]
    assert list(columns.values()) == [[None, None, None]]
    (told,) = parsed.unread
    assert (told.vendor_id, parsed.rejects) == ("2", [])
    assert told.place.startswith("m.yaml:4:")
    assert told.label in fields
    assert str(value) not in told.reason
    assert people.parse(b'[{"id": "1"}]').unread == []  # of the page before


def test_what_must_be_known_rejects_its_row_and_the_reason_has_a_place_but_not_the_value() -> None:
    """Not knowing whether somebody may be mailed, or whether a record is gone, is not the same as "no" or "yes"."""
    for name in ("marketable", "deleted"):
        people = compiled(f"{{kind: person, fields: {{{name}: v}}}}")
        parsed = people.parse(b'[{"id": "1"}, {"id": "2", "v": "perhaps"}]')
        assert parsed.rejects == [Reject({"id": "2", "v": "perhaps"})]
        assert people.reject_id(parsed.rejects[0]) == "2"
        (reason,) = people.reasons(parsed.rejects[0])
        assert reason.startswith("m.yaml:4:")
        assert "perhaps" not in reason


def test_an_item_of_a_list_keeps_its_other_values_too() -> None:
    changes = compiled("{kind: stage_change, each: past, id: [^.id, at], fields: {entered_at: at, value: {path: v, read: decimal_text}}}")
    parsed = changes.parse(b'[{"id": "1", "past": [{"at": "2026-05-01T00:00:00Z", "v": "1;2"}, {"at": "2026-05-02T00:00:00Z", "v": "3"}]}]')
    assert changes.columns(parsed.rows)[0][1]["value"] == [None, "3"]
    assert [(u.vendor_id, u.label) for u in parsed.unread] == [("1", "value")]


def test_a_row_without_an_id_is_a_reject() -> None:
    people = compiled("{kind: person, fields: {phone: p}}")
    parsed = people.parse(b'[{"p": "1"}, {"id": "", "p": "1"}, {"id": 7, "p": "1"}]')
    assert len(parsed.rejects) == 2
    assert people.columns(parsed.rows)[0][1]["vendor_id"] == ["7"]


def test_half_a_surrogate_pair_does_not_lose_the_page() -> None:
    people = compiled("{kind: person, fields: {first_name: n}}")
    parsed = people.parse(rb'[{"id": "1", "n": "Ada \ud83d"}, {"id": "2", "n": "Bo"}]')
    assert people.columns(parsed.rows)[0][1]["first_name"] == ["Ada ?", "Bo"]


def test_a_page_without_its_list_is_the_vendors_mistake() -> None:
    people = compiled("{kind: person}")
    with pytest.raises(VendorError, match="no list at 'results'"):
        people.parse(b'{"status": "error"}', "results")
    with pytest.raises(VendorError, match="not JSON"):
        people.parse(b"<html>", "results")


def test_csv_and_json_of_the_same_row_give_the_same_columns_and_hashes() -> None:
    deals = shipped("salesforce").resource("Opportunity")
    row = {
        "Id": "006000000000001AAA",
        "Name": 'Big "deal"',
        "StageName": "Proposal/Price Quote",
        "Amount": 10000.0,
        "CloseDate": "2026-07-01",
    }
    row |= {"IsClosed": False, "Probability": 75, "CreatedDate": "2026-05-01T12:00:00.000+0000", "NextStep": None, "IsDeleted": False}
    table = (
        b"Id,Name,StageName,Amount,CloseDate,IsClosed,Probability,CreatedDate,NextStep,IsDeleted,Other\n"
        b'"006000000000001AAA","Big ""deal""","Proposal/Price Quote","10000.0","2026-07-01","false","75.0",'
        b'"2026-05-01T12:00:00.000Z","","false","x"\n'
    )
    ((_, from_json),) = deals.columns(deals.parse(orjson.dumps({"records": [row]}), "records").rows)
    ((_, from_csv),) = deals.columns(deals.parse(table, format="csv").rows)
    assert from_json == from_csv
    assert deals.hashes("deal", from_json) == deals.hashes("deal", from_csv)
    assert from_csv["amount"] == [Decimal("10000")]
    assert from_csv["close_date"] == [date(2026, 7, 1)]
    assert (from_csv["stage"], from_csv["pipeline_stage"], from_csv["outcome"]) == (["M60"], ["Proposing"], ["open"])
    assert from_csv["probability"] == [0.75]


def test_bad_csv_rows_are_rejects_too() -> None:
    people = compiled("{kind: person, id: Id, fields: {marketable: Owner.Active}}")
    parsed = people.parse(b"Id,Owner.Active\n1,true\n2,perhaps\n3,\n", format="csv")
    assert people.columns(parsed.rows)[0][1] == {"vendor_id": ["1", "3"], "marketable": [True, None]}
    assert "m.yaml:4:" in people.reasons(parsed.rejects[0])[0]
    scored = compiled("{kind: person, id: Id, fields: {score: Score}}").parse(b"Id,Score\n1,2\n2,many\n", format="csv")
    assert [(u.vendor_id, u.label) for u in scored.unread] == [("2", "score")]
    flat = people.parse_rows([{"Id": "4", "Owner.Active": "no"}])
    assert people.columns(flat.rows)[0][1] == {"vendor_id": ["4"], "marketable": [False]}


def test_rejects_of_a_long_table_say_their_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.csv_cells.PART_ROWS", 2)
    people = compiled("{kind: person, id: Id, fields: {score: Score}}")
    parsed = people.parse(b"Id,Score\n1,2\n2,3\n,4\n4,many\n5,6\n", format="csv")
    assert ([r.row for r in parsed.rejects], [u.row for u in parsed.unread]) == ([2], [3])
    assert people.columns(parsed.rows)[0][1]["vendor_id"] == ["1", "2", "4", "5"]


# -- hashes --------------------------------------------------------------------------------------------------------------
def test_a_hash_tells_content_and_not_when_it_was_seen() -> None:
    deals = compiled("{kind: deal, fields: {amount: a, close_date: d, updated_at: u}}", resource="deals")
    rows = [{"id": "1", "a": "1.50", "d": "2026-05-01", "u": "2026-05-01T00:00:00Z"}, {"id": "1", "a": 1.5, "d": "2026-05-01"}]
    rows[1]["u"] = "2026-05-01T02:00:00+02:00"
    ((_, columns),) = deals.columns(deals.parse(orjson.dumps([*rows, {**rows[0], "a": "1.51"}])).rows)
    first, second, third = deals.hashes("deal", columns | {"observed_at": [1, 2, 3], "account": ["a", "b", "c"]})
    assert first != third
    assert first == deals.hashes("deal", columns)[0]
    assert all(-(2**63) <= h < 2**63 for h in (first, second, third))


# -- what the connector is asked for ------------------------------------------------------------------------------------------
def test_a_field_and_a_stage_added_by_ops_need_no_python() -> None:
    custom = compiled(
        "{kind: person, attributes: {region: properties.region__c}, stage: {path: properties.s, table: t}}", "{t: {mine: M30}}"
    )
    assert custom.fields_asked == ("id", "properties.region__c", "properties.s")
    assert one(custom, {"properties": {"s": "mine"}})["stage"] == "M30"


def test_the_connector_is_asked_for_every_path_once_and_for_the_lists_that_are_exploded() -> None:
    deals = compiled(HISTORY, "{deals: {}}", "deals")
    assert deals.fields_asked == ("id", "history.dealstage", "pipeline", "now")


def test_push_fields_say_whose_they_are() -> None:
    forward = "{from: lifecycle, policy: never_regress, only_when: {outcome: won}}"
    body = f"push: {{contacts: {{tundish_stage: {{from: stage, label: Stage}}, lifecyclestage: {forward}}}}}"
    mine, theirs = mapping(body).pushes("contacts")
    assert (mine.owned, mine.type, mine.as_field().label) == (True, "text", "Stage")
    assert (theirs.owned, theirs.policy, dict(theirs.only_when)) == (False, "never_regress", {"outcome": ("won",)})
    assert mine.where == "m.yaml:2:19"


def test_tags_are_one_field_named_after_their_prefix() -> None:
    body = 'push: {members: {tags: {from: stage, type: tags, prefix: "t:", values: {M20: lead, M30: mql}}}}'
    [tag] = mapping(body, connector=MAILCHIMP).pushes("members")
    assert (tag.field, tag.type, dict(tag.values or {})) == ("tag:t:", "text", {"M20": "lead", "M30": "mql"})


# -- what we ship -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["hubspot", "salesforce", "mailchimp"])
def test_the_shipped_mapping_fits_the_shipped_connector(name: str) -> None:
    resources = shipped(name).resources
    assert all(kind in KINDS for resource in resources.values() for kind in resource.kinds)


def test_a_mailchimp_member_is_known_by_audience_and_hash() -> None:
    members = shipped("mailchimp").resource("members")
    row = {
        "id": "abc",
        "list_id": "L1",
        "email_address": "A@x.io",
        "status": "unsubscribed",
        "timestamp_signup": "",
        "merge_fields": {"FNAME": ""},
    }
    made = one(members, row)
    assert made["vendor_id"] == "L1:abc"
    assert (made["consent"], made["marketable"], made["stage"], made["created_at"], made["first_name"]) == (
        "unsubscribed",
        False,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("name", list(schemas.MODELS))
def test_the_checked_in_json_schema_is_the_generated_one(name: str) -> None:
    path = schemas.FOLDER / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == schemas.text(name), "run: python -m core.schemas"
