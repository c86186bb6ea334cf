"""Answers SOQL over the sandbox's org: JSON pages with locators, and flat cells for Bulk results.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.salesforce_describe import CREATED_ONLY, FieldType
from connectors.sandbox.salesforce_org import Org
from connectors.sandbox.salesforce_soql import Column, Compiler, Get, Row, SoqlError, Statement, parse

PAGE = 2000
OPEN_LOCATORS = 10
LOCATOR_LIFE_S = 2 * 86_400


@dataclass(frozen=True)
class Selected:
    """One column of an answer: where it stands in the nested JSON, its type, how to get it."""

    path: str
    type: str
    get: Get


@dataclass
class Found:
    """A finished query: the rows in order and the columns to show. Rows are never edited, so it is a snapshot."""

    sobject: str
    columns: list[Selected]
    rows: list[Row]
    at: float = 0.0
    page: int = PAGE


class Queries:
    def __init__(self, org: Org) -> None:
        self.org = org
        self.locators: OrderedDict[str, Found] = OrderedDict()
        self.number = 0
        self.short_pages = 0  # so many rows fewer on every second page, as with wide rows

    # -- asking -----------------------------------------------------------------------------------------------------
    def statement(self, soql: str) -> Statement:
        made = parse(soql, self.org.clock.utc().date())
        known = {name.lower(): name for name in self.org.visible()}
        if made.sobject.lower() not in known:
            raise SoqlError(
                "INVALID_TYPE",
                f"\nsObject type '{made.sobject}' is not supported. If you are attempting to use a custom object, be sure to append "
                "the '__c' after the entity name.",
            )
        made.sobject = known[made.sobject.lower()]
        return made

    def select(self, made: Statement, include_deleted: bool) -> Found:
        """Raises: SoqlError."""
        compiler = Compiler(self.org.visible(), self.org.find)
        columns = [self._selected(compiler, made, c) for c in self._expanded(made)]
        rows = self.matching(made, include_deleted, compiler)
        rows = self._sorted(compiler, made, rows)[made.offset :]
        return Found(made.sobject, columns, rows if made.limit is None else rows[: made.limit])

    def matching(self, made: Statement, include_deleted: bool, compiler: Compiler | None = None) -> list[Row]:
        compiler = compiler or Compiler(self.org.visible(), self.org.find)
        rows = self._candidates(made)
        if made.where is not None:
            test = compiler.test(made.sobject, made.where)
            rows = [r for r in rows if test(r)]
        return rows if include_deleted else [r for r in rows if not r.get("IsDeleted")]

    def _candidates(self, made: Statement) -> list[Row]:
        """Rows that a lower bound on the stamp leaves, found by bisection: the platform has an index there too."""
        rows = self.org.ordered(made.sobject)
        stamp = "CreatedDate" if made.sobject in CREATED_ONLY else "SystemModstamp"
        parts = made.where[1] if made.where and made.where[0] == "and" else [made.where] if made.where else []
        lows = [p[2].value for p in parts if p[0] in (">", ">=") and p[1] == stamp and p[2].kind == "datetime"]
        return rows[bisect_left(rows, max(lows), key=lambda r: r[stamp] or "") :] if lows else rows

    def _expanded(self, made: Statement) -> Iterable[Column]:
        for column in made.columns:
            if column.aggregate != "FIELDS":
                yield column
                continue
            if made.limit is None or made.limit > 200:
                raise SoqlError("MALFORMED_QUERY", "The SOQL FIELDS function must have a LIMIT of at most 200")
            wanted = column.path.upper()
            fields = self.org.visible()[made.sobject].values()
            yield from (Column(f.name) for f in fields if wanted == "ALL" or f.custom == (wanted == "CUSTOM"))

    def _selected(self, compiler: Compiler, made: Statement, column: Column) -> Selected:
        found, get, path = compiler.field(made.sobject, column.path)
        return Selected(path, found.type, _compound(made.sobject, found) if found.type == "address" else get)

    def _sorted(self, compiler: Compiler, made: Statement, rows: list[Row]) -> list[Row]:
        stamp = "CreatedDate" if made.sobject in CREATED_ONLY else "SystemModstamp"
        if [(p, d) for p, d, _ in made.order_by] in ([(stamp, False), ("Id", False)], [(stamp, False)]):
            return rows
        if not made.order_by:
            return sorted(rows, key=lambda r: str(r["Id"]))
        for path, descending, last in reversed(made.order_by):
            _, get, _ = compiler.field(made.sobject, path)
            rows = sorted(rows, key=_null_key(get, last != descending), reverse=descending)
        return rows

    def aggregate(self, made: Statement, include_deleted: bool) -> list[dict[str, Any]]:
        """Rows of a GROUP BY or of bare aggregates. Raises: SoqlError."""
        compiler = Compiler(self.org.visible(), self.org.find)
        keys = [compiler.field(made.sobject, path) for path in made.group_by]
        for column in made.columns:
            if not column.aggregate and column.path.lower() not in {p.lower() for p in made.group_by}:
                raise SoqlError("MALFORMED_QUERY", f"Field must be grouped or aggregated: {column.path}")
        groups: dict[tuple[Any, ...], list[Row]] = {} if keys else {(): []}
        for row in self.matching(made, include_deleted, compiler):
            groups.setdefault(tuple(get(row) for _, get, _ in keys), []).append(row)
        out = []
        for key, rows in groups.items():
            shown: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
            unnamed = 0
            for column in made.columns:
                if not column.aggregate:
                    place = [p.lower() for p in made.group_by].index(column.path.lower())
                    shown[column.alias or keys[place][2].split(".")[-1]] = _json(keys[place][0].type, key[place])
                    continue
                name = column.alias or f"expr{unnamed}"
                unnamed += not column.alias
                shown[name] = self._aggregated(compiler, made, column, rows)
            out.append(shown)
        return out if made.limit is None else out[: made.limit]

    def _aggregated(self, compiler: Compiler, made: Statement, column: Column, rows: list[Row]) -> Any:
        if not column.path:
            return len(rows)
        found, get, _ = compiler.field(made.sobject, column.path)
        values = [v for r in rows if (v := get(r)) is not None]
        if column.aggregate == "COUNT":
            return len(values)
        if not values:
            return None
        plain: dict[str, Callable[[list[Any]], Any]] = {"MAX": max, "MIN": min, "SUM": sum, "AVG": lambda v: sum(v) / len(v)}
        return _json(found.type, plain[column.aggregate](values))

    # -- answering in JSON ------------------------------------------------------------------------------------------
    def run(self, soql: str, version: str, include_deleted: bool, page: int) -> dict[str, Any]:
        made = self.statement(soql)
        if made.counts:
            return {"totalSize": len(self.matching(made, include_deleted)), "done": True, "records": []}
        if made.aggregates and not all(c.aggregate == "FIELDS" for c in made.columns):
            records = self.aggregate(made, include_deleted)
            return {"totalSize": len(records), "done": True, "records": records}
        found = self.select(made, include_deleted)
        found.at, found.page = self.org.clock.now(), page
        return self.page(found, 0, version, None)

    def more(self, locator: str, version: str) -> dict[str, Any]:
        """The next page. Raises: SoqlError INVALID_QUERY_LOCATOR when it is too old or pushed out by newer ones."""
        name, _, start = locator.rpartition("-")
        found = self.locators.get(name)
        if found is None or self.org.clock.now() - found.at > LOCATOR_LIFE_S:
            raise SoqlError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self.page(found, int(start), version, name)

    def page(self, found: Found, start: int, version: str, name: str | None) -> dict[str, Any]:
        size = max(1, found.page - (self.short_pages if (start // found.page) % 2 else 0))
        end = start + size
        out: dict[str, Any] = {"totalSize": len(found.rows), "done": end >= len(found.rows)}
        if not out["done"]:
            name = name or self._open(found)
            out["nextRecordsUrl"] = f"/services/data/v{version}/query/{name}-{end}"
        return out | {"records": self.records(found, found.rows[start:end], version)}

    def _open(self, found: Found) -> str:
        self.number += 1
        name = f"0r8{self.number:015d}"
        self.locators[name] = found
        while len(self.locators) > OPEN_LOCATORS:
            self.locators.popitem(last=False)
        return name

    def records(self, found: Found, rows: list[Row], version: str) -> list[dict[str, Any]]:
        url = f"/services/data/v{version}/sobjects/{found.sobject}/"
        plain = [(c.path, c.type, c.get) for c in found.columns if "." not in c.path]
        nested = [c for c in found.columns if "." in c.path]
        out = []
        for row in rows:
            shown: dict[str, Any] = {"attributes": {"type": found.sobject, "url": url + row["Id"]}}
            for path, type_, get in plain:
                value = get(row)
                shown[path] = f"{value[:-1]}+0000" if type_ == "datetime" and value else value
            for column in nested:
                self._nest(found.sobject, shown, column, row)
            out.append(shown)
        if any(c.path in ("SystemModstamp", "Id") for c in found.columns) and nested:
            return [_in_order(r, found.columns) for r in out]
        return out

    def _nest(self, sobject: str, shown: dict[str, Any], column: Selected, row: Row) -> None:
        *parents, name = column.path.split(".")
        at, here = shown, row
        for parent in parents:
            owner = next(f for f in self.org.schemas[sobject].values() if f.relationship == parent)
            above = self.org.find(owner.refers, here.get(owner.name) or "")
            if above is None:
                at[parent] = None
                return
            sobject = next(t for t in owner.refers if above["Id"] in self.org.tables.get(t, {}))
            at, here = at.setdefault(parent, {"attributes": {"type": sobject}}), above
        at[name] = _json(column.type, here.get(name))


def _in_order(record: dict[str, Any], columns: list[Selected]) -> dict[str, Any]:
    heads = dict.fromkeys(["attributes", *(c.path.split(".")[0] for c in columns)])
    return {h: record[h] for h in heads}


def _json(type_: str, value: Any) -> Any:
    return f"{value[:-1]}+0000" if type_ == "datetime" and value else value


def _null_key(get: Get, last: bool) -> Callable[[Row], tuple[bool, Any]]:
    def key(row: Row) -> tuple[bool, Any]:
        value = get(row)
        none = value is None
        folded = value.lower() if isinstance(value, str) else value
        return (none if last else not none, "" if none else folded)

    return key


def _compound(sobject: str, found: FieldType) -> Get:
    prefix = found.name.removesuffix("Address")
    parts = {p.lower() if p != "PostalCode" else "postalCode": prefix + p for p in ("Street", "City", "State", "PostalCode", "Country")}

    def get(row: Row) -> Any:
        made = {shown: row.get(name) for shown, name in parts.items()}
        return made if any(made.values()) else None

    return get


def cells(found: Found) -> tuple[bytes, list[bytes]]:
    """A Bulk result: the header line and one line per row. Every value quoted, null empty, datetimes with Z."""
    header = ",".join(f'"{c.path}"' for c in found.columns) + "\n"
    gets = [c.get for c in found.columns]
    lines = []
    for row in found.rows:
        texts = [_cell(get(row)) for get in gets]
        lines.append(('"' + '","'.join(texts) + '"\n').encode())
    return header.encode(), lines


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.replace('"', '""') if '"' in value else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
