"""The world as Mailchimp would show it: two audiences, their members, the monthly campaigns and what was opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.sandbox.world_model import Draft, Membership, Person
from connectors.sandbox.world_names import DAY, HOUR, at_noon, iso, member_id

LISTS = (("a1f0news01", "Sensor letter"), ("b2e0prod02", "Product news"))
PER_LIST = 6  # monthly campaigns that we know of


def seed(draft: Draft) -> dict[str, Any]:
    """The Mailchimp emulator's seed."""
    members: dict[str, list[dict[str, Any]]] = {key: [] for key, _ in LISTS}
    enrolled: tuple[list[tuple[Person, Membership]], ...] = ([], [])
    for p in draft.people:
        for m in p.memberships:
            members[LISTS[m.audience][0]].append(_member(p, m))
            enrolled[m.audience].append((p, m))
    campaigns: list[dict[str, Any]] = []
    activity: dict[str, list[dict[str, Any]]] = {}
    for audience in range(len(LISTS)):
        for i in range(PER_LIST):
            sent = at_noon(draft.now, -(8 + 30 * i + 4 * audience))
            campaign, rows = _campaign(draft, audience, i, sent, enrolled[audience])
            campaigns.append(campaign)
            activity[campaign["id"]] = rows
    return {
        "lists": [_list(key, name, draft.now) for key, name in LISTS],
        "members": members,
        "campaigns": campaigns,
        "activity": activity,
        "automations": [_automation(draft.now)],
    }


def _list(key: str, name: str, now: int) -> dict[str, Any]:
    fields = (("FNAME", "First Name"), ("LNAME", "Last Name"), ("COMPANY", "Company"), ("HUBSPOTID", "HubSpot Id"))
    merge = [{"tag": tag, "name": label, "type": "text", "required": False} for tag, label in fields]
    return {"id": key, "name": name, "date_created": iso(now - 800 * DAY), "merge_fields": merge}


def _member(p: Person, m: Membership) -> dict[str, Any]:
    email = p.mail
    digest = member_id(email)
    return {
        "email_address": email,
        "status": m.status,
        "merge_fields": {
            "FNAME": p.first,
            "LNAME": p.last,
            "COMPANY": p.company.name if p.company else "",
            "HUBSPOTID": p.hs_id if p.in_hubspot and p.number % 2 == 0 else "",
        },
        "timestamp_signup": iso(m.signed_up),
        "timestamp_opt": iso(m.signed_up + HOUR) if m.status != "pending" else "",
        "last_changed": iso(max(m.changed, m.signed_up + HOUR)),
        "tags": [tag for tag, on in (("customer", p.rung in ("M80", "M95")), ("webinar", p.number % 6 == 0)) if on],
        "contact_id": member_id(f"contact {p.key}"),
        "unique_email_id": digest[:10],
        "member_rating": 1 if m.status == "cleaned" else 2 + p.number % 4,
        "source": "Website form" if p.company is None else "API - HubSpot",
    }


def _campaign(
    draft: Draft, audience: int, i: int, sent: int, enrolled: list[tuple[Person, Membership]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    key = f"{'ab'[audience]}c{i:02d}f{sent // DAY:06d}"
    title = f"{LISTS[audience][1]} {iso(sent)[:7]}"
    reached = [(p, m) for p, m in enrolled if m.signed_up < sent and _mailed(m, sent)]
    rows = [row for p, m in reached for row in _actions(draft, p, m, sent)]
    campaign = {
        "id": key,
        "type": "regular",
        "status": "sent",
        "create_time": iso(sent - 3 * DAY),
        "send_time": iso(sent),
        "settings": {"title": title, "subject_line": f"What our sensors saw in {iso(sent)[:7]}"},
        "recipients": {"list_id": LISTS[audience][0]},
        "emails_sent": len(reached),
    }
    return campaign, rows


def _mailed(m: Membership, sent: int) -> bool:
    return m.status == "subscribed" or (m.status != "pending" and m.changed >= sent)


def _actions(draft: Draft, p: Person, m: Membership, sent: int) -> Iterator[dict[str, Any]]:
    luck = draft.rng.random()
    if m.status == "cleaned" and m.changed < sent + 32 * DAY:
        yield {"email": p.mail, "action": "bounce", "type": "hard", "timestamp": iso(sent + 120)}
        return
    if luck > 0.98:
        yield {"email": p.mail, "action": "bounce", "type": "soft", "timestamp": iso(sent + 300)}
    if luck < 0.35:
        opened = sent + int(luck * 5 * DAY) + 600
        yield {"email": p.mail, "action": "open", "timestamp": iso(opened)}
        if luck < 0.12:
            url = "https://www.lumen-loom.example/demo"
            yield {"email": p.mail, "action": "click", "timestamp": iso(opened + 90), "url": url}


def _automation(now: int) -> dict[str, Any]:
    started = now - 300 * DAY
    return {
        "id": "au0welcome",
        "status": "sending",
        "create_time": iso(started - DAY),
        "start_time": iso(started),
        "settings": {"title": "Welcome to the sensor letter"},
        "recipients": {"list_id": LISTS[0][0]},
    }
