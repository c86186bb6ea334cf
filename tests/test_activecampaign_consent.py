"""Who opted out elsewhere is taken off ActiveCampaign's lists, by plan; nobody is ever put on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from activecampaign_account import account, contact, member, world
from sandbox_hub import Standing, tundish

from connectors.sandbox.kit import Fault
from core.connector import Write
from core.http import ReadOnlyError


def listed(*statuses: int) -> dict[str, Any]:
    """Contacts 1, 2, …, on list 1 with these statuses."""
    return world([contact(i, lists=[member(i, 1, status)]) for i, status in enumerate(statuses, 1)])


def sub(i: int, list_id: int = 1) -> str:
    return f"{i}:{list_id}:{500 + 10 * i + list_id}"


def statuses(ac: Any) -> dict[str, str]:
    keys = [sub(i) for i in range(1, 6)]
    return {key: row["status"] for key, row in ac.read_back("contactLists", keys, ["status"]).items()}


def test_a_subscription_is_ended_and_read_back() -> None:
    with account(listed(1, 1, 2, 3), writes=True) as ac:
        assert statuses(ac) == {sub(1): "subscribed", sub(2): "subscribed", sub(3): "unsubscribed", sub(4): "cleaned"}
        done = ac.write("contactLists", Write("a", sub(1), {"status": "unsubscribed"}))
        assert [(r.key, r.ok) for r in done.values()] == [("a", True)]
        assert statuses(ac) == {sub(1): "unsubscribed", sub(2): "subscribed", sub(3): "unsubscribed", sub(4): "cleaned"}
        assert ac.calls("POST /api/3/contactLists") == 1


@pytest.mark.parametrize("value", ["subscribed", "pending", "1", None])
def test_nobody_is_put_on_a_list_whatever_is_asked_for(value: str | None) -> None:
    with account(listed(2), writes=True) as ac:
        (done,) = ac.write("contactLists", Write("a", sub(1), {"status": value})).values()
        assert (done.ok, done.code, done.retryable) == (False, "status_not_allowed", False)
        assert (statuses(ac), ac.calls("POST")) == ({sub(1): "unsubscribed"}, 0)


def test_what_is_gone_or_known_by_another_id_fails_alone() -> None:
    with account(listed(1, 1), writes=True) as ac:
        wishes = [Write(key, key, {"status": "unsubscribed"}) for key in (sub(1), sub(9), sub(2, 2), "521")]
        done = ac.write("contactLists", *wishes, Write("x", sub(2), {"status": "unsubscribed", "sdate": "2026-01-01"}))
        assert {key: r.code for key, r in done.items()} == {
            sub(1): "", sub(9): "missing", sub(2, 2): "missing", "521": "id", "x": "unknown_field",
        }  # fmt: skip
        assert "[contact, list, id]" in done["521"].message
        assert ac.calls("POST") == 1


def test_where_include_is_not_heard_each_contact_is_asked_for_its_lists() -> None:
    with account(listed(1, 2)) as ac:
        ac.emulator.knob("sideloads", False)
        assert statuses(ac) == {sub(1): "subscribed", sub(2): "unsubscribed"}


def test_a_lost_reply_is_settled_by_asking_again() -> None:
    with account(listed(1), writes=True) as ac:
        ac.emulator.faults.append(Fault("cut", match="/contactLists$", times=1))
        (done,) = ac.write("contactLists", Write("a", sub(1), {"status": "unsubscribed"})).values()
        assert (done.ok, statuses(ac)) == (True, {sub(1): "unsubscribed"})


def test_a_reading_session_ends_no_subscription() -> None:
    with account(listed(1)) as ac:
        with pytest.raises(ReadOnlyError):
            ac.write("contactLists", Write("a", sub(1), {"status": "unsubscribed"}))
        assert statuses(ac) == {sub(1): "subscribed"}


def test_check_knows_that_the_status_can_be_written(stand: Callable[..., Standing]) -> None:
    said = tundish("--config", stand(vendors=["activecampaign"]).config, "check", "--json")
    assert (said.code, [c for c in said.json["checks"] if c["level"] != "ok"]) == (0, [])


def test_who_unsubscribed_in_mailchimp_is_unsubscribed_here_by_plan(stand: Callable[..., Standing]) -> None:
    sandbox = stand(vendors=["activecampaign", "mailchimp"], size=12, rules=["C-01", "C-03"])
    chimp: Any = sandbox.emulators["mailchimp"]
    active: Any = sandbox.emulators["activecampaign"]
    on_lists = {c["email"]: key for key, c in active.dump()["contacts"].items() if any(s == 1 for s in lists_of(active, key).values())}
    person = next(m for audience in chimp.audiences.lists.values() for m in audience.members.values() if m["email_address"] in on_lists)
    key = on_lists[person["email_address"]]
    person |= {"status": "unsubscribed", "last_changed": person["last_changed"]}

    def say(*words: str) -> Any:
        said = tundish("--config", sandbox.config, *words, "--json")
        assert said.code == 0, said.err
        return said.json

    say("sync")
    plan = say("plan")
    mine = [c for c in plan["changes"] if c["target"] == "contactLists" and c["vendor_id"].startswith(f"{key}:")]
    assert {(c["field"], c["before"], c["after"], c["rule"]) for c in mine} == {("status", "subscribed", "unsubscribed", "C-01")}
    assert [h for h in plan["held"] if h["rule"] == "C-01"] == []
    applied = say("apply", plan["plan_id"], "--yes")
    assert set(applied["outcomes"]) == {"applied"}
    assert set(lists_of(active, key).values()) == {2}


def lists_of(emulator: Any, contact_id: str) -> dict[str, int]:
    rows = [emulator.contacts.memberships[m] for m in emulator.contacts.mine("memberships", int(contact_id))]
    return {str(row["list"]): row["status"] for row in rows}
