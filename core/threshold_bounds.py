"""What the funnel's thresholds may be, beyond their types: no span is less than nothing, no share more than all, and words are known.

A report on a window of minus five days would not be refused by arithmetic; it would be wrong, or a bug's traceback. So the file is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from core.model import LADDER, PIPELINE_STAGES
from core.thresholds import ATTRIBUTION_MODELS, DEFAULTS, FOLLOW_UPS, SIGNALS
from core.yaml_positions import did_you_mean

Mistake = tuple[tuple[str | int, ...], str, bool]  # where under `thresholds`, what is wrong, whether the key is
Check = Callable[[Any], Iterator[tuple[tuple[str | int, ...], str]]]  # of a value: where in it, and what is wrong

BREAKDOWNS = ("source", "owner", "campaign", "segment", "variant")  # what the conversion report can be broken down by
PERIODS = ("month", "quarter")
CENTURY_DAYS = 36_525
LONGEST = {"_days": CENTURY_DAYS, "_hours": 24 * CENTURY_DAYS, "_minutes": 24 * 60 * CENTURY_DAYS, "_months": 1200}  # by the end of a name
# Spans that are looked through or divided by: of nothing they say nothing.
SOME = {
    "window_days", "forecast_days", "funnel_months", "renewal_days", "score_days", "half_life_days", "lookback_days", "retained_days",
    "experiment_days", "experiment_won_days", "experiment_planned", "experiment_detect_share", "score_min_positives", "outlier_factor",
    "target",
}  # fmt: skip
WHOLE = {"window_days", "forecast_days", "funnel_months", "score_min_positives", "quiet_pulls"}
OF_ALL = {"duplicate_probability", "bulk_stamp_share", "duplicate_name_share"}  # shares of a whole: up to all of it
WITHIN = {"stalled_quantile", "experiment_power", "experiment_cap_quantile", "sample_ratio_p"}  # between nothing and all


def mistakes(said: Callable[[str], Any]) -> Iterator[Mistake]:
    """What is wrong with the thresholds. said: a threshold by its name."""
    for name, default in DEFAULTS.items():
        value = said(name)
        if name in _SPECIAL:
            yield from (((name, *at), what, False) for at, what in _SPECIAL[name](value))
        elif name == "target" or (isinstance(default, int | float) and not isinstance(default, bool)):
            yield from (((name,), what, False) for what in _number(name, value))
        elif isinstance(value, tuple | list) and any(not str(word).strip() for word in value):
            yield (name,), "an empty word would fit everything; leave it out", False
    yield from _named(said)


def _number(name: str, value: Any) -> Iterator[str]:
    """target may be left out, and may be a text."""
    if value is None:
        return
    try:
        number = float(value)
    except ValueError:
        yield f"expected a number, such as 250000, not {value!r}"
        return
    least = "more than 0" if name in SOME or name in WITHIN else "0 or more"
    most = next((limit for end, limit in LONGEST.items() if name.endswith(end)), None)
    if number < 0 or (number == 0 and least == "more than 0"):
        yield f"expected {least}, not {value}"
    elif (name in OF_ALL and number > 1) or (name in WITHIN and number >= 1):
        yield f"expected a share {'below' if name in WITHIN else 'of at most'} 1, not {value}"
    elif most is not None and number > most:
        yield f"expected at most {most}, not {value}"
    elif name in WHOLE and number != int(number):
        yield f"expected a whole number, not {value}"


def _one_of(known: Collection[str], what: str) -> Check:
    def check(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for at, word in [((), value)] if isinstance(value, str) else [((i,), word) for i, word in enumerate(value)]:
            if word not in known:
                yield at, f"unknown {what} {word!r}{did_you_mean(word, known)}"

    return check


def _spans(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not value:
        yield (), "expected at least one span, such as [30, 90]"
    for i, days in enumerate(value):
        if not 0 < days <= CENTURY_DAYS:
            yield (i,), f"expected days from 1 to {CENTURY_DAYS}, not {days}"


def _steps(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Unknown codes are said elsewhere."""
    rungs = [code for code in value if code in LADDER]
    if len(value) < 2:
        yield (), "expected two milestones or more, such as [M20, M50, M80]"
    elif rungs != sorted(set(rungs)):
        yield (), "the milestones must stand in the order of the ladder, each once"


def _levels(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if len(set(value)) < 2:
        yield (), "expected two milestones or more, such as [M20, M50, M80]"


def _days_of_week(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not value or not set(value) <= set(range(1, 8)):
        yield (), "expected days of the week from 1 (Monday) to 7, at least one"


def _hours_of_day(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if len(value) != 2 or not 0 <= value[0] < value[1] <= 24:
        yield (), "expected two hours of a day, the first before the last, such as [9, 17]"


def _bands(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if len(value) != 3 or not all(0 <= low < high <= 100 for high, low in pairwise(value)):
        yield (), "expected three scores from 100 down to 0, for A, B and C, such as [75, 50, 25]"


def _currency(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if value is not None and not re.fullmatch("[A-Z]{3}", str(value)):
        yield (), f"expected a currency's three letters, such as EUR, not {value!r}"


def _groups(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """A word may stand under its own group's name, and twice in one group; in two groups it means both."""
    first: dict[str, str] = {}
    for group, words in value.items():
        for i, word in enumerate(words):
            other = first.setdefault(str(word).strip().lower(), group)
            if other != group:
                yield (group, i), f"{word!r} stands in {other!r} already; a word is of one group"


def _not_negative(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for key, number in value.items():
        if not 0 <= number <= CENTURY_DAYS:
            yield (key,), f"expected 0 or more, at most {CENTURY_DAYS}, not {number}"


_SPECIAL: Mapping[str, Check] = {
    "forecast_period": _one_of(PERIODS, "period"),
    "attribution_model": _one_of(ATTRIBUTION_MODELS, "model"),
    "funnel_by": _one_of(BREAKDOWNS, "breakdown"),
    "qualified_stages": _one_of(PIPELINE_STAGES, "stage of the pipeline"),
    "follow_up_off": _one_of(FOLLOW_UPS, "step"),
    "within_days": _spans,
    "funnel_steps": _steps,
    "funnel_levels": _levels,
    "business_days": _days_of_week,
    "business_hours": _hours_of_day,
    "score_bands": _bands,
    "currency": _currency,
    "source_groups": _groups,
    "same_campaigns": _groups,
    "follow_up": _not_negative,
}


def _named(said: Callable[[str], Any]) -> Iterator[Mistake]:
    for which, what, known in (("score_points", "signal", SIGNALS), ("follow_up", "number", tuple(DEFAULTS["follow_up"]))):
        for name in said(which):
            if name not in known:
                yield (which, name), f"unknown {what} {name!r}{did_you_mean(name, known)}", True
