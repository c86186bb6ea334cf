"""Deal fields: amounts, dates and owners that differ, are missing, or cannot be."""

from __future__ import annotations

import ibis

from core.rules.mirrors import decided_sides, mirrors, money, pair_sides, settled
from core.rules.rule import OF_THE_FUNNEL, Context, Rule, side, sides
from core.tables import MOMENT, further


def _amounts_apart(ctx: Context, outcome: str) -> ibis.Table:
    p = mirrors(ctx, "amount", "amount")
    p = p.filter(p.a_result == outcome, p.b_result == outcome, p.a_currency.fill_null("") == p.b_currency.fill_null(""))
    p = p.filter(~amounts_agree(ctx, p))
    return settled(p, ctx.quiet).mutate(a_text=money(p.a_amount), b_text=money(p.b_amount))


def amounts_agree(ctx: Context, p: ibis.Table) -> ibis.Value:
    """Are they within what is no difference?"""
    larger = ibis.greatest(p.a_amount.abs(), p.b_amount.abs()).cast("float64")
    tolerance = ibis.greatest(larger * float(ctx.limit("amount_share")), float(ctx.limit("amount_units")))
    return (p.a_amount - p.b_amount).abs().cast("float64") <= tolerance


def _amount_drift(ctx: Context) -> ibis.Table:
    """Without a word of the funnel two amounts are a person's decision."""
    return decided_sides(ctx, _amounts_apart(ctx, "open"), "amount", "text", before="text", believed=ctx.policy("amount")[0] is not None)


def _won_amount_drift(ctx: Context) -> ibis.Table:
    return pair_sides(_amounts_apart(ctx, "won"), "amount", "text")


def _amount_missing(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    late = further(d.stage) >= "M60"
    bare = d.filter(d.outcome == "open", late, d.amount.isnull() | (d.amount <= 0)).select("entity_id")
    t = ctx.facts["deals"].semi_join(bare, "entity_id")
    return side(t, "deal", "amount", value=money(t.amount), at=ibis.coalesce(t.stage_entered_at, t.updated_at))


def _close_date_drift(ctx: Context) -> ibis.Table:
    p = mirrors(ctx, "close_date", "close_date")
    p = p.filter(p.a_result == p.b_result)
    p = settled(p.filter(~close_dates_agree(ctx, p)), ctx.quiet)
    unit = "Q" if ctx.limit("forecast_period") == "quarter" else "M"
    same_period = p.a_close_date.truncate(unit) == p.b_close_date.truncate(unit)
    p = p.mutate(
        a_text=p.a_close_date.cast("string"), b_text=p.b_close_date.cast("string"),
        note=ibis.ifelse(same_period, "same period", f"different {ctx.limit('forecast_period')}s"),
    )  # fmt: skip
    return decided_sides(ctx, p, "close_date", "text", before="text", allowed=same_period)


def close_dates_agree(ctx: Context, p: ibis.Table) -> ibis.Value:
    """Are they closer than what is a difference?"""
    moments = list(ctx.limit("timestamp_close_vendors"))
    coarse = p.a_vendor.isin(moments) | p.b_vendor.isin(moments)
    days = p.a_close_date.epoch_days() - p.b_close_date.epoch_days()
    return days.abs() < ibis.ifelse(coarse, int(ctx.limit("close_date_days_timestamp")), int(ctx.limit("close_date_days")))


def _past_close_date(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    stale = d.filter(d.outcome == "open", d.close_date < ctx.today).select("entity_id")
    t = ctx.facts["deals"].semi_join(stale, "entity_id")
    t = t.filter(t.result == "open", t.close_date < ctx.today)
    return side(t, "deal", "close_date", value=t.close_date.cast("string"), at=t.close_date.cast(MOMENT))


def _owner_drift(ctx: Context) -> ibis.Table:
    p = mirrors(ctx, "owner", "owner_email")
    p = settled(p.filter(p.a_owner_email != p.b_owner_email), ctx.quiet)
    return decided_sides(ctx, p, "owner", "owner_email", before="owner_id")


def _stalled(ctx: Context) -> ibis.Table:
    d = ctx.facts["deal"]
    usual = _usual_days(ctx)
    t = d.filter(d.outcome == "open", d.age_days.notnull())
    t = t.left_join(usual, [t.source_account == usual.account, t.raw_stage == usual.value]).drop("value")
    enough = t.n.fill_null(0) >= int(ctx.limit("stalled_min_won"))
    t = t.mutate(most=ibis.ifelse(enough, t.usual, float(ctx.limit("stalled_days"))))
    t = t.filter(t.age_days > t.most)
    days = t.age_days.floor().cast("int64").cast("string")
    return side(
        t, "deal", "stage", account=t.source_account, resource=t.source_resource, vendor_id=t.source_id,
        value=ibis.coalesce(t.pipeline_stage, t.raw_stage), at=t.stage_entered_at,
        note=days.concat(" days in the stage; usual at most ", t.most.round(1).cast("string")),
    )  # fmt: skip


def _usual_days(ctx: Context) -> ibis.Table:
    """(account, value, usual, n): the P90 of the days won deals spent in each stage, and how many won deals say so."""
    c = ctx.facts["changes"]
    c = c.filter(c.kind == "deal", c.field == "stage")
    record = ["account", "resource", "vendor_id"]
    c = c.mutate(next_at=c.at.lead().over(group_by=record, order_by="seq"))
    d = ctx.facts["deal"]
    won = d.filter(d.outcome == "won").select(account="source_account", resource="source_resource", vendor_id="source_id")
    spell = c.filter(c.next_at.notnull()).semi_join(won, record)
    days = (spell.next_at.epoch_seconds() - spell.at.epoch_seconds()) / 86400.0
    share = float(ctx.limit("stalled_quantile"))
    return spell.group_by("account", "value").agg(usual=days.quantile(share), n=spell.entity_id.nunique())


def _negative_duration(ctx: Context) -> ibis.Table:
    t = ctx.facts["deals"].filter(lambda d: d.close_date.notnull() & d.created_at.notnull())
    created = t.created_at.date()
    t = t.filter(created.epoch_days() - t.close_date.epoch_days() >= int(ctx.limit("negative_duration_days")))
    text = t.close_date.cast("string")
    note = ibis.literal("created ").concat(t.created_at.date().cast("string"))
    return sides(side(t, "deal", "close_date", value=text, at=t.created_at, note=note), _left_before_entered(ctx, t))


def _left_before_entered(ctx: Context, born_later: ibis.Table) -> ibis.Table:
    """Closed deals whose close date lies before they entered the stage they were closed from; others than `born_later`."""
    record = ["account", "resource", "vendor_id"]
    c = ctx.facts["changes"]
    c = c.filter(c.kind == "deal", c.field == "stage", c.code.notnull(), c.code.notin(["M80", "M85"]))
    last = c.group_by(*record).agg(entered_at=c.at.max(), entered=c.value.argmax(c.seq))
    t = ctx.facts["deals"].filter(lambda d: (d.result != "open") & d.close_date.notnull())
    t = t.anti_join(born_later.select(*record), record).inner_join(last, record)
    t = t.filter(t.entered_at.date().epoch_days() - t.close_date.epoch_days() >= int(ctx.limit("negative_duration_days")))
    note = ibis.literal("entered ").concat(t.entered, " on ", t.entered_at.date().cast("string"), ", left it by closing before that")
    return side(t, "deal", "close_date", part="exit", value=t.close_date.cast("string"), at=t.entered_at, note=note)


RULES = (
    Rule(
        "D-01", "Amount drift", "S2", "The same open deal has two amounts, so the pipeline has two totals.", _amount_drift,
        fix="take the amount that `policies.amount` of funnel.yaml decides for", question="Which amount is right?", fix_field="amount",
        policy=OF_THE_FUNNEL,
        example="The open deal is worth 18,000 EUR in HubSpot and, since Tuesday, 20,000 EUR in Salesforce, which decides on amounts.",
        exact="Both mirrors are open, in one currency, and their amounts differ by more than `amount_share` and more than `amount_units`.",
    ),
    Rule(
        "D-02", "Amount drift on a won deal", "S1", "Booked revenue differs between systems.", _won_amount_drift,
        question="Which amount was booked? Finance decides.",
        example="Salesforce booked 21,500 EUR, HubSpot shows 24,000 EUR for the same won deal.",
        exact="The same between mirrors that are both won.",
    ),
    Rule(
        "D-03", "Amount missing", "S2", "From Proposing on a deal without amount hides pipeline.", _amount_missing,
        question="What is this deal worth?", flag="no amount",
        example="A deal stands in Negotiating, and its amount is empty in both CRMs.",
        exact="An open deal from Proposing on has no amount, or none above zero, in any system.",
    ),
    Rule(
        "D-05", "Close-date drift", "S2", "The same deal closes on two days.", _close_date_drift,
        fix="take the close date that `policies.close_date` of funnel.yaml decides for, within one forecast period",
        question="Which close date is right? They lie in different forecast periods.", fix_field="close_date", policy=OF_THE_FUNNEL,
        example="HubSpot expects the deal on 30 June, Salesforce on 15 August.",
        exact="Close dates of mirrors with the same outcome lie `close_date_days` or more apart (`close_date_days_timestamp` where a "
        "system keeps a time of day).",
    ),
    Rule(
        "D-06", "Open past its close date", "S2", "The forecast counts a deal on a day that is over.", _past_close_date,
        question="Reschedule or close it?", flag="past due",
        example="Today is 30 June, and an open deal is expected to close on 12 June.",
        exact="An open deal's close date is before today.",
    ),
    Rule(
        "D-09", "Owner drift", "S3", "Two people own the same deal.", _owner_drift,
        fix="take the owner that `policies.owner` of funnel.yaml decides for", question="Who owns this deal?", fix_field="owner",
        policy=OF_THE_FUNNEL,
        example="HubSpot's deal belongs to ana@lumen.example, its mirror in Salesforce to ben@lumen.example.",
        exact="The owners of two mirrors have different e-mail addresses.",
    ),
    Rule(
        "D-11", "Stalled deal", "S3", "Longer in its stage than nine of ten won deals ever were.", _stalled,
        question="What is the next step?", flag="stalled",
        example="Won deals left Proposing within 30 days, nine of ten; this one has been there for 75.",
        exact="An open deal has been in its stage longer than `stalled_quantile` of the won deals were, or than `stalled_days` where "
        "fewer than `stalled_min_won` were won.",
    ),
    Rule(
        "D-15", "Negative duration", "S2",
        "A deal that closed before it was created, or left a stage before it entered it, spoils every duration.", _negative_duration,
        question="Which of the two dates is wrong?", flag="bad dates",
        example="A deal was created on 10 June, and its close date is 1 May: it would have been won before it began.",
        exact="A deal's close date lies `negative_duration_days` or more before it was created, or before it entered the stage it was "
        "closed from.",
    ),
)  # fmt: skip
