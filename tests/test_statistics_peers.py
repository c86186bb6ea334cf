"""R10: tea-tasting's simulated users, as its user guide shows them, by its own program and by ours."""

from __future__ import annotations

import pytest

from core.statistics.covariate import adjusted, slope
from core.statistics.effects import difference, lift
from core.statistics.sample_ratio import chi_square
from core.statistics.samples import Sums

tt = pytest.importorskip("tea_tasting", reason="tea-tasting is not installed (group conformance)")


@pytest.fixture(scope="module")
def users():
    return tt.make_users_data(seed=42, covariates=True, return_type="arrow")


def arms(users, y: str, x: str | None = None) -> tuple[Sums, Sums]:
    found = []
    for variant in (0, 1):
        part = users.filter([v == variant for v in users["variant"].to_pylist()])
        ys = part[y].to_pylist()
        xs = part[x].to_pylist() if x else [0.0] * len(ys)
        found.append(
            Sums(len(ys), sum(ys), sum(v * v for v in ys), sum(xs), sum(v * v for v in xs), sum(a * b for a, b in zip(ys, xs, strict=True)))
        )
    return found[0], found[1]


@pytest.mark.parametrize(
    ("y", "means", "change", "p"),
    [("orders", (0.530, 0.573), 0.080, 0.118), ("revenue", (5.24, 5.73), 0.093, 0.123)],
)
def test_r10_means_lift_and_p_of_the_guide(y, means, change, p):
    plain = tt.make_users_data(seed=42, return_type="arrow")
    control, treatment = (arm.estimate() for arm in arms(plain, y))
    assert (control.mean, treatment.mean) == pytest.approx(means, rel=2e-3)
    assert lift(control, treatment).value == pytest.approx(change, abs=6e-4)
    assert difference(control, treatment).p == pytest.approx(p, abs=6e-4)


@pytest.mark.parametrize(
    ("y", "means", "change", "p"), [("orders", (0.523, 0.581), 0.11, 0.00733), ("revenue", (5.12, 5.85), 0.14, 0.00674)]
)
def test_r10_with_a_covariate(users, y, means, change, p):
    both = arms(users, y, f"{y}_covariate")
    whole = both[0] + both[1]
    control, treatment = (adjusted(arm, slope(whole), whole.x / whole.n) for arm in both)
    assert (control.mean, treatment.mean) == pytest.approx(means, rel=2e-3)
    assert lift(control, treatment).value == pytest.approx(change, abs=6e-3)
    assert difference(control, treatment).p == pytest.approx(p, abs=6e-5)


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("y", ["orders", "revenue"])
def test_every_digit_of_the_difference_is_theirs(users, y, covariate):
    x = f"{y}_covariate" if covariate else None
    theirs = tt.Experiment(it=tt.Mean(y, covariate=x)).analyze(users)["it"]
    both = arms(users, y, x)
    whole = both[0] + both[1]
    control, treatment = (adjusted(arm, slope(whole), whole.x / whole.n) for arm in both)
    found = difference(control, treatment)
    assert (control.mean, treatment.mean) == pytest.approx((theirs.control, theirs.treatment), rel=1e-9)
    assert (found.value, found.low, found.high, found.p) == pytest.approx(
        (theirs.effect_size, theirs.effect_size_ci_lower, theirs.effect_size_ci_upper, theirs.pvalue), rel=1e-6
    )
    assert lift(control, treatment).value == pytest.approx(theirs.rel_effect_size)


def test_r10_counts_of_the_variants(users):
    counts = [users["variant"].to_pylist().count(v) for v in (0, 1)]
    assert sorted(counts) == [1977, 2023]
    theirs = tt.Experiment(it=tt.SampleRatio(method="norm", correction=False)).analyze(users)["it"]
    statistic_p = chi_square(counts, [1, 1])
    assert statistic_p is not None
    assert statistic_p[1] == pytest.approx(0.467, abs=5e-4)
    assert statistic_p[1] == pytest.approx(theirs.pvalue, abs=1e-6)
