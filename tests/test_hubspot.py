"""Reading HubSpot through the connector: every record once, whatever is archived, merged, edited or cut off."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hubspot_account import LATER, NOW, OLD, START, account, ids, people, rows, sent, thing

from connectors.hubspot import CONNECTOR
from connectors.hubspot_read import next_cursor
from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Fault, Reply, Request
from core.connector import Ask
from core.errors import VendorError
from core.mapping import load_mapping


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


def test_records_archived_or_edited_while_they_are_read_are_not_counted_as_missing() -> None:
    with account([thing(i, updated=LATER) for i in range(1, 601)]) as hub:
        for resource_state in (None, {"v": 1, "since": "2026-05-28T00:00:00Z"}):
            kept, totals = 0, []
            for page in CONNECTOR.resource("contacts").read(hub.session, Ask("contacts", ("properties.email",), NOW, state=resource_state)):
                if page.pass_name == "archived":
                    continue
                kept, totals = kept + len(rows([page])), [*totals, page.total]
                hub.emulator.clock.advance(1)
                last = hub.emulator.store.tables["contacts"].live[-1]
                hub.emulator.store.archive("contacts", str(last))
                hub.emulator.edits["update"]("contacts", "300", {"city": str(kept)})
            assert min(totals) <= kept < max(totals)


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
    assert [row["id"] for row in rows([p for p in full if p.present])] == ["1", "4", "2"]
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
    assert all(p.present for p in whole)


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


@pytest.mark.parametrize(
    ("name", "kind", "stage", "was", "became"),
    [
        ("lead_stages", "leads", "hs_pipeline_stage", "new-stage-id", "qualified-stage-id"),
        ("company_stages", "companies", "lifecyclestage", "lead", "customer"),
    ],
)
def test_leads_and_companies_tell_where_they_have_been_too(name: str, kind: str, stage: str, was: str, became: str) -> None:
    with account(objects={kind: [thing(1, **{stage: was})]}) as hub:
        hub.emulator.edits["update"](kind, "1", {stage: became}, at=LATER)
        [row] = rows(hub.read(name, ("id", f"propertiesWithHistory.{stage}.value")))
    assert [e["value"] for e in row["propertiesWithHistory"][stage]] == [became, was]


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
