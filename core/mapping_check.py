"""Everything that can be wrong in a mapping beyond its shape: names that do not exist, reads that do not fit, rules that contradict.

Each mistake is noted at its place in the document; nothing is raised here, so that all are shown at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.checked import check_part
from core.connector import Connector, Made
from core.mapping_document import CODES, PUSH_SOURCES, FieldSpec, MappingDocument, Output, PushSpec
from core.mapping_events import check_events
from core.model import KINDS, LADDER, OFF_LADDER
from core.paths import parse_path
from core.plans import default_read, is_currency_code
from core.yaml_positions import Document, Loc, did_you_mean

_OURS = frozenset({"account", "vendor", "resource", "vendor_id", "observed_at", "links", "attributes"})  # not to be mapped as fields
_TAG_SOURCES = CODES | {
    "flags", "worst_issue", "consent", "lead_status", "source", "lifecycle", "next_action", "follow_up",
    "band", "lead_band", "forecast_category", "days_in_stage_band",
}  # fmt: skip
# The reads that give a unified field of this default read its type.
_SUITS: dict[str, tuple[str, ...]] = {
    "text": ("text", "email", "currency", "id18", "domain", "decimal_text"),
    "integer": ("integer",),
    "number": ("number", "percent", "basis_points", "integer"),
    "boolean": ("boolean",),
    "decimal": ("decimal", "money"),
    "date": ("date",),
    "datetime": ("datetime", "midnight", "epoch_s", "epoch_ms", "epoch_us"),
    "list": ("list",),
}  # fmt: skip


def check_mapping(document: Document, mapping: MappingDocument, connector: Connector) -> None:
    """Note every mistake that needs the connector, the model or another part of the file to be seen."""
    if mapping.vendor != connector.name:
        document.wrong(("vendor",), f"this mapping is for {mapping.vendor!r}, the account's vendor is {connector.name!r}")
    known = [*(r.name for r in connector.resources if r.template is None), *mapping.reads]
    for name, outputs in mapping.resources.items():
        if name not in known:
            document.wrong(("resources", name), f"{connector.name} has no resource {name!r}{did_you_mean(name, known)}", key=True)
        for i, output in enumerate(outputs):
            written_as_list = isinstance(document.data["resources"][name], list)
            _Check(document, mapping, ("resources", name, i) if written_as_list else ("resources", name)).output(output)
    _check_stages(document, mapping)
    _check_push(document, mapping, connector)
    _check_synced(document, mapping, connector)
    check_events(document, mapping, connector)


def check_reads(document: Document, mapping: MappingDocument, connector: Connector) -> dict[str, Made]:
    """The resources of the user's own making. Mistakes are noted."""
    templates = {r.name: r.template for r in connector.resources if r.template is not None}
    made = {}
    for name, spec in mapping.reads.items():
        loc = ("reads", name)
        if not templates:
            document.wrong(loc, f"{connector.name} has fixed resources; nothing can be made under `reads`", key=True)
        elif _known(document, (*loc, "like"), "template", spec.like, templates):
            options = check_part(document, templates[spec.like], spec.model_extra or {}, loc)
            made[name] = Made(spec.like, options)
        if any(r.name == name for r in connector.resources):
            document.wrong(loc, f"{name!r} is the name of a resource {connector.name} has already", key=True)
        if name not in mapping.resources:
            document.wrong(loc, f"nothing is made of it; map {name!r} under `resources`", key=True)
    return made


def _known(document: Document, loc: Loc, what: str, word: str, known: Iterable[str], key: bool = False) -> bool:
    known = list(known)
    if word not in known:
        document.wrong(loc, f"unknown {what} {word!r}{did_you_mean(word, known)}", key=key)
    return word in known


class _Check:
    """The checks of one output."""

    def __init__(self, document: Document, mapping: MappingDocument, loc: Loc) -> None:
        self.document, self.mapping, self.loc = document, mapping, loc
        self.exploded = False

    def output(self, output: Output) -> None:
        if output.each:
            self._path(output.each, (*self.loc, "each"))
        self.exploded = bool(output.each)
        if isinstance(output.id, str):
            self._path(output.id, (*self.loc, "id"))
        for i, part in enumerate(output.id if isinstance(output.id, list) else []):
            self._value(part, (*self.loc, "id", i))
            if isinstance(part.path, list):
                self.document.wrong((*self.loc, "id", i), "a part of an id has one path; write the paths as parts of their own")
        if output.each and not output.id:
            self.document.wrong((*self.loc, "each"), "records made from a list need an `id`, such as [^.id, timestamp]", key=True)
        for name, spec in output.fields.items():
            self._field(output, name, spec)
        for name, spec in output.links.items():
            self._link(name, spec)
        for name, spec in output.attributes.items():
            self._value(spec, (*self.loc, "attributes", name))
        for path in output.when:
            self._path(path, (*self.loc, "when", path), key=True)
            if path.startswith("context."):
                self.document.wrong((*self.loc, "when", path), "`when` looks at rows, not at their page", key=True)
        self._stage(output)

    def _field(self, output: Output, name: str, spec: FieldSpec) -> None:
        loc = (*self.loc, "fields", name)
        fields = {n: info for n, info in KINDS[output.kind].model_fields.items() if n not in _OURS}
        if name in _OURS and name in KINDS[output.kind].model_fields:
            self.document.wrong(loc, f"{name!r} is not mapped under `fields`{_WHERE_ELSE.get(name, '; the hub fills it')}", key=True)
        elif _known(self.document, loc, f"field of a {output.kind}", name, fields, key=True):
            self._value(spec, loc)
            self._type(spec, fields[name].annotation, loc)
            if name == "stage":
                self._milestones(spec, loc)
        if spec.currency and spec.read != "money":
            self.document.wrong((*loc, "currency"), "`currency` needs `read: money`", key=True)
        elif spec.currency and "currency" not in KINDS[output.kind].model_fields:
            self.document.wrong((*loc, "currency"), f"a {output.kind} has no currency", key=True)
        elif spec.currency and not is_currency_code(spec.currency):
            self._path(spec.currency, (*loc, "currency"))

    def _value(self, spec: FieldSpec, loc: Loc) -> None:
        written = spec.model_fields_set
        if spec.path is None and "const" not in written:
            self.document.wrong(loc, "either `path` or `const` must say where the value comes from")
        elif spec.path is not None and "const" in written:
            self.document.wrong((*loc, "const"), "`path` and `const` exclude each other", key=True)
        for path in spec.paths():
            self._path(path, (*loc, "path"))
        if spec.join is not None and len(spec.paths()) < 2:
            self.document.wrong((*loc, "join"), "`join` needs several paths", key=True)
        if spec.otherwise and spec.values is None:
            self.document.wrong((*loc, "else"), "`else` needs `values`", key=True)
        if "separator" in written and spec.read not in ("list", None):
            self.document.wrong((*loc, "separator"), "`separator` needs `read: list`", key=True)
        if spec.minor_units and spec.read != "money":
            self.document.wrong((*loc, "minor_units"), "`minor_units` needs `read: money`", key=True)

    def _type(self, spec: FieldSpec, annotation: Any, loc: Loc) -> None:
        default = default_read(annotation)
        if spec.values is None and spec.read is not None and spec.path is not None and spec.read not in _SUITS[default]:
            fit = ", ".join(_SUITS[default])
            self.document.wrong((*loc, "read"), f"this field is a {default}, `read: {spec.read}` does not give one; fitting reads: {fit}")
        fixed: list[tuple[Loc, Any]] = [(("const",), spec.const), (("default",), spec.default)]
        fixed += [(("values", key), value) for key, value in (spec.values or {}).items()]
        for step, value in fixed:
            if value is not None and not _is_a(annotation, value):
                self.document.wrong((*loc, *step), f"{value!r} is not a {default}")
        if spec.negate and default != "boolean":
            self.document.wrong((*loc, "not"), "`not` needs a boolean field", key=True)
        if spec.otherwise == "keep" and default != "text":
            self.document.wrong((*loc, "else"), f"`else: keep` would put texts into a {default} field; use null or reject")

    def _milestones(self, spec: FieldSpec, loc: Loc) -> None:
        for key, code in (spec.values or {}).items():
            if code is not None:
                _known(self.document, (*loc, "values", key), "milestone", str(code), (*LADDER, *OFF_LADDER))

    def _link(self, name: str, spec: FieldSpec) -> None:
        loc = (*self.loc, "links", name)
        if "." not in name:
            self.document.wrong(loc, f"a link is named vendor.Resource, such as salesforce.Contact, not {name!r}", key=True)
        self._value(spec, loc)
        if spec.read not in (None, "text", "id18", "list"):
            self.document.wrong((*loc, "read"), "a link is read as text, id18 or list")

    def _path(self, text: str, loc: Loc, key: bool = False) -> None:
        try:
            parse_path(text, self.exploded)
        except ValueError as e:
            self.document.wrong(loc, str(e), key=key)

    def _stage(self, output: Output) -> None:
        if output.stage is None:
            return
        loc = (*self.loc, "stage")
        self._path(output.stage.path, (*loc, "path"))
        if output.stage.pipeline:
            self._path(output.stage.pipeline, (*loc, "pipeline"))
        _known(self.document, (*loc, "table"), "stage table", output.stage.table, self.mapping.stages)


_WHERE_ELSE = {"vendor_id": "; use `id`", "links": "; use `links`", "attributes": "; use `attributes`"}


def _is_a(annotation: Any, value: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=isinstance(value, bool))
    except ValidationError:
        return False
    return True


def _check_stages(document: Document, mapping: MappingDocument) -> None:
    for table, entries in mapping.stages.items():
        for key, versions in entries.items():
            as_list = isinstance(document.data["stages"][table][key], list)
            for i, entry in enumerate(versions):
                loc: Loc = ("stages", table, key, i) if as_list else ("stages", table, key)
                if entry.milestone is not None:
                    _known(document, (*loc, "milestone"), "milestone", entry.milestone, (*LADDER, *OFF_LADDER))
                if entry.valid_from and entry.valid_to and entry.valid_from >= entry.valid_to:
                    document.wrong((*loc, "valid_to"), "valid_to must be after valid_from")
                others = [(o.valid_from, o.valid_to) for o in versions[:i]]
                if any(_overlap((entry.valid_from, entry.valid_to), other) for other in others):
                    document.wrong(loc, f"two meanings of {key!r} are valid on the same day; give them valid_from and valid_to")


def _overlap(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    return (a[1] is None or b[0] is None or b[0] < a[1]) and (b[1] is None or a[0] is None or a[0] < b[1])


def _check_push(document: Document, mapping: MappingDocument, connector: Connector) -> None:
    targets = [target.name for target in connector.targets]
    for target, fields in mapping.push.items():
        if target not in targets:
            document.wrong(("push", target), f"{connector.name} has no target {target!r}{did_you_mean(target, targets)}", key=True)
        for name, spec in fields.items():
            _check_push_field(document, mapping, ("push", target, name), spec)


def _check_synced(document: Document, mapping: MappingDocument, connector: Connector) -> None:
    """A field the hub does not write may stand there: the list of the other integration can be copied as it is."""
    targets = [target.name for target in connector.targets if target.kind != "events"]
    for target, fields in mapping.synced_natively.items():
        _known(document, ("synced_natively", target), f"target of {connector.name}", target, targets, key=True)
        pushed = {name.lower(): name for name in mapping.push.get(target, {})}
        for i, field in enumerate(fields):
            loc = ("synced_natively", target, i)
            if field in fields[:i]:
                document.wrong(loc, f"{field!r} stands here twice")
            elif pushed.get(field.lower(), field) != field:
                document.wrong(loc, f"`push` writes this field as {pushed[field.lower()]!r}; write it alike here")


def _check_push_field(document: Document, mapping: MappingDocument, loc: Loc, spec: PushSpec) -> None:
    _known(document, (*loc, "from"), "value to push", spec.source, PUSH_SOURCES)
    if spec.table is not None and _known(document, (*loc, "table"), "stage table", spec.table, mapping.stages) and spec.values is not None:
        document.wrong((*loc, "values"), "`values` and `table` exclude each other", key=True)
    for name in spec.only_when:
        _known(document, (*loc, "only_when", name), "value", name, PUSH_SOURCES, key=True)
    if spec.type == "tags" and spec.source in PUSH_SOURCES and spec.source not in _TAG_SOURCES:
        document.wrong((*loc, "from"), f"{spec.source!r} takes too many values for tags; bucket it first, or write a field")
    if spec.type == "tags" and not spec.prefix:
        document.wrong(loc, "tags need a `prefix`, so that the hub never removes a tag of yours", key=True)
    if spec.type == "tags" and not spec.values:
        document.wrong(loc, "tags need `values`: which of our values becomes which tag", key=True)
    if spec.prefix and spec.type != "tags":
        document.wrong((*loc, "prefix"), "`prefix` needs `type: tags`", key=True)
