"""Where deals go from a stage, what becomes of amounts that are due, and how often close dates are put off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.report.charts.chart import LETTER, Bar, Chart, Spec, bars, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, by, months, percent, rows
from jobs.show_metrics import number, place
from jobs.show_table import table

STILL = "still there"
COLOURS = ("teal", "blue", "orange", "purple")  # of the ends, as the metrics name them
PERIODS = 8
Lines = Mapping[str, Sequence[tuple[str, float, str]]]  # by line: what, its share, its colour


def stage_ends(data: Data) -> Chart | None:
    """Where deals are after so many days in a stage: stacked shares, what is left is still there."""
    found = by(rows(data, "stage_end"), "stage", "days", "end")
    days = max((d for _, d, _ in found), key=int, default="")
    stages = list(by(rows(data, "stage_end", days=days), "stage"))
    if not stages:
        return None
    named = list(dict.fromkeys(end for _, _, end in found))
    shares = {(s, e): float(found[s, days, e]["value"] or 0) for s in stages for e in named if (s, days, e) in found}
    shares |= {(s, STILL): max(0.0, 1 - sum(shares.get((s, e), 0.0) for e in named)) for s in stages}
    colours = dict(zip(named, COLOURS, strict=False)) | {STILL: "grey"}
    ends = (*named, STILL)
    lines = {s: [(e, shares.get((s, e), 0.0), colours[e]) for e in ends] for s in stages}
    won = ", ".join(f"{place(s)} {percent(shares.get((s, 'won'), 0.0))}" for s in stages)
    reading = f"Of the deals that enter a stage, won {days} days later: {won}. Open deals count as far as they were watched."
    lists = [[place(s), *(percent(shares.get((s, e), 0.0)) for e in ends)] for s in stages]
    made = table(("stage", *ends), lists, numbers=ends)
    return Chart(f"Where deals go from a stage, within {days} days", reading, made, lambda width: _stacked(width, lines))


def slippage(data: Data) -> Chart | None:
    """Of the amount due in a period at its start: won in it, moved out of it, neither."""
    slipped, won = (by(rows(data, name), "period") for name in ("slippage", "due_won"))
    periods = [p for p in months(slipped, PERIODS) if p in won and slipped[p]["value"] is not None and slipped[p]["denominator"]]
    if not periods:
        return None
    lines = {}
    for period in periods:
        in_it, out = float(won[period]["value"] or 0), float(slipped[period]["value"])
        lines[period] = [("won", in_it, "teal"), ("slipped", out, "orange"), ("neither", max(0.0, 1 - in_it - out), "grey")]
    last = lines[periods[-1]]
    currency = str(slipped[periods[-1]]["dimensions"].get("currency") or "")
    reading = (
        f"Of what was due at a period's start: in {periods[-1]} {percent(last[0][1])} was won and {percent(last[1][1])} moved to a later "
        "period. The rest was lost, or is still due."
    )
    heads = (f"due, {currency}", "won", "slipped", "neither")
    lists = [[p, number(slipped[p]["denominator"]), *(percent(share) for _, share, _ in lines[p])] for p in periods]
    made = table(("period", *heads), lists, numbers=heads)
    return Chart("What became of the amounts due", reading, made, lambda width: _stacked(width, lines))


def pushes(data: Data) -> Chart | None:
    """Open deals by how often their close date was moved to a later period."""
    found = by(rows(data, "pushed"), "times")
    if not {"1", "2"} <= set(found) or not found["1"]["denominator"]:
        return None
    whole, once, twice = (float(found[times][part] or 0) for times, part in (("1", "denominator"), ("1", "numerator"), ("2", "numerator")))
    counts = {"never": whole - once, "once": once - twice, "twice or more": twice}
    colours = {"never": "grey", "once": "blue", "twice or more": "orange"}
    lines = [Bar(often, n, f"{number(n)} · {percent(n / whole)}", colour=colours[often]) for often, n in counts.items()]
    days = next((row for row in rows(data, "close_date_moves", what="days") if row["value"]), None)
    off = f", by {number(days['value'])} days in all" if days else ""
    reading = f"Of {number(whole)} open deals {number(once)} were moved to a later period at least once{off}."
    numbers = ("deals", "share")
    made = table(("put off", *numbers), [[often, int(n), percent(n / whole)] for often, n in counts.items()], numbers=numbers)
    return Chart("How often close dates were put off", reading, made, lambda width: bars(width, lines))


def _stacked(width: int, lines: Lines) -> Spec:
    """Shares of one whole, side by side; each says what it is where there is room."""
    names = max(len(place(line)) for line in lines) * LETTER + 14
    parts: list[dict[str, Any]] = []
    for line, shares in lines.items():
        low = 0.0
        for what, share, colour in shares:
            text = f"{what} {percent(share)}"
            texts = [t for t in (text, percent(share)) if (len(t) + 1) * LETTER < share * (width - names)]
            parts.append({"line": place(line), "low": low, "high": low + share, "middle": low + share / 2,
                          "text": texts[0] if texts else "", "colour": light(colour), "said": f"{place(line)}: {text}"})  # fmt: skip
            low += share
    y = {"field": "line", "type": "ordinal", "sort": [place(line) for line in lines], "title": None, "scale": {"paddingInner": 0.3},
         "axis": {"domain": False, "ticks": False, "labelColor": light("ink"), "labelPadding": 8, "minExtent": round(names)}}  # fmt: skip
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": None}
    layers: list[Spec] = [
        {"mark": {"type": "bar", "stroke": light("card"), "strokeWidth": 1},
         "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": own_colour(), "description": said()}},
        {"mark": {"type": "text", "color": light("card")},
         "encoding": {"y": y, "x": {**x, "field": "middle"}, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 40 * len(lines), layers, data=values([p for p in parts if p["high"] > p["low"]]))
