"""How one resource's rows are read: the slots of a row (what is read where, and as what) and the columns made from them.

A plan is made once per resource and channel. JSON rows become dicts keyed by slot; CSV rows become tuples in slot order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic_core import CoreSchema, SchemaValidator
from pydantic_core import core_schema as cs

from core.mapping_document import FieldSpec, Output
from core.model import KINDS
from core.paths import Path, parse_path
from core.readers import Unread, schema_for
from core.stages import StageTable
from core.yaml_positions import Loc

# A row is worth nothing without these: not knowing whether a record is gone, or whether a person may be mailed, is no "empty".
STRICT = frozenset({"deleted", "consent", "marketable"})
Key = str | int  # of a slot in a row: a name (JSON) or a position (CSV)


@dataclass(frozen=True)
class Use:
    """Which line of the mapping asked for a slot: for the reasons of rejects."""

    label: str
    loc: Loc
    read: str = ""


@dataclass
class Slots:
    """What is read from one level: the row, or the items of one list in it."""

    flat: bool  # CSV: keys with dots in them, values are texts
    known: dict[Any, Key] = field(default_factory=dict)
    parts: dict[Key, tuple[str | int, ...]] = field(default_factory=dict)
    schemas: dict[Key, CoreSchema] = field(default_factory=dict)
    uses: dict[Key, Use] = field(default_factory=dict)
    lists: dict[Key, Slots] = field(default_factory=dict)  # slots that hold an exploded list
    unread: list[Unread] = field(default_factory=list)  # what the last page had that could not be read; emptied by who reads it

    def add(self, parts: tuple[str | int, ...], schema_key: Any, schema: CoreSchema, use: Use) -> Key:
        """The slot for this path read in this way; the same one again when it was asked before."""
        identity = (parts, schema_key)
        if identity not in self.known:
            key: Key = len(self.known) if self.flat else f"s{len(self.known)}"
            self.known[identity], self.parts[key], self.schemas[key], self.uses[key] = key, parts, schema, use
        return self.known[identity]

    def explode(self, parts: tuple[str | int, ...], use: Use) -> tuple[Key, Slots]:
        key = self.add(parts, "each", cs.none_schema(), use)
        return key, self.lists.setdefault(key, Slots(self.flat, unread=self.unread))

    def schema(self) -> CoreSchema:
        if self.flat:
            return cs.tuple_schema(list(self.schemas.values()))
        for key, inner in self.lists.items():
            items = cs.nullable_schema(cs.list_schema(inner.schema()))
            self.schemas[key] = cs.with_default_schema(items, default=None)
        return cs.typed_dict_schema({str(key): _field(self.parts[key], schema) for key, schema in self.schemas.items()})


def _field(parts: tuple[str | int, ...], schema: CoreSchema) -> cs.TypedDictField:
    alias: Any = parts[0] if len(parts) == 1 else list(parts)
    optional = schema["type"] == "default"
    return cs.typed_dict_field(schema, validation_alias=alias, required=not optional)


@dataclass(frozen=True)
class Value:
    """Where a column's values come from: a slot of the row, of the item, the page's context, or a constant."""

    spec: FieldSpec
    read: str
    scope: str = "const"  # row item context const many
    slot: Key | None = None
    name: str = ""  # of the context value
    parts: tuple[Value, ...] = ()  # of several paths

    def slots(self, scope: str) -> list[Key]:
        """The slots of the level that this value is made from."""
        if self.parts:
            return [slot for part in self.parts for slot in part.slots(scope)]
        return [self.slot] if self.scope == scope and self.slot is not None else []


@dataclass(frozen=True)
class StagePlan:
    raw: Value
    pipeline: Value | None
    table: StageTable


@dataclass(frozen=True)
class AttributesPlan:
    """Either one slot that holds the whole dict already, or one value per name."""

    whole: Value | None
    parts: Mapping[str, Value]


@dataclass(frozen=True)
class OutputPlan:
    """How one kind of record is made from the rows."""

    kind: str
    ids: tuple[Value, ...]
    each: Key | None
    fields: Mapping[str, Value]
    currency: Mapping[str, Value | str]  # money field → where its currency is: a value, or a code
    stage: StagePlan | None
    links: tuple[tuple[str, Value], ...]  # ("salesforce:Contact:", value)
    attributes: AttributesPlan | None
    when: tuple[tuple[Value, frozenset[Any]], ...]

    @cached_property
    def row_keys(self) -> tuple[Key, ...]:
        """The slots of the row that this output's columns need, without the filters'."""
        return self._keys("row")

    @cached_property
    def item_keys(self) -> tuple[Key, ...]:
        """The same of the items of the exploded list."""
        return self._keys("item")

    def _keys(self, scope: str) -> tuple[Key, ...]:
        values = [*self.ids, *self.fields.values(), *(value for _, value in self.links)]
        values += [value for value in self.currency.values() if isinstance(value, Value)]
        if self.stage:
            values += [self.stage.raw, *([self.stage.pipeline] if self.stage.pipeline else [])]
        if self.attributes:
            values += [*self.attributes.parts.values(), *([self.attributes.whole] if self.attributes.whole else [])]
        return tuple(dict.fromkeys(slot for value in values for slot in value.slots(scope)))


class Planner:
    """Plans the outputs of one resource on one channel. `locs` are where the outputs are written in the mapping."""

    def __init__(self, key: str, locs: Sequence[Loc], tables: Mapping[str, StageTable], flat: bool) -> None:
        self.key, self.locs, self.tables, self.flat = key, locs, tables, flat
        self.slots = Slots(flat)

    def plan(self, outputs: list[Output]) -> list[OutputPlan]:
        return [self._output(output, loc) for output, loc in zip(outputs, self.locs, strict=True) if not (self.flat and output.each)]

    def _output(self, output: Output, loc: Loc) -> OutputPlan:
        self.exploded, self.item = False, self.slots
        each: Key | None = None
        if output.each:
            each, self.item = self.slots.explode(parse_path(output.each, False).parts, Use("each", (*loc, "each")))
            self.exploded = True
        model = KINDS[output.kind].model_fields
        reads = {name: default_read(model[name].annotation) for name in output.fields}
        fields = {name: self.value(spec, reads[name], (*loc, "fields", name), name) for name, spec in output.fields.items()}
        return OutputPlan(
            kind=output.kind,
            ids=self._ids(output, loc),
            each=each,
            fields=fields,
            currency={n: self._currency(s.currency, (*loc, "fields", n)) for n, s in output.fields.items() if s.currency},
            stage=self._stage(output, loc),
            links=tuple(self._link(name, spec, (*loc, "links", name)) for name, spec in output.links.items()),
            attributes=self._attributes(output.attributes, (*loc, "attributes")),
            when=tuple(self._when(path, wanted, (*loc, "when", path)) for path, wanted in output.when.items()),
        )

    def value(self, spec: FieldSpec, default: str, loc: Loc, label: str, required: bool = False) -> Value:
        path = spec.path
        if not path:
            return Value(spec, spec.read or default)
        read = spec.read or ("word" if spec.values is not None else default)
        if spec.values is not None and spec.otherwise is None:
            spec = spec.model_copy(update={"otherwise": "keep" if default == "text" else "null"})
        if spec.default is not None and spec.values is None:
            typed = SchemaValidator(schema_for(read)).validate_python(spec.default)
            spec = spec.model_copy(update={"default": typed})
        if isinstance(path, list):
            parts = [FieldSpec(path=one, read=spec.read, separator=spec.separator) for one in path]
            return Value(spec, read, "many", parts=tuple(self.value(part, default, (*loc, "path"), label) for part in parts))
        return self._one(spec, path, read, loc, label, required)

    def _one(self, spec: FieldSpec, text: str, read: str, loc: Loc, label: str, required: bool) -> Value:
        path = parse_path(text, self.exploded)
        if path.scope == "context":
            return Value(spec, read, "context", name=path.text)
        if self.flat and read == "json":
            read = "text"  # in CSV everything is text, and "" is null
        rejecting = tuple(spec.values or ()) if spec.otherwise == "reject" else None
        strict = required or rejecting is not None or label in STRICT
        schema = schema_for(read, spec, required=required, unread=None if strict else self.slots.unread)
        slot = self._level(path).add(self._parts(path), (read, rejecting, required, strict), schema, Use(label, loc, read))
        return Value(spec, read, path.scope, slot)

    def _level(self, path: Path) -> Slots:
        return self.item if path.scope == "item" else self.slots

    def _parts(self, path: Path) -> tuple[str | int, ...]:
        return (path.text,) if self.flat else path.parts

    def _ids(self, output: Output, loc: Loc) -> tuple[Value, ...]:
        specs = output.id if isinstance(output.id, list) else [FieldSpec(path=output.id or self.key)]
        return tuple(self.value(spec, "text", (*loc, "id"), "id", required=True) for spec in specs)

    def _currency(self, text: str, loc: Loc) -> Value | str:
        if is_currency_code(text):
            return text
        return self.value(FieldSpec(path=text), "currency", (*loc, "currency"), "currency")

    def _link(self, name: str, spec: FieldSpec, loc: Loc) -> tuple[str, Value]:
        return name.replace(".", ":", 1) + ":", self.value(spec, "text", loc, name)

    def _stage(self, output: Output, loc: Loc) -> StagePlan | None:
        if output.stage is None:
            return None
        raw = self.value(FieldSpec(path=output.stage.path), "text", (*loc, "stage", "path"), "stage")
        pipeline = output.stage.pipeline
        place = self.value(FieldSpec(path=pipeline), "text", (*loc, "stage", "pipeline"), "pipeline") if pipeline else None
        return StagePlan(raw, place, self.tables[output.stage.table])

    def _when(self, path: str, wanted: Any, loc: Loc) -> tuple[Value, frozenset[Any]]:
        words = wanted if isinstance(wanted, list) else [wanted]
        both = [form for word in words for form in _forms(word)]
        return self.value(FieldSpec(path=path), "word", loc, path), frozenset(both)

    def _attributes(self, specs: Mapping[str, FieldSpec], loc: Loc) -> AttributesPlan | None:
        if not specs:
            return None
        paths = {name: parse_path(spec.path, self.exploded) for name, spec in specs.items() if isinstance(spec.path, str)}
        heads = {(path.scope, path.parts[:-1]) for path in paths.values()}
        plain = all(spec.read in (None, "json") and spec.values is None and spec.default is None for spec in specs.values())
        if self.flat or not plain or len(heads) != 1 or len(paths) != len(specs) or not next(iter(heads))[1]:
            return AttributesPlan(None, {name: self.value(spec, "json", (*loc, name), name) for name, spec in specs.items()})
        return AttributesPlan(self._one_dict(paths, loc), {})

    def _one_dict(self, paths: Mapping[str, Path], loc: Loc) -> Value:
        """All attributes lie side by side in the row, so Rust builds the dict as it will be stored."""
        first = next(iter(paths.values()))
        wanted = {name: _field((path.parts[-1],), schema_for("json")) for name, path in paths.items()}
        schema = cs.with_default_schema(cs.nullable_schema(cs.typed_dict_schema(wanted)), default=None)
        slot = self._level(first).add(first.parts[:-1], ("attributes", tuple(paths.items())), schema, Use("attributes", loc))
        return Value(FieldSpec(), "json", first.scope, slot)


def is_currency_code(text: str) -> bool:
    """USD is a code; anything else is a path."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def _forms(word: Any) -> list[Any]:
    if isinstance(word, bool):
        return [word, str(word).lower()]
    return [word] if word is None else [str(word)]


_DEFAULT_READ = {"int": "integer", "float": "number", "bool": "boolean", "Decimal": "decimal", "date": "date", "datetime": "datetime"}


def default_read(annotation: Any) -> str:
    """The read of a unified field whose type is `annotation`, when the mapping names none."""
    text = annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__origin__") else str(annotation)
    name = text.split("|")[0].strip().split(".")[-1]
    return "list" if text.startswith("tuple") else _DEFAULT_READ.get(name, "text")
