"""Amounts in other currencies at the rates people wrote down (`exchange_rates`), each at the rate of its day. The facts are changed, not
the metrics, so quotes, histories and sums of a deal all go by one rate: that of its close date once it is closed, else that of now.

What no rate is written down for stays in its currency, and is refused as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import ibis
import pyarrow as pa

from core.measure.metric import Metric, Scope, pairs
from core.tables import keep

_RECORD = ["entity_id", "account", "resource", "vendor_id"]
_FAR = date(9999, 12, 31)


def parsed(rates: Mapping[str, Any]) -> list[tuple[str, date, date, float]]:
    """(currency, first day, first day of the next rate, units of the reporting currency for one of it), from {"USD": ["2026-01-01 0.92"]}.

    Raises: ValueError for what is no such line.
    """
    found: list[tuple[str, date, date, float]] = []
    for currency, lines in rates.items():
        told = sorted((date.fromisoformat(day), float(rate)) for day, rate in (str(line).split() for line in lines))
        if any(rate <= 0 for _, rate in told):
            raise ValueError(f"a rate of {currency} that is not above 0")
        ends = [day for day, _ in told[1:]] + [_FAR]
        found += [(currency, day, end, rate) for (day, rate), end in zip(told, ends, strict=True)]
    return found


def converted(facts: Mapping[str, ibis.Table], funnel: Any, as_of: datetime) -> tuple[dict[str, ibis.Table], dict[str, int]]:
    """(the facts, deals converted by currency). Unchanged without rates, or without a reporting currency to convert to."""
    scope = Scope(facts, funnel, as_of)
    rates, currency = parsed(scope.choice("exchange_rates")), scope.choice("currency")
    if not rates or not currency:
        return dict(facts), {}
    rated = keep(_rated(scope, rates))
    n = {r["currency"]: int(r["n"]) for r in pairs(rated.group_by("currency").agg(n=rated.count()).order_by("currency"))}
    if not n:
        return dict(facts), {}
    own = rated.select("entity_id", "rate", was="currency")
    deal, deals, changes = facts["deal"], facts["deals"], facts["changes"]
    deal = _at_rate(deal, own, str(currency))
    amounts = changes.filter((changes.kind == "deal") & (changes.field == "amount"))
    others = changes.filter(~((changes.kind == "deal") & (changes.field == "amount")))
    keys = deals.inner_join(own, "entity_id").filter(lambda t: t.currency == t.was).select(*_RECORD, "rate")
    t = amounts.left_join(keys, _RECORD).drop(*(f"{name}_right" for name in _RECORD))
    value = ibis.ifelse(t.rate.notnull(), (t.value.try_cast("float64") * t.rate).cast("string"), t.value)
    told = t.mutate(value=value).select(*changes.columns)
    made = {"deal": deal, "deals": _at_rate(deals, own, str(currency)), "changes": ibis.union(others, told)}
    return {**facts, **{name: keep(table) for name, table in made.items()}}, n


def _rated(scope: Scope, rates: list[tuple[str, date, date, float]]) -> ibis.Table:
    """(entity_id, currency, rate) of the deals in another currency that has a rate on their day."""
    columns = list(zip(*rates, strict=True))
    types = (pa.string(), pa.date32(), pa.date32(), pa.float64())
    names = ("in_", "first", "after", "rate")
    r = ibis.memtable(pa.table({name: pa.array(c, type_) for name, c, type_ in zip(names, columns, types, strict=True)}))
    d = scope.facts["deal"].filter(lambda t: t.currency.notnull() & (t.currency != scope.choice("currency")))
    today = ibis.literal(scope.as_of.date())
    d = d.select("entity_id", "currency", day=ibis.ifelse(d.outcome == "open", today, ibis.coalesce(d.close_date, today)))
    return d.inner_join(r, [d.currency == r.in_, d.day >= r["first"], d.day < r.after]).select("entity_id", "currency", "rate")


def _at_rate(t: ibis.Table, own: ibis.Table, currency: str) -> ibis.Table:
    """The table with `amount` and `currency` of the deals that have a rate, where it is in the currency the rate is of."""
    columns = t.columns
    t = t.left_join(own, "entity_id").drop("entity_id_right")
    mine = (t.currency == t.was).fill_null(False)
    amount = t.amount.cast("float64")
    t = t.mutate(amount=ibis.ifelse(mine, amount * t.rate, amount), currency=ibis.ifelse(mine, currency, t.currency))
    return t.select(*columns)


def said(metric: Metric, n: Mapping[str, int], currency: str) -> dict[str, str]:
    """What a number of money says of itself: {"converted": "3 deals from USD at dated rates"}."""
    money = metric.unit.split(" ")[0] == currency or metric.dimensions.get("currency") == currency
    if not n or not money:
        return {}
    return {"converted": f"{', '.join(f'{k} deals from {name}' for name, k in n.items())} at dated rates"}
