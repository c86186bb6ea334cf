"""Writing to ActiveCampaign: by id or by import, nobody created, nothing cleared by chance, tags by their prefix only."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from activecampaign_account import account, contact, deal, member, world

from connectors.activecampaign import CONNECTOR
from connectors.sandbox.kit import Fault
from core.connector import PushField, Write
from core.errors import UserError
from core.http import ReadOnlyError


def people(n: int, **more: Any) -> dict[str, Any]:
    return world([contact(i, **more) for i in range(1, n + 1)])


def field_of(ac: Any, i: int, tag: str = "JOB_TITLE") -> Any:
    return ac.emulator.dump()["contacts"][str(i)]["fields"].get(tag)


# -- contacts -----------------------------------------------------------------------------------------------------------
def test_a_few_contacts_are_written_one_by_one_and_read_back() -> None:
    with account(people(5), writes=True) as ac:
        results = ac.write("contacts", *(Write(f"k{i}", str(i), {"JOB_TITLE": f"Job {i}", "lastName": "New"}) for i in range(1, 6)))
        assert {(r.key, r.ok) for r in results.values()} == {(f"k{i}", True) for i in range(1, 6)}
        assert ac.calls("PUT /api/3/contacts/") == 5
        found = ac.read_back("contacts", ["1", "5"], ["JOB_TITLE", "lastName", "LIKES"])
        assert found["5"] == {"JOB_TITLE": "Job 5", "lastName": "New", "LIKES": None}


def test_many_go_by_import_and_their_end_is_waited_for() -> None:
    with account(people(40), writes=True) as ac:
        keys = [str(i) for i in range(1, 41)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        before = ac.clock.now()
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": f"Job {key}"}) for key in keys))
        assert all(r.ok for r in results.values())
        assert (ac.calls("POST /api/3/import/bulk_import"), ac.calls("PUT")) == (1, 0)
        assert field_of(ac, 40) == "Job 40"
        assert ac.clock.now() - before >= 3
        assert ac.emulator.contacts.automations_started == []


def test_an_import_takes_250_at_most() -> None:
    with account(people(300), writes=True) as ac:
        keys = [str(i) for i in range(1, 301)]
        assert len(ac.read_back("contacts", keys, ["JOB_TITLE"])) == 300
        assert ac.calls("GET /api/3/contacts") == 3
        assert all(r.ok for r in ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys)).values())
        assert ac.calls("POST /api/3/import/bulk_import") == 2


def test_whom_an_import_does_not_take_fails_alone_and_unnamed() -> None:
    with account(people(12), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        ac.emulator.knob("refused", ["p7@acme.test"])
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys))
        assert [key for key, r in results.items() if not r.ok] == ["7"]
        assert (results["7"].code, "@" in results["7"].message) == ("import_failed", False)


def test_an_import_refused_as_a_whole_is_written_one_by_one() -> None:
    with account(people(12), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        ac.session.emails["3"] = "nobody"  # an address the import finds no good
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys))
        assert all(r.ok for r in results.values())
        assert ac.calls("PUT /api/3/contacts/") == 12


def test_an_import_that_never_ends_leaves_the_question_open() -> None:
    with account(people(12), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        ac.emulator.knob("step_s", 1e9)
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys))
        assert {(r.ok, r.code, r.retryable) for r in results.values()} == {(False, "unconfirmed", True)}


def test_too_many_imports_wait_although_the_refusal_is_a_400() -> None:
    with account(people(12), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        ac.emulator.imports.recent = [ac.clock.now() + 5] * 100  # other tools of the account
        before = ac.clock.now()
        ac.clock.advance(5)
        assert all(r.ok for r in ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys)).values())
        assert ac.clock.now() - before >= 60


def test_clearing_is_never_left_to_an_import() -> None:
    with account(people(12, fields={"JOB_TITLE": "Old"}), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": None}) for key in keys))
        assert all(r.ok for r in results.values())
        assert ac.calls("import") == 0
        assert ac.read_back("contacts", keys, ["JOB_TITLE"]) == {key: {"JOB_TITLE": None} for key in keys}


def test_nobody_is_created_for_an_id_that_is_gone() -> None:
    with account(people(12), writes=True) as ac:
        ac.emulator.edits["delete_contact"]("5")
        keys = [str(i) for i in range(1, 13)]
        assert "5" not in ac.read_back("contacts", keys, ["JOB_TITLE"])
        results = ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys))
        assert [(key, r.code) for key, r in results.items() if not r.ok] == [("5", "missing")]
        assert len(ac.emulator.contacts.rows) == 11


def test_a_field_the_vendor_would_drop_silently_is_refused() -> None:
    with account(people(1), writes=True) as ac:
        assert ac.write("contacts", Write("a", "1", {"NONESUCH": "x"}))["a"].code == "unknown_field"


def test_what_the_vendor_refuses_is_told_without_an_address() -> None:
    with account(people(2), writes=True) as ac:
        results = ac.write("contacts", Write("a", "1", {"email": "p2@acme.test"}), Write("b", "2", {"lastName": "x"}))
        assert (results["a"].ok, results["a"].code, "@" in results["a"].message, results["b"].ok) == (False, "duplicate", False, True)


def test_our_field_is_created_once_for_all_lists() -> None:
    ensure = CONNECTOR.target("contacts").ensure
    assert ensure is not None
    with account(people(1), writes=True) as ac:
        fields = [
            PushField("contacts", "TUNDISH_STAGE", "Tundish stage"),
            PushField("contacts", "tag:x:", ""),
            PushField("contacts", "phone", ""),
        ]
        assert [list(ensure(ac.session, fields)) for _ in range(2)] == [["TUNDISH_STAGE"], []]
        made = ac.emulator.contacts.fields[3]
        assert (made["title"], made["perstag"], made["related"]) == ("Tundish stage", "TUNDISH_STAGE", True)
        with pytest.raises(UserError, match="LOWER"):
            ensure(ac.session, [PushField("contacts", "lower", "Lower")])


def test_a_lost_reply_to_an_import_is_settled_by_sending_it_again() -> None:
    with account(people(12), writes=True) as ac:
        keys = [str(i) for i in range(1, 13)]
        ac.read_back("contacts", keys, ["JOB_TITLE"])
        ac.emulator.faults.append(Fault("cut", match="bulk_import", times=1))
        assert all(r.ok for r in ac.write("contacts", *(Write(key, key, {"JOB_TITLE": "x"}) for key in keys)).values())
        assert len(ac.emulator.contacts.rows) == 12


# -- tags ---------------------------------------------------------------------------------------------------------------
def test_a_tag_with_a_prefix_replaces_its_siblings_and_no_other() -> None:
    tags = [{"id": "1", "tag": "Hot"}, {"id": "2", "tag": "stage:lead"}, {"id": "3", "tag": "stage:old"}]
    with account(world([contact(1, tags=["1", "2", "3"]), contact(2)], tags=tags), writes=True) as ac:
        assert ac.read_back("contacts", ["1", "2"], ["tag:stage:"]) == {"1": {"tag:stage:": "lead, old"}, "2": {"tag:stage:": None}}
        results = ac.write("contacts", Write("a", "1", {"tag:stage:": "mql"}), Write("b", "2", {"tag:stage:": "mql", "JOB_TITLE": "x"}))
        assert all(r.ok for r in results.values())
        assert ac.read_back("contacts", ["1", "2"], ["tag:stage:"]) == {key: {"tag:stage:": "mql"} for key in "12"}
        assert ac.emulator.dump()["contacts"]["1"]["tags"] == ["Hot", "stage:mql"]
        assert [t["tag"] for t in ac.emulator.contacts.tags.values()].count("stage:mql") == 1
        ac.write("contacts", Write("c", "1", {"tag:stage:": None}))
        assert ac.emulator.dump()["contacts"]["1"]["tags"] == ["Hot"]


def test_tags_are_written_without_a_read_back_and_where_include_is_not_heard() -> None:
    with account(world([contact(1, tags=["1"])]), writes=True) as ac:
        ac.emulator.knob("sideloads", False)
        assert ac.write("contacts", Write("a", "1", {"tag:H": "ot"}))["a"].ok
        assert ac.calls("POST /api/3/contactTags") == 0  # carried already
        assert ac.write("contacts", Write("b", "77", {"tag:H": "ot"}))["b"].code == "missing"


# -- deals ----------------------------------------------------------------------------------------------------------------
def test_a_deals_stage_and_fields_go_in_one_request() -> None:
    with account(world(deals=[deal(1), deal(2)]), writes=True) as ac:
        result = ac.write("deals", Write("a", "1", {"stage": "22", "PARTNER_NAME": "Reseller", "START": "2026-06-01"}))["a"]
        assert result.ok
        assert ac.calls("PUT /api/3/deals/1") == 1
        found = ac.read_back("deals", ["1", "2"], ["stage", "PARTNER_NAME", "START", "title"])
        assert found["1"] == {"stage": "22", "PARTNER_NAME": "Reseller", "START": "2026-06-01", "title": "Deal 1"}
        assert found["2"] == {"stage": "20", "PARTNER_NAME": None, "START": None, "title": "Deal 2"}


def test_a_stage_of_another_pipeline_goes_with_its_pipeline() -> None:
    with account(world(deals=[deal(1), deal(2)]), writes=True) as ac:
        results = ac.write("deals", Write("a", "1", {"stage": "3/31"}), Write("b", "2", {"stage": "31"}))
        assert (results["a"].ok, results["b"].ok, results["b"].code) == (True, False, "field_invalid")
        assert ac.emulator.deals.rows[1]["group"] == "3"


def test_a_cleared_field_is_taken_away() -> None:
    with account(world(deals=[deal(1, fields={"1": "Reseller", "3": "2026-01-01"})]), writes=True) as ac:
        assert ac.write("deals", Write("a", "1", {"PARTNER_NAME": None, "START": None}))["a"].ok
        assert ac.read_back("deals", ["1"], ["PARTNER_NAME", "START"]) == {"1": {"PARTNER_NAME": None, "START": None}}
        assert ac.write("deals", Write("b", "1", {"PARTNER_NAME": None}))["b"].ok  # there is none


def test_money_is_written_in_the_smallest_unit() -> None:
    with account(world(deals=[deal(1), deal(2, value=5_000, currency="jpy")]), writes=True) as ac:
        assert ac.read_back("deals", ["1", "2"], ["value"]) == {"1": {"value": Decimal("1234.50")}, "2": {"value": Decimal(5000)}}
        ac.write("deals", Write("a", "1", {"value": "99.95"}), Write("b", "2", {"value": "7000"}))
        assert [ac.emulator.deals.rows[i]["value"] for i in (1, 2)] == [9_995, 7_000]


def test_a_value_the_vendor_refuses_fails_alone() -> None:
    with account(world(deals=[deal(1), deal(2)]), writes=True) as ac:
        results = ac.write(
            "deals", Write("a", "1", {"START": "soon"}), Write("b", "2", {"START": "2026-06-01"}), Write("c", "9", {"title": "x"})
        )
        assert [(results[k].ok, results[k].code) for k in "abc"] == [(False, "422"), (True, ""), (False, "missing")]
        assert ac.write("deals", Write("d", "1", {"NONESUCH": "x"}))["d"].code == "unknown_field"


def test_many_deals_are_found_in_pages() -> None:
    with account(world(deals=[deal(i) for i in range(1, 151)])) as ac:
        wanted = [str(i) for i in range(1, 151, 6)]
        assert list(ac.read_back("deals", wanted, ["title"]).values()) == [{"title": f"Deal {i}"} for i in wanted]
        assert ac.calls("GET") == 2


def test_deals_that_may_not_be_seen_count_as_gone() -> None:
    with account(world(deals=[deal(1)]), writes=True) as ac:
        ac.emulator.edits["hide_deal"](1)
        assert ac.read_back("deals", ["1"], ["title"]) == {}


def test_our_deal_field_is_found_again_by_its_label() -> None:
    ensure = CONNECTOR.target("deals").ensure
    assert ensure is not None
    with account(world(), writes=True) as ac:
        fields = [
            PushField("deals", "TUNDISH_STAGE", "Tundish: stage"),
            PushField("deals", "OURS", "Something else"),
            PushField("deals", "stage", ""),
        ]
        assert [list(ensure(ac.session, fields)) for _ in range(2)] == [["TUNDISH_STAGE", "OURS"], []]
        assert [row["fieldLabel"] for row in ac.emulator.deals.meta.values()][-2:] == ["Tundish: stage", "OURS"]


def test_a_reading_session_cannot_write() -> None:
    with account(world([contact(1, lists=[member(1)])], deals=[deal(1)])) as ac:
        for target in ("contacts", "deals"):
            with pytest.raises(ReadOnlyError):
                ac.write(target, Write("a", "1", {"firstName" if target == "contacts" else "title": "x"}))
