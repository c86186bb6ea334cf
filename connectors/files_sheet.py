"""Workbooks as records: Excel's .xlsx and .xls, read by calamine. Formulas come as the values Excel last computed.

A sheet is held in memory whole, as a box from its first cell to its last one; so the box is measured before anything is read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

from connectors.files_text import Record
from connectors.files_values import Plain

BOX_CELLS = 5_000_000  # a larger sheet is refused: one stray cell in the last corner would ask for 500 GB
PART_BYTES = 4 * 1024**3
_CHUNK = 1024 * 1024
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")


class Unreadable(Exception):
    """The file is not what it seems; the message says why and what to do."""


def sheet_records(path: Path, sheet: str | None, old: bool) -> Iterator[Record]:
    """The rows of a sheet; `line` is the row's number as Excel shows it. old: the .xls of before 2007.

    Raises: Unreadable.
    """
    from python_calamine import CalamineError, load_workbook

    try:
        with load_workbook(path) as book:
            name = _chosen(book, sheet)
            if not old:
                _measure(path, name)
            found = book.get_sheet_by_name(name)
            for row, cells in enumerate(found.iter_rows(), 1):
                yield Record(row, [cell_text(cell) for cell in cells])
    except CalamineError as problem:
        kind = "it is protected by a password" if "assword" in type(problem).__name__ else "the workbook is damaged or not complete"
        raise Unreadable(f"{kind}; save it again") from problem
    except (zipfile.BadZipFile, KeyError, expat.ExpatError) as problem:
        raise Unreadable("the workbook is damaged or not complete; save it again") from problem


def _chosen(book: Any, sheet: str | None) -> str:
    tables = [m for m in book.sheets_metadata if str(m.typ).endswith("WorkSheet")]
    if sheet is not None:
        if sheet not in [m.name for m in tables]:
            raise Unreadable(f"no sheet {sheet!r}; it has {', '.join(m.name for m in tables)}")
        return sheet
    visible = [m.name for m in tables if not str(m.visible).endswith("Hidden")]
    if not visible:
        raise Unreadable("the workbook has no visible sheet")
    return str(visible[0])


def cell_text(cell: Any) -> str:
    """The cell as text: whole numbers without a point, dates as ISO. Numbers and dates are Plain: read as they are."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return Plain("true" if cell else "false")
    if isinstance(cell, float):
        return Plain(str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell))
    if isinstance(cell, datetime):
        whole_day = cell.time() == time()
        return Plain(cell.date().isoformat() if whole_day else cell.isoformat(sep="T", timespec="seconds"))
    if isinstance(cell, date | time):
        return Plain(cell.isoformat())
    return Plain(str(cell.total_seconds()) if isinstance(cell, timedelta) else str(cell))


def _measure(path: Path, sheet: str) -> None:
    """Raises: Unreadable when the sheet's box, or what lies in the archive, is too large to be held in memory."""
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > PART_BYTES:
            raise Unreadable("the workbook unpacks to more than 4 GB; save the sheet as CSV")
        part = _part_of(archive, sheet)
        box = _Box(part)
        with archive.open(part) as stream:
            box.parser.ParseFile(stream)


class _Box:
    """The largest row and column of a sheet's cells, found while its XML streams by."""

    def __init__(self, part: str) -> None:
        self.rows = self.columns = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._element
        self.parser.StartDoctypeDeclHandler = _no_doctype

    def _element(self, name: str, values: dict[str, str]) -> None:
        if name.rpartition(":")[2] != "c" or "r" not in values:
            return
        found = _PLACE.fullmatch(values["r"])
        if found is None:
            return
        column = 0
        for letter in found[1]:
            column = column * 26 + ord(letter) - 64
        self.rows, self.columns = max(self.rows, int(found[2])), max(self.columns, column)
        if self.rows * self.columns > BOX_CELLS:
            raise Unreadable(f"the sheet reaches to {values['r']}, more than {BOX_CELLS:,} cells; delete the stray cells or save it as CSV")


def _no_doctype(*_: Any) -> None:
    raise Unreadable("the workbook's XML declares entities, as no office program writes it")


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part that holds the sheet. Raises: KeyError when the archive does not say."""
    sheets: dict[str, str] = {}
    targets: dict[str, str] = {}

    def note_sheet(name: str, values: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "sheet":
            sheets[values["name"]] = next(v for k, v in values.items() if k.rpartition(":")[2] == "id" and k != "id")

    def note_target(name: str, values: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "Relationship":
            targets[values["Id"]] = values["Target"]

    for part, handler in (("xl/workbook.xml", note_sheet), ("xl/_rels/workbook.xml.rels", note_target)):
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.StartDoctypeDeclHandler = handler, _no_doctype
        parser.Parse(archive.read(part), True)
    target = targets[sheets[sheet]]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
