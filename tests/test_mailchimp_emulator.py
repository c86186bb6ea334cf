"""The emulated Mailchimp, driven by the official client and by bare HTTP: it refuses, caps and delays what the vendor does."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from mailchimp_marketing import Client
from mailchimp_marketing.api_client import ApiClientError

from connectors.sandbox.kit import Clock, Fault, serve
from connectors.sandbox.mailchimp import MailchimpEmulator

NOW = 1_780_000_000.0  # 2026-05-28T20:26:40Z
LIST = "list0001"
KEY = ("any", "sandbox-us1")


def member(i: int, **more: Any) -> dict[str, Any]:
    when = f"2026-05-01T{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}Z"
    base = {"email_address": f"Person{i}@acme.test", "status": "subscribed", "merge_fields": {"FNAME": f"P{i}"}, "contact_id": f"c{i}"}
    return base | {"timestamp_signup": when, "timestamp_opt": when, "last_changed": when} | more


def seed(members: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    fields = [
        {"tag": "FNAME", "name": "First name", "type": "text", "required": True},
        {"tag": "BDAY", "name": "Birthday", "type": "birthday", "required": False},
        {"tag": "NOTE", "name": "Note", "type": "text", "required": False},
    ]
    lists = [{"id": LIST, "name": "News", "date_created": "2026-01-01T00:00:00Z", "merge_fields": fields}]
    return {"lists": lists, "members": {LIST: members}} | more


def start(members: list[dict[str, Any]], **more: Any) -> MailchimpEmulator:
    return MailchimpEmulator(seed(members, **more), clock=Clock(NOW))


@pytest.fixture
def small() -> Iterator[tuple[MailchimpEmulator, str]]:
    people = [member(i) for i in range(12)]
    people += [member(20, status="archived"), member(21, status="cleaned"), member(22, status="unsubscribed", tags=["Cold"])]
    emulator = start(people)
    with serve([emulator]) as urls:
        yield emulator, urls["mailchimp"]


def sdk(url: str, key: str = "sandbox-us1") -> Any:
    client = Client({"api_key": key, "server": "server"})
    client.api_client.host = f"{url}/3.0"
    return client


def get(url: str, path: str, **params: Any) -> Any:
    return requests.get(f"{url}/3.0{path}", params=params, auth=KEY, timeout=10)


def refused(call: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    with pytest.raises(ApiClientError) as caught:
        call(*args, **kwargs)
    return dict(json.loads(caught.value.text))


def md5(email: str) -> str:
    return hashlib.md5(email.lower().encode()).hexdigest()


def test_the_official_client_reads_lists_and_members(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    assert sdk(url).ping.get() == {"health_status": "Everything's Chimpy!"}
    assert sdk(url).lists.get_all_lists()["lists"][0]["stats"]["member_count"] == 12
    row = sdk(url).lists.get_list_member(LIST, md5("person3@acme.test"))
    assert (row["email_address"], row["merge_fields"]["FNAME"], row["list_id"]) == ("Person3@acme.test", "P3", LIST)
    assert row["last_changed"] == "2026-05-01T00:00:03+00:00"


def test_ten_rows_unless_told_and_archived_only_when_asked(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    body = sdk(url).lists.get_list_members_info(LIST)
    assert (len(body["members"]), body["total_items"]) == (10, 14)
    assert sdk(url).lists.get_list_members_info(LIST, status="archived")["total_items"] == 1
    assert "archived" not in {m["status"] for m in sdk(url).lists.get_list_members_info(LIST, count=1000)["members"]}


def test_a_count_above_a_thousand_is_cut_silently() -> None:
    with serve([start([member(i) for i in range(1005)])]) as urls:
        reply = get(urls["mailchimp"], f"/lists/{LIST}/members", count=5000, fields="members.id,total_items")
        assert (reply.status_code, len(reply.json()["members"]), reply.json()["total_items"]) == (200, 1000, 1005)


def test_since_leaves_its_instant_out_and_before_takes_it_in(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    bounds = {"since_last_changed": "2026-05-01T00:00:03+00:00", "before_last_changed": "2026-05-01T00:00:05+00:00"}
    rows = sdk(url).lists.get_list_members_info(LIST, **bounds)["members"]
    assert [m["merge_fields"]["FNAME"] for m in rows] == ["P4", "P5"]


def test_members_sort_by_last_changed_and_refuse_other_fields(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    rows = sdk(url).lists.get_list_members_info(LIST, sort_field="last_changed", sort_dir="DESC", count=2)["members"]
    assert [m["status"] for m in rows] == ["unsubscribed", "cleaned"]
    assert refused(sdk(url).lists.get_list_members_info, LIST, sort_field="email_address")["title"] == "Invalid Resource"
    assert refused(sdk(url).lists.get_list_members_info, LIST, unsubscribed_since="2026-01-01T00:00:00+00:00")["status"] == 400


def test_fields_and_exclude_fields_are_dot_paths(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    body = sdk(url).lists.get_list_members_info(LIST, fields=["members.id", "members.merge_fields.FNAME", "total_items"], count=1)
    assert body == {"members": [{"id": md5("person0@acme.test"), "merge_fields": {"FNAME": "P0"}}], "total_items": 14}
    plain = sdk(url).lists.get_list_members_info(LIST, count=1)
    without = sdk(url).lists.get_list_members_info(LIST, count=1, exclude_fields=["members._links"])
    assert "_links" in plain["members"][0]
    assert "_links" not in without["members"][0]
    assert "_links" in without


def test_refusals_are_problem_documents_by_content_type(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    reply = requests.get(f"{url}/3.0/lists/nowhere", auth=KEY, timeout=10)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json; charset=utf-8")
    assert set(reply.json()) == {"type", "title", "status", "detail", "instance"}
    assert requests.get(f"{url}/3.0/ping", timeout=10).json()["title"] == "API Key Missing"
    assert refused(sdk(url, "wrong-us1").ping.get)["title"] == "API Key Invalid"
    assert refused(sdk(url, "sandbox-us9").ping.get) | {"instance": ""} == {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": "Wrong Datacenter",
        "status": 403,
        "detail": "The API key provided is linked to a different data center.",
        "instance": "",
    }
    assert requests.put(f"{url}/3.0/ping", auth=KEY, timeout=10).json()["title"] == "Method Not Allowed"


def test_whoever_left_cannot_be_subscribed_but_may_be_asked_again(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    lists = sdk(url).lists
    left, bounced = md5("person22@acme.test"), md5("person21@acme.test")
    assert refused(lists.update_list_member, LIST, left, {"status": "subscribed"})["title"] == "Member In Compliance State"
    assert refused(lists.update_list_member, LIST, bounced, {"status": "pending"})["title"] == "Member In Compliance State"
    assert lists.update_list_member(LIST, left, {"status": "pending"})["status"] == "pending"


def test_put_without_status_leaves_the_archived_archived(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    who = md5("person20@acme.test")
    body = {"email_address": "person20@acme.test", "status_if_new": "subscribed", "merge_fields": {"NOTE": "x"}}
    assert sdk(url).lists.set_list_member(LIST, who, body)["status"] == "archived"
    assert sdk(url).lists.set_list_member(LIST, who, body | {"status": "subscribed"})["status"] == "subscribed"


def test_an_existing_member_is_a_400_and_a_forgotten_one_stays_away(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    lists = sdk(url).lists
    new = {"email_address": "person1@acme.test", "status": "subscribed", "merge_fields": {"FNAME": "P"}}
    assert refused(lists.add_list_member, LIST, new) | {"detail": "", "instance": "", "type": ""} == {
        "type": "", "title": "Member Exists", "status": 400, "detail": "", "instance": "",
    }  # fmt: skip
    lists.delete_list_member_permanent(LIST, md5("person1@acme.test"))
    assert refused(lists.get_list_member, LIST, md5("person1@acme.test"))["status"] == 404
    assert refused(lists.add_list_member, LIST, new)["title"] == "Forgotten Email Not Subscribed"


def test_the_member_id_follows_the_address(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    moved = sdk(url).lists.update_list_member(LIST, md5("person2@acme.test"), {"email_address": "New@acme.test"})
    assert (moved["id"], moved["contact_id"]) == (md5("new@acme.test"), "c2")
    assert refused(sdk(url).lists.get_list_member, LIST, md5("person2@acme.test"))["status"] == 404


def test_merge_fields_are_validated_cut_and_unknown_ones_dropped(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    lists, who = sdk(url).lists, md5("person4@acme.test")
    assert refused(lists.update_list_member, LIST, who, {"merge_fields": {"FNAME": ""}})["errors"][0]["field"] == "FNAME"
    assert refused(lists.update_list_member, LIST, who, {"merge_fields": {"BDAY": "1980-12-31"}})["errors"][0]["field"] == "BDAY"
    kept = lists.update_list_member(LIST, who, {"merge_fields": {"NOTE": "n" * 300, "NOPE": "x"}})["merge_fields"]
    assert (len(kept["NOTE"]), "NOPE" in kept) == (255, False)
    assert lists.update_list_member(LIST, who, {"merge_fields": {"FNAME": ""}}, skip_merge_validation="true")["merge_fields"]["FNAME"] == ""


def test_a_batch_takes_500_rows_and_tells_refused_ones_inside_a_200(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    rows = [{"email_address": f"person{i}@acme.test", "merge_fields": {"NOTE": "b"}} for i in (1, 2, 1)]
    rows += [{"email_address": "person22@acme.test", "status": "subscribed"}, {"email_address": "nobody@acme.test", "merge_fields": {}}]
    answer = sdk(url).lists.batch_list_members(LIST, {"members": rows, "update_existing": True})
    assert (answer["total_updated"], answer["total_created"], answer["error_count"]) == (2, 0, 3)
    assert "compliance state" in answer["errors"][1]["error"]
    again = sdk(url).lists.batch_list_members(LIST, {"members": rows[:1]})
    assert again["errors"][0]["error_code"] == "ERROR_CONTACT_EXISTS"
    assert (
        refused(sdk(url).lists.batch_list_members, LIST, {"members": [{"email_address": f"x{i}@a.test"} for i in range(501)]})["status"]
        == 400
    )


def test_tags_show_a_moment_later_and_wake_automations_unless_syncing(small: tuple[MailchimpEmulator, str]) -> None:
    emulator, url = small
    lists, who = sdk(url).lists, md5("person5@acme.test")
    lists.update_list_member_tags(LIST, who, {"tags": [{"name": "Hot", "status": "active"}], "is_syncing": True})
    assert lists.get_list_member_tags(LIST, who)["tags"] == []
    emulator.clock.advance(2)
    assert [t["name"] for t in lists.get_list_member(LIST, who)["tags"]] == ["Hot"]
    assert emulator.audiences.automations_started == []
    lists.update_list_member_tags(LIST, who, {"tags": [{"name": "Warm", "status": "active"}]})
    assert emulator.audiences.automations_started == [(who, "Warm")]


def test_a_segment_hides_those_who_left(small: tuple[MailchimpEmulator, str]) -> None:
    _, url = small
    segment = sdk(url).lists.list_segments(LIST, type="static")["segments"][0]
    assert (segment["name"], segment["member_count"]) == ("Cold", 0)
    assert sdk(url).lists.get_segment_members_list(LIST, segment["id"])["total_items"] == 0
    assert sdk(url).lists.get_segment_members_list(LIST, segment["id"], include_unsubscribed="true")["total_items"] == 1


def test_reports_grow_and_since_filters_the_activity_not_the_people() -> None:
    campaign = {"id": "c1", "status": "sent", "create_time": "2026-05-10T00:00:00Z", "send_time": "2026-05-12T00:00:00Z"}
    activity = [
        {"email": "person0@acme.test", "action": "open", "timestamp": "2026-05-12T01:00:00Z"},
        {"email": "person1@acme.test", "action": "open", "timestamp": "2026-06-20T01:00:00Z"},
    ]
    emulator = start([member(0), member(1)], campaigns=[campaign | {"recipients": {"list_id": LIST}}], activity={"c1": activity})
    with serve([emulator]) as urls:
        reports = sdk(urls["mailchimp"]).reports
        assert reports.get_campaign_report("c1")["opens"]["opens_total"] == 1
        later = reports.get_email_activity_for_campaign("c1", since="2026-05-12T02:00:00+00:00")
        assert [e["activity"] for e in later["emails"]] == [[], []]
        emulator.clock.advance(40 * 86400)
        emulator.sends.bounce("c1", "person0@acme.test")
        report = reports.get_campaign_report("c1")
        assert (report["opens"]["opens_total"], report["bounces"]["hard_bounces"], report["send_time"]) == (
            2,
            1,
            "2026-05-12T00:00:00+00:00",
        )


def test_a_batch_is_not_done_when_accepted_and_its_result_is_an_odd_archive(small: tuple[MailchimpEmulator, str]) -> None:
    emulator, url = small
    note = json.dumps({"merge_fields": {"NOTE": "batch"}})
    operations = [
        {"method": "PATCH", "path": f"/lists/{LIST}/members/{md5(f'person{i}@acme.test')}", "body": note, "operation_id": f"op{i}"}
        for i in (1, 2, 3)
    ]
    operations.append({"method": "GET", "path": "/lists/nowhere", "operation_id": "lost"})
    batch = sdk(url).batches.start({"operations": operations})
    assert (batch["status"], batch["response_body_url"], batch["completed_at"]) == ("pending", "", "")
    emulator.clock.advance(60)
    batch = sdk(url).batches.status(batch["id"])
    assert (batch["status"], batch["finished_operations"], batch["errored_operations"]) == ("finished", 4, 1)
    assert requests.get(batch["response_body_url"], auth=KEY, timeout=10).status_code == 400  # two ways to sign at once
    reply = requests.get(batch["response_body_url"], timeout=10)
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        kinds = [m.isdir() for m in tar.getmembers()]
        texts = [file.read() for m in tar.getmembers() if (file := tar.extractfile(m))]
    results = {r["operation_id"]: r for text in texts if text for r in json.loads(text)}
    assert kinds[0]
    assert b"" in texts
    assert {k: r["status_code"] for k, r in results.items()} == {"op1": 200, "op2": 200, "op3": 200, "lost": 404}
    assert json.loads(results["op2"]["response"])["merge_fields"]["NOTE"] == "batch"
    emulator.clock.advance(700)
    assert requests.get(batch["response_body_url"], timeout=10).status_code == 403


def test_the_eleventh_connection_is_refused(small: tuple[MailchimpEmulator, str]) -> None:
    emulator, url = small
    emulator.knob("busy_elsewhere", 10)
    reply = get(url, "/ping")
    assert (reply.status_code, reply.json()["title"], "retry-after" in reply.headers) == (429, "Too Many Requests", False)


def test_the_edge_may_refuse_without_a_body(small: tuple[MailchimpEmulator, str]) -> None:
    emulator, url = small
    emulator.knob("bare_throttle", 403)
    emulator.faults.append(Fault("throttle"))
    reply = get(url, "/ping")
    assert (reply.status_code, reply.content) == (403, b"")


def test_rows_shift_between_pages_when_the_list_moves(small: tuple[MailchimpEmulator, str]) -> None:
    emulator, url = small
    asked = {"sort_field": "last_changed", "sort_dir": "ASC", "count": 7}
    first = get(url, f"/lists/{LIST}/members", **asked).json()["members"]
    emulator.faults.append(Fault("move"))
    second = get(url, f"/lists/{LIST}/members", offset=7, **asked).json()["members"]
    names = [m["merge_fields"]["FNAME"] for m in first + second]
    assert "P7" not in names  # skipped
    assert names.count("P0") == 2  # and one doubled
