"""Dated evidence that a person or a deal reached a rung of the ladder."""

from __future__ import annotations

import ibis

from core.model import LADDER
from core.tables import MOMENT, further, stack

_EVIDENCE = {"entity_id": "string", "code": "string", "reached_at": MOMENT}


def deal_milestones(deals: ibis.Table, changes: ibis.Table, as_of: ibis.Value) -> ibis.Table:
    """(entity_id, code, reached_at, implied) of deals, M85 (lost) among them.

    A deal is an opportunity (M50) from its creation, unless it was created closed.
    """
    history = changes.filter(changes.kind == "deal", changes.field == "stage", changes.code.notnull(), changes.at <= as_of)
    record = ["account", "resource", "vendor_id"]
    born_closed = history.filter(history.seq == 0, history.code.isin(["M80", "M85"])).select(*record)
    same_day = (deals.result != "open") & (deals.close_date <= deals.created_at.date())
    created = deals.filter(deals.created_at.notnull(), ~same_day.fill_null(False)).anti_join(born_closed, record)
    closing = deals.filter(deals.result.isin(["won", "lost"]))
    closed_at = ibis.coalesce(closing.close_date.cast(MOMENT), closing.stage_entered_at)
    parts = [
        history.select("entity_id", "code", reached_at="at"),
        created.select("entity_id", code=ibis.literal("M50"), reached_at="created_at"),
        deals.filter(deals.stage.notnull()).select("entity_id", code="stage", reached_at=ibis.null(MOMENT)),
        closing.select("entity_id", code=ibis.ifelse(closing.result == "won", "M80", "M85"), reached_at=closed_at).anti_join(
            history.filter(history.code.isin(["M80", "M85"])).select("entity_id", "code"), ["entity_id", "code"]
        ),
    ]
    return _with_implied(_earliest(parts), "M50")


def person_milestones(
    people: ibis.Table, touches: ibis.Table, changes: ibis.Table, of_deals: ibis.Table, deal_person: ibis.Table, as_of: ibis.Value
) -> ibis.Table:
    """(entity_id, code, reached_at, implied) of persons: own history, lead conversion, touches, and the deals they are on."""
    history = changes.filter(changes.kind == "person", changes.code.notnull(), changes.at <= as_of)
    leads = people.filter(people.converted.notnull(), people.created_at.notnull())  # only a lead can be converted
    converted = people.filter(people.converted)
    deals = of_deals.filter(~of_deals.implied, of_deals.code.isin(LADDER))
    deals = deals.inner_join(deal_person.select(entity_id="deal", person="person"), "entity_id")
    wins = deals.filter(deals.code == "M80", deals.reached_at.notnull())
    renewal = wins.mutate(n=ibis.row_number().over(group_by="person", order_by=[wins.reached_at, wins.entity_id]))
    parts = [
        history.select("entity_id", "code", reached_at="at"),
        people.filter(people.stage.notnull()).select("entity_id", code="stage", reached_at=ibis.null(MOMENT)),
        leads.select("entity_id", code=ibis.literal("M20"), reached_at="created_at"),
        converted.select("entity_id", code=ibis.literal("M40"), reached_at=converted.converted_at.cast(MOMENT)),
        deals.select(entity_id="person", code="code", reached_at="reached_at"),
        renewal.filter(renewal.n == 1).select(entity_id="person", code=ibis.literal("M90"), reached_at="reached_at"),
        _touched(touches, as_of),
        _subscribed(people),
    ]
    return _with_implied(_earliest(parts), "M00")


def _subscribed(people: ibis.Table) -> ibis.Table:
    """A subscription is dated by its start; other current stages say nothing about when."""
    t = people.filter(people.stage == "M10", people.created_at.notnull())
    return t.select("entity_id", code="stage", reached_at="created_at")


def _touched(touches: ibis.Table, as_of: ibis.Value) -> ibis.Table:
    t = touches.filter(touches.stage.notnull(), touches.occurred_at.notnull(), touches.occurred_at <= as_of)
    return t.select("entity_id", code="stage", reached_at="occurred_at")


def _earliest(parts: list[ibis.Table]) -> ibis.Table:
    every = stack(parts, _EVIDENCE)
    every = every.filter(every.code.isin([*LADDER, "M85", "MX"]))
    return every.group_by("entity_id", "code").agg(reached_at=every.reached_at.min()).mutate(implied=ibis.literal(False))


def _with_implied(explicit: ibis.Table, lowest: str) -> ibis.Table:
    """Every rung from `lowest` to below the highest, too: reached, but nobody knows when."""
    top = explicit.group_by("entity_id").agg(top=further(explicit.code).max())
    below = top.mutate(code=ibis.array([c for c in LADDER if c >= lowest])).unnest("code").filter(lambda t: t.code < t.top)
    missing = below.anti_join(explicit.select("entity_id", "code"), ["entity_id", "code"])
    missing = missing.select("entity_id", "code", reached_at=ibis.null(MOMENT), implied=ibis.literal(True))
    return stack([explicit, missing], {**_EVIDENCE, "implied": "boolean"})
