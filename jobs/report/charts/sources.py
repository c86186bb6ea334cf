"""Where people come from: how many by source, and how many of them won."""

from __future__ import annotations

from jobs.report.charts.chart import Bar, Chart, bars
from jobs.report.charts.rows import Data, by, compact, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table

SOURCES = 12


def won_value(data: Data) -> Chart | None:
    """Won amount by the deals' source."""
    found = by(rows(data, "source_won_value"), "source")
    amounts = {source: float(row["value"] or 0) for source, row in found.items()}
    shown = sorted((source for source in amounts if amounts[source]), key=lambda source: -amounts[source])[:SOURCES]
    if len(shown) < 2:
        return None
    currency = str(found[shown[0]]["dimensions"].get("currency", ""))
    total = sum(amounts.values())
    lines = [
        Bar(source, amounts[source], f"{compact(amounts[source])} · {percent(amounts[source] / total)} · {number(found[source]['n'])} deals",
            f"{compact(amounts[source])} · {percent(amounts[source] / total)}")
        for source in shown
    ]  # fmt: skip
    reading = f"{shown[0]} is the source of {percent(amounts[shown[0]] / total)} of the {compact(total)} {currency} won."
    heads = (f"won, {currency}", "share", "deals")
    lists = [[s, number(amounts[s]), percent(amounts[s] / total), int(found[s]["n"])] for s in shown]
    return Chart(f"Won by source, {currency}", reading, table(("source", *heads), lists, numbers=heads), lambda width: bars(width, lines))
