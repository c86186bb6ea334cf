"""Numbers of deals that cannot be right: another currency, a probability of its own, an amount out of all proportion."""

from __future__ import annotations

import ibis

from core.rules.mirrors import mirrors, money, pair_sides, settled
from core.rules.rule import Context, Rule, side

_RECORD = ["account", "resource", "vendor_id"]
_JUST_OVER = 1e-9  # 0.75 - 0.60 is a little more than 0.15


def _currency_mismatch(ctx: Context) -> ibis.Table:
    p = mirrors(ctx, "amount", "currency")
    p = settled(p.filter(p.a_currency.upper() != p.b_currency.upper()), ctx.quiet)
    return pair_sides(p, "currency", "currency")


def _probability_off(ctx: Context) -> ibis.Table:
    t = ctx.facts["deals"].filter(lambda d: (d.result == "open") & d.probability.notnull() & d.raw_stage.notnull())
    t = t.mutate(line=t.pipeline_id.fill_null("")).filter(t.updated_at <= ctx.quiet)
    d = ctx.records("stage_definition")
    d = d.filter(~d.deleted.fill_null(False), d.record_kind == "deal", d.probability.notnull(), d.raw_stage.notnull())
    usual = d.group_by("account", "raw_stage", line=d.pipeline_id.fill_null("")).agg(usual=d.probability.max())
    t = t.inner_join(usual, ["account", "raw_stage", "line"])
    t = t.filter((t.probability - t.usual).abs() > float(ctx.limit("probability_points")) + _JUST_OVER)
    t = t.inner_join(_by_stage(ctx), _RECORD)
    percent = (t.probability * 100).round().cast("int64").cast("string")
    note = ibis.literal("the stage's default is ").concat((t.usual * 100).round().cast("int64").cast("string"), " %")
    return side(t, "deal", "probability", value=percent.concat(" %"), at=ibis.coalesce(t.stage_entered_at, t.updated_at), note=note)


def _by_stage(ctx: Context) -> ibis.Table:
    """Deal records whose probability was last set by entering a stage. Without a history nobody knows, so there is no row."""
    h = ctx.records("stage_change")
    h = h.filter(~h.deleted.fill_null(False), h.record_kind == "deal", h.entered_at.notnull(), h.field.isin(["stage", "probability"]))
    each = {"group_by": ["account", "record_id", "field"], "order_by": ["entered_at", "vendor_id"]}
    h = h.mutate(before=h.value.lag().over(**each))
    moved = h.filter(~h.value.identical_to(h.before))
    last = moved.group_by("account", vendor_id="record_id").agg(
        staged=moved.entered_at.max(where=moved.field == "stage"), set_at=moved.entered_at.max(where=moved.field == "probability")
    )
    known = last.filter(last.set_at <= last.staged).select("account", "vendor_id")
    return ctx.facts["deals"].select(*_RECORD).semi_join(known, ["account", "vendor_id"])


def _amount_outlier(ctx: Context) -> ibis.Table:
    t = ctx.facts["deals"].filter(lambda d: d.amount > 0)
    t = t.mutate(
        line=t.pipeline_id.fill_null(""), coin=t.currency.fill_null(""), size=t.amount.cast("float64"),
        digits=ibis.ifelse(t.amount == t.amount.floor(), t.amount.cast("int64").cast("string"), ""),
    )  # fmt: skip
    t = t.left_join(_usual_amounts(ctx, t), ["account", "line", "coin"], rname="u_{name}")
    t = t.mutate(times=t.size / t.usual)
    t = t.left_join(_phones(ctx, t), _RECORD, rname="p_{name}").mutate(phone=lambda x: x.phone.fill_null(False))
    long = t.digits.length() >= int(ctx.limit("outlier_digits"))
    link = t.links.filter(lambda one: one.re_extract(r"([^:]*)$", 1) == t.digits).length() > 0
    own = (t.digits == t.vendor_id) | (t.digits == t.company_id).fill_null(False) | (t.digits == t.person_id).fill_null(False) | link
    large = (t.times > float(ctx.limit("outlier_factor"))).fill_null(False)
    t = t.mutate(is_id=long & own, large=large).filter(lambda x: x.large | x.is_id | x.phone)
    note = ibis.cases(
        (t.phone, "the digits of a phone number of its contact"),
        (t.is_id, "the digits of a record's id"),
        else_=t.times.floor().cast("int64").cast("string").concat(" times the median of won deals"),
    )
    return side(t, "deal", "amount", value=ibis.ifelse(t.phone, "(hidden)", money(t.amount)), at=t.updated_at, note=note)


def _usual_amounts(ctx: Context, deals: ibis.Table) -> ibis.Table:
    """(account, line, coin, usual): the median of the pipeline's won deals; where they are too few, of all in the currency."""
    enough = int(ctx.limit("outlier_min_won"))
    won = deals.filter(deals.result == "won")
    one = won.group_by("account", "line", "coin").agg(own=won.size.median(), n=won.entity_id.nunique())
    every = won.group_by("coin").agg(all_own=won.size.median(), all_n=won.entity_id.nunique())
    place = deals.select("account", "line", "coin").distinct()
    t = place.left_join(one, ["account", "line", "coin"], rname="o_{name}").left_join(every, "coin", rname="e_{name}")
    wide = ibis.ifelse(t.all_n >= enough, t.all_own, ibis.null("float64"))
    return t.select("account", "line", "coin", usual=ibis.ifelse((t.n >= enough).fill_null(False), t.own, wide))


def _phones(ctx: Context, deals: ibis.Table) -> ibis.Table:
    """Deal records whose amount is the end of a phone number of one of their persons."""
    long = deals.filter(deals.digits.length() >= int(ctx.limit("outlier_digits"))).select(*_RECORD, "entity_id", "digits")
    people = ctx.facts["people"].filter(lambda p: p.phone.notnull())
    numbers = people.select(person="entity_id", number=people.phone.re_replace(r"[^0-9]", "")).distinct()
    t = long.inner_join(ctx.facts["deal_person"].select("person", entity_id="deal"), "entity_id").inner_join(numbers, "person")
    return t.filter(t.number.endswith(t.digits)).select(*_RECORD).distinct().mutate(phone=ibis.literal(True))


def _items_differ(ctx: Context) -> ibis.Table:
    """Paid once only: what the amount of a deal says of payments that recur is a setting of the vendor's."""
    items = _items(ctx)
    total = items.group_by("account", vendor_id="deal_id").agg(
        total=items.amount.sum(), n=items.count(), recurs=items.billing_period.notnull().any(), blank=items.amount.isnull().any(),
        coins=items.currency.nunique(), coin=items.currency.max(),
    )  # fmt: skip
    t = ctx.facts["deals"].filter(lambda d: d.amount.notnull() & (d.updated_at <= ctx.quiet)).inner_join(total, ["account", "vendor_id"])
    t = t.filter(~t.recurs, ~t.blank, t.coins <= 1, (t.coin == t.currency).fill_null(True))
    larger = ibis.greatest(t.total.abs(), t.amount.abs()).cast("float64")
    t = t.filter((t.total - t.amount).abs().cast("float64") > larger * float(ctx.limit("line_items_share")))
    note = t.n.cast("string").concat(" line items add up to ", money(t.total))
    return side(t, "deal", "amount", part="line items", value=money(t.amount), at=t.updated_at, note=note)


def _items(ctx: Context) -> ibis.Table:
    """Live line items with the id of their deal, which they name or an association does, written in either direction."""
    item = ctx.records("line_item").filter(lambda t: ~t.deleted.fill_null(False))
    what = ["amount", "currency", "billing_period"]
    own = item.filter(item.deal_id.notnull()).select("account", "vendor_id", "deal_id", *what)
    edge = ctx.records("association").filter(lambda t: ~t.deleted.fill_null(False))
    one = edge.select("account", deal_kind="from_kind", deal_id="from_id", item_kind="to_kind", vendor_id="to_id")
    other = edge.select("account", deal_kind="to_kind", deal_id="to_id", item_kind="from_kind", vendor_id="from_id")
    t = item.filter(item.deal_id.isnull()).select("account", "vendor_id", *what, item_resource="resource")
    t = t.inner_join(ibis.union(one, other), ["account", "vendor_id"])
    t = t.filter((t.item_kind == t.item_resource) | (t.item_kind == "line_item"))
    t = t.inner_join(ctx.facts["deals"].select("account", deal_id="vendor_id", deal_resource="resource"), ["account", "deal_id"])
    t = t.filter((t.deal_kind == t.deal_resource) | (t.deal_kind == "deal"))
    return ibis.union(own, t.select("account", "vendor_id", "deal_id", *what)).distinct()


RULES = (
    Rule(
        "D-04", "Currency mismatch", "S1", "One sale in two currencies: one of the two totals is wrong by the exchange rate.",
        _currency_mismatch, question="In which currency was this deal offered?",
        example="HubSpot has the deal at 18,000 USD, Salesforce at 18,000 EUR: the currency was never mapped.",
        exact="Two systems name different ISO currencies for the same deal, and neither was changed within the quiet period.",
    ),
    Rule(
        "D-10", "Probability off its stage", "S4",
        "The weighted forecast counts this deal otherwise than its stage says, and nobody decided that.", _probability_off,
        example="A deal entered Negotiating, whose default is 90 %, and still has the 40 % of the stage before it.",
        exact="An open deal whose probability differs from the default of its stage by more than `probability_points`, although it was "
        "last set by entering the stage. One that somebody set afterwards is his decision; without a history of it nothing is said.",
    ),
    Rule(
        "D-16", "Amount outlier", "S2", "One typing mistake of this size decides every average and the whole forecast.", _amount_outlier,
        question="Is this amount right? Until this is settled or accepted, sums have it and averages leave it out.", flag="outlier",
        example="Won deals have a median of 15,000 EUR; this one says 5,550,142, which are the last digits of the buyer's telephone "
        "number.",
        exact="A deal's amount is more than `outlier_factor` times the median of the won deals of its pipeline and currency (of the "
        "currency alone where fewer than `outlier_min_won` were won), or it is, with `outlier_digits` digits or more, the id of the deal, "
        "of its company or contact, or the end of a phone number of one of its contacts.",
    ),
    Rule(
        "D-17", "Line items and amount differ", "S3", "What is offered and what is forecast are two sums.", _items_differ,
        question="Which is right, the amount or the line items?",
        example="The line items add up to 17,400 EUR, the deal says 18,000 EUR.",
        exact="The line items of a deal, all paid once and in its currency, add up to another amount than the deal's, by more than "
        "`line_items_share`.",
    ),
)  # fmt: skip
