"""Open findings: by day and severity, and by rule."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jobs.report.charts.chart import Bar, Chart, Spec, bars, layered, own_colour, said, values
from jobs.report.charts.chart import days as day_axis
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data
from jobs.show_ageing import sampled
from jobs.show_table import table

SEVERITIES = ("S1", "S2", "S3", "S4")
DAYS, RULES = 60, 15


def trend(data: Data) -> Chart | None:
    """Open findings on each day the systems were reconciled, stacked by severity, the gravest at the bottom."""
    days = sampled(data.get("trend") or (), DAYS)
    if len(days) < 2:
        return None
    first, last = (sum(day["severities"].values()) for day in (days[0], days[-1]))
    moved = "as many as" if first == last else "fewer than" if last < first else "more than"
    reading = (
        f"{last} findings are open, {moved} on {days[0]['day']} ({first}); since then {sum(d['new'] for d in days[1:])} came and "
        f"{sum(d['fixed'] for d in days)} were fixed."
    )
    shown = sampled(days, 12)
    lists = [[d["day"], *(d["severities"].get(s, 0) for s in SEVERITIES), sum(d["severities"].values())] for d in shown]
    made = table(("day", *SEVERITIES, "all"), lists, numbers=(*SEVERITIES, "all"))
    return Chart("Open findings by day", reading, made, lambda width: _stack(width, days))


def _stack(width: int, days: list[Any]) -> Spec:
    points, labels = [], []
    most = max(sum(day["severities"].values()) for day in days)
    for day in days:
        low = 0
        for severity in SEVERITIES:
            high = low + day["severities"].get(severity, 0)
            points.append({"day": day["day"], "low": low, "high": high, "severity": severity, "colour": light(severity.lower()),
                           "said": severity})  # fmt: skip
            if day is days[-1] and high - low > most * 0.06:
                labels.append({"day": day["day"], "at": (low + high) / 2, "text": f"{severity} {high - low}"})
            low = high
    x = {
        "field": "day",
        "type": "temporal",
        "title": None,
        "axis": day_axis(width),
    }
    y = {"type": "quantitative", "title": None, "axis": {"tickCount": 5}}
    layers: list[Spec] = [
        {"data": values(points), "mark": {"type": "area", "opacity": 0.8, "line": False, "stroke": light("card"), "strokeWidth": 1},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "detail": {"field": "severity", "type": "nominal"},
                      "fill": own_colour(), "description": said()}},
        {"data": values(labels), "mark": {"type": "text", "align": "right", "dx": -6, "color": light("card"), "fontWeight": "bold"},
         "encoding": {"x": x, "y": {**y, "field": "at"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 220, layers)


def by_rule(data: Data) -> Chart | None:
    """The rules with most open findings."""
    found = Counter((str(f.get("rule")), str(f.get("severity")), str(f.get("title") or "")) for f in data.get("findings") or ())
    counts: dict[str, tuple[int, str, str]] = {}
    for (rule, severity, title), n in found.items():
        counts[rule] = (counts.get(rule, (0, "", ""))[0] + n, severity, title)
    if len(counts) < 2:
        return None
    order = sorted(counts, key=lambda rule: (-counts[rule][0], rule))
    lines = [Bar(f"{rule} {counts[rule][1]}", counts[rule][0], f"{counts[rule][0]} · {_short(counts[rule][2])}", str(counts[rule][0]),
                 counts[rule][1].lower() if counts[rule][1] in SEVERITIES else "grey") for rule in order[:RULES]]  # fmt: skip
    n, _, title = counts[order[0]]
    reading = f"{sum(found.values())} findings of {len(counts)} rules are open; most of them, {n}, of {order[0]}: {title}."
    lists = [[rule, counts[rule][1], counts[rule][2], counts[rule][0]] for rule in order]
    made = table(("rule", "severity", "what", "open"), lists, numbers=("open",))
    return Chart("Open findings by rule", reading, made, lambda width: bars(width, lines, step=24))


def _short(title: str, most: int = 34) -> str:
    return title if len(title) <= most else f"{title[: most - 1]}…"
