"""Lines over time or age: a few series, each with a colour and a shape of its own, and a band where it has an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.charts.chart import Spec, layered, legend_above, own_colour, said, values
from jobs.report.charts.palette import light

# A shape each, as colours alone say nothing to some.
LOOKS = (
    ("blue", "circle"),
    ("orange", "triangle-up"),
    ("teal", "square"),
    ("purple", "diamond"),
    ("pink", "cross"),
    ("olive", "triangle-down"),
)


@dataclass(frozen=True)
class Point:
    """One value of a series; `low` and `high` are its interval, where it has one."""

    x: Any
    y: float
    said: str
    low: float | None = None
    high: float | None = None


def lines(
    width: int, series: Sequence[tuple[str, Sequence[Point]]], x: Spec, y: Spec, *, height: int = 220, whole: float | None = None
) -> Spec:
    """Series under a legend, in the order given. x and y: the axes without their fields. `whole`: a dashed line at that height."""
    looks = {name: look for (name, _), look in zip(series, LOOKS, strict=False)}
    points = [{"series": name, "x": p.x, "y": p.y, "said": f"{name}, {p.said}"} for name, part in series for p in part]
    bands = [
        {"series": name, "x": p.x, "low": p.low, "high": p.high, "colour": light(looks[name][0])}
        for name, part in series
        for p in part
        if p.low is not None and p.high is not None
    ]
    legend = legend_above(labelLimit=width)
    colour, shape = (
        {"field": "series", "type": "nominal", "legend": legend, "scale": {"domain": list(looks), "range": list(parts)}}
        for parts in zip(*((light(name), shape) for name, shape in looks.values()), strict=True)
    )
    across, up = {**x, "field": "x"}, {"type": "quantitative", "title": None, **y}
    dashes = {"type": "rule", "strokeDash": [4, 4], "color": light("soft")}
    layers: list[Spec] = [
        {"data": values([] if whole is None else [{"y": whole}]), "mark": dashes, "encoding": {"y": {**up, "field": "y"}}},
        {"data": values(bands), "mark": {"type": "area", "opacity": 0.15},
         "encoding": {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}, "fill": own_colour()}},
        {"data": values(points), "mark": {"type": "line", "strokeWidth": 2},
         "encoding": {"x": across, "y": {**up, "field": "y"}, "color": colour}},
        {"data": values(points), "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
         "encoding": {"x": across, "y": {**up, "field": "y"}, "color": colour, "shape": shape, "description": said()}},
    ]  # fmt: skip
    return layered(width, height, [layer for layer in layers if layer["data"]["values"]])
