"""The difference between two arms, absolute or relative to the baseline, with its interval and p-value."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

from core.statistics.samples import Estimate


@dataclass(frozen=True)
class Effect:
    """An estimate with the interval and the two-sided p-value; `se` is its standard error."""

    value: float
    low: float
    high: float
    p: float
    se: float


def difference(control: Estimate, treatment: Estimate, alpha: float = 0.05, *, shared: float = 0.0, df: float | None = None) -> Effect:
    """Treatment − control by Welch's t. `shared` is the covariance of the means, where units of one account are in both arms.

    Source: Welch (1947), degrees of freedom after Satterthwaite (1946); other `df` for clusters.
    """
    variance = control.variance + treatment.variance - 2 * shared
    return _effect(treatment.mean - control.mean, variance, welch_df(control, treatment) if df is None else df, alpha)


def lift(control: Estimate, treatment: Estimate, alpha: float = 0.05, *, shared: float = 0.0, df: float | None = None) -> Effect | None:
    """(Treatment − control) ÷ |control|, its variance by the delta method; None where the control's mean is 0 or that variance is.

    Of a treatment that nobody converted in it would be 0: −100 % for certain, which a few visitors cannot tell.

    Var = v_T/μ_C² + v_C·μ_T²/μ_C⁴ − 2·cov·μ_T/μ_C³. Source: Deng, Knoblich, Lu (2018), Applying the Delta Method in Metric Analytics.
    """
    c, t = control.mean, treatment.mean
    if not c:
        return None
    variance = treatment.variance / c**2 + control.variance * t**2 / c**4 - 2 * shared * t / c**3
    if variance <= 0:
        return None
    return _effect((t - c) / abs(c), variance, welch_df(control, treatment) if df is None else df, alpha)


def welch_df(control: Estimate, treatment: Estimate) -> float:
    """Degrees of freedom of the difference of two means of unlike variance."""
    parts = [(e.variance, e.n) for e in (control, treatment)]
    below = sum(v * v / (n - 1) for v, n in parts if n > 1)
    return sum(v for v, _ in parts) ** 2 / below if below else inf


def _effect(value: float, variance: float, df: float, alpha: float) -> Effect:
    from scipy.special import stdtr, stdtrit

    se = sqrt(max(variance, 0.0))
    df = min(df, 1e12)  # as good as infinitely many, and the functions want a number
    half = float(stdtrit(df, 1 - alpha / 2)) * se
    p = 2 * float(stdtr(df, -abs(value) / se)) if se else float(value == 0)
    return Effect(value, value - half, value + half, p, se)
