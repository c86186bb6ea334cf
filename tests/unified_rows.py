"""Literal rows of the unified model as Ibis tables: what a test leaves out is null, with the right type."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa

from core.lake_schema import record_schema

NOW = datetime(2026, 6, 30, tzinfo=UTC)
OLD = datetime(2026, 1, 10, 9, tzinfo=UTC)
RESOURCES = {
    ("hubspot", "person"): "contacts", ("hubspot", "company"): "companies", ("hubspot", "deal"): "deals",
    ("salesforce", "person"): "Contact", ("salesforce", "company"): "Account", ("salesforce", "deal"): "Opportunity",
    ("mailchimp", "person"): "members",
}  # fmt: skip


def row(kind: str, account: str, vendor_id: str, /, **values: Any) -> dict[str, Any]:
    """One record. Its vendor is the account's name up to a dash; dates may be texts "2026-05-01" or "2026-05-01T12:00"."""
    vendor = account.split("-")[0]
    base = {
        "account": account, "vendor": vendor, "resource": RESOURCES.get((vendor, kind), kind), "vendor_id": vendor_id,
        "created_at": OLD, "updated_at": OLD, "observed_at": NOW, "deleted": False, "merged_ids": [], "links": [], "attributes": "{}",
    }  # fmt: skip
    return {**base, **{name: _typed(kind, name, value) for name, value in values.items()}}


def _typed(kind: str, name: str, value: Any) -> Any:
    type_ = record_schema(kind).field(name).type
    if isinstance(value, str) and pa.types.is_timestamp(type_):
        return moment(value)
    if isinstance(value, str) and pa.types.is_date(type_):
        return date.fromisoformat(value)
    if value is not None and pa.types.is_decimal(type_):
        return Decimal(str(value))
    return value


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def table(kind: str, rows: list[dict[str, Any]]) -> ibis.Table:
    return ibis.memtable(arrow(kind, rows))


def arrow(kind: str, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=record_schema(kind))


def tables(**rows: list[dict[str, Any]]) -> dict[str, ibis.Table]:
    """tables(person=[row(…), …], deal=[…])"""
    return {kind: table(kind, found) for kind, found in rows.items()}
