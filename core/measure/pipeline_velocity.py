"""What the pipeline brings in a day, by the mean and by the median cycle, and what a tenth more of each of its four factors would add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import ibis
import numpy as np

from core.measure.distrust import flagged, left_out
from core.measure.exact import mean
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import closed_in, open_deals, reporting_currency, window

TENTH = 0.1
WORDS = "open qualified deals × win rate × mean won amount ÷ {} days from creation to won"


@dataclass(frozen=True)
class Factors:
    """All of the same deals: qualified and open now; and won and lost in the window."""

    deals: float
    win_rate: float | None
    mean_won: float | None
    cycle_days: float | None

    @property
    def velocity(self) -> float | None:
        """Currency per day; None when any factor is unknown, or the cycle is no time at all."""
        if self.win_rate is None or self.mean_won is None or not self.cycle_days:
            return None
        return self.deals * self.win_rate * self.mean_won / self.cycle_days

    @property
    def levers(self) -> dict[str, Factors]:
        """Each factor alone, a tenth better."""
        more, less = 1 + TENTH, 1 - TENTH
        return {
            "10 % more open deals": replace(self, deals=self.deals * more),
            "10 % higher win rate": replace(self, win_rate=None if self.win_rate is None else self.win_rate * more),
            "10 % larger deals": replace(self, mean_won=None if self.mean_won is None else self.mean_won * more),
            "10 % shorter cycle": replace(self, cycle_days=None if self.cycle_days is None else self.cycle_days * less),
        }

    @property
    def said(self) -> dict[str, float]:
        named = {"win_rate": self.win_rate, "mean_won": self.mean_won}
        return {name: round(value, 4) for name, value in named.items() if value is not None}


def measure(scope: Scope) -> Iterator[Metric]:
    currency, _ = reporting_currency(scope)
    d = open_deals(scope)
    deals = int(d.filter(d.pipeline_stage.isin(list(scope.choice("qualified_stages")))).count().execute())
    closed = closed_in(scope, *window(scope))
    won = _judged(scope, closed.filter(closed.outcome == "won"))
    ours = won.currency.identical_to(ibis.literal(currency, type="string"))
    won = won.mutate(
        cycle=won.close_date.epoch_days() - won.created_at.date().epoch_days(), ours=ours, dated=~won.disordered & ~won.stamped
    )
    row = pairs(
        won.agg(
            n=won.count(), size=mean(won.amount, won.ours & ~won.outlier), outlier=(won.ours & won.outlier).sum(),
            disordered=won.disordered.sum(), stamped=(won.stamped & ~won.disordered).sum(),
            backwards=((won.cycle < 0) & won.dated).sum(),
        )
    )[0]  # fmt: skip
    sound = won.filter(won.dated, won.cycle >= 0)
    spent = pairs(sound.group_by("cycle").agg(n=sound.count()).order_by("cycle"))
    days = np.repeat([float(r["cycle"]) for r in spent], [int(r["n"]) for r in spent])
    excluded: dict[str, Any] = {"won before created": row["backwards"]} if row["backwards"] else {}
    excluded |= left_out(**{name: row[name] or 0 for name in ("outlier", "disordered", "stamped")})
    whole = int(closed.count().execute())
    unit, rate = f"{currency or 'units'} per day", int(row["n"]) / whole if whole else None
    for name, cycle in (("mean", np.mean), ("median", np.median)):
        factors = Factors(deals, rate, row["size"], float(cycle(days)) if len(days) else None)
        cycle_days = {} if factors.cycle_days is None else {f"{name}_cycle_days": round(factors.cycle_days, 4)}
        dims = {"currency": currency, **factors.said, **cycle_days}
        metric = "velocity" if name == "mean" else "velocity_median"
        yield Metric(metric, WORDS.format(name), dims, factors.velocity, unit, deals, excluded=excluded)
        if name == "mean":
            yield from _levers(factors, unit, currency, excluded)


def _levers(now: Factors, unit: str, currency: str | None, excluded: dict[str, Any]) -> Iterator[Metric]:
    words = "how much more the pipeline would bring in a day, all else as it is (numerator: in all)"
    for lever, better in now.levers.items():
        more = None if better.velocity is None or now.velocity is None else better.velocity - now.velocity
        dims = {"lever": lever, "currency": currency}
        yield Metric("velocity_lever", words, dims, more, unit, round(now.deals), better.velocity, excluded=excluded)


def _judged(scope: Scope, deals: ibis.Table) -> ibis.Table:
    """The deals with what is to be looked at first: `outlier` (no average has it), `disordered` and `stamped` (no span of days)."""
    doubt = scope.distrust
    stamped = doubt.stamped.filter(lambda c: c.kind == "deal") if doubt.stamped is not None else None
    for flag, where in (("outlier", doubt.outliers), ("disordered", doubt.disordered_deals), ("stamped", stamped)):
        deals = flagged(deals, flag, where)
    return deals
