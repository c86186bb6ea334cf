"""Dates of deals that wander: a close date that is pushed again and again."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side

_RECORD = ["account", "resource", "vendor_id"]


def period(ctx: Context, day: ibis.Value) -> ibis.Value:
    """The first day of the forecast period (`forecast_period`: quarter or month) the day lies in."""
    return day.truncate("Q" if ctx.limit("forecast_period") == "quarter" else "M")


def _day(value: ibis.Value) -> ibis.Value:
    """A close date as vendors' histories spell it: a day, an instant that begins with its day, or milliseconds since 1970."""
    return ibis.coalesce(value.left(10).try_cast("date"), value.try_cast("int64").as_timestamp("ms").date())


def _pushed(ctx: Context) -> ibis.Table:
    c = ctx.facts["changes"]
    c = c.filter(c.kind == "deal", c.field == "close_date")
    c = c.mutate(day=_day(c.value))
    c = c.filter(c.day.notnull())
    c = c.mutate(before=c.day.lag().over(group_by=_RECORD, order_by="seq"))
    later = c.filter(period(ctx, c.day) > period(ctx, c.before))
    moved = later.group_by(*_RECORD).agg(
        times=later.count(), first=later.before.argmin(later.seq), last=later.day.argmax(later.seq), moved_at=later.at.max()
    )
    moved = moved.filter(moved.times >= int(ctx.limit("close_date_pushes")))
    t = ctx.facts["deals"].filter(lambda d: d.result == "open").inner_join(moved, _RECORD)
    t = t.semi_join(ctx.facts["deal"].filter(lambda d: d.outcome == "open").select("entity_id"), "entity_id")
    text = t.first.cast("string").concat(" → ", t["last"].cast("string"))
    note = ibis.literal(f"pushed to a later {ctx.limit('forecast_period')} ").concat(t.times.cast("string"), " times")
    return side(t, "deal", "close_date", value=text, at=t.moved_at, note=note)


RULES = (
    Rule(
        "D-07", "Close date pushed repeatedly", "S3", "A deal that is always due next period is rarely won, and fills every forecast.",
        _pushed, question="Is this deal still alive? What would have to happen for it to close?", flag="slipping",
        example="A deal was expected in March, then in April, May and June: it was pushed on three times.",
        exact="The close date of an open deal was moved to a later forecast period (`forecast_period`) `close_date_pushes` times or more.",
    ),
)  # fmt: skip
