"""Who was disqualified and came back later is counted again, with first entries of his own; who came back soon is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from test_measure import WON, Measured, deal
from unified_rows import row

AS_OF = datetime(2026, 3, 10, tzinfo=UTC)
CODES = {"lead": "M20", "mql": "M30", "sql": "M40", "gone": "MX"}
LIFE = {
    "back": [("2025-01-05", "lead"), ("2025-01-20", "mql"), ("2025-02-01", "gone"), ("2025-09-01", "lead"), ("2025-09-11", "mql")],
    "soon": [("2025-01-05", "lead"), ("2025-02-01", "gone"), ("2025-03-01", "lead"), ("2025-03-05", "mql")],
    "gone": [("2025-01-05", "lead"), ("2025-02-01", "gone")],
    "stays": [("2025-01-05", "lead"), ("2025-01-15", "mql")],
}


@pytest.fixture(scope="module")
def lives() -> Measured:
    changes = [
        row("stage_change", "salesforce", f"{name}{day}", record_kind="person", record_id=name, field="lifecycle", value=step,
            stage=CODES[step], entered_at=day)
        for name, steps in LIFE.items() for day, step in steps
    ]  # fmt: skip
    people: list[dict[str, Any]] = [row("person", "salesforce", name, created_at="2025-01-05") for name in LIFE]
    sale = deal("d", created_at="2025-10-01", close_date="2025-11-01", **WON)
    on = [row("association", "salesforce", "a", from_kind="deal", from_id="d", to_kind="person", to_id="back")]
    return Measured(AS_OF, {"thresholds": {"within_days": [30]}}, ("funnel", "breakdown"), person=people, stage_change=changes,
                    deal=[sale], association=on)  # fmt: skip


def test_each_episode_is_of_the_cohort_it_began_in(lives: Measured) -> None:
    first = {code: lives.one("reach", cohort="2025-01", mode="implied", to=code)["numerator"] for code in ("M20", "M30", "M50", "M80")}
    again = {code: lives.one("reach", cohort="2025-09", mode="implied", to=code)["numerator"] for code in ("M20", "M30", "M50", "M80")}
    assert first == {"M20": 4, "M30": 3, "M50": 0, "M80": 0}  # what came of it later is the second's
    assert again == {"M20": 1, "M30": 1, "M50": 1, "M80": 1}
    assert lives.behind("reach", cohort="2025-09", mode="implied", to="M80") == {"back"}
    assert not lives.all("reach", cohort="2025-03")  # 28 days after he was gone: the same episode


def test_entries_of_a_month_are_those_of_each_episode(lives: Measured) -> None:
    assert {month: lives.one("entered", month=month, stage="M30")["value"] for month in ("2025-01", "2025-03", "2025-09")} == {
        "2025-01": 2, "2025-03": 1, "2025-09": 1,
    }  # fmt: skip
    assert lives.behind("entered", month="2025-09", stage="M30") == {"back"}


def test_waits_begin_with_the_episode(lives: Measured) -> None:
    """15, 59 and 10 days, and 10 in the second life; one never came."""
    median = lives.one("time_to_next", **{"from": "M20"}, to="M30", quantile="median")
    assert (median["value"], median["n"]) == (15, 5)


def test_hubspot_knows_one_record_however_often_the_person_came(lives: Measured) -> None:
    assert lives.one("hubspot_funnel", stages="any", to="created")["value"] == 4
    assert lives.one("hubspot_funnel", stages="any", to="M80")["numerator"] == 1
