"""Reading records as HubSpot shows them: list, one, batch read.

Facts: everything in `properties` is text or null; unknown names are ignored; `after` is opaque; the last page has no
`paging`; at most 100 rows, 50 with history. Keys nobody documented appear here and there, as they do in life.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.hubspot_store import Refused, Store, Thing, iso, millis
from connectors.sandbox.kit import Reply, Request, Route

LIST_MAX, HISTORY_MAX, BATCH_MAX, INLINE_MAX = 100, 50, 100, 100


def seal(text: str) -> str:
    """An opaque cursor; its padding must be percent-encoded by whoever sends it back."""
    return base64.b64encode(f"c:{text}".encode()).decode()


def unseal(after: str) -> str:
    try:
        head, _, text = base64.b64decode(after, validate=True).decode().partition(":")
    except ValueError:
        head, text = "", ""
    if head != "c":
        raise Refused(400, "VALIDATION_ERROR", "Invalid input: the 'after' parameter is not a valid paging cursor")
    return text


def kind_of(request: Request) -> str:
    name = schema.PLURAL.get(request.params["type"], request.params["type"])
    if name not in schema.TYPES:
        raise Refused(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
    return name


def names_in(request: Request, name: str) -> list[str]:
    return [n for value in request.query.get(name, []) for n in value.split(",") if n]


def limit_of(text: str | None, most: int, default: int = 10) -> int:
    try:
        limit = int(text) if text is not None else default
    except ValueError:
        raise Refused(400, "VALIDATION_ERROR", f"Invalid limit: {text}") from None
    if not 1 <= limit <= most:
        raise Refused(400, "VALIDATION_ERROR", f"The requested limit {limit} is not allowed; the maximum page size is {most}")
    return limit


class Shape:
    """Renders the records of one type with one choice of columns."""

    def __init__(self, store: Store, kind: str, asked: Sequence[str], history: Sequence[str] = ()) -> None:
        known = store.properties[kind]
        self.store, self.kind = store, kind
        wanted = asked or schema.DEFAULTS[kind]
        self.names = [n for n in dict.fromkeys((*wanted, *schema.ALWAYS[kind])) if n in known or n.startswith("hs_v2_")]
        self.computed = [n for n in self.names if n in _COMPUTED or n.startswith("hs_v2_")]
        self.history = [n for n in history if n in known]

    def row(self, thing: Thing, seen: tuple[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        updated, props = seen or (thing.updated, thing.props)
        values = {n: props.get(n) for n in self.names}
        for name in self.computed:
            values[name] = self.compute(thing, name, props, updated)
        row = {"id": thing.id, "properties": values, "createdAt": thing.created, "updatedAt": updated, "archived": thing.archived}
        if thing.archived:
            row["archivedAt"] = thing.archived_at
        if self.history:
            row["propertiesWithHistory"] = {n: self.store.history_of(thing, n) for n in self.history}
        if thing.id.endswith("7"):
            row["_futureKey"] = {"beta": True, "of": [1, None, "x"]}
        return row

    def compute(self, thing: Thing, name: str, props: dict[str, Any], updated: str) -> str | None:
        if name.startswith("hs_v2_"):
            return self._timer(thing, name)
        if name in ("lastmodifieddate", "hs_lastmodifieddate"):
            return updated
        if name in ("createdate", "hs_createdate"):
            return thing.created
        if name == "hs_object_id":
            return thing.id
        if self.kind != "deals":
            return props.get(name)
        stage = self.store.stage("deals", props.get("pipeline"), props.get("dealstage"))
        if stage is None:
            return props.get(name)
        meta = stage["metadata"]
        won = meta["isClosed"] == "true" and float(meta["probability"]) == 1.0
        return str({"hs_is_closed": meta["isClosed"], "hs_is_closed_won": str(won).lower()}.get(name, meta["probability"]))

    def _timer(self, thing: Thing, name: str) -> str | None:
        """Stage timers, computed from the history of the stage property; all but `cumulative` tell of the latest stay."""
        entries = self.store.history_of(thing, schema.STAGE[self.kind])
        if not entries:
            return None
        ends = [iso(self.store.clock.utc()), *(str(e["timestamp"]) for e in entries)]  # newest first: an entry ends where the next begins
        stays = [(str(e["value"]), str(e["timestamp"]), end) for e, end in zip(entries, ends, strict=False)]
        if name in ("hs_v2_date_entered_current_stage", "hs_v2_time_in_current_stage"):
            return stays[0][1] if "entered" in name else _length(stays[:1])
        found = _TIMER.fullmatch(name)
        of = [s for s in stays if found and s[0] == found[2]]
        if not found or not of:
            return None
        if found[1] == "date_entered":
            return of[0][1]
        if found[1] == "date_exited":
            return of[0][2] if of[0] != stays[0] else None
        return _length(of if found[1] == "cumulative_time_in" else of[:1])


_TIMER = re.compile(r"hs_v2_(date_entered|date_exited|latest_time_in|cumulative_time_in)_(.+)")


def _length(stays: Sequence[tuple[str, str, str]]) -> str:
    """Milliseconds, as text."""
    return str(sum(millis(end) - millis(start) for _, start, end in stays))


_COMPUTED = frozenset({
    "lastmodifieddate", "hs_lastmodifieddate", "createdate", "hs_createdate", "hs_object_id",
    "hs_is_closed", "hs_is_closed_won", "hs_deal_stage_probability",
})  # fmt: skip


def page(results: list[dict[str, Any]], after: str | None, link: str = "") -> dict[str, Any]:
    """A collection as HubSpot sends it; now and then with a key nobody documented, first or last."""
    body: dict[str, Any] = {"results": results}
    if after is not None:
        body["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com{link}?after={after}"}}
    if results and results[-1].get("id", "").endswith("00"):
        body["_servedBy"] = "sandbox"
    return body


class Objects:
    """Handlers of the read endpoints. `repeat` makes the next list page start with the row the last one ended with."""

    def __init__(self, store: Store, *, precomputed: bool = False) -> None:
        self.store = store
        self.pages: dict[str, tuple[int, bytes, bytes]] | None = {} if precomputed else None
        self.moves: Callable[[str], bool] = lambda path: False

    # https://developers.hubspot.com/docs/guides/api/crm/objects/contacts
    def pages_of(self, request: Request) -> Reply:
        """One page; from the store of ready pages when the emulator keeps them (so that a benchmark does not measure it)."""
        if self.pages is None:
            return self._list(request)
        name, version = f"{request.path}?{request.query}", sum(t.version for t in self.store.tables.values())
        held = self.pages.get(name)
        if held is None or held[0] != version:
            plain = self._list(request).payload()
            held = self.pages[name] = (version, plain, gzip.compress(plain, 1))
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Reply(held[2], headers={"Content-Encoding": "gzip"})
        return Reply(held[1])

    def _list(self, request: Request) -> Reply:
        kind = kind_of(request)
        history = names_in(request, "propertiesWithHistory")
        most = HISTORY_MAX if history else LIST_MAX
        limit = limit_of(request.q("limit"), most)
        after = request.q("after")
        archived = (request.q("archived") or "false").lower() == "true"
        table = self.store.tables[kind]
        last = unseal(after) if after else None
        things, more = table.after(last, limit, archived)
        if last in table.rows and self.moves(request.path):
            things = [table.rows[last], *things[: limit - 1]] if len(things) == limit else [table.rows[last], *things]
            more = table.after(things[-1].id, 1, archived)[0] != []
        shape = Shape(self.store, kind, names_in(request, "properties"), history)
        rows = [shape.row(t) for t in things]
        for target in names_in(request, "associations"):
            self._inline(kind, rows, schema.PLURAL.get(target, target))
        return Reply(page(rows, seal(things[-1].id) if more else None, request.path))

    def _inline(self, kind: str, rows: Iterable[dict[str, Any]], target: str) -> None:
        edges = self.store.links.get((kind, target), {})
        label = f"{schema.SINGULAR[kind]}_to_{schema.SINGULAR.get(target, target)}"
        for row in rows:
            ids = list(edges.get(row["id"], ()))
            if not ids:
                continue
            found: dict[str, Any] = {"results": [{"id": i, "type": label} for i in ids[:INLINE_MAX]]}
            if len(ids) > INLINE_MAX:
                found["paging"] = {"next": {"after": seal(ids[INLINE_MAX - 1])}}
            row.setdefault("associations", {})[target] = found

    def one(self, request: Request) -> Reply:
        kind = kind_of(request)
        thing = self.store.find(kind, request.params["id"], request.q("idProperty"))
        archived = (request.q("archived") or "false").lower() == "true"
        if thing is None or thing.archived != archived:
            raise Refused(404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
        row = Shape(self.store, kind, names_in(request, "properties"), names_in(request, "propertiesWithHistory")).row(thing)
        for target in names_in(request, "associations"):
            self._inline(kind, [row], schema.PLURAL.get(target, target))
        return Reply(row)

    def batch_read(self, request: Request) -> Reply:
        kind, body = kind_of(request), request.json()
        history = body.get("propertiesWithHistory") or []
        inputs = checked_inputs(body, HISTORY_MAX if history else BATCH_MAX)
        archived = (request.q("archived") or "false").lower() == "true"
        shape = Shape(self.store, kind, body.get("properties") or (), history)
        rows, missing = {}, []
        for given in inputs:
            thing = self.store.find(kind, str(given["id"]), body.get("idProperty"))
            if thing is None or thing.archived != archived:
                missing.append(str(given["id"]))
            else:
                rows[thing.id] = shape.row(thing)
        return finished(self.store, list(rows.values())[::-1], [lost(missing)] if missing else [])

    def routes(self) -> list[Route]:
        at = "/crm/v3/objects/{type}"
        return [
            Route("GET", at, self.pages_of),
            Route("POST", at + "/batch/read", self.batch_read),
            Route("GET", at + "/{id}", self.one),
        ]


def checked_inputs(body: Any, most: int) -> list[Any]:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise Refused(400, "VALIDATION_ERROR", "Invalid input JSON: inputs must be a non-empty list")
    if len(inputs) > most:
        raise Refused(400, "VALIDATION_ERROR", f"The batch size {len(inputs)} exceeds the limit of {most} inputs")
    return inputs


def lost(ids: Sequence[str], **context: list[str]) -> dict[str, Any]:
    return {
        "status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects, they may be deleted or not exist.",
        "context": {"ids": list(ids), **context},
    }  # fmt: skip


def finished(store: Store, results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int = 200) -> Reply:
    """The batch envelope: 207 when some inputs failed. The order of results is not that of the inputs."""
    at = store.now()
    body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at, "requestedAt": at}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Reply(body, 207 if errors else status)
