"""Planted discrepancies and near misses of what deals lack and of numbers that cannot be (D-04 D-07 D-08 D-10 D-12 to D-14 D-16 D-17)."""

from __future__ import annotations

from connectors.sandbox.world_deals import closing, opening
from connectors.sandbox.world_model import Deal, Draft
from connectors.sandbox.world_names import DAY, at_noon, iso_date
from connectors.sandbox.world_plants_deals import fix_amount, one


def d04(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.currency = "USD"
    draft.plant("D-04", "dollars in HubSpot, euros in Salesforce", deal)


def d04_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.currency = "USD"
    deal.in_salesforce = deal.synced = False
    draft.decoy("D-04", "dollars in HubSpot, which alone has this deal", deal)


def _pushed(draft: Draft, dates: tuple[int, ...]) -> Deal:
    """An open deal whose close date was moved through these days from now, the last one now its date."""
    deal = one(draft, opening(at=1, age_days=6))
    days = [at_noon(draft.now, day) for day in dates]
    since = [deal.created + i * (draft.now - 3 * DAY - deal.created) // len(days) for i in range(len(days))]
    deal.first_close, deal.pushes = None, list(zip(days, since, strict=True))
    deal.close_hs, deal.close_sf = days[-1], iso_date(days[-1])
    return deal


def d07(draft: Draft, n: int) -> None:
    draft.plant("D-07", "pushed to a later quarter four times", _pushed(draft, (-290, -200, -100, -10, 60)))


def d07_decoy(draft: Draft, n: int) -> None:
    draft.decoy("D-07", "pushed to a later quarter once, then pulled in", _pushed(draft, (-110, 200, 120, 60)))


def d08(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.undated, deal.in_salesforce, deal.synced = True, False, False
    draft.plant("D-08", "an open deal without a close date, in HubSpot only", deal)


def d08_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.undated = True
    draft.decoy("D-08", "no close date in HubSpot, but Salesforce has one", deal)


def d10(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2))
    deal.chance = (40, deal.path_sf[-1][1])
    draft.plant("D-10", "40 % since it entered a stage of 75 %", deal)


def d10_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=5))
    deal.chance = (40, deal.path_sf[-1][1] + 2 * DAY)
    draft.decoy("D-10", "a rep set 40 % two days after it entered the stage", deal)
    near = one(draft, opening(at=2))
    near.chance = (62, near.path_sf[-1][1])
    draft.decoy("D-10", "13 points from the stage's 75 %", near)


def _silent(draft: Draft, at: int, days: int) -> Deal:
    deal = one(draft, opening(at=at, age_days=days + 1))
    deal.active = draft.now - days * DAY
    return deal


def d12(draft: Draft, n: int) -> None:
    draft.plant("D-12", "qualifying, nothing happened for three weeks", _silent(draft, 1, 22 + n % 6))
    draft.plant("D-12", "closing, nothing happened for 16 days", _silent(draft, 3, 16))


def d12_decoy(draft: Draft, n: int) -> None:
    draft.decoy("D-12", "proposing, nothing happened for 18 days", _silent(draft, 2, 18))


def d13(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    deal.plans = (None, None)
    draft.plant("D-13", "nothing planned in either CRM", deal)
    late = one(draft, opening(at=1))
    late.plans = (None, draft.now - (2 + n % 5) * DAY)
    draft.plant("D-13", "what was planned is over", late)


def d13_decoy(draft: Draft, n: int) -> None:
    here = one(draft, opening(at=1))
    here.plans = (draft.now + 3 * DAY, None)
    draft.decoy("D-13", "planned in HubSpot only", here)
    there = one(draft, opening(at=1))
    there.plans = (None, draft.now + 3 * DAY)
    draft.decoy("D-13", "planned in Salesforce only", there)


def d14(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=15 + n % 50, at=2))
    deal.reasons = (None, None)
    draft.plant("D-14", "lost, and no system says why", deal)


def d14_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=15 + n % 50, at=2))
    deal.reasons = (None, "Price")
    draft.decoy("D-14", "lost; Salesforce says why", deal)


def d16(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    fix_amount(deal, 60_000_000, 60_000_000)
    draft.plant("D-16", "two noughts too many", deal)


def d16_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1))
    fix_amount(deal, 10_000_000, 10_000_000)
    draft.decoy("D-16", "the largest deal of the year, but not out of all proportion", deal)


def _with_items(draft: Draft, *shares: int) -> Deal:
    """A deal with a line item for each of these per mille of its amount."""
    deal = one(draft, opening(at=2))
    deal.items = tuple((deal.cents or 0) * share // 1000 for share in shares)
    return deal


def d17(draft: Draft, n: int) -> None:
    draft.plant("D-17", "the line items are ten per cent short", _with_items(draft, 600, 300))


def d17_decoy(draft: Draft, n: int) -> None:
    draft.decoy("D-17", "the line items are half a per cent short", _with_items(draft, 600, 395))
    draft.decoy("D-17", "a deal without line items", one(draft, opening(at=2)))
    yearly = _with_items(draft, 83)
    yearly.monthly = True
    draft.decoy("D-17", "the line item is paid every month, the amount is the year's", yearly)


CASES = (
    d04,
    d04_decoy,
    d07,
    d07_decoy,
    d08,
    d08_decoy,
    d10,
    d10_decoy,
    d12,
    d12_decoy,
    d13,
    d13_decoy,
    d14,
    d14_decoy,
    d16,
    d16_decoy,
    d17,
    d17_decoy,
)
