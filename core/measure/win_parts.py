"""Who and what wins: the win rate of the last year by owner, source, segment and size of company; and why deals were lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import ibis

from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import closed_in, window
from core.measure.sources import UNKNOWN, deals_with_source
from core.measure.spells import LOST, WON
from core.measure.touch_names import group

BY = ("owner", "source", "segment", "size")
MOST = 20  # parts that are listed; the rest are one
REST = "(all others)"
SIZES = ((0, "1-9 employees"), (10, "10-49 employees"), (50, "50-249 employees"), (250, "250-999 employees"), (1000, "1000 or more"))


def measure(scope: Scope) -> Iterator[Metric]:
    found = pairs(parted(scope).group_by("outcome", *BY, "reason").agg(n=lambda t: t.count()))
    for by in BY:
        yield from _rates(by, found)
    yield from _reasons(found)


def parted(scope: Scope) -> ibis.Table:
    """(entity_id, outcome, owner, source, segment, size, reason) of the deals closed in the window; what is unknown says so."""
    d = closed_in(scope, *window(scope)).select("entity_id", "outcome", "owner_email", "company_entity", "lost_reason")
    origin = deals_with_source(scope).select("entity_id", "origin")
    c = scope.facts["company"].select("industry", "employees", company_entity="entity_id")
    d = d.left_join(origin, "entity_id").drop("entity_id_right").left_join(c, "company_entity").drop("company_entity_right")
    size = ibis.cases(*[(d.employees >= least, name) for least, name in reversed(SIZES)], else_=UNKNOWN)
    return d.select(
        "entity_id", "outcome", size=size, owner=_said(d.owner_email), source=group(scope, d.origin), segment=_said(d.industry),
        reason=_said(d.lost_reason),
    )  # fmt: skip


def _said(text: ibis.Value) -> ibis.Value:
    return text.strip().lower().nullif("").fill_null(UNKNOWN)


def _rates(by: str, found: list[dict[str, Any]]) -> Iterator[Metric]:
    closed: Counter[str] = Counter()
    won: Counter[str] = Counter()
    for row in found:
        closed[row[by]] += int(row["n"])
        won[row[by]] += int(row["n"]) if row["outcome"] == WON else 0
    order = sorted(closed, key=lambda part: (-closed[part], part))
    words = f"won ÷ (won + lost) in the window, of deals of this {by}"
    for part in order[:MOST]:
        yield share("win_rate_by", words, {"by": by, "part": part}, won[part], closed[part])
    if rest := order[MOST:]:
        yield share("win_rate_by", words, {"by": by, "part": REST}, sum(won[part] for part in rest), sum(closed[part] for part in rest))


def _reasons(found: list[dict[str, Any]]) -> Iterator[Metric]:
    lost: Counter[str] = Counter()
    for row in found:
        lost[row["reason"]] += int(row["n"]) if row["outcome"] == LOST else 0
    whole = lost.total()
    for reason in sorted((r for r in lost if lost[r]), key=lambda r: (-lost[r], r)):
        words = "deals lost in the window for this reason ÷ deals lost in it"
        yield share("lost_reasons", words, {"reason": reason}, lost[reason], whole)


# -- rows -----------------------------------------------------------------------------------------------------------------
def of_part(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The closed deals of a part. "(all others)" are those without a part of their own in the report."""
    t = parted(scope)
    return t.filter(t[str(dims["by"])] == dims["part"])


def lost_for(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    t = parted(scope)
    return t.filter(t.outcome == LOST, t.reason == dims["reason"])
