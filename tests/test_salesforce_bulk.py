"""Reading Salesforce by Bulk API 2.0 jobs: when, resumed how, and with what in the cells."""

from __future__ import annotations

from typing import Any

import pytest
import salesforce_org
from salesforce_org import Org, Read, accounts, begin, pull, row, rows_of

from connectors.salesforce_session import Session
from connectors.sandbox.kit import Fault
from connectors.sandbox.salesforce_describe import make_id
from core.errors import VendorError

org_with, salesforce_served = salesforce_org.org_with, salesforce_org.salesforce_served


# -- reading by Bulk ------------------------------------------------------------------------------------------------
def bulk_session(org: Org, monkeypatch: pytest.MonkeyPatch, page: int = 400) -> Session:
    monkeypatch.setattr("connectors.salesforce_jobs.RESULT_ROWS", page)
    return org.session(bulk_above="1000")


def test_many_rows_go_by_bulk_and_a_few_do_not(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    session = bulk_session(org, monkeypatch)
    got = pull(session, "Account", ("Name", "Website"))
    assert {p.format for p in got.pages} == {"csv"}
    assert all(p.body.startswith(b'"Name","Website"') for p in got.pages)
    assert len(set(got.ids)) == 1500
    assert (got.pages[-1].total, got.pages[-1].present) == (1500, True)
    again = pull(session, "Account", ("Name", "Website"), got.state)
    assert ({p.format for p in again.pages}, len(again.ids)) == ({"json"}, 6)


def test_killed_download_goes_on_at_the_locator_of_the_same_job(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
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


def test_session_expiring_between_job_and_download_resumes(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    org.emulator.faults.append(Fault("expire", match="/results", times=1, after=1))
    assert len(set(pull(bulk_session(org, monkeypatch), "Account").ids)) == 1500
    assert org.emulator.issued == 2


def test_a_job_the_vendor_forgot_is_ordered_anew(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    session = bulk_session(org, monkeypatch)
    pages = begin(session, "Account")
    state = [next(pages), next(pages)][-1].state
    org.emulator.bulk.jobs.clear()
    got = pull(session, "Account", state=state)
    assert (len(set(got.ids)), got.pages[-1].total) == (1500, 1500)


def test_a_failed_job_says_why_and_the_next_run_orders_another(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    org.edit("fail_next_job", message="InternalServerError: retry later")
    pages = begin(bulk_session(org, monkeypatch), "Account")
    state = next(pages).state
    with pytest.raises(VendorError, match="InternalServerError"):
        next(pages)
    assert len(set(pull(bulk_session(org, monkeypatch), "Account", state=state).ids)) == 1500


def test_an_object_bulk_does_not_take_is_read_by_rest(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    monkeypatch.setattr("connectors.sandbox.salesforce_bulk.NOT_IN_BULK", {"Account"})
    got = pull(bulk_session(org, monkeypatch), "Account")
    assert (len(set(got.ids)), {p.format for p in got.pages}) == (1500, {"json"})


def test_rows_edited_while_a_job_runs_come_with_the_next_read(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    session = bulk_session(org, monkeypatch)
    pages = begin(session, "Account", ("Site",))
    got = Read([next(pages), next(pages)])
    org.edit("update", sobject="Account", id=make_id("001", 1), values={"Site": "late"})
    got.pages += pages
    after = pull(session, "Account", ("Site",), got.state)
    assert ("late", make_id("001", 1)) in {(r["Site"], r["Id"]) for r in after.rows}


def test_awkward_cells_survive_the_csv(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    awkward = ["two\nlines", 'say "hi"', "a,b", "N/A", "null", "x" * 32_000, "nul\0byte", "ÄÖ→", "0.0"]
    rows = [row("001", n, Name=f"F{n}", Description=text) for n, text in enumerate(awkward, 1)]
    session = org_with({"objects": {"Account": rows}}).session(bulk_above="0")
    got = {r["Id"]: r["Description"] for r in pull(session, "Account", ("Description",)).rows}
    assert [got[make_id("001", n)] for n in range(1, len(awkward) + 1)] == [t.replace("\0", "") for t in awkward]


def test_more_fields_than_fit_a_uri_go_by_bulk(org_with: Any) -> None:
    names = [f"A_rather_long_custom_field_name_{n:04d}__c" for n in range(400)]
    org = org_with({**accounts(5), "fields": {"Account": [{"name": n, "type": "string"} for n in names]}})
    got = pull(org.session(), "Account", tuple(names))
    assert (len(got.ids), got.pages[0].format, set(names) <= set(got.rows[0])) == (5, "csv", True)


def test_compound_fields_are_read_by_rest_at_any_size(org_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    org = org_with(accounts(1500))
    got = pull(bulk_session(org, monkeypatch), "Account", ("BillingAddress.city",))
    assert ({p.format for p in got.pages}, len(got.ids)) == ({"json"}, 1500)
