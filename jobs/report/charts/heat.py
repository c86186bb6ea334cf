"""Heat maps: shares in coloured cells with their text in them, so that nobody has to read a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Spec, canvas, label_limit, own_colour, said, values
from jobs.report.charts.palette import heat, light

LINE = 28  # pixels of a row
GAP = 2


@dataclass(frozen=True)
class Cell:
    """`share` of the darkest colour (0 to 1). An `unripe` one is hatched: its number is still growing."""

    text: str
    share: float
    said: str = ""
    unripe: bool = False


Names = Sequence[tuple[str, str]]  # key, as shown


def heat_map(width: int, rows: Names, columns: Names, cells: Mapping[tuple[str, str], Cell]) -> Spec:
    """Rows down, columns across, both in the order given; a missing cell stays empty."""
    narrow = width < HALF
    size = 11 if narrow else 12
    left = min(width * (0.36 if narrow else 0.3), max(len(shown) for _, shown in rows) * LETTER * size / 12 + 10)
    across = (width - left) / len(columns)
    turned = any(len(shown) * LETTER * size / 12 > across - 4 for _, shown in columns)
    if turned:  # the last heading leans out
        across = (width - left - len(columns[-1][1]) * LETTER * 0.4) / len(columns)
    top = _turned_height(columns, size) if turned else 22.0
    places = {
        (row, column): (left + j * across, top + i * LINE) for i, (row, _) in enumerate(rows) for j, (column, _) in enumerate(columns)
    }
    boxes = [_box(cells[key], *at, across) for key, at in places.items() if key in cells]
    hatches = [line for key, at in places.items() if key in cells and cells[key].unripe for line in _hatch(cells[key], *at, across)]
    small = size if max((len(cell.text) for cell in cells.values()), default=0) * LETTER * size / 12 < across - 2 else 9
    names = [{"x": left - 8, "y": top + (i + 0.5) * LINE, "text": shown} for i, (_, shown) in enumerate(rows)]
    heads = [{"x": left + (j + 0.5) * across, "y": top - 6, "text": shown} for j, (_, shown) in enumerate(columns)]
    head = {"type": "text", "baseline": "bottom", "align": "center", "color": light("soft"), "fontSize": size}
    if turned:
        head |= {"angle": 320, "align": "left", "baseline": "middle"}
    text = {"text": {"field": "text"}}
    layers: list[Spec] = [
        {"data": values(boxes), "mark": {"type": "rect"},
         "encoding": {**_at(), "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": own_colour(), "description": said()}},
        {"data": values(hatches), "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.45},
         "encoding": {**_at(), "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": own_colour()}},
        {"data": values(boxes), "mark": {"type": "text", "fontSize": small},
         "encoding": {"x": {"field": "middle"}, "y": {"field": "centre"}, "color": own_colour("ink"), **text}},
        {"data": values(names), "mark": {"type": "text", "align": "right", "baseline": "middle", "fontSize": size,
                                         "limit": label_limit(left)}, "encoding": {**_at(), **text}},
        {"data": values(heads), "mark": head, "encoding": {**_at(), **text}},
    ]  # fmt: skip
    return canvas(width, top + len(rows) * LINE, [layer for layer in layers if layer["data"]["values"]])


def _turned_height(columns: Names, size: int) -> float:
    return max(len(shown) for _, shown in columns) * LETTER * size / 12 * 0.65 + 18


def _at() -> dict[str, Any]:
    return {"x": {"field": "x"}, "y": {"field": "y"}}


def _box(cell: Cell, x: float, y: float, across: float) -> dict[str, Any]:
    step = heat(cell.share)
    return {
        "x": x, "y": y, "x2": x + across - GAP, "y2": y + LINE - GAP, "middle": x + (across - GAP) / 2, "centre": y + (LINE - GAP) / 2,
        "colour": light(step), "ink": light(f"{step}_ink"), "text": cell.text, "said": cell.said or cell.text,
    }  # fmt: skip


def _hatch(cell: Cell, x: float, y: float, across: float) -> list[dict[str, Any]]:
    """Lines at 45 degrees over the cell, cut at its edges."""
    wide, high = across - GAP, LINE - GAP
    lines = []
    for start in range(-high + 6, int(wide), 8):
        x0, x1 = max(0.0, start), min(wide, start + high)
        lines.append({"x": x + x0, "y": y + high - (x0 - start), "x2": x + x1, "y2": y + high - (x1 - start),
                      "colour": light(f"{heat(cell.share)}_ink")})  # fmt: skip
    return lines
