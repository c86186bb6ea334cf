"""Identity and structure: duplicates, missing parts, missing mirrors."""

from __future__ import annotations

import ibis

from core.evidence import aliases, comparable_id, email_key
from core.rules import identity_links, identity_probable, identity_structure
from core.rules.rule import Context, Rule, record_key, side, sides
from core.tables import seconds_between

_SYNC_FLAG = r'"sync":\s*"?true'  # the mapping's attribute `sync`


def _duplicate_persons(ctx: Context) -> ibis.Table:
    t = ctx.facts["people"].filter(lambda p: p.email.notnull() & ~p.converted.fill_null(False))
    t = t.mutate(address=email_key(t.email), place=t.list_id.fill_null(""))
    group = ["account", "resource", "place", "address"]
    same = t.group_by(group).agg(n=t.vendor_id.nunique(), first_entity=t.entity_id.min(), part=t.account.concat(":", t.resource).min())
    t = t.inner_join(same.filter(same.n > 1), group)
    return side(t, "person", "email", entity_id=t.first_entity, part=t.part, value=t.email, at=t.created_at)


def _deal_without_person(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    alone = d.filter(d.outcome == "open", d.persons == 0, d.created_at <= ctx.quiet).select("entity_id")
    t = ctx.facts["deals"].semi_join(alone, "entity_id")
    return side(t, "deal", "persons", value=None, at=t.created_at)


def _mirror_missing(ctx: Context) -> ibis.Table:
    parts = [part for kind, table in (("person", "people"), ("deal", "deals")) for part in _missing_of(ctx, kind, ctx.facts[table])]
    return sides(*parts).distinct()


def _missing_of(ctx: Context, kind: str, live: ibis.Table) -> list[ibis.Table]:
    late = live.filter(live.created_at <= ctx.ago(hours=float(ctx.limit("mirror_hours"))))
    dangling = _dangling_links(ctx, kind, late)
    lost = identity_links.links(late).semi_join(identity_links.gone(ctx, kind), ["to_vendor", "to_resource", "nid"])
    late = late.anti_join(lost, ["account", "resource", "vendor_id"])  # it had a mirror, which is gone: I-07
    found = [dangling, _flagged_alone(ctx, kind, late)]
    if kind == "deal" and ctx.limit("mirror_open_deals"):
        found.append(_alone(ctx, kind, late.filter(late.result == "open"), live, "every open deal is mirrored"))
    return found


def _dangling_links(ctx: Context, kind: str, late: ibis.Table) -> ibis.Table:
    """Links to records that a connected account should have and does not."""
    every = ctx.records(kind)
    every = every.select(
        "account", "vendor", "resource", "merged_ids", nid=comparable_id(every.vendor, every.vendor_id), i=record_key(every)
    )
    known = aliases(every).select(to_vendor="vendor", to_resource="resource", nid="nid").distinct()
    pulled = known.select("to_vendor", "to_resource").distinct()
    t = identity_links.links(late).rename(value="link")
    t = t.semi_join(pulled, ["to_vendor", "to_resource"]).anti_join(known, ["to_vendor", "to_resource", "nid"])
    missing = ibis.literal("not found: ").concat(t.value)
    return side(t, kind, "mirror", part=t.to_vendor, value=t.value, at=t.created_at, note=missing)


def _flagged_alone(ctx: Context, kind: str, late: ibis.Table) -> ibis.Table:
    every = ctx.facts["people" if kind == "person" else "deals"]
    return _alone(ctx, kind, late.filter(late.attributes.re_search(_SYNC_FLAG)), every, "flagged to sync")


def _alone(ctx: Context, kind: str, wanted: ibis.Table, live: ibis.Table, why: str) -> ibis.Table:
    """Records of entities that exist in one CRM only, while another is connected."""
    crm = live.filter(live.vendor.isin(list(ctx.limit("crm_vendors"))))
    connected = crm.select(to_vendor="vendor").distinct()
    there = crm.select("entity_id", to_vendor="vendor").distinct()
    t = wanted.filter(wanted.vendor.isin(list(ctx.limit("crm_vendors"))))
    t = t.select("entity_id", "account", "vendor", "resource", "vendor_id", "created_at").cross_join(connected)
    t = t.filter(t.to_vendor != t.vendor).anti_join(there, ["entity_id", "to_vendor"])
    note = ibis.literal(f"{why}; nothing in ").concat(t.to_vendor)
    return side(t, kind, "mirror", part=t.to_vendor, value=why, at=t.created_at, note=note)


def _same_deal_twice(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    d = d.filter(d.outcome == "open", d.company_entity.notnull(), d.amount.notnull(), d.name.notnull(), d.created_at.notnull())
    d = d.select(
        "entity_id", "company_entity", "amount", "currency", "created_at", "name",
        account="source_account", resource="source_resource", vendor_id="source_id",
    )  # fmt: skip
    other = d.select("company_entity", **{f"o_{name}": name for name in d.columns if name != "company_entity"})
    p = d.inner_join(other, "company_entity")
    p = p.filter((p.created_at < p.o_created_at) | ((p.created_at == p.o_created_at) & (p.entity_id < p.o_entity_id)))
    largest = ibis.greatest(p.amount.abs(), p.o_amount.abs()).cast("float64")
    apart = (p.amount - p.o_amount).abs().cast("float64")
    days = float(ctx.limit("duplicate_deal_days"))
    p = p.filter(
        p.currency.fill_null("") == p.o_currency.fill_null(""),
        apart <= largest * float(ctx.limit("amount_share")),
        seconds_between(p.created_at, p.o_created_at) <= days * 86400,
        _similarity(p.name, p.o_name) >= float(ctx.limit("duplicate_name_share")),
    )
    older = side(p, "deal", "deal", part=p.o_entity_id, value=p.name, at=p.created_at)
    newer = side(
        p, "deal", "deal", part=p.o_entity_id, account=p.o_account, resource=p.o_resource, vendor_id=p.o_vendor_id,
        value=p.o_name, at=p.o_created_at,
    )  # fmt: skip
    return sides(older, newer)


def _similarity(a: ibis.Value, b: ibis.Value) -> ibis.Value:
    """1 for equal names, by edit distance over the longer one; case and punctuation do not count."""
    a, b = _words(a), _words(b)
    return 1 - a.levenshtein(b) / ibis.greatest(a.length(), b.length(), 1)


def _words(name: ibis.Value) -> ibis.Value:
    # A dash of three bytes would count as three edits: DuckDB compares bytes.
    return name.lower().re_replace(r"[^\p{L}\p{N}]+", " ").strip()


RULES = (
    Rule(
        "I-01", "Duplicate person inside one system", "S2", "Two live records with one e-mail address count one person twice.",
        _duplicate_persons, question="Merge these records? A merge cannot be undone in either CRM.",
        example="HubSpot has jane.doe@gmail.com and janedoe+news@gmail.com as two contacts; one came from a trade fair.",
        exact="Two live records of one object (and list) of an account have the same e-mail address; Gmail's dots and plus tags do not "
        "count, converted leads neither.",
    ),
    Rule(
        "I-04", "Deal without contact", "S2", "An open deal nobody belongs to has no journey and no source.",
        _deal_without_person, question="Which person belongs to this deal?",
        example="A rep created the deal \"Ironwood, 40 sensors\" from the pipeline board and never put anybody on it, in neither CRM.",
        exact="An open deal has no person in any system.",
    ),
    Rule(
        "I-06", "Mirror missing", "S2", "A record that should exist in both systems exists in one.",
        _mirror_missing, question="Create the missing record, or remove the link or sync flag?",
        example="A HubSpot contact is flagged to sync, a day has passed, and Salesforce has no record of him: the sync stopped at a "
        "required field.",
        exact="After `mirror_hours`, a record that is flagged to sync exists in one CRM only, or a link names a record that is not there; "
        "with `mirror_open_deals` so does every open deal.",
    ),
    Rule(
        "I-10", "Same deal twice", "S1", "One sale counted as two doubles the pipeline.",
        _same_deal_twice, question="Are these one deal? If so, merge them or close the younger.", flag="duplicate",
        example="Ironwood has two open deals of 18,000 EUR, made two days apart: \"Ironwood sensors\" and \"Ironwood – sensors\".",
        exact="Two open deals of one company in one currency, amounts within `amount_share`, created within `duplicate_deal_days`, names "
        "alike by `duplicate_name_share` or more.",
    ),
    *identity_probable.RULES,
    *identity_structure.RULES,
    *identity_links.RULES,
)  # fmt: skip
