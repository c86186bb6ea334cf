"""What a metric is: one number with what it was made of. And the small formulas that every family uses.

Source of the formula: Kaplan and Meier (1958), product-limit estimate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import floor, isfinite, log10
from typing import Any, TypeVar

import ibis
import numpy as np
import pyarrow as pa

from core.measure.distrust import Distrust, distrust
from core.statistics.proportions import wilson
from core.thresholds import threshold

METRICS = pa.schema(
    [
        ("family", pa.string()),
        ("name", pa.string()),
        ("definition", pa.string()),
        ("dimensions", pa.string()),
        *[(name, pa.float64()) for name in ("value", "numerator", "denominator")],
        ("n", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("unit", pa.string()),
        ("as_of", pa.timestamp("us", "UTC")),
        ("excluded", pa.string()),
    ]
)
T = TypeVar("T")


@dataclass(frozen=True)
class Metric:
    """One number. `excluded` says who is not in it and why; a value of None means "not computable", never 0."""

    name: str
    definition: str
    dimensions: Mapping[str, Any]
    value: float | None
    unit: str
    n: int
    numerator: float | None = None
    denominator: float | None = None
    low: float | None = None
    high: float | None = None
    excluded: Mapping[str, Any] = field(default_factory=dict)

    def row(self, family: str, as_of: datetime) -> dict[str, Any]:
        named = {name: kept(getattr(self, name)) for name in METRICS.names if name not in ("family", "as_of", "dimensions", "excluded")}
        return {"family": family, **named, "dimensions": _json(self.dimensions), "excluded": _json(self.excluded), "as_of": as_of}


@dataclass(frozen=True)
class Scope:
    """What the families measure: facts as core.facts gives them, the funnel's choices, and the instant they hold for.

    `span`: the two instants of a comparison (a waterfall); None: from the start of the current quarter until now.
    """

    facts: Mapping[str, ibis.Table]
    funnel: Any
    as_of: datetime
    span: tuple[datetime, datetime] | None = None

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {}

    def once(self, name: str, build: Callable[[], T]) -> T:
        """What several families stand on is built once."""
        if name not in self._made:
            self._made[name] = build()
        made: T = self._made[name]
        return made

    def choice(self, name: str) -> Any:
        return threshold(self.funnel, name)

    @property
    def persons(self) -> ibis.Table:
        """Everyone who counts: colleagues and tests are left out."""
        person = self.facts["person"]
        return person.filter(~person.excluded)

    @cached_property
    def distrust(self) -> Distrust:
        return distrust(self.facts)

    @property
    def left_out(self) -> dict[str, int]:
        person = self.facts["person"]
        colleagues = int(person.filter(person.excluded).count().execute())
        return {"colleagues and tests": colleagues} if colleagues else {}


def _json(value: Any) -> str:
    return json.dumps(kept(value), sort_keys=True, default=str)


def kept(value: Any) -> Any:
    """The value with its numbers rounded, as they are kept and shown: to ten digits, but never to fewer than six decimal places.

    What engines, processors and libraries disagree about lies behind them; a cent does not.
    """
    if isinstance(value, Mapping):
        return {key: kept(part) for key, part in value.items()}
    if not isinstance(value, float) or not value or not isfinite(value):
        return value
    return round(float(value), max(6, 9 - floor(log10(abs(value)))))


def table(metrics: Iterable[tuple[str, Metric]], as_of: datetime) -> pa.Table:
    """Rows of METRICS from (family, metric)."""
    return pa.Table.from_pylist([metric.row(family, as_of) for family, metric in metrics], schema=METRICS)


def share(name: str, definition: str, dimensions: Mapping[str, Any], part: float, whole: float, **more: Any) -> Metric:
    """A proportion of counts with its 95 % Wilson interval; no value when the whole is 0."""
    low, high = wilson(part, whole)
    value = part / whole if whole else None
    return Metric(name, definition, dimensions, value, "share", int(whole), part, whole, low, high, **more)


@dataclass(frozen=True)
class Survival:
    """Time until an event where some have not had it yet. `n` units, `events` of them with the event."""

    times: Sequence[float]
    shares: Sequence[float]  # still without the event after the time
    n: int
    events: int

    def reached_by(self, time: float) -> float | None:
        """The share with the event by then, as if everyone were watched long enough; None without any unit."""
        if not self.n:
            return None
        place = int(np.searchsorted(np.asarray(self.times), time, side="right"))
        return 0.0 if place == 0 else float(1 - self.shares[place - 1])

    def quantile(self, q: float) -> float | None:
        """The time by which the share q had the event; None when it is not reached."""
        hit = [t for t, s in zip(self.times, self.shares, strict=True) if s <= 1 - q + 1e-12]
        return float(hit[0]) if hit else None


def survival(counts: Iterable[tuple[float, bool, int]]) -> Survival:
    """From (time, had the event, how many) aggregates. An open spell counts as long as it was watched.

    Written out because scipy.stats, which has it, takes a second to import: longer than all metrics.
    """
    rows = [row for row in counts if row[2]]
    units, events = sum(n for _, _, n in rows), sum(n for _, event, n in rows if event)
    if not events:
        return Survival((), (), units, 0)
    times, place = np.unique([t for t, _, _ in rows], return_inverse=True)
    left = np.bincount(place, [n for _, _, n in rows])
    had = np.bincount(place, [n if event else 0 for _, event, n in rows])
    at_risk = left[::-1].cumsum()[::-1]
    return Survival(times.tolist(), np.cumprod((at_risk - had) / at_risk).tolist(), units, events)


def pairs(expression: ibis.Table) -> list[dict[str, Any]]:
    """A small aggregate, as rows. Instants are aware, also from engines that leave their zone out."""
    found = expression.to_pyarrow()
    zoned = [(f.name, pa.timestamp("us", "UTC") if pa.types.is_timestamp(f.type) else f.type) for f in found.schema]
    rows: list[dict[str, Any]] = found.cast(pa.schema(zoned)).to_pylist()
    return rows
