"""How past forecasts did: were the chances right, and which method came nearest."""

from __future__ import annotations

from typing import Any

from jobs.report.charts.chart import Bar, Chart, Spec, bars, layered, own_colour, said, values
from jobs.report.charts.forecast import METHODS
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, by, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table


def accuracy(data: Data) -> Chart | None:
    """Each method's error over past windows, as a share of what was won: shorter is better."""
    found = {m: row for m, row in by(rows(data, "backtest", kind="period", score="wape"), "method").items() if row["value"] is not None}
    if len(found) < 2:
        return None
    order = sorted(found, key=lambda method: float(found[method]["value"]))
    lines = [
        Bar(METHODS.get(m, m), float(found[m]["value"]), percent(found[m]["value"]), colour="blue" if m == "calibrated" else "grey")
        for m in order
    ]
    held = next((row for row in rows(data, "backtest_coverage", kind="period") if row["value"] is not None), None)
    band = f" The 80 % band held in {number(held['numerator'])} of {number(held['denominator'])} windows." if held else ""
    reading = f"Error over past windows as a share of what was won; {lines[0].label} came nearest.{band}"
    lists = [[line.label, line.text, int(found[m]["n"])] for m, line in zip(order, lines, strict=True)]
    made = table(("method", "error", "windows"), lists, numbers=("error", "windows"))
    return Chart("Which method came nearest", reading, made, lambda width: bars(width, lines, step=36))


def reliability(data: Data) -> Chart | None:
    """Of deals given such a chance, the share that was won: on the diagonal, the chances were right."""
    found = by(rows(data, "reliability", kind="days") or rows(data, "reliability", kind="period"), "bin", "what")
    bins = [name for name, what in found if what == "won" and (name, "expected") in found and found[name, what]["denominator"]]
    if len(bins) < 2:
        return None
    points = [
        {"expected": found[b, "expected"]["value"], "won": found[b, "won"]["value"], "low": found[b, "won"]["low"],
         "high": found[b, "won"]["high"], "n": found[b, "won"]["denominator"], "colour": light("blue"),
         "said": f"chance {percent(found[b, 'expected']['value'])}: {number(found[b, 'won']['numerator'])} of "
                 f"{number(found[b, 'won']['denominator'])} won"}
        for b in bins
    ]  # fmt: skip
    off = max(points, key=lambda p: abs(p["expected"] - p["won"]))
    reading = (
        f"Deals open at past instants, by the chance they were given. The largest gap: {percent(off['expected'])} were expected, "
        f"{percent(off['won'])} won. Points on the dashed line were right; lines are 95 % intervals."
    )
    lists = [[b, percent(p["expected"]), percent(p["won"]), number(p["n"])] for b, p in zip(bins, points, strict=True)]
    numbers = ("expected", "won", "deals")
    return Chart(
        "Were the chances right", reading, table(("chance", *numbers), lists, numbers=numbers), lambda width: _diagonal(width, points)
    )


def _diagonal(width: int, points: list[dict[str, Any]]) -> Spec:
    share = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    shares = {"format": "%", "tickCount": 5}
    x = {**share, "field": "expected", "axis": {**shares, "title": "chance given"}}
    y = {**share, "field": "won", "axis": {**shares, "title": "share won"}}
    layers: list[Spec] = [
        {"data": values([{"expected": 0, "won": 0}, {"expected": 1, "won": 1}]),
         "mark": {"type": "line", "strokeDash": [4, 4], "color": light("soft"), "strokeWidth": 1.5}, "encoding": {"x": x, "y": y}},
        {"data": values(points), "mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": own_colour()}},
        {"data": values(points), "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
         "encoding": {"x": x, "y": y, "color": own_colour(), "description": said()}},
    ]  # fmt: skip
    return layered(width, 260, layers)
