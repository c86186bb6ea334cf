"""Reading a Salesforce object: which fields, from where, by which road (REST pages or a Bulk 2.0 job), and the cursor.

An increment reads every row stamped at or after the cursor less an overlap, and no upper bound is set: rows that move
while they are read stay inside. The cursor is the last stamp seen, never later than the start of the read.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import orjson

from connectors import salesforce_jobs as jobs
from connectors.salesforce_session import Session, query_path
from core.connector import Ask, Page, State
from core.errors import VendorError

OVERLAP_S = 300.0  # a row may be committed this much after its stamp
BIN = timedelta(days=14)  # the recycle bin keeps rows 15 days; a longer silence needs everything read again
FORMULAS = timedelta(days=7)  # formula and roll-up fields change without touching the stamp: so often everything is read again for them
URI_LIMIT = 15_000  # of 16,384 bytes for URI and headers together
COMPOUND = ("address", "location")
ALWAYS = ("IsDeleted", "MasterRecordId")  # asked for wherever they exist: how deletes and merges show
_TOTAL = re.compile(rb'"totalSize"\s*:\s*(\d+)')
_NEXT = re.compile(rb'"nextRecordsUrl"\s*:\s*"([^"]+)"')


@dataclass(frozen=True)
class Source:
    """An object as it is read. `cursor` None: read whole each time. `bin`: queryAll shows its deleted rows."""

    sobject: str
    cursor: str | None = "SystemModstamp"
    bin: bool = True
    bulk: bool = True


@dataclass
class Pass:
    """One way through the rows. Everything needed to go on after a kill is in `saved()`."""

    low: str | None
    full: bool
    started: str
    after: list[str] | None = None  # stamp and id of the last row read by REST
    next: str | None = None  # REST: the next page
    job: str | None = None  # Bulk: the query job, the locator of its next page, the rows had from it
    locator: str = ""
    seen: int = 0
    high: str | None = None  # the last stamp seen (Bulk: that there was when the job was ordered)
    total: int | None = None
    resumed: bool = field(default=False, compare=False)
    skipped: int = field(default=0, compare=False)  # rows of `total` that an earlier run has had

    def saved(self) -> State:
        return {k: v for k, v in vars(self).items() if k not in ("resumed", "skipped")}

    @classmethod
    def loaded(cls, saved: State) -> Pass:
        known = {f.name for f in fields(cls)}
        made = cls(**{k: v for k, v in saved.items() if k in known}, resumed=True)
        made.skipped = made.seen
        return made

    def afresh(self) -> None:
        self.job, self.locator, self.seen, self.skipped, self.resumed = None, "", 0, 0, False


@dataclass(frozen=True)
class Work:
    """One read: the columns chosen, and what the state says about the reads before it."""

    session: Session
    source: Source
    columns: tuple[str, ...]
    dropped: tuple[str, ...]
    compound: bool
    formulas: bool = False  # some of the columns are computed by the org

    def soql(self, doing: Pass, what: str | None = None, *, ordered: bool = True) -> str:
        cursor = self.source.cursor
        wheres = [f"{cursor} >= {doing.low}"] if doing.low else []
        if doing.after:
            stamp, last = doing.after
            wheres.append(f"(({cursor} = {stamp} AND Id > '{last}') OR {cursor} > {stamp})")
        where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
        order = f" ORDER BY {cursor}, Id" if cursor and ordered and what is None else ""
        return f"SELECT {what or ', '.join(self.columns)} FROM {self.source.sobject}{where}{order}"

    def page(self, doing: Pass, body: bytes, state: State, csv: bool = False) -> Page:
        return Page(
            body=body,
            rows="" if csv else "records",
            state=state,
            format="csv" if csv else "json",
            total=None if doing.total is None else max(0, doing.total - doing.skipped),
            pass_name="resumed" if doing.resumed else "main",
            present=doing.full and not doing.resumed,
        )


def read(source: Source, session: Session, ask: Ask) -> Iterator[Page]:
    """Pages of all rows changed since the last complete read; all rows at first, on `full`, after a long silence, or
    when a field has become readable that was not asked before (its old values must be fetched too), and once a week when
    one is a formula.

    Fields the org does not have, or hides from this user, are left out and named in state["dropped"].
    """
    shown = session.fields(source.sobject)
    if shown is None:
        yield Page(b'{"totalSize":0,"done":true,"records":[]}', "records", {"v": 1, "missing": True}, total=0)
        return
    work = choose(session, source, shown, ask.fields)
    state = {k: v for k, v in (ask.state or {}).items() if k != "missing"}
    while True:
        doing, base = _begin(work, ask, state)
        for page in _pages(work, doing, base):
            state = page.state
            yield page
        if not doing.resumed:
            return
        ask = replace(ask, state=state, full=False)  # what changed while the first part lay waiting


# -- what to read ---------------------------------------------------------------------------------------------------
def choose(session: Session, source: Source, shown: dict[str, dict[str, Any]], asked: Sequence[str]) -> Work:
    """The columns to select: cursor and Id last, so that the last row's are found at the end of a page's bytes."""
    known = {source.sobject: shown}
    found = [(path, _column(session, known, source.sobject, path)) for path in asked if path.split(".")[0] not in ("attributes", "context")]
    last = [c for c in (source.cursor, "Id") if c]
    columns = dict.fromkeys(c for _, c in found if c and c not in last) | dict.fromkeys(c for c in ALWAYS if c in shown)
    compound = any(shown[c]["type"] in COMPOUND for c in columns if c in shown)
    formulas = any(shown[c].get("calculated") for c in columns if c in shown)
    return Work(session, source, (*columns, *last), tuple(p for p, c in found if c is None), compound, formulas)


def _column(session: Session, known: dict[str, dict[str, dict[str, Any]]], sobject: str, path: str) -> str | None:
    head, _, rest = path.partition(".")
    shown = known[sobject]
    if head in shown:
        return head if not rest or shown[head]["type"] in COMPOUND else None
    owner = next((f for f in shown.values() if f.get("relationshipName") == head), None)
    if not rest or owner is None:
        return None
    parent = owner["referenceTo"][0] if "User" not in owner["referenceTo"] else "User"
    if parent not in known:
        known[parent] = session.fields(parent) or {}
    inner = _column(session, known, parent, rest)
    return f"{head}.{inner}" if inner else None


def _begin(work: Work, ask: Ask, state: State) -> tuple[Pass, State]:
    """The pass to do now and the state it leaves behind beside its own progress."""
    before = set(state.get("fields") or work.columns)
    added = [c for c in work.columns if c not in before]
    base: State = {"v": 1, "fields": list(work.columns), "dropped": list(work.dropped)}
    base |= {k: state[k] for k in ("stamp", "bin_seen", "whole", "backfilled") if k in state}
    going = state.get("pass")
    if going and not added and not (ask.full and not going["full"]):
        return Pass.loaded(going), base
    started = _literal(ask.now)
    silent = work.source.bin and "bin_seen" in state and _literal(ask.now - BIN) > state["bin_seen"]
    stale = work.formulas and "whole" in state and state["whole"] < _literal(ask.now - FORMULAS)
    full = bool(ask.full or added or silent or stale or not state.get("stamp") or work.source.cursor is None)
    if added:
        base["backfilled"] = added
    if not full:
        return Pass(_earlier(state["stamp"], OVERLAP_S + ask.extra_overlap_s), False, started), base
    first_since = None if state.get("stamp") or ask.since is None or not work.source.cursor else _literal(ask.since)
    return Pass(first_since, first_since is None, started), base


def _ended(work: Work, doing: Pass, base: State) -> State:
    """The state after a whole pass. What the bin held is known unless a full pass was done in two parts."""
    state = dict(base)
    last = doing.high or doing.low
    if work.source.cursor and last:
        state["stamp"] = min(last, doing.started)
    if doing.full or "whole" not in state:
        state["whole"] = doing.started
    if not (doing.full and doing.resumed) or "bin_seen" not in state:
        state["bin_seen"] = doing.started
    return state


def _pages(work: Work, doing: Pass, base: State) -> Iterator[Page]:
    if doing.job or (not doing.next and not doing.after and _by_bulk(work, doing)):
        taken = yield from _bulk(work, doing, base)
        if taken:
            return
    if len(quote_plus(work.soql(doing))) > URI_LIMIT:
        raise VendorError(
            f"{len(work.columns)} fields of {work.source.sobject} do not fit into one request, and Bulk does not take them",
            where=work.session.transport.account,
            next_step="map fewer fields of this object, or parts (MailingCity) instead of compound fields (MailingAddress)",
        )
    yield from _rest(work, doing, base)


def _by_bulk(work: Work, doing: Pass) -> bool:
    """Whether a job is worth its fixed cost, by the vendor's own count; or the only way, when the URI would be too long."""
    if not work.source.bulk or work.compound:
        return False
    doing.total = work.session.count(work.soql(doing, "COUNT()"), deleted=work.source.bin)
    return doing.total > work.session.bulk_above or len(quote_plus(work.soql(doing))) > URI_LIMIT


# -- REST -----------------------------------------------------------------------------------------------------------
def _rest(work: Work, doing: Pass, base: State) -> Iterator[Page]:
    """Pages by locator; when the locator is gone, on from the last row's (stamp, id).

    `total` is what the server counts for the rows of this very query, so rows that come or go meanwhile do not matter.
    """
    path, first = doing.next or query_path(work.soql(doing), work.source.bin), True
    while True:
        try:
            body = work.session.get(path)
        except VendorError as error:
            if error.code != "INVALID_QUERY_LOCATOR" or not path.startswith("/"):
                raise
            path = query_path(work.soql(doing), work.source.bin)
            continue
        total, doing.next, last = _outline(body, work.source.cursor)
        if first:
            offset = int(path.rpartition("-")[2]) if path.startswith("/") else 0
            doing.total, doing.skipped, first = total - offset, 0, False
        doing.after = last or doing.after
        doing.high = doing.after[0] if doing.after else doing.high
        if not doing.next:
            yield work.page(doing, body, _ended(work, doing, base))
            return
        path = doing.next
        yield work.page(doing, body, base | {"pass": doing.saved()})


def _outline(body: bytes, cursor: str | None) -> tuple[int, str | None, list[str] | None]:
    """(totalSize, next path, [stamp, id] of the last row) from the two ends of a page's bytes; else by decoding it."""
    head = body[: max(0, body.find(b'"records"'))]
    total, more = _TOTAL.search(head), _NEXT.search(head)
    tail = cursor and re.search(rb'"%s"\s*:\s*"([^"]+)"\s*,\s*"Id"\s*:\s*"(\w+)"\s*}\s*\]\s*}\s*$' % cursor.encode(), body[-400:])
    if total and tail and len(head) < 1000:
        return int(total[1]), more[1].decode() if more else None, [_stamp(tail[1].decode()), tail[2].decode()]
    page = orjson.loads(body)
    rows = page["records"]
    last = [_stamp(rows[-1][cursor]), rows[-1]["Id"]] if rows and cursor else None
    return page["totalSize"], page.get("nextRecordsUrl"), last


def _stamp(text: str) -> str:
    """A stamp as SOQL takes it: JSON says +0000, SOQL wants Z."""
    return text[:-5] + "Z" if text.endswith("+0000") else text


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _earlier(stamp: str, seconds: float) -> str:
    return _literal(datetime.fromisoformat(stamp) - timedelta(seconds=seconds))


# -- Bulk API 2.0 ---------------------------------------------------------------------------------------------------
def _bulk(work: Work, doing: Pass, base: State) -> Generator[Page, None, bool]:
    """The rows as CSV pages of one query job; returns False (no page given) when Bulk does not take the query.

    The first page has a header and no rows: it commits the job's id. A job found dead on resuming is ordered anew.
    """
    if not doing.job and not (yield from _ordered(work, doing, base)):
        return False
    while True:
        try:
            processed = jobs.wait(work.session, work.source.sobject, str(doing.job)).get("numberRecordsProcessed") or 0
            doing.total = max(doing.total or 0, int(processed))
            body, following, rows = jobs.results(work.session, str(doing.job), doing.locator)
        except VendorError as error:
            if not doing.resumed or (error.code not in jobs.LOST and error.status != 404):
                raise
            doing.afresh()
            doing.total = work.session.count(work.soql(doing, "COUNT()"), deleted=work.source.bin)
            if not (yield from _ordered(work, doing, base)):
                return False
            continue
        break
    while True:
        doing.locator, doing.seen = following, doing.seen + rows
        state = base | {"pass": doing.saved()} if following else _ended(work, doing, base)
        yield work.page(doing, body, state, csv=True)
        if not following:
            return True
        body, following, rows = jobs.results(work.session, str(doing.job), doing.locator)


def _ordered(work: Work, doing: Pass, base: State) -> Generator[Page, None, bool]:
    session, source = work.session, work.source
    if source.cursor:
        newest = work.soql(doing, source.cursor, ordered=False) + f" ORDER BY {source.cursor} DESC LIMIT 1"
        found = session.select(newest, deleted=source.bin)
        doing.high = _stamp(found[0][source.cursor]) if found else None
    try:
        doing.job = jobs.order(session, source.sobject, work.soql(doing, ordered=False), deleted=source.bin)
    except VendorError as error:
        if error.code not in jobs.NOT_BULK:
            raise
        return False
    header = ",".join(f'"{c}"' for c in work.columns) + "\n"
    yield work.page(doing, header.encode(), base | {"pass": doing.saved()}, csv=True)
    return True
