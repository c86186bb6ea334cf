"""Pull accounts: resources in order, one page ahead, accounts side by side. Only what changed is appended to the lake.

It must not know vendors, nor how pages become rows. One resource's trouble never stops another; a wrong credential
stops its account only; nothing is called done while data is missing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from core.collector import long_lived
from core.connector import Ask, Connector, Page, Resource
from core.errors import Busy, CredentialsError, TundishError, UserError, VendorError, VendorUnavailable
from core.holders import dead, holder
from core.lake import Lake
from core.lake_links import linked_ids
from core.ledger import Count, Ledger
from core.pull_resource import Place, Reading

log = logging.getLogger("tundish.pull")
LEASE_S = 900.0
RENEW_S = 60.0
T = TypeVar("T")
Progress = Callable[[str, str, int, int | None], None]  # account, resource, rows since the last call, the vendor's total


@dataclass(frozen=True)
class AccountResult:
    """What became of one account. status: done partial failed. `error` is set when the account could not be read at all."""

    account: str
    status: str
    counts: tuple[Count, ...]
    error: TundishError | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"{c.account}/{c.resource}: {c.reason}" for c in self.counts if c.status != "done")


@dataclass(frozen=True)
class Source:
    """One account to pull. `open` connects when it is its turn; it may raise CredentialsError."""

    account: str
    connector: Connector
    mapping: Any
    open: Callable[[], Any]


def pull(
    sources: Sequence[Source], ledger: Ledger, lake: Lake, run_id: str, *, now: datetime, threads: int = 4, **options: Any
) -> list[AccountResult]:
    """Pull accounts side by side; `options` are those of `pull_account`. One account's trouble never stops another."""

    def one(source: Source) -> AccountResult:
        try:
            session = source.open()
            return pull_account(source.connector, session, source.mapping, ledger, lake, run_id, account=source.account, now=now, **options)
        except TundishError as problem:
            counts = tuple(c for c in ledger.counts(run_id) if c.account == source.account)
            return AccountResult(source.account, "failed", counts, problem)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        parts = in_waves(sources, lambda source: source.connector)
        results = {r.account: r for part in parts for r in pool.map(one, part)}
    return [results[source.account] for source in sources]


def in_waves(accounts: Sequence[T], connector_of: Callable[[T], Connector]) -> list[list[T]]:
    """The accounts in two parts: those that read by ids which other accounts' records carry come when the others are done."""
    last = [a for a in accounts if any(r.linked for r in connector_of(a).resources)]
    return [[a for a in accounts if a not in last], last]


def pull_account(
    connector: Connector,
    session: Any,
    mapping: Any,
    ledger: Ledger,
    lake: Lake,
    run_id: str,
    *,
    account: str,
    now: datetime,
    full: bool = False,
    since: datetime | None = None,
    only: Collection[str] | None = None,
    on_progress: Progress = lambda account, resource, rows, total: None,
    batch_rows: int = 10_000,
    prove_twice: bool = True,
    stop: threading.Event | None = None,
    options: Mapping[str, str] | None = None,
    extra_overlap_s: float = 0.0,
    elapsed: Callable[[], float] = time.monotonic,
) -> AccountResult:
    """Read every mapped resource of one account (or those named in `only`) and commit what changed.

    now: the run's start; commits are stamped with it plus the time that has passed since, by `elapsed`.
    stop: set it to end after the page in hand; what came is committed, and the next run goes on from there.
    Raises: CredentialsError; VendorUnavailable when nothing could be read at all; Busy when another run has the lease.
    """
    began = elapsed()
    place = Place(
        ledger, lake, run_id, account, connector.name, lambda: now + timedelta(seconds=elapsed() - began), batch_rows, prove_twice
    )
    ask = Ask(
        "", (), now, full=full, since=since, known_ids=_known_ids(lake, mapping, account),
        linked_ids=partial(linked_ids, lake, connector.name), options=dict(options or {}),
        extra_overlap_s=extra_overlap_s,
    )  # fmt: skip
    run = _AccountRun(place, session, mapping, ask, on_progress, stop or threading.Event())
    with long_lived(), _lease(place) as run.keep_lease, ThreadPoolExecutor(1, thread_name_prefix=f"pull-{account}") as run.ahead:
        if ledger.abandon_batches(account):
            lake.sweep_orphans()
        for resource in in_order(connector.readable(mapping.reads), mapping.resources, only):
            run.resource(resource)
    return run.result()


def in_order(resources: Sequence[Resource], mapped: Collection[str], only: Collection[str] | None = None) -> list[Resource]:
    """The mapped resources (of `only`, when given), each after those it needs."""
    wanted = {r.name: r for r in resources if r.name in mapped and (not only or r.name in only)}
    ordered: dict[str, Resource] = {}

    def visit(name: str) -> None:
        if name in wanted and name not in ordered:
            resource = wanted.pop(name)
            for needed in resource.after:
                visit(needed)
            ordered[name] = resource

    for name in list(wanted):
        visit(name)
    return list(ordered.values())


class _AccountRun:
    """One account's resources, one after the other."""

    keep_lease: Callable[[], None]
    ahead: ThreadPoolExecutor

    def __init__(self, place: Place, session: Any, mapping: Any, ask: Ask, on_progress: Progress, stop: threading.Event) -> None:
        self.place, self.session, self.mapping, self.ask = place, session, mapping, ask
        self.on_progress, self.stop = on_progress, stop
        self.counts: dict[str, Count] = {}
        self.problems: list[TundishError] = []

    def resource(self, resource: Resource) -> None:
        blocked = [name for name in resource.after if name in self.counts and self.counts[name].status == "failed"]
        if blocked or self.stop.is_set():
            reason = f"not read: it needs {', '.join(blocked)}, which failed" if blocked else "not read: the run was stopped"
            count = Count(self.place.run_id, self.place.account, resource.name, status="failed" if blocked else "partial", reason=reason)
            self.place.ledger.set_count(count)
            self.counts[resource.name] = count
            return
        reading = Reading(self.place, resource, self.mapping.resources[resource.name], full=self.ask.full)
        try:
            self.counts[resource.name] = self._read(resource, reading)
        except (UserError, Busy):
            raise  # the lease or the batch was lost: another run goes on with this account
        except CredentialsError as problem:
            reading.stop("failed", problem.message)
            raise
        except (TundishError, json.JSONDecodeError) as problem:
            known = problem if isinstance(problem, TundishError) else VendorError(f"the vendor's reply is not JSON: {problem.msg}")
            self.problems.append(known)
            self.counts[resource.name] = reading.stop("failed", known.message)
        finally:
            reading.close()
        log.info("%s/%s: %s", self.place.account, resource.name, self.counts.get(resource.name))

    def _read(self, resource: Resource, reading: Reading) -> Count:
        self.place.ledger.set_count(reading.count)
        ask = replace(self.ask, resource=resource.name, fields=tuple(reading.compiled.fields_asked), state=reading.state, full=reading.full)
        if made := self.mapping.reads.get(resource.name):
            compiled = self.mapping.resources[resource.name]
            ask = replace(ask, reads=made.options, types=compiled.types, timezone=compiled.timezone)
        for page in one_ahead(resource.read(self.session, ask), self.ahead):
            rows = reading.page(page)
            self.on_progress(self.place.account, resource.name, rows, page.total)
            self.keep_lease()
            if self.stop.is_set():
                return reading.stop("partial", "stopped before its end; the next run goes on from here")
        return reading.finish()

    def result(self) -> AccountResult:
        counts = tuple(self.counts.values())
        failed = [c for c in counts if c.status == "failed"]
        unavailable = [p for p in self.problems if isinstance(p, VendorUnavailable)]
        if counts and len(failed) == len(counts) and unavailable:
            raise unavailable[0]
        status = "done" if all(c.status == "done" for c in counts) else "failed" if len(failed) == len(counts) else "partial"
        return AccountResult(self.place.account, status, counts)


def one_ahead(pages: Iterator[Page], pool: ThreadPoolExecutor) -> Iterator[Page]:
    """The pages, with exactly one being fetched while the one before is worked on. One task of the pool fetches them all."""
    wanted: SimpleQueue[bool] = SimpleQueue()
    ready: SimpleQueue[Page | _Trouble | None] = SimpleQueue()
    left = threading.Event()

    def fetch() -> None:
        while wanted.get() and not left.is_set():
            try:
                ready.put(next(pages, None))
            except BaseException as error:
                ready.put(_Trouble(error))

    fetching = pool.submit(fetch)
    wanted.put(True)
    try:
        while (page := ready.get()) is not None:
            if isinstance(page, _Trouble):
                raise page.error
            wanted.put(True)
            yield page
    finally:
        left.set()
        wanted.put(False)
        fetching.result()  # wait for the page in flight; its trouble no longer matters
        close = getattr(pages, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class _Trouble:
    error: BaseException


def _known_ids(lake: Lake, mapping: Any, account: str) -> Callable[[str], Iterator[Sequence[str]]]:
    def known(resource: str) -> Iterator[Sequence[str]]:
        if resource in mapping.resources:
            yield from lake.live_ids(mapping.resources[resource].kinds[0], account, resource)

    return known


@contextmanager
def _lease(place: Place) -> Iterator[Callable[[], None]]:
    """Hold "pull:<account>"; yields what renews it. Raises: Busy when another live process has it."""
    name, me = f"pull:{place.account}", holder(place.run_id)
    _take(place, name, me)
    renewed = place.now()

    def keep() -> None:
        nonlocal renewed
        if place.now() - renewed > timedelta(seconds=RENEW_S):
            renewed = place.now()
            if not place.ledger.renew_lease(name, me, renewed, LEASE_S):
                raise Busy(f"another run has taken over {place.account}", next_step="see `tundish runs`")

    try:
        yield keep
    finally:
        place.ledger.release_lease(name, me)


def _take(place: Place, name: str, me: str) -> None:
    for _ in range(2):
        if place.ledger.take_lease(name, me, place.now(), LEASE_S):
            return
        other = place.ledger.lease_holder(name, place.now()) or ""
        if not dead(other):
            raise Busy(f"{place.account} is being pulled by {other}", next_step="wait for that run; see `tundish runs`")
        place.ledger.release_lease(name, other)
    raise Busy(f"{place.account} is being pulled by another run", next_step="wait for that run; see `tundish runs`")
