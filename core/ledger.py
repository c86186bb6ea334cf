"""What the hub did: runs, leases, batches and cursors, counts. The ledger's transaction is the one commit point.

Every method is one transaction. Times come in as arguments; nothing here reads a clock, a vendor or the lake.
SQLite by default (a file, WAL), PostgreSQL by URL. Plans and outcomes live in `core.ledger_plans`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from core import ledger_tables as t
from core.errors import Busy, UserError
from core.ledger_engine import engine_of

REJECTS_KEPT = 1000  # per run and resource; the rest is counted only


@dataclass(frozen=True)
class Run:
    id: str
    job: str
    started_at: datetime
    ended_at: datetime | None
    status: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Cursor:
    """Where a resource's reading stands. `open_pass` is set while a pass was begun and not finished."""

    state: dict[str, Any] | None
    mapping: str
    open_pass: dict[str, Any] | None
    updated_at: datetime


@dataclass(frozen=True)
class PageRow:
    digest: bytes
    pass_id: str
    seq: int
    whole: bool
    rows: int
    marks: bytes


@dataclass(frozen=True)
class Count:
    """One resource of one run: what the vendor says there is, and what became of it. status: running done partial failed."""

    run_id: str
    account: str
    resource: str
    vendor_total: int | None = None
    kept: int = 0
    rejected: int = 0
    appended: int = 0
    deleted: int = 0
    pages: int = 0
    skipped_pages: int = 0
    status: str = "running"
    reason: str = ""


@dataclass(frozen=True)
class RejectRow:
    vendor_id: str | None
    place: str  # file:line of the mapping
    reason: str


@dataclass(frozen=True)
class Visible:
    """Which batches a reader may see: numbers up to `upto`, except `hidden`."""

    upto: int
    hidden: tuple[int, ...]


@dataclass(frozen=True)
class Commit:
    """Everything that becomes true together with a batch."""

    rows: int
    count: Count
    cursor: Cursor | None = None
    pages: Sequence[PageRow] = ()
    rejects: Sequence[RejectRow] = field(default_factory=tuple)


class Ledger:
    """Open a ledger by file path or database URL; creates its tables when they are missing."""

    def __init__(self, url: str | Path) -> None:
        self.engine = engine_of(str(url))
        self._create()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction. On SQLite it takes the write lock at its start, so it cannot fail half way for another writer."""
        with self.engine.connect().execution_options(tundish_write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def _create(self) -> None:
        with self.write() as c:
            if c.dialect.name == "postgresql":
                c.execute(text("SELECT pg_advisory_xact_lock(7480111)"))
            t.metadata.create_all(c)
            found = c.execute(select(func.max(t.schema_version.c.version))).scalar()
            if found is None:
                c.execute(insert(t.schema_version).values(version=t.SCHEMA_VERSION))
            elif found > t.SCHEMA_VERSION:
                raise UserError(
                    f"the ledger has schema {found}, this program knows {t.SCHEMA_VERSION}",
                    where=self.engine.url.render_as_string(hide_password=True),
                    next_step="use the newer version of tundish that wrote it, or give another `ledger:` in the config",
                )

    # -- runs ----------------------------------------------------------------------------------------------------------
    def start_run(self, job: str, now: datetime, detail: Mapping[str, Any] | None = None) -> str:
        """The new run's id; ids sort by time."""
        run_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        with self.write() as c:
            c.execute(insert(t.run).values(id=run_id, job=job, started_at=now, status="running", detail=dict(detail or {})))
        return run_id

    def end_run(self, run_id: str, status: str, now: datetime, detail: Mapping[str, Any] | None = None) -> None:
        values: dict[str, Any] = {"status": status, "ended_at": now}
        if detail is not None:
            values["detail"] = dict(detail)
        with self.write() as c:
            c.execute(update(t.run).where(t.run.c.id == run_id).values(**values))

    def runs(self, limit: int = 20, job: str | None = None) -> list[Run]:
        """Newest first."""
        query = select(t.run).order_by(t.run.c.started_at.desc(), t.run.c.id.desc()).limit(limit)
        if job is not None:
            query = query.where(t.run.c.job == job)
        with self.read() as c:
            return [Run(**row) for row in c.execute(query).mappings()]

    def run(self, run_id: str) -> Run | None:
        with self.read() as c:
            row = c.execute(select(t.run).where(t.run.c.id == run_id)).mappings().first()
        return Run(**row) if row else None

    # -- leases ----------------------------------------------------------------------------------------------------------
    def take_lease(self, name: str, holder: str, now: datetime, seconds: float) -> bool:
        """True when `holder` has the lease now: it was free, run out, or already theirs."""
        until = now + timedelta(seconds=seconds)
        with self.write() as c:
            query = _insert(c, t.lease).values(name=name, holder=holder, until=until)
            mine = (t.lease.c.holder == holder) | (t.lease.c.until <= now)
            query = query.on_conflict_do_update(index_elements=["name"], set_={"holder": holder, "until": until}, where=mine)
            return c.execute(query.returning(t.lease.c.name)).first() is not None

    def renew_lease(self, name: str, holder: str, now: datetime, seconds: float) -> bool:
        """False when it was lost to somebody else: stop what you are doing."""
        with self.write() as c:
            query = update(t.lease).where(t.lease.c.name == name, t.lease.c.holder == holder)
            return bool(c.execute(query.values(until=now + timedelta(seconds=seconds))).rowcount == 1)

    def release_lease(self, name: str, holder: str) -> None:
        with self.write() as c:
            c.execute(delete(t.lease).where(t.lease.c.name == name, t.lease.c.holder == holder))

    def lease_holder(self, name: str, now: datetime) -> str | None:
        with self.read() as c:
            return c.execute(select(t.lease.c.holder).where(t.lease.c.name == name, t.lease.c.until > now)).scalar()

    # -- batches ---------------------------------------------------------------------------------------------------------
    def open_batch(self, run_id: str, account: str, resource: str, now: datetime) -> int:
        """A new batch number. Rows appended under it stay invisible until it is committed."""
        values = {"run_id": run_id, "account": account, "resource": resource, "status": "open", "opened_at": now, "rows": 0}
        with self.write() as c:
            key = c.execute(insert(t.batch).values(**values)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def commit_batch(self, batch_id: int | None, commit: Commit, now: datetime) -> None:
        """Makes the batch visible, together with its cursor, pages, counts and rejects. No number: only the rest.

        Raises: Busy when the batch was taken away (another run swept it after this one lost its lease).
        """
        with self.write() as c:
            if batch_id is not None:
                _finish_batch(c, batch_id, commit.rows, now)
            key = {"account": commit.count.account, "resource": commit.count.resource}
            if commit.cursor is not None:
                upsert(c, t.cursor, [{**key, **asdict(commit.cursor)}])
            upsert(c, t.page, [{**key, **vars(row)} for row in commit.pages])
            upsert(c, t.count, [asdict(commit.count)])
            rejects = [{**key, **asdict(row), "run_id": commit.count.run_id, "at": now} for row in commit.rejects]
            if rejects:
                c.execute(insert(t.reject), rejects)

    def commit_derived(self, batches: Mapping[int, int], now: datetime) -> None:
        """Makes batches of derived rows (members, findings, metrics) visible all at once. batches: id → rows."""
        with self.write() as c:
            for batch_id, rows in batches.items():
                _finish_batch(c, batch_id, rows, now)

    def abandon_batches(self, account: str) -> list[int]:
        """Batches of the account that were opened and never committed; from now on they never can be.

        Call only while holding the account's lease.
        """
        with self.write() as c:
            mine = (t.batch.c.status == "open") & (t.batch.c.account == account)
            ids = list(c.execute(select(t.batch.c.id).where(mine)).scalars())
            if ids:
                c.execute(update(t.batch).where(mine).values(status="abandoned"))
        return ids

    def orphans(self) -> list[int]:
        """Abandoned batches whose rows may still lie in the lake."""
        with self.read() as c:
            return list(c.execute(select(t.batch.c.id).where(t.batch.c.status == "abandoned")).scalars())

    def visible(self, as_of: datetime | None = None) -> Visible:
        """The batches committed by now, or by `as_of`."""
        b = t.batch.c
        seen = b.status == "committed" if as_of is None else (b.status == "committed") & (b.committed_at <= as_of)
        with self.read() as c:
            upto = c.execute(select(func.max(b.id)).where(seen)).scalar() or 0
            hidden = list(c.execute(select(b.id).where(~seen, b.id <= upto).order_by(b.id)).scalars())
        return Visible(int(upto), tuple(hidden))

    def latest_derived(self, kind: str, as_of: datetime | None = None) -> str | None:
        """The run that wrote the newest complete set of a derived kind."""
        b = t.batch.c
        query = select(b.run_id).where(b.account == "", b.resource == kind, b.status == "committed").order_by(b.id.desc()).limit(1)
        if as_of is not None:
            query = query.where(b.committed_at <= as_of)
        with self.read() as c:
            return c.execute(query).scalar()

    def derived_kinds(self) -> list[str]:
        """Kinds of computed rows that were ever stored."""
        with self.read() as c:
            return list(c.execute(select(t.batch.c.resource).where(t.batch.c.account == "").distinct()).scalars())

    # -- reading positions -------------------------------------------------------------------------------------------------
    def cursor(self, account: str, resource: str) -> Cursor | None:
        query = select(t.cursor.c.state, t.cursor.c.mapping, t.cursor.c.open_pass, t.cursor.c.updated_at)
        with self.read() as c:
            row = c.execute(query.where(t.cursor.c.account == account, t.cursor.c.resource == resource)).first()
        return Cursor(row.state, row.mapping or "", row.open_pass, row.updated_at) if row else None

    def page_digests(self, account: str, resource: str) -> dict[bytes, tuple[str, int]]:
        """Digest of every known page → (its pass, its place in it)."""
        p = t.page.c
        with self.read() as c:
            rows = c.execute(select(p.digest, p.pass_id, p.seq).where(p.account == account, p.resource == resource))
            return {bytes(digest): (pass_id, seq) for digest, pass_id, seq in rows}

    def pages(self, account: str, resource: str, pass_id: str, start: int = 0, limit: int = 200) -> list[PageRow]:
        """Known pages of one pass from place `start` on, in order."""
        p = t.page.c
        query = select(p.digest, p.pass_id, p.seq, p.whole, p.rows, p.marks).where(p.account == account, p.resource == resource)
        with self.read() as c:
            rows = c.execute(query.where(p.pass_id == pass_id, p.seq >= start).order_by(p.seq).limit(limit)).all()
        return [PageRow(bytes(r.digest), r.pass_id, r.seq, r.whole, r.rows, bytes(r.marks)) for r in rows]

    def end_pass(self, account: str, resource: str, pass_ids: Iterable[str], whole: bool) -> None:
        """A pass came to its end: pages of earlier ones are forgotten (an increment forgets earlier increments only)."""
        p = t.page.c
        old = (p.account == account) & (p.resource == resource) & p.pass_id.not_in(list(pass_ids))
        with self.write() as c:
            c.execute(delete(t.page).where(old if whole else old & p.whole.is_(False)))
            c.execute(update(t.cursor).where(t.cursor.c.account == account, t.cursor.c.resource == resource).values(open_pass=None))

    def missed(self, account: str, resource: str) -> bytes:
        """What `set_missed` was last given; empty before."""
        query = select(t.missed.c.marks).where(t.missed.c.account == account, t.missed.c.resource == resource)
        with self.read() as c:
            return bytes(c.execute(query).scalar() or b"")

    def set_missed(self, account: str, resource: str, marks: bytes) -> None:
        """Live records that the last whole pass did not list, 8 bytes each."""
        with self.write() as c:
            upsert(c, t.missed, [{"account": account, "resource": resource, "marks": marks}])

    # -- counts, rejects, tombstones ---------------------------------------------------------------------------------------
    def set_count(self, count: Count) -> None:
        with self.write() as c:
            upsert(c, t.count, [asdict(count)])

    def counts(self, run_id: str) -> list[Count]:
        with self.read() as c:
            query = select(t.count).where(t.count.c.run_id == run_id).order_by(t.count.c.account, t.count.c.resource)
            return [Count(**row) for row in c.execute(query).mappings()]

    def rejects(self, run_id: str, account: str | None = None, resource: str | None = None) -> list[RejectRow]:
        r = t.reject.c
        query = select(r.vendor_id, r.place, r.reason).where(r.run_id == run_id).order_by(r.id)
        query = query if account is None else query.where(r.account == account)
        query = query if resource is None else query.where(r.resource == resource)
        with self.read() as c:
            return [RejectRow(*row) for row in c.execute(query)]

    def tombstones(self, account: str, resource: str = "") -> set[str]:
        with self.read() as c:
            mine = [t.tombstone.c.account == account, *([t.tombstone.c.resource == resource] if resource else [])]
            return set(c.execute(select(t.tombstone.c.vendor_id).where(*mine)).scalars())

    def schedule(self, job: str) -> tuple[datetime | None, datetime | None]:
        """When the job was last due, and when it last ran."""
        with self.read() as c:
            row = c.execute(select(t.schedule.c.last_due, t.schedule.c.last_run).where(t.schedule.c.job == job)).first()
        return (row.last_due, row.last_run) if row else (None, None)

    def set_schedule(self, job: str, last_due: datetime, last_run: datetime, run_id: str | None = None) -> None:
        with self.write() as c:
            upsert(c, t.schedule, [{"job": job, "last_due": last_due, "last_run": last_run, "run_id": run_id, "detail": None}])


def _finish_batch(c: Connection, batch_id: int, rows: int, now: datetime) -> None:
    query = update(t.batch).where(t.batch.c.id == batch_id, t.batch.c.status == "open")
    if c.execute(query.values(status="committed", rows=rows, committed_at=now)).rowcount != 1:
        raise Busy(
            f"batch {batch_id} was given up by another run while this one was stopped or asleep",
            next_step="run the command again; nothing was lost, the rows are read once more",
        )


def _insert(c: Connection, table: Table) -> Any:
    return postgresql.insert(table) if c.dialect.name == "postgresql" else sqlite.insert(table)


def upsert(c: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert, or replace what has the same key."""
    if not rows:
        return
    c.execute(_upserting(c.dialect.name == "postgresql", table, tuple(rows[0])), list(rows))


@cache
def _upserting(postgres: bool, table: Table, names: tuple[str, ...]) -> Any:
    """Writing the statement takes longer than SQLite needs to run it."""
    keys = [column.name for column in table.primary_key]
    query = postgresql.insert(table) if postgres else sqlite.insert(table)
    others = {name: query.excluded[name] for name in names if name not in keys}
    return query.on_conflict_do_update(index_elements=keys, set_=others) if others else query.on_conflict_do_nothing()
