"""Reading GA4: each trap of its reports, through the emulator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import orjson
import pytest
from ga4_property import NOW, SIZE, Property, served, values

from connectors import ga4_read
from connectors.ga4 import CONNECTOR
from connectors.ga4_days import Lookback, Span, span, windows
from connectors.ga4_read import Report, read_report
from connectors.ga4_rows import decoded
from connectors.sandbox import ga4_auth
from connectors.sandbox.kit import Fault
from connectors.sandbox.world import NOW as WORLD_NOW
from connectors.sandbox.world import _draft
from connectors.sandbox.world_ga4 import bigquery_events
from core.connector import Ask
from core.errors import CredentialsError, UserError, VendorError, VendorUnavailable

TRAFFIC = Report(dimensions=["sessionSource", "sessionMedium"], metrics=["sessions", "totalUsers"])
LAST = date(2026, 6, 29)


@pytest.fixture
def ga4() -> Iterator[Property]:
    with served() as made:
        yield made


def ask(report: Report = TRAFFIC, **more: Any) -> Ask:
    return Ask("traffic", (), more.pop("now", NOW), reads=report, **more)


def rows(pages: list[Any]) -> list[dict[str, Any]]:
    return [row for page in pages for row in json.loads(page.body)["rows"]]


def read(ga4: Property, report: Report = TRAFFIC, **more: Any) -> list[Any]:
    with ga4.session() as session:
        return list(read_report(session, ask(report, **more)))


def paths(ga4: Property) -> Counter[str]:
    return Counter(path.rpartition(":")[2] if ":" in path else path for _, path, _ in ga4.emulator.log)


# -- which days ------------------------------------------------------------------------------------------------------------------
def test_the_last_days_are_read_again_at_every_run_and_more_of_them_once_a_week() -> None:
    back = Lookback(5, 30, 400)
    assert span(None, LAST, back) == Span(LAST - timedelta(days=399), LAST, True)
    assert span(None, LAST, back, date(2026, 6, 1)).first == date(2026, 6, 1)
    read_yesterday = {"through": "2026-06-28", "deep": "2026-06-25"}
    assert span(read_yesterday, LAST, back) == Span(date(2026, 6, 25), LAST, False)
    assert span({**read_yesterday, "deep": "2026-06-22"}, LAST, back) == Span(date(2026, 5, 31), LAST, True)
    assert span({"through": "2026-05-01", "deep": "2026-06-25"}, LAST, back).first == date(2026, 5, 2)  # nothing is jumped over
    assert span({**read_yesterday, "next": "2026-03-01"}, LAST, back) == Span(date(2026, 3, 1), LAST, False, True)


def test_weeks_and_months_are_read_whole_and_only_when_they_are_over() -> None:
    assert list(windows(date(2026, 6, 25), LAST, 2)) == [
        (date(2026, 6, 25), date(2026, 6, 26)), (date(2026, 6, 27), date(2026, 6, 28)), (LAST, LAST),
    ]  # fmt: skip
    assert list(windows(date(2026, 6, 17), LAST, 1, "week")) == [
        (date(2026, 6, 15), date(2026, 6, 21)), (date(2026, 6, 22), date(2026, 6, 28)),
    ]  # fmt: skip
    assert list(windows(date(2026, 5, 30), LAST, 31, "month")) == [(date(2026, 5, 1), date(2026, 5, 31))]
    assert list(windows(LAST, LAST, 31, "month")) == []


def test_today_at_the_property_is_never_read(ga4: Property) -> None:
    pages = read(ga4)
    assert pages[-1].covers == (pages[-1].covers[0], LAST)  # 00:00 UTC is 02:00 in Berlin: the 30th has begun
    evening = NOW.replace(day=29, hour=21, minute=30)
    ga4.emulator.clock.advance(-2.5 * 3600)
    assert read(ga4, now=evening)[-1].covers[1] == date(2026, 6, 28)
    assert pages[-1].state["through"] == "2026-06-29"


# -- the rows --------------------------------------------------------------------------------------------------------------------
def test_every_row_of_a_long_history_comes_once_in_few_requests(ga4: Property) -> None:
    pages = read(ga4)
    found = rows(pages)
    assert paths(ga4) == {
        "/token": 1,
        "/v1beta/properties/314159265/metadata": 1,
        "checkCompatibility": 1,
        "runReport": 1,
        "batchRunReports": 3,
    }
    assert len({row["key"] for row in found}) == len(found) == sum(page.total or 0 for page in pages) > 50
    body = {
        "dimensions": [{"name": n} for n in ("date", "sessionSource", "sessionMedium")],
        "metrics": [{"name": "sessions"}, {"name": "totalUsers"}],
        "dateRanges": [{"startDate": "2025-05-26", "endDate": "2026-06-29"}],
    }
    own = {(r["day"].replace("-", ""), *json.loads(r["dimensions"]).values(), *(v["value"] for v in r["values"])) for r in found}
    assert own == {
        (d, medium_source[1], medium_source[0], *n) for d, *medium_source, s, u in values(ga4.report(body)[1]) for n in [(s, u)]
    } or own == {(d, medium, source, s, u) for d, source, medium, s, u in values(ga4.report(body)[1])}
    assert found[0]["values"][0] == {"measure": "sessions", "value": found[0]["values"][0]["value"], "additive": True}
    assert found[0]["values"][1]["additive"] is False


def test_pages_follow_one_another_without_gaps_because_the_order_is_fixed(ga4: Property, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(read(ga4))
    monkeypatch.setattr(ga4_read, "LIMIT", 3)
    pages = read(ga4)
    assert sorted(map(str, rows(pages))) == sorted(map(str, whole))
    assert len(pages) > 20
    for page, after in pairwise(pages):  # the state moves on only when a window is complete
        assert (page.state.get("next") == page.covers[0].isoformat()) == (page.covers == after.covers)


def test_a_broken_read_goes_on_with_the_window_it_was_in(ga4: Property, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ga4_read, "LIMIT", 3)
    report = TRAFFIC.model_copy(update={"history_days": 75})
    pages = read(ga4, report)
    assert len({page.covers for page in pages}) > 2
    for at in range(0, len(pages) - 1, 5):
        state = orjson.loads(orjson.dumps(pages[at].state))
        rest = read(ga4, report, state=state)
        whole_windows = {page.covers for page in pages[: at + 1]} - {pages[at].covers if pages[at + 1].covers == pages[at].covers else None}
        before = [r for page in pages if page.covers in whole_windows for r in rows([page])]
        keys = {r["key"] for r in [*before, *rows(rest)]}
        assert keys == {r["key"] for r in rows(pages)}


def test_an_empty_window_is_a_page_without_rows_that_covers_its_days(ga4: Property) -> None:
    report = TRAFFIC.model_copy(update={"where": {"sessionSource": "nobody"}, "history_days": 10})
    [page] = read(ga4, report)
    assert (rows([page]), page.total, page.covers) == ([], 0, (date(2026, 6, 20), LAST))


def test_users_of_a_week_are_asked_for_the_week(ga4: Property) -> None:
    weekly = read(ga4, Report(metrics=["totalUsers"], by="week", history_days=60))
    days = rows(read(ga4, Report(metrics=["totalUsers"], history_days=70)))
    fewer = 0
    for row in rows(weekly):
        monday = date.fromisoformat(row["day"])
        assert monday.weekday() == 0
        of_days = sum(int(d["values"][0]["value"]) for d in days if monday <= date.fromisoformat(d["day"]) < monday + timedelta(days=7))
        assert int(row["values"][0]["value"]) <= of_days
        fewer += int(row["values"][0]["value"]) < of_days
    assert fewer


def test_sampling_thresholds_and_other_are_kept_apart_beside_the_rows(ga4: Property) -> None:
    def context() -> dict[str, str]:
        return dict(read(ga4, TRAFFIC.model_copy(update={"history_days": 20}))[0].context)

    clean = {"sampled": "false", "sample": "", "thresholded": "false", "other_row": "false", "timezone": "Europe/Berlin", "currency": "EUR",
             "period": "day"}  # fmt: skip
    assert context() == clean
    ga4.emulator.knob("threshold", 2)
    assert context() == {**clean, "thresholded": "true"}
    ga4.emulator.knob("threshold", 0)
    ga4.emulator.knob("cardinality", 4)
    assert context() == {**clean, "other_row": "true"}
    ga4.emulator.knob("cardinality", 0)
    ga4.emulator.knob("sampling", 0.25)
    assert context() == {**clean, "sampled": "true", "sample": "250000 of 1000000"}


def test_other_in_place_of_a_date_counts_for_the_windows_last_day() -> None:
    row = {
        "dimensionValues": [{"value": "(other)"}, {"value": "ads"}, {"value": "(other)"}],
        "metricValues": [{"value": "3"}, {"value": "2"}],
    }
    reply = decoded(json.dumps({"rows": [row]}).encode(), 3, 2)
    [found] = ga4_read._named(reply["rows"], TRAFFIC, LAST)
    assert (found["day"], json.loads(found["dimensions"])) == (
        "2026-06-29", {"date": "(other)", "sessionSource": "ads", "sessionMedium": "(other)"},
    )  # fmt: skip


def test_what_a_reply_leaves_out_is_empty_and_what_is_no_report_is_said() -> None:
    body = b'{"rows": [{"dimensionValues": [{"value": "20260629"}, {}], "metricValues": [{"value": "3"}]}], "rowCount": 1, "kind": "x"}'
    reply = decoded(body, 2, 1)
    assert [tuple(row.values()) for row in reply["rows"]] == [("20260629", "", "3")]
    assert (reply["rowCount"], decoded(b"{}", 2, 1)) == (1, {})
    with pytest.raises(json.JSONDecodeError):
        decoded(b"<html>", 2, 1)
    with pytest.raises(VendorError, match="no report"):
        decoded(b'{"rows": 3}', 2, 1)


# -- fields ----------------------------------------------------------------------------------------------------------------------
def test_a_retired_name_is_read_under_its_new_one_and_keeps_its_own(ga4: Property) -> None:
    found = rows(read(ga4, Report(metrics=["conversions"], where={"isConversionEvent": "true"})))
    assert {v["measure"] for row in found for v in row["values"]} == {"conversions"}
    assert sum(float(row["values"][0]["value"]) for row in found) > 0


def test_a_name_that_is_retired_between_two_runs_is_looked_up_again(ga4: Property) -> None:
    state = {"v": 1, "through": "2026-06-28", "deep": "2026-06-28", "names": {}, "zone": "Europe/Berlin"}
    [page] = read(ga4, Report(metrics=["conversions"]), state=state)
    assert page.state["names"] == {"conversions": "keyEvents"}


def test_fields_the_property_does_not_have_or_that_do_not_go_together_are_named(ga4: Property) -> None:
    with pytest.raises(VendorError, match=r"report 'traffic': the property has no metric 'sesions'; did you mean 'sessions'"):
        read(ga4, Report(metrics=["sesions"]))
    with pytest.raises(VendorError, match=r"report 'traffic': itemName, sessions do not go together"):
        read(ga4, Report(dimensions=["itemName"], metrics=["sessions"]))


# -- limits ----------------------------------------------------------------------------------------------------------------------
def test_ten_at_once_are_waited_for(ga4: Property) -> None:
    ga4.emulator.faults.append(Fault("throttle", match="runReport", times=2))
    assert rows(read(ga4))
    assert ga4.waits[:2] == [30.0, 30.0]


@pytest.mark.parametrize("quota", ["tokensPerDay", "tokensPerHour", "tokensPerProjectPerHour"])
def test_used_up_tokens_end_the_run_at_once(ga4: Property, quota: str) -> None:
    ga4.emulator.knob(quota, 0)
    with pytest.raises(VendorUnavailable, match="used up"):
        read(ga4)
    assert ga4.waits == []
    assert ga4.emulator.calls["POST /v1beta/properties/314159265:runReport"] == 1


def test_a_tenth_of_the_tokens_is_left_to_others(ga4: Property) -> None:
    ga4.emulator.quota.spend("tokensPerDay", 190_000)
    with pytest.raises(VendorUnavailable, match="of 200000 calls of 'tokens_day' are left"):
        read(ga4)


def test_server_errors_stop_before_the_tenth_locks_the_property(ga4: Property) -> None:
    ga4.emulator.quota.spend("serverErrorsPerProjectPerHour", 8)
    with pytest.raises(VendorUnavailable, match="'server_errors' are left"):
        read(ga4)
    assert ga4.emulator.quota.used("serverErrorsPerProjectPerHour") == 8


def test_requests_that_spend_no_scarce_quota_are_not_held_back_by_it(ga4: Property) -> None:
    with ga4.session() as session:
        for _ in range(130):  # 120 thresholded reports and 10 server errors are the most in an hour
            session.ask("runReport", ga4_read.ONE_NUMBER)
    assert sum(ga4.waits) < 60


# -- who may -----------------------------------------------------------------------------------------------------------------------
def test_a_users_grant_opens_the_property_as_well(ga4: Property) -> None:
    grant = {
        "service_account": "", "client_id": ga4_auth.CLIENT_ID, "client_secret": ga4_auth.CLIENT_SECRET,
        "refresh_token": ga4_auth.REFRESH_TOKEN, "token_uri": f"{ga4.url}/token",
    }  # fmt: skip
    with ga4.session(**grant) as session:
        assert "secret for events is one" in CONNECTOR.probe(session)
    for name, words in (("client_secret", "client_secret"), ("refresh_token", "refresh_token")):
        with ga4.session(**{**grant, name: "wrong"}) as session, pytest.raises(CredentialsError, match=words):
            CONNECTOR.probe(session)
    with pytest.raises(CredentialsError, match="`client_secret` missing"), ga4.session(**{**grant, "client_secret": ""}):
        pass


def test_an_expired_token_is_renewed_in_the_middle(ga4: Property) -> None:
    ga4.emulator.faults.append(Fault("expire", match="batchRunReports", after=1))
    assert rows(read(ga4))
    assert ga4.emulator.calls["POST /token"] == 2


def test_a_key_that_is_none_is_named_and_not_shown(ga4: Property) -> None:
    key = ga4.emulator.secrets(ga4.url)["service_account"]
    for wrong in ("{}", "[]", key[:-40], key.replace("PRIVATE KEY-----", "PRIVATE KEX-----")):
        with pytest.raises(CredentialsError, match="`service_account` is not the JSON key") as caught, ga4.session(service_account=wrong):
            pass
        assert "BEGIN" not in str(caught.value)


def test_a_measurement_id_is_no_property(ga4: Property) -> None:
    with pytest.raises(UserError, match="property_id is a number"), ga4.session(property_id="G-LUMENLOOM1"):
        pass


def test_a_foreign_property_and_an_api_that_is_off_are_told_in_words(ga4: Property) -> None:
    with ga4.session(property_id="1", api_secret="") as session, pytest.raises(VendorError, match="check property_id; the service account"):
        CONNECTOR.probe(session)
    ga4.emulator.knob("admin_enabled", False)
    with ga4.session() as session:
        assert "Europe/Berlin, EUR" in CONNECTOR.probe(session)  # the Data API still answers
        live = CONNECTOR.discover(session) if CONNECTOR.discover else None
    assert live is not None
    assert {f.resource for f in live.fields} == {"report"}


def test_the_streams_id_is_found_by_its_measurement_id(ga4: Property) -> None:
    with ga4.session(stream_id="") as session:
        assert "secret for events is one" in CONNECTOR.probe(session)
    with ga4.session(stream_id="", measurement_id="G-OTHER") as session, pytest.raises(CredentialsError, match="measurement_id"):
        CONNECTOR.probe(session)


@pytest.mark.parametrize(("setting", "value"), [("measurement_id", "G-OTHER"), ("stream_id", "1")])
def test_events_for_another_stream_than_the_secrets_are_found_by_the_check(ga4: Property, setting: str, value: str) -> None:
    with ga4.session(**{setting: value}) as session, pytest.raises(CredentialsError, match=setting):
        CONNECTOR.probe(session)


def test_discovery_names_fields_streams_key_events_and_properties(ga4: Property) -> None:
    with ga4.session() as session:
        assert CONNECTOR.discover is not None
        live = {(f.resource, f.path) for f in CONNECTOR.discover(session).fields}
    wanted = {("report", "customEvent:exp_variant_string"), ("report", "keyEvents:generate_lead"), ("streams", "G-LUMENLOOM1")}
    assert wanted | {("key_events", "generate_lead"), ("properties", "314159265")} <= live


# -- the export --------------------------------------------------------------------------------------------------------------------
def test_reports_and_the_event_export_are_of_one_web(ga4: Property) -> None:
    ga4.emulator.clock.advance(7 * 86_400)  # until the last late event was processed
    exported: Counter[tuple[str, str]] = Counter()
    users: dict[str, set[str]] = {}
    draft = _draft(SIZE, 7, WORLD_NOW, 0.005)
    draft.rng = Random("7/ga4")
    for row in bigquery_events(draft):
        exported[row["event_date"], row["event_name"]] += 1
        users.setdefault(row["event_date"], set()).add(row["user_pseudo_id"])
    body = {"metrics": [{"name": "eventCount"}], "dateRanges": [{"startDate": "2023-01-01", "endDate": "2026-06-30"}], "limit": 250_000}
    reported = values(ga4.report({**body, "dimensions": [{"name": "date"}, {"name": "eventName"}]})[1])
    assert {(d, n): int(count) for d, n, count in reported} == dict(exported)
    by_day = values(ga4.report({**body, "dimensions": [{"name": "date"}], "metrics": [{"name": "totalUsers"}]})[1])
    assert {d: int(n) for d, n in by_day} == {d: len(found) for d, found in users.items()}
