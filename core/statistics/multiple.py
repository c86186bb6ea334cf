"""Many goals at once: p-values that say how many of the finds are false."""

from __future__ import annotations

from collections.abc import Sequence


def false_discovery(ps: Sequence[float]) -> list[float]:
    """The adjusted p-values, in the order given: what is below 0.05 is a find of which 5 % are false on average.

    Source: Benjamini and Hochberg (1995), the step-up procedure.
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    out, least = [1.0] * len(ps), 1.0
    for rank in range(len(ps), 0, -1):
        place = order[rank - 1]
        least = min(least, ps[place] * len(ps) / rank)
        out[place] = least
    return out
