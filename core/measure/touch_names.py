"""What a touch came by, in one spelling: its channel and its campaign, whatever the systems call them."""

from __future__ import annotations

import re

import ibis

from core.measure.metric import Scope

UNKNOWN = "(unknown)"
DIRECT = "direct"
_DIRECT = ("(none)", "(direct)", "none")  # as web analytics writes it, beside the words of the funnel
_VAGUE = ("web", "campaign", "")  # channels that say how something was counted, not what brought the person
_BETWEEN = r"[\s_.,:;|/+()\[\]-]+"  # what stands between the words of a name, in whatever spelling


def channels(scope: Scope) -> ibis.Table:
    """(channel, channel_no): every name a channel can have here, numbered in their order."""
    w = _words(scope)
    names = ibis.union(w.select(channel="as_channel"), w.select(channel="as_source"), distinct=True)
    names = names.filter(names.channel.notnull() & (names.channel != UNKNOWN))
    names = ibis.union(names, ibis.memtable({"channel": [UNKNOWN]}))
    return names.mutate(channel_no=ibis.row_number().over(order_by=names.channel).cast("int32"))


def words(scope: Scope, names: ibis.Table) -> ibis.Table:
    """(word, by_channel, by_source): the number of the channel a touch's own word, and its source's, stand for; null for none."""
    w = _words(scope)
    own, source = (names.select(**{name: "channel", f"{name}_no": "channel_no"}) for name in ("own", "source"))
    w = w.left_join(own, w.as_channel == own.own)
    w = w.left_join(source, w.as_source == source.source)
    return w.select("word", by_channel="own_no", by_source="source_no")


def with_channel(t: ibis.Table, w: ibis.Table, names: ibis.Table) -> ibis.Table:
    """t (said, source) with `channel_no` of names by the funnel's `source_groups`; where `said` says nothing, its source's group.

    Each word was looked at once: comparing every touch's with all words of all groups takes most of attribution's time.
    """
    said, source = w.select("by_channel", c_word="word"), w.select("by_source", s_word="word")
    t = t.left_join(said, t.said == said.c_word)
    t = t.left_join(source, t.source == source.s_word)
    unknown = names.filter(names.channel == UNKNOWN).channel_no.as_scalar()
    return t.mutate(channel_no=ibis.coalesce(t.by_channel, t.by_source, unknown)).drop("c_word", "s_word", "by_channel", "by_source")


def _words(scope: Scope) -> ibis.Table:
    """(word, as_channel, as_source): what channels and sources are called, and the group of each."""
    every, c = scope.facts["all_touches"], scope.facts["campaigns"]
    words = ibis.union(every.select(word="channel"), every.select(word="source"), c.select(word="channel"), distinct=True)
    words = words.filter(words.word.notnull())
    plain = words.word.strip().lower()
    own = ibis.ifelse(plain.isin(_VAGUE), ibis.null("string"), plain)
    return words.select("word", as_channel=_group(scope, own, own), as_source=_group(scope, plain, ibis.null("string")))


def campaign_names(scope: Scope) -> ibis.Table:
    """(called, called_no, campaign, campaign_no): every name of a campaign that touches can have, its key, and their numbers."""
    names = ibis.union(
        scope.facts["all_touches"].select(called="campaign_id"), scope.facts["campaigns"].select(called="name"), distinct=True
    )
    names = names.filter(names.called.notnull())
    names = names.mutate(campaign=campaign_key(scope, names.called))
    called, campaign = (ibis.dense_rank().over(order_by=names[name]).cast("int32") for name in ("called", "campaign"))
    return names.mutate(called_no=called, campaign_no=ibis.ifelse(names.campaign.isnull(), ibis.null("int32"), campaign))


def group(scope: Scope, word: ibis.Value) -> ibis.Value:
    """A lead source's group; a word of no group is its own."""
    own = word.strip().lower().nullif("")
    return _group(scope, own, own).fill_null(UNKNOWN)


def _group(scope: Scope, word: ibis.Value, otherwise: ibis.Value) -> ibis.Value:
    groups = {name.lower(): [w.lower() for w in words] for name, words in scope.choice("source_groups").items()}
    groups.setdefault(DIRECT, []).extend(_DIRECT)
    return ibis.cases(*[(word.isin([name, *words]), name) for name, words in groups.items()], else_=otherwise)


def campaign_key(scope: Scope, name: ibis.Value) -> ibis.Value:
    """What two spellings of one campaign have in common, or what the funnel's `same_campaigns` says they have. "(organic)" is none."""
    key = name.lower().re_replace(_BETWEEN, "")
    same = [(_plain(other), _plain(own)) for own, others in scope.choice("same_campaigns").items() for other in others]
    key = ibis.cases(*[(key == other, own) for other, own in same], else_=key) if same else key
    return ibis.ifelse(name.startswith("("), ibis.null("string"), key).nullif("")


def _plain(name: str) -> str:
    return re.sub(_BETWEEN, "", name.lower())


def campaigns(scope: Scope) -> ibis.Table:
    """(account, campaign_id, name, form): campaigns by the ids touches name them by; the form is a channel."""
    c = scope.facts["campaigns"]
    c = c.filter(~c.deleted.fill_null(False)).select("account", campaign_id="vendor_id", name="name", form="channel", of="resource")
    return c.group_by("account", "campaign_id").agg(name=c.name.argmin(c.of), form=c.form.argmin(c.of))
