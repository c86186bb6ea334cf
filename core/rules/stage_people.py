"""Lifecycles of persons and companies that their deals, their other systems or each other do not bear out."""

from __future__ import annotations

import ibis

from core.rules.known import told
from core.rules.lifecycles import asked, lifecycles, linked_deals
from core.rules.rule import Context, Rule, one_side, prefixed, record_key, side, sides
from core.tables import MOMENT, stack

_KEY = ["entity_kind", "entity_id"]
_RECORD = ["account", "resource", "vendor_id"]
# How far up a lifecycle each milestone stands: what CRMs call one stage is one step.
STEPS = {"M10": 0, "M20": 1, "M30": 2, "M35": 3, "M40": 3, "M50": 4, "M60": 4, "M70": 4, "M80": 5, "M90": 5, "M95": 6}
WORDS = ("M10", "M20", "M30", "M40", "M50", "M80", "M95")  # milestones a lifecycle has a word for


def _ahead(ctx: Context) -> ibis.Table:
    life = lifecycles(ctx)
    life = life.filter(life.stage == "M50", life.updated_at <= ctx.quiet)
    life = life.filter(~life.lead_status.isin(list(ctx.limit("recycled_statuses"))).fill_null(False))
    d = ctx.facts["deal"].select("outcome", deal="entity_id", lost_at=_closed_at(ctx.facts["deal"]))
    d = linked_deals(ctx, through_company=True).inner_join(d, "deal")
    known = d.group_by(*_KEY).agg(
        going=(d.outcome != "lost").sum(), lost_at=d.lost_at.max(), undated=((d.outcome == "lost") & d.lost_at.isnull()).any()
    )
    t = life.left_join(known, _KEY, rname="d_{name}")
    long_ago = (t.lost_at < ctx.ago(days=float(ctx.limit("recycle_days")))).fill_null(False) & ~t.undated
    t = t.filter(t.going.isnull() | ((t.going == 0) & long_ago))
    fix = ibis.ifelse(t.entity_kind == "person", "recycled", ibis.null("string"))
    note = ibis.ifelse(t.lost_at.isnull(), "no deal at all", ibis.literal("last deal lost on ").concat(t.lost_at.date().cast("string")))
    at = ibis.greatest(t.at, ibis.coalesce(t.lost_at, t.at))
    return side(t, "", "lifecycle", entity_kind=t.entity_kind, part=t.key, value=t.stage, at=at, note=note, fix_value=fix)


def _closed_at(deal: ibis.Table) -> ibis.Value:
    return ibis.ifelse(deal.outcome == "lost", ibis.coalesce(deal.close_date.cast(MOMENT), deal.stage_entered_at), ibis.null(MOMENT))


def _disqualified_but_worked(ctx: Context) -> ibis.Table:
    p = ctx.facts["people"].filter(lambda t: t.updated_at <= ctx.quiet)
    c = ctx.facts["changes"]
    last = c.filter(c.kind == "person", c.code == "MX").group_by("account", "vendor_id").agg(since=c["at"].max(where=c.code == "MX"))
    out = p.filter(p.stage == "MX").left_join(last, ["account", "vendor_id"], rname="c_{name}")
    out = out.mutate(at=ibis.coalesce(out.since, out.updated_at), key=record_key(out))
    out = out.filter(out["at"] >= ctx.ago(days=float(ctx.limit("disqualified_days"))))
    t = prefixed(out.select("entity_id", *_RECORD, "raw_stage", "at", "key"), "a_", "entity_id").inner_join(_worked(ctx, p), "entity_id")
    t = t.filter(t.a_account != t.b_account)
    first = t.mutate(place=ibis.row_number().over(group_by="a_key", order_by=[t.b_rank, t.b_account, t.b_vendor_id]))
    first = first.filter(first.place == 0)
    a = one_side(first, "a_", "person", "stage", part=first.a_key, value=first.a_raw_stage, at=first.a_at)
    b = one_side(first, "b_", "person", "stage", part=first.a_key, value=first.b_value, at=first.b_at)
    return sides(a, b)


def _worked(ctx: Context, people: ibis.Table) -> ibis.Table:
    """Records that say a person is being sold to: an open deal before an SQL or SAL; a converted lead is history."""
    own = people.filter(people.stage.isin(["M35", "M40"]), ~people.converted.fill_null(False))
    own = own.select("entity_id", *_RECORD, value="raw_stage", at="updated_at", rank=ibis.literal(1))
    d = ctx.facts["deals"].filter(lambda t: (t.result == "open") & (t.updated_at <= ctx.quiet))
    going = ctx.facts["deal"].filter(lambda t: t.outcome == "open").select(deal="entity_id")
    pairs = ctx.facts["deal_person"].semi_join(going, "deal").select("person", entity_id="deal")
    of_deals = d.inner_join(pairs, "entity_id")
    constants = {"value": ibis.literal("deal open"), "rank": ibis.literal(0)}
    of_deals = of_deals.select(*_RECORD, entity_id=of_deals.person, at=of_deals.created_at, **constants)
    columns = {**dict.fromkeys(("entity_id", *_RECORD, "value"), "string"), "at": MOMENT, "rank": "int64"}
    return prefixed(stack([own, of_deals], columns), "b_", "entity_id")


def _churned(ctx: Context) -> ibis.Table:
    """Judged by the deal won last: one that ends later or has no end speaks for a customer."""
    d = ctx.facts["deals"].filter(lambda t: t.result == "won")
    won = d.group_by(deal="entity_id").agg(
        won_on=d.close_date.max(), ends=d.end_date.max(), account=d.account.min(), resource=d.resource.argmin(d.account),
        vendor_id=d.vendor_id.argmin(d.account),
    )  # fmt: skip
    t = linked_deals(ctx).inner_join(won, "deal")
    t = t.mutate(newest=t.won_on.max().over(group_by=_KEY), last_end=t.ends.max().over(group_by=_KEY))
    endless = t.filter(t.ends.isnull(), (t.won_on == t.newest) | t.won_on.isnull()).select(*_KEY)
    over = ctx.ago(days=float(ctx.limit("churn_grace_days"))).date()
    t = t.filter(t.last_end < over, t.ends == t.last_end).anti_join(endless, _KEY)
    ended = t.group_by(*_KEY).agg(ends=t.ends.max(), **{f"d_{n}": t[n].argmin(t.deal) for n in _RECORD})
    life = lifecycles(ctx)
    life = life.filter(life.stage >= "M80", life.updated_at <= ctx.quiet)
    life = _in_campaigns(ctx, life).inner_join(ended, _KEY)
    at, kind = life.ends.cast(MOMENT), life.entity_kind
    customer = side(life, "", "lifecycle", entity_kind=kind, part=life.key, value=life.stage, at=life["at"])
    said = ibis.literal("ended ").concat(life.ends.cast("string"))
    return sides(customer, one_side(life, "d_", "", "lifecycle", entity_kind=kind, part=life.key, value=said, at=at))


def _in_campaigns(ctx: Context, life: ibis.Table) -> ibis.Table:
    """Only persons whom a campaign for customers touched, where the funnel names such campaigns; else all."""
    names = ctx.limit("customer_campaigns")
    if not names:
        return life
    patterns = [f"^{_pattern(str(name))}$" for name in names]
    campaign = ctx.records("campaign")
    mine = campaign.filter(campaign.name.lower().re_search("|".join(patterns))).select("account", campaign_id="vendor_id")
    touched = ctx.facts["touches"].semi_join(mine, ["account", "campaign_id"]).select("entity_id").distinct()
    return life.filter(life.entity_kind == "person").semi_join(touched, "entity_id")


def _pattern(name: str) -> str:
    special = {"*": ".*", "?": "."}
    return "".join(special.get(c) or (c if c.isalnum() else f"\\{c}") for c in name.lower())


def _lifecycle_empty(ctx: Context) -> ibis.Table:
    """The fix is the lowest rung there is evidence for, or as far as deals and conversion ask: it never argues with S-02, S-03 or S-11."""
    return sides(_empty_persons(ctx), _empty_companies(ctx))


def _blank(ctx: Context, live: ibis.Table) -> ibis.Table:
    t = live.filter(live.vendor.isin(list(ctx.limit("lifecycle_vendors"))), live.resource.isin(list(ctx.limit("lifecycle_resources"))))
    return told(t, "raw_stage").filter(lambda x: x.raw_stage.isnull() & x.stage.isnull() & (x.updated_at <= ctx.quiet))


def _empty_persons(ctx: Context) -> ibis.Table:
    m = ctx.facts["milestone"]
    m = m.filter(m.kind == "person", ~m.implied, m.code.isin(WORDS))
    lowest = m.group_by("entity_id").agg(lowest=m.code.min())
    p = ctx.facts["people"]
    converted = p.group_by("entity_id").agg(converted=p.converted.fill_null(False).any())
    t = _blank(ctx, p).drop("converted").inner_join(lowest, "entity_id")
    t = t.inner_join(asked(ctx), "entity_id").inner_join(converted, "entity_id")
    goal = ibis.coalesce(t.goal, ibis.ifelse(t.converted, "M40", ibis.null("string")), t.lowest)
    return side(t, "person", "lifecycle", part=record_key(t), value=None, at=t.updated_at, fix_value=goal)


def _empty_companies(ctx: Context) -> ibis.Table:
    c = ctx.facts["company"]
    goal = ibis.cases((c.won_deals > 0, "M80"), (c.open_deals > 0, "M50")).cast("string")
    t = _blank(ctx, ctx.facts["companies"]).inner_join(c.select("entity_id", goal=goal).filter(lambda x: x.goal.notnull()), "entity_id")
    return side(t, "company", "lifecycle", part=record_key(t), value=None, at=t.updated_at, fix_value=t.goal)


def _disagree(ctx: Context) -> ibis.Table:
    """One finding per company record, beside the contact it is compared with: the one that can be raised, else the furthest."""
    life = lifecycles(ctx)
    life = life.filter(life.stage.isin(list(STEPS)))
    life = life.mutate(step=life.stage.cases(*STEPS.items(), else_=None).cast("int64"))
    company = prefixed(life.filter(life.entity_kind == "company"), "c_").rename(company="c_entity_id", account="c_account")
    person = life.filter(life.entity_kind == "person").inner_join(asked(ctx), "entity_id")
    person = prefixed(person, "p_").rename(person="p_entity_id", account="p_account")
    t = company.inner_join(ctx.facts["person_company"], "company").inner_join(person, ["person", "account"])
    t = t.mutate(furthest=t.p_step.max().over(group_by="c_key"), stirred=(ibis.greatest(t.c_updated_at, t.p_updated_at) > ctx.quiet))
    t = t.mutate(stirred=t.stirred.any().over(group_by="c_key"), ahead=t.c_step - t.furthest)
    t = t.filter(t.ahead.abs() >= int(ctx.limit("lifecycle_rungs")), ~t.stirred)
    ready = (t.ahead > 0) & (t.p_goal == t.c_stage).fill_null(False)
    t = t.mutate(ready=ready)
    order = [ibis.desc(t.ready), ibis.desc(t.p_step), t.p_key]
    t = t.mutate(place=ibis.row_number().over(group_by="c_key", order_by=order)).filter(lambda x: x.place == 0)
    fix = ibis.ifelse(t.ready, t.c_stage, ibis.null("string"))
    common = {"entity_id": t.company, "account": t.account, "part": t.c_key}
    a = side(t, "company", "lifecycle", resource=t.c_resource, vendor_id=t.c_vendor_id, value=t.c_stage, at=t.c_at, **common)
    b = side(
        t, "company", "lifecycle", resource=t.p_resource, vendor_id=t.p_vendor_id, value=t.p_stage, at=t.p_at, fix_value=fix,
        fix_before=ibis.ifelse(t.ready, t.p_raw_stage, ibis.null("string")), **common,
    )  # fmt: skip
    return sides(a, b)


RULES = (
    Rule(
        "S-04", "Lifecycle ahead of pipeline", "S3", "The CRM calls someone an opportunity whom nobody is selling to any more.", _ahead,
        fix="set the lead status to recycled; the lifecycle stays", question="Set the lifecycle back, or is a new deal coming?",
        fix_field="lead_status", policy="source_of_truth",
        example="A contact's lifecycle is Opportunity; his only deal was lost half a year ago and nobody took him up again.",
        exact="A lifecycle of opportunity, no open or won deal (of the person or his company), and either no deal at all or the last one "
        "lost more than `recycle_days` ago; unless the lead status is one of `recycled_statuses`.",
    ),
    Rule(
        "S-12", "Disqualified here, worked there", "S2", "One team has given up on someone another team is selling to.",
        _disqualified_but_worked, question="Is this person disqualified, or being sold to?",
        example="Salesforce disqualified the lead ten days ago, and in HubSpot a rep still works the person as an SQL.",
        exact="A person was disqualified in one system within the last `disqualified_days`, and another system has him as SAL or SQL or "
        "has an open deal with him. A converted lead is history and does not count.",
    ),
    Rule(
        "S-13", "Churned but customer", "S2", "Who no longer buys is still counted and written to as a customer.", _churned,
        question="Has this customer left, or is the renewal not recorded?", flag="churned",
        example="Ironwood's contract ended in March and no other deal was won since; the lifecycle still says Customer.",
        exact="A lifecycle of customer or beyond, and what was sold ended more than `churn_grace_days` ago: no won deal ends later, and "
        "none that was won last is without an end. Where `customer_campaigns` names campaigns, only persons touched by one count.",
    ),
    Rule(
        "S-14", "Lifecycle empty", "S3", "Without a lifecycle nobody sees this record in any funnel report.", _lifecycle_empty,
        fix="set the lowest stage there is evidence for, or what deals and conversion ask", fix_field="lifecycle", policy="never_regress",
        example="A contact without any lifecycle in HubSpot is an SQL in Salesforce.",
        exact="A record without a lifecycle, in an account that keeps them, of an entity that reached a milestone elsewhere.",
    ),
    Rule(
        "S-15", "Company and contacts disagree", "S3", "Reports by company and by person show two different funnels.", _disagree,
        fix="raise the contact whose own deal gave the company its stage",
        question="Which is right, the company's lifecycle or its contacts'?", fix_field="lifecycle", policy="never_regress",
        example="HubSpot has the company as a Lead, and one of its contacts as a Customer.",
        exact="In one account, a company's lifecycle and the furthest of its contacts' lie `lifecycle_rungs` rungs or more apart.",
    ),
)  # fmt: skip
