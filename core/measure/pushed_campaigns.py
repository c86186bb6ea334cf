"""What campaigns are credited with, as values of their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from core.measure.attribution import Credits, Ways, ways
from core.measure.metric import Scope, pairs
from core.measure.pipeline import reporting_currency
from core.measure.touch_names import campaign_key


def shared_ways(scope: Scope) -> Ways:
    """What attribution stands on, once for all that is pushed."""
    return scope.once("ways", lambda: ways(scope, reporting_currency(scope)[0]))


def campaigns(scope: Scope) -> list[dict[str, Any]]:
    """What is credited to a campaign by `attribution_model`: leads, MQLs, opportunities, deals and amounts."""
    model = str(scope.choice("attribution_model"))
    credited = Credits.of(scope, shared_ways(scope)).campaigns(model)
    rows = []
    for r in pairs(campaign_keys(scope)):
        got = credited.get(r["key"], {})

        def said(of: str, what: str, digits: int, got: Mapping[str, Mapping[str, float]] = got) -> float:
            return round(got.get(of, {}).get(what, 0.0), digits)

        values = {
            "campaign_leads": said("M20", "count", 1), "campaign_mqls": said("M30", "count", 1),
            "campaign_opportunities": said("M50", "count", 1), "campaign_won_deals": said("won", "count", 1),
            "campaign_pipeline": said("open", "value", 0), "campaign_won_value": said("won", "value", 0), "campaign_model": model,
        }  # fmt: skip
        rows.append({"entity_id": r["entity_id"], **values})
    return rows


def campaign_keys(scope: Scope) -> ibis.Table:
    """(entity_id, account, resource, vendor_id, key) of live campaigns; each record is an entity of its own."""
    c = scope.facts["campaigns"]
    c = c.filter(~c.deleted.fill_null(False))
    own = c.account.concat(":", c.resource, ":", c.vendor_id)
    return c.select("account", "resource", "vendor_id", entity_id=own, key=campaign_key(scope, c["name"]))
