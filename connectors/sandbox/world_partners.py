"""The company's partner business, which lives in ActiveCampaign alone, and who else of its people that system knows.

The clean rules: a partner deal has a person and an account of its own there and no mirror anywhere; who may not be mailed in
another system is not active here.
"""

from __future__ import annotations

from connectors.sandbox.world_model import Company, Deal, Draft, Person
from connectors.sandbox.world_names import DAY, PRODUCT, at_noon, iso_date, sf_id
from connectors.sandbox.world_people import settle
from connectors.sandbox.world_plants_people import someone

SHARE = 3  # every third person of the clean world
PIPELINE = ("7003", "Partner deals")
STAGES = (
    ("7011", "Referred", "Prospecting"), ("7012", "In talks", "Qualifying"), ("7013", "Offer out", "Proposing"),
    ("7014", "Verbal yes", "Closing"),
)  # fmt: skip
ACTIVE, UNSUBSCRIBED, BOUNCED = 1, 2, 3


def join(draft: Draft) -> None:
    """Make a share of the people known in ActiveCampaign, with their companies, as mailable as they are elsewhere."""
    for person in draft.people:
        statuses = {m.status for m in person.memberships}
        if person.number % SHARE or "pending" in statuses:
            continue
        person.in_activecampaign, person.ac_listed = True, person.number % 11 != 3
        if person.bounced or "cleaned" in statuses:
            person.ac_status = BOUNCED
        elif person.opted_out or "unsubscribed" in statuses:
            person.ac_status = UNSUBSCRIBED
        if person.company:
            person.company.in_activecampaign = True


def partner_deal(draft: Draft, at: int, *, days: float, outcome: str = "open", people: int = 1) -> Deal:
    """A partner's deal that came as far as stage `at` (0 to 3); it entered it, or was won or lost, so many days ago."""
    last = draft.now - int(days * DAY)
    spell = (33 if len(draft.deals) % 3 == 0 else 9) * DAY  # as in the other pipelines: a third is long, so that P90 is above 26 days
    steps = [(STAGES[i][0], last - (at - i) * spell) for i in range(at + 1)]
    if outcome != "open":
        steps = [(stage, t - 6 * DAY) for stage, t in steps] + [(outcome, last)]
    company = draft.company(steps[0][1] - 40 * DAY)
    company.in_hubspot, company.in_activecampaign = False, True
    deal = _deal(draft, company, steps, STAGES[at][2] if outcome == "open" else outcome.title(), outcome)
    for _ in range(people):
        person = draft.person(company, steps[0][1] - 30 * DAY)
        person.in_hubspot, person.in_activecampaign, person.deals = False, True, company.deals
        settle(person)
    return deal


def _deal(draft: Draft, company: Company, steps: list[tuple[str, int]], stage: str, outcome: str) -> Deal:
    n = len(draft.deals)
    close = at_noon(draft.now, 20 + n % 40) if outcome == "open" else steps[-1][1]
    cents = (3_000 + 250 * (n % 90)) * 100
    deal = Deal(
        f"D{n + 1:04d}", n, company, company.people, f"{company.name} – {PRODUCT[n % 7]} through a partner", steps[0][1], company.owner,
        cents, list(steps), [], close, iso_date(close), stage, outcome, str(3_000_000_001 + n), sf_id("006", n + 1),
        in_hubspot=False, in_salesforce=False, path_ac=steps,
    )  # fmt: skip
    company.deals.append(deal)
    draft.deals.append(deal)
    return deal


def deals(draft: Draft, n: int) -> None:
    """Deals that nothing is wrong with, although each looks a little like it; no two of one minute, which would look like an import."""
    later = n % 97 / 1164  # of a day: up to two hours
    draft.decoy("I-06", "a partner deal that ActiveCampaign alone has, and nobody said otherwise", partner_deal(draft, 1, days=3 - later))
    draft.decoy("D-11", "26 days in one stage of the partner pipeline", partner_deal(draft, 0, days=26 - later))
    draft.decoy("D-06", "an open partner deal: no close date is kept there", partner_deal(draft, 2, days=5 + n % 10))
    draft.decoy("S-09", "lost out of the second stage: losing skips nothing", partner_deal(draft, 1, days=12 + n % 50, outcome="lost"))
    draft.decoy("E-01", "won through a partner, by a visitor nobody knows", partner_deal(draft, 3, days=15 + n % 50, outcome="won"))
    draft.decoy("S-07", "every stage in its order, up to the last", partner_deal(draft, 3, days=4 - later, people=2))


def known_there(person: Person, status: int) -> Person:
    """On an ActiveCampaign list with this status."""
    person.in_activecampaign, person.ac_status = True, status
    return person


def c01(draft: Draft, n: int) -> None:
    here = known_there(someone(draft, "subscriber", n), UNSUBSCRIBED)
    draft.plant("C-01", "unsubscribed in ActiveCampaign, marketable in HubSpot", here)
    there = known_there(someone(draft, "subscriber", n, audiences=(n % 2,), status="unsubscribed"), ACTIVE)
    there.opted_out = True
    draft.plant("C-01", "unsubscribed in Mailchimp, active in ActiveCampaign", there)


def c01_decoy(draft: Draft, n: int) -> None:
    person = known_there(someone(draft, "subscriber", n), UNSUBSCRIBED)
    person.opted_out = True
    draft.decoy("C-01", "unsubscribed in ActiveCampaign and opted out in HubSpot", person)


CASES = (deals, c01, c01_decoy)
