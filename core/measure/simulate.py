"""What may come in until the end of a period, drawn many times: open deals, business that is not there yet, and a shock to all of it.

Draws are seeded from the instant they are made for, so the same lake gives the same numbers to the last byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DRAWS = 10_000
SINGLE = 200  # so many deals are drawn one by one; the many small ones together are as good as normal
SHOCK = 0.3  # log-sd of the common shock until there is a backtest to take it from
_LIMIT = 200.0  # more new deals than this are as good as normal, too


@dataclass(frozen=True)
class NewBusiness:
    """Deals that are created and won inside a span of days: how many to expect, and what such deals were worth."""

    count: float
    sizes: Array
    spans: int  # of the past, that this was seen in

    @property
    def expected(self) -> float:
        return self.count * float(self.sizes.mean()) if len(self.sizes) else 0.0

    @property
    def variance(self) -> float:
        return self.count * float((self.sizes**2).mean()) if len(self.sizes) else 0.0


NOTHING_NEW = NewBusiness(0.0, np.array([]), 0)


def new_business(
    created: Array, won: Array, amount: Array, at: float, days: float, step: float, first: float, most: int = 8
) -> NewBusiness:
    """From the last spans of the same length, each `step` days before the next, that lie between `first` and `at` (days)."""
    spans = [at - step * k for k in range(1, most + 1) if at - step * k >= first and at - step * k + days <= at]
    inside = np.zeros(len(won), bool)
    hits = 0
    for since in spans:
        mine = (created >= since) & (won > since) & (won <= since + days)
        hits += int(mine.sum())
        inside |= mine
    return NewBusiness(hits / len(spans), amount[inside], len(spans)) if spans and hits else NewBusiness(0.0, np.array([]), len(spans))


@dataclass(frozen=True)
class Book:
    """Open deals: the chance of each to be won in time, what it is quoted at, and how wins compared with quotes (a pool of ratios)."""

    chance: Array
    amount: Array
    ratios: Array

    @property
    def expected(self) -> float:
        return float((self.chance * self.amount).sum() * self.ratios.mean())

    @property
    def variance(self) -> float:
        return float(self._variances.sum())

    @property
    def _variances(self) -> Array:
        mean, square = self.ratios.mean(), (self.ratios**2).mean()
        found: Array = self.amount**2 * (self.chance * square - self.chance**2 * mean**2)
        return found


def simulate(book: Book, new: NewBusiness, shock: float, seed: int, draws: int = DRAWS) -> Array:
    """Totals, sorted: shock × (Σ won? × amount × ratio + new business). `shock` is the sd of its logarithm; its mean is 1."""
    random = np.random.default_rng(seed)
    order = np.argsort(-book._variances, kind="stable")
    one_by_one, rest = order[:SINGLE], order[SINGLE:]
    won = random.random((draws, len(one_by_one))) < book.chance[one_by_one]
    ratio = book.ratios[random.integers(0, len(book.ratios), won.shape)]
    total = (won * ratio * book.amount[one_by_one]).sum(1)
    if len(rest):
        many = Book(book.chance[rest], book.amount[rest], book.ratios)
        total += np.maximum(random.normal(many.expected, np.sqrt(many.variance), draws), 0)
    total += _new(random, new, draws)
    total *= np.exp(shock * random.standard_normal(draws) - shock * shock / 2)
    return np.sort(total)


def _new(random: np.random.Generator, new: NewBusiness, draws: int) -> Array:
    if not new.count or not len(new.sizes):
        return np.zeros(draws)
    if new.count > _LIMIT:
        return np.maximum(random.normal(new.expected, np.sqrt(new.variance), draws), 0)
    counts = random.poisson(new.count, draws)
    sizes = new.sizes[random.integers(0, len(new.sizes), counts.sum())]
    sums = np.concatenate([[0.0], np.cumsum(sizes)])
    ends = np.cumsum(counts)
    found: Array = sums[ends] - sums[ends - counts]
    return found


def shock_of(errors: Array, variances: Array) -> float:
    """The log-sd that past errors show beyond what the draws have by themselves. errors: log(actual ÷ forecast); variances: relative."""
    return float(np.sqrt(max(np.mean(errors**2 - variances), 0.05**2)))
