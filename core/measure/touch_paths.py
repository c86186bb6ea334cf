"""The ways to deals and to milestones: which touches count for whom, in order, with the places that models give weight to.

A touch counts once: a session (one person, one channel, no pause of `session_minutes`) is one touch, and a form that was sent
in a visit is part of it. Direct visits count where nothing else is known.
Ways are millions of rows, so persons, units, channels and campaigns are numbers while they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis

from core.measure.metric import Scope
from core.measure.seconds import seconds
from core.measure.touch_names import DIRECT, campaign_names, campaigns, channels, with_channel, words
from core.tables import instant, keep

_FORM = "conversion"
_MEMBERSHIP = "campaign"  # the channel of touches that are memberships of a CRM's campaign
_PLACES = (
    "no",
    "at",
    "channel_no",
    "called_no",
    "campaign_no",
    "seq",
    "n",
    "lead_seq",
    "made_seq",
    "channels",
    "shared",
    "fresh",
    "fresh_campaign",
)
_CLOCKS_S = 300  # a contact is created a little before or after the touch that created it


@dataclass(frozen=True)
class Names:
    """The numbers of what ways are made of."""

    persons: ibis.Table  # person, person_no, created_at: everybody who counts
    channels: ibis.Table  # channel, channel_no
    words: ibis.Table  # word, by_channel, by_source: the numbers of the channels that touches' words stand for
    campaigns: ibis.Table  # called, called_no, campaign, campaign_no

    @classmethod
    def of(cls, scope: Scope, hold: Callable[[ibis.Table], ibis.Table]) -> Names:
        p = scope.persons
        numbered = p.select("created_at", person="entity_id", person_no=ibis.row_number().over(order_by=p.entity_id))
        named = hold(channels(scope))
        return cls(hold(numbered), named, hold(words(scope, named)), hold(campaign_names(scope)))


def marketing(scope: Scope, names: Names) -> ibis.Table:
    """(person_no, at, turn, channel_no, called_no, campaign_no, direct) of everybody's marketing touches, a session as one.

    `at` in seconds since 1970; `turn` orders a person's touches by a channel.
    """
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
        said=said, name=name, sent=(t.kind == _FORM).cast("int8"),
    )  # fmt: skip
    t = t.view()  # Ibis would make one chain of this join and the next, and lose what was computed between
    t = with_channel(t, names.words, names.channels).inner_join(names.persons, "person")
    called = names.campaigns.select("called_no", "campaign_no", own="called")
    t = t.left_join(called, t["name"] == called.own)
    t = t.select("person_no", "at", "sent", "key", "channel_no", "called_no", "campaign_no")
    direct = names.channels.select("channel_no", direct=names.channels.channel == DIRECT)
    return _sessions(t, round(60 * float(scope.choice("session_minutes")))).inner_join(direct, "channel_no")


def _sessions(t: ibis.Table, pause: int) -> ibis.Table:
    visits, forms = t.filter(t.sent == 0), t.filter(t.sent == 1)
    came = visits.select("person_no", came="at")
    inside = forms.inner_join(came, ["person_no", forms["at"] >= came.came, forms["at"] - came.came <= pause]).select("key").distinct()
    t = ibis.union(visits, forms.anti_join(inside, "key"))
    by = {"group_by": ["person_no", "channel_no"], "order_by": ["at", "sent", "key"]}
    t = t.mutate(pause=t["at"] - t["at"].lag().over(**by), turn=ibis.row_number().over(**by).cast("int32"))
    return t.filter(t.pause.isnull() | (t.pause > pause)).drop("pause", "sent", "key")


def paths(units: ibis.Table, people: ibis.Table, touches: ibis.Table) -> ibis.Table:
    """One row per touch that counts for a unit, with its place there.

    units: no, since, until, made, known, known_person (core.measure.touch_units); people: no, person_no; touches: as `marketing` gives.
    Columns: no, at, channel_no, called_no, campaign_no; seq of n touches; lead_seq and made_seq, the places of the touch that created
    the oldest contact and of the last before the deal (null without one); channels, how many different ones; shared, touches of this
    one's channel; fresh and fresh_campaign, the first of its channel, its campaign.
    """
    who = people.inner_join(units.select("no", "since", "until", "made", "known", "known_person"), "no")
    t = touches.inner_join(who, "person_no")
    t = t.filter(t["at"] >= t.since, t["at"] <= t.until)
    made = (t["at"] <= t.made).fill_null(False)
    known = ((t.person_no == t.known_person) & (t["at"] <= t.known + _CLOCKS_S)).fill_null(False)
    seq = ibis.row_number().over(group_by=["no", "direct"], order_by=["at", "turn", "channel_no", "person_no"]).cast("int32")
    return _placed(keep(t.select("no", "at", "channel_no", "called_no", "campaign_no", "direct", made=made, known=known, seq=seq)))


def _placed(t: ibis.Table) -> ibis.Table:
    """With what is true of the whole way. By grouping and joining: windows would sort all touches once for each column."""
    whole = t.group_by("no", "direct").agg(n=t.count().cast("int32"), made_seq=t.seq.max(where=t.made), lead_seq=t.seq.max(where=t.known))
    better = whole.filter(~whole.direct)
    whole = ibis.union(better, whole.filter(whole.direct).anti_join(better, "no"))
    by_channel = t.group_by("no", "direct", "channel_no").agg(shared=t.count().cast("int32"), first=t.seq.min())
    channels = by_channel.group_by("no", "direct").agg(channels=by_channel.count().cast("int32"))
    by_campaign = t.filter(t.campaign_no.notnull()).group_by("no", "campaign_no", "direct").agg(first_of_campaign=t.seq.min())
    t = t.inner_join(whole, ["no", "direct"]).inner_join(channels, ["no", "direct"]).inner_join(by_channel, ["no", "direct", "channel_no"])
    t = t.left_join(by_campaign, ["no", "campaign_no", "direct"])
    t = t.mutate(fresh=t.seq == t["first"], fresh_campaign=(t.seq == t.first_of_campaign).fill_null(False))
    return t.select(*_PLACES)


def named(t: ibis.Table, names: Names) -> ibis.Table:
    """The same touches with channel, campaign and what it was called instead of numbers."""
    t = t.inner_join(names.channels, "channel_no")
    called = names.campaigns.select("called_no", "called", "campaign")
    return t.left_join(called, "called_no").drop("channel_no", "called_no", "campaign_no", "called_no_right")
