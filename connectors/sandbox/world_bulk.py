"""A light HubSpot seed for benchmarks: only contacts, each with 30 filled text properties, a few microseconds apiece."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from connectors.sandbox.world_names import CITY, DAY, FIRST, INDUSTRY, LAST, SOURCE, TITLE, epoch, iso, owners

STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer")


@contextmanager
def no_collector() -> Iterator[None]:
    """Python's cyclic collector off for a while: it walks the millions of live rows of a large world again and again, in vain."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def contacts_only(size: int, seed: int, now: str = "2026-06-30T00:00:00Z") -> dict[str, Any]:
    """A seed of the HubSpot emulator with `size` contacts and nothing that belongs to them.

    Values that repeat are shared strings: a million contacts take about 2 GB.
    """
    rng = Random(seed)
    end = epoch(now)
    rand = rng.random
    reps = [o.hubspot for o in owners()]
    with no_collector():
        contacts = [_contact(i, end - 3 * DAY - int(rand() * 700 * DAY), int(rand() * 1_000_000_007), reps) for i in range(size)]
    people = [
        {"id": o.hubspot, "email": o.email, "firstName": o.first, "lastName": o.last, "userId": o.hubspot_user, "archived": not o.active}
        for o in owners()
    ]
    return {
        "owners": people,
        "pipelines": {"deals": [], "leads": []},
        "properties": {"contacts": [], "companies": [], "deals": [], "leads": []},
        "objects": {"contacts": contacts, "companies": [], "deals": [], "leads": []},
        "associations": [],
        "events": [],
    }


def _contact(i: int, created: int, dice: int, reps: list[str]) -> dict[str, Any]:
    first, last = FIRST[dice % len(FIRST)], LAST[dice // 89 % len(LAST)]
    city, country = CITY[dice % 6]
    key, number = str(1_000_001 + i), str(dice)
    made, changed = iso(created), iso(created + dice % (2 * DAY))
    company = f"plant-{dice % 20_011}.example"
    properties = {
        "email": f"{first}.{last}.{i}@{company}".lower(),
        "firstname": first,
        "lastname": last,
        "phone": f"+3120{i:07d}",
        "mobilephone": f"+316{i:08d}",
        "company": company,
        "jobtitle": TITLE[dice % 7],
        "address": f"Weaver Street {dice % 300}",
        "city": city,
        "state": "North",
        "zip": f"{1000 + dice % 9000}",
        "country": country,
        "website": company,
        "industry": INDUSTRY[dice % 6],
        "lifecyclestage": STAGES[dice % 6],
        "hs_lead_status": "OPEN",
        "hubspot_owner_id": reps[dice % 5],
        "hs_analytics_source": SOURCE[dice % 7][0],
        "hs_analytics_source_data_1": "spring campaign",
        "hs_latest_source": SOURCE[dice // 7 % 7][0],
        "hs_email_optout": "false",
        "hs_marketable_status": "true",
        "num_conversion_events": str(dice % 9),
        "hubspotscore": str(dice % 100),
        "annualrevenue": number,
        "numemployees": str(dice % 1000),
        "ga_client_id": f"{number}.{created}",
        "createdate": made,
        "lastmodifieddate": changed,
        "hs_object_id": key,
    }
    return {"id": key, "properties": properties, "createdAt": made, "updatedAt": changed, "archived": False}
