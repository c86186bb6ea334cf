"""Deals of the sandbox's company and how they walk through both pipelines, every stage in its order.

The clean rules: the Salesforce mirror follows a minute after HubSpot; open deals entered their stage a few days ago and
close in the future; every third spell of a finished stage is long (33 to 40 days), so that P90 of a stage is above 33 days.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from connectors.sandbox.world_model import Company, Deal, Draft
from connectors.sandbox.world_names import DAY, HOUR, PRODUCT, PURPOSE, at_noon, iso_date, sf_id

if TYPE_CHECKING:
    from connectors.sandbox.world_model import Person

HS_OPEN = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin", "contractsent")
SF_OPEN = ("Prospecting", "Qualification", "Proposal/Price Quote", "Negotiation/Review")
SF_OF = (0, 1, 2, 3, 3)  # which Salesforce stage mirrors each HubSpot stage
STAGE_OF = ("Prospecting", "Qualifying", "Proposing", "Closing", "Closing")
RUNG_OF = {"Prospecting": "M50", "Qualifying": "M50", "Proposing": "M60", "Closing": "M70", "Won": "M80"}
MIRROR_DELAY = 60
REP, SYNC = "userId:41001", "salesforce-sync"
NATIVE = "hubspot-sync"  # carries a rep's change into Salesforce, as a user of its own there
Plan = Callable[[Draft, Company], Deal]


def spell(draft: Draft) -> int:
    """Seconds a deal stays in a stage it has left."""
    draft.spells += 1
    days = 33 + 7 * draft.rng.random() if draft.spells % 3 == 0 else 5 + 15 * draft.rng.random()
    return int(days * DAY)


def walk(draft: Draft, at: int, entered: int) -> list[tuple[str, int]]:
    """The HubSpot stages 0 to `at`, the last entered at the given time."""
    path = [(HS_OPEN[at], entered)]
    for i in range(at - 1, -1, -1):
        # the two closing stages are one in Salesforce: keep the first short, so that no open mirror looks stalled
        entered -= int((3 + 5 * draft.rng.random()) * DAY) if i == 3 else spell(draft)
        path.append((HS_OPEN[i], entered))
    path.reverse()
    return path


def mirrored(path: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The Salesforce stages that follow a HubSpot path."""
    followed: list[tuple[str, int]] = []
    for stage, entered in path:
        name = {"closedwon": "Closed Won", "closedlost": "Closed Lost"}.get(stage) or SF_OPEN[SF_OF[HS_OPEN.index(stage)]]
        if not followed or followed[-1][0] != name:
            followed.append((name, entered + MIRROR_DELAY))
    return followed


def _deal(draft: Draft, company: Company, path: list[tuple[str, int]], close: int, stage: str, outcome: str) -> Deal:
    n = len(draft.deals)
    rng = draft.rng
    cents = min(60_000, max(2_500, int(rng.lognormvariate(9.4, 0.6)) // 50 * 50)) * 100
    name = f"{company.name} – {PRODUCT[n % 7]} {PURPOSE[(n // 7 + n) % 6]}"
    deal = Deal(
        f"D{n + 1:04d}", n, company, company.people, name, path[0][1], company.owner, cents, path, mirrored(path), close, iso_date(close),
        stage, outcome, str(3_000_000_001 + n), sf_id("006", n + 1), cents_sf=cents, owner_sf=company.owner,
    )  # fmt: skip
    if company.deals:
        deal.kind = "existingbusiness"
    if len(path) > 1 and n % 4 == 1:
        deal.amounts = [(cents * 4 // 5 // 100 * 100, path[0][1], REP), (cents, path[1][1] + HOUR, REP)]
    company.deals.append(deal)
    draft.deals.append(deal)
    return deal


def open_deal(draft: Draft, company: Company, *, at: int = 2, age_days: float | None = None, close_in_days: int | None = None) -> Deal:
    """An open deal in the HubSpot stage `at` (0 to 4) since so many days, both mirrors alike."""
    rng = draft.rng
    age = 1.5 + 4.5 * rng.random() if age_days is None else age_days
    path = walk(draft, at, draft.now - int(age * DAY))
    close = at_noon(draft.now, 5 + int(75 * rng.random()) if close_in_days is None else close_in_days)
    deal = _deal(draft, company, path, close, STAGE_OF[at], "open")
    if deal.number % 5 == 2 and len(path) > 1:
        deal.first_close = at_noon(path[1][1], 10)
    return deal


def closed_deal(draft: Draft, company: Company, *, won: bool, days_ago: float, at: int = 4) -> Deal:
    """A deal won or lost so many days ago from the HubSpot stage `at`, both mirrors alike; won ones have their event."""
    closed = draft.now - int(days_ago * DAY)
    closed -= max(0, closed % DAY - 22 * HOUR)  # before the evening: the mirror closes a minute later and on the same date
    path = [*_finished(draft, at, closed), ("closedwon" if won else "closedlost", closed)]
    deal = _deal(draft, company, path, closed, "Won" if won else "Lost", "won" if won else "lost")
    deal.event = won
    if deal.number % 10 == 3:
        deal.owner = deal.owner_sf = 5
    return deal


def _finished(draft: Draft, at: int, closed: int) -> list[tuple[str, int]]:
    path = []
    for i in range(at, -1, -1):
        closed -= spell(draft)
        path.append((HS_OPEN[i], closed))
    path.reverse()
    return path


def opening(**how: float | int) -> Plan:
    """A plan for `people.cell`: an open deal."""
    return lambda draft, company: open_deal(draft, company, **how)  # type: ignore[arg-type]


def closing(**how: float | int | bool) -> Plan:
    """A plan for `people.cell`: a closed deal."""
    return lambda draft, company: closed_deal(draft, company, **how)  # type: ignore[arg-type]


def rung_of(person: Person) -> str:
    """The furthest milestone the person's open and won deals give, "" if none."""
    return max((RUNG_OF[d.stage] for d in person.deals if d.outcome != "lost" and d.stage in RUNG_OF), default="")
