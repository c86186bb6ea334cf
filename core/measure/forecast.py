"""What will be won until the end of the period, and in the next days: several methods side by side, the calibrated one with its band.

No forecast stands alone: each says how often its 80 % band held in the past, or that nobody can know yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.measure import hazards as hz
from core.measure.known import Evidence, Open, days_of, evidence, first_stay
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import reporting_currency
from core.measure.spells import leaders
from core.measure.walk import QUANTILES, Outlook, fitted, walk
from core.measure.windows import Window, bounds, windows

Array = NDArray[Any]
LARGE = 0.2  # a deal of more than this share of the forecast is listed apart: it comes or it does not
EVER = 730  # days after which a deal is not waited for
WORDS = {
    "calibrated": "stage and age hazards of open deals × amount, and new business",
    "stage_historical": "amount × win rate of the stage, of deals due in time",
    "crm_weighted": "amount × the CRM's probability, of deals due in time",
    "last_year": "what was won in the same days a year before",
    "last_period": "what was won in the same days of the period before",
}
BANDS = (("omitted", 0.02), ("pipeline", 0.35), ("best_case", 0.7), ("commit", 1.01))  # below this probability
_CATEGORIES = {"forecast": "commit", "commit": "commit", "bestcase": "best_case", "mostlikely": "best_case", "pipeline": "pipeline",
               "omitted": "omitted", "notforecasted": "omitted"}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """All windows of a scope, tried. `current`: those from now on."""

    currency: str | None
    others: Mapping[str, int]
    known: Evidence
    outlooks: list[Outlook]
    windows: list[Window]
    instants: list[datetime]  # the marks of what is known

    @property
    def now(self) -> int:
        """The mark of the present."""
        return len(self.instants) - 1

    @property
    def current(self) -> list[Outlook]:
        return [o for o in self.outlooks if not o.window.scored]

    def scored(self, kind: str) -> list[Outlook]:
        return [o for o in self.outlooks if o.window.scored and o.window.kind == kind]


def run(scope: Scope) -> Run:
    return scope.once("forecast", lambda: _run(scope))


def _run(scope: Scope) -> Run:
    currency, others = reporting_currency(scope)
    began = first_stay(scope) or scope.as_of
    spans = windows(scope.as_of, began, str(scope.choice("forecast_period")), int(scope.choice("forecast_days")))
    instants = sorted({w.at for w in spans})
    known = evidence(scope, instants, currency)
    return Run(currency, others, known, walk(known, spans, instants), spans, instants)


def measure(scope: Scope) -> Iterator[Metric]:
    found = run(scope)
    for outlook in found.current:
        yield from _forecast(scope, found, outlook)


def _forecast(scope: Scope, found: Run, o: Outlook) -> Iterator[Metric]:
    unit, dims = found.currency or "units", {"horizon": o.window.name, "until": str(o.window.last_day)}
    excluded = left_out(found, o)
    n = len(o.chance)
    for method, words in WORDS.items():
        value = _money(o.points[method])
        yield Metric("forecast", f"to be won until then: {words}", {**dims, "method": method}, value, unit, n, excluded=excluded)
    words = "so much or more will be won until then with this probability: 10,000 draws of deals, ratios, new business and a common shock"
    for q, amount in zip(QUANTILES, o.quantiles(), strict=True):
        yield Metric("forecast_band", words, {**dims, "quantile": f"P{round(100 * q)}"}, _money(amount), unit, n, excluded=excluded)
    held, inside = band_held(found, o)
    words = "past windows whose outcome lay between P10 and P90 ÷ those tried from as far before their end"
    yield share("forecast_held", words, {**dims, "quantile": "P10 to P90 held before"}, inside, held, excluded=excluded)
    yield from _parts(scope, found, o, dims, excluded)
    words = "log-sd of the shock common to all deals"
    yield Metric("forecast_shock", words, dims, round(o.shock, 6), "log", o.independent, excluded=excluded)
    yield from _large(found, o, dims, excluded)
    if o.window.kind == "period":
        yield from _categories(scope, found, o, dims, excluded)


def _money(amount: float) -> float | None:
    return None if np.isnan(amount) else round(amount, 2)


def _parts(scope: Scope, found: Run, o: Outlook, dims: Mapping[str, Any], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    so_far, wins = 0.0, found.known.wins
    if o.window.kind == "period":
        start = days_of(bounds(scope.as_of.date(), str(scope.choice("forecast_period")))[1])
        so_far = float(np.nan_to_num(wins.final_amount[(wins.final_at >= start) & (wins.final_at <= days_of(o.window.at))]).sum())
    parts = {"won so far": so_far, "open deals": o.book.expected, "new business": o.new.expected}
    counts = {"won so far": 0, "open deals": len(o.chance), "new business": o.new.spans}
    words = "what the forecast is made of (new business: deals not yet created; n: the past spans it was seen in)"
    for part, amount in {**parts, "all": sum(parts.values())}.items():
        yield Metric("forecast_part", words, {**dims, "part": part}, _money(amount), found.currency or "units", counts.get(part, 0),
                     excluded=excluded)  # fmt: skip


def _large(found: Run, o: Outlook, dims: Mapping[str, Any], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    worth = o.book.amount * o.book.ratios.mean()
    large = np.flatnonzero((worth > LARGE * max(o.points["calibrated"], 1e-9)) & (o.chance >= 0.02))
    if not len(large):
        return
    names = found.known.entities(found.now)
    words = "a deal of more than 20 % of the forecast, which comes whole or not at all (numerator: amount × probability)"
    for i in sorted(large, key=lambda i: (-worth[i], names[i]))[:20]:
        mine = {**dims, "deal": names[i], "win_probability": round(float(o.chance[i]), 4)}
        hoped = _money(float(o.chance[i] * worth[i]))
        yield Metric("forecast_large", words, mine, _money(float(worth[i])), found.currency or "units", 1, hoped, excluded=excluded)


def band_held(found: Run, o: Outlook) -> tuple[int, int]:
    """(past windows of the same part, those whose outcome lay in the 80 % band)."""
    tried = [past for past in found.scored(o.window.kind) if past.window.part == o.window.part]
    return len(tried), sum(past.quantiles()[0] <= past.truth <= past.quantiles()[2] for past in tried)


def left_out(found: Run, o: Outlook) -> dict[str, Any]:
    """How far the band can be trusted, and which deals the number does without."""
    held, inside = band_held(found, o)
    said = f"80 % interval held {inside} of {held}" if held else "no past window to try it on"
    out: dict[str, Any] = {"backtest": said if o.calibrated else f"uncalibrated: {said}"}
    out |= {f"deals {where}": n for where, n in found.others.items()}
    blank, undated = int(np.isnan(o.open.amount).sum()), int((~o.open.amount_dated).sum())
    out |= {"no amount: counted at the mean of the won": blank} if blank else {}
    out |= {"no history of amounts: past forecasts use today's": undated} if undated else {}
    out |= {"stays whose dates are not believed": found.known.unsound} if found.known.unsound else {}
    return out


def _categories(scope: Scope, found: Run, o: Outlook, dims: Mapping[str, Any], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """Won, with commit, with best case, with all that is due: as people say in the CRM, or by probability where nobody says."""
    said = {r["entity_id"]: r["forecast_category"] for r in pairs(leaders(scope).filter(lambda d: d.outcome == "open")
            .select("entity_id", "forecast_category"))}  # fmt: skip
    names = found.known.entities(found.now)
    spoken = [_CATEGORIES.get("".join(c for c in str(said.get(name) or "").lower() if c.isalpha()), "") for name in names]
    basis = "crm" if {"commit", "best_case"} & set(spoken) else "probability"
    category = [own or band(p) for own, p in zip(spoken, o.chance, strict=True)] if basis == "crm" else [band(p) for p in o.chance]
    start = days_of(bounds(scope.as_of.date(), str(scope.choice("forecast_period")))[1])
    wins, amount = found.known.wins, np.nan_to_num(o.open.amount)
    total = float(np.nan_to_num(wins.final_amount[(wins.final_at >= start) & (wins.final_at <= days_of(o.window.at))]).sum())
    words = "won in the period, and open amounts due in it down to this category"
    for name in ("closed", "commit", "best_case", "pipeline"):
        mine = np.array([c == name for c in category], bool) & ~o.late
        total += float(amount[mine].sum())
        yield Metric("forecast_category", words, {**dims, "down_to": name, "basis": basis}, _money(total), found.currency or "units",
                     int(mine.sum()), excluded=excluded)  # fmt: skip


def band(chance: float) -> str:
    return next(name for name, below in BANDS if chance < below)


@dataclass(frozen=True)
class Chances:
    """Single open deals today, in the order of their ids."""

    names: list[str]
    codes: Array  # of their stages
    open: Open
    hazards: hz.Hazards
    place: tuple[Array, Array]  # of each deal in tables by stage and age
    ever: Array  # to be won at all; never less than within the period


def chances(scope: Scope) -> Chances:
    found = run(scope)
    o = next(o for o in found.current if o.window.kind == "period")
    h = fitted(found.known, found.now, o.open)
    place = o.open.stage.astype(int), np.minimum(o.open.age, hz.AGES - 1).astype(int)
    return Chances(
        found.known.entities(found.now),
        found.known.place(o.open.stage),
        o.open,
        h,
        place,
        np.maximum(hz.won_within(h, EVER)[place], o.chance),
    )
