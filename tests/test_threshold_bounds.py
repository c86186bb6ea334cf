"""What the funnel's thresholds may not be: each answered with the place and what to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core.config import SHIPPED
from core.errors import UserError
from core.funnel import load_funnel
from core.threshold_bounds import mistakes
from core.thresholds import DEFAULTS, threshold


def wrong(**said: Any) -> list[tuple[tuple[str | int, ...], str]]:
    assert said.keys() <= DEFAULTS.keys()
    return [(where, what) for where, what, _ in mistakes(lambda name: said.get(name, DEFAULTS[name]))]


def test_the_defaults_and_what_may_well_be_said_are_fine() -> None:
    assert wrong() == []
    assert wrong(funnel_by=(), lead_events=(), follow_up_off=(), quiet_minutes=0, lead_count_share=2.0, target="250000") == []
    assert wrong(funnel_levels=("M80", "M20"), business_hours=(0, 24), source_groups={"Web": ("web", "Site", "site")}) == []


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("window_days", -5, "expected more than 0, not -5"),
        ("window_days", 1.5, "expected a whole number, not 1.5"),
        ("forecast_days", 99_999_999, "expected at most 36525, not 99999999"),
        ("episode_days", -1, "expected 0 or more, not -1"),
        ("experiment_power", 1, "expected a share below 1, not 1"),
        ("bulk_stamp_share", 1.2, "expected a share of at most 1, not 1.2"),
        ("target", "250,000", "expected a number, such as 250000, not '250,000'"),
        ("target", 0, "expected more than 0, not 0"),
        ("currency", "eur", "expected a currency's three letters, such as EUR, not 'eur'"),
        ("forecast_period", "week", "unknown period 'week' (known: month, quarter)"),
        ("within_days", (), "expected at least one span, such as [30, 90]"),
        ("funnel_steps", (), "expected two milestones or more, such as [M20, M50, M80]"),
        ("funnel_steps", ("M80", "M20"), "the milestones must stand in the order of the ladder, each once"),
        ("funnel_levels", ("M20",), "expected two milestones or more, such as [M20, M50, M80]"),
        ("business_days", (0,), "expected days of the week from 1 (Monday) to 7, at least one"),
        ("business_hours", (17, 9), "expected two hours of a day, the first before the last, such as [9, 17]"),
        ("score_bands", (25, 50, 75), "expected three scores from 100 down to 0, for A, B and C, such as [75, 50, 25]"),
        ("follow_up_lost", ("timing", " "), "an empty word would fit everything; leave it out"),
    ],
)
def test_a_threshold_that_would_make_nonsense_of_a_report_is_refused(name: str, value: Any, what: str) -> None:
    assert wrong(**{name: value}) == [((name,), what)]


def test_of_a_list_or_a_block_the_wrong_entry_is_named() -> None:
    assert wrong(within_days=(30, -90)) == [(("within_days", 1), "expected days from 1 to 36525, not -90")]
    assert wrong(funnel_by=("source", "color"))[0][0] == ("funnel_by", 1)
    assert wrong(follow_up={"quiet_days": -7}) == [(("follow_up", "quiet_days"), "expected 0 or more, at most 36525, not -7")]
    overlap = {"web": ("Site", "SEO"), "ads": ("AdWords", "seo")}
    assert wrong(source_groups=overlap) == [(("source_groups", "ads", 1), "'seo' stands in 'web' already; a word is of one group")]


def test_the_file_and_the_line_are_named(tmp_path: Path) -> None:
    path = tmp_path / "funnel.yaml"
    path.write_text((SHIPPED / "funnel.yaml").read_text().replace("window_days: 365 #", "window_days: -365 #"))
    with pytest.raises(UserError, match=r"funnel\.yaml:\d+:16: expected more than 0, not -365$"):
        load_funnel(path)


def test_lines_of_the_shipped_funnel_can_be_uncommented_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "funnel.yaml"
    path.write_text(re.sub(r"(?m)^  # (currency|target): ", r"  \1: ", (SHIPPED / "funnel.yaml").read_text()))
    funnel = load_funnel(path)
    assert (threshold(funnel, "currency"), float(threshold(funnel, "target"))) == ("EUR", 250_000)
