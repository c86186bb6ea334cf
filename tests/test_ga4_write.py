"""Telling GA4: what is sent, what is not, and that nothing is ever sent twice by us."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from ga4_property import Property, served

from connectors.ga4 import CONNECTOR
from connectors.ga4_write import parameters, payload
from connectors.sandbox.kit import Fault
from core.connector import Write
from core.errors import CredentialsError, UserError, VendorUnavailable
from core.redaction import RedactingFilter

COLLECT, INGEST = CONNECTOR.target("collect"), CONNECTOR.target("ingest")
ID = "4be0643f-1d98-573b-97cd-ca98a65347dd"


@pytest.fixture
def ga4() -> Iterator[Property]:
    with served(size=3) as made:
        yield made


def event(name: str = "close_convert_lead", **more: Any) -> Write:
    values = {"event": name, "id": ID, "occurred_at": "2026-06-29T23:00:00Z", "value": "1200.50", "currency": "EUR", **more}
    return Write("k", "11.22", values)


def test_an_event_has_one_visitor_one_time_its_money_in_units_and_our_id() -> None:
    body, left_out = payload(event(lead_source="ads"))
    assert left_out == []
    assert body == {
        "client_id": "11.22",
        "timestamp_micros": "1782774000000000",
        "events": [
            {
                "name": "close_convert_lead",
                "params": {"lead_source": "ads", "value": 1200.5, "currency": "EUR", "hub_event_id": ID, "engagement_time_msec": 1},
            }
        ],
    }


def test_a_value_without_currency_is_left_out_with_it() -> None:
    assert parameters(event(currency=None).values)[0] == {"hub_event_id": ID}
    assert parameters(event(value=None).values)[0] == {"hub_event_id": ID}


@pytest.mark.parametrize("text", ["ask ann.lee@acme.example", "ann%40acme.example", "call +49 30 1234 5678", "030 12345678"])
def test_what_looks_like_personal_data_is_left_out(text: str) -> None:
    found, left_out = parameters(event(reason=text, source="ads").values)
    assert (left_out, found.get("source"), "reason" in found) == (["reason"], "ads", False)


@pytest.mark.parametrize("text", ["ORGANIC_SEARCH", "budget 2026", "2026-06-29T23:00:00Z", "Price 12.50", "pipeline 1234567"])
def test_what_does_not_is_kept(text: str) -> None:
    assert parameters(event(reason=text).values)[0]["reason"] == text


def test_long_texts_are_cut_to_what_the_protocol_takes(ga4: Property) -> None:
    with ga4.session(writes=True) as session:
        assert [r.ok for r in COLLECT.write(session, [event(reason="too expensive " * 20)])] == [True]
    [sent] = ga4.emulator.collected.events
    assert len(sent["params"]["reason"]) == 100


def test_every_lead_event_passes_the_strict_validation_and_is_counted(ga4: Property) -> None:
    names = ["generate_lead", "qualify_lead", "working_lead", "disqualify_lead", "close_convert_lead", "close_unconvert_lead"]
    with ga4.session(writes=True) as session:
        assert all(r.ok for n in names for r in COLLECT.write(session, [event(n)]))
    assert [e["event"] for e in ga4.emulator.collected.events] == names
    assert ga4.emulator.calls["POST /debug/mp/collect"] == ga4.emulator.calls["POST /mp/collect"] == 6


def test_what_the_validation_refuses_is_not_sent(ga4: Property) -> None:
    with ga4.session(writes=True) as session:
        results = [*COLLECT.write(session, [event("_bad"), event(occurred_at="2026-06-20T00:00:00Z"), event()])]
    assert [(r.ok, r.code) for r in results] == [(False, "NAME_INVALID"), (False, "VALUE_OUT_OF_BOUNDS"), (True, "")]
    assert "timestamp_micros" in results[1].message
    assert ga4.emulator.calls["POST /mp/collect"] == 1


def test_trouble_before_sending_is_tried_again_and_trouble_after_it_never(ga4: Property) -> None:
    with ga4.session(writes=True) as session:
        ga4.emulator.faults += [Fault("cut", match="debug"), Fault("error", match="debug", times=2)]
        assert [r.ok for r in COLLECT.write(session, [event()])] == [True]
        ga4.emulator.faults.append(Fault("error", match="^/mp/collect", status=502))
        with pytest.raises(VendorUnavailable, match="unknown"):
            list(COLLECT.write(session, [event()]))
    assert ga4.emulator.calls["POST /mp/collect"] == 2


def test_without_the_streams_settings_nothing_is_sent_and_they_are_named(ga4: Property) -> None:
    with ga4.session(writes=True, api_secret="") as session, pytest.raises(CredentialsError, match="`api_secret`"):
        list(COLLECT.write(session, [event()]))
    with ga4.session(writes=True) as session, pytest.raises(UserError, match="datamanager"):
        list(INGEST.write(session, [event()]))
    assert (COLLECT.needs, INGEST.needs) == (("measurement_id", "api_secret"), ("measurement_id", "datamanager"))


# -- the other door ----------------------------------------------------------------------------------------------------------------
def test_the_data_manager_takes_events_and_says_what_became_of_them(ga4: Property) -> None:
    writes = [event(), event("qualify_lead", value=None)]
    with ga4.session(writes=True, datamanager="on") as session:
        assert [(r.key, r.ok, r.message) for r in INGEST.write(session, writes)] == [("k", True, ""), ("k", True, "")]
    sent = ga4.emulator.collected.events
    assert [(e["event"], e["door"], e["params"].get("value")) for e in sent] == [
        ("close_convert_lead", "ingest", 1200.5),
        ("qualify_lead", "ingest", None),
    ]
    assert sent[0]["params"]["transaction_id"] == ID
    assert sum(ga4.waits) == 300.0


def test_what_the_data_manager_could_not_process_is_told(ga4: Property) -> None:
    with ga4.session(writes=True, datamanager="on") as session:
        [result] = INGEST.write(session, [event(occurred_at="2026-06-01T00:00:00Z")])
    assert (result.ok, result.code) == (False, "PROCESSING_ERROR_REASON_EVENT_TOO_OLD")
    assert "event too old" in result.message


def test_the_secret_is_in_no_message(ga4: Property, caplog: pytest.LogCaptureFixture) -> None:
    ga4.emulator.faults.append(Fault("error", match="collect", times=-1, status=500))
    caplog.handler.addFilter(RedactingFilter())  # as the command line puts it on every handler: a library may log whole addresses
    with caplog.at_level("DEBUG"), ga4.session(writes=True) as session, pytest.raises(VendorUnavailable) as caught:
        list(COLLECT.write(session, [event()]))
    assert "/mp/collect" in caplog.text
    secret = json.dumps(ga4.emulator.secrets(ga4.url)["api_secret"])[1:-1]
    with caplog.at_level("DEBUG"):
        logging.getLogger("a.library").debug("POST https://x/mp/collect?api_secret=%s", secret)
    assert "api_secret=***" in caplog.text
    assert secret not in str(caught.value) + caplog.text
    with ga4.session() as session:
        assert session.transport.redact(f"https://x/mp/collect?api_secret={secret}&a=1") == "https://x/mp/collect?api_secret=***&a=1"
