"""The Salesforce connector against the sandbox's org: what other connectors got wrong, one sentence each."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest

from connectors.salesforce import CONNECTOR
from connectors.salesforce_session import Session, fault
from connectors.salesforce_write import long_id
from connectors.sandbox.kit import Clock, Fault, serve
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import make_id
from core.connector import Ask, Page, PushField, State, Write, WriteResult
from core.errors import CredentialsError, UserError, VendorError, VendorUnavailable
from core.http import ReadOnlyError, Transport

NOW = datetime(2026, 6, 30, tzinfo=UTC)
START = NOW - timedelta(days=90)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def row(prefix: str, n: int, at: datetime | None = None, **values: Any) -> dict[str, Any]:
    stamp = iso(at or START + timedelta(minutes=n))
    return {"Id": make_id(prefix, n), "CreatedDate": stamp, "SystemModstamp": stamp, **values}


def accounts(count: int, at: datetime | None = None) -> dict[str, Any]:
    return {"objects": {"Account": [row("001", n, at, Name=f"Firm {n}") for n in range(1, count + 1)]}}


def contacts(count: int, **values: Any) -> dict[str, Any]:
    people = [row("003", n, LastName=f"P{n}", AccountId=make_id("001", n % 3 + 1), **values) for n in range(1, count + 1)]
    return {"objects": {**accounts(3)["objects"], "Contact": people}}


@dataclass
class Read:
    pages: list[Page] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [r for page in self.pages for r in rows_of(page)]

    @property
    def ids(self) -> list[str]:
        return [r["Id"] for r in self.rows]

    @property
    def state(self) -> State:
        return orjson.loads(orjson.dumps(self.pages[-1].state))  # type: ignore[no-any-return]


def rows_of(page: Page) -> list[dict[str, Any]]:
    if page.format == "csv":
        return list(csv.DictReader(io.StringIO(page.body.decode(), newline="")))
    return list(orjson.loads(page.body)[page.rows])


class Org:
    """An emulator of its own, and sessions on it."""

    def __init__(self, url: str, emulator: SalesforceEmulator) -> None:
        self.url, self.emulator = url, emulator
        self.waits: list[float] = []

    def session(self, *, writes: bool = False, **settings: str) -> Session:
        transport = Transport(
            "acme",
            buckets=CONNECTOR.buckets,
            fault=CONNECTOR.fault,
            safe_posts=CONNECTOR.safe_posts,
            writes=writes,
            sleep=self.waits.append,
            monotonic=lambda: time.monotonic() + sum(self.waits),  # whoever sleeps finds the time gone
        )
        known = {"client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "sf-refresh", "login_url": self.url}
        opened: Session = CONNECTOR.open(known | settings, transport)
        return opened

    def edit(self, edit: str, /, **values: Any) -> Any:
        return self.emulator.edits[edit](**values)

    def asked(self, part: str) -> int:
        return sum(part in path for _, path, _ in self.emulator.log)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[SalesforceEmulator, str]]:
    emulator = SalesforceEmulator({})
    with serve([emulator]) as urls:
        yield emulator, urls["salesforce"]


@pytest.fixture
def place(served: tuple[SalesforceEmulator, str]) -> Any:
    emulator, url = served

    def filled(seed: dict[str, Any]) -> Org:
        emulator.__init__(seed, clock=Clock(NOW.timestamp()))  # type: ignore[misc]
        return Org(url, emulator)

    return filled


def begin(session: Session, resource: str, fields: tuple[str, ...] = ("Id",), state: State | None = None, **more: Any) -> Iterator[Page]:
    return CONNECTOR.resource(resource).read(session, Ask(resource, fields, more.pop("now", NOW), state, **more))


def pull(session: Session, resource: str, fields: tuple[str, ...] = ("Id",), state: State | None = None, **more: Any) -> Read:
    return Read(list(begin(session, resource, fields, state, **more)))


# -- signing in -----------------------------------------------------------------------------------------------------
def test_probe_says_what_is_left_of_the_day(place: Any) -> None:
    assert "API calls left" in CONNECTOR.probe(place({}).session())


def test_wrong_secret_names_the_settings_and_not_the_secret(place: Any) -> None:
    with pytest.raises(CredentialsError, match="client_secret") as caught:
        CONNECTOR.probe(place({}).session(client_secret="sf-wrong"))
    assert "sf-wrong" not in str(caught.value)


def test_client_credentials_are_used_without_a_refresh_token(place: Any) -> None:
    assert "API calls left" in CONNECTOR.probe(place({}).session(refresh_token=""))


def test_spurious_invalid_grant_is_asked_once_more(place: Any) -> None:
    org = place({})
    org.emulator.spurious_grants = 1
    assert "API calls left" in CONNECTOR.probe(org.session())


def test_session_expired_in_the_middle_is_renewed_and_the_rotated_token_kept(place: Any) -> None:
    org = place(accounts(4500))
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


def test_read_only_session_sends_no_write(place: Any) -> None:
    org = place(accounts(1))
    with pytest.raises(ReadOnlyError):
        list(CONNECTOR.target("Account").write(org.session(), [Write("k", make_id("001", 1), {"Site": "x"})]))
    assert org.asked("composite") == 0


# -- reading by REST ------------------------------------------------------------------------------------------------
def test_every_row_once_over_pages_of_any_length(place: Any) -> None:
    org = place(accounts(4500))
    org.edit("short_pages", rows=300)
    got = pull(org.session(), "Account", ("Name",))
    assert [len(rows_of(p)) for p in got.pages] == [2000, 1700, 800]
    assert len(set(got.ids)) == 4500
    assert {p.total for p in got.pages} == {4500}
    assert all(p.present for p in got.pages)


def test_old_rows_arrive_because_no_start_date_is_invented(place: Any) -> None:
    org = place(accounts(3, datetime(2004, 2, 29, tzinfo=UTC)))
    assert len(pull(org.session(), "Account").ids) == 3


def test_a_limit_the_user_gives_is_kept_to(place: Any) -> None:
    org = place(accounts(10))
    got = pull(org.session(), "Account", since=START + timedelta(minutes=8))
    assert got.ids == [make_id("001", n) for n in (8, 9, 10)]
    assert not any(p.present for p in got.pages)


def test_rows_sharing_the_cursors_stamp_are_not_lost(place: Any) -> None:
    org = place(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    edge = START + timedelta(minutes=10)
    org.edit("touch_many", sobject="Account", ids=[make_id("001", n) for n in (1, 2, 3)], values={"Site": "x"}, at=iso(edge))
    changed = pull(session, "Account", state=state)
    assert {make_id("001", n) for n in (1, 2, 3, 10)} <= set(changed.ids)
    assert make_id("001", 4) not in changed.ids


def test_a_tie_larger_than_a_page_survives_a_lost_locator(place: Any) -> None:
    org = place(accounts(4500, START))
    pages = begin(org.session(), "Account")
    got = Read([next(pages)])
    org.emulator.queries.locators.clear()
    got.pages += pages
    assert sorted(got.ids) == sorted(make_id("001", n) for n in range(1, 4501))


def test_a_row_committed_behind_the_cursor_is_found_by_the_overlap(place: Any) -> None:
    org = place(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    org.edit("update", sobject="Account", id=make_id("001", 1), values={"Site": "x"}, at=iso(START + timedelta(minutes=7)))
    assert make_id("001", 1) in pull(session, "Account", state=state).ids


def test_second_read_brings_only_the_overlap_and_what_changed(place: Any) -> None:
    org = place(accounts(3000))
    session = org.session()
    state = pull(session, "Account").state
    again = pull(session, "Account", state=state)
    assert len(again.ids) == 6
    assert not again.pages[0].present
    org.emulator.clock.advance(3600)
    org.edit("update", sobject="Account", id=make_id("001", 5), values={"Site": "x"})
    later = pull(session, "Account", state=again.state, now=NOW + timedelta(hours=1, minutes=1))
    assert make_id("001", 5) in later.ids


def test_killed_after_any_page_goes_on_right_behind_it(place: Any) -> None:
    org = place(accounts(6500))
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


def test_deleted_and_merged_rows_arrive_as_such(place: Any) -> None:
    org = place(accounts(10))
    session = org.session()
    state = pull(session, "Account", ("Name",)).state
    org.edit("delete", sobject="Account", id=make_id("001", 1))
    org.edit("merge", sobject="Account", winner=make_id("001", 2), loser=make_id("001", 3))
    got = {r["Id"]: r for r in pull(session, "Account", ("Name",), state).rows}
    assert (got[make_id("001", 1)]["IsDeleted"], got[make_id("001", 1)]["MasterRecordId"]) == (True, None)
    assert (got[make_id("001", 3)]["IsDeleted"], got[make_id("001", 3)]["MasterRecordId"]) == (True, make_id("001", 2))


def test_after_a_silence_longer_than_the_bin_everything_is_read_as_present(place: Any) -> None:
    org = place(accounts(10))
    session = org.session()
    state = pull(session, "Account").state
    org.edit("delete", sobject="Account", id=make_id("001", 1))
    org.emulator.clock.advance(20 * 86_400)
    assert org.edit("purge", sobject="Account") == [make_id("001", 1)]
    late = pull(session, "Account", state=state, now=NOW + timedelta(days=20))
    assert all(p.present for p in late.pages)
    assert set(late.ids) == {make_id("001", n) for n in range(2, 11)}
    assert not pull(session, "Account", state=late.state, now=NOW + timedelta(days=21)).pages[0].present


def test_a_new_field_is_read_back_for_all_rows(place: Any) -> None:
    org = place(accounts(10))
    session = org.session()
    state = pull(session, "Account", ("Name", "Hub_Id__c")).state
    assert state["dropped"] == ["Hub_Id__c"]
    org.emulator.load({"fields": {"Account": [{"name": "Hub_Id__c", "type": "string"}]}})
    org.emulator.org.schema_changed()
    got = pull(session, "Account", ("Name", "Hub_Id__c"), state)
    assert (len(got.ids), got.state["backfilled"], got.state["dropped"]) == (10, ["Hub_Id__c"], [])
    assert len(pull(session, "Account", ("Name", "Hub_Id__c"), got.state).ids) < 10


def test_a_hidden_or_deleted_field_is_dropped_by_name_and_the_rest_arrives(place: Any) -> None:
    org = place(accounts(3))
    org.edit("hide_field", sobject="Account", name="Industry")
    got = pull(org.session(), "Account", ("Name", "Industry", "Gone__c", "Owner.Name", "Owner.Nope", "Nobody.Name"))
    assert got.state["dropped"] == ["Industry", "Gone__c", "Owner.Nope", "Nobody.Name"]
    assert [r["Name"] for r in got.rows] == ["Firm 1", "Firm 2", "Firm 3"]


def test_parent_fields_arrive_nested_and_the_cursor_is_still_found(place: Any) -> None:
    org = place(contacts(2500))
    got = pull(org.session(), "Contact", ("LastName", "Account.Name", "Account.Id"))
    assert len(set(got.ids)) == 2500
    assert got.rows[0]["Account"]["Name"] == "Firm 2"


def test_close_date_stays_a_plain_date(place: Any) -> None:
    deal = row("006", 1, Name="D", StageName="Prospecting", CloseDate="2026-09-30", Amount=1)
    got = pull(place({"objects": {"Opportunity": [deal]}}).session(bulk_above="0"), "Opportunity", ("CloseDate",))
    assert [r["CloseDate"] for r in got.rows] == ["2026-09-30"]


def test_stages_are_read_whole_each_time(place: Any) -> None:
    session = place({}).session()
    first = pull(session, "OpportunityStage", ("MasterLabel",))
    assert (len(first.ids), len(pull(session, "OpportunityStage", ("MasterLabel",), first.state).ids)) == (10, 10)


def test_lead_history_is_empty_where_nothing_is_tracked(place: Any) -> None:
    org = place({})
    org.edit("track", sobject="Lead", names=[])
    assert pull(org.session(), "LeadHistory", ("NewValue",)).ids == []
    org.edit("track", sobject="Lead", names=["Status"])
    lead = org.edit("insert", sobject="Lead", values={"LastName": "L", "Company": "C"})
    org.edit("update", sobject="Lead", id=lead, values={"Status": "Working - Contacted"})
    assert [r["NewValue"] for r in pull(org.session(), "LeadHistory", ("NewValue",)).rows] == ["Working - Contacted"]


def test_used_up_allowance_stops_with_the_state_kept(place: Any) -> None:
    org = place(accounts(4500))
    session = org.session()
    pages = begin(session, "Account")
    got = Read([next(pages)])
    org.edit("allowance", used=100_000, allowed=100_000)
    with pytest.raises(VendorUnavailable, match="24 hours"):
        next(pages)
    org.edit("allowance", used=0, allowed=100_000)
    got.pages += begin(org.session(), "Account", state=got.state)
    assert len(set(got.ids)) == 4500


def test_a_reserve_of_the_allowance_is_left_to_others(place: Any) -> None:
    org = place(accounts(4500))
    org.edit("allowance", used=81, allowed=100)
    with pytest.raises(VendorUnavailable, match="kept for other tools"):
        pull(org.session(), "Account")
    assert org.emulator.used < 90


def test_concurrency_refusals_and_html_errors_are_waited_out(place: Any) -> None:
    org = place(accounts(3))
    org.emulator.faults += [Fault("throttle", match="/query", times=2), Fault("error", match="describe", times=2, status=503)]
    assert len(pull(org.session(), "Account").ids) == 3
    assert len(org.waits) >= 4
    assert org.asked("describe") == 3


def test_page_cut_in_the_middle_is_asked_again(place: Any) -> None:
    org = place(accounts(3))
    org.emulator.faults.append(Fault("cut", match="queryAll", times=2))
    assert len(pull(org.session(), "Account").ids) == 3


# -- reading by Bulk ------------------------------------------------------------------------------------------------
def bulk_session(org: Org, monkeypatch: pytest.MonkeyPatch, page: int = 400) -> Session:
    monkeypatch.setattr("connectors.salesforce_jobs.RESULT_ROWS", page)
    return org.session(bulk_above="1000")


def test_many_rows_go_by_bulk_and_a_few_do_not(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    session = bulk_session(org, monkeypatch)
    got = pull(session, "Account", ("Name", "Website"))
    assert {p.format for p in got.pages} == {"csv"}
    assert all(p.body.startswith(b'"Name","Website"') for p in got.pages)
    assert len(set(got.ids)) == 1500
    assert (got.pages[-1].total, got.pages[-1].present) == (1500, True)
    again = pull(session, "Account", ("Name", "Website"), got.state)
    assert ({p.format for p in again.pages}, len(again.ids)) == ({"json"}, 6)


def test_killed_download_goes_on_at_the_locator_of_the_same_job(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    whole = len(pull(bulk_session(org, monkeypatch), "Account").pages)
    for kept in range(1, whole):
        org.emulator.bulk.jobs.clear()
        pages = begin(bulk_session(org, monkeypatch), "Account")
        got = Read([next(pages) for _ in range(kept)])
        rest = pull(bulk_session(org, monkeypatch), "Account", state=got.state)
        assert len(org.emulator.bulk.jobs) == 1
        resumed = [p for p in rest.pages if p.pass_name == "resumed"]
        assert len(got.ids) + sum(len(rows_of(p)) for p in resumed) == 1500
        assert resumed[-1].total == sum(len(rows_of(p)) for p in resumed)


def test_session_expiring_between_job_and_download_resumes(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    org.emulator.faults.append(Fault("expire", match="/results", times=1, after=1))
    assert len(set(pull(bulk_session(org, monkeypatch), "Account").ids)) == 1500
    assert org.emulator.issued == 2


def test_a_job_the_vendor_forgot_is_ordered_anew(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    session = bulk_session(org, monkeypatch)
    pages = begin(session, "Account")
    state = [next(pages), next(pages)][-1].state
    org.emulator.bulk.jobs.clear()
    got = pull(session, "Account", state=state)
    assert (len(set(got.ids)), got.pages[-1].total) == (1500, 1500)


def test_a_failed_job_says_why_and_the_next_run_orders_another(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    org.edit("fail_next_job", message="InternalServerError: retry later")
    pages = begin(bulk_session(org, monkeypatch), "Account")
    state = next(pages).state
    with pytest.raises(VendorError, match="InternalServerError"):
        next(pages)
    assert len(set(pull(bulk_session(org, monkeypatch), "Account", state=state).ids)) == 1500


def test_an_object_bulk_does_not_take_is_read_by_rest(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    monkeypatch.setattr("connectors.sandbox.salesforce_bulk.NOT_IN_BULK", {"Account"})
    got = pull(bulk_session(org, monkeypatch), "Account")
    assert (len(set(got.ids)), {p.format for p in got.pages}) == (1500, {"json"})


def test_rows_edited_while_a_job_runs_come_with_the_next_read(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    session = bulk_session(org, monkeypatch)
    pages = begin(session, "Account", ("Site",))
    got = Read([next(pages), next(pages)])
    org.edit("update", sobject="Account", id=make_id("001", 1), values={"Site": "late"})
    got.pages += pages
    after = pull(session, "Account", ("Site",), got.state)
    assert ("late", make_id("001", 1)) in {(r["Site"], r["Id"]) for r in after.rows}


def test_awkward_cells_survive_the_csv(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    awkward = ["two\nlines", 'say "hi"', "a,b", "N/A", "null", "x" * 32_000, "nul\0byte", "ÄÖ→", "0.0"]
    rows = [row("001", n, Name=f"F{n}", Description=text) for n, text in enumerate(awkward, 1)]
    session = place({"objects": {"Account": rows}}).session(bulk_above="0")
    got = {r["Id"]: r["Description"] for r in pull(session, "Account", ("Description",)).rows}
    assert [got[make_id("001", n)] for n in range(1, len(awkward) + 1)] == [t.replace("\0", "") for t in awkward]


def test_more_fields_than_fit_a_uri_go_by_bulk(place: Any) -> None:
    names = [f"A_rather_long_custom_field_name_{n:04d}__c" for n in range(400)]
    org = place({**accounts(5), "fields": {"Account": [{"name": n, "type": "string"} for n in names]}})
    got = pull(org.session(), "Account", tuple(names))
    assert (len(got.ids), got.pages[0].format, set(names) <= set(got.rows[0])) == (5, "csv", True)


def test_compound_fields_are_read_by_rest_at_any_size(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = place(accounts(1500))
    got = pull(bulk_session(org, monkeypatch), "Account", ("BillingAddress.city",))
    assert ({p.format for p in got.pages}, len(got.ids)) == ({"json"}, 1500)


# -- writing --------------------------------------------------------------------------------------------------------
def send(session: Session, target: str, writes: list[Write]) -> dict[str, WriteResult]:
    return {r.key: r for r in CONNECTOR.target(target).write(session, writes)}


def test_written_values_read_back_and_none_clears(place: Any) -> None:
    org = place(accounts(2))
    session = org.session(writes=True)
    one, two = make_id("001", 1), make_id("001", 2)
    values = {"AnnualRevenue": Decimal("12.50"), "Site": "s"}
    assert all(r.ok for r in send(session, "Account", [Write("a", one, values), Write("b", two, {"Site": "t"})]).values())
    assert send(session, "Account", [Write("c", two, {"Site": None})])["c"].ok
    back = CONNECTOR.target("Account").read_back(session, [one, two, make_id("001", 9)], ["AnnualRevenue", "Site"])
    assert back == {one: {"AnnualRevenue": 12.5, "Site": "s"}, two: {"AnnualRevenue": None, "Site": None}}


def test_one_bad_row_does_not_hide_the_good_ones(place: Any) -> None:
    org = place(accounts(450))
    org.edit("lock_rows", ids=[make_id("001", 3)], times=1)
    org.edit("reject", id=make_id("001", 4), code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message="Site is required")
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", n), {"Site": "x"}) for n in range(1, 451)])
    assert (len(done), sum(r.ok for r in done.values())) == (450, 448)
    assert (done["3"].code, done["3"].retryable) == ("UNABLE_TO_LOCK_ROW", True)
    assert (done["4"].message, done["4"].retryable) == ("Site is required", False)


def test_children_of_one_parent_are_sent_side_by_side(place: Any) -> None:
    org = place(contacts(600))
    order = [
        r.key
        for r in CONNECTOR.target("Contact").write(
            org.session(writes=True), [Write(str(n), make_id("003", n), {"Title": "x"}) for n in range(1, 601)]
        )
    ]
    parents = [int(k) % 3 for k in order]
    assert sum(a != b for a, b in pairwise(parents)) == 2


def test_bulk_writes_account_for_every_row_and_null_is_not_leave(place: Any) -> None:
    org = place(contacts(2500, Title="old", Department="old"))
    writes = [Write(str(n), make_id("003", n), {"Title": None} if n % 2 else {"Department": "new"}) for n in range(1, 2501)]
    writes += [Write("gone", make_id("003", 9999), {"Title": "x"}), Write("text", make_id("003", 1), {"Department": "#N/A"})]
    done = send(org.session(writes=True), "Contact", writes)
    assert len(done) == 2502
    assert {k for k, r in done.items() if not r.ok} == {"gone"}
    assert done["gone"].code == "INVALID_CROSS_REFERENCE_KEY"
    assert org.asked("jobs/ingest") > 0
    table = org.emulator.org.tables["Contact"]
    assert (table[make_id("003", 3)]["Title"], table[make_id("003", 3)]["Department"]) == (None, "old")
    assert (table[make_id("003", 2)]["Title"], table[make_id("003", 2)]["Department"]) == ("old", "new")
    assert table[make_id("003", 1)]["Department"] == "#N/A"


def test_a_completed_job_whose_rows_all_failed_is_not_a_success(place: Any) -> None:
    org = place(accounts(1))
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", 50_000 + n), {"Site": "x"}) for n in range(2001)])
    assert len(done) == 2001
    assert not any(r.ok for r in done.values())


def test_a_converted_lead_is_refused_with_where_to_write_instead(place: Any) -> None:
    org = place({})
    lead = org.edit("insert", sobject="Lead", values={"LastName": "L", "Company": "C"})
    made = org.edit("convert_lead", id=lead)
    done = send(org.session(writes=True), "Lead", [Write("k", lead, {"Title": "x"})])["k"]
    assert (done.code, done.retryable) == ("CANNOT_UPDATE_CONVERTED_LEAD", False)
    assert made["ConvertedContactId"] in done.message


def test_a_merged_row_is_refused_with_its_master(place: Any) -> None:
    org = place(accounts(3))
    org.edit("merge", sobject="Account", winner=make_id("001", 1), loser=make_id("001", 2))
    org.edit("delete", sobject="Account", id=make_id("001", 3))
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", n), {"Site": "x"}) for n in (2, 3)])
    assert (done["2"].code, make_id("001", 1) in done["2"].message) == ("ENTITY_IS_DELETED", True)
    assert done["3"].message == "deleted in Salesforce"


def test_15_character_ids_are_made_18(place: Any) -> None:
    org = place(accounts(12))
    assert long_id("0012300000bVTq1") == "0012300000bVTq1AAG"
    short = make_id("001", 12)[:15]
    assert send(org.session(writes=True), "Account", [Write("k", short, {"Site": "x"})])["k"].ok
    got = CONNECTOR.target("Account").read_back(org.session(), [short], ["Site"])
    assert got == {short: {"Site": "x"}}


def test_missing_fields_are_created_once_and_made_visible(place: Any) -> None:
    org = place(accounts(1))
    session = org.session(writes=True)
    target = CONNECTOR.target("Account")
    assert target.ensure is not None
    fields = [PushField("Account", "Tundish_Stage__c", "Tundish: stage"), PushField("Account", "Tundish_Days__c", "Days", "number")]
    assert target.ensure(session, fields) == ["Tundish_Stage__c", "Tundish_Days__c"]
    assert target.ensure(session, fields) == []
    one = make_id("001", 1)
    assert send(session, "Account", [Write("k", one, {"Tundish_Stage__c": "M50", "Tundish_Days__c": 3})])["k"].ok
    assert target.read_back(session, [one], ["Tundish_Stage__c"]) == {one: {"Tundish_Stage__c": "M50"}}
    org.edit("hide_field", sobject="Account", name="Tundish_Stage__c")
    with pytest.raises(UserError, match="Nope"):
        target.ensure(session, [PushField("Account", "Nope", "Nope")])


# -- describing -----------------------------------------------------------------------------------------------------
def test_discover_lists_fields_stages_and_which_are_calculated(place: Any) -> None:
    org = place({"fields": {"Contact": [{"name": "Score__c", "type": "double", "calculated": True}]}})
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
