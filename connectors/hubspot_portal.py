"""What surrounds HubSpot's records: owners, pipelines, associations, events; and what a live portal has.

Changing an association touches neither record, so edges are read whole, for every known record, every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from connectors.hubspot_read import OVERLAP_S, Reader, next_cursor, text
from connectors.hubspot_session import TYPES, Session, data, raw
from core.connector import Ask, Live, LiveField, LiveStage, Page, State
from core.errors import VendorError

OPTIONAL = ("leads", "line_items")  # not in every plan, and read with scopes of their own
LINKS_MAX = 1_000  # records per batch read of associations, since 2025-02-10
PAGE = 100
# What every record has beside its properties.
ROW_FIELDS = (
    ("id", "Record id", "text", False), ("createdAt", "Created", "datetime", False), ("updatedAt", "Last modified", "datetime", False),
    ("archived", "Archived", "boolean", False), ("archivedAt", "Archived at", "datetime", False),
)  # fmt: skip
OWNER_FIELDS = (
    ("id", "Owner id", "text", False), ("email", "E-mail", "text", False), ("firstName", "First name", "text", False),
    ("lastName", "Last name", "text", False), ("userId", "User id", "number", False), ("archived", "Archived", "boolean", False),
    ("createdAt", "Created", "datetime", False), ("updatedAt", "Last modified", "datetime", False),
)  # fmt: skip
KINDS = {"enumeration": "choice", "bool": "boolean", "string": "text", "phone_number": "text"}


def owners(session: Session, ask: Ask) -> Iterator[Page]:
    """The active owners, then the archived ones: without them old deals lose their owner."""
    state: State = ask.state if ask.state and ask.state.get("pass") else {"v": 1, "pass": "active", "after": None}
    while state.get("pass"):
        archived = state["pass"] == "archived"
        more = {"after": state["after"]} if state["after"] else {}
        body = raw(session.owners.get_page, limit=PAGE, archived=archived, **more)
        after = next_cursor(body)
        at: State = {**state, "after": after}
        if after is None:
            at = {"v": 1} if archived else {"v": 1, "pass": "archived", "after": None}
        yield Page(body, "results", at, pass_name=state["pass"], present=True)
        state = at


def pipelines(kind: str) -> Reader:
    """The pipelines of deals or leads with their stages; never paged."""

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        yield Page(raw(session.pipelines.get_all, kind), "results", {"v": 1}, present=True)

    return read


# -- associations ---------------------------------------------------------------------------------------------------
def links(source: str, target: str) -> Reader:
    """For every known live record of `source`: all its edges to `target`. A record without any has no row.

    A cut-off read continues behind the last record it had finished, if the ids still come in that order.
    """

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        last = None if ask.full else (ask.state or {}).get("last")
        walk = _each(ask, source) if last is None else _behind(_each(ask, source), last)
        done: State = {"v": 1} if last is None else {"v": 1, "last": last}
        part = list(islice(walk, LINKS_MAX))
        while part:
            following = list(islice(walk, LINKS_MAX))
            before, done = done, {"v": 1, "last": part[-1]} if following else {"v": 1}
            yield from _part(session, source, target, part, before, done)
            part = following

    return read


def _each(ask: Ask, source: str) -> Iterator[str]:
    for ids in ask.known_ids(source):
        yield from ids


def _behind(ids: Iterator[str], last: str) -> Iterator[str]:
    """The ids behind `last`; all of them when it is not among them any more."""
    seen: list[str] = []
    for i in ids:
        seen.append(i)
        if i == last:
            yield from ids
            return
    yield from seen


def _part(session: Session, source: str, target: str, ids: list[str], before: State, done: State) -> Iterator[Page]:
    """The edges of some records; those of busy ones come in pieces, each asked for with its own cursor."""
    inputs: list[dict[str, str]] = [{"id": i} for i in ids]
    while inputs:
        body = raw(session.links.get_page, source, target, {"inputs": inputs})
        inputs = [
            {"id": str(row["from"]["id"]), "after": str(row["paging"]["next"]["after"])}
            for row in orjson.loads(body)["results"]
            if ((row.get("paging") or {}).get("next") or {}).get("after") is not None
        ]
        yield Page(body, "results", before if inputs else done, present=True, pass_name=f"{source} to {target}")


# -- events ---------------------------------------------------------------------------------------------------------
def events(session: Session, ask: Ask) -> Iterator[Page]:
    """Behavioural events, one type after another, those that occurred since the last read less an overlap."""
    old = ask.state or {}
    since = old.get("since") if not ask.full else None
    since = since or (text(ask.since) if ask.since else None)
    resumed = bool(old.get("type")) and not ask.full
    state: State = dict(old) if resumed else {"v": 1, "since": since, "next": text(ask.now), "seen": None, "type": "", "after": None}
    types = sorted(str(t) for t in data(session.events.get_types).get("eventTypes", ()))
    for name in types:
        if name < state["type"]:
            continue
        state = {**state, "type": name, "after": state["after"] if name == state["type"] else None}
        while True:
            body = raw(session.events.get_page, event_type=name, limit=PAGE, **_window(state, OVERLAP_S + ask.extra_overlap_s))
            after = next_cursor(body)
            state = {**state, "seen": max(_newest(body), state["seen"] or "") or None, "after": after}
            last = after is None and name == types[-1]
            yield Page(body, "results", _next_events(state) if last else _following(state, types), pass_name=name)
            if after is None:
                break


def _newest(body: bytes) -> str:
    return max((str(row["occurredAt"]) for row in orjson.loads(body)["results"]), default="")


def _next_events(state: State) -> State:
    """The next read starts where this one began, or at the newest event seen, by the vendor's clock, if that is earlier."""
    return {"v": 1, "since": min(state["next"], state["seen"]) if state["seen"] else state["since"]}


def _following(state: State, types: list[str]) -> State:
    """The position behind a page: in the same type while it has a next page, else at the start of the next type."""
    return state if state["after"] is not None else {**state, "type": types[types.index(state["type"]) + 1]}


def _window(state: Mapping[str, Any], overlap_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {"after": state["after"]} if state["after"] else {}
    if state["since"]:
        found["occurred_after"] = datetime.fromisoformat(state["since"]) - timedelta(seconds=overlap_s)
    return found


# -- the live portal ------------------------------------------------------------------------------------------------
def probe(session: Session) -> str:
    about = orjson.loads(session.transport.send("GET", f"{session.base_url}/account-info/v3/details").data)
    return f"HubSpot portal {about['portalId']} ({about['accountType']}, {about['timeZone']}, {about['companyCurrency']}) answers"


def discover(session: Session) -> Live:
    """All properties of all types, and the stages of pipelines and life cycle. A portal without leads or line items has none of theirs."""
    fields: list[LiveField] = [LiveField("owners", path, label, kind, (), writable) for path, label, kind, writable in OWNER_FIELDS]
    stages: list[LiveStage] = []
    for kind in TYPES:
        try:
            rows = data(session.properties.get_all, kind)["results"]
        except VendorError as no:
            if kind in OPTIONAL and no.status in (400, 403, 404):
                continue
            raise
        fields += [LiveField(kind, path, label, of, (), writable) for path, label, of, writable in ROW_FIELDS]
        fields += [_field(kind, row) for row in rows]
        if kind == "contacts":
            stages += [_lifecycle(o, i) for row in rows if row["name"] == "lifecyclestage" for i, o in enumerate(row["options"])]
        if kind in ("deals", "leads"):
            stages += _stages(session, kind)
    return Live(tuple(fields), tuple(stages))


def _field(kind: str, row: Mapping[str, Any]) -> LiveField:
    read_only = bool((row.get("modificationMetadata") or {}).get("readOnlyValue"))
    options = tuple(str(o["value"]) for o in row.get("options") or ())
    of = KINDS.get(row["type"], row["type"])
    return LiveField(kind, f"properties.{row['name']}", row["label"], of, options, not read_only, bool(row.get("calculated")))


def _lifecycle(option: Mapping[str, Any], position: int) -> LiveStage:
    return LiveStage("person", "", "", option["value"], option["label"], position, False, False)


def _stages(session: Session, kind: str) -> Iterator[LiveStage]:
    what = "deal" if kind == "deals" else "person"
    for pipeline in data(session.pipelines.get_all, kind)["results"]:
        for stage in pipeline["stages"]:
            meta = stage.get("metadata") or {}
            share = float(meta["probability"]) if meta.get("probability") else None
            closed = str(meta.get("isClosed")).lower() == "true"
            name, position = stage["label"], int(stage["displayOrder"])
            yield LiveStage(what, pipeline["id"], pipeline["label"], stage["id"], name, position, closed, closed and share == 1.0, share)
