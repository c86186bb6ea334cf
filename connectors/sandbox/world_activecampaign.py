"""The world as ActiveCampaign would show it: the partner pipeline, some of the people and their companies, a letter and its lists."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.world_model import Company, Deal, Draft, Person, job_title
from connectors.sandbox.world_names import DAY, HOUR, at_noon, iso, owners
from connectors.sandbox.world_partners import PIPELINE, STAGES

LISTS = ("Partner letter", "Product tips")
TAGS = ("trade fair", "reseller")
FIELDS = (("Job title", "JOB_TITLE", "text"), ("HubSpot id", "HUBSPOT_ID", "text"), ("Interests", "INTERESTS", "listbox"))
SENT = 4  # letters we know of


def seed(draft: Draft) -> dict[str, Any]:
    """The ActiveCampaign emulator's seed."""
    people = [p for p in draft.people if p.in_activecampaign]
    start = iso(draft.now - 700 * DAY)
    return {
        "users": [{"id": str(i + 1), "firstName": o.first, "lastName": o.last, "email": o.email} for i, o in enumerate(owners())],
        "fields": [{"id": str(i + 1), "title": t, "perstag": tag, "type": kind} for i, (t, tag, kind) in enumerate(FIELDS)],
        "lists": [{"id": str(i + 1), "name": name, "cdate": start} for i, name in enumerate(LISTS)],
        "tags": [{"id": str(i + 1), "tag": name, "cdate": start} for i, name in enumerate(TAGS)],
        "contacts": [_contact(p, draft.now) for p in people],
        "accounts": [_account(c, draft.now) for c in draft.companies if c.in_activecampaign],
        "accountContacts": [_account_contact(p) for p in people if p.company],
        "dealGroups": [{"id": PIPELINE[0], "title": PIPELINE[1], "currency": "eur", "cdate": start}],
        "dealStages": [{"id": key, "title": t, "group": PIPELINE[0], "order": i + 1} for i, (key, t, _) in enumerate(STAGES)],
        "dealCustomFieldMeta": [
            {"id": "1", "fieldLabel": "Partner", "fieldType": "text"},
            {"id": "2", "fieldLabel": "Commission", "fieldType": "currency", "fieldDefaultCurrency": "EUR"},
        ],
        "deals": [_deal(d) for d in draft.deals if d.path_ac],
        **_letters(draft.now, sum(p.ac_status == 1 for p in people)),
        "contactAutomations": [_welcomed(p) for p in people if p.number % 6 == 0],
    }


def _changed(p: Person, now: int) -> int:
    return max(p.created, min(now - 2 * DAY, p.created + (p.number % 50) * DAY))


def _contact(p: Person, now: int) -> dict[str, Any]:
    fields = {"JOB_TITLE": job_title(p)}
    if p.in_hubspot and p.number % 2 == 0:
        fields["HUBSPOT_ID"] = p.hs_id
    if p.number % 4 == 0:
        fields["INTERESTS"] = "||sensors||gauges||"
    signed = min(p.created + HOUR, now - 2 * DAY)
    lists = [{"id": key, "list": str(one), "status": p.ac_status, "sdate": iso(signed), "udate": iso(signed)} for one, key in p.ac_lists]
    return {
        "id": p.ac_id,
        "email": p.email,
        "firstName": p.first,
        "lastName": p.last,
        "phone": f"+31 30 {6_000_000 + p.number}",
        "cdate": iso(p.created),
        "udate": iso(_changed(p, now)),
        "bounced": iso(_changed(p, now)) if p.ac_status == 3 else None,
        "fields": fields,
        "lists": lists,
        "tags": [str(i + 1) for i, there in enumerate((p.number % 5 == 0, not p.in_hubspot)) if there],
    }


def _account(c: Company, now: int) -> dict[str, Any]:
    return {"id": c.ac_id, "name": c.name, "url": f"https://www.{c.domain}", "cdate": iso(c.created), "udate": iso(c.created)}


def _account_contact(p: Person) -> dict[str, Any]:
    ends = {"account": p.company.ac_id if p.company else "", "contact": p.ac_id}
    return {"id": str(200_001 + p.number), **ends, "jobTitle": job_title(p), "cdate": iso(p.created)}


def _deal(d: Deal) -> dict[str, Any]:
    return {
        "id": d.ac_id,
        "title": d.name,
        "value": d.cents,
        "currency": "eur",
        "group": PIPELINE[0],
        "owner": str(d.owner + 1),
        "contact": d.people[0].ac_id,
        "contacts": [p.ac_id for p in d.people[1:]],
        "account": d.company.ac_id,
        "path": [[place, iso(at)] for place, at in d.path_ac],
        "fields": {"1": f"Reseller {1 + d.number % 7}", "2": str((d.cents or 0) // 10)},
    }


def _letters(now: int, active: int) -> dict[str, Any]:
    campaigns, messages = [], []
    for i in range(SENT):
        sent = at_noon(now, -(6 + 30 * i))
        title = f"Partner letter {iso(sent)[:7]}"
        counts = {"send_amt": active, "total_amt": active, "opens": active // 2, "uniqueopens": active // 3, "linkclicks": active // 8,
                  "uniquelinkclicks": active // 9}  # fmt: skip
        dates = {"cdate": iso(sent - 2 * DAY), "mdate": iso(sent), "sdate": iso(sent), "ldate": iso(sent + HOUR)}
        campaigns.append({"id": str(i + 1), "name": title, "status": 5, **dates, **counts})
        messages.append({"id": str(i + 1), "name": title, "subject": f"For our partners: {iso(sent)[:7]}", "cdate": iso(sent - 2 * DAY)})
    automation = {"id": "1", "name": "Welcome, partner", "cdate": iso(now - 300 * DAY), "entered": active, "exited": active // 2}
    return {"campaigns": campaigns, "messages": messages, "automations": [automation]}


def _welcomed(p: Person) -> dict[str, Any]:
    done = iso(p.created + 9 * DAY) if p.number % 4 == 0 else None
    return {"id": str(300_001 + p.number), "contact": p.ac_id, "automation": "1", "adddate": iso(p.created + HOUR), "remdate": done}
