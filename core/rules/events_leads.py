"""What web analytics and CRM say of leads: tests among them, where they came from, and how many there were."""

from __future__ import annotations

import ibis
import orjson

from core.rules.rule import Context, Rule, side, sides
from core.tables import MOMENT

_RECORD = ("account", "resource", "vendor_id")
_ZONES = 14  # hours a day may begin earlier or later somewhere
_EXAMPLES = 20  # leads named per week


def _not_real(ctx: Context) -> ibis.Table:
    """Records of colleagues and tests that stand at lead or further in some system."""
    p = ctx.facts["person"]
    p = p.filter(p.excluded, p.stage.notnull(), p.stage >= "M20", p.stage != "MX").select("entity_id")
    t = ctx.facts["people"]
    t = t.filter(t.stage.notnull(), t.stage >= "M20", t.stage != "MX").semi_join(p, "entity_id")
    return side(t, "person", "stage", value=ibis.coalesce(t.raw_stage, t.stage), at=t.created_at)


# -- E-05 -------------------------------------------------------------------------------------------------------------
def _other_source(ctx: Context) -> ibis.Table:
    """Sources of the CRMs as groups: a word in no group says nothing, and two words of one group say the same."""
    t = ctx.facts["people"]
    t = t.filter(t.vendor.isin(list(ctx.limit("crm_vendors"))), t.source.notnull())
    words = [(word, group) for group, names in ctx.limit("source_groups").items() for word in names]
    said = t.source.strip().lower()
    t = t.mutate(group=ibis.cases(*[(said == word.lower(), group) for word, group in words], else_=ibis.null("string")))
    t = t.filter(t.group.notnull())
    by = t.group_by("entity_id").agg(groups=t.group.nunique(), accounts=t.account.nunique())
    t = t.semi_join(by.filter(by.groups > 1, by.accounts > 1), "entity_id")
    return side(t, "person", "source", value=t.source, at=t.created_at, note=t.account.concat(": ", t.group))


# -- E-07 -------------------------------------------------------------------------------------------------------------
def _counted_otherwise(ctx: Context) -> ibis.Table:
    """Whole weeks of analytics against the persons who became leads in them and whom web analytics knows.

    Analytics counts days of its own zone: who came within `_ZONES` of a week's edge may count for either side of it.
    """
    seen, came = _analytics(ctx), _came(ctx)
    counts = came.group_by("week").agg(sure=came.sure.sum(), leads=came.inside.sum(), most=came.count())
    both = seen.left_join(counts, "week").drop("week_right")
    both = both.mutate(**{name: both[name].fill_null(0) for name in ("sure", "leads", "most")})
    off = ibis.greatest(both.sure - both.events, both.events - both.most, 0)
    larger = ibis.greatest(both.events, both.leads)
    tracked = came.agg(tracked=came.count())
    both = both.mutate(off=off, larger=larger).cross_join(tracked)  # one row: without web ids in the CRM there is nothing to compare
    hit = both.filter(
        both.tracked > 0, both.larger >= int(ctx.limit("lead_count_min")), both.off > both.larger * float(ctx.limit("lead_count_share"))
    )
    hit = hit.mutate(entity_id=ibis.literal("leads:").concat(hit.week.strftime("%Y-%m-%d")), start=hit.week.cast(MOMENT))
    note = hit.events.cast("int64").cast("string").concat(" in analytics, ", hit.leads.cast("int64").cast("string"), " in the CRM")
    counted = side(hit, "week", "leads", value=hit.events.cast("int64").cast("string"), at=hit.start, note=note)
    return sides(counted, _without_event(ctx, hit.select("entity_id", "week"), came))


def _analytics(ctx: Context) -> ibis.Table:
    """(account, resource, vendor_id of a tally, week, events) of the weeks that were read whole and are over for two days."""
    wanted = [orjson.dumps({"eventName": name}).decode() for name in ctx.limit("lead_events")]
    t = ctx.records("tally")
    t = t.filter(~t.deleted.fill_null(False), t.measure == "eventCount", t.day.notnull(), t.dimensions.startswith('{"eventName":'))
    t = t.mutate(week=t.day.truncate("W"), wanted=t.dimensions.isin(wanted))
    t = t.filter(t.week >= ctx.ago(days=float(ctx.limit("lead_count_days"))).date(), t.week <= ctx.ago(days=9).date())
    place = t.wanted.cast("string").concat(t.vendor_id)
    weeks = t.group_by("account", "resource", "week").agg(
        vendor_id=t.vendor_id.argmax(place), events=t.value.sum(where=t.wanted), days=t.day.nunique()
    )
    return weeks.filter(weeks.days == 7).mutate(events=weeks.events.fill_null(0.0))


def _came(ctx: Context) -> ibis.Table:
    """(entity_id, week, inside, sure): once per week the lead may have been counted in, by whatever zone."""
    p = ctx.facts["person"]
    p = p.filter(~p.excluded, p.client_id.notnull() | p.user_id.notnull())
    m = ctx.facts["milestone"]
    m = m.filter(m.kind == "person", m.code == "M20", ~m.implied, m.reached_at.notnull()).select("entity_id", "reached_at")
    m = m.semi_join(p, "entity_id")
    shift = ibis.interval(hours=_ZONES)
    m = m.mutate(
        own=m.reached_at.date().truncate("W"),
        early=(m.reached_at - shift).date().truncate("W"),
        late=(m.reached_at + shift).date().truncate("W"),
    )
    parts = [m.select("entity_id", "own", "early", "late", week=name) for name in ("own", "early", "late")]
    t = ibis.union(*parts).distinct()
    return t.select("entity_id", "week", inside=t.week == t.own, sure=(t.early == t.late))


def _without_event(ctx: Context, weeks: ibis.Table, came: ibis.Table) -> ibis.Table:
    """Some of the weeks' leads, those first of whom no system shows the event."""
    t = came.filter(came.inside).inner_join(weeks.rename(about="entity_id"), "week").select("about", "entity_id")
    told = ctx.facts["touches"]
    told = told.filter(told.event.isin(list(ctx.limit("lead_events")))).select("entity_id").distinct().mutate(told=True)
    t = t.left_join(told, "entity_id").drop("entity_id_right")
    p = ctx.facts["people"]
    p = p.filter(p.vendor.isin(list(ctx.limit("crm_vendors")))).select("entity_id", *_RECORD, "created_at")
    t = t.inner_join(p, "entity_id")
    t = t.mutate(place=ibis.row_number().over(ibis.window(group_by="about", order_by=[t.told.notnull(), t.account, t.vendor_id])))
    t = t.filter(t.place < _EXAMPLES)
    value = ibis.ifelse(t.told.isnull(), "no event", "told")
    return side(t, "week", "leads", entity_id=t.about, value=value, at=ibis.null(MOMENT))


RULES = (
    Rule(
        "E-05", "Sources disagree", "S3", "One person is credited to different channels, depending on which system is asked.",
        _other_source, question="Which one saw the first visit? Fill in what is blank, but overwrite neither.",
        example="HubSpot says the person came by paid search, Salesforce says by a partner.",
        exact="Records of one person in two accounts of `crm_vendors` name sources that stand in different `source_groups`.",
    ),
    Rule(
        "E-07", "Lead counts differ", "S2", "Either the site's tag misses leads or the CRM loses them.", _counted_otherwise,
        question="Is the tag broken, or the way from the form to the CRM? Compare the leads named with the site's log.",
        example="In week 22 Analytics counted 84 leads, and 52 contacts with a web id were new in the CRM: a form is broken, or a bot "
        "fills it in.",
        exact="In a whole week of the last `lead_count_days`, analytics' count of `lead_events` and the new leads with a web id in the CRM "
        "differ by more than `lead_count_share` of the larger, which is at least `lead_count_min`.",
    ),
    Rule(
        "E-08", "Test or colleague counted as a lead", "S3", "Reports of the system itself count it; ours leave it out.", _not_real,
        question="Is it a test? Take the stage away or delete the record where it lies.",
        example="test@lumen.example, a colleague's address, stands as an SQL in HubSpot and counts in the conversion rate.",
        exact="An address the funnel excludes (own domains, test patterns) stands at lead or further on some record.",
    ),
)  # fmt: skip
