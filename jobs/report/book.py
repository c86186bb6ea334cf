"""A report as an Excel workbook: one sheet a table, numbers as numbers, shares as percentages; nothing in it is a formula."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.report.content import TITLES
from jobs.report.overview import tiles
from jobs.report.plain import Block, blocks, metric_block
from jobs.show_table import tame

WIDEST = 60  # characters of a column
CELL = 32_767  # characters Excel holds in one. Source: Excel specifications and limits, support.microsoft.com (read 2026-11-26)
ROWS = 1_048_575  # under the heading


def to_xlsx(data: Mapping[str, Any], name: str) -> bytes:
    """The workbook's bytes; the same data gives the same bytes. data: as `jobs.report.content.selected` gives it."""
    import xlsxwriter

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"title": f"{data.get('organisation', 'Tundish')}: {name}", "created": _created(data)})
        styles = {"head": book.add_format({"bold": True, "bottom": 1}), "share": book.add_format({"num_format": "0.0%"})}
        taken: set[str] = set()
        for title, columns, rows in _sheets(data, name):
            _write(book.add_worksheet(_called(title, taken)), columns, rows, styles)
    return out.getvalue()


def _sheets(data: Mapping[str, Any], name: str) -> list[Block]:
    """What holds for all, in short, a sheet a family, then the report's other tables; one with only its heading if there is nothing."""
    short = [[t.label, t.value, t.change, "; ".join(t.marks)] for t in tiles(data)]
    made: list[Block] = [("in short", ("number", "value", "before", "marks"), short)]
    families = list(dict.fromkeys(row["family"] for row in data.get("metrics", ())))
    for family in families:
        _, columns, rows = metric_block([row for row in data["metrics"] if row["family"] == family])
        made.append((TITLES.get(family, family), columns, rows))
    made += [block for block in blocks(data, name) if block[0] != "metrics"]
    kept = [block for block in made if block[2]]
    return [_about(data), *kept] if kept else [(name, ("nothing to report yet",), [])]


def _about(data: Mapping[str, Any]) -> Block:
    """What holds for all sheets: from when the numbers are, and who is in none of them."""
    rows = [["as of", data.get("as_of")], *([f"{account} read whole", when] for account, when in (data.get("freshness") or {}).items())]
    rows += [[f"in no number: {row['what']} (of {row['of']:,})", row["n"]] for row in data.get("left_out") or ()]
    return "about", ("what", "value"), rows


def _created(data: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(data["as_of"])).replace(tzinfo=None)


def _called(title: str, taken: set[str]) -> str:
    """A name Excel takes: 31 characters, without []:*?/\\ and not used twice."""
    plain = re.sub(r"[\[\]:*?/\\']", " ", title)[:31].strip() or "table"
    name = next(n for n in (plain, *(f"{plain[:27]} {i}" for i in range(2, 1000))) if n.lower() not in taken)
    taken.add(name.lower())
    return name


def _write(sheet: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]], styles: Mapping[str, Any]) -> None:
    sheet.write_row(0, 0, columns, styles["head"])
    unit = columns.index("unit") if "unit" in columns else None
    shares = {i for i, column in enumerate(columns) if column in ("value", "low", "high")}
    widths = [len(column) for column in columns]
    for i, row in enumerate(rows[:ROWS], 1):
        share = unit is not None and row[unit] == "share"
        for j, value in enumerate(row):
            _cell(sheet, i, j, value, styles["share"] if share and j in shares else None)
            widths[j] = max(widths[j], len(str(value)) if value is not None else 0)
    for j, width in enumerate(widths):
        sheet.set_column(j, j, min(WIDEST, width + 2))
    sheet.freeze_panes(1, 0)
    if rows:
        sheet.autofilter(0, 0, min(len(rows), ROWS), len(columns) - 1)


def _cell(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    """Text is written as text, whatever it begins with."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        sheet.write_string(row, column, tame(str(value))[:CELL])
    else:
        sheet.write_number(row, column, value, style)
