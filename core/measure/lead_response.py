"""How fast sales gets in touch with a new lead: by the clock and in business hours, and how many nobody ever touched.

The first touch is the first of: a touch that is sales' (`sales_touches`), a task or meeting on one of his deals, the start of work on
him (SAL). Who sales had spoken to before is no new lead, and who was touched at once has waited for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import ibis

from core.measure.business_hours import between, hours
from core.measure.metric import Metric, Scope, pairs, share, survival
from core.measure.seconds import seconds
from core.tables import instant, keep

WITHIN = {"5 min": 5, "1 h": 60, "24 h": 24 * 60}  # minutes


def measure(scope: Scope) -> Iterator[Metric]:
    t = scope.once("lead response", lambda: keep(_leads(scope)))
    row = pairs(t.agg(n=t.count(), touched=t.touched_at.notnull().sum(), earlier=t.earlier.sum()))[0]
    excluded = {**scope.left_out, **({"sales was first": int(row["earlier"])} if row["earlier"] else {})}
    if not row["touched"]:
        why = {**excluded, "not computable": "no system has a touch by sales"}
        yield share("lead_untouched", _UNTOUCHED, {}, 0, 0, excluded=why)
        return
    fresh = t.filter(~t.earlier)
    yield from _untouched(fresh, excluded)
    for by, column in (("business hours", "open_min"), ("the clock", "clock_min")):
        yield from _waits(fresh, by, column, {**excluded, **({"business hours": hours(scope).said} if column == "open_min" else {})})


_UNTOUCHED = "leads that sales has not touched until now ÷ new leads"


def _untouched(t: ibis.Table, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    row = pairs(t.agg(n=t.count(), none=t.touched_at.isnull().sum()))[0]
    yield share("lead_untouched", _UNTOUCHED, {}, int(row["none"] or 0), int(row["n"]), excluded=excluded)


def _waits(t: ibis.Table, by: str, column: str, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    rows = pairs(t.group_by(minutes=t[column], touched=t.touched_at.notnull()).agg(n=t.count()).order_by("minutes", "touched"))
    curve = survival((float(r["minutes"]), bool(r["touched"]), int(r["n"])) for r in rows)
    words = "hours from lead to sales' first touch, those not touched yet as far as they have waited (Kaplan-Meier)"
    for label, q in (("median", 0.5), ("p90", 0.9)):
        minutes = curve.quantile(q) if curve.n else None
        value = None if minutes is None else minutes / 60
        yield Metric("lead_response", words, {"by": by, "quantile": label}, value, "hours", curve.n, curve.events, excluded=excluded)
    for name, limit in WITHIN.items():
        in_time = sum(r["n"] for r in rows if r["touched"] and r["minutes"] <= limit)
        whole = in_time + sum(r["n"] for r in rows if r["minutes"] > limit)
        young = sum(r["n"] for r in rows) - whole
        left = {**excluded, **({"not waiting that long yet": young} if young else {})}
        said = "leads touched by sales within the time ÷ those touched, or waiting longer"
        yield share("lead_response_within", said, {"by": by, "within": name}, in_time, whole, excluded=left)


def _leads(scope: Scope) -> ibis.Table:
    """Leads of the window: lead_at, touched_at (null: not yet), earlier (sales was first), open_min and clock_min they waited, begun
    minutes counted whole."""
    now, first = instant(scope.as_of), instant(scope.as_of - timedelta(days=int(scope.choice("window_days"))))
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", m.reached_at.notnull(), ~m.implied)
    lead = m.filter(m.code == "M20", m.reached_at >= first, m.reached_at <= now).select("entity_id", lead_at="reached_at")
    t = lead.semi_join(scope.persons, "entity_id")
    done = _sales(scope).inner_join(t, "entity_id")
    after = done.group_by("entity_id").agg(touched_at=done["at"].min(where=done["at"] >= done.lead_at), first_at=done["at"].min())
    t = t.left_join(after, "entity_id").drop("entity_id_right")
    t = t.mutate(earlier=(t.first_at < t.lead_at).fill_null(False), until=ibis.coalesce(t.touched_at, now))
    waited = seconds(t.until) - seconds(t.lead_at)
    open_ = between(hours(scope), t.lead_at, t.until, scope.as_of)
    minutes = {name: (value / 60.0).ceil().cast("int64") for name, value in (("clock_min", waited), ("open_min", open_))}
    return t.mutate(**minutes).select("entity_id", "lead_at", "touched_at", "earlier", *minutes)


def _sales(scope: Scope) -> ibis.Table:
    """(entity_id, at): what sales did with a person."""
    now = instant(scope.as_of)
    t = scope.facts["touches"]
    t = t.filter(t.kind.isin(list(scope.choice("sales_touches"))), t.occurred_at <= now).select("entity_id", at="occurred_at")
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", m.code == "M35", ~m.implied, m.reached_at <= now).select("entity_id", at="reached_at")
    task, d, on = scope.facts["tasks"], scope.facts["deals"], scope.facts["deal_person"]
    held = task.done.fill_null(True) & (task.due_at <= now)
    task = task.filter(~task.deleted.fill_null(False), held).select("account", at="due_at", vendor_id="deal_id")
    task = task.inner_join(d.select("account", "vendor_id", deal="entity_id"), ["account", "vendor_id"]).select("deal", "at")
    task = task.inner_join(on, "deal").select("at", entity_id="person").select("entity_id", "at")
    return ibis.union(t, m, task)


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The leads in a share: those touched in time, or never; for a quantile all it stands on."""
    t = _leads(scope).filter(lambda t: ~t.earlier)
    if "within" in dims:
        column = "open_min" if dims["by"] == "business hours" else "clock_min"
        return t.filter(t.touched_at.notnull(), t[column] <= WITHIN[str(dims["within"])])
    return t


def untouched(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return _leads(scope).filter(lambda t: ~t.earlier & t.touched_at.isnull())
