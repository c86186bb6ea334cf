"""Leads by the band of their score, and the next steps by what there is to do."""

from __future__ import annotations

from jobs.report.charts.chart import Bar, Chart, bars
from jobs.report.charts.rows import Data, Row, by, percent, rows
from jobs.show_metrics import number
from jobs.show_steps import kind_tables
from jobs.show_table import table


def bands(data: Data) -> Chart | None:
    """How many leads stand in each band now, and how many of them are expected to become opportunities."""
    found = by(rows(data, "score_band"), "band")
    if not any(row["value"] for row in found.values()):
        return None
    chances = {band: row["value"] for band, row in by(rows(data, "score_expected"), "band").items() if row["value"] is not None}
    order = sorted(found)
    lines = [
        Bar(f"band {band}", float(found[band]["value"]), _band(found[band]["value"], chances.get(band)), number(found[band]["value"]))
        for band in order
    ]
    whole = sum(line.size for line in lines)
    coming = sum(float(found[band]["value"]) * chance for band, chance in chances.items())
    said = (
        f" About {number(round(coming))} of them are expected to become opportunities."
        if chances
        else " Points, not chances: too few came so far."
    )
    reading = f"{number(whole)} leads are scored; {number(found[order[0]]['value'])} of them stand in band {order[0]}, the best.{said}"
    lists = [[band, int(found[band]["value"]), percent(chances.get(band)) if chances else ""] for band in order]
    heads = ("leads", "expected to come")
    made = table(("band", *heads), lists, numbers=heads)
    return Chart("Leads by band", reading, made, lambda width: bars(width, lines))


def _band(leads: float, chance: float | None) -> str:
    return f"{number(leads)} leads" + ("" if chance is None else f" · {percent(chance)} expected to come")


def steps(data: Data) -> Chart | None:
    """How often each next step is to be taken, and how often that is overdue."""
    found = sorted(rows(data, "follow_ups"), key=lambda row: -float(row["value"] or 0))
    if not found:
        return None
    lines = [_step(row) for row in found]
    whole, behind = sum(line.size for line in lines), sum(line.part for line in lines)
    reading = f"{number(whole)} leads and deals have a next step; for {number(behind)} of them (orange) its day is over."
    [made] = kind_tables([(row, row["dimensions"]) for row in found])
    return Chart("What to do next", reading, made, lambda width: bars(width, lines, step=26))


def _step(row: Row) -> Bar:
    n, late = float(row["value"] or 0), float(row["numerator"] or 0)
    brief = f"{number(n)}" + (f" · {number(late)} overdue" if late else "")
    return Bar(row["dimensions"]["action"].partition(",")[0], n, f"{brief} · {row['dimensions']['why']}", brief, part=late)
