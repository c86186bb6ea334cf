"""Sync health: changes that were never pulled, and writes that were not taken. Stands on what the ledger says (core.pipeline)."""

from __future__ import annotations

from datetime import timedelta

import ibis

from core.rules.rule import Context, Rule, side, sides

_RECORD = ("account", "resource", "vendor_id")
_KINDS = (("person", "people"), ("company", "companies"), ("deal", "deals"))
_VALUES = (("stage", "raw_stage"), ("lifecycle", "raw_stage"), ("status", "lead_status"))  # history's field → the record's column


# -- T-01 -------------------------------------------------------------------------------------------------------------
def _never_pulled(ctx: Context) -> ibis.Table:
    """The vendor's history knows a newer value than the record, though the record's list was read since."""
    slack = ibis.interval(seconds=round(timedelta(minutes=float(ctx.limit("pull_minutes"))).total_seconds()))
    read = ctx.facts["pulled"]
    last = _last_changes(ctx)
    parts = []
    for kind, name in _KINDS:
        for field, column in _VALUES:
            d = ctx.facts[name]
            if column not in d.columns:
                continue
            d = d.select("entity_id", *_RECORD, "updated_at", here=column)
            t = last.filter(last.kind == kind, last.field == field).inner_join(d, list(_RECORD))
            t = t.inner_join(read, ["account", "resource"])
            t = t.filter(t.here.notnull(), t.here != t.value, t.at > t.updated_at + slack, t.read_at > t.at + slack)
            note = ibis.literal("in the history since ").concat(t.at.strftime("%Y-%m-%d %H:%M"), ": ", t.value)
            parts.append(side(t, kind, field, value=t.here, at=t.at, note=note))
    return sides(*parts)


def _last_changes(ctx: Context) -> ibis.Table:
    t = ctx.facts["changes"]
    t = t.filter(t.field.isin([field for field, _ in _VALUES]), t.value.notnull())
    return t.group_by("kind", *_RECORD, "field").agg(value=t.value.argmax(t.seq), at=t["at"].argmax(t.seq))


# -- T-06 -------------------------------------------------------------------------------------------------------------
def _not_taken(ctx: Context) -> ibis.Table:
    oldest = ctx.ago(days=float(ctx.limit("refused_days")))
    m = ctx.facts["members"]
    m = m.filter(m.live).select("entity_id", "kind", *_RECORD)
    t = ctx.facts["refused"].inner_join(m, list(_RECORD))
    t = t.filter(t["at"] >= oldest)
    return side(t, "", t.field, entity_kind=t.kind, value=t.value, note=t.reason)


RULES = (
    Rule(
        "T-01", "Change never pulled", "S2", "We decide on a value the vendor has replaced, and every later read skips it.", _never_pulled,
        question="Read this object again: `tundish sync ACCOUNT --full`. Was its stamp written late or held back?",
        example="HubSpot's history says Proposing since 9:00, the record as we pulled it at noon says Qualifying.",
        exact="A record's history has a newer stage, lifecycle or lead status than the record says, more than `pull_minutes` after the "
        "record's own last change, and the record's list was read more than `pull_minutes` after that.",
    ),
    Rule(
        "T-06", "Write not taken", "S2", "What the hub wrote does not stand there, and is not written again.",
        _not_taken, question="Which rule of the vendor's stands in the way? Allow the value there, or take the field out of the mapping.",
        example="We wrote lifecycle Opportunity, HubSpot said yes, and what stands there still is Customer.",
        exact="The last write of a field, not more than `refused_days` ago, was refused, or accepted and read back as another value.",
    ),
)  # fmt: skip
