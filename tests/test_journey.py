"""One entity's way as a page: lanes, milestones and what says so, from the answer of `explain`."""

from __future__ import annotations

from typing import Any

from jobs.report.charts.chart import FULL, PHONE
from jobs.report.charts.journey import journey
from jobs.report.journey import to_page


def moment(at: str, lane: str, what: str) -> dict[str, str]:
    return {"at": f"{at}:00+00:00", "account": "hubspot", "record": "hubspot:contacts:1", "what": what, "lane": lane}


WAY = [
    moment("2026-01-01T08:00", "web", "first <b>visit"), moment("2026-01-01T09:00", "web", "visit"),
    moment("2026-01-03T08:00", "deals", "deal created"),
]  # fmt: skip
DATA: dict[str, Any] = {
    "entity_id": "per_1", "kind": "person", "timeline": WAY, "findings": [],
    "records": [{"account": "hubspot", "resource": "contacts", "vendor_id": "1", "live": True, "page": ""}],
    "milestones": [
        {"code": "M20", "name": "Lead", "at": None, "implied": True, "evidence": []},
        {"code": "M30", "name": "MQL", "at": WAY[2]["at"], "implied": False, "evidence": []},
        {"code": "M50", "name": "Opportunity", "at": WAY[2]["at"], "implied": False, "evidence": [WAY[2]]},
    ],
}  # fmt: skip


def layers(width: int, data: dict[str, Any] = DATA) -> list[list[dict[str, Any]]]:
    chart = journey(data)
    assert chart is not None
    return [layer["data"]["values"] for layer in chart.spec(width)["layer"]]


def test_a_day_of_a_lane_is_one_dot_that_tells_its_moments() -> None:
    dots = [row for rows in layers(FULL) for row in rows if "size" in row]
    assert [row["said"] for row in dots] == ["2026-01-01, hubspot: first <b>visit; hubspot: visit", "2026-01-03, hubspot: deal created"]
    assert dots[0]["size"] > dots[1]["size"]
    assert dots[0]["y"] < dots[1]["y"]


def test_names_of_milestones_of_one_instant_stand_under_each_other_and_within_the_picture() -> None:
    names = [row for rows in layers(PHONE) for row in rows if row.get("side")]
    assert [(row["text"], row["side"]) for row in names[:2]] == [("M30 MQL", "right"), ("M50 Opportunity", "right")]
    assert names[0]["y"] != names[1]["y"]


def test_one_instant_alone_has_a_day_around_it() -> None:
    chart = journey({**DATA, "timeline": WAY[:1], "milestones": []})
    assert chart is not None
    assert chart.spec(FULL)["layer"][1]["encoding"]["x"]["scale"]["domain"] == ["2025-12-31T20:00:00+00:00", "2026-01-01T20:00:00+00:00"]


def test_the_page_has_the_evidence_of_each_milestone_and_escapes_what_vendors_say() -> None:
    page = to_page("Loom", "2026-06-30T00:00:00+00:00", DATA)
    assert "implied by a later one" in page
    assert "a date of the record" in page
    assert "first &lt;b&gt;visit" in page
    assert "<b>visit" not in page


def test_of_nothing_dated_the_page_says_so() -> None:
    assert journey({**DATA, "timeline": []}) is None
    assert "Nothing of it is dated." in to_page("Loom", "2026-06-30T00:00:00+00:00", {**DATA, "timeline": [], "milestones": []})
