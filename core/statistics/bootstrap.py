"""The difference of two means of which few units have anything: by drawing, where no normal distribution is near.

Source: Efron (1979); percentile interval.
"""

from __future__ import annotations

from collections.abc import Sequence

_DRAWS = 2000
_SEED = 19_790_101
Values = Sequence[tuple[float, int]]  # (what a unit had, how many had it); all others had nothing


def mean_difference(control: Values, n_control: int, treatment: Values, n_treatment: int, alpha: float = 0.05) -> tuple[float, float]:
    """The interval of treatment − control; n: all units, those with nothing too. The same draws every time."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    means = []
    for values, n in ((control, n_control), (treatment, n_treatment)):
        counts = np.array([*(k for _, k in values), n - sum(k for _, k in values)], dtype=float)
        drawn = rng.multinomial(n, counts / n, size=_DRAWS)
        means.append(drawn[:, :-1] @ np.array([v for v, _ in values]) / n if values else np.zeros(_DRAWS))
    low, high = np.quantile(means[1] - means[0], (alpha / 2, 1 - alpha / 2))
    return float(low), float(high)
