"""Logistic regression with a ridge: the few lines of it that a score needs. Libraries that have it take longer to import than to fit it.

Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, 4.4 and 18.3; Platt (1999).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_STEPS, _ENOUGH = 100, 1e-9


def chances(x: Array, coefficients: Array) -> Array:
    """The probabilities of the rows; coefficients: the intercept, then one a column."""
    return np.asarray(1 / (1 + np.exp(-np.clip(coefficients[0] + x @ coefficients[1:], -35, 35))))


def logistic(x: Array, y: Array, ridge: float = 1.0, offset: Array | float = 0.0) -> Array:
    """Coefficients that make log-likelihood − ½ · ridge · Σ coefficient² largest; the intercept is free. By Newton's method.

    offset: part of each row's logit that is given.
    """
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 1e-9
    at = np.zeros(design.shape[1])
    best = _objective(design, y, at, penalty, offset)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ at + offset, -35, 35)))
        slope = design.T @ (y - p) - penalty * at
        if np.abs(slope).max() < _ENOUGH * len(x):
            break
        step = np.linalg.solve((design.T * (p * (1 - p))) @ design + np.diag(penalty), slope)
        while (tried := _objective(design, y, at + step, penalty, offset)) < best and np.abs(step).max() > 1e-12:
            step = step / 2
        at, best = at + step, tried
    return at


def _objective(design: Array, y: Array, at: Array, penalty: Array, offset: Array | float) -> float:
    z = np.clip(design @ at + offset, -35, 35)
    return float((y * z - np.logaddexp(0, z)).sum() - 0.5 * (penalty * at**2).sum())


def calibration_error(chance: Array, y: Array, bins: int = 10) -> float | None:
    """Expected calibration error: mean |share that came − mean chance| over bins of equally many rows; None without rows."""
    if not len(y):
        return None
    parts = np.array_split(np.argsort(chance, kind="stable"), min(bins, len(y)))
    return float(sum(abs(y[part].mean() - chance[part].mean()) * len(part) for part in parts) / len(y))


def platt(chance: Array, y: Array) -> tuple[float, float]:
    """(a, b): the probability with the logit a + b · logit(chance). b leans on 1: chances that are all alike say nothing of it."""
    at = logit(chance)
    a, more = logistic(at[:, None], y, ridge=1.0, offset=at)
    return float(a), float(1 + more)


def calibrated(chance: Array, by: tuple[float, float]) -> Array:
    return np.asarray(1 / (1 + np.exp(-(by[0] + by[1] * logit(chance)))))


def logit(chance: Array) -> Array:
    """log(p ÷ (1 − p)), a millionth away from 0 and 1."""
    p = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))
