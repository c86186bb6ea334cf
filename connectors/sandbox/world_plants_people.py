"""Planted discrepancies and near misses of people without deals: duplicates, conversion, consent (I-01 S-11 C-01 C-03)."""

from __future__ import annotations

from connectors.sandbox.world_model import Draft, Extra, Person
from connectors.sandbox.world_names import DAY, iso, sf_id
from connectors.sandbox.world_people import enrol, prospect


def someone(draft: Draft, fate: str, n: int, *, audiences: tuple[int, ...] = (), status: str = "subscribed") -> Person:
    """A person at a company of his own, a member of just these audiences, mailable everywhere."""
    company = draft.company(draft.now - 450 * DAY)
    minutes = len(draft.people) * 37 % 700  # nobody comes in the same minute as another
    person = prospect(draft, company, fate, draft.now - (90 + n % 60) * DAY + minutes * 60)
    person.opted_out = person.bounced = False
    person.alt_email = None
    person.memberships = []
    if audiences:
        enrol(draft, person, audiences, status)
    return person


def i01(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    shown = {"Email": person.email.upper(), "FirstName": person.first[0] + ".", "HubSpot_Id__c": None}
    double = Extra("salesforce", "Contact", person, sf_id("003", 20_000_001 + person.number), shown, {})
    draft.extras.append(double)
    draft.plant("I-01", "two live Salesforce contacts with one e-mail, once in capitals", person, double)


def i01_decoy(draft: Draft, n: int) -> None:
    first = someone(draft, "lead", n)
    second = draft.person(first.company, first.created + DAY, email=f"service+labs{n}@{first.email.split('@')[1]}")
    first.email = f"service@{first.email.split('@')[1]}"
    second.lifecycle = [("subscriber", second.created)]
    second.lead_status = None
    draft.decoy("I-01", "a plus-tag that is another person's mailbox", first, second)
    gone = someone(draft, "lead", n)
    marks = {"archived": True, "archivedAt": iso(draft.now - 40 * DAY)}
    loser = Extra("hubspot", "contacts", gone, str(5_500_000_001 + gone.number), {"salesforceleadid": None}, marks)
    draft.extras.append(loser)
    draft.decoy("I-01", "the second contact with this e-mail is archived", gone, loser)
    both = someone(draft, "subscriber", n, audiences=(0, 1))
    draft.decoy("I-01", "one person in two audiences", both)


def s11(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    person.lifecycle = [step for step in person.lifecycle if step[0] != "salesqualifiedlead"]
    person.hs_lead_stage = None
    person.rung = "M40"
    draft.plant("S-11", "lead converted in Salesforce, still MQL in HubSpot", person)


def s11_decoy(draft: Draft, n: int) -> None:
    draft.decoy("S-11", "lead converted, just SQL in HubSpot", someone(draft, "sql", n))


def c01(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n, audiences=(n % 2,), status="unsubscribed")
    draft.plant("C-01", "unsubscribed in Mailchimp, marketable in HubSpot", person)


def c01_decoy(draft: Draft, n: int) -> None:
    both = someone(draft, "subscriber", n, audiences=(0,), status="unsubscribed")
    both.opted_out = True
    draft.decoy("C-01", "unsubscribed in Mailchimp and opted out in HubSpot", both)
    draft.decoy("C-01", "archived in Mailchimp is not unsubscribed", someone(draft, "subscriber", n, audiences=(0,), status="archived"))


def c03(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n, audiences=(n % 2,), status="cleaned")
    draft.plant("C-03", "hard bounce in Mailchimp, still mailed by HubSpot", person)


def c03_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n, audiences=(1,), status="cleaned")
    person.opted_out = person.bounced = True
    draft.decoy("C-03", "hard bounce in Mailchimp, suppressed in HubSpot", person)


CASES = (i01, i01_decoy, s11, s11_decoy, c01, c01_decoy, c03, c03_decoy)
