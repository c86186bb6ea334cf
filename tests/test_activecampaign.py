"""Reading ActiveCampaign: each of its traps, against the emulated account."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest
from activecampaign_account import START, account, complete, contact, day, deal, ids, member, rows, world

from connectors.activecampaign import CONNECTOR
from connectors.activecampaign_session import fault
from connectors.sandbox.kit import Fault, Reply, Request
from core.connector import Ask
from core.errors import CredentialsError, UserError, VendorError
from core.mapping import compile_mapping

CUSTOM = ("id", "fields.JOB_TITLE")


# -- the door -----------------------------------------------------------------------------------------------------------
def test_a_wrong_key_is_named_by_its_setting_after_a_few_tries() -> None:
    with account(world(), token="wrong") as ac:
        with pytest.raises(CredentialsError, match="api_token"):
            ac.read("contacts")
        assert ac.calls("contacts") == 6


def test_a_refusal_that_passes_is_not_a_wrong_key() -> None:
    with account(world([contact(1)])) as ac:
        ac.emulator.flaky = 4
        assert ids(ac.read("contacts")) == ["1"]


def test_what_the_keys_user_may_not_see_is_no_wrong_key() -> None:
    with account(world([contact(1)])) as ac:
        ac.emulator.forbidden = {"deals"}
        with pytest.raises(VendorError, match="may not use") as caught:
            ac.read("deals")  # also when it is the very first request
        assert caught.value.code == "forbidden"
        assert ids(ac.read("contacts")) == ["1"]


def test_five_requests_a_second_are_never_exceeded() -> None:
    with account(world([contact(i) for i in range(1, 2_501)])) as ac:
        said = ac.emulator.decorate

        def silent(request: Request, reply: Reply) -> Reply:  # the headers that tell the limit are a second guard
            reply = said(request, reply)
            reply.headers = {k: v for k, v in reply.headers.items() if not k.lower().startswith("ratelimit")}
            return reply

        ac.emulator.decorate = silent  # type: ignore[method-assign]
        assert len(ids(ac.read("contacts"))) == 2_500
        assert {status for *_, status in ac.emulator.log} == {200}
        assert ac.clock.now() - START == pytest.approx(5, abs=1.5)  # 25 pages


def test_a_wait_the_vendor_asks_for_is_kept() -> None:
    with account(world([contact(1)])) as ac:
        ac.emulator.faults.append(Fault("throttle", times=1, retry_after="9"))
        ac.read("contacts")
        assert ac.clock.now() - START >= 9


def test_the_address_may_be_given_with_its_path() -> None:
    with account(world([contact(1)])) as ac:
        session = CONNECTOR.open({"api_token": "x" * 20, "base_url": f"{ac.url}/api/3/"}, ac.transport)
        assert session.base == f"{ac.url}/api/3"


def test_the_probe_says_which_account_it_is() -> None:
    with account(world()) as ac:
        assert ac.url in CONNECTOR.probe(ac.session)


def test_a_setting_that_cannot_be_is_told() -> None:
    with pytest.raises(UserError, match="stage_moves"), account(world(), stage_moves="stage"):
        pass


SHAPES: list[tuple[int, Any, str, str]] = [
    (404, {"message": "No Result found for Subscriber with id 1"}, "missing", "No Result found"),
    (403, {"message": "No Result found for FieldValue with id 10"}, "missing", "FieldValue"),
    (403, {"message": "Forbidden"}, "transient", "refuses the key"),
    (422, {"errors": [{"title": "Email address already exists in the system", "detail": "", "code": "duplicate",
                       "source": {"pointer": "/data/attributes/email"}}]}, "refused", "email: Email address already exists"),
    (422, {"errors": [{"status": 422, "title": "Missing attribute", "source": {"pointer": "/data/attributes/contact"}}]}, "refused",
     "contact: Missing"),
    (400, {"errors": ["Field name is required"]}, "refused", "Field name is required"),
    (400, {"errors": "The request could not be read."}, "refused", "could not be read"),
    (422, {"errors": [{"title": "The field type field is required.", "detail": "", "code": 422}]}, "refused", "field type"),
    (400, {"success": 0, "message": "Rate limit exceeded.", "failureReasons": ["Up to 100"]}, "throttled", "hundred bulk imports"),
    (400, {"success": 0, "message": "Not valid.", "failureReasons": [{"contact": 2, "failureReason": "bad"}]}, "refused", "bad"),
    (500, b"<html>oops</html>", "transient", "without an explanation"),
    (400, b"", "refused", "answered 400"),
    (400, ["odd"], "refused", "answered 400"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "says"), SHAPES)
def test_every_shape_of_refusal_becomes_one_sentence(status: int, body: Any, kind: str, says: str) -> None:
    found = fault(status, {}, body if isinstance(body, bytes) else orjson.dumps(body))
    assert (found.kind, says in found.message) == (kind, True), found
    assert "\n" not in found.message


def test_a_refusal_names_nobody() -> None:
    body = orjson.dumps({"message": "who@acme.test is not valid"})
    assert "who@" not in fault(422, {}, body).message


def test_a_throttled_import_waits_a_minute() -> None:
    body = orjson.dumps({"success": 0, "message": "Rate limit exceeded."})
    assert fault(400, {}, body).retry_after_s == 60


# -- contacts -----------------------------------------------------------------------------------------------------------
def test_contacts_are_walked_by_id_to_the_end() -> None:
    with account(world([contact(i) for i in range(1, 500, 2)])) as ac:  # with gaps: an id is no place
        pages = ac.read("contacts")
        assert len(ids(pages)) == len(set(ids(pages))) == 250
        assert complete(pages)
        assert all(p.present for p in pages)
        assert ac.calls("GET /api/3/contacts") == 3


def test_rows_deleted_while_reading_shift_nothing_and_are_not_missing() -> None:
    with account(world([contact(i) for i in range(1, 451)])) as ac:
        ac.emulator.faults.append(Fault("move", match="/contacts$", times=2, after=1))
        pages = ac.read("contacts")
        assert set(ids(pages)) >= {str(i) for i in range(3, 451)}
        assert complete(pages)


def test_contacts_that_did_not_come_are_missing() -> None:
    with account(world([contact(i) for i in range(1, 251)])) as ac:
        honest = ac.emulator.decorate

        def short(request: Any, reply: Any) -> Any:
            if "id_greater" in request.query and isinstance(reply.body, dict) and request.q("id_greater") == "100":
                reply.body["contacts"] = []
            return honest(request, reply)

        ac.emulator.decorate = short  # type: ignore[method-assign]
        assert not complete(ac.read("contacts"))


def test_a_second_read_asks_for_what_changed_an_hour_back() -> None:
    with account(world([contact(i, age=30 - i) for i in range(1, 11)])) as ac:
        state = ac.read("contacts")[-1].state
        assert state == {"v": 1, "since": day(20 + 1 / 24)}
        assert ids(ac.read("contacts", state=state)) == ["10"]
        ac.emulator.edits["update_contact"]("4", {"lastName": "New"})
        pages = ac.read("contacts", state=state)
        assert ids(pages) == ["4", "10"]
        assert not any(p.present for p in pages)


def test_a_change_in_the_cursors_second_is_read() -> None:
    with account(world([contact(1, 2.0)])) as ac:
        ac.emulator.edits["update_contact"]("1", {"lastName": "A"})
        state = ac.read("contacts")[-1].state
        ac.emulator.clock.advance(START - ac.clock.now())
        ac.emulator.edits["update_contact"]("1", {"lastName": "B"})
        assert [row["lastName"] for row in rows(ac.read("contacts", state=state))] == ["B"]


def test_what_changes_behind_the_page_in_hand_is_read_next_time() -> None:
    """The pass ends at a stamp of its last page; whoever changed earlier than that, behind it, must not be skipped."""
    with account(world([contact(i) for i in range(1, 251)])) as ac:
        reading = CONNECTOR.resource("contacts").read(ac.session, Ask("contacts", (), ac.clock.utc()))
        pages = [next(reading)]
        ac.clock.advance(10)
        ac.emulator.edits["update_contact"]("1", {"lastName": "Behind"})
        ac.clock.advance(7_200)
        ac.emulator.edits["update_contact"]("250", {"lastName": "Ahead"})
        pages += reading
        again = rows(ac.read("contacts", state=pages[-1].state))
        assert {row["lastName"] for row in again} >= {"Behind", "Ahead"}


def test_the_cursor_moves_with_the_last_page_only_and_a_read_goes_on_anywhere() -> None:
    with account(world([contact(i) for i in range(1, 251)])) as ac:
        pages = ac.read("contacts")
        assert [p.state.get("since") for p in pages[:-1]] == [None, None]
        for cut in (1, 2):
            rest = ac.read("contacts", state=orjson.loads(orjson.dumps(pages[cut - 1].state)))
            assert ids(pages[:cut]) + ids(rest) == ids(pages)
            assert rest[-1].state == pages[-1].state
            assert {p.total for p in rest} == {250}


def test_a_hard_deleted_contact_is_missing_from_a_full_read() -> None:
    with account(world([contact(1), contact(2)])) as ac:
        state = ac.read("contacts")[-1].state
        ac.emulator.edits["delete_contact"]("1")
        pages = ac.read("contacts", state=state, full=True)
        assert ids(pages) == ["2"]
        assert all(p.present for p in pages)


def test_custom_fields_are_put_into_the_row_in_one_request_a_page() -> None:
    people = [contact(i, fields={"JOB_TITLE": f"Job {i}"}) for i in range(1, 101)]
    with account(world(people)) as ac:
        found = rows(ac.read("contacts", fields=CUSTOM))
        assert [row["fields"] for row in found] == [{"JOB_TITLE": f"Job {i}"} for i in range(1, 101)]
        assert ac.calls("GET") == 2


def test_where_include_is_not_heard_each_contact_is_asked() -> None:
    with account(world([contact(i, fields={"JOB_TITLE": f"Job {i}"}, lists=[member(i)]) for i in (1, 2)])) as ac:
        ac.emulator.knob("sideloads", False)
        assert [row["fields"]["JOB_TITLE"] for row in rows(ac.read("contacts", fields=CUSTOM))] == ["Job 1", "Job 2"]
        assert [len(row["contactLists"]) for row in rows(ac.read("contactLists"))] == [1, 1]


def test_nobody_pays_for_custom_fields_that_are_not_mapped() -> None:
    with account(world([contact(1, fields={"JOB_TITLE": "x"})])) as ac:
        assert "fields" not in rows(ac.read("contacts", fields=("id", "email")))[0]
        assert ac.calls("GET") == 1


def test_dates_that_are_none_are_null() -> None:
    with account(world([contact(1)])) as ac:
        row = rows(ac.read("contacts"))[0]
        assert (row["bounced_date"], row["deleted_at"]) == (None, None)


def test_an_empty_answer_is_an_empty_list_that_proves_nothing() -> None:
    with account(world([contact(1)], deals=[deal(9)])) as ac:
        for resource in ("contacts", "deals", "accounts", "contactLists"):
            ac.emulator.empty = 1
            pages = ac.read(resource)
            assert (ids(pages), [p.present for p in pages]) == ([], [False])
            assert resource == "accounts" or ids(ac.read(resource, state=pages[-1].state)) != []  # nothing was skipped for good


def test_who_left_a_list_is_seen_although_udate_stays() -> None:
    with account(world([contact(1, 20.0, lists=[member(1, 1), member(1, 2)]), contact(2, lists=[member(2, 1, 3)])])) as ac:
        before = rows(ac.read("contacts"))[0]["udate"]
        ac.emulator.edits["set_list"]("1", "1", 2)
        found = {row["id"]: {one["list"]: one["status"] for one in row["contactLists"]} for row in rows(ac.read("contactLists"))}
        assert found == {"1": {"1": "2", "2": "1"}, "2": {"1": "3"}}
        assert rows(ac.read("contacts"))[0]["udate"] == before


def test_a_page_shorter_than_asked_is_no_end() -> None:
    with account(world(accounts=[{"id": i, "name": f"A{i}", "cdate": day(5), "udate": day(5)} for i in range(1, 231)])) as ac:
        honest = ac.emulator.decorate

        def thin(request: Any, reply: Any) -> Any:
            if request.q("offset") == "0" and "accounts" in request.path:
                reply.body["accounts"] = reply.body["accounts"][:97]
            return honest(request, reply)

        ac.emulator.decorate = thin  # type: ignore[method-assign]
        assert len(set(ids(ac.read("accounts")))) == 230


def test_tags_come_with_their_names() -> None:
    with account(world([contact(1, tags=["1"]), contact(2)])) as ac:
        assert [(row["contact"], row["tagName"]) for row in rows(ac.read("contactTags"))] == [("1", "Hot")]


def test_pipelines_carry_their_stages() -> None:
    with account(world()) as ac:
        found = {row["title"]: [s["title"] for s in row["dealStages"]] for row in rows(ac.read("dealGroups"))}
        assert found == {"Partner deals": [f"Stage {i}" for i in range(4)], "Other": ["Elsewhere"]}


def test_bodies_of_messages_are_left_behind() -> None:
    with account(world(messages=[{"id": "1", "name": "May", "subject": "Hello", "cdate": day(5)}])) as ac:
        [row] = rows(ac.read("messages"))
        assert (row["subject"], "html" in row, "text" in row) == ("Hello", False, False)


@pytest.mark.parametrize("resource", [r.name for r in CONNECTOR.resources])
def test_every_resource_of_an_empty_account_is_empty(resource: str) -> None:
    empty = {name: [] for name in ("fields", "lists", "tags", "dealGroups", "dealStages", "dealCustomFieldMeta")}
    with account(world(**empty)) as ac:
        assert len(ids(ac.read(resource))) == (1 if resource == "users" else 0)


def test_nothing_secret_or_personal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with account(world([contact(i) for i in range(1, 120)])) as ac, caplog.at_level(logging.DEBUG, logger="tundish"):
        ac.emulator.faults.append(Fault("throttle", times=1))
        ac.read("contacts", fields=CUSTOM)
    said = "\n".join(r.getMessage() for r in caplog.records)
    assert said
    assert "@" not in said
    assert "sandbox-activecampaign-token" not in said


# -- what the shipped mapping makes of it ---------------------------------------------------------------------------------
def mapped(ac: Any, text: str, resource: str) -> tuple[dict[str, Any], list[str]]:
    """Columns of the resource's first kind, and the reasons of its rejects."""
    compiled = compile_mapping(text, CONNECTOR, currency="EUR").resource(resource)
    parsed = [compiled.parse(p.body, p.rows) for p in ac.read(resource, fields=compiled.fields_asked)]
    reasons = [reason for one in parsed for reject in one.rejects for reason in compiled.reasons(reject)]
    found = compiled.columns([row for one in parsed for row in one.rows])
    return (dict(found[0][1]) if found else {}), reasons


def shipped() -> str:
    with open("mappings/activecampaign.yaml", encoding="utf-8") as file:
        return file.read()


def test_money_is_in_the_smallest_unit_of_its_currency() -> None:
    with account(world(deals=[deal(1), deal(2, value=5_000, currency="jpy")])) as ac:
        columns, _ = mapped(ac, shipped(), "deals")
        assert [f"{amount:.2f} {code}" for amount, code in zip(columns["amount"], columns["currency"], strict=True)] == [
            "1234.50 EUR",
            "5000.00 JPY",
        ]


def test_the_status_says_how_a_deal_ended() -> None:
    path = [("20", 9.0), ("22", 5.0)]
    with account(world(deals=[deal(1, *path), deal(2, *path, ("won", 1.0)), deal(3, *path, ("lost", 1.0))])) as ac:
        columns, _ = mapped(ac, shipped(), "deals")
        assert columns["raw_stage"] == ["22", "won", "lost"]
        assert list(zip(columns["closed"], columns["won"], columns["outcome"], strict=True))[1:] == [
            (True, True, "won"),
            (True, False, "lost"),
        ]


def test_a_deal_that_may_not_be_seen_is_rejected_with_a_reason_and_counts_as_there() -> None:
    with account(world(deals=[deal(1), deal(2)])) as ac:
        ac.emulator.edits["hide_deal"](2)
        columns, reasons = mapped(ac, shipped(), "deals")
        assert columns["vendor_id"] == ["1"]
        assert len(reasons) == 1
        assert "'false' or False" in reasons[0]
        assert complete(ac.read("deals"))


def test_a_contact_is_one_record_for_each_of_its_lists() -> None:
    with account(world([contact(1, lists=[member(1, 1), member(1, 2, 2)]), contact(2)])) as ac:
        columns, _ = mapped(ac, shipped(), "contactLists")
        assert list(zip(columns["list_id"], columns["consent"], columns["marketable"], columns["stage"], strict=True)) == [
            ("1", "subscribed", True, "M10"), ("2", "unsubscribed", False, None),
        ]  # fmt: skip
        assert columns["email"] == ["p1@acme.test"] * 2
        assert columns["links"] == [("activecampaign:contacts:1",)] * 2


def test_several_choices_are_a_list() -> None:
    text = shipped().replace("fields.INTERESTS", "fields.LIKES").replace("fields.HUBSPOT_ID", "fields.JOB_TITLE")
    with account(world([contact(1, fields={"LIKES": "||pumps||gauges||"})])) as ac:
        columns, _ = mapped(ac, text, "contacts")
        assert orjson.loads(columns["attributes"][0])["interests"] == ["pumps", "gauges"]


def test_discover_lists_own_fields_and_how_deals_end() -> None:
    assert CONNECTOR.discover is not None
    with account(world()) as ac:
        live = CONNECTOR.discover(ac.session)
        paths = {(f.resource, f.path) for f in live.fields}
        assert {("contacts", "fields.JOB_TITLE"), ("deals", "fields.PARTNER_NAME"), ("deals", "fields.COMMISSION_currency")} <= paths
        stages = [(s.pipeline_id, s.stage_id, s.closed, s.won) for s in live.stages]
        assert stages[0] == ("2", "20", False, False)
        assert stages[-2:] == [("", "won", True, True), ("", "lost", True, False)]
