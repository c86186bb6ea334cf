"""From the pipeline that was to the pipeline that is: one step for each reason, as the waterfall's metrics name them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from jobs.report.charts.chart import FULL, Chart, Spec, axis, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, by, compact, rows
from jobs.show_metrics import number
from jobs.show_table import table

ENDS = ("start", "end")
UP = ("new", "up", "moved in")


def waterfall(data: Data) -> Chart | None:
    """Of what is due in the period; of all open deals where nothing is due."""
    spans = list(dict.fromkeys(row["dimensions"]["span"] for row in rows(data, "waterfall")))
    parts = [by(rows(data, "waterfall", span=span), "bucket") for span in spans]
    found = next((part for part in parts if any(float(row["value"] or 0) for row in part.values())), None)
    if found is None:
        return None
    dims = found["start"]["dimensions"]
    currency = str(dims.get("currency", ""))
    bars = _bars({bucket: float(row["value"] or 0) for bucket, row in found.items()})
    for bar in bars:
        n = number(found[bar["bucket"]]["n"])
        bar["said"] = f"{bar['bucket']}: {bar['text']} {currency}, {n} deals"
    due = "open deals" if dims["due"] == "any" else f"deals due in {dims['due']}"
    moves = [(bucket, float(row["value"] or 0)) for bucket, row in found.items() if bucket not in ENDS and row["value"]]
    largest = max(moves, key=lambda move: move[1], default=None)
    said_ = f" The largest step: {largest[0]}, {compact(largest[1])}." if largest else " Nothing moved."
    reading = (
        f"{due[0].upper()}{due[1:]} were worth {compact(float(found['start']['value']))} {currency} on {dims['from']} and "
        f"{compact(float(found['end']['value']))} on {dims['to']}.{said_}"
    )
    lists = [[bar["bucket"], bar["text"], number(found[bar["bucket"]]["value"]), int(found[bar["bucket"]]["n"])] for bar in bars]
    numbers = ("step", f"amount, {currency}", "deals")
    made = table(("", *numbers), lists, numbers=numbers)
    return Chart(f"What moved the pipeline, {currency}: {due}", reading, made, lambda width: _drawn(width, bars), wide=True)


def _bars(amounts: Mapping[str, float]) -> list[dict[str, Any]]:
    """Each step from where the one before ended; ends stand on the ground."""
    level, bars = 0.0, []
    for bucket, amount in amounts.items():
        sign = 1 if bucket in UP else -1
        low, high = (0.0, amount) if bucket in ENDS else sorted((level, level + sign * amount))
        level = amount if bucket in ENDS else level + sign * amount
        text = compact(amount) if bucket in ENDS else f"{'+' if sign > 0 else '−'}{compact(amount)}" if amount else "0"
        colour = "grey" if bucket in ENDS else "blue" if bucket == "won" else "teal" if sign > 0 else "orange"
        bars.append({"bucket": bucket, "low": low, "high": high, "level": level, "text": text, "colour": light(colour)})
    return bars


def _drawn(width: int, bars: list[dict[str, Any]]) -> Spec:
    """Upright where there is room, lying on a telephone."""
    upright = width >= FULL
    top = max(bar["high"] for bar in bars)
    names = [bar["bucket"] for bar in bars]
    ordinal: Spec = {
        "field": "bucket",
        "type": "ordinal",
        "sort": names,
        "title": None,
        "scale": {"paddingInner": 0.3, "paddingOuter": 0.15},
    }
    ordinal["axis"] = {"labelAngle": 0, "ticks": False, "domain": False, "labelColor": light("ink")}
    amount = {
        "field": "low", "type": "quantitative", "title": None, "scale": {"domain": [0, top * (1.02 if upright else 1.25)], "nice": False},
        "axis": axis() if upright else None,
    }  # fmt: skip
    along, across = ("y", "x") if upright else ("x", "y")
    links = [{"bucket": a["bucket"], "low": a["level"], "next": b["bucket"]} for a, b in pairwise(bars)]
    text = {"type": "text", "baseline": "bottom", "dy": -4} if upright else {"type": "text", "align": "left", "dx": 5}
    layers: list[Spec] = [
        {"data": values(links), "mark": {"type": "rule", "strokeDash": [3, 3], "color": light("soft")},
         "encoding": {across: ordinal, f"{across}2": {"field": "next"}, along: amount}},
        {"data": values(bars), "mark": {"type": "bar"},
         "encoding": {across: ordinal, along: amount, f"{along}2": {"field": "high"}, "color": own_colour(), "description": said()}},
        {"data": values(bars), "mark": text, "encoding": {across: ordinal, along: {**amount, "field": "high"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 260 if upright else 30 * len(bars), layers)
