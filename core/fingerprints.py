"""Which record is it, and is it as we know it: 64-bit hashes of ids and contents, and a compact index over them.

19 bytes per record, so that a million records cost 19 MB. It knows no vendor, no storage and no clock. The hashes are
DuckDB's own (pinned; a test holds known values): half a microsecond per record against four in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from core.lake_schema import record_schema

Hashes = NDArray[np.uint64]
Flags = NDArray[np.uint8]
Passes = NDArray[np.uint16]
LIVE, MERGED, LISTED = np.uint8(1), np.uint8(2), np.uint8(4)
# Kinds of things that are gone when the vendor's whole list lacks them. Events and counts are never gone: they happened.
LISTED_KINDS = frozenset(
    {"person", "company", "deal", "campaign", "experiment", "owner", "stage_definition", "association", "task", "line_item"}
)
# What says who and when we looked, not what the vendor holds.
_UNHASHED = frozenset({"account", "vendor", "resource", "vendor_id", "observed_at", "version", "content_hash", "batch_id", "run_id"})
_EMPTY = {"deleted": "NOT {0}", "attributes": "{0} = '{{}}'"}


@dataclass(frozen=True)
class Marks:
    """Of some records, in order: id, content and flags. Records of several kinds may stand in one."""

    ids: Hashes
    contents: Hashes
    flags: Flags

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, end: int) -> Marks:
        return Marks(self.ids[start:end], self.contents[start:end], self.flags[start:end])

    def packed(self) -> bytes:
        """16 bytes a record: all ids, then all contents."""
        return self.ids.tobytes() + self.contents.tobytes()

    @staticmethod
    def unpacked(data: bytes) -> Marks:
        both = np.frombuffer(data, dtype=np.uint64)
        half = len(both) // 2
        return Marks(both[:half], both[half:], np.zeros(half, np.uint8))

    @staticmethod
    def joined(parts: list[Marks]) -> Marks:
        if not parts:
            return Marks(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint8))
        return Marks(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "contents", "flags")))


def id_sql(kind: str, column: str = "vendor_id") -> str:
    return f"hash('{kind}', {column})"


def flags_sql(kind: str) -> str:
    live = "CASE WHEN deleted OR merged_into IS NOT NULL THEN 0 ELSE 1 END"
    merged = "CASE WHEN merged_into IS NOT NULL THEN 2 ELSE 0 END"
    return f"({live} + {merged} + {int(LISTED) if kind in LISTED_KINDS else 0})::UTINYINT"


def content_sql(kind: str, columns: list[str]) -> str:
    """One hash over all mapped values. An empty value counts as absent, so a new unmapped column changes no hash."""
    total = "0::UBIGINT"
    for name in record_schema(kind).names:
        if name in _UNHASHED or name not in columns:
            continue
        quoted = f'"{name}"'
        empty = f"{quoted} IS NULL"
        if pa.types.is_list(record_schema(kind).field(name).type):
            empty += f" OR len({quoted}) = 0"
        elif name in _EMPTY:
            empty += f" OR {_EMPTY[name].format(quoted)}"
        total = f"xor({total}, CASE WHEN {empty} THEN 0::UBIGINT ELSE hash({quoted}, '{name}') END)"
    return total


def marks_of(connection: Any, kind: str, table: pa.Table) -> Marks:
    """The marks of a table of records, in its order. `connection` is a DuckDB one with a single thread (it keeps order)."""
    connection.register("batch_rows", table)
    try:
        query = f"SELECT {id_sql(kind)} AS i, {content_sql(kind, table.column_names)} AS c, {flags_sql(kind)} AS f FROM batch_rows"
        found = connection.execute(query).fetchnumpy()
    finally:
        connection.unregister("batch_rows")
    return Marks(*(np.ma.getdata(found[name]) for name in ("i", "c", "f")))


def id_hashes(connection: Any, kind: str, vendor_ids: list[str]) -> Hashes:
    connection.register("some_ids", pa.table({"vendor_id": pa.array(vendor_ids, pa.string())}))
    try:
        return np.asarray(connection.execute(f"SELECT {id_sql(kind)} AS i FROM some_ids").fetchnumpy()["i"], dtype=np.uint64)
    finally:
        connection.unregister("some_ids")


def page_digest(body: bytes, *about: str) -> bytes:
    """16 bytes that say: these very bytes, read in this very way."""
    digest = xxhash.xxh3_128("\x1f".join(about).encode())
    digest.update(body)
    return digest.digest()


def _ranked(ids: Hashes) -> tuple[NDArray[np.intp], Hashes]:
    """The order that sorts ids, equal ones kept in theirs, and them sorted: in a large tier sorted ids are found several times faster."""
    order = np.argsort(ids)
    ranked = ids[order]
    if (ranked[1:] == ranked[:-1]).any():
        order = np.argsort(ids, kind="stable")  # five times slower
    return order, ranked


def last_of_each(ids: Hashes) -> NDArray[np.bool_] | None:
    """Which rows are the last with their id; None when no id comes twice."""
    order, ranked = _ranked(ids)
    same = ranked[1:] == ranked[:-1]
    if not same.any():
        return None
    keep = np.ones(len(ids), bool)
    keep[order[:-1][same]] = False
    return keep


@dataclass
class _Tier:
    """Marks sorted by id, and in which pass each was last seen (0: in none)."""

    ids: Hashes
    contents: Hashes
    flags: Flags
    seen: Passes


class Index:
    """What the lake holds of one resource: id → content, flags, seen. Each id stands in exactly one tier; tiers double in size."""

    def __init__(self, marks: Marks | None = None) -> None:
        self._tiers: list[_Tier] = []
        self.changes = 0  # how often `put` was called
        if marks is not None and len(marks):
            order, ids = _ranked(marks.ids)
            self._add(Marks(ids, marks.contents[order], marks.flags[order]))

    def __len__(self) -> int:
        return sum(len(tier.ids) for tier in self._tiers)

    def find(self, ids: Hashes) -> tuple[NDArray[np.bool_], Hashes, Flags]:
        """For each id: known?, its content, its flags."""
        known, contents, flags = np.zeros(len(ids), bool), np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.uint8)
        order, ranked = _ranked(ids)
        for tier in self._tiers:
            hit, at = _locate(tier, ranked)
            places, at = order[hit], at[hit]
            known[places], contents[places], flags[places] = True, tier.contents[at], tier.flags[at]
        return known, contents, flags

    def holds(self, parts: Sequence[Marks]) -> list[bool]:
        """Of each part: are all its records known with exactly these contents? Many parts at once cost little more than one."""
        marks = Marks.joined(list(parts))
        known, contents, _ = self.find(marks.ids)
        same = known & (contents == marks.contents)
        ends = np.cumsum([len(part) for part in parts]).tolist()
        return [bool(same[start:end].all()) for start, end in zip([0, *ends], ends, strict=False)]

    def put(self, marks: Marks) -> None:
        """Remember newer contents. Ids must not repeat."""
        self.changes += 1
        order, ids = _ranked(marks.ids)
        marks = Marks(ids, marks.contents[order], marks.flags[order])
        new = np.ones(len(marks), bool)
        for tier in self._tiers:
            hit, at = _locate(tier, marks.ids)
            tier.contents[at[hit]], tier.flags[at[hit]] = marks.contents[hit], marks.flags[hit]
            new &= ~hit
        if new.any():
            self._add(Marks(marks.ids[new], marks.contents[new], marks.flags[new]))

    def see(self, ids: Hashes, pass_no: int) -> NDArray[np.bool_]:
        """Note that a pass listed these ids; says of each whether it is a listable record that the pass had listed before."""
        order, ranked = _ranked(ids)
        again = np.zeros(len(ids), bool)
        again[1:] = ranked[1:] == ranked[:-1]
        repeated = np.zeros(len(ids), bool)
        for tier in self._tiers:
            hit, at = _locate(tier, ranked)
            places = at[hit]
            listed = (tier.flags[places] & LISTED) == LISTED
            repeated[order[hit]] = listed & ((tier.seen[places] == pass_no) | again[hit])
            tier.seen[places] = pass_no
        return repeated

    def unseen(self) -> Hashes:
        """Ids of live, listable records that no pass listed."""
        wanted = LIVE | LISTED
        parts = [tier.ids[((tier.flags & wanted) == wanted) & (tier.seen == 0)] for tier in self._tiers]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)

    def unlisted(self, ids: Hashes) -> Hashes:
        """Those of these ids, of whatever kind, that no pass listed."""
        listed = np.zeros(len(ids), bool)
        for tier in self._tiers:
            hit, at = _locate(tier, ids)
            listed[hit] |= tier.seen[at[hit]] > 0
        return np.sort(ids[~listed])

    def live(self) -> int:
        return sum(int((tier.flags & LIVE).sum()) for tier in self._tiers)

    def live_listed(self) -> int:
        wanted = LIVE | LISTED
        return sum(int(((tier.flags & wanted) == wanted).sum()) for tier in self._tiers)

    def _add(self, marks: Marks) -> None:
        """Sorted marks of ids that no tier has."""
        self._tiers.append(_Tier(marks.ids, marks.contents, marks.flags, np.zeros(len(marks), np.uint16)))
        while len(self._tiers) > 1 and len(self._tiers[-2].ids) <= 2 * len(self._tiers[-1].ids):
            newer = self._tiers.pop()
            _merge(self._tiers[-1], newer)


def _merge(older: _Tier, newer: _Tier) -> None:
    """Take `newer` into `older`, one array at a time: nothing is held twice but the array in hand."""
    places = np.searchsorted(older.ids, newer.ids) + np.arange(len(newer.ids))
    rest = np.ones(len(older.ids) + len(newer.ids), bool)
    rest[places] = False
    for name in ("ids", "contents", "flags", "seen"):
        old, new = getattr(older, name), getattr(newer, name)
        both = np.empty(len(rest), old.dtype)
        both[places], both[rest] = new, old
        setattr(older, name, both)


def _locate(tier: _Tier, ids: Hashes) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    at = np.searchsorted(tier.ids, ids)
    at[at == len(tier.ids)] = 0
    return tier.ids[at] == ids, at
