"""One resource of one account, read once: pages in, committed batches out, and an honest count at the end.

The ledger's transaction is the commit point: rows lie in the lake under a batch number, then one transaction records the
number, the cursor, the pages and the counts. Killed anywhere, nothing is lost and nothing doubled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from core.connector import Page, Resource
from core.day_spans import joined, span
from core.fingerprints import Marks, page_digest
from core.lake import Lake
from core.ledger import REJECTS_KEPT, Commit, Count, Cursor, Ledger, PageRow, RejectRow
from core.ledger_forget import note_seen
from core.normalise import Batch, Compiled, Rejected, fingerprint
from core.pull_store import Store

VANISH_SHARE = 0.5  # when more than this share of the live records is missing at once, one pass does not prove it
VANISH_FLOOR = 10
BLIND = "vanished records were not looked for: rejected rows may be among them"
_PAGES_AHEAD = 200
_EARLIER = 65_535  # the pass number of what an interrupted read had listed


@dataclass(frozen=True)
class Place:
    """Where a run writes, and as whom. `now()` moves on; it is the run's only clock."""

    ledger: Ledger
    lake: Lake
    run_id: str
    account: str
    vendor: str
    now: Callable[[], datetime]
    batch_rows: int = 10_000
    prove_twice: bool = True  # two whole passes must miss a record before it counts as deleted, unless the resource says "sweep"


@dataclass
class PassCount:
    """One pass of a read: rows kept and rejected, rows listed twice, and what the vendor said there were.

    `before` is what an interrupted read of the same pass had, `before_total` what the vendor had said then.
    """

    number: int
    kept: int = 0
    rejected: int = 0
    repeated: int = 0
    totals: list[int] = field(default_factory=list)
    before: int = 0
    before_total: int | None = None

    @property
    def had(self) -> int:
        return self.kept + self.rejected - self.repeated

    def missing(self) -> int:
        """Rows the vendor has and we have not; 0 when all are there or nobody said."""
        if not self.totals:
            return 0
        total = min(self.totals)
        if self.before_total is not None:  # does it still count the whole pass, or only what was left of it?
            rest = self.before_total - self.before
            if abs(total - self.before_total) <= abs(total - rest):
                return max(0, total - self.had - self.before)
        return max(0, total - self.had)


@dataclass(frozen=True)
class _Pending:
    """A page that waits for its batch to be committed. Skipped pages know their marks already."""

    digest: bytes
    seq: int
    name: str
    rows: int
    rejected: int
    ends: dict[str, int] = field(default_factory=dict)
    marks: Marks | None = None


@dataclass
class _Before:
    """A page as an earlier pass read it. `held`: the lake still holds what was made from it."""

    rows: int
    marks: Marks
    held: bool = False


class Reading:
    """The reading of one resource. Call `page` for each page in order, then `finish`; `flush` at any time."""

    def __init__(self, place: Place, resource: Resource, compiled: Compiled, *, full: bool = False) -> None:
        self.place, self.resource, self.compiled = place, resource, compiled
        self.mapping = fingerprint(compiled)
        cursor = place.ledger.cursor(place.account, resource.name)
        remapped = cursor is not None and cursor.mapping != self.mapping
        self.remapped = remapped
        held = None if full or remapped or cursor is None else cursor
        self._open: dict[str, Any] | None = held.open_pass if held else None
        self.full = full or remapped
        self.state = held.state if held and (resource.cursor is not None or self._open) else None
        self.whole = bool(self._open["whole"]) if self._open else self.state is None
        self.started_from = self._open["from"] if self._open else self.state
        self.pass_id = self._open["id"] if self._open else f"{place.run_id}/{resource.name}"
        self.passes: dict[str, PassCount] = {}
        self.count = Count(place.run_id, place.account, resource.name)
        self.present = False
        self._left: list[str] = []
        self._notes: list[str] = []
        self._covered = {span(text) for text in (self._open or {}).get("covers", ())}
        self.unfinished: dict[str, None] = {}  # why, in the order of the pages
        self._blind = bool(self._open and self._open["blind"])  # rows that could not be read may be records we know
        self._seq = int(self._open["seq"]) if self._open else 0
        self._batch = Batch(place.account, place.vendor, resource.name)
        self._pending: list[_Pending] = []
        self._rejects: list[RejectRow] = []
        self._since_flush = 0
        self._unread: Counter[str] = Counter()
        self._cache: dict[bytes, _Before] = {}
        self._checked_at = -1  # the index's count of changes then

    # -- what is known, loaded when the first row comes ------------------------------------------------------------------------
    @cached_property
    def store(self) -> Store:
        place = self.place
        own, all_ = place.ledger.tombstones(place.account, self.resource.name), place.ledger.tombstones(place.account)
        store = Store(place.lake, place.account, self.resource.name, self.compiled.kinds, own, all_)
        if self._open:
            for row in self._earlier_pages():
                store.index.see(Marks.unpacked(row.marks).ids, _EARLIER)
        return store

    def _earlier_pages(self) -> list[PageRow]:
        return self.place.ledger.pages(self.place.account, self.resource.name, self.pass_id, 0, 1_000_000)

    @cached_property
    def _digests(self) -> dict[bytes, tuple[str, int]]:
        return self.place.ledger.page_digests(self.place.account, self.resource.name)

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()

    # -- pages ----------------------------------------------------------------------------------------------------------------
    def page(self, page: Page) -> int:
        """Take one page; returns its rows. Commits when enough is collected. Raises: VendorError when it makes no sense."""
        counts = self._counts(page)
        digest = page_digest(page.body, self.mapping, page.format, page.rows, repr(sorted(page.context.items())))
        known = self._known(digest)
        if known is not None:
            rows, rejected = known.rows, 0
            self._pending.append(_Pending(digest, self._seq, page.pass_name, rows, 0, marks=known.marks))
            self.count = replace(self.count, skipped_pages=self.count.skipped_pages + 1)
        else:
            read = self._batch.add(self.compiled, page)
            rows, rejected = read.rows, len(read.rejects)
            self._note(read.rejects)
            self._warn(read.unread)
            self._pending.append(_Pending(digest, self._seq, page.pass_name, rows, rejected, dict(self._batch.sizes)))
        counts.kept, counts.rejected = counts.kept + rows, counts.rejected + rejected
        self._count(kept=rows, rejected=rejected, pages=1)
        self.state, self.present, self._seq = page.state, self.present or page.present, self._seq + 1
        self.whole |= page.whole
        self._left += [page.left] if page.left else []
        self._notes += [page.note] if page.note else []
        self._covered |= {page.covers} if page.covers else set()
        if page.unfinished:
            self.unfinished[page.unfinished] = None
        self._since_flush += rows + rejected
        if len(self._batch) >= self.place.batch_rows or self._since_flush >= self.place.batch_rows:
            self.flush()
        return rows + rejected

    def _counts(self, page: Page) -> PassCount:
        if page.pass_name not in self.passes:
            earlier = (self._open or {}).get("passes", {}).get(page.pass_name)
            before = {"before": earlier["had"], "before_total": earlier["total"]} if earlier else {}
            self.passes[page.pass_name] = PassCount(len(self.passes) % 65_000 + 1, **before)
        counts = self.passes[page.pass_name]
        if page.total is not None:
            counts.totals.append(page.total)
            counts.totals[:] = [min(counts.totals), max(counts.totals)]
        return counts

    def _known(self, digest: bytes) -> _Before | None:
        """The page, when these very bytes were read before and everything made from them is still what the lake holds."""
        if digest not in self._cache:
            if digest not in self._digests:
                return None
            pass_id, seq = self._digests[digest]
            rows = self.place.ledger.pages(self.place.account, self.resource.name, pass_id, seq, _PAGES_AHEAD)
            self._cache = {row.digest: _Before(row.rows, Marks.unpacked(row.marks)) for row in rows}
            self._check()
        if self._checked_at != self.store.index.changes:
            self._check()
        known = self._cache.get(digest)
        return known if known is not None and known.held else None

    def _check(self) -> None:
        """Compare all pages looked up ahead with the index as it is now."""
        self._checked_at = self.store.index.changes
        for known, held in zip(self._cache.values(), self.store.index.holds([k.marks for k in self._cache.values()]), strict=True):
            known.held = held

    def _note(self, rejects: Sequence[Rejected]) -> None:
        """Park rejects, and count the records they are as listed."""
        room = max(0, REJECTS_KEPT - self.count.rejected - len(self._rejects))
        self._rejects += [RejectRow(r.vendor_id, r.place, r.reason) for r in rejects[:room]]
        if rejects:
            self._blind |= not self.store.list_rejects([r.vendor_id for r in rejects], _EARLIER)

    def _warn(self, unread: Sequence[tuple[str, Rejected]]) -> None:
        """Values that count as empty are told beside the rejects, and counted by field in the resource's reason."""
        self._unread.update(label for label, _ in unread)
        room = max(0, REJECTS_KEPT - self.count.rejected - len(self._rejects))
        self._rejects += [RejectRow(r.vendor_id, r.place, r.reason) for _, r in unread[:room]]

    def _unread_note(self) -> str:
        fields = ", ".join(f"{label} {n}" for label, n in sorted(self._unread.items()))
        return f"{self._unread.total()} values could not be read and count as empty ({fields})" if fields else ""

    def _count(self, **more: int) -> None:
        self.count = replace(self.count, **{name: getattr(self.count, name) + n for name, n in more.items()})

    # -- committing -------------------------------------------------------------------------------------------------------------
    def flush(self) -> None:
        """Append what is new and commit everything read so far."""
        if not self._pending:
            return
        place, now = self.place, self.place.now()
        tables, unfit, dropped = self._batch.tables(now)
        fresh, marks, allowed = self.store.compare(tables)
        if self.store.seen_again:
            note_seen(place.ledger, place.account, self.resource.name, self.store.seen_again, now)
        for kind, places in dropped.items():  # so that page ends fit again
            for i in places:
                marks[kind], allowed[kind] = _with_gap(marks[kind], i), np.insert(allowed[kind], i, False)
        self._note(unfit)
        self._count(kept=-len(unfit), rejected=len(unfit), appended=len(fresh), deleted=fresh.lost)
        pages = self._page_marks(marks, allowed)
        batch_id = None
        if len(fresh):
            batch_id = place.ledger.open_batch(place.run_id, place.account, self.resource.name, now)
            self.store.append(fresh, batch_id, place.run_id)
        self._see(pages, fresh)
        rows = {p.digest: self._row(p, m) for p, m in pages if p.rows and not p.rejected and not unfit}
        cursor = Cursor(self.state, self.mapping, self._open_pass(), place.now())
        commit = Commit(len(fresh), self.count, cursor, tuple(rows.values()), tuple(self._rejects))
        place.ledger.commit_batch(batch_id, commit, place.now())
        self._batch = Batch(place.account, place.vendor, self.resource.name)
        self._pending, self._rejects, self._since_flush = [], [], 0

    def _page_marks(self, marks: dict[str, Marks], allowed: dict[str, Any]) -> list[tuple[_Pending, Marks]]:
        """Each pending page with the marks of its records."""
        out: list[tuple[_Pending, Marks]] = []
        start = dict.fromkeys(marks, 0)
        for page in self._pending:
            if page.marks is not None:
                out.append((page, page.marks))
                continue
            parts = []
            for kind, mine in marks.items():
                a, b = start[kind], page.ends.get(kind, 0)
                start[kind], ok = b, allowed[kind][a:b]
                part = mine.part(a, b)
                parts.append(part if ok.all() else Marks(part.ids[ok], part.contents[ok], part.flags[ok]))
            out.append((page, Marks.joined(parts)))
        return out

    def _see(self, pages: list[tuple[_Pending, Marks]], fresh: Any) -> None:
        """Note what was listed, and count rows a pass listed twice."""
        self.store.remember(fresh)
        groups: dict[str, list[Marks]] = {}
        for page, marks in pages:
            groups.setdefault(page.name, []).append(marks)
        for name, parts in groups.items():
            counts = self.passes[name]
            repeated = self.store.index.see(np.concatenate([m.ids for m in parts]), counts.number)
            counts.repeated += int(repeated.sum())

    def _row(self, page: _Pending, marks: Marks) -> PageRow:
        return PageRow(page.digest, self.pass_id, page.seq, self.whole, page.rows, marks.packed())

    def _open_pass(self) -> dict[str, Any]:
        earlier = dict((self._open or {}).get("passes", {}))
        now = {name: {"had": c.before + c.had, "total": max(c.totals) if c.totals else None} for name, c in self.passes.items()}
        return {
            "id": self.pass_id,
            "whole": self.whole,
            "from": self.started_from,
            "seq": self._seq,
            "blind": self._blind,
            "passes": earlier | now,
            **({"covers": sorted(f"{first}/{last}" for first, last in self._covered)} if self._covered else {}),
        }

    # -- the end ------------------------------------------------------------------------------------------------------------------
    def finish(self) -> Count:
        """The vendor has no more pages: compare the counts, close the pass, mark what is gone."""
        self.flush()
        place, missing = self.place, {name: c.missing() for name, c in self.passes.items() if c.missing()}
        totals = [max(c.totals) for c in self.passes.values() if c.totals]
        self.count = replace(self.count, vendor_total=sum(totals) if totals else None)
        if self.unfinished:
            return self.stop("partial", "; ".join([*self.unfinished, "the next run goes on from here"]))
        if missing:
            named = ", ".join(f"{n} rows of {name!r}" if name != "main" else f"{n} rows" for name, n in missing.items())
            reason = f"the vendor counts {sum(totals)}, {named} did not come; the next run reads them again"
            return self.close_with("partial", reason, state=self.started_from)
        if self._left:
            return self.close_with("partial", "; ".join(self._left), state=self.state)
        notes = (["the mapping changed: read whole"] if self.remapped else []) + self._notes
        notes.append(self._unread_note())
        if self.whole and self.present:
            notes.append(self._sweep())
        elif self._covered:
            notes.append(self._replace())
        counted = self.close_with("done", "; ".join(filter(None, notes)), state=self.state)
        place.ledger.end_pass(place.account, self.resource.name, [self.pass_id], self.whole)
        return counted

    def close_with(self, status: str, reason: str, *, state: Any) -> Count:
        """Commit the end of the pass at `state`."""
        self.count = replace(self.count, status=status, reason=reason)
        cursor = Cursor(state, self.mapping, None, self.place.now())
        self.place.ledger.commit_batch(None, Commit(0, self.count, cursor), self.place.now())
        return self.count

    def stop(self, status: str, reason: str) -> Count:
        """The reading ends early: keep what came, and go on from there next time."""
        self.flush()
        self.count = replace(self.count, status=status, reason=reason)
        self.place.ledger.set_count(self.count)
        return self.count

    def _sweep(self) -> str:
        """Mark live records deleted that whole passes did not list. Returns why it was not done, or ""."""
        index = self.store.index
        unseen, live = index.unseen(), index.live_listed()
        self._gone(unseen, _sudden(unseen, live) or (self.place.prove_twice and self.resource.deletes != "sweep"))
        return BLIND if self._blind and len(unseen) else ""

    def _replace(self) -> str:
        """Mark records deleted that are about a day which was read whole, and were not listed. Returns why it was not done, or ""."""
        known = self.store.of_days(joined(self._covered))  # each span is a look through the whole resource
        unseen = self.store.index.unlisted(known)
        waits = _sudden(unseen, len(known)) and not self.remapped
        self._gone(unseen, waits, about=known)
        if waits and not self._blind:
            return f"{len(unseen)} of {len(known)} values of the days read again have vanished; the next read must say so too"
        return BLIND if self._blind and len(unseen) else ""

    def _gone(self, unseen: Any, twice: bool, about: Any = None) -> None:
        """Mark as gone what was not listed: at once, or when the pass before had not listed it either. `about`: what could be listed."""
        place, name = self.place, self.resource.name
        if self._blind and len(unseen):
            return
        before = np.frombuffer(place.ledger.missed(place.account, name), np.uint64)
        if not len(unseen) and not len(before):
            return  # as nearly always; below, every set is sorted or hashed
        gone = np.intersect1d(unseen, before) if twice else unseen
        if len(gone):
            self._mark_gone(gone)
        rest = np.setdiff1d(unseen, gone)
        if about is not None:
            rest = np.union1d(rest, np.setdiff1d(before, about))
        if len(rest) or len(before):
            place.ledger.set_missed(place.account, name, rest.tobytes())

    def _mark_gone(self, ids: Any) -> None:
        place, now = self.place, self.place.now()
        fresh = self.store.gone(ids, now)
        self._count(appended=len(fresh), deleted=fresh.lost)
        batch_id = place.ledger.open_batch(place.run_id, place.account, self.resource.name, now)
        self.store.append(fresh, batch_id, place.run_id)
        place.ledger.commit_batch(batch_id, Commit(len(fresh), self.count), place.now())
        self.store.remember(fresh)


def _sudden(unseen: Any, live: int) -> bool:
    return live >= VANISH_FLOOR and len(unseen) > live * VANISH_SHARE


def _with_gap(marks: Marks, at: int) -> Marks:
    return Marks(*(np.insert(getattr(marks, name), at, 0) for name in ("ids", "contents", "flags")))
