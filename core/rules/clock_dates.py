"""Dates that cannot be: in the future, in an order nobody can walk, or stamped on many records at once."""

from __future__ import annotations

import ibis

from core.model import LADDER
from core.rules.rule import Context, Rule, side, sides
from core.tables import MOMENT, days_between, stack

_RECORD = ("account", "resource", "vendor_id")
_EXAMPLES = 20  # records named per bulk stamp
# Who subscribes may be a customer already, and who recommends us may buy again later: only these follow each other.
_WAY = tuple(code for code in LADDER if "M20" <= code <= "M80")
_OF_DEALS = "M50"  # from here on a person's dates are those of the deals, which are looked at themselves
_FUTURE = {**dict.fromkeys(("entity_kind", "entity_id", *_RECORD, "field"), "string"), "at": MOMENT, "observed_at": MOMENT}


# -- T-02 -------------------------------------------------------------------------------------------------------------
def _future(ctx: Context) -> ibis.Table:
    """Dates of what happened that lie after the moment we were told of it. What is planned (tasks, close dates) may."""
    limit = ibis.interval(minutes=int(ctx.limit("future_minutes")))
    dated = [*_of_records(ctx), _of_changes(ctx), _of_touches(ctx)]
    t = stack([one.filter(one.at > one.observed_at + limit) for one in dated], _FUTURE)
    t = t.group_by("entity_kind", "entity_id", *_RECORD, "field").agg(at=t.at.max(), observed_at=t.observed_at.argmax(t.at))
    note = ibis.literal("seen at ").concat(t.observed_at.strftime("%Y-%m-%d %H:%M"))
    return side(t, "", t.field, entity_kind=t.entity_kind, value=t.at.strftime("%Y-%m-%dT%H:%M:%SZ"), note=note)


def _of_records(ctx: Context) -> list[ibis.Table]:
    parts = []
    for kind, name in (("person", "people"), ("company", "companies"), ("deal", "deals")):
        t = ctx.facts[name]
        for column in ("created_at", "updated_at"):
            parts.append(
                t.select("entity_id", *_RECORD, "observed_at", at=column, entity_kind=ibis.literal(kind), field=ibis.literal(column))
            )
    return parts


def _of_changes(ctx: Context) -> ibis.Table:
    t = ctx.records("stage_change")
    t = t.filter(~t.deleted.fill_null(False), t.record_id.notnull())
    t = t.select("account", "observed_at", "field", vendor_id="record_id", entity_kind="record_kind", at="entered_at")
    m = ctx.facts["members"].filter(lambda x: x.live).select("entity_id", *_RECORD, entity_kind="kind")
    return t.inner_join(m, ["account", "vendor_id", "entity_kind"])


def _of_touches(ctx: Context) -> ibis.Table:
    """One finding per person: a wrong clock stamps everything it stamps."""
    t = ctx.facts["touches"]
    t = t.filter(t.occurred_at > t.observed_at)
    seen = t.select("entity_id", "account", "observed_at", at="occurred_at", touch="resource")
    # The finding is about the person: named by his records in the system whose clock it is, where there are any.
    p = ctx.facts["people"].select("entity_id", *_RECORD)
    named = seen.inner_join(p, ["entity_id", "account"])
    other = seen.anti_join(p, ["entity_id", "account"]).inner_join(p.rename(home="account"), "entity_id").mutate(account=lambda x: x.home)
    both = ibis.union(*(one.select("entity_id", *_RECORD, "observed_at", "at") for one in (named, other)))
    return both.mutate(entity_kind=ibis.literal("person"), field=ibis.literal("occurred_at"))


# -- T-03 -------------------------------------------------------------------------------------------------------------
def _out_of_order(ctx: Context) -> ibis.Table:
    m = ctx.facts["milestone"]
    m = m.filter(~m.implied, m.reached_at.notnull(), m.code.isin(_WAY), (m.kind == "person") | (m.code >= _OF_DEALS))
    before = ibis.window(group_by=["kind", "entity_id"], order_by="code", rows=(None, -1))
    own = (m.kind == "deal") | (m.code < _OF_DEALS)
    m = m.mutate(own=own, latest=ibis.ifelse(own, m.reached_at, ibis.null(MOMENT)))
    m = m.mutate(latest=m.latest.max().over(before))
    slack = float(ctx.limit("milestone_days"))
    early = m.filter(days_between(m.reached_at, m.latest) > slack)
    late = m.filter(m.own).select("kind", "entity_id", later="reached_at", earlier_code="code")
    pairs = early.select("kind", "entity_id", "code", "reached_at").inner_join(late, ["kind", "entity_id"])
    pairs = pairs.filter(pairs.earlier_code < pairs.code, days_between(pairs.reached_at, pairs.later) > slack)
    said = pairs.code.concat(
        " on ", pairs.reached_at.strftime("%Y-%m-%d"), ", ", pairs.earlier_code, " not before ", pairs.later.strftime("%Y-%m-%d")
    )
    pairs = pairs.mutate(said=said)
    worst = pairs.group_by("kind", "entity_id").agg(value=pairs.said.argmin(pairs.code.concat(pairs.earlier_code)), at=pairs.later.max())
    parts = []
    for kind, name in (("person", "people"), ("deal", "deals")):
        parts.append(side(worst.filter(worst.kind == kind).inner_join(_records(ctx, name), "entity_id"), kind, "milestones"))
    return sides(*parts)


def _records(ctx: Context, name: str) -> ibis.Table:
    """The live records of every entity: any of them may have given the date."""
    return ctx.facts[name].select("entity_id", *_RECORD)


# -- T-04 -------------------------------------------------------------------------------------------------------------
def _bulk_stamp(ctx: Context) -> ibis.Table:
    """One finding per stage of an account and minute, with some of the records."""
    t = ctx.facts["changes"]
    t = t.filter(t.field.isin(["stage", "lifecycle", "status"]), t.value.notnull())
    t = t.mutate(minute=t.at.truncate("m"))
    stage = ["account", "resource", "kind", "field", "value"]
    t = t.distinct(on=[*stage, "vendor_id", "minute"])
    in_minute = ibis.window(group_by=[*stage, "minute"])
    t = t.mutate(
        n=t.count().over(in_minute),
        total=t.count().over(ibis.window(group_by=stage)),
        place=ibis.row_number().over(ibis.window(group_by=[*stage, "minute"], order_by="vendor_id")),
    )
    t = t.filter(t.n >= int(ctx.limit("bulk_stamp_records")), t.n > t.total * float(ctx.limit("bulk_stamp_share")), t.place < _EXAMPLES)
    entity = t.account.concat(":", t.kind, ":", t.field, "/", t.value)
    note = t.n.cast("string").concat(" of ", t.total.cast("string"), " entered it in this minute")
    return side(
        t, "stage", t.field, entity_id=entity, part=t.minute.strftime("%Y-%m-%dT%H:%MZ"), value=t.value, at=t.minute.cast(MOMENT), note=note
    )


RULES = (
    Rule(
        "T-02", "Date in the future", "S3", "What has not happened yet cannot have happened: ages, orders and 'most recent' go wrong.",
        _future, question="Whose clock or import wrote this date? Correct it there; until then it counts for nothing.",
        example="A contact that was pulled on 30 June says it was created on 2 July: a wrong time zone or clock wrote it.",
        exact="A record, a stage or a touch is dated more than `future_minutes` after the moment it was pulled.",
    ),
    Rule(
        "T-03", "Milestones in an impossible order", "S3", "A later rung was reached before an earlier one: the time between is wrong.",
        _out_of_order, question="Which of the dates is wrong? Until this is settled or accepted, cohorts and velocity leave the "
        "record out.",
        flag="dates out of order",
        example="A person became an SQL on 1 March and an MQL on 20 April.",
        exact="Of two rungs between M20 and M80, both dated, the later one was reached more than `milestone_days` before the earlier one; "
        "from M50 on the deal is named, not its persons.",
    ),
    Rule(
        "T-04", "Bulk stamp", "S2", "These dates say when an import or a mass update ran, not when anything happened.", _bulk_stamp,
        question="Was this an import? Until this is settled or accepted, cohorts and velocity leave these dates out.",
        example="400 of a stage's 500 entries lie within the same minute: an import stamped them, nobody moved there.",
        exact="More than `bulk_stamp_share` of all entries into a stage of an account, and at least `bulk_stamp_records`, lie within one "
        "minute.",
    ),
)  # fmt: skip
