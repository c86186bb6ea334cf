"""Sums that come out the same in whatever order an engine adds them up, with however many threads, and on every engine.

Binary fractions do not: (a + b) + c is not always a + (b + c). So they are added as decimals of nine places.
"""

from __future__ import annotations

import ibis

PLACES = 9
_EXACT = f"decimal(38, {PLACES})"


def total(value: ibis.Value, where: ibis.Value | None = None) -> ibis.Value:
    """The sum of an amount, a weight or a product of them; null where there is nothing to add."""
    return value.cast(_EXACT).sum(where=where).cast("float64")


def mean(value: ibis.Value, where: ibis.Value | None = None) -> ibis.Value:
    """The mean of what is not null; null where nothing is."""
    return total(value, where) / value.count(where=where).nullif(0)
