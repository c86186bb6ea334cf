"""Spans of days, both ends included, as a read covers them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

Span = tuple[date, date]


def span(text: str) -> Span:
    """Of "2026-06-01/2026-06-30"."""
    first, last = text.split("/")
    return date.fromisoformat(first), date.fromisoformat(last)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same days in as few spans as they make, in order."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + timedelta(days=1):
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found
