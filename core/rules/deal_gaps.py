"""What a deal lacks: a close date, a sign of life, a next step, a reason for losing it."""

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
    work = _work(ctx)
    over = work.filter(work.done.fill_null(True), work.due_at <= ctx.now)
    worked = over.group_by("entity_id").agg(worked_at=over.due_at.max())
    last = readable.group_by("entity_id").agg(seen_at=readable.last_activity_at.max(), made_at=readable.created_at.min())
    last = last.left_join(worked, "entity_id").drop("entity_id_right")
    last_at = ibis.greatest(ibis.coalesce(last.seen_at, last.worked_at), ibis.coalesce(last.worked_at, last.seen_at))
    last = last.mutate(last_at=ibis.coalesce(last_at, last.made_at), never=last_at.isnull())
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


def _nothing_planned(ctx: Context) -> ibis.Table:
    """Only deals all of whose systems tell what is planned: the next step may stand in the one that does not."""
    t = ctx.facts["deals"].filter(lambda d: d.result == "open")
    going = ctx.facts["deal"].filter(lambda d: d.outcome == "open").select("entity_id")
    work = _work(ctx)
    telling = ibis.union(told(ctx.facts["deals"], "next_activity_at").select("account").distinct(), work.select("account").distinct())
    mute = t.anti_join(telling, "account").select("entity_id")
    ahead = work.filter(~work.done.fill_null(False), work.due_at.isnull() | (work.due_at >= ctx.today.cast(MOMENT)))
    coming = t.filter(t.next_activity_at >= ctx.today.cast(MOMENT)).select("entity_id")
    coming = ibis.union(coming, ahead.select("entity_id"))
    idle = t.semi_join(going, "entity_id").anti_join(mute, "entity_id").anti_join(coming, "entity_id")
    stirred = t.filter(t.updated_at > ctx.quiet).select("entity_id")
    idle = idle.anti_join(stirred, "entity_id")
    return side(idle, "deal", "next_activity", value=None, at=ibis.coalesce(idle.next_activity_at, idle.stage_entered_at, idle.created_at))


def _work(ctx: Context) -> ibis.Table:
    """(entity_id, account, due_at, done) of the tasks and meetings on live deals."""
    w = ctx.records("task")
    w = w.filter(~w.deleted.fill_null(False), w.deal_id.notnull()).select("account", "due_at", "done", vendor_id="deal_id")
    return w.inner_join(ctx.facts["deals"].select("entity_id", "account", "vendor_id"), ["account", "vendor_id"])


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
        example="An open deal has no close date in any CRM; it appears in no quarter.",
        exact="An open deal of which no system has a close date, in an account that keeps close dates.",
    ),
    Rule(
        "D-12", "No activity", "S3", "Nobody has written, called or met for weeks; the deal stands in the forecast all the same.",
        _no_activity, question="Who follows up, and when?", flag="no activity",
        example="The last call with the buyer was six weeks ago; since then there is no mail, no meeting and no done task.",
        exact="An open deal whose last activity in any system (done tasks and past meetings count) is more than `activity_days` ago "
        "(`activity_days_closing` in a closing stage); one that never had any counts from its creation. Accounts that keep no date of "
        "activity are not asked.",
    ),
    Rule(
        "D-13", "No next step", "S3", "A deal nobody has planned anything for moves on by chance.", _nothing_planned,
        question="What is the next step, and when?", flag="no next step",
        example="An open deal's last task is done and nothing is planned, neither in HubSpot nor in Salesforce.",
        exact="An open deal without a task or meeting that is due today or later, where every system that has the deal tells what is "
        "planned.",
    ),
    Rule(
        "D-14", "Lost without a reason", "S3", "Without reasons nobody learns why deals are lost.", _lost_without_reason,
        question="Why was this deal lost?", flag="no reason",
        example="A deal was lost in May, and both CRMs leave the reason empty.",
        exact="A lost deal of which no system has a reason, in an account that keeps reasons.",
    ),
)  # fmt: skip
