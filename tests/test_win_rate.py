"""Won ÷ closed: by amounts that were not set to nothing at the close, of deals created together, and with losses that come late."""

from __future__ import annotations

import pytest
from test_measure import LOST, NOW, WON, Measured, deal
from test_waterfall import history

LATE = "2026-06-29"
DEALS = [
    deal("w", amount=900, created_at="2026-01-10", close_date="2026-05-10", **WON),  # 1000 when it was last open
    deal("zero", amount=0, created_at="2026-01-10", close_date="2026-05-11", **LOST),  # 400
    deal("blank", amount=None, created_at="2026-01-10", close_date="2026-05-12", **LOST),  # 600, then 700 while in its last stage
    deal("plain", amount=50, created_at="2026-04-10", close_date="2026-05-12", **LOST),  # no history of amounts
    deal("gone", amount=0, created_at="2026-04-10", close_date="2026-05-12", **LOST),  # nothing says it
    deal("dollar", amount=70, currency="USD", created_at="2026-04-10", close_date="2026-05-12", **LOST),
    deal("twice", amount=5000, created_at="2026-04-10", close_date="2026-05-12", lost_reason=" Duplicate", **LOST),
    deal("open", amount=10, created_at="2026-04-20"),
]
CHANGES = [
    *history("w", stage=[("2026-01-10", "M50"), ("2026-03-01", "M70"), ("2026-05-10", "M80")],
             amount=[("2026-01-10", "800"), ("2026-03-01", "1000"), ("2026-05-10", "900")]),
    *history("zero", stage=[("2026-01-10", "M50"), ("2026-03-01", "M60"), ("2026-05-11T12:00", "M85")],
             amount=[("2026-01-10", "100"), ("2026-02-01", "400"), ("2026-05-11T12:00", "0")]),
    *history("blank", stage=[("2026-01-10", "M50"), ("2026-03-01", "M60"), (LATE, "M85")],
             amount=[("2026-01-10", "600"), ("2026-04-01", "700")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Measured:
    return Measured(NOW, {}, ("winrate",), deal=DEALS, stage_change=CHANGES)


def test_amounts_are_those_at_the_entry_of_the_last_open_stage(found: Measured) -> None:
    rate = found.one("win_rate", by="value", period="2026-Q2")
    assert (rate["numerator"], rate["denominator"], rate["n"]) == (1000, 1000 + 400 + 600 + 50, 4)
    assert rate["value"] == pytest.approx(1000 / 2050)
    assert found.one("won_value", period="2026-Q2")["value"] == 900  # what was signed
    assert found.behind("won_value", period="2026-Q2") == {"w"}
    assert rate["excluded"]["no amount when it was last open, and none today"] == 1
    assert rate["excluded"]["in other currencies"] == 1
    assert found.one("win_rate", by="count", period="2026-Q2")["denominator"] == 6  # a duplicate is no loss


def test_a_rate_by_value_needs_amounts_of_most_lost_deals() -> None:
    deals = [deal("w", amount=10, close_date="2026-05-10", **WON), deal("a", amount=10, close_date="2026-05-10", **LOST),
             deal("b", amount=0, close_date="2026-05-10", **LOST)]  # fmt: skip
    rate = Measured(NOW, {}, ("winrate",), deal=deals).one("win_rate", by="value", period="2026-Q2")
    assert (rate["value"], rate["excluded"]["not computable"]) == (None, "only 1 of 2 lost deals have an amount")


def test_losses_that_are_entered_late_are_an_alarm_of_the_newest_periods(found: Measured) -> None:
    assert found.one("close_lag", outcome="lost", quantile="p90")["value"] == 48  # 0 and 48 days
    late = found.one("closed_late", outcome="lost")
    assert (late["numerator"], late["denominator"]) == (1, 2)
    assert found.behind("closed_late", outcome="lost") == {"blank"}
    assert found.one("closed_late", outcome="won")["numerator"] == 0
    alarm = {"losses come late": "(nine of ten within 48 days): rather too high"}
    newest, older = (found.one("win_rate", by="count", period=name) for name in ("2026-Q2", "2025-Q4"))
    assert (newest["excluded"], older["excluded"]) == (alarm, {})


def test_what_became_of_deals_created_together_without_those_that_were_none(found: Measured) -> None:
    """Of the second quarter: plain, gone and dollar lost on day 32, one open since day 71; no duplicate."""
    bounds = {r["dimensions"]["bound"]: r for r in found.all("cohort_win_rate", created="2026-Q2")}
    assert list(bounds) == ["low", "expected", "high"]
    assert (bounds["low"]["numerator"], bounds["high"]["numerator"], bounds["high"]["denominator"]) == (0, 1, 4)
    first = {r["dimensions"]["bound"]: r["value"] for r in found.all("cohort_win_rate", created="2026-Q1")}
    assert first == pytest.approx({"low": 1 / 3, "expected": 1 / 3, "high": 1 / 3})


def test_the_expected_rate_lies_between_its_bounds() -> None:
    """Won on day 10; one watched for 5 days only: of two at risk one is won, and the third counts as they do."""
    deals = [
        deal("w", created_at="2026-06-01", close_date="2026-06-11", **WON),
        deal("l", created_at="2026-06-01", close_date="2026-06-21", **LOST),
        deal("new", created_at="2026-06-25"),
    ]
    found = Measured(NOW, {}, ("winrate",), deal=deals)
    values = {r["dimensions"]["bound"]: r["value"] for r in found.all("cohort_win_rate", created="2026-Q2")}
    assert values == pytest.approx({"low": 1 / 3, "expected": 1 / 2, "high": 2 / 3})
    assert found.behind("cohort_win_rate", created="2026-Q2", bound="high") == {"w", "new"}


def test_stage_rates_leave_duplicates_out() -> None:
    deals = [deal("w", created_at="2026-03-01", close_date="2026-05-10", **WON),
             deal("d", created_at="2026-03-01", close_date="2026-05-10", lost_reason="Test", **LOST)]  # fmt: skip
    changes = [*history("w", stage=[("2026-03-01", "M50"), ("2026-05-10", "M80")]),
               *history("d", stage=[("2026-03-01", "M50"), ("2026-05-10", "M85")])]  # fmt: skip
    rate = Measured(NOW, {}, ("winrate",), deal=deals, stage_change=changes).one("stage_win_rate", stage="M50")
    assert (rate["numerator"], rate["denominator"]) == (1, 1)


def test_deals_that_ended_nobody_says_when_are_in_no_period_and_told() -> None:
    dated = [deal("w", amount=10, created_at="2026-01-10", close_date="2026-05-10", **WON)]
    blank = [deal(id, amount=10, created_at="2026-01-10", close_date=None, **end) for id, end in (("x", WON), ("y", WON), ("z", LOST))]
    twice = deal("t", close_date=None, lost_reason="duplicate", **LOST)
    found = Measured(NOW, {}, ("winrate", "pipeline"), deal=[*dated, *blank, twice])
    rate, won = found.one("win_rate", by="count", period="2026-Q2"), found.one("won_value", period="2026-Q2")
    assert (rate["value"], rate["excluded"]) == (1, {"no close date": 3})
    assert (won["value"], won["excluded"]) == (10, {"won without a close date": 2})
    assert found.one("velocity")["excluded"] == {"no close date": 3}


def test_what_was_won_in_another_currency_is_told_beside_what_was_won() -> None:
    ends = [
        deal(id, amount=10, currency=c, created_at="2026-01-10", close_date="2026-05-10", **WON) for id, c in (("e", "EUR"), ("u", "USD"))
    ]
    won = Measured(NOW, {"thresholds": {"currency": "EUR"}}, ("winrate",), deal=ends).one("won_value", period="2026-Q2")
    assert (won["value"], won["n"], won["excluded"]) == (10, 2, {"deals in other currencies": 1})
