"""The Optimizely connector against the emulated vendor: three states are no zero, ids stay whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from optimizely_account import ARCHIVED, E1, E2, FRESH, MAPPING, NOT_STARTED, NOW, Account, account, last, rows_of, shown

from connectors import optimizely_read
from connectors.optimizely import CONNECTOR
from connectors.optimizely_results import result_rows
from connectors.optimizely_session import fault
from connectors.sandbox.kit import Fault, Reply, Request
from connectors.sandbox.optimizely_store import Seen
from connectors.sandbox.world_optimizely import EVENTS, FLAG_EXPERIMENT, WEB
from core.errors import CredentialsError, VendorError


@pytest.fixture
def web() -> Iterator[Account]:
    with account() as opened:
        yield opened


# -- lists and ids ---------------------------------------------------------------------------------------------------------------
def test_ids_come_out_whole_although_a_double_cannot_hold_them(web: Account) -> None:
    records = web.mapped("experiments")
    assert {str(E1), str(E2)} <= set(records)
    assert str(int(float(E1))) not in records
    assert str(E1 + 2) in {r["vendor_id"].split(":")[1] for r in web.mapped("results").values()}


@pytest.mark.parametrize("link", [True, False])
def test_lists_are_read_to_their_end_with_and_without_the_link_header(web: Account, link: bool) -> None:
    for i in range(248):
        web.emulator.store.create("audiences", {"project_id": WEB, "name": f"A{i}"})
    if not link:
        web.emulator.decorate = lambda request, reply: Reply(reply.body, reply.status)  # type: ignore[method-assign]
    assert len({row["id"] for row in web.rows("audiences")}) == 250
    assert len(web.asked("/v2/audiences")) == 3


def test_a_list_that_ends_with_a_full_page_is_not_asked_beyond_it_when_the_header_says_so(web: Account) -> None:
    for i in range(98):
        web.emulator.store.create("audiences", {"project_id": WEB, "name": f"A{i}"})
    assert len(web.rows("audiences")) == 100


def test_the_next_page_of_a_collection_is_the_first_of_an_array(web: Account) -> None:
    for i in range(230):
        web.emulator.store.kinds["flags"][900_000 + i] = {**web.emulator.store.kinds["flags"][501_001], "id": 900_000 + i, "key": f"f{i}"}
    pages = web.read("flags")
    assert [len(rows_of(page)) for page in pages] == [100, 100, 32]
    assert {page.total for page in pages} == {232}


def test_every_resource_can_be_read_and_keeps_to_the_flags_limit(web: Account) -> None:
    rows = {r.name: len(web.rows(r.name)) for r in CONNECTOR.resources if r.name != "exposures"}
    assert rows["projects"] == 2
    assert (rows["events"], rows["pages"], rows["audiences"], rows["campaigns"]) == (8, 4, 2, 1)
    assert (rows["flags"], rows["rules"], rows["environments"], rows["rulesets"]) == (2, 3, 2, 4)
    assert [path for _, path, status in web.emulator.log if status == 429] == []


def test_a_429_rests_for_a_minute_because_no_header_says_how_long(web: Account) -> None:
    web.emulator.faults.append(Fault("throttle"))
    before = web.clock.now()
    assert len(web.rows("projects")) == 2
    assert 60 <= web.clock.now() - before < 62


# -- experiments -------------------------------------------------------------------------------------------------------------------
def test_archived_experiments_are_read_although_the_list_leaves_them_out(web: Account) -> None:
    records = web.mapped("experiments")
    assert len(records) == 6
    assert records[str(ARCHIVED)]["status"] == "archived"


def test_an_experiment_has_its_variants_the_baseline_first_and_shares_of_one(web: Account) -> None:
    record = web.mapped("experiments")[str(E2)]
    assert record["variants"] == ("original", "four_fields")
    assert (record["started_at"], record["ended_at"]) == (NOW - timedelta(days=45), None)
    attributes = orjson.loads(record["attributes"])
    assert (attributes["shares"], attributes["traffic"]) == ({"original": 5000, "four_fields": 5000}, 1.0)
    shares = [r["value"] for r in web.mapped("variations").values() if r["vendor_id"].startswith(str(E2))]
    assert shares == [0.5, 0.5]


def test_only_what_the_change_feed_names_is_read_again(web: Account) -> None:
    state = last(web.read("experiments"))
    web.clock.advance(3600)
    web.emulator.log.clear()
    assert web.rows("experiments", state=state) == []
    assert web.asked("/v2/experiments") == []
    web.emulator.store.update("experiments", E2, {"status": "paused"})
    web.emulator.store.update("audiences", 22_800_000_001, {"name": "Other"})
    [row] = web.rows("experiments", state=state)
    assert (row["id"], row["status"]) == (E2, "paused")


def test_a_deleted_experiment_is_told_by_the_feed_and_marked(web: Account) -> None:
    state = last(web.read("experiments"))
    web.emulator.store.delete("experiments", NOT_STARTED)
    record = web.mapped("experiments", state=state)[str(NOT_STARTED)]
    assert record["deleted"] is True


def test_many_changes_are_read_as_a_list_and_the_deleted_among_them_are_told(web: Account) -> None:
    state = last(web.read("experiments"))
    for i in range(110):
        made = {**web.emulator.store.kinds["experiments"][E2], "id": E1 + 10_000 + i, "name": f"N{i}"}
        web.emulator.store.create("experiments", made)
    web.emulator.store.delete("experiments", NOT_STARTED)
    web.emulator.log.clear()
    rows = web.rows("experiments", state=state)
    assert len(rows) == 116
    assert [row["id"] for row in rows if row.get("deleted")] == [NOT_STARTED]
    assert len(web.asked("/v2/experiments")) == 2


def test_a_project_that_comes_into_sight_later_is_read_whole(web: Account) -> None:
    web.emulator.hidden.add(WEB)
    state = last(web.read("experiments"))
    web.emulator.hidden.clear()
    web.session._kept.clear()  # as a new session would
    web.clock.advance(40 * 86_400)
    assert len(web.rows("experiments", state=state)) == 6


def test_a_change_at_the_very_second_of_the_last_read_is_seen(web: Account) -> None:
    state = last(web.read("changes"))
    web.emulator.store.update("experiments", E2, {"name": "Other"})
    assert [row["entity"]["id"] for row in web.rows("changes", state=state)] == [E2]


def test_the_experiment_behind_a_rule_is_the_one_results_name(web: Account) -> None:
    [record] = web.mapped("rules").values()
    assert (record["vendor_id"], record["variants"]) == (str(FLAG_EXPERIMENT), ("original", "doses"))
    assert str(FLAG_EXPERIMENT) in {key.split(":")[0] for key in web.mapped("results")}


# -- results: three states and numbers ------------------------------------------------------------------------------------------------
def test_no_data_yet_gives_no_row_and_what_is_not_started_is_not_asked_for(web: Account) -> None:
    pages = web.read("results")
    assert {row["experiment_id"] for page in pages for row in rows_of(page)} == {E1, E2, FLAG_EXPERIMENT}
    assert [page.unfinished for page in pages if page.unfinished] == []
    assert web.asked(f"{FRESH}/results") == [f"/v2/experiments/{FRESH}/results"]
    assert web.asked(f"{NOT_STARTED}/results") == []


def test_what_is_still_computed_is_asked_twice_then_left_to_the_next_run(web: Account) -> None:
    web.emulator.computing(60, E2)
    before = web.clock.now()
    pages = web.read("results")
    assert web.clock.now() - before < 10  # nobody waits for it
    assert len(web.asked(f"{E2}/results")) == 2
    assert {row["experiment_id"] for page in pages for row in rows_of(page)} == {E1, FLAG_EXPERIMENT}
    assert pages[-1].unfinished == "Optimizely is still computing results of 1 experiment"
    web.clock.advance(3600)
    web.emulator.log.clear()
    rest = web.read("results", state=last(pages))
    assert {row["experiment_id"] for page in rest for row in rows_of(page)} == {E2}
    assert {row["end_time"] for page in rest for row in rows_of(page)} == {"2026-06-30T00:00:00.000000Z"}  # the frozen end
    assert [path for path in web.asked("/results") if str(E1) in path] == []
    assert rest[-1].unfinished == ""


def test_a_second_look_in_the_same_run_is_enough_for_quick_ones(web: Account) -> None:
    web.emulator.computing(0.5, E1)
    web.emulator.decorate = lambda request, reply: _ticking(web, reply)  # type: ignore[method-assign]
    pages = web.read("results")
    assert {row["experiment_id"] for page in pages for row in rows_of(page)} == {E1, E2, FLAG_EXPERIMENT}
    assert pages[-1].unfinished == ""


def _ticking(web: Account, reply: Reply) -> Reply:
    web.clock.advance(0.2)
    return reply


def test_a_run_stopped_between_two_experiments_goes_on_with_the_rest(web: Account) -> None:
    pages = web.read("results")
    assert [len(page.state.get("pending", ())) for page in pages] == [5, 4, 3, 2, 1, 0, 0][-len(pages) :]
    rest = web.read("results", state=dict(pages[0].state))
    assert [rows_of(page) for page in rest] == [rows_of(page) for page in pages[1:]]


def test_stale_numbers_are_kept_marked_and_asked_for_again(web: Account) -> None:
    web.emulator.results.stale.add(E1)
    pages = web.read("results")
    assert {orjson.loads(r["attributes"])["stale"] for k, r in web.mapped("results").items() if k.startswith(str(E1))} == {True}
    assert last(pages)["stale"] == [E1]
    web.emulator.results.stale.clear()
    web.clock.advance(90 * 86_400)
    again = web.read("results", state=last(pages))
    assert E1 in {row["experiment_id"] for page in again for row in rows_of(page)}
    assert last(again)["stale"] == []


def test_what_ended_long_ago_is_not_asked_for_any_more(web: Account) -> None:
    state = last(web.read("results"))
    web.clock.advance(60 * 86_400)
    state = last(web.read("results", state=state))
    assert {row["experiment_id"] for row in web.rows("results", state=state)} == {E2, FLAG_EXPERIMENT}


def test_windows_are_asked_for_in_whole_five_minutes(web: Account) -> None:
    web.clock.advance(447.3)
    seen: list[str | None] = []
    honest = web.emulator.decorate

    def decorate(request: Request, reply: Reply) -> Reply:
        if request.path.endswith("/results"):
            seen.append(request.q("end_time"))
        return honest(request, reply)

    web.emulator.decorate = decorate  # type: ignore[method-assign]
    web.read("results")
    assert set(seen) == {"2026-06-30T00:05:00Z", None}  # an ended experiment keeps its own end


def test_a_200_without_metrics_is_no_zero(web: Account) -> None:
    web.emulator.decorate = lambda request, reply: Reply({}) if request.path.endswith("/results") else reply  # type: ignore[method-assign]
    with pytest.raises(VendorError, match="without metrics"):
        web.read("results")


def body(**metric: Any) -> dict[str, Any]:
    lift = {"value": 0.1, "confidence_interval": [-0.1, 0.3], "significance": 0.4, "visitors_remaining": 2**63 - 1}
    arm = {"name": "B", "is_baseline": False, "value": 120_050, "samples": 7, "rate": 17_150.0, "variance": 1.0, "lift": lift}
    base = {"aggregator": "sum", "field": "revenue", "scope": "visitor", "name": "Revenue", "results": {"9300000000000105": arm}}
    return {"experiment_id": E2, "is_stale": False, "end_time": "2026-06-30T00:00:00Z", "metrics": [base | metric]}


def test_revenue_becomes_units_whatever_the_currency_and_the_rest_stays_as_counted(web: Account) -> None:
    compiled = MAPPING.resource("results")

    def values(given: dict[str, Any]) -> list[tuple[str, float]]:
        parsed = compiled.parse(orjson.dumps(result_rows(given)))
        return [pair for _, c in compiled.columns(parsed.rows) for pair in zip(c["measure"], c["value"], strict=True)]

    assert values(body()) == [("experiment_revenue", 1200.50)]
    assert values(body(field="value")) == [("experiment_conversions", 120_050.0)]
    assert values(body(aggregator="unique", field=None)) == [("experiment_conversions", 120_050.0)]


def test_the_first_metric_is_the_primary_one_and_equal_metrics_stay_apart() -> None:
    given = body()
    given["metrics"] = [given["metrics"][0] | {"event_id": 7, "aggregator": "unique", "field": None} for _ in range(2)] + given["metrics"]
    rows = result_rows(given)
    assert [(r["metric_key"], r["primary"], r["position"]) for r in rows] == [
        ("7.unique.visitor", True, 1),
        ("7.unique.visitor.2", False, 2),
        ("all.sum.revenue.visitor", False, 3),
    ]


def test_an_unknown_number_of_visitors_is_no_number() -> None:
    [row] = result_rows(body())
    assert row["visitors_remaining"] is None
    known = body()
    known["metrics"][0]["results"]["9300000000000105"]["lift"]["visitors_remaining"] = 2**63 - 2
    assert result_rows(known)[0]["visitors_remaining"] == 2**63 - 2


def test_a_timeseries_has_one_value_a_day_that_ends_in_the_result(web: Account) -> None:
    days = [r for k, r in web.mapped("timeseries").items() if k.startswith(f"{E1}:{E1 + 2}:{EVENTS['generate_lead']}.")]
    results = web.mapped("results")[f"{E1}:{E1 + 2}:{EVENTS['generate_lead']}.unique.visitor"]
    assert [r["day"].isoformat() for r in days[:2]] == ["2025-08-04", "2025-08-05"]
    assert (len(days), max(r["value"] for r in days)) == (310, results["value"])
    assert results["value"] > 0


# -- exposures -----------------------------------------------------------------------------------------------------------------------
def test_only_linked_visitors_are_asked_about_and_each_exposure_is_a_touch(web: Account) -> None:
    visitor = shown(web, E2)
    touches = web.mapped("exposures", visitors=(visitor, "never-here"))
    mine = [t for t in touches.values() if t["campaign_id"] == str(E2)]
    [seen] = [s for s in web.emulator.store.seen[visitor] if s.experiment == E2]
    name = {E2 + 2: "original", E2 + 4: "four_fields"}[seen.variation]
    assert [(t["kind"], t["event"], t["links"]) for t in mine] == [("exposure", name, (f"optimizely:visitors:{visitor}",))]
    assert mine[0]["occurred_at"] == datetime.fromtimestamp(seen.at / 1000, UTC)
    assert len(web.asked(f"visitor/{visitor}")) == len(web.asked("visitor/never-here")) == 1
    assert web.rows("exposures") == []


def test_the_variation_is_called_as_its_flag_or_its_archived_experiment_calls_it(web: Account) -> None:
    web.emulator.store.decide("portal-x", Seen(FLAG_EXPERIMENT, FLAG_EXPERIMENT + 12, 1, 1_780_000_000_000))
    web.emulator.store.decide("portal-x", Seen(ARCHIVED, ARCHIVED + 4, 1, 1_780_000_000_000))
    web.emulator.store.decide("portal-x", Seen(17, 18, 1, 1_780_000_000_000))
    assert {t["event"] for t in web.mapped("exposures", visitors=("portal-x",)).values()} == {"doses", "new", "18"}


def test_who_was_held_back_was_not_exposed(web: Account) -> None:
    web.emulator.store.decide("held", Seen(E2, E2 + 2, 1, 1_780_000_000_000, holdback=True))
    assert len(web.rows("exposures", visitors=("held",))) == 1
    assert web.mapped("exposures", visitors=("held",)) == {}


def test_new_visitors_are_asked_about_at_once_and_known_ones_after_a_while(web: Account) -> None:
    a, b, c = (shown(web, E2, n) for n in range(3))
    state = last(web.read("exposures", visitors=(a, b)))
    web.emulator.log.clear()
    state = last(web.read("exposures", visitors=(a, b, c), state=state))
    assert [path.rpartition("/")[2] for _, path, _ in web.emulator.log if "/visitor/" in path] == [c]
    web.clock.advance(21 * 3600)
    web.emulator.log.clear()
    web.read("exposures", visitors=(a, b, c), state=state)
    assert [path.rpartition("/")[2] for _, path, _ in web.emulator.log if "/visitor/" in path] == [a, b, c]


def test_a_run_stops_at_its_share_of_visitors_and_the_next_goes_on(web: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizely_read, "VISITORS_PER_RUN", 3)
    everybody = tuple(f"v{i}" for i in range(8))
    state, asked = None, []
    for _ in range(3):
        web.emulator.log.clear()
        pages = web.read("exposures", visitors=everybody, state=state)
        asked.append([path.rpartition("/")[2] for _, path, _ in web.emulator.log if "/visitor/" in path])
        state = last(pages)
    assert asked == [["v0", "v1", "v2"], ["v3", "v4", "v5"], ["v6", "v7"]]
    assert pages[-1].unfinished == ""
    web.emulator.log.clear()
    web.read("exposures", visitors=everybody, state=state)
    assert not web.emulator.log


def test_nonsense_in_a_crms_field_has_no_history_and_an_address_is_not_logged(web: Account, caplog: pytest.LogCaptureFixture) -> None:
    visitor = shown(web, E2)
    with caplog.at_level(logging.DEBUG, logger="tundish"):
        rows = web.rows("exposures", visitors=("ada/lovelace@acme.test", "..", visitor))
    assert {row["visitor_id"] for row in rows} == {visitor}
    assert "acme.test" not in caplog.text
    assert "/visitor/" in caplog.text


# -- refusals ------------------------------------------------------------------------------------------------------------------------------
def test_a_mistyped_token_names_its_setting_and_a_revoked_one_is_told() -> None:
    with account(token="mistyped") as opened, pytest.raises(CredentialsError, match="setting token") as caught:
        CONNECTOR.probe(opened.session)
    assert "mistyped" not in str(caught.value)
    with account() as opened:
        opened.emulator.revoke()
        with pytest.raises(VendorError, match="revoked"):
            CONNECTOR.probe(opened.session)


def test_both_kinds_of_error_body_are_understood() -> None:
    v2 = fault(400, {}, b'{"code": "bad_request", "message": "No", "messages": {"key": "Taken"}, "uuid": "1"}')
    flags = fault(404, {}, b'{"type": "about:blank", "title": "Not found", "status": 404, "detail": "No flag"}')
    assert (v2.kind, v2.code, v2.message) == ("refused", "bad_request", "Optimizely says: No (key: Taken)")
    assert (flags.kind, flags.code, flags.message) == ("missing", "Not found", "Optimizely says: No flag")
    assert fault(503, {}, b"<html>").retry_after_s == 60
    assert fault(429, {"retry-after": "7"}, b"").retry_after_s == 7


def test_the_account_lists_its_custom_events(web: Account) -> None:
    assert CONNECTOR.discover is not None
    live = CONNECTOR.discover(web.session)
    assert {f.path for f in live.fields if f.resource == "events"} == {*EVENTS, "dosed"}
    for name in ("experiments", "rules"):
        assert set(MAPPING.resource(name).fields_asked) <= {f.path for f in live.fields if f.resource == name}
