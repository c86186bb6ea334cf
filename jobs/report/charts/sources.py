"""Where people come from: how many by source, and how many of them won."""

from __future__ import annotations

from jobs.report.charts.chart import Bar, Chart, bars
from jobs.report.charts.rows import Data, by, compact, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table

SOURCES = 12


def won_value(data: Data) -> Chart | None:
    """Won amount by the deals' source."""
    return _value(data, "won")


def open_value(data: Data) -> Chart | None:
    """Open amount by the deals' source."""
    return _value(data, "open")


def _value(data: Data, what: str) -> Chart | None:
    found = by(rows(data, f"source_{what}_value"), "source")
    amounts = {source: float(row["value"] or 0) for source, row in found.items()}
    shown = sorted((source for source in amounts if amounts[source]), key=lambda source: -amounts[source])[:SOURCES]
    if len(shown) < 2:
        return None
    currency = str(found[shown[0]]["dimensions"].get("currency", ""))
    total = sum(amounts.values())
    briefs = {source: f"{compact(amounts[source])} · {percent(amounts[source] / total)}" for source in shown}
    lines = [Bar(s, amounts[s], f"{briefs[s]} · {number(found[s]['n'])} deal{'' if found[s]['n'] == 1 else 's'}", briefs[s]) for s in shown]
    when = "ever won" if what == "won" else what
    reading = f"{shown[0]} is the source of {percent(amounts[shown[0]] / total)} of the {compact(total)} {currency} {when}."
    heads = (f"{what}, {currency}", "share", "deals")
    lists = [[s, number(amounts[s]), percent(amounts[s] / total), int(found[s]["n"])] for s in shown]
    made = table(("source", *heads), lists, numbers=heads)
    return Chart(f"{what.capitalize()} by source, {currency}", reading, made, lambda width: bars(width, lines))
