"""Planted discrepancies and near misses of dates (T-01 T-02 T-03 T-04)."""

from __future__ import annotations

from connectors.sandbox.world_deals import closing, opening
from connectors.sandbox.world_model import Company, Draft, Person, Signal
from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_people import cell
from connectors.sandbox.world_plants_deals import one
from connectors.sandbox.world_plants_people import someone

CROWD = 12  # records of one mass update


def t02(draft: Draft, n: int) -> None:
    person = someone(draft, "lead", n)
    draft.signals.append(Signal(person, "generate_lead", draft.now + (1 + n % 9) * DAY, {"value": "0", "currency": "EUR"}))
    draft.plant("T-02", "the site's server stamped a lead with a day to come", person)


def t02_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "lead", n)
    draft.signals.append(Signal(person, "generate_lead", draft.now + 120, {"value": "0", "currency": "EUR"}))
    draft.decoy("T-02", "two minutes ahead: clocks differ by so much", person)


def _worked(draft: Draft, n: int, before: int) -> Person:
    """Worked in Salesforce so long before HubSpot made an MQL of him."""
    person = someone(draft, "sal", n)
    qualified = person.lifecycle[-1][1]
    person.sf_status = [("Open - Not Contacted", qualified - before - HOUR), ("Working - Contacted", qualified - before)]
    return person


def t03(draft: Draft, n: int) -> None:
    draft.plant("T-03", "sales worked the lead a week before marketing qualified it", _worked(draft, n, 7 * DAY))


def t03_decoy(draft: Draft, n: int) -> None:
    draft.decoy("T-03", "worked some hours before it was qualified", _worked(draft, n, 20 * HOUR))


def _advocates(draft: Draft, n: int, at: list[int]) -> Company:
    """A customer's people who all became advocates, at the given times."""
    company = cell(draft, closing(won=True, days_ago=190 + n % 30), people=len(at))
    for person, when in zip(company.people, at, strict=True):
        person.lifecycle = [*(step for step in person.lifecycle if step[0] != "evangelist"), ("evangelist", when)]
        person.rung = "M95"
    return company


def t04(draft: Draft, n: int) -> None:
    moment = draft.now - 70 * DAY
    company = _advocates(draft, n, [moment + i % 40 for i in range(CROWD)])
    draft.plant("T-04", "a mass update made advocates of them within a minute", *company.people, about="evangelist")


def t04_decoy(draft: Draft, n: int) -> None:
    start = draft.now - (80 + n % 30) * DAY
    company = _advocates(draft, n, [start + i * HOUR for i in range(3)])
    draft.decoy("T-04", "advocates one after another", *company.people)


def t01(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=12))
    deal.unseen = ("Proposal/Price Quote", draft.now - (1 + n % 5) * DAY)
    draft.plant("T-01", "moved on in Salesforce's history; its row came under an old stamp", deal)


def t01_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=1))
    draft.decoy("T-01", "moved yesterday, and its row says so", deal)


CASES = (t01, t01_decoy, t02, t02_decoy, t03, t03_decoy, t04, t04_decoy)
