"""What is true of every entity: its stage from disagreeing systems, its values by policy, its milestones.

Expressions over current records and members; each result is computed once and kept by the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa

from core import milestones, relations
from core.compiled import Compiled, over
from core.compiled import as_of as moment
from core.model import KINDS
from core.tables import MOMENT, days_between, first_by, further, oldest, ranked
from core.thresholds import excluded_patterns, policy, threshold
from core.touches import touch_owners, touches

_MEMBER = ["entity_id", "kind", "account", "resource", "vendor_id", "live"]
_STRICTEST = ("unsubscribed", "cleaned", "pending", "archived", "transactional", "subscribed")


def facts(
    tables: Mapping[str, ibis.Table], members: pa.Table, funnel: Any, as_of: datetime, compiled: Compiled | None = None
) -> dict[str, ibis.Table]:
    """Facts by name: person, company, deal (one row per entity with a live record) and milestone.

    Beside them the ground they stand on, for rules and metrics: members, people, companies, deals (live records with
    entity_id), deal_person, person_company, deal_company (entity pairs), changes (histories by entity), touches (of persons;
    a view, as they are many) and stages (the probability of deals' stages). `compiled` keeps the queries. campaigns, experiments,
    tallies, tasks and all_touches (whoever they are of) are records as they are.
    """
    c = compiled or over(tables, funnel)
    t = {kind: c.tables[f"record.{kind}"] for kind in KINDS}
    given = c.give("given.members", members.select(_MEMBER))

    def keep(name: str, build: Callable[[], ibis.Table]) -> ibis.Table:
        return c.keep(f"fact.{name}", build, as_of)

    m = keep("members", lambda: given)
    people = keep("people", lambda: relations.people(t, m))
    companies = keep("companies", lambda: relations.companies(t, m))
    changes = keep("changes", lambda: relations.changes(t, m))
    deals = keep("deals", lambda: relations.with_entry(relations.deals(t, m, funnel), changes))
    deal_person = keep("deal_person", lambda: relations.deal_person(t, m, deals, people))
    person_company = keep("person_company", lambda: relations.person_company(t, m, people, companies))
    deal_company = keep("deal_company", lambda: relations.deal_company(t, m, deals, companies))
    owners = keep("touch_owners", lambda: touch_owners(t, m, people))  # dear to find out; whole touches would not fit the engine's memory
    touched = c.view("fact.touches", lambda: touches(t, owners))
    stages = c.view("fact.stages", lambda: relations.stage_chances(t))
    of_deals = keep("of_deals", lambda: milestones.deal_milestones(deals, changes, moment()))
    of_people = keep("of_people", lambda: milestones.person_milestones(people, touched, changes, of_deals, deal_person, moment()))
    deal = keep("deal", lambda: _deal_facts(deals, deal_company, deal_person, funnel))
    person = keep("person", lambda: _person_facts(people, of_people, deal, deal_person, person_company, funnel))
    company = keep("company", lambda: _company_facts(companies, person, deal, person_company, deal_company, funnel))
    milestone = keep("milestone", lambda: _milestones(of_people, of_deals))
    c.let_go("fact.of_people", "fact.of_deals")
    return {
        "person": person, "company": company, "deal": deal, "milestone": milestone,
        "members": m, "people": people, "companies": companies, "deals": deals, "deal_person": deal_person,
        "person_company": person_company, "deal_company": deal_company, "changes": changes, "touches": touched,
        "stages": stages,
        "campaigns": t["campaign"], "experiments": t["experiment"], "tallies": t["tally"], "tasks": t["task"], "all_touches": t["touch"],
    }  # fmt: skip


def _milestones(of_people: ibis.Table, of_deals: ibis.Table) -> ibis.Table:
    return ibis.union(of_people.mutate(kind=ibis.literal("person")), of_deals.mutate(kind=ibis.literal("deal")))


def _rank(t: ibis.Table, funnel: Any, field: str) -> ibis.Value:
    return ranked(t, policy(funnel, field)[1])


def _deal_facts(deals: ibis.Table, deal_company: ibis.Table, deal_person: ibis.Table, funnel: Any) -> ibis.Table:
    t = deals.mutate(staged=deals.stage.notnull())
    stage, amount = _rank(t, funnel, "stage"), _rank(t, funnel, "amount")
    has_stage = t.staged | (t.result != "open")
    leader = {n: ibis.coalesce(t[c].argmin(stage, where=has_stage), t[c].argmin(stage)) for n, c in _LEADER.items()}
    money = t.amount.notnull()
    row = t.group_by("entity_id").agg(
        **leader,
        stage=first_by(ibis.ifelse(has_stage, t.stage.fill_null(""), ibis.null("string")), stage).nullif(""),
        pipeline_stage=first_by(ibis.ifelse(has_stage, t.pipeline_stage.fill_null(""), ibis.null("string")), stage).nullif(""),
        stage_entered_at=first_by(ibis.ifelse(has_stage, t.stage_entered_at, ibis.null(MOMENT)), stage),
        amount=first_by(t.amount, amount),
        currency=t.currency.fill_null("").argmin(amount, where=money).nullif(""),
        close_date=first_by(t.close_date, _rank(t, funnel, "close_date")),
        owner_email=first_by(t.owner_email, _rank(t, funnel, "owner")),
        probability=first_by(t.probability, stage),
        source=first_by(t.source, oldest(t)),
        lost_reason=first_by(t.lost_reason, _rank(t, funnel, "lost_reason")),
        name=first_by(t.name, stage),
        created_at=t.created_at.min(),
        last_activity_at=t.last_activity_at.max(),
        unmapped=(t.raw_stage.notnull() & ~t.staged).any(),
        systems=t.account.nunique(),
    )
    row = row.left_join(deal_company.select(entity_id="deal", company_entity="company"), "entity_id").drop("entity_id_right")
    persons = deal_person.group_by(entity_id="deal").agg(person_entities=deal_person.person.collect(), persons=deal_person.count())
    row = row.left_join(persons, "entity_id").drop("entity_id_right").mutate(persons=lambda x: x.persons.fill_null(0))
    age = ibis.ifelse(row.outcome == "open", days_between(row.stage_entered_at, moment()), ibis.null("float64"))
    return row.mutate(days_in_stage=age.floor().cast("int64"), age_days=age, stage_date=row.stage_entered_at.cast("date"))


_LEADER = {
    "outcome": "result", "source_account": "account", "source_resource": "resource", "source_id": "vendor_id",
    "raw_stage": "raw_stage", "pipeline_id": "pipeline_id",
}  # fmt: skip


def _person_facts(
    people: ibis.Table, reached: ibis.Table, deal: ibis.Table, deal_person: ibis.Table, person_company: ibis.Table, funnel: Any
) -> ibis.Table:
    t, general = people, _rank(people, funnel, "person")
    strictness = ibis.cases(*[(t.consent == c, i) for i, c in enumerate(_STRICTEST)], else_=len(_STRICTEST))
    row = t.group_by("entity_id").agg(
        lifecycle=further(t.stage).max(),
        off_ladder=(t.stage == "MX").any(),
        consent=t.consent.argmin(strictness, where=t.consent.notnull()),
        marketable=(t.marketable.fill_null(True) & (t.consent.fill_null("") != "unsubscribed")).all(),
        source=first_by(t.source, oldest(t)),
        email=first_by(t.email, general),
        name=first_by(ibis.coalesce(t.first_name.concat(" ", t.last_name), t.last_name, t.first_name), general),
        company_name=first_by(t.company_name, general),
        owner_email=first_by(t.owner_email, _rank(t, funnel, "owner")),
        created_at=t.created_at.min(),
        last_activity_at=t.last_activity_at.max(),
        client_id=t.client_id.max(),
        user_id=t.user_id.max(),
        score=t.score.max(),
        unmapped=(t.raw_stage.notnull() & t.stage.isnull() & ~t.raw_stage.identical_to(t.consent)).any(),
        records=t.count(),
        excluded=excluded(t.email, funnel).any(),
        systems=t.account.nunique(),
    )
    row = _with_deals(row.mutate(band=_band(row.score, funnel)), deal, deal_person.select(entity_id="person", deal="deal"))
    companies = person_company.group_by(entity_id="person").agg(company_entity=person_company.company.min())
    row = row.left_join(companies, "entity_id").drop("entity_id_right")
    return _staged(row, reached)


def _band(score: ibis.Value, funnel: Any) -> ibis.Value:
    """A to D by the funnel's `score_bands`; of who has no score, none."""
    limits = sorted((float(limit) for limit in threshold(funnel, "score_bands")), reverse=True)
    names = "ABCDEFGH"[: len(limits) + 1]
    steps = [(score >= limit, name) for limit, name in zip(limits, names, strict=False)]
    return ibis.ifelse(score.notnull(), ibis.cases(*steps, else_=names[-1]) if steps else "A", ibis.null("string"))


def excluded(email: ibis.Value, funnel: Any) -> ibis.Value:
    """Is it a colleague's or a test's address?"""
    patterns = excluded_patterns(funnel)
    return email.lower().strip().re_search("|".join(patterns)).fill_null(False) if patterns else ibis.literal(False) & email.isnull()


def _with_deals(row: ibis.Table, deal: ibis.Table, pairs: ibis.Table) -> ibis.Table:
    """Counts of the entity's deals and the level they give it (open and won ones only)."""
    d = pairs.inner_join(deal.select("outcome", "amount", deal="entity_id", deal_stage="stage"), "deal")
    counts = d.group_by("entity_id").agg(
        open_deals=(d.outcome == "open").sum(),
        won_deals=(d.outcome == "won").sum(),
        lost_deals=(d.outcome == "lost").sum(),
        deal_level=ibis.ifelse(
            d.outcome == "won", "M80", ibis.ifelse(d.outcome == "open", ibis.coalesce(further(d.deal_stage), "M50"), None)
        )
        .cast("string")
        .max(),
    )
    row = row.left_join(counts, "entity_id").drop("entity_id_right")
    return row.mutate(**{n: row[n].fill_null(0) for n in ("open_deals", "won_deals", "lost_deals")})


def _staged(row: ibis.Table, reached: ibis.Table) -> ibis.Table:
    """stage = the furthest of own evidence and open or won deals; MX only where nothing else is known."""
    level = ibis.greatest(row.lifecycle.fill_null(""), row.deal_level.fill_null("")).nullif("")
    row = row.mutate(stage=ibis.coalesce(level, ibis.ifelse(row.off_ladder, "MX", None).cast("string")))
    explicit = reached.filter(~reached.implied)
    furthest = explicit.group_by("entity_id").agg(furthest_stage=further(explicit.code).max())
    row = row.left_join(furthest, "entity_id").drop("entity_id_right")
    at = explicit.select("entity_id", stage="code", stage_at="reached_at")
    row = row.left_join(at, ["entity_id", "stage"]).drop("entity_id_right", "stage_right")
    return row.mutate(stage_date=row.stage_at.cast("date"))


def _company_facts(
    companies: ibis.Table, person: ibis.Table, deal: ibis.Table, person_company: ibis.Table, deal_company: ibis.Table, funnel: Any
) -> ibis.Table:
    t, general = companies, _rank(companies, funnel, "company")
    row = t.group_by("entity_id").agg(
        lifecycle=further(t.stage).max(),
        name=first_by(t.name, general),
        domain=first_by(t.domain, general),
        industry=first_by(t.industry, general),
        country=first_by(t.country, general),
        employees=first_by(t.employees, general),
        created_at=t.created_at.min(),
        systems=t.account.nunique(),
    )
    row = _with_deals(row, deal, deal_company.select(entity_id="company", deal="deal"))
    p = person_company.inner_join(person.select("stage", "stage_at", person="entity_id"), "person")
    p = p.mutate(rung=further(p.stage))
    best = p.group_by(entity_id="company").agg(persons=p.count(), person_level=p.rung.max())
    top = p.inner_join(best.select(company="entity_id", rung="person_level"), ["company", "rung"])
    dated = top.group_by(entity_id="company").agg(stage_at=top.stage_at.min())  # the first of those who got furthest: no ties
    for part in (best, dated):
        row = row.left_join(part, "entity_id").drop("entity_id_right")
    row = row.mutate(persons=row.persons.fill_null(0))
    level = ibis.greatest(row.lifecycle.fill_null(""), row.deal_level.fill_null(""), row.person_level.fill_null("")).nullif("")
    return row.mutate(stage=level, furthest_stage=level, stage_date=row.stage_at.cast("date"))
