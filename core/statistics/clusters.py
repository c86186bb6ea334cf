"""Means of units that come in groups (visitors of one account), from the sums of the groups.

Source: Liang and Zeger (1986), the sandwich estimator; for a difference of two means it is the sum over the groups of the squared
influences, with the correction G/(G−1)·(N−1)/(N−2) that statistics packages use.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.statistics.samples import Estimate


@dataclass(frozen=True)
class Grouped:
    """Sums over groups of products of the groups' totals: of their units n, outcome y and covariate x."""

    nn: float
    ny: float
    yy: float
    nx: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def __add__(self, other: Grouped) -> Grouped:
        return Grouped(
            self.nn + other.nn, self.ny + other.ny, self.yy + other.yy, self.nx + other.nx, self.xx + other.xx, self.xy + other.xy
        )


@dataclass(frozen=True)
class Across:
    """The same for groups with units in both arms: control's total times treatment's. `groups` of both arms together."""

    groups: float
    nn: float = 0.0
    ny: float = 0.0  # control's units × treatment's outcome
    yn: float = 0.0
    yy: float = 0.0
    nx: float = 0.0
    xn: float = 0.0
    xx: float = 0.0
    xy: float = 0.0  # control's covariate × treatment's outcome
    yx: float = 0.0


@dataclass(frozen=True)
class Pair:
    """Both arms' means with what groups do to their variances: `shared` is the covariance of the means."""

    control: Estimate
    treatment: Estimate
    shared: float
    df: float


def grouped_means(
    control: Estimate, treatment: Estimate, inside: tuple[Grouped, Grouped], across: Across, theta: float = 0.0, middle: float = 0.0
) -> Pair:
    """The arms' means (as given) with variances that allow for groups. theta: y is y − theta·(x − middle), as for CUPED.

    Degrees of freedom are the groups − 1.
    """
    mc, mt = control.mean - theta * middle, treatment.mean - theta * middle  # of y − theta·x: the middle is a constant
    vc, vt = (_squares(g, theta, m) / e.n**2 for g, m, e in zip(inside, (mc, mt), (control, treatment), strict=True))
    shared = _products(across, theta, mc, mt) / (control.n * treatment.n)
    units, groups = control.n + treatment.n, across.groups
    factor = groups / (groups - 1) * (units - 1) / (units - 2) if groups > 1 and units > 2 else 0.0
    return Pair(
        Estimate(control.mean, vc * factor, control.n), Estimate(treatment.mean, vt * factor, treatment.n), shared * factor, groups - 1
    )


def _squares(g: Grouped, theta: float, mean: float) -> float:
    zz = g.yy - 2 * theta * g.xy + theta * theta * g.xx
    zn = g.ny - theta * g.nx
    return zz - 2 * mean * zn + mean * mean * g.nn


def _products(a: Across, theta: float, control: float, treatment: float) -> float:
    zz = a.yy - theta * (a.xy + a.yx) + theta * theta * a.xx
    zn, nz = a.yn - theta * a.xn, a.ny - theta * a.nx  # control's z × treatment's n, and the other way round
    return zz - treatment * zn - control * nz + control * treatment * a.nn
