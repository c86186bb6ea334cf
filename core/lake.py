"""What the hub saw: one append-only Delta table per kind, read through the ledger's list of committed batches.

Rows are never changed in place; *current* and *as of* are one query with another list of batches. Several processes
may append at once. It must not know vendors, mappings or what the rows mean.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from core.errors import UserError
from core.lake_forget import address_digests, belongs, by_account
from core.lake_identity import begin_anew, belonging, one_at_a_time
from core.lake_scan import committed, current_into, only_reads, quoted, scan_into, typed, visible_sql
from core.lake_schema import DERIVED, LOGS, known_schema
from core.lake_write import KEPT, ONCE, again, fitted, part_of_the_machine, spill_folder, writer
from core.ledger import Ledger, Visible
from core.ledger_forget import forget_records, keep_digests
from core.model import KINDS
from core.storage import trouble

KEY = ("account", "resource", "vendor_id")
TARGET_FILE_BYTES = 256 * 1024 * 1024

pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own allocator keeps a heap per thread: 25 MB more at the peak, nothing faster


class Lake:
    """Open a lake at a local folder or an object-store URL. Nothing is created until the first append.

    `memory` and `threads` limit the in-process engine, by default to two fifths of the machine's memory; it spills into a folder
    inside a local lake.
    """

    def __init__(
        self,
        url: str | Path,
        ledger: Ledger,
        *,
        storage_options: Mapping[str, str] | None = None,
        memory: str | None = None,
        threads: int | None = None,
    ) -> None:
        text = str(url)
        self.local = "://" not in text or text.startswith("file://")
        self.root = str(Path(text.removeprefix("file://")).expanduser().resolve()) if self.local else text.rstrip("/")
        self.ledger = ledger
        self._options = dict(storage_options or {}) or None
        self._memory, self._threads = memory, threads
        self._names = count()
        self._tables: dict[str, DeltaTable] = {}
        self._lock = threading.RLock()
        self._ibis: Any = None
        self._spill: str | None = None
        self._views: dict[Any, Any] = {}
        self._idle: dict[tuple[str | None, int | None], list[duckdb.DuckDBPyConnection]] = {}

    def close(self) -> None:
        if self._ibis is not None:
            self._ibis = None  # not disconnected: kept results (`core.tables.keep`) may outlive the lake and clean up after themselves
        for engine in [engine for idle in self._idle.values() for engine in idle]:
            engine.close()
        self._idle.clear()
        if self._spill is not None:
            shutil.rmtree(self._spill, ignore_errors=True)
            self._spill = None

    # -- writing -----------------------------------------------------------------------------------------------------
    def append(self, kind: str, table: pa.Table) -> None:
        """Append rows that carry their batch number. They are invisible until the ledger commits that batch."""
        schema = known_schema(kind)
        rows = table if schema is None else fitted(table, schema)
        if rows.num_rows == 0:
            return
        with self._lock:
            target = self._table(kind) or self._create(kind, rows.schema)
            have = {field.name for field in target.schema().fields}
            merge = None if have >= set(rows.column_names) else "merge"
            options = {"schema_mode": merge, "writer_properties": writer(rows.column_names, ONCE)}
            again(lambda: write_deltalake(target, rows, mode="append", **options), target)

    def append_derived(self, kind: str, tables: Iterable[pa.Table], run_id: str, now: datetime) -> int:
        """The rows of a computed kind for one run, visible all at once; they replace the run before. Returns how many."""
        return self.append_run({kind: tables}, run_id, now)

    def append_run(self, kinds: Mapping[str, Iterable[pa.Table]], run_id: str, now: datetime) -> int:
        """The same for several kinds, all of them visible at one instant."""
        batches: dict[int, int] = {}
        for kind, tables in kinds.items():
            batch_id = self.ledger.open_batch(run_id, "", kind, now)
            batches[batch_id] = 0
            for table in tables:
                for name, value in (("run_id", run_id), ("batch_id", batch_id)):
                    table = table.drop_columns([name]) if name in table.column_names else table
                    table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
                self.append(kind, table)
                batches[batch_id] += table.num_rows
        self.ledger.commit_derived(batches, now)
        return sum(batches.values())

    def _path(self, kind: str) -> str:
        return f"{self.root}/{kind}"

    def _folder(self, kind: str) -> str | None:
        return self._path(kind) if self.local else None

    def _table(self, kind: str) -> DeltaTable | None:
        if kind not in self._tables:
            table = belonging(self.ledger, kind, self._open, self.root)
            if table is None:
                return None
            self._tables[kind] = table
        return self._tables[kind]

    def _open(self, kind: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._path(kind), storage_options=self._options)
        except TableNotFoundError:
            return None
        except DeltaError as problem:
            told = trouble(problem)
            if told is None:
                raise
            raise type(told)(told.message, where=self._path(kind), next_step=told.next_step) from problem

    def _fresh(self, kind: str) -> DeltaTable | None:
        """The table as it is now, with what other processes appended."""
        with self._lock:
            table = self._table(kind)
            if table is not None:
                table.update_incremental()
            return table

    def _create(self, kind: str, schema: pa.Schema) -> DeltaTable:
        with one_at_a_time(self.ledger):  # Delta lets two processes make one folder's table at once, each with an id of its own
            if self._open(kind) is None:
                DeltaTable.create(self._path(kind), schema, mode="ignore", storage_options=self._options)
        table = self._table(kind)
        assert table is not None
        return table

    def begin_anew(self) -> None:
        """Start a new lake under the same ledger. Raises: UserError where the place still holds tables."""
        for kind in [*KINDS, *self.ledger.derived_kinds()]:
            if self._open(kind) is not None:
                raise UserError(
                    f"the lake at {self.root} still has a table '{kind}'",
                    next_step="give `lake:` an empty folder, or move what is there out of the way",
                )
        begin_anew(self.ledger)

    # -- reading -----------------------------------------------------------------------------------------------------
    def connect(self, memory: str | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
        """A new in-process engine of its own, limited, that may spill."""
        limit = memory or self._memory or part_of_the_machine()
        config: dict[str, Any] = {"memory_limit": limit, "temp_directory": self._temp(), "preserve_insertion_order": False}
        if threads or self._threads:
            config["threads"] = threads or self._threads
        connection = duckdb.connect(":memory:", config=config)
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return connection

    @contextmanager
    def borrowed(self, memory: str | None = None, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """An engine nobody else uses meanwhile, of which nothing of earlier borrowers is left. A new one takes 13 ms, this 0.2."""
        idle = self._idle.setdefault((memory, threads), [])
        try:
            engine = idle.pop()
        except IndexError:
            engine = self.connect(memory, threads)
        connection = engine.cursor()  # temporary tables and views are a connection's own
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        try:
            yield connection
        finally:
            connection.close()
            idle.append(engine)

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """The same for Ibis: an engine with the lake's limits that is not the one `versions` and `current` are bound to."""
        import ibis

        with self.borrowed() as connection:
            yield ibis.duckdb.from_connection(connection)

    @property
    def engine(self) -> Any:
        """The Ibis connection that `versions` and `current` are bound to."""
        with self._lock:
            if self._ibis is None:
                import ibis  # half a second and 60 MB that a pull does not need

                ibis.options.sql.fuse_selects = False  # joining nested SELECTs is the engine's work; in Python it took a second a run
                self._ibis = ibis.duckdb.from_connection(self.connect())
            return self._ibis

    def kinds(self) -> list[str]:
        """The kinds that have a table."""
        computed = [kind for kind in self.ledger.derived_kinds() if kind not in KINDS]
        return [kind for kind in (*KINDS, *computed) if self._table(kind) is not None]

    def versions(self, kind: str, as_of: datetime | None = None) -> Any:
        """Every committed version of every record of the kind, as an Ibis table. No table yet: empty and typed."""
        return self._versions(kind, self.ledger.visible(as_of))

    def current(self, kind: str, as_of: datetime | None = None) -> Any:
        """The latest version per (account, resource, vendor_id), deleted ones included (they say so), as an Ibis table."""
        with self._lock:
            table, schema = self._fresh(kind), known_schema(kind)
            if table is None:
                return self.versions(kind, as_of)
            files, name = self._scan(kind, table), f"{kind}_current_{next(self._names)}"
            current_into(self.engine.con, name, files, table, schema, self.ledger.visible(as_of))
            return self._named(name)

    def latest_run(self, kind: str, as_of: datetime | None = None, *, schema: pa.Schema | None = None) -> Any:
        """The rows of a computed kind (member, finding, metric) that its last complete run wrote, as an Ibis table."""
        run_id = self.ledger.latest_derived(kind, as_of)
        rows = self._versions(kind, self.ledger.visible(as_of), schema)
        return rows.filter(rows.run_id == (run_id or ""))

    def _versions(self, kind: str, visible: Visible, schema: pa.Schema | None = None) -> Any:
        schema = schema or known_schema(kind)
        with self._lock:
            table = self._fresh(kind)
            if table is None:
                if schema is None:
                    raise UserError(f"nothing was computed yet: {kind}", next_step="run `tundish reconcile` first")
                return self._empty(schema)
            key = (kind, table.version())
            if key not in self._views:
                self._views[key] = self._named(self._scan(kind, table))
            rows = self._views[key]
        return typed(committed(rows, visible), schema)

    def _named(self, name: str) -> Any:
        from core.bound import bound  # Ibis again

        return bound(self.engine, name)

    def _scan(self, kind: str, table: DeltaTable) -> str:
        """The name of a view over the table's files."""
        name = f"{kind}_files_{next(self._names)}"
        scan_into(self.engine.con, name, table, self._folder(kind))
        return name

    def _empty(self, schema: pa.Schema) -> Any:
        name = f"empty_{next(self._names)}"
        self.engine.con.register(name, schema.empty_table())  # Ibis's own create_table takes ten times as long
        return self._named(name)

    def sql(self, query: str, as_of: datetime | None = None) -> pa.Table:
        """The answer to one DuckDB query over views: `<kind>` (current records) and `<kind>_versions`. Reads nothing else."""
        visible = self.ledger.visible(as_of)
        connection = self.connect()
        try:
            for kind in dict.fromkeys([*KINDS, *DERIVED, *self.kinds()]):
                self._view(connection, kind, visible, as_of)
            if self.local:
                connection.execute(f"SET allowed_directories = ['{quoted(self.root)}']")
            connection.execute("SET enable_external_access = false")  # a lake elsewhere is read through Arrow
            connection.execute("SET lock_configuration = true")
            only_reads(connection, query)
            return connection.execute(query).to_arrow_table()
        except duckdb.Error as e:
            if told := trouble(e):
                raise told from e
            raise UserError(f"the query does not run: {e}", next_step="views are <kind> and <kind>_versions; try: SHOW TABLES") from e
        finally:
            connection.close()

    def _view(self, connection: duckdb.DuckDBPyConnection, kind: str, visible: Visible, as_of: datetime | None) -> None:
        table = self._fresh(kind)
        if table is None:
            schema = known_schema(kind)
            connection.register(f"_{kind}", schema.empty_table() if schema is not None else None)
        else:
            scan_into(connection, f"_{kind}", table, self._folder(kind))
        connection.execute(f"CREATE VIEW {kind}_versions AS SELECT * FROM _{kind} WHERE {visible_sql(visible)}")
        if kind in KINDS:
            latest = f"SELECT max(version) FROM {kind}_versions GROUP BY account, resource, vendor_id"
            connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {kind}_versions WHERE version IN ({latest})")
        elif kind in LOGS:
            connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {kind}_versions")
        else:
            run_id = quoted(self.ledger.latest_derived(kind, as_of) or "")
            connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {kind}_versions WHERE run_id = '{run_id}'")

    def relation(self, connection: duckdb.DuckDBPyConnection, kind: str) -> str | None:
        """SQL of the kind's committed rows, for `connection`; None when there is no table."""
        visible = self.ledger.visible()
        table = self._fresh(kind)
        if table is None:
            return None
        name = f"{kind}_files_{next(self._names)}"
        scan_into(connection, name, table, self._folder(kind))
        return f"(SELECT * FROM {name} WHERE {visible_sql(visible)})"

    def live_ids(self, kind: str, account: str, resource: str, size: int = 10_000) -> Iterator[list[str]]:
        """Vendor ids of the records that live now, in lists of at most `size`."""
        with self.borrowed() as connection:
            relation = self.relation(connection, kind)
            if relation is None:
                return
            query = f"""SELECT vendor_id FROM {relation} WHERE account = ? AND resource = ? GROUP BY vendor_id
                        HAVING arg_max(NOT deleted AND merged_into IS NULL, version) ORDER BY vendor_id"""
            cursor = connection.execute(query, [account, resource])
            while rows := cursor.fetchmany(size):
                yield [row[0] for row in rows]

    def _temp(self) -> str:
        with self._lock:
            if self._spill is None:
                self._spill = spill_folder(self.root if self.local else None)
            return self._spill

    # -- jobs ----------------------------------------------------------------------------------------------------------
    def compact(self, kinds: Sequence[str] | None = None) -> dict[str, int]:
        """Join small files into larger ones; kind → how many files fewer. Appends may go on meanwhile."""
        saved = {}
        for kind in kinds or self.kinds():
            if (table := self._fresh(kind)) is None:
                continue
            names = [field.name for field in table.schema().fields]
            done = again(
                lambda t=table, n=names: t.optimize.compact(
                    target_size=TARGET_FILE_BYTES, max_concurrent_tasks=1, writer_properties=writer(n, KEPT)
                ),
                table,
            )
            table.create_checkpoint()
            saved[kind] = int(done["numFilesRemoved"]) - int(done["numFilesAdded"])
        return saved

    def vacuum(self, retention_hours: int = 168, kinds: Sequence[str] | None = None) -> int:
        """Delete files that no table version of the last hours uses; returns how many. Readers older than that fail.

        From a day on also files that no version ever used: a writer killed before its commit left them.
        """
        removed, left_behind = 0, retention_hours >= 24  # younger ones may be another process's, about to be committed
        for kind in kinds or self.kinds():
            if (table := self._fresh(kind)) is not None:
                removed += len(table.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False, full=left_behind))
        return removed

    def sweep_orphans(self) -> int:
        """Remove rows of batches that can never be committed; returns how many. Readers never saw them."""
        ids = self.ledger.orphans()
        if not ids:
            return 0
        return sum(self.remove(kind, f"batch_id IN ({', '.join(map(str, ids))})") for kind in self.kinds())

    def forget(self, keys: Sequence[tuple[str, str, str]], now: datetime, why: str = "") -> int:
        """Erase every version of these (account, resource, vendor_id) records and of what hangs on them; returns rows erased.

        Leaves a tombstone in the ledger, so that no later pull brings them back.
        """
        keep_digests(self.ledger, address_digests(self.engine, self.versions("person"), keys), now)
        forget_records(self.ledger, keys, now, why)
        removed = 0
        for kind in self.kinds():
            for account, group in by_account(keys).items():
                if where := belongs(kind, account, group):
                    removed += self.remove(kind, where)
        self.vacuum(0)
        return removed

    def remove(self, kind: str, where: str) -> int:
        """Remove the rows of an SQL condition from the table's present; returns how many. Old files stay until `vacuum`."""
        table = self._fresh(kind)
        if table is None:
            return 0
        return int(again(lambda: table.delete(where), table).get("num_deleted_rows") or 0)

    def remove_versions(self, kind: str, versions: pa.Table) -> int:
        """The same for any number of versions (one column, `version`), in one pass over the table."""
        table = self._fresh(kind)
        if table is None:
            return 0
        merge = "lake.version = gone.version"
        done = again(lambda: table.merge(versions, merge, source_alias="gone", target_alias="lake").when_matched_delete().execute(), table)
        return int(done.get("num_target_rows_deleted") or 0)
