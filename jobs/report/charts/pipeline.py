"""The open pipeline: its amount by stage and by age, and whether it is enough."""

from __future__ import annotations

from jobs.report.charts.chart import Bar, Chart, bars
from jobs.report.charts.rows import Data, by, compact, percent, rows
from jobs.show_metrics import number
from jobs.show_table import table


def currency_of(data: Data, name: str = "pipeline_value") -> str:
    """The currency that sums over everything are in; "" where there is none."""
    totals = rows(data, name, stage="all") or rows(data, name)
    return str(totals[0]["dimensions"].get("currency", "")) if totals else ""


def by_stage(data: Data) -> Chart | None:
    """Open amount and number of deals by stage."""
    currency = currency_of(data)
    amounts = by(rows(data, "pipeline_value", currency=currency), "stage")
    deals = by(rows(data, "open_deals"), "stage")
    if not deals:
        return None
    lines, lists = [], []
    for stage, row in deals.items():
        amount = float(amounts[stage]["value"] or 0) if stage in amounts else 0.0
        n = number(row["value"])
        lines.append(Bar(stage, amount, f"{compact(amount)} {currency} · {n} deals", f"{compact(amount)} · {n}"))
        lists.append([stage, int(row["value"]), number(amount)])
    total = sum(line.size for line in lines)
    most = max(lines, key=lambda line: line.size)
    reading = (
        f"{number(sum(float(row['value']) for row in deals.values()))} open deals worth {compact(total)} {currency}; "
        f"{percent(most.size / total if total else None)} of it is in {most.label}."
    )
    made = table(("stage", "open deals", f"amount, {currency}"), lists, numbers=("open deals", f"amount, {currency}"))
    return Chart(f"Open pipeline by stage, {currency}", reading, made, lambda width: bars(width, lines, step=40))


def ages(data: Data) -> Chart | None:
    """Open deals by days since creation."""
    found = by(rows(data, "age_deals", basis="since creation"), "days")
    money = by(rows(data, "age_value", basis="since creation"), "days")
    if not any(float(row["value"] or 0) for row in found.values()):
        return None
    order = sorted(found, key=lambda days: int(days.split("-")[0].rstrip("+")))
    currency = str(next(iter(money.values()))["dimensions"].get("currency", "")) if money else ""
    amounts = {days: float(money[days]["value"] or 0) if days in money else 0.0 for days in order}
    lines = [
        Bar(f"{days} days", float(found[days]["value"]), f"{number(found[days]['value'])} deals · {compact(amounts[days])} {currency}",
            f"{number(found[days]['value'])} · {compact(amounts[days])}")
        for days in order
    ]  # fmt: skip
    old = [days for days in order if int(days.split("-")[0].rstrip("+")) >= 90]
    late = sum(float(found[days]["value"]) for days in old)
    reading = f"{number(late)} of {number(sum(line.size for line in lines))} open deals were created 90 days ago or earlier."
    lists = [[days, int(found[days]["value"]), number(amounts[days])] for days in order]
    made = table(("days since creation", "deals", f"amount, {currency}"), lists, numbers=("deals", f"amount, {currency}"))
    return Chart("Age of open deals", reading, made, lambda width: bars(width, lines))


def coverage(data: Data) -> Chart | None:
    """What is due in the period, whole and weighted, against what is still to be won, and how much such pipelines needed before."""
    due = next((row for row in rows(data, "coverage") if row["value"] is not None), None)
    if due is None:
        return None
    period = due["dimensions"]["period"]
    lines = [Bar("due in it", float(due["value"]), _times(due["value"]))]
    for name, label, colour in (("weighted_coverage", "weighted by chance", "teal"), ("required_coverage", "was needed before", "grey")):
        lines += [Bar(label, float(row["value"]), _times(row["value"]), colour=colour) for row in rows(data, name, period=period)
                  if row["value"] is not None]  # fmt: skip
    needed = next((line for line in lines if line.label == "was needed before"), None)
    enough = "" if needed is None else f" Past periods needed {needed.text} at this time: {_enough(lines[0].size, needed.size)}."
    currency = str(due["dimensions"].get("currency") or "")
    reading = (
        f"{compact(float(due['numerator']))} {currency} is due in {period}, {_times(due['value'])} of the "
        f"{compact(float(due['denominator']))} {currency} still to be won for the target.{enough}"
    )
    times = "× what is still to be won"
    made = table(("pipeline", times), [[line.label, line.text] for line in lines], numbers=(times,))
    return Chart(f"Is the pipeline of {period} enough", reading, made, lambda width: bars(width, lines))


def _times(value: float) -> str:
    return f"{value:.1f} ×"


def _enough(here: float, needed: float) -> str:
    return "it is enough" if here >= needed else "it is too little"
