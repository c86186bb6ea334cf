"""One resource of a mapping, compiled: page bytes → validated rows, in one call in Rust; rows → columns of unified records.

Rows are never touched one by one in Python: a page is validated at once, transposed at once, and what remains is done
per column. A bad row becomes a Reject and never fails its page; its reasons are looked for only when somebody asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
import xxhash
from pydantic import ValidationError
from pydantic_core import CoreConfig, SchemaValidator
from pydantic_core import core_schema as cs

from core import csv_cells
from core.columns import Columns, records
from core.errors import VendorError
from core.mapping_document import FieldSpec, Output
from core.model import KINDS
from core.paths import parse_path
from core.plans import OutputPlan, Planner, Slots, Use, default_read, is_currency_code
from core.readers import Unread
from core.stages import StageTable
from core.yaml_positions import Document, Loc

Format = Literal["json", "csv"]
_UNHASHED = frozenset({"observed_at", "account", "vendor", "resource", "version", "content_hash", "batch_id", "run_id"})


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that does not fit its mapping, as it came, and its number in the page."""

    raw: Any
    row: int = field(default=0, compare=False)


class Unreadable(NamedTuple):
    """A value that could not be read and counts as empty: of which row, and which line of the mapping asked for it."""

    vendor_id: str | None
    place: str
    label: str
    reason: str
    row: int = 0  # its number in the page


class Parsed(NamedTuple):
    """A page: rows ready for `Compiled.columns`, the rows that do not fit, and the values that count as empty."""

    rows: list[Any]
    rejects: list[Reject]
    unread: list[Unreadable]


@dataclass(frozen=True)
class Program:
    """A resource's plan on one channel, with its validators."""

    slots: Slots
    outputs: tuple[OutputPlan, ...]

    @cached_property
    def row_schema(self) -> cs.CoreSchema:
        return self.slots.schema()

    @cached_property
    def rows(self) -> SchemaValidator:
        return SchemaValidator(self._list(), CoreConfig(cache_strings="keys"))

    @cached_property
    def one(self) -> SchemaValidator:
        return SchemaValidator(self.row_schema, CoreConfig(loc_by_alias=False))

    def page(self, path: str) -> SchemaValidator:
        """The validator of a page whose rows lie at `path`."""
        if not path:
            return self.rows
        parts: Any = path.split(".")
        field_ = cs.typed_dict_field(self._list(), validation_alias=parts)
        return SchemaValidator(cs.typed_dict_schema({"rows": field_}), CoreConfig(cache_strings="keys"))

    def _list(self) -> cs.CoreSchema:
        """Rows or rejects. Left to right: the reject is only built when the row failed, so good rows pay nothing for it."""
        return cs.list_schema(cs.union_schema([self.row_schema, cs.no_info_plain_validator_function(Reject)], mode="left_to_right"))


@dataclass(frozen=True)
class Compiled:
    """A resource of a mapping. `fields_asked` are the vendor paths the connector must ask for."""

    name: str
    kinds: tuple[str, ...]
    fields_asked: tuple[str, ...]
    json: Program
    csv: Program
    key: str
    document: Document
    timezone: str = "UTC"
    currency: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)  # path → read, of what is no plain text
    _pages: dict[str, SchemaValidator] = field(default_factory=dict, compare=False, repr=False)

    def adapter(self, rows: str = "") -> SchemaValidator:
        """The validator of a JSON page whose rows lie at `rows`: the list itself for "", else under the key "rows"."""
        if rows not in self._pages:
            self._pages[rows] = self.json.page(rows)
        return self._pages[rows]

    def parts(self, body: bytes, rows: str = "", format: Format = "json") -> Iterator[Parsed]:
        """The page's rows and rejects, in order: JSON at once, CSV a few hundred rows at a time. Use each part before the next.

        In CSV, columns the mapping does not know are ignored. Raises: VendorError when the page is no JSON, has no list at `rows`,
        or is no CSV.
        """
        if format == "json":
            yield self._parsed(self._found(body, rows), self.json)
            return
        names, start = [str(parts[0]) for parts in self.csv.slots.parts.values()], 0
        for cells in csv_cells.parts(body, names, self.name):
            yield self._table(cells, start)
            start += len(cells)

    def parse(self, body: bytes, rows: str = "", format: Format = "json") -> Parsed:
        """All parts in one."""
        first, *more = list(self.parts(body, rows, format)) or [Parsed([], [], [])]
        return Parsed(*(sum((getattr(part, name) for part in more), getattr(first, name)) for name in Parsed._fields))

    def _found(self, body: bytes, rows: str) -> list[Any]:
        validator = self.adapter(rows)
        self.json.slots.unread.clear()
        try:
            found = validator.validate_json(body)
        except ValidationError:
            found = self._second_try(validator, body, rows)
        return found["rows"] if rows else found  # type: ignore[no-any-return]

    def parse_rows(self, rows: Sequence[Mapping[str, str]]) -> Parsed:
        """The same for flat dicts with dotted keys."""
        paths = [str(parts[0]) for parts in self.csv.slots.parts.values()]
        return self._table([tuple(row.get(path) or None for path in paths) for row in rows])

    def _table(self, cells: list[Any], start: int = 0) -> Parsed:
        self.csv.slots.unread.clear()
        return self._parsed(self.csv.rows.validate_python(cells), self.csv, start)

    def _parsed(self, found: list[Any], program: Program, start: int = 0) -> Parsed:
        rejects = [replace(row, row=i) for i, row in enumerate(found, start) if type(row) is Reject]
        if not program.slots.unread:
            return Parsed([row for row in found if type(row) is not Reject] if rejects else found, rejects, [])
        rows: list[Any] = []
        unread: list[Unreadable] = []
        for i, row in enumerate(found, start):
            if type(row) is not Reject:
                mine: list[Unreadable] = []
                rows.append(self._emptied(row, program.slots, self._id(row, program), mine))
                unread += [one._replace(row=i) for one in mine]
        return Parsed(rows, rejects, unread)

    def _emptied(self, row: Any, slots: Slots, vendor_id: str | None, unread: list[Unreadable]) -> Any:
        """The row with None for what could not be read; each is told in `unread`, without the value itself."""
        items = dict(enumerate(row) if isinstance(row, tuple) else row)
        for key, value in items.items():
            if type(value) is Unread:
                use, items[key] = slots.uses[key], None
                place = self.document.where(use.loc)
                unread.append(Unreadable(vendor_id, place, use.label, f"{use.label}: not a value of type {use.read}; read as empty"))
            elif key in slots.lists and value:
                items[key] = [self._emptied(item, slots.lists[key], vendor_id, unread) for item in value]
        return tuple(items.values()) if isinstance(row, tuple) else items

    def _id(self, row: Any, program: Program) -> str | None:
        """The first part of the row's id that the row itself says."""
        keys = [value.slot for plan in program.outputs for value in plan.ids if value.scope == "row" and value.slot is not None]
        return str(row[keys[0]]) if keys else None

    def columns(self, rows: Sequence[Any], context: Mapping[str, str] | None = None) -> list[tuple[str, Columns]]:
        """(kind, columns) for each output with at least one record. Columns are the mapped fields of that kind.

        A field that is not mapped has no column. `account`, `vendor`, `resource` and `observed_at` are the caller's to
        add. `attributes` are JSON text; `deleted`, `links` and `merged_ids` are never None. Rows of one call must come
        from one format and one context.
        """
        if not rows:
            return []
        program = self.csv if type(rows[0]) is tuple else self.json
        made = ((plan.kind, records(plan, rows, context or {}, self.timezone, self.currency)) for plan in program.outputs)
        return [(kind, columns) for kind, columns in made if columns["vendor_id"]]

    def reasons(self, reject: Reject) -> list[str]:
        """Why the row does not fit, one line per field: "mappings/hubspot.yaml:31:14: email: …". Never the value itself."""
        program = self.csv if isinstance(reject.raw, tuple) else self.json
        try:
            if program is self.json:
                program.one.validate_json(orjson.dumps(reject.raw, default=str))
            else:
                program.one.validate_python(reject.raw)
        except (ValidationError, TypeError) as e:
            errors = e.errors(include_url=False, include_context=False, include_input=False) if isinstance(e, ValidationError) else []
            found = {self._use(program.slots, error["loc"]): error["msg"] for error in reversed(errors)}
            return [f"{self.document.where(use.loc)}: {use.label}: {_reason(message)}" for use, message in reversed(found.items())]
        return [f"{self.document.where(('resources', self.name))}: the row could not be read"]

    def reject_id(self, reject: Reject) -> str | None:
        """The vendor's id of a reject, when it can be found: what a person looks the row up by."""
        if isinstance(reject.raw, tuple):
            places = [i for i, parts in enumerate(self.csv.slots.parts.values()) if parts == (self.key,)]
            value: Any = reject.raw[places[0]] if places else None
        else:
            value = reject.raw
            for part in self.key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        return None if value is None else str(value)

    def hashes(self, kind: str, columns: Columns) -> list[int]:
        """One signed 64-bit content hash per record: what changed since, apart from when we looked. Names decide the order."""
        names = sorted(name for name in columns if name not in _UNHASHED)
        rows = zip(*(columns[name] for name in names), strict=True)
        head = orjson.dumps([kind, names])
        seed = xxhash.xxh3_64_intdigest(head)
        numbers = (xxhash.xxh3_64_intdigest(orjson.dumps(row, default=str), seed) for row in rows)
        return np.fromiter(numbers, dtype=np.uint64, count=len(columns[names[0]])).view(np.int64).tolist()  # type: ignore[no-any-return]

    def _use(self, slots: Slots, loc: Sequence[str | int]) -> Use:
        """The line of the mapping that asked for the slot in which pydantic found the mistake."""
        use = Use("row", ("resources", self.name))
        for step in loc:
            if step in slots.uses:
                use = slots.uses[step]
            if step in slots.lists:
                slots = slots.lists[step]
            elif step in slots.uses:
                break
        return use

    def _second_try(self, validator: SchemaValidator, body: bytes, rows: str) -> Any:
        """Half a surrogate pair in a text is refused by Rust's parser; Python's reads it, and we drop that half only."""
        try:
            text = json.dumps(json.loads(body.decode("utf-8", "replace")), ensure_ascii=False)
        except ValueError as e:
            message = f"{self.name}: the answer is not JSON ({len(body)} bytes)"
            raise VendorError(message, next_step="run again; if it stays so, see the vendor's status page") from e
        try:
            return validator.validate_json(text.encode("utf-8", "replace"))
        except ValidationError as e:
            message = f"{self.name}: the answer has no list at {rows or 'its top'!r}"
            raise VendorError(message, next_step="the vendor's API may have changed") from e


def compile_resource(
    name: str,
    outputs: list[Output],
    key: str,
    tables: Mapping[str, StageTable],
    document: Document,
    *,
    timezone: str = "UTC",
    currency: str | None = None,
) -> Compiled:
    """The resource's two programs. The outputs must have passed `check_mapping`."""
    one = not isinstance(document.data["resources"][name], list)
    locs: list[Loc] = [("resources", name) if one else ("resources", name, i) for i in range(len(outputs))]
    programs = []
    for flat in (False, True):
        planner = Planner(key, locs, tables, flat)
        plans = tuple(planner.plan(outputs))
        programs.append(Program(planner.slots, plans))
    kinds = tuple(dict.fromkeys(output.kind for output in outputs))
    asked, types = fields_asked(outputs, key), types_read(outputs)
    return Compiled(name, kinds, asked, programs[0], programs[1], key, document, timezone, currency, types)


def fields_asked(outputs: Iterable[Output], key: str) -> tuple[str, ...]:
    """The vendor paths a connector must ask for, in the order of the mapping. For an exploded list, the list's own path."""
    asked: dict[str, None] = {key: None}
    for output in outputs:
        specs = [*output.fields.values(), *output.links.values(), *output.attributes.values()]
        specs += output.id if isinstance(output.id, list) else [FieldSpec(path=output.id)]
        texts = [path for spec in specs for path in spec.paths()] + [spec.currency for spec in specs]
        texts += [output.stage.path, output.stage.pipeline] if output.stage else []
        if output.each:
            asked[output.each] = None
        for text in [*texts, *output.when]:
            path = parse_path(text, bool(output.each)) if text and not is_currency_code(text) else None
            if path is not None and path.scope == "row":
                asked[path.text] = None
    return tuple(asked)


def types_read(outputs: Iterable[Output]) -> dict[str, str]:
    """Row paths that are read as something else than text or a word, and as what."""
    found: dict[str, str] = {}
    for output in (o for o in outputs if not o.each):
        model = KINDS[output.kind].model_fields
        specs = [(spec, default_read(model[name].annotation)) for name, spec in output.fields.items()]
        for spec, default in [*specs, *((spec, "text") for spec in output.attributes.values())]:
            read = spec.read or ("text" if spec.values is not None else default)
            found |= {path: read for path in spec.paths() if read not in ("text", "json") and parse_path(path, False).scope == "row"}
    return found


def _reason(message: str) -> str:
    return message[:1].lower() + message[1:]
