"""Amounts in other currencies: refused without a rate, converted at the rate of the deal's day with one, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_measure import LOST, NOW, WON, Measured, deal
from test_waterfall import history

from core.errors import UserError
from core.funnel import load_funnel
from core.measure.rates import parsed
from jobs.show import metrics_text

RATES = {"USD": ["2026-04-01 0.5", "2026-06-01 0.8"]}
DEALS = [
    deal("euro", amount=100),
    deal("open", amount=10, currency="USD"),  # 0.8 on 30 June
    deal("pound", amount=7, currency="GBP"),
    deal("won", amount=200, currency="USD", created_at="2026-04-10", close_date="2026-05-10", **WON),  # 0.5 on 10 May
    deal("lost", amount=0, currency="USD", created_at="2026-04-10", close_date="2026-05-12", **LOST),  # 400 when it was last open
    deal("early", amount=1000, currency="USD", created_at="2026-01-10", close_date="2026-02-10", **WON),  # before the first rate
]
CHANGES = history(
    "lost", stage=[("2026-04-10", "M50"), ("2026-05-12T12:00", "M85")], amount=[("2026-04-10", "400"), ("2026-05-12T12:00", "0")]
)


def measured(**thresholds: Any) -> Measured:
    return Measured(NOW, {"thresholds": {"currency": "EUR", **thresholds}}, ("pipeline", "winrate"), deal=DEALS, stage_change=CHANGES)


@pytest.fixture(scope="module")
def converted() -> Measured:
    return measured(exchange_rates=RATES)


def test_open_deals_go_by_the_rate_of_the_day_and_what_has_none_is_refused(converted: Measured) -> None:
    whole = converted.one("pipeline_value", stage="all")
    assert (whole["value"], whole["n"]) == (pytest.approx(108), 2)
    assert whole["excluded"] == {"in GBP": 7.0, "converted": "3 deals from USD at dated rates"}
    assert converted.behind("pipeline_value", stage="Qualifying", currency="EUR") == {"euro", "open"}


def test_closed_deals_go_by_the_rate_of_their_close_date_and_so_does_their_history(converted: Measured) -> None:
    rate = converted.one("win_rate", by="value", period="2026-Q2")
    assert (rate["numerator"], rate["denominator"]) == pytest.approx((100, 100 + 200))
    assert converted.one("won_value", period="2026-Q2")["value"] == pytest.approx(100)
    assert converted.one("won_value", period="2026-Q1")["value"] == 0  # no rate on that day


def test_counts_say_nothing_of_rates_and_tables_of_money_do(converted: Measured) -> None:
    assert "converted" not in converted.one("win_rate", by="count", period="2026-Q2")["excluded"]
    assert "Converted: 3 deals from USD at dated rates." in metrics_text([{**r} for r in converted.rows], "pipeline")


def test_without_rates_other_currencies_are_told_and_left_out() -> None:
    whole = measured().one("pipeline_value", stage="all")
    assert (whole["value"], whole["excluded"]) == (100, {"in USD": 10.0, "in GBP": 7.0})


def test_a_rate_holds_until_the_next_in_whatever_order_they_stand() -> None:
    days = [(str(first), str(after), rate) for _, first, after, rate in parsed({"USD": ["2026-06-01 0.8", "2026-04-01 0.5"]})]
    assert days == [("2026-04-01", "2026-06-01", 0.5), ("2026-06-01", "9999-12-31", 0.8)]


def test_rates_nobody_can_read_are_mistakes_with_their_place(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[1] / "mappings" / "funnel.yaml").read_text()
    path = tmp_path / "funnel.yaml"
    path.write_text(shipped.replace("exchange_rates: {}", "exchange_rates: {USD: [2026-01-01 0, today 0.9]}"))
    with pytest.raises(UserError) as caught:
        load_funnel(path)
    told = str(caught.value)
    assert "rates need `currency`, to which they convert" in told
    assert "'2026-01-01 0' is no day and rate" in told
    assert "'today 0.9' is no day and rate" in told
