"""How long each step takes: the days by which half, three quarters and nine tenths of those that take it had taken it."""

from __future__ import annotations

from typing import Any

from jobs.report.charts.chart import LETTER, Chart, Spec, label_limit, layered, legend_above, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, rows
from jobs.show_metrics import MILESTONES, number
from jobs.show_table import table

QUANTILES = {"median": ("50 %", "blue", "circle"), "p75": ("75 %", "teal", "square"), "p90": ("90 %", "orange", "triangle-up")}
TICKS = (0, 1, 7, 30, 90, 365, 1095)  # days; the axis is logarithmic, as steps take hours or years


def steps(data: Data) -> Chart | None:
    """Who still waits counts as far as he was watched, so a quantile may not be reached yet (Kaplan-Meier)."""
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in rows(data, "time_to_next"):
        dims = row["dimensions"]
        found.setdefault((dims["from"], dims["to"]), {})[dims["quantile"]] = row["value"]
    lines = {f"{_name(a)} → {_name(b)}": days for (a, b), days in found.items() if any(value is not None for value in days.values())}
    if not lines:
        return None
    whole = f"{_name(min(a for a, _ in found))} → {_name(max(b for _, b in found))}" if len(found) > 1 else ""
    halves = {step: days["median"] for step, days in lines.items() if days.get("median") is not None and step != whole}
    slowest = max(halves, key=lambda step: float(halves[step] or 0), default="")
    said_ = f"The slowest: {slowest}, {number(halves[slowest])} days until half have taken it. " if slowest else ""
    reading = f"{said_}Who still waits counts as far as he was watched; what is not reached has no mark."
    heads = tuple(word for word, _, _ in QUANTILES.values())
    lists = [[step, *("not reached" if days.get(q) is None else number(days[q]) for q in QUANTILES)] for step, days in lines.items()]
    made = table(("step", *heads), lists, numbers=heads)
    return Chart("Days until so many have taken the step", reading, made, lambda width: _drawn(width, lines))


def _name(code: str) -> str:
    return MILESTONES.get(code, code)


def _drawn(width: int, lines: dict[str, dict[str, float | None]]) -> Spec:
    spans = [{"step": step, "low": min(known), "high": max(known)} for step, days in lines.items()
             if (known := [value for value in days.values() if value is not None])]  # fmt: skip
    points: list[dict[str, Any]] = [
        {"step": step, "days": days[q], "what": word, "said": f"{step}: {word} took it within {number(days[q])} days"}
        for step, days in lines.items() for q, (word, _, _) in QUANTILES.items() if days.get(q) is not None
    ]  # fmt: skip
    names = min(width * 0.42, max(map(len, lines)) * LETTER + 20)
    y = {"field": "step", "type": "ordinal", "sort": list(lines), "title": None,
         "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8, "labelLimit": label_limit(names),
                  "minExtent": round(names)}}  # fmt: skip
    x = {"type": "quantitative", "title": None, "scale": {"type": "symlog"}, "axis": {"values": list(TICKS)}}
    legend = legend_above()
    domain = [word for word, _, _ in QUANTILES.values()]
    colour, shape = (
        {"field": "what", "type": "nominal", "legend": legend, "scale": {"domain": domain, "range": looks}}
        for looks in ([light(name) for _, name, _ in QUANTILES.values()], [shape for _, _, shape in QUANTILES.values()])
    )
    layers: list[Spec] = [
        {"data": values(spans), "mark": {"type": "rule", "strokeWidth": 5, "color": light("line")},
         "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"data": values(points), "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
         "encoding": {"y": y, "x": {**x, "field": "days"}, "color": colour, "shape": shape, "description": said()}},
    ]  # fmt: skip
    return layered(width, 32 * len(lines), layers)
