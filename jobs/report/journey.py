"""One entity's way as a page: its lanes, its milestones with their evidence, and every moment. Only what `tundish explain` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.report.charts.journey import NAMES, journey
from jobs.report.content import Section, findings_table
from jobs.report.page import SectionView, draw, figure
from jobs.show_findings import opened
from jobs.show_table import table
from jobs.timeline import dated


def to_page(organisation: str, as_of: str, data: Mapping[str, Any]) -> str:
    """data: as `jobs.explain.explain_entity` gives it."""
    chart = journey(data)
    view = {"way": SectionView((figure(chart),) if chart else (), (), "")}
    return draw(organisation, f"{data['kind']} {data['entity_id']}", as_of, _sections(data), views=view)


def _sections(data: Mapping[str, Any]) -> list[Section]:
    reached = [[f"{one['code']} {one['name']}", *dated(one)] for one in data["milestones"]]
    moments = [[m["at"][:16].replace("T", " "), NAMES[m["lane"]], m["account"], m["what"], m["record"]] for m in data["timeline"]]
    pages = any(m["page"] for m in data["records"])
    columns = ("account", "object", "id", "live", *(("page",) if pages else ()))
    records = [
        [m["account"], m["resource"], m["vendor_id"], "yes" if m["live"] else "no", m["page"]][: len(columns)] for m in data["records"]
    ]
    found = [opened(row) for row in data["findings"]]
    made = [
        Section("way", "The way so far", (), "" if moments else "Nothing of it is dated."),
        Section(
            "milestones",
            "Milestones, and what says so",
            (table(["milestone", "reached (UTC)", "evidence", "record"], reached),) if reached else (),
        ),
        Section("moments", "Every moment", (table(["time (UTC)", "lane", "account", "what", "record"], moments),) if moments else ()),
        Section("records", "Records", (table(columns, records),)),
        Section("findings", "Open findings", (findings_table(found),) if found else ()),
    ]
    return [s for s in made if s.tables or s.text or s.key == "way"]
