"""The open pipeline: its amount by stage and by age, and how often deals are won."""

from __future__ import annotations

from jobs.report.charts.chart import Bar, Chart, Spec, bars, layered, own_colour, said, values
from jobs.report.charts.palette import light
from jobs.report.charts.rows import Data, Row, by, compact, months, percent, rows
from jobs.show_metrics import FEW, interval, number, shown
from jobs.show_table import table

QUARTERS = 9


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


def win_rate(data: Data) -> Chart | None:
    """Won ÷ closed by quarter, each with its 95 % interval; quarters with few deals are pale."""
    found = by(rows(data, "win_rate", by="count"), "period")
    quarters = [q for q in months(found, QUARTERS) if found[q]["value"] is not None]
    if len(quarters) < 2:
        return None
    data_ = [_point(q, found[q]) for q in quarters]
    year = found.get("last 365 days")
    over = f"In the last 365 days {shown(year)} of the closed deals were won. " if year and year["value"] is not None else ""
    reading = (
        f"{over}In {quarters[-1]} it was {number(found[quarters[-1]]['numerator'])} of {number(found[quarters[-1]]['denominator'])}. "
        f"Lines are 95 % intervals; hollow points stand on fewer than {FEW} deals."
    )
    lists = [[q, int(found[q]["numerator"]), int(found[q]["denominator"]), percent(found[q]["value"]), interval(found[q])] for q in quarters]
    numbers = ("won", "closed", "win rate", "95 % interval")
    made = table(("closed in", *numbers), lists, numbers=numbers)
    return Chart("Win rate by quarter", reading, made, lambda width: _points(width, data_))


def _point(quarter: str, row: Row) -> dict[str, object]:
    few = float(row["denominator"]) < FEW
    return {
        "quarter": quarter, "value": row["value"], "low": row["low"], "high": row["high"], "text": percent(row["value"]),
        "colour": light("blue"), "fill": light("card" if few else "blue"),
        "said": f"{quarter}: {number(row['numerator'])} of {number(row['denominator'])}, 95 % interval {percent(row['low'])} to "
                f"{percent(row['high'])}",
    }  # fmt: skip


def _points(width: int, data: list[dict[str, object]]) -> Spec:
    x = {"field": "quarter", "type": "ordinal", "title": None, "axis": {"labelAngle": 0 if width / len(data) > 62 else -45, "ticks": False}}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 5}}
    layers: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": own_colour()}},
        {"mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1, "filled": False},
         "encoding": {"x": x, "y": y, "stroke": own_colour(), "fill": own_colour("fill"), "description": said()}},
        {"mark": {"type": "text", "align": "left", "dx": 9}, "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
    ]  # fmt: skip
    return layered(width, 210, layers, data=values(data))
