"""Markov attribution: what of the conversions would be lost if nobody came by a channel, from counted steps between channels.

Source: Anderl, Becker, von Wangenheim, Schumann (2016), Mapping the customer journey (removal effect, order 1); solved linearly, not
simulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

START, CONVERTED, LOST = "(start)", "(converted)", "(lost)"
_DRAWS = 400
_SEED = 20_160_501
Steps = Mapping[tuple[str, str], float]  # (from, to) → how many ways went so


@dataclass(frozen=True)
class Removal:
    """By channel, of one chain. `credit` adds up to 1; low and high (95 %) are None without parts to draw from."""

    conversion: float  # of a way, as the chain has it: exactly the share of ways that converted
    effect: Mapping[str, float]
    credit: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]


def removal(parts: Sequence[Steps]) -> Removal | None:
    """The removal effects of all parts together; None where nothing converted.

    parts: the same ways dealt out into groups. Intervals come of drawing groups with replacement (bootstrap); a group may be one way.
    """
    channels = sorted({name for part in parts for step in part for name in step} - {START, CONVERTED, LOST})
    if not channels:
        return None
    counts = np.stack([_matrix(part, channels) for part in parts])
    conversion, effect = (found[0] for found in _solve(counts.sum(axis=0)[None]))
    if conversion <= 0:
        return None
    credit = effect / effect.sum()
    low, high = _interval(counts) if len(parts) > 1 else ({}, {})
    named = dict(zip(channels, effect.tolist(), strict=True)), dict(zip(channels, credit.tolist(), strict=True))
    return Removal(float(conversion), *named, *({channels[i]: v for i, v in side.items()} for side in (low, high)))


def _matrix(part: Steps, channels: Sequence[str]) -> NDArray[np.float64]:
    """Rows: start and the channels; columns: the channels, converted, lost."""
    rows = {name: i for i, name in enumerate((START, *channels))}
    columns = {name: i for i, name in enumerate((*channels, CONVERTED, LOST))}
    out = np.zeros((len(rows), len(columns)))
    for (here, there), n in part.items():
        out[rows[here], columns[there]] += n
    return out


def _solve(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P(conversion), removal effects) of each chain of counts: shape (chains, 1 + k, k + 2)."""
    chains, rows, _ = counts.shape
    k = rows - 1
    p = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1e-300)
    q, r = np.zeros((chains, rows, rows)), p[:, :, k]
    q[:, :, 1:] = p[:, :, :k]
    every = np.empty((chains, k + 1))
    for gone in range(k + 1):  # 0: nobody is gone
        there, hit = q.copy(), r.copy()
        if gone:
            there[:, gone, :], hit[:, gone] = 0, 0
        every[:, gone] = np.linalg.solve(np.eye(rows) - there, hit[:, :, None])[:, 0, 0]
    whole = every[:, 0]
    return whole, 1 - every[:, 1:] / np.maximum(whole, 1e-300)[:, None]


def _interval(counts: NDArray[np.float64]) -> tuple[dict[int, float], dict[int, float]]:
    """2.5 % and 97.5 % of the credits over the draws in which something converted."""
    groups = len(counts)
    drawn = np.random.default_rng(_SEED).multinomial(groups, np.full(groups, 1 / groups), size=_DRAWS).astype(float)
    whole, effect = _solve(np.tensordot(drawn, counts, axes=1))
    effect = effect[whole > 0]
    total = effect.sum(axis=1, keepdims=True)
    if not len(effect):
        return {}, {}
    low, high = np.quantile(effect / np.maximum(total, 1e-300), (0.025, 0.975), axis=0)
    return dict(enumerate(low.tolist())), dict(enumerate(high.tolist()))
