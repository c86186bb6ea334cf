"""The search endpoint: real filters and sorts over the index, the 10,000 ceiling, the true total, and the lag.

https://developers.hubspot.com/docs/guides/api/crm/search (read 2026-11-23)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.hubspot_objects import Shape, kind_of, limit_of, page
from connectors.sandbox.hubspot_store import Refused, Store, Table, Thing, millis
from connectors.sandbox.kit import Reply, Request, Route

CEILING, PAGE_MAX, GROUPS_MAX, FILTERS_MAX, FILTERS_IN_ALL, QUERY_MAX = 10_000, 200, 5, 6, 18, 3_000
SINGLE = {"EQ", "NEQ", "LT", "LTE", "GT", "GTE", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}
OPERATORS = SINGLE | {"BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY"}
QUERY_FIELDS = ("email", "firstname", "lastname", "phone", "company", "name", "domain", "website", "dealname", "hs_lead_name")
Seen = tuple[str, dict[str, Any]]  # what the index knows of a record: (updated, properties)


class Search:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.lag_s: Callable[[str], float] = lambda path: 0.0
        self.moves: Callable[[str], bool] = lambda path: False
        self._found: dict[tuple[str, bytes], tuple[int, list[Any]]] = {}

    def routes(self) -> list[Route]:
        return [Route("POST", "/crm/v3/objects/{type}/search", self.search)]

    def search(self, request: Request) -> Reply:
        kind, body = kind_of(request), request.json() or {}
        groups = _groups(body)
        limit = limit_of(str(body.get("limit", 10)), PAGE_MAX)
        start = _offset(body.get("after"))
        if start + limit > CEILING:
            raise Refused(400, "VALIDATION_ERROR", f"Cannot page past {CEILING} results: after {start} with limit {limit}")
        horizon = (self.store.clock.now() - lag) * 1000 if (lag := self.lag_s(request.path)) else None
        keys = self._keys(kind, groups, body, horizon)
        table = self.store.tables[kind]
        things = [table.rows[str(k)] for k in keys[start : start + limit]]
        shape = Shape(self.store, kind, body.get("properties") or ())
        rows = [shape.row(t, index_view(t, horizon)) for t in things]
        more = start + limit < len(keys)
        if things and self.moves(request.path):
            self.store.change(kind, things[0], {})  # somebody edits a row that was just read: it leaves a closed window
        return Reply({"total": len(keys), **page(rows, str(start + limit) if more else None, request.path)})

    def _keys(self, kind: str, groups: list[list[dict[str, Any]]], body: dict[str, Any], horizon: float | None) -> list[Any]:
        """All matching ids in the asked order. A lone `hs_object_id GT` bound is cut from a kept result, so paging by id stays quick."""
        table = self.store.tables[kind]
        sort = _sort(body)
        bound: str | None = None
        if len(groups) == 1 and sort == ("hs_object_id", False):
            lower = [f for f in groups[0] if f["propertyName"] == "hs_object_id" and f["operator"] == "GT"]
            if len(lower) == 1:
                bound = str(lower[0]["value"])
                groups = [[f for f in groups[0] if f is not lower[0]]]
        name = (kind, orjson.dumps([groups, sort, body.get("query")]))
        held = self._found.get(name)
        if held is None or held[0] != table.version or horizon is not None:
            held = (table.version, self._match(kind, groups, sort, str(body.get("query") or ""), horizon))
            self._found.clear() if len(self._found) > 20 else None
            self._found[name] = held if horizon is None else (-1, held[1])
        return held[1][bisect_right(held[1], table.key(bound)) :] if bound is not None else held[1]

    def _match(self, kind: str, groups: list[list[dict[str, Any]]], sort: tuple[str, bool], query: str, horizon: float | None) -> list[Any]:
        table = self.store.tables[kind]
        by_time = sort[0] == schema.MODIFIED[kind]
        keys = self._candidates(table, groups, by_time and horizon is None)
        tests = [[self._test(kind, f) for f in g] for g in groups]
        words = query.lower().split()
        plain = not any(tests) and not words and horizon is None
        out = keys if plain else [k for k in keys if _fits(table.rows[str(k)], tests, words, horizon)]
        if by_time and horizon is None:
            return out[::-1] if sort[1] else out
        if sort[0] == "hs_object_id":
            return sorted(out, reverse=sort[1])
        value = self._reader(kind, sort[0])
        views = {k: index_view(table.rows[str(k)], horizon) or (table.rows[str(k)].updated, table.rows[str(k)].props) for k in out}
        return sorted(out, key=lambda k: _sortable(value(table.rows[str(k)], views[k])), reverse=sort[1])

    def _candidates(self, table: Table, groups: list[list[dict[str, Any]]], by_time: bool) -> list[Any]:
        """Live ids; narrowed by the modification index when the one group asks for a lower bound on it."""
        bounds = [millis(str(f["value"])) for g in groups[:1] for f in g if _is_since(table.kind, f)] if len(groups) == 1 else []
        if bounds:
            index = table.by_time()
            return [k for _, k in index[bisect_left(index, (max(bounds),)) :]]
        return [k for _, k in table.by_time()] if by_time else list(table.live)

    def _reader(self, kind: str, name: str) -> Callable[[Thing, Seen], Any]:
        """A comparable value of one property: milliseconds, a number, the server's id order, or lower-case text."""
        definition = self.store.properties[kind].get(name)
        if definition is None and not name.startswith("hs_v2_"):
            return lambda thing, seen: None
        shape, table = Shape(self.store, kind, [name]), self.store.tables[kind]
        cast = _cast(table, name, "datetime" if definition is None else definition["type"])
        computed = name in shape.computed

        def read(thing: Thing, seen: Seen) -> Any:
            value = shape.compute(thing, name, seen[1], seen[0]) if computed else seen[1].get(name)
            return None if value in (None, "") else cast(str(value))

        return read

    def _test(self, kind: str, given: dict[str, Any]) -> Callable[[Thing, Seen], bool]:
        name, operator = given["propertyName"], given["operator"]
        if name.startswith("associations."):
            return self._linked(kind, schema.PLURAL.get(name.removeprefix("associations."), ""), given)
        definition = self.store.properties[kind].get(name, {})
        cast = _cast(self.store.tables[kind], name, definition.get("type", "string"))
        read = self._reader(kind, name)
        wanted = [cast(str(v)) for v in _values(given)]
        compare = _COMPARE[operator]
        return lambda thing, seen: compare(read(thing, seen), wanted)

    def _linked(self, kind: str, target: str, given: dict[str, Any]) -> Callable[[Thing, Seen], bool]:
        ids = {str(v) for v in _values(given)}
        edges = self.store.links.get((kind, target), {})
        return lambda thing, seen: bool(ids & edges.get(thing.id, {}).keys())


def index_view(thing: Thing, horizon: float | None) -> Seen | None:
    """What an index that stopped at `horizon` knows of a record; None means the present state (or nothing at all)."""
    if horizon is None or millis(thing.updated) <= horizon:
        return None
    return next((old for old in reversed(thing.past or []) if millis(old[0]) <= horizon), None)


def _fits(thing: Thing, tests: Sequence[Sequence[Callable[[Thing, Seen], bool]]], words: list[str], horizon: float | None) -> bool:
    seen = index_view(thing, horizon)
    if seen is None:
        if horizon is not None and millis(thing.updated) > horizon:
            return False  # created after the index stopped
        seen = (thing.updated, thing.props)
    if words:
        text = " ".join(str(seen[1].get(n) or "") for n in QUERY_FIELDS).lower()
        if not all(w in text for w in words):
            return False
    return not tests or any(all(test(thing, seen) for test in group) for group in tests)


def _cast(table: Table, name: str, kind: str) -> Callable[[str], Any]:
    if name == "hs_object_id":
        return table.key
    if kind in ("datetime", "date"):
        return millis
    if kind == "number":
        return _number
    return str.lower


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


_COMPARE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "EQ": lambda v, w: v is not None and v == w[0],
    "NEQ": lambda v, w: v is not None and v != w[0],
    "LT": lambda v, w: v is not None and v < w[0],
    "LTE": lambda v, w: v is not None and v <= w[0],
    "GT": lambda v, w: v is not None and v > w[0],
    "GTE": lambda v, w: v is not None and v >= w[0],
    "BETWEEN": lambda v, w: v is not None and w[0] <= v <= w[1],
    "IN": lambda v, w: v in w,
    "NOT_IN": lambda v, w: v is not None and v not in w,
    "HAS_PROPERTY": lambda v, w: v is not None,
    "NOT_HAS_PROPERTY": lambda v, w: v is None,
    "CONTAINS_TOKEN": lambda v, w: v is not None and w[0].strip("*") in v,
    "NOT_CONTAINS_TOKEN": lambda v, w: v is not None and w[0].strip("*") not in v,
}


def _values(given: dict[str, Any]) -> list[Any]:
    operator = given["operator"]
    if operator == "BETWEEN":
        return [given["value"], given["highValue"]]
    if operator in ("IN", "NOT_IN"):
        return list(given["values"])
    return [given["value"]] if operator in SINGLE else []


def _is_since(kind: str, given: dict[str, Any]) -> bool:
    return given["propertyName"] == schema.MODIFIED[kind] and given["operator"] in ("GT", "GTE")


def _groups(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    groups = [list(g.get("filters") or []) for g in body.get("filterGroups") or []]
    if body.get("filters"):
        groups.append(list(body["filters"]))
    if len(groups) > GROUPS_MAX or sum(map(len, groups)) > FILTERS_IN_ALL or any(len(g) > FILTERS_MAX for g in groups):
        raise Refused(400, "VALIDATION_ERROR", "Too many filters in the search request")
    if len(str(body.get("query") or "")) > QUERY_MAX:
        raise Refused(400, "VALIDATION_ERROR", f"query must be at most {QUERY_MAX} characters")
    for given in (f for g in groups for f in g):
        _check(given)
    return groups


def _check(given: dict[str, Any]) -> None:
    operator = given.get("operator")
    special = {"BETWEEN": ("value", "highValue"), "IN": ("values",), "NOT_IN": ("values",)}
    needs = special.get(str(operator), ("value",) if operator in SINGLE else ())
    if operator not in OPERATORS or not given.get("propertyName") or any(given.get(n) is None for n in needs):
        raise Refused(400, "VALIDATION_ERROR", f"Invalid input JSON: the filter {given} is not valid")


def _sort(body: dict[str, Any]) -> tuple[str, bool]:
    sorts = body.get("sorts") or []
    if len(sorts) > 1:
        raise Refused(400, "VALIDATION_ERROR", "Only one sort is supported")
    if not sorts:
        return ("hs_object_id", False)  # oldest first: ids rise with creation
    rule = sorts[0]
    if isinstance(rule, str):
        return (rule.lstrip("-"), rule.startswith("-"))
    return (rule["propertyName"], rule.get("direction", "ASCENDING") == "DESCENDING")


def _offset(after: Any) -> int:
    if after in (None, ""):
        return 0
    if not str(after).isdigit():
        raise Refused(400, "VALIDATION_ERROR", "Invalid input JSON: 'after' must be an integer")
    return int(after)
