"""The world as Salesforce would show it: leads that convert, opportunities with their history rows, 18-character ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.sandbox import world_tasks
from connectors.sandbox.world_deals import MIRROR_DELAY, NATIVE, SYNC
from connectors.sandbox.world_model import Company, Deal, Draft, Extra, Person, job_title
from connectors.sandbox.world_names import CITY, DAY, INDUSTRY, SOURCE, iso, iso_date, owners, sf_id

# The common subset of the default stages: name, probability, forecast category and its label.
STAGES = (
    ("Prospecting", 10, "Pipeline", "Pipeline"),
    ("Qualification", 10, "Pipeline", "Pipeline"),
    ("Proposal/Price Quote", 75, "BestCase", "Best Case"),
    ("Negotiation/Review", 90, "Forecast", "Commit"),
    ("Closed Won", 100, "Closed", "Closed"),
    ("Closed Lost", 0, "Omitted", "Omitted"),
)
# Of the default stages nobody uses, two that an administrator put back, each not as it was meant (plants of G-03 and G-04):
PARKED = ("Perception Analysis", 0, "Omitted", "Omitted")  # now a closed stage for what is put off
EARLY = ("Needs Analysis", 20, "Pipeline", "Pipeline")  # likelier than the stages after it
CHANCE = {name: (p, category, label) for name, p, category, label in (*STAGES, PARKED)}
STAGE_IDS = {name: sf_id("01J", i) for i, (name, *_) in enumerate((*STAGES, PARKED, EARLY), 1)}
LEAD_STATUS = ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted")
WEBINAR = ("Flow sensor webinar", "Webinar")  # one that the web knows by its link
SYNC_USER = sf_id("005", 90)  # whom HubSpot's own sync signs in as, where it does
CAMPAIGNS = (("Sensor days webinar", "Webinar"), ("Hall 7 trade show", "Trade Show"), ("Retrofit guide", "Email"))
# Models of campaign influence: the platform's own, which it writes itself, and one an administrator made for us.
MODELS = ((1, "SalesforceModel", "Primary Campaign Source", True), (2, "Tundish", "Tundish", False))


def seed(draft: Draft) -> dict[str, Any]:
    """The Salesforce emulator's seed."""
    people = [p for p in draft.people if p.sf]
    contacts = [p for p in people if p.sf != "lead"]
    leads = [p for p in people if p.sf != "contact"]
    deals = [d for d in draft.deals if d.in_salesforce]
    members = _members(draft, people)
    objects = {
        "Account": [_account(c, draft.now) for c in draft.companies if c.in_salesforce],
        "Contact": [_contact(p, draft.now) for p in contacts]
        + [_extra(e, draft.now) for e in draft.extras if (e.vendor, e.resource) == ("salesforce", "Contact")],
        "Lead": [_lead(p, draft.now) for p in leads] + [_extra_lead(e, draft.now) for e in draft.extras if e.resource == "Lead"],
        "Opportunity": [_opportunity(d, draft) for d in deals],
        "OpportunityHistory": _histories(deals),
        "OpportunityStage": _stages(draft),
        "LeadStatus": [_lead_status(i, draft.now) for i in range(len(LEAD_STATUS))],
        "OpportunityContactRole": _roles(deals),
        "Campaign": [
            _campaign(i, *one, draft.now, members) for i, one in enumerate((*CAMPAIGNS, *([WEBINAR] if "E-06" in draft.odd else [])))
        ],
        "CampaignMember": members,
        "CampaignInfluenceModel": [_model(*one, draft.now) for one in MODELS],
        "Task": world_tasks.tasks(deals, draft.now),
        "Event": world_tasks.meetings(deals, draft.now),
        "User": [*(_user(i, draft.now) for i in range(len(owners()))), *([_sync_user(draft.now)] if "G-06" in draft.odd else [])],
        "OpportunityFieldHistory": [],
        "LeadHistory": _lead_history(leads),
    }
    return {"objects": objects, "fields": _fields()}


def stamps(created: int, updated: int) -> dict[str, Any]:
    """The system columns of every row."""
    changed = iso(max(created, updated))
    return {"CreatedDate": iso(created), "LastModifiedDate": changed, "SystemModstamp": changed, "IsDeleted": False}


def _account(c: Company, now: int) -> dict[str, Any]:
    city, country = CITY[c.number % len(CITY)]
    changed = max([c.created, *(d.path_sf[-1][1] for d in c.deals)])
    return {
        "Id": c.sf_id,
        "Name": c.name,
        "Website": f"www.{c.domain}",
        "Industry": INDUSTRY[c.number % len(INDUSTRY)],
        "NumberOfEmployees": 40 + c.number * 37 % 900,
        "AnnualRevenue": float(2_000_000 + c.number * 710_000 % 90_000_000),
        "BillingCity": city,
        "BillingCountry": country,
        "Type": "Customer" if any(d.outcome == "won" for d in c.deals) else "Prospect",
        "OwnerId": owners()[c.owner].salesforce,
        "ParentId": c.parent.sf_id if c.parent else None,
        "MasterRecordId": None,
        "HubSpot_Id__c": c.hs_id,
        **stamps(c.created, max(changed, min(now - 2 * DAY, changed + 9 * DAY))),
    }


def _person(p: Person) -> dict[str, Any]:
    return {
        "FirstName": p.first,
        "LastName": p.last,
        "Name": f"{p.first} {p.last}",
        "Email": p.email,
        "Phone": p.phone.replace(" ", "") or f"+3120{5_000_000 + p.number}",
        "Title": job_title(p),
        "LeadSource": p.lead_source or SOURCE[p.source][1],
        "OwnerId": owners()[p.owner].salesforce,
        "HasOptedOutOfEmail": p.opted_out,
        "EmailBouncedDate": iso(p.memberships[0].changed) if p.bounced and p.memberships else None,
        "MasterRecordId": None,
        "HubSpot_Id__c": p.stored_hubspot or (p.hs_id if p.in_hubspot else None),
    }


def _contact(p: Person, now: int) -> dict[str, Any]:
    city, country = CITY[p.number % len(CITY)]
    created = p.converted_at or next((t for stage, t in p.lifecycle if stage == "lead"), p.created) + 5 * 60
    last = max(created, p.lifecycle[-1][1])
    updated = max(last, min(now - 2 * DAY, last + (p.number % 30) * DAY))
    return {
        "Id": p.contact_id,
        "AccountId": p.company.sf_id if p.company and p.at_company else None,
        **_person(p),
        "MailingCity": city,
        "MailingCountry": country,
        "EmailBouncedReason": "550 user unknown" if p.bounced else None,
        "LastActivityDate": iso_date(updated),
        **stamps(created, updated),
    }


def _lead(p: Person, now: int) -> dict[str, Any]:
    city, country = CITY[p.number % len(CITY)]
    created, (status, updated) = p.sf_status[0][1], p.sf_status[-1]
    converted = p.sf == "converted"
    opened = next((d for d in p.deals if d.created == p.converted_at and d.in_salesforce), None)
    return {
        "Id": p.lead_id,
        **_person(p),
        "Company": p.company.name if p.company else "Unknown",
        "City": city,
        "Country": country,
        "Website": f"www.{p.company.domain}" if p.company else None,
        "Industry": INDUSTRY[p.company.number % len(INDUSTRY)] if p.company else None,
        "Status": status,
        "Rating": "Hot" if converted else "Warm",
        "IsConverted": converted,
        "ConvertedDate": iso_date(p.converted_at) if converted else None,
        "ConvertedAccountId": p.company.sf_id if converted and p.company else None,
        "ConvertedContactId": p.contact_id if converted else None,
        "ConvertedOpportunityId": opened.sf_id if opened else None,
        "LastActivityDate": iso_date(updated),
        **stamps(created, max(updated, min(now - 2 * DAY, updated + (p.number % 20) * DAY))),
    }


def _extra(extra: Extra, now: int) -> dict[str, Any]:
    return {**_contact(extra.person, now), "Id": extra.id, **extra.values}


def _extra_lead(extra: Extra, now: int) -> dict[str, Any]:
    """A lead nobody has touched yet, of a person the org knows already."""
    at = max(extra.person.converted_at, extra.person.created) + DAY
    fresh = replace(extra.person, sf="lead", sf_status=[(LEAD_STATUS[0], at)], converted_at=0)
    return {**_lead(fresh, now), "Id": extra.id, **extra.values}


def _opportunity(d: Deal, draft: Draft) -> dict[str, Any]:
    stage, entered = d.path_sf[-1]
    chance, category, label = CHANCE[stage]
    chance = d.chance[0] if d.chance else chance
    updated = max([entered, d.chance[1] if d.chance else 0, *(t + MIRROR_DELAY for _, t, _ in d.amounts)])
    amount = None if d.cents_sf is None else d.cents_sf / 100
    return {
        "Id": d.sf_id,
        "AccountId": d.company.sf_id if d.with_company else None,
        "Name": d.name,
        "StageName": stage,
        "Amount": amount,
        "CurrencyIsoCode": "EUR",
        "Probability": float(chance),
        "ExpectedRevenue": None if amount is None else round(amount * chance / 100, 2),
        "CloseDate": d.close_sf,
        "IsClosed": closed(stage),
        "IsWon": stage == "Closed Won",
        "ForecastCategory": category,
        "ForecastCategoryName": label,
        "Type": "Existing Business" if d.kind == "existingbusiness" else "New Business",
        "LeadSource": SOURCE[d.source][1],
        "CampaignId": campaign_id(d.number % 3) if d.number % 4 == 0 else None,
        "ContactId": d.people[0].contact_id if d.people and d.with_people else None,
        "OwnerId": owners()[d.owner_sf].salesforce,
        "NextStep": None if closed(stage) else "Call about the offer",
        "Loss_Reason__c": d.reasons[1] if stage in ("Closed Lost", PARKED[0]) else None,
        "LastStageChangeDate": iso(entered),
        "Contract_End__c": iso_date(d.ends) if d.ends else None,
        "LastActivityDate": iso_date(d.touched(draft.now)),
        "HubSpot_Id__c": d.hs_id if d.in_hubspot else None,
        "Sync_To_HubSpot__c": d.synced,
        **stamps(d.created + MIRROR_DELAY, updated),
        "IsDeleted": d.deleted_in_salesforce,
    }


def _histories(deals: list[Deal]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for d in deals:
        start = d.path_sf[0][1]
        amounts = [(max(start, t + MIRROR_DELAY), "amount", cents, by) for cents, t, by in d.amounts or [(d.cents_sf, d.created, "")]]
        if d.amounts:  # a planted drift shows in the last row only
            amounts[-1] = (amounts[-1][0], "amount", d.cents_sf, amounts[-1][3])
        changes: list[tuple[int, str, Any, str]] = [*amounts, *((t, "stage", stage, "") for stage, t in d.path_sf)]
        changes += [(max(start, t + MIRROR_DELAY), "close", iso_date(day), "") for day, t in d.pushes]
        changes += [(d.chance[1], "chance", d.chance[0], "")] if d.chance else []
        changes += [(d.unseen[1], "stage", d.unseen[0], "")] if d.unseen else []
        changes.sort(key=lambda change: change[0])
        rows += _history_rows(d, changes, len(rows))
    return rows


def _history_rows(d: Deal, changes: list[tuple[int, str, Any, str]], number: int) -> list[dict[str, Any]]:
    """One row per instant at which the stage, the amount, the probability or the close date changed, the creation included."""
    rows: list[dict[str, Any]] = []
    now_is: dict[str, Any] = {"stage": d.path_sf[0][0], "amount": None, "chance": None, "close": d.close_sf}
    before, closed_before = None, None
    for i, (at, what, value, by) in enumerate(changes):
        now_is[what] = value
        if what == "stage":
            now_is["chance"] = None  # entering a stage sets its probability
        if i + 1 < len(changes) and changes[i + 1][0] == at:
            continue
        chance, category, _ = CHANCE[now_is["stage"]]
        chance = chance if now_is["chance"] is None else now_is["chance"]
        amount = None if now_is["amount"] is None else now_is["amount"] / 100
        rows.append({
            "Id": sf_id("008", number + len(rows) + 1),
            "OpportunityId": d.sf_id,
            "StageName": now_is["stage"],
            "Amount": amount,
            "Probability": float(chance),
            "ExpectedRevenue": None if amount is None else round(amount * chance / 100, 2),
            "CloseDate": now_is["close"],
            "ForecastCategory": category,
            "PrevAmount": before,
            "PrevCloseDate": closed_before,
            "CreatedDate": iso(at),
            "CreatedById": SYNC_USER if by == NATIVE else owners()[1 if by == SYNC else d.owner_sf].salesforce,
            "SystemModstamp": iso(at),
            "IsDeleted": False,
        })  # fmt: skip
        before, closed_before = amount, now_is["close"]
    return rows


def closed(stage: str) -> bool:
    return stage.startswith("Closed") or stage == PARKED[0]


def _stages(draft: Draft) -> list[dict[str, Any]]:
    """The stages in their order."""
    rows = [*([EARLY] if "G-04" in draft.odd else []), *STAGES, *([PARKED] if "G-03" in draft.odd else [])]
    made = [_stage(i, row, draft.now) for i, row in enumerate(rows)]
    hidden = {"ForecastCategory": "Omitted", "ForecastCategoryName": "Omitted"} if "G-05" in draft.odd else {}
    return [row | hidden if row["IsWon"] else row for row in made]


def _stage(i: int, row: tuple[str, int, str, str], now: int) -> dict[str, Any]:
    name, chance, category, label = row
    return {
        "Id": STAGE_IDS[name], "MasterLabel": name, "ApiName": name, "SortOrder": i + 1, "IsActive": True,
        "IsClosed": closed(name), "IsWon": name == "Closed Won", "DefaultProbability": float(chance),
        "ForecastCategory": category, "ForecastCategoryName": label, "Description": None, **stamps(now - 900 * DAY, now - 900 * DAY),
    }  # fmt: skip


def _lead_status(i: int, now: int) -> dict[str, Any]:
    name = LEAD_STATUS[i]
    return {
        "Id": sf_id("01J", 100 + i), "MasterLabel": name, "ApiName": name, "SortOrder": i + 1,
        "IsConverted": name == "Closed - Converted", "IsDefault": i == 0, **stamps(now - 900 * DAY, now - 900 * DAY),
    }  # fmt: skip


def _roles(deals: list[Deal]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for d in deals:
        for i, p in enumerate(d.people if d.with_people else ()):
            role = {
                "OpportunityId": d.sf_id,
                "ContactId": p.contact_id,
                "Role": "Decision Maker" if i == 0 else "Evaluator",
                "IsPrimary": i == 0,
            }
            rows.append({"Id": sf_id("00K", len(rows) + 1), **role, **stamps(d.created + MIRROR_DELAY, d.created + MIRROR_DELAY)})
    return rows


def campaign_id(i: int) -> str:
    return sf_id("701", i + 1)


def _members(draft: Draft, people: list[Person]) -> list[dict[str, Any]]:
    """Every third person was in a campaign; every second of these answered it."""
    rows: list[dict[str, Any]] = []
    for p in people:
        usual = min(draft.now - 3 * DAY, (p.sf_status[0][1] if p.sf_status else p.created) + 2 * DAY)
        joined = [] if p.number % 3 else [(p.number // 3 % 3, usual, p.number % 2 == 0)]
        for campaign, at, answered in [*joined, *((len(CAMPAIGNS), *one) for one in p.answered)]:
            rows.append(_campaign_member(p, campaign, at, answered, len(rows) + 1))
    return rows


def _campaign_member(p: Person, campaign: int, at: int, answered: bool, number: int) -> dict[str, Any]:
    return {
        "Id": sf_id("00v", number), "CampaignId": campaign_id(campaign),
        "LeadId": p.lead_id if p.sf == "lead" else None, "ContactId": p.contact_id if p.sf != "lead" else None,
        "Status": "Responded" if answered else "Sent", "HasResponded": answered,
        "FirstRespondedDate": iso_date(at) if answered else None, **stamps(at, at),
    }  # fmt: skip


def _campaign(i: int, name: str, kind: str, now: int, members: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [m for m in members if m["CampaignId"] == campaign_id(i)]
    start = now - (120 + 100 * i) * DAY
    return {
        "Id": campaign_id(i), "Name": name, "Type": kind, "Status": "Completed", "StartDate": iso_date(start),
        "EndDate": iso_date(start + 20 * DAY), "BudgetedCost": 4_000.0 + 1_500 * i, "ActualCost": 3_800.0 + 1_600 * i, "IsActive": i == 0,
        "NumberOfLeads": sum(1 for m in mine if m["LeadId"]), "NumberOfContacts": sum(1 for m in mine if m["ContactId"]),
        "NumberOfResponses": sum(1 for m in mine if m["HasResponded"]), "OwnerId": owners()[0].salesforce,
        **stamps(start - 10 * DAY, start + 21 * DAY),
    }  # fmt: skip


def _model(number: int, name: str, label: str, default: bool, now: int) -> dict[str, Any]:
    flags = {"IsActive": True, "IsDefaultModel": default, "IsModelLocked": True}
    at = stamps(now - 400 * DAY, now - 400 * DAY)
    return {"Id": sf_id("0C1", number), "DeveloperName": name, "MasterLabel": label, "Language": "en_US", **flags, **at}


def _user(i: int, now: int) -> dict[str, Any]:
    o = owners()[i]
    return {
        "Id": o.salesforce, "Name": f"{o.first} {o.last}", "FirstName": o.first, "LastName": o.last, "Email": o.sf_email,
        "Username": o.email.replace("@", "@crm."), "IsActive": o.active, **stamps(now - 900 * DAY, now - (30 + i) * DAY),
    }  # fmt: skip


def _sync_user(now: int) -> dict[str, Any]:
    return {
        "Id": SYNC_USER, "Name": "HubSpot Integration", "FirstName": "HubSpot", "LastName": "Integration",
        "Email": "hubspot-integration@lumen-loom.example", "Username": "hubspot-integration@crm.lumen-loom.example", "IsActive": True,
        **stamps(now - 800 * DAY, now - 800 * DAY),
    }  # fmt: skip


def _lead_history(leads: list[Person]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for p in leads:
        for (old, _), (new, at) in zip(p.sf_status, p.sf_status[1:], strict=False):
            change = {"LeadId": p.lead_id, "Field": "Status", "OldValue": old, "NewValue": new}
            rows.append({"Id": sf_id("017", len(rows) + 1), **change, "CreatedDate": iso(at), "CreatedById": owners()[p.owner].salesforce})
    return rows


def _fields() -> dict[str, Any]:
    def text(name: str, label: str, *, external: bool = False, kind: str = "string") -> dict[str, Any]:
        return {"name": name, "type": kind, "label": label, "externalId": external}

    link = text("HubSpot_Id__c", "HubSpot Id", external=True)
    more = [text("Loss_Reason__c", "Loss Reason"), text("CurrencyIsoCode", "Currency", kind="picklist")]
    sync = text("Sync_To_HubSpot__c", "Sync to HubSpot", kind="boolean")
    end = text("Contract_End__c", "Contract End", kind="date")
    return {"Account": [link], "Contact": [link], "Lead": [link], "Opportunity": [link, *more, sync, end]}
