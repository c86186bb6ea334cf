"""The Measurement Protocol: a door that always says 204, and a validation server that says what is wrong and records nothing.

Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference, read 2026-11-23
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.sandbox.ga4_facts import Fact, Facts
from connectors.sandbox.kit import Clock, Reply, Request

OLDEST_S = 72 * 3600
MOST_EVENTS, MOST_PARAMS, MOST_PROPERTIES, MOST_BYTES = 25, 25, 25, 130_000
LONGEST_NAME, LONGEST_VALUE = 40, 100
LONGEST_PROPERTY, LONGEST_PROPERTY_VALUE = 24, 36
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED_PREFIXES = ("firebase_", "ga_", "google_", "gtag.")
# Source: …/protocol/ga4/reference#reserved_names, read 2026-11-23
RESERVED = {
    "ad_activeview", "ad_click", "ad_exposure", "ad_query", "ad_reward", "adunit_exposure", "app_clear_data", "app_exception",
    "app_install", "app_remove", "app_store_refund", "app_update", "app_upgrade", "dynamic_link_app_open", "dynamic_link_app_update",
    "dynamic_link_first_open", "error", "firebase_campaign", "first_open", "first_visit", "notification_dismiss",
    "notification_foreground", "notification_open", "notification_receive", "os_update", "session_start", "user_engagement",
}  # fmt: skip
BODY = (
    "client_id", "user_id", "timestamp_micros", "user_properties", "consent", "non_personalized_ads", "user_data", "ip_override",
    "user_location", "device", "user_agent", "validation_behavior", "events",
)  # fmt: skip


@dataclass
class Collected:
    """What the property was told, by whichever door: client, event, when it happened, and its parameters."""

    facts: Facts
    clock: Clock
    events: list[dict[str, Any]] = field(default_factory=list)

    def record(self, client: str, name: str, at: float, params: Mapping[str, Any], door: str) -> None:
        now = self.clock.now()
        value = params.get("value")
        self.events.append({"client_id": client, "event": name, "at": at, "params": dict(params), "door": door})
        known = next((f for facts in self.facts.by_day.values() for f in facts if f.client == client), None)
        fact = Fact(at, name, client, value=float(value) if value is not None else None, currency=str(params.get("currency") or "EUR"))
        if known:
            for part in ("first_source", "first_medium", "first_campaign", "first_group", "country", "device", "browser"):
                setattr(fact, part, getattr(known, part))
        self.facts.add(fact, received=now)

    def count(self, client: str, name: str) -> int:
        return sum(e["client_id"] == client and e["event"] == name for e in self.events)


class Collect:
    def __init__(self, collected: Collected, clock: Clock, measurement_id: str, secrets: Callable[[], Mapping[str, str]]) -> None:
        self.collected, self.clock, self.measurement_id, self.secrets = collected, clock, measurement_id, secrets

    def collect(self, request: Request) -> Reply:
        """Whatever comes, the answer is 204 and nothing: a wrong secret, garbage, an event that is dropped."""
        body = _json(request.body)
        right = request.q("measurement_id") == self.measurement_id and request.q("api_secret") in self.secrets().values()
        if right and body is not None and not any(m["fieldPath"] in ("", "client_id", "events") for m in self.problems(body)):
            at = float(body.get("timestamp_micros") or 0) / 1e6
            now = self.clock.now()
            at = at if now - OLDEST_S <= at <= now else now  # too old or not yet: moved to now, without a word
            for event in body["events"]:
                self.collected.record(body["client_id"], event["name"], at, event.get("params") or {}, "collect")
        return Reply(b"", 204)

    def debug(self, request: Request) -> Reply:
        body = _json(request.body)
        if body is None:
            return Reply({"validationMessages": [_message("", "VALUE_INVALID", "Unable to parse Measurement Protocol JSON payload.")]})
        return Reply({"validationMessages": list(self.problems(body))})

    def problems(self, body: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """What the validation server says. Strict rules only when the body asks for them."""
        strict = body.get("validation_behavior") == "ENFORCE_RECOMMENDATIONS"
        for name in body:
            if name not in BODY:
                yield _message(
                    "", "VALUE_INVALID", f"Unable to parse Measurement Protocol JSON payload. (events): Unexpected field [{name}]."
                )
        if not str(body.get("client_id") or ""):
            yield _message("client_id", "VALUE_REQUIRED", "Measurement requires a client_id.")
        if len(orjson.dumps(body)) > MOST_BYTES:
            yield _message("", "VALUE_OUT_OF_BOUNDS", "The payload is larger than 130kB.")
        events = body.get("events")
        if not isinstance(events, list) or not events:
            yield _message("events", "VALUE_REQUIRED", "Measurement requires at least one event.")
            return
        if len(events) > MOST_EVENTS:
            yield _message("events", "EXCEEDED_MAX_ENTITIES", f"More than {MOST_EVENTS} events in one request.")
        if strict:
            yield from self._stamp(body.get("timestamp_micros"))
        yield from _properties(body.get("user_properties") or {})
        for event in events:
            yield from _event(event, strict)

    def _stamp(self, micros: Any) -> Iterator[dict[str, str]]:
        if micros is None:
            return
        if not str(micros).isdecimal():
            yield _message("timestamp_micros", "VALUE_INVALID", "timestamp_micros must be a number of microseconds.")
        elif not self.clock.now() - OLDEST_S <= int(micros) / 1e6 <= self.clock.now() + 60:
            yield _message(
                "timestamp_micros", "VALUE_OUT_OF_BOUNDS", "Measurement timestamp_micros has a timestamp more than 72 hours ago."
            )


def _properties(given: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if len(given) > MOST_PROPERTIES:
        yield _message("user_properties", "EXCEEDED_MAX_ENTITIES", f"More than {MOST_PROPERTIES} user properties.")
    for name, value in given.items():
        if not NAME.fullmatch(name) or len(name) > LONGEST_PROPERTY:
            yield _message("user_properties", "NAME_INVALID", f"User property at index: [0] has invalid name [{name}].")
        if len(str((value or {}).get("value", ""))) > LONGEST_PROPERTY_VALUE:
            yield _message(f"user_properties.{name}", "VALUE_INVALID", f"The value of [{name}] is longer than {LONGEST_PROPERTY_VALUE}.")


def _event(event: Any, strict: bool) -> Iterator[dict[str, str]]:
    name = str((event or {}).get("name") or "")
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        yield _message(
            "events", "NAME_INVALID", f"Event at index: [0] has invalid name [{name}]. Names must start with an alphabetic character."
        )
    if name in RESERVED or name.startswith(RESERVED_PREFIXES):
        yield _message("events", "NAME_RESERVED", f"Event at index: [0] has name [{name}] which is reserved.")
    params = event.get("params") or {}
    if len(params) > MOST_PARAMS:
        yield _message("events", "EXCEEDED_MAX_ENTITIES", f"Event [{name}] has more than {MOST_PARAMS} parameters.")
    for key, value in params.items():
        where = f"events.params.{key}"
        if not NAME.fullmatch(key) or len(key) > LONGEST_NAME or key.startswith(RESERVED_PREFIXES):
            yield _message(where, "NAME_INVALID", f"Event [{name}] has a parameter with an invalid name [{key}].")
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            yield _message(where, "VALUE_INVALID", f"The value of parameter [{key}] is longer than {LONGEST_VALUE} characters.")
        if key == "value" and (isinstance(value, bool) or not isinstance(value, int | float)):
            yield _message(where, "VALUE_INVALID", "The value must be a number.")
        if key == "currency" and not re.fullmatch(r"[A-Z]{3}", str(value)):
            yield _message(where, "VALUE_INVALID", f"[{value}] is not a currency of ISO 4217.")
    if strict and "value" in params and "currency" not in params:
        yield _message("events.params.currency", "VALUE_REQUIRED", f"Event [{name}] has a value, so currency is required.")


def _message(path: str, code: str, words: str) -> dict[str, str]:
    return {"fieldPath": path, "description": words, "validationCode": code}


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
