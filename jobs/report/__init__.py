"""Reports: one picture of the data as JSON, Markdown, CSV, a self-contained HTML page, a workbook or a PNG. Pure; writes no file.

Findings are shown without personal values whatever the format; record keys stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobs.report.content import NAMES, selected

__all__ = ["BINARY", "FORMATS", "NAMES", "render", "render_file"]
FORMATS = ("json", "md", "csv", "html")
BINARY = ("xlsx", "png")  # files of bytes


def render(data: Mapping[str, Any], format: str, name: str = "all") -> str:
    """The report `name` (funnel pipeline winrate sources attribution experiments quality findings records plan all) of `data` in a format.

    data: as_of, organisation, freshness {account: instant}, records, entities, findings, truth, metrics, board, quality, plan, apply,
    undo, rejects; what is missing or None is left out. Raises: ValueError for an unknown format or name.
    """
    if name not in NAMES:
        raise ValueError(f"no report {name!r}; one of: {', '.join(NAMES)}")
    return _renderer(format)(selected(data, name), name)


def render_file(data: Mapping[str, Any], format: str, name: str = "all") -> bytes:
    """The same as a file, in any format. Raises: also UserError for the picture of a report without charts."""
    if format not in BINARY:
        return render(data, format, name).encode()
    if name not in NAMES:
        raise ValueError(f"no report {name!r}; one of: {', '.join(NAMES)}")
    if format == "xlsx":
        from jobs.report.book import to_xlsx

        return to_xlsx(selected(data, name), name)
    from jobs.report.picture import to_png

    return to_png(selected(data, name), name)


def _renderer(format: str) -> Callable[[Mapping[str, Any], str], str]:
    if format == "html":
        from jobs.report.page import to_html

        return to_html
    from jobs.report import plain

    renderers = {"json": plain.to_json, "md": plain.to_markdown, "csv": plain.to_csv}
    if format not in renderers:
        raise ValueError(f"no format {format!r}; one of: {', '.join(FORMATS)}")
    return renderers[format]
