"""Reading ActiveCampaign's people and lists. Contacts are walked by id, everything else by offset.

Values of custom fields and memberships of lists are no part of a contact's row; they are asked for beside the contacts
(`include`) and put into the rows, so that a mapping can name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from connectors.activecampaign_session import LIMIT, Listed, Query, Row, Session
from core.connector import Ask, Page, State

OVERLAP_S = 3600.0  # what is committed late, and what changes behind the page in hand
FIELDS = "fields."  # paths of custom fields in a mapping begin so
Dress = Callable[[Listed], bytes]


# -- cursors ----------------------------------------------------------------------------------------------------------
def text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def newest(rows: Iterable[Mapping[str, Any]], name: str, so_far: str) -> str:
    """The latest of the rows' stamps and `so_far`, in UTC; texts with different offsets cannot be compared as they come."""
    stamps = [text(datetime.fromisoformat(row[name])) for row in rows if row.get(name)]
    return max([*stamps, so_far])


def begin(ask: Ask) -> tuple[str | None, Row]:
    """(since when, the pass in hand). The pass goes on where the last committed page left it; `look` is from when it asks."""
    state = {} if ask.full else dict(ask.state or {})
    since = state.get("since")
    if since is None and ask.since is not None and not ask.full:
        since = text(ask.since)
    look = since and text(datetime.fromisoformat(since) - timedelta(seconds=ask.extra_overlap_s))
    return since, dict(state.get("open") or {"began": text(ask.now), "newest": "", "total": None, "read": 0, "look": look})


def changed(since: str | None, now: Row) -> list[tuple[str, str]]:
    """The filter of a pass that reads what changed since."""
    return [("filters[updated_after]", now.get("look") or since)] if since else []


def finished(since: str | None, now: Row, last: Listed) -> State:
    """From when the next pass must look. Never after this one began: what changed since may stand behind pages read already.

    A pass that ends with an answer that says nothing proves nothing: the next one looks from where this one did. What the user
    wants read again besides does not drag the cursor back.
    """
    if last.nothing or (since and not now["newest"]):
        return {"v": 1, "since": since}
    latest = min(now["newest"] or now["began"], now["began"])
    return {"v": 1, "since": max(since or "", text(datetime.fromisoformat(latest) - timedelta(seconds=OVERLAP_S)))}


def wanted(ask: Ask) -> bool:
    """Does the mapping name custom fields?"""
    return any(path.startswith(FIELDS) for path in ask.fields)


# -- contacts ---------------------------------------------------------------------------------------------------------
def contacts(session: Session, ask: Ask) -> Iterator[Page]:
    """Contacts changed since, or all, with their custom fields by personalisation tag under `fields`."""
    since, now = begin(ask)
    if not wanted(ask):
        yield from _walk(session, since, now, (), lambda listed: listed.body, present=since is None)
        return
    tags = {str(row["id"]): str(row["perstag"]) for row in session.every("fields", "fields")}

    def dress(listed: Listed) -> bytes:
        values = beside(session, listed, "fieldValues")
        for row in listed.rows:
            row["fields"] = {tags[v["field"]]: v["value"] for v in values.get(row["id"], ()) if v["field"] in tags}
        return orjson.dumps({"contacts": listed.rows})

    yield from _walk(session, since, now, [("include", "fieldValues")], dress, present=since is None)


def contact_lists(session: Session, ask: Ask) -> Iterator[Page]:
    """All contacts with the lists they are or were on. Whole each time: nobody says that leaving a list moves `udate`."""

    def dress(listed: Listed) -> bytes:
        lists = beside(session, listed, "contactLists")
        rows = [{"id": row["id"], "email": row["email"], "contactLists": lists.get(row["id"], ())} for row in listed.rows]
        return orjson.dumps({"contacts": rows})

    _, now = begin(ask)
    yield from _walk(session, None, now, [("include", "contactLists")], dress, present=True)


def _walk(session: Session, since: str | None, now: Row, query: Query, dress: Dress, *, present: bool) -> Iterator[Page]:
    """By id, which no deletion shifts. The count is the first page's; if it is not reached, it is asked for once more."""
    filters = changed(since, now)
    while True:
        asked = [("orders[id]", "ASC"), ("id_greater", str(now.get("after", 0))), ("limit", str(LIMIT))]
        listed = session.page("contacts", "contacts", [*asked, *filters, *query])
        now = _next(now, listed)
        done = not listed.rows or (now["total"] is not None and now["read"] >= now["total"])
        if done and now["total"] is not None and now["read"] < now["total"] and not listed.nothing:
            again = session.page("contacts", "contacts", [("limit", "1"), *filters]).total
            now["total"] = min(now["total"], now["total"] if again is None else again)
        state: State = finished(since, now, listed) if done else {"v": 1, "since": since, "open": now}
        yield Page(dress(listed), "contacts", state, total=now["total"], present=present and not (done and listed.nothing))
        if done:
            return


def _next(now: Row, listed: Listed) -> Row:
    ids = [int(row["id"]) for row in listed.rows]
    return now | {
        "after": max([*ids, now.get("after", 0)]),
        "newest": newest(listed.rows, "udate", now["newest"]),
        "read": now["read"] + len(ids),
        "total": listed.total if now["total"] is None else now["total"],
    }


def beside(session: Session, listed: Listed, name: str) -> dict[str, list[Row]]:
    """What came along with a page of contacts, by contact. Where `include` is not heard, each contact is asked (documented, slow)."""
    if name in listed.said or not listed.rows:
        rows: Sequence[Row] = listed.said.get(name) or ()
    else:
        rows = [row for contact in listed.rows for row in session.get(f"contacts/{contact['id']}/{name}").get(name) or ()]
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["contact"]), []).append(row)
    return found


# -- lists that are read whole ------------------------------------------------------------------------------------------
def whole(path: str, query: Query = (), *, without: Sequence[str] = ()) -> Callable[[Session, Ask], Iterator[Page]]:
    """A reader of a list by offset. `without`: keys too large to carry along."""

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        start = 0 if ask.full else int((ask.state or {}).get("offset", 0))
        for listed, offset, last in session.offsets(path, path, query, start):
            state: State = {"v": 1} if last else {"v": 1, "offset": offset}
            body = orjson.dumps({path: [_less(row, without) for row in listed.rows]}) if without else listed.body
            yield Page(body, path, state, total=listed.total, present=not listed.nothing)

    return read


def contact_tags(session: Session, ask: Ask) -> Iterator[Page]:
    """Who carries which tag; each row with the tag's name as `tagName`."""
    names = {str(row["id"]): row["tag"] for row in session.every("tags", "tags")}
    for page in whole("contactTags")(session, ask):
        rows = [row | {"tagName": names.get(str(row["tag"]))} for row in orjson.loads(page.body).get("contactTags") or ()]
        yield replace(page, body=orjson.dumps({"contactTags": rows}))


def _less(row: Row, without: Sequence[str]) -> Row:
    return {name: value for name, value in row.items() if name not in without}


def pipelines(session: Session, ask: Ask) -> Iterator[Page]:
    """Pipelines, each with its whole stages under `dealStages`; the vendor puts them beside and names only ids."""
    for listed, _, _ in session.offsets("dealGroups", "dealGroups"):
        for row in listed.rows:
            row["dealStages"] = [s for s in listed.said.get("dealStages") or () if str(s["group"]) == str(row["id"])]
        body = orjson.dumps({"dealGroups": listed.rows})
        yield Page(body, "dealGroups", {"v": 1}, total=listed.total, present=not listed.nothing)
