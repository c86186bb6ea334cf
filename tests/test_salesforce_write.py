"""Writing to Salesforce: an outcome for every row, and fields of our own."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import salesforce_org
from salesforce_org import accounts, contacts

from connectors.salesforce import CONNECTOR
from connectors.salesforce_session import Session
from connectors.salesforce_write import long_id
from connectors.sandbox.salesforce_describe import make_id
from core.connector import PushField, Write, WriteResult
from core.errors import UserError

org_with, salesforce_served = salesforce_org.org_with, salesforce_org.salesforce_served


# -- writing --------------------------------------------------------------------------------------------------------
def send(session: Session, target: str, writes: list[Write]) -> dict[str, WriteResult]:
    return {r.key: r for r in CONNECTOR.target(target).write(session, writes)}


def test_written_values_read_back_and_none_clears(org_with: Any) -> None:
    org = org_with(accounts(2))
    session = org.session(writes=True)
    one, two = make_id("001", 1), make_id("001", 2)
    values = {"AnnualRevenue": Decimal("12.50"), "Site": "s"}
    assert all(r.ok for r in send(session, "Account", [Write("a", one, values), Write("b", two, {"Site": "t"})]).values())
    assert send(session, "Account", [Write("c", two, {"Site": None})])["c"].ok
    back = CONNECTOR.target("Account").read_back(session, [one, two, make_id("001", 9)], ["AnnualRevenue", "Site"])
    assert back == {one: {"AnnualRevenue": 12.5, "Site": "s"}, two: {"AnnualRevenue": None, "Site": None}}


def test_one_bad_row_does_not_hide_the_good_ones(org_with: Any) -> None:
    org = org_with(accounts(450))
    org.edit("lock_rows", ids=[make_id("001", 3)], times=1)
    org.edit("reject", id=make_id("001", 4), code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message="Site is required")
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", n), {"Site": "x"}) for n in range(1, 451)])
    assert (len(done), sum(r.ok for r in done.values())) == (450, 448)
    assert (done["3"].code, done["3"].retryable) == ("UNABLE_TO_LOCK_ROW", True)
    assert (done["4"].message, done["4"].retryable) == ("Site is required", False)


def test_children_of_one_parent_are_sent_side_by_side(org_with: Any) -> None:
    org = org_with(contacts(600))
    order = [
        r.key
        for r in CONNECTOR.target("Contact").write(
            org.session(writes=True), [Write(str(n), make_id("003", n), {"Title": "x"}) for n in range(1, 601)]
        )
    ]
    parents = [int(k) % 3 for k in order]
    assert sum(a != b for a, b in pairwise(parents)) == 2


def test_bulk_writes_account_for_every_row_and_null_is_not_leave(org_with: Any) -> None:
    org = org_with(contacts(2500, Title="old", Department="old"))
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


def test_a_completed_job_whose_rows_all_failed_is_not_a_success(org_with: Any) -> None:
    org = org_with(accounts(1))
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", 50_000 + n), {"Site": "x"}) for n in range(2001)])
    assert len(done) == 2001
    assert not any(r.ok for r in done.values())


def test_a_converted_lead_is_refused_with_where_to_write_instead(org_with: Any) -> None:
    org = org_with({})
    lead = org.edit("insert", sobject="Lead", values={"LastName": "L", "Company": "C"})
    made = org.edit("convert_lead", id=lead)
    done = send(org.session(writes=True), "Lead", [Write("k", lead, {"Title": "x"})])["k"]
    assert (done.code, done.retryable) == ("CANNOT_UPDATE_CONVERTED_LEAD", False)
    assert made["ConvertedContactId"] in done.message


def test_a_merged_row_is_refused_with_its_master(org_with: Any) -> None:
    org = org_with(accounts(3))
    org.edit("merge", sobject="Account", winner=make_id("001", 1), loser=make_id("001", 2))
    org.edit("delete", sobject="Account", id=make_id("001", 3))
    done = send(org.session(writes=True), "Account", [Write(str(n), make_id("001", n), {"Site": "x"}) for n in (2, 3)])
    assert (done["2"].code, make_id("001", 1) in done["2"].message) == ("ENTITY_IS_DELETED", True)
    assert done["3"].message == "deleted in Salesforce"


def test_15_character_ids_are_made_18(org_with: Any) -> None:
    org = org_with(accounts(12))
    assert long_id("0012300000bVTq1") == "0012300000bVTq1AAG"
    short = make_id("001", 12)[:15]
    assert send(org.session(writes=True), "Account", [Write("k", short, {"Site": "x"})])["k"].ok
    got = CONNECTOR.target("Account").read_back(org.session(), [short], ["Site"])
    assert got == {short: {"Site": "x"}}


def test_missing_fields_are_created_once_and_made_visible(org_with: Any) -> None:
    org = org_with(accounts(1))
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
