"""Files of a folder → pages. What was read is remembered by each file's identity, so that only new and changed files are read.

The last page of a file is held back until the file has been seen unchanged; what is still being written waits for the next run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from connectors import files_json, files_parquet, files_table
from connectors.files_folder import Part, Seen, digest, look, parts
from connectors.files_json import Change
from connectors.files_options import Table
from connectors.files_sheet import Unreadable, sheet_records
from connectors.files_table import KEY, Header, Rows, Wanted
from connectors.files_text import SAMPLE, delimiter_of, encoding_of, opened, records
from connectors.files_values import Unread
from core.connector import Ask, Page, State

PAGE_ROWS = 5000
NAMED = 5  # so many files are named in a reason
_DIGITS = re.compile(r"(\d+)")


class Piece(NamedTuple):
    """One page of a file. `growth`: nothing in it speaks against going on from its end when the file has grown."""

    body: bytes
    format: str
    part: str
    places: Sequence[int]
    problems: Sequence[tuple[int, str]]
    growth: bool = True
    notes: tuple[str, ...] = ()
    unread: Sequence[Unread] = ()


@dataclass
class _Said:
    """What a read must tell at its end."""

    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(session: Any, ask: Ask) -> Iterator[Page]:
    """The pages of all new and changed files of one table, oldest file first."""
    options: Table = ask.reads
    state: State = {"v": 1, "files": {}} if ask.full or not ask.state else dict(ask.state)
    known: dict[str, Any] = dict(state["files"])
    said = _Said()
    found, refused = look(session.folder, options.files)
    said.left += [f"{name} {why}" for name, why in refused if why == "may not be read"]
    said.notes += [f"{name} {why}: left out" for name, why in refused if why != "may not be read"]
    if not found and not refused and not known:
        said.left.append(f"no file fits {' or '.join(options.files)} in {session.folder}")
    there = {seen.name for seen in found}
    state["files"] = {name: entry for name, entry in known.items() if name in there}
    for seen in _due(found, options, ask, state, said):
        state = yield from _file(seen, options, ask, state, said)
    if said.left or said.notes:
        yield Page(b"", "", state, "csv", left=_listed(said.left), note=_listed(said.notes))


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def _due(found: Sequence[Seen], options: Table, ask: Ask, state: State, said: _Said) -> list[Seen]:
    """The files to read now, oldest first; of snapshots the newest only, and none that is older than the one taken last."""
    ordered = sorted(found, key=partial(_age, options))
    if ask.since is not None and ask.state is None:
        ordered = [seen for seen in ordered if seen.modified_ns >= ask.since.timestamp() * 1e9]
    if options.whole:
        taken = state.get("taken")
        ordered = [seen for seen in ordered[-1:] if taken is None or _age(options, seen) >= _tupled(taken)]
    due = [seen for seen in ordered if not seen.as_it_was(state["files"].get(seen.name, ()))]
    settled = (ask.now - timedelta(seconds=options.settle_s)).timestamp() * 1e9
    young = {seen.name for seen in due if options.settle_s and seen.modified_ns > settled}
    said.left += [f"{name} changed less than {options.settle_s:g} s ago: it waits for the next run" for name in sorted(young)]
    return [seen for seen in due if seen.name not in young]


def _age(options: Table, seen: Seen) -> tuple[Any, ...]:
    name = tuple((int(part), "") if part.isdigit() else (-1, part.lower()) for part in _DIGITS.split(seen.name))
    return (seen.modified_ns, name) if options.order == "modified" else (0, name)


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list | tuple) else value


def _file(seen: Seen, options: Table, ask: Ask, state: State, said: _Said) -> Generator[Page, None, State]:
    """The pages of one file; returns the state after it. Trouble of one file is told and never stops the others."""
    before = state["files"].get(seen.name)
    try:
        if before is not None and before[0] == seen.size and digest(seen.path, seen.size) == before[3]:
            return _after(state, seen, options, [*before[3:]])  # only its times have changed
        start = _grown(seen, before, options)
        done = _resumed(state, seen)
        last: Piece | None = None
        growth, listed = True, False
        for i, piece in enumerate(_pieces(seen, options, ask, start)):
            if last is not None and i > done:
                state = state | {"at": [seen.name, seen.size, seen.modified_ns, seen.changed_ns, i]}
                yield _page(last, state, options)
            growth, listed = growth and piece.growth, listed or bool(piece.places or piece.problems)
            said.notes += piece.notes
            last = piece
        if seen.now() != seen:
            said.left.append(f"{seen.name} was being written while it was read: it waits for the next run")
            return state
        if options.whole and not listed:
            said.left.append(f"{seen.name} lists nothing; taken as a snapshot it would delete everything, so it is not taken")
            return state
        state = _after(state, seen, options, [digest(seen.path, seen.size), growth and _ends_a_line(seen)])
        if last is not None:
            yield _page(last, state, options)
    except Unreadable as problem:
        said.left.append(f"{seen.name}: {problem}")
    except OSError as problem:
        said.left.append(f"{seen.name} {'may not be read' if isinstance(problem, PermissionError) else 'could not be read to its end'}")
    return state


def _after(state: State, seen: Seen, options: Table, rest: list[Any]) -> State:
    files = state["files"] | {seen.name: [seen.size, seen.modified_ns, seen.changed_ns, *rest]}
    return {"v": 1, "files": files} | ({"taken": _age(options, seen)} if options.whole else {})


def _resumed(state: State, seen: Seen) -> int:
    """How many pages of this very file an interrupted read had committed."""
    at = state.get("at")
    return int(at[4]) if at and list(at[:4]) == [seen.name, seen.size, seen.modified_ns, seen.changed_ns] else 0


def _grown(seen: Seen, before: Any, options: Table) -> int:
    """Where to go on in a file that only grew: its earlier bytes are what they were and end with a line. Else 0."""
    if before is None or options.whole or seen.size <= before[0] or not before[4] or before[0] == 0:
        return 0
    return int(before[0]) if digest(seen.path, before[0]) == before[3] else 0


def _ends_a_line(seen: Seen) -> bool:
    with seen.path.open("rb") as stream:
        stream.seek(-1, io.SEEK_END) if seen.size else None
        return stream.read(1) == b"\n"


def _page(piece: Piece, state: State, options: Table) -> Page:
    return Page(
        piece.body, "", state, "csv" if piece.format == "csv" else "json", context={"file": piece.part},
        present=options.whole, whole=options.whole, place=partial(_place, piece.part, piece.places),
        rejects=[(f"{piece.part}:{line}", reason) for line, reason in piece.problems],
        unread=[(column, f"{piece.part}:{line}", reason) for column, line, reason in piece.unread],
    )  # fmt: skip


def _place(part: str, places: Sequence[int], row: int) -> str:
    return f"{part}:{places[row]}"


def _pieces(seen: Seen, options: Table, ask: Ask, start: int) -> Iterator[Piece]:
    given = options.format
    for part in parts(seen, given):
        if part.kind in ("csv", "xlsx", "xls"):
            yield from _table(part, options, Wanted.of(options, ask.fields, ask.types, ask.timezone), start)
        else:
            yield from _objects(part, options, ask, start)


# -- tables ----------------------------------------------------------------------------------------------------------------
def _table(part: Part, options: Table, wanted: Wanted, start: int) -> Iterator[Piece]:
    if part.kind != "csv":
        rows = sheet_records(part.path, options.sheet, part.kind == "xls")
        header = files_table.find_header(rows, wanted, options)
        if header is not None:
            yield from _rows(part, header, files_table.pages(rows, header, PAGE_ROWS, strip=False), growth=False)
        return
    with part.open() as stream:
        sample = stream.read(min(SAMPLE, start) if start else SAMPLE)
    encoding = options.encoding or encoding_of(sample)
    head = opened(io.BytesIO(sample), encoding).read()
    sign = options.delimiter or delimiter_of(head, part.suffix)
    with part.open() as stream:
        found = records(opened(stream, encoding), sign)
        if re.match(r"sep=.\r?\n", head, re.IGNORECASE):
            next(found, None)
        header = files_table.find_header(found, wanted, options)
        if header is None:
            return
        if not start:
            growth = part.plain and "16" not in encoding
            yield from _rows(part, header, files_table.pages(found, header, PAGE_ROWS, strip=True), growth=growth)
    if start:
        with part.open() as stream:
            behind = sum(block.count(b"\n") for block in iter(lambda: stream.read(min(SAMPLE, start - stream.tell())), b""))
            rest = records(opened(stream, encoding.replace("-sig", "")), sign, after=behind)
            yield from _rows(part, header, files_table.pages(rest, header, PAGE_ROWS, strip=True), growth=True)


def _rows(part: Part, header: Header, pages: Iterator[Rows], *, growth: bool) -> Iterator[Piece]:
    notes = (f"{part.name} has no column {header.misses()}",) if header.missing else ()
    for page in pages:
        totals = (f"{part.name}: its last row only adds up and was left out",) if page.totals else ()
        quotes = any("quote" in reason for _, reason in page.problems)
        yield Piece(page.body, "csv", part.name, page.places, page.problems, growth and not quotes, notes + totals, page.unread)
        notes = ()


# -- objects ---------------------------------------------------------------------------------------------------------------
def _objects(part: Part, options: Table, ask: Ask, start: int) -> Iterator[Piece]:
    wanted = Wanted.of(options, ask.fields, ask.types, ask.timezone)
    change = Change(
        tuple(options.key_columns),
        tuple(tuple(path.split(".")) for path in options.pairs),
        {tuple(name.split(".")): convert for name, convert in wanted.converts.items()},
        files_table.identity,
    )
    if part.kind == "parquet":
        columns = [*(f for f in ask.fields if f != KEY), *options.key_columns, *options.pairs]
        for rows in files_parquet.pages(part.path, columns, change, ask.types, options.timezone or ask.timezone, PAGE_ROWS):
            yield Piece(rows.body, rows.format, part.name, rows.places, rows.problems, growth=False, unread=rows.unread)
        return
    with part.open() as stream:
        if part.kind == "json":
            for chunk in files_json.items(stream, options.encoding, change, PAGE_ROWS):
                yield Piece(chunk.body, "json", part.name, chunk.places, chunk.problems, growth=False, unread=chunk.unread)
            return
        behind = sum(block.count(b"\n") for block in iter(lambda: stream.read(min(SAMPLE, start - stream.tell())), b""))
        for chunk in files_json.lines(stream, options.encoding, change, PAGE_ROWS, after=behind):
            yield Piece(chunk.body, "json", part.name, chunk.places, chunk.problems, growth=part.plain, unread=chunk.unread)


# -- looking without reading -----------------------------------------------------------------------------------------------
def columns(seen: Seen) -> list[str]:
    """The names a file's rows have, as far as its beginning tells. Raises: Unreadable, OSError."""
    names: dict[str, None] = {}
    for part in parts(seen, None):
        if part.kind == "parquet":
            from pyarrow.parquet import read_schema

            names |= dict.fromkeys(read_schema(part.path).names)
        elif part.kind in ("json", "jsonl"):
            names |= _object_names(part)
        else:
            header = _header(part)
            names |= dict.fromkeys(header.names if header else ())
    return list(names)


def _object_names(part: Part) -> dict[str, None]:
    import orjson

    with part.open() as stream:
        reader = files_json.items if part.kind == "json" else files_json.lines
        for chunk in islice(reader(stream, None, Change(()), 100), 1):
            return {name: None for row in orjson.loads(chunk.body) for name in row if name != KEY}
    return {}


def _header(part: Part) -> Header | None:
    options, wanted = Table(files=["*"]), Wanted((), {})
    if part.kind != "csv":
        return files_table.find_header(sheet_records(part.path, None, part.kind == "xls"), wanted, options)
    with part.open() as stream:
        sample = stream.read(SAMPLE)
    head = opened(io.BytesIO(sample), encoding_of(sample)).read()
    return files_table.find_header(records(io.StringIO(head, newline=""), delimiter_of(head, part.suffix)), wanted, options)
