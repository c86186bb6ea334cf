"""Groups of records that evidence joins and that are no one thing: too many records, or two large groups on one weak edge.

They were cut where the evidence is weakest (core.components); a person says whether that was right. What people cut is no question.
"""

from __future__ import annotations

import ibis

from core.components import BRIDGE, CROWD
from core.rules.rule import Context, record_key, side

SHOWN = 20  # records of a finding; a group may have thousands


def of_links(ctx: Context) -> ibis.Table:
    """Groups that ids kept by systems held together, and all groups of companies and deals."""
    return _torn(ctx, True)


def of_persons(ctx: Context) -> ibis.Table:
    """Groups of persons that only addresses and browsers held together."""
    return _torn(ctx, False)


def _torn(ctx: Context, by_links: bool) -> ibis.Table:
    cuts = ctx.facts["cut"].filter(lambda t: t.why.isin([CROWD, BRIDGE]))
    part = cuts.group_by("kind", "part").agg(linked=(cuts.evidence == "link").any(), crowd=(cuts.why == CROWD).any())
    part = part.filter((part.linked | (part.kind != "person")) == by_links)
    part = part.inner_join(_said(cuts), ["kind", "part"]).select("kind", "part", "crowd", "said")
    ends = ibis.union(*(cuts.select("kind", "part", "evidence", "detail", key=end) for end in ("left_key", "right_key")))
    link = ibis.ifelse(ends.evidence == "link", ends.detail, ibis.null("string"))  # an address is nobody's business here
    ends = ends.group_by("kind", "part", "key").agg(value=link.min())
    m = ctx.facts["members"].filter(lambda t: t.live)
    m = m.select("kind", "entity_id", "account", "resource", "vendor_id", key=record_key(m))
    t = ends.inner_join(m, ["kind", "key"]).inner_join(part, ["kind", "part"])
    t = t.mutate(
        entity=t.entity_id.min().over(group_by=["kind", "part"]),
        place=ibis.row_number().over(group_by=["kind", "part"], order_by=t.key),
        records=t.count().over(group_by=["kind", "part"]),
    )
    crowd = f"more than {int(ctx.limit('component_records'))} live records hang together"
    bridge = f"one weak piece of evidence joins groups of {int(ctx.limit('bridge_records'))} or more live records"
    note = ibis.ifelse(t.crowd, crowd, bridge).concat("; not believed: ", t.said)
    note = note.concat(ibis.ifelse(t.records > SHOWN, ibis.literal("; records concerned: ").concat(t.records.cast("string")), ""))
    t = t.mutate(note=note).filter(t.place < SHOWN)
    return side(t, "", "records", entity_kind=t.kind, entity_id=t.entity, part=t.part, value=t.value, note=t.note)


def _said(cuts: ibis.Table) -> ibis.Table:
    """(kind, part, said): "link (200), email (3)"."""
    n = cuts.group_by("kind", "part", "evidence").agg(n=cuts.count())
    word = n.evidence.concat(" (", n.n.cast("string"), ")")
    return n.group_by("kind", "part").agg(said=word.group_concat(", ", order_by=n.evidence))
