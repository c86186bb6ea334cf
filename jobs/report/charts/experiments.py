"""Experiments: the lift on every goal with its interval, and one line for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, rows
from jobs.show_metrics import excluded, interval, place, shown
from jobs.show_table import Table, table

LINES = 30  # of the forest
UNEVEN = 0.001  # below it the split of visitors is no accident (rule X-01)
WIDEST = 2.0  # lifts beyond ±200 % are drawn to the edge


def forest(data: Data) -> Chart | None:
    """Lift on each goal by experiment and variant: a point with its 95 % interval, and the line of no effect."""
    found = [row for row in rows(data, "experiment_lift") if row["value"] is not None and _bounded(row)][:LINES]
    if not found:
        return None
    points = [_point(row, len({r["dimensions"]["variant"] for r in found if _test(r) == _test(row)}) > 1) for row in found]
    clear = [p for p in points if p["low"] > 0 or p["high"] < 0]
    some = f"Of {len(points)} intervals {len(clear)} leave out zero."
    reading = (
        f"{some if clear else 'No interval leaves out zero: nothing is shown to work.'} A point is the lift over the baseline, its line "
        "the 95 % interval, good for one look; a hollow end goes on beyond the edge."
    )
    lists = [[_test(r), r["dimensions"]["variant"], place(r["dimensions"]["goal"]), signed(r["value"]), interval(r), r["n"]]
             for r in found]  # fmt: skip
    numbers = ("lift", "95 % interval", "visitors")
    made = table(("experiment", "variant", "goal", *numbers), lists, numbers=numbers)
    tests = list(dict.fromkeys(map(_test, found)))
    return Chart("Lift on every goal", reading, made, lambda width: _forest(width, points, tests), wide=True)


def _bounded(row: Row) -> bool:
    """An interval without width comes of a variant without conversions: it says nothing."""
    return row["low"] is not None and row["high"] is not None and row["low"] < row["high"]


def signed(share: float) -> str:
    return f"{100 * share:+.0f} %".replace("-", "−") if abs(share) >= 0.005 else "±0 %"


def _test(row: Row) -> str:
    return str(row["dimensions"]["experiment"])


def _point(row: Row, several: bool) -> dict[str, Any]:
    dims, value, low, high = row["dimensions"], row["value"], row["low"], row["high"]
    colour = "teal" if low > 0 else "orange" if high < 0 else "grey"
    goal = place(dims["goal"]).partition(" ")
    name = goal[2] or goal[0]
    return {
        "test": _test(row), "line": f"{name}, {dims['variant']}" if several else name, "value": max(-WIDEST, min(WIDEST, value)),
        "low": max(-WIDEST, low), "high": min(WIDEST, high), "cut": [-WIDEST] * (low < -WIDEST) + [WIDEST] * (high > WIDEST),
        "text": signed(value), "colour": light(colour),
        "said": f"{_test(row)}, {dims['variant']}, {place(dims['goal'])}: {signed(value)}, {signed(low)} to {signed(high)}",
    }  # fmt: skip


def _forest(width: int, points: Sequence[dict[str, Any]], tests: Sequence[str]) -> Spec:
    """One axis for all; a line with the experiment's name stands before its goals."""
    lines: list[dict[str, Any]] = []
    heads: list[str] = []
    for test in tests:
        heads.append(f"\u2063{len(heads)}{test}")
        lines.append({"line": heads[-1]})
        lines += [{**p, "line": f"{test}|{p['line']}"} for p in points if p["test"] == test]
    order = [line["line"] for line in lines]
    names = round(max(len(p["line"]) for p in points) * LETTER) + 8
    shown_ = "indexof(datum.value, '|') > 0 ? split(datum.value, '|')[1] : ''"
    y = {"field": "line", "type": "ordinal", "sort": order, "title": None, "scale": {"domain": order},
         "axis": {"labelExpr": shown_, "domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8,
                  "minExtent": names}}  # fmt: skip
    edge = WIDEST * (1.3 if width >= HALF else 2.1)
    x = {"type": "quantitative", "title": None, "scale": {"domain": [-WIDEST, edge], "nice": False},
         "axis": {"labelExpr": "datum.value === 0 ? 'no effect' : format(datum.value, '+.0%')", "values": [-2, -1, 0, 1, 2],
                  "orient": "top"}}  # fmt: skip
    ends = [{"line": p["line"], "value": end, "colour": p["colour"]} for p in lines if "cut" in p for end in p["cut"]]
    marks = [p for p in lines if "value" in p]
    titles = [{"line": head, "text": head.lstrip("\u2063").lstrip("0123456789")} for head in heads]
    layers: list[Spec] = [
        {"data": values([{"value": 0}]), "mark": {"type": "rule", "strokeDash": [4, 4], "color": light("soft")},
         "encoding": {"x": {**x, "field": "value"}}},
        {"data": values(marks), "mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": own_colour()}},
        {"data": values(ends), "mark": {"type": "point", "size": 36, "filled": False, "opacity": 1},
         "encoding": {"x": {**x, "field": "value"}, "y": y, "color": own_colour()}},
        {"data": values(marks), "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
         "encoding": {"x": {**x, "field": "value"}, "y": y, "color": own_colour(), "description": said()}},
        {"data": values(marks), "mark": {"type": "text", "align": "right"},
         "encoding": {"x": {"datum": edge}, "y": y, "text": {"field": "text"}}},
        {"data": values(titles), "mark": {"type": "text", "align": "left", "fontWeight": "bold", "dy": 3},
         "encoding": {"x": {"value": 8 - names}, "y": y, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 23 * len(order), [layer for layer in layers if layer["data"]["values"]])


def at_a_glance(data: Data) -> Table | None:
    """One line a variant: visitors, is the split as planned, the first goal against the baseline, and what can be said."""
    visitors = by(rows(data, "experiment_visitors"), "experiment", "variant")
    if not visitors:
        return None
    ratio = by(rows(data, "experiment_sample_ratio"), "experiment")
    rates = by(rows(data, "experiment_rate"), "experiment", "variant", "goal")
    lifts = by(rows(data, "experiment_lift"), "experiment", "variant", "goal")
    against = {test: lifts[test, v, g]["dimensions"].get("against", "") for test, v, g in lifts}
    lines = []
    for (test, variant), row in visitors.items():
        goal = next((g for t, _, g in rates if t == test), "")
        rate = rates.get((test, variant, goal))
        split = _split(ratio[test]["value"] if test in ratio else None)
        said_ = ("", "", "baseline") if variant == against.get(test) else _said(lifts.get((test, variant, goal)), split)
        lines.append([test, variant, int(row["value"]), split, place(goal) if goal else "", shown(rate) if rate else "–", *said_])
    heads = ("experiment", "variant", "visitors", "split", "first goal", "rate", "lift", "95 % interval", "what can be said")
    return table(heads, lines, numbers=("visitors", "rate", "lift", "95 % interval"), title="Experiments at a glance")


def _split(p: float | None) -> str:
    return "" if p is None else f"uneven, p {p:.4f}" if p < UNEVEN else "as planned"


def _said(lift: Row | None, split: str) -> tuple[str, str, str]:
    """Lift, interval and verdict of a goal."""
    if lift is None:
        return "", "", "nothing to compare yet"
    if lift["value"] is None:
        return "", "", str(excluded(lift).get("not computable", "cannot be computed"))
    text, bounds = signed(lift["value"]), interval(lift)
    if split.startswith("uneven"):
        return text, bounds, "do not trust: the split of visitors is no accident"
    if not _bounded(lift):
        return text, "", "too few conversions to say"
    if lift["low"] <= 0 <= lift["high"]:
        return text, bounds, "no difference shown"
    return text, bounds, "better than the baseline" if lift["low"] > 0 else "worse than the baseline"
