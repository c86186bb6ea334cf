"""Did the arms get the units that were planned?

Source: Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments; Pearson's chi-square.
"""

from __future__ import annotations

from collections.abc import Sequence


def chi_square(counts: Sequence[float], shares: Sequence[float]) -> tuple[float, float] | None:
    """(statistic, p) of the counts against planned shares, of whatever sum; None without two arms that are due anybody."""
    from scipy.special import chdtrc

    arms = [(n, share) for n, share in zip(counts, shares, strict=True) if share > 0]
    units, whole = sum(n for n, _ in arms), sum(share for _, share in arms)
    if len(arms) < 2 or not units:
        return None
    statistic = sum((n - units * share / whole) ** 2 / (units * share / whole) for n, share in arms)
    return statistic, float(chdtrc(len(arms) - 1, statistic))
