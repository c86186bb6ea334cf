"""The ways to deals and to milestones: which touches count for whom, in order, with the places that models give weight to.

A touch counts once: a session (one person, one channel, no pause of `session_minutes`) is one touch, and a form that was sent
in a visit is part of it. Direct visits count where nothing else is known.
"""

from __future__ import annotations

import ibis

from core.measure.metric import Scope
from core.measure.seconds import seconds
from core.measure.touch_names import DIRECT, campaigns, with_campaign, with_channel
from core.tables import instant, keep

_FORM = "conversion"
_MEMBERSHIP = "campaign"  # the channel of touches that are memberships of a CRM's campaign
_CLOCKS_S = 300  # a contact is created a little before or after the touch that created it


def marketing(scope: Scope) -> ibis.Table:
    """(person, at, key, channel, campaign, called) of everybody's marketing touches, a session as one. `at` in seconds since 1970."""
    t = scope.facts["touches"]
    form = (t.kind == _FORM) & t.event.isin(list(scope.choice("lead_events")))
    t = t.filter(t.kind.isin(list(scope.choice("attribution_touches"))) | form, t.occurred_at <= instant(scope.as_of))
    t = t.filter(~t.channel.fill_null("").lower().isin(list(scope.choice("attribution_not"))))
    c = campaigns(scope).rename(c_account="account", c_id="campaign_id")
    t = t.left_join(c, [t.account == c.c_account, t.campaign_id == c.c_id])
    said = ibis.ifelse(t.channel == _MEMBERSHIP, t.form, t.channel)
    name = ibis.coalesce(t["name"], t.campaign_id)
    t = t.select(
        "source", person="entity_id", at=seconds(t.occurred_at), key=t.account.concat(":", t.resource, ":", t.vendor_id),
        said=said, called=name, sent=(t.kind == _FORM).cast("int8"),
    )  # fmt: skip
    t = t.view()  # Ibis would make one chain of this join and the next, and lose what was computed between
    t = with_campaign(scope, with_channel(scope, t)).drop("said", "source")
    return _sessions(t, round(60 * float(scope.choice("session_minutes"))))


def _sessions(t: ibis.Table, pause: int) -> ibis.Table:
    until_now = ibis.window(group_by="person", order_by=["at", "sent", "key"], preceding=None, following=0)
    visited = ibis.ifelse(t.sent == 0, t["at"], ibis.null("int64")).max().over(until_now)
    t = t.mutate(inside=((t.sent == 1) & (t["at"] - visited <= pause)).fill_null(False))
    t = t.filter(~t.inside)
    before = t["at"].lag().over(group_by=["person", "channel"], order_by=["at", "sent", "key"])
    t = t.mutate(pause=t["at"] - before)
    return t.filter(t.pause.isnull() | (t.pause > pause)).drop("pause", "inside", "sent")


def paths(units: ibis.Table, people: ibis.Table, touches: ibis.Table) -> ibis.Table:
    """One row per touch that counts for a unit, with its place there.

    units: of, unit, since, until, made, known, known_person, value (core.measure.touch_units); people: of, unit, person.
    Columns: of, unit, no (a number for the two), person, at, channel, campaign, called, made, until, value; seq of n touches; lead_seq
    and made_seq, the places of the touch that created the oldest contact and of the last before the deal (null without one); channels,
    how many different ones; shared, touches of this one's channel; fresh and fresh_campaign, the first of its channel, its campaign.
    """
    u = units.mutate(no=ibis.row_number().over(order_by=[units.of, units.unit]))
    who = people.inner_join(u, ["of", "unit"])
    who = who.mutate(known=ibis.ifelse(who.person == who.known_person, who.known, ibis.null("int64"))).drop("known_person")
    t = touches.inner_join(who, "person")
    t = t.filter(t["at"] >= t.since, t["at"] <= t.until)
    better = t.filter(t.channel != DIRECT).select("no").distinct()
    t = ibis.union(t.filter(t.channel != DIRECT), t.filter(t.channel == DIRECT).anti_join(better, "no"))
    t = t.mutate(seq=ibis.row_number().over(group_by="no", order_by=["at", "key", "person"]))
    return _placed(keep(t.drop("key", "since")))


def _placed(t: ibis.Table) -> ibis.Table:
    """With what is true of the whole way. By grouping and joining: windows would sort all touches once for each column."""
    made, known = (t["at"] <= t.made).fill_null(False), (t["at"] <= t.known + _CLOCKS_S).fill_null(False)
    whole = t.group_by("no").agg(n=t.count(), made_seq=t.seq.max(where=made), lead_seq=t.seq.max(where=known))
    by_channel = t.group_by("no", "channel").agg(shared=t.count(), first=t.seq.min())
    channels = by_channel.group_by("no").agg(channels=by_channel.count())
    by_campaign = t.group_by("no", key=t.campaign.fill_null("")).agg(first_of_campaign=t.seq.min())
    t = t.mutate(key=t.campaign.fill_null(""))
    for part, on in ((whole, ["no"]), (channels, ["no"]), (by_channel, ["no", "channel"]), (by_campaign, ["no", "key"])):
        t = t.inner_join(part, on)
    t = t.mutate(fresh=t.seq == t["first"], fresh_campaign=t.seq == t.first_of_campaign)
    return t.drop("key", "first", "first_of_campaign", "known")
