"""The formulas under experiments, against published numbers and other people's programs. R9 … R14 name reference answers."""

from __future__ import annotations

from dataclasses import astuple
from itertools import product
from math import log, sqrt
from random import Random

import pytest

from core.statistics.chances import better, of_counts, of_effect
from core.statistics.clusters import Across, Grouped, grouped_means
from core.statistics.covariate import adjusted, slope
from core.statistics.effects import difference, lift
from core.statistics.multiple import false_discovery
from core.statistics.power import detectable, units_for_effect, units_for_share
from core.statistics.proportions import newcombe, pooled_p, wilson
from core.statistics.sample_ratio import chi_square
from core.statistics.samples import Estimate, Sums, counted
from core.statistics.sequential import anytime, mixture_p, tuning

# R9: the A/B pair of GrowthBook's tests of its statistics.
A = Sums(3407, 1396.87, 52377.9767)
B = Sums(3461, 2422.7, 134698.29)


def test_r9_relative_effect_of_two_means():
    found = lift(A.estimate(), B.estimate())
    assert (found.value, found.low, found.high) == pytest.approx((0.70732, -0.03526, 1.44989), abs=5e-6)
    assert (found.se, found.p) == pytest.approx((0.37879, 0.06191), abs=5e-6)


def test_r9_absolute_effect_of_two_means():
    found = difference(A.estimate(), B.estimate())
    assert (found.value, found.low, found.high) == pytest.approx((0.29, 0.04538, 0.53462), abs=5e-6)
    assert (found.se, found.p) == pytest.approx((0.12478, 0.02016), abs=5e-6)


def test_r9_relative_effect_of_two_shares():
    found = lift(_share(14, 28), _share(16, 30))
    assert (found.value, found.low, found.high, found.p) == pytest.approx((0.06667, -0.47767, 0.61101, 0.80707), abs=5e-6)


def _share(hits: float, n: float) -> Estimate:
    """As GrowthBook has it: the variance of a share is p(1 − p), not that of a sample."""
    p = hits / n
    return Estimate(p, p * (1 - p) / n, n)


def test_r9_always_valid_intervals():
    means = lift(Sums(3000, A.y, A.yy).estimate(), B.estimate())
    found = anytime(means, 3000 + 3461, 1000)
    assert (found.value, found.low, found.high) == pytest.approx((0.50336, -0.55844, 1.56516), abs=5e-6)
    assert found.p == 1
    shares = lift(_share(1396, 3000), _share(2422, 3461))
    found = anytime(shares, 6461, 5000)
    assert (found.value, found.low, found.high) == pytest.approx((0.50386, 0.40098, 0.60675), abs=5e-6)
    assert found.p < 1e-9


def test_the_always_valid_interval_ends_where_its_p_value_is_alpha():
    effect = difference(A.estimate(), B.estimate())
    wide = anytime(effect, 6868)
    half = (wide.high - wide.low) / 2
    sigma2 = effect.se**2 * 6868
    assert mixture_p(half, sigma2, 6868, tuning(5000) * sigma2) == pytest.approx(0.05, abs=1e-9)
    assert mixture_p(half, sigma2, 6868, tuning(5000) * sigma2, before=0.01) == 0.01  # it never grows
    assert half > (effect.high - effect.low) / 2


def test_r9_chance_to_win_and_risk():
    shares = lift(_share(49, 100), _share(51, 100), alpha=0.05)
    found = of_effect(shares.value, shares.se)
    assert (shares.value, shares.value - 1.959964 * shares.se) == pytest.approx((0.04082, -0.24779), abs=5e-6)
    assert astuple(found) == pytest.approx((0.60918, 0.0814, 0.04058), abs=6e-6)
    means = lift(Sums(10, 100, 1002.25).estimate(), Sums(10, 105, 1111.5).estimate())
    reach = 1.959964 * means.se
    assert (means.value, means.value - reach, means.value + reach) == pytest.approx((0.05, -0.02, 0.12), abs=5e-4)
    assert astuple(of_effect(means.value, means.se)) == pytest.approx((0.91923, 0.05131, 0.00131), abs=6e-6)


def test_a_relative_effect_of_a_negative_baseline_is_over_its_size():
    found = lift(Estimate(-2, 0.01, 50), Estimate(-1, 0.01, 50))
    assert found.value == 0.5
    assert lift(Estimate(0, 0.01, 50), Estimate(1, 0.01, 50)) is None
    assert lift(_share(5, 50), _share(0, 50)) is None  # not −100 % with an interval of no width


def test_r11_a_broken_sample_ratio():
    statistic, p = chi_square([821_588, 815_482], [50, 50])
    assert (statistic, p) == pytest.approx((22.7744, 1.8218e-6), rel=5e-5)
    assert chi_square([10], [1]) is None
    assert chi_square([0, 0], [1, 1]) is None
    assert chi_square([10, 20, 7], [1, 2, 0])[0] == 0  # a variant nobody should see is no arm


BH = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0)


def test_r12_benjamini_and_hochberg_reject_four_where_bonferroni_rejects_three():
    assert sum(p <= 0.05 for p in false_discovery(BH)) == 4
    assert sum(p * len(BH) <= 0.05 for p in BH) == 3


def test_adjusted_p_values_are_those_of_statsmodels_in_any_order():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    shuffled = Random(4).sample(BH, len(BH))
    assert false_discovery(shuffled) == pytest.approx(multitest.multipletests(shuffled, method="fdr_bh")[1].tolist())
    assert false_discovery([]) == []


@pytest.mark.parametrize(("variance", "units"), [("baseline", 1030), ("pooled", 1094), ("cohen", 1092)])
def test_r13_sample_size_from_20_to_25_percent(variance, units):
    assert units_for_share(0.20, 0.25, variance=variance) == units


def test_sample_size_by_cohens_h_is_that_of_statsmodels():
    power = pytest.importorskip("statsmodels.stats.power")
    effect = pytest.importorskip("statsmodels.stats.proportion").proportion_effectsize(0.25, 0.20)
    theirs = power.NormalIndPower().solve_power(effect, alpha=0.05, power=0.8)
    assert units_for_share(0.20, 0.25, variance="cohen") - 1 < theirs <= units_for_share(0.20, 0.25, variance="cohen")


def test_the_detectable_effect_and_the_units_for_it_undo_each_other():
    least = detectable(0.01)
    assert least == pytest.approx(0.0280158, abs=1e-7)
    assert units_for_effect(0.01, 5000, least) in (5000, 5001)
    assert units_for_effect(0.01, 5000, least / 2) in (20_000, 20_001)
    assert units_for_effect(0.01, 5000, 0) is None


def test_r14_the_chance_that_b_is_better():
    assert better((50, 52), (52, 50)) == pytest.approx(0.6107705, abs=1e-7)
    assert better((101, 901), (121, 881)) == pytest.approx(0.9231834, abs=1e-7)


@pytest.mark.parametrize(("a", "b"), [((50, 52), (52, 50)), ((3, 90), (9, 80)), ((1, 1), (1, 1))])
def test_chance_and_expected_loss_agree_with_quadrature(a, b):
    found = of_counts((a[0] - 1, sum(a) - 2), (b[0] - 1, sum(b) - 2))
    import numpy as np
    from scipy.special import betaln

    grid = (np.arange(2000) + 0.5) / 2000
    one, other = (np.exp((p - 1) * np.log(grid) + (q - 1) * np.log1p(-grid) - betaln(p, q)) for p, q in (a, b))
    weights = np.outer(one, other) / 2000**2
    gain = grid[None, :] - grid[:, None]

    def mean_of(loss):
        return float((weights * np.maximum(loss, 0)).sum())

    if a == (50, 52):
        assert found.better == pytest.approx(0.6107705, abs=1e-7)
    assert found.loss_control == pytest.approx(mean_of(gain), abs=1e-5)
    assert found.loss_treatment == pytest.approx(mean_of(-gain), abs=1e-5)


def test_chances_of_hundreds_of_thousands_of_conversions_are_computed():
    found = of_counts((300_000, 1_000_000), (300_600, 1_000_000))
    assert found.better == pytest.approx(of_effect(0.0006, sqrt(2 * 0.3 * 0.7 / 1e6)).better, abs=1e-3)


def test_newcombe_interval_is_that_of_the_paper():
    """Newcombe (1998), table II: 56/70 − 48/80 by method 10 is 0.0524 to 0.3339."""
    assert newcombe((48, 80), (56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe((0, 20), (0, 10)) == pytest.approx((-0.1611, 0.2775), abs=5e-5)
    assert newcombe((0, 0), (1, 2)) == (-1, 1)


def test_shares_agree_with_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for x, m, y, n in ((7, 90, 15, 80), (0, 40, 4, 50), (30, 30, 29, 30)):
        assert newcombe((x, m), (y, n)) == pytest.approx(proportion.confint_proportions_2indep(y, n, x, m, method="newcomb"))
        assert wilson(x, m) == pytest.approx(proportion.proportion_confint(x, m, method="wilson"))
        assert pooled_p((x, m), (y, n)) == pytest.approx(proportion.proportions_ztest([y, x], [n, m])[1])
    assert pooled_p((0, 10), (0, 10)) is None


def sums(rows) -> Sums:
    """Of (y, x) pairs."""
    parts = [Sums(1, y, y * y, x, x * x, x * y) for y, x in rows]
    return sum(parts[1:], parts[0])


def groups(rows) -> tuple[tuple[Grouped, Grouped], Across]:
    """Of (group, arm, y, x) rows."""
    total: dict[tuple[int, int], list[float]] = {}
    for group, arm, y, x in rows:
        at = total.setdefault((arm, group), [0, 0, 0])
        total[arm, group] = [at[0] + 1, at[1] + y, at[2] + x]
    inside = []
    for arm in (0, 1):
        each = [Grouped(n * n, n * y, y * y, n * x, x * x, x * y) for (of, _), (n, y, x) in total.items() if of == arm]
        inside.append(sum(each[1:], each[0]))
    names = {group for _, group in total}
    shared = [(total[0, g], total[1, g]) for g in names if (0, g) in total and (1, g) in total]
    products = {f"{a}{b}": sum(one["nyx".index(a)] * other["nyx".index(b)] for one, other in shared) for a, b in product("nyx", repeat=2)}
    return (inside[0], inside[1]), Across(len(names), **products)


@pytest.fixture(scope="module")
def clustered():
    rng = Random(11)
    rows = []
    for group in range(60):
        mood = rng.gauss(0, 2)
        for _ in range(rng.randint(1, 6)):
            arm, x = rng.randint(0, 1), rng.gauss(mood, 1)
            rows.append((group, arm, 5 + arm + mood + 0.8 * x + rng.gauss(0, 1), x))
    return rows


@pytest.mark.parametrize("covariate", [False, True])
def test_cluster_robust_errors_are_those_of_a_regression(clustered, covariate):
    """statsmodels' OLS with cluster covariance on y − θ(x − x̄), with groups that have units in both arms."""
    api = pytest.importorskip("statsmodels.api")
    import numpy as np

    arms = [sums([(y, x) for _, arm, y, x in clustered if arm == of]) for of in (0, 1)]
    both = arms[0] + arms[1]
    theta, middle = (slope(both), both.x / both.n) if covariate else (0.0, 0.0)
    control, treatment = (adjusted(arm, theta, middle) for arm in arms)
    inside, across = groups(clustered)
    pair = grouped_means(control, treatment, inside, across, theta, middle)
    found = difference(pair.control, pair.treatment, shared=pair.shared, df=pair.df)
    arm = np.array([of for _, of, _, _ in clustered])
    z = np.array([y - theta * (x - middle) for _, _, y, x in clustered])
    theirs = api.OLS(z, api.add_constant(arm)).fit(
        cov_type="cluster", cov_kwds={"groups": np.array([g for g, *_ in clustered])}, use_t=True
    )
    assert (found.value, found.se, found.p) == pytest.approx((theirs.params[1], theirs.bse[1], theirs.pvalues[1]))
    assert (found.low, found.high) == pytest.approx(tuple(theirs.conf_int()[1]))


def test_visitors_of_one_account_in_one_arm_make_the_interval_wider(clustered):
    arms = [sums([(y, x) for _, arm, y, x in clustered if arm == of]) for of in (0, 1)]
    plain = difference(*(arm.estimate() for arm in arms))
    rows = [(group + 1000 * arm, arm, y, x) for group, arm, y, x in clustered]  # no account in both arms
    pair = grouped_means(*(arm.estimate() for arm in arms), *groups(rows))
    wide = difference(pair.control, pair.treatment, shared=pair.shared, df=pair.df)
    assert wide.se > 1.3 * plain.se
    assert pair.shared == 0


def test_a_covariate_that_knows_the_outcome_makes_the_interval_narrower(clustered):
    arms = [sums([(y, x) for _, arm, y, x in clustered if arm == of]) for of in (0, 1)]
    both = arms[0] + arms[1]
    adjusted_arms = [adjusted(arm, slope(both), both.x / both.n) for arm in arms]
    assert difference(*adjusted_arms).se < 0.6 * difference(*(arm.estimate() for arm in arms)).se
    assert slope(counted(3, 10)) == 0


def test_tuning_is_the_formula_of_the_paper():
    assert tuning(5000) == pytest.approx((-2 * log(0.05) + log(1 - 2 * log(0.05))) / 5000)
