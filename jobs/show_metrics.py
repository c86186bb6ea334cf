"""Metric rows (name, dimensions, value, numerator, denominator, n, low, high, unit) as tables people read.

Rows that share their dimensions stand in one table: a line per value of the dimensions, a column per metric.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.model import FUNNEL_STAGES, LADDER, OFF_LADDER, PIPELINE_STAGES
from jobs.show_table import Table, table

FAMILIES = ("funnel", "pipeline", "winrate", "sources")
FEW = 10  # a share of fewer than this is shown as its counts only. Source: domain definitions, §3.
WIDE = 5  # metrics side by side in one table
_ORDER = {name: i for i, name in enumerate((*FUNNEL_STAGES, *LADDER, *OFF_LADDER, *PIPELINE_STAGES))}
# What reports call the milestones (the ladder's default names).
MILESTONES = {
    "M00": "Visitor", "M10": "Subscriber", "M20": "Lead", "M30": "MQL", "M35": "SAL", "M40": "SQL", "M50": "Opportunity",
    "M60": "Proposing", "M70": "Closing", "M80": "Won", "M85": "Lost", "M90": "Retained", "M95": "Advocate", "MX": "Disqualified",
}  # fmt: skip
_SHARE = {"share", "rate", "ratio", "percent"}
_MONEY = re.compile(r"^([A-Z]{3})(/day|/month)?$")


def dimensions(row: Mapping[str, Any]) -> dict[str, str]:
    """The row's dimensions opened, in their order; {} for none."""
    raw = row.get("dimensions")
    opened = json.loads(raw) if isinstance(raw, str) and raw else raw or {}
    return {str(k): "" if v is None else str(v) for k, v in opened.items()}


def family(row: Mapping[str, Any]) -> str:
    """Which named report a metric belongs to: by what it counts, then by its name."""
    name, dims = str(row["name"]).lower(), dimensions(row)
    if {"source", "lead_source", "channel", "campaign"} & set(dims) or "source" in name:
        return "sources"
    if "win_rate" in name or "winrate" in name:
        return "winrate"
    if (
        re.search(r"pipeline|deal|coverage|forecast|amount|cycle|velocity|slip|aging", name)
        or "pipeline_stage" in dims
        or "pipeline" in dims
    ):
        return "pipeline"
    return "funnel"


def of_family(metrics: Iterable[Mapping[str, Any]], name: str | None) -> list[Mapping[str, Any]]:
    return [row for row in metrics if name is None or family(row) == name]


# -- one value ----------------------------------------------------------------------------------------------------------
def shown(row: Mapping[str, Any]) -> str:
    """ "31.2 % (25/80)", "1,250,000 EUR", "14.5 days"; "–" for what cannot be computed, with the counts if there are any."""
    value, unit = row.get("value"), str(row.get("unit") or "")
    counts = _counts(row)
    if unit in _SHARE:
        base = row.get("denominator")
        if value is None or (base is not None and float(base) < FEW):
            return f"– {counts}".strip()
        return f"{100 * float(value):.1f} % {counts}".strip()
    if value is None:
        return "–"
    return f"{number(value)} {_unit(unit)}".strip()


def interval(row: Mapping[str, Any]) -> str:
    """ "24.1–39.0 %"; "" where there is none or the counts are too few."""
    low, high = row.get("low"), row.get("high")
    if low is None or high is None or shown(row).startswith("–"):
        return ""
    if str(row.get("unit") or "") in _SHARE:
        return f"{100 * float(low):.1f}–{100 * float(high):.1f} %"
    return f"{number(low)}–{number(high)}"


def number(value: Any) -> str:
    """Grouped, and only as many decimals as matter: 1,250,000 · 14.5 · 0.333."""
    amount = float(value)
    if amount == int(amount):
        return f"{int(amount):,}"
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.1f}" if abs(amount) >= 10 else f"{amount:.2f}"


def _unit(unit: str) -> str:
    return "" if unit in ("count", "number", "persons", "deals", "records") else "×" if unit == "times" else unit


def _counts(row: Mapping[str, Any]) -> str:
    above, below = row.get("numerator"), row.get("denominator")
    return f"({number(above)}/{number(below)})" if above is not None and below is not None else ""


def label(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")


def place(value: str) -> str:
    """A dimension's value as shown: milestones with their name."""
    return f"{value} {MILESTONES[value]}" if value in MILESTONES else value


def in_order(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Stages in the order of the ladder; what has no order keeps its own."""
    return sorted(keys, key=lambda key: [_ORDER.get(part, -1) for part in key])


# -- tables -------------------------------------------------------------------------------------------------------------
def tables(metrics: Iterable[Mapping[str, Any]], name: str | None = None) -> list[Table]:
    """The tables of one family, or of all in their order; an empty family gives none."""
    rows = list(metrics)
    return [t for f in ([name] if name else FAMILIES) for t in _family_tables(f, of_family(rows, f))]


def _family_tables(title: str, rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(dimensions(row)), []).append(row)
    return [_table(title, dims, part) for dims, group in groups.items() for part in _side_by_side(group, dims)]


def _side_by_side(rows: Sequence[Mapping[str, Any]], dims: tuple[str, ...]) -> list[list[Mapping[str, Any]]]:
    """At most WIDE metrics in one table; metrics without dimensions stand under each other, all in one."""
    names = list(dict.fromkeys(str(row["name"]) for row in rows))
    if not dims:
        return [list(rows)]
    return [[row for row in rows if row["name"] in names[i : i + WIDE]] for i in range(0, len(names), WIDE)]


def _table(title: str, dims: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(str(row["name"]) for row in rows))
    if not dims:
        lines = [[label(str(row["name"])), shown(row), interval(row), row.get("n")] for row in rows]
        return table([title, "value", "95 % interval", "n"], lines, numbers=["value", "95 % interval", "n"])
    cells: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault(tuple(dimensions(row).values()), {})[str(row["name"])] = row
    numbers = [label(name) for name in names]
    lines = [[*map(place, key), *(shown(cells[key][name]) if name in cells[key] else "" for name in names)] for key in in_order(cells)]
    return table([*map(label, dims), *numbers], lines, numbers=numbers, title=title)
