"""Conversion events: what web analytics and advertising were told about sales, by the site, by a server or by the hub."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side
from core.tables import seconds_between


def _won_without_event(ctx: Context) -> ibis.Table:
    """Fires only once any conversion event was ever seen: without a source of events nothing is missing."""
    deals, touch = ctx.facts["deals"], ctx.records("touch")
    names = "|".join(ctx.limit("conversion_events"))
    events = touch.filter(~touch.deleted.fill_null(False), touch.kind == "conversion", touch.occurred_at.notnull())
    any_source = events.select("vendor").distinct().agg(sources=lambda t: t.count())
    sent = events.filter(events.event.re_search(f"({names})$"), events.deal_id.notnull())
    sent = sent.select("occurred_at", deal_id="deal_id")
    t = _closed(ctx)
    ids = deals.select("entity_id", deal_id="vendor_id").inner_join(sent, "deal_id")
    ids = ids.inner_join(t.select("entity_id", "closed_at"), "entity_id")
    span = float(ctx.limit("conversion_hours")) * 3600
    told = ids.filter(seconds_between(ids.closed_at, ids.occurred_at).abs() <= span).select("entity_id").distinct()
    t = t.anti_join(told, "entity_id")
    t = t.anti_join(_told_by_us(ctx, names), "entity_id")
    t = t.semi_join(_tracked(ctx), "entity_id").cross_join(any_source).filter(lambda x: x.sources > 0)
    return side(
        t, "deal", "conversion", account=t.source_account, resource=t.source_resource, vendor_id=t.source_id, value="won", at=t.closed_at
    )


def _told_by_us(ctx: Context, names: str) -> ibis.Table:
    """Deals of which the ledger says that the hub told such an event, whenever that was: a late one is told all the same."""
    t = ctx.facts["told"]
    return t.filter(t.event.re_search(f"({names})$")).select("entity_id").distinct()


def _closed(ctx: Context) -> ibis.Table:
    """Won deals whose time to send the event is over, and not long forgotten."""
    d = ctx.facts["deal"].filter(lambda t: t.outcome == "won")
    m = ctx.facts["milestone"].filter(lambda t: (t.kind == "deal") & (t.code == "M80")).select("entity_id", "reached_at")
    t = d.inner_join(m, "entity_id")
    t = t.mutate(closed_at=ibis.coalesce(t.stage_entered_at, t.reached_at))
    oldest, newest = ctx.ago(days=float(ctx.limit("conversion_max_days"))), ctx.ago(hours=float(ctx.limit("conversion_hours")))
    return t.filter(t.closed_at <= newest, t.closed_at >= oldest)


def _tracked(ctx: Context) -> ibis.Table:
    """Deals with a person that web analytics knows."""
    p = ctx.facts["person"].filter(lambda t: t.client_id.notnull() | t.user_id.notnull())
    pairs = ctx.facts["deal_person"].inner_join(p.select(person="entity_id"), "person")
    return pairs.select(entity_id="deal").distinct()


RULES = (
    Rule(
        "E-01", "Won without a conversion event", "S2", "Analytics and bidding never learn that this visitor became a sale.",
        _won_without_event, question="Send close_convert_lead for this deal now, with the original date as a parameter?",
        example="A deal was won on 3 June with a buyer whom Analytics knows; no conversion event names that deal until 6 June.",
        exact="A deal with a person whom web analytics knows was won, and `conversion_hours` before or after it none of "
        "`conversion_events` names it; sales older than `conversion_max_days` are left alone, and so is a hub without any source of "
        "conversion events.",
    ),
)  # fmt: skip
