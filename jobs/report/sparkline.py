"""A series of numbers as small as a word: eight heights of blocks for a terminal, a line for a page."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
Series = Sequence[float | None]


def blocks(series: Series) -> str:
    """ "▁▃▆█": from nothing to the most; "·" where there is no number, "" without two of them."""
    known = [value for value in series if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(0.0, *known), max(0.0, *known)
    span = (high - low) or 1.0
    return "".join("·" if v is None else BLOCKS[min(7, int((v - low) / span * 8))] for v in series)


def points(series: Series, width: float = 100.0, height: float = 24.0) -> str:
    """The points of a polyline over that box, from nothing at its foot to the most at its top; "" without two numbers."""
    known = [(i, value) for i, value in enumerate(series) if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(0.0, *(v for _, v in known)), max(0.0, *(v for _, v in known))
    span, across = (high - low) or 1.0, width / (len(series) - 1)
    return " ".join(f"{i * across:.1f},{height - 2 - (v - low) / span * (height - 4):.1f}" for i, v in known)
