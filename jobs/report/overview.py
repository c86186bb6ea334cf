"""The report in eight numbers: what people look at first, each with how it moved and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.charts.rows import Data, Row, by, compact, months, percent, rows, why_not
from jobs.report.sparkline import blocks
from jobs.show_marks import marks
from jobs.show_metrics import number
from jobs.show_table import Table, table

MONTHS, QUARTERS = 12, 8
ENTERED = {"M20": "leads", "M30": "MQLs", "M50": "opportunities"}  # people who came that far, month by month


@dataclass(frozen=True)
class Tile:
    """`change`: the time before, or what is behind it. `series`: oldest first. `marks`: what the number leaves out or why there is none."""

    label: str
    value: str
    change: str = ""
    series: tuple[float | None, ...] = ()
    marks: tuple[str, ...] = ()


def tiles(data: Data) -> list[Tile]:
    """Those whose metrics were measured; a number that cannot be computed says why."""
    made = [
        _visitors(data),
        *(_entered(data, code, people) for code, people in ENTERED.items()),
        _open(data),
        _won(data),
        _win_rate(data),
        _coverage(data),
        _velocity(data),
    ]
    return [tile for tile in made if tile is not None]


def overview_table(data: Data) -> Table | None:
    """For a terminal: one line a number, with its sparkline."""
    lines = [[t.label, t.value, t.change, blocks(t.series), "; ".join(t.marks)] for t in tiles(data)]
    return table(("in short", "value", "change", "trend", "mark"), lines, numbers=("value",)) if lines else None


def _visitors(data: Data) -> Tile | None:
    """Of the last month web analytics has counted; of several properties each for itself, so of the first."""
    found = rows(data, "visitors")
    of = by([row for row in found if row["dimensions"].get("account") == found[0]["dimensions"].get("account")], "month")
    names = months(of, MONTHS)
    if not names:
        return None
    series = tuple(float(of[month]["value"] or 0) for month in names)
    change = f"{number(series[-2])} in {names[-2]}{_moved(series[-2], series[-1])}" if len(series) > 1 else ""
    return Tile(f"visitors in {names[-1]}", number(series[-1]), change, series, marks(of[names[-1]]))


def _entered(data: Data, code: str, people: str) -> Tile | None:
    """Of the last month that is over; the one that runs would always look like a fall."""
    found = by(rows(data, "entered", stage=code), "month")
    running = str(data.get("as_of", ""))[:7]
    names = [month for month in months(found, MONTHS + 1) if month < running][-MONTHS:]
    if not names:
        return None
    series = tuple(float(found[month]["value"] or 0) for month in names)
    change = f"{number(series[-2])} in {names[-2]}{_moved(series[-2], series[-1])}" if len(series) > 1 else ""
    return Tile(f"new {people} in {names[-1]}", number(series[-1]), change, series, marks(found[names[-1]]))


def _moved(before: float, now: float) -> str:
    """ " (−8 %)": by how much of what it was before; nothing is no base for that."""
    return f" ({100 * (now - before) / before:+.0f} %)".replace("-", "−") if before else ""


def _open(data: Data) -> Tile | None:
    found = rows(data, "pipeline_value", stage="all")
    deals = sum(float(row["value"] or 0) for row in rows(data, "open_deals"))
    if not found:
        return None
    was = next((row for row in rows(data, "waterfall", bucket="start", due="any") if row["value"]), None)
    before = f", {compact(float(was['value']))} on {was['dimensions']['from']}" if was else ""
    return Tile("open pipeline", _money(found[0]), f"{number(deals)} deals{before}", (), marks(found[0]))


def _won(data: Data) -> Tile | None:
    found = by(rows(data, "won_value"), "period")
    names = months(found, QUARTERS)
    if not names:
        return None
    series = tuple(float(found[q]["value"] or 0) for q in names)
    currency = str(found[names[-1]]["dimensions"].get("currency") or "")
    change = f"{compact(series[-2])} in {names[-2]}" if len(series) > 1 else ""
    return Tile(f"won in {names[-1]} so far", f"{compact(series[-1])} {currency}".strip(), change, series, marks(found[names[-1]]))


def _win_rate(data: Data) -> Tile | None:
    found = by(rows(data, "win_rate", by="count"), "period")
    year = found.get("last 365 days")
    if year is None:
        return None
    series = tuple(found[q]["value"] for q in months(found, QUARTERS))
    counts = f"{number(year['numerator'] or 0)} of {number(year['denominator'] or 0)} closed"
    return Tile("win rate, last 365 days", percent(year["value"]), counts, series, marks(year))


def _coverage(data: Data) -> Tile | None:
    return _plain(rows(data, "coverage"), lambda row: f"coverage of {row['dimensions']['period']}", _of_target)


def _of_target(row: Row) -> str:
    return f"{compact(float(row['numerator']))} due, {compact(float(row['denominator']))} still to be won"


def _velocity(data: Data) -> Tile | None:
    return _plain(rows(data, "velocity"), lambda row: "sales velocity", _factors)


def _factors(row: Row) -> str:
    """What it is made of; "" where the metric does not say."""
    rate, each, days = (row["dimensions"].get(name) for name in ("win_rate", "mean_won", "mean_cycle_days"))
    if rate is None or each is None or days is None:
        return ""
    return f"{number(row['n'])} deals × {percent(float(rate))} × {compact(float(each))} ÷ {float(days):.0f} days"


def _plain(found: Sequence[Row], label: Callable[[Row], str], of: Callable[[Row], str]) -> Tile | None:
    if not found:
        return None
    row = found[0]
    if row["value"] is None:
        return Tile(label(row), "–", marks=(why_not([row]) or "not computable",))
    unit = str(row["unit"])
    text = f"{row['value']:.1f} ×" if unit == "×" else f"{compact(float(row['value']))} {unit.replace(' per ', ' a ')}"
    return Tile(label(row), text, of(row), marks=marks(row))


def _money(row: Mapping[str, Any]) -> str:
    return "–" if row["value"] is None else f"{compact(float(row['value']))} {row['unit']}"
