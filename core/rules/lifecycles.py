"""The lifecycle stage a CRM shows for a person or company, beside the deals that should explain it."""

from __future__ import annotations

import ibis

from core.model import LADDER
from core.rules.rule import Context, record_key
from core.tables import stack

_COLUMNS = dict.fromkeys(("entity_kind", "entity_id", "account", "resource", "vendor_id", "stage", "raw_stage", "lead_status"), "string")


def lifecycles(ctx: Context) -> ibis.Table:
    """Live records whose stage is a lifecycle on the ladder: persons and companies, with `at` (since when) and `key`."""
    changes = ctx.facts["changes"]
    changes = changes.filter(changes.field == "lifecycle")
    parts = [_of_kind(ctx, "person", ctx.facts["people"]), _of_kind(ctx, "company", ctx.facts["companies"])]
    t = stack(parts, {**_COLUMNS, "updated_at": "timestamp('UTC', 6)"})
    last = changes.group_by("account", "resource", "vendor_id").agg(last_at=changes.at.max())
    t = t.left_join(last, ["account", "resource", "vendor_id"]).drop("account_right", "resource_right", "vendor_id_right")
    return t.mutate(at=ibis.coalesce(t.last_at, t.updated_at), key=record_key(t)).drop("last_at")


def _of_kind(ctx: Context, kind: str, live: ibis.Table) -> ibis.Table:
    vendors, resources = list(ctx.limit("lifecycle_vendors")), list(ctx.limit("lifecycle_resources"))
    t = live.filter(live.vendor.isin(vendors), live.resource.isin(resources), live.stage.isin(LADDER))
    return t.mutate(entity_kind=ibis.literal(kind))


def asked(ctx: Context) -> ibis.Table:
    """(entity_id, goal): the rung a person's own deals ask for, customer for a won and opportunity for an open one, else none."""
    p = ctx.facts["person"]
    return p.select("entity_id", goal=ibis.cases((p.won_deals > 0, "M80"), (p.open_deals > 0, "M50")).cast("string"))


def linked_deals(ctx: Context, *, through_company: bool = False) -> ibis.Table:
    """(entity_kind, entity_id, deal): a person's and a company's deals; with the deals of the person's company if asked."""
    own = ctx.facts["deal_person"].select(entity_id="person", deal="deal").mutate(entity_kind=ibis.literal("person"))
    of_company = ctx.facts["deal_company"].select(entity_id="company", deal="deal").mutate(entity_kind=ibis.literal("company"))
    parts = [own, of_company]
    if through_company:
        via = ctx.facts["person_company"].inner_join(ctx.facts["deal_company"], "company")
        parts.append(via.select(entity_id="person", deal="deal").mutate(entity_kind=ibis.literal("person")))
    return stack(parts, dict.fromkeys(("entity_kind", "entity_id", "deal"), "string")).distinct()


def with_deals(ctx: Context, pairs: ibis.Table) -> ibis.Table:
    """Counts of deals by outcome per entity, and one example record of each outcome.

    `won_anywhere` counts a deal that any of its systems calls won; `settled_won` and `settled_open` leave out deals that
    were touched within the quiet period.
    """
    d = ctx.facts["deal"].select(
        "outcome", "close_date", "stage_entered_at", "created_at", deal="entity_id", account="source_account",
        resource="source_resource", vendor_id="source_id",
    )  # fmt: skip
    stirred = ctx.facts["deals"].filter(lambda t: t.updated_at > ctx.quiet).select(deal="entity_id").distinct()
    calm = d.anti_join(stirred, "deal").select("deal").mutate(calm=ibis.literal(True))
    won = ctx.facts["deals"].filter(lambda t: t.result == "won").select(deal="entity_id").distinct().mutate(ever=ibis.literal(True))
    t = pairs.inner_join(d, "deal").left_join(calm, "deal").drop("deal_right").left_join(won, "deal").drop("deal_right")
    t = t.mutate(calm=t.calm.fill_null(False), ever=t.ever.fill_null(False))
    return t.group_by("entity_kind", "entity_id").agg(
        won=(t.outcome == "won").sum(),
        open=(t.outcome == "open").sum(),
        lost=(t.outcome == "lost").sum(),
        won_anywhere=t.ever.sum(),
        settled_won=((t.outcome == "won") & t.calm).sum(),
        settled_open=((t.outcome == "open") & t.calm).sum(),
        **_example(t, "won"),
        **_example(t, "open"),
        **_example(t, "lost"),
    )


def _example(t: ibis.Table, outcome: str) -> dict[str, ibis.Value]:
    this = t.outcome == outcome
    at = ibis.coalesce(t.stage_entered_at, t.created_at)
    columns = {"account": t.account, "resource": t.resource, "vendor_id": t.vendor_id}
    picked = {f"{outcome}_{name}": column.argmin(t.deal, where=this) for name, column in columns.items()}
    return {**picked, f"{outcome}_at": at.argmin(t.deal, where=this & at.notnull())}
