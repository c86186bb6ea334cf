"""The Salesforce connector against the sandbox: signing in, reading by REST, describing, telling refusals apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import salesforce_org
from salesforce_org import NOW, START, Read, accounts, begin, contacts, iso, pull, row, rows_of

from connectors.salesforce import CONNECTOR
from connectors.salesforce_session import fault
from connectors.sandbox.kit import Fault
from connectors.sandbox.salesforce_describe import make_id
from core.connector import Write
from core.errors import CredentialsError, VendorUnavailable
from core.http import ReadOnlyError

org_with, salesforce_served = salesforce_org.org_with, salesforce_org.salesforce_served


# -- signing in -----------------------------------------------------------------------------------------------------
def test_probe_says_what_is_left_of_the_day(org_with: Any) -> None:
    assert "API calls left" in CONNECTOR.probe(org_with({}).session())


def test_wrong_secret_names_the_settings_and_not_the_secret(org_with: Any) -> None:
    with pytest.raises(CredentialsError, match="client_secret") as caught:
        CONNECTOR.probe(org_with({}).session(client_secret="sf-wrong"))
    assert "sf-wrong" not in str(caught.value)


def test_client_credentials_are_used_without_a_refresh_token(org_with: Any) -> None:
    assert "API calls left" in CONNECTOR.probe(org_with({}).session(refresh_token=""))


def test_spurious_invalid_grant_is_asked_once_more(org_with: Any) -> None:
    org = org_with({})
    org.emulator.spurious_grants = 1
    assert "API calls left" in CONNECTOR.probe(org.session())


def test_session_expired_in_the_middle_is_renewed_and_the_rotated_token_kept(org_with: Any) -> None:
    org = org_with(accounts(4500))
    org.emulator.rotate = True
    session = org.session()
    pages = begin(session, "Account")
    got = Read([next(pages)])
    org.emulator.expire_tokens()
    got.pages += pages
    org.emulator.expire_tokens()
    got.pages += begin(session, "Account", state=got.state)
    assert len(set(got.ids)) == 4500
    assert session.tokens.rotated


def test_read_only_session_sends_no_write(org_with: Any) -> None:
    org = org_with(accounts(1))
    with pytest.raises(ReadOnlyError):
        list(CONNECTOR.target("Account").write(org.session(), [Write("k", make_id("001", 1), {"Site": "x"})]))
    assert org.asked("composite") == 0


# -- reading by REST ------------------------------------------------------------------------------------------------
def test_every_row_once_over_pages_of_any_length(org_with: Any) -> None:
    org = org_with(accounts(4500))
    org.edit("short_pages", rows=300)
    got = pull(org.session(), "Account", ("Name",))
    assert [len(rows_of(p)) for p in got.pages] == [2000, 1700, 800]
    assert len(set(got.ids)) == 4500
    assert {p.total for p in got.pages} == {4500}
    assert all(p.present for p in got.pages)


def test_old_rows_arrive_because_no_start_date_is_invented(org_with: Any) -> None:
    org = org_with(accounts(3, datetime(2004, 2, 29, tzinfo=UTC)))
    assert len(pull(org.session(), "Account").ids) == 3


def test_a_limit_the_user_gives_is_kept_to(org_with: Any) -> None:
    org = org_with(accounts(10))
    got = pull(org.session(), "Account", since=START + timedelta(minutes=8))
    assert got.ids == [make_id("001", n) for n in (8, 9, 10)]
    assert not any(p.present for p in got.pages)


def test_rows_sharing_the_cursors_stamp_are_not_lost(org_with: Any) -> None:
    org = org_with(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    edge = START + timedelta(minutes=10)
    org.edit("touch_many", sobject="Account", ids=[make_id("001", n) for n in (1, 2, 3)], values={"Site": "x"}, at=iso(edge))
    changed = pull(session, "Account", state=state)
    assert {make_id("001", n) for n in (1, 2, 3, 10)} <= set(changed.ids)
    assert make_id("001", 4) not in changed.ids


def test_a_tie_larger_than_a_page_survives_a_lost_locator(org_with: Any) -> None:
    org = org_with(accounts(4500, START))
    pages = begin(org.session(), "Account")
    got = Read([next(pages)])
    org.emulator.queries.locators.clear()
    got.pages += pages
    assert sorted(got.ids) == sorted(make_id("001", n) for n in range(1, 4501))


def test_a_row_committed_behind_the_cursor_is_found_by_the_overlap(org_with: Any) -> None:
    org = org_with(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    org.edit("update", sobject="Account", id=make_id("001", 1), values={"Site": "x"}, at=iso(START + timedelta(minutes=7)))
    assert make_id("001", 1) in pull(session, "Account", state=state).ids


def test_second_read_brings_only_the_overlap_and_what_changed(org_with: Any) -> None:
    org = org_with(accounts(3000))
    session = org.session()
    state = pull(session, "Account").state
    again = pull(session, "Account", state=state)
    assert len(again.ids) == 6
    assert not again.pages[0].present
    org.emulator.clock.advance(3600)
    org.edit("update", sobject="Account", id=make_id("001", 5), values={"Site": "x"})
    later = pull(session, "Account", state=again.state, now=NOW + timedelta(hours=1, minutes=1))
    assert make_id("001", 5) in later.ids


def test_killed_after_any_page_goes_on_right_behind_it(org_with: Any) -> None:
    org = org_with(accounts(6500))
    session = org.session()
    whole = len(pull(session, "Account").pages)
    for kept in range(1, whole):
        pages = begin(session, "Account")
        got = Read([next(pages) for _ in range(kept)])
        if kept % 2:
            org.emulator.queries.locators.clear()
        rest = pull(session, "Account", state=got.state)
        assert sorted({*got.ids, *rest.ids}) == sorted(make_id("001", n) for n in range(1, 6501))
        resumed = [p for p in rest.pages if p.pass_name == "resumed"]
        assert {p.total for p in resumed} == {sum(len(rows_of(p)) for p in resumed)}
        assert not any(p.present for p in rest.pages)


def test_deleted_and_merged_rows_arrive_as_such(org_with: Any) -> None:
    org = org_with(accounts(10))
    session = org.session()
    state = pull(session, "Account", ("Name",)).state
    org.edit("delete", sobject="Account", id=make_id("001", 1))
    org.edit("merge", sobject="Account", winner=make_id("001", 2), loser=make_id("001", 3))
    got = {r["Id"]: r for r in pull(session, "Account", ("Name",), state).rows}
    assert got[make_id("001", 2)]["IsDeleted"] is False  # the survivor is read again: which values won is not guessed
    assert (got[make_id("001", 1)]["IsDeleted"], got[make_id("001", 1)]["MasterRecordId"]) == (True, None)
    assert (got[make_id("001", 3)]["IsDeleted"], got[make_id("001", 3)]["MasterRecordId"]) == (True, make_id("001", 2))


def test_after_a_silence_longer_than_the_bin_everything_is_read_as_present(org_with: Any) -> None:
    org = org_with(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    org.edit("delete", sobject="Account", id=make_id("001", 1))
    org.emulator.clock.advance(20 * 86_400)
    assert org.edit("purge", sobject="Account") == [make_id("001", 1)]
    late = pull(session, "Account", state=state, now=NOW + timedelta(days=20))
    assert all(p.present for p in late.pages)
    assert set(late.ids) == {make_id("001", n) for n in range(2, 11)}
    assert not pull(session, "Account", state=late.state, now=NOW + timedelta(days=21)).pages[0].present


def test_a_new_field_is_read_back_for_all_rows(org_with: Any) -> None:
    org = org_with(accounts(10))
    session = org.session()
    state = pull(session, "Account", ("Name", "Hub_Id__c")).state
    assert state["dropped"] == ["Hub_Id__c"]
    org.emulator.load({"fields": {"Account": [{"name": "Hub_Id__c", "type": "string"}]}})
    org.emulator.org.schema_changed()
    got = pull(session, "Account", ("Name", "Hub_Id__c"), state)
    assert (len(got.ids), got.state["backfilled"], got.state["dropped"]) == (10, ["Hub_Id__c"], [])
    assert len(pull(session, "Account", ("Name", "Hub_Id__c"), got.state).ids) < 10


def test_a_formula_that_changes_without_a_stamp_is_read_again_within_a_week(org_with: Any) -> None:
    org = org_with(accounts(10) | {"fields": {"Account": [{"name": "Score__c", "type": "double", "calculated": True}]}})
    session = org.session()
    table = org.emulator.org.tables["Account"]
    first, plain = pull(session, "Account", ("Name", "Score__c")), pull(session, "Account", ("Name",))
    table[make_id("001", 1)] |= {"Score__c": 7.0}  # what it is computed from changed; the row's own stamp stays
    soon = pull(session, "Account", ("Name", "Score__c"), first.state, now=NOW + timedelta(days=1))
    late = pull(session, "Account", ("Name", "Score__c"), soon.state, now=NOW + timedelta(days=8))
    assert [r["Score__c"] for r in soon.rows if r["Id"] == make_id("001", 1)] == []
    assert [r["Score__c"] for r in late.rows if r["Id"] == make_id("001", 1)] == [7.0]
    assert all(p.present for p in late.pages)
    assert len(pull(session, "Account", ("Name", "Score__c"), late.state, now=NOW + timedelta(days=9)).ids) < 10
    assert len(pull(session, "Account", ("Name",), plain.state, now=NOW + timedelta(days=8)).ids) < 10  # without a formula nobody pays


def test_a_hidden_or_deleted_field_is_dropped_by_name_and_the_rest_arrives(org_with: Any) -> None:
    org = org_with(accounts(3))
    org.edit("hide_field", sobject="Account", name="Industry")
    got = pull(org.session(), "Account", ("Name", "Industry", "Gone__c", "Owner.Name", "Owner.Nope", "Nobody.Name"))
    assert got.state["dropped"] == ["Industry", "Gone__c", "Owner.Nope", "Nobody.Name"]
    assert [r["Name"] for r in got.rows] == ["Firm 1", "Firm 2", "Firm 3"]


def test_parent_fields_arrive_nested_and_the_cursor_is_still_found(org_with: Any) -> None:
    org = org_with(contacts(2500))
    got = pull(org.session(), "Contact", ("LastName", "Account.Name", "Account.Id"))
    assert len(set(got.ids)) == 2500
    assert got.rows[0]["Account"]["Name"] == "Firm 2"


def test_close_date_stays_a_plain_date(org_with: Any) -> None:
    deal = row("006", 1, Name="D", StageName="Prospecting", CloseDate="2026-09-30", Amount=1)
    got = pull(org_with({"objects": {"Opportunity": [deal]}}).session(bulk_above="0"), "Opportunity", ("CloseDate",))
    assert [r["CloseDate"] for r in got.rows] == ["2026-09-30"]


def test_stages_are_read_whole_each_time(org_with: Any) -> None:
    session = org_with({}).session()
    first = pull(session, "OpportunityStage", ("MasterLabel",))
    assert (len(first.ids), len(pull(session, "OpportunityStage", ("MasterLabel",), first.state).ids)) == (10, 10)


def test_lead_history_is_empty_where_nothing_is_tracked(org_with: Any) -> None:
    org = org_with({})
    org.edit("track", sobject="Lead", names=[])
    assert pull(org.session(), "LeadHistory", ("NewValue",)).ids == []
    org.edit("track", sobject="Lead", names=["Status"])
    lead = org.edit("insert", sobject="Lead", values={"LastName": "L", "Company": "C"})
    org.edit("update", sobject="Lead", id=lead, values={"Status": "Working - Contacted"})
    assert [r["NewValue"] for r in pull(org.session(), "LeadHistory", ("NewValue",)).rows] == ["Working - Contacted"]


def test_used_up_allowance_stops_with_the_state_kept(org_with: Any) -> None:
    org = org_with(accounts(4500))
    session = org.session()
    pages = begin(session, "Account")
    got = Read([next(pages)])
    org.edit("allowance", used=100_000, allowed=100_000)
    with pytest.raises(VendorUnavailable, match="24 hours"):
        next(pages)
    org.edit("allowance", used=0, allowed=100_000)
    got.pages += begin(org.session(), "Account", state=got.state)
    assert len(set(got.ids)) == 4500


def test_a_reserve_of_the_allowance_is_left_to_others(org_with: Any) -> None:
    org = org_with(accounts(4500))
    org.edit("allowance", used=81, allowed=100)
    with pytest.raises(VendorUnavailable, match="kept for other tools"):
        pull(org.session(), "Account")
    assert org.emulator.used < 90


def test_concurrency_refusals_and_html_errors_are_waited_out(org_with: Any) -> None:
    org = org_with(accounts(3))
    org.emulator.faults += [Fault("throttle", match="/query", times=2), Fault("error", match="describe", times=2, status=503)]
    assert len(pull(org.session(), "Account").ids) == 3
    assert len(org.waits) >= 4
    assert org.asked("describe") == 3


def test_page_cut_in_the_middle_is_asked_again(org_with: Any) -> None:
    org = org_with(accounts(3))
    org.emulator.faults.append(Fault("cut", match="queryAll", times=2))
    assert len(pull(org.session(), "Account").ids) == 3


# -- describing -----------------------------------------------------------------------------------------------------
def test_discover_lists_fields_stages_and_which_are_calculated(org_with: Any) -> None:
    org = org_with({"fields": {"Contact": [{"name": "Score__c", "type": "double", "calculated": True}]}})
    assert CONNECTOR.discover is not None
    live = CONNECTOR.discover(org.session())
    score = next(f for f in live.fields if f.path == "Score__c")
    assert (score.calculated, score.writable) == (True, False)
    won = next(s for s in live.stages if s.stage_id == "Closed Won")
    assert (won.record_kind, won.closed, won.won, won.probability) == ("deal", True, True, 1.0)
    assert {s.stage_id for s in live.stages if s.closed and s.record_kind == "person"} == {"Closed - Converted"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]', "expired"),
        (403, b"Bad_OAuth_Token", "expired"),
        (400, b'{"error":"invalid_grant","error_description":"expired access/refresh token"}', "unauthorised"),
        (403, b'[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]', "exhausted"),
        (
            403,
            b'[{"message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]',
            "throttled",
        ),
        (403, b'[{"message":"no","errorCode":"API_DISABLED_FOR_ORG"}]', "forbidden"),
        (404, b'[{"message":"no","errorCode":"NOT_FOUND"}]', "missing"),
        (400, b'[{"message":"lock","errorCode":"UNABLE_TO_LOCK_ROW"}]', "transient"),
        (503, b"<html>Server Unavailable</html>", "transient"),
        (420, b"", "transient"),
        (400, b'[{"message":"bad","errorCode":"MALFORMED_QUERY"}]', "refused"),
        (414, b"<html>", "refused"),
    ],
)
def test_refusals_are_told_apart_by_status_and_code(status: int, body: bytes, kind: str) -> None:
    assert fault(status, {}, body).kind == kind


def test_messages_carry_no_address() -> None:
    said = fault(400, {}, b'[{"message":"Email: invalid email address: jo@firm.example","errorCode":"INVALID_EMAIL_ADDRESS"}]')
    assert "jo@firm" not in said.message
