"""Personal data stays out of what is shown of a finding: e-mail addresses and telephone numbers become their kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.redaction import redact

PHONE = "<phone>"
# Groups of digits as people write numbers; a date, an amount or a long vendor id is not one.
_PHONE = re.compile(r"(?<![\w.:/-])(?:\+\d[\d ()/.-]{6,}\d|\(?0\d{1,4}\)?[ /.-]\d[\d .-]{4,}\d)(?![\w:])")
_PRIVATE_FIELD = re.compile(r"(?i)e.?mail|phone|mobile|first.?name|last.?name|birth|address")
_NO_VALUE_IN = re.compile(r"(?i)opt.?out|opted|bounce|consent|status")


def without_people(text: str) -> str:
    """The text with every e-mail address and telephone number replaced by what it is."""
    return _PHONE.sub(PHONE, redact(text))


def value_of(field: str, value: Any) -> str:
    """A finding's value as it may be shown: not at all where the field itself is personal."""
    if value is None or value == "":
        return "(empty)"
    if _PRIVATE_FIELD.search(field) and not _NO_VALUE_IN.search(field):
        return "<not shown>"
    return without_people(str(value))


def masked(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding (JSON columns opened) without personal values; keys and everything else stay."""
    field = str(finding.get("field") or "")
    out = {name: _deep(value) for name, value in finding.items() if name not in ("values", "records")}
    values = finding.get("values")
    if isinstance(values, Mapping):
        out["values"] = {str(k): value_of(field, v) for k, v in values.items()}
    elif values is not None:
        out["values"] = value_of(field, values)
    if isinstance(out.get("fix"), dict):
        fix = out["fix"]
        out["fix"] = {k: value_of(str(fix.get("field") or ""), v) if k in ("value", "before") else v for k, v in fix.items()}
    return {**out, "records": finding.get("records") or []}


def _deep(value: Any) -> Any:
    if isinstance(value, str):
        return without_people(value)
    if isinstance(value, Mapping):
        return {k: _deep(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_deep(v) for v in value]
    return value
