"""The world as it lies in a folder: what a trade fair, a partner, an agency, a survey and the web analytics exported.

The fair's visitors and the partner's deals are ones the CRMs know, by e-mail and by deal id.
"""

from __future__ import annotations

from typing import Any

from connectors.sandbox.world_ga4 import bigquery_events
from connectors.sandbox.world_model import Deal, Draft, Person, job_title
from connectors.sandbox.world_names import DAY, HOUR, SOURCE, at_noon, iso

FAIR_DAYS_AGO = 40  # the second of its two days
WEB_DAYS = 330  # so far back go the exported events
MONTHS = 4
SPENT = (("sensors-brand-eu", "Paid Search", 1_840_50), ("uptime-stories", "Social", 735_00), ("hall-4", "Trade Show", 12_400_00))
STATUS = {  # true stage → the partner's word
    "Prospecting": "Registered", "Qualifying": "Qualified", "Proposing": "Quoted", "Closing": "Negotiation", "Won": "Won", "Lost": "Lost",
}  # fmt: skip


def seed(draft: Draft) -> dict[str, Any]:
    """The rows of every export; marks who was at the fair and which deals the partner registered."""
    fair = at_noon(draft.now, -FAIR_DAYS_AGO)
    since = draft.now - WEB_DAYS * DAY
    return {
        "now": draft.now,
        "leads": [_lead(draft, p, fair) for p in _visitors(draft, fair)],
        "deals": [_deal(d) for d in _registered(draft)],
        "costs": [_cost(draft, month, *spent) for month in range(MONTHS, 0, -1) for spent in SPENT],
        "answers": [_answer(draft, p) for p in draft.people if p.in_hubspot and p.number % 7 == 2],
        "events": [row for row in bigquery_events(draft) if row["event_timestamp"] >= since * 1_000_000],
    }


def _planted(draft: Draft) -> set[str]:
    return {thing.key for mark in (*draft.planted, *draft.decoys) for thing in mark.things if isinstance(thing, Person | Deal)}


def _visitors(draft: Draft, fair: int) -> list[Person]:
    """Every fourth person whom the CRM knew before the fair."""
    planted = _planted(draft)
    known = [p for p in draft.people if p.in_hubspot and p.company and p.created < fair - 2 * DAY and p.key not in planted]
    return [p for p in known if p.number % 4 == 3] or known[:2]


def _lead(draft: Draft, person: Person, fair: int) -> dict[str, Any]:
    n = person.number
    person.badge = f"F26-{n + 1:05d}"
    scanned = fair - (n % 2) * DAY - 3 * HOUR + (n % 300) * 60
    return {
        "badge": person.badge,
        "day": 2 - n % 2,
        "first": person.first,
        "last": person.last,
        "email": person.email,
        "company": person.company.name if person.company else "",
        "title": job_title(person),
        "phone": f"+31 30 {n % 900 + 100} {n % 90 + 10}",
        "scanned": iso(scanned),
        "budget": (5 + n % 40) * 1_250_50,
        "note": ("Wants a demo", "Compares with the old gauges;\nasks for the data sheet", "", "Prüfstand gezeigt – Rückruf")[n % 4],
        "newsletter": n % 3 == 0 and not person.opted_out,
    }


def _registered(draft: Draft) -> list[Deal]:
    """Some deals that both CRMs agree about."""
    planted = _planted(draft)
    sound = [
        d for d in draft.deals
        if d.in_hubspot and d.in_salesforce and d.cents and d.cents == d.cents_sf and not d.disputed
        and d.key not in planted and not planted & {p.key for p in d.people}
    ]  # fmt: skip
    return [d for d in sound if d.number % 5 == 1] or sound[:1]


def _deal(deal: Deal) -> dict[str, Any]:
    deal.registration = f"REG-{deal.number + 1:06d}"
    return {
        "registration": deal.registration,
        "crm_id": deal.hs_id,
        "name": deal.name,
        "cents": deal.cents,
        "status": STATUS[deal.stage],
        "close": deal.close_sf,
        "registered": iso(deal.created + DAY)[:10],
        "margin": 0.12 + deal.number % 4 / 100,
    }


def _cost(draft: Draft, back: int, campaign: str, channel: str, cents: int) -> dict[str, Any]:
    month = iso(draft.now - back * 30 * DAY)[:7]
    spent = cents + back * 113_07
    return {"month": f"{month}-01", "campaign": campaign, "channel": channel, "cents": spent, "clicks": spent // 190}


def _answer(draft: Draft, person: Person) -> dict[str, Any]:
    asked = max(person.created + DAY, draft.now - (20 + person.number % 30) * DAY)
    return {
        "answer": f"A{person.number + 1:06d}",
        "email": person.email,
        "answered": iso(min(asked, draft.now - HOUR)),
        "nps": (person.number * 7) % 11,
        "heard_of_us": SOURCE[person.source][1],
        "comment": ("", "Good sensors, slow delivery.", "The app could be faster.")[person.number % 3],
    }
