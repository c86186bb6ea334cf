"""The world as HubSpot would show it: every property a string or null, history newest first, links to Salesforce."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.world_deals import NATIVE, REP, SYNC
from connectors.sandbox.world_model import Company, Deal, Draft, Extra, Person, job_title
from connectors.sandbox.world_names import CITY, DAY, HOUR, INDUSTRY, PRODUCT, SOURCE, iso, iso_date, money, owners
from connectors.sandbox.world_people import LIFECYCLE_RUNG
from connectors.sandbox.world_web import web_ids

PROBABILITY = {
    "appointmentscheduled": "0.2", "qualifiedtobuy": "0.4", "presentationscheduled": "0.6", "decisionmakerboughtin": "0.8",
    "contractsent": "0.9", "closedwon": "1.0", "closedlost": "0.0",
}  # fmt: skip
LABELS = {
    "appointmentscheduled": "Appointment Scheduled",
    "qualifiedtobuy": "Qualified To Buy",
    "presentationscheduled": "Presentation Scheduled",
    "decisionmakerboughtin": "Decision Maker Bought-In",
    "contractsent": "Contract Sent",
    "closedwon": "Closed Won",
    "closedlost": "Closed Lost",
}
# Somebody renamed a stage, as happens: ids are the key, labels are not. And somebody wrote another in capitals.
RENAMED = {"presentationscheduled": "Proposal Sent", "contractsent": "CONTRACT SENT"}
LEAD_STAGES = (
    ("new-stage-id", "New"), ("attempting-stage-id", "Attempting"), ("connected-stage-id", "Connected"),
    ("qualified-stage-id", "Qualified"), ("unqualified-stage-id", "Unqualified"),
)  # fmt: skip
# Stages of the life cycle that somebody added: value, label, and whether it was hidden again.
TRIAL, FORMER = ("48203371", "Trial", False), ("48203399", "Former partner", True)
PARTNER_PIPELINE, PARTNER_STAGE = "7712001", "7712101"


def seed(draft: Draft) -> dict[str, Any]:
    """The HubSpot emulator's seed."""
    people = [p for p in draft.people if p.in_hubspot]
    deals = [d for d in draft.deals if d.in_hubspot]
    merged: dict[str, list[Extra]] = {}
    extras = [e for e in draft.extras if e.vendor == "hubspot"]
    for extra in extras:
        if "merged_into" in extra.marks:
            merged.setdefault(extra.marks["merged_into"], []).append(extra)
    contacts = [contact(p, draft.now, merged.get(p.hs_id, [])) for p in people]
    return {
        "owners": [_owner(o) for o in owners()],
        "pipelines": {"deals": _deal_pipelines(draft), "leads": [_lead_pipeline()]},
        "properties": _properties(),
        "lifecycle": [{"value": v, "label": label, "hidden": gone} for v, label, gone in (TRIAL, FORMER) if v in draft.odd],
        "objects": {
            "contacts": contacts + [_extra(e, draft.now) for e in extras],
            "companies": [_company(c, draft.now) for c in draft.companies if c.in_hubspot],
            "deals": [_deal(d, draft.now) for d in deals],
            "leads": [_lead(p, draft.now) for p in people if p.hs_lead_stage],
            "line_items": [_line_item(d, i, cents) for d in deals for i, cents in enumerate(d.line_items())],
        },
        "associations": _associations(people, deals),
        "events": _events(draft, people),
    }


def flag(value: bool) -> str:
    return "true" if value else "false"


def contact(p: Person, now: int, merged: list[Extra] | None = None) -> dict[str, Any]:
    """One contact of the seed."""
    refused = (p.opted_out_at or p.created + 3 * DAY) if p.opted_out else 0
    last = max([p.created, refused, *(t for _, t in p.lifecycle)])
    updated = max(last, min(now - 2 * DAY, last + (p.number % 40) * DAY))
    city, country = CITY[p.number % len(CITY)]
    others = [e.values["email"] for e in merged or []] + ([p.alt_email] if p.alt_email else [])
    status = "BAD_TIMING" if p.over and not p.forgotten else p.lead_status
    optimizely, vwo = web_ids(p.client_id) if p.client_id else (None, None)
    properties = {
        "email": p.email,
        "firstname": p.first,
        "lastname": p.last,
        "phone": p.phone or f"+31 20 {5_000_000 + p.number}",
        "company": p.company.name if p.company else None,
        "jobtitle": job_title(p),
        "city": city,
        "country": country,
        "website": f"https://www.{p.company.domain}" if p.company else None,
        "industry": INDUSTRY[p.company.number % len(INDUSTRY)] if p.company else None,
        "lifecyclestage": p.lifecycle[-1][0] if p.lifecycle and not p.blank else None,
        "hs_lead_status": status,
        "hubspot_owner_id": owners()[p.owner].hubspot,
        "hs_analytics_source": SOURCE[p.source][0],
        "hs_email_optout": flag(p.opted_out),
        "hs_marketable_status": flag(not p.opted_out if p.marketing_contact is None else p.marketing_contact),
        "hs_email_bounce": "1" if p.bounced else None,
        "hs_email_hard_bounce_reason_enum": "UNKNOWN_USER" if p.bounced else None,
        "hs_additional_emails": ";".join(others) or None,
        "hs_merged_object_ids": ";".join(e.id for e in merged or []) or None,
        "associatedcompanyid": p.company.hs_id if p.company and p.at_company else None,
        "salesforcecontactid": p.stored_contact or (p.contact_id if p.sf in ("contact", "converted") else None),
        "salesforceleadid": p.lead_id if p.sf in ("lead", "converted") else None,
        "sync_to_salesforce": flag(bool(p.sf)),
        "ga_client_id": p.client_id,
        "optimizely_visitor_id": optimizely,
        "vwo_uuid": vwo,
        "hubspotscore": str(5 + 17 * len(p.lifecycle) + p.number % 9),
        "notes_last_updated": iso(updated) if p.deals else None,
        "createdate": iso(p.created),
        "lastmodifieddate": iso(updated),
        "hs_object_id": p.hs_id,
    }
    steps = [] if p.blank else p.lifecycle
    history = {"lifecyclestage": _history([(v, t, "WORKFLOWS" if v != "customer" else SYNC) for v, t in steps])}
    if refused:
        history["hs_email_optout"] = _history([("true", refused, "BATCH_UPDATE")])
    if status:
        history["hs_lead_status"] = _history([(status, p.lifecycle[-1][1] if p.lifecycle else p.created, REP)])
    return _object(p.hs_id, properties, p.created, updated, history)


def _object(key: str, properties: dict[str, Any], created: int, updated: int, history: dict[str, Any]) -> dict[str, Any]:
    row = {"id": key, "properties": properties, "createdAt": iso(created), "updatedAt": iso(updated), "archived": False}
    return {**row, "history": history} if history else row


def _history(steps: list[tuple[str, int, str]]) -> list[dict[str, str]]:
    kinds = {SYNC: "INTEGRATION", "WORKFLOWS": "AUTOMATION_PLATFORM"}
    return [{"value": v, "timestamp": iso(t), "sourceType": kinds.get(by, "CRM_UI"), "sourceId": by} for v, t, by in reversed(steps)]


def _extra(extra: Extra, now: int) -> dict[str, Any]:
    row = contact(extra.person, now)
    created = extra.person.created + DAY
    more = {"hs_object_id": extra.id, "createdate": iso(created), "hs_additional_emails": None, **extra.values}
    return {**row, "id": extra.id, "properties": {**row["properties"], **more}, "createdAt": iso(created), **extra.marks}


def _company(c: Company, now: int) -> dict[str, Any]:
    city, country = CITY[c.number % len(CITY)]
    changed = max([c.created, *(d.path_hs[-1][1] for d in c.deals)])
    updated = max(changed, min(now - 2 * DAY, changed + 9 * DAY))
    properties = {
        "name": c.name,
        "domain": c.domain,
        "website": f"https://www.{c.domain}",
        "industry": INDUSTRY[c.number % len(INDUSTRY)],
        "city": city,
        "country": country,
        "numberofemployees": str(40 + c.number * 37 % 900),
        "annualrevenue": str(2_000_000 + c.number * 710_000 % 90_000_000),
        "lifecyclestage": c.lifecycle or _reached(c),
        "hs_lead_status": "BAD_TIMING" if c.deals and not c.going else None,
        "hubspot_owner_id": owners()[c.owner].hubspot,
        "hs_parent_company_id": c.parent.hs_id if c.parent else None,
        "salesforceaccountid": c.sf_id if c.in_salesforce else None,
        "createdate": iso(c.created),
        "hs_lastmodifieddate": iso(updated),
        "hs_object_id": c.hs_id,
    }
    return _object(c.hs_id, properties, c.created, updated, {})


def _reached(c: Company) -> str:
    """What the deals say; without deals the furthest of its contacts, a lead at least."""
    outcomes = {d.outcome for d in c.deals}
    if outcomes:
        return "customer" if "won" in outcomes else "opportunity"
    order = list(LIFECYCLE_RUNG)
    known = [order.index(p.lifecycle[-1][0]) for p in c.people if p.in_hubspot and p.lifecycle and not p.blank]
    return order[max([order.index("lead"), *known])]


def stage_history(d: Deal) -> list[dict[str, str]]:
    """HubSpot's history of the deal's stage; a few writers take turns if the deal was planted so."""
    writers = d.writers or (REP,)
    return _history([(stage, t, writers[i % len(writers)]) for i, (stage, t) in enumerate(d.path_hs)])


def _deal(d: Deal, now: int) -> dict[str, Any]:
    stage, entered = d.path_hs[-1]
    updated = max([entered, d.touched(now), *(t for _, t, _ in d.amounts)])
    upcoming = d.planned(now)[0]
    closed = stage in ("closedwon", "closedlost")
    properties = {
        "dealname": d.name,
        "amount": money(d.cents),
        "deal_currency_code": d.currency,
        "closedate": None if d.undated else iso(d.close_hs),
        "pipeline": d.pipeline,
        "dealstage": stage,
        "hs_deal_stage_probability": PROBABILITY.get(stage, "0.1"),
        "hs_is_closed": flag(closed),
        "hs_is_closed_won": flag(stage == "closedwon"),
        "hubspot_owner_id": owners()[d.owner].hubspot,
        "dealtype": d.kind,
        "hs_manual_forecast_category": "CLOSED" if closed else "PIPELINE",
        "hs_next_step": None if closed else "Call about the offer",
        "closed_lost_reason": d.reasons[0] if stage == "closedlost" else None,
        "hs_analytics_source": SOURCE[d.source][0],
        "notes_last_updated": iso(d.touched(now)),
        "notes_next_activity_date": iso(upcoming) if upcoming else None,
        "contract_end_date": iso_date(d.ends) if d.ends else None,
        "hs_v2_date_entered_current_stage": iso(entered),
        "salesforceopportunityid": d.sf_id if d.in_salesforce else None,
        "sync_to_salesforce": flag(d.synced),
        "createdate": iso(d.created),
        "hs_lastmodifieddate": iso(updated),
        "hs_object_id": d.hs_id,
    }
    amounts = d.amounts or [(d.cents, d.created, REP)]
    dates = d.pushes or [(t, at) for t, at in ((d.first_close, d.created), (d.close_hs, d.path_hs[-1][1])) if t]
    closes = [] if d.undated else [(iso(t), at, REP) for t, at in dates]
    history = {
        "dealstage": stage_history(d),
        "amount": _history([(money(c) or "", t, REP if by == NATIVE else by) for c, t, by in amounts if c is not None]),
        "closedate": _history(closes),
    }
    return _object(d.hs_id, properties, d.created, updated, history)


def _item_id(d: Deal, i: int) -> str:
    return str(6_000_000_001 + 10 * d.number + i)


def _line_item(d: Deal, i: int, cents: int) -> dict[str, Any]:
    properties = {
        "name": PRODUCT[(d.number + i) % len(PRODUCT)],
        "quantity": "1",
        "price": money(cents),
        "amount": money(cents),
        "hs_line_item_currency_code": d.currency,
        "recurringbillingfrequency": "monthly" if d.monthly else None,
        "createdate": iso(d.created),
        "hs_lastmodifieddate": iso(d.created),
        "hs_object_id": _item_id(d, i),
    }
    return _object(_item_id(d, i), properties, d.created, d.created, {})


def _lead(p: Person, now: int) -> dict[str, Any]:
    created = p.created + HOUR
    updated = max(created, min(now - 2 * DAY, p.lifecycle[-1][1]))
    properties = {
        "hs_lead_name": f"{p.first} {p.last}",
        "hs_lead_label": "WARM",
        "hs_pipeline": "lead-pipeline-id",
        "hs_pipeline_stage": p.hs_lead_stage,
        "hs_primary_contact_id": p.hs_id,
        "hs_associated_contact_email": p.email,
        "hubspot_owner_id": owners()[p.owner].hubspot,
        "createdate": iso(created),
        "hs_lastmodifieddate": iso(updated),
        "hs_object_id": p.hs_lead_id,
    }
    return _object(p.hs_lead_id, properties, created, updated, {})


def _associations(people: list[Person], deals: list[Deal]) -> list[dict[str, Any]]:
    edges: list[dict[str, Any]] = []

    def edge(kind: str, key: str, to_kind: str, to_key: str, *types: int) -> None:
        for type_id in types:
            edges.append(
                {"from_type": kind, "from_id": key, "to_type": to_kind, "to_id": to_key, "type_id": type_id, "category": "HUBSPOT_DEFINED"}
            )

    for p in people:
        if p.company and p.at_company:
            edge("contacts", p.hs_id, "companies", p.company.hs_id, 1, 279)
        if p.hs_lead_stage:
            edge("leads", p.hs_lead_id, "contacts", p.hs_id, 578)
    for d in deals:
        if d.with_company:
            edge("deals", d.hs_id, "companies", d.company.hs_id, 5, 341)
        for p in d.people if d.with_people else ():
            edge("deals", d.hs_id, "contacts", p.hs_id, 3)
        for i in range(len(d.line_items())):
            edge("deals", d.hs_id, "line_items", _item_id(d, i), 19)
    return edges


def _events(draft: Draft, people: list[Person]) -> list[dict[str, Any]]:
    """Web conversion events: what the site's analytics told HubSpot, a lead's coming and a deal's winning."""
    rows: list[tuple[Person, str, int, dict[str, str]]] = []
    for p in people:
        if p.client_id and not p.untagged and (asked := next((t for stage, t in p.lifecycle if stage == "lead"), 0)):
            rows.append((p, "pe1_generate_lead", asked, {"lead_source": SOURCE[p.source][0], "value": "0", "currency": "EUR"}))
    for d in draft.deals:
        if d.event and d.people:
            values = {"deal_id": d.hs_id, "value": money(d.cents) or "0", "currency": "EUR"}
            rows.append((d.people[0], "pe1_close_convert_lead", d.path_hs[-1][1] + HOUR, values))
    rows += [(s.person, f"pe1_{s.name}", s.at, s.values) for s in draft.signals]
    return [
        {
            "id": f"ev-{i + 1:08d}",
            "objectType": "CONTACT",
            "objectId": p.hs_id,
            "eventType": kind,
            "occurredAt": iso(t),
            "properties": values,
        }
        for i, (p, kind, t, values) in enumerate(rows)
    ]


def _owner(o: Any) -> dict[str, Any]:
    return {"id": o.hubspot, "email": o.email, "firstName": o.first, "lastName": o.last, "userId": o.hubspot_user, "archived": not o.active}


def _deal_pipelines(draft: Draft) -> list[dict[str, Any]]:
    labels = LABELS | (RENAMED if "G-02" in draft.odd else {})
    stages = [
        {"id": key, "label": labels[key], "displayOrder": i, "metadata": {"probability": p, "isClosed": flag(key.startswith("closed"))}}
        for i, (key, p) in enumerate(PROBABILITY.items())
    ]
    found = [{"id": "default", "label": "Sales Pipeline", "displayOrder": 0, "stages": stages}]
    if any(d.pipeline == PARTNER_PIPELINE for d in draft.deals):
        referred = {"id": PARTNER_STAGE, "label": "Referred", "displayOrder": 0, "metadata": {"probability": "0.1", "isClosed": "false"}}
        found.append({"id": PARTNER_PIPELINE, "label": "Partner referrals", "displayOrder": 1, "stages": [referred]})
    return found


def _lead_pipeline() -> dict[str, Any]:
    stages = [
        {"id": key, "label": label, "displayOrder": i, "metadata": {"isClosed": "false"}} for i, (key, label) in enumerate(LEAD_STAGES)
    ]
    return {"id": "lead-pipeline-id", "label": "Lead pipeline", "displayOrder": 0, "stages": stages}


def _properties() -> dict[str, Any]:
    def text(name: str, label: str, unique: bool = False) -> dict[str, Any]:
        shape = {"name": name, "label": label, "type": "string", "fieldType": "text", "options": []}
        return {**shape, "hasUniqueValue": unique, "calculated": False}

    def yes_no(name: str, label: str) -> dict[str, Any]:
        options = [{"value": "true", "label": "Yes"}, {"value": "false", "label": "No"}]
        return {**text(name, label), "type": "bool", "fieldType": "booleancheckbox", "options": options}

    return {
        "contacts": [
            text("salesforcecontactid", "Salesforce Contact ID"),
            text("salesforceleadid", "Salesforce Lead ID"),
            yes_no("sync_to_salesforce", "Sync to Salesforce"),
            text("ga_client_id", "Analytics client id"),
            text("optimizely_visitor_id", "Optimizely visitor id"),
            text("vwo_uuid", "VWO visitor id"),
        ],
        "companies": [text("salesforceaccountid", "Salesforce Account ID")],
        "deals": [
            text("salesforceopportunityid", "Salesforce Opportunity ID"),
            yes_no("sync_to_salesforce", "Sync to Salesforce"),
            {**text("contract_end_date", "Contract end"), "type": "date", "fieldType": "date"},
        ],
        "leads": [],
    }
