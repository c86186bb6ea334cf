"""The HTML report: one self-contained page, drawn by a Jinja2 template with autoescape from sections and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jobs import show_metrics
from jobs.report.content import TITLES, sections
from jobs.report.plain import title_of

ROWS = 1000  # of one table; the whole is in the JSON and CSV reports
_COUNTABLE = {"", "count", "number", "persons", "deals", "records", "days"}
_CHARTS = 4  # per family
_BARS = 14  # per chart; a longer list is a table's business


@dataclass(frozen=True)
class Bar:
    label: str
    text: str
    width: float  # 0 to 100
    step: str = ""  # share of the bar before, where that means something


@dataclass(frozen=True)
class Chart:
    title: str
    by: str
    bars: tuple[Bar, ...]


def to_html(data: Mapping[str, Any], name: str) -> str:
    made = sections(data)
    charts = {family: _charts(show_metrics.of_family(data.get("metrics", ()), family)) for family in TITLES}
    view = {
        "organisation": data.get("organisation", "Tundish"), "as_of": data.get("as_of", ""), "freshness": data.get("freshness", {}),
        "title": "Funnel to pipeline" if name == "all" else title_of(name), "tiles": _tiles(data), "sections": made, "charts": charts,
        "rows_limit": ROWS,
    }  # fmt: skip
    return str(_template().render(view))


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["instant"] = _instant
    return environment.get_template("page.html.j2")


def _instant(text: Any) -> str:
    """ "2026-06-30 02:00 UTC" of an ISO instant; anything else as it is."""
    iso = str(text)
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) >= 16 and iso.endswith(("Z", "+00:00")) else iso


def _tiles(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(number, what, tone) at the top of the page."""
    tiles = [(f"{n:,}", {"person": "people", "company": "companies"}.get(k, f"{k}s"), "") for k, n in (data.get("entities") or {}).items()]
    if "findings" in data:
        grave = sum(1 for f in data["findings"] if f.get("severity") == "S1")
        tiles.append((f"{len(data['findings']):,}", f"findings, {grave:,} grave", "bad" if grave else ""))
    if data.get("truth"):
        found, planted = data["truth"].get("found", 0), data["truth"].get("planted", 0)
        tiles.append((f"{found}/{planted}", "planted differences found", "good" if found == planted else "bad"))
    if data.get("plan"):
        plan = data["plan"]
        tiles.append((f"{len(plan.get('changes', ())):,}", "changes planned", "bad" if plan.get("refusals") else ""))
    return tiles


# -- bars ---------------------------------------------------------------------------------------------------------------
def _charts(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """A chart for each amount or count that has one dimension with a few values; shares stay in the tables."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        dims = row["dimensions"]
        if len(dims) == 1 and row.get("value") is not None and _drawable(str(row.get("unit") or "")):
            groups.setdefault((str(row["name"]), next(iter(dims))), []).append(row)
    drawn = [_chart(name, by, group) for (name, by), group in groups.items() if 2 <= len(group) <= _BARS]
    return drawn[:_CHARTS]


def _drawable(unit: str) -> bool:
    return unit in _COUNTABLE or (len(unit) == 3 and unit.isupper())


def _chart(name: str, by: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    by_key = {(row["dimensions"][by],): row for row in rows}
    ordered = [(key[0], by_key[key]) for key in show_metrics.in_order(by_key)]
    most = max(abs(float(row["value"])) for _, row in ordered) or 1.0
    values = [float(row["value"]) for _, row in ordered]
    narrowing = all(a >= b for a, b in zip(values, values[1:], strict=False)) and all(key in show_metrics.MILESTONES for key, _ in ordered)
    steps = ["", *(f"{100 * b / a:.0f} %" if narrowing and a else "" for a, b in zip(values, values[1:], strict=False))]
    bars = tuple(
        Bar(show_metrics.place(key), show_metrics.shown(row), round(100 * abs(float(row["value"])) / most, 2), step)
        for (key, row), step in zip(ordered, steps, strict=True)
    )
    return Chart(show_metrics.label(name), show_metrics.label(by), bars)
