"""Planted discrepancies and near misses of how vendors are set up: stages, their order, chances and categories, and what
HubSpot's own sync writes (G-02 to G-07).
"""

from __future__ import annotations

from connectors.sandbox.world_deals import MIRROR_DELAY, NATIVE, REP, closing, opening
from connectors.sandbox.world_hubspot import FORMER, PROBABILITY, TRIAL
from connectors.sandbox.world_model import Deal, Draft, Shown
from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_partners import partner_deal
from connectors.sandbox.world_plants_deals import one
from connectors.sandbox.world_salesforce import EARLY, PARKED, STAGE_IDS


def _stage(name: str) -> Shown:
    return Shown("salesforce", "OpportunityStage", STAGE_IDS[name])


def g02(draft: Draft, n: int) -> None:
    draft.odd.add("G-02")
    stage = Shown("hubspot", "pipelines", "default:presentationscheduled")
    draft.plant("G-02", "a HubSpot stage that was renamed since it was mapped", stage, about=stage.id)


def g02_decoy(draft: Draft, n: int) -> None:
    draft.decoy("G-02", "the same label in capitals", Shown("hubspot", "pipelines", "default:contractsent"))


def g03(draft: Draft, n: int) -> None:
    draft.odd.add("G-03")
    deal = one(draft, closing(won=False, days_ago=5 + n % 20, at=1))
    deal.in_hubspot = deal.synced = False
    deal.path_sf[-1] = (PARKED[0], deal.path_hs[-1][1] + MIRROR_DELAY)
    draft.plant("G-03", "a Salesforce stage that is closed there and open in the mapping", deal, _stage(PARKED[0]), about=PARKED[0])


def g03_decoy(draft: Draft, n: int) -> None:
    deal = partner_deal(draft, 3, days=15 + n % 50, outcome="won")
    draft.decoy("G-03", "won out of an open stage: the deal's status says so, and the mapping asks it", deal)


def g04(draft: Draft, n: int) -> None:
    """The stages after it are less likely; the first of them is where it shows."""
    draft.odd.add("G-04")
    draft.plant("G-04", "10 % after a stage of 20 %", _stage("Prospecting"), about=EARLY[0])


def g04_decoy(draft: Draft, n: int) -> None:
    draft.decoy("G-04", "10 % after a stage of 10 %", _stage("Qualification"))
    draft.decoy("G-04", "nothing after 100 %: lost is no step on the way", _stage("Closed Lost"))


def g05(draft: Draft, n: int) -> None:
    draft.odd.add("G-05")
    draft.plant("G-05", "Closed Won is omitted from forecasts", _stage("Closed Won"), about="Closed Won")


def g05_decoy(draft: Draft, n: int) -> None:
    stages = [Shown("hubspot", "pipelines", f"default:{key}") for key in PROBABILITY]
    draft.decoy("G-05", "HubSpot's stages have no forecast category at all", *stages)
    draft.decoy(
        "G-05", "some open stages are in Pipeline, others in Best Case and Commit", _stage("Prospecting"), _stage("Negotiation/Review")
    )


def _corrected(deal: Deal, at: int, writers: tuple[str, str]) -> Deal:
    """Its amount was a fifth less until then; who set the two in Salesforce."""
    cents = deal.cents or 0
    deal.amounts = [(cents * 4 // 5 // 100 * 100, deal.path_hs[0][1], writers[0]), (cents, at, writers[1])]
    return deal


def g06(draft: Draft, n: int) -> None:
    draft.odd.add("G-06")
    deal = one(draft, opening(at=2, age_days=4))
    _corrected(deal, deal.path_hs[-1][1] + HOUR, (REP, NATIVE))
    draft.plant("G-06", "HubSpot's own sync carried the amount into Salesforce, and the hub writes it into HubSpot", deal, about="amount")


def g06_decoy(draft: Draft, n: int) -> None:
    draft.odd.add("G-06")
    born = one(draft, opening(at=2, age_days=4))
    _corrected(born, born.path_hs[-1][1] + HOUR, (NATIVE, REP))
    draft.decoy("G-06", "created by the sync, and changed by a rep", born)
    past = one(draft, closing(won=True, days_ago=120 + n % 40))
    draft.decoy("G-06", "changed by the sync, months ago", _corrected(past, past.path_hs[-1][1] - DAY, (REP, NATIVE)))


def _life_cycle(draft: Draft, value: str) -> Shown:
    """A stage of HubSpot's life cycle, which is then there."""
    draft.odd.add(value)
    return Shown("hubspot", "life_cycle", f"lifecyclestage:{value}")


def g07(draft: Draft, n: int) -> None:
    draft.plant("G-07", "a life cycle stage of the portal's own, in no table", _life_cycle(draft, TRIAL[0]), about=TRIAL[0])


def g07_decoy(draft: Draft, n: int) -> None:
    draft.decoy("G-07", "a stage of the portal's own that is hidden again", _life_cycle(draft, FORMER[0]))


CASES = (g02, g02_decoy, g03, g03_decoy, g04, g04_decoy, g05, g05_decoy, g06, g06_decoy, g07, g07_decoy)
