"""Forecasts of deals whose hazards are known, and what they must not know."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import generated_deals
import numpy as np
import pyarrow as pa
import pytest
from generated_deals import RATES, STAGES, STALE, STALE_AFTER, UNTIL

from core.measure import backtest, forecast, measure
from core.measure import hazards as hz
from core.measure.metric import Scope
from core.measure.simulate import Book, NewBusiness, new_business, shock_of, simulate
from core.measure.walk import walk
from core.measure.windows import PARTS, period, windows

HISTORY = generated_deals.history(2500, 1400, 3, UNTIL)


@pytest.fixture(scope="module")
def scope() -> Scope:
    return Scope(generated_deals.facts(HISTORY), {"thresholds": {"target": 5_000_000}}, UNTIL)


@pytest.fixture(scope="module")
def tried(scope: Scope) -> list[dict[str, Any]]:
    rows = [m.row("x", UNTIL) for family in (forecast, backtest) for m in family.measure(scope)]
    return [{**r, "dimensions": json.loads(r["dimensions"]), "excluded": json.loads(r["excluded"])} for r in rows]


def one(rows: list[dict[str, Any]], name: str, **dims: str) -> dict[str, Any]:
    (found,) = (r for r in rows if r["name"] == name and dims.items() <= r["dimensions"].items())
    return found


# -- hazards -------------------------------------------------------------------------------------------------------------
def test_r4_an_absorbing_chain() -> None:
    q = np.array([[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]])
    visits, ends, steps = hz.absorbing(q, np.array([[0.5, 0], [0, 0], [0, 0.5]]))
    assert visits == pytest.approx(np.array([[1.5, 1, 0.5], [1, 2, 1], [0.5, 1, 1.5]]))
    assert ends == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    assert steps == pytest.approx([3, 4, 3])


def true_hazards() -> hz.Hazards:
    """The generator's own, by band: a band boundary lies where deals become stale."""
    assert STALE_AFTER in hz.BANDS
    rates = np.repeat(RATES[:, None, :], len(hz.BANDS), axis=1) * np.where(hz.BANDS >= STALE_AFTER, STALE, 1.0)[None, :, None]
    onward = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0.0]])
    return hz.Hazards(rates, onward, onward.T)


def test_a_deal_that_waits_for_ever_ends_as_the_absorbing_chain_says() -> None:
    fresh = np.array([[0, 0.05, 0], [0.006, 0, 0.04], [0, 0.008, 0]])
    leave = RATES.sum(1, keepdims=True)
    _, ends, _ = hz.absorbing(fresh / leave, RATES[:, :2] / leave)
    found = hz.won_within(true_hazards(), 8000)
    assert found[:, 0] == pytest.approx(ends[:, 0], abs=1e-6)  # stale or not: the proportions of the exits are the same


def test_the_recursion_is_what_single_deals_do() -> None:
    """Drawn deal by deal with the true hazards, against one table."""
    random, deals, days = np.random.default_rng(6), 40_000, 60
    for stage, age in ((0, 0), (1, 30), (2, 50)):
        state, since, open_ = np.full(deals, stage), np.full(deals, -age), np.ones(deals, bool)
        won = 0
        for day in range(days):
            live = np.flatnonzero(open_)
            exit_ = (random.random(len(live))[:, None] > np.cumsum(generated_deals.rate(state[live], day - since[live]), axis=1)).sum(1)
            won += int((exit_ == 0).sum())
            open_[live[exit_ < 2]] = False
            moved = live[(exit_ == 2) | (exit_ == 3)]
            state[moved] += np.where(exit_[(exit_ == 2) | (exit_ == 3)] == 2, 1, -1)
            since[moved] = day + 1
        assert hz.won_within(true_hazards(), days)[stage, age] == pytest.approx(won / deals, abs=0.01)


def test_hazards_come_back_from_the_history(scope: Scope) -> None:
    run = forecast.run(scope)
    found = forecast.fitted(run.known, run.now, run.known.open(run.now))
    assert run.known.stages == ("?", *STAGES)
    truth = true_hazards().rates
    behind = run.known.finished[-1].days[1:]
    strong = np.broadcast_to((behind > 3000)[:, :, None], truth.shape)
    assert strong.sum() >= 40
    assert np.abs(found.rates[1:][strong] - truth[strong]).max() < 0.006


def test_a_stage_without_deals_leans_on_the_others() -> None:
    counts = hz.finished(2, np.array([0]), np.array([9]), np.array([-1]), np.array([hz.WON]), np.array([50.0]))
    rates = hz.hazards(counts).rates
    assert rates[1, 1, hz.WON] == pytest.approx(rates[0].sum(0)[hz.WON] / len(hz.BANDS), rel=1)
    assert (rates.sum(2) <= 0.99).all()


# -- calibration ---------------------------------------------------------------------------------------------------------
def worst_bin(tries: list[Any]) -> float:
    """The largest gap between said and come over bins of a hundred deals or more, in standard errors."""
    won = np.concatenate([o.won for o in tries]).astype(float)
    chance = np.concatenate([o.plain for o in tries])
    place = (chance * 10).astype(int)
    gaps = [
        abs(won[place == i].mean() - chance[place == i].mean()) / np.sqrt(max(chance[place == i].mean(), 0.02) / (place == i).sum())
        for i in set(place.tolist())
        if (place == i).sum() >= 100
    ]
    return max(gaps)


def test_of_deals_given_a_probability_so_many_are_won(scope: Scope) -> None:
    """The same deals are looked at three times a quarter, so the gaps may be a little wider than chance alone makes them."""
    assert worst_bin(forecast.run(scope).scored("period")) < 3.5


@pytest.mark.parametrize("broken", ["no age", "no lost", "late"])
def test_a_broken_estimator_is_seen(scope: Scope, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above must be able to fail: forget that deals become stale, or that they are lost, or half of the horizon."""
    fit, within = hz.hazards, hz.won_within

    def no_age(counts: hz.Counts) -> hz.Hazards:
        found = fit(counts)
        return hz.Hazards(np.repeat(found.rates[:, :1], len(hz.BANDS), axis=1), found.onward, found.backward)

    def no_lost(counts: hz.Counts) -> hz.Hazards:
        found = fit(counts)
        found.rates[:, :, hz.LOST] = 0
        return found

    if broken == "late":
        monkeypatch.setattr(hz, "won_within", lambda h, days, *more: within(h, days // 2, *more))
    else:
        monkeypatch.setattr(hz, "hazards", no_age if broken == "no age" else no_lost)
    run = forecast.run(scope)
    again = walk(run.known, [w for w in run.windows if w.kind == "period"], run.instants)
    assert worst_bin([o for o in again if o.window.scored]) > 3.5


def test_the_calibrated_forecast_beats_what_needs_no_model(tried: list[dict[str, Any]]) -> None:
    score = {m: one(tried, "backtest", kind="period", method=m, score="wape")["value"] for m in ("calibrated", "crm_weighted", "last_year")}
    assert score["calibrated"] < min(score["crm_weighted"], score["last_year"])
    assert abs(one(tried, "backtest", kind="period", method="calibrated", score="bias")["value"]) < 0.1
    brier = {m: one(tried, "backtest_deals", kind="period", method=m, score="brier")["value"] for m in ("calibrated", "base_rate")}
    assert brier["calibrated"] < brier["base_rate"]
    assert one(tried, "backtest_coverage", kind="days")["denominator"] == 12


def test_no_forecast_without_its_coverage(tried: list[dict[str, Any]]) -> None:
    for row in tried:
        if row["name"].startswith("forecast"):
            assert "80 % interval held" in row["excluded"]["backtest"]
    held = one(tried, "forecast_held", horizon="next 90 days")
    assert (held["denominator"], held["low"] is not None) == (12, True)


def test_parts_add_up_and_quantiles_stand_in_order(tried: list[dict[str, Any]]) -> None:
    for horizon in ("2026-Q2", "next 90 days"):
        parts = {
            r["dimensions"]["part"]: r["value"] for r in tried if r["name"] == "forecast_part" and r["dimensions"]["horizon"] == horizon
        }
        assert parts.pop("all") == pytest.approx(sum(parts.values()), abs=0.05)
        assert parts["open deals"] + parts["new business"] == pytest.approx(
            one(tried, "forecast", horizon=horizon, method="calibrated")["value"], abs=0.05
        )
        p10, p50, p90 = (one(tried, "forecast_band", horizon=horizon, quantile=q)["value"] for q in ("P10", "P50", "P90"))
        assert 0 <= p10 < p50 < p90


# -- honesty -------------------------------------------------------------------------------------------------------------
def test_the_same_lake_gives_the_same_bytes(tried: list[dict[str, Any]]) -> None:
    shuffled = {name: table.take(np.random.default_rng(2).permutation(table.num_rows)) for name, table in HISTORY.items()}
    again = measure(generated_deals.facts(shuffled), {"thresholds": {"target": 5_000_000}}, UNTIL, ("forecast",)).to_pylist()
    of_forecast = [(r["name"], r["value"]) for r in again if r["name"].startswith("forecast")]
    assert of_forecast == [(r["name"], r["value"]) for r in tried if r["name"].startswith("forecast")]


def later(tables: dict[str, pa.Table], cut: datetime) -> dict[str, pa.Table]:
    """Another future: every deal that was open at `cut` is won the day after it for a hundred times the amount."""
    changes = tables["changes"].to_pylist()
    kept = [c for c in changes if c["at"] <= cut]
    known: dict[str, dict[str, Any]] = {}
    for c in kept:
        if c["field"] == "stage":
            known[c["entity_id"]] = c
    at = cut + timedelta(days=1)
    open_ = [c for c in known.values() if c["code"] in STAGES]
    for c in open_:
        kept.append({**c, "value": "M80", "code": "M80", "at": at, "seq": c["seq"] + 1})
        kept.append({**c, "field": "amount", "value": "999999.0", "code": None, "at": at, "seq": 7})
        kept.append({**c, "field": "close_date", "value": "2026-01-01", "code": None, "at": at, "seq": 7})
    won = {c["entity_id"] for c in open_}
    deals = [
        {**d, "outcome": "won", "amount": 999999.0, "close_date": at.date(), "probability": 1.0} if d["entity_id"] in won else d
        for d in tables["deal"].to_pylist()
        if d["created_at"] <= cut
    ]
    return {
        **tables,
        "changes": pa.Table.from_pylist(kept, schema=tables["changes"].schema),
        "deal": pa.Table.from_pylist(deals, schema=tables["deal"].schema),
    }


def test_a_past_forecast_knows_nothing_of_its_future(scope: Scope) -> None:
    cut = datetime(2025, 10, 1, tzinfo=UTC)
    other = forecast.run(Scope(generated_deals.facts(later(HISTORY, cut)), {}, UNTIL))
    before, after = (
        {(o.window.name, o.window.at): (o.points, o.quantiles(), o.shock, o.chance.tolist()) for o in run.outlooks if o.window.at <= cut}
        for run in (forecast.run(scope), other)
    )
    assert len(before) > 20
    assert str(before) == str(after)
    truths = [[o.truth for o in run.outlooks if o.window.at == cut] for run in (forecast.run(scope), other)]
    assert truths[0] != truths[1]  # the futures do differ


def test_a_deal_without_any_history_is_open_from_its_creation_to_its_close_date() -> None:
    gone = HISTORY["changes"].slice(0, 0)
    bare = Scope(generated_deals.facts({**HISTORY, "changes": gone}), {}, UNTIL)
    run = forecast.run(bare)
    assert run.known.stages == ("?",)
    found = list(forecast.measure(bare))
    assert found[0].excluded["no history of amounts: past forecasts use today's"] == found[0].n > 0


def test_of_several_currencies_the_usual_one_is_forecast_and_the_others_are_told() -> None:
    deal = HISTORY["deal"]
    mixed = deal.set_column(2, "currency", pa.array(["EUR", "USD"] * (deal.num_rows // 2)))
    facts = generated_deals.facts({**HISTORY, "deal": mixed})
    euro = next(iter(forecast.measure(Scope(facts, {}, UNTIL))))
    assert (euro.unit, euro.excluded["deals in USD"]) == ("EUR", deal.num_rows // 2)
    open_ = [i for i, outcome in enumerate(deal["outcome"].to_pylist()) if outcome == "open"]
    assert euro.n == len([i for i in open_ if i % 2 == 0])


def test_nothing_to_forecast_is_nothing_and_no_mistake() -> None:
    empty = Scope(generated_deals.facts({name: table.slice(0, 0) for name, table in HISTORY.items()}), {}, UNTIL)
    assert {m.value for m in forecast.measure(empty)} <= {None, 0.0, 0.3, 1.0}
    assert [(m.name, m.value) for m in backtest.measure(empty)] == [("backtest_coverage", None)] * 2
    assert forecast.chances(empty).names == []


def test_the_chances_of_single_deals(scope: Scope) -> None:
    found = forecast.chances(scope)
    assert found.names == sorted(
        d["entity_id"] for d in HISTORY["deal"].select(["entity_id", "outcome"]).to_pylist() if d["outcome"] == "open"
    )
    period = next(o for o in forecast.run(scope).current if o.window.kind == "period").chance
    assert ((period >= 0) & (period <= found.ever) & (found.ever <= 1)).all()
    assert len(set(found.codes.tolist())) > 1


# -- draws ---------------------------------------------------------------------------------------------------------------
def test_draws_have_the_mean_and_the_spread_of_their_parts() -> None:
    random = np.random.default_rng(1)
    book = Book(random.random(500), random.lognormal(8, 1, 500), np.array([0.8, 1.0, 1.1]))
    new = NewBusiness(12.0, np.array([1000.0, 5000.0]), 4)
    drawn = simulate(book, new, 0.0, 7, 40_000)
    assert drawn.mean() == pytest.approx(book.expected + new.expected, rel=0.01)
    assert drawn.var() == pytest.approx(book.variance + new.variance, rel=0.05)
    shocked = simulate(book, new, 0.3, 7, 40_000)
    assert shocked.mean() == pytest.approx(drawn.mean(), rel=0.01)
    assert np.log(shocked).std() == pytest.approx(np.sqrt(0.3**2 + drawn.var() / drawn.mean() ** 2), rel=0.05)


def test_one_deal_comes_whole_or_not_at_all() -> None:
    drawn = simulate(Book(np.array([0.4]), np.array([100.0]), np.ones(1)), NewBusiness(0.0, np.array([]), 0), 0.0, 3)
    assert set(drawn.tolist()) == {0.0, 100.0}
    assert drawn.mean() == pytest.approx(40, abs=2)


def test_new_business_is_what_was_created_and_won_in_spans_like_this_one() -> None:
    created, won, amount = (np.array(x, float) for x in ([10, 100, 195, 205], [50, 150, 230, 320], [1, 2, 4, 8]))
    found = new_business(created, won, amount, at=300, days=50, step=100, first=0)
    # spans (200, 250], (100, 150], (0, 50]: the first has nobody created inside and won in time
    assert (found.spans, found.count, sorted(found.sizes.tolist())) == (3, 2 / 3, [1.0, 2.0])
    assert new_business(created, won, amount, at=300, days=50, step=100, first=290).expected == 0


def test_the_shock_is_what_errors_show_beyond_the_draws() -> None:
    assert shock_of(np.array([0.5, -0.5]), np.array([0.09, 0.09])) == pytest.approx(0.4)
    assert shock_of(np.array([0.1, -0.1]), np.array([0.09, 0.09])) == 0.05  # never nothing


# -- windows -------------------------------------------------------------------------------------------------------------
def test_windows_are_scored_a_month_after_their_end() -> None:
    found = windows(datetime(2026, 7, 15, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC), "quarter", 90)
    names = [w.name for w in found if w.kind == "period" and w.scored]
    assert names == [f"2025-Q{q}" for q in (1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4)] + ["2026-Q1"] * 3  # not Q2, which ended two weeks ago
    now = [w for w in found if not w.scored]
    assert [(w.name, w.days, PARTS[w.part]) for w in now] == [("next 90 days", 90, 0), ("2026-Q3", 78, 0)]
    assert all(w.end + timedelta(days=30) <= datetime(2026, 7, 15, tzinfo=UTC) for w in found if w.scored)


@pytest.mark.parametrize(("kind", "back", "said"), [("quarter", 0, "2026-Q1"), ("quarter", 1, "2025-Q4"), ("month", 0, "2026-02"),
                                                    ("month", 2, "2025-12")])  # fmt: skip
def test_periods_cross_the_year(kind: str, back: int, said: str) -> None:
    name, first, last = period(date(2026, 2, 10), kind, back)
    assert (name, (last + timedelta(days=1)).day, first.day) == (said, 1, 1)


def test_months_of_a_quarter_count_from_eight_quarters_on() -> None:
    first = np.arange("2020-01", "2022-01", dtype="datetime64[M]").astype("datetime64[D]").astype(int)
    days = np.repeat(first, [100 if m % 3 == 2 else 50 for m in range(24)])
    assert hz.month_factors(days, 7) is None
    factors = hz.month_factors(days, 8)
    assert factors is not None
    assert factors[2] > 1.3 > 1 > factors[0]
    assert factors.mean() == pytest.approx(1)


def test_calendar_factors_move_wins_in_the_recursion() -> None:
    first = date(2026, 1, 1)
    more, less = (hz.won_within(true_hazards(), 20, first, np.array(f)) for f in ([2.0, 0.5, 0.5], [0.5, 2.0, 0.5]))
    assert (more[2] > less[2]).all()
