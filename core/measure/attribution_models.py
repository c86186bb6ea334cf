"""How much of a deal each touch on the way to it gets: the models as data, and their weights as expressions.

All of them describe; none says what would have happened without the touch. Experiments do.
Source: HubSpot, Understand attribution models (positions and shares), read 2026-11; Shapley by the closed form of a game whose value is
the converted ways within a set of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis

from core.measure.seconds import DAY_S
from core.thresholds import ATTRIBUTION_MODELS


@dataclass(frozen=True)
class Places:
    """Shares of the keyed places (first, lead, deal, last), the rest in equal parts to all other touches.

    Places that fall together add up. What a missing place would get, and the rest where there is no other touch, goes to the keyed
    places there are, in proportion.
    """

    keyed: Mapping[str, float] = field(default_factory=dict)
    others: float = 0.0


PLACES = {
    "first": Places({"first": 1}),
    "last": Places({"last": 1}),
    "u": Places({"first": 0.4, "lead": 0.4}, 0.2),
    "w": Places({"first": 0.3, "lead": 0.3, "deal": 0.3}, 0.1),
    "full path": Places({"first": 0.225, "lead": 0.225, "deal": 0.225, "last": 0.225}, 0.1),
    "j": Places({"first": 0.2, "last": 0.6}, 0.2),
    "inverse j": Places({"first": 0.6, "last": 0.2}, 0.2),
}
MARKOV = "markov"
MODELS = (*ATTRIBUTION_MODELS, MARKOV)


def weights(t: ibis.Table, half_life_days: float) -> dict[str, ibis.Value]:
    """Each touch's share of its unit by model, as expressions over core.measure.touch_paths.paths; they add up to 1 in every unit.

    Shapley is of channels: a channel's share is divided among its touches.
    """
    age = (t.until - t["at"]) / DAY_S
    decay = (-age / half_life_days * ibis.literal(2.0).ln()).exp()
    found = {
        "linear": 1 / t.n.cast("float64"),
        "time decay": decay / decay.sum().over(group_by="no"),
        "shapley": 1 / (t.channels * t.shared).cast("float64"),
        **{name: _placed(t, places) for name, places in PLACES.items()},
    }
    return {name: found[name] for name in ATTRIBUTION_MODELS}


def _placed(t: ibis.Table, places: Places) -> ibis.Value:
    at = {"first": ibis.literal(0, type="int64"), "lead": t.lead_seq, "deal": t.made_seq, "last": t.n - 1}
    mine = {name: (t.seq == at[name]).fill_null(False) for name in places.keyed}
    got = sum((ibis.ifelse(mine[name], share, 0.0) for name, share in places.keyed.items()), ibis.literal(0.0))
    there = sum((ibis.ifelse(at[name].notnull(), share, 0.0) for name, share in places.keyed.items()), ibis.literal(0.0))
    rest = t.n - _different([at[name] for name in places.keyed])
    others = ibis.ifelse(rest > 0, places.others, 0.0)
    keyed = mine.popitem()[1]
    for one in mine.values():
        keyed = keyed | one
    return ibis.ifelse(keyed, got * (1 - others) / there, others / ibis.greatest(rest, 1))


def _different(places: list[ibis.Value]) -> ibis.Value:
    """How many different touches the places are; a place nobody took is none."""
    total = ibis.literal(0, type="int64")
    for i, place in enumerate(places):
        new = place.notnull()
        for before in places[:i]:
            new = new & ~(place == before).fill_null(False)
        total = total + new.cast("int64")
    return total
