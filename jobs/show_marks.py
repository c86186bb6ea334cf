"""Marks of a number: what spoils it or is left out of it, as short as it can stand beside the number.

Metrics say in `excluded` what they are without; vendors say it of their own counts (core.quality). A number in no one's currency is
marked, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.show_metrics import excluded, number

# In `excluded`, but about how far to trust a number, which tables say under them.
TRUST = ("backtest", "not computable", "independent periods", "shock", "period")


def marks(row: Mapping[str, Any]) -> tuple[str, ...]:
    """ "in USD 20,700", "no stage 2 (0.7 %)", "mixed currencies": in the order the metric says them; () for a clean number."""
    said = [f"{why} {_shown(value)}".strip() for why, value in excluded(row).items() if why not in TRUST]
    return (*(["mixed currencies"] if row.get("unit") == "mixed" else []), *said)


def _shown(value: Any) -> str:
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
