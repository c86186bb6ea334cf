"""What conversion events say that the CRM does not: a lead it never got, the same sale twice, another value."""

from __future__ import annotations

import ibis

from core.evidence import comparable_link, email_key
from core.rules.rule import Context, Rule, side, sides

_TOUCH = ("account", "resource", "vendor_id")


# -- E-02 -------------------------------------------------------------------------------------------------------------
def _without_record(ctx: Context) -> ibis.Table:
    """Leads' events that name somebody no system has. Whom a deleted or a shared record names has arrived all the same."""
    events = _lead_events(ctx)
    named = events.filter(events.person_id.notnull() | events.email.notnull() | (events.links.length() > 0))
    p = ctx.records("person")
    found = ibis.union(_by_id(named, p), _by_address(named, p), _by_link(named, p)).distinct()
    readable = found.select("account", "resource").distinct()  # where no event ever finds its person, the ids say nothing
    lost = named.anti_join(found, list(_TOUCH)).semi_join(readable, ["account", "resource"])
    lost = lost.filter(lost.occurred_at <= ctx.ago(hours=float(ctx.limit("lead_hours"))))
    key = lost.account.concat(":", lost.resource, ":", lost.vendor_id)
    return side(lost, "touch", "person", entity_id=key, value=lost.event, at=lost.occurred_at)


def _lead_events(ctx: Context) -> ibis.Table:
    t = ctx.records("touch")
    oldest = ctx.ago(days=float(ctx.limit("lead_max_days")))
    t = t.filter(~t.deleted.fill_null(False), t.kind == "conversion", t.occurred_at >= oldest)
    return t.filter(t.event.re_search(f"({'|'.join(ctx.limit('lead_events'))})$"), t.deal_id.isnull())


def _by_id(events: ibis.Table, people: ibis.Table) -> ibis.Table:
    ids = people.select("account", person_id="vendor_id").distinct()
    return events.filter(events.person_id.notnull()).semi_join(ids, ["account", "person_id"]).select(*_TOUCH)


def _by_address(events: ibis.Table, people: ibis.Table) -> ibis.Table:
    addresses = ibis.union(people.select(email="email"), people.select(email="other_emails").unnest("email"))
    known = addresses.select(address=email_key(addresses.email)).distinct()
    t = events.filter(events.email.notnull())
    return t.mutate(address=email_key(t.email)).semi_join(known, "address").select(*_TOUCH)


def _by_link(events: ibis.Table, people: ibis.Table) -> ibis.Table:
    carried = people.filter(people.links.length() > 0).select(link="links").unnest("link")
    own = people.select(link=people.vendor.concat(":", people.resource, ":", people.vendor_id))
    known = ibis.union(carried, own)
    known = known.select(link=comparable_link(known.link)).distinct()
    t = events.filter(events.links.length() > 0).select(*_TOUCH, link="links").unnest("link")
    return t.mutate(link=comparable_link(t.link)).semi_join(known, "link").select(*_TOUCH)


# -- E-03, E-04 -------------------------------------------------------------------------------------------------------
def _conversions(ctx: Context) -> ibis.Table:
    """Conversion events of which the sender says the deal: entity_id is the deal's."""
    t = ctx.records("touch")
    t = t.filter(~t.deleted.fill_null(False), t.kind == "conversion", t.deal_id.notnull(), t.event.notnull(), t.occurred_at.notnull())
    t = t.select(*_TOUCH, "deal_id", "event", "occurred_at", "value", "currency")
    d = ctx.facts["deals"].select("entity_id", deal_id="vendor_id").distinct()
    return t.inner_join(d, "deal_id")


def _with_deals(ctx: Context, events: ibis.Table, named: ibis.Table) -> ibis.Table:
    """Sides of events, and beside them the deals' records they name, with their amounts. named: entity_id, field, part, deal_id."""
    d = ctx.facts["deals"].select("entity_id", *_TOUCH, "amount", "currency", at="stage_entered_at")
    deals = d.mutate(deal_id=d.vendor_id).inner_join(named.distinct(), ["entity_id", "deal_id"])
    return sides(events, side(deals, "deal", deals.field, part=deals.part, value=_money(deals.amount).concat(" ", deals.currency)))


def _twice(ctx: Context) -> ibis.Table:
    """Every further event is a side of the finding, the first one too; what two systems show once each is no double."""
    t = _conversions(ctx)
    same = ["entity_id", "account", "resource", "event"]
    t = t.mutate(n=t.count().over(ibis.window(group_by=same)))
    t = t.filter(t.n > 1)
    note = t.n.cast("string").concat(" times ", t.event)
    t = t.mutate(field=ibis.literal("conversion"), part=t.account.concat(":", t.event))
    events = side(t, "deal", t.field, part=t.part, value=t.occurred_at.strftime("%Y-%m-%d %H:%M"), at=t.occurred_at, note=note)
    return _with_deals(ctx, events, t.select("entity_id", "field", "part", "deal_id"))


def _other_value(ctx: Context) -> ibis.Table:
    """The event's value against every mirror's amount in its currency; whom one of them proves right is right."""
    names = "|".join(ctx.limit("conversion_events"))
    t = _conversions(ctx)
    t = t.filter(t.event.re_search(f"({names})$"), t.value.notnull(), t.currency.notnull())
    d = ctx.facts["deals"]
    d = d.filter(d.result == "won", d.amount.notnull(), d.amount > 0).select("entity_id", "amount", "currency")
    pairs = t.inner_join(d, ["entity_id", "currency"])
    off = (pairs.value - pairs.amount).abs() > pairs.amount * float(ctx.limit("event_value_share"))
    t = pairs.group_by("entity_id", *_TOUCH, "deal_id", "occurred_at", "value", "currency").agg(
        wrong=off.all(), least=pairs.amount.min(), most=pairs.amount.max()
    )
    t = t.filter(t.wrong)
    amount = ibis.ifelse(t.least == t.most, _money(t.most), _money(t.least).concat(" to ", _money(t.most)))
    note = ibis.literal("the deal says ").concat(amount, " ", t.currency)
    t = t.mutate(field=ibis.literal("conversion_value"), part=t.vendor_id)
    events = side(t, "deal", t.field, part=t.part, value=_money(t.value).concat(" ", t.currency), at=t.occurred_at, note=note)
    return _with_deals(ctx, events, t.select("entity_id", "field", "part", "deal_id"))


def _money(value: ibis.Value) -> ibis.Value:
    return value.cast("decimal(18, 2)").cast("string")


RULES = (
    Rule(
        "E-02", "Lead without a record", "S2", "Somebody asked for something and no CRM has him: nobody will answer.", _without_record,
        question="Where did the form's lead get lost? Look for it by the time and the visitor's id, and mend the way into the CRM.",
        example="Analytics counted `generate_lead` for a visitor yesterday, and no CRM has anybody with that visitor's id or address.",
        exact="One of `lead_events` of the last `lead_max_days` names a person, an address or a visitor whom no system has after "
        "`lead_hours`, though other events of the same source find their persons.",
    ),
    Rule(
        "E-03", "Conversion event sent twice", "S2", "The sale counts double in analytics and in bidding, for good.", _twice,
        question="Who sends this event besides? Stop one of them and note the day in the analytics.",
        example="The site and the server both sent `close_convert_lead` for deal 4711, so Analytics counts one sale twice.",
        exact="One system has more than one conversion event of the same name that names the same deal.",
    ),
    Rule(
        "E-04", "Conversion value differs from the amount", "S3", "Return on spend is computed from a value the sale never had.",
        _other_value, question="Did the amount change after the event was sent? Note it for whoever reads the numbers.",
        example="The event told 20,000 EUR for a deal that both CRMs have at 18,000 EUR.",
        exact="The value of one of `conversion_events` that names a won deal differs by more than `event_value_share` from the amount that "
        "every system has of it in the event's currency.",
    ),
)  # fmt: skip
