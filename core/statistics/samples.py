"""What is known of a sample without its rows: counts and sums, and the mean they estimate."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Sums:
    """Sums over the units of one arm: of the outcome y, of a covariate x, of their squares and their product."""

    n: float
    y: float
    yy: float
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.y + other.y, self.yy + other.yy, self.x + other.x, self.xx + other.xx, self.xy + other.xy)

    @property
    def var_y(self) -> float:
        return _spread(self.yy, self.y, self.y, self.n)

    @property
    def var_x(self) -> float:
        return _spread(self.xx, self.x, self.x, self.n)

    @property
    def cov(self) -> float:
        return _spread(self.xy, self.x, self.y, self.n)

    def estimate(self) -> Estimate:
        """The mean of y; no variance for fewer than two units."""
        return Estimate(self.y / self.n if self.n else 0.0, self.var_y / self.n if self.n else 0.0, self.n)


@dataclass(frozen=True)
class Estimate:
    """A mean, the variance of that mean (not of the units), and how many units it is of."""

    mean: float
    variance: float
    n: float


def counted(hits: float, n: float) -> Sums:
    """A proportion as a sample of noughts and ones."""
    return Sums(n, hits, hits)


def _spread(products: float, one: float, other: float, n: float) -> float:
    return (products - one * other / n) / (n - 1) if n > 1 else 0.0


def quantile(p: float) -> float:
    """Of the standard normal distribution."""
    return _NORMAL.inv_cdf(p)


def below(z: float) -> float:
    """The standard normal distribution function, exact in both tails."""
    return erfc(-z / sqrt(2)) / 2


def density(z: float) -> float:
    return _NORMAL.pdf(z)
