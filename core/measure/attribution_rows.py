"""The deals and persons behind attribution's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from core.measure.attribution import ALL, NOBODY, ways
from core.measure.attribution_origin import flags, seen
from core.measure.metric import Scope
from core.measure.pipeline import reporting_currency
from core.measure.touch_names import campaign_key


def attributed(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """Whose way had a touch of the channel or campaign, whatever the model gave it; all units, or those without a touch."""
    known = ways(scope, reporting_currency(scope)[0])
    units, t = (table.filter(table.of == dims["of"]) for table in (known.units, known.paths))
    if dims.get("channel") == ALL:
        return units.select(entity_id="unit")
    if dims.get("channel") == NOBODY:
        return units.anti_join(t, "unit").select(entity_id="unit")
    return _named(scope, t, dims).select(entity_id="unit")


def influenced(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    currency = reporting_currency(scope)[0]
    known = ways(scope, currency)
    t = seen(scope, known.people, known.touches, currency).filter(lambda x: x.of == dims["of"])
    return (t if dims.get("channel") == ALL else _named(scope, t, dims)).select(entity_id="unit")


def sourced(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    known = ways(scope, reporting_currency(scope)[0])
    t = flags(scope, known.paths, known.units)
    return t.filter(t.of == dims["of"], t[str(dims["definition"]).replace(" ", "_")]).select(entity_id="unit")


def _named(scope: Scope, t: ibis.Table, dims: Mapping[str, Any]) -> ibis.Table:
    if "campaign" in dims:
        return t.filter(t.campaign == campaign_key(scope, ibis.literal(str(dims["campaign"]))))
    return t.filter(t.channel == dims["channel"])
