"""How often deals are won: by quarter with intervals, and by the stage they got to."""

from __future__ import annotations

from typing import Any

from jobs.report.charts.chart import Bar, Chart, Spec, bars, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, months, percent, rows
from jobs.show_metrics import FEW, interval, number, place, shown
from jobs.show_table import table

QUARTERS = 9


def win_rate(data: Data) -> Chart | None:
    """Won ÷ closed by quarter, each with its 95 % interval; quarters with few deals are pale."""
    found = by(rows(data, "win_rate", by="count"), "period")
    quarters = [q for q in months(found, QUARTERS) if found[q]["value"] is not None]
    if len(quarters) < 2:
        return None
    data_ = [_point(q, found[q]) for q in quarters]
    year = found.get("last 365 days")
    over = f"In the last 365 days {shown(year)} of the closed deals were won. " if year and year["value"] is not None else ""
    reading = (
        f"{over}In {quarters[-1]} it was {number(found[quarters[-1]]['numerator'])} of {number(found[quarters[-1]]['denominator'])}. "
        f"Lines are 95 % intervals; hollow points stand on fewer than {FEW} deals."
    )
    lists = [
        [q, int(found[q]["numerator"]), int(found[q]["denominator"]), percent(found[q]["value"]), interval(found[q])] for q in quarters
    ]
    numbers = ("won", "closed", "win rate", "95 % interval")
    made = table(("closed in", *numbers), lists, numbers=numbers)
    return Chart("Win rate by quarter", reading, made, lambda width: _points(width, data_))


def _point(quarter: str, row: Row) -> dict[str, Any]:
    few = float(row["denominator"]) < FEW
    return {
        "quarter": quarter, "value": row["value"], "low": row["low"], "high": row["high"], "text": percent(row["value"]),
        "colour": light("blue"), "fill": light("card" if few else "blue"),
        "said": f"{quarter}: {number(row['numerator'])} of {number(row['denominator'])}, 95 % interval {percent(row['low'])} to "
                f"{percent(row['high'])}",
    }  # fmt: skip


def _points(width: int, data: list[dict[str, Any]]) -> Spec:
    x = {"field": "quarter", "type": "ordinal", "title": None, "axis": {"labelAngle": 0 if width / len(data) > 62 else -45, "ticks": False}}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 5}}
    layers: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": own_colour()}},
        {"mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1, "filled": False},
         "encoding": {"x": x, "y": y, "stroke": own_colour(), "fill": own_colour("fill"), "description": said()}},
        {"mark": {"type": "text", "align": "left", "dx": 9}, "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 210, layers, data=values(data))


def stage_win_rates(data: Data) -> Chart | None:
    """Of the closed deals that were ever in the stage: the share won."""
    found = {stage: row for stage, row in by(rows(data, "stage_win_rate"), "stage").items() if row["value"] is not None}
    if len(found) < 2:
        return None
    lines = [
        Bar(place(stage), row["value"], f"{percent(row['value'])} · {number(row['numerator'])} of {number(row['denominator'])} closed",
            percent(row["value"]))
        for stage, row in found.items()
    ]  # fmt: skip
    reading = "Of the deals that were ever in the stage and are closed, so many were won: " + ", ".join(
        f"{line.label} {percent(line.size)}" for line in lines
    )
    lists = [
        [place(stage), int(row["numerator"]), int(row["denominator"]), percent(row["value"]), interval(row)] for stage, row in found.items()
    ]
    numbers = ("won", "closed", "win rate", "95 % interval")
    made = table(("ever in", *numbers), lists, numbers=numbers)
    return Chart("Win rate by stage reached", f"{reading}.", made, lambda width: bars(width, lines, whole=1.0, step=40))
