"""The HubSpot connector against the emulated portal: every record once, whatever is archived, merged, edited or cut off."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.hubspot import CONNECTOR
from connectors.hubspot_read import next_cursor
from connectors.hubspot_session import fault
from connectors.hubspot_write import as_text
from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Clock, Fault, Reply, Request, serve
from core.connector import Ask, Page, PushField, Write
from core.errors import CredentialsError, VendorError, VendorUnavailable
from core.http import ReadOnlyError, Transport
from core.mapping import load_mapping

START = 1_780_000_000.0  # 2026-05-28T20:26:40Z
NOW = datetime.fromtimestamp(START, UTC)
OLD, LATER = "2026-05-01T12:00:00Z", "2026-05-28T20:00:00Z"
GRANT = {"client_id": "hub-client", "client_secret": "hub-secret", "refresh_token": "hub-refresh"}


def thing(oid: int, updated: str = OLD, **properties: Any) -> dict[str, Any]:
    more = {k: properties.pop(k) for k in ("archived", "archivedAt", "history") if k in properties}
    return {"id": str(oid), "properties": properties, "createdAt": "2026-04-01T08:00:00Z", "updatedAt": updated, "archived": False, **more}


def people(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [thing(i, email=f"p{i}@x.test", lifecyclestage="lead") for i in range(first, first + count)]


class Ticks:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Account:
    emulator: HubspotEmulator
    transport: Transport
    session: Any
    ticks: Ticks

    def read(self, resource: str, fields: Sequence[str] = ("properties.email",), **asked: Any) -> list[Page]:
        return list(CONNECTOR.resource(resource).read(self.session, Ask(resource, tuple(fields), asked.pop("now", NOW), **asked)))

    def again(self, pages: Sequence[Page], resource: str = "contacts", **asked: Any) -> list[Page]:
        return self.read(resource, state=pages[-1].state, **asked)

    def write(self, *writes: Write, kind: str = "contacts") -> dict[str, Any]:
        return {r.key: r for r in CONNECTOR.target(kind).write(self.session, writes)}

    def value(self, oid: str, name: str, kind: str = "contacts") -> Any:
        return self.emulator.store.tables[kind].rows[oid].props.get(name)


@contextmanager
def account(
    contacts: list[dict[str, Any]] | None = None,
    *,
    objects: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    writes: bool = False,
    cls: type[HubspotEmulator] = HubspotEmulator,
    text_ids: bool = False,
    **seed: Any,
) -> Iterator[Account]:
    ticks = Ticks()
    seeded = {"objects": {"contacts": contacts or [], **(objects or {})}, **seed}
    emulator = cls(seeded, clock=Clock(START), ticks=ticks.monotonic, text_ids=text_ids)
    fakes: dict[str, Any] = {"sleep": ticks.sleep, "monotonic": ticks.monotonic, "rng": lambda: 0.5}
    shared: dict[str, Any] = {"buckets": CONNECTOR.buckets, "fault": CONNECTOR.fault, "safe_posts": CONNECTOR.safe_posts, "writes": writes}
    with serve([emulator]) as urls, Transport("hubspot", **shared, **fakes) as transport:
        given = settings or {"token": "pat-na1-sandbox"}
        yield Account(emulator, transport, CONNECTOR.open({**given, "base_url": urls["hubspot"]}, transport), ticks)


def rows(pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in orjson.loads(page.body)["results"]]


def ids(pages: Sequence[Page], *passes: str) -> list[str]:
    return [row["id"] for row in rows([p for p in pages if not passes or p.pass_name in passes])]


def sent(account: Account, ending: str) -> int:
    return sum(path.endswith(ending) for _, path, _ in account.emulator.log)


# -- reading everything ---------------------------------------------------------------------------------------------
def test_the_first_read_lists_every_record_once_and_counts_them_by_the_vendors_total() -> None:
    with account(people(230)) as hub:
        pages = hub.read("contacts")
    assert ids(pages, "scan") == [str(i) for i in range(1, 231)]
    assert {p.total for p in pages if p.pass_name == "scan"} == {230}
    assert all(p.present for p in pages if p.pass_name == "scan")
    assert pages[-1].state == {"v": 1, "since": OLD}


def test_reading_goes_on_after_any_page_as_if_it_had_not_been_cut_off() -> None:
    with account(people(330), objects={"deals": [thing(i, dealstage="contractsent") for i in range(1, 121)]}) as hub:
        hub.emulator.store.archive("contacts", "300")
        for resource in ("contacts", "contact_stages", "deals", "deal_stages", "owners"):
            whole = hub.read(resource)
            for cut in range(len(whole)):
                assert ids(whole[: cut + 1]) + ids(hub.read(resource, state=whole[cut].state))[
                    : len(ids(whole)) - len(ids(whole[: cut + 1]))
                ] == ids(whole)


def test_an_interrupted_read_of_changes_goes_on_behind_its_last_page() -> None:
    with account(people(700)) as hub:
        hub.emulator.edits["touch_many"]("contacts", [str(i) for i in range(1, 651)], {"city": "Bonn"}, at=LATER)
        whole = hub.read("contacts", state={"v": 1, "since": LATER})
        assert [len(rows([p])) for p in whole] == [200, 200, 200, 50, 0]
        for cut, page in enumerate(whole[:-1]):
            assert ids(whole[: cut + 1]) + ids(hub.read("contacts", state=page.state)) == ids(whole)


def test_a_second_read_brings_only_what_changed() -> None:
    with account(people(300)) as hub:
        first = hub.read("contacts")
        hub.emulator.edits["update"]("contacts", "17", {"city": "Bonn"}, at=LATER)
        second = hub.again(first)
        third = hub.again(second)
    assert ids(second, "changes") == [str(i) for i in range(1, 301)]  # the overlap: all share the newest stamp of the first read
    assert second[-1].state == {"v": 1, "since": LATER}
    assert ids(third) == ["17"]


def test_more_than_ten_thousand_changes_with_one_stamp_all_arrive() -> None:  # rows 1 and 2
    with account(people(10_450)) as hub:
        state = {"v": 1, "since": "2026-05-20T00:00:00Z"}
        changed = [str(i) for i in range(1, 10_431)]
        hub.emulator.edits["touch_many"]("contacts", changed, {"city": "Bonn"}, at=LATER)
        pages = hub.read("contacts", state=state)
        refused = [status for _, _, status in hub.emulator.log if status >= 400]
    assert ids(pages) == changed
    assert {p.total for p in pages if p.pass_name == "changes"} == {10_430}
    assert refused == []
    assert max(len(p.body) for p in pages) < 200_000


def test_ids_the_server_orders_as_text_lose_no_record() -> None:  # row 3
    many = [thing(i, updated=LATER) for i in (*range(7_100, 7_400), *range(719_869_649_000, 719_869_649_250))]
    with account(many, text_ids=True) as hub:
        pages = hub.read("contacts", state={"v": 1, "since": OLD})
    assert sorted(ids(pages)) == sorted(row["id"] for row in many)
    assert len(ids(pages)) == 550


class Gappy(HubspotEmulator):
    """Puts an empty page, which still names a next one, before every page of the list and of the search."""

    def _route(self, request: Request) -> Reply:
        if request.method == "GET" and request.path == "/crm/v3/objects/contacts":
            after = request.q("after") or ""
            if not after.startswith("gap"):
                return Reply({"results": [], "paging": {"next": {"after": f"gap{after}"}}})
            request.query["after"][:] = [after.removeprefix("gap")]  # type: ignore[index]
            if request.query["after"] == [""]:
                request.query.pop("after")  # type: ignore[attr-defined]
        if request.path.endswith("/search") and request.json()["limit"] > 1 and "after" not in request.json():
            return Reply({"total": 7, "results": [], "paging": {"next": {"after": "0"}}})
        return super()._route(request)


def test_only_a_missing_next_link_ends_a_pass_not_an_empty_page() -> None:  # row 4
    with account([thing(i, updated=LATER) for i in range(1, 251)], cls=Gappy) as hub:
        first = hub.read("contacts")
        second = hub.read("contacts", state={"v": 1, "since": OLD})
    assert ids(first) == ids(second) == [str(i) for i in range(1, 251)]


def test_what_the_lagging_index_hides_arrives_with_the_next_read() -> None:  # row 5
    with account(people(3)) as hub:
        first = hub.read("contacts")
        hub.emulator.clock.advance(10)
        hub.emulator.edits["update"]("contacts", "1", {"city": "Bonn"})
        hub.emulator.clock.advance(30)
        hub.emulator.edits["update"]("contacts", "2", {"city": "Bonn"})
        hub.emulator.clock.advance(20)
        hub.emulator.faults.append(Fault("lag", times=-1, seconds=55))
        during = hub.again(first, now=datetime.fromtimestamp(START + 60, UTC))
        hub.emulator.faults.clear()
        after = hub.again(during, now=datetime.fromtimestamp(START + 90, UTC))
    assert set(ids(after)) >= {"1", "2"}


def test_records_edited_while_they_are_read_arrive_now_or_next_time() -> None:  # row 29
    with account([thing(i, updated=LATER) for i in range(1, 601)]) as hub:
        hub.emulator.faults.append(Fault("move", match="search", times=-1))
        pages = hub.read("contacts", state={"v": 1, "since": "2026-05-28T00:00:00Z"})
        hub.emulator.faults.clear()
        edited = {t.id for t in hub.emulator.store.tables["contacts"].rows.values() if t.updated != LATER}
        following = hub.again(pages)
    assert ids(pages, "changes") == [str(i) for i in range(1, 601)]
    assert edited
    assert edited <= set(ids(following))


def test_a_repeated_row_of_a_moving_list_costs_nothing_but_itself() -> None:
    with account(people(250)) as hub:
        hub.emulator.faults.append(Fault("move", match="objects/contacts$", times=-1))
        pages = hub.read("contacts")
    assert set(ids(pages)) == {str(i) for i in range(1, 251)}


def test_a_clock_that_is_ahead_of_the_vendors_loses_nothing() -> None:
    with account(people(3)) as hub:
        first = hub.read("contacts", now=datetime(2027, 1, 1, tzinfo=UTC))
        hub.emulator.edits["update"]("contacts", "2", {"city": "Bonn"})
        second = hub.again(first, now=datetime(2027, 1, 2, tzinfo=UTC))
    assert "2" in ids(second)


def test_each_type_goes_by_its_own_stamp_and_a_portal_without_it_is_reported() -> None:  # row 6
    kinds = ("contacts", "companies", "deals", "leads")
    with account(objects={kind: [thing(i) for i in range(1, 4)] for kind in kinds}) as hub:
        for kind in kinds:
            first = hub.read(kind)
            hub.emulator.edits["update"](kind, "2", {"hubspot_owner_id": "1"}, at=LATER)
            assert "2" in ids(hub.again(hub.again(first, kind), kind)), kind
        del hub.emulator.store.properties["deals"]["hs_lastmodifieddate"]
        with pytest.raises(VendorError, match="hs_lastmodifieddate"):
            hub.read("deals")


def test_overlapping_rows_carry_the_same_columns_as_the_first_time() -> None:  # row 9
    with account(people(3)) as hub:
        fields = ("properties.email", "properties.city", "properties.lifecyclestage")
        first = hub.read("contacts", fields)
        second = hub.again(first, fields=fields)
    assert {r["id"]: r["properties"] for r in rows(first)} == {r["id"]: r["properties"] for r in rows(second)}


def test_archived_and_merged_records_are_told_on_every_read() -> None:  # row 10
    with account(people(4)) as hub:
        first = hub.read("contacts")
        hub.emulator.store.archive("contacts", "2")
        hub.emulator.store.merge("contacts", "1", "3")
        fields = ("properties.email", "properties.hs_merged_object_ids")
        second = hub.again(first, fields=fields)
        full = hub.again(second, fields=fields, full=True)
    gone = rows([p for p in second if p.pass_name == "archived"])
    assert [(r["id"], r["archived"], r["archivedAt"][:10]) for r in gone] == [("2", True, "2026-05-28")]
    assert {r["id"]: r["properties"]["hs_merged_object_ids"] for r in rows(second)}["1"] == "3"
    assert [row["id"] for row in rows([p for p in full if p.present])] == ["1", "4"]
    assert not any(p.present for p in second)


def test_hundreds_of_columns_all_arrive_in_rows_of_one_moment() -> None:  # rows 11 and 12
    names = [f"a_rather_long_custom_property_{i:04}" for i in range(700)]
    many = [thing(i, **dict.fromkeys(names, str(i))) for i in range(1, 151)]
    with account(many) as hub:
        fields = [f"properties.{n}" for n in names]
        pages = hub.read("contacts", fields)
        lists, reads = sent(hub, "/crm/v3/objects/contacts"), sent(hub, "/batch/read")
        changed = hub.again(pages, fields=fields)
    for got in (rows(pages), rows(changed)):
        assert sorted(int(r["id"]) for r in got) == list(range(1, 151))
        assert all(r["properties"][n] == r["id"] for r in got for n in names)
    assert (lists, reads) == (3, 2)  # one batch read for each page with rows; the third list is that of the archived


# -- values, through the mapping as shipped -------------------------------------------------------------------------
def test_texts_become_typed_values_and_empty_ones_become_null() -> None:  # rows 13 to 16
    deal = {
        "amount": "67340.0",
        "closedate": "1780000000000",
        "pipeline": "default",
        "dealstage": "contractsent",
        "dealname": "",
        "dealtype": "x",
    }
    mapping = load_mapping(Path(__file__).parent.parent / "mappings" / "hubspot.yaml", CONNECTOR)
    with account([thing(1, hs_email_optout="false", hubspotscore="")], objects={"deals": [thing(5, **deal)]}) as hub:
        found = {}
        for name in ("contacts", "deals"):
            compiled = mapping.resource(name)
            page = hub.read(name, compiled.fields_asked)[0]
            parsed = compiled.parse(page.body, page.rows)
            assert not parsed.rejects
            found |= dict(compiled.columns(parsed.rows))
        hub.emulator.edits["update"]("deals", "5", {"dealtype": ""}, at=LATER)
        cleared = rows(hub.read("deals", ("properties.dealtype",), state={"v": 1, "since": OLD}))
    assert (found["person"]["marketable"], found["person"]["score"]) == ([True], [None])
    assert (found["deal"]["amount"], found["deal"]["name"]) == ([Decimal("67340.0")], [None])
    assert str(found["deal"]["close_date"][0]) == "2026-05-28"
    assert cleared[0]["properties"]["dealtype"] is None


# -- relations, history, events ---------------------------------------------------------------------------------------
def test_a_changed_association_is_seen_although_no_record_was_touched() -> None:  # row 7
    with account(people(2), objects={"companies": [thing(8), thing(9)]}) as hub:
        known: dict[str, Any] = {"known_ids": lambda resource: iter([["1"], ["2"]])}
        hub.emulator.store.link("contacts", "1", "companies", "8", 279)
        first = hub.read("contact_companies", **known)
        hub.emulator.store.unlink("contacts", "1", "companies", "8")
        hub.emulator.store.link("contacts", "2", "companies", "9", 279)
        second = hub.read("contact_companies", state=first[-1].state, **known)
    edges = [[(r["from"]["id"], [t["toObjectId"] for t in r["to"]]) for r in rows(pages)] for pages in (first, second)]
    assert edges == [[("1", ["8"])], [("2", ["9"])]]
    assert all(p.present for p in second)


def test_every_association_of_a_busy_record_arrives_and_a_cut_off_read_goes_on() -> None:  # row 8
    with account(people(2_300), objects={"companies": [thing(i) for i in range(1, 8)]}) as hub:
        hub.emulator.links.page_size = 3
        for company in range(1, 8):
            hub.emulator.store.link("contacts", "1500", "companies", str(company), 279)
        known: dict[str, Any] = {"known_ids": lambda resource: iter([[str(i) for i in range(1, 2_301)]])}
        whole = hub.read("contact_companies", **known)
        rest = [hub.read("contact_companies", state=page.state, **known) for page in whole[:-1]]
    assert [t["toObjectId"] for r in rows(whole) for t in r["to"]] == [str(i) for i in range(1, 8)]
    assert [p.state.get("last") for p in whole] == ["1000", "1000", "1000", "2000", None]
    assert [len(pages) for pages in rest] == [4, 4, 4, 1]  # the busy records' thousand is read again from its start
    assert not any(p.present for pages in rest for p in pages)


def test_stage_history_is_read_of_all_records_first_and_then_of_the_changed_ones() -> None:
    deals = [thing(i, dealstage="contractsent", pipeline="default", amount="5") for i in range(1, 121)]
    with account(objects={"deals": deals}) as hub:
        fields = ("id", "propertiesWithHistory.dealstage.value", "properties.pipeline", "propertiesWithHistory.amount.value")
        first = hub.read("deal_stages", fields)
        hub.emulator.edits["touch_many"]("deals", [str(i) for i in range(1, 71)], {"dealstage": "closedwon"}, at=LATER)
        second = hub.read("deal_stages", fields, state={"v": 1, "since": "2026-05-20T00:00:00Z"})
    assert [len(rows([p])) for p in first] == [50, 50, 20]
    assert [len(rows([p])) for p in second] == [50, 20]
    row = next(r for r in rows(second) if r["id"] == "7")
    assert [h["value"] for h in row["propertiesWithHistory"]["dealstage"]] == ["closedwon", "contractsent"]
    assert set(row["propertiesWithHistory"]) == {"dealstage", "amount"}
    assert row["properties"]["pipeline"] == "default"


def test_archived_owners_follow_the_active_ones() -> None:
    owners = [{"id": str(i), "email": f"o{i}@x.test", "userId": i, "archived": i > 120} for i in range(1, 131)]
    with account(owners=owners) as hub:
        pages = hub.read("owners")
    assert ids(pages) == [str(i) for i in range(1, 131)]
    assert pages[-1].state == {"v": 1}


def test_events_come_type_by_type_and_then_only_the_new_ones() -> None:
    def event(i: int, kind: str, at: str) -> dict[str, Any]:
        return {"id": f"e{i}", "objectType": "CONTACT", "objectId": "1", "eventType": kind, "occurredAt": at, "properties": {}}

    some = [event(i, "form" if i % 3 else "visit", f"2026-05-01T{i // 60:02}:{i % 60:02}:00Z") for i in range(250)]
    with account(people(1), events=some) as hub:
        whole = hub.read("events")
        for cut, page in enumerate(whole[:-1]):
            assert ids(whole[: cut + 1]) + ids(hub.read("events", state=page.state)) == ids(whole)
        hub.emulator.store.events.append(event(999, "form", "2026-05-28T10:00:00Z"))
        later = hub.read("events", state=whole[-1].state)
    assert sorted(ids(whole)) == sorted(e["id"] for e in some)
    assert set(ids(later)) - {"e247", "e248", "e249"} == {"e999"}  # and the overlap of two minutes


# -- writing ----------------------------------------------------------------------------------------------------------
def test_what_is_written_is_read_back_and_own_properties_are_made_once() -> None:
    with account(people(2), writes=True) as hub:
        target = CONNECTOR.target("contacts")
        fields = [PushField("contacts", "tundish_stage", "Stage"), PushField("contacts", "tundish_ok", "Fine", "boolean")]
        assert list(target.ensure(hub.session, fields)) == ["tundish_stage", "tundish_ok"]  # type: ignore[misc]
        assert list(target.ensure(hub.session, fields)) == []  # type: ignore[misc]
        done = hub.write(Write("k1", "1", {"tundish_stage": "M30", "tundish_ok": True}), Write("k2", "2", {"email": None}))
        back = target.read_back(hub.session, ["1", "2", "77"], ["tundish_stage", "tundish_ok", "email"])
        assert "tundish" in hub.emulator.store.groups["contacts"]
    assert all(r.ok for r in done.values())
    assert back == {
        "1": {"tundish_stage": "M30", "tundish_ok": "true", "email": "p1@x.test"},
        "2": {"tundish_stage": None, "tundish_ok": None, "email": None},
    }


def test_one_bad_record_does_not_refuse_the_others() -> None:  # row 24
    writes = [Write(f"k{i}", str(i), {"email": "not an address" if i == 42 else f"new{i}@x.test"}) for i in range(1, 101)]
    for strict in (False, True):
        with account(people(100), writes=True) as hub:
            hub.emulator.writes.strict = strict
            done = hub.write(*writes)
            assert [r.key for r in done.values() if not r.ok] == ["k42"]
            assert done["k42"].code == "INVALID_EMAIL"
            assert hub.value("41", "email") == "new41@x.test"
            assert len(hub.emulator.store.tables["contacts"].rows["41"].past or []) == 1  # written once
            assert (sent(hub, "/batch/update") > 1) == strict


class Forgetful(HubspotEmulator):
    """Answers a batch update with 200 and leaves the second record out of the reply."""

    def _route(self, request: Request) -> Reply:
        reply = super()._route(request)
        if request.path.endswith("/batch/update"):
            body = orjson.loads(reply.payload())
            return Reply({**body, "results": [r for r in body["results"] if r["id"] != "2"]})
        return reply


def test_a_record_the_reply_does_not_name_is_no_success() -> None:  # row 25
    with account(people(3), writes=True, cls=Forgetful) as hub:
        done = hub.write(*[Write(f"k{i}", str(i), {"city": "Bonn"}) for i in (1, 2, 3)])
    assert {k: (r.ok, r.code) for k, r in done.items()} == {"k1": (True, ""), "k2": (False, "UNCONFIRMED"), "k3": (True, "")}


def test_a_record_that_is_gone_is_told_by_its_own_result() -> None:  # row 26
    with account(people(2), writes=True) as hub:
        done = hub.write(Write("k1", "1", {"city": "Bonn"}), Write("k9", "999", {"city": "Bonn"}))
    assert (done["k1"].ok, done["k9"].ok, done["k9"].code) == (True, False, "OBJECT_NOT_FOUND")


def test_a_life_cycle_stage_can_be_taken_back() -> None:
    with account(people(2), writes=True) as hub:
        assert hub.write(Write("up", "1", {"lifecyclestage": "customer"}))["up"].ok
        done = hub.write(Write("back", "1", {"lifecyclestage": "lead", "city": "Bonn"}), Write("up2", "2", {"lifecyclestage": "customer"}))
        assert [done["back"].ok, done["up2"].ok] == [True, True]
        assert [hub.value(i, "lifecyclestage") for i in ("1", "2")] == ["lead", "customer"]
        assert hub.value("1", "city") == "Bonn"


def test_a_session_opened_for_reading_reads_by_post_but_sends_no_write() -> None:
    with account(people(2)) as hub:
        hub.read("contacts")
        CONNECTOR.target("contacts").read_back(hub.session, ["1"], ["email"])
        with pytest.raises(ReadOnlyError):
            hub.write(Write("k", "1", {"city": "Bonn"}))
        assert sent(hub, "/batch/update") == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (Decimal("12.50"), "12.50"),
        (datetime(2026, 5, 1, 12, 0, tzinfo=UTC), "2026-05-01T12:00:00.000Z"),
        (datetime(2026, 5, 1, tzinfo=UTC).date(), "2026-05-01"),
        ("00123", "00123"),
    ],
)
def test_values_are_written_as_hubspots_texts(value: Any, text: str) -> None:  # rows 33 and 39
    assert as_text(value) == text


# -- tokens, limits, refusals -----------------------------------------------------------------------------------------
def test_a_token_that_expires_in_the_middle_of_a_read_is_renewed_once() -> None:  # row 27
    with account(people(550), settings=GRANT) as hub:
        hub.emulator.faults.append(Fault("expire", match="objects/contacts$", after=2))
        pages = hub.read("contacts")
        assert sent(hub, "/oauth/v1/token") == 2
    assert ids(pages) == [str(i) for i in range(1, 551)]


@pytest.mark.parametrize("settings", [{"token": "pat-wrong"}, {**GRANT, "refresh_token": "revoked"}, {**GRANT, "client_secret": "x"}])
def test_a_wrong_credential_names_the_setting_and_is_not_tried_again(settings: dict[str, str]) -> None:
    with account(people(1), settings=settings) as hub:
        with pytest.raises(CredentialsError, match="token"):
            CONNECTOR.probe(hub.session)
        assert len(hub.emulator.log) == 1


def test_without_any_credential_opening_says_what_to_set() -> None:
    with pytest.raises(CredentialsError, match="token"), account(settings={"client_id": "x"}):
        pass


def test_storms_and_cut_pages_are_ridden_out_without_losing_or_doubling_a_row() -> None:  # row 28
    with account(people(450)) as hub:
        hub.emulator.faults += [
            Fault("throttle", match="objects", times=2),
            Fault("throttle", match="objects", after=1, retry_after="1"),
            Fault("cut", match="objects", after=3),
            Fault("error", match="objects", after=4, status=502),
        ]
        pages = hub.read("contacts")
    assert ids(pages) == [str(i) for i in range(1, 451)]


def test_the_limits_of_both_buckets_are_kept_without_one_refusal() -> None:
    with account(people(300), objects={"deals": people(10)}) as hub:
        for _ in range(20):
            for kind in ("contacts", "deals"):
                hub.read(kind)
        assert {status for _, _, status in hub.emulator.log} == {200}
        assert hub.ticks.now > 7  # 40 searches at five a second


def test_the_days_allowance_used_up_stops_the_account() -> None:
    with account(people(3)) as hub:
        hub.emulator.daily_left = 0
        with pytest.raises(VendorUnavailable, match="daily"):
            hub.read("contacts")


def test_a_missing_scope_is_named_and_nothing_looks_complete() -> None:  # row 41
    with account(people(3)) as hub:
        hub.emulator.tokens.missing.add("crm.objects.contacts.read")
        with pytest.raises(VendorError, match=r"crm\.objects\.contacts\.read") as no:
            hub.read("contacts")
    assert no.value.status == 403


def test_no_secret_and_no_address_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:  # row 40
    caplog.set_level(logging.DEBUG)
    with account(people(2), settings=GRANT, writes=True) as hub:
        hub.emulator.faults.append(Fault("expire", after=1))
        hub.read("contacts")
        done = hub.write(Write("k", "1", {"email": "p2@x.test"}))
        tokens = list(hub.emulator.tokens.given)
    text = caplog.text + str(done)
    assert not [secret for secret in (*tokens, "hub-secret", "hub-refresh", "p2@x.test") if secret in text]
    assert done["k"].code == "CONFLICT"


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait"),
    [
        (401, {"category": "EXPIRED_AUTHENTICATION"}, "expired", None),
        (401, {"category": "INVALID_AUTHENTICATION"}, "unauthorised", None),
        (400, {"status": "BAD_REFRESH_TOKEN"}, "unauthorised", None),
        (400, {"error": "invalid_grant"}, "unauthorised", None),
        (403, {"category": "MISSING_SCOPES"}, "forbidden", None),
        (404, {"category": "OBJECT_NOT_FOUND"}, "missing", None),
        (409, {"category": "CONFLICT"}, "refused", None),
        (414, b"<html>", "refused", None),
        (423, {}, "transient", 2.0),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, "throttled", 10.0),
        (429, {"policyName": "SECONDLY"}, "throttled", 1.0),
        (429, {"policyName": "DAILY"}, "exhausted", None),
        (429, b"", "throttled", None),
        (477, {}, "exhausted", None),
        (502, b"<html>bad gateway</html>", "transient", None),
        (530, b"", "transient", None),
    ],
)
def test_refusals_are_told_apart_by_status_and_code(status: int, body: Any, kind: str, wait: float | None) -> None:
    found = fault(status, {}, body if isinstance(body, bytes) else orjson.dumps(body))
    assert (found.kind, found.retry_after_s) == (kind, wait)
    assert found.message


def test_a_retry_after_in_milliseconds_is_not_believed() -> None:
    body = orjson.dumps({"policyName": "TEN_SECONDLY_ROLLING"})
    assert fault(429, {"retry-after": "9000"}, body).retry_after_s == 10.0
    assert fault(429, {"retry-after": "3"}, body).retry_after_s == 3.0


# -- small things -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "after"),
    [
        (b'{"results":[{"id":"1"}],"paging":{"next":{"after":"MQ==","link":"https://x/?after=MQ%3D%3D"}}}', "MQ=="),
        (b'{"results":[],"paging":{"next":{"after":"5"}}}\n', "5"),
        (b'{"results":[{"id":"1"}]}', None),
        (b'{"paging":{"next":{"after":"5"}},"results":[{"id":"1"}]}', "5"),
        (b'{"results":[{"id":"1"}],"paging":{"next":{"after":"5"}},"new":[{}]}', "5"),
        (b'{"results":[{"note":"],\\"paging\\":{\\"next\\":{\\"after\\":\\"9\\"}}}"}]}', None),
        (b'{"results":[{"associations":{"x":{"results":[],"paging":{"next":{"after":"9"}}}}}]}', None),
    ],
)
def test_the_next_cursor_is_found_wherever_it_stands(body: bytes, after: str | None) -> None:
    assert next_cursor(body) == after


def test_an_unreadable_state_is_refused_and_an_empty_portal_is_not() -> None:  # row 30
    with account() as hub:
        assert hub.read("contacts")[-1].state == {"v": 1, "since": None}
        assert hub.again(hub.read("contacts"))[0].pass_name == "scan"
        with pytest.raises(VendorError, match="--full"):
            hub.read("contacts", state={"v": 9})


def test_the_live_portal_is_described_with_its_own_properties_and_stages() -> None:
    own = [{"name": "favourite_colour", "label": "Favourite colour", "type": "enumeration", "options": [{"value": "red", "label": "Red"}]}]
    with account(people(1), properties={"contacts": own}) as hub:
        live = CONNECTOR.discover(hub.session)  # type: ignore[misc]
        about = CONNECTOR.probe(hub.session)
        hub.emulator.tokens.missing |= {"crm.schemas.leads.read"}
        without = CONNECTOR.discover(hub.session)  # type: ignore[misc]
    colour = next(f for f in live.fields if f.path == "properties.favourite_colour")
    assert (colour.resource, colour.type, colour.options, colour.writable) == ("contacts", "choice", ("red",), True)
    assert not next(f for f in live.fields if f.path == "properties.hs_object_id").writable
    won = next(s for s in live.stages if s.stage_id == "closedwon")
    assert (won.record_kind, won.pipeline_id, won.closed, won.won, won.probability) == ("deal", "default", True, True, 1.0)
    assert [s.stage_id for s in live.stages if s.record_kind == "person" and not s.pipeline_id][:2] == ["subscriber", "lead"]
    assert "7654321" in about
    assert not [f for f in without.fields if f.resource == "leads"]
