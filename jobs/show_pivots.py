"""Metric rows side by side in the tables of `jobs.pivots`; what no table asks for is listed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.footnotes import Footnotes
from jobs.pivots import PIVOTS, Column, Pivot
from jobs.report.sparkline import blocks
from jobs.show_marks import ABOUT, COUNTED_BY, TRUST, said
from jobs.show_metrics import dimensions, excluded, families, interval, label, number, place, rank, shown
from jobs.show_steps import LISTS, listed
from jobs.show_table import Table, table

Row = Mapping[str, Any]


def tables(metrics: Iterable[Row], name: str | None = None, *, detail: bool | None = None, sparks: bool = False) -> list[Table]:
    """The tables of one family, or of all. detail None: the further tables only when one family is asked for.

    sparks: tables whose lines are months or quarters end with a sparkline of each column.

    Rows of a single metric are listed with their dimensions, as are metrics no table names.
    """
    rows = [(row, dimensions(row)) for row in metrics]
    if len(names := {str(row["name"]) for row, _ in rows}) == 1 and not names <= LISTS.keys():
        return [_listed("", rows)]
    known = {column.name for pivot in PIVOTS for column in pivot.columns} | set(LISTS)
    made = []
    for one in families(name):
        mine = [(row, dims) for row, dims in rows if row["family"] == one]
        wanted = [p for p in PIVOTS if p.family == one and (not p.detail or (bool(name) if detail is None else detail))]
        made += [t for p in wanted for t in _pivots(p, mine, sparks)] + listed(mine)
        rest = [(row, dims) for row, dims in mine if row["name"] not in known]
        made += [_listed("Single numbers", rest)] if rest else []
    return made


def further_tables(metrics: Iterable[Row], name: str) -> list[Table]:
    """The tables of a family that only its own report shows."""
    mine = [(row, dimensions(row)) for row in metrics if row["family"] == name]
    return [t for p in PIVOTS if p.family == name and p.detail for t in _pivots(p, mine)]


Opened = tuple[Row, dict[str, str]]


def _pivots(pivot: Pivot, rows: Sequence[Opened], sparks: bool = False) -> list[Table]:
    """The pivot's table, or one for each value of what it is `by`."""
    if not pivot.by:
        return [t] if (t := _pivot(pivot, rows, sparks)) is not None else []
    names = {column.name for column in pivot.columns}
    values = dict.fromkeys(dims[pivot.by] for row, dims in rows if row["name"] in names and pivot.by in dims)
    parts = [(value, [(row, dims) for row, dims in rows if dims.get(pivot.by) == value]) for value in values]
    return [t for value, part in parts if (t := _pivot(replace(pivot, title=pivot.title.format(place(value))), part)) is not None]


def _pivot(pivot: Pivot, rows: Sequence[Opened], sparks: bool = False) -> Table | None:
    """None where nothing of it was measured. Where two rows claim one cell the first stays."""
    cells: dict[str, dict[str, str]] = {}
    titles: dict[str, None] = {}
    values: dict[str, dict[str, float | None]] = {}  # of each column, by line
    under = _left_out(pivot, rows)
    notes = Footnotes(_shown(pivot, rows), under)
    for column in pivot.columns:
        mine = [
            (row, dims) for row, dims in rows if row["name"] == column.name and column.where.items() <= dims.items() and column.key in dims
        ]
        for spread in _spread(column, mine):
            titles[_title(column, spread)] = None
        for row, dims in mine:
            title = _title(column, dims.get(column.spread, ""))
            text = number(row["value"]) if column.spread == "currency" and row.get("value") is not None else shown(row)
            text += f" [{bounds}]" if column.bounds and (bounds := interval(row)) else ""
            text += notes.sign(row)
            cells.setdefault(dims[column.key], {}).setdefault(title, text)
            values.setdefault(title, {}).setdefault(dims[column.key], row.get("value"))
    if not cells:
        return None
    lines = [[place(key), *(cells[key].get(title, "") for title in titles)] for key in sorted(cells, key=rank)]
    if sparks and pivot.key in _CALENDAR:
        lines += _trend(list(titles), values, [key for key in sorted(cells) if key[:4].isdigit()])
    return table(
        [pivot.key, *titles],
        lines,
        numbers=list(titles),
        title=pivot.title,
        note=" ".join(filter(None, (_left_out(pivot, rows), notes.text()))),
    )


_CALENDAR = ("month", "closed in", "created in", "created", "period")  # headings of lines that are months or quarters


def _trend(titles: Sequence[str], values: Mapping[str, Mapping[str, float | None]], times: Sequence[str]) -> list[list[str]]:
    drawn = [blocks([values[title].get(time) for time in times]) for title in titles]
    return [["trend", *drawn]] if any(drawn) else []


def _shown(pivot: Pivot, rows: Sequence[Opened]) -> list[Row]:
    """The rows that make the table's numbers."""
    return [row for c in pivot.columns for row, dims in rows if row["name"] == c.name and c.where.items() <= dims.items() and c.key in dims]


def _left_out(pivot: Pivot, rows: Sequence[Opened]) -> str:
    """ "Not counted: no stage 3": what the table leaves out, where all its rows say the same; and how far to trust it."""
    left: dict[str, None] = {}
    trust: dict[str, None] = {}
    for column in pivot.columns:
        mine = [(dims, excluded(row)) for row, dims in rows if row["name"] == column.name and column.where.items() <= dims.items()]
        trust |= {f"Only {without['only']}.": None for _, without in mine if "only" in without}
        trust |= {f"Converted: {without['converted']}.": None for _, without in mine if "converted" in without}
        trust |= {f"{dims.get('horizon', '')}: {without['backtest']}.": None for dims, without in mine if "backtest" in without}
        if mine and all(without == mine[0][1] for _, without in mine):
            left |= {
                said(why, value): None for why, value in mine[0][1].items() if why not in (*TRUST, COUNTED_BY) and not why.startswith(ABOUT)
            }
            trust |= {
                f"{why.capitalize()}: {value}.": None
                for why, value in mine[0][1].items()
                if why in TRUST[1:] and why not in ("only", "converted")
            }
    return " ".join([*([f"Not counted: {', '.join(left)}."] if left else []), *trust])


def _title(column: Column, spread: str) -> str:
    return column.title.format("no currency" if column.spread == "currency" and not spread else place(spread))


def _spread(column: Column, rows: Sequence[Opened]) -> list[str]:
    """The spread values present, in the order of the ladder."""
    return sorted(dict.fromkeys(dims.get(column.spread, "") for _, dims in rows), key=rank)


def _listed(title: str, rows: Sequence[Opened]) -> Table:
    """One line per row: name, every dimension, value, interval, n."""
    columns = list(dict.fromkeys(d for _, dims in rows for d in dims if not _factor(dims[d])))
    lines = [
        [label(str(row["name"])), *(place(dims[d]) if d in dims else "" for d in columns), shown(row), interval(row), row.get("n")]
        for row, dims in rows
    ]
    heads = ["metric", *map(label, columns), "value", "95 % interval", "n"]
    return table(heads, lines, numbers=["value", "95 % interval", "n"], title=title, note=_made_of(rows))


def _factor(value: str) -> bool:
    """A number kept among the dimensions (what a velocity is made of) rather than a name."""
    return "." in value and value.replace(".", "", 1).lstrip("-").isdigit()


def _made_of(rows: Sequence[Opened]) -> str:
    """What metrics carry beside their value: the factors they are made of, and why one could not be computed."""
    notes = []
    for row, dims in rows:
        said = [f"{label(d)} {number(v)}" for d, v in dims.items() if _factor(v)]
        said += [str(why) for key, why in excluded(row).items() if key == "not computable"]
        notes += [f"{label(str(row['name']))}: {', '.join(said)}"] if said else []
    return "; ".join(dict.fromkeys(notes))
