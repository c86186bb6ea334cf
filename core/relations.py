"""Records with their entity, who belongs to what, and histories by entity: the shared ground of facts and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis

from core.tables import MOMENT, ranked, records, refs
from core.thresholds import policy


def live_records(tables: Mapping[str, ibis.Table], members: ibis.Table, kind: str) -> ibis.Table:
    """Records that count, with entity_id."""
    mine = members.filter(members.kind == kind, members.live).select("entity_id", "account", "resource", "vendor_id")
    return records(tables, kind).inner_join(mine, ["account", "resource", "vendor_id"])


def owner_emails(tables: Mapping[str, ibis.Table]) -> ibis.Table:
    """(account, owner_id, owner_email): how users are compared between systems."""
    owner = records(tables, "owner")
    owner = owner.filter(~owner.deleted.fill_null(False), owner.email.notnull())
    return owner.group_by("account", owner_id=owner.vendor_id).agg(owner_email=owner.email.lower().strip().max())


def people(tables: Mapping[str, ibis.Table], members: ibis.Table) -> ibis.Table:
    return (
        live_records(tables, members, "person")
        .left_join(owner_emails(tables), ["account", "owner_id"])
        .drop("account_right", "owner_id_right")
    )


def deals(tables: Mapping[str, ibis.Table], members: ibis.Table, funnel: Any) -> ibis.Table:
    """Live deal records; `result` is open, won or lost, the vendor's own flags before the mapping; `rank` is the order of belief.

    Closed in a stage nobody mapped, and no word whether won: `result` is "closed", which is in no number.
    """
    t = live_records(tables, members, "deal")
    t = t.left_join(owner_emails(tables), ["account", "owner_id"]).drop("account_right", "owner_id_right")
    result = ibis.cases(
        (t.closed & t.won, "won"),
        (t.closed & ~t.won, "lost"),
        (t.outcome.notnull(), t.outcome),
        (t.stage == "M80", "won"),
        (t.stage == "M85", "lost"),
        (t.closed.fill_null(False), "closed"),
        else_="open",
    )
    return t.mutate(result=result, rank=ranked(t, policy(funnel, "stage")[1]))


def with_entry(deals: ibis.Table, changes: ibis.Table) -> ibis.Table:
    """Deal records with stage_entered_at filled from their history where the vendor gives no date of its own."""
    h = changes.filter(changes.kind == "deal", changes.field == "stage")
    last = h.group_by("account", "resource", "vendor_id").agg(last_at=h.at.max(), last_value=h.value.argmax(h.seq))
    t = deals.left_join(last, ["account", "resource", "vendor_id"]).drop("account_right", "resource_right", "vendor_id_right")
    seen = ibis.ifelse(t.last_value == t.raw_stage, t.last_at, ibis.null(MOMENT))
    return t.mutate(stage_entered_at=ibis.coalesce(t.stage_entered_at, seen)).drop("last_at", "last_value")


def companies(tables: Mapping[str, ibis.Table], members: ibis.Table) -> ibis.Table:
    return live_records(tables, members, "company")


def _named(rows: ibis.Table, known: ibis.Table, id_column: str, name: str, into: str) -> ibis.Table:
    """rows with the entity that `id_column` names (inner join)."""
    known = known.filter(known.name == name).select("account", **{id_column: "vendor_id", into: "entity_id"})
    return rows.filter(rows[id_column].notnull()).inner_join(known, ["account", id_column])


def associated(tables: Mapping[str, ibis.Table], left: ibis.Table, right: ibis.Table) -> ibis.Table:
    """(account, l, r): entity pairs of live associations, written in either direction. left, right: what ids name (core.tables.refs)."""
    edge = records(tables, "association")
    edge = edge.filter(~edge.deleted.fill_null(False)).select("account", "from_kind", "from_id", "to_kind", "to_id")
    turned = edge.select("account", from_kind="to_kind", from_id="to_id", to_kind="from_kind", to_id="from_id")
    both = ibis.union(edge, turned)
    l_end = left.select("account", from_kind="name", from_id="vendor_id", l="entity_id")
    r_end = right.select("account", to_kind="name", to_id="vendor_id", r="entity_id")
    joined = both.inner_join(l_end, ["account", "from_kind", "from_id"]).inner_join(r_end, ["account", "to_kind", "to_id"])
    return joined.select("account", "l", "r")


def deal_person(tables: Mapping[str, ibis.Table], members: ibis.Table, deal: ibis.Table, person: ibis.Table) -> ibis.Table:
    """(deal, person): roles, associations, the deal's own contact, the lead a deal came from."""
    deal_ref, person_ref = refs(tables, members, "deal"), refs(tables, members, "person")
    own = _named(deal.select("account", "entity_id", "person_id"), person_ref, "person_id", "person", "person")
    lead = _named(person.select("account", "entity_id", "converted_deal_id"), deal_ref, "converted_deal_id", "deal", "deal")
    linked = associated(tables, deal_ref, person_ref)
    parts = [
        own.select(deal="entity_id", person="person"),
        lead.select(deal="deal", person="entity_id"),
        linked.select(deal="l", person="r"),
    ]
    return _alive(ibis.union(*parts).distinct(), deal=deal, person=person)


def person_company(tables: Mapping[str, ibis.Table], members: ibis.Table, person: ibis.Table, company: ibis.Table) -> ibis.Table:
    """(person, company)."""
    company_ref, person_ref = refs(tables, members, "company"), refs(tables, members, "person")
    own = _named(person.select("account", "entity_id", "company_id"), company_ref, "company_id", "company", "company")
    lead = _named(person.select("account", "entity_id", "converted_company_id"), company_ref, "converted_company_id", "company", "company")
    linked = associated(tables, person_ref, company_ref)
    parts = [own.select(person="entity_id", company="company"), lead.select(person="entity_id", company="company")]
    return _alive(ibis.union(*parts, linked.select(person="l", company="r")).distinct(), person=person, company=company)


def deal_company(tables: Mapping[str, ibis.Table], members: ibis.Table, deal: ibis.Table, company: ibis.Table) -> ibis.Table:
    """(deal, company): one company per deal, of the best-believed record that names one; ties by entity id."""
    company_ref, deal_ref = refs(tables, members, "company"), refs(tables, members, "deal")
    own = _named(deal.select("account", "entity_id", "company_id", "rank"), company_ref, "company_id", "company", "company")
    linked = associated(tables, deal_ref, company_ref).select(deal="l", company="r", rank=ibis.literal("99"))
    both = ibis.union(own.select(deal="entity_id", company="company", rank="rank"), linked)
    both = _alive(both, deal=deal, company=company)
    return both.group_by("deal").agg(company=both.company.argmin(both["rank"].concat(both.company)))


def _alive(pairs: ibis.Table, **entities: ibis.Table) -> ibis.Table:
    for column, table in entities.items():
        known = table.select(**{column: "entity_id"}).distinct()
        pairs = pairs.semi_join(known, column)
    return pairs


def changes(tables: Mapping[str, ibis.Table], members: ibis.Table) -> ibis.Table:
    """The histories of live records by entity, oldest first per record and field, equal neighbours folded into the first.

    Columns: entity_id, kind, account, resource (of the record), vendor_id, field, value, code, pipeline, at, writer, seq.
    """
    t = records(tables, "stage_change")
    t = t.filter(~t.deleted.fill_null(False), t.entered_at.notnull(), t.record_id.notnull())
    t = t.filter(t.field != "probability")  # it follows the stage: a second history of the same moves
    live = members.filter(members.live)
    rank = live.group_by("kind", "account", "vendor_id").agg(
        entity_id=live.entity_id.argmin(live.resource), record_resource=live.resource.min()
    )
    t = t.select(
        "account", "field", "value", "writer", kind="record_kind", vendor_id="record_id", code="stage", pipeline="pipeline_id",
        at="entered_at", key="vendor_id",
    )  # fmt: skip
    t = t.inner_join(rank, ["kind", "account", "vendor_id"])
    group = ["account", "kind", "vendor_id", "field"]
    before = t.value.lag().over(group_by=group, order_by=[t.at, t.key])
    first = ibis.row_number().over(group_by=group, order_by=[t.at, t.key]) == 0
    t = t.mutate(changed=first | ~t.value.identical_to(before))
    t = t.filter(t.changed)
    t = t.mutate(seq=ibis.row_number().over(group_by=group, order_by=[t.at, t.key]))
    return t.select(
        "entity_id", "kind", "account", "vendor_id", "field", "value", "code", "pipeline", "at", "writer", "seq", resource="record_resource"
    )


def stage_chances(tables: Mapping[str, ibis.Table]) -> ibis.Table:
    """(account, value, chance): the probability the vendor gives deals by stage; where pipelines share a name, the lowest."""
    d = records(tables, "stage_definition")
    d = d.filter(~d.deleted.fill_null(False), d.record_kind == "deal", d.raw_stage.notnull(), d.probability.notnull())
    return d.group_by("account", value=d.raw_stage).agg(chance=d.probability.min())
