"""Credit by channel under every model: how far the models are apart, and each model's split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, axis, layered, legend_above, said, values
from jobs.report.charts.heat import Cell, heat_map
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, compact, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table

CHANNELS = 12
# Those that stand out in the comparison; a shape each, as colours alone say nothing to some.
MARKED = {"first": ("orange", "triangle-up"), "last": ("purple", "square"), "w": ("teal", "diamond"), "markov": ("blue", "circle")}
ON_PHONE = ("first", "last", "linear", "w", "markov", "shapley")


def _won(data: Data) -> tuple[dict[Any, Row], list[str], list[str], str]:
    """Won value by (channel, model); the models, the channels by what they have at most, the currency."""
    found = by([row for row in rows(data, "attributed_value", of="won") if row["value"] is not None], "channel", "model")
    models = list(dict.fromkeys(model for _, model in found))
    most: dict[str, float] = {}
    for (channel, _), row in found.items():
        if channel != "all":
            most[channel] = max(most.get(channel, 0.0), float(row["value"]))
    channels = sorted((c for c in most if most[c] > 0), key=lambda c: (c == "(unattributed)", -most[c]))[:CHANNELS]
    currency = next((str(row["dimensions"].get("currency", "")) for row in found.values()), "")
    return found, models, channels, currency


def comparison(data: Data) -> Chart | None:
    """For each channel a line from the least to the most any model gives it, with four models marked."""
    found, models, channels, currency = _won(data)
    if len(channels) < 2 or len(models) < 2:
        return None
    spans = {c: [float(found[c, m]["value"]) for m in models if (c, m) in found] for c in channels}
    apart = max(channels, key=lambda c: max(spans[c]) - min(spans[c]))
    reading = (
        f"Every model splits the same won value; the line goes from the least to the most any of {len(models)} models gives the channel. "
        f"They differ most on {apart}: from {compact(min(spans[apart]))} to {compact(max(spans[apart]))} {currency}. "
        "Credit is not causal lift."
    )
    heads = ("least", *MARKED, "most")
    lists = [
        [c, number(min(spans[c])), *(number(found[c, m]["value"]) if (c, m) in found else "" for m in MARKED), number(max(spans[c]))]
        for c in channels
    ]
    made = table(("channel", *heads), lists, numbers=heads)
    return Chart(
        f"Won value by channel: where the models differ, {currency}", reading, made, lambda width: _dots(width, found, channels, spans)
    )


def _dots(width: int, found: Mapping[Any, Row], channels: Sequence[str], spans: Mapping[str, list[float]]) -> Spec:
    lines = [{"channel": c, "low": min(spans[c]), "high": max(spans[c])} for c in channels]
    names = min(width * 0.34, max(map(len, channels)) * LETTER + 14)
    y = {
        "field": "channel", "type": "ordinal", "sort": list(channels), "title": None,
        "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelLimit": round(names), "labelPadding": 8,
                 "minExtent": round(names)},
    }  # fmt: skip
    x = {"type": "quantitative", "title": None, "axis": axis(tickCount=4 if width < HALF else 6)}
    points = [
        {"channel": c, "model": m, "value": found[c, m]["value"], "said": f"{c}, {m}: {number(found[c, m]['value'])}"}
        for m in MARKED
        for c in channels
        if (c, m) in found
    ]
    legend = legend_above()
    shape, colour = ({"field": "model", "type": "nominal", "legend": legend, "scale": {"domain": list(MARKED), "range": list(parts)}}
                     for parts in zip(*((shape, light(name)) for name, shape in MARKED.values()), strict=True))  # fmt: skip
    layers: list[Spec] = [
        {"data": values(lines), "mark": {"type": "rule", "strokeWidth": 5, "color": light("line")},
         "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"data": values(points), "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
         "encoding": {"y": y, "x": {**x, "field": "value"}, "shape": shape, "color": colour, "description": said()}},
    ]  # fmt: skip
    return layered(width, 26 * len(channels), layers)


def split(data: Data) -> Chart | None:
    """The share of the won value that each model gives each channel."""
    found, models, channels, currency = _won(data)
    if len(channels) < 2 or len(models) < 2:
        return None
    totals = {m: sum(float(found[c, m]["value"]) for c in channels if (c, m) in found) or 1.0 for m in models}
    shares = {(c, m): float(found[c, m]["value"]) / totals[m] for c in channels for m in models if (c, m) in found}
    top = max(shares.values()) or 1.0
    cells = {
        (c, m): Cell(f"{100 * share:.0f}", share / top, f"{c}, {m}: {percent(share)}, {number(found[c, m]['value'])} {currency}")
        for (c, m), share in shares.items()
    }
    reading = (
        f"Per cent of the won value that each model credits to each channel; columns add up to 100. The darkest cell is {percent(top)}."
    )
    lists = [[c, *(percent(shares.get((c, m))) for m in models)] for c in channels]

    def drawn(width: int) -> Spec:
        kept = [m for m in models if width >= HALF or m in ON_PHONE]
        return heat_map(width, [(c, c) for c in channels], [(m, m) for m in kept], {k: v for k, v in cells.items() if k[1] in kept})

    return Chart("Each model's split, in per cent", reading, table(("channel", *models), lists, numbers=models), drawn)
