"""Pages of raw bytes → Arrow tables of records by kind. One validation call per page, one conversion per column and batch.

It must not know where pages come from or where tables go. A value that no column can hold costs its row, never its page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
import pyarrow as pa

from core.connector import Page
from core.lake_schema import record_schema

Columns = dict[str, list[Any]]
_FILL: dict[str, Any] = {"deleted": False, "links": (), "merged_ids": (), "other_emails": (), "variants": (), "attributes": "{}"}


class Parsed(Protocol):
    @property
    def rows(self) -> list[Any]: ...
    @property
    def rejects(self) -> list[Any]: ...


class Compiled(Protocol):
    """What this module needs of a compiled resource mapping (`core.compile`)."""

    @property
    def kinds(self) -> tuple[str, ...]: ...
    @property
    def fields_asked(self) -> tuple[str, ...]: ...
    def parse(self, body: bytes, rows: str = ..., format: Any = ...) -> Parsed: ...
    def columns(self, rows: Sequence[Any], context: Mapping[str, str] | None = ...) -> list[tuple[str, Columns]]: ...
    def reasons(self, reject: Any) -> list[str]: ...
    def reject_id(self, reject: Any) -> str | None: ...


@dataclass(frozen=True)
class Rejected:
    vendor_id: str | None
    place: str  # file:line:column of the mapping
    reason: str


@dataclass(frozen=True)
class Read:
    """One page, validated: how many rows fit, and how many records of each kind they made."""

    rows: int
    rejects: tuple[Rejected, ...]
    records: Mapping[str, int]


@dataclass
class Batch:
    """Records of one resource collected over pages, by kind, as columns."""

    account: str
    vendor: str
    resource: str
    columns: dict[str, Columns] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.sizes.values())

    def add(self, compiled: Compiled, page: Page) -> Read:
        """Validate a page and keep its records. Raises: VendorError when the page makes no sense."""
        parsed = compiled.parse(page.body, page.rows, page.format)
        rejects = tuple(_rejected(compiled, reject) for reject in parsed.rejects)
        made: dict[str, int] = {}
        for kind, columns in compiled.columns(parsed.rows, page.context) if parsed.rows else ():
            n = len(columns["vendor_id"])
            self._extend(kind, columns, n)
            made[kind] = made.get(kind, 0) + n
        return Read(len(parsed.rows), rejects, made)

    def _extend(self, kind: str, columns: Columns, n: int) -> None:
        mine, before = self.columns.setdefault(kind, {}), self.sizes.get(kind, 0)
        for name, values in columns.items():
            if name in mine:
                mine[name] += values
            else:
                mine[name] = [*[_FILL.get(name)] * before, *values] if before else list(values)
        for name in mine.keys() - columns.keys():
            mine[name] += [_FILL.get(name)] * n
        self.sizes[kind] = before + n

    def tables(self, observed_at: datetime) -> tuple[dict[str, pa.Table], list[Rejected], dict[str, list[int]]]:
        """The records as Arrow tables by kind; what no column can hold, as rejects; and the places those rows had."""
        tables: dict[str, pa.Table] = {}
        rejects: list[Rejected] = []
        dropped: dict[str, list[int]] = {}
        header = {"account": self.account, "vendor": self.vendor, "resource": self.resource, "observed_at": observed_at}
        for kind, columns in self.columns.items():
            try:
                tables[kind] = arrow(kind, columns, self.sizes[kind], header)
            except (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError):
                bad = unfit(kind, columns)
                if not bad:
                    raise
                rejects += [Rejected(str(columns["vendor_id"][i]), "", reason) for i, reason in sorted(bad.items())]
                kept = {name: [v for i, v in enumerate(values) if i not in bad] for name, values in columns.items()}
                tables[kind] = arrow(kind, kept, self.sizes[kind] - len(bad), header)
                dropped[kind] = sorted(bad)
        return tables, rejects, dropped


def arrow(kind: str, columns: Columns, n: int, header: Mapping[str, Any]) -> pa.Table:
    """Columns as an Arrow table; header values are repeated on every row. Columns nobody mapped are left out."""
    fields, arrays = [], []
    for f in record_schema(kind):
        if f.name in columns:
            array = pa.array(columns[f.name], f.type)
        elif f.name in header:
            array = pa.repeat(pa.scalar(header[f.name], f.type), n)
        elif f.name in ("deleted", "merged_into"):
            array = pa.nulls(n, f.type) if f.name == "merged_into" else pa.repeat(pa.scalar(False), n)
        else:
            continue
        fields.append(f)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def unfit(kind: str, columns: Columns) -> dict[int, str]:
    """Places of values that their column cannot hold, with the reason. Slow; only called when a conversion failed."""
    schema = record_schema(kind)
    bad: dict[int, str] = {}
    for name, values in columns.items():
        type_ = schema.field(name).type
        try:
            pa.array(values, type_)
            continue
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError):
            pass
        for i, value in enumerate(values):
            try:
                pa.array([value], type_)
            except (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError):
                bad.setdefault(i, f"{kind}.{name}: the value does not fit a {type_}")
    return bad


def fingerprint(compiled: Any) -> str:
    """Says whether two mappings of a resource read rows alike: a change here makes the resource be read whole again."""
    own = getattr(compiled, "fingerprint", None)
    if own is not None:
        return str(own)
    document = getattr(compiled, "document", None)
    data = getattr(document, "data", None) or {}
    parts = [data.get("resources", {}).get(compiled.name), data.get("stages")] if data else [repr(compiled)]
    parts += [getattr(compiled, "timezone", ""), getattr(compiled, "currency", "")]
    return hashlib.blake2b(orjson.dumps(parts, default=str, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _rejected(compiled: Compiled, reject: Any) -> Rejected:
    reasons = compiled.reasons(reject) or ["the row does not fit the mapping"]
    first = reasons[0].split(": ", 1)
    place, reason = (first[0], first[1]) if len(first) == 2 else ("", first[0])
    return Rejected(compiled.reject_id(reject), place, "; ".join([reason, *reasons[1:]]))
