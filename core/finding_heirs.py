"""Findings keep their first day and what people decided about them when their entity is merged, split or renamed.

It must not know rules nor where findings are stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import orjson
import pyarrow as pa

Row = dict[str, Any]


def finding_id(rule: str, entity_id: str, field: str, part: str = "") -> str:
    """One name through time. `part` tells apart findings that one entity and field can have several of (one per mirror)."""
    return sha256("|".join((rule, entity_id, field, part)).encode()).hexdigest()[:20]


def called(row: Row) -> list[str]:
    """The finding's id, and before it those it had under other entities: what people said of it stands under any of them."""
    return [*_evidence(row).get("was", ()), row["finding_id"]]


def named_before(row: Row, ids: Iterable[str]) -> Row:
    """The finding, which had these ids too."""
    was = sorted({*called(row), *ids} - {row["finding_id"]})
    if not was:
        return row
    return {**row, "evidence": orjson.dumps({**_evidence(row), "was": was}, option=orjson.OPT_SORT_KEYS).decode()}


def _evidence(row: Row) -> dict[str, Any]:
    """Of a finding as it is kept, or with its JSON read already."""
    said = row["evidence"] or {}
    return dict(json.loads(said) if isinstance(said, str) else said)


def follow(previous: pa.Table | None, moved: pa.Table) -> pa.Table | None:
    """The findings of the last run under the entities their records belong to now. moved: core.entity_history.MOVES.

    Where two become one, it stands open if either did, and since the earlier day.
    """
    if previous is None or not moved.num_rows:
        return previous
    went: dict[tuple[str, ...], tuple[str, str]] = {}
    heir: dict[str, str] = {}
    for row in moved.to_pylist():
        went[row["kind"], row["account"], row["resource"], row["vendor_id"]] = (row["old"], row["new"])
        if row["gone"]:
            heir.setdefault(row["old"], row["new"])
    olds = {old for old, _ in went.values()}
    rows: dict[str, Row] = {}
    for row in previous.to_pylist():
        row = _under(row, went, heir, olds)
        rows[row["finding_id"]] = _joined(rows.get(row["finding_id"]), row)
    return pa.Table.from_pylist(list(rows.values()), schema=previous.schema)


def _under(row: Row, went: Mapping[tuple[str, ...], tuple[str, str]], heir: Mapping[str, str], olds: set[str]) -> Row:
    part = _evidence(row).get("part", "")
    if row["entity_id"] not in olds and part not in heir:
        return row
    entity = _entity(row, went, heir) if row["entity_id"] in olds else row["entity_id"]
    other = heir.get(part, part)
    if other != part and other < entity:  # of a pair the smaller one comes first
        entity, other = other, entity
    new = {**row, "entity_id": entity, "finding_id": finding_id(row["rule"], entity, row["field"], other)}
    return named_before(new, [row["finding_id"]])


def _entity(row: Row, went: Mapping[tuple[str, ...], tuple[str, str]], heir: Mapping[str, str]) -> str:
    """Where all the finding's records went, else where the entity did."""
    old = str(row["entity_id"])
    goals = {went.get((row["entity_kind"], *record), ("", "")) for record in json.loads(row["records"] or "[]")}
    if len(goals) == 1 and (goal := goals.pop())[0] == old:
        return goal[1]
    return heir.get(old, old)


def _joined(known: Row | None, row: Row) -> Row:
    if known is None:
        return row
    first = min((r["first_seen"] for r in (known, row) if r["first_seen"] is not None), default=None)
    open_ = next((r for r in (known, row) if r["status"] == "open"), known)
    return named_before({**open_, "first_seen": first}, [*called(known), *called(row)])


def renamed(found: list[Row], old: Mapping[str, Row]) -> dict[str, Row]:
    """New finding's id → the one of the last run that is about the same records, rule and field, under another entity.

    Such is a finding that is told at the first of several entities, when another one has become the first.
    """
    names = {row["finding_id"] for row in found}
    lost: dict[tuple[str, ...], list[Row]] = {}
    for row in old.values():
        if row["finding_id"] not in names and row["status"] != "fixed":
            lost.setdefault(_about(row), []).append(row)
    fresh: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        if lost and row["finding_id"] not in old:
            fresh.setdefault(_about(row), []).append(row)
    return {new[0]["finding_id"]: lost[key][0] for key, new in fresh.items() if len(new) == len(lost.get(key, ())) == 1}


def _about(row: Row) -> tuple[str, ...]:
    return (row["rule"], row["entity_kind"], row["field"], row["records"])
