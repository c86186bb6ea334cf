"""The sandbox's company, "Lumen & Loom", a maker of industrial sensors, as its vendors see it, and the truth behind it.

A world is made from a size, a seed and an instant, always the same from the same three. It knows nothing of the emulators
that serve it nor of the rules that look for what was planted. `world_<vendor>.seed` is what one vendor sees of it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from connectors import sandbox
from connectors.sandbox import (
    world_partners,
    world_people,
    world_plants_deals,
    world_plants_lifecycles,
    world_plants_numbers,
    world_plants_people,
    world_plants_stages,
    world_web,
)
from connectors.sandbox.world_bulk import contacts_only, no_collector
from connectors.sandbox.world_model import Deal, Draft, Extra, Person
from connectors.sandbox.world_names import epoch, iso, iso_date, money, owners

__all__ = ["NOW", "World", "build", "contacts_only"]

NOW = "2026-06-30T00:00:00Z"
CASES = (
    *world_plants_people.CASES, *world_plants_deals.CASES, *world_plants_stages.CASES, *world_partners.CASES,
    *world_plants_lifecycles.CASES, *world_plants_numbers.CASES,
)  # fmt: skip
REACH = ("M10", "M20", "M30", "M35", "M40", "M50", "M60", "M70", "M80", "M95")


@dataclass(frozen=True)
class World:
    """`seeds`: vendor → what its emulator loads. `truth`: who is who, what stage is true, what was planted; JSON-able."""

    seeds: Mapping[str, Any]
    truth: Mapping[str, Any]

    def truth_json(self) -> str:
        return json.dumps(self.truth, indent=1, ensure_ascii=False)


@cache
def views() -> Mapping[str, Callable[[Draft], Any]]:
    """vendor → what makes its emulator's seed: found, not listed."""
    names = [m.name for m in pkgutil.iter_modules(sandbox.__path__) if m.name.startswith("world_")]
    modules = {name.removeprefix("world_"): importlib.import_module(f"connectors.sandbox.{name}") for name in names}
    return {vendor: module.seed for vendor, module in modules.items() if hasattr(module, "seed")}


def build(size: int, seed: int, now: str = NOW, *, plant_rate: float = 0.005, vendors: Collection[str] | None = None) -> World:
    """The world of `size` clean people, and beside them the people of the planted cases; seeds for all vendors or those named.

    Every planted rule and every near miss comes max(1, size × plant_rate) times; none at all with plant_rate 0, and the
    clean people are the same either way. Nothing of the clean part raises any of the planted rules as of `now`.
    """
    if size < 1:
        raise ValueError("a world needs at least one person")
    with no_collector():
        draft = _draft(size, seed, now, plant_rate)
        seeds = {}
        for vendor, view in views().items():
            if vendors is None or vendor in vendors:
                draft.rng = Random(f"{seed}/{vendor}")
                seeds[vendor] = view(draft)
        return World(seeds, _truth(draft, size, seed, plant_rate))


def _draft(size: int, seed: int, now: str, plant_rate: float) -> Draft:
    """Clean people, plants, the web and each vendor draw from generators of their own, so that none disturbs the others."""
    draft = Draft(epoch(now), Random(seed))
    world_people.base(draft, size)
    world_partners.join(draft)
    draft.rng = Random(f"{seed}/plants")
    for n in range(max(1, round(size * plant_rate)) if plant_rate > 0 else 0):
        for case in CASES:
            case(draft, n)
    draft.web = world_web.Web(draft, Random(f"{seed}/web"))
    return draft


def _truth(draft: Draft, size: int, seed: int, plant_rate: float) -> dict[str, Any]:
    twins: dict[str, list[Extra]] = {}
    for extra in draft.extras:
        twins.setdefault(extra.person.key, []).append(extra)
    return {
        "size": size,
        "seed": seed,
        "now": iso(draft.now),
        "plant_rate": plant_rate,
        "people": [_person(p, twins.get(p.key, [])) for p in draft.people],
        "companies": [{"company": c.key, "name": c.name, "domain": c.domain, "records": c.refs()} for c in draft.companies],
        "deals": [_deal(d) for d in draft.deals],
        "planted": [mark.row() for mark in draft.planted],
        "decoys": [mark.row() for mark in draft.decoys],
        "funnel": _funnel(draft.people, draft.deals),
        "web": draft.web.truth(),
    }


def _person(p: Person, extras: list[Extra]) -> dict[str, Any]:
    """`records` are the live ones; `gone` were merged, archived or deleted."""
    gone = [e for e in extras if e.marks or e.values.get("IsDeleted")]
    live = [ref for e in extras if e not in gone for ref in e.refs()]
    row: dict[str, Any] = {
        "person": p.key,
        "email": p.email,
        "company": p.company.key if p.company else None,
        "records": p.refs() + live,
        "stage": p.rung,
        "disqualified": p.disqualified,
    }
    return {**row, "gone": [ref for e in gone for ref in e.refs()]} if gone else row


def _deal(d: Deal) -> dict[str, Any]:
    return {
        "deal": d.key,
        "name": d.name,
        "records": d.refs(),
        "company": d.company.key,
        "people": [p.key for p in d.people] if d.with_people else [],
        "stage": d.stage,
        "outcome": d.outcome,
        "amount": money(d.cents),
        "currency": "EUR",
        "created": iso(d.created),
        "close_date": None if d.undated else iso_date(d.close_hs),
        "owner": owners()[d.owner].email,
        "disputed": d.disputed,
    }


def _funnel(people: list[Person], deals: list[Deal]) -> dict[str, Any]:
    """How many people reached each rung, and deals and cents per true stage."""
    furthest = Counter(p.rung for p in people)
    stages: dict[str, dict[str, Any]] = {}
    for d in deals:
        row = stages.setdefault(d.stage, {"deals": 0, "cents": 0})
        row["deals"] += 1
        row["cents"] += d.cents or 0
    return {
        "reached": {rung: sum(n for code, n in furthest.items() if code >= rung) for rung in REACH},
        "deals": {stage: {"deals": row["deals"], "amount": money(row["cents"])} for stage, row in sorted(stages.items())},
    }
