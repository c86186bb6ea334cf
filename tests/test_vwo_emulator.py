"""The emulated VWO answers and refuses as VWO does; asked over bare HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from vwo_workspace import START, WORKSPACE, Workspace, at, campaign, seed, visitor, workspace

from connectors.sandbox.vwo import TOKEN

NOW = int(START.timestamp())


def event(name: str = "sale", who: str = visitor(1), **more: Any) -> dict[str, Any]:
    told = {"name": name, "time": NOW * 1000, "props": {"isCustomEvent": True, "vwoMeta": {}, "revenue": 900.5}}
    return {"d": {"msgId": "m-1", "visId": who, "sessionId": NOW, "event": told, "visitor": {"props": {}}} | more}


def collect(place: Workspace, body: Any, **query: Any) -> int:
    return place.bare("POST", "/events/t", body, headers={}, **{"en": "sale", "a": WORKSPACE, **query})[0]


# -- the door ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": f"Token {TOKEN}"}, 401), ({"token": "wrong"}, 403), ({"token": TOKEN}, 200), ({"Token": TOKEN}, 200)],
)
def test_only_the_token_header_opens(headers: dict[str, str], status: int) -> None:
    with workspace(seed()) as place:
        got, body = place.bare("GET", "/api/v2/accounts/current", headers=headers)
    assert got == status
    assert status == 200 or body["_errors"][0]["code"] == status


def test_a_second_call_in_the_same_second_is_refused_and_the_collector_is_not_counted() -> None:
    with workspace(seed()) as place:
        assert place.get("/labels")[0] == 200
        assert collect(place, event()) == 200
        place.clock.advance(-1.5)
        status, body = place.get("/labels")
        assert (status, body["_errors"][0]["code"]) == (429, 429)
        assert place.get("/labels")[0] == 200


def test_a_retired_version_says_so_with_status_200() -> None:
    with workspace(seed()) as place:
        status, body = place.bare("GET", "/api/v1/accounts/current")
    assert (status, set(body)) == (200, {"API_ERROR", "API_ERROR_DESCRIPTION"})


def test_other_workspaces_look_missing_and_the_own_one_is_listed_only_on_request() -> None:
    with workspace(seed(workspaces=[{"id": 9, "name": "Shop"}])) as place:
        assert place.bare("GET", "/api/v2/accounts/9")[0] == 404
        assert place.bare("GET", f"/api/v2/accounts/{WORKSPACE}")[0] == 200
        listed = [place.bare("GET", "/api/v2/accounts", **q)[1]["_data"] for q in ({}, {"includeCurrent": "true"})]
    assert [[w["id"] for w in found] for found in listed] == [[9], [WORKSPACE, 9]]


# -- lists ---------------------------------------------------------------------------------------------------------------
def test_more_than_25_campaigns_never_come_and_the_count_says_how_many_there_are() -> None:
    with workspace(seed(*(campaign(i, "heatmap") for i in range(1, 31)))) as place:
        _, first = place.get("/campaigns", limit=100)
        _, rest = place.get("/campaigns", limit=100, offset=25)
    assert (len(first["_data"]["partialCollection"]), first["_data"]["totalCount"]) == (25, 30)
    assert len(rest["_data"]["partialCollection"]) == 5


def test_a_status_filter_changes_the_envelope_and_wants_capitals() -> None:
    with workspace(seed(campaign(1), campaign(2, status="PAUSED"))) as place:
        _, bare = place.get("/campaigns", status="PAUSED")
        refused, _ = place.get("/campaigns", status="paused")
    assert [c["id"] for c in bare["_data"]] == [2]
    assert refused == 400


def test_empty_lists_are_no_lists() -> None:
    with workspace(seed()) as place:
        assert place.get("/campaigns")[1]["_data"] == {"partialCollection": {}, "totalCount": 0, "offset": 0}
        assert place.get("/labels")[1] == {}


def test_deleted_campaigns_stay_listed_and_archived_ones_still_say_stopped() -> None:
    with workspace(seed(campaign(1), campaign(2, status="STOPPED", archived=True))) as place:
        place.emulator.remove(1)
        _, listed = place.get("/campaigns")
        _, archived = place.get("/campaigns", status="ARCHIVED")
        _, deleted = place.get("/campaigns", status="DELETED")
    assert {c["id"]: (c["status"], c["isDeleted"]) for c in listed["_data"]["partialCollection"]} == {
        1: ("STOPPED", True),
        2: ("STOPPED", False),
    }
    assert ([c["id"] for c in archived["_data"]], [c["id"] for c in deleted["_data"]]) == ([2], [1])


def test_lists_cut_what_hangs_on_a_campaign() -> None:
    with workspace(seed(campaign(1))) as place:
        [item] = place.get("/campaigns")[1]["_data"]["partialCollection"]
        detail = place.get("/campaigns/1")[1]["_data"]
    assert (item["variations"], len(item["goals"]["partialCollection"]), item["goals"]["totalCount"]) == (
        {"partialCollection": [], "totalCount": 2},
        1,
        2,
    )
    assert [v["name"] for v in detail["variations"]] == ["control", "blue; or not"]
    assert "isDeleted" not in detail


def test_the_change_log_is_cut_to_100_newest_first_with_times_as_text() -> None:
    lines = [{"id": i, "type": "campaign", "what": "x", "when": str(1000 + i), "who": {}, "campaign": {"id": 1}} for i in range(1, 131)]
    with workspace(seed(feeds=lines)) as place:
        _, first = place.get("/feeds", limit=500)
        _, some = place.get("/feeds", startTime=1128, endTime=1129)
    assert ([f["id"] for f in first["_data"]][:2], len(first["_data"])) == ([130, 129], 100)
    assert [f["when"] for f in some["_data"]] == ["1129", "1128"]


# -- reports -----------------------------------------------------------------------------------------------------------------
def test_a_test_nobody_saw_has_empty_arrays_where_objects_are() -> None:
    with workspace(seed(campaign(1, status="NOT_STARTED"))) as place:
        detail = place.get("/campaigns/1")[1]["_data"]
    assert (detail["dataIntervalRange"], detail["variationGoalData"], detail["goals"][0]["aggregatedData"]) == ([], [], [])


def test_intervals_begin_at_the_workspaces_midnight_and_add_up() -> None:
    late = at("2026-06-10T22:30:00Z")  # the 11th in Berlin
    seen = {visitor(1): (1, late), visitor(2): (1, late + 60), visitor(3): (2, late)}
    reached = [(visitor(1), 1, late + 90, 0.0), (visitor(1), 1, late + 99, 0.0)]
    with workspace(seed(campaign(1, seen=seen, reached=reached))) as place:
        report = place.get("/campaigns/1")[1]["_data"]["variationGoalData"]
    lead = next(r for r in report if (r["variation"], r["goal"]) == (1, 1))
    assert lead["intervalWise"] == [{"interval": at("2026-06-10T22:00:00Z"), "visitorCount": 2, "conversionCount": 1, "totalCount": 2}]
    assert (lead["aggregated"]["visitorCount"], lead["aggregated"]["conversionRate"]) == (2, 0.5)
    assert len(report) == 4


# -- events ------------------------------------------------------------------------------------------------------------------
def sales(place: Workspace) -> tuple[int, float]:
    """Conversions and revenue of the sale goal in the first variation."""
    report = place.get("/campaigns/1")[1]["_data"]["variationGoalData"]
    found = next(r["aggregated"] for r in report if (r["variation"], r["goal"]) == (1, 2))
    return found["conversionCount"], found["totalRevenue"]


def test_an_unregistered_event_is_taken_and_not_counted() -> None:
    with workspace(seed(campaign(1, seen={visitor(1): (1, NOW - 60)}))) as place:
        assert collect(place, event()) == 200
        assert (place.emulator.heard(visitor(1), "sale"), place.emulator.collector.unregistered["sale"], sales(place)) == (0, 1, (0, 0.0))
        place.emulator.collector.register("sale", [(1, 2)])
        assert sales(place) == (0, 0.0)
        assert collect(place, event()) == 200
        assert (place.emulator.heard(visitor(1), "sale"), sales(place)) == (1, (1, 900.5))


def test_the_same_event_twice_counts_twice_but_a_visitor_converts_once() -> None:
    with workspace(seed(campaign(1, seen={visitor(1): (1, NOW - 60)}), events={"sale": [(1, 2)]})) as place:
        assert [collect(place, event()) for _ in range(2)] == [200, 200]
        assert (place.emulator.heard(visitor(1), "sale"), sales(place)) == (2, (1, 1801.0))


def test_strangers_and_ended_tests_are_not_counted_in_the_report() -> None:
    with workspace(seed(campaign(1, seen={visitor(1): (1, NOW - 60)}), events={"sale": [(1, 2)]})) as place:
        assert collect(place, event(who=visitor(99))) == 200
        place.emulator.set_status(1, "STOPPED")
        assert collect(place, event()) == 200
        assert sales(place) == (0, 0.0)


@pytest.mark.parametrize("query", [{"a": 1}, {"en": "other"}])
def test_an_event_that_contradicts_its_address_is_taken_and_not_counted(query: dict[str, Any]) -> None:
    with workspace(seed(campaign(1), events={"sale": [(1, 2)]})) as place:
        assert collect(place, event(), **query) == 200
        assert place.emulator.heard(visitor(1), "sale") == 0


@pytest.mark.parametrize("body", [{}, {"d": {}}, [], event(event={"name": "sale"})])
def test_what_is_no_event_is_refused(body: Any) -> None:
    with workspace(seed(campaign(1))) as place:
        assert collect(place, body) == 400
