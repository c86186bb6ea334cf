"""The emulated Optimizely over bare HTTP and the vendor's own SDK: it refuses, rounds and drops what the vendor does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from connectors.sandbox.kit import Clock, Fault, serve
from connectors.sandbox.optimizely import TOKEN, OptimizelyEmulator
from connectors.sandbox.optimizely_results import UNKNOWN
from connectors.sandbox.world import build
from connectors.sandbox.world_optimizely import ACCOUNT, EVENTS, FLAG_EXPERIMENT, FLAG_LAYER, FLAGS, WEB

NOW = 1_782_777_600.0  # 2026-06-30T00:00:00Z
E1 = 9_300_000_000_000_001  # ended, with data
E2 = E1 + 100  # running, with data
FRESH, ARCHIVED = E1 + 300, E1 + 400
STRICT = {"X-Optimizely-Strict": "true"}


@dataclass
class Live:
    emulator: OptimizelyEmulator
    url: str

    def get(self, path: str, token: str = TOKEN, **query: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", params=query, headers={"Authorization": f"Bearer {token}"}, timeout=10)

    def tell(self, body: Any, **headers: str) -> requests.Response:
        return requests.post(f"{self.url}/v1/events", json=body, headers=headers, timeout=10)

    def value(self, experiment: int, place: int, variation: int) -> Any:
        metric = self.get(f"/v2/experiments/{experiment}/results").json()["metrics"][place]
        return metric["results"][str(variation)]["value"]


@pytest.fixture
def live() -> Iterator[Live]:
    seed = build(60, 7, vendors=["optimizely"]).seeds["optimizely"]
    emulator = OptimizelyEmulator(seed, clock=Clock(NOW))
    with serve([emulator]) as urls:
        yield Live(emulator, urls["optimizely"])


def event(visitor: str, uuid: str = "u1", **more: Any) -> dict[str, Any]:
    one = {"uuid": uuid, "timestamp": int(NOW - 3600) * 1000, "key": "deal_won", "entity_id": str(EVENTS["deal_won"])} | more
    visitors = [{"visitor_id": visitor, "attributes": [], "snapshots": [{"decisions": [], "events": [one]}]}]
    return {"account_id": str(ACCOUNT), "enrich_decisions": True, "visitors": visitors}


# -- the door ----------------------------------------------------------------------------------------------------------------
def test_a_wrong_token_is_a_401_and_a_revoked_one_a_403(live: Live) -> None:
    assert live.get("/v2/me", token="nobody").status_code == 401
    assert live.get("/v2/me", token="nobody").json()["code"] == "unauthorized"
    live.emulator.revoke()
    assert live.get("/v2/me").status_code == 403
    assert live.get(f"/flags/v1/projects/{FLAGS}/flags").headers["content-type"].startswith("application/problem+json")


def test_what_is_not_there_has_a_code_a_message_and_a_uuid(live: Live) -> None:
    reply = live.get("/v2/experiments/17")
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert set(reply.json()) == {"code", "message", "uuid"}


def test_projects_without_a_role_are_left_out_and_forbidden_when_named(live: Live) -> None:
    live.emulator.hidden.add(FLAGS)
    assert [p["id"] for p in live.get("/v2/projects").json()] == [WEB]
    assert live.get("/v2/events", project_id=FLAGS).status_code == 403


def test_the_flags_api_takes_two_requests_a_second(live: Live) -> None:
    path = f"/flags/v1/projects/{FLAGS}/environments"
    replies = [live.get(path) for _ in range(3)]
    assert [r.status_code for r in replies] == [200, 200, 429]
    assert "retry-after" not in replies[2].headers
    live.emulator.clock.advance(1.0)
    assert live.get(path).status_code == 200
    assert [live.get("/v2/projects").status_code for _ in range(5)] == [200] * 5  # REST v2 publishes no number


def test_throttling_has_no_header_that_says_how_long(live: Live) -> None:
    live.emulator.faults.append(Fault("throttle"))
    reply = live.get("/v2/projects")
    assert (reply.status_code, reply.json()["code"]) == (429, "too_many_requests")
    assert not {h for h in reply.headers if "rate" in h.lower() or "retry" in h.lower()}


# -- lists ---------------------------------------------------------------------------------------------------------------------
def test_lists_are_bare_arrays_whose_link_header_has_no_quotes(live: Live) -> None:
    first = live.get("/v2/experiments", project_id=WEB, per_page=2)
    assert isinstance(first.json(), list)
    assert "rel=next, <" in first.headers["link"]
    assert first.headers["link"].endswith("rel=last")
    last = live.get("/v2/experiments", project_id=WEB, per_page=2, page=3)
    assert "link" not in last.headers
    assert live.get("/v2/experiments", project_id=WEB, per_page=2, page=9).json() == []


def test_a_page_has_25_rows_unless_told_and_never_more_than_100(live: Live) -> None:
    for i in range(118):
        live.emulator.store.create("audiences", {"project_id": WEB, "name": f"A{i}"})
    assert len(live.get("/v2/audiences", project_id=WEB).json()) == 25
    assert len(live.get("/v2/audiences", project_id=WEB, per_page=100).json()) == 100
    assert live.get("/v2/audiences", project_id=WEB, per_page=101).status_code == 400


def test_a_project_or_campaign_must_be_named_and_ids_are_whole_numbers(live: Live) -> None:
    assert live.get("/v2/experiments").status_code == 400
    assert live.get("/v2/experiments", project_id="2.041e10").status_code == 400
    assert [e["type"] for e in live.get("/v2/experiments", campaign_id=22_900_000_001).json()] == ["personalization"]


def test_ids_are_larger_than_a_double_holds(live: Live) -> None:
    ids = {e["id"] for e in live.get("/v2/experiments", project_id=WEB).json()}
    assert E1 in ids
    assert int(float(E1)) not in ids


def test_archived_experiments_are_listed_by_the_summaries_only(live: Live) -> None:
    assert ARCHIVED not in {e["id"] for e in live.get("/v2/experiments", project_id=WEB).json()}
    assert ARCHIVED not in {e["id"] for e in live.get("/v2/experiment_summaries", project_id=WEB).json()}
    rows = live.get("/v2/experiment_summaries", project_id=WEB, archived="true").json()
    assert {r["type"] for r in rows} == {"experiment", "campaign"}
    assert ARCHIVED in {r["id"] for r in rows if r["archived"]}
    assert live.get(f"/v2/experiments/{ARCHIVED}").json()["status"] == "archived"


def test_pages_and_campaigns_of_a_flags_project_are_empty(live: Live) -> None:
    assert [live.get(f"/v2/{kind}", project_id=FLAGS).json() for kind in ("pages", "campaigns", "experiments")] == [[], [], []]


def test_the_change_feed_starts_inside_and_ends_outside_its_bounds(live: Live) -> None:
    live.emulator.store.update("experiments", E2, {"name": "Other"})
    live.emulator.store.delete("experiments", E1)
    at = "2026-06-30T00:00:00Z"
    rows = live.get("/v2/changes", project_id=WEB, start_time=at, entity_type="experiment").json()
    assert [(r["change_type"], r["entity"]["id"]) for r in rows] == [("update", E2), ("delete", E1)]
    assert live.get("/v2/changes", project_id=WEB, start_time=at, entity_type="audience").json() == []
    assert {r["created"] < "2026-06-30" for r in live.get("/v2/changes", project_id=WEB, end_time=at).json()} == {True}
    assert live.get("/v2/changes", project_id=WEB, start_time="yesterday").status_code == 400


def test_a_collection_names_its_next_page_in_an_array(live: Live) -> None:
    path = f"/flags/v1/projects/{FLAGS}/rules"
    first = live.get(path, per_page=2).json()
    assert (first["count"], first["total_count"], first["total_pages"], len(first["next_url"])) == (2, 3, 2, 1)
    token = first["next_url"][0].partition("page_token=")[2].partition("#")[0]
    second = live.get(path, per_page=2, page_token=token).json()
    assert (second["count"], "next_url" in second, len(second["prev_url"])) == (1, False, 1)
    live.emulator.clock.advance(2)
    assert live.get(path, page_token="nonsense").status_code == 400


# -- results ---------------------------------------------------------------------------------------------------------------------
def test_no_data_yet_is_an_empty_204(live: Live) -> None:
    for experiment in (FRESH, ARCHIVED):
        reply = live.get(f"/v2/experiments/{experiment}/results")
        assert (reply.status_code, reply.content) == (204, b"")


def test_results_that_are_still_computed_are_an_empty_202_until_they_are_there(live: Live) -> None:
    live.emulator.computing(30)
    path = f"/v2/experiments/{E2}/results"
    assert [live.get(path).status_code for _ in range(2)] == [202, 202]
    live.emulator.clock.advance(31)
    assert live.get(path).status_code == 200
    assert live.get(path, end_time="2026-06-01T00:00:00Z").status_code == 202  # another window is another computation


def test_a_stale_cache_says_so_and_ends_earlier(live: Live) -> None:
    live.emulator.results.stale.add(E2)
    body = live.get(f"/v2/experiments/{E2}/results").json()
    assert (body["is_stale"], body["end_time"]) == (True, "2026-06-29T23:00:00.000000Z")


def test_the_start_is_rounded_up_and_the_end_down_to_five_minutes(live: Live) -> None:
    asked = {"start_time": "2026-05-20T10:01:00Z", "end_time": "2026-06-10T11:59:59Z"}
    body = live.get(f"/v2/experiments/{E2}/results", **asked).json()
    assert (body["start_time"], body["end_time"]) == ("2026-05-20T10:05:00.000000Z", "2026-06-10T11:55:00.000000Z")


def test_an_event_at_the_end_of_a_window_belongs_to_the_next(live: Live) -> None:
    at = 1_781_000_100  # a whole five minutes
    live.emulator.store.done.clear()
    visitor = min(live.emulator.store.shown_in[E2], key=lambda v: next(s.at for s in live.emulator.store.seen[v] if s.experiment == E2))
    live.tell(event(visitor, timestamp=at * 1000, revenue=700))
    ends = {"before": at, "after": at + 300}
    values = {}
    for name, end in ends.items():
        body = live.get(f"/v2/experiments/{E2}/results", end_time=_iso(end)).json()
        values[name] = sum(v["value"] for v in body["metrics"][3]["results"].values())
    assert values == {"before": 0, "after": 700}


def test_counts_are_those_of_the_visitors_shown_and_what_they_did_after(live: Live) -> None:
    store = live.emulator.store
    body = live.get(f"/v2/experiments/{E1}/results").json()
    shown = {v: next(s for s in store.seen[v] if s.experiment == E1) for v in store.shown_in[E1]}
    assert body["reach"]["total_count"] == len(shown) > 30
    lead = EVENTS["generate_lead"]
    end = 1_781_049_600_000  # when it ended
    for key, row in body["metrics"][0]["results"].items():
        mine = {v: s for v, s in shown.items() if str(s.variation) == key}
        converted = [v for v, s in mine.items() if any(d.event == lead and s.at <= d.at < end for d in store.done[v])]
        assert (row["samples"], row["value"]) == (len(mine), len(converted))
        assert row["rate"] == len(converted) / len(mine)


def test_unknown_numbers_of_visitors_are_the_largest_int64(live: Live) -> None:
    body = live.get(f"/v2/experiments/{E2}/results").json()
    assert {r["lift"]["visitors_remaining"] for m in body["metrics"] for r in m["results"].values() if "lift" in r} >= {UNKNOWN}


def test_segments_exclude_each_other(live: Live) -> None:
    path = f"/v2/experiments/{E2}/results"
    assert live.get(path, browser="chrome", device="mobile").status_code == 400
    assert live.get(path, attribute_id=5).status_code == 400
    assert live.get(path, baseline_variation_id=5).status_code == 400


def test_a_timeseries_counts_from_the_start_day_by_day_up_to_the_result(live: Live) -> None:
    days = live.get(f"/v2/experiments/{E1}/timeseries").json()["metrics"][0]["results"]
    for key, row in live.get(f"/v2/experiments/{E1}/results").json()["metrics"][0]["results"].items():
        values = [p["value"] for p in days[key]["timeseries"]]
        assert values == sorted(values)
        assert (len(values), values[-1]) == (310, row["value"])


# -- visitors --------------------------------------------------------------------------------------------------------------------
def test_a_visitors_history_is_by_account_with_stamps_in_milliseconds(live: Live) -> None:
    visitor = _shown(live, E2)
    path = f"/v2/attribution/{ACCOUNT}/visitor/{visitor}"
    rows = live.get(path).json()["bucketing_history"]
    assert E2 in {r["experiment_id"] for r in rows}
    assert all(1_770_000_000_000 < r["timestamp"] < NOW * 1000 for r in rows)
    assert live.get(path, end_time="2026-01-01T00:00:00Z").json()["bucketing_history"] == []
    assert live.get(f"/v2/attribution/{ACCOUNT}/visitor/nobody").json()["bucketing_history"] == []
    assert live.get(f"/v2/attribution/1/visitor/{visitor}").status_code == 403


def _shown(live: Live, experiment: int, n: int = 0) -> str:
    return sorted(live.emulator.store.shown_in[experiment])[n]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


# -- events ----------------------------------------------------------------------------------------------------------------------
def test_an_offline_conversion_counts_for_the_variation_the_visitor_was_shown(live: Live) -> None:
    visitor = _shown(live, E2)
    variation = next(s.variation for s in live.emulator.store.seen[visitor] if s.experiment == E2)
    before = [live.value(E2, place, variation) for place in (2, 3)]
    assert live.tell(event(visitor, revenue=1_200_50), **STRICT).status_code == 204
    assert [live.value(E2, place, variation) for place in (2, 3)] == [before[0] + 1, before[1] + 120_050]


def test_a_replayed_uuid_counts_once_and_no_key_is_needed(live: Live) -> None:
    visitor = _shown(live, E2)
    for _ in range(3):
        assert live.tell(event(visitor, revenue=5)).status_code == 204
    assert live.emulator.heard(visitor, "deal_won") == 1


def test_an_event_before_the_decision_or_of_a_stranger_counts_nowhere(live: Live) -> None:
    before = live.get(f"/v2/experiments/{E2}/results").json()["metrics"][3]["results"]
    visitor = _shown(live, E2)
    live.tell(event(visitor, timestamp=1_700_000_000_000, revenue=5))
    live.tell(event("stranger", uuid="u2", revenue=5))
    assert live.get(f"/v2/experiments/{E2}/results").json()["metrics"][3]["results"] == before


def test_seconds_instead_of_milliseconds_are_taken_and_count_nowhere(live: Live) -> None:
    visitor = _shown(live, E2)
    before = live.get(f"/v2/experiments/{E2}/results").json()["metrics"]
    assert live.tell(event(visitor, timestamp=int(NOW - 3600), revenue=5), **STRICT).status_code == 204
    assert live.get(f"/v2/experiments/{E2}/results").json()["metrics"] == before


def test_without_looking_up_decisions_an_event_counts_nowhere(live: Live) -> None:
    visitor = _shown(live, E2)
    before = live.get(f"/v2/experiments/{E2}/results").json()["metrics"]
    live.tell(event(visitor, revenue=5) | {"enrich_decisions": False})
    assert live.get(f"/v2/experiments/{E2}/results").json()["metrics"] == before


WRONG = {
    "an account id that is a number": lambda b: b | {"account_id": ACCOUNT},
    "no visitors": lambda b: b | {"visitors": []},
    "revenue with a point": lambda b: _event_with(b, revenue=12.5),
    "a stamp that is a text": lambda b: _event_with(b, timestamp="2026-06-30"),
    "no uuid": lambda b: _event_with(b, uuid=None),
    "an entity id that is a number": lambda b: _event_with(b, entity_id=EVENTS["deal_won"]),
    "a property that is a number": lambda b: _event_with(b, properties={"n": 1}),
}


def _event_with(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    body["visitors"][0]["snapshots"][0]["events"][0].update(more)
    return body


@pytest.mark.parametrize("what", WRONG)
def test_useless_events_are_dropped_in_silence_unless_strict(live: Live, what: str) -> None:
    visitor = _shown(live, E2)
    wrong = WRONG[what](event(visitor, revenue=5))
    strict, lax = live.tell(wrong, **STRICT), live.tell(wrong)
    assert (strict.status_code, lax.status_code) == (400, 204)
    assert live.emulator.heard(visitor, "deal_won") == (1 if what == "an account id that is a number" else 0)


def test_unknown_events_and_accounts_are_dropped_even_when_strict(live: Live) -> None:
    visitor = _shown(live, E2)
    assert live.tell(event(visitor, entity_id="17"), **STRICT).status_code == 204
    assert live.tell(event(visitor) | {"account_id": "17"}, **STRICT).status_code == 204
    assert live.emulator.logx.dropped == ["unknown event", "unknown account"]
    assert live.emulator.heard(visitor, "deal_won") == 0


def test_custom_events_have_a_key_of_their_own(live: Live) -> None:
    def create(body: Any) -> requests.Response:
        url = f"{live.url}/v2/projects/{WEB}/custom_events"
        return requests.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)

    made = create({"key": "deal_lost"})
    assert (made.status_code, made.json()["event_type"]) == (201, "custom")
    assert [create(b).status_code for b in ({"key": "deal_lost"}, {"name": "No key"}, {"key": "k" * 65})] == [400, 400, 400]
    assert "deal_lost" in {e["key"] for e in live.get("/v2/events", project_id=WEB, per_page=100).json()}


# -- the vendor's own SDK --------------------------------------------------------------------------------------------------------
def datafile(emulator: OptimizelyEmulator) -> dict[str, Any]:
    """The flags project as the SDK is given it."""
    rule = next(r for r in emulator.store.kinds["rules"].values() if r["type"] == "a/b")
    variations = list(rule["variations"].values())
    ends = [(str(v["variation_id"]), 5_000 * (i + 1)) for i, v in enumerate(variations)]
    experiment = {
        "id": str(FLAG_EXPERIMENT), "key": rule["key"], "layerId": str(FLAG_LAYER), "status": "Running", "audienceIds": [],
        "forcedVariations": {}, "trafficAllocation": [{"entityId": i, "endOfRange": end} for i, end in ends],
        "variations": [{"id": str(v["variation_id"]), "key": v["key"], "featureEnabled": True, "variables": []} for v in variations],
    }  # fmt: skip
    flag = {"id": "501001", "key": "smart_dosing", "rolloutId": "", "experimentIds": [str(FLAG_EXPERIMENT)], "variables": []}
    event = next(e for e in emulator.store.kinds["events"].values() if e["key"] == "dosed")
    return {
        "version": "4", "accountId": str(ACCOUNT), "projectId": str(FLAGS), "revision": "7", "anonymizeIP": True, "botFiltering": False,
        "experiments": [experiment], "featureFlags": [flag], "rollouts": [], "groups": [], "audiences": [], "typedAudiences": [],
        "attributes": [], "variables": [], "sendFlagDecisions": True,
        "events": [{"id": str(event["id"]), "key": "dosed", "experimentIds": [str(FLAG_EXPERIMENT)]}],
    }  # fmt: skip


def test_what_the_vendors_sdk_sends_is_taken_and_counted(live: Live) -> None:
    try:
        from optimizely.optimizely import Optimizely
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("optimizely-sdk is not installed: pip install -e '.[conformance]'")
    sent: list[tuple[int, dict[str, Any]]] = []

    class Loopback:
        @staticmethod
        def dispatch_event(event: Any) -> None:
            body = event.params if isinstance(event.params, dict) else json.loads(event.params)
            sent.append((live.tell(body, **STRICT).status_code, body))

    before = live.get(f"/v2/experiments/{FLAG_EXPERIMENT}/results").json()
    client = Optimizely(datafile=json.dumps(datafile(live.emulator)), event_dispatcher=Loopback())
    user = client.create_user_context("sdk-user-1")
    decision = user.decide("smart_dosing")
    user.track_event("dosed", {"revenue": 4321, "value": 1.5, "tag": "x"})
    client.close()
    assert [status for status, _ in sent] == [204] * len(sent)
    assert all(body["enrich_decisions"] is True for _, body in sent)
    live.emulator.clock.advance(600 + _lead(sent))
    after = live.get(f"/v2/experiments/{FLAG_EXPERIMENT}/results").json()
    assert after["reach"]["total_count"] == before["reach"]["total_count"] + 1
    shown = next(s for s in live.emulator.store.seen["sdk-user-1"])
    [named] = [v["key"] for v in live.emulator.store.kinds["rules"][601_001]["variations"].values() if v["variation_id"] == shown.variation]
    assert named == decision.variation_key
    key = str(shown.variation)
    assert after["metrics"][0]["results"][key]["value"] == before["metrics"][0]["results"][key]["value"] + 1


def _lead(sent: list[tuple[int, dict[str, Any]]]) -> float:
    """How far the SDK's clock, which is the machine's, is ahead of the emulator's."""
    stamps = [e["timestamp"] for _, body in sent for v in body["visitors"] for s in v["snapshots"] for e in s["events"]]
    return max(0.0, max(stamps) / 1000 - NOW)
