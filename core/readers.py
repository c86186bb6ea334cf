"""Typed reads: for each `read:` the Rust schema that validates and converts one value, and what is left to do per column.

A schema here never calls Python for a good value. "" is null for every read, on every channel. What Rust cannot do
(split a list, shift minor units) is done over whole columns afterwards, and only for the fields that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import CoreSchema
from pydantic_core import core_schema as cs

from core.mapping_document import FieldSpec
from core.values import as_text, from_minor_units, normal_domain, salesforce_id18

Column = list[Any]
_CENT_MICROS = Decimal("0.000001")  # the lake keeps six decimal places
_LIMIT = Decimal(10) ** 18
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EMAIL = r"^[^@\s]+@[^@\s]+$"
# A far-off epoch is a mistake, not a date: years 1900 to 3000.
_EPOCH_MIN, _EPOCH_MAX = -2_208_988_800, 32_503_680_000


def _text(**more: Any) -> CoreSchema:
    return cs.str_schema(coerce_numbers_to_str=True, min_length=1, **more)


_EMPTY = cs.chain_schema([cs.literal_schema([""]), cs.with_default_schema(cs.none_schema(), default=None, on_error="default")])
_NUMBER = cs.float_schema(allow_inf_nan=False)
_DECIMAL = cs.decimal_schema(gt=-_LIMIT, lt=_LIMIT)
_DATETIME = cs.datetime_schema(tz_constraint="aware")
_WORD = cs.union_schema([_text(), cs.bool_schema(strict=True)], mode="left_to_right")
SCHEMAS: dict[str, CoreSchema] = {
    "text": _text(),
    "email": cs.str_schema(strip_whitespace=True, to_lower=True, pattern=_EMAIL),
    "integer": cs.int_schema(),
    "number": _NUMBER,
    "decimal": _DECIMAL,
    "money": _DECIMAL,
    "currency": cs.str_schema(strip_whitespace=True, to_upper=True, min_length=3, max_length=3),
    "boolean": cs.bool_schema(),  # a fixed table of words (true false yes no on off t f y n 1 0); anything else is an error
    "date": cs.union_schema([cs.date_schema(), _DATETIME], mode="left_to_right"),
    "datetime": _DATETIME,
    "midnight": cs.union_schema([_DATETIME, cs.date_schema()], mode="left_to_right"),
    "epoch_s": cs.float_schema(ge=_EPOCH_MIN, le=_EPOCH_MAX),
    "epoch_ms": cs.float_schema(ge=_EPOCH_MIN * 1000, le=_EPOCH_MAX * 1000),
    "epoch_us": cs.float_schema(ge=_EPOCH_MIN * 1_000_000, le=_EPOCH_MAX * 1_000_000),
    "percent": _NUMBER,
    "basis_points": _NUMBER,
    "list": cs.union_schema([_text(), cs.list_schema(_WORD)], mode="left_to_right"),
    "id18": _text(),
    "domain": _text(),
    "decimal_text": _DECIMAL,
    "json": cs.any_schema(),
    "word": _WORD,
}


def schema_for(read: str, spec: FieldSpec | None = None, *, required: bool = False) -> CoreSchema:
    """The schema of one value: null and "" give None and an absent key too, unless `required`."""
    inner = SCHEMAS[read]
    if required:
        return inner
    if spec is not None and spec.values is not None and spec.otherwise == "reject":
        inner = cs.literal_schema(_table_keys(spec.values))
    if read == "json":
        return cs.with_default_schema(inner, default=None)
    return cs.with_default_schema(cs.nullable_schema(cs.union_schema([inner, _EMPTY], mode="left_to_right")), default=None)


@dataclass(frozen=True)
class Around:
    """What a column may need to know beside itself: the organisation's zone and currency, and the record's currency column."""

    zone: str = "UTC"
    currency: str | None = None
    currencies: Column | None = None


def finish(column: Column, read: str, spec: FieldSpec, around: Around) -> Column:
    """The column as the unified field wants it. The common reads come back untouched."""
    if read in _FINISH:
        column = _FINISH[read](column, spec, around)
    if spec.values is not None:
        column = _translate(column, spec)
    if spec.negate:
        column = [None if v is None else not v for v in column]
    if spec.default is not None:
        column = [spec.default if v is None else v for v in column]
    return column


def _finish_date(column: Column, spec: FieldSpec, around: Around) -> Column:
    """A time of day is turned into the organisation's day; a plain date (or a midnight, which vendors mean as one) stays."""
    if all(type(v) is not datetime for v in column):
        return column
    zone = _zone(around.zone)
    return [v.astimezone(zone).date() if type(v) is datetime else v for v in column]


def _finish_decimal(column: Column, spec: FieldSpec, around: Around) -> Column:
    if spec.minor_units:
        currencies = around.currencies or [around.currency] * len(column)
        column = [None if v is None else from_minor_units(v, c) for v, c in zip(column, currencies, strict=True)]
    return [None if v is None else v.quantize(_CENT_MICROS) for v in column]


def _finish_list(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [() if v is None else _items(v, spec.separator) for v in column]


def _items(value: Any, separator: str) -> tuple[str, ...]:
    parts = value.split(separator) if isinstance(value, str) else [_word_text(v) for v in value]
    return tuple(part.strip() for part in parts if part.strip())


def _finish_epoch_s(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else datetime.fromtimestamp(v, UTC) for v in column]


def _finish_epoch_ms(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else datetime.fromtimestamp(v / 1000, UTC) for v in column]


def _finish_epoch_us(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else _EPOCH + timedelta(microseconds=v) for v in column]


def _finish_midnight(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [v if v is None or type(v) is datetime else datetime(v.year, v.month, v.day, tzinfo=UTC) for v in column]


def _finish_domain(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else normal_domain(v) for v in column]


def _finish_decimal_text(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [as_text(v) for v in column]


def _finish_percent(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else v / 100 for v in column]


def _finish_basis_points(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else v / 10_000 for v in column]


def _finish_id18(column: Column, spec: FieldSpec, around: Around) -> Column:
    return [None if v is None else salesforce_id18(v) for v in column]


_FINISH: dict[str, Callable[[Column, FieldSpec, Around], Column]] = {
    "date": _finish_date,
    "decimal": _finish_decimal,
    "money": _finish_decimal,
    "list": _finish_list,
    "epoch_s": _finish_epoch_s,
    "epoch_ms": _finish_epoch_ms,
    "epoch_us": _finish_epoch_us,
    "percent": _finish_percent,
    "basis_points": _finish_basis_points,
    "midnight": _finish_midnight,
    "domain": _finish_domain,
    "decimal_text": _finish_decimal_text,
    "id18": _finish_id18,
}


def _translate(column: Column, spec: FieldSpec) -> Column:
    table = _table(spec.values or {})
    if spec.otherwise == "keep":
        return [None if v is None else table[v] if v in table else _word_text(v) for v in column]
    return list(map(table.get, column))


def _table(values: Mapping[str, Any]) -> dict[Any, Any]:
    """The value table, with its true/false keys also as the booleans a vendor's JSON may hold."""
    table: dict[Any, Any] = {key: value for key, value in values.items() if value is not None}
    table.update({word == "true": values[word] for word in ("true", "false") if word in values})
    return table


def _table_keys(values: Mapping[str, Any]) -> list[Any]:
    return [*values, *(word == "true" for word in ("true", "false") if word in values)]


def _word_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
