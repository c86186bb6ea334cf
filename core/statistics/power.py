"""How many units a test needs, and the smallest effect it would have found. Per arm, arms of one size, two-sided."""

from __future__ import annotations

from math import asin, ceil, sqrt
from typing import Literal

from core.statistics.samples import quantile

Variance = Literal["baseline", "pooled", "cohen"]


def units_for_share(base: float, wanted: float, alpha: float = 0.05, power: float = 0.8, variance: Variance = "pooled") -> int:
    """Units per arm that find the change of a share with probability `power`.

    `variance` under "no effect": that of the baseline alone (Evan Miller's calculator), of both pooled (Fleiss 1981), or the arcsine
    transform's (Cohen 1988, h).
    """
    a, b = quantile(1 - alpha / 2), quantile(power)
    if variance == "cohen":
        h = 2 * (asin(sqrt(wanted)) - asin(sqrt(base)))
        return ceil(2 * ((a + b) / h) ** 2)
    middle = (base + wanted) / 2
    none = 2 * (base * (1 - base) if variance == "baseline" else middle * (1 - middle))
    some = base * (1 - base) + wanted * (1 - wanted)
    exact = ((a * sqrt(none) + b * sqrt(some)) / (wanted - base)) ** 2
    return round(exact) if variance == "baseline" else ceil(exact)  # the calculator rounds


def detectable(se: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest effect that a test with this standard error finds with probability `power`, in the effect's unit."""
    return (quantile(1 - alpha / 2) + quantile(power)) * se


def units_for_effect(se: float, units: float, effect: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Units of both arms together that would find the effect, where `units` gave this standard error; None for no effect."""
    return ceil(units * (detectable(se, alpha, power) / effect) ** 2) if effect else None
