"""What a deal lacks: a close date, a sign of life, a reason for losing it."""

from __future__ import annotations

import ibis

from core.rules.known import told
from core.rules.rule import Context, Rule, side
from core.tables import MOMENT


def _close_date_missing(ctx: Context) -> ibis.Table:
    """A mirror with a date is enough: nothing drifts from a blank, and the forecast has a day."""
    d = ctx.facts["deal"]
    bare = d.filter(d.outcome == "open", d.close_date.isnull()).select("entity_id")
    t = told(ctx.facts["deals"], "close_date").semi_join(bare, "entity_id")
    t = t.filter(t.result == "open", t.updated_at <= ctx.quiet)
    return side(t, "deal", "close_date", value=None, at=t.created_at)


def _no_activity(ctx: Context) -> ibis.Table:
    """The last activity any system knows of; a deal that never had one counts from its creation."""
    readable = told(ctx.facts["deals"], "last_activity_at")
    last = readable.group_by("entity_id").agg(
        last_at=ibis.coalesce(readable.last_activity_at.max(), readable.created_at.min()), never=readable.last_activity_at.max().isnull()
    )
    d = ctx.facts["deal"].filter(lambda t: t.outcome == "open").select("entity_id", "pipeline_stage")
    quiet = d.inner_join(last, "entity_id")
    closing, others = ctx.ago(days=float(ctx.limit("activity_days_closing"))), ctx.ago(days=float(ctx.limit("activity_days")))
    quiet = quiet.filter(quiet.last_at < ibis.ifelse((quiet.pipeline_stage == "Closing").fill_null(False), closing, others))
    t = readable.inner_join(quiet.select("entity_id", "last_at", "never"), "entity_id")
    t = t.filter(t.result == "open")
    days = ((ctx.now.epoch_seconds() - t.last_at.epoch_seconds()) // 86400).cast("string")
    said = ibis.ifelse(t.never, ibis.null("string"), t.last_at.date().cast("string"))
    note = ibis.ifelse(t.never, "never any activity, made ", "last activity ").concat(days, " days ago")
    return side(t, "deal", "activity", value=said, at=t.last_at, note=note)


def _lost_without_reason(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    bare = d.filter(d.outcome == "lost", d.lost_reason.isnull()).select("entity_id")
    t = told(ctx.facts["deals"], "lost_reason").semi_join(bare, "entity_id")
    t = t.filter(t.result == "lost", t.updated_at <= ctx.quiet)
    return side(t, "deal", "lost_reason", value=None, at=ibis.coalesce(t.close_date.cast(MOMENT), t.stage_entered_at, t.updated_at))


RULES = (
    Rule(
        "D-08", "Close date missing", "S2", "A deal without a close date is in no forecast.", _close_date_missing,
        question="When is this deal expected to close?", flag="no close date",
        exact="An open deal of which no system has a close date, in an account that keeps close dates.",
    ),
    Rule(
        "D-12", "No activity", "S3", "Nobody has written, called or met for weeks; the deal stands in the forecast all the same.",
        _no_activity, question="Who follows up, and when?", flag="no activity",
        exact="An open deal whose last activity in any system is more than `activity_days` ago (`activity_days_closing` in a closing "
        "stage); one that never had any counts from its creation. Accounts that keep no date of activity are not asked.",
    ),
    Rule(
        "D-14", "Lost without a reason", "S3", "Without reasons nobody learns why deals are lost.", _lost_without_reason,
        question="Why was this deal lost?", flag="no reason",
        exact="A lost deal of which no system has a reason, in an account that keeps reasons.",
    ),
)  # fmt: skip
