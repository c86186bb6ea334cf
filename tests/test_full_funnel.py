"""From visitor to retained: one cohort, three units (users, persons, deals), and no silent sum of users."""

from __future__ import annotations

from typing import Any

import pytest
from test_measure import LOST, WON, Measured, deal
from unified_rows import NOW, row

from core.measure.full_funnel import multiplied

# As of 2026-06-30: the whole months are 2025-06 to 2026-05.
CODES = {"lead": "M20", "mql": "M30", "sal": "M35", "sql": "M40"}
PEOPLE = {  # person: (source, days on which he entered the levels)
    "a": ("Organic Search", {"lead": "2026-02-01", "mql": "2026-02-03", "sal": "2026-02-05", "sql": "2026-02-09"}),
    "b": ("SEO", {"lead": "2026-02-10", "mql": "2026-02-20"}),
    "c": ("Referral", {"lead": "2026-03-05"}),
    "d": ("Referral", {"lead": "2026-03-10", "mql": "2026-03-14", "sql": "2026-03-20"}),
    "e": (None, {"lead": "2026-06-10"}),  # the month is not over
    "f": (None, {"lead": "2025-05-31"}),  # before the first of the twelve
}
DEALS = [
    deal("w1", amount=1000, close_date="2026-03-01", created_at="2026-02-15", **WON),
    deal("w2", amount=500, close_date="2026-05-20", created_at="2026-04-01", **WON),
    deal("o1", amount=300, created_at="2026-04-02"),
    deal("l1", amount=50, currency="USD", close_date="2026-05-02", created_at="2026-04-02", **LOST),
    deal("x1", amount=9000, created_at="2026-04-02"),  # of somebody who is no lead of these months
]
ON = {"w1": ["a"], "w2": ["d"], "o1": ["a", "d"], "l1": ["d"], "x1": ["f"]}


def tally(resource: str, day: str, value: float, **more: Any) -> dict[str, Any]:
    dims, period = more.get("dimensions", "{}"), more.get("period", "month")
    measure = more.get("measure", "totalUsers")
    return row("tally", more.get("account", "ga4"), f"{resource} {day} {dims} {measure}", resource=resource, day=day, measure=measure,
               value=value, dimensions=dims, attributes=f'{{"period":"{period}","sampled":"false"}}')  # fmt: skip


def channel(name: str) -> str:
    return f'{{"firstUserDefaultChannelGroup":"{name}"}}'


TALLIES = [
    tally("visitors_monthly", "2026-02-01", 50),
    tally("visitors_monthly", "2026-02-01", 44, measure="activeUsers"),  # totalUsers comes first
    *(tally("visitors", f"2026-02-{day:02d}", 5, period="day") for day in range(1, 29)),  # in the month's own number already
    tally("visitors", "2026-03-01", 7, period="day"),
    tally("visitors", "2026-03-02", 13, period="day"),
    tally("visitors_weekly", "2026-03-02", 999, period="week"),  # a week is of two months
    tally("visitors_monthly", "2026-06-01", 999),  # not over
    tally("visitors_by_channel", "2026-02-01", 40, dimensions=channel("Organic Search")),
    tally("visitors_by_channel", "2026-02-01", 10, dimensions=channel("Referral")),
    tally("visitors_by_channel", "2026-03-01", 8, dimensions=channel("Referral")),
    tally("traffic", "2026-02-01", 70, dimensions='{"sessionDefaultChannelGroup":"Referral"}'),  # who comes by two channels is in both
]


def given() -> dict[str, list[dict[str, Any]]]:
    persons = [row("person", "hubspot", name, created_at="2025-01-01", source=source) for name, (source, _) in PEOPLE.items()]
    changes = [
        row("stage_change", "hubspot", f"{name}:{step}", record_kind="person", record_id=name, field="lifecycle", value=step,
            stage=CODES[step], entered_at=day)
        for name, (_, days) in PEOPLE.items()
        for step, day in days.items()
    ]  # fmt: skip
    deals = [{**d, "account": "hubspot", "vendor": "hubspot", "resource": "deals"} for d in DEALS]
    on = [
        row("association", "hubspot", f"{d}-{p}", from_kind="deal", from_id=d, to_kind="person", to_id=p)
        for d, people in ON.items()
        for p in people
    ]
    return {"person": persons, "stage_change": changes, "deal": deals, "association": on, "tally": TALLIES}


@pytest.fixture(scope="module")
def full() -> Measured:
    return Measured(NOW, {}, ("funnel",), **given())


def test_the_levels_of_the_cohort_and_their_rates(full: Measured) -> None:
    volumes = {r["dimensions"]["level"]: r["value"] for r in full.all("level_volume", cohort="2025-06 to 2026-05")}
    assert volumes == {
        "M00": 70, "M20": 4, "M30": 3, "M35": 2, "M40": 2, "M50": 2, "M50 deals": 4, "M80": 2, "M80 deals": 2, "M90": 1,
    }  # fmt: skip
    steps = {r["dimensions"]["level"]: r["value"] for r in full.all("level_step")}
    assert steps == pytest.approx(
        {"M20": 4 / 70, "M30": 3 / 4, "M35": 2 / 3, "M40": 1, "M50": 1, "M80": 1, "M80 deals": 2 / 4, "M90": 1 / 2}
    )
    product = 1.0
    for level in ("M30", "M35", "M40", "M50", "M80", "M90"):
        product *= steps[level]
    assert product == pytest.approx(full.one("level_overall", level="M90")["value"]) == pytest.approx(1 / 4)


def test_retained_is_who_is_a_customer_after_the_days_and_says_what_it_stands_on(full: Measured) -> None:
    retained = full.one("level_step", level="M90")
    assert retained["excluded"]["won less than 90 days ago"] == 1
    assert retained["excluded"]["proxy of retention"] == "(2 of 2 won deals say no end and count for renewal_days)"


def test_days_amounts_and_what_one_of_a_level_was_worth(full: Measured) -> None:
    assert full.one("level_days", level="M30")["value"] == 4  # 2, 10 and 4 days; the fourth was never seen to get there
    values = {r["dimensions"]["level"]: r["value"] for r in full.all("level_value")}
    assert values == {"M50 deals": 1800, "M80 deals": 1500, "M90": 1000}
    assert full.one("level_value", level="M50 deals")["excluded"] == {"in other currencies": 1}
    worth = {r["dimensions"]["level"]: r["value"] for r in full.all("level_worth")}
    assert worth == {"M20": 375, "M30": 500, "M35": 750, "M40": 750, "M50": 750}


def test_a_month_is_the_vendors_own_number_or_says_what_was_added_up(full: Measured) -> None:
    february, march = full.all("visitors")
    assert (february["value"], february["excluded"]) == (50, {"counted by": "ga4 visitors_monthly"})
    assert march["value"] == 20
    assert march["excluded"] == {"sum of 2 days": "(who came on several counts on each)", "counted by": "ga4 visitors"}


def test_visitors_and_leads_are_of_two_systems_and_of_the_same_months(full: Measured) -> None:
    first = full.one("level_step", level="M20")
    assert (first["numerator"], first["denominator"], first["low"]) == (4, 70, None)
    assert set(first["excluded"]) == {
        "cross-system", "sum of 2 months", "sum of 2 days", "counted by", "no visitors counted in 10 of the months"
    }  # fmt: skip
    by_month = {
        r["dimensions"]["month"]: (r["numerator"], r["denominator"]) for r in full.all("visitor_to_lead") if "month" in r["dimensions"]
    }
    assert by_month == {"2026-02": (2, 50), "2026-03": (2, 20)}


def test_channels_are_those_of_the_first_visit_in_the_funnels_words(full: Measured) -> None:
    by_channel = {
        r["dimensions"]["channel"]: (r["numerator"], r["denominator"]) for r in full.all("visitor_to_lead") if "channel" in r["dimensions"]
    }
    assert by_channel == {"organic search": (2, 40), "referral": (2, 18)}


def test_every_level_lists_what_it_is_made_of(full: Measured) -> None:
    assert full.behind("level_volume", level="M40", cohort="") == {"a", "d"}
    assert full.behind("level_volume", level="M80 deals") == {"w1", "w2"}
    assert full.behind("level_volume", level="M90") == {"a"}
    assert full.behind("level_value", level="M90") == {"w1"}
    assert len(full.behind("level_volume", level="M00")) == 3
    assert full.behind("visitors", month="2026-03", account="ga4") == {f"visitors 2026-03-{day} {{}} totalUsers" for day in ("01", "02")}
    assert len(full.behind("visitor_to_lead", channel="referral")) == 2


def test_two_properties_are_added_up_and_say_so() -> None:
    two = [tally("m", "2026-02-01", 50), tally("m", "2026-02-01", 30, account="ga4-shop")]
    found = Measured(NOW, {}, ("funnel",), **{**given(), "tally": two})
    visitors = found.one("level_volume", level="M00")
    assert (visitors["value"], visitors["excluded"]["sum of 2 properties"]) == (80, "(who visits several counts at each)")


def test_without_web_analytics_the_funnel_begins_with_leads() -> None:
    found = Measured(NOW, {}, ("funnel",), **{**given(), "tally": []})
    assert next(r["dimensions"]["level"] for r in found.all("level_volume")) == "M20"
    assert not found.all("visitor_to_lead")


def test_step_rates_that_do_not_multiply_are_refused() -> None:
    assert multiplied([8, 4, 1]) == pytest.approx(1 / 8)
    assert multiplied([8, 0, 0]) is None
    with pytest.raises(AssertionError, match="more persons at a level"):
        multiplied([8, 2, 3])
