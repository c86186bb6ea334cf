"""Effects that may be looked at every day: intervals and p-values that hold at all times together.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2021), Time-uniform central limit theory, asymptotic confidence sequences;
Johari, Pekelis, Walsh (2015), Always Valid Inference (the mixture sequential probability ratio test).
"""

from __future__ import annotations

from math import exp, log, sqrt

from core.statistics.effects import Effect


def tuning(planned: float, alpha: float = 0.05) -> float:
    """ρ² that makes the interval tightest at so many units of both arms together."""
    return (-2 * log(alpha) + log(1 - 2 * log(alpha))) / planned


def anytime(effect: Effect, units: float, planned: float = 5000, alpha: float = 0.05) -> Effect:
    """The effect with an interval and a p-value that stay true however often one looks. units: of both arms together."""
    rho2 = tuning(planned, alpha)
    sigma = effect.se * sqrt(units)
    half = sigma * sqrt(2 * (units * rho2 + 1) / (units * units * rho2) * log(sqrt(units * rho2 + 1) / alpha))
    p = mixture_p(effect.value, sigma * sigma, units, rho2 * sigma * sigma) if sigma else float(effect.value == 0)
    return Effect(effect.value, effect.value - half, effect.value + half, p, effect.se)


def mixture_p(value: float, variance: float, units: float, tau2: float, before: float = 1.0) -> float:
    """p after `units`, never larger than the one `before`. variance: of one unit's effect; tau2: of the effects thought possible.

    Λ = √(V/(V + nτ²))·exp(n²τ²d²/(2V(V + nτ²))), p = min(before, 1/Λ).
    """
    whole = variance + units * tau2
    log_ratio = log(variance / whole) / 2 + units**2 * tau2 * value**2 / (2 * variance * whole)
    return min(before, exp(-log_ratio) if log_ratio > 0 else 1.0)
