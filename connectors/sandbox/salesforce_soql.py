"""SOQL as the sandbox understands it: text → a parsed statement → closures over rows.

Covers what readers use: field lists with parent paths, WHERE with AND/OR/NOT and parentheses, IN, LIKE, null, date
literals, GROUP BY with aggregates, ORDER BY, LIMIT, OFFSET, COUNT(). Refuses the rest with the vendor's codes.
Source: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from connectors.sandbox.salesforce_dates import days_of
from connectors.sandbox.salesforce_describe import NUMBERS, FieldType, Schema, to18

Row = dict[str, Any]
Test = Callable[[Row], bool]
Get = Callable[[Row], Any]
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
  | (?P<date>\d{4}-\d\d-\d\d)
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<word>[A-Za-z_][\w.]*(?::\d+)?)
  | (?P<op>!=|<>|<=|>=|=|<|>|\(|\)|,|:)
  )""",
    re.X,
)
_CLAUSES = {"FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", "HAVING", "USING", "WITH", "FOR", "ALL"}
_COMPARE = {"=", "!=", "<>", "<", "<=", ">", ">="}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class SoqlError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Literal:
    kind: str  # string number boolean null date datetime
    value: Any
    until: Any = None  # the exclusive end, where a date literal is a span


@dataclass(frozen=True)
class Column:
    path: str
    aggregate: str = ""
    alias: str = ""


@dataclass
class Statement:
    text: str
    columns: list[Column] = field(default_factory=list)
    sobject: str = ""
    where: Any = None  # ("and"|"or", [..]) | ("not", x) | (op, path, literal(s))
    group_by: list[str] = field(default_factory=list)
    order_by: list[tuple[str, bool, bool]] = field(default_factory=list)  # path, descending, nulls last
    limit: int | None = None
    offset: int = 0

    @property
    def counts(self) -> bool:
        return self.columns == [Column("", "COUNT", "")]

    @property
    def aggregates(self) -> bool:
        return bool(self.group_by) or any(c.aggregate for c in self.columns)


class _Parser:
    def __init__(self, text: str, today: date) -> None:
        self.text, self.today = text, today
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if not found:
                raise self.error(f"unexpected token: '{text[at : at + 10].strip()}'", at)
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind], found.start(kind)))
            at = found.end()
        self.i = 0

    def error(self, message: str, at: int | None = None, code: str = "MALFORMED_QUERY") -> SoqlError:
        place = self.tokens[self.i][2] if at is None and self.i < len(self.tokens) else at if at is not None else len(self.text)
        return SoqlError(code, f"\n{self.text[max(0, place - 40) : place + 40]}\n^\nERROR at Row:1:Column:{place + 1}\n{message}")

    def peek(self) -> str:
        return self.tokens[self.i][1] if self.i < len(self.tokens) else ""

    def is_word(self, *words: str) -> bool:
        return self.i < len(self.tokens) and self.tokens[self.i][0] == "word" and self.peek().upper() in words

    def take(self, *words: str) -> bool:
        if self.is_word(*words) or (self.i < len(self.tokens) and self.tokens[self.i][0] == "op" and self.peek() in words):
            self.i += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise self.error(f"expecting '{word}', found '{self.peek() or '<EOF>'}'")

    def word(self) -> str:
        if self.i >= len(self.tokens) or self.tokens[self.i][0] != "word":
            raise self.error(f"unexpected token: '{self.peek() or '<EOF>'}'")
        self.i += 1
        return self.tokens[self.i - 1][1]

    def integer(self) -> int:
        if self.i >= len(self.tokens) or not self.peek().isdigit():
            raise self.error(f"unexpected token: '{self.peek() or '<EOF>'}'")
        self.i += 1
        return int(self.tokens[self.i - 1][1])

    def statement(self) -> Statement:
        out = Statement(self.text)
        self.expect("SELECT")
        out.columns = [self.column()]
        while self.take(","):
            out.columns.append(self.column())
        self.expect("FROM")
        out.sobject = self.word()
        if self.i < len(self.tokens) and self.tokens[self.i][0] == "word" and not self.is_word(*_CLAUSES):
            self.word()  # an alias
        if self.take("WHERE"):
            out.where = self.disjunction()
        if self.take("GROUP"):
            self.expect("BY")
            out.group_by = [self.word()]
            while self.take(","):
                out.group_by.append(self.word())
        if self.take("ORDER"):
            self.expect("BY")
            out.order_by = [self.order()]
            while self.take(","):
                out.order_by.append(self.order())
        if self.take("LIMIT"):
            out.limit = self.integer()
        if self.take("OFFSET"):
            out.offset = self.integer()
        if self.i < len(self.tokens):
            raise self.error(f"unexpected token: '{self.peek()}'")
        return out

    def column(self) -> Column:
        if self.peek() == "(":
            raise self.error("child queries are not part of this sandbox")
        name = self.word()
        if not self.take("("):
            return Column(name)
        inner = "" if self.peek() == ")" else self.word()
        self.expect(")")
        is_alias = self.i < len(self.tokens) and self.tokens[self.i][0] == "word" and not self.is_word(*_CLAUSES)
        if name.upper() not in ("COUNT", "MAX", "MIN", "SUM", "AVG", "FIELDS"):
            raise self.error(f"unknown function: {name}")
        return Column(inner, name.upper(), self.word() if is_alias else "")

    def order(self) -> tuple[str, bool, bool]:
        path = self.word()
        descending = self.take("DESC") or (self.take("ASC") and False)
        last = False
        if self.take("NULLS"):
            last = self.take("LAST") or (self.take("FIRST") and False)
        return path, descending, last

    def disjunction(self) -> Any:
        parts = [self.conjunction()]
        while self.take("OR"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else ("or", parts)

    def conjunction(self) -> Any:
        parts = [self.condition()]
        while self.take("AND"):
            parts.append(self.condition())
        return parts[0] if len(parts) == 1 else ("and", parts)

    def condition(self) -> Any:
        if self.take("NOT"):
            return ("not", self.condition())
        if self.take("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        path = self.word()
        if self.take("NOT"):
            self.expect("IN")
            return ("not in", path, self.literals())
        if self.take("IN"):
            return ("in", path, self.literals())
        if self.take("LIKE"):
            return ("like", path, self.literal())
        op = self.peek()
        if op not in _COMPARE:
            raise self.error(f"unexpected token: '{op or '<EOF>'}'")
        self.i += 1
        return ("!=" if op == "<>" else op, path, self.literal())

    def literals(self) -> list[Literal]:
        self.expect("(")
        out = [self.literal()]
        while self.take(","):
            out.append(self.literal())
        self.expect(")")
        return out

    def literal(self) -> Literal:
        if self.i >= len(self.tokens):
            raise self.error("unexpected token: '<EOF>'")
        kind, text, _ = self.tokens[self.i]
        self.i += 1
        if kind == "string":
            return Literal("string", re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1]))
        if kind == "number":
            return Literal("number", float(text))
        if kind == "datetime":
            return Literal("datetime", canonical(text))
        if kind == "date":
            return Literal("date", text)
        if kind == "word" and text.upper() in ("TRUE", "FALSE", "NULL"):
            return Literal("null", None) if text.upper() == "NULL" else Literal("boolean", text.upper() == "TRUE")
        if kind == "word" and (span := days_of(text.upper(), self.today)):
            return Literal("date", span[0].isoformat(), span[1].isoformat())
        self.i -= 1
        raise self.error(f"unexpected token: '{text}'")


def canonical(text: str) -> str:
    """A datetime as rows hold it: UTC, milliseconds, Z. Equal instants become equal strings that sort by time."""
    if len(text) == 20 and text[-1] == "Z":
        return text[:-1] + ".000Z"
    if len(text) == 24 and text[-1] == "Z":
        return text
    moment = datetime.fromisoformat(text)
    moment = moment - (moment.utcoffset() or timedelta())
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(text: str, today: date) -> Statement:
    return _Parser(text, today).statement()


class Compiler:
    """Turns a statement's paths and conditions into closures. Knows the visible schema and how to follow a reference."""

    def __init__(self, schemas: Mapping[str, Schema], find: Callable[[tuple[str, ...], str], Row | None]) -> None:
        self.schemas, self.find = schemas, find

    def field(self, sobject: str, path: str) -> tuple[FieldType, Get, str]:
        """The field at a path, how to get it from a row, and the path in the org's own spelling.

        Raises: SoqlError INVALID_FIELD when there is none, or none this user may see.
        """
        head, _, rest = path.partition(".")
        if head.lower() == sobject.lower() and rest:
            head, _, rest = rest.partition(".")
        schema = self.schemas[sobject]
        if rest:
            owner = next((f for f in schema.values() if (f.relationship or "").lower() == head.lower()), None)
            if owner is None:
                raise SoqlError("INVALID_FIELD", f"Didn't understand relationship '{head}' in field path.")
            target = next((t for t in owner.refers if t in self.schemas), owner.refers[0])
            found, inner, spelled = self.field(target, rest)
            name, refers, find = owner.name, owner.refers, self.find

            def follow(row: Row) -> Any:
                parent = find(refers, row[name]) if row.get(name) else None
                return None if parent is None else inner(parent)

            return found, follow, f"{owner.relationship}.{spelled}"
        found_here = schema.get(head) or next((f for n, f in schema.items() if n.lower() == head.lower()), None)
        if found_here is None:
            raise SoqlError(
                "INVALID_FIELD",
                f"\nNo such column '{head}' on entity '{sobject}'. If you are attempting to use a custom field, "
                "be sure to append the '__c' after the custom field name.",
            )
        name = found_here.name
        return found_here, lambda row: row.get(name), name

    def test(self, sobject: str, node: Any) -> Test:
        kind = node[0]
        if kind in ("and", "or"):
            parts = [self.test(sobject, n) for n in node[1]]
            if kind == "and":
                return lambda row: all(p(row) for p in parts)
            return lambda row: any(p(row) for p in parts)
        if kind == "not":
            inner = self.test(sobject, node[1])
            return lambda row: not inner(row)
        found, get, _ = self.field(sobject, node[1])
        if found.type in ("anyType", "address"):
            raise SoqlError("INVALID_FIELD", f"field '{found.name}' can not be filtered in a query call")
        if kind in ("in", "not in"):
            wanted = {_operand(found, literal) for literal in node[2]}
            wanted |= {w.lower() for w in wanted if isinstance(w, str) and found.type not in ("id", "reference")}
            fold = found.type not in ("id", "reference")
            has = kind == "in"
            return lambda row: (_folded(get(row), fold) in wanted) == has
        if kind == "like":
            text = str(_operand(found, node[2]))
            pattern = re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in text), re.I | re.S)
            return lambda row: isinstance(v := get(row), str) and pattern.fullmatch(v) is not None
        return _comparison(kind, found, get, node[2])


def _folded(value: Any, fold: bool) -> Any:
    return value.lower() if fold and isinstance(value, str) else value


def _operand(found: FieldType, literal: Literal) -> Any:
    """The literal as the field's rows hold it. Raises: SoqlError INVALID_FIELD for the wrong kind of literal."""
    kind, type_ = literal.kind, found.type
    fits = (
        kind == "null"
        or (type_ == "boolean" and kind == "boolean")
        or (type_ in NUMBERS and kind == "number")
        or (type_ == "datetime" and (kind == "datetime" or literal.until))
        or (type_ == "date" and kind == "date")
        or (type_ not in NUMBERS | {"boolean", "date", "datetime"} and kind == "string")
    )
    if not fits:
        quoted = "should" if type_ not in NUMBERS | {"boolean", "date", "datetime"} else "should not"
        shown = "dateTime" if type_ == "datetime" else type_
        message = f"value of filter criterion for field '{found.name}' must be of type {shown} and {quoted} be enclosed in quotes"
        raise SoqlError("INVALID_FIELD", message)
    return to18(literal.value) if type_ in ("id", "reference") else literal.value


def _comparison(op: str, found: FieldType, get: Get, literal: Literal) -> Test:
    value = _operand(found, literal)
    if literal.until is not None:
        return _span_test(op, found, get, literal)
    if op in ("=", "!="):
        fold = found.type not in ("id", "reference", "date", "datetime")
        wanted = _folded(value, fold)
        if op == "=":
            return lambda row: _folded(get(row), fold) == wanted
        return lambda row: _folded(get(row), fold) != wanted
    if value is None:
        raise SoqlError("MALFORMED_QUERY", f"null cannot be used with the operator {op}")
    if op == ">":
        return lambda row: (v := get(row)) is not None and v > value
    if op == ">=":
        return lambda row: (v := get(row)) is not None and v >= value
    if op == "<":
        return lambda row: (v := get(row)) is not None and v < value
    return lambda row: (v := get(row)) is not None and v <= value


def _span_test(op: str, found: FieldType, get: Get, literal: Literal) -> Test:
    """A comparison with a date literal such as LAST_N_DAYS:30, which stands for a span of days (UTC here)."""
    tail = "T00:00:00.000Z" if found.type == "datetime" else ""
    start, end = literal.value + tail, literal.until + tail
    tests: dict[str, Callable[[Any], bool]] = {
        "=": lambda v: start <= v < end,
        "!=": lambda v: not start <= v < end,
        "<": lambda v: v < start,
        "<=": lambda v: v < end,
        ">": lambda v: v >= end,
        ">=": lambda v: v >= start,
    }
    test = tests[op]
    return lambda row: (v := get(row)) is not None and test(v)
