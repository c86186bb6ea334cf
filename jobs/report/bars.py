"""Bars of a report: which metrics are drawn, as data, and how long each bar is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.show_metrics import interval, number, place, rank, shown

BARS = 14  # of one chart; the rest is in the table below it


@dataclass(frozen=True)
class Bar:
    label: str
    text: str
    width: float  # 0 to 100
    note: str = ""


@dataclass(frozen=True)
class Chart:
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Drawing:
    """A chart of one metric. `measure` is the row's column that the bar is as long as; `split` makes a chart for each value."""

    family: str
    title: str
    name: str
    key: str
    where: Mapping[str, str] = field(default_factory=dict)
    measure: str = "value"
    split: str = ""
    largest_first: bool = False


DRAWINGS = (
    Drawing("funnel", "How far the cohorts got", "reach", "to", {"cohort": "all", "mode": "implied"}, measure="numerator"),
    Drawing("funnel", "Where persons stand now", "stage_count", "stage", {"basis": "current"}),
    Drawing("pipeline", "Open amount by stage, {}", "pipeline_value", "stage", split="currency"),
    Drawing("pipeline", "Open deals by stage", "open_deals", "stage"),
    Drawing("winrate", "Win rate by deals", "win_rate", "period", {"by": "count"}),
    Drawing("sources", "Persons by source", "source_persons", "source", largest_first=True),
    Drawing("sources", "Won by source, {}", "source_won_value", "source", split="currency", largest_first=True),
)


def charts_of(metrics: Sequence[Mapping[str, Any]], family: str) -> list[Chart]:
    """The charts of a family (rows with opened dimensions); one with fewer than two bars is left to the table."""
    charts = [chart for d in DRAWINGS if d.family == family for chart in _draw(d, metrics)]
    return [chart for chart in charts if len(chart.bars) > 1]


def _draw(drawing: Drawing, metrics: Sequence[Mapping[str, Any]]) -> list[Chart]:
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for row in metrics:
        dims = row["dimensions"]
        if row["name"] == drawing.name and drawing.where.items() <= dims.items() and dims.get(drawing.key) != "all":
            parts.setdefault(dims.get(drawing.split, ""), []).append(row)
    return [_chart(drawing, drawing.title.format(split or "?"), rows) for split, rows in parts.items()]


def _chart(drawing: Drawing, title: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    def size(row: Mapping[str, Any]) -> float:
        return abs(float(row.get(drawing.measure) or 0))

    def order(row: Mapping[str, Any]) -> float:
        return -size(row) if drawing.largest_first else rank(row["dimensions"][drawing.key])

    kept = sorted((row for row in rows if row.get(drawing.measure) is not None), key=order)[:BARS]
    longest = 1.0 if drawing.measure == "value" and _is_share(kept) else max(map(size, kept), default=0) or 1.0
    return Chart(title, tuple(_bar(row, drawing, min(100.0, 100 * size(row) / longest)) for row in kept))


def _is_share(rows: Sequence[Mapping[str, Any]]) -> bool:
    return all(row.get("unit") == "share" for row in rows)


def _bar(row: Mapping[str, Any], drawing: Drawing, width: float) -> Bar:
    name = place(row["dimensions"][drawing.key])
    if drawing.measure == "numerator":
        share = "" if row.get("value") is None else f"{100 * float(row['value']):.0f} %"
        return Bar(name, number(row["numerator"]), round(width, 2), share)
    text = shown(row)
    return Bar(name, text, 0.0 if text.startswith("–") else round(width, 2), interval(row))
