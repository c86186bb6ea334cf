"""How values get into HubSpot's records, and how they are read back.

Batches carry a trace id per record, so that one bad record does not refuse the rest; where HubSpot refuses a batch as a
whole all the same, it is halved until the bad record stands alone. A record counts as written only when the reply names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors.hubspot_read import by_id
from connectors.hubspot_session import BATCH_MAX, Session, data, explain, raw
from core.connector import PushField, Write, WriteResult
from core.errors import VendorError

GROUP = "tundish"
BATCH_REFUSED = frozenset({400, 404, 409, 413, 414})
RETRYABLE = frozenset({"RATE_LIMITS", "INTERNAL_ERROR", "LOCKED"})
STAGE = "lifecyclestage"
# Our field types → (type, fieldType). Source: https://developers.hubspot.com/docs/guides/api/crm/properties, read 2026-11-23
PROPERTY_TYPES = {
    "text": ("string", "text"), "number": ("number", "number"), "boolean": ("bool", "booleancheckbox"),
    "date": ("date", "date"), "datetime": ("datetime", "date"),
}  # fmt: skip
YES_NO = [{"label": "Yes", "value": "true", "displayOrder": 0}, {"label": "No", "value": "false", "displayOrder": 1}]


def as_text(value: Any) -> str:
    """A value as HubSpot takes it: everything is text, "" clears, an instant is UTC with milliseconds, a date stays a date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)


def writer(kind: str) -> Callable[[Session, Sequence[Write]], Iterable[WriteResult]]:
    def write(session: Session, writes: Sequence[Write]) -> Iterable[WriteResult]:
        inputs = {w.key: _input(w.key, w.vendor_id, {n: as_text(v) for n, v in w.values.items()}) for w in writes}
        results, rows = _send(session, kind, list(inputs.values()))
        seen = {w.key: w.before.get(STAGE) for w in writes}
        behind = [i for key, i in inputs.items() if key in rows and _ignored(i, rows[key], seen[key])]
        if behind:  # an earlier life cycle stage is ignored without a word unless the stage is cleared first
            results |= _back(session, kind, behind)
        return [results[w.key] for w in writes]

    return write


def _input(key: str, vendor_id: str, properties: Mapping[str, str]) -> dict[str, Any]:
    return {"id": vendor_id, "properties": dict(properties), "objectWriteTraceId": key}


def _ignored(given: Mapping[str, Any], row: Mapping[str, Any], before: Any) -> bool:
    """Did HubSpot keep the stage we saw? One that somebody set since we looked is his, and is not cleared."""
    wanted, held = given["properties"].get(STAGE), (row.get("properties") or {}).get(STAGE)
    return bool(wanted) and bool(held) and wanted != held and before in (None, held)


def _back(session: Session, kind: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, WriteResult]:
    """Clear the stage, then set it: two requests, because a batch keeps no order."""
    cleared, _ = _send(session, kind, [_input(i["objectWriteTraceId"], i["id"], {STAGE: ""}) for i in inputs])
    again = [
        _input(i["objectWriteTraceId"], i["id"], {STAGE: i["properties"][STAGE]}) for i in inputs if cleared[i["objectWriteTraceId"]].ok
    ]
    return cleared | (_send(session, kind, again)[0] if again else {})


def _send(session: Session, kind: str, inputs: list[dict[str, Any]]) -> tuple[dict[str, WriteResult], dict[str, Any]]:
    """(result by key, row of the reply by key)."""
    try:
        with session.transport.repeatable():
            reply = orjson.loads(raw(session.batch.update, kind, {"inputs": inputs}))
    except VendorError as no:
        if no.status not in BATCH_REFUSED:
            raise
        if len(inputs) == 1:
            key = inputs[0]["objectWriteTraceId"]
            return {key: WriteResult(key, False, no.code, no.message)}, {}
        results, rows = _send(session, kind, inputs[: len(inputs) // 2])
        more_results, more_rows = _send(session, kind, inputs[len(inputs) // 2 :])
        return results | more_results, rows | more_rows
    return _matched(inputs, reply)


def _matched(inputs: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> tuple[dict[str, WriteResult], dict[str, Any]]:
    """Each input with its own result: by trace id, else by record id; the order of a reply means nothing."""
    keys = {i["id"]: i["objectWriteTraceId"] for i in inputs}
    rows: dict[str, Any] = {}
    for row in reply.get("results") or ():
        key = row.get("objectWriteTraceId") or keys.get(str(row.get("id")))
        if key is not None:
            rows[key] = row
    results = {key: WriteResult(key, True) for key in rows}
    for error in reply.get("errors") or ():
        code = next((str(e["code"]) for e in error.get("errors") or () if e.get("code")), str(error.get("category", "")))
        message = explain(error) or f"HubSpot refused the record ({code})"
        for key in _named(error, keys):
            results[key] = WriteResult(key, False, code, message, str(error.get("category")) in RETRYABLE)
    for key in keys.values():
        results.setdefault(key, WriteResult(key, False, "UNCONFIRMED", "HubSpot's reply does not name this record", True))
    return results, rows


def _named(error: Mapping[str, Any], keys: Mapping[str, str]) -> list[str]:
    context = error.get("context") or {}
    traces = [t for t in context.get("objectWriteTraceId") or () if t in keys.values()]
    return traces or [keys[i] for i in map(str, context.get("ids") or ()) if i in keys]


def read_back(kind: str) -> Callable[[Session, Sequence[str], Sequence[str]], Mapping[str, Mapping[str, Any]]]:
    def read(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        asked, found = list(dict.fromkeys(vendor_ids)), {}
        for i in range(0, len(asked), BATCH_MAX):
            part = asked[i : i + BATCH_MAX]
            for row in orjson.loads(by_id(session, kind, part, list(fields)))["results"]:
                if row["id"] in part:  # an old id of a merged contact answers with the survivor: that one is gone
                    found[row["id"]] = {name: row["properties"].get(name) for name in fields}
        return found

    return read


def ensure(kind: str) -> Callable[[Session, Sequence[PushField]], Sequence[str]]:
    """Create the missing properties among `fields`, in a group of our own; gives the names created."""

    def create(session: Session, fields: Sequence[PushField]) -> Sequence[str]:
        have = {row["name"] for row in data(session.properties.get_all, kind)["results"]}
        missing = [f for f in fields if f.name not in have]
        if missing and GROUP not in {g["name"] for g in data(session.groups.get_all, kind)["results"]}:
            _once(session.groups.create, kind, {"name": GROUP, "label": "Tundish", "displayOrder": -1})
        return [f.name for f in missing if _once(session.properties.create, kind, _definition(f))]

    return create


def _once(call: Callable[..., Any], *args: Any) -> bool:
    """Create something; False when somebody else has just done so."""
    try:
        raw(call, *args)
    except VendorError as no:
        if no.status != 409:
            raise
        return False
    return True


def _definition(field: PushField) -> dict[str, Any]:
    kind, shown = PROPERTY_TYPES[field.type]
    about = {"name": field.name, "label": field.label, "groupName": GROUP, "type": kind, "fieldType": shown}
    return {**about, "options": YES_NO} if kind == "bool" else about
