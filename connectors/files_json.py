"""JSON rows: lines of objects, or one list of them. One page of rows at a time.

Untouched where nothing is to be changed: the bytes go on as they came.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import orjson
import xxhash

from connectors.files_sheet import Unreadable
from connectors.files_text import LINE_CHARS, encoding_of, opened, raw_lines
from connectors.files_values import BadCell, BadRow, Convert, Unread

PAGE_BYTES = 4 * 1024 * 1024
_SPACE = " \t\r\n"
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


class Chunk(NamedTuple):
    """Some rows as a JSON list, the place of each, and what could not be read: (place, why)."""

    body: bytes
    places: list[int]
    problems: list[tuple[int, str]]
    end: int  # lines (or rows) of the file that lie behind
    unread: list[Unread]


@dataclass(frozen=True)
class Change:
    """What is done to each row: its id is put in, lists of pairs become objects, texts become numbers and dates."""

    key: tuple[str, ...]
    pairs: tuple[tuple[str, ...], ...] = ()
    converts: Mapping[tuple[str, ...], Convert] = field(default_factory=dict)
    identify: Callable[[Sequence[Any]], str | None] = lambda values: None

    @property
    def touches(self) -> bool:
        return bool(self.key or self.pairs or self.converts)

    def row(self, line: int, row: dict[str, Any], unread: list[Unread]) -> dict[str, Any]:
        """What cannot be read is left empty and noted. Raises: BadRow."""
        for path in self.pairs:
            _replace(row, path, _paired)
        for path, convert in self.converts.items():
            try:
                _replace(row, path, partial(_converted, convert=convert))
            except BadCell as problem:
                _replace(row, path, lambda value: None)
                unread.append(Unread(".".join(path), line, f"{'.'.join(path)}: {problem}; read as empty"))
        if self.key:
            row["_key"] = self.identify([_at(row, tuple(name.split("."))) for name in self.key])
            if row["_key"] is None:
                raise BadRow(f"the key {' and '.join(self.key)} is empty")
        return row


def _at(row: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _replace(row: dict[str, Any], path: tuple[str, ...], change: Callable[[Any], Any]) -> None:
    inner = _at(row, path[:-1])
    if isinstance(inner, dict) and inner.get(path[-1]) is not None:
        inner[path[-1]] = change(inner[path[-1]])


def _converted(value: Any, convert: Convert) -> Any:
    if isinstance(value, date):  # of a Parquet file
        return convert(value.isoformat())
    return convert(value.strip()) if isinstance(value, str) else value


def _paired(items: Any) -> Any:
    """[{key, value}] → {key: value}; of a value that is an object of typed values, the one that is given (GA4's event_params).

    Source: https://support.google.com/analytics/answer/7029846, read 2026-08
    """
    if not isinstance(items, list):
        return items
    found = {}
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("key"), str):
            value = item.get("value")
            found[item["key"]] = next((v for v in value.values() if v is not None), None) if isinstance(value, dict) else value
    return found


def row_key(row: bytes) -> str:
    """The id of a row that has none: a digest of all it says."""
    return xxhash.xxh3_128_hexdigest(row)


def lines(stream: BinaryIO, encoding: str | None, change: Change, size: int, *, after: int = 0) -> Iterator[Chunk]:
    """Pages of a file with one object per line, in UTF-8 unless said otherwise."""
    sample = stream.read(4)
    stream.seek(-len(sample), io.SEEK_CUR)
    encoding = encoding or (encoding_of(sample) if after == 0 else "utf-8")
    if encoding not in ("utf-8", "utf-8-sig"):
        text = opened(stream, encoding)
        numbered: Iterator[tuple[int, bytes | None]] = ((i, line.encode()) for i, line in enumerate(text, after + 1))
    else:
        numbered = raw_lines(stream, after=after)
    rows: list[tuple[int, bytes]] = []
    problems: list[tuple[int, str]] = []
    held, number = 0, after
    for number, line in numbered:
        if line is None:
            problems.append((number, "the line is too long to be a row"))
        elif line := line.strip(b"\xef\xbb\xbf\0 \t\r\n"):
            rows.append((number, line))
            held += len(line)
        if len(rows) >= size or held >= PAGE_BYTES:
            yield _chunk(rows, problems, change, number)
            rows, problems, held = [], [], 0
    yield _chunk(rows, problems, change, number)


def _chunk(rows: list[tuple[int, bytes]], problems: list[tuple[int, str]], change: Change, end: int) -> Chunk:
    taken = Taken(change, problems=problems)
    if not change.touches and _all_objects([line for _, line in rows]):
        taken.good = [(number, b'{"_key":"' + row_key(line).encode() + b'",' + line[1:]) for number, line in rows]
        return taken.chunk(end)
    for number, line in rows:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            problems.append((number, "the line is not JSON"))
            continue
        taken.take(number, row, line)
    return taken.chunk(end)


def _all_objects(rows: Sequence[bytes]) -> bool:
    """Is each line one object? Looked at in one call: a list of as many objects as lines."""
    try:
        found = orjson.loads(b"[" + b",".join(rows) + b"]")
    except orjson.JSONDecodeError:
        return False
    return len(found) == len(rows) and all(type(row) is dict and row and "_key" not in row for row in found)


@dataclass
class Taken:
    """The rows of a page as they come: the good ones as JSON, and what is wrong with the others."""

    change: Change
    good: list[tuple[int, bytes]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def take(self, number: int, row: Any, raw: bytes) -> None:
        """Put the row among the good ones, changed and with its id, or tell what is wrong with it."""
        if not isinstance(row, dict):
            self.problems.append((number, "not an object with names"))
            return
        try:
            row["_key"] = row_key(raw)
            self.good.append((number, orjson.dumps(self.change.row(number, row, self.unread), default=str, option=OPTIONS)))
        except BadRow as problem:
            self.problems.append((number, str(problem)))

    def chunk(self, end: int) -> Chunk:
        body = b"[" + b",".join(line for _, line in self.good) + b"]"
        return Chunk(body, [number for number, _ in self.good], sorted(self.problems), end, self.unread)


def items(stream: BinaryIO, encoding: str | None, change: Change, size: int) -> Iterator[Chunk]:
    """Pages of a file that is one list of objects; places are the numbers of its items, from 1.

    Raises: Unreadable where the list breaks off or is none.
    """
    sample = stream.read(4096)
    stream.seek(-len(sample), io.SEEK_CUR)
    text = opened(stream, encoding or encoding_of(sample))
    taken = Taken(change)
    number = held = 0
    for number, row in enumerate(_list_items(text), 1):
        raw = orjson.dumps(row, default=str, option=OPTIONS)
        taken.take(number, row, raw)
        held += len(raw)
        if len(taken.good) >= size or held >= PAGE_BYTES:
            yield taken.chunk(number)
            taken, held = Taken(change), 0
    yield taken.chunk(number)


def _list_items(text: io.TextIOBase | Any) -> Iterator[Any]:
    """The items of a JSON list, one after the other; the text is read as it is needed."""
    decoder, buffer, at, want = json.JSONDecoder(), text.read(65_536).lstrip("\ufeff" + _SPACE), 1, 65_536
    if not buffer.startswith("["):
        raise Unreadable("no list of rows; expected [{...}, ...] or one object per line (.jsonl)")
    while True:
        while at < len(buffer) and buffer[at] in _SPACE + ",":
            at += 1
        if at < len(buffer) and buffer[at] == "]":
            return
        try:
            item, end = decoder.raw_decode(buffer, at)
            whole = end < len(buffer)  # a number at the buffer's end may go on
        except json.JSONDecodeError:
            whole = False
        if whole:
            yield item
            at, want = end, 65_536
            continue
        more = text.read(want)
        if not more or len(buffer) - at > LINE_CHARS:
            raise Unreadable("the list breaks off: the file is damaged or not complete")
        buffer, at, want = buffer[at:] + more, 0, want * 2
