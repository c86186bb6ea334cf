"""Does a value fit the vendor's field? Planned changes against the live definitions of the fields, before anything is sent.

Pure. What a vendor is certain to refuse (a field that is not there or not writable, a word that is no option, a text too
long, a required field emptied) is held with the reason. What only the vendor can know stays for the vendor to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from core.change import EVENT, Change, Held
from core.connector import LiveField

NUMBERS = frozenset({"number", "double", "currency", "percent", "int", "integer", "decimal", "long"})
WHOLE = frozenset({"int", "integer", "long"})
CHOICES = frozenset({"choice", "picklist", "multipicklist", "dropdown", "radio"})
STRUCTURES = frozenset({"address", "location"})
_BIRTHDAY = re.compile(r"(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])")
Known = Mapping[tuple[str, str], Sequence[LiveField]]  # (resource, field) → its definitions, one per scope


def definitions(fields: Iterable[LiveField]) -> Known:
    """By the name a push gives the field: the last part of its path."""
    known: dict[tuple[str, str], list[LiveField]] = {}
    for field in fields:
        known.setdefault((field.resource, field.path.rsplit(".", 1)[-1]), []).append(field)
    return known


def misfits(changes: Iterable[Change], resources: Mapping[tuple[str, str], str], live: Mapping[str, Known]) -> list[Held]:
    """The changes a vendor must refuse, with the reason.

    resources: {(account, target): resource}; live: {account: definitions}. An account or resource whose vendor lists no
    fields is not judged, and neither is a hub-owned field that is yet to be created.
    """
    held = []
    for change in changes:
        resource, known = resources[(change.account, change.target)], live.get(change.account, {})
        if change.type == EVENT or change.field.startswith(("tag:", "+tag:", "-tag:")) or all(listed != resource for listed, _ in known):
            continue
        found = _definition(change, known.get((resource, change.field), ()))
        if found is None and change.policy != "derived":
            reason = f"{change.account} has no field {change.field} in {resource}"
        else:
            reason = unfit(found, change.after) if found else ""
        if reason:
            held.append(
                Held(change.account, change.target, change.vendor_id, change.field, change.before, change.after, reason, change.rule)
            )
    return held


def _definition(change: Change, fields: Sequence[LiveField]) -> LiveField | None:
    """The definition for this record: its own scope's (an audience's), else the one for all."""
    scoped = [f for f in fields if f.scope and change.vendor_id.startswith(f.scope)]
    return next(iter([*scoped, *(f for f in fields if not f.scope)]), None)


def unfit(field: LiveField, value: str | None) -> str:
    """Why the vendor's field cannot take this value (canonical text); "" when it can."""
    if field.calculated or not field.writable:
        return f"{field.label}: the vendor does not let this field be written"
    if field.type in STRUCTURES:
        return f"{field.label}: a field of type {field.type} takes no single value"
    if value is None:
        return f"{field.label}: the vendor requires a value here" if field.required else ""
    if field.type in CHOICES and field.options and field.restricted:
        words = value.split(";") if field.type in ("choice", "multipicklist") else [value]
        wrong = [word for word in words if word not in field.options]
        return f"{field.label}: {wrong[0]!r} is none of its {len(field.options)} options" if wrong else ""
    if field.length and len(value) > field.length:
        return f"{field.label}: {len(value)} characters, the field takes {field.length}"
    return "" if _is_a(field.type, value) else f"{field.label}: {value!r} is no {field.type}"


def _is_a(kind: str, value: str) -> bool:
    if kind in NUMBERS:
        return _number(value, whole=kind in WHOLE)
    if kind == "boolean":
        return value in ("true", "false")
    if kind in ("date", "datetime"):
        return _moment(value)
    return _BIRTHDAY.fullmatch(value) is not None if kind == "birthday" else True


def _number(value: str, *, whole: bool) -> bool:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    return number.is_finite() and (not whole or number == number.to_integral_value())


def _moment(value: str) -> bool:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            read(value)
            return True
        except ValueError:
            continue
    return False
