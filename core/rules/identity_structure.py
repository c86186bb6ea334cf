"""Who belongs to what: contacts and deals without a company, companies that are several, owners who are gone."""

from __future__ import annotations

import ibis

from core.evidence import comparable_id, employer, site
from core.relations import associated
from core.rules.rule import Context, Rule, side
from core.tables import refs, stack
from core.thresholds import free_mail

_PLACED = {"account": "string", "entity_id": "string"}
_QUEUE = "00G"  # Salesforce's key prefix of a group: a queue owns a lead until somebody takes it. Source: object reference, read 2026-11


def _placed(ctx: Context, kind: str) -> ibis.Table:
    """(account, entity_id) of persons or deals that a record or an association of this account puts at a company."""
    live = ctx.facts["members"].filter(lambda m: m.live)
    linked = associated(ctx.tables, refs(ctx.tables, live, kind), refs(ctx.tables, live, "company"))
    own = ctx.facts["people" if kind == "person" else "deals"]
    named = [own.filter(own.company_id.notnull())]
    if kind == "person":
        named.append(own.filter(own.converted_company_id.notnull()))
    return stack([*named, linked.select("account", entity_id="l")], _PLACED).distinct()


def _orphan_person(ctx: Context) -> ibis.Table:
    """Contacts that no company has, though their account knows one with the domain of their address.

    Leads and members of mailing lists belong to no company by nature.
    """
    placed = _placed(ctx, "person")
    p = ctx.facts["people"].filter(lambda t: t.email.notnull() & t.converted.isnull() & t.list_id.isnull() & (t.created_at <= ctx.quiet))
    p = p.mutate(domain=employer(p.email, free_mail(ctx.funnel))).filter(lambda t: t.domain.notnull())
    c = ctx.facts["companies"].filter(lambda t: t.domain.notnull())
    c = c.mutate(domain=site(c.domain))
    known = c.group_by("account", "domain").agg(companies=c.vendor_id.nunique(), company=c.vendor_id.min())
    t = p.inner_join(known, ["account", "domain"])
    t = t.semi_join(placed.select("account").distinct(), "account").anti_join(placed, ["account", "entity_id"])
    one = ibis.ifelse(t.companies == 1, t.company, ibis.null("string"))
    note = t.companies.cast("string").concat(" with the domain ", t.domain)
    return side(t, "person", "company", part=t.account, value=t.email, at=t.created_at, fix_value=one, note=note)


def _deal_without_company(ctx: Context) -> ibis.Table:
    """Deals no system has a company for; an account that names none for any deal is no evidence."""
    placed = _placed(ctx, "deal").select("account").distinct()
    d = ctx.facts["deal"].filter(lambda t: t.company_entity.isnull() & (t.created_at <= ctx.quiet))
    d = d.select("entity_id", "persons")
    t = ctx.facts["deals"].semi_join(placed, "account").inner_join(d, "entity_id")
    t = t.left_join(_only_company(ctx), ["entity_id", "account"])
    fix = ibis.ifelse(t.persons == 1, t.company, ibis.null("string"))
    return side(t, "deal", "company", part=t.account, value=None, at=t.created_at, fix_value=fix)


def _only_company(ctx: Context) -> ibis.Table:
    """(entity_id of a deal, account, company): the one company that the deal's persons have in the account."""
    p = ctx.facts["people"].filter(lambda t: t.company_id.notnull())
    live = ctx.facts["companies"].select("account", company_id="vendor_id")
    p = p.semi_join(live, ["account", "company_id"]).select("account", "company_id", person="entity_id")
    t = ctx.facts["deal_person"].inner_join(p, "person")
    one = t.group_by("account", entity_id="deal").agg(n=t.company_id.nunique(), company=t.company_id.min())
    return one.filter(one.n == 1).drop("n")


def _split_company(ctx: Context) -> ibis.Table:
    """Companies of one system with one domain that stand beside each other, not below each other or one parent.

    A finding names the tops: those whose parent is not in the group. Tops below one outside parent count as one.
    """
    c = ctx.facts["companies"].filter(lambda t: t.domain.notnull() & t.vendor.isin(list(ctx.limit("hierarchy_vendors"))))
    c = c.mutate(domain=site(c.domain), nid=comparable_id(c.vendor, c.vendor_id), parent=comparable_id(c.vendor, c.parent_id))
    c = c.filter(c.domain.notnull(), c.domain.notin(free_mail(ctx.funnel)))
    group = ["account", "resource", "domain"]
    within = c.select(*group, parent="nid")
    tops = c.anti_join(within, [*group, "parent"])
    tops = tops.mutate(top=tops.parent.fill_null(tops.nid))
    many = tops.group_by(group).agg(tops=tops.top.nunique(), first_entity=tops.entity_id.min())
    t = tops.inner_join(many.filter(many.tops > 1), group)
    return side(t, "company", "domain", entity_id=t.first_entity, part=t.account, value=t.name, at=t.created_at, note=t.domain)


def _owner_gone(ctx: Context) -> ibis.Table:
    """Open deals and leads whose owner is unknown or no longer active, in accounts whose users are known."""
    o = ctx.records("owner")
    o = o.filter(~o.deleted.fill_null(False)).mutate(owner=comparable_id(o.vendor, o.vendor_id))
    users = o.select("account", "owner", active=o.active.fill_null(True), who="email")
    deals, people = ctx.facts["deals"], ctx.facts["people"]
    parts = [
        _owned(deals.filter(deals.result == "open"), "deal"),
        _owned(people.filter(people.converted == False, people.stage.fill_null("") != "MX"), "person"),  # noqa: E712
    ]
    t = ibis.union(*parts).filter(lambda r: ~((r.vendor == "salesforce") & r.owner.startswith(_QUEUE)))
    t = t.semi_join(users.select("account").distinct(), "account").left_join(users, ["account", "owner"])
    t = t.filter(t.active.isnull() | ~t.active)
    note = ibis.ifelse(t.active.isnull(), "no such user", "the user is inactive")
    return side(t, "", "owner", entity_kind=t.kind, part=t.account, value=ibis.coalesce(t.who, t.owner), at=t.updated_at, note=note)


def _owned(t: ibis.Table, kind: str) -> ibis.Table:
    t = t.filter(t.owner_id.notnull())
    owner = comparable_id(t.vendor, t.owner_id)
    return t.select("entity_id", "account", "vendor", "resource", "vendor_id", "updated_at", owner=owner, kind=ibis.literal(kind))


RULES = (
    Rule(
        "I-03", "Contact without its company", "S3", "A contact outside its company is missing from the company's journey and its reports.",
        _orphan_person, fix="associate with the only company of that domain", question="Which of the companies with that domain is it?",
        fix_field="company_id", policy="fill_blank",
        example="Ana's address ends in @ironwood.com and HubSpot has a company of that domain, but the contact belongs to no company.",
        exact="A live contact with a business address has no company, and a company with that domain exists in the same account.",
    ),
    Rule(
        "I-05", "Deal without company", "S2", "A deal without a company is missing from every number by company, segment and industry.",
        _deal_without_company, fix="take the company of the deal's only contact", question="Which company buys?",
        fix_field="company_id", policy="fill_blank",
        example="A deal has the contact Ana and no company; Ana belongs to Ironwood alone, so the deal becomes Ironwood's.",
        exact="An open deal has no company in any system.",
    ),
    Rule(
        "I-11", "One company split into several", "S3", "Companies that share a domain split one customer's pipeline and history.",
        _split_company, question="Is one the parent of the other, or are they one company?",
        example="HubSpot has \"Ironwood\" and \"Ironwood GmbH\", both with the domain ironwood.com, and neither is the other's parent.",
        exact="Two or more companies of an account of `hierarchy_vendors` share a registrable domain, and none of them is above the "
        "other.",
    ),
    Rule(
        "I-12", "Owner unknown or inactive", "S2", "Nobody works an open deal or lead whose owner has left.",
        _owner_gone, question="Who takes it over?", flag="no owner",
        example="A rep left in March and his user was switched off; eleven open deals still have him as their owner.",
        exact="An open deal, or an unconverted lead that is not off the ladder, has an owner who is no known user of its account or an "
        "inactive one.",
    ),
)  # fmt: skip
