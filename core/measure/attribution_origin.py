"""Where deals came from, by three definitions side by side, and which touches were there at all.

Sourced and influenced answer different questions and are never added: a deal is influenced by every channel that touched it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import closed_in, open_deals, window
from core.measure.seconds import DAY_S, seconds
from core.measure.sources import deals_with_source
from core.measure.touch_names import DIRECT, UNKNOWN, group
from core.tables import MOMENT, instant

DEFINITIONS = {
    "lead source": "deals whose lead source is marketing's",
    "first touch": "deals whose first touch is marketing's and came before the deal",
    "before sales": "deals whose first touch is marketing's and came before the deal and before sales did anything",
}


def sourced(scope: Scope, paths: ibis.Table, units: ibis.Table, currency: str | None) -> Iterator[Metric]:
    t = flags(scope, paths, units)
    columns = {name.replace(" ", "_"): name for name in DEFINITIONS}
    counts = {f"n_{c}": t[c].sum() for c in columns} | {f"v_{c}": total(t.value, t[c]) for c in columns}
    for row in pairs(t.group_by("of").agg(n=t.count(), value=total(t.value), **counts).order_by("of")):
        for column, name in columns.items():
            dims = {"of": row["of"], "definition": name}
            part = row[f"n_{column}"] or 0
            yield Metric("sourced_deals", DEFINITIONS[name], dims, part, "deals", row["n"], part, row["n"])
            value, money = round(row[f"v_{column}"] or 0.0, 2), {**dims, "currency": currency}
            yield Metric("sourced_value", DEFINITIONS[name], money, value, currency or "units", part, value, round(row["value"] or 0.0, 2))


def flags(scope: Scope, paths: ibis.Table, units: ibis.Table) -> ibis.Table:
    """Won and open deals (of, unit, value) with one column for each definition."""
    u = units.filter(units.of.isin(["won", "open"])).select("of", "unit", "value")
    first = paths.filter(paths.seq == 0, paths.channel != DIRECT, (paths["at"] <= paths.made).fill_null(False))
    t = u.left_join(first.select("of", "unit", first_at="at"), ["of", "unit"], rname="f_{name}")
    sales = first_sales(scope)
    t = t.left_join(sales, t.unit == sales.deal).drop("deal")
    origin = deals_with_source(scope).select("origin", deal="entity_id")
    t = t.left_join(origin, t.unit == origin.deal)
    ours = group(scope, t.origin)
    strangers = [word.lower() for word in scope.choice("sales_sources")]
    by_field = ~ours.isin([UNKNOWN, DIRECT, *strangers]) & ~t.origin.isin(strangers)
    seen = t.first_at.notnull()
    return t.mutate(
        lead_source=by_field.fill_null(False), first_touch=seen,
        before_sales=seen & (t.sold_at.isnull() | (t.first_at < t.sold_at)).fill_null(False),
    )  # fmt: skip


def first_sales(scope: Scope) -> ibis.Table:
    """(deal, sold_at): when sales first did something, by tasks that are done, meetings held, and touches that are sales'."""
    task, d = scope.facts["tasks"], scope.facts["deals"]
    held = task.done.fill_null(True) & (task.due_at <= instant(scope.as_of))
    task = task.filter(~task.deleted.fill_null(False), held).select("account", "due_at", task_deal="deal_id")
    known = d.select("account", task_deal="vendor_id", deal="entity_id")
    done = task.inner_join(known, ["account", "task_deal"]).select("deal", at=seconds(task.due_at))
    t, on = scope.facts["touches"], scope.facts["deal_person"]
    t = t.filter(t.kind.isin(list(scope.choice("sales_touches"))), t.occurred_at.notnull()).select("occurred_at", person="entity_id")
    spoken = on.inner_join(t, "person").select("deal", at=seconds(t.occurred_at))
    both = ibis.union(done, spoken)
    return both.group_by("deal").agg(sold_at=both["at"].min())


def influenced(scope: Scope, people: ibis.Table, touches: ibis.Table, currency: str | None) -> Iterator[Metric]:
    """Deals with a marketing touch from `influence_days` before their creation to their close: count and full amount."""
    t = seen(scope, people, touches, currency)
    for by, whole in (("channel", True), ("campaign", False)):
        words = f"deals with a touch of the {by}; a deal stands at every {by} that touched it, so they do not add up"
        named = t.filter(t[by].notnull()).mutate(name=t[by] if by == "channel" else t.called)
        once = named.group_by("of", by, "unit").agg(value=named.value.max(), label=named.name.min())
        once = once.group_by("of", by).agg(n=once.count(), value=total(once.value), label=once.label.min())
        for row in pairs(once.order_by("of", by)):
            yield from _influence(words, {"of": row["of"], by: row["label"]}, row, currency)
        if whole:
            each = t.group_by("of", "unit").agg(value=t.value.max())
            for row in pairs(each.group_by("of").agg(n=each.count(), value=total(each.value)).order_by("of")):
                yield from _influence("deals with any marketing touch, each once", {"of": row["of"], "channel": "all"}, row, currency)


def _influence(words: str, dims: Mapping[str, Any], row: Mapping[str, Any], currency: str | None) -> Iterator[Metric]:
    yield Metric("influenced_deals", words, dims, row["n"], "deals", row["n"])
    value = round(row["value"] or 0.0, 2)
    yield Metric("influenced_value", words, {**dims, "currency": currency}, value, currency or "units", row["n"])


def seen(scope: Scope, people: ibis.Table, touches: ibis.Table, currency: str | None) -> ibis.Table:
    """(of, unit, value, channel, campaign, called) of the touches inside the deals' windows of influence."""
    closed = closed_in(scope, *window(scope)).filter(lambda d: d.outcome == "won")
    closed = closed.mutate(of=ibis.literal("won"), ended=seconds(closed.close_date.cast(MOMENT)) + DAY_S - 1)
    opened = open_deals(scope).mutate(of=ibis.literal("open"), ended=seconds(instant(scope.as_of)))
    columns = ["of", "entity_id", "created_at", "close_date", "amount", "currency", "ended"]
    d = ibis.union(closed.select(*columns), opened.select(*columns))
    began = ibis.least(ibis.coalesce(seconds(d.created_at), d.ended), d.ended) - int(scope.choice("influence_days")) * DAY_S
    ours = d.currency.identical_to(ibis.literal(currency, type="string"))
    value = ibis.ifelse(ours, d.amount.cast("float64"), 0.0).fill_null(0.0)
    d = d.select("of", "ended", unit="entity_id", began=began, value=value)
    who = people.inner_join(d, ["of", "unit"])
    t = touches.filter(touches.channel != DIRECT).inner_join(who, "person_no")
    return t.filter(t["at"] >= t.began, t["at"] <= t.ended)
