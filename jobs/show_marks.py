"""Marks of a number: what spoils it or is left out of it, as short as it can stand beside the number.

Metrics say in `excluded` what they are without. What vendors say of their own counts (core.quality, core.restated) is laid beside the
numbers that stand on these counts, by account and report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.show_metrics import dimensions, excluded, number

# In `excluded`, but about how far to trust a number, which tables say under them.
TRUST = (
    "backtest", "not computable", "independent periods", "shock", "period", "proxy", "score by", "only", "converted",
    "dropped by the leak guard",
)  # fmt: skip
COUNTED_BY = "counted by"  # in `excluded`: "account report" of the vendors' counts the number is made of
# Beginnings of what is said of the number itself, and not of who is left out of it.
ABOUT = ("cross-system", "sum of", "proxy of", "won less than", "losses come", "business hours")
# Beginnings of what spoils a number, as against who is rightly not in it.
_SPOILS = (
    *ABOUT, "in ", "deals in ", "no visitors", "no stage", "no amount", "no close date", "won without", "without a currency", "dates ",
    "bulk-stamped", "stays whose dates", "no history of",
)  # fmt: skip


def marks(row: Mapping[str, Any]) -> tuple[str, ...]:
    """ "in USD 20,700", "no stage 2", "ga4 costs: restated (3 of 40)"; () for a clean number."""
    return (*(said(why, value) for why, value in _left_out(row)), *row.get("vendor_marks", ()))


def spoilt(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of the marks that make the number itself doubtful."""
    return (*(said(why, v) for why, v in _left_out(row) if why.startswith(_SPOILS)), *row.get("vendor_marks", ()))


def marked(metrics: Iterable[Mapping[str, Any]], quality: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The metrics with `vendor_marks`: what the vendors say of the counts each is made of. quality: as the report's data has it."""
    by_report: dict[tuple[str, str], list[str]] = {}
    for mark in quality:
        text = f"{mark['account']} {mark['report']}: {mark['mark']} ({number(mark['values'])} of {number(mark['of'])})"
        for key in ((mark["account"], mark["report"]), (mark["account"], "")):
            by_report.setdefault(key, []).append(text)
    return [{**row, "vendor_marks": tuple(dict.fromkeys(t for key in _reports(row) for t in by_report.get(key, ())))} for row in metrics]


def _reports(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(account, report) of the counts behind a metric; report "" is any of the account's. [] for what stands on records alone."""
    dims, name = dimensions(row), str(row["name"])
    if name == "experiment_vendor" or name.startswith("experiment_goal_"):
        return [(dims.get("tool", ""), "")]
    if name == "experiment_visitors" and ":" in dims.get("source", ""):
        account, _, report = dims["source"].partition(":")
        return [(account, report)]
    pairs = [str(one).partition(" ") for one in str(excluded(row).get(COUNTED_BY, "")).split(", ") if one]
    return [(account, report) for account, _, report in pairs]


def _left_out(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(why, value) for why, value in excluded(row).items() if why not in (*TRUST, COUNTED_BY)]


def said(why: str, value: Any) -> str:
    """ "in USD 20,700": one thing that is left out, and how much of it."""
    shown = number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
    return f"{why} {shown}".strip()
