"""How far people get: the funnel of all cohorts, where people stand, and parts of the funnel side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jobs.report.charts.chart import Bar, Chart, bars
from jobs.report.charts.heat import Cell, heat_map
from jobs.report.charts.rows import Data, by, percent, rows
from jobs.show_metrics import FEW, MILESTONES, number, place
from jobs.show_table import table

PARTS = 12  # of a breakdown; the rest is in its table


def from_visitors(data: Data) -> Chart | None:
    """From visitors to retained, for those who became leads in the last whole months: users, then persons."""
    volumes = by(rows(data, "level_volume"), "level")
    counts = {code: float(row["value"] or 0) for code, row in volumes.items() if code in MILESTONES and " " not in code}
    if "M00" not in counts or len(counts) < 3 or not counts["M00"]:
        return None
    steps = {code: row["value"] for code, row in by(rows(data, "level_step"), "level").items()}
    lines = [
        Bar(place(code), n, _stepped(n, steps.get(code)), number(n), "grey" if code == "M00" else "blue") for code, n in counts.items()
    ]
    first, *_, last = (code for code in counts if code != "M00")
    reading = (
        f"{number(counts['M00'])} users of web analytics, {number(counts[first])} of them or others in the CRM as {place(first)}, "
        f"{number(counts[last])} at {place(last)}. The first step compares two systems; the others follow the same persons."
    )
    shown = [[place(code), number(n), percent(steps.get(code))] for code, n in counts.items()]
    shown_table = table(("level", "volume", "of the level before"), shown, numbers=("volume", "of the level before"))
    return Chart("From visitor to retained", reading, shown_table, lambda width: bars(width, lines, step=30))


def _stepped(count: float, step: float | None) -> str:
    return number(count) + ("" if step is None else f" · {percent(step)} of the level before")


def reach(data: Data) -> Chart | None:
    """Of those who entered the first step: how many have evidence of each later one."""
    found = by(rows(data, "reach", cohort="all", mode="implied"), "to")
    counts = {code: float(row["numerator"] or 0) for code, row in found.items()}
    if len(counts) < 2 or not max(counts.values()):
        return None
    codes = list(counts)
    whole = counts[codes[0]]
    steps = [None, *(counts[code] / counts[before] if counts[before] else None for before, code in pairwise(codes))]
    lines = [
        Bar(place(code), counts[code], _text(counts[code], whole, step), f"{number(counts[code])} · {percent(counts[code] / whole)}")
        for code, step in zip(codes, steps, strict=True)
    ]
    shown = [
        [place(code), int(counts[code]), percent(counts[code] / whole), "" if step is None else percent(step)]
        for code, step in zip(codes, steps, strict=True)
    ]
    weakest = min((s, code) for s, code in zip(steps[1:], codes[1:], strict=True) if s is not None)
    reading = (
        f"Of {number(whole)} that became {MILESTONES.get(codes[0], codes[0])}, {number(counts[codes[-1]])} "
        f"({percent(counts[codes[-1]] / whole)}) reached {place(codes[-1])}. The narrowest step is into {place(weakest[1])}: "
        f"{percent(weakest[0])} of the step before."
    )
    numbers = ("persons", "of the first step", "of the step before")
    shown_table = table(("milestone", *numbers), shown, numbers=numbers)
    return Chart("How far the cohorts got", reading, shown_table, lambda width: bars(width, lines, whole=whole, step=34))


def _text(count: float, whole: float, step: float | None) -> str:
    return f"{number(count)} · {percent(count / whole)}" + ("" if step is None else f" · {percent(step)} of the step before")


def standing(data: Data) -> Chart | None:
    """How many persons stand at each milestone now."""
    found = by(rows(data, "stage_count", basis="current"), "stage")
    if len(found) < 2:
        return None
    lines = [Bar(place(code), float(row["value"] or 0), number(row["value"] or 0)) for code, row in found.items()]
    most = max(lines, key=lambda line: line.size)
    people = sum(line.size for line in lines)
    reading = f"{number(people)} persons have a milestone; most of them, {number(most.size)}, stand at {most.label}."
    shown = table(("milestone", "persons"), [(line.label, int(line.size)) for line in lines], numbers=("persons",))
    return Chart("Where people stand now", reading, shown, lambda width: bars(width, lines, step=28))


def by_source(data: Data) -> Chart | None:
    """The funnel of each source as a heat map: of those who entered the first step, the share that reached each later one."""
    return _parts(data, "source")


def by_owner(data: Data) -> Chart | None:
    """The same of each owner."""
    return _parts(data, "owner")


def _parts(data: Data, what: str) -> Chart | None:
    found = rows(data, "reach_by", by=what)
    steps = list(by(found, "to"))
    cells = by(found, "part", "to")
    sizes = {part: float(cells[part, steps[0]]["denominator"] or 0) for part, to in cells if to == steps[0]}
    parts = sorted((part for part in sizes if sizes[part] >= FEW), key=lambda part: -sizes[part])[:PARTS]
    if len(parts) < 2 or len(steps) < 2:
        return None
    shares = {(part, to): row["value"] for (part, to), row in cells.items() if row["value"] is not None}
    filled = {
        (part, to): Cell(percent(shares[part, to]), shares[part, to], f"{part}, {place(to)}: {number(cells[part, to]['numerator'])} "
                         f"of {number(sizes[part])}")
        for part in parts for to in steps[1:] if (part, to) in shares
    }  # fmt: skip
    shown = [[part, int(sizes[part]), *(percent(shares.get((part, to))) for to in steps[1:])] for part in parts]
    best = max(parts, key=lambda part: shares.get((part, steps[-1]), 0.0))
    reading = (
        f"The share of each {what}'s leads that got at least so far. {best} brings the largest share to {place(steps[-1])}: "
        f"{percent(shares.get((best, steps[-1])))}. Who has fewer than {FEW} leads is in the table of the breakdown only."
    )
    heads = [place(to) for to in steps[1:]]
    names = [(part, f"{short} ({number(sizes[part])})") for part, short in zip(parts, without_domain(parts), strict=True)]
    shown_table = table((what, "leads", *heads), shown, numbers=("leads", *heads))
    columns = [(to, place(to)) for to in steps[1:]]
    return Chart(f"How far each {what}'s leads got", reading, shown_table, lambda width: heat_map(width, names, columns, filled))


def without_domain(names: Sequence[str]) -> list[str]:
    """Addresses of one domain without it: colleagues know each other."""
    domains = {name.rpartition("@")[2] for name in names if "@" in name}
    return [name.rpartition("@")[0] if len(domains) == 1 and "@" in name else name for name in names]
