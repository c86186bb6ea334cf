"""The emulated Event API (logx): no authentication, always 204 unless told to be strict, useless events dropped without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.optimizely_store import Done, Seen, Store
from connectors.sandbox.optimizely_wire import Row

# An event that tells of decisions rather than of something done: by its type as documented, by its key as the vendor's SDKs send it.
ACTIVATED = "campaign_activated"
INT64 = 2**63


class Logx:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.dropped: list[str] = []  # why, for tests; the vendor tells nobody

    # https://docs.developers.optimizely.com/experimentation/v4.0.0-full-stack/reference/log-endpoint
    def events(self, request: Request) -> Reply:
        """204 says "queued", not "counted". With `X-Optimizely-Strict: true` a body against the field rules is a 400 as a whole."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return Reply({"message": "malformed JSON"}, 400)
        wrong = list(problems(body))
        if wrong and request.headers.get("x-optimizely-strict", "").lower() == "true":
            return Reply({"message": wrong[0]}, 400)
        if wrong and (not isinstance(body, dict) or not isinstance(body.get("visitors"), list)):
            self.dropped.append(wrong[0])
        elif str(body.get("account_id")) != str(self.store.account["id"]):
            self.dropped.append("unknown account")  # nothing but the account's number stands between us and its data
        else:
            for visitor in body["visitors"]:
                self._visitor(visitor, body.get("enrich_decisions") is True)
        return Reply(b"", 204)

    def _visitor(self, visitor: Any, enrich: bool) -> None:
        if wrong := list(_visitor_problems(visitor)):
            self.dropped.append(wrong[0])
            return
        for snapshot in visitor["snapshots"]:
            given = [d for d in snapshot.get("decisions") or () if d.get("experiment_id") and d.get("variation_id")]
            for event in snapshot["events"]:
                seen = tuple(_seen(d, event["timestamp"]) for d in given)
                if ACTIVATED in (event.get("type"), event.get("key")):
                    for one in seen:
                        self.store.decide(visitor["visitor_id"], one)
                else:
                    self._done(visitor["visitor_id"], event, None if enrich and not seen else seen)

    def _done(self, visitor: str, event: Row, own: tuple[Seen, ...] | None) -> None:
        known = self.store.event_of(event.get("entity_id"), event.get("key"))
        if known is None:
            self.dropped.append("unknown event")
            return
        value = event.get("value")
        done = Done(known["id"], event["timestamp"], event.get("revenue"), value, event["uuid"], own)
        self.store.hear(visitor, done)


def _seen(decision: Row, at: int) -> Seen:
    ids = [int(decision[name]) for name in ("experiment_id", "variation_id", "campaign_id")]
    return Seen(ids[0], ids[1], ids[2], at, bool(decision.get("is_campaign_holdback")))


# -- the field rules. Source: Event API 1.3.0, EventBatch, read 2026-08-13 -----------------------------------------------------
def problems(body: Any) -> Iterator[str]:
    if not isinstance(body, dict):
        yield "the body must be an object"
        return
    if not _text(body.get("account_id")):
        yield "account_id: a text is required"
    if not isinstance(body.get("visitors"), list) or not body["visitors"]:
        yield "visitors: a list is required"
        return
    for visitor in body["visitors"]:
        yield from _visitor_problems(visitor)


def _visitor_problems(visitor: Any) -> Iterator[str]:
    if not isinstance(visitor, dict) or not _text(visitor.get("visitor_id")):
        yield "visitor_id: a text is required"
        return
    if not isinstance(visitor.get("snapshots"), list):
        yield "snapshots: a list is required"
        return
    for attribute in visitor.get("attributes") or ():
        if not isinstance(attribute, dict) or "type" not in attribute or "value" not in attribute:
            yield "attributes: type and value are required"
    for snapshot in visitor["snapshots"]:
        if not isinstance(snapshot, dict) or not isinstance(snapshot.get("events"), list):
            yield "events: a list is required"
            continue
        for decision in snapshot.get("decisions") or ():
            yield from _decision_problems(decision)
        for event in snapshot["events"]:
            yield from _event_problems(event)


def _decision_problems(decision: Any) -> Iterator[str]:
    """Ids are texts; null stands for "not in any" in personalization, but must be there."""
    for name in ("campaign_id", "experiment_id", "variation_id"):
        value = decision.get(name, 0) if isinstance(decision, dict) else 0
        if value is not None and not (isinstance(value, str) and value.isdecimal()):
            yield f"decisions: {name} must be an id as a text"


def _event_problems(event: Any) -> Iterator[str]:
    if not isinstance(event, dict) or not _text(event.get("uuid")):
        yield "uuid: a text is required"
        return
    if not _integer(event.get("timestamp")):
        yield "timestamp: an integer is required"
    for name in ("revenue", "quantity"):
        if name in event and not _integer(event[name]):
            yield f"{name}: must be an integer"
    for name in ("entity_id", "key", "type"):
        if name in event and event[name] is not None and not isinstance(event[name], str):
            yield f"{name}: must be a text"
    if "value" in event and (isinstance(event["value"], bool) or not isinstance(event["value"], int | float)):
        yield "value: must be a number"
    for value in (event.get("properties") or {}).values():
        if not isinstance(value, str):
            yield "properties: values must be texts"


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64
