"""The same events through the Data Manager API: it knows the sender, checks the event and can be asked what became of it.

Off unless `datamanager: "on"`: the grant needs a scope and an Editor's rights. Nothing says that an event that is sent
twice counts once, so it is never sent again either.
Source: https://developers.google.com/data-manager/api/devguides/events/analytics/recommended-custom-events, read 2026-11-25
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.ga4_session import JSON, Session
from connectors.ga4_write import parameters
from core.connector import Write, WriteResult
from core.errors import UserError

BATCH = 25
LOOKS, PAUSE_S = 12, 30.0  # how often it is asked what became of a request, and how long it waits in between


def ingest(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    if session.settings.get("datamanager", "off") != "on" or not session.settings.get("measurement_id"):
        raise UserError(
            'the Data Manager API is not set up: it needs `datamanager: "on"` and `measurement_id`',
            where=session.transport.account,
            next_step="or send events to the target `collect` in the mapping",
        )
    body = {"destinations": [destination(session)], "events": [_event(w) for w in writes]}
    url = f"{session.url('datamanager_url')}/v1/events:ingest"
    reply = orjson.loads(session.transport.send("POST", url, headers=JSON, body=orjson.dumps(body), repeatable=False).data)
    status = _outcome(session, str(reply["requestId"]))
    yield from _results(writes, status, str(reply["requestId"]))


def destination(session: Session) -> dict[str, Any]:
    """The web stream, by its measurement id. Source: …/events/analytics/measurement-protocol/upgrade/field-mappings, read 2026-11-25"""
    account = {"accountType": "GOOGLE_ANALYTICS_PROPERTY", "accountId": session.property_id}
    return {"operatingAccount": account, "productDestinationId": session.settings["measurement_id"]}


def _event(write: Write) -> dict[str, Any]:
    params, _ = parameters(write.values)
    money = {"conversionValue": params.pop("value"), "currency": params.pop("currency")} if "value" in params else {}
    return {
        "eventName": write.values["event"],
        "clientId": write.vendor_id,
        "eventTimestamp": write.values["occurred_at"],
        "eventSource": "OTHER",
        "transactionId": write.values["id"],
        "additionalEventParameters": [{"parameterName": k, "value": str(v)} for k, v in params.items()],
        **money,
    }


def _outcome(session: Session, request_id: str) -> dict[str, Any]:
    """What became of the request; still PROCESSING when it takes too long."""
    url = f"{session.url('datamanager_url')}/v1/requestStatus:retrieve?{urlencode({'requestId': request_id})}"
    status: dict[str, Any] = {}
    for look in range(LOOKS):
        if look:
            session.transport.sleep(PAUSE_S)
        [status] = orjson.loads(session.transport.send("GET", url).data)["requestStatusPerDestination"]
        if status.get("requestStatus") != "PROCESSING":
            break
    return status


def _results(writes: Sequence[Write], status: Mapping[str, Any], request_id: str) -> Iterator[WriteResult]:
    word = str(status.get("requestStatus") or "REQUEST_STATUS_UNKNOWN")
    errors = (status.get("errorInfo") or {}).get("errorCounts") or ()
    reasons = {int(i): str(e.get("reason")) for e in errors for i in e.get("recordIndices") or ()}
    first = next((str(e.get("reason")) for e in errors), word)
    for i, write in enumerate(writes):
        if word in ("SUCCESS", "PROCESSING") or (reasons and i not in reasons):
            message = f"request {request_id} is still being processed" if word == "PROCESSING" else ""
            yield WriteResult(write.key, True, message=message)
        else:
            code = reasons.get(i, first)
            words = code.removeprefix("PROCESSING_ERROR_REASON_").replace("_", " ").lower()
            yield WriteResult(write.key, False, code, f"the Data Manager API did not take it: {words} (request {request_id})")
