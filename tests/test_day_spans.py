"""Spans of days that touch or overlap are one."""

from __future__ import annotations

from datetime import date

from core.day_spans import joined, span


def test_windows_that_follow_each_other_are_one_span() -> None:
    windows = [span("2026-06-01/2026-06-30"), span("2026-05-01/2026-05-31"), span("2026-07-01/2026-07-02")]
    assert joined(windows) == [(date(2026, 5, 1), date(2026, 7, 2))]


def test_days_between_that_nobody_read_stay_out() -> None:
    assert joined([span("2026-06-03/2026-06-05"), span("2026-06-01/2026-06-01")]) == [
        (date(2026, 6, 1), date(2026, 6, 1)),
        (date(2026, 6, 3), date(2026, 6, 5)),
    ]


def test_a_span_within_another_adds_nothing() -> None:
    assert joined([span("2026-06-01/2026-06-30"), span("2026-06-10/2026-06-12")]) == [(date(2026, 6, 1), date(2026, 6, 30))]
    assert joined([]) == []
