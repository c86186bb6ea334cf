"""A points table: what a lead is worth by rules anybody can read (`score_points`). The score where too little is known to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.measure.lead_features import Leads

Array = NDArray[Any]


def signals(leads: Leads) -> dict[str, Array]:
    """Which leads show what, by the names `score_points` uses."""
    n, words, numbers = len(leads.at), leads.words, leads.numbers

    def word(feature: str, *values: str) -> Array:
        return np.isin(words[feature].astype(str), values) if feature in words else np.zeros(n, bool)

    return {
        "base": np.ones(n, bool),
        "form": numbers["forms"] > 0,
        "visits": numbers["visits"] >= 3,
        "click": numbers["clicks"] > 0,
        "response": numbers["responses"] > 0,
        "sales": numbers["sales"] > 0,
        "recent": word("last touch, days ago", "0-7"),
        "silent": word("last touch, days ago", "over 90", "never"),
        "mql": word("stage", "M30", "M35", "M40"),
        "company_email": word("mail", "company"),
        "free_email": word("mail", "free"),
        "no_email": word("mail", "none"),
        "senior": word("role", "senior"),
        "large": word("employees", "50-249", "250-999", "1000+"),
    }


def points(leads: Leads, table: Mapping[str, float]) -> Array:
    """0 to 100."""
    shown = signals(leads)
    total = sum((shown[name] * float(worth) for name, worth in table.items()), np.zeros(len(leads.at)))
    return np.clip(total, 0, 100)


def reasons(leads: Leads, table: Mapping[str, float], most: int = 3) -> list[str]:
    """The signals that count most, of each lead."""
    shown = signals(leads)
    order = sorted((name for name in table if name != "base"), key=lambda name: (-abs(table[name]), name))
    return [
        ", ".join([f"{'+' if table[name] > 0 else '−'}{name}" for name in order if shown[name][i]][:most]) for i in range(len(leads.at))
    ]
