"""One metric row (name, dimensions, value, numerator, denominator, n, low, high, unit) as people read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core.model import FUNNEL_STAGES, LADDER, OFF_LADDER, PIPELINE_STAGES

FAMILIES = (
    "funnel", "breakdown", "pipeline", "movement", "winrate", "sources", "attribution", "experiments", "forecast", "backtest", "waterfall",
    "retention", "score", "next",
)  # fmt: skip
# A report shows more families than the one of its name, where they were measured.
_TOGETHER = {"funnel": ("funnel", "breakdown"), "pipeline": ("pipeline", "movement"), "forecast": ("forecast", "backtest", "winrate")}
FEW = 10  # a share of fewer than this is shown as its counts only
# What reports call the milestones (the ladder's default names).
MILESTONES = {
    "M00": "Visitor", "M10": "Subscriber", "M20": "Lead", "M30": "MQL", "M35": "SAL", "M40": "SQL", "M50": "Opportunity",
    "M60": "Proposing", "M70": "Closing", "M80": "Won", "M85": "Lost", "M90": "Retained", "M95": "Advocate", "MX": "Disqualified",
    "M50 deals": "opened", "M80 deals": "won",
}  # fmt: skip
_ORDER = {name: i for i, name in enumerate((*FUNNEL_STAGES, *LADDER, *OFF_LADDER, *PIPELINE_STAGES))}
_SHARES = {"share", "ratio"}
_PLAIN = {"count", "number", "persons", "deals", "records", "units"}  # the heading says what is counted


def dimensions(row: Mapping[str, Any]) -> dict[str, str]:
    """The row's dimensions opened, in their order; {} for none."""
    return {str(k): "" if v is None else str(v) for k, v in _opened(row.get("dimensions")).items()}


def excluded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Who is not in the number, and why; {} for nobody."""
    return dict(_opened(row.get("excluded")))


def _opened(raw: Any) -> Mapping[str, Any]:
    opened: Mapping[str, Any] = json.loads(raw) if isinstance(raw, str) and raw else raw or {}
    return opened


def families(name: str | None) -> tuple[str, ...]:
    """Those a report of that name shows; None: all."""
    return FAMILIES if name is None else _TOGETHER.get(name, (name,))


def of_family(metrics: Iterable[Mapping[str, Any]], name: str | None) -> list[Mapping[str, Any]]:
    return [row for row in metrics if row["family"] in families(name)]


def shown(row: Mapping[str, Any]) -> str:
    """ "31.2 % (25/80)", "1,250,000 EUR", "14.5 days"; "–" for what cannot be computed, with the counts if there are any."""
    value, unit = row.get("value"), str(row.get("unit") or "")
    if unit in _SHARES:
        if value is None or _few(row):
            return f"– {_counts(row)}".strip()
        return f"{100 * float(value):.1f} % {_counts(row)}".strip()
    if value is None:
        return "–"
    if unit == "p":
        return f"{float(value):.3f}" if float(value) >= 0.0005 else "<0.001"
    return f"{number(value)} {'' if unit in _PLAIN else unit}".strip()


def _few(row: Mapping[str, Any]) -> bool:
    """Too few behind a share for it to say anything; `n` counts things, also where amounts are divided."""
    n = row.get("n") if row.get("n") is not None else row.get("denominator")
    return n is not None and float(n) < FEW


def _counts(row: Mapping[str, Any]) -> str:
    above, below = row.get("numerator"), row.get("denominator")
    return f"({number(above)}/{number(below)})" if above is not None and below is not None else ""


def interval(row: Mapping[str, Any]) -> str:
    """ "24.1–39.0 %"; "" where there is none or the counts are too few."""
    low, high = row.get("low"), row.get("high")
    if low is None or high is None or shown(row).startswith("–"):
        return ""
    if str(row.get("unit") or "") in _SHARES:
        return f"{100 * float(low):.1f}–{100 * float(high):.1f} %"
    return f"{number(low)}–{number(high)}"


def number(value: Any) -> str:
    """Grouped, and only as many decimals as matter: 1,250,000 · 14.5 · 0.33."""
    amount = float(value)
    if amount == int(amount):
        return f"{int(amount):,}"
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.1f}" if abs(amount) >= 10 else f"{amount:.2f}"


def label(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")


def place(value: str) -> str:
    """A dimension's value as shown: milestones with their name."""
    return f"{value} {MILESTONES[value]}" if value in MILESTONES else value or "(none)"


def rank(value: str) -> int:
    """Stages sort as on the ladder; what has no order keeps its own, before them, and "all" comes last."""
    return _ORDER.get(value.removesuffix(" deals"), len(_ORDER) if value == "all" else -1)
