"""How HubSpot's records are walked: everything by list, changes by search, the archived by list; state after every page.

The list has no ceiling and no order worth trusting but its own cursor. The search ends at 10,000 rows, so it is never
paged by offset: every request asks for ids beyond the last one seen, in the server's own order. Ids are never compared here.
The window has no end: a record edited while we read keeps its place, and the next read starts before this one began.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from connectors.hubspot_session import BATCH_MAX, Session, data, raw
from core.connector import Ask, Page, State
from core.errors import VendorError

LIST_PAGE, HISTORY_PAGE, SEARCH_PAGE = 100, 50, 200
URI_MAX = 15_000  # characters of column names in a URL; HubSpot answers 414 a little above 16,000
SEARCH_BODY_MAX = 2_800  # characters; the search is documented to take 3,000
OVERLAP_S = 120.0  # the search index may lag behind the records by a minute
MODIFIED = {"contacts": "lastmodifieddate"}  # every other type: hs_lastmodifieddate
OTHERS_MODIFIED = "hs_lastmodifieddate"
HISTORY = {
    "contacts": ("lifecyclestage", "hs_lead_status"), "companies": ("lifecyclestage",),
    "deals": ("dealstage", "amount", "closedate", "hubspot_owner_id"), "leads": ("hs_pipeline_stage",),
}  # fmt: skip
# The next cursor, where HubSpot puts it: at the very end of the page. Anything else is parsed.
_NEXT = re.compile(rb'\],"paging":\{"next":\{"after":"([^"\\]+)"(?:,"link":"[^"\\]*")?\}\}\}\s*\Z')
_TAIL = 4_096

Reader = Callable[[Session, Ask], Iterator[Page]]


def next_cursor(body: bytes) -> str | None:
    """The page's own cursor to the next, cheaply. A short or empty page may have one; only its absence ends a pass."""
    if found := _NEXT.search(body, max(0, len(body) - _TAIL)):
        return found[1].decode()
    return _next_of(orjson.loads(body))


def _next_of(page: dict[str, Any]) -> str | None:
    after = ((page.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def columns(ask: Ask, prefix: str = "properties.") -> list[str]:
    """The vendor's property names among the asked paths, each once."""
    paths = (f.removeprefix("^.") for f in ask.fields)
    return list(dict.fromkeys(p.removeprefix(prefix).split(".")[0] for p in paths if p.startswith(prefix)))


def text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(stamp: str) -> datetime:
    at = datetime.fromisoformat(stamp)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _millis(since: str, overlap_s: float) -> str:
    return str(max(0, int((_instant(since) - timedelta(seconds=overlap_s)).timestamp() * 1000)))


def _overlap(ask: Ask) -> float:
    return float(ask.options.get("overlap_s", OVERLAP_S)) + ask.extra_overlap_s


# -- where a pass begins --------------------------------------------------------------------------------------------
def modified(kind: str) -> str:
    return MODIFIED.get(kind, OTHERS_MODIFIED)


def anchor(session: Session, kind: str) -> tuple[str | None, int]:
    """The newest modification stamp of the whole portal, by its own clock, and how many live records it counts.

    Raises: VendorError when records carry no such stamp: a search by it would find nothing, without a word.
    """
    name = modified(kind)
    ask = {"filterGroups": [], "sorts": [{"propertyName": name, "direction": "DESCENDING"}], "properties": [name], "limit": 1}
    found = data(session.search.do_search, kind, ask)
    if not found["results"]:
        return None, 0
    stamp = (found["results"][0].get("properties") or {}).get(name)
    if not stamp:
        raise VendorError(f"{kind} carry no property '{name}', so changes cannot be found", where=session.transport.account)
    return str(stamp), int(found["total"])


def _begin(session: Session, kind: str, ask: Ask) -> State:
    """The state of a fresh pass. `next` is where the read after this one starts: the run's start or the newest stamp, the earlier."""
    newest, total = anchor(session, kind)
    begun: State = {"v": 1, "next": None if newest is None else min(newest, text(ask.now), key=_instant), "total": total}
    since = ask.state.get("since") if ask.state and not ask.full else text(ask.since) if ask.since and not ask.full else None
    if since is None:
        return {**begun, "pass": "scan", "after": None}
    return {**begun, "pass": "changes", "since": since, "last": None, "after": None, "total": None}


def _resumed(ask: Ask) -> State | None:
    """The state of a pass that was cut off, if this read continues it."""
    state = ask.state or {}
    return dict(state) if state.get("pass") and (not ask.full or state["pass"] == "scan") else None


def _check_version(ask: Ask) -> None:
    if ask.state and ask.state.get("v") != 1:
        raise VendorError(
            f"the saved position of '{ask.resource}' has version {ask.state.get('v')!r}, which this release cannot read",
            next_step="read everything again: tundish sync --full",
        )


# -- records --------------------------------------------------------------------------------------------------------
def objects(kind: str) -> Reader:
    """Everything (first, or asked for), else what changed; then the archived ones, always.

    `whole` in the state: the archived ones are read after a pass of everything, so all of them together prove what is gone.
    """

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        _check_version(ask)
        state = _resumed(ask) or _begin(session, kind, ask)
        names = columns(ask)
        if state["pass"] == "scan":
            then: State = {"v": 1, "pass": "archived", "next": state["next"], "after": None, "whole": True}
            yield from _scan(session, kind, names, state, then)
            state = then
        if state["pass"] == "changes":
            then = {"v": 1, "pass": "archived", "next": _later(state), "after": None, "whole": False}
            yield from _changes(session, kind, names, state, then, _overlap(ask))
            state = then
        yield from _scan(session, kind, names, state, _done(state))

    return read


def history(kind: str) -> Reader:
    """Past values of the stage properties: of all records first, then only of those that changed.

    The walk is that of the records, which are counted; here one row becomes many, so no count of the vendor's fits.
    """

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        _check_version(ask)
        state = _resumed(ask) or _begin(session, kind, ask)
        names, past = columns(ask), columns(ask, "propertiesWithHistory.") or list(HISTORY[kind])
        if state["pass"] == "scan":
            yield from _scan(session, kind, names, state, _done(state), past=past)
        else:
            yield from _changes(session, kind, names, state, _done({**state, "next": _later(state)}), _overlap(ask), past)

    return read


def _done(state: State) -> State:
    return {"v": 1, "since": state["next"]}


def _later(state: State) -> str:
    """Where the read after a pass of changes starts. The newest stamp goes back when its record is deleted; the cursor does not."""
    return str(max(state["next"] or state["since"], state["since"], key=_instant))


def _scan(session: Session, kind: str, names: list[str], state: State, then: State, past: Sequence[str] = ()) -> Iterator[Page]:
    """All pages of a list behind `state["after"]`. Columns that do not fit a URL are read by id, a page at a time."""
    label, after = str(state["pass"]), state["after"]
    archived, counted = label == "archived", label == "scan" and not past
    present = state.get("whole", counted)
    wide = len(quote(",".join([*names, *past]), safe="")) > URI_MAX
    while True:
        first = after is None
        body = _list(session, kind, ["hs_object_id"] if wide else names, after, archived, () if wide else past)
        after = next_cursor(body)
        if wide and (ids := [row["id"] for row in orjson.loads(body)["results"]]):
            body = by_id(session, kind, ids, names, past, archived)
        at = then if after is None else {**state, "after": after}
        total = _total(session, kind, state, closing=after is None and not first) if counted else None
        yield Page(body, "results", at, total=total, pass_name=label, present=present)
        if after is None:
            return


def _total(session: Session, kind: str, state: State, *, closing: bool) -> int | None:
    """The vendor's count when the pass began; at its end, if that is later, what must have come whatever happened meanwhile.

    Records edited, archived or merged while we read may rightly be missing; one that still has its old stamp may not.
    """
    opening: int | None = state["total"]
    if not closing or opening is None or state["next"] is None:
        return opening
    filters = [{"propertyName": modified(kind), "operator": "LTE", "value": _millis(state["next"], 0)}]
    if state["pass"] == "changes":
        filters.append({"propertyName": modified(kind), "operator": "GTE", "value": state["from"]})
    ask = {"filterGroups": [{"filters": filters}], "properties": ["hs_object_id"], "limit": 1}
    return min(opening, int(data(session.search.do_search, kind, ask)["total"]))


def _list(session: Session, kind: str, names: list[str], after: str | None, archived: bool, past: Sequence[str]) -> bytes:
    more: dict[str, Any] = {"after": after} if after else {}
    if names:
        more["properties"] = [",".join(names)]
    if past:
        more["properties_with_history"] = [",".join(past)]
    return raw(session.basic.get_page, kind, limit=HISTORY_PAGE if past else LIST_PAGE, archived=archived, **more)


def by_id(session: Session, kind: str, ids: Sequence[str], names: list[str], past: Sequence[str] = (), archived: bool = False) -> bytes:
    """One batch of records with all columns at once, so no row is ever put together from two moments."""
    ask: dict[str, Any] = {"inputs": [{"id": i} for i in ids], "properties": names, "propertiesWithHistory": list(past)}
    return raw(session.batch.read, kind, ask, archived=archived)


def _changes(
    session: Session, kind: str, names: list[str], state: State, then: State, overlap_s: float, past: Sequence[str] = ()
) -> Iterator[Page]:
    """All live records modified since `state["since"]` less the overlap, in the server's order of ids."""
    state = {**state, "from": _millis(state["since"], overlap_s)}
    while True:
        ask = _search(kind, state, names)
        in_parts = bool(past) or len(orjson.dumps(ask)) > SEARCH_BODY_MAX
        if in_parts:
            ask["properties"] = ["hs_object_id"]
        body = raw(session.search.do_search, kind, ask)
        found = orjson.loads(body)
        first = state["total"] is None
        if first:
            state["total"] = found["total"]
        ids, after = [row["id"] for row in found["results"]], _next_of(found)
        state, here = _moved(session, state, ids, after), state
        total = None if past else _total(session, kind, state, closing=after is None and not first)
        ends = then if after is None else state
        size = HISTORY_PAGE if past else BATCH_MAX
        parts = [ids[i : i + size] for i in range(0, len(ids), size)] if in_parts else []
        for part in parts[:-1]:
            yield Page(by_id(session, kind, part, names, past), "results", {**here, "last": part[-1], "after": None}, pass_name="changes")
        if parts:
            body = by_id(session, kind, parts[-1], names, past)
        yield Page(body, "results", ends, total=total, pass_name="changes")
        if after is None:
            return


def _search(kind: str, state: State, names: list[str]) -> dict[str, Any]:
    filters = [{"propertyName": modified(kind), "operator": "GTE", "value": state["from"]}]
    if state["last"] is not None:
        filters.append({"propertyName": "hs_object_id", "operator": "GT", "value": state["last"]})
    sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    ask: dict[str, Any] = {"filterGroups": [{"filters": filters}], "sorts": sorts, "properties": names, "limit": SEARCH_PAGE}
    return {**ask, "after": state["after"]} if state["after"] else ask


def _moved(session: Session, state: State, ids: list[str], after: str | None) -> State:
    """The position behind a page: its last id, or, for an empty page that still has a next one, the vendor's cursor."""
    if not ids:
        if after is not None and after == state["after"]:
            raise VendorError("the search gives the same page again and again", where=session.transport.account)
        return {**state, "after": after}
    if ids[-1] == state["last"]:
        raise VendorError(f"the search does not get past record {ids[-1]}", where=session.transport.account)
    return {**state, "last": ids[-1], "after": None}
