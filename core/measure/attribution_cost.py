"""What campaigns cost, and what a lead, an opportunity and a won deal cost by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import ibis

from core.measure.metric import Metric, Scope, pairs
from core.measure.touch_names import campaign_key
from core.tables import instant

Credit = Mapping[str, Mapping[str, Mapping[str, float]]]


def costs(scope: Scope, currency: str | None, credit: Credit) -> Iterator[Metric]:
    """Cost of the campaigns in the window, cost by unit credited to them, and value won for each unit of money spent.

    credit: {campaign: {of: {count, value}}} (core.measure.attribution). Costs given by the day count in the window; a campaign's own
    one where none are, if it began in the window.
    """
    known = spent(scope, currency)
    for key, cost in known.items():
        dims = {"campaign": cost["called"]}
        words = f"what the campaign cost ({cost['source']})"
        yield Metric("campaign_cost", words, {**dims, "currency": currency}, cost["cost"], currency or "units", 1, excluded=cost["left"])
        yield from _ratios(dims, cost["cost"], credit.get(key, {}), currency, cost["left"])
    if known:
        sums: dict[str, dict[str, float]] = {}
        for key in known:
            for of, got in credit.get(key, {}).items():
                at = sums.setdefault(of, {"count": 0.0, "value": 0.0})
                at["count"] += got["count"]
                at["value"] += got["value"]
        whole = round(sum(cost["cost"] for cost in known.values()), 2)
        words = "what all campaigns whose cost is known cost"
        yield Metric("campaign_cost", words, {"campaign": "all", "currency": currency}, whole, currency or "units", len(known))
        yield from _ratios({"campaign": "all"}, whole, sums, currency, {})


def _ratios(
    dims: Mapping[str, Any], cost: float, got: Mapping[str, Mapping[str, float]], currency: str | None, left: Mapping[str, Any]
) -> Iterator[Metric]:
    for of, credit in sorted(got.items()):
        count = credit["count"]
        named = {**dims, "of": of, "currency": currency}
        value = cost / count if count > 0 else None
        words = "cost of the campaign ÷ deals or persons credited to it"
        yield Metric("cost_per", words, named, value, currency or "units", round(count), cost, round(count, 6), excluded=left)
    won = got.get("won")
    if won and cost:
        words = "won value credited to the campaign ÷ its cost"
        named = {**dims, "currency": currency}
        amount, n = round(won["value"], 2), round(won["count"])
        yield Metric("campaign_return", words, named, won["value"] / cost, "×", n, amount, cost, excluded=left)


def spent(scope: Scope, currency: str | None) -> dict[str, dict[str, Any]]:
    """{campaign's key: {called, cost, source, left}}; days' costs before the campaign record's."""
    first = scope.as_of - timedelta(days=int(scope.choice("window_days")))
    found = {row["key"]: _cost(row, "its record", currency) for row in pairs(_of_records(scope))}
    kept = {key: cost for key, cost in found.items() if cost["row"]["began"] is None or cost["row"]["began"] >= first}
    for row in pairs(_of_days(scope, first)):
        kept[row["key"]] = _cost(row, "day by day", currency)
    return {key: kept[key] for key in sorted(kept) if kept[key]["ours"]}


def _cost(row: dict[str, Any], source: str, currency: str | None) -> dict[str, Any]:
    ours = row["currency"] is None or row["currency"] == currency
    left = {"without a currency, taken as": currency} if row["currency"] is None else {}
    reports = dict.fromkeys(row[name] for name in ("report", "other") if row.get(name))
    left |= {"counted by": ", ".join(reports)} if reports else {}
    return {"called": row["called"], "cost": round(float(row["cost"]), 2), "source": source, "left": left, "ours": ours, "row": row}


def _of_records(scope: Scope) -> ibis.Table:
    c = scope.facts["campaigns"]
    c = c.filter(~c.deleted.fill_null(False), c["cost"] > 0, c["name"].notnull())
    c = c.mutate(key=campaign_key(scope, c["name"])).filter(lambda t: t.key.notnull())
    t = c.group_by("key", "currency").agg(called=c["name"].min(), cost=c["cost"].cast("float64").sum(), began=c.started_at.min())
    return t.order_by("key", "currency")


def _of_days(scope: Scope, first: Any) -> ibis.Table:
    """Tallies called `cost`, with the campaign and the currency in their attributes."""
    t = scope.facts["tallies"]
    t = t.filter(t.measure == "cost", ~t.deleted.fill_null(False), t.value.notnull())
    t = t.filter(t.day >= ibis.literal(first.date()), t.day <= instant(scope.as_of).date())
    said = {name: t.attributes.re_extract(f'"{name}":"([^"]*)"', 1).nullif("") for name in ("campaign", "currency")}
    t = t.select("value", report=t.account.concat(" ", t.resource), **said).filter(lambda x: x.campaign.notnull())
    t = t.mutate(key=campaign_key(scope, t.campaign))
    found = t.group_by("key", "currency").agg(called=t.campaign.min(), cost=t.value.sum(), report=t.report.min(), other=t.report.max())
    return found.order_by("key", "currency")
