"""Where pulled records meet the lake: what is already there, what is new, and what must be marked as gone or merged.

One `Store` per resource and run. It appends under batch numbers it is given; it commits nothing and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.fingerprints import LISTED_KINDS, LIVE, MERGED, Hashes, Index, Marks, flags_sql, id_hashes, id_sql, last_of_each, marks_of
from core.lake import Lake
from core.lake_schema import BATCH_SHIFT, SYSTEM, record_schema

ENGINE_MEMORY = "192MB"
PART_ROWS = 250_000  # so many versions are grouped at once when the index is loaded: memory stays flat
# Column that says which record a row tells something about, and the one that says of which kind that is (None: a person).
_HANGS_ON: dict[str, dict[str, str | None]] = {
    "touch": {"person_id": None},
    "stage_change": {"record_id": "record_kind"},
    "association": {"from_id": "from_kind", "to_id": "to_kind"},
}


@dataclass
class Fresh:
    """New rows of a batch by kind, with their marks; `lost` counts records that were live before."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    marks: dict[str, Marks] = field(default_factory=dict)
    lost: int = 0

    def __len__(self) -> int:
        return sum(table.num_rows for table in self.tables.values())

    def add(self, kind: str, table: pa.Table, marks: Marks) -> None:
        if table.num_rows == 0:
            return
        self.tables[kind] = pa.concat_tables([self.tables[kind], table], promote_options="default") if kind in self.tables else table
        self.marks[kind] = Marks.joined([self.marks[kind], marks]) if kind in self.marks else marks


class Store:
    """The lake's side of one resource of one account."""

    def __init__(
        self, lake: Lake, account: str, resource: str, kinds: Iterable[str], tombstones: set[str], people: Iterable[str] = ()
    ) -> None:
        self.lake, self.account, self.resource, self.kinds = lake, account, resource, tuple(kinds)
        self._borrowed = ExitStack()
        self._connection = self._borrowed.enter_context(lake.borrowed(memory=ENGINE_MEMORY, threads=1))
        self._tombstones = pa.array(sorted(tombstones), pa.string())
        self.seen_again: set[str] = set()  # ids with a tombstone that the vendor lists as live
        self._forgotten = pa.array(sorted(people), pa.string())  # of any resource of this account
        self.index = Index(Marks.joined([self._held(kind) for kind in self.kinds]))

    def close(self) -> None:
        self._borrowed.close()

    # -- what is there ---------------------------------------------------------------------------------------------------
    def _held(self, kind: str) -> Marks:
        relation = self.lake.relation(self._connection, kind)
        if relation is None:
            return Marks.joined([])
        mine = [self.account, self.resource]
        where = "WHERE account = ? AND resource = ?"
        rows = self._connection.execute(f"SELECT count(*) FROM {relation} {where}", mine).fetchall()[0][0]
        parts = 1 << max(0, (rows // PART_ROWS).bit_length())
        query = f"""SELECT i, arg_max(c, version) AS c, arg_max(f, version) AS f FROM (
                      SELECT {id_sql(kind)} AS i, content_hash AS c, {flags_sql(kind)} AS f, version FROM {relation} {where}
                      AND {id_sql(kind)} % {parts} = ?) GROUP BY i"""
        return Marks.joined([self._marks(query, [*mine, part]) for part in range(parts)]) if rows else Marks.joined([])

    def _marks(self, query: str, values: list[Any]) -> Marks:
        found = self._connection.execute(query, values).fetchnumpy()
        ids, contents, flags = (np.ma.getdata(found[name]) for name in ("i", "c", "f"))
        return Marks(ids, contents.view(np.uint64), flags)

    def _latest(self, kind: str, ids: Hashes) -> pa.Table:
        """The latest versions of these records, without the lake's own columns."""
        relation = self.lake.relation(self._connection, kind)
        names = [name for name in record_schema(kind).names if name not in {f.name for f in SYSTEM}]
        if relation is None or len(ids) == 0:
            return record_schema(kind).empty_table().select(names)
        self._connection.register("wanted_ids", pa.table({"i": pa.array(ids)}))
        mine = f"account = ? AND resource = ? AND {id_sql(kind)} IN (SELECT i FROM wanted_ids)"
        query = f"""SELECT {", ".join(names)} FROM {relation} WHERE {mine}
                    AND version IN (SELECT max(version) FROM {relation} WHERE {mine} GROUP BY vendor_id)"""
        found = self._connection.execute(query, [self.account, self.resource] * 2).to_arrow_table()
        self._connection.unregister("wanted_ids")
        schema = record_schema(kind)
        return found.cast(pa.schema([schema.field(name) for name in names]))

    def of_days(self, spans: Iterable[tuple[date, date]]) -> Hashes:
        """Ids of the live records that are about a day within one of these spans."""
        found = [np.empty(0, np.uint64)]
        for kind in (k for k in self.kinds if "day" in record_schema(k).names):
            relation = self.lake.relation(self._connection, kind)
            query = f"""SELECT i FROM (SELECT {id_sql(kind)} AS i, arg_max(day, version) AS d, arg_max({flags_sql(kind)}, version) AS f
                          FROM {relation} WHERE account = ? AND resource = ? GROUP BY i)
                        WHERE f & {int(LIVE)} = {int(LIVE)} AND d BETWEEN ? AND ?"""
            for first, last in spans if relation else ():
                rows = self._connection.execute(query, [self.account, self.resource, first, last]).fetchnumpy()
                found.append(np.ma.getdata(rows["i"]).astype(np.uint64))
        return np.unique(np.concatenate(found))

    # -- what is new ----------------------------------------------------------------------------------------------------
    def compare(self, tables: Mapping[str, pa.Table]) -> tuple[Fresh, dict[str, Marks], dict[str, NDArray[np.bool_]]]:
        """What of a batch must be appended; all its marks by kind; and which rows may be kept at all (no tombstone)."""
        fresh, marks, allowed = Fresh(), {}, {}
        for kind, table in tables.items():
            marks[kind] = mine = marks_of(self._connection, kind, table)
            allowed[kind] = self._allowed(kind, table)
            wanted = allowed[kind] & self._changed(mine, fresh)
            chosen = table if wanted.all() else table.filter(pa.array(wanted))
            fresh.add(kind, chosen, Marks(mine.ids[wanted], mine.contents[wanted], mine.flags[wanted]))
            if chosen.num_rows and "merged_ids" in chosen.column_names:
                self._mark_merged(kind, chosen, fresh)
        return fresh, marks, allowed

    def _changed(self, mine: Marks, fresh: Fresh) -> NDArray[np.bool_]:
        known, contents, flags = self.index.find(mine.ids)
        wanted: NDArray[np.bool_] = ~known | (contents != mine.contents)
        last = last_of_each(mine.ids)
        wanted = wanted if last is None else wanted & last
        # A merged record that the vendor's list of deleted ones names again stays merged.
        wanted &= ~(known & ((flags & MERGED) == MERGED) & ((mine.flags & (LIVE | MERGED)) == 0))
        fresh.lost += int((wanted & known & ((flags & LIVE) == LIVE) & ((mine.flags & LIVE) == 0)).sum())
        return wanted

    def _allowed(self, kind: str, table: pa.Table) -> NDArray[np.bool_]:
        allowed = np.ones(table.num_rows, bool)
        if len(self._tombstones):
            erased = pc.is_in(table["vendor_id"], self._tombstones)
            allowed &= ~erased.to_numpy()
            if kind == "person":
                live = pc.and_(erased, pc.invert(pc.fill_null(table["deleted"], False)))
                self.seen_again.update(table["vendor_id"].filter(live).to_pylist())
        for name, kind_column in _HANGS_ON.get(kind, {}).items() if len(self._forgotten) else ():
            if name in table.column_names:
                hangs = pc.is_in(table[name], self._forgotten).to_numpy()
                if kind_column in table.column_names:
                    hangs &= pc.fill_null(pc.equal(table[kind_column], "person"), False).to_numpy()
                allowed &= ~hangs
        return allowed

    def _mark_merged(self, kind: str, chosen: pa.Table, fresh: Fresh) -> None:
        """Records that a survivor names as merged into it: append them once more, saying so."""
        counts = pc.fill_null(pc.list_value_length(chosen["merged_ids"]), 0)
        survivors = chosen.filter(pc.greater(counts, 0))
        into = {loser: row["vendor_id"] for row in survivors.select(["vendor_id", "merged_ids"]).to_pylist() for loser in row["merged_ids"]}
        if not into:
            return
        ids = id_hashes(self._connection, kind, list(into))
        known, _, flags = self.index.find(ids)
        rows = self._latest(kind, ids[known & ((flags & MERGED) == 0)])
        target = pa.array([into.get(v) for v in rows["vendor_id"].to_pylist()], pa.string())
        self._patched(kind, rows, fresh, {"merged_into": target})

    def _patched(self, kind: str, rows: pa.Table, fresh: Fresh, values: Mapping[str, Any]) -> None:
        for name, column in values.items():
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
        if rows.num_rows:
            marks = marks_of(self._connection, kind, rows)
            _, _, flags = self.index.find(marks.ids)
            fresh.lost += int(((flags & LIVE) == LIVE).sum())
            fresh.add(kind, rows, marks)

    def list_rejects(self, vendor_ids: Sequence[str | None], pass_no: int) -> bool:
        """Note that the vendor lists these records, unreadable as they are. False when one of them is none that we know."""
        found = dict.fromkeys(vendor_ids, False)
        for kind in LISTED_KINDS.intersection(self.kinds):
            ids = id_hashes(self._connection, kind, [v for v in found if v is not None])
            known, _, _ = self.index.find(ids)
            self.index.see(ids[known], pass_no)
            found |= {v: True for v, k in zip((v for v in found if v is not None), known, strict=True) if k}
        return all(found.values())

    def gone(self, ids: Hashes, observed_at: Any) -> Fresh:
        """The latest versions of these records, marked deleted."""
        fresh = Fresh()
        for kind in self.kinds:
            rows = self._latest(kind, ids)
            yes = pa.repeat(pa.scalar(True), rows.num_rows)
            seen = pa.repeat(pa.scalar(observed_at, record_schema(kind).field("observed_at").type), rows.num_rows)
            self._patched(kind, rows, fresh, {"deleted": yes, "observed_at": seen})
        return fresh

    # -- appending --------------------------------------------------------------------------------------------------------
    def append(self, fresh: Fresh, batch_id: int, run_id: str) -> None:
        for kind, table in fresh.tables.items():
            n = table.num_rows
            own = {
                "version": pa.array((np.int64(batch_id) << BATCH_SHIFT) + np.arange(n, dtype=np.int64)),
                "content_hash": pa.array(fresh.marks[kind].contents.view(np.int64)),
                "batch_id": pa.repeat(pa.scalar(batch_id, pa.int64()), n),
                "run_id": pa.repeat(pa.scalar(run_id, pa.string()), n),
            }
            for f in SYSTEM:
                table = table.append_column(f, own[f.name])
            self.lake.append(kind, table)

    def remember(self, fresh: Fresh) -> None:
        """The appended rows are committed: later pages are compared with them."""
        for marks in fresh.marks.values():
            last = last_of_each(marks.ids)
            self.index.put(marks if last is None else Marks(marks.ids[last], marks.contents[last], marks.flags[last]))
