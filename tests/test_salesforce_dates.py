"""SOQL's date literals, against the calendar."""

from __future__ import annotations

from datetime import date

import pytest

from connectors.sandbox.salesforce_dates import days_of


@pytest.mark.parametrize(
    ("word", "first", "end"),
    [
        ("THIS_WEEK", "2026-08-09", "2026-08-16"),
        ("LAST_MONTH", "2026-07-01", "2026-08-01"),
        ("NEXT_MONTH", "2026-09-01", "2026-10-01"),
        ("THIS_QUARTER", "2026-07-01", "2026-10-01"),
        ("LAST_N_QUARTERS:3", "2025-10-01", "2026-07-01"),
        ("NEXT_N_YEARS:2", "2027-01-01", "2029-01-01"),
        ("LAST_90_DAYS", "2026-05-15", "2026-08-14"),
    ],
)
def test_date_literals_stand_for_whole_units_of_the_calendar(word: str, first: str, end: str) -> None:
    assert days_of(word, date(2026, 8, 13)) == (date.fromisoformat(first), date.fromisoformat(end))  # a Thursday


@pytest.mark.parametrize("word", ["LAST_N_MONTHS", "LAST_MONTHS", "LAST_N_MONTH:1", "THIS_N_WEEKS:1", "SOMEDAY"])
def test_words_that_are_no_date_literals(word: str) -> None:
    assert days_of(word, date(2026, 8, 13)) is None
