"""Planted discrepancies and near misses of identity and structure (I-02 I-03 I-05 I-07 I-08 I-09 I-11 I-12)."""

from __future__ import annotations

from connectors.sandbox.world_deals import closing, opening
from connectors.sandbox.world_model import Company, Draft, Extra, Person
from connectors.sandbox.world_names import DAY, FIRST, sf_id
from connectors.sandbox.world_plants_deals import one
from connectors.sandbox.world_plants_people import someone


def twin(draft: Draft, person: Person, email: str, *, company: Company | None = None, phone: str | None = None) -> Person:
    """A second entry of the person in HubSpot, made weeks later, that no id and no address ties to the first."""
    second = draft.person(company, person.created + 20 * DAY, email=email)
    second.first, second.last, second.same_as = person.first, person.last, person.key
    second.phone = number(person) if phone is None else phone
    second.lifecycle = [("subscriber", second.created)]
    return second


def number(person: Person) -> str:
    """The telephone HubSpot has of the person."""
    return person.phone or f"+31 20 {5_000_000 + person.number}"


def i02(draft: Draft, n: int) -> None:
    slip = someone(draft, "subscriber", n)
    local, domain = slip.email.split("@")
    again = twin(draft, slip, f"{local[:-1]}@{domain}", company=slip.company, phone=f"+31 30 {6_100_000 + n}")
    draft.plant("I-02", "a letter is missing in the address, another telephone", slip, again)
    private = someone(draft, "lead", n)
    digits = number(private).replace("+31 ", "0").replace(" ", "-")
    draft.plant(
        "I-02",
        "once at work, once by a private address",
        private,
        twin(draft, private, f"{private.first}@{private.last}-{n}.example".lower(), phone=digits),
    )
    moved = someone(draft, "subscriber", n)
    there = draft.company(moved.created)
    draft.plant(
        "I-02",
        "at a new employer, with the old telephone",
        moved,
        twin(draft, moved, f"{moved.first}.{moved.last}@{there.domain}".lower(), company=there),
    )
    short = someone(draft, "subscriber", n)
    initial = twin(draft, short, f"{short.first[0]}.{short.last}@{short.email.split('@')[1]}".lower(), company=short.company)
    initial.first = f"{short.first[0]}."
    draft.plant("I-02", "the first name is an initial", short, initial)


def i02_decoy(draft: Draft, n: int) -> None:
    first = someone(draft, "subscriber", n)
    local, domain = first.email.split("@")
    namesake = twin(draft, first, f"{local}2@{domain}", company=first.company, phone="")
    namesake.same_as = ""
    draft.decoy("I-02", "two of one name in one company, told apart by a number in the address", first, namesake)
    wife = someone(draft, "subscriber", n)
    other = FIRST[(FIRST.index(wife.first) + 7) % len(FIRST)]
    husband = twin(draft, wife, f"{other}.{wife.last}@{wife.email.split('@')[1]}".lower(), company=wife.company)
    husband.first, husband.same_as = other, ""
    draft.decoy("I-02", "a couple in one company with one telephone", wife, husband)
    here = someone(draft, "subscriber", n)
    there = draft.company(here.created)
    elsewhere = twin(draft, here, f"{here.first}.{here.last}@{there.domain}".lower(), company=there, phone="")
    elsewhere.same_as = ""
    draft.decoy("I-02", "one name at two companies, each with his own telephone", here, elsewhere)


def i03(draft: Draft, n: int) -> None:
    person = someone(draft, "lead", n)
    person.at_company = False
    draft.plant("I-03", "no company, though the company of his address is there", person)


def i03_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n)
    person.at_company, person.email = False, f"{person.first}.{person.last}@mail-{person.number}.example".lower()
    draft.decoy("I-03", "no company, and no company has the domain of his address", person)


def i05(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=20 + n % 40))
    deal.with_company = False
    draft.plant("I-05", "no company in either CRM; the only contact has one", deal)


def i05_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    draft.decoy("I-05", "the company has one deal and one person", deal)


def i07(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    loser = {"IsDeleted": True, "MasterRecordId": person.contact_id, "HubSpot_Id__c": None}
    old = Extra("salesforce", "Contact", person, sf_id("003", 30_000_001 + person.number), loser, {})
    draft.extras.append(old)
    person.stored_contact = old.id
    draft.plant("I-07", "HubSpot has stored a Salesforce contact that was merged away", person)
    deal = one(draft, opening(at=1, age_days=4))
    deal.deleted_in_salesforce = True
    draft.plant("I-07", "the opportunity was deleted, the deal in HubSpot still counts", deal)


def i07_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    loser = {"IsDeleted": True, "MasterRecordId": person.contact_id}
    draft.extras.append(Extra("salesforce", "Contact", person, sf_id("003", 40_000_001 + person.number), loser, {}))
    draft.decoy("I-07", "a contact was merged away, and HubSpot has stored the survivor", person)


def i08(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    again = Extra("salesforce", "Lead", person, sf_id("00Q", 50_000_001 + person.number), {"HubSpot_Id__c": None}, {})
    draft.extras.append(again)
    draft.plant("I-08", "a contact filled in the form again and is a new lead as well", person, again)


def i08_decoy(draft: Draft, n: int) -> None:
    draft.decoy("I-08", "the lead was converted into the contact", someone(draft, "sql", n))
    person = someone(draft, "lead", n)
    gone = Extra("salesforce", "Contact", person, sf_id("003", 50_000_001 + person.number), {"IsDeleted": True, "HubSpot_Id__c": None}, {})
    draft.extras.append(gone)
    draft.decoy("I-08", "the contact with the lead's address was deleted", person)


def i09(draft: Draft, n: int) -> None:
    original = someone(draft, "sql", n)
    copy = draft.person(original.company, original.created + 30 * DAY)
    copy.in_hubspot, copy.sf = False, "contact"
    copy.lifecycle = [("lead", copy.created)]
    copy.stored_hubspot = original.hs_id
    draft.plant("I-09", "a colleague's contact was copied and kept the id of the original in HubSpot", copy)


def i09_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    person.stored_contact = person.contact_id[:15]
    draft.decoy("I-09", "HubSpot has stored the Salesforce id in its short form", person)


def i11(draft: Draft, n: int) -> None:
    first, second = _sisters(draft, n)
    draft.plant("I-11", "two companies with one domain, side by side", first, second)


def i11_decoy(draft: Draft, n: int) -> None:
    first, second = _sisters(draft, n)
    second.parent = first
    draft.decoy("I-11", "a company and its daughter with one domain", first, second)


def _sisters(draft: Draft, n: int) -> tuple[Company, Company]:
    first, second = (draft.company(draft.now - (300 + n % 90 - 40 * i) * DAY) for i in range(2))
    second.name, second.domain = f"{first.name} Labs", first.domain if n % 2 else f"labs.{first.domain}"
    first.in_salesforce = second.in_salesforce = True
    return first, second


def i12(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1 + n % 3))
    deal.owner = deal.owner_sf = 5
    draft.plant("I-12", "an open deal of a rep who has left", deal)


def i12_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=20 + n % 50))
    deal.owner = deal.owner_sf = 5
    draft.decoy("I-12", "a lost deal of a rep who has left", deal)


CASES = (
    i02, i02_decoy, i03, i03_decoy, i05, i05_decoy, i07, i07_decoy, i08, i08_decoy, i09, i09_decoy, i11, i11_decoy, i12, i12_decoy,
)  # fmt: skip
