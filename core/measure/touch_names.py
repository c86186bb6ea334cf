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


def with_channel(scope: Scope, t: ibis.Table) -> ibis.Table:
    """t (said, source) with `channel` by the funnel's `source_groups`; where `said` says nothing, its source's group.

    Each word is looked at once: comparing every touch's with all words of all groups takes most of attribution's time.
    """
    every, c = scope.facts["all_touches"], scope.facts["campaigns"]
    words = ibis.union(every.select(word="channel"), every.select(word="source"), c.select(word="channel"), distinct=True)
    words = words.filter(words.word.notnull())
    plain = words.word.strip().lower()
    own = ibis.ifelse(plain.isin(_VAGUE), ibis.null("string"), plain)
    said = words.select(c_word="word", as_channel=_group(scope, own, own))
    source = words.select(s_word="word", as_source=_group(scope, plain, ibis.null("string")))
    t = t.left_join(said, t.said == said.c_word)
    t = t.left_join(source, t.source == source.s_word)
    return t.mutate(channel=ibis.coalesce(t.as_channel, t.as_source, UNKNOWN)).drop("c_word", "s_word", "as_channel", "as_source")


def with_campaign(scope: Scope, t: ibis.Table) -> ibis.Table:
    """t (called) with `campaign`, the key of what it is called; each name is looked at once."""
    names = ibis.union(
        scope.facts["all_touches"].select(called="campaign_id"), scope.facts["campaigns"].select(called="name"), distinct=True
    )
    names = names.filter(names.called.notnull())
    keys = names.select(c_name="called", campaign=campaign_key(scope, names.called))
    return t.left_join(keys, t.called == keys.c_name).drop("c_name")


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
