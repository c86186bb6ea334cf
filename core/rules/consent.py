"""Consent and deliverability: an opt-out anywhere binds everywhere. Nothing here ever loosens consent."""

from __future__ import annotations

import ibis

from core.evidence import address_digest, email_key
from core.rules.rule import Context, Rule, one_side, prefixed, record_key, side, sides
from core.tables import MOMENT

# Attributes a mapping may carry: a contact that is not a marketing contact, and addresses that bounced for good.
_NOT_MARKETING = r'"marketable_status":\s*"?false'
_MARKETING = r'"marketable_status":\s*"?true'
_OPTED_IN_AT = r'"opted_in_at":\s*"([^"]+)"'  # when the person himself said yes there
_HARD_BOUNCE = r'"(hard_bounce_reason|bounced_at)":\s*"[^"]'


def _mailed(ctx: Context) -> ibis.Table:
    """Live person records a mailing system may mail."""
    t = ctx.facts["people"].filter(lambda p: p.vendor.isin(list(ctx.limit("mailing_vendors"))) & p.marketable)
    return t.filter(~t.attributes.re_search(_NOT_MARKETING).fill_null(False))


def _unsubscribed_but_marketable(ctx: Context) -> ibis.Table:
    p = ctx.facts["people"]
    out = p.filter(p.consent == "unsubscribed", p.vendor.isin(list(ctx.limit("opt_out_vendors"))))
    return _both(_pairs(out, _mailed(ctx)), "unsubscribed")


def _bounced_but_mailed(ctx: Context) -> ibis.Table:
    p = ctx.facts["people"].filter(lambda t: t.email.notnull())
    dead = p.filter((p.consent == "cleaned") | p.attributes.re_search(_HARD_BOUNCE).fill_null(False))
    mailed = _mailed(ctx).filter(lambda t: t.email.notnull() & ~t.attributes.re_search(_HARD_BOUNCE).fill_null(False))
    pairs = _pairs(dead, mailed)
    return _both(pairs.filter(email_key(pairs.a_email) == email_key(pairs.b_email)), "cleaned")


def _opted_out_elsewhere(ctx: Context) -> ibis.Table:
    """Opt-outs that C-01 does not watch (a CRM's), beside records that may still be mailed.

    Where the record's history dates the opt-out and the person said yes elsewhere after it, a person decides. Not by the record's
    last change: anybody's writing moves it, ours too.
    """
    p = ctx.facts["people"].filter(lambda t: t.consent == "unsubscribed")
    watched = p.vendor.isin(list(ctx.limit("opt_out_vendors")))
    mailed = _mailed(ctx)
    known = _pairs(p.filter(watched), mailed).select(account="b_account", resource="b_resource", vendor_id="b_vendor_id")
    mailed = mailed.anti_join(known, ["account", "resource", "vendor_id"])
    pairs = _pairs(p.filter(~watched), mailed)
    history = ctx.facts["changes"].filter(lambda c: (c.kind == "person") & (c.field == "consent"))
    refused = history.group_by(a_account="account", a_vendor_id="vendor_id").agg(refused_at=history["at"].max())
    pairs = pairs.left_join(refused, ["a_account", "a_vendor_id"])
    opted_in = pairs.b_attributes.re_extract(_OPTED_IN_AT, 1).nullif("").try_cast(MOMENT)
    later = (opted_in > pairs.refused_at).fill_null(False)
    note = ibis.ifelse(later, "the opt-in is younger than the opt-out", ibis.null("string"))
    return _both(pairs, "unsubscribed", fix=ibis.ifelse(later, ibis.null("string"), "false"), note=note)


def _unconfirmed_but_mailed(ctx: Context) -> ibis.Table:
    """A subscription that waits for its confirmation, beside a record that is mailed without a confirmed one of its own."""
    p = ctx.facts["people"]
    mailed = _mailed(ctx).filter(lambda t: t.consent.fill_null("") != "subscribed")
    return _both(_pairs(p.filter(p.consent == "pending"), mailed), "pending")


def _paid_for_in_vain(ctx: Context) -> ibis.Table:
    """Marketing contacts, which are billed, that the same system may not mail."""
    p = ctx.facts["people"].filter(lambda t: t.attributes.re_search(_MARKETING).fill_null(False))
    bounced = p.attributes.re_search(_HARD_BOUNCE).fill_null(False)
    reason = ibis.cases((p.consent.isin(["unsubscribed", "cleaned"]), p.consent), (bounced, "hard bounce"), else_=None)
    reason = ibis.coalesce(reason, ibis.ifelse(p.marketable == False, "not mailable", ibis.null("string")))  # noqa: E712
    t = p.mutate(reason=reason).filter(lambda x: x.reason.notnull())
    return side(t, "person", "marketing contact", part=record_key(t), value="marketing contact", at=t.updated_at, note=t.reason)


def _back_again(ctx: Context) -> ibis.Table:
    """Records of erased persons: ids with a tombstone that a vendor still lists, and addresses that were erased under another id.

    The ids are of rows that were never taken, so nothing is known of them but when they were seen.
    """
    none = ibis.null("string")
    seen = ctx.facts["erased_seen"]
    key = seen.account.concat(":", seen.resource, ":", seen.vendor_id)
    p = ctx.facts["people"]
    every = ibis.union(
        p.select(*_KEY, "created_at", address="email"), p.select(*_KEY, "created_at", address="other_emails").unnest("address")
    )
    every = every.mutate(digest=address_digest(every.address)).filter(lambda t: t.digest.notnull())
    t = every.semi_join(ctx.facts["erased_address"], "digest").select(*_KEY, "created_at").distinct()
    note = "an erased person's address, under this id"
    return sides(
        side(seen, "person", "erased", entity_id=key, part=key, value=none, at=seen["at"], note="the erased record is listed as live"),
        side(t, "person", "erased", part=record_key(t), value=none, at=t.created_at, note=note),
    )


_KEY = ("entity_id", "account", "resource", "vendor_id")
_COLUMNS = ("entity_id", "account", "resource", "vendor_id", "updated_at", "email", "attributes")


def _pairs(source: ibis.Table, mailed: ibis.Table) -> ibis.Table:
    a = prefixed(source.select(*_COLUMNS), "a_", "entity_id")
    b = prefixed(mailed.select(*_COLUMNS), "b_", "entity_id")
    pairs = a.inner_join(b, "entity_id")
    pairs = pairs.filter(pairs.a_account != pairs.b_account)
    return pairs.mutate(part=record_key(pairs, "b_"))


def _both(pairs: ibis.Table, said: str, fix: ibis.Value | str = "false", note: ibis.Value | None = None) -> ibis.Table:
    common = {"part": pairs.part, "note": note}
    a = one_side(pairs, "a_", "person", "marketable", value=said, at=pairs.a_updated_at, **common)
    b = one_side(pairs, "b_", "person", "marketable", value="marketable", at=pairs.b_updated_at, fix_value=fix, **common)
    return sides(a, b).distinct()


RULES = (
    Rule(
        "C-01", "Unsubscribed here, marketable there", "S1", "Who unsubscribed must not be mailed by another system.",
        _unsubscribed_but_marketable, fix="opt out there too", fix_field="marketable", policy="strictest",
        example="Ana unsubscribed from the newsletter in Mailchimp, and HubSpot may still mail her.",
        exact="A person unsubscribed in one of `opt_out_vendors`, and another account may still mail him.",
    ),
    Rule(
        "C-02", "Opted out in one system, active in another", "S1", "An opt-out binds every system, whichever of them heard it.",
        _opted_out_elsewhere, fix="opt out there too", question="Which is younger, the opt-in or the opt-out? Nobody is subscribed anew.",
        fix_field="marketable", policy="strictest",
        example="Ana opted out in Salesforce in May, and in ActiveCampaign her subscription is active since April.",
        exact="A person is opted out in an account that C-01 does not watch, and an account of `mailing_vendors` may still mail him; "
        "where an opt-in is younger than the dated opt-out, a person decides.",
    ),
    Rule(
        "C-03", "Dead address still mailed", "S2", "An address that bounced for good costs deliverability in every system that mails it.",
        _bounced_but_mailed, fix="suppress there too", question="Is there a new address?", fix_field="marketable", policy="strictest",
        example="Mailchimp cleaned ana@old.example after hard bounces, and HubSpot goes on mailing it.",
        exact="An address bounced for good or was cleaned in one account, and another one may still mail the same address.",
    ),
    Rule(
        "C-04", "Unconfirmed subscription treated as consent", "S1",
        "Who never confirmed has not consented; another system that took the address over may not mail it.",
        _unconfirmed_but_mailed, fix="suppress there until it is confirmed", fix_field="marketable", policy="strictest",
        example="Ana never clicked the confirmation that Mailchimp sent her, and HubSpot mails her as if she had.",
        exact="A subscription still waits for its confirmation, and an account of `mailing_vendors` may mail the person without a "
        "confirmed subscription of its own.",
    ),
    Rule(
        "C-05", "Erased person is there again", "S1",
        "Who was to be forgotten must not come back: nothing is written to such a record, and one with an erased id is not taken at all.",
        _back_again,
        question="Erase it in that system too and `tundish forget` it here, or accept the finding if the person came back by himself?",
        example="Ana was erased in May on her request; in June a form created her again with the same address.",
        exact="A vendor lists an id that was forgotten here, or a record has an address that was forgotten under another id.",
    ),
    Rule(
        "C-06", "Billed as a marketing contact, but not mailable", "S3",
        "Marketing contacts are paid for; who cannot be mailed is paid for in vain.", _paid_for_in_vain,
        question="Make them non-marketing contacts: HubSpot lets only a workflow or a person do it.",
        example="A contact bounced for good and still is one of the marketing contacts HubSpot bills.",
        exact="HubSpot counts the contact as a marketing contact although it is opted out, bounced or otherwise not mailable.",
    ),
)  # fmt: skip
