"""A lead's chance by logistic regression on what was known: fitted on the past, tried on later leads, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.measure.lead_features import Leads
from core.statistics.logistic import calibrated, calibration_error, chances, logistic, platt

Array = NDArray[Any]
LEAST_ROWS, LEAST_SHARE = 20, 0.005  # a word of fewer rows counts as "(other)"
RIDGE = 1.0
ECE = 0.03  # beyond it probabilities are calibrated …
LEAST_BIN = 300  # … over bins of so many leads at least: the shares of few miss by so much anyway
TRAIN = 0.75  # of the instants; later ones are what the model is tried on
OTHER = "(other)"


@dataclass(frozen=True)
class Columns:
    """How leads become numbers: one column for every word that is frequent, and the logarithm of each count in standard units."""

    words: tuple[tuple[str, tuple[str, ...]], ...]
    numbers: tuple[tuple[str, float, float], ...]  # name, mean, standard deviation

    @property
    def features(self) -> list[str]:
        """The feature of each column."""
        return [name for name, words in self.words for _ in words] + [name for name, _, _ in self.numbers]

    @property
    def names(self) -> list[tuple[str, str]]:
        """(feature, word; "" for a count) of each column."""
        return [(name, word) for name, words in self.words for word in words] + [(name, "") for name, _, _ in self.numbers]

    def of(self, leads: Leads) -> Array:
        parts = []
        for name, words in self.words:
            values = leads.words[name]
            known = np.isin(values.astype(str), words)
            values = np.where(known, values, OTHER).astype(str)
            parts += [(values == word).astype(float) for word in words]
        parts += [(np.log1p(leads.numbers[name]) - mean) / sd for name, mean, sd in self.numbers]
        return np.column_stack(parts) if parts else np.zeros((len(leads.at), 0))


def columns_of(leads: Leads) -> Columns:
    words = []
    for name in sorted(leads.words):
        found, counts = np.unique(leads.words[name].astype(str), return_counts=True)
        least = max(LEAST_ROWS, LEAST_SHARE * len(leads.at))
        frequent = [str(word) for word, n in zip(found, counts, strict=True) if n >= least]
        rest = [] if len(frequent) == len(found) else [OTHER]
        if len(frequent) + len(rest) > 1:
            words.append((name, (*frequent, *rest)))
    numbers = []
    for name in sorted(leads.numbers):
        values = np.log1p(leads.numbers[name])
        if values.std() > 0:
            numbers.append((name, float(values.mean()), float(values.std())))
    return Columns(tuple(words), tuple(numbers))


@dataclass(frozen=True)
class Model:
    columns: Columns
    coefficients: Array
    means: Array  # of the columns, among those learned from
    scale: tuple[float, float] | None  # calibration, where it was needed
    sorted_chances: Array  # of those learned from, ascending

    def chances(self, leads: Leads) -> Array:
        plain = chances(self.columns.of(leads), self.coefficients)
        return plain if self.scale is None else calibrated(plain, self.scale)

    def ranks(self, chance: Array) -> Array:
        """The share of those learned from whose chance was lower."""
        return np.asarray(np.searchsorted(self.sorted_chances, chance - 1e-12) / max(len(self.sorted_chances), 1))

    def reasons(self, leads: Leads, most: int = 3) -> list[str]:
        """What moves each lead's chance from the usual one most: "+form demo, −last touch, days ago over 90"."""
        parts = (self.columns.of(leads) - self.means) * self.coefficients[1:]
        names = np.array(self.columns.features)
        features = list(dict.fromkeys(self.columns.features))
        if not features:
            return [""] * len(leads.at)
        sums = np.column_stack([parts[:, names == feature].sum(1) for feature in features])
        order = np.argsort(-np.abs(sums), axis=1, kind="stable")[:, :most]
        return [", ".join(_said(leads, i, features[k], sums[i, k]) for k in places if abs(sums[i, k]) >= 0.1)
                for i, places in enumerate(order)]  # fmt: skip


def _said(leads: Leads, row: int, feature: str, effect: float) -> str:
    sign = "+" if effect > 0 else "−"
    if feature in leads.numbers:
        return f"{sign}{leads.numbers[feature][row]:.0f} {feature}"
    return f"{sign}{feature} {leads.words[feature][row]}"


def fit(leads: Leads) -> Model:
    """The model of these leads. If one of the earlier ones misses the shares of the later ones by more than ECE, that one, calibrated."""
    cut = np.quantile(leads.at, TRAIN) if len(leads.at) else 0.0
    early, late = leads.part(leads.at < cut), leads.part(leads.at >= cut)
    if _two_sided(early) and _two_sided(late):
        columns, coefficients = _plain(early)
        said, came = chances(columns.of(late), coefficients), late.came.astype(float)
        miss = calibration_error(said, came, max(1, min(10, len(came) // LEAST_BIN)))
        if miss is not None and miss > ECE:
            return _model(columns, coefficients, leads, platt(said, came))
    columns, coefficients = _plain(leads)
    return _model(columns, coefficients, leads, None)


def _model(columns: Columns, coefficients: Array, leads: Leads, scale: tuple[float, float] | None) -> Model:
    x = columns.of(leads)
    plain = chances(x, coefficients)
    return Model(columns, coefficients, x.mean(0), scale, np.sort(plain if scale is None else calibrated(plain, scale)))


def _plain(leads: Leads) -> tuple[Columns, Array]:
    columns = columns_of(leads)
    return columns, logistic(columns.of(leads), leads.came.astype(float), RIDGE)


def _two_sided(leads: Leads) -> bool:
    return bool(leads.came.any() and not leads.came.all())


def split(leads: Leads, horizon: float) -> tuple[Leads, Leads]:
    """(what a model of that day could have learned from, later leads to try it on): the first's outcomes are over when the second begin."""
    cut = np.quantile(leads.at, TRAIN) if len(leads.at) else 0.0
    return leads.part(leads.at + horizon <= cut), leads.part(leads.at >= cut)


def lift(chance: Array, came: Array, parts: int = 10) -> list[tuple[int, int, float]]:
    """(rows, of them came, mean chance) of each tenth, the highest chances first."""
    order = np.argsort(-chance, kind="stable")
    return [(len(p), int(came[p].sum()), float(chance[p].mean())) for p in np.array_split(order, parts) if len(p)]


def captured(tenths: Sequence[tuple[int, int, float]]) -> list[float]:
    """The share of all who came that is among the first tenth, the first two, …"""
    came = np.cumsum([n for _, n, _ in tenths])
    return [float(n / came[-1]) for n in came] if len(came) and came[-1] else []
