"""Telling Optimizely what happened later (a deal was won) to a visitor it has seen: events to logx, each known by its UUID.

logx needs no key and answers 204 to anything that is not plainly wrong, so everything is checked before it is sent: strict
mode, the custom event by its id, whole hundredths of revenue, milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import orjson

from connectors.optimizely_session import Row, Session, pages, rows_of
from core.connector import PushField, Write, WriteResult
from core.errors import VendorError

BATCH = 50  # no limit is published
CLIENT = {"client_name": "tundish/offline_conversions", "client_version": "1"}
_HEADERS = {"Content-Type": "application/json", "X-Optimizely-Strict": "true"}
_OURS = ("event", "id", "occurred_at", "value", "currency")
INT64 = 2**63


class Unfit(Exception):
    """This write cannot be an event."""


def write(session: Session, writes: Sequence[Write]) -> Iterable[WriteResult]:
    """One result per write. A batch that strict mode refuses is sent again one by one, to find the wrong ones."""
    ready: list[tuple[Write, Row]] = []
    for w in writes:
        try:
            ready.append((w, visitor(w, _event_id(session, str(w.values["event"])))))
        except Unfit as problem:
            yield WriteResult(w.key, False, "unfit", str(problem))
    yield from _sent(session, ready)


def _sent(session: Session, ready: list[tuple[Write, Row]]) -> Iterator[WriteResult]:
    if not ready:
        return
    body = {"account_id": str(session.account_id()), "visitors": [row for _, row in ready], "anonymize_ip": True}
    # With enrich_decisions the vendor joins the event to what it showed the visitor before.
    # Source: Event API 1.3.0, Snapshot.decisions; the official SDKs send it, read 2026-08-13
    body |= {"enrich_decisions": True, **CLIENT}
    url = f"{session.events_url}/v1/events"
    reply = session.transport.send("POST", url, headers=_HEADERS, body=orjson.dumps(body), auth=False, expect=(400,), repeatable=True)
    if reply.status != 400:
        yield from (WriteResult(w.key, True) for w, _ in ready)
    elif len(ready) == 1:
        yield WriteResult(ready[0][0].key, False, "refused", "Optimizely found the event against its field rules")
    else:
        for one in ready:
            yield from _sent(session, [one])


def visitor(write: Write, event_id: int) -> Row:
    """The write as logx wants it. Ids are texts here; the stamp is in milliseconds. Raises: Unfit."""
    values = write.values
    at = datetime.fromisoformat(str(values["occurred_at"]))
    event: Row = {"uuid": str(values["id"]), "timestamp": round(at.timestamp() * 1000), "key": values["event"], "entity_id": str(event_id)}
    if values.get("value") is not None:
        event["revenue"] = hundredths(str(values["value"]))
    event["properties"] = _properties(values)
    return {"visitor_id": write.vendor_id, "attributes": [], "snapshots": [{"decisions": [], "events": [event]}]}


def hundredths(amount: str) -> int:
    """Revenue: whole hundredths of a unit of any currency. Source: Event API 1.3.0, Event.revenue, read 2026-08-13. Raises: Unfit."""
    try:
        cents = int((Decimal(amount) * 100).to_integral_value(ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError, ValueError):
        raise Unfit("the value is not a number") from None
    if not -INT64 <= cents < INT64:
        raise Unfit("the value is too large for a revenue")
    return cents


def _properties(values: Mapping[str, Any]) -> dict[str, str]:
    """Values must be texts."""
    found = {name: value for name, value in values.items() if name not in _OURS or name == "currency"}
    return {name: str(value) for name, value in found.items() if value is not None}


# -- custom events -----------------------------------------------------------------------------------------------------
def told_project(session: Session) -> int:
    """Whose events are told: the setting's project, else the first web project. Raises: Unfit."""
    known = [int(p["id"]) for p in session.projects()]
    if session.project_id:
        if not session.project_id.isdecimal() or int(session.project_id) not in known:
            raise Unfit("the setting project_id names no project that the token's user sees")
        return int(session.project_id)
    web = [int(p["id"]) for p in session.projects(flags=False)]
    if not (web or known):
        raise Unfit("the token's user sees no project")
    return min(web or known)


def _known_events(session: Session, project: int) -> dict[str, int]:
    if not session.event_ids:
        rows = rows_of(pages(session, "/v2/events", project_id=project))
        session.event_ids = {row["key"]: int(row["id"]) for row in rows if row.get("key") and not row.get("archived")}
    return session.event_ids


def _event_id(session: Session, key: str) -> int:
    """The custom event's id; it is created when the project has none of that key, or logx would drop it. Raises: Unfit."""
    project = told_project(session)
    known = _known_events(session, project)
    return known[key] if key in known else _created(session, project, key, key)


def _created(session: Session, project: int, key: str, label: str) -> int:
    body = {"key": key, "name": label, "description": "Told by Tundish", "event_type": "custom"}
    url = f"{session.base}/v2/projects/{project}/custom_events"
    try:
        reply = session.transport.send("POST", url, headers={"Content-Type": "application/json"}, body=orjson.dumps(body))
    except VendorError as problem:
        raise Unfit(f"the custom event {key} could not be created: {problem.message}") from problem
    made = int(orjson.loads(reply.data)["id"])
    session.event_ids[key] = made
    return made


def ensure(session: Session, fields: Sequence[PushField]) -> Sequence[str]:
    """Create the custom events that are missing; the names of those it created. Raises: VendorError."""
    try:
        project = told_project(session)
        missing = [f for f in fields if f.name not in _known_events(session, project)]
        return [f.name for f in missing if _created(session, project, f.name, f.label)]
    except Unfit as problem:
        raise VendorError(str(problem), next_step="create it in Optimizely: Implementation → Events") from problem
