"""Waiting times and removal effects, next to the programs that people trust for them (group conformance)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from core.measure.durations import incidence, kaplan_meier, log_rank
from core.measure.removal import CONVERTED, LOST, START, removal

lifelines = pytest.importorskip("lifelines", reason="lifelines is not installed (group conformance)")


@pytest.fixture(scope="module")
def leukemia() -> tuple[list[tuple[float, int, int]], list[tuple[float, int, int]]]:
    """R1: (weeks, ended, one) under 6-MP and under placebo."""
    from lifelines.datasets import load_leukemia

    rows = load_leukemia()
    return tuple([(float(r.t), int(r.status), 1) for r in rows[rows.Rx == arm].itertuples()] for arm in (0, 1))  # type: ignore[return-value]


def drawn(n: int, seed: int) -> list[tuple[float, int, float]]:
    """(time, which of two ends or none, entry before it), no two at one time."""
    luck = Random(seed)
    times = luck.sample(range(10, 10_000), n)
    return [(float(t), luck.choice((0, 1, 1, 2)), float(luck.randrange(t)) if luck.random() < 0.4 else 0.0) for t in times]


def test_kaplan_meier_with_ties_is_lifelines(leukemia):
    ours = kaplan_meier(leukemia[0])
    theirs = lifelines.KaplanMeierFitter().fit([t for t, _, _ in leukemia[0]], [e for _, e, _ in leukemia[0]])
    shares, limits = theirs.survival_function_.loc[ours.times].iloc[:, 0], theirs.confidence_interval_.loc[ours.times]
    assert ours.shares == pytest.approx(shares.to_numpy(), abs=1e-12)
    assert ours.lows == pytest.approx(limits.iloc[:, 0].to_numpy(), abs=1e-9)
    assert ours.highs == pytest.approx(limits.iloc[:, 1].to_numpy(), abs=1e-9)
    assert ours.quantile(0.5)[0] == theirs.median_survival_time_ == 23
    assert ours.restricted_mean(20) == pytest.approx(lifelines.utils.restricted_mean_survival_time(theirs, t=20), abs=1e-9)


def test_log_rank_is_lifelines(leukemia):
    from lifelines.statistics import logrank_test

    times, ended = ([[row[i] for row in arm] for arm in leukemia] for i in (0, 1))
    assert log_rank(*leukemia) == pytest.approx(logrank_test(*times, *ended).test_statistic, abs=1e-9)


def test_who_was_watched_from_the_middle_on_counts_as_in_lifelines():
    rows = drawn(200, 3)
    ours = kaplan_meier([(t, int(end > 0), 1) for t, end, _ in rows], {entry: 1 for _, _, entry in rows if entry})
    theirs = lifelines.KaplanMeierFitter().fit([t for t, _, _ in rows], [end > 0 for _, end, _ in rows], entry=[e for _, _, e in rows])
    assert ours.shares == pytest.approx(theirs.survival_function_.loc[ours.times].iloc[:, 0].to_numpy(), abs=1e-12)


@pytest.mark.parametrize("end", [1, 2])
def test_ends_that_compete_are_lifelines(end):
    """Without ties: lifelines moves tied times apart by chance."""
    rows = drawn(300, 4)
    ours = incidence([(t, kind, 1) for t, kind, _ in rows], 2)
    theirs = lifelines.AalenJohansenFitter(calculate_variance=False).fit([t for t, _, _ in rows], [k for _, k, _ in rows], end)
    assert ours.shares[:, end - 1] == pytest.approx(theirs.cumulative_density_.loc[ours.times].iloc[:, 0].to_numpy(), abs=1e-12)


def test_removal_effects_are_channelattributions():
    """It walks the chain by chance, and by default no further than the longest way it was given: within a percent."""
    oracle = pytest.importorskip("ChannelAttribution", reason="ChannelAttribution is not installed (group conformance)")
    import pandas as pd

    data = pd.DataFrame({"path": ["a > b > c", "a", "b > c", "c > a"], "n": [40, 10, 25, 25], "lost": [60, 90, 75, 75]})
    walk = {"nsim_start": 1_000_000, "max_step": 1000, "seed": 1}
    theirs = oracle.markov_model(data, "path", "n", var_null="lost", order=1, **walk, out_more=True, verbose=False, flg_pro=False)
    steps: dict[tuple[str, str], float] = {}
    for path, n, lost in data.itertuples(index=False):
        names = [START, *path.split(" > ")]
        for here, there, count in [(*step, n + lost) for step in pairwise(names)] + [(names[-1], CONVERTED, n), (names[-1], LOST, lost)]:
            steps[here, there] = steps.get((here, there), 0) + count
    ours, given = removal([steps]), theirs["result"]
    whole = given["total_conversions"].sum()
    assert {r.channel_name: r.total_conversions / whole for r in given.itertuples()} == pytest.approx(ours.credit, rel=0.01)
    assert {r.channel_name: r.removal_effect for r in theirs["removal_effects"].itertuples()} == pytest.approx(ours.effect, rel=0.01)
