"""Whether customers stay: cohorts by the month they were won, and what is left of customers and of their yearly value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.report.charts.chart import HALF, Chart
from jobs.report.charts.heat import Cell, heat_map
from jobs.report.charts.lines import Point, lines
from jobs.report.charts.rows import Data, Row, by, compact, months, percent, rows
from jobs.show_metrics import FEW, excluded, number
from jobs.show_table import table

MONTHS = 18
AGES = ("1", "3", "6", "9", "12", "18", "24", "36")  # months, of the heat map
ON_PHONE = ("1", "3", "6", "12", "24", "36")
KINDS = ("GRR", "NRR")
TALL = 9  # rows beyond which two other charts fit beside it
_YOUNG = "not watched long enough"


def cohorts(data: Data) -> Chart | None:
    """The share of each month's new customers that was still there so many months later; cohorts not watched so long as a whole hatched."""
    found = by([row for row in rows(data, "retention", mode="classic") if row["dimensions"]["cohort"] != "all"], "cohort", "month")
    names = months({cohort: None for cohort, _ in found}, MONTHS)
    ages = [age for age in AGES if any((name, age) in found for name in names)]
    if len(names) < 2 or not ages:
        return None
    sizes = {name: max(_size(row) for (cohort, _), row in found.items() if cohort == name) for name in names}
    cells = {
        (name, age): _cell(row, f"{name}, after {age} months: {number(row['numerator'])} of {number(row['denominator'])}")
        for (name, age), row in found.items()
        if name in sizes and age in ages
    }
    lists = [[name, sizes[name], *(_shown(cells.get((name, age))) for age in ages)] for name in names]
    heads = ("customers", *(f"{age} months" for age in ages))
    note = "* not all of the cohort were watched so long: the share is of those who were" if any(c.unripe for c in cells.values()) else ""
    made = table(("won in", *heads), lists, numbers=heads, note=note)
    reading = (
        f"Each row is a month's new customers, {number(sum(sizes.values()))} in all, and the share of them that was still there so many "
        f"months later. Hatched cells are of those watched so long, and still growing; cohorts of fewer than {FEW} show their counts."
    )
    titles = [(name, f"{name} ({number(sizes[name])})") for name in names]

    def drawn(width: int) -> Any:
        kept = [(age, f"{age} mo") for age in ages if width >= HALF or age in ON_PHONE]
        return heat_map(width, titles, kept, {key: cell for key, cell in cells.items() if key[1] in dict(kept)})

    return Chart("Still customers, by the month they were won", reading, made, drawn, tall=len(names) > TALL)


def _size(row: Row) -> int:
    """All of the cohort, also those not watched so long."""
    return int(row["denominator"] or 0) + int(excluded(row).get(_YOUNG, 0))


def _cell(row: Row, said: str) -> Cell:
    """A few customers are shown as they are, without a colour that would shout."""
    unripe = bool(excluded(row).get(_YOUNG))
    if float(row["denominator"]) < FEW:
        return Cell(f"{number(row['numerator'])}/{number(row['denominator'])}", 0.0, said, unripe)
    return Cell(percent(row["value"]), row["value"], said, unripe)


def _shown(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.text}*" if cell.unripe else cell.text


def by_age(data: Data) -> Chart | None:
    """Of all customers watched so long: still there, and what of their yearly value is left, by months since they were won."""
    series = {"customers": by(rows(data, "retention", cohort="all", mode="classic"), "month")}
    series |= {kind: by(rows(data, "revenue_retention", cohort="all", kind=kind), "month") for kind in KINDS}
    series = {name: {age: row for age, row in part.items() if row["value"] is not None} for name, part in series.items()}
    series = {name: part for name, part in series.items() if len(part) > 1}
    if "customers" not in series:
        return None
    here = series["customers"]
    ages = sorted({age for part in series.values() for age in part}, key=int)
    far = max((age for age in here if float(here[age]["denominator"]) >= FEW), key=int, default=max(here, key=int))
    reading = (
        f"After {far} months {percent(here[far]['value'])} were still customers, {number(here[far]['numerator'])} of "
        f"{number(here[far]['denominator'])} watched so long{_worth(series, far)}. The band is a 95 % interval."
    )
    lists = [
        [age, *(percent(part[age]["value"]) if age in part else "" for part in series.values()), _watched(here.get(age))] for age in ages
    ]
    heads = (*series, "customers watched")
    made = table(("months since won", *heads), lists, numbers=heads)
    drawn = [(name, [_point(age, row) for age, row in sorted(part.items(), key=lambda i: int(i[0]))]) for name, part in series.items()]
    last = int(ages[-1])
    axis = {"title": "months since won", "grid": False, "values": [*range(0, last + 1, 1 if last <= 12 else 6)], "labelOverlap": True}
    x = {"type": "quantitative", "scale": {"domain": [0, last], "nice": False}, "axis": axis}
    return Chart(
        "What is left of customers and their value, by age", reading, made, lambda width: lines(width, drawn, x, _shares(drawn), whole=1.0)
    )


def _watched(row: Row | None) -> str:
    return "" if row is None else number(row["denominator"])


def _worth(series: Mapping[str, Mapping[str, Row]], age: str) -> str:
    """What of the value they began with is left."""
    kept, grown = (series.get(kind, {}).get(age) for kind in KINDS)
    if kept is None or grown is None:
        return ""
    said = f"{percent(kept['value'])} was kept (GRR), {percent(grown['value'])} with what they bought more (NRR)"
    return f"; of the yearly value they began with {said}"


def _point(age: str, row: Row) -> Point:
    text = f"after {age} months: {percent(row['value'])}"
    return Point(int(age), float(row["value"]), text, row["low"], row["high"])


def by_year(data: Data) -> Chart | None:
    """GRR and NRR over the year to the end of each of the last quarters, and to now."""
    found = {kind: by(rows(data, "revenue_retention_year", kind=kind), "year_to") for kind in KINDS}
    ends = [*months(found["GRR"], 8), *(["now"] if "now" in found["GRR"] else [])]
    ends = [end for end in ends if all(end in part and part[end]["value"] is not None for part in found.values())]
    if len(ends) < 2:
        return None
    last = {kind: found[kind][ends[-1]] for kind in KINDS}
    currency = str(last["GRR"]["dimensions"].get("currency") or "")
    reading = (
        f"Of {compact(last['GRR']['denominator'])} {currency} that {int(last['GRR']['n'])} customers paid a year before {_end(ends[-1])}, "
        f"{percent(last['GRR']['value'])} was kept (GRR), and {percent(last['NRR']['value'])} with what they bought more (NRR). "
        "New customers are in neither."
    )
    lists = [[end, number(found["GRR"][end]["denominator"]), *(percent(found[kind][end]["value"]) for kind in KINDS)] for end in ends]
    heads = (f"a year before, {currency}", *KINDS)
    made = table(("year to", *heads), lists, numbers=heads)
    drawn = [(kind, [Point(end, float(found[kind][end]["value"]), f"year to {end}: {percent(found[kind][end]['value'])}") for end in ends])
             for kind in KINDS]  # fmt: skip
    x = {"type": "ordinal", "sort": list(ends), "title": None, "axis": {"labelAngle": 0, "ticks": False, "grid": False}}
    return Chart("Value retained over a year", reading, made, lambda width: lines(width, drawn, x, _shares(drawn), whole=1.0))


def _end(name: str) -> str:
    return "now" if name == "now" else f"the end of {name}"


def _shares(drawn: Any) -> Any:
    """An axis of shares from nothing to all, or to the most."""
    top = max(point.high or point.y for _, part in drawn for point in part)
    return {"scale": {"domain": [0, max(1.0, top)]}, "axis": {"format": "%", "tickCount": 5}}
