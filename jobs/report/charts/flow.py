"""From source to outcome, as a Sankey: every person is a thread of a ribbon.

Vega-Lite has no such mark, so the places are computed here (a pure function) and drawn as areas and rectangles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, canvas, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, by, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table

SOURCES = 8  # the largest; the others flow together
OTHER = "other sources"
# From what everybody hopes for to what nobody does.
COLOURS = {
    "won": "teal", "open deal": "blue", "qualified": "purple", "before MQL": "grey", "disqualified": "brown", "lost deal": "orange",
}  # fmt: skip
HEIGHT, GAP, BLOCK = 340, 10, 10  # pixels: of all, between nodes, wide
POINTS = 16  # along a ribbon
MARGIN = 8  # a thin node's name is taller than the node


@dataclass(frozen=True)
class Node:
    name: str
    top: float
    bottom: float
    n: float


@dataclass(frozen=True)
class Ribbon:
    """From `source`, where it leaves between two heights, to `outcome`, where it arrives between two."""

    source: str
    outcome: str
    n: float
    left: tuple[float, float]
    right: tuple[float, float]


@dataclass(frozen=True)
class Sankey:
    sources: tuple[Node, ...]
    outcomes: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]


def layout(flows: Mapping[tuple[str, str], float], sources: Sequence[str], outcomes: Sequence[str], height: float = HEIGHT) -> Sankey:
    """Where nodes and ribbons lie, top down in the orders given. Heights are proportional to n on both sides; empty flows are left out."""
    flows = {key: n for key, n in flows.items() if n > 0}
    left = {name: sum(n for (source, _), n in flows.items() if source == name) for name in sources}
    right = {name: sum(n for (_, outcome), n in flows.items() if outcome == name) for name in outcomes}
    left, right = ({name: n for name, n in side.items() if n} for side in (left, right))
    scale = (height - GAP * (max(len(left), len(right), 1) - 1)) / (sum(left.values()) or 1)
    here, there = _stacked(left, scale, height), _stacked(right, scale, height)
    leave = {node.name: node.top for node in here}
    arrive = {node.name: node.top for node in there}
    ribbons = []
    for source in left:
        for outcome in right:
            if n := flows.get((source, outcome), 0):
                wide = n * scale
                y0, y1 = leave[source], arrive[outcome]
                ribbons.append(Ribbon(source, outcome, n, (y0, y0 + wide), (y1, y1 + wide)))
                leave[source], arrive[outcome] = y0 + wide, y1 + wide
    return Sankey(tuple(here), tuple(there), tuple(ribbons))


def _stacked(sizes: Mapping[str, float], scale: float, height: float) -> list[Node]:
    """Nodes under each other, spread over the whole height."""
    gap = (height - sum(sizes.values()) * scale) / max(1, len(sizes) - 1)
    nodes, top = [], 0.0
    for name, n in sizes.items():
        nodes.append(Node(name, top, top + n * scale, n))
        top += n * scale + gap
    return nodes


def source_to_outcome(data: Data) -> Chart | None:
    """Persons from their earliest source to what became of them."""
    found = by(rows(data, "source_outcome"), "source", "outcome")
    flows: dict[tuple[str, str], float] = {}
    sizes: dict[str, float] = {}
    for (source, _), row in found.items():
        sizes[source] = sizes.get(source, 0.0) + float(row["value"] or 0)
    kept = sorted((s for s in sizes if sizes[s]), key=lambda s: (-sizes[s], s))[:SOURCES]
    for (source, outcome), row in found.items():
        key = (source if source in kept else OTHER, outcome)
        flows[key] = flows.get(key, 0.0) + float(row["value"] or 0)
    total = sum(flows.values())
    if not total or len(kept) < 2:
        return None
    sources = [*kept, OTHER] if len(sizes) > len(kept) else kept
    outcomes = [name for name in COLOURS if any(flows.get((source, name)) for source in sources)]
    won = {source: flows.get((source, "won"), 0.0) for source in kept}
    best = max(won, key=lambda source: won[source])
    reading = (
        f"{number(total)} persons by their earliest source; {number(sum(won.values()) + flows.get((OTHER, 'won'), 0.0))} have won. "
        f"Most of them, {number(won[best])}, came from {best} ({percent(won[best] / sizes[best])} of its)."
    )
    lists = [[source, *(int(flows.get((source, name), 0)) for name in outcomes)] for source in sources]
    made = table(("source", *outcomes), lists, numbers=outcomes)
    return Chart("From source to outcome", reading, made, lambda width: _drawn(width, layout(flows, sources, outcomes)), wide=True)


def _drawn(width: int, sankey: Sankey) -> Spec:
    narrow = width < HALF
    size = 11 if narrow else 12
    names = [f"{node.name} ({number(node.n)})" for node in (*sankey.sources, *sankey.outcomes)]
    room = [max(len(name) for name in part) * LETTER * size / 12 + 8
            for part in (names[: len(sankey.sources)], names[len(sankey.sources) :])]  # fmt: skip
    left, right = min(room[0], width * 0.38), width - min(room[1], width * 0.38)
    blocks = [*_blocks(sankey.sources, left - BLOCK, light("soft")), *_blocks(sankey.outcomes, right, "")]
    labels = [
        *({"x": left - BLOCK - 6, "y": MARGIN + (n.top + n.bottom) / 2, "text": names[i]} for i, n in enumerate(sankey.sources)),
    ]
    ends = [
        {"x": right + BLOCK + 6, "y": MARGIN + (n.top + n.bottom) / 2, "text": names[len(sankey.sources) + i]}
        for i, n in enumerate(sankey.outcomes)
    ]
    points = [point for i, ribbon in enumerate(sankey.ribbons) for point in _points(i, ribbon, left, right)]
    at = {"x": {"field": "x"}, "y": {"field": "y"}}
    text = {"type": "text", "baseline": "middle", "fontSize": size}
    layers: list[Spec] = [
        {"data": values(points), "mark": {"type": "area", "opacity": 0.45},
         "encoding": {**at, "y2": {"field": "y2"}, "detail": {"field": "ribbon", "type": "nominal"}, "fill": own_colour(),
                      "description": said()}},
        {"data": values(blocks), "mark": {"type": "rect"},
         "encoding": {**at, "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": own_colour(), "description": said()}},
        {"data": values(labels), "mark": {**text, "align": "right", "limit": round(left - BLOCK - 8)},
         "encoding": {**at, "text": {"field": "text"}}},
        {"data": values(ends), "mark": {**text, "align": "left", "limit": round(width - right - BLOCK - 8)},
         "encoding": {**at, "text": {"field": "text"}}},
    ]  # fmt: skip
    return canvas(width, HEIGHT + 2 * MARGIN, layers)


def _blocks(nodes: Sequence[Node], x: float, colour: str) -> list[dict[str, Any]]:
    return [
        {"x": x, "x2": x + BLOCK, "y": MARGIN + n.top, "y2": MARGIN + max(n.bottom, n.top + 1), "colour": colour or light(COLOURS[n.name]),
         "said": f"{n.name}: {number(n.n)}"}
        for n in nodes
    ]  # fmt: skip


def _points(i: int, ribbon: Ribbon, left: float, right: float) -> list[dict[str, Any]]:
    """The ribbon's upper and lower edge along its way, which begins and ends level."""
    made = []
    for k in range(POINTS + 1):
        t = k / POINTS
        ease = t * t * (3 - 2 * t)
        top, bottom = (a + (b - a) * ease for a, b in zip(ribbon.left, ribbon.right, strict=True))
        made.append({"ribbon": i, "x": left + (right - left) * t, "y": MARGIN + top, "y2": MARGIN + bottom,
                     "colour": light(COLOURS[ribbon.outcome]),
                     "said": f"{ribbon.source}, {ribbon.outcome}: {number(ribbon.n)}"})  # fmt: skip
    return made
