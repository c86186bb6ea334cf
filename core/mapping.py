"""A checked and compiled mapping, and `load_mapping`, which makes one from mappings/<vendor>.yaml.

Every mistake of the file is reported at once, before the first request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.checked import check
from core.compile import Compiled, compile_resource
from core.connector import Connector, Made, PushField
from core.mapping_check import check_mapping, check_reads
from core.mapping_document import PUSH_SOURCES, MappingDocument
from core.mapping_events import Event, events
from core.stages import StageTable, stage_table
from core.yaml_positions import Document, parse_yaml, raise_mistakes, read_yaml


@dataclass(frozen=True)
class Push:
    """One pushed field, checked: `source` is one of PUSH_SOURCES; `where` is file:line:column for messages."""

    target: str
    field: str
    source: str
    policy: str
    type: str
    label: str
    only_when: AnyMapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    values: AnyMapping[str, Any] | None = None
    table: str | None = None
    where: str = ""
    synced: str = ""  # where the mapping says that another integration owns the field: the hub never writes it

    @property
    def owned(self) -> bool:
        """True when the field is the hub's alone, so the hub may create it."""
        return self.policy == "derived"

    def as_field(self) -> PushField:
        return PushField(self.target, self.field, self.label, self.type)


@dataclass(frozen=True)
class Mapping:
    """A checked mapping. `resources` holds the compiled form of every mapped resource."""

    vendor: str
    path: str
    resources: AnyMapping[str, Compiled]
    stages: AnyMapping[str, StageTable]
    push: tuple[Push, ...]
    stage_uses: tuple[tuple[str, str, str], ...] = ()  # (resource, kind, table)
    events: tuple[Event, ...] = ()
    reads: AnyMapping[str, Made] = dataclasses.field(default_factory=dict)

    def resource(self, name: str) -> Compiled:
        return self.resources[name]

    def pushes(self, target: str) -> tuple[Push, ...]:
        return tuple(push for push in self.push if push.target == target)

    def events_to(self, target: str) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.target == target)

    def vendor_stage(self, table: str, milestone: str, pipeline: str | None = None) -> str | None:
        """The vendor's stage value that means `milestone`; None when the table has none."""
        return self.stages[table].value_for(milestone, pipeline)


def load_mapping(path: Path | str, connector: Connector, *, timezone: str = "UTC", currency: str | None = None) -> Mapping:
    """The compiled mapping in the file. `timezone` and `currency` are the organisation's.

    Raises: UserError with one line per mistake, each with file:line:column.
    """
    return _compiled(read_yaml(path), connector, timezone, currency)


def compile_mapping(
    text: str, connector: Connector, *, name: str = "mapping.yaml", timezone: str = "UTC", currency: str | None = None
) -> Mapping:
    """The same from YAML text; `name` is what messages call it."""
    return _compiled(parse_yaml(text, name), connector, timezone, currency)


def _compiled(document: Document, connector: Connector, timezone: str, currency: str | None) -> Mapping:
    written = check(document, MappingDocument)
    reads = check_reads(document, written, connector) if written is not None else {}
    if written is not None:
        check_mapping(document, written, connector)
    raise_mistakes([document])
    assert written is not None  # no mistakes, so there is a document
    tables = {name: stage_table(name, entries) for name, entries in written.stages.items()}
    keys = {resource.name: resource.key for resource in connector.readable(reads)}
    resources = {
        name: compile_resource(name, outputs, keys[name], tables, document, timezone=timezone, currency=currency)
        for name, outputs in written.resources.items()
    }
    uses = tuple((name, o.kind, o.stage.table) for name, outputs in written.resources.items() for o in outputs if o.stage)
    return Mapping(
        written.vendor, document.name, resources, tables, tuple(_pushes(document, written)), uses, tuple(events(document, written)), reads
    )


def _pushes(document: Document, written: MappingDocument) -> Iterator[Push]:
    for target, fields in written.push.items():
        for name, spec in fields.items():
            push = Push(
                target=target,
                field=name,
                source=spec.source,
                policy=spec.policy,
                type=spec.type or PUSH_SOURCES[spec.source],
                label=spec.label or name,
                only_when={key: tuple(v) if isinstance(v, list) else (v,) for key, v in spec.only_when.items()},
                values=spec.values,
                table=spec.table,
                where=document.where(("push", target, name), key=True),
                synced=_synced(document, written, target, name),
            )
            yield _tag(push, spec.prefix) if push.type == "tags" else push


def _synced(document: Document, written: MappingDocument, target: str, name: str) -> str:
    fields = written.synced_natively.get(target, [])
    return document.where(("synced_natively", target, fields.index(name))) if name in fields else ""


def _tag(push: Push, prefix: str) -> Push:
    """A field named after the prefix: its value is what follows it in the one tag that begins so."""
    return dataclasses.replace(push, field=f"tag:{prefix}", type="text")
