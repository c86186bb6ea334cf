"""How sound a number's ground is: told with the number, and only where there is something to tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from test_measure import Measured
from unified_rows import NOW, row, table

from core.measure.marks import COUNTED, GROUND, marks
from core.measure.metric import Scope
from jobs.show_quality import marks_texts

OPEN: dict[str, Any] = {"stage": "M50", "raw_stage": "x", "outcome": "open", "pipeline_stage": "Qualifying"}
GIVEN: dict[str, Any] = {
    "person": [row("person", "hubspot", "1", stage="M20", raw_stage="lead"), row("person", "hubspot", "2", raw_stage="odd"),
               row("person", "hubspot", "3", stage="M30", raw_stage="mql"), row("person", "hubspot", "4", stage="M20", raw_stage="lead")],
    "deal": [row("deal", "hubspot", "a", amount=100, currency="EUR", **OPEN),
             row("deal", "hubspot", "b", amount=50, currency="EUR", **OPEN),
             row("deal", "hubspot", "c", amount=70, currency="USD", **OPEN)],
}  # fmt: skip


def marked(family: str, **given: Any) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for r in Measured(NOW, None, (family,), **{**GIVEN, **given}).rows:
        found.setdefault(r["name"], []).append(json.loads(r["marks"]))
    return found


def test_every_number_of_persons_says_how_many_stages_nobody_mapped() -> None:
    said = {"unmapped persons": "1 of 4 persons (25.0 %) have a stage nobody mapped"}
    assert all(one == said for some in marked("funnel").values() for one in some)


def test_amounts_say_what_currencies_were_left_out_and_counts_do_not() -> None:
    found = marked("pipeline")
    said = {"mixed currency": "in EUR only; deals left out, never converted: 1 in USD"}
    assert said in found["pipeline_value"]
    assert found["open_deals"] == [{}]


def test_sound_ground_has_no_mark() -> None:
    whole = [r for r in GIVEN["person"] if r["vendor_id"] != "2"]
    assert all(one == {} for some in marked("funnel", person=whole).values() for one in some)


def tally(name: str, measure: str, value: float, seen: str = "2026-06-01", **attributes: Any) -> dict[str, Any]:
    text = json.dumps(attributes, separators=(",", ":"))
    return row("tally", "ga4", name, measure=measure, value=value, day="2026-05-01", observed_at=f"{seen}T00:00", attributes=text)


def test_numbers_that_stand_on_a_vendors_counts_carry_its_marks() -> None:
    now = [tally("1", "cost", 12, sampled=True), tally("2", "cost", 7), tally("3", "sessions", 9, thresholded="true")]
    before = [tally("1", "cost", 10, "2026-05-02"), tally("2", "cost", 7, "2026-05-02"), tally("3", "sessions", 1, "2026-05-02")]
    facts = {"tallies": table("tally", now), "versions.tally": table("tally", [*before, *now])}
    scope = Scope(facts, {}, NOW)
    assert marks(replace(scope), "none", "campaign_cost", "EUR") == {
        "sampled": "estimated from a sample: ga4 1 of 2 values",
        "restated": "changed by the vendor since first read: ga4 1 values of 1 days",
    }
    assert marks(scope, "none", "open_deals", "deals") == {}
    assert set(COUNTED.values()) == {"^cost$", "^experiment_"}


def test_every_family_says_what_it_stands_on() -> None:
    from core.measure import FAMILIES

    assert set(GROUND) == set(FAMILIES)


def test_a_report_tells_each_mark_once_with_the_families_it_is_about() -> None:
    rows = [{"family": f, "marks": json.dumps({"unmapped deals": "3 of 9"})} for f in ("pipeline", "pipeline", "forecast")]
    [text] = marks_texts([*rows, {"family": "funnel", "marks": "{}"}, {"family": "funnel"}])
    line = next(line for line in text.splitlines() if "unmapped deals" in line)
    assert line.split() == ["unmapped", "deals", "3", "of", "9", "3", "pipeline,", "forecast"]
    assert marks_texts([{"family": "funnel"}]) == []
