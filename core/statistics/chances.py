"""How probably one arm is better than the other, and what choosing the wrong one costs.

Source: Miller (2015), Formulas for Bayesian A/B Testing; Stucchio (2015), Bayesian A/B Testing at VWO (expected loss).
"""

from __future__ import annotations

from dataclasses import dataclass

from core.statistics.samples import below, density


@dataclass(frozen=True)
class Chance:
    """That the treatment is better; what is lost on average by keeping the control, and by taking the treatment."""

    better: float
    loss_control: float
    loss_treatment: float


def better(a: tuple[float, float], b: tuple[float, float]) -> float:
    """P(B > A) for posteriors Beta(α, β); α and β of both whole numbers, as uniform priors make them."""
    import numpy as np
    from scipy.special import betaln

    (p, q), (r, s) = a, b
    i = np.arange(int(r))
    return float(np.exp(betaln(p + i, q + s) - np.log(s + i) - betaln(1 + i, s) - betaln(p, q)).sum())


def of_counts(control: tuple[float, float], treatment: tuple[float, float]) -> Chance:
    """From (hits, units) each, uniform priors: posteriors Beta(1 + hits, 1 + misses)."""
    a, b = ((1 + hits, 1 + units - hits) for hits, units in (control, treatment))
    chance = better(a, b)
    mean_a, mean_b = a[0] / sum(a), b[0] / sum(b)
    gain = mean_b * better(a, (b[0] + 1, b[1])) - mean_a * better((a[0] + 1, a[1]), b)
    return Chance(chance, max(gain, 0.0), max(gain - (mean_b - mean_a), 0.0))


def of_effect(value: float, se: float) -> Chance:
    """From an effect and its standard error, flat prior, normal posterior; losses in the effect's unit."""
    if not se:
        return Chance(float(value > 0), max(value, 0.0), max(-value, 0.0))
    z = value / se
    gain = se * density(z) + value * below(z)
    return Chance(below(z), gain, gain - value)
