"""Writing to HubSpot, and what its refusals mean: one bad record never costs the others, no secret is ever told."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hubspot_account import GRANT, account, ids, people, sent, thing

from connectors.hubspot import CONNECTOR
from connectors.hubspot_session import fault
from connectors.hubspot_write import as_text
from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Fault, Reply, Request
from core.connector import PushField, Write
from core.errors import CredentialsError, VendorError, VendorUnavailable
from core.http import ReadOnlyError


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


def test_a_life_cycle_stage_somebody_set_since_we_looked_is_not_cleared() -> None:
    """HubSpot ignores the step back; going on by force would take the newer stage away."""
    with account([thing(1, lifecyclestage="customer")], writes=True) as hub:
        hub.write(Write("late", "1", {"lifecyclestage": "opportunity"}, before={"lifecyclestage": "lead"}))
        assert hub.value("1", "lifecyclestage") == "customer"
        hub.write(Write("meant", "1", {"lifecyclestage": "opportunity"}, before={"lifecyclestage": "customer"}))
        assert hub.value("1", "lifecyclestage") == "opportunity"


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


@pytest.mark.parametrize(
    "settings", [{"token": "pat-wrong"}, {**GRANT, "refresh_token": "ended-by-a-person"}, {**GRANT, "client_secret": "x"}]
)
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
