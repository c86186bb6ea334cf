"""Planted discrepancies and near misses of lifecycles and of moves taken back (S-04 S-08 S-10 S-12 S-13 S-14 S-15)."""

from __future__ import annotations

from connectors.sandbox.world_deals import closing, opening
from connectors.sandbox.world_model import Draft, Person
from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_people import cell
from connectors.sandbox.world_plants_deals import one
from connectors.sandbox.world_plants_people import someone
from connectors.sandbox.world_plants_stages import walk_to


def _forget(people: list[Person]) -> None:
    for person in people:
        person.forgotten = True


def s04(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=45 + n % 60, at=1))
    _forget(deal.people)
    draft.plant("S-04", "opportunity in HubSpot, the only deal lost for weeks, lead status still connected", *deal.people)


def s04_decoy(draft: Draft, n: int) -> None:
    recent = one(draft, closing(won=False, days_ago=20, at=1))
    _forget(recent.people)
    draft.decoy("S-04", "lost, but less than 30 days ago", recent, *recent.people)
    parked = one(draft, closing(won=False, days_ago=60, at=2))
    draft.decoy("S-04", "lost long ago, and the lead status says so", parked, *parked.people)


def s08(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=110))
    walk_to(deal, [*deal.path_hs, ("closedlost", draft.now - 100 * DAY), ("presentationscheduled", draft.now - 4 * DAY)], "Proposing")
    draft.plant("S-08", "lost in the quarter before, open again", deal)


def s08_decoy(draft: Draft, n: int) -> None:
    """Closing by mistake is a stage that bounced: planted as such."""
    deal = one(draft, opening(at=1, age_days=9))
    walk_to(deal, [*deal.path_hs, ("closedlost", draft.now - 6 * DAY), ("qualifiedtobuy", draft.now - 6 * DAY + 2 * HOUR)], "Qualifying")
    draft.decoy("S-08", "closed by mistake and opened again two hours later", deal)
    draft.plant("S-10", "closed by mistake and opened again two hours later", deal)


def s10(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=10))
    entered = draft.now - 5 * DAY
    walk_to(deal, [*deal.path_hs, ("presentationscheduled", entered), ("qualifiedtobuy", entered + 3 * HOUR)], "Qualifying")
    draft.plant("S-10", "proposing for three hours, then back", deal)


def s10_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=10))
    entered = draft.now - 5 * DAY
    walk_to(deal, [*deal.path_hs, ("presentationscheduled", entered), ("decisionmakerboughtin", entered + 3 * HOUR)], "Closing")
    draft.decoy("S-10", "proposing for three hours, then on", deal)


def _dropped(draft: Draft, n: int, days_ago: int) -> Person:
    """Worked in HubSpot, given up in Salesforce."""
    person = someone(draft, "sal", n)
    person.sf_status.append(("Closed - Not Converted", draft.now - days_ago * DAY))
    return person


def s12(draft: Draft, n: int) -> None:
    person = _dropped(draft, n, 6 + n % 20)
    draft.plant("S-12", "disqualified in Salesforce, still being worked in HubSpot", person)


def s12_decoy(draft: Draft, n: int) -> None:
    draft.decoy("S-12", "disqualified in Salesforce fifty days ago", _dropped(draft, n, 50))
    draft.decoy("S-12", "disqualified in Salesforce, never more than a lead in HubSpot", someone(draft, "disqualified", n))


def s13(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=400))
    deal.ends = draft.now - (20 + n % 40) * DAY
    draft.plant("S-13", "what was sold ended weeks ago and nothing was renewed; still a customer", *deal.people, deal, deal.company)


def s13_decoy(draft: Draft, n: int) -> None:
    company = cell(draft, closing(won=True, days_ago=420), closing(won=True, days_ago=40))
    old, new = company.deals
    old.ends, new.ends = draft.now - 50 * DAY, draft.now + 315 * DAY
    draft.decoy("S-13", "ended, but renewed", *company.people, *company.deals, company)
    running = one(draft, closing(won=True, days_ago=350))
    running.ends = draft.now + 15 * DAY
    draft.decoy("S-13", "ends in two weeks", *running.people, running, running.company)


def s14(draft: Draft, n: int) -> None:
    person = someone(draft, "mql", n)
    person.blank = True
    draft.plant("S-14", "no lifecycle in HubSpot, a lead in Salesforce", person)


def s14_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "subscriber", n)
    person.blank, person.client_id = True, None
    draft.decoy("S-14", "no lifecycle, and nobody knows anything of him", person)


def s15(draft: Draft, n: int) -> None:
    person = someone(draft, "sql", n)
    assert person.company
    person.company.lifecycle = "lead"
    draft.plant("S-15", "the contact is SQL, his company a lead", person, person.company)


def s15_decoy(draft: Draft, n: int) -> None:
    person = someone(draft, "mql", n)
    assert person.company
    person.company.lifecycle = "lead"
    draft.decoy("S-15", "the contact is one step further than his company", person, person.company)


CASES = (s04, s04_decoy, s08, s08_decoy, s10, s10_decoy, s12, s12_decoy, s13, s13_decoy, s14, s14_decoy, s15, s15_decoy)
