"""Consent and deliverability: an opt-out anywhere binds everywhere. Nothing here ever loosens consent."""

from __future__ import annotations

import ibis

from core.evidence import email_key
from core.rules.rule import Context, Rule, one_side, prefixed, record_key, sides

# Attributes a mapping may carry: a contact that is not a marketing contact, and addresses that bounced for good.
_NOT_MARKETING = r'"marketable_status":\s*"?false'
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


_COLUMNS = ("entity_id", "account", "resource", "vendor_id", "updated_at", "email")


def _pairs(source: ibis.Table, mailed: ibis.Table) -> ibis.Table:
    a = prefixed(source.select(*_COLUMNS), "a_", "entity_id")
    b = prefixed(mailed.select(*_COLUMNS), "b_", "entity_id")
    pairs = a.inner_join(b, "entity_id")
    pairs = pairs.filter(pairs.a_account != pairs.b_account)
    return pairs.mutate(part=record_key(pairs, "b_"))


def _both(pairs: ibis.Table, said: str) -> ibis.Table:
    a = one_side(pairs, "a_", "person", "marketable", part=pairs.part, value=said, at=pairs.a_updated_at)
    b = one_side(pairs, "b_", "person", "marketable", part=pairs.part, value="marketable", at=pairs.b_updated_at, fix_value="false")
    return sides(a, b).distinct()


RULES = (
    Rule(
        "C-01", "Unsubscribed here, marketable there", "S1", "Who unsubscribed must not be mailed by another system.",
        _unsubscribed_but_marketable, fix="opt out there too", fix_field="marketable", policy="strictest",
        exact="A person unsubscribed in one of `opt_out_vendors`, and another account may still mail him.",
    ),
    Rule(
        "C-03", "Dead address still mailed", "S2", "An address that bounced for good costs deliverability in every system that mails it.",
        _bounced_but_mailed, fix="suppress there too", question="Is there a new address?", fix_field="marketable", policy="strictest",
        exact="An address bounced for good or was cleaned in one account, and another one may still mail the same address.",
    ),
)  # fmt: skip
