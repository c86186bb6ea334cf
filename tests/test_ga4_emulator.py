"""The GA4 emulator does what Google documents, and refuses what Google refuses."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from ga4_property import DAYS, NOW, Property, served, values

from connectors.sandbox import ga4_auth
from connectors.sandbox.ga4 import API_SECRET

CHANNELS = {
    "dimensions": [{"name": "date"}, {"name": "sessionDefaultChannelGroup"}],
    "metrics": [{"name": "sessions"}, {"name": "eventValue"}],
    "dateRanges": [DAYS],
    "orderBys": [
        {"dimension": {"dimensionName": "date", "orderType": "NUMERIC"}},
        {"dimension": {"dimensionName": "sessionDefaultChannelGroup"}},
    ],
}
MICROS = int(NOW.timestamp() - 3600) * 1_000_000


@pytest.fixture
def ga4() -> Iterator[Property]:
    with served() as made:
        yield made


def refused(answer: tuple[int, Any], status: int, words: str) -> None:
    assert answer[0] == status
    assert words in answer[1]["error"]["message"], answer[1]


# -- tokens --------------------------------------------------------------------------------------------------------------------
def assertion(key: Any, **claims: Any) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    said = {
        "iss": ga4_auth.EMAIL, "aud": ga4_auth.AUDIENCE, "iat": 1_782_000_000, "exp": 1_782_003_600,
        "scope": "https://www.googleapis.com/auth/analytics.readonly", **claims,
    }  # fmt: skip
    text = f"{part(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(said).encode())}"
    return f"{text}.{part(key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def ask_token(ga4: Property, **form: str) -> tuple[int, Any]:
    return ga4.call("POST", "/token", urlencode(form).encode(), token="")


def test_only_an_assertion_signed_with_the_accounts_key_gets_a_token(ga4: Property) -> None:
    own, other = ga4_auth.private_key(), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    status, given = ask_token(ga4, grant_type=ga4_auth.GRANT, assertion=assertion(own))
    assert (status, given["token_type"], given["expires_in"]) == (200, "Bearer", 3599)
    assert ga4.call("POST", "/v1beta/properties/314159265:runReport", CHANNELS, given["access_token"])[0] == 200
    forged = ask_token(ga4, grant_type=ga4_auth.GRANT, assertion=assertion(other))
    assert (forged[0], forged[1]["error"], forged[1]["error_description"]) == (400, "invalid_grant", "Invalid JWT Signature.")
    head, claims, signature = assertion(own).split(".")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"readonly", b"edit")).rstrip(b"=").decode()
    assert ask_token(ga4, grant_type=ga4_auth.GRANT, assertion=f"{head}.{changed}.{signature}")[0] == 400


@pytest.mark.parametrize("claims", [{"iss": "someone@else"}, {"aud": "http://127.0.0.1/token"}, {"exp": 1_782_090_000}, {"scope": ""}])
def test_an_assertion_with_wrong_claims_gets_none(ga4: Property, claims: dict[str, Any]) -> None:
    assert ask_token(ga4, grant_type=ga4_auth.GRANT, assertion=assertion(ga4_auth.private_key(), **claims))[0] == 400


def test_a_refresh_token_is_taken_only_from_its_client(ga4: Property) -> None:
    grant = {"grant_type": "refresh_token", "client_id": ga4_auth.CLIENT_ID, "refresh_token": ga4_auth.REFRESH_TOKEN}
    assert ask_token(ga4, **grant, client_secret=ga4_auth.CLIENT_SECRET)[0] == 200
    assert ask_token(ga4, **grant, client_secret="wrong")[1]["error"] == "invalid_client"
    assert ask_token(ga4, **{**grant, "refresh_token": "old"}, client_secret=ga4_auth.CLIENT_SECRET)[1]["error"] == "invalid_grant"


def test_requests_without_a_live_token_or_its_scope_are_refused(ga4: Property) -> None:
    path = "/v1beta/properties/314159265:runReport"
    assert ga4.call("POST", path, CHANNELS, "nonsense")[1]["error"]["status"] == "UNAUTHENTICATED"
    token = ga4.token()
    ga4.emulator.clock.advance(3600)
    assert ga4.call("POST", path, CHANNELS, token)[0] == 401
    refused(ga4.call("POST", path, CHANNELS, ga4.token("datamanager")), 403, "insufficient authentication scopes")
    refused(ga4.call("POST", "/v1beta/properties/1:runReport", CHANNELS), 403, "sufficient permissions for this property")


# -- reports -------------------------------------------------------------------------------------------------------------------
def test_a_report_adds_up_what_happened(ga4: Property) -> None:
    status, reply = ga4.report(CHANNELS)
    facts = [f for day, found in ga4.emulator.facts.by_day.items() if "20260601" <= day <= "20260629" for f in found]
    seen = [f for f in facts if f.seen_at <= NOW.timestamp()]
    sessions = Counter((day, group) for day, group, _ in {(f.day, f.group, f.visit) for f in seen if f.session})
    assert status == 200
    assert {(d, g): int(n) for d, g, n, _ in values(reply) if n != "0"} == dict(sessions)
    assert len(seen) < len(facts)  # some of it has not been processed yet
    assert reply["rowCount"] == len(reply["rows"])
    assert reply["metricHeaders"] == [{"name": "sessions", "type": "TYPE_INTEGER"}, {"name": "eventValue", "type": "TYPE_FLOAT"}]
    assert reply["metadata"] == {"currencyCode": "EUR", "timeZone": "Europe/Berlin"}


def test_pages_tell_nothing_of_limit_and_offset_and_make_up_the_whole(ga4: Property) -> None:
    whole = ga4.report(CHANNELS)[1]
    pages = [ga4.report({**CHANNELS, "limit": "7", "offset": str(n)})[1] for n in range(0, whole["rowCount"], 7)]
    assert [row for page in pages for row in page["rows"]] == whole["rows"]
    assert {page["rowCount"] for page in pages} == {whole["rowCount"]}
    assert {"limit", "offset", "nextPageToken"}.isdisjoint(pages[0])
    beyond = ga4.report({**CHANNELS, "limit": 7, "offset": 10_000})[1]
    assert (beyond["rowCount"], "rows" in beyond) == (whole["rowCount"], False)


def test_without_an_order_rows_come_in_another_one_each_time(ga4: Property) -> None:
    loose = {k: v for k, v in CHANNELS.items() if k != "orderBys"}
    one, other = ga4.report(loose)[1]["rows"], ga4.report(loose)[1]["rows"]
    assert one != other
    assert sorted(map(str, one)) == sorted(map(str, other))


def test_an_empty_report_leaves_out_its_rows_and_their_count(ga4: Property) -> None:
    status, reply = ga4.report({**CHANNELS, "dateRanges": [{"startDate": "2016-01-01", "endDate": "2016-01-02"}]})
    assert status == 200
    assert {"rows", "rowCount", "totals"}.isdisjoint(reply)


def test_filters_and_days_by_word(ga4: Property) -> None:
    where = {"filter": {"fieldName": "sessionDefaultChannelGroup", "stringFilter": {"value": "direct"}}}
    some = values(ga4.report({**CHANNELS, "dimensionFilter": where})[1])
    assert {row[1] for row in some} == {"Direct"}
    rest = values(ga4.report({**CHANNELS, "dimensionFilter": {"notExpression": where}})[1])
    assert sorted(some + rest) == sorted(values(ga4.report(CHANNELS)[1]))
    by_word = ga4.report({**CHANNELS, "dateRanges": [{"startDate": "29daysAgo", "endDate": "yesterday"}]})[1]
    assert values(by_word) == values(ga4.report(CHANNELS)[1])
    many = {"filter": {"fieldName": "sessions", "numericFilter": {"operation": "GREATER_THAN", "value": {"int64Value": "1"}}}}
    assert {int(r[2]) > 1 for r in values(ga4.report({**CHANNELS, "metricFilter": many})[1])} == {True}


def test_several_date_ranges_add_a_dimension(ga4: Property) -> None:
    two = [DAYS, {"startDate": "2026-06-28", "endDate": "2026-06-28", "name": "last"}]
    reply = ga4.report({**CHANNELS, "dateRanges": two})[1]
    assert [h["name"] for h in reply["dimensionHeaders"]][-1] == "dateRange"
    assert {row[2] for row in values(reply)} == {"date_range_0", "last"}


def test_users_are_counted_once_so_days_do_not_add_up(ga4: Property) -> None:
    whole = ga4.report({"metrics": [{"name": "totalUsers"}], "dateRanges": [{"startDate": "2026-03-01", "endDate": "2026-06-29"}]})[1]
    days = ga4.report({**CHANNELS, "dimensions": [{"name": "date"}], "orderBys": [], "metrics": [{"name": "totalUsers"}],
                       "dateRanges": [{"startDate": "2026-03-01", "endDate": "2026-06-29"}]})[1]  # fmt: skip
    assert int(values(whole)[0][0]) < sum(int(n) for _, n in values(days))


REFUSED = {
    "ten dimensions": ({"dimensions": [{"name": n} for n in "abcdefghij"]}, "not a valid dimension"),
    "unknown metric": ({"metrics": [{"name": "sesions"}]}, "Field sesions is not a valid metric"),
    "retired metric": ({"metrics": [{"name": "conversions"}]}, "Field conversions is not a valid metric"),
    "eleven metrics": ({"metrics": [{"name": "sessions"}] * 11}, "limited to 10 metrics"),
    "twice the same": ({"metrics": [{"name": "sessions"}] * 2}, "Duplicate metric"),
    "bad date": ({"dateRanges": [{"startDate": "20260601", "endDate": "tomorrow"}]}, "Invalid date"),
    "days backwards": ({"dateRanges": [{"startDate": "2026-06-02", "endDate": "2026-06-01"}]}, "on or before"),
    "no dates": ({"dateRanges": []}, "1 to 4 date ranges"),
    "incompatible": ({"dimensions": [{"name": "itemName"}], "orderBys": []}, "incompatible"),
    "unknown name": ({"limits": 5}, "Unknown name"),
    "order by what is not asked": ({"orderBys": [{"metric": {"metricName": "totalUsers"}}]}, "not in the request"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_reports_that_google_refuses(ga4: Property, case: str) -> None:
    more, words = REFUSED[case]
    refused(ga4.report({**CHANNELS, **more}), 400, words)


def test_nine_dimensions_are_the_most(ga4: Property) -> None:
    names = "date country deviceCategory browser eventName pagePath landingPage sessionSource sessionMedium sessionCampaignName".split()  # noqa: SIM905
    body = {"metrics": [{"name": "eventCount"}], "dateRanges": [DAYS]}
    assert ga4.report({**body, "dimensions": [{"name": n} for n in names[:9]]})[0] == 200
    refused(ga4.report({**body, "dimensions": [{"name": n} for n in names]}), 400, "limited to 9 dimensions")


def test_a_batch_takes_five_reports(ga4: Property) -> None:
    path = "/v1beta/properties/314159265:batchRunReports"
    status, reply = ga4.call("POST", path, {"requests": [CHANNELS] * 5})
    assert (status, len(reply["reports"])) == (200, 5)
    refused(ga4.call("POST", path, {"requests": [CHANNELS] * 6}), 400, "must be 1 to 5")


def test_what_spoils_the_numbers_is_told_apart(ga4: Property) -> None:
    plain = ga4.report(CHANNELS)[1]
    ga4.emulator.knob("threshold", 2)
    dropped = ga4.report(CHANNELS)[1]
    assert dropped["rowCount"] < plain["rowCount"]
    assert [k for k in ("subjectToThresholding", "dataLossFromOtherRow", "samplingMetadatas") if k in dropped["metadata"]] == [
        "subjectToThresholding"
    ]
    ga4.emulator.knob("threshold", 0)
    ga4.emulator.knob("cardinality", 5)
    folded = ga4.report(CHANNELS)[1]
    assert folded["metadata"]["dataLossFromOtherRow"] is True
    assert "(other)" in {row[1] for row in values(folded)}
    ga4.emulator.knob("cardinality", 0)
    ga4.emulator.knob("sampling", 0.5)
    assert ga4.report(CHANNELS)[1]["metadata"]["samplingMetadatas"] == [{"samplesReadCount": "500000", "samplingSpaceSize": "1000000"}]


MESSAGES = {
    "tokensPerDay": "Exhausted property tokens per day.",
    "tokensPerHour": "Exhausted property tokens per hour.",
    "tokensPerProjectPerHour": "Exhausted property tokens for a project per hour.",
    "potentiallyThresholdedRequestsPerHour": "Exhausted potentially thresholded requests quota.",
}


@pytest.mark.parametrize("quota", MESSAGES)
def test_quotas_run_out_each_with_its_message_and_come_back(ga4: Property, quota: str) -> None:
    ages = {**CHANNELS, "dimensions": [{"name": "date"}, {"name": "userAgeBracket"}], "orderBys": [], "returnPropertyQuota": True}
    ga4.emulator.knob(quota, 3)
    shown = [ga4.report(ages)[1]["propertyQuota"][quota] for _ in range(3)]
    assert [s.get("remaining", 0) for s in shown] == [2, 1, 0]
    refused(ga4.report(ages), 429, MESSAGES[quota])
    ga4.emulator.clock.advance(86_400 if quota == "tokensPerDay" else 3600)
    assert ga4.report(ages)[0] == 200


def test_ten_requests_at_once_are_the_most(ga4: Property) -> None:
    ga4.emulator.knob("others", 10)
    refused(ga4.report(CHANNELS), 429, "Exhausted concurrent requests quota.")


def test_a_day_is_restated_as_late_events_come_in(ga4: Property) -> None:
    def at(days: int) -> int:
        ga4.emulator.clock.advance(NOW.timestamp() + days * 86_400 - ga4.emulator.clock.now())
        asked = {"metrics": [{"name": "eventCount"}], "dateRanges": [{"startDate": "2026-06-25", "endDate": "2026-06-29"}]}
        return int(values(ga4.report(asked)[1])[0][0])

    counts = [at(days) for days in range(7)]
    assert counts == sorted(counts)
    assert counts[0] < counts[5] == counts[6]


def test_the_vendors_own_client_may_ask_for_enums_as_numbers(ga4: Property) -> None:
    status, reply = ga4.call("POST", "/v1beta/properties/314159265:runReport?%24alt=json%3Benum-encoding%3Dint", CHANNELS)
    assert (status, [h["type"] for h in reply["metricHeaders"]]) == (200, [1, 2])


def test_a_closed_funnel_is_entered_by_its_first_step(ga4: Property) -> None:
    def run(open_: bool) -> list[int]:
        steps = [
            {"name": name, "filterExpression": {"funnelEventFilter": {"eventName": event}}}
            for name, event in (("Form", "form_start"), ("Lead", "generate_lead"), ("Visit", "session_start"))
        ]
        days = {"startDate": "2026-01-01", "endDate": "2026-06-29"}
        body = {"dateRanges": [days], "funnel": {"isOpenFunnel": open_, "steps": steps}}
        reply = ga4.call("POST", "/v1alpha/properties/314159265:runFunnelReport", body)[1]
        rows = values(reply["funnelTable"])
        assert [row[0] for row in rows] == ["1. Form", "2. Lead", "3. Visit"]
        return [int(row[1]) for row in rows]

    closed, open_ = run(False), run(True)
    assert closed[0] == closed[1] > closed[2]
    assert open_[2] > closed[2]


# -- the Admin API ---------------------------------------------------------------------------------------------------------------
def test_the_admin_api_lists_what_there_is_and_can_be_off(ga4: Property) -> None:
    own = "/v1beta/properties/314159265"
    assert ga4.call("GET", "/v1beta/accountSummaries")[1]["accountSummaries"][0]["propertySummaries"][0]["property"] == own[8:]
    assert ga4.call("GET", f"{own}/dataStreams")[1]["dataStreams"][0]["webStreamData"]["measurementId"] == "G-LUMENLOOM1"
    assert [r["eventName"] for r in ga4.call("GET", f"{own}/keyEvents?pageSize=1")[1]["keyEvents"]] == ["close_convert_lead"]
    assert ga4.call("GET", own)[1]["timeZone"] == "Europe/Berlin"
    names = {m["apiName"]: m for m in ga4.call("GET", f"{own}/metadata")[1]["metrics"]}
    assert names["keyEvents"]["deprecatedApiNames"] == ["conversions"]
    ga4.emulator.knob("admin_enabled", False)
    status, reply = ga4.call("GET", f"{own}/dataStreams")
    assert (status, reply["error"]["details"][0]["reason"]) == (403, "SERVICE_DISABLED")


# -- collection ------------------------------------------------------------------------------------------------------------------
def payload(**more: Any) -> dict[str, Any]:
    event = {"name": "qualify_lead", "params": {"value": 5.0, "currency": "EUR", "engagement_time_msec": 1}}
    return {"client_id": "11.22", "timestamp_micros": MICROS, "events": [event], **more}


def send(ga4: Property, body: Any, path: str = "/mp/collect", secret: str = API_SECRET) -> tuple[int, Any]:
    query = urlencode({"measurement_id": "G-LUMENLOOM1", "api_secret": secret})
    return ga4.call("POST", f"{path}?{query}", body, token="")


def test_collection_always_says_204_whatever_becomes_of_it(ga4: Property) -> None:
    assert send(ga4, payload()) == (204, b"")
    assert ga4.emulator.heard("11.22", "qualify_lead") == 1
    for bad, secret in (
        (payload(), "wrong"),
        (b"garbage", API_SECRET),
        (payload(client_id=""), API_SECRET),
        (payload(events=[]), API_SECRET),
    ):
        assert send(ga4, bad, secret=secret) == (204, b"")
    assert send(ga4, payload(events=[{"name": "_bad"}])) == (204, b"")
    assert send(ga4, payload(events=payload()["events"] * 26)) == (204, b"")
    assert ga4.emulator.heard("11.22", "qualify_lead") == 1
    send(ga4, payload())  # nothing is recognised as the same event
    assert ga4.emulator.heard("11.22", "qualify_lead") == 2


def test_an_event_older_than_72_hours_is_moved_to_now(ga4: Property) -> None:
    send(ga4, payload(timestamp_micros=MICROS - 4 * 86_400_000_000))
    send(ga4, payload())
    assert [e["at"] for e in ga4.emulator.collected.events] == [NOW.timestamp(), MICROS / 1e6]


def test_a_collected_event_shows_in_reports_only_when_it_was_processed(ga4: Property) -> None:
    send(ga4, payload())
    where = {"filter": {"fieldName": "eventName", "stringFilter": {"value": "qualify_lead"}}}
    asked = {
        "metrics": [{"name": "eventCount"}],
        "dateRanges": [{"startDate": "2026-06-29", "endDate": "2026-06-30"}],
        "dimensionFilter": where,
    }
    assert "rows" not in ga4.report(asked)[1]
    ga4.emulator.clock.advance(12 * 3600)
    assert values(ga4.report(asked)[1]) == [("1",)]


PROBLEMS = {
    "clean": (payload(), None),
    "no client": (payload(client_id=""), "VALUE_REQUIRED"),
    "no events": (payload(events=[]), "VALUE_REQUIRED"),
    "bad name": (payload(events=[{"name": "_badEventName"}]), "NAME_INVALID"),
    "reserved": (payload(events=[{"name": "session_start"}]), "NAME_RESERVED"),
    "reserved prefix": (payload(events=[{"name": "ga_lead"}]), "NAME_RESERVED"),
    "too many events": (payload(events=[{"name": "lead"}] * 26), "EXCEEDED_MAX_ENTITIES"),
    "too many params": (payload(events=[{"name": "lead", "params": {f"p{i}": 1 for i in range(26)}}]), "EXCEEDED_MAX_ENTITIES"),
    "long value": (payload(events=[{"name": "lead", "params": {"p": "x" * 101}}]), "VALUE_INVALID"),
    "value as text": (payload(events=[{"name": "lead", "params": {"value": "5", "currency": "EUR"}}]), "VALUE_INVALID"),
    "unknown field": (payload(event="lead"), "VALUE_INVALID"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS)
def test_the_validation_server_says_what_is_wrong_and_records_nothing(ga4: Property, case: str) -> None:
    body, code = PROBLEMS[case]
    status, reply = send(ga4, body, "/debug/mp/collect", secret="not even checked")
    assert status == 200
    assert [m["validationCode"] for m in reply["validationMessages"]][:1] == ([code] if code else [])
    assert ga4.emulator.collected.events == []


def test_old_stamps_and_values_without_currency_are_only_found_when_asked_to_be_strict(ga4: Property) -> None:
    late = payload(timestamp_micros=MICROS - 4 * 86_400_000_000, events=[{"name": "lead", "params": {"value": 5}}])
    assert send(ga4, late, "/debug/mp/collect")[1] == {"validationMessages": []}
    strict = send(ga4, {**late, "validation_behavior": "ENFORCE_RECOMMENDATIONS"}, "/debug/mp/collect")[1]["validationMessages"]
    assert [(m["fieldPath"], m["validationCode"]) for m in strict] == [
        ("timestamp_micros", "VALUE_OUT_OF_BOUNDS"), ("events.params.currency", "VALUE_REQUIRED"),
    ]  # fmt: skip


def ingest(ga4: Property, token: str | None = None, **more: Any) -> tuple[int, Any]:
    account = {"accountType": "GOOGLE_ANALYTICS_PROPERTY", "accountId": "314159265"}
    event = {"eventName": "qualify_lead", "clientId": "11.22", "eventTimestamp": datetime(2026, 6, 29, 23, tzinfo=UTC).isoformat(), **more}
    body = {"destinations": [{"operatingAccount": account, "productDestinationId": "G-LUMENLOOM1"}], "events": [event]}
    return ga4.call("POST", "/v1/events:ingest", body, token)


def test_the_data_manager_checks_its_sender_and_the_event_and_tells_the_outcome(ga4: Property) -> None:
    refused(ingest(ga4, ga4.token("analytics.readonly")), 403, "scopes")
    refused(ingest(ga4, conversionValue=5), 400, "currency")
    refused(ingest(ga4, clientId=""), 400, "client_id")
    refused(ingest(ga4, colour="red"), 400, "Unknown name")
    request_id = ingest(ga4)[1]["requestId"]
    late = ingest(ga4, eventTimestamp="2026-06-20T00:00:00Z")[1]["requestId"]

    def status(of: str) -> Any:
        return ga4.call("GET", f"/v1/requestStatus:retrieve?requestId={of}")[1]["requestStatusPerDestination"][0]

    assert status(request_id)["requestStatus"] == "PROCESSING"
    ga4.emulator.clock.advance(600)
    assert status(request_id)["requestStatus"] == "SUCCESS"
    assert (status(late)["requestStatus"], status(late)["errorInfo"]["errorCounts"][0]["reason"][-13:]) == ("FAILED", "EVENT_TOO_OLD")
    assert ga4.emulator.heard("11.22", "qualify_lead") == 1
