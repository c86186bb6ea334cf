"""Shares of counts: one with its interval, two with the interval of their difference."""

from __future__ import annotations

from math import erfc, sqrt

from core.statistics.samples import quantile


def wilson(part: float, whole: float, alpha: float = 0.05) -> tuple[float | None, float | None]:
    """The score interval of a share. Source: Wilson (1927)."""
    if not whole or part > whole:  # people may skip a step: then the next has more of them, and no share is meant
        return None, None
    return _score(part, whole, alpha)


def _score(part: float, whole: float, alpha: float) -> tuple[float, float]:
    z = quantile(1 - alpha / 2)
    p, z2 = part / whole, z * z
    middle = (p + z2 / (2 * whole)) / (1 + z2 / whole)
    half = z / (1 + z2 / whole) * sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole))
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(control: tuple[float, float], treatment: tuple[float, float], alpha: float = 0.05) -> tuple[float, float]:
    """The interval of treatment − control from (hits, units) each; (-1, 1) where an arm is empty.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 10.
    """
    if not control[1] or not treatment[1]:
        return -1.0, 1.0
    p, q = control[0] / control[1], treatment[0] / treatment[1]
    (p_low, p_high), (q_low, q_high) = _score(*control, alpha), _score(*treatment, alpha)
    return q - p - sqrt((q - q_low) ** 2 + (p_high - p) ** 2), q - p + sqrt((q_high - q) ** 2 + (p - p_low) ** 2)


def pooled_p(control: tuple[float, float], treatment: tuple[float, float]) -> float | None:
    """The two-sided p-value of equal shares (z test, pooled variance); None where nobody or everybody hit. Source: Fleiss (1981)."""
    (x, m), (y, n) = control, treatment
    p = (x + y) / (m + n) if m + n else 0.0
    se = sqrt(p * (1 - p) * (1 / m + 1 / n)) if m and n else 0.0
    return erfc(abs(y / n - x / m) / se / sqrt(2)) if se else None
