"""Campaigns by the CRM's own lists against what web, mail and forms saw: who answered, and who came by the campaign."""

from __future__ import annotations

import re

import ibis

from core.rules.rule import Context, Rule, side, sides
from core.tables import days_between

_MEMBER = "campaign"  # the channel of touches that are memberships of a CRM's campaign
_BETWEEN = r"[\s_.,:;|/+()\[\]-]+"  # what stands between the words of a name, in whatever spelling
_ONE = ["entity_id", "key"]


def _one_sided(ctx: Context) -> ibis.Table:
    """One finding per person and campaign, with the person's records in the CRM of the campaign."""
    lists = _lists(ctx)
    touched = _touched(ctx)
    touched = touched.filter(touched.key.isin(lists.key))
    answered = _answered(ctx, lists)
    both = answered.inner_join(touched.select(*_ONE, seen="day"), _ONE)
    apart = (both.day.epoch_days() - both.seen.epoch_days()).abs()
    met = both.filter(apart <= int(ctx.limit("campaign_days"))).select(*_ONE).distinct()
    return sides(
        _named(ctx, _in_sight(ctx, answered.anti_join(met, _ONE), touched), "answered ", "nobody saw him come by it then"),
        _named(ctx, _unlisted(ctx, touched.anti_join(answered, _ONE), lists), "came ", "not a member of it who answered"),
    )


def _lists(ctx: Context) -> ibis.Table:
    """(account, campaign_id, key, called): campaigns of the systems that keep members of theirs."""
    touch, c = ctx.records("touch"), ctx.records("campaign")
    keeping = touch.filter(touch.channel == _MEMBER).select("account").distinct()
    c = c.filter(~c.deleted.fill_null(False), c.name.notnull()).semi_join(keeping, "account")
    return c.select("account", campaign_id="vendor_id", key=_key(ctx, c.name), called="name")


def _answered(ctx: Context, lists: ibis.Table) -> ibis.Table:
    """(entity_id, account, key, called, day, at): members who answered."""
    t = ctx.facts["touches"]
    t = t.filter(t.channel == _MEMBER, t.kind == "response", t.occurred_at.notnull())
    t = t.select("entity_id", "account", "campaign_id", day=t.occurred_at.date(), at="occurred_at")
    return t.inner_join(lists, ["account", "campaign_id"]).select("entity_id", "account", "key", "called", "day", "at")


def _touched(ctx: Context) -> ibis.Table:
    """(entity_id, account, resource, key, day, at): other touches that say by which campaign somebody came, or what he answered."""
    t = ctx.facts["touches"]
    t = t.filter(t.channel.fill_null("") != _MEMBER, t.kind.isin(list(ctx.limit("campaign_answers"))))
    t = t.filter(t.campaign_id.notnull(), t.occurred_at.notnull())
    c = ctx.records("campaign").filter(lambda c: c.name.notnull()).select("account", "name", campaign_id="vendor_id")
    t = t.left_join(c.distinct(on=["account", "campaign_id"]), ["account", "campaign_id"], rname="c_{name}")
    name = ibis.coalesce(t.name, t.campaign_id)
    return t.select("entity_id", "account", "resource", key=_key(ctx, name), day=t.occurred_at.date(), at="occurred_at")


def _in_sight(ctx: Context, answered: ibis.Table, touched: ibis.Table) -> ibis.Table:
    """Answers from the time of which a source that knows the campaign tells."""
    touch = ctx.records("touch")
    told = touch.filter(touch.occurred_at.notnull()).group_by("account", "resource").agg(
        first=lambda t: t.occurred_at.min().date().epoch_days(), last=lambda t: t.occurred_at.max().date().epoch_days()
    )  # fmt: skip
    knows = touched.select("account", "resource", "key").distinct().inner_join(told, ["account", "resource"])
    knows = knows.group_by("key").agg(first=knows["first"].min(), last=knows["last"].max())
    days = int(ctx.limit("campaign_days"))
    t = answered.inner_join(knows, "key")
    return t.filter(t.day.epoch_days() - days >= t["first"], t.day.epoch_days() + days <= t["last"])


def _unlisted(ctx: Context, touched: ibis.Table, lists: ibis.Table) -> ibis.Table:
    """Touches of persons the system with the campaign knew by then, as soon as they must have been noted there."""
    settled = touched.filter(touched.at <= ctx.ago(days=int(ctx.limit("campaign_days")) + 1)).select(*_ONE, "day", "at")
    t = settled.inner_join(lists.select("account", "key", "called"), "key")
    known = ctx.facts["people"].group_by("entity_id", "account").agg(known=lambda p: p.created_at.min())
    t = t.inner_join(known, ["entity_id", "account"])
    return t.filter(days_between(t.known, t.at) >= 0)


def _named(ctx: Context, t: ibis.Table, what: str, note: str) -> ibis.Table:
    """The first such day, at the person's records in that system."""
    t = t.group_by(*_ONE, "account").agg(at=t.at.min(), called=t.called.min())
    t = t.inner_join(ctx.facts["people"].select("entity_id", "account", "resource", "vendor_id"), ["entity_id", "account"])
    day = ibis.literal(what).concat(t["at"].strftime("%Y-%m-%d"))
    return side(t, "person", "campaign", part=t.key, value=day, note=t.called.concat(": ", note))


def _key(ctx: Context, name: ibis.Value) -> ibis.Value:
    """What two spellings of one campaign have in common, or what the funnel says they have."""
    key = name.lower().re_replace(_BETWEEN, "")
    same = [(_plain(other), _plain(own)) for own, others in ctx.limit("same_campaigns").items() for other in others]
    return ibis.cases(*[(key == other, own) for other, own in same], else_=key) if same else key


def _plain(name: str) -> str:
    return re.sub(_BETWEEN, "", name.lower())


RULES = (
    Rule(
        "E-06", "Campaign member and touch apart", "S3",
        "What a campaign brought is counted by its members in the CRM and by its visitors elsewhere, and the two are not the same people.",
        _one_sided,
        question="Did he answer? Add him to the campaign, or set his membership right; if nobody could see him, is the campaign's link "
        "without its tag?",
        example="Salesforce has Ana as a member of \"Flow Webinar\" who responded in May, and none of her visits or answers around then "
        "names that campaign.",
        exact="A member of a CRM's campaign answered it, and no touch of his (`campaign_answers`) by a campaign of that name lies within "
        "`campaign_days` of it; or he came by it, was known to that CRM, and is no member who answered. Names are compared without "
        "capitals and separators, and as `same_campaigns` says; a campaign only one side knows is left alone, and so are answers from "
        "before or after what the other side tells of.",
    ),
)  # fmt: skip
