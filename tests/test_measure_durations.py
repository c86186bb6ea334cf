"""Times with censoring, competing ends and delayed entry, and scores, against published answers (R1, R2, R3, R15)."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf, logrank, norm

from core.measure import scores
from core.measure.durations import incidence, kaplan_meier, log_rank
from core.measure.metric import Survival, survival
from core.statistics.proportions import wilson

# R1: Freireich and others (1963), weeks of remission; censored ones end with 0.
DRUG = [*((t, 1, 1) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)), *((t, 0, 1) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35))]
PLACEBO = [(t, 1, 1) for t in (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)]
# R3: ten deals; 1 won, 2 lost, 0 open.
TEN = list(zip((10, 10, 20, 20, 20, 30, 30, 40, 50, 60), (1, 2, 1, 0, 2, 1, 0, 2, 1, 0), [1] * 10, strict=True))

# R2: life times of fruit flies by group (Waltons), and weeks until arrest (Rossi): how many at each time.
CONTROL = {7: 1, 17: 1, 32: 1, 33: 1, 38: 2, 41: 7, 45: 9, 48: 8, 51: 3, 53: 7, 54: 2, 56: 18, 58: 4, 60: 15, 61: 9, 63: 9, 66: 3, 68: 9,
           69: 12, 75: 1}  # fmt: skip
CENSORED = {7: 1, 45: 1, 60: 1, 61: 2, 68: 1, 69: 1}
MIR = {6: 1, 9: 3, 13: 3, 15: 2, 19: 3, 22: 4, 26: 5, 29: 5, 33: 2, 36: 2, 43: 1, 47: 1, 62: 2}
ARRESTS = [0, 1, 1, 1, 1, 1, 1, 1, 5, 2, 1, 2, 2, 1, 3, 2, 2, 3, 3, 2, 5, 2, 1, 1, 4, 3, 3, 2, 2, 0, 2, 1, 2, 2, 2, 4, 3, 4, 1, 2, 4, 0,
           2, 4, 2, 2, 4, 1, 2, 5, 3, 0, 4]  # fmt: skip


def test_r2_fruit_flies_and_prisoners() -> None:
    control = [*((t, 1, n) for t, n in CONTROL.items()), *((t, 0, n) for t, n in CENSORED.items())]
    other = [(t, 1, n) for t, n in MIR.items()]
    every = kaplan_meier([*control, *other])
    assert (every.n, every.events, every.quantile(0.5)) == (163, 156, (56, 53, 58))
    assert (kaplan_meier(control).quantile(0.5)[0], kaplan_meier(other).quantile(0.5)[0]) == (58, 26)
    assert log_rank(control, other) == pytest.approx(122.249, abs=5e-4)
    rossi = kaplan_meier([*((week, 1, n) for week, n in enumerate(ARRESTS)), (52, 0, 318)])
    assert (rossi.n, rossi.events) == (432, 114)
    assert rossi.at(52) == pytest.approx(0.736111, abs=5e-7)


def test_r1_six_mercaptopurine() -> None:
    curve = kaplan_meier(DRUG)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.shares.tolist() == pytest.approx([0.857143, 0.806723, 0.752941, 0.690196, 0.627451, 0.537815, 0.448179], abs=1e-6)
    assert (curve.lows[-1], curve.highs[-1], curve.errors[-1]) == pytest.approx((0.1881, 0.6801, 0.1346), abs=5e-5)
    assert (curve.limits(23), curve.limits(5)) == (pytest.approx((0.1881, 0.6801), abs=5e-5), (1.0, 1.0))
    assert curve.quantile(0.5)[0] == 23
    assert curve.quantile(0.9) == (None, None, None)
    assert curve.restricted_mean(20) == pytest.approx(16.11653, abs=5e-6)


def test_r1_placebo_and_the_difference() -> None:
    curve = kaplan_meier(PLACEBO)
    assert curve.quantile(0.5)[0] == 8
    assert curve.restricted_mean(20) == pytest.approx(8.42857, abs=5e-6)
    assert log_rank(DRUG, PLACEBO) == pytest.approx(16.79294, abs=5e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_and_the_log_rank_are_those_of_scipy(seed: int) -> None:
    random = Random(seed)
    groups = [[(float(random.randint(0, 9)), int(random.random() < 0.6), random.randint(1, 4)) for _ in range(20)] for _ in range(2)]
    theirs = [
        CensoredData(uncensored=[t for t, e, n in g if e for _ in range(n)], right=[t for t, e, n in g if not e for _ in range(n)])
        for g in groups
    ]
    drawn, curve = ecdf(theirs[0]).sf, kaplan_meier(groups[0])
    assert [curve.at(t) for t in drawn.quantiles] == pytest.approx(drawn.probabilities.tolist())
    assert log_rank(*groups) == pytest.approx(logrank(*theirs).statistic ** 2)


def test_r3_competing_ends_with_ties() -> None:
    found = incidence(TEN, 2)
    assert found.times.tolist() == [10, 20, 30, 40, 50]
    assert found.shares[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.32, 0.32, 0.48], abs=1e-9)
    assert found.shares[:, 1].tolist() == pytest.approx([0.1, 0.2, 0.2, 0.36, 0.36], abs=1e-9)
    assert found.waiting.tolist() == pytest.approx([0.8, 0.6, 0.48, 0.32, 0.16], abs=1e-9)
    assert found.errors[:, 0].tolist() == pytest.approx([0.0949, 0.1265, 0.1539, 0.1539, 0.1795], abs=5e-5)
    naive = kaplan_meier([(t, int(kind == 1), n) for t, kind, n in TEN])
    assert 1 - naive.shares[-1] == pytest.approx(0.685)  # what must not be shown as a win rate
    assert found.at(45, 1) == pytest.approx(0.32)
    assert (found.at(5, 1), found.at(99, 3)) == (0, 0)
    low, high = found.limits(50, 1)
    assert 0.1 < low < 0.48 < high < 0.8


def test_shares_of_all_ends_and_of_those_who_wait_are_one() -> None:
    random = Random(4)
    found = incidence([(float(random.randint(0, 30)), random.randint(0, 3), random.randint(1, 3)) for _ in range(200)], 3)
    assert (found.shares.sum(1) + found.waiting).tolist() == pytest.approx([1] * len(found.times))


def test_who_was_watched_from_the_middle_on_is_at_risk_from_there() -> None:
    """Two watched from the start, ended at 2 and 4; one came under watch at 3 and ended at 5: at 2 only two are at risk."""
    late = kaplan_meier([(2, 1, 1), (4, 1, 1), (5, 1, 1)], entries={3: 1})
    assert late.shares.tolist() == pytest.approx([1 / 2, 1 / 4, 0])
    assert kaplan_meier([(2, 1, 1), (4, 1, 1), (5, 1, 1)]).shares.tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_nobody_is_no_curve() -> None:
    assert (kaplan_meier([]).n, kaplan_meier([]).quantile(0.5)[0], kaplan_meier([]).at(3)) == (0, None, 1.0)
    assert (incidence([], 2).n, incidence([], 2).at(3, 1)) == (0, 0.0)
    assert incidence([(3.0, 0, 5)], 2).at(9, 1) == 0


# -- scores (R15) --------------------------------------------------------------------------------------------------------
def test_r15_pinball() -> None:
    truth = np.array([1.0, 2, 3])
    for forecast, q, said in (([0, 2, 3], 0.1, 1 / 30), ([1, 2, 4], 0.1, 0.3), ([0, 2, 3], 0.9, 0.3), ([1, 2, 4], 0.9, 1 / 30)):
        assert scores.pinball(np.array(forecast, float), truth, q) == pytest.approx(said)


def test_r15_brier_and_crps() -> None:
    won, chance = np.array([0, 1, 1, 0.0]), np.array([0.1, 0.9, 0.8, 0.3])
    assert scores.brier(chance, won) == pytest.approx(0.0375)
    assert scores.crps(np.array([0.0, 1.0]), 0.5) == pytest.approx(0.25)
    assert scores.crps(np.array([1.0, 2, 3, 4]), 2) == pytest.approx(0.375)
    normal = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    assert scores.crps(normal, 0) == pytest.approx(0.2336950, abs=2e-6)


def test_crps_is_its_definition() -> None:
    x = np.random.default_rng(3).normal(size=60)
    pairs = np.abs(x[:, None] - x[None, :]).mean() / 2
    assert scores.crps(x, 0.3) == pytest.approx(np.abs(x - 0.3).mean() - pairs)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    chance, won = np.array([0.1, 0.4, 0.4, 0.8, 0.6]), np.array([0, 1, 0, 1, 0.0])
    pairs = [(a > b) + 0.5 * (a == b) for a, w in zip(chance, won, strict=True) if w for b, v in zip(chance, won, strict=True) if not v]
    assert scores.auc(chance, won) == pytest.approx(np.mean(pairs))
    assert scores.auc(chance, np.ones(5)) is None


def test_errors_of_single_numbers() -> None:
    forecast, truth = np.array([110.0, 80, 100]), np.array([100.0, 100, 100])
    assert scores.bias(forecast, truth) == pytest.approx(-10 / 300)
    assert scores.wape(forecast, truth) == pytest.approx(0.1)
    assert scores.mape(forecast, truth) == pytest.approx(0.1)
    assert scores.mape(forecast, np.array([100.0, 0, 100])) is None  # not of a period in which nothing was won
    assert scores.rmse(forecast, truth) == pytest.approx(np.sqrt(500 / 3))
    assert scores.mase(forecast, truth, np.array([120.0, np.nan, 120])) == pytest.approx(5 / 20)
    assert scores.wape(forecast, truth * 0) is None


def test_reliability_puts_the_certain_into_the_last_bin() -> None:
    found = scores.reliability(np.array([0.05, 0.06, 1.0]), np.array([0, 1, 1.0]))
    assert [(round(low, 1), n, rate) for low, _, _, rate, n in found] == [(0.0, 2, 0.5), (0.9, 1, 1.0)]
    assert scores.log_loss(np.array([0.5]), np.array([1.0])) == pytest.approx(np.log(2))


def test_chances_that_are_twice_as_extreme_as_what_came_have_half_the_slope() -> None:
    """A quarter of those at 0.1 and three quarters of those at 0.9: ln 3 against ln 9."""
    chance, won = np.repeat([0.1, 0.9], 4), np.array([0, 0, 0, 1, 0, 1, 1, 1], float)
    assert scores.slope(chance, won) == pytest.approx(0.5)
    assert scores.slope(np.repeat(0.5, 8), won) is None
    assert scores.slope(chance, np.ones(8)) is None


def test_r1_kaplan_meier_of_the_textbook():
    events, censored = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    curve = survival([*((float(t), True, 1) for t in events), *((float(t), False, 1) for t in censored)])
    still = [1 - (curve.reached_by(t) or 0) for t in (6, 7, 10, 13, 16, 22, 23)]
    assert still == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert (curve.quantile(0.5), curve.quantile(0.75), curve.n, curve.events) == (23, None, 21, 9)


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_the_one_scipy_draws(seed: int):
    random = Random(seed)
    counts = [(float(random.randint(0, 9)), random.random() < 0.6, random.randint(1, 4)) for _ in range(20)]
    spells = [(time, event) for time, event, n in counts for _ in range(n)]
    theirs = ecdf(CensoredData(uncensored=[t for t, event in spells if event], right=[t for t, event in spells if not event])).sf
    curve = survival(counts)
    assert list(curve.times) == list(theirs.quantiles)
    assert list(curve.shares) == pytest.approx(theirs.probabilities.tolist())
    assert (curve.n, curve.events) == (len(spells), sum(event for _, event in spells))


def test_without_any_event_there_is_no_curve():
    assert survival([(3.0, False, 2)]) == Survival((), (), 2, 0)


def test_wilson_interval_of_no_success_does_not_reach_below_zero():
    low, high = wilson(0, 10)
    assert (low, high) == (pytest.approx(0, abs=1e-12), pytest.approx(0.2775, abs=1e-4))
    assert wilson(0, 0) == (None, None)
    assert wilson(3, 2) == (None, None)  # a part larger than its whole (period ratios) has no interval
