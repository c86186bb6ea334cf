"""How fast sales is in touch with leads: business hours by hand, first touches, and who was never touched."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pytest
from test_measure import Measured
from unified_rows import moment, row

from core.errors import UserError
from core.funnel import load_funnel
from core.measure.business_hours import Hours, between
from core.thresholds import threshold

AS_OF = datetime(2026, 6, 30, tzinfo=UTC)  # a Tuesday
OFFICE = Hours((1, 2, 3, 4, 5), 9 * 3600, 17 * 3600, "UTC")
BERLIN = Hours((1, 2, 3, 4, 5), 9 * 3600, 17 * 3600, "Europe/Berlin")


@pytest.mark.parametrize(
    ("open_", "start", "end", "minutes"),
    [
        (OFFICE, "2026-06-22T10:00", "2026-06-22T10:05", 5),  # Monday
        (OFFICE, "2026-06-22T16:50", "2026-06-23T09:10", 20),  # over night
        (OFFICE, "2026-06-26T16:00", "2026-06-29T10:00", 120),  # over the weekend
        (OFFICE, "2026-06-27T12:00", "2026-06-28T12:00", 0),  # Saturday to Sunday
        (OFFICE, "2026-06-22T03:00", "2026-06-22T09:30", 30),  # before it opens the clock stands
        (OFFICE, "2026-06-01T00:00", "2026-06-29T00:00", 20 * 8 * 60),  # four weeks
        (BERLIN, "2026-06-22T06:30", "2026-06-22T07:10", 10),  # 9:00 is 7:00 UTC in summer
        (BERLIN, "2026-01-19T07:30", "2026-01-19T08:10", 10),  # and 8:00 in winter
        (BERLIN, "2026-03-27T15:30", "2026-03-30T07:30", 60),  # the clock changes in between
        (Hours((7,), 0, 24 * 3600, "UTC"), "2026-06-01T00:00", "2026-06-29T00:00", 4 * 24 * 60),
    ],
)
def test_business_hours_between_two_instants(open_: Hours, start: str, end: str, minutes: int) -> None:
    t = ibis.memtable({"start": [moment(start)], "end": [moment(end)]}, schema={"start": "timestamp('UTC')", "end": "timestamp('UTC')"})
    assert t.select(s=between(open_, t.start, t.end, AS_OF)).to_pyarrow()["s"].to_pylist() == [60 * minutes]


def lead(name: str, at: str) -> list[dict[str, Any]]:
    return [row("stage_change", "hubspot", f"{name}:lead", record_kind="person", record_id=name, field="lifecycle", value="lead",
                stage="M20", entered_at=at)]  # fmt: skip


def call(name: str, at: str, kind: str = "call") -> dict[str, Any]:
    return row("touch", "hubspot", f"{name} {at}", person_id=name, kind=kind, occurred_at=at)


def given() -> dict[str, list[dict[str, Any]]]:
    leads = {
        "fast": "2026-06-22T10:00", "night": "2026-06-22T16:58", "weekend": "2026-06-26T16:00", "worked": "2026-06-22T09:00",
        "planned": "2026-06-23T09:00", "never": "2026-06-01T09:00", "new": "2026-06-29T16:30", "outbound": "2026-06-22T12:00",
        "old": "2025-01-01T09:00",
    }  # fmt: skip
    changes = [change for name, at in leads.items() for change in lead(name, at)]
    changes.append(row("stage_change", "hubspot", "worked:sal", record_kind="person", record_id="worked", field="lifecycle", value="sal",
                       stage="M35", entered_at="2026-06-22T15:00"))  # fmt: skip
    return {
        "person": [row("person", "hubspot", name, created_at="2025-01-01") for name in leads],
        "stage_change": changes,
        "touch": [
            call("fast", "2026-06-22T10:04"), call("fast", "2026-06-22T12:00"), call("night", "2026-06-23T09:03"),
            call("weekend", "2026-06-29T10:00", "meeting"), call("outbound", "2026-06-20T10:00"), call("outbound", "2026-06-24T10:00"),
            call("never", "2026-06-02T10:00", "visit"),
        ],
        "deal": [row("deal", "hubspot", "d", stage="M50", created_at="2026-06-23")],
        "association": [row("association", "hubspot", "a", from_kind="deal", from_id="d", to_kind="person", to_id="planned")],
        "task": [
            row("task", "hubspot", "t1", deal_id="d", due_at="2026-06-23T13:00", done=True),
            row("task", "hubspot", "t0", deal_id="d", due_at="2026-06-23T10:00", done=False),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def answered() -> Measured:
    return Measured(AS_OF, {}, ("funnel",), **given())


def test_shares_answered_in_time_leave_out_who_has_not_waited_so_long(answered: Measured) -> None:
    """Business minutes: fast 4, night 5, weekend 120, worked 360, planned 240; waiting: never 20 days + …, new 30."""
    shares = {
        r["dimensions"]["within"]: (r["numerator"], r["denominator"]) for r in answered.all("lead_response_within", by="business hours")
    }
    assert shares == {"5 min": (2, 7), "1 h": (2, 6), "24 h": (5, 6)}
    by_clock = {r["dimensions"]["within"]: (r["numerator"], r["denominator"]) for r in answered.all("lead_response_within", by="the clock")}
    assert by_clock == {"5 min": (1, 7), "1 h": (1, 7), "24 h": (4, 6)}


def test_the_median_counts_those_still_waiting(answered: Measured) -> None:
    """At risk 7, 6; `new` leaves the watch after 30 minutes; then 4, 3, 2 of whom one each is touched."""
    median = answered.one("lead_response", by="business hours", quantile="median")
    assert (median["value"], median["n"], median["numerator"]) == (4, 7, 5)
    assert answered.one("lead_response", by="business hours", quantile="p90")["value"] is None  # not reached
    assert median["excluded"] == {"sales was first": 1, "business hours": "Mon–Fri 09:00–17:00 UTC"}


def test_who_was_never_touched(answered: Measured) -> None:
    share = answered.one("lead_untouched")
    assert (share["numerator"], share["denominator"]) == (2, 7)
    assert answered.behind("lead_untouched") == {"never", "new"}
    assert answered.behind("lead_response_within", by="business hours", within="5 min") == {"fast", "night"}


def test_where_no_system_keeps_what_sales_does_nothing_is_told() -> None:
    silent = Measured(AS_OF, {}, ("funnel",), **{**given(), "touch": [], "task": [], "stage_change": lead("fast", "2026-06-22T10:00")})
    assert silent.one("lead_untouched")["excluded"]["not computable"] == "no system has a touch by sales"
    assert not silent.all("lead_response")


def test_hours_that_end_before_they_begin_are_a_mistake() -> None:
    with pytest.raises(UserError, match="business_hours"):
        Measured(AS_OF, {"thresholds": {"business_hours": (17, 9)}}, ("funnel",), **given())


def test_business_hours_go_by_the_organisations_clock_unless_the_funnel_names_one() -> None:
    ladder = load_funnel(Path(__file__).parents[1] / "mappings" / "funnel.yaml")
    assert threshold(ladder.at("Europe/Berlin"), "business_timezone") == "Europe/Berlin"
    own = ladder.model_copy(update={"thresholds": ladder.thresholds.model_copy(update={"business_timezone": "Asia/Tokyo"})})
    assert threshold(own.at("Europe/Berlin"), "business_timezone") == "Asia/Tokyo"
