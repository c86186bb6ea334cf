"""Forecasts for every window, past and current, each made of what was known at its instant and of windows that were over by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.measure import hazards as hz
from core.measure import simulate as sim
from core.measure.known import Evidence, Open, days_of
from core.measure.windows import Window

Array = NDArray[Any]
LEANING = 20.0  # deals that a win rate's parent counts for
CLOSED = 20  # a past window is only tried with so many deals closed before it
CALIBRATED = 8  # independent windows that a shock is taken from
DRAWS = 2_000  # of a past window
QUANTILES = (0.1, 0.5, 0.9)
METHODS = ("calibrated", "stage_historical", "crm_weighted", "last_year", "last_period")
_MOST_RATIO = 5.0


@dataclass(frozen=True)
class Outlook:
    """The forecast of one window for what is won in it after its instant."""

    window: Window
    open: Open
    chance: Array  # of each open deal to be won in the window
    plain: Array  # the same before the past's correction
    stage_rate: Array  # of each open deal to be won ever, by its stage
    book: sim.Book
    new: sim.NewBusiness
    points: dict[str, float]  # method → amount; nan: it cannot say
    draws: Array
    shock: float
    independent: int  # windows behind the shock; fewer than CALIBRATED: it is the default
    seen: float  # amount won in the window, as known when it was won
    truth: float  # amount won in it that stands today
    late: Array = field(repr=False)  # due after the window

    @property
    def calibrated(self) -> bool:
        return self.independent >= CALIBRATED

    @property
    def won(self) -> Array:
        """Which of the open deals were won in the window, and stand."""
        return (self.open.won_at <= days_of(self.window.end)) & self.open.stands

    @property
    def won_then(self) -> Array:
        return self.open.won_at <= days_of(self.window.end)

    def quantiles(self) -> tuple[float, ...]:
        return tuple(float(np.quantile(self.draws, q)) for q in QUANTILES)


def walk(known: Evidence, windows: Sequence[Window], instants: Sequence[Any]) -> list[Outlook]:
    """By `at`; a past window with too little behind it is left out. instants: the marks of `known`, ascending."""
    made: list[Outlook] = []
    for window in windows:
        mark = instants.index(window.at)
        if window.scored and known.outcomes[mark].max(0).sum() < CLOSED:
            continue
        past = [o for o in made if o.window.kind == window.kind and o.window.end <= window.at]
        made.append(_outlook(known, window, mark, past))
    return made


def _outlook(known: Evidence, window: Window, mark: int, past: Sequence[Outlook]) -> Outlook:
    at, end, rows = days_of(window.at), days_of(window.end), known.open(mark)
    plain = open_chances(known, window, mark, rows)
    late = np.nan_to_num(rows.due, nan=-np.inf) > window.last_day.toordinal() - date(1970, 1, 1).toordinal()
    chance = np.clip(plain * _pull(past, late), 0, 1)
    ours = known.wins.at <= at
    amount = np.where(np.isnan(rows.amount), _typical(known.wins.amount[ours]), rows.amount)
    book = sim.Book(chance, amount, _ratios(past))
    new = sim.new_business(known.wins.created, known.wins.at, known.wins.amount, at, end - at, window.step_days, known.first)
    shock, independent = _shock(past, window)
    rate = stage_rates(known.outcomes[mark])[rows.stage.astype(int)]
    due = ~late
    weight = np.nan_to_num(rows.chance)
    points = {
        "calibrated": book.expected + new.expected,
        "stage_historical": float((rate * amount)[due].sum()),
        "crm_weighted": float((weight * np.nan_to_num(rows.amount))[due].sum()),
        "last_year": _then(known, at - 365, end - 365),
        "last_period": _then(known, at - window.step_days, end - window.step_days),
    }
    draws = sim.simulate(book, new, shock, _seed(window), DRAWS if window.scored else sim.DRAWS)
    seen, truth = _then(known, at, end), _stands(known, at, end)
    return Outlook(window, rows, chance, plain, rate, book, new, points, draws, shock, independent, seen, truth, late)


def _seed(window: Window) -> int:
    return int(window.at.timestamp()) * 1000 + window.days


def fitted(known: Evidence, mark: int, rows: Open) -> hz.Hazards:
    """The hazards as they looked at a mark: stays that had ended, and those still going on."""
    sound = rows.sound
    going_on = hz.watched(len(known.stages), rows.stage[sound].astype(int), rows.age[sound])
    return hz.hazards(known.finished[mark] + going_on)


def open_chances(known: Evidence, window: Window, mark: int, rows: Open) -> Array:
    at = days_of(window.at)
    months = hz.month_factors(*_whole_quarters(known.wins.at[known.wins.at <= at], window.at.date(), known.first))
    grid = hz.won_within(fitted(known, mark, rows), window.days, window.at.date(), months)
    found: Array = grid[rows.stage.astype(int), np.minimum(rows.age, hz.AGES - 1).astype(int)]
    return found


def _whole_quarters(won: Array, today: date, first: float) -> tuple[Array, float]:
    """(wins of the whole quarters before today, how many those quarters are)."""
    start = date(today.year, (today.month - 1) // 3 * 3 + 1, 1).toordinal() - date(1970, 1, 1).toordinal()
    whole = np.floor((start - first) / 91.3125)
    return np.floor(won[(won < start) & (won >= start - whole * 91.3125)]), float(whole)


def stage_rates(outcomes: Array) -> Array:
    """Won ÷ (won + lost) by stage, each leaning on all by twenty deals. outcomes: (stage, won/lost)."""
    won, closed = outcomes[:, 0], outcomes.sum(1)
    whole = won.sum() / closed.sum() if closed.sum() else 0.0
    found: Array = (won + LEANING * whole) / (closed + LEANING)
    return found


def _pull(past: Sequence[Outlook], late: Array) -> Array:
    """What deals due in time, and deals due later, made of their chances in windows that are over."""
    factors = []
    for group in (False, True):
        hits = sum(float(o.won_then[o.late == group].sum()) for o in past)
        hoped = sum(float(o.plain[o.late == group].sum()) for o in past)
        factors.append((hits + LEANING) / (hoped + LEANING))
    return np.where(late, factors[1], factors[0])


def _ratios(past: Sequence[Outlook]) -> Array:
    """Won ÷ quoted of open deals that were won in windows that are over; 1 where there are fewer than ten."""
    pool = np.concatenate([np.array([]), *_ratio_parts(past)])
    return np.clip(pool, 0, _MOST_RATIO) if len(pool) >= 10 else np.ones(1)


def _ratio_parts(past: Sequence[Outlook]) -> Iterator[Array]:
    for o in past:
        amount = np.nan_to_num(o.open.amount)
        mine = o.won_then & (amount > 0) & ~np.isnan(o.open.won_amount)
        yield o.open.won_amount[mine] / amount[mine]


def _typical(won: Array) -> float:
    return float(won.mean()) if len(won) else 0.0


def _shock(past: Sequence[Outlook], window: Window) -> tuple[float, int]:
    """(log-sd of the common shock, independent windows behind it): from windows of the same part that are over."""
    same = [o for o in past if o.window.part == window.part and o.seen > 0 and o.points["calibrated"] > 0]
    if len(same) < CALIBRATED:
        return sim.SHOCK, len(same)
    forecast = np.array([o.points["calibrated"] for o in same])
    own = np.array([o.book.variance + o.new.variance for o in same])
    errors = np.log(np.array([o.seen for o in same]) / forecast)
    return sim.shock_of(errors, own / forecast**2), len(same)


def _then(known: Evidence, since: float, until: float) -> float:
    """Amount won in (since, until], as known when it was won; nan for a time nothing is known of."""
    if since < known.first:
        return float("nan")
    w = known.wins
    return float(np.nan_to_num(w.amount[(w.at > since) & (w.at <= until)]).sum())


def _stands(known: Evidence, since: float, until: float) -> float:
    w = known.wins
    return float(np.nan_to_num(w.final_amount[(w.final_at > since) & (w.final_at <= until)]).sum())
