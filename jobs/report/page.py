"""The HTML report: one self-contained page, drawn by a Jinja2 template with autoescape from sections and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jobs.report.bars import Chart, charts_of
from jobs.report.content import TITLES, Section, sections
from jobs.report.plain import title_of
from jobs.show_ageing import trend_chart
from jobs.show_table import tame

ROWS = 1000  # of one table; the whole is in the JSON and CSV reports


def _tamed(value: Any) -> Any:
    return tame(value) if type(value) is str else value


def to_html(data: Mapping[str, Any], name: str) -> str:
    made = [s for s in sections(data) if s.key != "entities"]  # the tiles say that
    charts = {family: charts_of(data.get("metrics", ()), family) for family in TITLES}
    charts["trend"] = trend_chart(data.get("trend") or ())
    title = "Funnel to pipeline" if name == "all" else title_of(name)
    head = (data.get("organisation", "Tundish"), title, data.get("as_of", ""), made)
    return draw(*head, freshness=data.get("freshness") or {}, tiles=_tiles(data), charts=charts)


def draw(
    organisation: str,
    title: str,
    as_of: str,
    made: Sequence[Section],
    *,
    freshness: Mapping[str, str] | None = None,
    tiles: Sequence[tuple[str, str, str]] = (),
    charts: Mapping[str, Sequence[Chart]] | None = None,
) -> str:
    """The page. `charts` stand over the tables of the section of that key."""
    view = {
        "organisation": organisation, "as_of": as_of, "freshness": freshness or {}, "title": title, "tiles": tiles, "sections": made,
        "charts": charts or {}, "rows_limit": ROWS,
    }  # fmt: skip
    return str(_template().render(view))


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_tamed, trim_blocks=True, lstrip_blocks=True
    )
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
    if data.get("ageing"):
        late = len(data["ageing"]["over"])
        tiles.append((f"{late:,}", "findings over their limit", "bad" if late else "good"))
    if data.get("quality"):
        reports = {(m["account"], m["report"]) for m in data["quality"]}
        tiles.append((f"{len(reports):,}", "reports whose counts are not whole", "bad"))
    if data.get("truth"):
        found, planted = data["truth"].get("found", 0), data["truth"].get("planted", 0)
        tiles.append((f"{found}/{planted}", "planted differences found", "good" if found == planted else "bad"))
    if data.get("plan"):
        plan = data["plan"]
        tiles.append((f"{len(plan.get('changes', ())):,}", "changes planned", "bad" if plan.get("refusals") else ""))
    return tiles
