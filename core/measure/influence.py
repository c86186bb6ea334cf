"""How much of a deal each campaign is credited with, in whole per cent, by the ids of one system: what can be written there as links."""

from __future__ import annotations

from decimal import Decimal

from core.measure.attribution import to_the_unit
from core.measure.attribution_models import weights
from core.measure.exact import total
from core.measure.metric import Scope, pairs
from core.measure.pushed_campaigns import campaign_keys, shared_ways

DEALS = ("won", "open")


def influence(scope: Scope, account: str, ends: tuple[str, str]) -> tuple[dict[str, str], set[str]]:
    """({"deal:campaign": per cent}, ids of the deals that were looked at), of won deals of the window and open ones.

    ends: the account's resources of deals and campaigns. What is credited to no campaign, or to one the account has not, is in none.
    A campaign of several records counts at the first of them.
    """
    t = shared_ways(scope).paths
    t = t.filter(t.of.isin(DEALS))
    t = t.mutate(weight=weights(t, float(scope.choice("half_life_days")))[str(scope.choice("attribution_model"))])
    t = t.mutate(key=t.campaign.fill_null(""))
    credit: dict[str, dict[str, float]] = {}
    for row in pairs(t.group_by("unit", "key").agg(weight=total(t.weight)).order_by("unit", "key")):
        credit.setdefault(row["unit"], {})[row["key"]] = float(row["weight"])
    c = campaign_keys(scope)
    c = c.filter(c.account == account, c.resource == ends[1], c.key.notnull())
    campaigns = {row["key"]: row["vendor_id"] for row in pairs(c.group_by("key").agg(vendor_id=c.vendor_id.min()))}
    m = scope.facts["members"]
    m = m.filter(m.kind == "deal", m.live, m.account == account, m.resource == ends[0])
    u = shared_ways(scope).units
    counted = u.filter(u.of.isin(DEALS)).select(entity_id="unit").distinct()
    links: dict[str, str] = {}
    seen = set()
    for row in pairs(m.semi_join(counted, "entity_id").select("entity_id", "vendor_id").order_by("vendor_id")):
        seen.add(row["vendor_id"])
        parts = credit.get(row["entity_id"], {})
        whole = sum(parts.values())
        shares = to_the_unit({key: 100 * part / whole for key, part in parts.items()}, Decimal(100), Decimal(1)) if whole else {}
        for key, share in shares.items():
            if key in campaigns and share > 0:
                links[f"{row['vendor_id']}:{campaigns[key]}"] = str(share)
    return links, seen
