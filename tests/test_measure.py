"""The numbers, against reference answers and literals. R16, R19 and R20 name fixtures whose results are known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import ibis
import pytest
from unified_rows import NOW, moment, row, tables

from core.compiled import over
from core.errors import UserError
from core.facts import facts
from core.measure import measure, rows
from core.measure.pipeline import quarter
from core.measure.pipeline_velocity import Factors
from core.resolve import resolve
from jobs.board import board

MARCH = datetime(2025, 3, 10, tzinfo=UTC)
CODES = {"lead": "M20", "mql": "M30", "sql": "M40", "opp": "M50", "won": "M80"}
# R20: ten persons with the days (2025) on which they entered the steps.
R20 = {
    "p1": {"lead": "01-02", "mql": "01-05", "sql": "01-10", "opp": "01-15", "won": "02-20"},
    "p2": {"lead": "01-03", "mql": "01-20", "sql": "02-10"},
    "p3": {"lead": "01-10", "opp": "01-25", "won": "03-01"},
    "p4": {"lead": "01-12", "mql": "02-15"},
    "p5": {"lead": "01-20"},
    "p6": {"lead": "01-25", "mql": "01-22", "sql": "02-01", "opp": "02-03"},
    "p7": {"lead": "02-05", "mql": "02-06", "sql": "02-20", "opp": "03-01", "won": "03-05"},
    "p8": {"lead": "02-10", "mql": "02-25"},
    "p9": {"lead": "02-20"},
    "p10": {"mql": "01-08", "sql": "01-18"},
}


def steps_of(people: dict[str, dict[str, str]]) -> dict[str, list[dict[str, Any]]]:
    persons = [row("person", "hubspot", name, created_at="2025-01-01") for name in people]
    changes = [
        row("stage_change", "hubspot", f"{name}:{step}", record_kind="person", record_id=name, field="lifecycle", value=step,
            stage=CODES[step], entered_at=f"2025-{day}")
        for name, days in people.items()
        for step, day in days.items()
    ]  # fmt: skip
    return {"person": persons, "stage_change": changes}


class Measured:
    def __init__(self, as_of: datetime, funnel: Any = None, families: tuple[str, ...] = ("funnel",), **given: list[dict[str, Any]]) -> None:
        known = tables(**given)
        self.funnel, self.as_of = funnel or {}, as_of
        run = over(known, self.funnel)
        members = resolve(known, self.funnel, compiled=run).members
        self.facts = facts(known, members, self.funnel, as_of, run)
        table = measure(self.facts, self.funnel, as_of, families)
        self.rows = [
            {**r, "dimensions": json.loads(r["dimensions"]), "excluded": json.loads(r["excluded"])} for r in table.to_pylist()
        ]  # fmt: skip

    def all(self, name: str, **dims: Any) -> list[dict[str, Any]]:
        return [r for r in self.rows if r["name"] == name and dims.items() <= r["dimensions"].items()]

    def one(self, name: str, **dims: Any) -> dict[str, Any]:
        found = self.all(name, **dims)
        assert len(found) == 1, found
        return found[0]

    def behind(self, name: str, **dims: Any) -> set[str]:
        return set(rows(self.facts, self.funnel, self.as_of, name, dims).to_pyarrow()["vendor_id"].to_pylist())


@pytest.fixture(scope="module")
def r20() -> Measured:
    return Measured(MARCH, {"thresholds": {"within_days": [45, 49, 50]}}, **steps_of(R20))


def test_r20_period_volumes_and_ratios(r20):
    january = [r20.one("entered", month="2025-01", stage=code)["value"] for code in CODES.values()]
    february = [r20.one("entered", month="2025-02", stage=code)["value"] for code in CODES.values()]
    assert (january, february) == ([6, 4, 2, 2, 0], [3, 3, 3, 1, 1])
    ratios = [r20.one("period_ratio", month="2025-01", to=code)["value"] for code in ("M30", "M40", "M50", "M80")]
    assert ratios == pytest.approx([2 / 3, 0.5, 1, 0])
    assert r20.one("period_ratio", month="2025-02", to="M30")["value"] == 1.0  # of other people


@pytest.mark.parametrize(("mode", "reached"), [("implied", [6, 5, 4, 3, 2]), ("strict", [6, 3, 2, 1, 1]), ("any", [6, 4, 3, 3, 2])])
def test_r20_reach_of_the_january_cohort(r20, mode, reached):
    found = [r20.one("reach", cohort="2025-01", mode=mode, to=code) for code in CODES.values()]
    assert [r["numerator"] for r in found] == reached
    assert [r["value"] for r in found] == pytest.approx([n / 6 for n in reached])


def test_r20_step_rates_multiply_to_the_overall_rate(r20):
    product = 1.0
    for code in ("M30", "M40", "M50", "M80"):
        product *= r20.one("step", cohort="2025-01", mode="implied", to=code)["value"]
    assert product == pytest.approx(r20.one("reach", cohort="2025-01", mode="implied", to="M80")["value"])


def test_r20_lead_to_won_within_45_days_of_those_watched_so_long(r20):
    within = r20.one("reach_within", **{"from": "M20"}, to="M80", days=45)
    assert (within["numerator"], within["denominator"], within["value"]) == (0, 5, 0)
    assert within["excluded"] == {"not watched long enough": 4}
    assert r20.one("reach", cohort="all", mode="implied", to="M80")["value"] == pytest.approx(3 / 9)
    km = [r20.one("reach_within_km", **{"from": "M20"}, to="M80", days=d)["value"] for d in (45, 49, 50)]
    assert km == pytest.approx([0.125, 0.30, 8 / 15])
    sides = [(r["low"] < r["value"] < r["high"]) for r in r20.all("reach_within_km", **{"from": "M20"}, to="M80")]
    assert all(sides)


def test_r20_every_reach_lists_its_persons(r20):
    assert r20.behind("reach", cohort="2025-01", mode="implied", to="M80") == {"p1", "p3"}
    assert r20.behind("entered", month="2025-02", stage="M50") == {"p6"}


def test_r19_a_person_who_skipped_a_stage_is_in_any_but_not_in_strict():
    found = Measured(MARCH, **steps_of({"p": {"lead": "01-02", "won": "02-01"}}))
    strict = {r["dimensions"]["to"]: r["numerator"] for r in found.all("reach", cohort="all", mode="strict")}
    any_ = {r["dimensions"]["to"]: r["numerator"] for r in found.all("reach", cohort="all", mode="any")}
    assert strict == {"M20": 1, "M30": 0, "M40": 0, "M50": 0, "M80": 0}
    assert any_ == {"M20": 1, "M30": 0, "M40": 0, "M50": 0, "M80": 1}
    assert found.all("reach", cohort="2025-02") == []  # entered in January: not in February's cohort


def test_r16_velocity():
    assert Factors(50, 0.25, 10_000, 30).velocity == pytest.approx(4166.67, abs=0.005)
    whole = Factors(120, 0.22, 52_000, 68)
    assert whole.velocity == pytest.approx(20188.24, abs=0.005)
    levers = {name: better.velocity / whole.velocity - 1 for name, better in whole.levers.items()}
    assert list(levers.values()) == pytest.approx([0.1, 0.1, 0.1, 1 / 9])
    assert whole.levers["10 % shorter cycle"].cycle_days == pytest.approx(61.2)
    assert Factors(10, 0.5, 1000, 0).velocity is None
    assert Factors(10, None, 1000, 5).velocity is None


def test_quarters_cross_the_year():
    assert [quarter(moment("2026-02-10").date(), back)[0] for back in range(3)] == ["2026-Q1", "2025-Q4", "2025-Q3"]
    assert str(quarter(moment("2026-11-10").date())[2]) == "2026-12-31"


def deal(id: str, **values: Any) -> dict[str, Any]:
    base = {"stage": "M50", "pipeline_stage": "Qualifying", "currency": "EUR", "probability": 0.5, "close_date": "2026-06-30"}
    return row("deal", "salesforce", id, **{**base, **values})


WON = {"stage": "M80", "pipeline_stage": "Won", "closed": True, "won": True}
LOST = {"stage": "M85", "pipeline_stage": "Lost", "closed": True, "won": False}
DEALS = [
    deal("o1", amount=100),
    deal("o2", amount=50, stage="M60", pipeline_stage="Proposing", probability=None),
    deal("o3", amount=None),
    deal("w1", amount=300, close_date="2026-05-10", source="Web", **WON),
    deal("w2", amount=100, close_date="2026-02-10", **WON),
    deal("l1", amount=100, close_date="2026-05-20", **LOST),
    deal("l2", amount=900, close_date="2026-05-20", lost_reason="Duplicate", **LOST),
    deal("w0", amount=100, close_date="2024-05-10", **WON),
]


@pytest.fixture(scope="module")
def pipeline() -> Measured:
    people = [
        row("person", "hubspot", "1", source="Webinar"),
        row("person", "hubspot", "2", source="webinar "),
        row("person", "hubspot", "3"),
    ]
    on = [row("association", "salesforce", "a", from_kind="deal", from_id="w2", to_kind="person", to_id="x")]
    roles = [*on, row("association", "hubspot", "b", from_kind="deal", from_id="h1", to_kind="person", to_id="1")]
    mirror = row("deal", "hubspot", "h1", links=["salesforce:Opportunity:w2"], amount=100, currency="EUR", closed=True, won=True)
    target = {"thresholds": {"target": 500.0}}
    return Measured(NOW, target, ("funnel", "pipeline", "winrate", "sources"), deal=[*DEALS, mirror], person=people, association=roles)


def test_pipeline_value_by_stage_and_in_all_with_what_is_left_out(pipeline):
    by_stage = {r["dimensions"]["stage"]: (r["value"], r["n"]) for r in pipeline.all("pipeline_value")}
    assert by_stage == {"Qualifying": (100, 1), "Proposing": (50, 1), "all": (150, 2)}
    assert pipeline.one("pipeline_value", stage="all")["excluded"] == {"no amount or probability": 1}
    assert pipeline.one("weighted_pipeline")["value"] == 50
    assert pipeline.behind("pipeline_value", stage="Qualifying", currency="EUR") == {"o1"}
    assert pipeline.behind("open_deals", stage="Qualifying") == {"o1", "o3"}


def test_win_rate_by_count_and_value_leaves_duplicates_out(pipeline):
    count = pipeline.one("win_rate", by="count", period="last 365 days")
    assert (count["numerator"], count["denominator"]) == (2, 3)
    assert pipeline.one("win_rate", by="count", period="2026-Q2")["value"] == 0.5
    assert pipeline.one("win_rate", by="value", period="2026-Q2")["value"] == 300 / 400
    assert pipeline.one("win_rate", by="count", period="2025-Q4")["value"] is None
    assert pipeline.behind("win_rate", by="count", period="2026-Q2") == {"w1", "l1"}


def test_win_rate_by_part_and_the_reasons_of_losses_leave_duplicates_out(pipeline):
    by_source = {r["dimensions"]["part"]: (r["numerator"], r["denominator"]) for r in pipeline.all("win_rate_by", by="source")}
    assert by_source == {"web": (1, 1), "webinar": (1, 1), "(unknown)": (0, 1)}
    assert pipeline.behind("win_rate_by", by="source", part="(unknown)") == {"l1"}
    assert [r["dimensions"] for r in pipeline.all("lost_reasons")] == [{"reason": "(unknown)"}]
    assert pipeline.behind("lost_reasons", reason="(unknown)") == {"l1"}


def test_parts_beyond_the_largest_are_one():
    companies = [row("company", "salesforce", str(i), industry=f"Industry {i:02}", employees=10 * i) for i in range(25)]
    deals = [deal(str(i), company_id=str(i), owner_id="u", **WON) for i in range(25)]
    deals += [deal(f"l{i}", company_id=str(i), lost_reason=" Price", **LOST) for i in range(3)]
    found = Measured(NOW, None, ("winrate",), deal=deals, company=companies)
    rates = {r["dimensions"]["part"]: (r["numerator"], r["denominator"]) for r in found.all("win_rate_by", by="segment")}
    assert list(rates)[:3] == ["industry 00", "industry 01", "industry 02"]
    assert (rates["industry 00"], rates["(all others)"], len(rates)) == ((1, 2), (5, 5), 21)
    sizes = {r["dimensions"]["part"]: r["denominator"] for r in found.all("win_rate_by", by="size")}
    assert sizes == {"1-9 employees": 2, "10-49 employees": 6, "50-249 employees": 20}
    [reason] = found.all("lost_reasons")
    assert (reason["dimensions"], reason["value"], reason["n"]) == ({"reason": "price"}, 1.0, 3)


def test_coverage_is_what_is_due_over_what_is_still_to_be_won(pipeline):
    found = pipeline.one("coverage")
    assert (found["numerator"], found["denominator"], found["value"]) == (150, 200, 0.75)
    assert pipeline.behind("coverage", currency="EUR") == {"o1", "o2"}


def test_coverage_is_of_the_month_where_forecasts_are():
    deals = [deal("due", amount=50, close_date="2026-06-30"), deal("later", amount=70, close_date="2026-07-01"),
             deal("won", amount=20, close_date="2026-06-02", **WON), deal("before", amount=90, close_date="2026-05-02", **WON)]  # fmt: skip
    found = Measured(NOW, {"thresholds": {"target": 120.0, "forecast_period": "month"}}, ("pipeline",), deal=deals)
    coverage = found.one("coverage", period="2026-06")
    assert (coverage["numerator"], coverage["denominator"]) == (50, 100)
    assert found.behind("coverage", currency="EUR") == {"due"}


def test_source_to_won_in_one_spelling_and_through_the_persons_of_the_deal(pipeline):
    webinar = pipeline.one("source_to_won", source="webinar")
    assert (webinar["numerator"], webinar["denominator"]) == (1, 2)
    assert pipeline.one("source_won_value", source="web")["value"] == 300
    assert pipeline.one("source_won_value", source="webinar")["value"] == 100
    assert pipeline.behind("source_to_won", source="webinar") == {"1"}


def test_everyone_of_a_source_has_one_outcome_and_a_win_outweighs_what_came_later():
    stages = {"won": "M20", "open deal": "M40", "lost deal": "M20", "disqualified": "MX", "qualified": "M30", "before MQL": "M10"}
    people = [row("person", "hubspot", name, source="Web", stage=stage) for name, stage in stages.items()]
    ends = {"w": WON, "o": {}, "l": LOST}
    deals = [
        row("deal", "hubspot", id, amount=1, stage="M50", pipeline_stage="Qualifying", currency="EUR") | end for id, end in ends.items()
    ]
    of = [("w", "won"), ("l", "won"), ("o", "won"), ("o", "open deal"), ("l", "open deal"), ("l", "lost deal")]
    on = [row("association", "hubspot", f"{d}-{p}", from_kind="deal", from_id=d, to_kind="person", to_id=p) for d, p in of]
    found = Measured(NOW, None, ("sources",), person=people, deal=deals, association=on)
    assert {r["dimensions"]["outcome"]: r["value"] for r in found.all("source_outcome", source="web")} == dict.fromkeys(stages, 1)
    for name in stages:
        assert found.behind("source_outcome", source="web", outcome=name) == {name}


def test_the_board_has_the_largest_open_deals_of_each_stage(pipeline):
    more = [deal(f"o{i}", amount=i, name=f"Deal {i} of jane@example.com", close_date="2026-06-01") for i in range(10, 17)]
    found = Measured(NOW, None, ("pipeline",), deal=[*DEALS, *more])
    cards = board(SimpleNamespace(facts=found.facts, as_of=NOW), None)
    by_stage = {stage: [card for card in cards if card["stage"] == stage] for stage in ("Qualifying", "Proposing")}
    assert [card["amount"] for card in by_stage["Qualifying"]] == [100, 16, 15, 14, 13]
    assert {card["n"] for card in by_stage["Qualifying"]} == {9}
    assert by_stage["Qualifying"][1]["name"] == "Deal 16 of <e-mail>"
    assert [(card["amount"], card["late"]) for card in by_stage["Proposing"]] == [(50, False)]
    assert [card["late"] for card in by_stage["Qualifying"]] == [False, True, True, True, True]


def test_currencies_are_never_added_up():
    deals = [deal("1", amount=100), deal("2", amount=20), deal("3", amount=70, currency="USD")]
    usual = Measured(NOW, None, ("pipeline",), deal=deals).one("pipeline_value", stage="all")
    assert (usual["value"], usual["unit"], usual["excluded"]) == (120, "EUR", {"in USD": 70.0})
    named = Measured(NOW, {"thresholds": {"currency": "USD"}}, ("pipeline",), deal=deals).one("pipeline_value", stage="all")
    assert (named["value"], named["unit"], named["excluded"]) == (70, "USD", {"in EUR": 120.0})


def test_without_any_amount_the_pipeline_is_unknown_and_claims_no_currencies():
    blank = Measured(NOW, None, ("pipeline",), deal=[deal("1", currency=None), deal("2", currency=None)])
    for name in ("pipeline_value", "weighted_pipeline"):
        one = blank.one(name, stage="all")
        assert (one["value"], one["unit"], one["excluded"]) == (None, "units", {"no amount or probability": 2})
    assert Measured(NOW, None, ("pipeline",), deal=[deal("1", **WON)]).one("pipeline_value", stage="all")["value"] == 0


def test_a_win_rate_by_value_is_not_computable_when_no_lost_deal_has_an_amount():
    found = Measured(NOW, None, ("winrate",), deal=[deal("1", amount=100, **WON), deal("2", amount=0, **LOST)])
    by_value = found.one("win_rate", by="value", period="2026-Q2")
    assert by_value["value"] is None
    assert by_value["excluded"] == {
        "not computable": "no lost deal has an amount", "no amount when it was last open, and none today": 1,
    }  # fmt: skip


def test_time_in_stage_counts_open_deals_as_far_as_watched():
    paths = {"1": ("2026-06-01", "2026-06-11"), "2": ("2026-06-01", "2026-06-21"), "3": ("2026-06-25", None)}
    changes = [
        row(
            "stage_change",
            "salesforce",
            f"{id}{code}",
            record_kind="deal",
            record_id=id,
            field="stage",
            value=code,
            stage=code,
            entered_at=at,
        )
        for id, days in paths.items()
        for code, at in zip(("M50", "M60"), days, strict=True)
        if at
    ]
    found = Measured(NOW, None, ("pipeline",), deal=[deal(id) for id in paths], stage_change=changes)
    assert [found.one("time_in_stage", stage="M50", quantile=q)["value"] for q in ("median", "p75")] == [10, 20]
    assert found.one("time_in_stage", stage="M60", quantile="median")["value"] is None
    # 3 leaves the watch on day 5; 1 and 2 go on days 10 and 20
    assert found.one("time_in_stage", stage="M50", quantile="p90")["value"] == 20
    assert found.one("time_in_stage", stage="M50", quantile="mean within 90 d")["value"] == pytest.approx(10 + 10 / 2)


def test_who_was_in_a_stage_before_anything_is_known_of_it_is_in_no_time_in_stage():
    found = Measured(NOW, None, ("pipeline",), deal=[deal("1"), deal("2", stage="M60")])
    assert found.one("time_in_stage", stage="M50", quantile="median")["excluded"] == {"since when is unknown": 1}


def test_velocity_by_the_median_cycle_and_what_a_tenth_better_would_add():
    """Two won of three closed, 200 on average, in 10 and 50 days; three open ones."""
    won = [deal(name, amount=amount, created_at=created, close_date="2026-06-20", **WON)
           for name, amount, created in (("a", 100, "2026-06-10"), ("b", 300, "2026-05-01"))]  # fmt: skip
    lost = deal("c", amount=1, close_date="2026-06-20", **LOST)
    found = Measured(NOW, None, ("pipeline",), deal=[*won, lost, deal("1"), deal("2"), deal("3", pipeline_stage="Prospecting"), deal("4")])
    assert found.one("velocity")["value"] == pytest.approx(3 * 2 / 3 * 200 / 30)
    assert found.one("velocity_median")["dimensions"]["median_cycle_days"] == 30
    gains = {r["dimensions"]["lever"]: r["value"] for r in found.all("velocity_lever")}
    assert gains["10 % larger deals"] == pytest.approx(0.1 * 400 / 30)
    assert gains["10 % shorter cycle"] == pytest.approx(400 / 30 / 9)


def test_stage_counts_tell_now_from_furthest_and_leave_colleagues_out():
    given = {
        "person": [row("person", "hubspot", "1", stage="M50"), row("person", "hubspot", "2", stage="M20", email="me@us.example"),
                   row("person", "hubspot", "3")],
        "stage_change": [row("stage_change", "hubspot", "x", record_kind="person", record_id="1", field="lifecycle", value="customer",
                             stage="M80", entered_at="2026-02-01")],
    }  # fmt: skip
    found = Measured(NOW, {"exclude": {"domains": ["us.example"], "emails": []}}, **given)
    assert [(r["dimensions"]["stage"], r["value"]) for r in found.all("stage_count", basis="current")] == [("M50", 1)]
    assert [(r["dimensions"]["stage"], r["value"]) for r in found.all("stage_count", basis="furthest")] == [("M80", 1)]
    assert found.one("stage_count", basis="current")["excluded"] == {"colleagues and tests": 1, "no stage": 1}
    assert found.behind("stage_count", basis="furthest", stage="M80") == {"1"}


def test_a_persons_stage_is_the_furthest_of_own_evidence_and_open_or_won_deals():
    given = {
        "person": [row("person", "hubspot", id, stage=stage) for id, stage in (("1", "M20"), ("2", "M20"), ("3", "M95"), ("4", "MX"))],
        "deal": [row("deal", "hubspot", "d1", stage="M60", person_id="1"), row("deal", "hubspot", "d2", person_id="2", **LOST),
                 row("deal", "hubspot", "d3", person_id="3", **WON)],
    }  # fmt: skip
    known = tables(**given)
    run = over(known, {})
    members = resolve(known, {}, compiled=run).members
    person = facts(known, members, {}, NOW, run)["person"]
    keys = ibis.memtable(members).select("entity_id", "vendor_id")
    found = person.inner_join(keys, "entity_id").order_by("vendor_id").select("stage").to_pyarrow()["stage"].to_pylist()
    assert found == ["M60", "M20", "M95", "MX"]


def test_measuring_nothing_gives_numbers_without_values():
    assert all(r["value"] in (None, 0) for r in Measured(NOW, None, ("funnel", "pipeline", "winrate", "sources")).rows)


def test_a_metric_that_cannot_list_its_rows_says_which_can(pipeline):
    with pytest.raises(UserError, match="velocity cannot list its rows"):
        pipeline.behind("velocity")
