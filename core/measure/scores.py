"""How good forecasts were: of single numbers, of intervals, of probabilities. Pure functions on arrays; None where nothing can be said.

Source: Gneiting and Raftery (2007), strictly proper scoring rules; Hyndman and Koehler (2006), measures of forecast accuracy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.statistics.logistic import logistic, logit

Array = NDArray[Any]


def bias(forecast: Array, truth: Array) -> float | None:
    """Σ(F − Y) ÷ ΣY: 0.1 is a tenth too much."""
    return float((forecast - truth).sum() / truth.sum()) if truth.sum() else None


def wape(forecast: Array, truth: Array) -> float | None:
    """Σ|F − Y| ÷ ΣY."""
    return float(np.abs(forecast - truth).sum() / truth.sum()) if truth.sum() else None


def rmse(forecast: Array, truth: Array) -> float | None:
    return float(np.sqrt(np.mean((forecast - truth) ** 2))) if len(truth) else None


def mape(forecast: Array, truth: Array) -> float | None:
    """mean |F − Y| ÷ Y; None where any Y is not above 0."""
    return float(np.mean(np.abs(forecast - truth) / truth)) if len(truth) and (truth > 0).all() else None


def mase(forecast: Array, truth: Array, naive: Array) -> float | None:
    """The mean error against that of a naive forecast of the same points: below 1 is better than naive."""
    there = ~np.isnan(naive)
    least = np.abs(naive[there] - truth[there]).mean() if there.any() else 0.0
    return float(np.abs(forecast[there] - truth[there]).mean() / least) if least else None


def pinball(forecast: Array, truth: Array, q: float) -> float | None:
    """mean of max(q(y − f), (q − 1)(y − f))."""
    miss = truth - forecast
    return float(np.maximum(q * miss, (q - 1) * miss).mean()) if len(truth) else None


def crps(draws: Array, truth: float) -> float:
    """mean|x − y| − ½ mean|x − x'| of an ensemble, in n log n."""
    x = np.sort(np.asarray(draws, float))
    n = len(x)
    apart = 2 * ((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * n)
    return float(np.abs(x - truth).mean() - apart / 2)


def brier(chance: Array, won: Array) -> float | None:
    return float(np.mean((chance - won) ** 2)) if len(won) else None


def log_loss(chance: Array, won: Array) -> float | None:
    """Natural logarithm; probabilities are kept a millionth away from 0 and 1."""
    if not len(won):
        return None
    p = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-np.mean(won * np.log(p) + (1 - won) * np.log(1 - p)))


def auc(chance: Array, won: Array) -> float | None:
    """The probability that a won deal had the higher chance than one not won; ties count half. None where all went one way."""
    positive = int(won.sum())
    negative = len(won) - positive
    if not positive or not negative:
        return None
    _, place, count = np.unique(chance, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[won.astype(bool)].sum() - positive * (positive + 1) / 2) / (positive * negative))


def slope(chance: Array, won: Array) -> float | None:
    """Of the outcome's logit on the chance's: 1 is right, below it chances are too extreme, above it too timid. None where chances or
    outcomes are all alike. Source: Cox (1958), two further applications of a model for binary regression."""
    if not len(won) or won.min() == won.max() or np.ptp(chance) < 1e-9:
        return None
    return float(logistic(logit(chance)[:, None], won, ridge=1e-9)[1])


def reliability(chance: Array, won: Array, bins: int = 10) -> list[tuple[float, float, float, float, int]]:
    """(from, to, mean chance, share won, deals) of the bins that have any."""
    place = np.minimum((chance * bins).astype(int), bins - 1)
    found = []
    for i in range(bins):
        mine = place == i
        if mine.any():
            found.append((i / bins, (i + 1) / bins, float(chance[mine].mean()), float(won[mine].mean()), int(mine.sum())))
    return found
