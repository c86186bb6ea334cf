"""The VWO connector against the emulated vendor: every shape understood, one call a second, an event told at most once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from vwo_workspace import START, WORKSPACE, at, campaign, rows, seed, visitor, workspace

from connectors.sandbox.kit import Fault, Reply, Request
from connectors.vwo import CONNECTOR
from connectors.vwo_read import WEEK_S, day_of
from connectors.vwo_session import collection, fault, refuse_hidden_error
from core.connector import Write
from core.errors import CredentialsError, VendorError, VendorUnavailable
from core.mapping import load_mapping

NOW = int(START.timestamp())
MAPPING = load_mapping(Path("mappings/vwo.yaml"), CONNECTOR, timezone="Europe/Berlin", currency="EUR")
SEEN = {visitor(1): (1, at("2026-06-10T22:30:00Z")), visitor(2): (2, at("2026-06-12T08:00:00Z"))}
REACHED = [(visitor(2), 1, at("2026-06-12T08:05:00Z"), 0.0), (visitor(2), 2, at("2026-06-13T08:05:00Z"), 1200.5)]


def records(resource: str, pages: list[Any]) -> list[dict[str, Any]]:
    """Unified records of the shipped mapping, as dicts."""
    compiled, found = MAPPING.resource(resource), []
    for page in pages:
        parsed = compiled.parse(page.body, page.rows)
        assert parsed.rejects == []
        for kind, columns in compiled.columns(parsed.rows, page.context):
            found += [{"kind": kind, **dict(zip(columns, values, strict=True))} for values in zip(*columns.values(), strict=True)]
    return found


# -- shapes ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"_data": {"partialCollection": [{"id": 1}], "totalCount": 7, "offset": 0}}, ([{"id": 1}], 7)),
        ({"_data": {"partialCollection": {}, "totalCount": 0}}, ([], 0)),
        ({"_data": {"partialCollection": None, "totalCount": 0}}, ([], 0)),
        ({"_data": [{"id": 1}]}, ([{"id": 1}], None)),
        ({"_data": []}, ([], None)),
        ({}, ([], None)),
    ],
)
def test_every_known_shape_of_a_list_is_understood(answer: Any, found: Any) -> None:
    assert collection(answer, "campaigns") == found


@pytest.mark.parametrize("answer", [{"_data": {"items": [{"id": 1}]}}, {"_data": "gone"}, {"_data": [1]}, "text", None])
def test_an_unknown_shape_fails_instead_of_being_read_as_empty(answer: Any) -> None:
    with pytest.raises(VendorError, match="shape"):
        collection(answer, "campaigns")


def test_an_error_inside_a_200_is_an_error() -> None:
    with workspace(seed(campaign(1))) as place:
        place.emulator.retired = True
        with place.open() as session, pytest.raises(VendorError, match="no longer available"):
            CONNECTOR.probe(session)
    refuse_hidden_error(b'{"_data": [{"name": "\\"API_ERROR\\" explained", "x": "\\"_errors\\""}]}')


# -- campaigns -----------------------------------------------------------------------------------------------------------------
def test_every_campaign_comes_once_although_only_25_come_at_a_time() -> None:
    with workspace(seed(*(campaign(i, "ab" if i < 4 else "heatmap") for i in range(1, 61)))) as place:
        pages = place.read("campaigns")
    assert sorted(row["id"] for row in rows(pages)) == list(range(1, 61))
    assert {(p.total, p.present) for p in pages} == {(60, True)}


def test_no_campaigns_at_all_is_a_whole_and_empty_read() -> None:
    with workspace(seed()) as place:
        pages = place.read("campaigns")
    assert ([rows(pages), pages[-1].total, pages[-1].present]) == ([[], 0, True])


def test_a_campaign_becomes_an_experiment_with_its_variants_and_where_it_stands() -> None:
    stopped = campaign(3, status="STOPPED", archived=True, seen=SEEN, reached=REACHED)
    with workspace(seed(campaign(1, seen=SEEN), campaign(2), stopped, campaign(4, "heatmap"))) as place:
        place.emulator.remove(2)
        found = {r["vendor_id"]: r for r in records("campaigns", place.read("campaigns")) if r["kind"] == "experiment"}
    assert set(found) == {"1", "2", "3"}
    assert found["1"]["variants"] == ("control", "blue; or not")
    assert (found["1"]["status"], found["1"]["started_at"], found["1"]["ended_at"]) == (
        "running",
        datetime(2026, 6, 10, 22, tzinfo=UTC),
        None,
    )
    assert (found["3"]["status"], found["3"]["ended_at"]) == ("ended", datetime(2026, 6, 13, 21, 59, 59, tzinfo=UTC))
    assert [found[i]["deleted"] for i in "123"] == [False, True, False]
    own = json.loads(found["3"]["attributes"])
    assert (own["archived"], [g["name"] for g in own["goals"]]) == (True, ["Lead", "Sale"])
    assert "aggregatedData" not in found["3"]["attributes"]


def test_without_the_undocumented_filter_nothing_is_archived_and_the_rest_is_read() -> None:
    with workspace(seed(campaign(1, archived=True, status="STOPPED"))) as place:
        honest = place.emulator.decorate

        def decorate(request: Request, reply: Reply) -> Reply:
            refused = Reply({"_errors": [{"code": 400, "message": "Unknown parameter status"}]}, 400)
            return refused if request.q("status") else honest(request, reply)

        place.emulator.decorate = decorate  # type: ignore[method-assign]
        assert [row["archived"] for row in rows(place.read("campaigns"))] == [False]


def test_only_what_may_have_moved_is_looked_at_closely_again() -> None:
    tests = [
        campaign(1),
        campaign(2, status="STOPPED"),
        campaign(3, status="STOPPED"),
        campaign(4, status="STOPPED"),
        campaign(5, "heatmap"),
    ]
    with workspace(seed(*tests)) as place:
        state = place.read("campaigns")[-1].state
        place.clock.advance(3600)
        assert [r["id"] for r in rows(place.read("campaigns", state=state))] == [1]  # it is running
        place.emulator.campaigns.by_id["2"]["name"] = "Other"
        pages = place.read("campaigns", state=state)
        assert sorted(r["id"] for r in rows(pages)) == [1, 2]  # its line in the list is another
        assert {(p.total, p.present) for p in pages} == {(None, False)}
        place.emulator.campaigns.by_id["3"]["variations"][1]["name"] = "green"
        place.emulator._tell(place.emulator.campaigns.by_id["3"], "Variation <b>renamed</b>")
        assert sorted(r["id"] for r in rows(place.read("feeds", "campaigns", state=state))) == [1, 2, 3]  # the log says so
        place.clock.advance(WEEK_S)
        assert sorted(r["id"] for r in rows(place.read("campaigns", state=state))) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("resource", ["campaigns", "results"])
def test_a_read_goes_on_after_any_page(resource: str) -> None:
    with workspace(seed(*(campaign(i, seen=SEEN) for i in range(1, 5)), campaign(9, "heatmap"))) as place:
        pages = place.read(resource)
        for n, page in enumerate(pages[:-1]):
            state = orjson.loads(orjson.dumps(page.state))
            assert rows(place.read(resource, state=state)) == rows(pages[n + 1 :])


def test_a_test_that_is_gone_between_list_and_look_has_no_setup() -> None:
    with workspace(seed(campaign(1), campaign(2))) as place:
        honest = place.emulator.decorate
        gone = Reply({"_errors": [{"code": 404, "message": "Campaign not found"}]}, 404)
        place.emulator.decorate = lambda request, reply: gone if request.path.endswith("/campaigns/1") else honest(request, reply)  # type: ignore[method-assign]
        assert {r["id"]: r["variants"] for r in rows(place.read("campaigns"))} == {1: [], 2: ["control", "blue; or not"]}


# -- results -----------------------------------------------------------------------------------------------------------------------
def told(found: list[dict[str, Any]]) -> dict[tuple[Any, ...], float]:
    """(measure, variant, goal, day) → value, of everything that is not 0."""
    own = [(r, json.loads(r["attributes"])) for r in found]
    return {(r["measure"], a["variant"], a.get("metric"), str(r["day"])): r["value"] for r, a in own if r["value"]}


def test_results_come_by_variation_goal_and_day_with_visitors_counted_once() -> None:
    with workspace(seed(campaign(1, seen=SEEN, reached=REACHED))) as place:
        found = records("results", place.read("campaigns", "results"))
    assert told(found) == {
        ("experiment_visitors", "control", None, "2026-06-13"): 1.0,
        ("experiment_visitors", "blue; or not", None, "2026-06-13"): 1.0,
        ("experiment_conversions", "blue; or not", "Lead", "2026-06-13"): 1.0,
        ("experiment_conversions", "blue; or not", "Sale", "2026-06-13"): 1.0,
        ("experiment_revenue", "blue; or not", "Sale", "2026-06-13"): 1200.5,
        ("experiment_visitors_daily", "control", None, "2026-06-11"): 1.0,
        ("experiment_visitors_daily", "blue; or not", None, "2026-06-12"): 1.0,
        ("experiment_conversions_daily", "blue; or not", "Lead", "2026-06-12"): 1.0,
        ("experiment_conversions_daily", "blue; or not", "Sale", "2026-06-13"): 1.0,
    }
    assert len({r["vendor_id"] for r in found}) == len(found)


def test_the_planned_shares_come_with_the_campaign() -> None:
    with workspace(seed(campaign(1, seen=SEEN), campaign(2, status="NOT_STARTED"), campaign(3, "heatmap"))) as place:
        found = records("campaigns", place.read("campaigns"))
    shares = {
        (json.loads(r["attributes"])["experiment_id"], json.loads(r["attributes"])["variant"]): (r["value"], str(r["day"]))
        for r in found
        if r["kind"] == "tally"
    }
    assert shares == {(i, v): (0.5, day) for i, day in (("1", "2026-06-11"), ("2", "None")) for v in ("control", "blue; or not")}


def test_what_was_read_for_the_campaigns_is_not_asked_again_for_their_results() -> None:
    with workspace(seed(campaign(1, seen=SEEN), campaign(2, seen=SEEN, status="STOPPED"), campaign(3, status="NOT_STARTED"))) as place:
        place.read("campaigns", "results")
        assert [place.asked(f"/campaigns/{i}") for i in (1, 2, 3)] == [1, 1, 1]
        assert {call for call, n in place.emulator.calls.items() if n > 2} == set()


def test_a_report_without_visitors_has_no_results() -> None:
    with workspace(seed(campaign(1))) as place:
        assert records("results", place.read("results")) == []


@pytest.mark.parametrize(
    ("interval", "zone", "day"),
    [
        ("2026-06-10T22:00:00Z", "Europe/Berlin", "2026-06-11"),
        ("2026-06-11T00:00:00Z", "Europe/Berlin", "2026-06-11"),
        ("2026-06-11T00:00:00Z", "America/New_York", "2026-06-11"),
        ("2026-06-11T04:00:00Z", "America/New_York", "2026-06-11"),
    ],
)
def test_the_day_of_an_interval_is_that_of_its_midnight(interval: str, zone: str, day: str) -> None:
    assert str(day_of(at(interval), ZoneInfo(zone))) == day


# -- the change log --------------------------------------------------------------------------------------------------------------
def test_the_change_log_is_read_to_its_end_once_and_then_from_where_it_was() -> None:
    lines = [
        {"id": i, "type": "campaign", "what": "Campaign <b>started</b>", "when": str(NOW - 10_000_000 + i), "who": {"name": "Uma"}}
        for i in range(250)
    ]
    with workspace(seed(campaign(1), feeds=[{**line, "campaign": {"id": 1}} for line in lines])) as place:
        pages = place.read("feeds")
        assert sorted(r["id"] for r in rows(pages)) == list(range(250))
        place.emulator.rename(1, "Other")
        again = place.read("feeds", state=pages[-1].state)
    [entry] = records("feeds", again)
    assert (entry["record_id"], entry["value"], entry["writer"]) == ("1", "Campaign name <b>changed</b>", "Uma Tarn")
    assert abs(entry["entered_at"].timestamp() - NOW) < 60


def test_a_line_about_the_workspace_is_about_no_campaign() -> None:
    line = {"id": 1, "type": "Account", "what": "Timezone changed", "when": str(NOW - 5), "who": {"name": "Uma"}}
    with workspace(seed(feeds=[line])) as place:
        assert records("feeds", place.read("feeds")) == []
        assert rows(place.read("feeds", state={"v": 1, "since": NOW - 60})) == [line]


def test_discover_lists_every_campaign_by_the_id_that_results_name() -> None:
    with workspace(seed(*(campaign(i) for i in range(1, 28)))) as place, place.open() as session:
        assert CONNECTOR.discover is not None
        found = CONNECTOR.discover(session).fields
        assert sorted(int(f.path) for f in found) == list(range(1, 28))
        assert all(f.resource == "tests" and f.label and f.type for f in found)


def test_no_labels_and_no_users_are_empty_whole_lists() -> None:
    with workspace(seed()) as place:
        for name in ("labels", "users"):
            [page] = place.read(name)
            assert (rows([page]), page.present) == ([], True)


# -- limits and refusals --------------------------------------------------------------------------------------------------------
def test_a_call_a_second_is_kept_without_one_refusal() -> None:
    with workspace(seed(*(campaign(i) for i in range(1, 9)))) as place:
        began = place.clock.now()
        place.read("feeds", "campaigns", "results")
        assert [status for *_, status in place.emulator.log if status != 200] == []
        assert place.clock.now() - began >= len(place.emulator.log) - 1


@pytest.mark.parametrize(("said", "waited"), [(None, 60), ("5", 5)])
def test_a_refusal_for_haste_waits_a_minute_unless_told_otherwise(said: str | None, waited: int) -> None:
    with workspace(seed()) as place, place.open() as session:
        began = place.clock.now()
        place.emulator.faults.append(Fault("throttle", retry_after=said))
        CONNECTOR.probe(session)
        assert waited <= place.clock.now() - began < waited + 5


def test_a_wrong_token_names_its_setting_and_nobody_elses_workspace_does_not() -> None:
    with workspace(seed()) as place, place.open("mistyped") as session, pytest.raises(CredentialsError, match="token") as caught:
        CONNECTOR.probe(session)
    assert "mistyped" not in str(caught.value)
    other = orjson.dumps({"_errors": [{"code": 403, "message": "Access denied"}]})
    assert [fault(s, {}, other).kind for s in (403, 401, 404, 400, 500)] == ["forbidden", "unauthorised", "missing", "refused", "transient"]
    assert fault(503, {}, b"<html>").retry_after_s == 60


# -- events ------------------------------------------------------------------------------------------------------------------------
def sale(key: str = "k", **more: Any) -> Write:
    values = {
        "event": "sale",
        "id": "3c9f1f2e-0000-5000-8000-000000000001",
        "occurred_at": "2026-06-30T08:00:00Z",
        "value": "1200.50",
        "currency": "EUR",
    }
    return Write(key, visitor(1), values | more)


def test_an_event_arrives_as_the_vendors_own_clients_send_it_and_without_the_token() -> None:
    heard: list[Request] = []
    with workspace(seed(campaign(1, seen={visitor(1): (1, NOW - 86_400)}), events={"sale": [(1, 2)]}), writes=True) as place:
        honest = place.emulator.decorate

        def decorate(request: Request, reply: Reply) -> Reply:
            heard.append(request)
            return honest(request, reply)

        place.emulator.decorate = decorate  # type: ignore[method-assign]
        [result] = place.tell(sale(source="Email", plan={"a": 1}))
        report = {
            json.loads(r["attributes"])["variant"]: r
            for r in records("results", place.read("results"))
            if r["measure"] == "experiment_revenue"
        }
    request = next(r for r in heard if r.method == "POST")
    sent = request.json()["d"]
    assert result.ok
    assert ("token" in request.headers, request.q("en"), request.q("a")) == (False, "sale", str(WORKSPACE))
    assert sent["visId"] == visitor(1)
    assert sent["event"]["time"] == int(datetime(2026, 6, 30, 8, tzinfo=UTC).timestamp() * 1000)
    assert sent["event"]["props"] == {"source": "Email", "revenue": 1200.5, "currency": "EUR", "isCustomEvent": True, "vwoMeta": {}}
    assert Decimal(str(report["control"]["value"])) == Decimal("1200.5")


def test_many_events_ask_for_the_workspace_once() -> None:
    with workspace(seed(campaign(1), events={"sale": [(1, 2)]}), writes=True) as place, place.open() as session:
        for key in "abc":
            assert [r.ok for r in CONNECTOR.target("events").write(session, [sale(key)])] == [True]
        assert place.emulator.calls == {"GET /api/v2/accounts/current": 1, "POST /events/t": 3}


@pytest.mark.parametrize("trouble", [Fault("error", "events", status=503), Fault("error", "events", status=500), Fault("cut", "events")])
def test_an_event_whose_fate_is_unknown_is_not_sent_again(trouble: Fault) -> None:
    with workspace(seed(campaign(1), events={"sale": [(1, 2)]}), writes=True) as place:
        honest = place.emulator.decorate

        def decorate(request: Request, reply: Reply) -> Reply:  # there must be a body to cut
            return Reply(b"x" * 64) if request.path == "/events/t" else honest(request, reply)

        place.emulator.decorate = decorate  # type: ignore[method-assign]
        place.emulator.faults.append(trouble)
        with pytest.raises(VendorUnavailable, match="unknown"):
            place.tell(sale())
        assert place.emulator.calls["POST /events/t"] == 1


def test_a_refused_event_fails_alone_with_its_reason() -> None:
    with workspace(seed(campaign(1), events={"sale": [(1, 2)]}), writes=True) as place:
        honest = place.emulator.decorate
        odd = Reply({"_errors": [{"code": 400, "message": "Event name is too long"}]}, 400)
        place.emulator.decorate = lambda request, reply: odd if request.q("en") == "long" else honest(request, reply)  # type: ignore[method-assign]
        results = place.tell(sale("a", event="long"), sale("b"))
    assert [(r.key, r.ok, r.code, r.message) for r in results] == [
        ("a", False, "400", "VWO says: Event name is too long"),
        ("b", True, "", ""),
    ]
