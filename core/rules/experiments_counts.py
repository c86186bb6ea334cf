"""Experiments: what the tool counted against what our own touches saw of the same visitors."""

from __future__ import annotations

import re

import ibis

from core.rules.experiments_known import BETWEEN, TEST, experiments, part, plain, spelled, tally
from core.rules.rule import Context, Rule, record_key, side, sides

_SOURCE = ["own", "own_resource"]
_DAYS = 1  # of which the touches must tell before a test began and after it ended


def _differ(ctx: Context) -> ibis.Table:
    """One finding per test and source of touches, and one per goal of it."""
    e = _over(ctx)
    seen = _seen(ctx, e)
    whole = _whole(ctx, seen)
    seen = seen.semi_join(whole, [*TEST, *_SOURCE])
    visitors = seen.group_by(*TEST, *_SOURCE).agg(ours=seen.visitor.nunique())
    counted = _totals(tally(ctx, "experiment_visitors"), e)
    visitors = visitors.inner_join(counted.drop("goal").distinct(), TEST).mutate(goal=ibis.literal("visitors"))
    return sides(
        _apart(ctx, visitors, e, "visitors", float(ctx.limit("experiment_visitors_share"))),
        _apart(ctx, _converted(ctx, seen, e), e, "conversions", float(ctx.limit("experiment_conversions_share"))),
    )


def _over(ctx: Context) -> ibis.Table:
    """Tests that are over, whose times are known."""
    e = experiments(ctx)
    e = e.filter(e.started_at.notnull(), e.ended_at.notnull(), e.ended_at < ctx.now)
    return e.select(*TEST, "vendor", "resource", "vendor_id", "called", "started_at", "ended_at")


def _totals(t: ibis.Table, e: ibis.Table) -> ibis.Table:
    """(account, experiment, goal, theirs): the tool's numbers over all variations, if it counted to the end."""
    t = t.mutate(goal=plain(part(t, "metric")).fill_null(""))
    t = t.group_by(*TEST, "goal", "variation").agg(theirs=t.amount.max(), day=t.day.max())
    t = t.group_by(*TEST, "goal").agg(theirs=t.theirs.sum(), day=t.day.max())
    t = t.inner_join(e.select(*TEST, "ended_at"), TEST)
    t = t.filter(t.day.epoch_days() + 1 >= t.ended_at.date().epoch_days())
    return t.select(*TEST, "goal", "theirs")


def _touches(ctx: Context, kind: str) -> ibis.Table:
    """(own, own_resource, visitor, key, at) of touches of the kind, whoever they belong to."""
    t = ctx.records("touch")
    t = t.filter(t.kind == kind, t.event.notnull(), t.occurred_at.notnull(), ~t.deleted.fill_null(False))
    visitor = ibis.coalesce(t.links[0], t.person_id, t.email)
    return t.select(own="account", own_resource="resource", visitor=visitor, key=plain(t.event), at="occurred_at")


def _seen(ctx: Context, e: ibis.Table) -> ibis.Table:
    """(account, experiment, own, own_resource, visitor, first): who was shown a test by touches that are not the tool's own."""
    t = _touches(ctx, "exposure")
    t = t.filter(t.visitor.notnull()).inner_join(spelled(ctx, e), "key")
    t = t.inner_join(e.select(*TEST, "started_at", "ended_at"), TEST)
    t = t.filter(t.own != t.account, t.at >= t.started_at, t.at <= t.ended_at)
    return t.group_by(*TEST, *_SOURCE, "visitor", "started_at", "ended_at").agg(first=t["at"].min())


def _whole(ctx: Context, seen: ibis.Table) -> ibis.Table:
    """(account, experiment, own, own_resource) where the source tells of every day, from the one before to the one after."""
    touch = ctx.records("touch")
    days = touch.filter(touch.occurred_at.notnull(), ~touch.deleted.fill_null(False))
    days = days.select(own="account", own_resource="resource", day=days.occurred_at.date().epoch_days()).distinct()
    t = seen.select(*TEST, *_SOURCE, began=seen.started_at.date().epoch_days(), over=seen.ended_at.date().epoch_days()).distinct()
    t = t.inner_join(days, _SOURCE).filter(lambda x: (x.day >= x.began - _DAYS) & (x.day <= x.over + _DAYS))
    t = t.group_by(*TEST, *_SOURCE, "began", "over").agg(told=t.count())
    return t.filter(t.told == t.over - t.began + 1 + 2 * _DAYS).select(*TEST, *_SOURCE)


def _converted(ctx: Context, seen: ibis.Table, e: ibis.Table) -> ibis.Table:
    """(account, experiment, own, own_resource, goal, theirs, ours): goals that are events the source tells of."""
    c = _touches(ctx, "conversion")
    c = c.mutate(goal=_goal(ctx, c.key))
    told = c.select(*_SOURCE, "goal").distinct()
    totals = _totals(tally(ctx, "experiment_conversions"), e)
    totals = totals.mutate(goal=_goal(ctx, totals.goal)).group_by(*TEST, "goal").agg(theirs=lambda t: t.theirs.max())
    asked = seen.select(*TEST, *_SOURCE).distinct().inner_join(totals, TEST).inner_join(told, [*_SOURCE, "goal"])
    asked = asked.select(*TEST, *_SOURCE, "goal", "theirs")
    hit = seen.inner_join(c, [*_SOURCE, "visitor"])
    hit = hit.filter(hit["at"] >= hit["first"], hit["at"] <= hit.ended_at)
    hit = hit.group_by(*TEST, *_SOURCE, "goal").agg(ours=hit.visitor.nunique())
    key = [*TEST, *_SOURCE, "goal"]
    both = asked.left_join(hit, key).drop(*(f"{name}_right" for name in key))
    return both.mutate(ours=both.ours.fill_null(0))


def _apart(ctx: Context, t: ibis.Table, e: ibis.Table, field: str, share: float) -> ibis.Table:
    ours, theirs = t.ours.cast("float64"), t.theirs.cast("float64")
    t = t.mutate(off=(ours - theirs).abs(), larger=ibis.greatest(ours, theirs))
    t = t.filter(t.larger >= float(ctx.limit("experiment_least")), t.off > t.larger * share)
    t = t.inner_join(e, TEST)
    t = t.mutate(entity_id=record_key(t))
    apart = (t.off / t.larger * 100).round(1).cast("string").concat(" % apart")
    said = _whole_number(t.theirs).concat(" by ", t.account, ", ", _whole_number(t.ours), " by ", t.own, ": ", apart)
    note = t.called.concat(": ", t.goal, " ", said)
    part_ = t.own.concat(":", t.own_resource, ":", t.goal)
    return side(t, "experiment", field, part=part_, value=_whole_number(t.theirs), at=t.started_at, note=note)


def _whole_number(value: ibis.Value) -> ibis.Value:
    return value.cast("float64").round(0).cast("int64").cast("string")


def _goal(ctx: Context, name: ibis.Value) -> ibis.Value:
    """Our event's name for a goal, in plain spelling."""
    same = [(other, own) for own, others in ctx.limit("experiment_goals").items() for other in others]
    cases = [(name == re.sub(BETWEEN, "-", other.lower()), re.sub(BETWEEN, "-", own.lower())) for other, own in same]
    return ibis.cases(*cases, else_=name) if cases else name


RULES = (
    Rule(
        "X-03", "Tool and own count apart", "S2",
        "The effect of a test is computed from visitors that our own touches do not know, or without some that they do.", _differ,
        question="Who is missing on one side: refused consent, blocked scripts, bots, a tag that fires on some pages only? Do not compare "
        "this test's result with your own numbers before.",
        example="Optimizely counted 10,000 visitors in a test, Analytics saw exposures of 7,900.",
        exact="A test that is over counted other visitors than the touches of another account show for it (exposures called by its tool, "
        "test and variation), by more than `experiment_visitors_share`, or, of those visitors, other conversions for a goal that is called "
        "like one of our events (or as `experiment_goals` says), by more than `experiment_conversions_share`; where one of the two counts "
        "`experiment_least` or more, and the touches tell of every day from the one before the test to the one after it.",
    ),
)  # fmt: skip
