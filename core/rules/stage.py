"""Stage and lifecycle: what one system calls a customer, an opportunity or won, and another does not."""

from __future__ import annotations

import ibis

from core.rules.history import deal_steps
from core.rules.lifecycles import lifecycles, linked_deals, with_deals
from core.rules.mirrors import decided_sides, mirrors, settled, with_decision
from core.rules.rule import OF_THE_FUNNEL, Context, Rule, one_side, side, sides
from core.tables import MOMENT, seconds_between


def _joined(ctx: Context, *, through_company: bool = False) -> ibis.Table:
    life = lifecycles(ctx)
    life = life.filter(life.updated_at <= ctx.quiet)
    deals = with_deals(ctx, linked_deals(ctx, through_company=through_company))
    return life.inner_join(deals, ["entity_kind", "entity_id"])


def _with_deal(t: ibis.Table, outcome: str, fix: str | None) -> ibis.Table:
    """The lifecycle's record (with the fix) beside one deal that contradicts it."""
    kind = t.entity_kind
    common = {"entity_kind": kind, "part": t.key}
    life = side(t, "", "lifecycle", value=t.stage, at=t.at, fix_value=fix, fix_before=t.raw_stage if fix else None, **common)
    deal = one_side(t, f"{outcome}_", "", "lifecycle", value=f"deal {outcome}", at=t[f"{outcome}_at"], **common)
    return sides(life, deal)


def _customer_without_won(ctx: Context) -> ibis.Table:
    t = _joined(ctx, through_company=True)
    t = t.filter(t.stage.isin(["M80", "M90", "M95"]), t.won_anywhere == 0, t.lost > 0)
    return _with_deal(t, "lost", None)


def _won_not_customer(ctx: Context) -> ibis.Table:
    t = _joined(ctx)
    return _with_deal(t.filter(t.settled_won > 0, t.stage < "M80"), "won", "M80")


def _behind_pipeline(ctx: Context) -> ibis.Table:
    t = _joined(ctx)
    return _with_deal(t.filter(t.settled_open > 0, t.won == 0, t.stage < "M50"), "open", "M50")


def _converted_not_sql(ctx: Context) -> ibis.Table:
    """The fix goes as far as open and won deals ask for, so that it never argues with S-02 or S-03."""
    p = ctx.facts["people"]
    lead = p.filter(p.converted, p.updated_at <= ctx.quiet)
    lead = lead.mutate(converted_on=ibis.coalesce(lead.converted_at.cast(MOMENT), lead.updated_at))
    lead = lead.group_by("entity_id").agg(
        lead_account=lead.account.min(), lead_resource=lead.resource.argmin(lead.account),
        lead_vendor_id=lead.vendor_id.argmin(lead.account),
        lead_at=lead.converted_on.max(),
    )  # fmt: skip
    life = lifecycles(ctx)
    life = life.filter(life.entity_kind == "person", life.stage < "M40", life.updated_at <= ctx.quiet)
    t = life.inner_join(lead, "entity_id").filter(lambda x: x.account != x.lead_account)
    t = t.left_join(ctx.facts["person"].select("entity_id", "open_deals", "won_deals"), "entity_id").drop("entity_id_right")
    goal = ibis.cases((t.won_deals > 0, "M80"), (t.open_deals > 0, "M50"), else_="M40")
    contact = side(t, "person", "lifecycle", part=t.key, value=t.stage, at=t.at, fix_value=goal, fix_before=t.raw_stage)
    return sides(contact, one_side(t, "lead_", "person", "lifecycle", part=t.key, value="converted", at=t.lead_at))


def _stage_differs(ctx: Context) -> ibis.Table:
    p = mirrors(ctx, "stage", "stage")
    p = p.mutate(a_where=ibis.coalesce(p.a_pipeline_stage, p.a_stage), b_where=ibis.coalesce(p.b_pipeline_stage, p.b_stage))
    p = p.filter(p.a_result == "open", p.b_result == "open", p.a_where != p.b_where)
    p = with_decision(ctx, settled(p, ctx.quiet), "stage")
    backward = ibis.ifelse(p.wins == "b", p.b_stage < p.a_stage, p.a_stage < p.b_stage)
    p = p.filter(~backward | (ibis.greatest(p.a_changed_at, p.b_changed_at) <= ctx.quiet_backward))
    return decided_sides(ctx, p, "stage", "where", fix="stage", before="raw_stage", allowed=p.a_stage != p.b_stage)


_RESULTS = ("open", "won", "lost")


def _outcome_conflict(ctx: Context) -> ibis.Table:
    p = mirrors(ctx, "stage")
    known = p.a_result.isin(_RESULTS) & p.b_result.isin(_RESULTS)  # "closed", nobody knows how, is G-01's
    p = p.filter(p.a_result != p.b_result, known)
    one_open = (p.a_result == "open") | (p.b_result == "open")
    closed_at = ibis.ifelse(p.a_result == "open", p.b_changed_at, p.a_changed_at)
    p = p.filter(~one_open | (closed_at <= ctx.quiet_backward))
    p = with_decision(ctx, p, "stage")
    p = p.mutate(**{f"{end}_code": ibis.ifelse(p[f"{end}_result"] == "won", "M80", "M85") for end in "ab"})
    closing = one_open & (ibis.ifelse(p.wins == "a", p.a_result, p.b_result) != "open")  # opening again is a person's
    return decided_sides(ctx, p, "outcome", "result", fix="code", before="raw_stage", allowed=closing)


def _regression(ctx: Context) -> ibis.Table:
    """Backward moves that lasted a day; the return from a mis-click of less than a day is none."""
    t = deal_steps(ctx)
    day = float(ctx.limit("quiet_backward_hours")) * 3600
    lasted = seconds_between(t.at, ibis.coalesce(t.next_at, ctx.now)) >= day
    slip = t.value.identical_to(t.before_last) & (seconds_between(t.prev_at, t.at) < day)
    t = t.filter(t.backward, lasted, ~slip, t.prev_code.notin(["M80", "M85"]), t.code.notin(["M80", "M85"]))
    last = t.group_by("entity_id", "account", "resource", "vendor_id").agg(
        value=t.prev_value.concat(" → ", t.value).argmax(t.seq), at=t.at.max(), times=t.count()
    )
    return side(last, "deal", "stage", note=last.times.cast("string").concat(" times"))


def _skipped(ctx: Context) -> ibis.Table:
    t = deal_steps(ctx)
    t = t.filter(t.predecessor > t.furthest_before, t.code != "M85")
    last = t.group_by("entity_id", "account", "resource", "vendor_id").agg(
        value=t.prev_value.concat(" → ", t.value).argmax(t.seq), at=t.at.max()
    )
    return side(last, "deal", "stage")


RULES = (
    Rule(
        "S-01", "Customer without won deal", "S1", "The CRM calls someone a customer whose deals were all lost.",
        _customer_without_won, question="A customer from before the CRM? Confirm, or set the lifecycle back.",
        example="A contact's lifecycle is Customer since an import, but his only deal was lost and no CRM knows another.",
        exact="A lifecycle of customer or beyond; of the deals of the person (or his company), or of the company, none is called won by "
        "any system, and at least one is lost.",
    ),
    Rule(
        "S-02", "Won deal, not customer", "S2", "A sale is closed but the lifecycle is still before customer.",
        _won_not_customer, fix="set the lifecycle to customer", fix_field="lifecycle", policy="never_regress",
        example="Ironwood's deal was won on Monday; on Wednesday the lifecycle of its contact still is Opportunity.",
        exact="A linked deal is won and was not touched within the quiet period; the lifecycle is before customer.",
    ),
    Rule(
        "S-03", "Lifecycle behind pipeline", "S2", "There is an open deal but the lifecycle is still before opportunity.",
        _behind_pipeline, fix="set the lifecycle to opportunity", fix_field="lifecycle", policy="never_regress",
        example="A contact has an open deal in Proposing, and his lifecycle still is MQL.",
        exact="A linked deal is open and none is won; the lifecycle is before opportunity.",
    ),
    Rule(
        "S-05", "Deal stage differs between mirrors", "S2", "The same open deal stands in different stages.",
        _stage_differs, fix="take the stage that `policies.stage` of funnel.yaml decides for", question="Which stage is right?",
        fix_field="stage", policy=OF_THE_FUNNEL,
        example="HubSpot has the deal in Qualifying, Salesforce has its mirror in Negotiating since yesterday.",
        exact="Both mirrors are open, and their stages mean different pipeline stages, for longer than the quiet period (for a day where "
        "one went back).",
    ),
    Rule(
        "S-06", "Outcome conflict", "S1", "One system says won, lost or closed, the other does not.",
        _outcome_conflict, fix="close the open mirror, where `policies.stage` of funnel.yaml decides for the closed one",
        question="Which outcome is right?", fix_field="stage", policy=OF_THE_FUNNEL,
        example="HubSpot says closed won, and in Salesforce the same deal is closed lost.",
        exact="One mirror is won and the other lost; or one has been closed for `quiet_backward_hours` and the other is open.",
    ),
    Rule(
        "S-07", "Stage regression", "S3", "A deal went back to an earlier stage and stayed there.",
        _regression, question="Is the earlier stage right? Going back more than twice is worth a talk.", flag="went back",
        example="A deal went from Negotiating back to Qualifying three days ago and is still there.",
        exact="A deal went to an earlier stage of its pipeline and stayed there for `quiet_backward_hours`; opening a closed one again, "
        "or taking a step back within a day, is none.",
    ),
    Rule(
        "S-09", "Skipped stages", "S4", "A stage was entered without the one before it; its reach is implied.",
        _skipped,
        example="A deal went from Qualifying straight to Negotiating and was never in Proposing.",
        exact="A deal entered a stage without ever having been in the one before it, or in a later one.",
    ),
    Rule(
        "S-11", "Lead converted, contact still before SQL", "S2", "Sales converted the lead; the other system does not know.",
        _converted_not_sql, fix="set the lifecycle to SQL or as far as the deals ask", fix_field="lifecycle", policy="never_regress",
        example="Salesforce converted the lead into a contact and an opportunity; in HubSpot the same person still is an MQL.",
        exact="A lead is converted, and the contact's lifecycle in another system is before SQL.",
    ),
)  # fmt: skip
