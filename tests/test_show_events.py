"""Events of a plan in every format that shows one."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from core.change import EVENT, Change, Outcome, Plan, event_text
from jobs import show
from jobs.report import render

NOW = datetime(2026, 6, 30, tzinfo=UTC)
VALUES = {
    "event": "close_convert_lead", "id": "u-1", "occurred_at": "2026-06-29T10:00:00Z", "value": "1200.5", "currency": "EUR",
    "lead_source": "ads",
}  # fmt: skip
TOLD = Change("e1", "ga4", "collect", "11.22", "close_convert_lead", EVENT, None, event_text(VALUES), "M80 of dea_1", EVENT, "", "dea_1")
FIELD = Change("c1", "hubspot", "contacts", "7", "tundish_stage", "text", None, "M50", "stage of per_1", "derived", "", "per_1")
PLAN = Plan("abc123", NOW, NOW + timedelta(hours=72), NOW, (FIELD, TOLD))
WORDS = "2026-06-29 10:00 UTC, 1200.5 EUR, lead_source=ads"


def reported(format_: str) -> str:
    return render({"as_of": NOW.isoformat(), "organisation": "x", "plan": PLAN.to_json()}, format_, "plan")


def test_a_plan_says_when_how_much_and_for_which_visitor() -> None:
    text = show.plan_text(PLAN)
    line = next(line for line in text.splitlines() if "  ga4/collect  " in line)
    assert [part.strip() for part in line.split("  ") if part.strip()] == [
        "e1", "ga4/collect", "11.22", "close_convert_lead", "event", "→", WORDS, "M80 of dea_1",
    ]  # fmt: skip
    assert "2 changes on 2 records, 1 of them events" in text


@pytest.mark.parametrize(("format_", "words"), [("md", WORDS.replace("_", "\\_")), ("html", WORDS)])
def test_reports_show_it_in_the_same_words(format_: str, words: str) -> None:
    assert words in reported(format_)


def test_csv_has_the_words_and_says_that_it_is_an_event() -> None:
    field, told = csv.DictReader(io.StringIO(reported("csv")))
    assert (told["type"], told["after"], told["before"]) == ("event", WORDS, "")
    assert (field["type"], field["after"]) == ("text", "M50")


def test_json_has_the_values_as_an_object_and_the_plan_can_be_read_back() -> None:
    field, told = json.loads(reported("json"))["plan"]["changes"]
    assert told["told"] == VALUES
    assert "told" not in field
    assert Plan.from_json(PLAN.to_json()) == PLAN


def test_an_erased_event_is_still_a_line() -> None:
    erased = Change(**{**vars(TOLD), "after": None})
    assert "erased" in show.plan_text(Plan("abc123", NOW, NOW, NOW, (erased,)))


def test_outcomes_that_only_events_have_are_explained() -> None:
    text = show.outcomes_text([Outcome("e1", "uncertain", "no reply came"), Outcome("e2", "late", "older"), Outcome("e3", "kept")])
    assert "sent, but no reply came; never sent again" in text
    assert "too old for the vendor by now; plan again" in text
    assert "uncertain e1: no reply came" in text
