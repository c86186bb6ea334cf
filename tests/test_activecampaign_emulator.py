"""The emulated ActiveCampaign refuses what the vendor refuses, in the vendor's many ways of saying so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import requests
from activecampaign_account import START, contact, deal, member, world

from connectors.sandbox.activecampaign import TOKEN, ActiveCampaignEmulator
from connectors.sandbox.kit import Clock, serve


@dataclass
class Door:
    emulator: ActiveCampaignEmulator
    url: str

    def ask(self, method: str, path: str, body: Any = None, *, token: str = TOKEN, hurry: bool = False, **query: Any) -> Any:
        if not hurry:
            self.emulator.clock.advance(0.25)
        address = f"{self.url}/api/3/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        data = None if body is None else orjson.dumps(body)
        return requests.request(method, address, data=data, headers={"Api-Token": token}, timeout=10)

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, **query).json()


@contextmanager
def door(seed: dict[str, Any]) -> Iterator[Door]:
    emulator = ActiveCampaignEmulator(seed, clock=Clock(START))
    with serve([emulator]) as urls:
        yield Door(emulator, urls["activecampaign"])


def test_a_bad_or_missing_token_is_a_403() -> None:
    with door(world()) as ac:
        assert ac.ask("GET", "users/me", token="wrong").status_code == 403
        assert ac.ask("GET", "users/me", token="").status_code == 403
        assert ac.get("users/me")["user"]["id"] == "1"


def test_a_good_token_is_refused_now_and_then() -> None:
    with door(world()) as ac:
        ac.emulator.flaky = 1
        assert [ac.ask("GET", "users/me").status_code for _ in range(2)] == [403, 200]


def test_the_sixth_request_in_a_second_is_refused_whoever_sends_it() -> None:
    with door(world()) as ac:
        replies = [ac.ask("GET", "lists", hurry=True) for _ in range(6)]
        assert [r.status_code for r in replies] == [200] * 5 + [429]
        assert replies[5].headers["Retry-After"] == "1"
        assert [r.headers["RateLimit-Remaining"] for r in replies] == ["4", "3", "2", "1", "0", "0"]
        assert replies[0].headers["RateLimit-Limit"] == "5"
        ac.emulator.clock.advance(1)
        assert ac.ask("GET", "lists", hurry=True).status_code == 200


def test_lists_give_twenty_rows_unless_asked_and_a_hundred_at_most() -> None:
    with door(world([contact(i) for i in range(1, 131)])) as ac:
        sizes = [len(ac.get("contacts", **query)["contacts"]) for query in ({}, {"limit": 50}, {"limit": 500}, {"offset": 120})]
        assert sizes == [20, 50, 100, 10]


def test_totals_are_text_a_number_or_absent() -> None:
    with door(world([contact(1)], deals=[deal(9)])) as ac:
        assert ac.get("contacts")["meta"]["total"] == "1"
        assert ac.get("deals")["meta"]["total"] == 1
        assert "meta" not in ac.get("dealCustomFieldMeta")
        assert "meta" not in ac.get("dealActivities")
        assert "meta" not in ac.get("contacts/1/fieldValues")


def test_contacts_are_walked_by_id() -> None:
    with door(world([contact(i) for i in range(1, 8)])) as ac:
        found = ac.get("contacts", id_greater=3, limit=2, **{"orders[id]": "ASC"})
        assert [row["id"] for row in found["contacts"]] == ["4", "5"]


def test_an_unknown_direction_is_refused_an_unknown_filter_ignored() -> None:
    with door(world([contact(1)])) as ac:
        assert ac.ask("GET", "contacts", **{"orders[id]": "UP"}).status_code == 422
        assert len(ac.get("contacts", **{"filters[nonsense]": "x", "filters[updated_after]": "last week"})["contacts"]) == 1


def test_contacts_leave_the_bound_out_deals_take_it_in() -> None:
    with door(world([contact(1, 5.0)], deals=[deal(9, ("20", 5.0))])) as ac:
        stamp = ac.get("contacts/1")["contact"]["udate"]
        assert ac.get("contacts", **{"filters[updated_after]": stamp})["contacts"] == []
        assert len(ac.get("deals", **{"filters[updated_after]": stamp})["deals"]) == 1
        assert ac.get("deals", **{"filters[updated_before]": stamp})["deals"] == []


def test_everything_is_text_and_times_carry_the_accounts_offset() -> None:
    with door(world([contact(1, 5.0)], deals=[deal(9)])) as ac:
        row, sold = ac.get("contacts/1")["contact"], ac.get("deals/9")["deal"]
        assert (row["id"], sold["value"], sold["status"], sold["currency"]) == ("1", "123450", "0", "eur")
        assert row["udate"].endswith("-05:00")
        assert "-05:00" not in row["updated_utc_timestamp"]
        assert (row["bounced_date"], row["deleted_at"]) == ("0000-00-00", "0000-00-00 00:00:00")
        assert ac.ask("PUT", "deals/9", {"deal": {"value": 5}}).json()["deal"]["value"] == 5  # numbers only when written


def test_what_is_missing_is_told_under_the_vendors_inner_names() -> None:
    with door(world()) as ac:
        for path, status, model in (
            ("contacts/77", 404, "Subscriber"),
            ("deals/77", 404, "SubscriberDeal"),
            ("fieldValues/77", 403, "FieldValue"),
        ):
            reply = ac.ask("GET", path)
            assert (reply.status_code, reply.json()) == (status, {"message": f"No Result found for {model} with id 77"})
        assert ac.ask("DELETE", "contactTags/77").json()["message"].startswith("No Result found for SubscriberTag")


REFUSED = [
    ("contacts", {"contact": {"email": "p1@acme.test"}}, 422, "duplicate"),
    ("contacts", {"contact": {"firstName": "x"}}, 422, "field_missing"),
    ("contacts", {"contact": {"email": "nobody"}}, 422, "field_invalid"),
    ("contactTags", {"contactTag": {"tag": "1"}}, 422, "Missing attribute"),
    ("contactTags", {"contactTag": {"contact": "88", "tag": "1"}}, 404, "Contact not found"),
    ("fields", {"field": {"type": "text"}}, 400, "Field name is required"),
    ("fields", {"field": {"type": "text", "title": "Job title"}}, 422, "already a field named"),
    ("fieldValues", {"fieldValue": {"contact": "1", "field": "99", "value": "x"}}, 403, "Forbidden"),
    ("dealCustomFieldMeta", {"dealCustomFieldMetum": {"fieldLabel": "x"}}, 422, "field type field is required"),
    ("dealCustomFieldData", {"dealCustomFieldDatum": {"dealId": 9, "customFieldId": 3, "fieldValue": "abc"}}, 422, "could not be saved"),
    ("deals", {"deal": {"title": "x", "contact": "1", "stage": "999"}}, 422, "related_missing"),
    ("import/bulk_import", {"contacts": [{"email": "nobody"}]}, 400, "incorrect format"),
    ("import/bulk_import", {"contacts": [{"email": f"p{i}@acme.test"} for i in range(251)]}, 400, "between 1 and 250"),
]


@pytest.mark.parametrize(("path", "body", "status", "says"), REFUSED)
def test_it_refuses_what_the_vendor_refuses(path: str, body: Any, status: int, says: str) -> None:
    with door(world([contact(1)], deals=[deal(9)])) as ac:
        before = ac.emulator.dump()
        reply = ac.ask("POST", path, body)
        assert (reply.status_code, says in reply.text) == (status, True)
        assert ac.emulator.dump() == before


def test_a_deal_stays_in_a_stage_of_its_pipeline() -> None:
    with door(world(deals=[deal(9)])) as ac:
        assert ac.ask("PUT", "deals/9", {"deal": {"stage": "31"}}).status_code == 422
        assert ac.ask("PUT", "deals/9", {"deal": {"stage": "31", "group": "3"}}).status_code == 200


def test_contact_sync_finds_by_address_and_changes_only_what_is_sent() -> None:
    with door(world([contact(1)])) as ac:
        made = ac.ask("POST", "contact/sync", {"contact": {"email": "new@acme.test", "fieldValues": [{"field": "1", "value": "Buyer"}]}})
        assert (made.status_code, made.json()["fieldValues"][0]["value"]) == (201, "Buyer")
        assert ac.ask("POST", "contact/sync", {"contact": {"email": "P1@acme.test", "lastName": "New"}}).status_code == 200
        assert [ac.get("contacts/1")["contact"][name] for name in ("firstName", "lastName")] == ["P1", "New"]


def test_deleted_contacts_vanish_from_everywhere() -> None:
    with door(world([contact(1, lists=[member(1)], fields={"JOB_TITLE": "x"}, tags=["1"]), contact(2)])) as ac:
        assert ac.ask("DELETE", "contacts/1").status_code == 200
        assert [row["id"] for row in ac.get("contacts")["contacts"]] == ["2"]
        assert ac.get("fieldValues")["fieldValues"] == ac.get("contactTags")["contactTags"] == []


def test_hidden_deals_shrink() -> None:
    with door(world(deals=[deal(9), deal(10)])) as ac:
        ac.emulator.deals.hidden.add(9)
        assert {"id": "9", "isDisabled": 1, "title": "Deal 9"} in ac.get("deals")["deals"]
        assert ac.get("deals")["meta"]["total"] == 2
        assert ac.ask("PUT", "deals/9", {"deal": {"title": "x"}}).status_code == 403


def test_a_tag_is_taken_away_by_the_id_of_its_use() -> None:
    with door(world([contact(1)])) as ac:
        used = ac.ask("POST", "contactTags", {"contactTag": {"contact": "1", "tag": "1"}}).json()["contactTag"]
        assert ac.emulator.contacts.automations_started == [(1, "Hot")]
        assert ac.ask("DELETE", f"contactTags/{used['id']}").status_code == 200
        assert ac.get("contacts/1/contactTags")["contactTags"] == []


def test_an_import_is_queued_and_done_later() -> None:
    with door(world([contact(1)])) as ac:
        ac.emulator.imports.refused = {"p3@acme.test"}
        rows = [{"email": "p1@acme.test", "fields": [{"id": 1, "value": "Buyer"}]}, {"email": "p2@acme.test"}, {"email": "p3@acme.test"}]
        queued = ac.ask("POST", "import/bulk_import", {"contacts": rows}).json()
        assert (queued["Success"], queued["queued_contacts"]) == (1, 3)
        assert ac.get("import/info", batchId=queued["batchId"])["status"] == "waiting"
        assert ac.get("contacts/1/fieldValues")["fieldValues"] == []
        ac.emulator.clock.advance(5)
        done = ac.get("import/info", batchId=queued["batchId"])
        assert done == {"status": "completed", "success": ["1", "2"], "failure": ["p3@acme.test"]}
        assert ac.get("contacts/1/fieldValues")["fieldValues"][0]["value"] == "Buyer"
        assert ac.ask("GET", "import/info").status_code == 400


def test_too_many_imports_a_minute_are_a_400() -> None:
    with door(world([contact(1)])) as ac:
        replies = [ac.ask("POST", "import/bulk_import", {"contacts": [{"email": "p1@acme.test"}]}) for _ in range(101)]
        assert {r.status_code for r in replies[:100]} == {200}
        assert (replies[100].status_code, replies[100].json()["message"]) == (400, "Rate limit exceeded.")


def test_stage_moves_are_told_as_the_knob_says() -> None:
    with door(world(deals=[deal(9)])) as ac:
        for shape, told in (("data", ("stage", "21", "0")), ("column", ("d_stageid", "0", "20")), ("none", None)):
            ac.emulator.knob("move_shape", shape)
            ac.emulator.edits["move_deal"]("9", "21" if shape != "column" else "20")
            last = ac.get("deals/9/dealActivities")["dealActivities"][-1]
            if told:
                assert (last["dataType"], last["dataId"], last["d_stageid"]) == told
        assert len(ac.get("dealActivities", deal=9)["dealActivities"]) == 3  # made, and two moves that were told
