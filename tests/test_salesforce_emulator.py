"""The sandbox's Salesforce, asked as the vendor documents it: raw over HTTP and through the official client."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceError, SalesforceMalformedRequest

from connectors.sandbox.kit import Clock, Fault, serve
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import checksum, make_id, to18

NOW = datetime(2026, 6, 30, tzinfo=UTC)
USER = make_id("005", 9)


def account(n: int, **values: Any) -> dict[str, Any]:
    stamp = (NOW - timedelta(days=30) + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Id": make_id("001", n), "Name": f"Firm {n}", "OwnerId": USER, "CreatedDate": stamp, "SystemModstamp": stamp, **values}


def seed(rows: int = 5) -> dict[str, Any]:
    users = [{"Id": USER, "LastName": "Lee", "FirstName": "Rep", "CreatedDate": "2024-01-01T00:00:00Z"}]
    return {"objects": {"Account": [account(n) for n in range(1, rows + 1)], "User": users}}


class Loopback(HTTPAdapter):
    """simple-salesforce always dials https; the sandbox speaks plain http on loopback."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


class Org:
    def __init__(self, emulator: SalesforceEmulator, url: str) -> None:
        self.emulator, self.url = emulator, url
        form = {"grant_type": "refresh_token", "client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "sf-refresh"}
        self.grant = requests.post(f"{url}/services/oauth2/token", data=form, timeout=5).json()
        self.http = requests.Session()
        self.http.mount("https://", Loopback())
        self.http.headers["Authorization"] = f"Bearer {self.grant['access_token']}"
        self.sf = Salesforce(
            instance_url=self.grant["instance_url"],
            session_id=self.grant["access_token"],
            version="66.0",
            session=self.http,
            object_pairs_hook=None,
        )

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.http.request(method, f"{self.url}/services/data/v66.0/{path}", timeout=5, **kwargs)

    def query(self, soql: str) -> list[dict[str, Any]]:
        return list(self.call("GET", "query", params={"q": soql}).json()["records"])

    def fails(self, soql: str) -> str:
        reply = self.call("GET", "query", params={"q": soql})
        assert reply.status_code == 400
        return str(reply.json()[0]["errorCode"])


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[SalesforceEmulator, str]]:
    emulator = SalesforceEmulator({})
    with serve([emulator]) as urls:
        yield emulator, urls["salesforce"]


@pytest.fixture
def org(server: tuple[SalesforceEmulator, str]) -> Org:
    return fresh(server)


def fresh(server: tuple[SalesforceEmulator, str], rows: int = 5) -> Org:
    emulator, url = server
    table = emulator._table
    emulator.__init__(seed(rows), clock=Clock(NOW.timestamp()))  # type: ignore[misc]
    emulator._table = table[:0]
    return Org(emulator, url)


def test_token_answer_has_an_instance_and_no_expiry(org: Org) -> None:
    assert org.grant["instance_url"] == org.url
    assert "expires_in" not in org.grant
    assert int(org.grant["issued_at"]) == NOW.timestamp() * 1000


def test_wrong_refresh_token_is_an_invalid_grant(org: Org) -> None:
    form = {"grant_type": "refresh_token", "client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "no"}
    reply = requests.post(f"{org.url}/services/oauth2/token", data=form, timeout=5)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")


def test_idle_token_dies_with_the_session_policy(org: Org) -> None:
    org.emulator.clock.advance(7201)
    reply = org.call("GET", "limits")
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


def test_rotated_refresh_token_replaces_the_old_one(org: Org) -> None:
    org.emulator.rotate = True
    first = Org(org.emulator, org.url).grant["refresh_token"]
    again = {"grant_type": "refresh_token", "client_id": "sf-client", "client_secret": "sf-secret"}
    assert requests.post(f"{org.url}/services/oauth2/token", data={**again, "refresh_token": "sf-refresh"}, timeout=5).status_code == 400
    assert requests.post(f"{org.url}/services/oauth2/token", data={**again, "refresh_token": first}, timeout=5).status_code == 200


def test_sdk_query_gives_attributes_parents_and_plus_dates(org: Org) -> None:
    row = org.sf.query("SELECT Id, Name, Owner.Name, SystemModstamp FROM Account WHERE Name = 'firm 1'")["records"][0]
    assert row["attributes"] == {"type": "Account", "url": f"/services/data/v66.0/sobjects/Account/{row['Id']}"}
    assert row["Owner"] == {"attributes": {"type": "User"}, "Name": "Rep Lee"}
    assert row["SystemModstamp"] == "2026-05-31T00:01:00.000+0000"


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Name LIKE 'Firm %' AND NOT Name = 'Firm 1'", 4),
        ("Name IN ('Firm 1', 'Firm 2') OR Name = 'Firm 3'", 3),
        ("(Name = 'Firm 1' OR Name = 'Firm 2') AND SystemModstamp > 2026-05-31T00:01:00Z", 1),
        ("SystemModstamp >= 2026-05-31T02:04:00+02:00", 2),
        ("Website = null", 5),
        ("Website != null", 0),
        ("Website != 'x.example'", 5),
        ("Name NOT IN ('Firm 1')", 4),
        ("Owner.Name = 'Rep Lee' AND IsDeleted = false", 5),
        ("CreatedDate = LAST_N_DAYS:28", 0),
        ("CreatedDate < LAST_N_DAYS:28", 5),
        ("CreatedDate = NEXT_YEAR", 0),
        (f"Id = '{make_id('001', 2)[:15]}'", 1),
    ],
)
def test_soql_conditions(org: Org, where: str, found: int) -> None:
    assert org.sf.query(f"SELECT COUNT() FROM Account WHERE {where}")["totalSize"] == found


def test_soql_groups_orders_and_limits(org: Org) -> None:
    org.sf.Account.update(make_id("001", 1), {"Industry": "Energy"})
    groups = org.query("SELECT Industry, COUNT(Id) n FROM Account GROUP BY Industry")
    assert {g["Industry"]: g["n"] for g in groups} == {"Energy": 1, None: 4}
    names = org.query("SELECT Name FROM Account ORDER BY Industry DESC NULLS LAST, Name DESC LIMIT 2")
    assert [r["Name"] for r in names] == ["Firm 1", "Firm 5"]
    assert org.query("SELECT MAX(SystemModstamp) last FROM Account")[0]["last"] == "2026-06-30T00:00:00.000+0000"


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 3", "INVALID_FIELD"),
        ("SELECT Id, FROM Account", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Account", "MALFORMED_QUERY"),
    ],
)
def test_soql_mistakes_have_the_vendors_codes(org: Org, soql: str, code: str) -> None:
    assert org.fails(soql) == code


def test_pages_of_2000_and_shorter_ones_end_with_done(server: tuple[SalesforceEmulator, str]) -> None:
    org = fresh(server, 4500)
    org.emulator.queries.short_pages = 300
    sizes, page = [], org.sf.query("SELECT Id FROM Account")
    while True:
        sizes.append(len(page["records"]))
        if page["done"]:
            break
        page = org.sf.query_more(page["nextRecordsUrl"], identifier_is_url=True)
    assert sizes == [2000, 1700, 800]
    assert page["totalSize"] == 4500


def test_locators_are_pushed_out_and_expire(server: tuple[SalesforceEmulator, str]) -> None:
    org = fresh(server, 2500)
    first = org.sf.query("SELECT Id FROM Account")["nextRecordsUrl"]
    for _ in range(10):
        last = org.sf.query("SELECT Id FROM Account")["nextRecordsUrl"]
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_QUERY_LOCATOR"):
        org.sf.query_more(first, identifier_is_url=True)
    org.emulator.clock.advance(2 * 86_400 + 1)
    again = Org(org.emulator, org.url)
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_QUERY_LOCATOR"):
        again.sf.query_more(last, identifier_is_url=True)


def test_query_all_shows_deleted_and_merged_rows(org: Org) -> None:
    edit = org.emulator.edits
    edit["merge"](sobject="Account", winner=make_id("001", 1), loser=make_id("001", 2))
    org.sf.Account.delete(make_id("001", 3))
    assert org.sf.query("SELECT COUNT() FROM Account")["totalSize"] == 3
    gone = org.sf.query("SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true ORDER BY Id", include_deleted=True)["records"]
    assert [(r["Id"], r["MasterRecordId"]) for r in gone] == [(make_id("001", 2), make_id("001", 1)), (make_id("001", 3), None)]


def test_deleted_and_updated_feeds_lag_a_minute(org: Org) -> None:
    org.sf.Account.delete(make_id("001", 3))
    org.sf.Account.update(make_id("001", 4), {"Site": "x"})
    window = (NOW - timedelta(hours=1), NOW + timedelta(minutes=2))
    assert org.sf.Account.deleted(*window)["deletedRecords"] == []
    org.emulator.clock.advance(180)
    feed = org.sf.Account.deleted(*window)
    assert [r["id"] for r in feed["deletedRecords"]] == [make_id("001", 3)]
    assert feed["latestDateCovered"] == "2026-06-30T00:02:00.000+0000"
    assert org.sf.Account.updated(*window)["ids"] == [make_id("001", 4)]


def test_collections_answer_row_by_row_in_a_200(org: Org) -> None:
    good, bad = make_id("001", 1), make_id("001", 99)
    org.sf.Account.delete(make_id("001", 3))
    records = [{"attributes": {"type": "Account"}, "Id": i, "Site": "x"} for i in (good, bad, make_id("001", 3))]
    records.append({"attributes": {"type": "Account"}, "Id": good, "Nope__c": 1})
    reply = org.call("PATCH", "composite/sobjects", json={"allOrNone": False, "records": records})
    assert reply.status_code == 200
    assert reply.json()[0] == {"id": good, "success": True, "errors": []}
    codes = [r["errors"][0]["statusCode"] for r in reply.json()[1:]]
    assert codes == ["INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED", "INVALID_FIELD"]


def test_all_or_none_rolls_the_innocent_back(org: Org) -> None:
    records = [{"attributes": {"type": "Account"}, "Id": make_id("001", n), "Site": "x"} for n in (1, 99)]
    answer = org.sf.restful("composite/sobjects", method="PATCH", json={"allOrNone": True, "records": records})
    assert answer[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert org.sf.Account.get(make_id("001", 1))["Site"] is None


def test_collections_take_200_and_refuse_201(org: Org) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": f"N{n}"} for n in range(201)]
    assert org.call("POST", "composite/sobjects", json={"records": records}).status_code == 400
    made = org.call("POST", "composite/sobjects", json={"records": records[:200]}).json()
    ids = ",".join(r["id"] for r in made)
    assert all(r["success"] for r in org.call("DELETE", "composite/sobjects", params={"ids": ids}).json())


def test_tooling_field_is_invisible_until_a_permission_set_grants_it(org: Org) -> None:
    metadata = {"type": "Text", "label": "Hub id", "length": 64, "externalId": True, "unique": True}
    org.sf.toolingexecute("sobjects/CustomField", "POST", data={"FullName": "Account.Hub_Id__c", "Metadata": metadata})
    assert org.fails("SELECT Hub_Id__c FROM Account") == "INVALID_FIELD"
    granted = org.sf.PermissionSet.create({"Name": "Hub", "Label": "Hub"})["id"]
    org.sf.PermissionSetAssignment.create({"PermissionSetId": granted, "AssigneeId": org.emulator.org.api_user})
    field = {"SobjectType": "Account", "Field": "Account.Hub_Id__c", "PermissionsRead": True, "PermissionsEdit": True}
    org.sf.FieldPermissions.create({"ParentId": granted, **field})
    assert org.query("SELECT Hub_Id__c FROM Account LIMIT 1")[0]["Hub_Id__c"] is None
    assert org.sf.Account.upsert("Hub_Id__c/h1", {"Name": "New"}) == 201
    assert org.sf.Account.upsert("Hub_Id__c/h1", {"Name": "Newer"}) == 200
    assert org.sf.Account.get_by_custom_id("Hub_Id__c", "h1")["Name"] == "Newer"
    records = [{"attributes": {"type": "Account"}, "Hub_Id__c": k, "Name": "C"} for k in ("h1", "h2")]
    answer = org.sf.restful("composite/sobjects/Account/Hub_Id__c", method="PATCH", json={"records": records})
    assert [r["created"] for r in answer] == [False, True]


def test_bulk_query_advances_by_poll_and_ends_with_the_word_null(org: Org) -> None:
    client = org.sf.bulk2.Account._client
    job = client.create_job("query", query="SELECT Id, Name, Owner.Name, SystemModstamp, Website FROM Account")
    states = [client.get_job(job["id"], True)["state"] for _ in range(2)]
    assert (job["state"], states) == ("UploadComplete", ["InProgress", "JobComplete"])
    page = org.call("GET", f"jobs/query/{job['id']}/results", params={"maxRecords": 3})
    assert page.headers["Sforce-NumberOfRecords"] == "3"
    last = org.call("GET", f"jobs/query/{job['id']}/results", params={"maxRecords": 3, "locator": page.headers["Sforce-Locator"]})
    assert last.headers["Sforce-Locator"] == "null"
    header, first, *_ = page.text.split("\n")
    assert header == '"Id","Name","Owner.Name","SystemModstamp","Website"'
    assert first == f'"{make_id("001", 1)}","Firm 1","Rep Lee","2026-05-31T00:01:00.000Z",""'
    assert len(last.text.splitlines()) == 3


def test_sdk_reads_bulk_results_whole(org: Org) -> None:
    pages = list(org.sf.bulk2.Account.query("SELECT Id FROM Account", max_records=2, wait=0.001))
    assert sum(len(p.splitlines()) - 1 for p in pages) == 5


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id, BillingAddress FROM Account", "FEATURENOTENABLED"),
        ("SELECT Id FROM OpportunityStage", "INVALIDENTITY"),
        ("SELECT COUNT(Id) FROM Account", "INVALIDJOB"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
    ],
)
def test_bulk_query_refuses_what_the_vendor_refuses(org: Org, soql: str, code: str) -> None:
    reply = org.call("POST", "jobs/query", json={"operation": "query", "query": soql})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)


def test_bulk_ingest_leaves_empty_cells_and_nulls_na(org: Org) -> None:
    one, two, gone = make_id("001", 1), make_id("001", 2), make_id("001", 77)
    for row_id in (one, two):
        org.sf.Account.update(row_id, {"Site": "old", "Phone": "1"})
    client = org.sf.bulk2.Account._client
    job = client.create_job("update")
    client.upload_job_data(job["id"], f"Id,Site,Phone\n{one},#N/A,\n{two},,2\n{gone},x,\n")
    client.close_job(job["id"])
    states = [client.get_job(job["id"], False) for _ in range(2)]
    assert (states[-1]["state"], states[-1]["numberRecordsFailed"]) == ("JobComplete", 1)
    assert [(r["Site"], r["Phone"]) for r in (org.sf.Account.get(i) for i in (one, two))] == [(None, "1"), ("old", "2")]
    failed = list(csv.DictReader(io.StringIO(client.get_ingest_results(job["id"], "failedResults"))))
    assert failed[0]["sf__Error"].startswith("INVALID_CROSS_REFERENCE_KEY:")
    done = list(csv.DictReader(io.StringIO(client.get_ingest_results(job["id"], "successfulResults"))))
    assert {r["sf__Id"] for r in done} == {one, two}
    assert client.get_ingest_results(job["id"], "unprocessedrecords") == '"Id","Site","Phone"\n'


def test_job_made_under_another_version_is_a_409(org: Org) -> None:
    job = org.sf.bulk2.Account._client.create_job("query", query="SELECT Id FROM Account")
    reply = org.http.get(f"{org.url}/services/data/v60.0/jobs/query/{job['id']}", timeout=5)
    assert reply.status_code == 409


def test_stage_change_sets_probability_and_writes_history(org: Org) -> None:
    deal = org.sf.Opportunity.create({"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-09-30", "Amount": 1000})["id"]
    org.emulator.clock.advance(60)
    org.sf.Opportunity.update(deal, {"StageName": "Closed Won"})
    org.sf.Opportunity.update(deal, {"NextStep": "party"})
    shown = org.sf.Opportunity.get(deal)
    assert (shown["Probability"], shown["ForecastCategory"], shown["IsClosed"], shown["IsWon"]) == (100, "Closed", True, True)
    history = org.query(f"SELECT StageName, Amount, PrevAmount FROM OpportunityHistory WHERE OpportunityId = '{deal}' ORDER BY CreatedDate")
    assert [(h["StageName"], h["Amount"], h["PrevAmount"]) for h in history] == [("Prospecting", 1000, None), ("Closed Won", 1000, 1000)]


def test_converted_lead_is_read_only_and_leaves_history(org: Org) -> None:
    lead = org.sf.Lead.create({"LastName": "Doe", "Company": "Firm 1", "Email": "doe@firm.example"})["id"]
    made = org.emulator.edits["convert_lead"](id=lead, opportunity=True)
    assert made["ConvertedAccountId"] == make_id("001", 1)
    with pytest.raises(SalesforceMalformedRequest, match="CANNOT_UPDATE_CONVERTED_LEAD"):
        org.sf.Lead.update(lead, {"Title": "x"})
    shown = org.sf.Lead.get(lead)
    assert (shown["IsConverted"], shown["ConvertedDate"], shown["ConvertedContactId"]) == (True, "2026-06-30", made["ConvertedContactId"])
    fields = {h["Field"] for h in org.query(f"SELECT Field FROM LeadHistory WHERE LeadId = '{lead}'")}
    assert fields == {"Status", "leadConverted"}


def test_untracked_history_object_does_not_exist(org: Org) -> None:
    assert org.fails("SELECT Id FROM OpportunityFieldHistory") == "INVALID_TYPE"


def test_allowance_header_counts_and_refuses(org: Org) -> None:
    org.emulator.edits["allowance"](used=17, allowed=18)
    reply = org.call("GET", "limits")
    assert reply.headers["Sforce-Limit-Info"] == "api-usage=18/18"
    reply = org.call("GET", "limits")
    assert (reply.status_code, reply.json()[0]["message"]) == (403, "TotalRequests Limit exceeded.")
    org.emulator.edits["allowance"](used=0, allowed=18)
    org.emulator.faults.append(Fault("throttle", match="limits"))
    assert org.call("GET", "limits").json()[0]["message"].startswith("ConcurrentRequests")


def test_locked_row_refuses_once(org: Org) -> None:
    row_id = make_id("001", 1)
    org.emulator.edits["lock_rows"](ids=[row_id], times=1)
    with pytest.raises(SalesforceError, match="UNABLE_TO_LOCK_ROW"):
        org.sf.Account.update(row_id, {"Site": "x"})
    assert org.sf.Account.update(row_id, {"Site": "x"}) == 204


def test_uri_longer_than_16_kb_is_refused(org: Org) -> None:
    assert org.call("GET", "query", params={"q": "SELECT Id FROM Account" + " " * 17_000}).status_code == 414


def test_ids_carry_their_checksum_and_15_characters_find_the_row(org: Org) -> None:
    assert checksum("0012300000bVTq1") == "0012300000bVTq1AAG"
    assert to18("0012300000bVTq1") == "0012300000bVTq1AAG"
    assert org.sf.Account.get(make_id("001", 1)[:15])["Id"] == make_id("001", 1)


def test_describe_and_counts(org: Org) -> None:
    fields = {f["name"]: f for f in org.sf.Account.describe()["fields"]}
    assert fields["OwnerId"]["relationshipName"] == "Owner"
    assert fields["SystemModstamp"]["updateable"] is False
    assert "Account" in {s["name"] for s in org.sf.describe()["sobjects"]}
    assert org.call("GET", "limits/recordCount", params={"sObjects": "Account"}).json() == {"sObjects": [{"count": 5, "name": "Account"}]}


def test_retrieve_by_ids_keeps_order_and_nulls_what_is_gone(org: Org) -> None:
    ids = [make_id("001", 2), make_id("001", 50), make_id("001", 1)]
    answer = org.call("POST", "composite/sobjects/Account", json={"ids": ids, "fields": ["Name"]}).json()
    assert [r and r["Name"] for r in answer] == ["Firm 2", None, "Firm 1"]


def test_parallel_readers_see_their_own_snapshot(server: tuple[SalesforceEmulator, str]) -> None:
    org = fresh(server, 2500)
    page = org.sf.query("SELECT Id, Site FROM Account ORDER BY Id")
    writer = threading.Thread(target=org.sf.Account.update, args=(make_id("001", 2400), {"Site": "late"}))
    writer.start()
    writer.join()
    rest = org.sf.query_more(page["nextRecordsUrl"], identifier_is_url=True)["records"]
    assert len({r["Id"] for r in page["records"] + rest}) == 2500
