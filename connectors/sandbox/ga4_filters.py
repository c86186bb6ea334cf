"""Filters of a report: expressions over dimension values and over sums.

Source: https://developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta/FilterExpression, read 2026-11-23
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from connectors.sandbox.ga4_wire import bad, known_only

Look = Callable[[str], Any]  # field name → its value
MATCHES: dict[str, Callable[[str, str], bool]] = {
    "EXACT": lambda text, value: text == value,
    "BEGINS_WITH": str.startswith,
    "ENDS_WITH": str.endswith,
    "CONTAINS": lambda text, value: value in text,
    "FULL_REGEXP": lambda text, value: re.fullmatch(value, text) is not None,
    "PARTIAL_REGEXP": lambda text, value: re.search(value, text) is not None,
}
COMPARES: dict[str, Callable[[float, float], bool]] = {
    "EQUAL": lambda a, b: a == b,
    "LESS_THAN": lambda a, b: a < b,
    "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
    "GREATER_THAN": lambda a, b: a > b,
    "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
}
NAMES = ("andGroup", "orGroup", "notExpression", "filter")
FORMS = ("stringFilter", "inListFilter", "numericFilter", "betweenFilter", "emptyFilter")


def fields(expression: Any) -> Iterator[str]:
    """Names of the fields an expression looks at. Raises: Refusal for what is no expression."""
    kind, inside = _one(expression, NAMES, "filter expression")
    if kind in ("andGroup", "orGroup"):
        for part in known_only(inside, ["expressions"]).get("expressions", ()):
            yield from fields(part)
    elif kind == "notExpression":
        yield from fields(inside)
    else:
        known_only(inside, ["fieldName", *FORMS])
        if not inside.get("fieldName"):
            raise bad("A filter must have a field name.")
        _one({k: v for k, v in inside.items() if k != "fieldName"}, FORMS, "filter")
        yield inside["fieldName"]


def fits(expression: Any, look: Look) -> bool:
    kind, inside = _one(expression, NAMES, "filter expression")
    if kind == "andGroup":
        return all(fits(part, look) for part in inside["expressions"])
    if kind == "orGroup":
        return any(fits(part, look) for part in inside["expressions"])
    if kind == "notExpression":
        return not fits(inside, look)
    form, rule = _one({k: v for k, v in inside.items() if k != "fieldName"}, FORMS, "filter")
    return _holds(form, rule, look(inside["fieldName"]))


def _holds(form: str, rule: dict[str, Any], found: Any) -> bool:
    if form == "stringFilter":
        text, value = str(found), str(rule.get("value", ""))
        if not rule.get("caseSensitive"):
            text, value = text.lower(), value.lower()
        match = MATCHES.get(rule.get("matchType", "EXACT"))
        if match is None:
            raise bad(f"Invalid value at 'match_type', \"{rule.get('matchType')}\"")
        return match(text, value)
    if form == "inListFilter":
        values = [str(v) for v in rule.get("values", ())]
        return str(found) in values if rule.get("caseSensitive") else str(found).lower() in [v.lower() for v in values]
    if form == "numericFilter":
        return COMPARES[rule.get("operation", "EQUAL")](float(found), _number(rule.get("value", {})))
    if form == "betweenFilter":
        return _number(rule["fromValue"]) <= float(found) <= _number(rule["toValue"])
    return str(found) in ("", "(not set)")


def _number(value: dict[str, Any]) -> float:
    return float(value.get("int64Value", value.get("doubleValue", 0)))


def _one(body: Any, names: tuple[str, ...], what: str) -> tuple[str, Any]:
    known_only(body, names)
    if len(body) != 1:
        raise bad(f"A {what} must have exactly one of {', '.join(names)}.")
    [(kind, inside)] = body.items()
    return kind, inside
