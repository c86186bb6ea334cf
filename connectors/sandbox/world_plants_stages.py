"""Planted discrepancies and near misses of stages and lifecycle (S-xx) and of ping-pong (T-05).

Where a plant cannot but raise a second rule, it is listed under both.
"""

from __future__ import annotations

from connectors.sandbox.world_deals import REP, SYNC, closing, mirrored, opening
from connectors.sandbox.world_model import Deal, Draft
from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_people import cell, settle
from connectors.sandbox.world_plants_deals import fix_amount, one


def _stay(deal: Deal, stage: str) -> None:
    """The people's lifecycle stays at the given stage, whatever the deals say."""
    for person in deal.people:
        names = [name for name, _ in person.lifecycle]
        person.lifecycle = person.lifecycle[: names.index(stage) + 1]
        settle(person)


def _rise(deal: Deal, at: int) -> None:
    """The people's lifecycle becomes customer, for whatever reason."""
    for person in deal.people:
        person.lifecycle = [step for step in person.lifecycle if step[0] not in ("customer", "evangelist")]
        person.lifecycle.append(("customer", at))
        settle(person)


def walk_to(deal: Deal, path: list[tuple[str, int]], stage: str, outcome: str = "open") -> None:
    """Give the deal another path, in both systems."""
    deal.path_hs, deal.path_sf = path, mirrored(path)
    deal.stage, deal.outcome = stage, outcome
    for person in deal.people:
        settle(person)


def s01(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=20 + n % 50, at=2))
    _rise(deal, deal.path_hs[-1][1] - 3 * DAY)
    for person in deal.people:
        person.rung = "M50"  # the truth: never bought
    draft.plant("S-01", "customer in HubSpot, the only deal is lost", *deal.people, deal)


def s01_decoy(draft: Draft, n: int) -> None:
    company = cell(draft, closing(won=True, days_ago=150), closing(won=False, days_ago=20, at=1))
    draft.decoy("S-01", "customer with one won and one lost deal", *company.people, *company.deals)


def s02(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=10 + n % 50))
    _stay(deal, "opportunity")
    draft.plant("S-02", "won deal, still opportunity in HubSpot", *deal.people, deal)


def s02_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=True, days_ago=260))
    _rise(deal, deal.path_hs[-1][1])
    for person in deal.people:
        person.lifecycle.append(("evangelist", person.lifecycle[-1][1] + 90 * DAY))
        settle(person)
    draft.decoy("S-02", "won deal, already evangelist", *deal.people, deal)


def s03(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1 + n % 3))
    for person in deal.people:  # a plain contact: as a converted lead he would raise S-11 as well
        person.sf, person.sf_status, person.converted_at, person.hs_lead_stage = "contact", [], 0, None
    _stay(deal, "lead")
    draft.plant("S-03", "open deal, still lead in HubSpot", *deal.people, deal)
    draft.plant("S-15", "the company is an opportunity, its only contact a lead", *deal.people, deal.company)


def s03_decoy(draft: Draft, n: int) -> None:
    company = cell(draft, closing(won=True, days_ago=160), opening(at=1))
    draft.decoy("S-03", "open deal of a customer: further than opportunity", *company.people, *company.deals)


def s05(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=5))
    deal.path_hs[1] = (deal.path_hs[1][0], draft.now - 9 * DAY)  # not so old that the mirror also looks stalled
    deal.path_sf = mirrored(deal.path_hs[:2])
    deal.disputed = True
    draft.plant("S-05", "HubSpot is a stage ahead of Salesforce for five days", deal)


def s05_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=6))
    deal.path_hs.append(("presentationscheduled", draft.now - 180))
    deal.stage, deal.disputed = "Proposing", True
    for person in deal.people:
        settle(person)
    draft.decoy("S-05", "moved three minutes ago: the mirror is still under way", deal)


def s06(draft: Draft, n: int) -> None:
    """One deal won here and lost there; one won here and still open there."""
    split = one(draft, closing(won=True, days_ago=12 + n % 30))
    split.path_sf[-1] = ("Closed Lost", split.path_sf[-1][1])
    split.disputed = True
    draft.plant("S-06", "won in HubSpot, lost in Salesforce", split)
    ahead = one(draft, opening(at=4, age_days=6, close_in_days=6))
    ahead.path_hs.append(("closedwon", draft.now - 3 * DAY))
    ahead.stage, ahead.outcome, ahead.event, ahead.disputed = "Won", "won", True, True
    _rise(ahead, draft.now - 3 * DAY)
    draft.plant("S-06", "won in HubSpot, open in Salesforce for three days", ahead)


def s06_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=3, age_days=5, close_in_days=6))
    deal.path_hs.append(("closedlost", draft.now - 3 * HOUR))
    deal.stage, deal.outcome, deal.disputed = "Lost", "lost", True
    for person in deal.people:
        settle(person)
    draft.decoy("S-06", "lost in HubSpot three hours ago, Salesforce has a day to follow", deal)


def s07(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=12))
    walk_to(deal, [*deal.path_hs, ("qualifiedtobuy", draft.now - 4 * DAY)], "Qualifying")
    draft.plant("S-07", "back from proposing to qualifying", deal)


def s07_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=1, age_days=25))
    path = [*deal.path_hs, ("closedlost", draft.now - 15 * DAY), ("presentationscheduled", draft.now - 4 * DAY)]
    walk_to(deal, path, "Proposing")
    draft.decoy("S-07", "lost, then opened again: no regression", deal)
    draft.plant("S-08", "lost and opened again within a quarter", deal)


def s09(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=5))
    walk_to(deal, [deal.path_hs[0], deal.path_hs[2]], "Proposing")
    if deal.amounts:
        fix_amount(deal, deal.cents or 0, deal.cents or 0)
    draft.plant("S-09", "from prospecting straight to proposing", deal)


def s09_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, closing(won=False, days_ago=30, at=1))
    draft.decoy("S-09", "lost out of qualifying: losing skips nothing", deal)
    fast = one(draft, opening(at=2, age_days=5))
    entered = fast.path_hs[2][1]
    walk_to(fast, [fast.path_hs[0], ("qualifiedtobuy", entered - 2 * HOUR), fast.path_hs[2]], "Proposing")
    draft.decoy("S-09", "two stages in one day, none skipped", fast)


def t05(draft: Draft, n: int) -> None:
    """One amount and one stage that two writers keep changing back."""
    deal = one(draft, opening(at=2, age_days=9))
    low, high, start = 1_000_000, 1_200_000, draft.now - 6 * DAY
    steps = [((high, low)[i % 2], start + i * 20 * HOUR, (SYNC, REP)[i % 2]) for i in range(5)]
    deal.amounts, deal.cents, deal.cents_sf = [(low, deal.created, REP), *steps], high, high
    draft.plant("T-05", "two writers change the amount back and forth", deal)
    stage = one(draft, opening(at=1, age_days=12))
    flips = [(("presentationscheduled", "qualifiedtobuy")[i % 2], start + i * 26 * HOUR) for i in range(5)]
    stage.path_sf.append(("Proposal/Price Quote", flips[-1][1] + 60))
    stage.path_hs += flips
    stage.writers, stage.stage = (REP, SYNC), "Proposing"
    for person in stage.people:
        settle(person)
    draft.plant("T-05", "two writers move the stage back and forth", stage)
    draft.plant("S-07", "each way back of the ping-pong is a regression", stage)


def t05_decoy(draft: Draft, n: int) -> None:
    deal = one(draft, opening(at=2, age_days=9))
    start = draft.now - 6 * DAY
    steps = [((1_200_000, 1_000_000)[i % 2], start + i * 20 * HOUR, REP) for i in range(5)]
    deal.amounts, deal.cents, deal.cents_sf = [(1_000_000, deal.created, REP), *steps], 1_200_000, 1_200_000
    draft.decoy("T-05", "one rep who cannot make up his mind: no second writer", deal)
    slow = one(draft, opening(at=2, age_days=28))
    wide = [((1_200_000, 1_000_000)[i % 2], draft.now - (26 - 5 * i) * DAY, (SYNC, REP)[i % 2]) for i in range(5)]
    slow.amounts, slow.cents, slow.cents_sf = [(1_000_000, slow.created, REP), *wide], 1_200_000, 1_200_000
    draft.decoy("T-05", "the same turns, but five days apart", slow)


CASES = (s01, s01_decoy, s02, s02_decoy, s03, s03_decoy, s05, s05_decoy, s06, s06_decoy, s07, s07_decoy, s09, s09_decoy, t05, t05_decoy)
