"""Ids that systems keep of each other: of records that are gone, of records that name somebody else; leads beside their contact."""

from __future__ import annotations

import ibis

from core.evidence import comparable_id, email_key
from core.rules import identity_torn
from core.rules.rule import Context, Rule, side, sides
from core.tables import MOMENT, stack

_KINDS = (("person", "people"), ("deal", "deals"), ("company", "companies"))
_RECORD = ("account", "vendor", "resource", "vendor_id")
_GONE = {"to_vendor": "string", "to_resource": "string", "nid": "string", "merged": "boolean", "account": "string", "dead": "string"}


def links(live: ibis.Table) -> ibis.Table:
    """Live records with each id they carry of another vendor: link, to_vendor, to_resource and nid (as core.evidence compares ids)."""
    t = live.select("entity_id", *_RECORD, "created_at", "updated_at", link=live.links).unnest("link")
    parts = t.link.split(":")  # patterns took three times as long; an id may have colons of its own
    t = t.mutate(to_vendor=parts[0], to_resource=parts[1])
    t = t.mutate(to_id=t.link.substr(t.to_vendor.length() + t.to_resource.length() + 2))
    return t.filter(t.to_id != "", t.to_vendor != t.vendor).mutate(nid=comparable_id(t.to_vendor, t.to_id)).drop("to_id")


def gone(ctx: Context, kind: str) -> ibis.Table:
    """Ids that no live record has any more: deleted, or merged into another. `dead` is the id by which members know it."""
    every = ctx.records(kind)
    live = every.filter(~every.deleted.fill_null(False), every.merged_into.isnull())
    dead = every.filter(every.deleted.fill_null(False) | every.merged_into.notnull())
    lost = every.select(*_RECORD, lost="merged_ids").unnest("lost").filter(lambda t: t.lost.notnull() & (t.lost != ""))
    parts = [_ids(dead, dead.vendor_id, dead.merged_into.notnull()), _ids(lost, lost.lost, ibis.literal(True), lost.vendor_id)]
    ids = stack(parts, _GONE).anti_join(_ids(live, live.vendor_id, ibis.literal(False)), ["to_vendor", "to_resource", "nid"])
    return ids.group_by("to_vendor", "to_resource", "nid").agg(
        merged=ids.merged.any(), account=ids.account.min(), dead=ids.dead.argmin(ids.account)
    )


def _ids(t: ibis.Table, id_: ibis.Value, merged: ibis.Value, known_as: ibis.Value | None = None) -> ibis.Table:
    names = {"to_vendor": t.vendor, "to_resource": t.resource, "nid": comparable_id(t.vendor, id_)}
    return t.select(**names, merged=merged, account=t.account, dead=t.vendor_id if known_as is None else known_as)


def _mirror_gone(ctx: Context) -> ibis.Table:
    return sides(*[_mirror_gone_of(ctx, kind, ctx.facts[table]) for kind, table in _KINDS])


def _mirror_gone_of(ctx: Context, kind: str, live: ibis.Table) -> ibis.Table:
    t = links(live).inner_join(gone(ctx, kind).rename(to_account="account"), ["to_vendor", "to_resource", "nid"])
    m = ctx.facts["members"].filter(lambda x: x.kind == kind)
    dead = m.select(survivor_of="entity_id", to_account="account", to_resource="resource", dead="vendor_id")
    t = t.left_join(dead, ["to_account", "to_resource", "dead"]).drop("to_account_right", "to_resource_right", "dead_right")
    alive = m.filter(m.live)
    alive = alive.group_by(survivor_of="entity_id", to_account="account", to_resource="resource").agg(
        n=alive.vendor_id.nunique(), survivor=alive.vendor_id.min()
    )
    t = t.left_join(alive.filter(alive.n == 1).drop("n"), ["survivor_of", "to_account", "to_resource"])
    into = ibis.literal("merged into ").concat(t.survivor)
    note = ibis.ifelse(t.merged, ibis.coalesce(into, ibis.literal("merged into another record")), ibis.literal("deleted"))
    return side(t, kind, "link", part=t.link, value=t.link, at=t.updated_at, note=note)


def _cross_links(ctx: Context) -> ibis.Table:
    return sides(*[_cross_links_of(ctx.facts[table], kind) for kind, table in _KINDS], identity_torn.of_links(ctx))


def _cross_links_of(live: ibis.Table, kind: str) -> ibis.Table:
    """A keeps the id of B, and B keeps the id of another record of A's account: three live records, one id too many."""
    own = live.select(to_account="account", to_vendor="vendor", to_resource="resource", nid=comparable_id(live.vendor, live.vendor_id),
                      to_id="vendor_id")  # fmt: skip
    resolved = links(live).inner_join(own, ["to_vendor", "to_resource", "nid"])
    # Computed before it meets itself: else the engine may join by account and object first, which is everybody with everybody.
    resolved = resolved.distinct()
    ahead = resolved.select("entity_id", "account", "resource", "vendor_id", "link", "updated_at", "to_account", "to_resource", "to_id")
    back = resolved.select(
        b_link="link", b_at="updated_at", to_account="account", to_resource="resource", to_id="vendor_id", account="to_account",
        resource="to_resource", c_id="to_id",
    )  # fmt: skip
    pairs = ahead.inner_join(back, ["to_account", "to_resource", "to_id", "account", "resource"])
    agreed = pairs.filter(pairs.c_id == pairs.vendor_id).select("account", "resource", "vendor_id", "link").distinct()
    t = pairs.anti_join(agreed, ["account", "resource", "vendor_id", "link"])
    part = t.account.concat(":", t.resource, ":", t.vendor_id, " → ", t.link)
    a = side(t, kind, "link", part=part, value=t.link, at=t.updated_at)
    b = side(t, kind, "link", part=part, account=t.to_account, resource=t.to_resource, vendor_id=t.to_id, value=t.b_link, at=t.b_at)
    return sides(a, b)


def _lead_beside_contact(ctx: Context) -> ibis.Table:
    """Leads nobody converted whose address is a contact's in the same account; only a lead says whether it is converted."""
    p = ctx.facts["people"].filter(lambda t: t.email.notnull())
    p = p.mutate(address=email_key(p.email)).filter(lambda t: t.address.contains("@"))
    leads = p.filter(p.converted == False)  # noqa: E712
    contacts = p.filter(p.converted.isnull(), p.list_id.isnull()).semi_join(leads, ["account", "address"])
    leads = leads.semi_join(contacts, ["account", "address"])
    texts = dict.fromkeys(("entity_id", "account", "resource", "vendor_id", "email", "address"), "string")
    same = stack([leads, contacts], {**texts, "created_at": MOMENT})
    first = same.group_by("account", "address").agg(first_entity=same.entity_id.min())
    t = same.inner_join(first, ["account", "address"])
    return side(t, "person", "email", entity_id=t.first_entity, part=t.account, value=t.email, at=t.created_at)


RULES = (
    Rule(
        "I-07", "Link to a record that is gone", "S2", "A stored id of a deleted or merged record leads every tool that follows it astray.",
        _mirror_gone, fix="the hub itself follows merges; the stored id stays as it is",
        question="Point the link at the surviving record, or remove it? Does a deal without its mirror still count?",
        example="HubSpot's deal carries the id of a Salesforce opportunity that was merged into another one last week.",
        exact="A live record carries the id of a record in another system that was deleted there or merged into another one.",
    ),
    Rule(
        "I-08", "Lead and contact of one person", "S2", "Two reps work one person, and he is counted as two.",
        _lead_beside_contact, question="Convert the lead into the contact, or merge them?",
        example="Ana is a contact since her first order; a new form made her a lead again, and a second rep calls her.",
        exact="An unconverted Salesforce lead and a contact have the same e-mail address.",
    ),
    Rule(
        "I-09", "Two systems' ids contradict each other", "S1", "Whatever is written along such a link lands on somebody else.",
        _cross_links, question="Which of the records belong together? Correct the stored ids, or say so (`tundish link`, `unlink`).",
        example="A Salesforce contact was copied with all its fields, so two contacts name one HubSpot id, and HubSpot names only the "
        "first.",
        exact="The id that one record stores of another system's record differs from the id which that record stores of it; or stored ids "
        "make one person, company or deal of more than `component_records` live records, and were not believed there. Two groups of "
        "`bridge_records` live records that nothing but one weak piece of evidence joins are told here, too, unless they are persons.",
    ),
)  # fmt: skip
