"""The Data Manager API as far as it takes events for a GA4 property: authenticated, checked, and its outcome can be asked for.

Source: https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest, read 2026-11-25
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from connectors.sandbox.ga4_collect import LONGEST_NAME, NAME, OLDEST_S, RESERVED, Collected
from connectors.sandbox.ga4_wire import Refusal, bad, known_only
from connectors.sandbox.kit import Clock, Reply, Request

MOST_EVENTS = 2000
PROCESSING_S = 300.0
BODY = ("destinations", "events", "consent", "encoding", "encryptionInfo", "validateOnly")
EVENT = (
    "adIdentifiers", "additionalEventParameters", "appInstanceId", "callInfo", "cartData", "clientId", "consent", "conversionCount",
    "conversionValue", "currency", "customVariables", "destinationReferences", "eventDeviceInfo", "eventLocation", "eventName",
    "eventSource", "eventTimestamp", "experimentalFields", "lastUpdatedTimestamp", "thirdPartyUserData", "transactionId", "userData",
    "userId", "userProperties",
)  # fmt: skip
SOURCES = ("WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER")


class Ingest:
    def __init__(self, collected: Collected, clock: Clock, property_id: str, measurement_id: str) -> None:
        self.collected, self.clock, self.property_id, self.measurement_id = collected, clock, property_id, measurement_id
        self.requests: dict[str, dict[str, Any]] = {}

    def ingest(self, request: Request) -> Reply:
        body = known_only(request.json(), BODY)
        self._destinations(body.get("destinations") or [])
        events = body.get("events") or []
        if not 0 < len(events) <= MOST_EVENTS:
            raise bad(f"There must be 1 to {MOST_EVENTS} events in a request.")
        for i, event in enumerate(events):
            self._check(event, i)
        request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox/{len(self.requests)}"))
        if body.get("validateOnly"):
            return Reply({"requestId": request_id})
        late = [i for i, e in enumerate(events) if not self.clock.now() - OLDEST_S <= _moment(e) <= self.clock.now() + 60]
        self.requests[request_id] = {"at": self.clock.now(), "late": late, "count": len(events), "destinations": body["destinations"]}
        for i, event in enumerate(events):
            if i not in late:
                self._record(event)
        return Reply({"requestId": request_id})

    def status(self, request: Request) -> Reply:
        found = self.requests.get(request.q("requestId") or "")
        if found is None:
            raise Refusal(404, "Request ID was not found.")
        late, good = found["late"], found["count"] - len(found["late"])
        waiting = self.clock.now() < found["at"] + PROCESSING_S
        word = "PROCESSING" if waiting else "SUCCESS" if not late else "PARTIAL_SUCCESS" if good else "FAILED"
        status: dict[str, Any] = {"requestStatus": word, "eventsIngestionStatus": {"recordCount": str(found["count"])}}
        if late and not waiting:
            status["errorInfo"] = {"errorCounts": [{"recordCount": str(len(late)), "reason": "PROCESSING_ERROR_REASON_EVENT_TOO_OLD"}]}
        return Reply({"requestStatusPerDestination": [status | {"destination": d} for d in found["destinations"]]})

    def _destinations(self, given: Any) -> None:
        if not given:
            raise bad("destinations: At least one destination is required.")
        for one in given:
            known_only(one, ["operatingAccount", "loginAccount", "linkedAccount", "productDestinationId", "reference"], "destinations")
            account = one.get("operatingAccount") or {}
            if account.get("accountType") != "GOOGLE_ANALYTICS_PROPERTY":
                raise bad("destinations.operating_account.account_type: this account takes events of a GOOGLE_ANALYTICS_PROPERTY.")
            if account.get("accountId") != self.property_id:
                raise Refusal(403, "The caller does not have permission to access the operating account.")
            if one.get("productDestinationId") != self.measurement_id:
                raise bad("destinations.product_destination_id: no data stream of the property has this measurement ID.")

    def _check(self, event: Any, i: int) -> None:
        where = f"events.events[{i}]"
        known_only(event, EVENT, where)
        name = str(event.get("eventName") or "")
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME or name in RESERVED:
            raise bad(f"{where}.event_name: [{name}] is not a valid event name.")
        if not event.get("clientId"):
            raise bad(f"{where}.client_id: required for events of a web stream.")
        if not event.get("eventTimestamp"):
            raise bad(f"{where}.event_timestamp: a required field is missing.")
        if event.get("eventSource") not in (None, *SOURCES):
            raise bad(f"{where}.event_source: invalid value.")
        if event.get("conversionValue") is not None and not event.get("currency"):
            raise bad(f"{where}.currency: required with conversion_value.")
        for one in event.get("additionalEventParameters") or ():
            known_only(one, ["parameterName", "value"], where)
        _moment(event)

    def _record(self, event: dict[str, Any]) -> None:
        params = {p["parameterName"]: p["value"] for p in event.get("additionalEventParameters") or ()}
        params |= {n: event[k] for n, k in (("value", "conversionValue"), ("currency", "currency")) if event.get(k) is not None}
        params |= {"transaction_id": event["transactionId"]} if event.get("transactionId") else {}
        self.collected.record(event["clientId"], event["eventName"], _moment(event), params, "ingest")


def _moment(event: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(event["eventTimestamp"]).timestamp()
    except ValueError:
        raise bad("events.event_timestamp: not an RFC 3339 timestamp.") from None
