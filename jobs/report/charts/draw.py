"""From a chart's specification to a drawing, in this process: no browser, no network (vl-convert, Vega with an engine of its own).

The drawing is taken apart by text: it is our own, and its form is Vega's SVG renderer's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from jobs.report.charts.chart import Chart, Spec
from jobs.report.charts.palette import themed

VEGA_LITE = "6.4"
_LABELLED = re.compile(r'<(path|line)\saria-label="([^"]*)"([^<>]*?)/>')  # a mark that says something; axes are groups
_EMPTY = re.compile(r'<path class="(?:background|foreground)"[^<>]*/>')
_LONG = re.compile(r"(\d\.\d\d)\d+")
_FONT = re.compile(r' font-family="[^"]*"')
_ARIA = re.compile(r'\s(?:role|class|aria-[a-z]+|pointer-events)="[^"]*"')
_HEAD = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')


@dataclass(frozen=True)
class Drawing:
    """SVG without its outer element, and how large it is in pixels."""

    inner: str
    width: float
    height: float

    def standing(self) -> str:
        """An SVG of its own."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}">{self.inner}</svg>'
        )


@cache
def _engine() -> Any:
    import vl_convert

    return vl_convert


def drawing(spec: Spec) -> Drawing:
    """The drawing of a specification. What marks say when pointed at are their titles; for the rest the page speaks."""
    svg = _engine().vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[])
    head = _HEAD.match(svg)
    if head is None:
        raise ValueError(f"no drawing: {svg[:80]}")
    return Drawing(_plain(svg[head.end() : svg.rindex("</svg>")]), float(head[1]), float(head[2]))


def page_svg(chart: Chart, width: int) -> str:
    """For a page: in the page's colours, as wide as there is room and no wider than it was drawn."""
    made = drawing(chart.spec(width))
    head = f'<svg viewBox="0 0 {made.width:g} {made.height:g}" style="max-width: {made.width:g}px" aria-hidden="true" focusable="false">'
    return f"{head}{themed(_FONT.sub('', made.inner))}</svg>"


def png(svg: str, scale: float = 2.0) -> bytes:
    made: bytes = _engine().svg_to_png(svg, scale=scale)
    return made


def _plain(inner: str) -> str:
    """Without roles, and with titles where marks had labels of their own."""
    inner = _LONG.sub(r"\1", _EMPTY.sub("", inner))
    return _ARIA.sub("", _LABELLED.sub(r"<\1\3><title>\2</title></\1>", inner))
