"""The beginning of a file as a small table of texts: what its columns are called and what stands in them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from connectors import files_json
from connectors.files_folder import Part, Seen, parts
from connectors.files_json import Change
from connectors.files_sheet import cell_text, sheet_records
from connectors.files_text import SAMPLE, Record, clean_names, delimiter_of, encoding_of, opened, records

ROWS = 2000  # so many rows are looked at


@dataclass(frozen=True)
class Sample:
    """`columns` are the cells of each column, row by row. `header_row` is 0 where the header is the first line that is not blank."""

    file: Seen
    columns: Mapping[str, Sequence[str]]
    rows: int
    header_row: int = 0

    def values(self, name: str) -> list[str]:
        """The column's cells that are not empty."""
        return [value for value in self.columns[name] if value]


def sample(file: Seen) -> Sample | None:
    """What the first table in the file begins with; None without a header. Raises: Unreadable, OSError."""
    part = parts(file, None)[0]
    if part.kind == "parquet":
        return _of_objects(file, _parquet(part))
    if part.kind in ("json", "jsonl"):
        return _of_objects(file, _json(part))
    return _of_cells(file, _sheet(part) if part.kind != "csv" else _text(part))


def _of_cells(file: Seen, rows: list[Record]) -> Sample | None:
    """The header is the first row that is about as wide as rows usually are: a title above it has a cell or two."""
    filled = [row for row in rows if not row.problem and any(map(str.strip, row.cells))]
    if not filled:
        return None
    widths = Counter(sum(1 for cell in row.cells if cell.strip()) for row in filled[:60])
    usual = max(widths, key=lambda width: (widths[width], width))
    at = next(i for i, row in enumerate(filled) if sum(1 for cell in row.cells if cell.strip()) * 10 >= usual * 7)
    names, body = clean_names(filled[at].cells), [row.cells for row in filled[at + 1 :] if row.cells != filled[at].cells]
    columns = {name: [cells[i].strip() if i < len(cells) else "" for cells in body] for i, name in enumerate(names)}
    return Sample(file, columns, len(body), filled[at].line if at else 0)


def _text(part: Part) -> list[Record]:
    with part.open() as stream:
        start = stream.read(SAMPLE)
    text = opened(io.BytesIO(start), encoding_of(start)).read()
    found = list(islice(records(io.StringIO(text, newline=""), delimiter_of(text, part.suffix)), ROWS))
    found = found[1:] if text[:4].lower() == "sep=" else found
    return found[:-1] if len(start) == SAMPLE and len(found) < ROWS else found  # the last one is cut off


def _sheet(part: Part) -> list[Record]:
    return list(islice(sheet_records(part.path, None, part.kind == "xls"), ROWS))


def _json(part: Part) -> list[dict[str, Any]]:
    with part.open() as stream:
        reader = files_json.items if part.kind == "json" else files_json.lines
        for chunk in islice(reader(stream, None, Change(()), ROWS), 1):
            return [row for row in orjson.loads(chunk.body) if isinstance(row, dict)]
    return []


def _parquet(part: Part) -> list[dict[str, Any]]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(part.path) as file:
        for batch in islice(file.iter_batches(batch_size=ROWS), 1):
            rows: list[dict[str, Any]] = batch.to_pylist()
            return rows
    return []


def _of_objects(file: Seen, rows: list[dict[str, Any]]) -> Sample | None:
    flat = [dict(_flat(row, "")) for row in rows]
    names = dict.fromkeys(name for row in flat for name in row)
    columns = {name: [row.get(name, "") for row in flat] for name in names}
    return Sample(file, columns, len(rows)) if columns else None


def _flat(row: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """Dotted names and texts; lists are left out, for no field is read from one as it is."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif not isinstance(value, list | tuple) and name != "_key":
            yield above + name, "" if value is None else cell_text(value).strip()
