"""Cohorts by month of entry: the share that reached each milestone until now, young cohorts hatched."""

from __future__ import annotations

from datetime import date, timedelta

from jobs.report.charts.chart import Chart
from jobs.report.charts.heat import Cell, heat_map
from jobs.report.charts.rows import Data, Row, by, months, percent, rows
from jobs.show_metrics import FEW, number, place
from jobs.show_table import table

MONTHS = 18
TALL = 9  # rows beyond which two other charts fit beside it
RIPE_DAYS = 90  # a cohort that was watched for less is still growing


def cohorts(data: Data) -> Chart | None:
    cells = by([row for row in rows(data, "reach", mode="implied") if row["dimensions"]["cohort"] != "all"], "cohort", "to")
    steps = list(by(rows(data, "reach", cohort="all", mode="implied"), "to"))
    shown_months = months({cohort: None for cohort, _ in cells}, MONTHS)
    if len(shown_months) < 2 or len(steps) < 2:
        return None
    today = date.fromisoformat(str(data["as_of"])[:10])
    sizes = {month: float(cells[month, steps[0]]["denominator"] or 0) for month in shown_months}
    young = {month for month in shown_months if _after(month) + timedelta(days=RIPE_DAYS) > today}
    filled = {
        (month, to): _cell(row, f"{month}, {place(to)}: {number(row['numerator'])} of {number(sizes[month])}", month in young)
        for (month, to), row in cells.items() if month in sizes and to in steps[1:] and row["value"] is not None
    }  # fmt: skip
    heads = [place(to) for to in steps[1:]]
    shown = [
        [month, int(sizes[month]), *(_share(filled.get((month, to))) for to in steps[1:]), "yes" if month in young else ""]
        for month in shown_months
    ]
    reading = (
        f"Each row is a month's new {place(steps[0])}, {number(sum(sizes.values()))} in all, and the share of them that reached the "
        f"milestone until now. Hatched cohorts ({len(young)}) were watched for less than {RIPE_DAYS} days and are still growing; "
        f"cohorts of fewer than {FEW} show their counts."
    )
    numbers = ("entered", *heads)
    shown_table = table(("cohort", *numbers, "still growing"), shown, numbers=numbers)
    names = [(month, f"{month} ({number(sizes[month])})") for month in shown_months]
    columns = [(to, place(to)) for to in steps[1:]]
    return Chart(
        "Cohorts by month of entry",
        reading,
        shown_table,
        lambda width: heat_map(width, names, columns, filled),
        tall=len(shown_months) > TALL,
    )


def _cell(row: Row, said: str, young: bool) -> Cell:
    """A few persons are shown as they are, without a colour that would shout."""
    if float(row["denominator"]) < FEW:
        return Cell(f"{number(row['numerator'])}/{number(row['denominator'])}", 0.0, said, young)
    return Cell(percent(row["value"]), row["value"], said, young)


def _share(cell: Cell | None) -> str:
    return cell.text if cell else ""


def _after(month: str) -> date:
    """The first day after the month."""
    year, number_ = int(month[:4]), int(month[5:7])
    return date(year + number_ // 12, number_ % 12 + 1, 1)
