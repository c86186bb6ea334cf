"""People of the sandbox's company: their journeys up the ladder and the systems that know them.

The clean rules: a HubSpot lifecycle agrees with the deals; whoever is a lead or further exists in Salesforce as well; who
may not be mailed in one system may not be mailed in any.
"""

from __future__ import annotations

from connectors.sandbox.world_deals import Plan, closing, opening, rung_of
from connectors.sandbox.world_model import Company, Draft, Extra, Membership, Person
from connectors.sandbox.world_names import DAY, HOUR, sf_id

LIFECYCLE_RUNG = {
    "subscriber": "M10", "lead": "M20", "marketingqualifiedlead": "M30", "salesqualifiedlead": "M40",
    "opportunity": "M50", "customer": "M80", "evangelist": "M95",
}  # fmt: skip
# what becomes of people without a deal: share, name
FATES = ((0.30, "subscriber"), (0.62, "lead"), (0.80, "mql"), (0.90, "sal"), (0.96, "sql"), (1.01, "disqualified"))


def cell(draft: Draft, *plans: Plan, people: int = 1) -> Company:
    """A company with the planned deals; each of its people is attached to all of them, the first as primary contact."""
    company = draft.company(0)
    deals = [plan(draft, company) for plan in plans]
    first = min(d.created for d in deals)
    company.created = first - 95 * DAY
    company.in_salesforce = True
    for _ in range(people):
        buyer(draft, company, first)
    for deal in deals:
        deal.source = company.people[0].source
    return company


def buyer(draft: Draft, company: Company, first_deal: int) -> Person:
    """A person of a company with deals: lead, MQL and SQL before the first deal, then what the deals say."""
    rng = draft.rng
    lead_days = 20 + 60 * rng.random()
    person = draft.person(company, first_deal - int(lead_days * DAY))
    person.deals = company.deals
    steps = ((0.0, "lead"), (0.4, "marketingqualifiedlead"), (0.8, "salesqualifiedlead"))
    person.lifecycle = [(stage, person.created + int(share * lead_days * DAY)) for share, stage in steps]
    person.lifecycle.append(("opportunity", first_deal))
    won = min((d.path_hs[-1][1] for d in company.deals if d.outcome == "won"), default=0)
    if won:
        person.lifecycle.append(("customer", won))
        if draft.now - won > 200 * DAY and rng.random() < 0.15:
            person.lifecycle.append(("evangelist", won + 120 * DAY))
    person.lead_status = "CONNECTED"
    person.client_id = _client_id(draft)
    _in_salesforce(person, "converted" if rng.random() < 0.6 else "contact", first_deal)
    _join(draft, person)
    settle(person)
    return person


def settle(person: Person) -> None:
    """Set the true rung from the lifecycle and the deals."""
    own = LIFECYCLE_RUNG[person.lifecycle[-1][0]] if person.lifecycle else "M10"
    person.rung = max(own, rung_of(person), "M35" if any(s.startswith("Working") for s, _ in person.sf_status) else "")


def prospect(draft: Draft, company: Company, fate: str, created: int) -> Person:
    """A person without deals."""
    person = draft.person(company, created)
    step = int(min(12.0, (draft.now - created) / DAY / 6) * DAY)
    stages = {"subscriber": 0, "lead": 1, "disqualified": 1, "mql": 2, "sal": 2, "sql": 3}[fate]
    names = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead")
    start = 0 if fate == "subscriber" or person.number % 3 == 0 else 1
    person.lifecycle = [(names[i], created + (i - start) * step) for i in range(start, stages + 1)]
    person.lead_status = {"lead": "NEW", "mql": "OPEN", "sal": "IN_PROGRESS", "sql": "CONNECTED", "disqualified": "UNQUALIFIED"}.get(fate)
    person.hs_lead_stage = {"mql": "new-stage-id", "sal": "attempting-stage-id", "sql": "qualified-stage-id"}.get(fate)
    if person.number % 5:
        person.client_id = _client_id(draft)
    at = person.lifecycle[-1][1]
    if fate == "sql":
        company.in_salesforce = True
        _in_salesforce(person, "converted", at + HOUR)
    elif fate != "subscriber":
        _in_salesforce(person, "lead", at)
        later = at + step // 2
        if fate == "sal":
            person.sf_status.append(("Working - Contacted", later))
        if fate == "disqualified":
            person.sf_status.append(("Closed - Not Converted", later))
            person.disqualified = True
    _join(draft, person)
    settle(person)
    return person


def _in_salesforce(person: Person, form: str, at: int) -> None:
    """The person's Salesforce side: a Lead since he became a lead in HubSpot, converted at the given time if so."""
    person.sf = form
    since = next((t for stage, t in person.lifecycle if stage == "lead"), person.created) + 5 * 60
    if form == "contact":
        return
    person.sf_status = [("Open - Not Contacted", since)]
    if form == "converted":
        person.sf_status += [("Working - Contacted", (since + at) // 2), ("Closed - Converted", at)]
        person.converted_at = at
        person.hs_lead_stage = "qualified-stage-id"


def _client_id(draft: Draft) -> str:
    return f"{int(draft.rng.random() * 1e9) + 1_000_000_000}.{1_700_000_000 + int(draft.rng.random() * 8e7)}"


def _join(draft: Draft, person: Person) -> None:
    """Perhaps a member of one audience or both; who is unsubscribed or cleaned is suppressed in the CRMs as well."""
    draw = draft.rng.random()
    if draw > 0.75:
        return
    audiences = (0,) if draw < 0.4 else (1,) if draw < 0.55 else (0, 1)
    luck = draft.rng.random()
    status = "subscribed" if luck < 0.88 else "unsubscribed" if luck < 0.94 else "cleaned" if luck < 0.98 else "archived"
    enrol(draft, person, audiences, status)
    if status in ("unsubscribed", "cleaned"):
        person.opted_out, person.bounced = True, status == "cleaned"
    elif person.number % 40 == 9 and person.company:
        person.alt_email = f"{person.first[0]}{person.last}{person.number}@{person.company.domain}".lower()


def enrol(draft: Draft, person: Person, audiences: tuple[int, ...], status: str) -> None:
    """Make the person a member of the audiences."""
    signed = min(person.created + 2 * HOUR, draft.now - 2 * DAY)
    changed = signed if status == "subscribed" else signed + int((draft.now - DAY - signed) * draft.rng.random())
    person.memberships = [Membership(a, status, signed, changed) for a in audiences]


def base(draft: Draft, size: int) -> None:
    """`size` clean people: a third of them buyers at companies with deals, the rest prospects and mere readers."""
    readers = size // 12
    deals = max(1, size // 4)
    while len(draft.deals) < deals and len(draft.people) < size - readers:
        _deal_cell(draft, room=size - readers - len(draft.people))
    crowd = [draft.company(draft.now - (450 + i % 90) * DAY) for i in range(max(1, size // 3 - len(draft.companies)))]
    while len(draft.people) < size - readers:
        luck = draft.rng.random()
        fate = next(name for share, name in FATES if luck < share)
        prospect(draft, crowd[len(draft.people) % len(crowd)], fate, draft.now - int((4 + 396 * draft.rng.random()) * DAY))
    for _ in range(size - len(draft.people)):
        reader = draft.person(None, draft.now - int((4 + 396 * draft.rng.random()) * DAY))
        reader.in_hubspot = False
        status = "pending" if reader.number % 9 == 0 else "subscribed"
        enrol(draft, reader, (reader.number % 2,), status)
        reader.rung = "M00" if status == "pending" else "M10"
    _scars(draft)


def _deal_cell(draft: Draft, room: int) -> None:
    rng = draft.rng
    luck = rng.random()
    people = min(room, 2 if rng.random() < 0.3 else 1)
    ago = 4 + 296 * rng.random()
    at = int(5 * rng.random())
    if luck < 0.42:
        plans = [opening(at=at)]
    elif luck < 0.68:
        plans = [closing(won=True, days_ago=ago)]
    elif luck < 0.84:
        plans = [closing(won=False, days_ago=ago, at=at)]
    elif luck < 0.94:
        plans = [closing(won=True, days_ago=150 + ago / 2), opening(at=at)]
    else:
        plans = [closing(won=False, days_ago=250 + ago / 3, at=at), closing(won=True, days_ago=ago / 3 + 3)]
    cell(draft, *plans, people=people)


def _scars(draft: Draft) -> None:
    """Merged and deleted records, as every real system has: they are not live and must not count."""
    for person in draft.people:
        if not person.in_hubspot:
            continue
        loser = {"email": f"old.{person.email}", "salesforcecontactid": None, "salesforceleadid": None}
        if person.number % 150 == 7:
            draft.extras.append(
                Extra("hubspot", "contacts", person, str(5_000_000_001 + person.number), loser, {"merged_into": person.hs_id})
            )
        if person.number % 150 == 11 and person.sf in ("contact", "converted"):
            master = {"IsDeleted": True, "MasterRecordId": person.contact_id, "HubSpot_Id__c": None}
            draft.extras.append(Extra("salesforce", "Contact", person, sf_id("003", 10_000_001 + person.number), master, {}))
