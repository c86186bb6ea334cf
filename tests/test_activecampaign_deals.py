"""ActiveCampaign's deals: offsets that shift, custom fields, and a history that no document describes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from activecampaign_account import account, complete, day, deal, ids, rows, world

from connectors.activecampaign import CONNECTOR
from connectors.activecampaign_deals import slug
from connectors.sandbox.kit import Fault
from core.connector import Ask
from core.mapping import compile_mapping

CUSTOM = ("id", "fields.PARTNER_NAME")
PATH = [("20", 30.0), ("21", 20.0), ("23", 9.0), ("won", 2.0)]


def test_deals_are_read_to_the_end() -> None:
    with account(world(deals=[deal(i) for i in range(1, 231)])) as ac:
        pages = ac.read("deals")
        assert (len(ids(pages)), len(set(ids(pages))), complete(pages)) == (230, 230, True)
        assert all(p.present for p in pages)


def test_deals_that_vanish_while_reading_hide_none_of_the_others() -> None:
    with account(world(deals=[deal(i) for i in range(1, 351)])) as ac:
        ac.emulator.faults.append(Fault("move", match="/deals$", times=3, after=1))
        pages = ac.read("deals")
        assert set(ids(pages)) >= {str(i) for i in range(4, 351)}
        assert complete(pages)


def test_a_second_read_brings_what_changed_with_the_bound_inside() -> None:
    with account(world(deals=[deal(i, ("20", 30.0 - i)) for i in range(1, 9)])) as ac:
        state = ac.read("deals")[-1].state
        assert state == {"v": 1, "since": day(22 + 1 / 24)}
        ac.emulator.edits["move_deal"]("3", "22")
        pages = ac.read("deals", state=state)
        assert sorted(ids(pages)) == ["3", "8"]
        assert not any(p.present for p in pages)


def test_a_read_of_deals_goes_on_where_it_stopped() -> None:
    with account(world(deals=[deal(i) for i in range(1, 231)])) as ac:
        pages = ac.read("deals")
        for cut in (1, 2):
            rest = ac.read("deals", state=orjson.loads(orjson.dumps(pages[cut - 1].state)))
            assert ids(pages[:cut]) + ids(rest) == ids(pages)
            assert rest[-1].state == pages[-1].state


def test_a_deleted_deal_is_missing_from_a_full_read() -> None:
    with account(world(deals=[deal(1), deal(2)])) as ac:
        state = ac.read("deals")[-1].state
        ac.emulator.edits["delete_deal"]("1")
        assert ids(ac.read("deals", state=state, full=True)) == ["2"]


def test_custom_fields_of_deals_are_put_into_the_row_with_their_currency() -> None:
    with account(world(deals=[deal(1, fields={"1": "Reseller 4", "2": "12000"}), deal(2)])) as ac:
        found = [row["fields"] for row in rows(ac.read("deals", fields=CUSTOM))]
        assert found == [{"PARTNER_NAME": "Reseller 4", "COMMISSION": "12000", "COMMISSION_currency": "EUR"}, {}]
        assert ac.calls("GET /api/3/dealCustomFieldData") == 1  # all at once
        state = ac.read("deals")[-1].state
        again = rows(ac.read("deals", fields=CUSTOM, state=state))
        assert {row["id"]: row["fields"].get("PARTNER_NAME") for row in again} == {"1": "Reseller 4", "2": None}


def test_fields_with_labels_that_look_alike_stay_two() -> None:
    meta = [{"id": "4", "fieldLabel": "Start date", "fieldType": "date"}, {"id": "7", "fieldLabel": "Start: date", "fieldType": "text"}]
    with account(world(dealCustomFieldMeta=meta, deals=[deal(1, fields={"4": "2026-01-01", "7": "x"})])) as ac:
        assert rows(ac.read("deals", fields=CUSTOM))[0]["fields"] == {"START_DATE": "2026-01-01", "START_DATE_7": "x"}
    assert slug(" Tundish: stage ") == "TUNDISH_STAGE"


# -- history ------------------------------------------------------------------------------------------------------------
def history(pages: Any) -> list[tuple[str, str, str]]:
    """(deal, change, what was entered) of the rows that changed a deal's place."""
    return [(row["deal"], row["change"], row["entered"]) for row in rows(pages) if row.get("change")]


def test_stage_moves_and_the_end_are_told_from_the_first_stage_on() -> None:
    with account(world(deals=[deal(1, *PATH), deal(2)])) as ac:
        pages = ac.read("dealActivities")
        assert history(pages) == [
            ("1", "first", "20"), ("1", "stage", "21"), ("1", "stage", "23"), ("1", "outcome", "won"), ("2", "first", "20"),
        ]  # fmt: skip
        assert next(row["cdate"][:10] for row in rows(pages) if row["change"] == "first") == day(30)[:10]


def test_a_deal_opened_again_is_back_in_its_stage() -> None:
    with account(world(deals=[deal(1, *PATH)])) as ac:
        ac.emulator.edits["close_deal"]("1", 0)
        assert history(ac.read("dealActivities"))[-2:] == [("1", "outcome", "won"), ("1", "outcome", "23")]


def test_another_shape_of_moves_is_a_setting() -> None:
    with account(world(), stage_moves="d_stageid:d_stageid:dataOldval") as ac:
        ac.emulator.knob("move_shape", "column")
        ac.emulator.deals.load({"deals": [deal(1, *PATH)]})
        assert [entered for _, _, entered in history(ac.read("dealActivities"))] == ["20", "21", "23", "won"]


@pytest.mark.parametrize("shape", ["column", "none"])
def test_moves_that_are_told_in_no_known_way_are_not_guessed(shape: str) -> None:
    """Without proof a deal's first stage is not known either: only how it ended is."""
    with account(world()) as ac:
        ac.emulator.knob("move_shape", shape)
        ac.emulator.deals.load({"deals": [deal(1, *PATH), deal(2)]})
        assert history(ac.read("dealActivities")) == [("1", "outcome", "won")]


def test_only_changed_deals_are_asked_for_their_activities_again() -> None:
    with account(world(deals=[deal(i, ("20", 40.0), ("21", 30.0 - i)) for i in range(1, 9)])) as ac:
        state = ac.read("dealActivities")[-1].state
        ac.emulator.calls.clear()
        ac.emulator.edits["move_deal"]("3", "22")
        again = ac.read("dealActivities", state=state)
        assert {deal_id for deal_id, _, _ in history(again)} == {"3", "8"}  # 8 is within the hour of the last stamp
        assert ac.calls("dealActivities") == 3  # one of them asks how moves are told
        assert not any(p.present for p in again)


def test_the_history_goes_on_from_any_deal() -> None:
    with account(world(deals=[deal(i, *PATH) for i in range(1, 6)])) as ac:
        pages = ac.read("dealActivities")
        for cut in range(1, len(pages) + 1):
            rest = ac.read("dealActivities", state=orjson.loads(orjson.dumps(pages[cut - 1].state)))
            assert set(ids(pages[:cut])) | set(ids(rest)) == set(ids(pages))


SNAPSHOTS = """
vendor: activecampaign
version: 1
resources:
  dealSnapshots:
    kind: stage_change
    id: [id, {const: stage}, mdate]
    fields:
      record_kind: {const: deal}
      record_id: id
      field: {const: stage}
      value: place
      entered_at: mdate
      origin: {const: snapshot}
    stage: {path: place, pipeline: group, table: deals}
stages:
  deals: {"2/20": M50, "2/22": M60, won: {milestone: M80, outcome: won}}
"""


def test_where_activities_do_not_tell_the_states_that_were_seen_do() -> None:
    """Each sync adds what it saw; equal neighbours are one entry to whoever reads histories, so the first sight dates a move."""
    compiled = compile_mapping(SNAPSHOTS, CONNECTOR).resource("dealSnapshots")
    seen: dict[str, tuple[str, str]] = {}
    with account(world(deals=[deal(1, ("20", 20.0))])) as ac:
        ac.emulator.knob("move_shape", "none")
        state = None
        for step in (lambda: None, lambda: ac.emulator.edits["move_deal"]("1", "22"), lambda: ac.emulator.edits["close_deal"]("1", 1)):
            ac.clock.advance(86_400)
            step()
            pages = ac.read("dealSnapshots", state=state, fields=compiled.fields_asked)
            state = pages[-1].state
            assert not any(p.present for p in pages)  # nothing that was seen is ever swept
            [(_, columns)] = compiled.columns([row for p in pages for row in compiled.parse(p.body, p.rows).rows])
            seen |= dict(zip(columns["vendor_id"], zip(columns["value"], columns["stage"], strict=True), strict=True))
    assert list(seen.values()) == [("20", "M50"), ("22", "M60"), ("won", "M80")]


def test_hidden_deals_have_no_history_and_do_not_stop_the_others() -> None:
    with account(world(deals=[deal(1, *PATH), deal(2)])) as ac:
        ac.emulator.edits["hide_deal"](1)
        assert {deal_id for deal_id, _, _ in history(ac.read("dealActivities"))} <= {"2"}
        assert ids(ac.read("dealSnapshots")) == ["2"]


def test_reading_lazily_asks_one_page_at_a_time() -> None:
    with account(world(deals=[deal(i) for i in range(1, 231)])) as ac:
        reading = CONNECTOR.resource("deals").read(ac.session, Ask("deals", (), ac.clock.utc()))
        next(reading)
        assert ac.calls("GET") == 1
