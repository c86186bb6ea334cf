"""Pages of raw bytes → Arrow tables of records by kind. One validation call per page, one conversion per column and batch.

It must not know where pages come from or where tables go. A value that no column can hold costs its row, never its page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
import pyarrow as pa

from core.connector import Page
from core.lake_schema import record_schema

Columns = dict[str, list[Any]]
# Values are turned into Arrow while they are still in the processor's cache: twice as fast as 20,000 rows at once.
SLICE_ROWS = 400
_UNFIT = (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError)
_FILL: dict[str, Any] = {
    "deleted": False, "links": (), "merged_ids": (), "other_emails": (), "variants": (), "pages": (), "attributes": "{}",
}  # fmt: skip


class Parsed(Protocol):
    @property
    def rows(self) -> list[Any]: ...
    @property
    def rejects(self) -> list[Any]: ...
    @property
    def unread(self) -> list[Any]: ...


class Compiled(Protocol):
    """What this module needs of a compiled resource mapping (`core.compile`)."""

    @property
    def kinds(self) -> tuple[str, ...]: ...
    @property
    def fields_asked(self) -> tuple[str, ...]: ...
    def parts(self, body: bytes, rows: str = ..., format: Any = ...) -> Iterable[Parsed]: ...
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
    """One page, validated: how many rows fit, the ones that do not, and the values that count as empty, by field."""

    rows: int
    rejects: tuple[Rejected, ...]
    unread: tuple[tuple[str, Rejected], ...] = ()


@dataclass
class Batch:
    """Records of one resource collected over pages, by kind. `sizes` counts them; unfit ones are counted too."""

    account: str
    vendor: str
    resource: str
    sizes: dict[str, int] = field(default_factory=dict)
    _columns: dict[str, Columns] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)
    _slices: dict[str, list[pa.Table]] = field(default_factory=dict)
    _unfit: list[Rejected] = field(default_factory=list)
    _dropped: dict[str, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.sizes.values())

    def add(self, compiled: Compiled, page: Page) -> Read:
        """Validate a page and keep its records. Raises: VendorError when the page makes no sense."""
        rows, rejects, unread = 0, list[Rejected](), list[tuple[str, Rejected]]()
        for part in compiled.parts(page.body, page.rows, page.format):
            rows += len(part.rows)
            rejects += [_rejected(compiled, reject, page) for reject in part.rejects]
            unread += [(u.label, Rejected(u.vendor_id, u.place, _standing(page, u.row, u.reason))) for u in part.unread]
            for kind, columns in compiled.columns(part.rows, page.context) if part.rows else ():
                self._extend(kind, columns, len(columns["vendor_id"]))
        rejects += [Rejected(None, place, reason) for place, reason in page.rejects]
        unread += [(label, Rejected(None, place, reason)) for label, place, reason in page.unread]
        return Read(rows, tuple(rejects), tuple(unread))

    def _extend(self, kind: str, columns: Columns, n: int) -> None:
        mine, before = self._columns.setdefault(kind, {}), self._waiting.get(kind, 0)
        for name, values in columns.items():
            if name in mine:
                mine[name] += values
            else:
                mine[name] = [*[_FILL.get(name)] * before, *values] if before else list(values)
        for name in mine.keys() - columns.keys():
            mine[name] += [_FILL.get(name)] * n
        self.sizes[kind] = self.sizes.get(kind, 0) + n
        self._waiting[kind] = before + n
        if before + n >= SLICE_ROWS:
            self._convert(kind)

    def _convert(self, kind: str) -> None:
        columns, n = self._columns.pop(kind, {}), self._waiting.pop(kind, 0)
        if n == 0:
            return
        header = {"account": self.account, "vendor": self.vendor, "resource": self.resource}
        try:
            table = arrow(kind, columns, n, header)
        except _UNFIT:
            bad = unfit(kind, columns)
            if not bad:
                raise
            self._unfit += [Rejected(str(columns["vendor_id"][i]), "", reason) for i, reason in sorted(bad.items())]
            self._dropped.setdefault(kind, []).extend(self.sizes[kind] - n + i for i in sorted(bad))
            kept = {name: [v for i, v in enumerate(values) if i not in bad] for name, values in columns.items()}
            table = arrow(kind, kept, n - len(bad), header)
        self._slices.setdefault(kind, []).append(table)

    def tables(self, observed_at: datetime) -> tuple[dict[str, pa.Table], list[Rejected], dict[str, list[int]]]:
        """The records as Arrow tables by kind; what no column can hold, as rejects; and the places those rows had. Empties the batch."""
        for kind in list(self._columns):
            self._convert(kind)
        tables = {}
        for kind in list(self._slices):
            table = pa.concat_tables(self._slices.pop(kind), promote_options="default").combine_chunks()
            seen = record_schema(kind).field("observed_at")
            tables[kind] = table.append_column(seen, pa.repeat(pa.scalar(observed_at, seen.type), table.num_rows))
        return tables, self._unfit, self._dropped


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
        except _UNFIT:
            pass
        for i, value in enumerate(values):
            try:
                pa.array([value], type_)
            except _UNFIT:
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
    parts += [read] if (read := data.get("reads", {}).get(compiled.name)) else []
    parts += [getattr(compiled, "timezone", ""), getattr(compiled, "currency", "")]
    return hashlib.blake2b(orjson.dumps(parts, default=str, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _rejected(compiled: Compiled, reject: Any, page: Page) -> Rejected:
    reasons = compiled.reasons(reject) or ["the row does not fit the mapping"]
    first = reasons[0].split(": ", 1)
    place, reason = (first[0], first[1]) if len(first) == 2 else ("", first[0])
    return Rejected(compiled.reject_id(reject), place, _standing(page, reject.row, "; ".join([reason, *reasons[1:]])))


def _standing(page: Page, row: int, reason: str) -> str:
    """The reason, after where the row stands in its source, when the page knows."""
    return f"{page.place(row)}: {reason}" if page.place else reason
