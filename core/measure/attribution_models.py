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
    """Thousandths for the keyed places (first, lead, deal, last), the rest of the thousand in equal parts to all other touches.

    Whole numbers, because one engine takes 0.3 for a decimal and another for a binary fraction. Places that fall together add up.
    What a missing place would get, and the rest where there is no other touch, goes to the keyed places there are, in proportion.
    """

    keyed: Mapping[str, int] = field(default_factory=dict)
    others: int = 0


PLACES = {
    "first": Places({"first": 1000}),
    "last": Places({"last": 1000}),
    "u": Places({"first": 400, "lead": 400}, 200),
    "w": Places({"first": 300, "lead": 300, "deal": 300}, 100),
    "full path": Places({"first": 225, "lead": 225, "deal": 225, "last": 225}, 100),
    "j": Places({"first": 200, "last": 600}, 200),
    "inverse j": Places({"first": 600, "last": 200}, 200),
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
    got = sum((ibis.ifelse(mine[name], share, 0) for name, share in places.keyed.items()), ibis.literal(0, type="int64"))
    there = sum((ibis.ifelse(at[name].notnull(), share, 0) for name, share in places.keyed.items()), ibis.literal(0, type="int64"))
    rest = t.n - _different([at[name] for name in places.keyed])
    others = ibis.ifelse(rest > 0, places.others, 0)
    keyed = mine.popitem()[1]
    for one in mine.values():
        keyed = keyed | one
    part, whole = got * (1000 - others), 1000 * there
    return ibis.ifelse(
        keyed, part.cast("float64") / whole.cast("float64"), others.cast("float64") / (1000 * ibis.greatest(rest, 1)).cast("float64")
    )


def _different(places: list[ibis.Value]) -> ibis.Value:
    """How many different touches the places are; a place nobody took is none."""
    total = ibis.literal(0, type="int64")
    for i, place in enumerate(places):
        new = place.notnull()
        for before in places[:i]:
            new = new & ~(place == before).fill_null(False)
        total = total + new.cast("int64")
    return total
