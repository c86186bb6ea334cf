"""Telling VWO what happened later: one event of one visitor a call, at most once.

Source: https://developers.vwo.com/docs/data360-events and the request the vendor's own SDKs make, read 2026-11. No document
says that a message is told apart from its repetition, so an event whose answer was lost is never sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.vwo_session import Session, fault
from core.connector import Write, WriteResult
from core.errors import VendorError, VendorUnavailable

_OWN = frozenset({"event", "id", "occurred_at", "value", "currency"})


def tell(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One result per event. Taken is not counted: VWO counts only events somebody has registered there, and does not say.

    Raises: VendorUnavailable when nobody knows whether an event arrived.
    """
    workspace = session.workspace_number()
    for one in writes:
        try:
            yield _send(session, workspace, one)
        except VendorError as refusal:
            yield WriteResult(one.key, False, refusal.code or str(refusal.status), refusal.message)


def _send(session: Session, workspace: str, one: Write) -> WriteResult:
    name, at = str(one.values["event"]), datetime.fromisoformat(str(one.values["occurred_at"]))
    query = urlencode({"en": name, "a": workspace, "eTime": int(at.timestamp() * 1000)})
    reply = session.transport.send(
        "POST",
        f"{session.events}/events/t?{query}",
        headers={"content-type": "application/json"},
        body=orjson.dumps(_body(one, name, at)),
        auth=False,  # the collector is open to everybody; the token is none of its business
        expect=range(500, 600),  # not "try again": it may have been counted
    )
    if reply.status >= 500:
        said = fault(reply.status, reply.headers, b"").message
        raise VendorUnavailable(f"{said}; whether the event was counted is unknown, so it is not sent again", where="POST /events/t")
    return WriteResult(one.key, True)


def _body(one: Write, name: str, at: datetime) -> dict[str, Any]:
    """`revenue` is the property to choose as the metric's value in VWO."""
    millis = int(at.timestamp() * 1000)
    return {
        "d": {
            "msgId": f"{one.values['id']}-{millis}",
            "visId": one.vendor_id,
            "sessionId": millis // 1000,
            "event": {"name": name, "time": millis, "props": {**_props(one.values), "isCustomEvent": True, "vwoMeta": {}}},
            "visitor": {"props": {}},
        }
    }


def _props(values: Mapping[str, Any]) -> dict[str, Any]:
    """Scalars only."""
    props = {k: v for k, v in values.items() if k not in _OWN and isinstance(v, str | int | float | bool)}
    if values.get("value") is not None:
        props["revenue"] = float(values["value"])
        props["currency"] = values.get("currency") or ""
    return props
