"""CUPED: what was known of a unit before the experiment takes its part out of the outcome's variance.

Source: Deng, Xu, Kohavi, Walker (2013), Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data.
"""

from __future__ import annotations

from core.statistics.samples import Estimate, Sums


def slope(arms: Sums) -> float:
    """θ = Cov(X, Y) ÷ Var(X) over both arms together; 0 where the covariate says nothing."""
    return arms.cov / arms.var_x if arms.var_x else 0.0


def adjusted(arm: Sums, theta: float, middle: float) -> Estimate:
    """The mean of y − θ·(x − middle); `middle` is the covariate's mean over both arms."""
    variance = arm.var_y - 2 * theta * arm.cov + theta * theta * arm.var_x
    return Estimate(arm.y / arm.n - theta * (arm.x / arm.n - middle), variance / arm.n, arm.n)
