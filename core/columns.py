"""Rows of a page → columns of unified records, by plan. All work is per column; the hot ones are one C loop each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import orjson
from pydantic_core import SchemaValidator

from core.errors import UserError
from core.model import KINDS
from core.plans import Key, OutputPlan, StagePlan, Value
from core.readers import Around, Column, finish, schema_for
from core.stages import StageRow

Columns = dict[str, Column]
_NEVER_NONE: dict[str, Any] = {"deleted": False, "merged_ids": ()}
_NO_ATTRIBUTES = "{}"


def records(plan: OutputPlan, rows: Sequence[Any], context: Mapping[str, str], zone: str, currency: str | None) -> Columns:
    """The columns of one output. `vendor_id` is always among them; all columns are equally long."""
    level = _Level(plan, rows, context)
    columns: Columns = {"vendor_id": _ids(plan, level)}
    around = Around(zone, currency)
    for name, value in plan.fields.items():
        beside = around
        if value.read == "money":
            columns["currency"] = _currency(plan, name, level, currency, columns)
            beside = Around(zone, currency, columns["currency"])
        column = level.column(value, beside)
        columns[name] = [_NEVER_NONE[name] if v is None else v for v in column] if name in _NEVER_NONE else column
    if plan.stage:
        _add_stage(plan.kind, plan.stage, columns, level, around)
    if plan.links:
        columns["links"] = _links(plan, level, around)
    if plan.attributes:
        columns["attributes"] = _attributes(plan, level, around)
    return columns


class _Level:
    """The slots of all rows (or of all items of the exploded list) as columns."""

    def __init__(self, plan: OutputPlan, rows: Sequence[Any], context: Mapping[str, str]) -> None:
        self._context = context
        rows = _filtered(rows, [when for when in plan.when if when[0].scope == "row"])
        items: list[Any] | None = None
        if plan.each is not None:
            rows, items = _explode(plan, rows)
        self.length = len(rows) if items is None else len(items)
        self._row = _transposed(plan.row_keys, rows)
        self._item = _transposed(plan.item_keys, items or [])

    def column(self, value: Value, around: Around) -> Column:
        if value.scope == "const":
            return [_constant(value)] * self.length
        if value.scope == "context":
            read = SchemaValidator(schema_for(value.read)).validate_python(self._said(value.name))
            raw: Sequence[Any] = [read] * self.length
        elif value.scope == "many":
            raw = self._combined(value, around)
            return finish(raw, "word", value.spec, around)
        else:
            raw = (self._row if value.scope == "row" else self._item)[value.slot]
        return finish(list(raw), value.read, value.spec, around)

    def _said(self, name: str) -> str:
        if name not in self._context:
            given = ", ".join(f"context.{known}" for known in sorted(self._context)) or "none"
            raise UserError(f"this resource's pages do not say context.{name}", next_step=f"use what they say: {given}")
        return self._context[name]

    def _combined(self, value: Value, around: Around) -> Column:
        """Of several values the first that is not empty, or all that are not empty as one text."""
        rows = zip(*(self.column(part, around) for part in value.parts), strict=True)
        join = value.spec.join
        if join is None:
            return [next((v for v in row if v is not None), None) for row in rows]
        return [join.join(str(v) for v in row if v is not None) or None for row in rows]


def _constant(value: Value) -> Any:
    """A constant in the field's own type, so that `const: 2026-01-01` in a date field is a date."""
    if value.spec.const is None or value.read in ("text", "word", "json"):
        return value.spec.const
    return finish([SchemaValidator(schema_for(value.read)).validate_python(value.spec.const)], value.read, value.spec, Around())[0]


def _filtered(rows: Sequence[Any], whens: Sequence[tuple[Value, frozenset[Any]]]) -> Sequence[Any]:
    for value, wanted in whens:
        rows = [row for row in rows if row[value.slot] in wanted]
    return rows


def _explode(plan: OutputPlan, rows: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The items of all rows, filtered, and beside each the row it came from."""
    lists = [row[plan.each] or () for row in rows]
    around = chain.from_iterable(map(repeat, rows, map(len, lists)))
    pairs = list(zip(around, chain.from_iterable(lists), strict=True))
    for value, wanted in (when for when in plan.when if when[0].scope == "item"):
        pairs = [pair for pair in pairs if pair[1][value.slot] in wanted]
    return [row for row, _ in pairs], [item for _, item in pairs]


def _transposed(keys: tuple[Key, ...], rows: Sequence[Any]) -> dict[Key | None, Sequence[Any]]:
    if not keys:
        return {}
    if len(keys) == 1:
        return {keys[0]: [row[keys[0]] for row in rows]}
    columns: Any = zip(*map(itemgetter(*keys), rows), strict=True) if rows else repeat(())
    return dict(zip(keys, columns, strict=False))


def _ids(plan: OutputPlan, level: _Level) -> Column:
    columns = [level.column(value, Around()) for value in plan.ids]
    return columns[0] if len(columns) == 1 else list(map(":".join, zip(*columns, strict=True)))


def _currency(plan: OutputPlan, name: str, level: _Level, default: str | None, columns: Columns) -> Column:
    """The currency beside a money field: the vendor's, else the organisation's."""
    source = plan.currency.get(name)
    if isinstance(source, str):
        return [source] * level.length
    known = level.column(source, Around()) if source else columns.get("currency")
    if known is None and "currency" in plan.fields:
        known = level.column(plan.fields["currency"], Around())
    return [default] * level.length if known is None else [code or default for code in known]


def _add_stage(kind: str, stage: StagePlan, columns: Columns, level: _Level, around: Around) -> None:
    raw = level.column(stage.raw, around)
    pipelines = level.column(stage.pipeline, around) if stage.pipeline else None
    found = _meanings(stage, raw, pipelines, columns)
    made: Columns = {"raw_stage": raw, "stage": [row and row.milestone for row in found]}
    if pipelines is not None:
        made["pipeline_id"] = pipelines
    if kind == "deal":
        made["pipeline_stage"] = [row and row.pipeline_stage for row in found]
        made["outcome"] = [row and row.outcome for row in found]
    for name, column in made.items():
        if name in KINDS[kind].model_fields:
            columns.setdefault(name, column)


def _meanings(stage: StagePlan, raw: Column, pipelines: Column | None, columns: Columns) -> list[StageRow | None]:
    table = stage.table
    if table.dated and (days := _days(columns)) is not None:
        places = pipelines if pipelines is not None else repeat(None)
        return [table.find(place, value, day) for place, value, day in zip(places, raw, days, strict=False)]
    get = table.current.get
    if pipelines is None:
        return list(map(get, raw))
    return [get(f"{place}/{value}") or get(value) for place, value in zip(pipelines, raw, strict=True)]


def _days(columns: Columns) -> Column | None:
    """The day whose meaning of a stage counts: when it was entered, else when the record was last changed."""
    instants = columns.get("entered_at") or columns.get("stage_entered_at") or columns.get("updated_at")
    return None if instants is None else [_day(v) for v in instants]


def _day(value: Any) -> date | None:
    return value.date() if isinstance(value, datetime) else value


def _links(plan: OutputPlan, level: _Level, around: Around) -> Column:
    """("salesforce:Contact:003…", …) per record; most records have no link of most kinds, so those cost least."""
    links: Column = [()] * level.length
    for head, value in plan.links:
        column = level.column(value, around)
        links = [known if not ids else (*known, *_linked(head, ids)) for known, ids in zip(links, column, strict=True)]
    return links


def _linked(head: str, ids: Any) -> tuple[str, ...]:
    return (head + ids,) if isinstance(ids, str) else tuple(head + one for one in ids)


def _attributes(plan: OutputPlan, level: _Level, around: Around) -> Column:
    assert plan.attributes is not None
    if plan.attributes.whole is not None:
        return _as_json(level.column(plan.attributes.whole, around))
    names = list(plan.attributes.parts)
    columns = [level.column(value, around) for value in plan.attributes.parts.values()]
    return _as_json([dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)])


def _as_json(column: Column) -> Column:
    try:
        return [_NO_ATTRIBUTES if v is None else orjson.dumps(v, default=str).decode() for v in column]
    except TypeError:  # an integer of more than 64 bits, or the like: rare, so the slow road is for such pages only
        return [_NO_ATTRIBUTES if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in column]
