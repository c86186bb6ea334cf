"""How likely a deal leaves its stage today: by stage and time in it, won, lost, forward or back; and what follows for a horizon.

A discrete-time semi-Markov model. Rates are per day and constant within a band of ages; a cell with little behind it leans on its
stage, and the stage on all of them. Source: Prentice and others (1978), cause-specific hazards; Grinstead and Snell, ch. 11 (absorbing).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BANDS = np.array([0, 7, 14, 28, 56, 91, 182, 364])  # days in the stage at which a new band begins
WON, LOST, FORWARD, BACK = range(4)
LEANING = 140.0  # deal-days a cell's parent counts for: twenty deals for a week
AGES = 366  # older is all the same
_MOST = 0.99  # nobody leaves for certain


@dataclass(frozen=True)
class Counts:
    """What was seen: events (stage, band, exit), days at risk (stage, band), moves (stage, stage)."""

    events: Array
    days: Array
    moves: Array

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.events + other.events, self.days + other.days, self.moves + other.moves)


@dataclass(frozen=True)
class Hazards:
    """rates (stage, band, exit) per day; onward and backward: where those who move go (stage, stage; rows of 1 or 0)."""

    rates: Array
    onward: Array
    backward: Array


def days_in_bands(days: Array) -> Array:
    """(n, bands): how many of so many whole days fall into each band of ages."""
    ends = np.append(BANDS[1:], np.inf)
    inside: Array = np.clip(np.asarray(days, float)[:, None] - BANDS, 0, ends - BANDS)
    return inside


def band_of(days: Array) -> Array:
    return np.searchsorted(BANDS, np.asarray(days), side="right") - 1


def finished(stages: int, stage: Array, days: Array, to: Array, kind: Array, n: Array) -> Counts:
    """Of stays that ended: the day they ended on counts as a day at risk. `to` is a stage, or -1 for won and lost."""
    counts = watched(stages, stage, days + 1, n)
    np.add.at(counts.events, (stage, band_of(days), kind), n)
    inside = to >= 0
    np.add.at(counts.moves, (stage[inside], to[inside]), n[inside])
    return counts


def watched(stages: int, stage: Array, days: Array, n: Array | float = 1.0) -> Counts:
    """Of stays that go on: whole days at risk, no event."""
    at_risk = np.zeros((stages, len(BANDS)))
    np.add.at(at_risk, stage, days_in_bands(days) * np.broadcast_to(np.asarray(n, float), np.shape(stage))[:, None])
    return Counts(np.zeros((stages, len(BANDS), 4)), at_risk, np.zeros((stages, stages)))


def hazards(counts: Counts) -> Hazards:
    """The rates, each cell leaning on its stage's rate in the shape that all stages have over the ages."""
    events, days = counts.events, counts.days
    whole = events.sum((0, 1)) / max(days.sum(), 1.0)
    by_band = _lean(events.sum(0), days.sum(0)[:, None], whole[None])
    by_stage = _lean(events.sum(1), days.sum(1)[:, None], whole[None])
    shape = np.divide(by_band, whole[None], out=np.ones_like(by_band), where=whole[None] > 0)
    rates = _lean(events, days[:, :, None], by_stage[:, None, :] * shape[None])
    total = rates.sum(2, keepdims=True)
    rates = np.where(total > _MOST, rates * _MOST / np.maximum(total, 1e-12), rates)
    later = np.triu(np.ones_like(counts.moves), 1)
    return Hazards(rates, _shares(counts.moves * later), _shares(counts.moves * (1 - later)))


def _lean(events: Array, days: Array, parent: Array) -> Array:
    found: Array = (events + LEANING * parent) / (days + LEANING)
    return found


def _shares(moves: Array) -> Array:
    total = moves.sum(1, keepdims=True)
    shares: Array = np.divide(moves, total, out=np.zeros_like(moves), where=total > 0)
    return shares


def won_within(h: Hazards, days: int, first: date | None = None, months: Array | None = None) -> Array:
    """(stage, age in days): the probability to be won within so many days, from the day `first` on.

    `months`: how much likelier wins are in the three months of a quarter (mean 1); none without them.
    """
    by_age = h.rates[:, band_of(np.arange(AGES)), :]
    won, lost, forward, back = (by_age[:, :, exit_] for exit_ in range(4))
    leaving = lost + forward + back
    value = np.zeros(won.shape)
    for step in reversed(range(days)):
        factor = 1.0 if months is None or first is None else months[((first + timedelta(days=step)).month - 1) % 3]
        now = np.minimum(won * factor, 1 - leaving) if factor != 1.0 else won
        fresh = value[:, 0]
        older = np.concatenate([value[:, 1:], value[:, -1:]], axis=1)
        value = now + forward * (h.onward @ fresh)[:, None] + back * (h.backward @ fresh)[:, None] + (1 - now - leaving) * older
    return value


def absorbing(q: Array, r: Array) -> tuple[Array, Array, Array]:
    """(N, B, steps) of an absorbing chain: expected visits, where it ends, and after how many steps. q, r: rows of probabilities."""
    visits = np.linalg.inv(np.eye(len(q)) - q)
    return visits, visits @ r, visits.sum(1)


def month_factors(won_on: Array, quarters: float) -> Array | None:
    """How much likelier wins are in month 1, 2, 3 of a quarter; None with less than eight quarters of history.

    won_on: days since 1970 of all wins in whole quarters.
    """
    if quarters < 8 or not len(won_on):
        return None
    months = won_on.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 3
    seen = np.bincount(months, minlength=3).astype(float)
    factors: Array = (seen + 20) / (seen.sum() / 3 + 20)
    return factors
