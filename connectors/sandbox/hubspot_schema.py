"""What a fresh HubSpot portal contains before anybody adds a record: properties, pipelines, limits, association types.

Plain data and small pure functions over it. Written from the public documentation (read 2026-11-23):
https://developers.hubspot.com/docs/guides/api/crm/properties and .../crm/pipelines and .../crm/associations/associations-v4
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES = ("contacts", "companies", "deals", "leads", "line_items")
SINGULAR = {"contacts": "contact", "companies": "company", "deals": "deal", "leads": "lead", "line_items": "line_item"}
PLURAL = {
    **{one: many for many, one in SINGULAR.items()},
    "0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-136": "leads", "0-8": "line_items",
}  # fmt: skip
MODIFIED = {kind: "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate" for kind in TYPES}
STAGE = {"contacts": "lifecyclestage", "companies": "lifecyclestage", "deals": "dealstage", "leads": "hs_pipeline_stage"}
PIPELINE = {"deals": "pipeline", "leads": "hs_pipeline"}

ALWAYS = {kind: ("createdate" if kind != "leads" else "hs_createdate", MODIFIED[kind], "hs_object_id") for kind in TYPES}
DEFAULTS = {
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    "companies": ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    "deals": ("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate", "hs_object_id", "pipeline"),
    "leads": ("hs_createdate", "hs_lastmodifieddate", "hs_object_id", "hs_lead_name", "hs_pipeline_stage"),
    "line_items": ("createdate", "hs_lastmodifieddate", "hs_object_id", "hs_product_id", "quantity"),
}
LIFECYCLE = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist", "other")
LEAD_STATUS = ("NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING")

# name: (type, fieldType); a trailing "!" marks a value HubSpot computes and refuses to take.
_COMMON = {
    "hs_object_id": "number!", "hs_createdate": "datetime!", "hs_lastmodifieddate": "datetime!", "createdate": "datetime",
    "hs_merged_object_ids": "enumeration!", "hubspot_owner_id": "enumeration", "hubspot_owner_assigneddate": "datetime!",
}  # fmt: skip
_OWN: Mapping[str, Mapping[str, str]] = {
    "contacts": {
        "lastmodifieddate": "datetime!", "email": "string", "firstname": "string", "lastname": "string", "phone": "string",
        "mobilephone": "string", "company": "string", "jobtitle": "string", "city": "string", "state": "string", "country": "string",
        "website": "string", "lifecyclestage": "enumeration", "hs_lead_status": "enumeration", "hs_email_optout": "bool",
        "hs_additional_emails": "enumeration!", "hs_calculated_merged_vids": "enumeration!", "hs_analytics_source": "enumeration!",
        "hs_analytics_source_data_1": "string!", "hs_analytics_source_data_2": "string!", "hs_latest_source": "enumeration!",
        "num_conversion_events": "number!", "first_conversion_date": "datetime!", "recent_conversion_date": "datetime!",
        "associatedcompanyid": "number", "hubspotscore": "number!", "notes_last_updated": "datetime!", "salesforcecontactid": "string",
        "salesforceleadid": "string", "industry": "string", "hs_marketable_status": "enumeration!", "hs_email_bounce": "number!",
        "hs_email_hard_bounce_reason_enum": "enumeration!",
    },
    "companies": {
        "name": "string", "domain": "string", "website": "string", "industry": "string", "numberofemployees": "number",
        "country": "string", "city": "string", "lifecyclestage": "enumeration", "hs_parent_company_id": "number",
        "hs_lead_status": "enumeration",
        "hs_additional_domains": "enumeration!", "annualrevenue": "number", "salesforceaccountid": "string",
        "notes_last_updated": "datetime!",
    },
    "deals": {
        "dealname": "string", "amount": "number", "deal_currency_code": "enumeration", "closedate": "datetime", "pipeline": "enumeration",
        "dealstage": "enumeration", "dealtype": "enumeration", "closed_lost_reason": "string", "closed_won_reason": "string",
        "hs_is_closed": "bool!", "hs_is_closed_won": "bool!", "hs_deal_stage_probability": "number!", "hs_next_step": "string",
        "hs_forecast_amount": "number!", "hs_manual_forecast_category": "enumeration", "hs_analytics_source": "enumeration!",
        "notes_last_updated": "datetime!", "notes_next_activity_date": "datetime!", "hs_salesforceopportunityid": "string",
        "salesforceopportunityid": "string",
    },
    "leads": {
        "hs_lead_name": "string", "hs_pipeline": "enumeration", "hs_pipeline_stage": "enumeration", "hs_lead_type": "enumeration",
        "hs_lead_label": "enumeration", "hs_lead_source": "string", "hs_primary_contact_id": "number!",
    },
    # Source: https://developers.hubspot.com/docs/guides/api/crm/objects/line-items, read 2026-11-25
    "line_items": {
        "name": "string", "quantity": "number", "price": "number", "amount": "number!", "discount": "number", "hs_product_id": "number",
        "hs_line_item_currency_code": "enumeration", "recurringbillingfrequency": "enumeration", "hs_recurring_billing_period": "string",
        "hs_sku": "string",
    },
}  # fmt: skip
_FIELD_TYPE = {"bool": "booleancheckbox", "datetime": "date", "date": "date", "enumeration": "select", "number": "number", "string": "text"}
_OPTIONS = {"lifecyclestage": LIFECYCLE, "hs_lead_status": LEAD_STATUS}


def properties(kind: str) -> dict[str, dict[str, Any]]:
    """The properties every portal has for one object type, by name."""
    return {name: definition(name, spec, group=group(kind)) for name, spec in {**_COMMON, **_OWN[kind]}.items()}


def group(kind: str) -> str:
    """The group HubSpot's own properties of a type are in: contactinformation."""
    return f"{SINGULAR[kind]}information"


def definition(name: str, spec: str, *, group: str, label: str = "", options: Any = (), **more: Any) -> dict[str, Any]:
    """One property as the properties endpoint shows it. `spec` is a type; with "!" HubSpot computes the value."""
    kind, computed = spec.rstrip("!"), spec.endswith("!")
    options = options or [{"value": v, "label": v.capitalize()} for v in _OPTIONS.get(name, ())]
    return {
        "name": name,
        "label": label or name.replace("hs_", "").replace("_", " ").capitalize(),
        "type": kind,
        "fieldType": _FIELD_TYPE.get(kind, "text"),
        "groupName": group,
        "options": [{"displayOrder": i, "hidden": False, **o} for i, o in enumerate(options)],
        "hasUniqueValue": name in ("email", "hs_object_id"),
        "calculated": computed,
        "externalOptions": name == "hubspot_owner_id",
        "hubspotDefined": True,
        "archived": False,
        "displayOrder": -1,
        "hidden": False,
        "formField": True,
        "modificationMetadata": {"readOnlyValue": computed, "readOnlyDefinition": True, "archivable": False},
        **more,
    }


def _stage(i: int, sid: str, label: str, **metadata: str) -> dict[str, Any]:
    return {"id": sid, "label": label, "displayOrder": i, "metadata": metadata}


_DEALS = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"), ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"), ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"), ("closedwon", "Closed Won", "1.0"), ("closedlost", "Closed Lost", "0.0"),
)  # fmt: skip
_LEADS = (
    ("new-stage-id", "New", "NEW"), ("attempting-stage-id", "Attempting", "IN_PROGRESS"),
    ("connected-stage-id", "Connected", "IN_PROGRESS"), ("qualified-stage-id", "Qualified", "QUALIFIED"),
    ("unqualified-stage-id", "Unqualified", "UNQUALIFIED"),
)  # fmt: skip


def pipelines() -> dict[str, list[dict[str, Any]]]:
    """The default pipelines. Metadata values are strings, as HubSpot sends them."""
    deals = [_stage(i, s, label, probability=p, isClosed=str(s.startswith("closed")).lower()) for i, (s, label, p) in enumerate(_DEALS)]
    leads = [_stage(i, s, label, leadState=state) for i, (s, label, state) in enumerate(_LEADS)]
    return {
        "deals": [{"id": "default", "label": "Sales Pipeline", "displayOrder": 0, "stages": deals}],
        "leads": [{"id": "lead-pipeline-id", "label": "Lead Pipeline", "displayOrder": 0, "stages": leads}],
        "tickets": [],
    }


# (from, to) → HubSpot-defined type id of the plain link; the primary link where there is one. Source: associations v4 guide.
PLAIN = {
    ("contacts", "companies"): 279, ("companies", "contacts"): 280, ("contacts", "deals"): 4, ("deals", "contacts"): 3,
    ("deals", "companies"): 341, ("companies", "deals"): 342, ("leads", "contacts"): 608, ("contacts", "leads"): 609,
    ("leads", "companies"): 611, ("companies", "leads"): 610, ("deals", "line_items"): 19, ("line_items", "deals"): 20,
}  # fmt: skip
PRIMARY = {
    ("contacts", "companies"): 1, ("companies", "contacts"): 2, ("deals", "companies"): 5, ("companies", "deals"): 6,
    ("leads", "contacts"): 578, ("contacts", "leads"): 579,
}  # fmt: skip


def opposite(source: str, target: str, type_id: int) -> int:
    """The type id of the same link seen from the other end; custom labels keep theirs."""
    for table in (PLAIN, PRIMARY):
        if table.get((source, target)) == type_id:
            return table.get((target, source), type_id)
    return type_id
