"""Any sections as a page, Markdown, CSV or text: for answers that are no report of the lake."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from jobs.report.content import Section
from jobs.report.plain import markdown, safe
from jobs.show_table import text


def write_sections(organisation: str, title: str, as_of: datetime, sections: Sequence[Section], format: str) -> str:
    """In one of: table, md, csv, html. Raises: ValueError for another format."""
    if format == "table":
        parts = [part for s in sections for part in (*map(text, (*s.first, *s.tables)), s.text) if part]
        return "\n\n".join(parts)
    if format == "csv":
        return _csv(sections)
    if format == "md":
        return markdown(organisation, title, as_of.isoformat(), {}, sections)
    if format == "html":
        from jobs.report.page import draw

        return draw(organisation, title, as_of.isoformat(), sections)
    raise ValueError(f"no format {format!r}")


def _csv(sections: Sequence[Section]) -> str:
    """Each table under its title where there are several, with an empty line between."""
    tables = [t for s in sections for t in (*s.first, *s.tables, *s.more)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for place, shown in enumerate(tables):
        if len(tables) > 1:
            writer.writerows([[]] * bool(place) + [[safe(shown.title)]])
        writer.writerow([safe(c) for c in shown.columns])
        writer.writerows([safe(value) for value in row] for row in shown.rows)
    return out.getvalue()
