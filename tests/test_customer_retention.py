"""Retention against reference answers (R18) and literals: contracts, renewals, gaps, and deals that say no end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from test_measure import Measured
from unified_rows import moment, row

from core.measure.retention import moved
from core.statistics.tail import fitted

NOW = moment("2026-06-30")
# R18: survivors in per cent, year by year. Source: Fader and Hardie (2007), table 1.
HIGH_END = (100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1)
REGULAR = (100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1)


def won(company: str, name: str, day: str, end: str | None = None, amount: Any = 1200, **more: Any) -> dict[str, Any]:
    return row("deal", "hubspot", name, company_id=company, close_date=day, end_date=end, amount=amount,
               **{"outcome": "won", "stage": "M80", "currency": "EUR", "created_at": f"{day}T00:00", **more})  # fmt: skip


def measured(*deals: dict[str, Any], **thresholds: Any) -> Measured:
    names = sorted({d["company_id"] for d in deals if d.get("company_id")})
    companies = [row("company", "hubspot", name, name=name, domain=f"{name.lower()}.example") for name in names]
    return Measured(NOW, {"thresholds": thresholds}, ("retention",), deal=list(deals), company=companies)


# -- R18 -----------------------------------------------------------------------------------------------------------------
def test_r18_net_and_gross_revenue_retention():
    """ChurnZero: 27,000 at the start, 5,000 churned, 35,000 after expansion."""
    change = moved(np.array([5000.0, 10_000, 12_000, 0]), np.array([0.0, 14_000, 16_000, 900]))  # who is new counts nowhere
    assert (change.start, change.churn, change.expansion, change.contraction, change.end) == (27_000, 5000, 8000, 0, 30_000)
    assert change.retained("NRR") / change.start == pytest.approx(1.111, abs=5e-4)
    assert change.retained("GRR") / change.start == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize(("seen", "alpha", "beta", "twelve"), [(HIGH_END, 0.668, 3.806, 0.378), (REGULAR, 0.704, 1.182, 0.170)])
def test_r18_the_tail_of_fader_and_hardie(seen, alpha, beta, twelve):
    model = fitted(list(pairwise(seen)))
    assert model is not None
    assert (model.alpha, model.beta) == pytest.approx((alpha, beta), abs=5e-4)
    assert model.left(12) == pytest.approx(twelve, abs=5e-4)
    assert model.rate(3) == pytest.approx((beta + 2) / (alpha + beta + 2), abs=5e-4)


@pytest.mark.parametrize("seen", [[(100, 90)], [(100, 100), (100, 100)], [(100, 0), (0, 0)], [(100, 99), (99, 90), (90, 60)]])
def test_no_tail_is_drawn_where_the_model_has_none(seen):
    assert fitted(seen) is None


# -- contracts -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def contracts() -> Measured:
    """Four customers of January 2025: A renews for more, B renews for less, C leaves after a year, D buys more and stays."""
    return measured(
        won("A", "a1", "2025-01-10", "2026-01-09", 1000),
        won("A", "a2", "2026-01-05", "2027-01-09", 2000, deal_type="Renewal"),
        won("B", "b1", "2025-01-12", "2026-01-11", 1000),
        won("B", "b2", "2026-01-12", "2027-01-11", 400, deal_type="renewal"),
        won("C", "c1", "2025-01-15", "2026-01-14", 500),
        won("D", "d1", "2025-01-20", "2027-01-19", 2000),
        won("D", "d2", "2025-06-01", "2026-05-31", 300),
        won("Z", "z1", "2026-03-01", "2027-02-28", 9000),
        row("deal", "hubspot", "open", outcome="open", stage="M50", company_id="C", amount=1, currency="EUR", close_date="2026-08-01"),
    )


def test_a_cohort_counts_who_is_still_a_customer(contracts):
    at = {m: contracts.one("retention", cohort="2025-01", month=m, mode="classic") for m in (6, 12, 15)}
    assert {m: (r["numerator"], r["denominator"]) for m, r in at.items()} == {6: (4, 4), 12: (3, 4), 15: (3, 4)}
    assert contracts.behind("retention", cohort="2025-01", month=15, mode="classic") == {"a1", "a2", "b1", "b2", "d1", "d2"}
    assert contracts.all("retention", cohort="2025-01", month=18) == []  # nobody was watched so long


def test_returned_is_who_bought_in_that_month(contracts):
    assert contracts.one("retention", cohort="2025-01", month=5, mode="returned")["numerator"] == 1  # D
    assert contracts.one("retention", cohort="2025-01", month=12, mode="returned")["numerator"] == 2


def test_customers_of_other_months_wait_until_they_are_watched(contracts):
    whole = contracts.one("retention", cohort="all", month=6, mode="classic")
    assert (whole["denominator"], whole["excluded"]) == (4, {"not watched long enough": 1})


def test_revenue_follows_the_customers_of_the_cohort_only(contracts):
    """A year's value: A 1000 → about 1980 (two thousand over 370 days), B 1000 → 400, C 500 → 0, D 1000 → 1000 (its extra has ended)."""
    got = {k: contracts.one("revenue_retention", cohort="all", month=15, kind=k) for k in ("GRR", "NRR")}
    yearly = 2000 * 365.25 / 370
    start = (1000 + 1000 + 500) * 365.25 / 365 + 2000 * 365.25 / 730
    kept = 1000 * 365.25 / 365 + 400 * 365.25 / 365 + 2000 * 365.25 / 730 + 300 * 365.25 / 365
    assert got["NRR"]["denominator"] == pytest.approx(start, abs=0.05)
    assert got["NRR"]["value"] == pytest.approx((kept - 1000 * 365.25 / 365 + yearly) / start, abs=1e-4)
    assert got["GRR"]["value"] == pytest.approx((kept - 300 * 365.25 / 365) / start, abs=1e-4)
    assert got["GRR"]["n"] == 4


def test_the_year_to_now_moves_from_start_to_end(contracts):
    parts = {r["dimensions"]["part"]: r["value"] for r in contracts.all("revenue_moves")}
    assert parts["start"] + parts["expansion"] + parts["contraction"] + parts["churn"] == pytest.approx(parts["end"], abs=0.05)
    assert parts["churn"] == pytest.approx(-500 * 365.25 / 365, abs=0.01)
    nrr = contracts.one("revenue_retention_year", year_to="now", kind="NRR")
    assert nrr["value"] == pytest.approx(parts["end"] / parts["start"], abs=1e-6)
    assert "z1" not in contracts.behind("revenue_retention_year", year_to="now", kind="NRR")  # new in the year


@pytest.mark.parametrize(("kind", "nrr"), [("renewal", 1.0), ("newbusiness", 2.0)])
def test_a_renewal_before_the_end_takes_the_place_of_what_it_renews_and_other_deals_add_to_it(kind, nrr):
    found = measured(
        won("A", "a1", "2025-01-01", "2025-12-31", 1000), won("A", "a2", "2025-11-01", "2026-10-31", 1000, deal_type=kind)
    )  # fmt: skip
    assert found.one("revenue_retention", cohort="all", month=11, kind="NRR")["value"] == pytest.approx(nrr, abs=1e-4)
    assert found.one("revenue_retention", cohort="all", month=15, kind="NRR")["value"] == pytest.approx(1.0, abs=1e-4)


def test_a_gap_within_the_grace_is_no_churn():
    late = (won("A", "a1", "2024-01-10", "2025-01-09"), won("A", "a2", "2025-02-01", "2026-12-31", deal_type="renewal"))
    strict, mild = measured(*late), measured(*late, churn_grace_days=30)
    assert strict.one("customers_kept", month=24)["value"] == 0
    assert mild.one("customers_kept", month=24)["value"] == 1
    assert strict.one("retention", cohort="all", month=24, mode="classic")["value"] == 1  # he is back


def test_what_waits_for_its_renewal_is_worth_what_it_was():
    """In the five days between the two contracts."""
    late = (won("A", "a1", "2024-01-10", "2025-01-04"), won("A", "a2", "2025-01-11", "2026-12-31", deal_type="renewal"))
    worth = [
        measured(*late, churn_grace_days=days).one("revenue_retention", cohort="all", month=12, kind="NRR")["value"] for days in (0, 30)
    ]
    assert worth == [0.0, 1.0]


def test_curves_count_those_still_here_as_far_as_they_were_watched():
    """Of three one left after a year; the third is known for seven months only."""
    found = measured(
        won("A", "a1", "2024-01-01", "2024-12-30"), won("B", "b1", "2024-01-01", "2026-12-31"), won("C", "c1", "2025-12-01", "2026-11-30")
    )
    assert found.one("customers_kept", month=24)["value"] == pytest.approx(0.5)
    assert found.one("customers_kept", month=6)["value"] == 1
    assert found.one("customers")["numerator"] == 2
    assert found.behind("customers") == {"b1", "c1"}


# -- what is not known -------------------------------------------------------------------------------------------------------
def test_deals_without_an_end_are_a_proxy_and_say_so():
    found = measured(won("A", "a1", "2024-03-01"), won("A", "a2", "2025-02-20"), won("B", "b1", "2024-03-01", "2026-12-31"))
    said = "2 of 3 won deals say no end; they count for the usual term (renewal_days)"
    assert found.one("retention", cohort="all", month=6, mode="classic")["excluded"]["proxy"] == said
    again = found.one("bought_again", days=365)
    assert again["definition"].startswith("proxy")
    assert (again["numerator"], again["denominator"]) == (1, 2)
    assert found.behind("bought_again", days=365) == {"a1", "a2"}
    assert found.one("customers")["numerator"] == 1  # A's second term is over


def test_who_begins_with_a_renewal_was_a_customer_before():
    found = measured(won("A", "a1", "2025-01-10", "2026-12-31", deal_type="Existing Customer - Upgrade"), won("B", "b1", "2025-01-10"))
    whole = found.one("retention", cohort="all", month=6, mode="classic")
    assert whole["denominator"] == 1
    assert whole["excluded"]["customers before their first known deal"] == 1
    assert found.one("customers")["numerator"] == 1  # but a customer he is


def test_amounts_in_other_currencies_are_left_out_and_told():
    found = measured(
        won("A", "a1", "2025-01-10", "2027-01-09"), won("B", "b1", "2025-01-10", "2027-01-09"),
        won("C", "c1", "2025-01-10", "2027-01-09", currency="USD"),
    )  # fmt: skip
    ratio = found.one("revenue_retention", cohort="all", month=12, kind="NRR")
    assert (ratio["n"], ratio["value"]) == (2, 1.0)
    assert ratio["excluded"] == {"customers without an amount, or with one in another currency": 1}
    assert found.one("retention", cohort="all", month=12, mode="classic")["denominator"] == 3


def test_deals_without_a_company_are_customers_of_their_own():
    found = measured(row("deal", "hubspot", "x", outcome="won", stage="M80", close_date="2026-05-01", amount=5, currency="EUR"))
    assert found.one("customers")["denominator"] == 1


def test_nothing_won_is_no_retention():
    found = measured(row("deal", "hubspot", "x", outcome="open", stage="M50", close_date="2026-08-01", amount=5, currency="EUR"))
    assert found.one("customers")["excluded"] == {"not computable": "no deal was won"}
    assert len(found.rows) == 1


# -- the tail ----------------------------------------------------------------------------------------------------------------
def test_the_tail_follows_what_was_seen_term_by_term():
    """Of ten customers five stay for a second year, and four of them for a third."""
    deals = [won(f"C{i}", f"x{i}", "2023-01-10", "2024-01-09") for i in range(10)]
    deals += [won(f"C{i}", f"y{i}", "2024-01-10", "2025-01-08", deal_type="renewal") for i in range(5)]
    deals += [won(f"C{i}", f"z{i}", "2025-01-09", "2026-12-31", deal_type="renewal") for i in range(4)]
    found = measured(*deals)
    seen = {r["dimensions"]["terms"]: r["value"] for r in found.all("customers_left", basis="seen")}
    assert seen == pytest.approx({1: 0.5, 2: 0.4, 3: 0.4})
    model = [found.one("customers_left", basis="model", terms=k)["value"] for k in (1, 2, 12)]
    assert model[0] == pytest.approx(0.5, abs=0.05)
    assert model[0] > model[1] > model[2] > 0.1
