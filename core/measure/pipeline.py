"""Deals: what is open, what it is worth, how much of it is won, how fast. Currencies are never added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import ibis

from core.measure.distrust import flagged, left_out
from core.measure.durations import kaplan_meier
from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.windows import period
from core.tables import instant

_STAGES = ("M50", "M60", "M70")


def measure(scope: Scope) -> Iterator[Metric]:
    currency, others = reporting_currency(scope)
    yield from pipeline_value(scope, currency)
    yield coverage(scope, currency, others)
    yield from time_in_stage(scope)


def reporting_currency(scope: Scope) -> tuple[str | None, dict[str, int]]:
    """(the one currency sums are in, number of deals in each other): the funnel's, else the one most deals are in (ties by name).

    None when no amount has a currency.
    """
    return scope.once("currency", lambda: _reporting_currency(scope))


def _reporting_currency(scope: Scope) -> tuple[str | None, dict[str, int]]:
    d = scope.facts["deal"].filter(lambda t: t.amount.notnull())
    counts = {r["currency"]: r["n"] for r in pairs(d.group_by("currency").agg(n=d.count()))}
    usual = min((name for name in counts if name), key=lambda name: (-counts[name], name), default=None)
    chosen = scope.choice("currency") or usual
    return chosen, {f"in {name or 'no currency'}": n for name, n in counts.items() if name != chosen}


def open_deals(scope: Scope) -> ibis.Table:
    d = scope.facts["deal"]
    return d.filter(d.outcome == "open")


def pipeline_value(scope: Scope, currency: str | None) -> Iterator[Metric]:
    """Open amounts by stage and currency; totals only in the reporting currency."""
    d = open_deals(scope)
    d = d.mutate(stage=d.pipeline_stage.fill_null("(unmapped)"), money=d.amount, weight=d.amount.cast("float64") * d.probability)
    rows = pairs(
        d.group_by("stage", "currency")
        .agg(n=d.count(), value=total(d.money), blank=d.amount.isnull().sum(), weighted=total(d.weight), unweighted=d.weight.isnull().sum())
        .order_by("stage", "currency")
    )
    stages: dict[str, int] = {}
    for row in rows:
        stages[row["stage"]] = stages.get(row["stage"], 0) + row["n"]
        yield from _value_of_stage(row)
    for stage, n in stages.items():
        yield Metric("open_deals", "open deals in the stage", {"stage": stage}, n, "deals", n)
    yield _total("pipeline_value", "amount of all open deals", rows, "value", "blank", currency)
    yield _total("weighted_pipeline", "amount × the CRM's probability of all open deals", rows, "weighted", "unweighted", currency)


def _value_of_stage(row: Mapping[str, Any]) -> Iterator[Metric]:
    if row["n"] == row["blank"]:
        return
    dims = {"stage": row["stage"], "currency": row["currency"]}
    excluded = {"no amount": row["blank"]} if row["blank"] else {}
    words = "amount of open deals in the stage"
    yield Metric("pipeline_value", words, dims, row["value"], row["currency"] or "units", row["n"] - row["blank"], excluded=excluded)


def _total(name: str, words: str, rows: list[dict[str, Any]], column: str, blank: str, currency: str | None) -> Metric:
    """The sum in one currency; the others are named as excluded, with their sums."""
    mine = [r for r in rows if currency is not None and r["currency"] == currency]
    excluded: dict[str, Any] = {}
    for r in rows:
        if r not in mine and r[column] is not None:
            key = f"in {r['currency'] or 'no currency'}"
            excluded[key] = round(excluded.get(key, 0.0) + float(r[column]), 2)
    empty = sum(r[blank] for r in rows if r in mine or r[column] is None)
    left = {**excluded, **({"no amount or probability": empty} if empty else {})}
    n = sum(r["n"] - r[blank] for r in mine)
    dims = {"stage": "all", "currency": currency}
    value = sum(float(r[column] or 0) for r in mine) if mine or not excluded else None
    return Metric(name, words, dims, value, currency or "mixed", n, excluded=left)


def closed_in(scope: Scope, first: date, last: date) -> ibis.Table:
    """Deals won or lost with a close date in the days; duplicates, tests and data errors are no losses."""
    d = scope.facts["deal"]
    d = d.filter(d.outcome.isin(["won", "lost"]), d.close_date >= ibis.literal(first), d.close_date <= ibis.literal(last))
    return d.filter(~_no_loss(scope, d))


def no_losses(scope: Scope) -> ibis.Table:
    """Deals that are put down as lost but were never deals: `ignored_lost_reasons`."""
    d = scope.facts["deal"]
    return d.filter(_no_loss(scope, d))


def _no_loss(scope: Scope, d: ibis.Table) -> ibis.Value:
    ignored = [str(reason).strip().lower() for reason in scope.choice("ignored_lost_reasons")]
    return (d.outcome == "lost") & d.lost_reason.strip().lower().isin(ignored or ["(none)"]).fill_null(False)


def window(scope: Scope) -> tuple[date, date]:
    last = scope.as_of.date()
    return last - timedelta(days=int(scope.choice("window_days"))), last


def quarter(day: date, back: int = 0) -> tuple[str, date, date]:
    """(name, first day, last day) of the calendar quarter that many quarters ago."""
    index = day.year * 4 + (day.month - 1) // 3 - back
    year, q = divmod(index, 4)
    after = date(year + (q == 3), 1 if q == 3 else 3 * q + 4, 1)
    return f"{year}-Q{q + 1}", date(year, 3 * q + 1, 1), after - timedelta(days=1)


def coverage(scope: Scope, currency: str | None, others: Mapping[str, int]) -> Metric:
    """Open amounts due in the current period ÷ what is still to be won in it."""
    name, first, last = period(scope.as_of.date(), str(scope.choice("forecast_period")))
    d = scope.facts["deal"].filter(lambda t: t.close_date.between(ibis.literal(first), ibis.literal(last)))
    d = d.filter(d.currency.identical_to(ibis.literal(currency, type="string")))
    due, won = (total(d.amount, d.outcome == outcome) for outcome in ("open", "won"))
    row = pairs(d.agg(due=due, won=won, n=(d.outcome == "open").sum()))[0]
    target, due, won = scope.choice("target"), row["due"] or 0.0, row["won"] or 0.0
    excluded: dict[str, Any] = dict(others)
    left = float(target) - won if target is not None else None
    if left is None:
        excluded["not computable"] = "the funnel has no target"
    elif left <= 0:
        excluded["not computable"] = "the target is met"
    value = due / left if left is not None and left > 0 else None
    words = "open amount due in the period ÷ (target − won in it)"
    return Metric("coverage", words, {"period": name, "currency": currency}, value, "×", row["n"] or 0, due, left, excluded=excluded)


def time_in_stage(scope: Scope) -> Iterator[Metric]:
    """Days deals stay in a stage until they move forward; open ones count as far as watched, lost and sent back ones leave the watch."""
    c = scope.facts["changes"]
    d = scope.facts["deal"].select("entity_id", "outcome", account="source_account", resource="source_resource", vendor_id="source_id")
    c = c.filter(c.kind == "deal", c.field == "stage", c.code.notnull()).inner_join(d, ["entity_id", "account", "resource", "vendor_id"])
    c = flagged(c, "stamped", scope.distrust.stamped, ("account", "resource", "vendor_id", "field", "seq"))
    c = flagged(c, "disordered", scope.distrust.disordered_deals)
    by_record = {"group_by": ["account", "resource", "vendor_id"], "order_by": "seq"}
    c = c.mutate(before=c.code.lag().over(**by_record))
    c = c.filter(c.before.isnull() | (c.before != c.code))
    c = c.mutate(next_code=c.code.lead().over(**by_record), next_at=c.at.lead().over(**by_record), until=c.stamped.lead().over(**by_record))
    c = c.filter(c.code.isin(_STAGES), c.next_at.notnull() | (c.outcome == "open"))
    end = ibis.coalesce(c.next_at, instant(scope.as_of))
    days = ((end.epoch_seconds() - c.at.epoch_seconds()) / 86400.0).floor().cast("int64")
    c = c.mutate(days=days, forward=((c.next_code > c.code) & (c.next_code != "M85")).fill_null(False))
    c = c.mutate(stamped=~c.disordered & (c.stamped | c.until.fill_null(False)))
    rows = pairs(c.group_by("code", "days", "forward", "disordered", "stamped").agg(n=c.count()))
    sound = [r for r in rows if not r["disordered"] and not r["stamped"]]
    words = "days in the stage until the next one, open ones as far as watched (Kaplan-Meier)"
    until, unknown = max(int(days) for days in scope.choice("within_days")), _undated(scope)
    for code in _STAGES:
        curve = kaplan_meier((float(r["days"]), int(r["forward"]), int(r["n"])) for r in sound if r["code"] == code)
        excluded = left_out(**{why: sum(r["n"] for r in rows if r["code"] == code and r[why]) for why in ("disordered", "stamped")})
        excluded |= {"since when is unknown": unknown[code]} if unknown.get(code) else {}
        found = {label: curve.quantile(q)[0] for label, q in (("median", 0.5), ("p75", 0.75), ("p90", 0.9))}
        found[f"mean within {until} d"] = curve.restricted_mean(until)
        for label, value in found.items():
            dims = {"stage": code, "quantile": label}
            yield Metric("time_in_stage", words, dims, value if curve.n else None, "days", curve.n, curve.events, excluded=excluded)


def _undated(scope: Scope) -> dict[str, int]:
    """Open deals by stage that were in it before anything is known of their stages: in no time in stage."""
    c = scope.facts["changes"]
    c = c.filter(c.kind == "deal", c.field == "stage", c.code.notnull())
    d = open_deals(scope).filter(lambda t: t.stage.isin(_STAGES)).anti_join(c, "entity_id")
    return {r["stage"]: int(r["n"]) for r in pairs(d.group_by("stage").agg(n=d.count()))}
