"""How long things take when some are still waiting, when several ends compete, and when some were watched from the middle on.

Pure functions on (time, event, how many) aggregates. Exact with ties: no jitter, no order. At one time events come before those
who leave the watch.
Source: Kaplan and Meier (1958); Greenwood (1926); Kalbfleisch and Prentice, log-log limits; Aalen and Johansen (1978), with the
delta-method variance of Marubini and Valsecchi (1995), ch. 10; Mantel (1966), log-rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_Z = 1.959963984540054  # 95 %
Count = tuple[float, int, int]  # (time, 0 still waiting or the number of the end it came to, how many)


@dataclass(frozen=True)
class Curve:
    """Still waiting after each time at which somebody came to an end, with standard errors and 95 % limits."""

    times: Array
    shares: Array
    errors: Array
    lows: Array
    highs: Array
    n: int
    events: int

    def at(self, time: float) -> float:
        place = int(np.searchsorted(self.times, time, side="right"))
        return 1.0 if place == 0 else float(self.shares[place - 1])

    def limits(self, time: float) -> tuple[float, float]:
        """95 % of the share still waiting after the time."""
        place = int(np.searchsorted(self.times, time, side="right"))
        return (1.0, 1.0) if place == 0 else (float(self.lows[place - 1]), float(self.highs[place - 1]))

    def quantile(self, q: float) -> tuple[float | None, float | None, float | None]:
        """(time by which the share q came to an end, its 95 % limits); None: not reached."""
        return tuple(self._first(side, 1 - q) for side in (self.shares, self.lows, self.highs))  # type: ignore[return-value]

    def _first(self, shares: Array, level: float) -> float | None:
        hit = np.flatnonzero(shares <= level + 1e-12)
        return float(self.times[hit[0]]) if len(hit) else None

    def restricted_mean(self, until: float) -> float:
        """The mean time until the end, of nobody counting longer than `until`."""
        times = self.times[self.times < until]
        edges = np.concatenate([[0.0], times, [until]])
        return float((np.diff(edges) * np.concatenate([[1.0], self.shares[: len(times)]])).sum())


def _tabled(counts: Iterable[Count], entries: Mapping[float, int] | None = None) -> tuple[Array, Array, Array]:
    """(times, at risk, ended (time, end 1…k)). entries: how many came under watch at a time above 0; all others from the start."""
    rows = [row for row in counts if row[2]]
    if not rows:
        return np.array([]), np.array([]), np.zeros((0, 1))
    kinds = max(1, max(kind for _, kind, _ in rows))
    times, place = np.unique([t for t, _, _ in rows], return_inverse=True)
    left = np.bincount(place, [n for _, _, n in rows])
    ended = np.zeros((len(times), kinds))
    for (_, kind, n), i in zip(rows, place, strict=True):
        if kind:
            ended[i, kind - 1] += n
    at_risk = left[::-1].cumsum()[::-1]
    for entry, n in (entries or {}).items():
        at_risk = at_risk - np.where(times <= entry, n, 0)
    some = ended.sum(1) > 0
    return times[some], at_risk[some], ended[some]


def kaplan_meier(counts: Iterable[Count], entries: Mapping[float, int] | None = None) -> Curve:
    """Until any end. entries: (time: how many) of those that were not watched before (delayed entry)."""
    counts = list(counts)
    times, at_risk, ended = _tabled(counts, entries)
    d = ended.sum(1)
    n, events = sum(c[2] for c in counts), int(d.sum())
    shares = np.cumprod((at_risk - d) / at_risk) if len(times) else times
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(d / (at_risk * (at_risk - d)))
        errors = np.where(shares > 0, shares * np.sqrt(greenwood), 0.0)
        spread = _Z * np.sqrt(greenwood) / np.abs(np.log(shares))
        lows, highs = (np.where((shares > 0) & (shares < 1), shares ** np.exp(side * spread), shares) for side in (1, -1))
    return Curve(times, shares, errors, lows, highs, n, events)


@dataclass(frozen=True)
class Incidence:
    """The share that came to each of the competing ends by each time (time, end), with standard errors."""

    times: Array
    shares: Array
    errors: Array
    waiting: Array
    n: int

    def at(self, time: float, end: int) -> float:
        place = int(np.searchsorted(self.times, time, side="right"))
        return 0.0 if place == 0 or end > self.shares.shape[1] else float(self.shares[place - 1, end - 1])

    def limits(self, time: float, end: int) -> tuple[float, float]:
        """95 %, on the log(−log) scale; the share itself where it is 0 or 1."""
        place = int(np.searchsorted(self.times, time, side="right"))
        share = self.at(time, end)
        if not 0 < share < 1:
            return share, share
        spread = _Z * float(self.errors[place - 1, end - 1]) / (share * abs(log(share)))
        return share ** exp(spread), share ** exp(-spread)


def incidence(counts: Iterable[Count], ends: int, entries: Mapping[float, int] | None = None) -> Incidence:
    """Aalen-Johansen: who came to another end cannot come to this one any more, unlike in 1 − Kaplan-Meier."""
    counts = list(counts)
    times, at_risk, found = _tabled(counts, entries)
    ended = np.zeros((len(times), ends))
    ended[:, : min(ends, found.shape[1])] = found[:, :ends]
    d = ended.sum(1)
    waiting = np.cumprod(1 - d / at_risk) if len(times) else times
    before = np.concatenate([[1.0], waiting[:-1]])[: len(times)]
    shares = np.cumsum((before / np.maximum(at_risk, 1))[:, None] * ended, axis=0)
    return Incidence(times, shares, _errors(shares, before, at_risk, d, ended), waiting, sum(c[2] for c in counts))


def _errors(shares: Array, before: Array, at_risk: Array, d: Array, ended: Array) -> Array:
    """Of each share: three sums over the times until then."""
    made = np.zeros_like(shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        all_ = np.where(at_risk > d, d / (at_risk * (at_risk - d)), 0.0)
    for end in range(shares.shape[1]):
        own = ended[:, end]
        for i in range(len(shares)):
            gap = shares[i, end] - shares[: i + 1, end]
            n, dk, s = at_risk[: i + 1], own[: i + 1], before[: i + 1]
            variance = (gap**2 * all_[: i + 1] + s**2 * (n - dk) * dk / n**3 - 2 * gap * s * dk / n**2).sum()
            made[i, end] = np.sqrt(max(variance, 0.0))
    return made


def log_rank(one: Sequence[Count], other: Sequence[Count]) -> float:
    """χ² with one degree of freedom: do the two wait alike?"""
    times = sorted({t for t, kind, n in (*one, *other) if kind and n})
    observed = expected = variance = 0.0
    for time in times:
        n1, n2 = (sum(n for t, _, n in group if t >= time) for group in (one, other))
        d1, d2 = (sum(n for t, kind, n in group if t == time and kind) for group in (one, other))
        n, d = n1 + n2, d1 + d2
        observed, expected = observed + d1, expected + d * n1 / n
        variance += d * (n1 / n) * (n2 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    return (observed - expected) ** 2 / variance if variance else 0.0
