"""What a chart is before it is drawn, and the few parts that all of them are put together from, as Vega-Lite.

Specifications are plain data: a test looks at their values, and nothing of a browser or of a drawing library is needed to make one.
Source of the vocabulary: https://vega.github.io/vega-lite/docs/ (read 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.charts.palette import light
from jobs.show_table import Table, tame

Spec = dict[str, Any]
PHONE, HALF, FULL = 320, 540, 1100  # widths in pixels that a chart is drawn for
FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"  # as wide wherever it is measured or shown
LETTER = 7.0  # pixels, on average, of 12 pixel text where FONT is missing and a wider one stands in


@dataclass(frozen=True)
class Chart:
    """A picture and the same in words: `reading` is one sentence or two, `table` its numbers.

    `wide`: over the whole page; `tall`: two others fit beside it.
    """

    title: str
    reading: str
    table: Table
    spec: Callable[[int], Spec]
    wide: bool = False
    tall: bool = False


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart. `brief`: what stands beside the bar where there is little room. `part` of it is in another colour."""

    label: str
    size: float
    text: str
    brief: str = ""
    colour: str = "blue"
    part: float = 0.0


_AXIS = {
    "labelColor": light("soft"), "labelFont": FONT, "labelFontSize": 12, "titleColor": light("soft"), "titleFont": FONT,
    "titleFontSize": 12,
    "titleFontWeight": "normal", "gridColor": light("line"), "domainColor": light("line"), "tickColor": light("line"),
}  # fmt: skip
CONFIG: Spec = {
    "background": "transparent", "view": {"stroke": None}, "axis": _AXIS, "aria": True,
    "text": {"font": FONT, "fontSize": 12, "color": light("ink")},
    "bar": {"color": light("blue")}, "rule": {"color": light("soft")},
}  # fmt: skip


def layered(width: int, height: float, layers: Sequence[Spec], **more: Any) -> Spec:
    """Layers over each other, `width` pixels wide with axes and all; `height` is that of the plot."""
    layers = [layer if "description" in layer["encoding"] else {**layer, "mark": {**layer["mark"], "aria": False}} for layer in layers]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width, "height": round(height), "autosize": {"type": "fit-x", "contains": "padding"}, "padding": 2,
        "config": CONFIG, "layer": layers, **more,
    }  # fmt: skip


def canvas(width: int, height: float, layers: Sequence[Spec]) -> Spec:
    """Layers whose x and y are pixels from the upper left corner; no axes."""
    made = [{**layer, "encoding": {**_pixels(layer["encoding"], width, height)}} for layer in layers]
    return {**layered(width, height, made), "autosize": {"type": "none"}, "padding": 0}


def _pixels(encoding: Mapping[str, Any], width: int, height: float) -> Spec:
    spans = {"x": [0, width], "y": [round(height), 0]}
    out = dict(encoding)
    for name, span in spans.items():
        scale = {"domain": span, "nice": False, "zero": False}
        out[name] = {**encoding[name], "type": "quantitative", "axis": None, "scale": scale}
    return out


def values(rows: Iterable[Mapping[str, Any]]) -> Spec:
    return {"values": [{name: tame(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]}


def axis(**more: Any) -> Spec:
    """Of amounts: 0, 50k, 1.5M."""
    return {"labelExpr": "datum.value === 0 ? '0' : format(datum.value, '~s')", "tickCount": 5, **more}


def days(width: int) -> Spec:
    """An axis of days: 30 Jun."""
    return {"format": "%-d %b", "tickCount": 4 if width < HALF else 6, "grid": False}


def own_colour(field: str = "colour") -> Spec:
    """A colour that each row names itself."""
    return {"field": field, "type": "nominal", "scale": None}


def said(field: str = "said") -> Spec:
    """What a mark says when it is pointed at."""
    return {"field": field, "type": "nominal"}


def label_limit(room: float) -> int:
    """How wide a label may be where it is measured, so that it fits where a wider font stands in."""
    return round((room - 8) * 0.92)


def bars(width: int, rows: Sequence[Bar], *, whole: float | None = None, step: int = 30) -> Spec:
    """Horizontal bars, one line each, with their text behind them; `whole` is how much the longest possible bar stands for."""
    narrow = width < HALF
    texts = [(row.brief or row.text) if narrow else row.text for row in rows]
    names = min(width * 0.4, max((len(row.label) for row in rows), default=0) * LETTER + 14)
    plot = max(60.0, width - names - 8)
    most = max([whole or 0.0, *(row.size for row in rows)]) or 1.0
    room = max((row.size / most * plot + len(text) * LETTER * 1.05 + 12 for row, text in zip(rows, texts, strict=True)), default=plot)
    data = [
        {"label": row.label, "size": row.size, "text": text, "colour": light(row.colour), "said": f"{row.label}: {row.text}"}
        for row, text in zip(rows, texts, strict=True)
    ]
    parts = [{"label": row.label, "size": row.part, "colour": light("orange")} for row in rows if row.part]
    y = {
        "field": "label", "type": "ordinal", "sort": [row.label for row in rows], "title": None,
        "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelLimit": label_limit(names), "labelPadding": 8,
                 "minExtent": round(names)},
        "scale": {"paddingInner": 0.35, "paddingOuter": 0.15},
    }  # fmt: skip
    x = {"field": "size", "type": "quantitative", "axis": None, "scale": {"domain": [0, most * max(1.0, room / plot)], "nice": False}}
    layers: list[Spec] = [
        {"mark": {"type": "bar"}, "encoding": {"x": x, "y": y, "color": own_colour(), "description": said()}},
        {"mark": {"type": "text", "align": "left", "dx": 6}, "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
    ]
    if parts:
        layers.insert(1, {"data": values(parts), "mark": {"type": "bar"}, "encoding": {"x": x, "y": y, "color": own_colour()}})
    return layered(width, max(1, len(rows)) * step, layers, data=values(data))


def legend_above(**more: Any) -> Spec:
    """A chart's legend: one line above it."""
    return {"orient": "top", "title": None, "labelColor": light("ink"), "labelFontSize": 12, "direction": "horizontal", **more}
