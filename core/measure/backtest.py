"""How the forecasts would have done: every past window against what was really won in it, method by method, and deal by deal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.measure import scores
from core.measure.forecast import Run, run
from core.measure.metric import Metric, Scope, share
from core.measure.walk import CLOSED, METHODS, QUANTILES, Outlook

Array = NDArray[Any]
_MONEY = {"rmse": scores.rmse}
_SHARES = {"bias": scores.bias, "wape": scores.wape, "mape": scores.mape}
COVERED = "windows whose outcome lay in the 80 % band ÷ windows tried"
WORDS = {
    "bias": "Σ(forecast − won) ÷ Σ won", "wape": "Σ|forecast − won| ÷ Σ won", "mape": "mean of |forecast − won| ÷ won",
    "rmse": "root of the mean squared error", "mase": "mean error ÷ that of the same days a year before",
}  # fmt: skip


def measure(scope: Scope) -> Iterator[Metric]:
    found = run(scope)
    for kind in ("period", "days"):
        tried = found.scored(kind)
        if tried:
            yield from _of_kind(found, kind, tried)
        else:
            left = {"not computable": f"no past window had {CLOSED} deals closed before it and ended a month ago"}
            yield share("backtest_coverage", COVERED, {"kind": kind, "method": "calibrated"}, 0, 0, excluded=left)


def _of_kind(found: Run, kind: str, tried: Sequence[Outlook]) -> Iterator[Metric]:
    independent = len({o.window.name for o in tried})
    excluded: dict[str, Any] = {"independent periods": independent}
    undated = sum(int((~o.open.amount_dated).sum()) for o in tried)
    excluded |= {"no history of amounts: today's is used": undated} if undated else {}
    yield from _windows(found, kind, tried, excluded)
    yield from _points(found, kind, tried, excluded)
    yield from _band(found, kind, tried, excluded)
    yield from _deals(kind, tried, excluded)


def _windows(found: Run, kind: str, tried: Sequence[Outlook], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """One row per window: what was said, and what came."""
    words = "won in the window after the day (n: open deals then)"
    for o in tried:
        dims = {"kind": kind, "window": f"{o.window.name} on {o.window.at:%Y-%m-%d}"}
        named = {"forecast": o.points["calibrated"], **dict(zip(("P10", "P50", "P90"), o.quantiles(), strict=True)), "won": o.truth}
        for what, value in named.items():
            yield Metric("backtest_window", words, {**dims, "what": what}, round(value, 2), found.currency or "units", len(o.chance),
                         excluded=excluded)  # fmt: skip


def _points(found: Run, kind: str, tried: Sequence[Outlook], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    truth = np.array([o.truth for o in tried])
    naive = np.array([o.points["last_year"] for o in tried])
    for method in METHODS:
        said = np.array([o.points[method] for o in tried])
        there = ~np.isnan(said)
        dims, n = {"kind": kind, "method": method}, int(there.sum())
        left = {**excluded, **({"windows without it": len(tried) - n} if n < len(tried) else {})}
        for name, score in {**_SHARES, **_MONEY}.items():
            unit = "number" if name in _SHARES else found.currency or "units"
            yield Metric("backtest", WORDS[name], {**dims, "score": name}, _round(score(said[there], truth[there])), unit, n, excluded=left)
        value = scores.mase(said[there], truth[there], naive[there])
        yield Metric("backtest", WORDS["mase"], {**dims, "score": "mase"}, _round(value), "number", n, excluded=left)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _band(found: Run, kind: str, tried: Sequence[Outlook], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    truth = np.array([o.truth for o in tried])
    bounds = np.array([o.quantiles() for o in tried])
    dims, unit, n = {"kind": kind, "method": "calibrated"}, found.currency or "units", len(tried)
    for i, q in enumerate(QUANTILES):
        loss = scores.pinball(bounds[:, i], truth, q)
        words = "mean of max(q(y − f), (q − 1)(y − f)): lower is better"
        yield Metric("backtest", words, {**dims, "score": f"pinball P{round(100 * q)}"}, _round(loss), unit, n, excluded=excluded)
    crps = float(np.mean([scores.crps(o.draws, o.truth) for o in tried]))
    words = "mean |x − y| − ½ mean |x − x'| of the draws: lower is better"
    yield Metric("backtest", words, {**dims, "score": "crps"}, _round(crps), unit, n, excluded=excluded)
    width = float((bounds[:, 2] - bounds[:, 0]).mean())
    yield Metric("backtest", "mean width of the 80 % band", {**dims, "score": "width"}, _round(width), unit, n, excluded=excluded)
    inside = int(((bounds[:, 0] <= truth) & (truth <= bounds[:, 2])).sum())
    shock = "calibrated" if tried[-1].calibrated else "uncalibrated: the default shock"
    yield share("backtest_coverage", COVERED, dims, inside, n, excluded={**excluded, "shock": shock})


def _deals(kind: str, tried: Sequence[Outlook], excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """Of open deals at every instant: was the probability to be won in the window right?"""
    won = np.concatenate([o.won for o in tried]).astype(float)
    if not len(won):
        return
    base = float(won.mean())
    crm = np.concatenate([np.where(o.late, 0.0, o.open.chance) for o in tried])
    said = {
        "calibrated": np.concatenate([o.chance for o in tried]),
        "stage_historical": np.concatenate([np.where(o.late, 0.0, o.stage_rate) for o in tried]),
        "crm_weighted": crm,
        "base_rate": np.full(len(won), base),
    }
    for method, chance in said.items():
        there = ~np.isnan(chance)
        n, dims = int(there.sum()), {"kind": kind, "method": method}
        for name, score, words in _DEAL_SCORES:
            value = _round(score(chance[there], won[there]))
            yield Metric("backtest_deals", words, {**dims, "score": name}, value, "number", n, excluded=excluded)
    for low, high, mean, rate, n in scores.reliability(said["calibrated"], won):
        words = "open deals with such a probability: the share won (numerator: as many were expected)"
        dims = {"kind": kind, "bin": f"{low:.1f}-{high:.1f}"}
        yield Metric("reliability", words, {**dims, "what": "expected"}, _round(mean), "share", n, excluded=excluded)
        yield share("reliability", words, {**dims, "what": "won"}, round(rate * n), n, excluded=excluded)


_DEAL_SCORES = (
    ("brier", scores.brier, "mean squared error of the probability: lower is better"),
    ("log_loss", scores.log_loss, "−mean log of the probability given to what came: lower is better"),
    ("slope", scores.slope, "calibration slope: 1 is right, below it chances were too extreme, above it too timid"),
    ("auc", scores.auc, "the probability that a won deal had the higher chance: 0.5 says nothing"),
)
