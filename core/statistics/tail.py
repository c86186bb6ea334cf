"""How many of a cohort stay, period by period, and beyond what was seen: the shifted-beta-geometric model.

Each customer leaves with a probability of his own, which differ by a beta distribution: so those who are left leave less and less.
Source: Fader and Hardie (2007), How to Project Customer Retention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STEPS, _ENOUGH = 200, 1e-10


@dataclass(frozen=True)
class Tail:
    """Parameters of the beta distribution of the probabilities to leave."""

    alpha: float
    beta: float

    def rate(self, period: int) -> float:
        """Of those who came so far, the share that stays through the period (1: the first)."""
        return (self.beta + period - 1) / (self.alpha + self.beta + period - 1)

    def left(self, periods: int) -> float:
        """The share still there after so many periods."""
        return float(np.prod([self.rate(k) for k in range(1, periods + 1)]))


def fitted(counts: Sequence[tuple[float, float]]) -> Tail | None:
    """By maximum likelihood from (came into the period, stayed through it), period by period; several cohorts may be added up.

    None where fewer than two periods were seen, nobody left or nobody stayed, or leaving does not slow down: then there is no such model.
    """
    seen = np.array([pair for pair in counts if pair[0] > 0], float).reshape(-1, 2)
    lost, kept = seen[:, 0] - seen[:, 1], seen[:, 1]
    if len(seen) < 2 or lost.sum() <= 0 or kept.sum() <= 0:
        return None
    at, k = np.zeros(2), np.arange(len(seen), dtype=float)  # logarithms of alpha and beta
    best = _likelihood(at, lost, kept, k)
    for _ in range(_STEPS):
        slope, bend = _derivatives(at, lost, kept, k)
        if np.abs(slope).max() < _ENOUGH * max(seen[0, 0], 1.0):
            break
        values, vectors = np.linalg.eigh(bend)
        step = vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), 1e-12))  # uphill, also where the surface is no bowl
        step *= min(1.0, 2.0 / np.abs(step).max())
        while (tried := _likelihood(at + step, lost, kept, k)) < best and np.abs(step).max() > 1e-14:
            step /= 2
        at, best = at + step, tried
    alpha, beta = np.exp(at)
    return Tail(float(alpha), float(beta)) if max(alpha, beta) < 1e4 else None


Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def _likelihood(at: Vector, lost: Vector, kept: Vector, k: Vector) -> float:
    alpha, beta = np.exp(at)
    return float((lost * np.log(alpha) + kept * np.log(beta + k) - (lost + kept) * np.log(alpha + beta + k)).sum())


def _derivatives(at: Vector, lost: Vector, kept: Vector, k: Vector) -> tuple[Vector, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """By the logarithms."""
    alpha, beta = np.exp(at)
    both, n = alpha + beta + k, lost + kept
    by = np.array([(lost / alpha - n / both).sum(), (kept / (beta + k) - n / both).sum()])
    mixed = (n / both**2).sum()
    bend = np.array([[mixed - (lost / alpha**2).sum(), mixed], [mixed, mixed - (kept / (beta + k) ** 2).sum()]])
    scale = np.array([alpha, beta])
    return by * scale, bend * np.outer(scale, scale) + np.diag(by * scale)
