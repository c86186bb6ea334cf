"""Who and what wins, and why deals are lost."""

from __future__ import annotations

from typing import Any

from jobs.report.charts.chart import HALF, LETTER, Chart, Spec, label_limit, layered, own_colour, said, values
from jobs.report.charts.funnel import without_domain
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, percent, rows
from jobs.show_metrics import FEW, interval, number
from jobs.show_table import table

PARTS, REASONS = 10, 8  # the largest; the rest is in the table


def by_owner(data: Data) -> Chart | None:
    """Win rate of each owner with its 95 % interval, the best first."""
    return _by(data, "owner")


def by_source(data: Data) -> Chart | None:
    return _by(data, "source")


def by_segment(data: Data) -> Chart | None:
    return _by(data, "segment")


def by_size(data: Data) -> Chart | None:
    return _by(data, "size")


def _by(data: Data, what: str) -> Chart | None:
    """Those with most closed deals, the best first; hollow ones stand on few deals."""
    found = by(rows(data, "win_rate_by", by=what), "part")
    shown = sorted((part for part in found if found[part]["denominator"]), key=lambda part: -float(found[part]["denominator"]))[:PARTS]
    if len(shown) < 2:
        return None
    shown.sort(key=lambda part: (part[0] == "(", -float(found[part]["value"]), part))  # what is unknown comes last
    sure = [part for part in shown if float(found[part]["denominator"]) >= FEW]
    apart = [(a, b) for a in sure for b in sure if float(found[a]["low"]) > float(found[b]["high"])]
    first = f"{sure[0]} wins {_of(found[sure[0]])}" if sure else f"No {what} has {FEW} closed deals"
    differ = "some intervals do not meet, which is hardly chance" if apart else "the differences may be chance, as all intervals meet"
    reading = f"{first}; {differ}. Lines are 95 % intervals, hollow points stand on fewer than {FEW} deals."
    lists = [[part, int(found[part]["numerator"]), int(found[part]["denominator"]), percent(found[part]["value"]), interval(found[part])]
             for part in shown]  # fmt: skip
    numbers = ("won", "closed", "win rate", "95 % interval")
    points = [_point(short, found[part]) for part, short in zip(shown, without_domain(shown), strict=True)]
    title = f"Win rate by {'size of company' if what == 'size' else what}"
    return Chart(title, reading, table((what, *numbers), lists, numbers=numbers), lambda width: _dots(width, points))


def _of(row: Row) -> str:
    return f"{percent(row['value'])} of {number(row['denominator'])}"


def _point(part: str, row: Row) -> dict[str, Any]:
    few = float(row["denominator"]) < FEW
    return {
        "part": f"{part} ({number(row['denominator'])})", "value": row["value"], "low": row["low"], "high": row["high"],
        "fill": light("card" if few else "blue"), "colour": light("blue"), "text": percent(row["value"]),
        "said": f"{part}: {number(row['numerator'])} of {number(row['denominator'])} won, 95 % interval {percent(row['low'])} to "
                f"{percent(row['high'])}",
    }  # fmt: skip


def _dots(width: int, points: list[dict[str, Any]]) -> Spec:
    names = min(width * 0.4, max(len(point["part"]) for point in points) * LETTER + 14)
    y = {"field": "part", "type": "ordinal", "sort": [point["part"] for point in points], "title": None,
         "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8, "labelLimit": label_limit(names),
                  "minExtent": round(names)}}  # fmt: skip
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 3 if width < HALF else 5}}
    layers: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": own_colour()}},
        {"mark": {"type": "point", "size": 80, "strokeWidth": 2, "opacity": 1, "filled": False},
         "encoding": {"y": y, "x": {**x, "field": "value"}, "stroke": own_colour(), "fill": own_colour("fill"), "description": said()}},
    ]  # fmt: skip
    return layered(width, 26 * len(points), layers, data=values(points))


def reasons(data: Data) -> Chart | None:
    """Why deals were lost, the most frequent first, with what share of all losses the reasons so far explain (a Pareto chart)."""
    found = by(rows(data, "lost_reasons"), "reason")
    order = sorted(found, key=lambda reason: -float(found[reason]["numerator"] or 0))
    if len(order) < 2:
        return None
    so_far, lines = 0.0, []
    for reason in order:
        so_far += float(found[reason]["value"] or 0)
        lines.append((reason, float(found[reason]["numerator"]), float(found[reason]["value"] or 0), so_far))
    whole = float(found[order[0]]["denominator"])
    half = next(i for i, line in enumerate(lines, 1) if line[3] >= 0.5)
    most = f"{lines[0][0]} was the reason" if half == 1 else f"{half} reasons stand"
    unknown = next((line for line in lines if line[0] == "(unknown)"), None)
    without = f" Of {percent(unknown[2])} nobody said why." if unknown else ""
    reading = (
        f"Of {number(whole)} deals lost in the last year: {most} for {percent(lines[half - 1][3])}.{without} The line adds the reasons up."
    )
    lists = [[reason, int(n), percent(part), percent(up_to)] for reason, n, part, up_to in lines]
    numbers = ("lost", "share", "up to here")
    made = table(("reason", *numbers), lists, numbers=numbers)
    return Chart("Why deals were lost", reading, made, lambda width: _pareto(width, lines[:REASONS]))


def _pareto(width: int, lines: list[tuple[str, float, float, float]]) -> Spec:
    names = min(width * 0.4, max(len(line[0]) for line in lines) * LETTER + 14)
    data = [
        {"reason": reason, "share": part, "so_far": up_to, "said": f"{reason}: {number(n)}, {percent(part)}; up to here {percent(up_to)}"}
        for reason, n, part, up_to in lines
    ]
    y = {"field": "reason", "type": "ordinal", "sort": [line[0] for line in lines], "title": None, "scale": {"paddingInner": 0.35},
         "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8, "labelLimit": label_limit(names),
                  "minExtent": round(names)}}  # fmt: skip
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 3 if width < HALF else 5}}
    layers: list[Spec] = [
        {"mark": {"type": "bar", "color": light("blue")}, "encoding": {"y": y, "x": {**x, "field": "share"}, "description": said()}},
        {"mark": {"type": "line", "color": light("orange"), "strokeWidth": 2}, "encoding": {"y": y, "x": {**x, "field": "so_far"}}},
        {"mark": {"type": "point", "color": light("orange"), "filled": True, "size": 45, "opacity": 1},
         "encoding": {"y": y, "x": {**x, "field": "so_far"}}},
    ]  # fmt: skip
    return layered(width, 30 * len(lines), layers, data=values(data))
