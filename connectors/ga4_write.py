"""Telling Analytics what became of its visitors: the Measurement Protocol, which always says yes and never says what it did.

So every event is shown to the validation server first, which records nothing; then it is sent once, and never again.
Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4, read 2026-11-23
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.ga4_session import JSON, Session
from core.connector import Write, WriteResult
from core.errors import CredentialsError

LONGEST_VALUE = 100
MOST_PARAMS = 25
ENGAGED_MS = 1  # without it the event counts for no user
# Personal data may not be sent, whatever a mapping says. Source: https://support.google.com/analytics/answer/6366371, read 2026-11-23
PERSONAL = re.compile(r"[^\s@]+(?:@|%40)[^\s@]+\.\w+|(?<![\w.])\+?\d[\d ()/-]{7,}\d(?![\w.])")


def collect(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One request per event: a request has one visitor and one time. The reply says nothing, so `ok` means "taken", not "counted"."""
    query = _query(session)
    base = session.url("collect_url")
    for write in writes:
        body, left_out = payload(write)
        problems = _problems(session, f"{base}/debug/mp/collect?{query}", body)
        if problems:
            yield WriteResult(write.key, False, str(problems[0].get("validationCode") or "INVALID"), _said(problems[0]))
            continue
        url = f"{base}/mp/collect?{query}"
        session.transport.send("POST", url, headers=JSON, body=orjson.dumps(body), repeatable=False, auth=False)
        yield WriteResult(write.key, True, message=f"left out as personal data: {', '.join(left_out)}" if left_out else "")


def payload(write: Write) -> tuple[dict[str, Any], list[str]]:
    """What the protocol takes for this event, and the params left out because they look like personal data."""
    params, left_out = parameters(write.values)
    at = datetime.fromisoformat(write.values["occurred_at"])
    event = {"name": write.values["event"], "params": params | {"engagement_time_msec": ENGAGED_MS}}
    return {"client_id": write.vendor_id, "timestamp_micros": str(round(at.timestamp() * 1_000_000)), "events": [event]}, left_out


def parameters(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The mapping's params, cut to length, without personal data; value with its currency, in units; our id of the event."""
    own = {k: str(v) for k, v in values.items() if k not in ("event", "id", "occurred_at", "value", "currency") and v not in (None, "")}
    left_out = sorted(name for name, text in own.items() if PERSONAL.search(text))
    found: dict[str, Any] = {name: text[:LONGEST_VALUE] for name, text in own.items() if name not in left_out}
    if values.get("value") is not None and values.get("currency"):  # a value without its currency is refused
        found |= {"value": float(Decimal(values["value"])), "currency": values["currency"]}
    return found | {"hub_event_id": values["id"]}, left_out


def _query(session: Session) -> str:
    """Raises: CredentialsError when the stream's id or secret is not set."""
    given = {name: session.settings.get(name, "") for name in ("measurement_id", "api_secret")}
    if missing := [name for name, value in given.items() if not value]:
        raise CredentialsError(
            f"events need the setting {' and '.join(f'`{m}`' for m in missing)}",
            where=session.transport.account,
            next_step="Analytics › Admin › Data streams › your stream › Measurement Protocol API secrets; or set `push: false`",
        )
    return urlencode(given)


def _problems(session: Session, url: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    strict = {**body, "validation_behavior": "ENFORCE_RECOMMENDATIONS"}
    reply = session.transport.send("POST", url, headers=JSON, body=orjson.dumps(strict), auth=False)
    return list((orjson.loads(reply.data or b"{}")).get("validationMessages") or ())


def _said(problem: Mapping[str, Any]) -> str:
    return f"Google Analytics would refuse {problem.get('fieldPath') or 'the event'}: {problem.get('description') or 'no reason given'}"
