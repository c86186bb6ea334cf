"""The HTML report: one self-contained page, drawn by a Jinja2 template with autoescape from sections and charts.

Charts are drawings, not programs: the page needs no script, prints as it looks, and asks the network for nothing. Each is drawn twice,
for a desk and for a telephone, and its colours are the page's, for light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jobs.report.charts.chart import FONT, FULL, HALF, PHONE, Chart
from jobs.report.charts.palette import variables
from jobs.report.content import Section, sections
from jobs.report.overview import tiles
from jobs.report.plain import instant, title_of, without
from jobs.report.sparkline import points
from jobs.report.views import View, shown
from jobs.show_metrics import number, rank
from jobs.show_table import tame

ROWS = 1000  # of one table; the whole is in the JSON and CSV reports


def _tamed(value: Any) -> Any:
    return tame(value) if type(value) is str else value


@dataclass(frozen=True)
class Figure:
    """A chart and its two drawings."""

    chart: Chart
    large: Any
    small: Any


@dataclass(frozen=True)
class SectionView:
    figures: tuple[Figure, ...]
    missing: tuple[View, ...]
    why: str


def to_html(data: Mapping[str, Any], name: str) -> str:
    made = [s for s in sections(data, name) if s.key != "entities"]  # the tiles say that
    drawn = {
        key: SectionView(tuple(map(figure, part.charts)), part.missing, part.why)
        for key, part in shown(data, [s.key for s in made]).items()
    }
    title = "Funnel to pipeline" if name == "all" else title_of(name)
    head = (data.get("organisation", "Tundish"), title, data.get("as_of", ""), [_without(s, drawn[s.key]) for s in made])
    fresh = data.get("freshness") or {}
    return draw(
        *head,
        freshness=fresh,
        left_out=without(data),
        headline=_headline(data),
        counters=_counters(data),
        views=drawn,
        board=_board(data),
        nothing=data.get("metrics") == [],
    )


def _without(section: Section, view: SectionView) -> Section:
    """The section without tables that its charts bring along."""
    drawn = [f.chart.table.rows for f in view.figures]
    return replace(section, tables=tuple(t for t in section.tables if t.rows not in drawn))


def _headline(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"tile": tile, "points": points(tile.series)} for tile in tiles(data)]


def _board(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of the board in the stages' order, each with its number of deals and its largest ones."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for card in data.get("board") or ():
        stages.setdefault(card["stage"], []).append(card)
    return [
        {"stage": stage, "n": stages[stage][0]["n"], "cards": [_card(card) for card in stages[stage]]} for stage in sorted(stages, key=rank)
    ]


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    amount = "no amount" if card["amount"] is None else f"{number(card['amount'])} {card['currency'] or ''}".strip()
    due = f"due {card['close_date']}{', which is over' if card['late'] else ''}" if card["close_date"] else "no close date"
    days = "" if card["days"] is None else f"{card['days']} days in the stage"
    return {"name": card["name"], "amount": amount, "days": days, "due": due, "late": card["late"]}


def figure(chart: Chart) -> Figure:
    """The chart, drawn for a desk and for a telephone."""
    from markupsafe import Markup

    from jobs.report.charts.draw import page_svg

    large, small = (Markup(page_svg(chart, width)) for width in (FULL if chart.wide else HALF, PHONE))  # made by Vega, which escapes texts
    return Figure(chart, large, small)


def draw(
    organisation: str,
    title: str,
    as_of: str,
    made: Sequence[Section],
    *,
    freshness: Mapping[str, str] | None = None,
    left_out: str = "",
    headline: Sequence[Mapping[str, Any]] = (),
    counters: Sequence[tuple[str, str, str]] = (),
    views: Mapping[str, SectionView] | None = None,
    board: Sequence[Mapping[str, Any]] = (),
    nothing: bool = False,
) -> str:
    """The page. `views` stand over the tables of the section of that key; `board` in that of the pipeline."""
    from markupsafe import Markup

    view = {
        "organisation": organisation, "as_of": as_of, "freshness": _together(freshness or {}), "left_out": left_out, "title": title,
        "counters": counters, "sections": made, "views": views or {}, "headline": headline, "nothing": nothing, "board": board,
        "rows_limit": ROWS, "colours": {scheme: variables(scheme) for scheme in ("light", "dark")}, "font": Markup(FONT),
    }  # fmt: skip
    return str(_template().render(view))


def _together(freshness: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(when, accounts read whole then), the latest first."""
    at: dict[str, list[str]] = {}
    for account, when in sorted(freshness.items(), key=lambda pair: pair[1], reverse=True):
        at.setdefault(instant(when), []).append(account)
    return list(at.items())


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_tamed, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["instant"] = instant
    return environment.get_template("page.html.j2")


def _counters(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(number, what, tone) of what the hub holds and found."""
    counters = [
        (f"{n:,}", {"person": "people", "company": "companies"}.get(k, f"{k}s"), "") for k, n in (data.get("entities") or {}).items()
    ]
    if "findings" in data:
        grave = sum(1 for f in data["findings"] if f.get("severity") == "S1")
        counters.append((f"{len(data['findings']):,}", f"findings, {grave:,} grave", "bad" if grave else ""))
    if data.get("ageing"):
        late = len(data["ageing"]["over"])
        counters.append((f"{late:,}", "findings over their limit", "bad" if late else "good"))
    if data.get("quality"):
        reports = {(m["account"], m["report"]) for m in data["quality"]}
        counters.append((f"{len(reports):,}", "reports whose counts are not whole", "bad"))
    if data.get("truth"):
        found, planted = data["truth"].get("found", 0), data["truth"].get("planted", 0)
        counters.append((f"{found}/{planted}", "planted differences found", "good" if found == planted else "bad"))
    if data.get("plan"):
        plan = data["plan"]
        counters.append((f"{len(plan.get('changes', ())):,}", "changes planned", "bad" if plan.get("refusals") else ""))
    return counters
