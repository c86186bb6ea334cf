"""Planted discrepancies and near misses of deal structure and deal fields (I-04 I-06 I-10, D-xx, E-01, G-01).

Each case has a company, a person and a deal of its own, clean except for the one thing that is spoilt.
"""

from __future__ import annotations

from datetime import date, timedelta

from connectors.sandbox.world_deals import Plan, closing, opening
from connectors.sandbox.world_hubspot import PARTNER_PIPELINE, PARTNER_STAGE
from connectors.sandbox.world_model import Deal, Draft
from connectors.sandbox.world_names import HOUR, at_noon, iso_date
from connectors.sandbox.world_people import cell, settle


def one(draft: Draft, plan: Plan) -> Deal:
    """The deal of a new company with one person."""
    return cell(draft, plan).deals[0]


def later(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def fix_amount(deal: Deal, cents: int, cents_sf: int) -> None:
    """Set the amounts in both systems and forget that they ever were different."""
    deal.cents, deal.cents_sf, deal.amounts = cents, cents_sf, []


def i04(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1 + n % 3))
    _detach(deal)
    draft.plant("I-04", "open deal without contact and without contact role", deal)


def i04_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=20 + n % 50, at=2))
    _detach(deal)
    draft.decoy("I-04", "no contact, but the deal is lost", deal)


def _detach(deal: Deal) -> None:
    deal.with_people = False
    for person in deal.people:
        person.deals = []
        settle(person)


def i06(draft: Draft, n: int) -> None:
    """One deal that only HubSpot has and one that only Salesforce has."""
    here = one(draft, opening(at=1, age_days=4))
    here.in_salesforce = False
    draft.plant("I-06", "flagged to sync, in HubSpot only", here)
    there = one(draft, opening(at=2, age_days=4))
    there.in_hubspot = False
    draft.plant("I-06", "flagged to sync, in Salesforce only", there)


def i06_decoy(draft: Draft, n: int) -> None:
    fresh = one(draft, opening(at=0, age_days=0.25))
    fresh.in_salesforce = False
    draft.decoy("I-06", "made six hours ago: the mirror is not due before a day has passed", fresh)


def i10(draft: Draft, n: int) -> None:
    first, second = _twins(draft, apart_days=3)
    draft.plant("I-10", "same company, name, amount and week, both open", first, second)


def i10_decoy(draft: Draft, n: int) -> None:
    first, second = _twins(draft, apart_days=25)
    draft.decoy("I-10", "same name and amount, made 25 days apart: two phases", first, second)


def _twins(draft: Draft, *, apart_days: int) -> tuple[Deal, Deal]:
    """Two open deals in the first stage, alike but for the dash in the name and ten euros."""
    company = cell(draft, opening(at=0, age_days=27, close_in_days=40), opening(at=0, age_days=27 - apart_days, close_in_days=40))
    first, second = company.deals
    second.name, second.kind = first.name.replace("–", "-"), first.kind
    cents = first.cents or 0
    fix_amount(second, cents + 1_000, cents + 1_000)
    return first, second


def d01(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2))
    fix_amount(deal, 1_800_000, 2_000_000 + 10_000 * (n % 90))
    draft.plant("D-01", "open deal, amounts 10 % or more apart", deal)


def d01_decoy(draft: Draft, n: int) -> None:
    near = one(draft, opening(at=2))
    fix_amount(near, 1_800_000, 1_809_000)
    draft.decoy("D-01", "amounts half a per cent apart", near)
    small = one(draft, opening(at=1))
    fix_amount(small, 4_000, 4_090)
    draft.decoy("D-01", "amounts 2 % apart, but less than one euro", small)


def d02(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=30 + n % 60))
    fix_amount(deal, 2_400_000, 2_150_000)
    draft.plant("D-02", "won deal, amounts 10 % apart", deal)


def d02_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=30 + n % 60))
    fix_amount(deal, 2_400_000, 2_388_000)
    draft.decoy("D-02", "won deal, amounts half a per cent apart", deal)


def d03(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2 + n % 3))
    deal.cents = deal.cents_sf = 0 if n % 2 else None
    deal.amounts = []
    draft.plant("D-03", "proposing or closing without an amount", deal)


def d03_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.cents = deal.cents_sf = None
    deal.amounts = []
    draft.decoy("D-03", "no amount, but only qualifying", deal)


def d05(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, close_in_days=20))
    deal.close_sf = later(deal.close_sf, 15)
    draft.plant("D-05", "close dates 15 days apart", deal)


def d05_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, close_in_days=20))
    deal.close_hs += 10 * HOUR + 30 * 60  # 22:30 UTC: the next day where the rep is
    deal.close_sf = later(deal.close_sf, 1)
    draft.decoy("D-05", "one day apart, because HubSpot's is a timestamp late in the evening", deal)


def d06(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, close_in_days=-(4 + n % 8)))
    draft.plant("D-06", "open past its close date", deal)


def d06_decoy(draft: Draft, n: int) -> None:
    draft.decoy("D-06", "closes tomorrow", one(draft, opening(at=3, close_in_days=1)))


def d09(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1 + n % 3))
    deal.owner_sf = (deal.owner + 1) % 5
    draft.plant("D-09", "another owner in Salesforce", deal)


def d09_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.owner = deal.owner_sf = 2
    draft.decoy("D-09", "the owner's e-mail is in capitals in Salesforce", deal)


def d11(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=75 + n % 10, close_in_days=40))
    draft.plant("D-11", "75 days or more in one stage", deal)


def d11_decoy(draft: Draft, n: int) -> None:
    draft.decoy("D-11", "26 days in one stage", one(draft, opening(at=1, age_days=26, close_in_days=40)))


def d15(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=25 + n % 40, at=1))
    deal.close_hs = at_noon(deal.created, -10)
    deal.close_sf = iso_date(deal.close_hs)
    draft.plant("D-15", "closed ten days before it was made", deal)


def d15_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=25, at=0))
    morning = at_noon(deal.path_hs[-1][1], 0) - 4 * HOUR
    deal.path_hs = [(deal.path_hs[0][0], morning), ("closedlost", morning + 5 * HOUR)]
    deal.path_sf = [("Prospecting", morning + 60), ("Closed Lost", morning + 5 * HOUR + 60)]
    deal.created, deal.close_hs, deal.close_sf, deal.amounts = morning, morning + 5 * HOUR, iso_date(morning), []
    draft.decoy("D-15", "made and lost on one day", deal)


def e01(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=15 + n % 60))
    deal.event = False
    draft.plant("E-01", "won, the web visitor is known, no conversion event", deal, *deal.people)


def e01_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=15))
    deal.event = False
    for person in deal.people:
        person.client_id = None
    draft.decoy("E-01", "no conversion event, but nobody knows the visitor either", deal)


def g01(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=0, age_days=5 + n % 97 / 97))  # never many in one minute: that would be a bulk stamp
    deal.pipeline = PARTNER_PIPELINE
    deal.path_hs = [(PARTNER_STAGE, deal.created)]
    draft.plant("G-01", "HubSpot stage that no table maps", deal, about=PARTNER_STAGE)


def g01_decoy(draft: Draft, n: int) -> None:
    draft.decoy("G-01", "the stage was renamed; its id is still mapped", one(draft, opening(at=2)), may_fire=("G-02",))


CASES = (
    i04, i04_decoy, i06, i06_decoy, i10, i10_decoy, d01, d01_decoy, d02, d02_decoy, d03, d03_decoy, d05, d05_decoy, d06, d06_decoy,
    d09, d09_decoy, d11, d11_decoy, d15, d15_decoy, e01, e01_decoy, g01, g01_decoy,
)  # fmt: skip
