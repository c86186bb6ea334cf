"""The charts of a report as one PNG, for slides and messages: titles, what each shows, and from when the numbers are."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from core.errors import UserError
from jobs.report.charts.chart import FONT, FULL, HALF, LETTER, Chart
from jobs.report.charts.draw import drawing, png
from jobs.report.charts.palette import light
from jobs.report.content import sections
from jobs.report.plain import instant, title_of, without
from jobs.report.views import shown
from jobs.show_table import tame

EDGE, GUTTER = 24, 20  # pixels


def to_png(data: Mapping[str, Any], name: str) -> bytes:
    """Raises: UserError for a report without charts. data: as `jobs.report.content.selected` gives it."""
    parts = shown(data, [s.key for s in sections(data, name)])
    charts = [chart for part in parts.values() for chart in part.charts]
    missing = [view for part in parts.values() for view in part.missing]
    if not charts and not missing:
        raise UserError(f"the report {name} has no charts", next_step="use --format html, md or xlsx")
    title = "Funnel to pipeline" if name == "all" else title_of(name)
    said = [f"{view.title}: nothing to draw yet. It needs {view.needs}." for view in missing]
    return png(
        sheet(
            f"{data.get('organisation', 'Tundish')}: {title}",
            " ".join(filter(None, (f"As of {instant(data.get('as_of', '?'))}.", without(data)))),
            charts,
            said,
        )
    )


def sheet(title: str, subtitle: str, charts: Sequence[Chart], said: Iterable[str] = ()) -> str:
    """An SVG with the charts under each other, two in a row where they are not wide."""
    y = EDGE + 24.0
    parts = [_text(EDGE, y, title, 22, bold=True), _text(EDGE, y + 22, subtitle, 13, soft=True)]
    y += 22 + GUTTER
    for row in _in_rows(charts):
        heights = []
        for i, chart in enumerate(row):
            drawn, height = _figure(chart, EDGE + i * (FULL - HALF), y)
            parts.append(drawn)
            heights.append(height)
        y += max(heights) + GUTTER
    for line in (piece for one in said for piece in _wrapped(one, FULL)):
        parts.append(_text(EDGE, y + 14, line, 13, soft=True))
        y += 20
    width, height = FULL + 2 * EDGE, y + EDGE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}">'
    return f'{head}<rect width="100%" height="100%" fill="{light("card")}"/>{"".join(parts)}</svg>'


def _in_rows(charts: Iterable[Chart]) -> list[list[Chart]]:
    rows: list[list[Chart]] = []
    for chart in charts:
        if chart.wide or not rows or len(rows[-1]) == 2 or rows[-1][0].wide:
            rows.append([chart])
        else:
            rows[-1].append(chart)
    return rows


def _figure(chart: Chart, x: float, y: float) -> tuple[str, float]:
    """The chart with its title and reading at that place, and how high all of it is."""
    width = FULL if chart.wide else HALF
    lines = _wrapped(chart.reading, width)
    made = drawing(chart.spec(width))
    texts = [
        _text(x, y + 16, chart.title, 15, bold=True),
        *(_text(x, y + 36 + 17 * i, line, 12, soft=True) for i, line in enumerate(lines)),
    ]
    top = y + 36 + 17 * len(lines)
    return f'{"".join(texts)}<g transform="translate({x:g},{top:g})">{made.inner}</g>', top - y + made.height


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(tame(text), int(width / (LETTER * 0.9)))


def _text(x: float, y: float, text: str, size: int, *, bold: bool = False, soft: bool = False) -> str:
    colour, weight = light("soft" if soft else "ink"), "bold" if bold else "normal"
    style = f'font-family="{FONT}" font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(tame(text))}</text>'
