"""All numbers of a part only: of a source, an owner, an industry, a campaign, a variant, a pipeline. The facts are cut, not the metrics.

So every factor of a number is of the same part. What nobody can divide (visitors' counts, what campaigns cost) is left out of a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ibis

from core.errors import UserError
from core.measure.funnel_by import of_person
from core.measure.metric import Scope, pairs
from core.measure.sources import deals_with_source
from core.measure.touch_names import group
from core.tables import keep
from core.threshold_bounds import BREAKDOWNS
from core.yaml_positions import did_you_mean

BY = (*BREAKDOWNS, "pipeline")


def narrowed(facts: Mapping[str, ibis.Table], funnel: Any, as_of: datetime, only: Mapping[str, str]) -> dict[str, ibis.Table]:
    """The facts of the persons and deals that all of `only` ({"source": "web"}) is true of; upper and lower case are the same.

    Raises: UserError for a way to divide there is none of, and for a part that nobody is in.
    """
    cut = dict(facts)
    for by, value in only.items():
        if by not in BY:
            raise UserError(f"numbers cannot be had by {by!r}{did_you_mean(by, BY)}", next_step=f"one of: {', '.join(BY)}")
        cut = _cut(Scope(cut, funnel, as_of), by, value)
    return cut


def _cut(scope: Scope, by: str, value: str) -> dict[str, ibis.Table]:
    people, deals = _parts(scope, by)
    wanted = value.strip().lower()
    p, d = (keep(t.filter(_is(scope, by, t.part, wanted)).select("entity_id").distinct()) for t in (people, deals))
    if not int(p.count().execute()) and not int(d.count().execute()):
        some = [r["part"] for r in pairs(people.union(deals).group_by("part").agg(n=lambda t: t.count()).order_by("part")) if r["part"]]
        raise UserError(
            f"nobody and no deal has the {by} {value!r}{did_you_mean(value, some)}",
            next_step=f"for example: {', '.join(some[:5]) or 'none'}",
        )
    f, m, of_deals = dict(scope.facts), scope.facts["milestone"], d.select(deal="entity_id")
    whose = ibis.union(
        p.mutate(kind=ibis.literal("person")).select("kind", "entity_id"), d.mutate(kind=ibis.literal("deal")).select("kind", "entity_id")
    )
    f |= {name: keep(f[name].semi_join(p, "entity_id")) for name in ("person", "people")}
    f |= {name: keep(f[name].semi_join(d, "entity_id")) for name in ("deal", "deals")}
    f |= {"milestone": keep(m.semi_join(whose, ["kind", "entity_id"])), "deal_person": keep(f["deal_person"].semi_join(of_deals, "deal"))}
    tallies, campaigns = f["tallies"], f["campaigns"]
    return f | {"tallies": tallies.filter(False), "campaigns": campaigns.mutate(cost=ibis.null(campaigns["cost"].type()))}


def _is(scope: Scope, by: str, part: ibis.Value, wanted: str) -> ibis.Value:
    """Is it the part? A source may be named by any of its words, or by the group of sources it is of."""
    same = part.lower() == wanted
    return same | (group(scope, part) == wanted) if by == "source" else same


def _parts(scope: Scope, by: str) -> tuple[ibis.Table, ibis.Table]:
    """(entity_id, part) of persons, and of deals. A deal without such a thing of its own is of its persons' parts, and vice versa."""
    d, on = scope.facts["deal"], scope.facts["deal_person"]
    if by == "pipeline":
        of_deals = d.select("entity_id", part="pipeline_id")
        return on.inner_join(of_deals, on.deal == of_deals.entity_id).select(entity_id="person", part="part"), of_deals
    people = of_person(scope, by).filter(lambda t: t.part.notnull()).select("entity_id", "part")
    if by == "source":
        return people, deals_with_source(scope).select("entity_id", part="origin")
    if by == "owner":
        return people, d.select("entity_id", part=d.owner_email.strip())
    if by == "segment":
        c = scope.facts["company"].select(company_entity="entity_id", part="industry")
        return people, d.select("entity_id", "company_entity").inner_join(c, "company_entity").select("entity_id", "part")
    of = people.select("part", person="entity_id")
    return people, on.inner_join(of, "person").select("part", entity_id="deal").select("entity_id", "part")


def said(only: Mapping[str, str]) -> str:
    """ "source web, owner ada@example.com": as metrics carry it in `excluded`."""
    return ", ".join(f"{by} {value}" for by, value in only.items())
