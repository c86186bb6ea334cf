"""Fields of leads as they were known at an instant: from the version of each record that stood then, and only from that.

A field whose last update is later says what came of the lead, not what could be known: so a value nobody can date before the
instant is unknown, and `lead_features` drops a field that is unknown too often.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis

from core.measure.metric import Scope, pairs

_KEY = ["account", "resource", "vendor_id"]


def versions(scope: Scope, kind: str) -> ibis.Table:
    """Every version of records of the kind the lake has; where it was not asked, today's."""
    name = f"versions.{kind}"
    return scope.facts[name] if name in scope.facts else scope.facts["people" if kind == "person" else "companies"]


def _value(t: ibis.Table, field: str) -> ibis.Value:
    """A field of ours, else an attribute of the mapping; "" for nothing."""
    if field in t.columns:
        return t[field].cast("string").fill_null("")
    return t.attributes.re_extract(f'"{field}":"?([^",}}]+)', 1).fill_null("")


def _giving(scope: Scope, kind: str, fields: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """By field the (account, resource) where any record has it: elsewhere nobody waits for a value."""
    t = scope.facts["people" if kind == "person" else "companies"]
    rows = pairs(t.group_by("account", "resource").agg(**{f: (_value(t, f) != "").any() for f in fields}))
    return {f: [(r["account"], r["resource"]) for r in rows if r[f]] for f in fields}


def known(scope: Scope, kind: str, rows: ibis.Table, fields: Sequence[str]) -> ibis.Table:
    """By `no` of the rows (no, entity_id, at): each field as known then (null: nothing) and `<field>_unknown`.

    Unknown: a record that was there then may have had a value, and none of its versions is of that time.
    """
    giving = _giving(scope, kind, fields)
    members = scope.facts["members"]
    members = members.filter(members.kind == kind, members.live).select("entity_id", *_KEY)
    v = versions(scope, kind)
    v = v.filter(~v.deleted.fill_null(False))
    order = v.version.fill_null(0) if "version" in v.columns else ibis.literal(0)
    stamp = ibis.least(ibis.coalesce(v.updated_at, v.observed_at), v.observed_at)
    v = v.select(*_KEY, stamp=stamp, order=_sortable(stamp, order), born=v.created_at, **{f: _value(v, f) for f in fields})
    v = v.inner_join(members, _KEY)
    j = rows.inner_join(v, "entity_id")
    past = j.stamp <= j["at"]
    per = j.group_by("no", *_KEY).agg(
        stood=past.any(), there=(j.born.isnull() | (j.born <= j["at"])).any(),
        **{f: j[f].argmax(j.order, where=past) for f in fields},
    )  # fmt: skip
    key = per.account.concat(":", per.resource, ":", per.vendor_id)
    found = {}
    for f in fields:
        gives = ibis.or_(*[(per.account == a) & (per.resource == r) for a, r in giving[f]]) if giving[f] else ibis.literal(False)
        found[f] = per[f].argmin(key, where=per[f].fill_null("") != "")
        found[f"{f}_unknown"] = (gives & per.there & ~per.stood).any()
    return per.group_by("no").agg(**found)


def _sortable(stamp: ibis.Value, order: ibis.Value) -> ibis.Value:
    return stamp.cast("string").concat(":", order.cast("string").lpad(20, "0"))
