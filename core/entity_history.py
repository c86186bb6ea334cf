"""What became of entities: which were merged into which, which came out of which, and who therefore knows what was told of whom.

Entities keep their ids (core.resolve); where records go from one to another, a row says so, for ever. Rows are stored by the
pipeline with the members they describe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import ibis
import pyarrow as pa

from core.compiled import Compiled

MERGED, SPLIT, MOVED = "merged", "split", "moved"
# merged: entity_id is no more, its records are other_id's now. split: entity_id is new and came out of other_id. moved: both were and are,
# and entity_id got `records` of other_id's records.
CHANGES = pa.schema(
    [
        *((n, pa.string()) for n in ("kind", "entity_id", "change", "other_id")),
        ("records", pa.int64()),
        ("changed_at", pa.timestamp("us", "UTC")),
    ]
)
_MEMBER = ["entity_id", "kind", "account", "resource", "vendor_id"]
MOVES = pa.schema(
    [(n, pa.string()) for n in ("kind", "account", "resource", "vendor_id", "old", "new")] + [("gone", pa.bool_()), ("born", pa.bool_())]
)


def moves(previous: pa.Table | None, members: pa.Table, compiled: Compiled) -> pa.Table:
    """Records that belong to another entity than before (columns MOVES): is the old one no more, was the new one never before?"""
    if previous is None or not previous.num_rows:
        return MOVES.empty_table()
    before = compiled.give("history.before", previous.select(_MEMBER))
    after = compiled.give("history.after", members.select(_MEMBER))
    found = compiled.rows("history.moves", lambda: _moves(before, after), MOVES)
    compiled.let_go("history.before", "history.after")
    return found


def _moves(before: ibis.Table, after: ibis.Table) -> ibis.Table:
    key = ["kind", "account", "resource", "vendor_id"]
    t = before.rename(old="entity_id").inner_join(after.rename(new="entity_id"), key)
    t = t.filter(t.old != t.new)
    was, is_ = before.select(new="entity_id").distinct(), after.select(old="entity_id").distinct()
    t = t.left_join(is_.mutate(stays=True), "old").drop("old_right").left_join(was.mutate(was=True), "new").drop("new_right")
    return t.select(*key, "old", "new", gone=t.stays.isnull(), born=t.was.isnull()).order_by(key)


def changes(moved: pa.Table, at: datetime) -> pa.Table:
    """The rows of history that say so (columns CHANGES)."""
    grouped = moved.group_by(["kind", "old", "new", "gone", "born"]).aggregate([("vendor_id", "count")]).to_pylist()
    rows = [_change(row, at) for row in grouped]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["kind"], row["entity_id"], row["other_id"])), schema=CHANGES)


def _change(row: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    change = MERGED if row["gone"] else SPLIT if row["born"] else MOVED
    first, other = (row["old"], row["new"]) if change == MERGED else (row["new"], row["old"])
    return {
        "kind": row["kind"],
        "entity_id": first,
        "change": change,
        "other_id": other,
        "records": row["vendor_id_count"],
        "changed_at": at,
    }


@dataclass(frozen=True)
class EntityHistory:
    """Rows of CHANGES, of all times."""

    rows: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, *tables: pa.Table) -> EntityHistory:
        rows = [row for table in tables for row in table.select(CHANGES.names).to_pylist()]
        return cls(tuple(sorted(rows, key=lambda row: (row["changed_at"], row["entity_id"], row["other_id"]))))

    def about(self, entity_id: str) -> list[Mapping[str, Any]]:
        """The rows that name the entity, oldest first."""
        return [row for row in self.rows if entity_id in (row["entity_id"], row["other_id"])]

    def heirs(self, entity_id: str, at: datetime) -> set[str]:
        """Who knows what was told of the entity then: itself, and all that its records came to belong to since."""
        found = {entity_id}
        for giver, taker, when in self._passed if entity_id in self._givers else ():
            if when >= at and giver in found:
                found.add(taker)
        return found

    def before(self, entity_id: str) -> dict[str, datetime]:
        """Other entities of which it knows what was told, each with the instant until which."""
        known: dict[str, datetime] = {}
        for giver, taker, when in reversed(self._passed) if entity_id in self._takers else ():
            if taker == entity_id or (taker in known and when <= known[taker]):
                known[giver] = max(when, known.get(giver, when))
        return {giver: when for giver, when in known.items() if giver != entity_id}

    def now(self, entity_id: str) -> str:
        """What an id that is no more is called today: the entity that most of its records came to, step by step."""
        name = entity_id
        for row in self._last_merges:
            if row["change"] == SPLIT:
                name = entity_id if row["entity_id"] == entity_id else name  # it is there again
            elif row["entity_id"] == name:
                name = row["other_id"]
        return name

    @cached_property
    def _passed(self) -> list[tuple[str, str, datetime]]:
        """(giver, taker, when), oldest first."""
        ends: Iterable[tuple[str, str]] = ((r["entity_id"], r["other_id"]) for r in self.rows)
        return [
            (a, b, r["changed_at"]) if r["change"] == MERGED else (b, a, r["changed_at"]) for r, (a, b) in zip(self.rows, ends, strict=True)
        ]

    @cached_property
    def _givers(self) -> frozenset[str]:
        return frozenset(giver for giver, _, _ in self._passed)

    @cached_property
    def _takers(self) -> frozenset[str]:
        return frozenset(taker for _, taker, _ in self._passed)

    @cached_property
    def _last_merges(self) -> list[Mapping[str, Any]]:
        """Of each entity and instant the merge that took most records, and all splits, oldest first."""
        most: dict[tuple[str, datetime], Mapping[str, Any]] = {}
        for row in self.rows:
            key = (row["entity_id"], row["changed_at"])
            if row["change"] != MOVED and (key not in most or row["records"] > most[key]["records"]):
                most[key] = row
        return sorted(most.values(), key=lambda row: row["changed_at"])
