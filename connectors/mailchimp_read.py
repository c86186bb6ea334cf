"""Reading Mailchimp: pages as raw bytes, the next step taken from a few bytes of them.

Lists of members move while they are read, so an offset says nothing. Each request asks for what changed after the last
stamp seen; only seconds with more than a page of members are paged through, in a closed window, stepping back when rows left it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from connectors.mailchimp_session import COUNT, Session
from core.connector import Ask, Page, State
from core.errors import VendorError

OVERLAP_S = 5.0  # Mailchimp's stamps are whole seconds, and a change may be committed a moment after its stamp
REREAD_DAYS = 30  # reports and activity of a campaign keep growing this long after it was sent
STATUSES = ("live", "archived", "cleaned")  # "live": what the list gives unasked, which leaves out at least the archived
MEMBER = ("id", "list_id", "contact_id", "email_address", "last_changed")
_STAMP = re.compile(rb'"last_changed":\s*"([^"]*)"')
_SENT = re.compile(rb'"send_time":\s*"([^"]+)"')
_TOTAL = re.compile(rb'"total_items":\s*(\d+)')
Fetch = Callable[[str | None, str | None, int], bytes]  # since (outside), until, offset → body


# -- times ------------------------------------------------------------------------------------------------------------
def _moved(stamp: str, seconds: float) -> str:
    return _text(datetime.fromisoformat(stamp) + timedelta(seconds=seconds))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


# -- what to ask for ----------------------------------------------------------------------------------------------------
def _shape(rows: str, wanted: Sequence[str], needed: Sequence[str]) -> dict[str, list[str]]:
    """Only the asked top-level fields; never the link lists, which are the larger part of a body."""
    tops = {path.partition(".")[0] for path in wanted if path and not path.startswith(("^", "context."))}
    if not tops:
        return {"exclude_fields": [f"{rows}._links", "_links"]}
    return {"fields": [*(f"{rows}.{name}" for name in sorted(tops | set(needed))), "total_items"]}


def _total(body: bytes) -> int:
    found = _TOTAL.findall(body)
    if not found:
        raise VendorError("Mailchimp sent a page without total_items", next_step="run again; if it stays, report it with the resource name")
    return int(found[-1])


def _offset_pages(fetch: Callable[[int], bytes], rows: str) -> Iterator[tuple[bytes, int, bool]]:
    """Pages by offset: body, total, whether it is the last. Steps back when rows in front of the page have left."""
    offset, before = 0, 0
    while True:
        body = fetch(offset)
        total, size = _total(body), len(orjson.loads(body)[rows])
        lost, before = max(0, before - total), total
        last = not lost and (size == 0 or offset + size >= total)
        yield body, total, last
        if last:
            return
        offset = max(0, offset - lost) if lost else offset + size


def list_ids(session: Session) -> list[str]:
    """All lists, oldest first."""
    asked = {"fields": ["lists.id", "total_items"], "sort_field": "date_created", "sort_dir": "ASC", "count": COUNT}
    pages = _offset_pages(lambda offset: bytes(session.client.lists.get_all_lists(offset=offset, **asked).content), "lists")
    return list(dict.fromkeys(row["id"] for body, _, _ in pages for row in orjson.loads(body)["lists"]))


# -- members ------------------------------------------------------------------------------------------------------------
def members(session: Session, ask: Ask) -> Iterator[Page]:
    """Members of every list: the live ones, the archived, the cleaned; each by last_changed, resumable after every page.

    A full read ends with one more look at what became live meanwhile, so that whoever left the archive is not missed.
    """
    whole = ask.full or ask.state is None
    present = whole and (ask.full or ask.since is None)
    since: dict[str, str] = {} if whole else dict((ask.state or {}).get("since", {}))
    start = _text(ask.since) if ask.since and ask.state is None and not ask.full else None
    for list_id in list_ids(session):
        for status in (*STATUSES, "live") if present else STATUSES:
            key = f"{list_id}/{status}"
            again = present and status == "live" and key in since
            fetch = _fetch_members(session, list_id, status, ask.fields)
            known = since.get(key, start)
            begin = _moved(known, -ask.extra_overlap_s) if known and ask.extra_overlap_s else known
            for body, after, total in _walk(fetch, begin):
                since = since | ({key: max(after, known or "")} if after else {})
                state: State = {"v": 1, "since": since}
                yield Page(body, "members", state, total=total, pass_name=f"{key}/again" if again else key, present=present)


def _fetch_members(session: Session, list_id: str, status: str, wanted: Sequence[str]) -> Fetch:
    asked: dict[str, Any] = {"count": COUNT, "sort_field": "last_changed", "sort_dir": "ASC", **_shape("members", wanted, MEMBER)}
    if status != "live":
        asked["status"] = status

    def fetch(since: str | None, until: str | None, offset: int) -> bytes:
        bounds = {"since_last_changed": since, "before_last_changed": until, "offset": offset or None}
        reply = session.client.lists.get_list_members_info(list_id, **asked, **{k: v for k, v in bounds.items() if v})
        return bytes(reply.content)

    return fetch


def _walk(fetch: Fetch, since: str | None) -> Iterator[tuple[bytes, str | None, int]]:
    """Everything changed after `since`: body, the `since` to go on with after it, and how many rows the pass has in all.

    The total is the first page's; rows that vanish from the rest before they are read are taken off it.
    """
    first: int | None = None
    expected, tied = 0, ""
    while True:
        body = fetch(since, None, 0)
        stamps = [s.decode() for s in _STAMP.findall(body)]
        left = _total(body)
        first = left if first is None else first - max(0, expected - left)
        if len(stamps) >= left:
            yield body, max(since or "", _moved(max(stamps), -OVERLAP_S)) if stamps and max(stamps) else since, first
            return
        last = stamps[-1] if stamps else ""
        if not last:
            raise VendorError("Mailchimp sent an empty page before the last one", next_step="run again; the read goes on where it stopped")
        after = _moved(last, -1)
        if since is not None and after <= since:  # more than a page of members in one second
            for page in _second(fetch, last):
                yield page, since, first
            since, expected, tied = _moved(last, 1) if tied == last else last, 0, last
            continue
        since, expected = after, left - sum(s <= after for s in stamps)
        yield body, since, first


def _second(fetch: Fetch, stamp: str) -> Iterator[bytes]:
    """All members changed in one second, by offset. Rows can only leave such a window; the pages step back as many."""
    offset, before = 0, 0
    while True:
        body = fetch(_moved(stamp, -1), _moved(stamp, 1), offset)
        yield body
        total, size = _total(body), len(_STAMP.findall(body))
        lost, before = max(0, before - total), total
        if not lost and (size == 0 or offset + size >= total):
            return
        offset = max(0, offset - lost) if lost else offset + size


# -- tags: static segments, because nobody says that a tag moves last_changed -----------------------------------------------
def tags(session: Session, ask: Ask) -> Iterator[Page]:
    """Who carries which tag: the members of each static segment, read whole. Context: list_id, segment_id, tag."""
    include = {f"include_{status}": "true" for status in ("cleaned", "unsubscribed", "transactional")}
    fields = ["members.id", "members.email_address", "total_items"]
    for list_id in list_ids(session):
        for segment in _segments(session, list_id):
            context = {"list_id": list_id, "segment_id": str(segment["id"]), "tag": str(segment["name"])}
            call = session.client.lists.get_segment_members_list

            def fetch(offset: int, call: Any = call, list_id: str = list_id, segment_id: str = context["segment_id"]) -> bytes:
                return bytes(call(list_id, segment_id, count=COUNT, offset=offset, fields=fields, **include).content)

            for body, total, _ in _offset_pages(fetch, "members"):
                name = f"{list_id}/{segment['id']}"
                yield Page(body, "members", {"v": 1}, total=total, pass_name=name, context=context, present=True)


def _segments(session: Session, list_id: str) -> list[dict[str, Any]]:
    asked = {"type": "static", "count": COUNT, "fields": ["segments.id", "segments.name", "total_items"]}
    pages = _offset_pages(lambda offset: bytes(session.client.lists.list_segments(list_id, offset=offset, **asked).content), "segments")
    return list({row["id"]: row for body, _, _ in pages for row in orjson.loads(body)["segments"]}.values())


# -- small collections, read whole ------------------------------------------------------------------------------------------
def _whole(
    rows: str, call: Callable[[Session], Callable[..., Any]], needed: Sequence[str], **asked: Any
) -> Callable[[Any, Ask], Iterator[Page]]:
    def read(session: Session, ask: Ask) -> Iterator[Page]:
        shape = _shape(rows, ask.fields, needed)
        pages = _offset_pages(lambda offset: bytes(call(session)(count=COUNT, offset=offset, **asked, **shape).content), rows)
        for body, total, _ in pages:
            yield Page(body, rows, {"v": 1}, total=total, present=True)

    return read


lists = _whole("lists", lambda s: s.client.lists.get_all_lists, ("id",), sort_field="date_created", sort_dir="ASC")
campaigns = _whole("campaigns", lambda s: s.client.campaigns.list, ("id",), sort_field="create_time", sort_dir="ASC")
automations = _whole("automations", lambda s: s.client.automations.list, ("id",))


# -- reports and activity: a sliding window over recent sends -------------------------------------------------------------------
def _window(ask: Ask) -> str | None:
    """Campaigns sent after this are read: all at first, later the recent ones, whose numbers still move."""
    newest = None if ask.full else (ask.state or {}).get("newest")
    if newest is None:
        return _text(ask.since) if ask.since and not ask.full else None
    days = float(ask.options.get("reread_days", REREAD_DAYS))
    return _moved(min(newest, _text(ask.now)), -days * 86400 - ask.extra_overlap_s)


def reports(session: Session, ask: Ask) -> Iterator[Page]:
    """Reports of the campaigns sent in the window. The state moves on after the last page."""
    since = _window(ask)
    bounds = {"since_send_time": since} if since else {}
    shape = _shape("reports", ask.fields, ("id", "send_time"))
    old = str((ask.state or {}).get("newest", ""))
    newest = old
    call = session.client.reports.get_all_campaign_reports
    for body, total, last in _offset_pages(lambda offset: bytes(call(count=COUNT, offset=offset, **bounds, **shape).content), "reports"):
        newest = max([newest, *(s.decode() for s in _SENT.findall(body))])
        yield Page(body, "reports", _sent_state(newest if last else old), total=total)


def _sent_state(newest: str, at: str = "") -> State:
    return {"v": 1} | ({"newest": newest} if newest else {}) | ({"at": at} if at else {})


def activity(session: Session, ask: Ask) -> Iterator[Page]:
    """What recipients of the window's campaigns did, campaign by campaign, each read whole.

    Not by `since`: a late bounce is dated like the send. `at` in the state is the campaign in hand, for going on.
    """
    state = ask.state or {}
    sent = [(when, name) for when, name in _sent_campaigns(session, _window(ask)) if ask.full or when >= state.get("at", "")]
    fields = [f"emails.{name}" for name in ("email_id", "email_address", "list_id", "campaign_id", "activity")] + ["total_items"]
    newest = str(state.get("newest", ""))
    for position, (when, name) in enumerate(sent, 1):
        call = session.client.reports.get_email_activity_for_campaign

        def fetch(offset: int, call: Any = call, name: str = name) -> bytes:
            return bytes(call(name, count=COUNT, offset=offset, fields=fields).content)

        for body, total, last in _offset_pages(fetch, "emails"):
            done = last and position == len(sent)
            after = _sent_state(max(newest, when)) if done else _sent_state(newest, when)
            yield Page(body, "emails", after, total=total, pass_name=name, context={"campaign_id": name, "sent_at": when})


def _sent_campaigns(session: Session, since: str | None) -> list[tuple[str, str]]:
    """(send time, id) of sent campaigns, oldest first."""
    fields = ["campaigns.id", "campaigns.send_time", "total_items"]
    asked: dict[str, Any] = {"status": "sent", "sort_field": "send_time", "sort_dir": "ASC", "count": COUNT, "fields": fields}
    asked |= {"since_send_time": since} if since else {}
    pages = _offset_pages(lambda offset: bytes(session.client.campaigns.list(offset=offset, **asked).content), "campaigns")
    return sorted({(row["send_time"], row["id"]) for body, _, _ in pages for row in orjson.loads(body)["campaigns"]})


__all__ = ["activity", "automations", "campaigns", "list_ids", "lists", "members", "reports", "tags"]
