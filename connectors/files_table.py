"""Records under a header → pages of CSV with the columns the mapping asks for, each row with its id and its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple

from connectors.files_json import row_key
from connectors.files_options import Table
from connectors.files_sheet import Unreadable
from connectors.files_text import Record, clean_names
from connectors.files_values import BadCell, BadRow, Convert, Unread, converter

KEY = "_key"
# First cells of a last row that only adds up, in the languages of the exports we met.
_TOTALS = frozenset(
    ("total", "totals", "subtotal", "sum", "summe", "gesamt", "gesamtsumme", "insgesamt", "somme", "totale", "totaal", "suma", "summa")
)


class Rows(NamedTuple):
    """Some rows as CSV with a header, the place of each, what could not be read, and how far the file is read."""

    body: bytes
    places: list[int]
    problems: list[tuple[int, str]]
    end: int
    totals: int = 0
    unread: Sequence[Unread] = ()


@dataclass(frozen=True)
class Wanted:
    """What is taken from a row: `fields` by name, converted where the mapping reads them as numbers or dates."""

    fields: tuple[str, ...]
    converts: dict[str, Convert]

    @classmethod
    def of(cls, options: Table, fields: Sequence[str], types: Any, zone: str) -> Wanted:
        made = {
            name: converter(
                read, decimal=options.decimal, thousands=options.thousands, formats=options.date_format, zone=options.timezone or zone
            )
            for name, read in types.items()
        }
        return cls(tuple(f for f in fields if f != KEY), {name: convert for name, convert in made.items() if convert})


def identity(values: Sequence[Any]) -> str | None:
    """The id that key columns make; None when one of them is empty. Addresses become digests: ids are shown, addresses are not."""
    texts = [str(v).strip() for v in values if v is not None]
    if len(texts) < len(values) or not all(texts):
        return None
    text = ":".join(texts)
    return blake2b(text.lower().encode(), digest_size=16).hexdigest() if "@" in text else text


def _near(name: str, names: Sequence[str]) -> str:
    """The one of the names that is spelled nearly so; "" for none."""
    spelled = {other.lower(): other for other in names}
    near = get_close_matches(name.lower(), spelled, 1)
    return spelled[near[0]] if near else ""


class Header:
    """The column names of one file and where what is wanted lies. Raises: Unreadable when a key column is not there."""

    def __init__(self, cells: Sequence[str], wanted: Wanted, options: Table) -> None:
        self.raw = list(cells)
        self.names = clean_names(cells)
        self.width = len(self.names)
        self.missing = [name for name in wanted.fields if name not in self.names]
        if lost := [name for name in options.key_columns if name not in self.names]:
            near = _near(lost[0], self.names)
            guess = f"; did you mean {near!r}?" if near else ""
            raise Unreadable(f"no column {lost[0]!r}{guess or ';'} it has {', '.join(map(repr, self.names[:20]))}")
        self.fields = [name for name in wanted.fields if name in self.names]
        self.places = [self.names.index(name) for name in self.fields]
        self.key = [self.names.index(name) for name in options.key_columns]
        self.converts = [(i, name, wanted.converts[name]) for i, name in enumerate(self.fields) if name in wanted.converts]
        self._pick: Any = itemgetter(*self.places) if len(self.places) > 1 else lambda cells: tuple(cells[i] for i in self.places)

    def misses(self) -> str:
        """The mapped columns that are not there, each with one that may be it under a new name; "" when all are."""
        spare = [name for name in self.names if name not in self.fields]
        said = []
        for name in self.missing:
            near = _near(name, spare)
            said.append(f"{name!r} (renamed? The mapping may name both: [{name}, {near}])" if near else repr(name))
        return ", ".join(said)

    def row(self, line: int, cells: list[str], strip: bool, unread: list[Unread]) -> list[str | None]:
        """The row as it is handed on; what cannot be read is left empty and noted. Raises: BadRow."""
        if len(cells) != self.width:
            self._fit(cells)
        picked: list[str | None] = list(map(str.strip, self._pick(cells)) if strip else self._pick(cells))
        for i, name, convert in self.converts:
            try:
                picked[i] = convert(picked[i] or "")
            except BadCell as problem:
                picked[i] = None
                unread.append(Unread(name, line, f"{name}: {problem}; read as empty"))
        key = identity([cells[i] for i in self.key]) if self.key else row_key("\x1f".join(cells[: self.width]).encode("utf-8", "replace"))
        if key is None:
            raise BadRow(f"the key {' and '.join(self.names[i] for i in self.key)} is empty")
        return [key, *picked]

    def _fit(self, cells: list[str]) -> None:
        if len(cells) < self.width or any(map(str.strip, cells[self.width :])):
            raise BadRow(f"{len(cells)} cells under a header of {self.width}")

    def repeated(self, cells: list[str]) -> bool:
        return cells[0] == self.raw[0] and cells == self.raw

    def adds_up(self, cells: list[str]) -> bool:
        """Is this last row a sum of the others? It begins with such a word and leaves its key, or half its cells, empty."""
        first = next((c for c in map(str.strip, cells) if c), "")
        if first.lower().rstrip(": ").removeprefix("grand ") not in _TOTALS:
            return False
        keyless = bool(self.key) and identity([cells[i] if i < len(cells) else "" for i in self.key]) is None
        return keyless or sum(1 for c in cells if c.strip()) * 2 <= self.width


def pages(records: Iterable[Record], header: Header, size: int, *, strip: bool) -> Iterator[Rows]:
    """Pages of the rows under the header; blank rows, repeated headers and a last row that adds up are left out."""
    page = _Page(header)
    held: Record | None = None
    for record in records:
        if (not record.problem and not any(record.cells)) or (record.cells and not "".join(record.cells).strip()):
            continue
        if held is not None:
            page.take(held, strip)
            if len(page) >= size:
                yield page.made(held.line)
                page = _Page(header)
        held = record
    totals = 0
    if held is not None:
        totals = int(not held.problem and header.adds_up(held.cells))
        if not totals:
            page.take(held, strip)
    yield page.made(held.line if held else 0, totals)


class _Page:
    def __init__(self, header: Header) -> None:
        self.header = header
        self.rows: list[list[str | None]] = []
        self.places: list[int] = []
        self.problems: list[tuple[int, str]] = []
        self.unread: list[Unread] = []

    def __len__(self) -> int:
        return len(self.rows) + len(self.problems)

    def take(self, record: Record, strip: bool) -> None:
        if record.problem:
            self.problems.append((record.line, record.problem))
        elif not self.header.repeated(record.cells):
            try:
                self.rows.append(self.header.row(record.line, record.cells, strip, self.unread))
                self.places.append(record.line)
            except BadRow as problem:
                self.problems.append((record.line, str(problem)))

    def made(self, end: int, totals: int = 0) -> Rows:
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow([KEY, *self.header.fields])
        writer.writerows(self.rows)
        return Rows(out.getvalue().encode("utf-8", "replace"), self.places, self.problems, end, totals, self.unread)


def find_header(records: Iterator[Record], wanted: Wanted, options: Table) -> Header | None:
    """The header, which is taken off the records; None for a file without one. Raises: Unreadable."""
    if options.columns is not None:
        return Header(options.columns, wanted, options)
    for record in records:
        if options.header_row is not None and record.line < options.header_row:
            continue
        if record.problem:
            raise Unreadable(f"the header in line {record.line} cannot be read: {record.problem}")
        if any(map(str.strip, record.cells)):
            return Header(record.cells, wanted, options)
    return None
