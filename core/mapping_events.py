"""The `events` section of a mapping: its mistakes, and its compiled form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.connector import Connector
from core.mapping_document import EVENT_SOURCES, EVENT_VALUES, PERSONAL_SOURCES, EventSpec, MappingDocument, ParamSpec
from core.model import LADDER, OFF_LADDER
from core.yaml_positions import Document, Loc, did_you_mean

ORIGINAL_TIME = "original_timestamp"
_OURS = ("event", "id", "occurred_at", "value", "currency", ORIGINAL_TIME)  # what every event has (core.connector.Target)
_CODES = {"won": "M80", "lost": "M85"}


@dataclass(frozen=True)
class Event:
    """One event, checked. `code` is the milestone that dates it; `sources` and `constants` are its parameters."""

    target: str
    name: str
    of: str
    code: str
    outcome: str | None = None
    value: str | None = None
    sources: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    late: str = "skip"
    max_age_days: float = 30
    where: str = ""


def events(document: Document, written: MappingDocument) -> Iterator[Event]:
    for target, named in written.events.items():
        for name, spec in named.items():
            yield Event(
                target, name, spec.of, spec.reached or _CODES[spec.outcome or "won"], spec.outcome, spec.value,
                {param: p.source for param, p in spec.params.items() if p.source is not None},
                {param: _text(p) for param, p in spec.params.items() if p.source is None},
                spec.late, spec.max_age_days, document.where(("events", target, name), key=True),
            )  # fmt: skip


def _text(param: ParamSpec) -> str:
    return str(param.const).lower() if isinstance(param.const, bool) else str(param.const)


def check_events(document: Document, mapping: MappingDocument, connector: Connector) -> None:
    """Note every mistake of the section; and a target that is written under the wrong one of `push` and `events`."""
    kinds = {target.name: target.kind for target in connector.targets}
    for target in mapping.push:
        if kinds.get(target) == "events":
            document.wrong(("push", target), f"{target!r} takes events, no fields; write them under `events`", key=True)
    for target, named in mapping.events.items():
        if target not in kinds:
            known = [name for name, kind in kinds.items() if kind == "events"]
            document.wrong(("events", target), f"{connector.name} has no target {target!r}{did_you_mean(target, known)}", key=True)
        elif kinds[target] != "events":
            document.wrong(("events", target), f"{target!r} takes fields, no events; write them under `push`", key=True)
        for name, spec in named.items():
            _check_event(document, spec, ("events", target, name))


def _check_event(document: Document, spec: EventSpec, loc: Loc) -> None:
    if (spec.reached is None) == (spec.outcome is None):
        document.wrong(loc, "either `reached` or `outcome` says when it is told", key=True)
    if spec.outcome is not None and spec.of == "person":
        document.wrong((*loc, "outcome"), "only a deal has an outcome", key=True)
    codes = (*LADDER, *OFF_LADDER)
    if spec.reached is not None and spec.reached not in codes:
        document.wrong((*loc, "reached"), f"unknown milestone {spec.reached!r}{did_you_mean(spec.reached, codes)}")
    elif spec.reached == "M85" and spec.of == "person":
        document.wrong((*loc, "reached"), "a person is never lost; a deal is, and a person is disqualified (MX)")
    if spec.value is not None and spec.value not in EVENT_VALUES:
        document.wrong((*loc, "value"), f"unknown number {spec.value!r}{did_you_mean(spec.value, EVENT_VALUES)}")
    for name, param in spec.params.items():
        _check_param(document, name, param, (*loc, "params", name))


def _check_param(document: Document, name: str, param: ParamSpec, loc: Loc) -> None:
    if name in _OURS:
        document.wrong(loc, f"{name!r} is filled by the hub; name the parameter otherwise", key=True)
    if (param.source is None) == (param.const is None):
        document.wrong(loc, "either a value of ours or `const` must say what the parameter is")
    elif param.source in PERSONAL_SOURCES:
        document.wrong(loc, f"{param.source!r} is personal data; an event must not carry it")
    elif param.source is not None and param.source not in EVENT_SOURCES:
        document.wrong(loc, f"unknown value to tell {param.source!r}{did_you_mean(param.source, EVENT_SOURCES)}")
