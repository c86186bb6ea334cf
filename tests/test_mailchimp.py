"""The Mailchimp connector against the emulated vendor: nothing lost, nothing doubled for good, nobody subscribed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connectors.mailchimp import CONNECTOR
from connectors.mailchimp_session import fault
from connectors.sandbox.kit import Clock, Fault, serve
from connectors.sandbox.mailchimp import MailchimpEmulator
from core.connector import Ask, Page, PushField, Write
from core.errors import UserError
from core.http import ReadOnlyError, Transport

START = 1_780_000_000.0
NOW = datetime.fromtimestamp(START, UTC)
A, B = "aaaa000001", "bbbb000002"


def md5(email: str) -> str:
    return hashlib.md5(email.lower().encode()).hexdigest()


def person(i: int, second: int | None = None, **more: Any) -> dict[str, Any]:
    s = i if second is None else second
    when = f"2026-05-01T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}Z"
    base = {"email_address": f"p{i}@acme.test", "status": "subscribed", "contact_id": f"c{i}", "merge_fields": {"FNAME": f"P{i}"}}
    return base | {"timestamp_signup": when, "timestamp_opt": when, "last_changed": when} | more


def world(in_a: list[dict[str, Any]], in_b: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    fields = [{"tag": "FNAME", "name": "First name", "type": "text", "required": True}, {"tag": "NOTE", "name": "Note", "type": "text"}]
    lists = [
        {"id": A, "name": "News", "date_created": "2026-01-01T00:00:00Z", "merge_fields": fields},
        {"id": B, "name": "server-side tips", "date_created": "2026-02-01T00:00:00Z", "merge_fields": fields[:1]},
    ]
    return {"lists": lists, "members": {A: in_a, B: in_b or []}} | more


@dataclass
class Account:
    emulator: MailchimpEmulator
    transport: Transport
    session: Any
    url: str

    def read(self, resource: str, **asked: Any) -> list[Page]:
        fields = tuple(asked.pop("fields", ()))
        return list(CONNECTOR.resource(resource).read(self.session, Ask(resource, fields, NOW, **asked)))

    def write(self, *writes: Write) -> dict[str, Any]:
        return {r.key: r for r in CONNECTOR.target("members").write(self.session, writes)}

    def read_back(self, ids: list[str], fields: list[str]) -> Any:
        return CONNECTOR.target("members").read_back(self.session, ids, fields)


@contextmanager
def account(seed: dict[str, Any], *, writes: bool = False, key: str = "sandbox-us1", attempts: int = 6) -> Iterator[Account]:
    emulator = MailchimpEmulator(seed, clock=Clock(START))
    with serve([emulator]) as urls:
        url = urls["mailchimp"]
        made = Transport(  # rng: back-off without waiting
            "mailchimp",
            buckets=CONNECTOR.buckets,
            fault=CONNECTOR.fault,
            writes=writes,
            attempts=attempts,
            sleep=lambda seconds: None,
            rng=lambda: 0.0,
        )
        with made as transport:
            yield Account(emulator, transport, CONNECTOR.open({"api_key": key, "base_url": url}, transport), url)


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in orjson.loads(page.body)[page.rows]]


def keys(pages: list[Page]) -> set[tuple[str, str]]:
    return {(row["list_id"], row["email_address"]) for row in rows(pages)}


def complete(pages: list[Page]) -> bool:
    """Did every pass give as many different members as its last total says?"""
    for name in {p.pass_name for p in pages}:
        mine = [p for p in pages if p.pass_name == name]
        if len(keys(mine)) < (mine[-1].total or 0):
            return False
    return True


def test_every_member_of_every_list_is_read_with_those_who_left() -> None:
    gone = [person(90, status="archived"), person(91, status="cleaned"), person(92, status="unsubscribed")]
    with account(world([person(i) for i in range(5)] + gone, [person(1)])) as mc:
        pages = mc.read("members")
        assert keys(pages) == {(A, f"p{i}@acme.test") for i in (0, 1, 2, 3, 4, 90, 91, 92)} | {(B, "p1@acme.test")}
        assert {r["email_address"]: r["status"] for r in rows(pages)}["p90@acme.test"] == "archived"
        assert complete(pages)
        assert all(p.present for p in pages)


def test_members_of_two_lists_with_one_address_stay_two() -> None:
    with account(world([person(1)], [person(1)])) as mc:
        found = {(r["list_id"], r["id"]) for r in rows(mc.read("members"))}
        assert found == {(A, md5("p1@acme.test")), (B, md5("p1@acme.test"))}


def test_more_than_a_thousand_members_are_read_to_the_end() -> None:
    with account(world([person(i) for i in range(2_300)])) as mc:
        pages = mc.read("members", fields=("email_address",))
        assert len(keys(pages)) == 2_300
        assert complete(pages)


def test_a_member_changed_in_the_cursors_second_is_read_again() -> None:
    with account(world([person(1), person(2)])) as mc:
        state = mc.read("members")[-1].state
        mc.emulator.update_member(A, "p1@acme.test", {"vip": True}, at="2026-05-01T00:00:02Z")
        assert (A, "p1@acme.test") in keys(mc.read("members", state=state))


def test_a_second_read_asks_only_for_what_changed() -> None:
    with account(world([person(i, i * 60) for i in range(50)])) as mc:
        first = mc.read("members")[-1].state
        mc.emulator.update_member(A, "p7@acme.test", {"merge_fields": {"NOTE": "new"}})
        pages = mc.read("members", state=first)
        assert keys(pages) == {(A, "p7@acme.test"), (A, "p49@acme.test")}
        assert not any(p.present for p in pages)
        assert keys(mc.read("members", state=pages[-1].state)) == {(A, "p7@acme.test")}


def test_whoever_is_archived_between_reads_is_seen_as_archived() -> None:
    with account(world([person(i, i * 60) for i in range(5)])) as mc:
        state = mc.read("members")[-1].state
        mc.emulator.audiences.archive(A, "p3@acme.test")
        assert ("p3@acme.test", "archived") in {(r["email_address"], r["status"]) for r in rows(mc.read("members", state=state))}


def test_rows_that_move_between_pages_are_neither_lost_nor_counted_missing() -> None:
    with account(world([person(i) for i in range(3_000)])) as mc:
        mc.emulator.faults.append(Fault("move", match=f"{A}/members", times=-1, after=1))
        pages = mc.read("members", fields=("email_address",))
        assert len(keys(pages)) == 3_000
        assert complete(pages)


def test_more_than_a_page_of_members_in_one_second_are_all_read() -> None:
    people = [person(i, 5) for i in range(2_500)] + [person(i, 9) for i in range(2_500, 2_510)]
    with account(world([person(9_999, 1), *people])) as mc:
        pages = mc.read("members", fields=("email_address",))
        assert len(keys(pages)) == 2_511
        assert complete(pages)


def test_a_second_that_empties_while_it_is_paged_loses_nobody() -> None:
    with account(world([person(i, 5) for i in range(3_200)])) as mc:
        mc.emulator.faults.append(Fault("move", match=f"{A}/members", times=3, after=3))
        assert len(keys(mc.read("members", fields=("email_address",)))) == 3_200


def test_a_read_goes_on_from_any_page() -> None:
    with account(world([person(i) for i in range(2_300)], [person(i) for i in range(30)])) as mc:
        pages = mc.read("members", fields=("email_address",))
        for cut in range(1, len(pages) + 1):
            rest = mc.read("members", fields=("email_address",), state=orjson.loads(orjson.dumps(pages[cut - 1].state)))
            assert keys(pages[:cut]) | keys(rest) == keys(pages)


def test_whoever_leaves_the_archive_during_a_full_read_is_still_met() -> None:
    with account(world([person(0), person(1, status="archived")])) as mc:
        read = CONNECTOR.resource("members").read(mc.session, Ask("members", (), NOW, full=True))
        pages = [next(read)]  # the live ones, without p1
        mc.emulator.update_member(A, "p1@acme.test", {"status": "subscribed"})
        assert (A, "p1@acme.test") in keys([*pages, *read])


def test_a_permanently_deleted_member_is_missing_from_a_full_read_only() -> None:
    with account(world([person(i, i * 60) for i in range(5)])) as mc:
        state = mc.read("members")[-1].state
        mc.emulator.audiences.forget(A, "p2@acme.test")
        assert keys(mc.read("members", state=state)) == {(A, "p4@acme.test")}
        again = mc.read("members", state=state, full=True)
        assert keys(again) == {(A, f"p{i}@acme.test") for i in (0, 1, 3, 4)}
        assert all(p.present for p in again)


def test_link_lists_are_never_asked_for() -> None:
    with account(world([person(1)])) as mc:
        assert all(b"_links" not in p.body for p in mc.read("members") + mc.read("lists"))


def test_unset_dates_come_as_empty_texts() -> None:
    with account(world([person(1, status="pending", timestamp_opt=None)])) as mc:
        assert rows(mc.read("members"))[0]["timestamp_opt"] == ""


SENT = {
    f"c{i}": {"id": f"c{i}", "status": "sent", "create_time": "2026-01-01T00:00:00Z", "recipients": {"list_id": A}, "send_time": when}
    for i, when in enumerate(("2026-02-01T00:00:00Z", "2026-05-10T00:00:00Z", "2026-05-20T00:00:00Z"), 1)
}
DRAFT = {"id": "d1", "status": "save", "create_time": "2026-05-01T00:00:00Z", "recipients": {"list_id": A}}


def mailed() -> dict[str, Any]:
    people = [person(i, timestamp_opt="2026-01-15T00:00:00Z") for i in range(3)]
    opened = [{"email": "p1@acme.test", "action": "open", "timestamp": "2026-05-21T00:00:00Z"}]
    return world(people, campaigns=[*SENT.values(), DRAFT], activity={"c3": opened}, automations=[{"id": "w1", "status": "sending"}])


def test_campaigns_and_automations_are_read_whole() -> None:
    with account(mailed()) as mc:
        assert {r["id"] for r in rows(mc.read("campaigns"))} == {"c1", "c2", "c3", "d1"}
        assert [r["id"] for r in rows(mc.read("automations"))] == ["w1"]


def test_a_late_bounce_is_counted_although_no_date_moved() -> None:
    with account(mailed()) as mc:
        reports, activity = mc.read("reports")[-1].state, mc.read("activity")[-1].state
        mc.emulator.sends.bounce("c3", "p2@acme.test")
        again = {r["id"]: r["bounces"]["hard_bounces"] for r in rows(mc.read("reports", state=reports))}
        assert again == {"c2": 0, "c3": 1}  # c1 is older than the window
        events = [
            (r["campaign_id"], r["email_address"], e["action"]) for r in rows(mc.read("activity", state=activity)) for e in r["activity"]
        ]
        assert ("c3", "p2@acme.test", "bounce") in events


def test_recipients_without_activity_come_empty_and_each_campaign_is_complete() -> None:
    with account(mailed()) as mc:
        pages = mc.read("activity")
        assert [(p.context["campaign_id"], p.total) for p in pages] == [("c1", 3), ("c2", 3), ("c3", 3)]
        assert sum(bool(r["activity"]) for r in rows(pages)) == 1


def test_activity_goes_on_with_the_campaign_in_hand() -> None:
    with account(mailed()) as mc:
        pages = mc.read("activity")
        rest = mc.read("activity", state=pages[0].state)
        assert [p.pass_name for p in rest] == ["c1", "c2", "c3"]
        assert [p.pass_name for p in mc.read("activity", state=pages[1].state)] == ["c2", "c3"]


def test_tags_list_those_who_left_too() -> None:
    with account(world([person(1, tags=["Hot"]), person(2, tags=["Hot", "Vip"], status="unsubscribed")])) as mc:
        pages = mc.read("tags")
        found = {(p.context["list_id"], p.context["tag"], r["email_address"]) for p in pages for r in orjson.loads(p.body)["members"]}
        assert found == {(A, "Hot", "p1@acme.test"), (A, "Hot", "p2@acme.test"), (A, "Vip", "p2@acme.test")}


# -- writing ------------------------------------------------------------------------------------------------------------
def vid(i: int, list_id: str = A) -> str:
    return f"{list_id}:{md5(f'p{i}@acme.test')}"


def test_merge_fields_are_written_in_one_call_and_read_back() -> None:
    with account(world([person(i) for i in range(60)]), writes=True) as mc:
        results = mc.write(*(Write(str(i), vid(i), {"NOTE": f"n{i}"}) for i in range(60)))
        assert all(r.ok for r in results.values())
        assert mc.emulator.calls[f"POST /3.0/lists/{A}"] == 1
        assert mc.read_back([vid(7), vid(8)], ["NOTE", "status"])[vid(7)] == {"NOTE": "n7", "status": "subscribed"}
        mc.write(Write("x", vid(7), {"NOTE": None}))
        assert mc.read_back([vid(7)], ["NOTE"]) == {vid(7): {"NOTE": None}}


def test_600_rows_go_in_two_batches_of_500_at_most() -> None:
    with account(world([person(i) for i in range(600)]), writes=True) as mc:
        assert all(r.ok for r in mc.write(*(Write(str(i), vid(i), {"NOTE": "x"}) for i in range(600))).values())
        assert mc.emulator.calls[f"POST /3.0/lists/{A}"] == 2


def test_a_blank_required_field_of_the_vendors_does_not_stop_ours() -> None:
    with account(world([person(1, merge_fields={"FNAME": ""})]), writes=True) as mc:
        assert mc.write(Write("a", vid(1), {"NOTE": "x"}))["a"].ok


def test_one_refused_row_does_not_stop_the_others_and_names_no_address() -> None:
    seed = world([person(1), person(2)])
    seed["lists"][0]["merge_fields"].append({"tag": "AGE", "name": "Age", "type": "number"})
    with account(seed, writes=True) as mc:
        results = mc.write(Write("a", vid(1), {"AGE": "old"}), Write("b", vid(2), {"AGE": "41"}), Write("c", vid(3), {"AGE": "1"}))
        assert (results["a"].ok, results["b"].ok, results["c"].ok) == (False, True, False)
        assert (results["c"].code, "AGE" in results["a"].message) == ("missing", True)
        assert "@" not in "".join(r.message for r in results.values())


def test_nobody_is_ever_subscribed_or_created() -> None:
    with account(world([person(1, status="unsubscribed"), person(2)]), writes=True) as mc:
        results = mc.write(
            Write("a", vid(1), {"status": "subscribed", "NOTE": "x"}),
            Write("b", vid(2), {"status": "unsubscribed", "NOTE": "left"}),
            Write("c", vid(3), {"status": "unsubscribed"}),
        )
        assert [(results[k].ok, results[k].code) for k in "abc"] == [(False, "status_not_allowed"), (True, ""), (False, "missing")]
        members = mc.emulator.dump()["members"][A]
        assert {m["email_address"]: (m["status"], m["merge_fields"]["NOTE"]) for m in members.values()} == {
            "p1@acme.test": ("unsubscribed", ""),
            "p2@acme.test": ("unsubscribed", "left"),
        }


def test_a_field_that_mailchimp_would_drop_silently_is_refused() -> None:
    with account(world([person(1)]), writes=True) as mc:
        assert mc.write(Write("a", vid(1), {"tags": "mql"}))["a"].code == "unknown_field"


@pytest.mark.parametrize("wording", ["Member In Compliance State", "Forgotten Email Not Subscribed"])
def test_a_refusal_for_compliance_is_known_by_each_of_its_names(wording: str) -> None:
    body = orjson.dumps({"title": wording, "status": 400, "detail": "who@acme.test cannot be re-imported"})
    found = fault(400, {"content-type": "application/problem+json; charset=utf-8"}, body)
    assert (found.kind, found.code) == ("refused", wording)
    assert "who@acme.test" not in found.message


def test_reading_back_leaves_out_who_is_gone_or_changed_address() -> None:
    with account(world([person(i) for i in range(40)])) as mc:
        mc.emulator.audiences.forget(A, "p1@acme.test")
        mc.emulator.update_member(A, "p2@acme.test", {"email_address": "new@acme.test"})
        mc.emulator.audiences.archive(A, "p3@acme.test")
        for few in (4, 40):
            found = mc.read_back([vid(i) for i in range(few)], ["status"])
            assert vid(1) not in found
            assert vid(2) not in found
            assert found[vid(3)] == {"status": "archived"}
            assert len(found) == few - 2


def test_missing_merge_fields_are_created_in_every_list_and_long_names_refused() -> None:
    ensure = CONNECTOR.target("members").ensure
    assert ensure is not None
    with account(world([person(1)]), writes=True) as mc:
        fields = [PushField("members", "TSTAGE", "Tundish stage"), PushField("members", "+tag:Hot", "")]
        assert list(ensure(mc.session, fields)) == ["TSTAGE"]
        assert list(ensure(mc.session, fields)) == []
        found = mc.emulator.dump()["lists"]
        assert [found[i]["merge_fields"][-1]["tag"] for i in (A, B)] == ["TSTAGE", "TSTAGE"]
        with pytest.raises(UserError, match="TUNDISH_STAGE"):
            ensure(mc.session, [PushField("members", "TUNDISH_STAGE", "Stage")])


def test_a_reading_session_cannot_write() -> None:
    with account(world([person(1)])) as mc:
        with pytest.raises(ReadOnlyError):
            mc.write(Write("a", vid(1), {"NOTE": "x"}))
        assert not any(call.startswith(("POST", "PUT", "PATCH", "DELETE")) for call in mc.emulator.calls)
