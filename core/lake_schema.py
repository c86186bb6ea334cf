"""Arrow schemas of the lake's tables, derived from the unified model. It must not know how or where they are stored."""

from __future__ import annotations

import types
import typing
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa

from core.model import KINDS

MOMENT = pa.timestamp("us", "UTC")
MONEY = pa.decimal128(24, 6)
_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), Decimal: MONEY, date: pa.date32(), datetime: MOMENT,
}  # fmt: skip
# What the lake knows of a row beside the record: `version` = batch number << 24 | place in the batch; larger is newer.
SYSTEM = (
    pa.field("version", pa.int64()),
    pa.field("content_hash", pa.int64()),
    pa.field("batch_id", pa.int64()),
    pa.field("run_id", pa.string()),
)
BATCH_SHIFT = 24
# Kinds that are computed, not pulled: a run's rows replace those of the run before.
_RUN = [("run_id", pa.string()), ("batch_id", pa.int64())]
DERIVED: dict[str, pa.Schema] = {
    "member": pa.schema(
        [*((n, pa.string()) for n in ("entity_id", "kind", "account", "resource", "vendor_id")), ("live", pa.bool_()), *_RUN]
    ),
    "link": pa.schema([*((n, pa.string()) for n in ("kind", "left_key", "right_key", "evidence", "detail")), *_RUN]),
    "cut": pa.schema([*((n, pa.string()) for n in ("kind", "left_key", "right_key", "evidence", "detail", "why", "part")), *_RUN]),
    "entity_change": pa.schema(
        [*((n, pa.string()) for n in ("kind", "entity_id", "change", "other_id")), ("records", pa.int64()), ("changed_at", MOMENT), *_RUN]
    ),
    "suggestion": pa.schema(
        [
            *((n, pa.string()) for n in ("left_id", "right_id", "left_key", "right_key")),
            ("match_weight", pa.float64()),
            ("probability", pa.float64()),
            *_RUN,
        ]
    ),
}
LOGS = ("entity_change",)  # computed kinds whose runs add to each other


@cache
def record_schema(kind: str) -> pa.Schema:
    """Columns of a pulled kind: the model's fields in their order, then the lake's own."""
    hints = typing.get_type_hints(KINDS[kind])
    fields = [pa.field(name, pa.string() if name == "attributes" else _arrow_type(hints[name])) for name in KINDS[kind].model_fields]
    return pa.schema([*fields, *SYSTEM])


def _arrow_type(hint: Any) -> pa.DataType:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    return _TYPES[hint]


def known_schema(kind: str) -> pa.Schema | None:
    return record_schema(kind) if kind in KINDS else DERIVED.get(kind)
