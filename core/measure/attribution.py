"""Which touches get the credit: for won and open deals, and for persons who reached a milestone. Credit, not causal lift.

Credits and what no touch is known for add up to the whole, money to the cent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ibis

from core.measure.attribution_cost import costs
from core.measure.attribution_models import MARKOV, MODELS, weights
from core.measure.attribution_origin import influenced, sourced
from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import reporting_currency
from core.measure.removal import CONVERTED, LOST, START, Removal, Steps, removal
from core.measure.touch_paths import Names, marketing, named, paths
from core.measure.touch_units import people_of, steps, units
from core.tables import keep

NOBODY, ALL = "(unattributed)", "all"
_DEALS = ("won", "open")
_CHAINS = {"won": ("lost", "never"), "M50": ("never",)}  # the ways that led there, and those that did not
_GROUPS = 200  # that ways are dealt out into for the interval of a removal effect
_FEW = 20  # ways by a channel, fewer of which say little


@dataclass(frozen=True)
class Ways:
    """What all of attribution stands on, computed once: touches, who they are credited for, and the paths."""

    currency: str | None
    people: ibis.Table
    units: ibis.Table
    touches: ibis.Table
    paths: ibis.Table


def ways(scope: Scope, currency: str | None, hold: Callable[[ibis.Table], ibis.Table] = keep) -> Ways:
    names = Names.of(scope, hold)
    people = hold(people_of(scope).inner_join(names.persons.select("person", "person_no"), "person").drop("person"))
    of, touches = hold(units(scope, people, names.persons, currency)), hold(marketing(scope, names))
    who = people.inner_join(of, ["of", "unit"]).select("no", "person_no")
    t = named(hold(paths(of, who, touches)), names)
    t = t.inner_join(of.select("no", "of", "unit", "made", "until", "value"), "no")
    return Ways(currency, people, of, named(touches, names), t)


def measure(scope: Scope) -> Iterator[Metric]:
    currency, others = reporting_currency(scope)
    known = ways(scope, currency)
    credits = Credits.of(scope, known)
    yield from credits.by_channel(scope, others)
    yield from credits.by_campaign(scope)
    for of, without in _CHAINS.items():
        yield from _removed(known, credits, of, without)
    yield from sourced(scope, known.paths, known.units, currency)
    yield from influenced(scope, known.people, known.touches, currency)
    yield from costs(scope, currency, credits.campaigns(str(scope.choice("attribution_model"))))


@dataclass(frozen=True)
class Credits:
    """Sums of credit by unit, channel and campaign; `totals` by unit: units, value, and units with a touch."""

    rows: list[dict[str, Any]]
    totals: Mapping[str, Mapping[str, Any]]
    currency: str | None

    @classmethod
    def of(cls, scope: Scope, known: Ways) -> Credits:
        t = known.paths.filter(~known.paths.of.isin(["lost", "never"]))
        half_life = float(scope.choice("half_life_days"))
        t = t.mutate(**{f"c{MODELS.index(m)}": w for m, w in weights(t, half_life).items()})
        mine = [f"c{i}" for i, m in enumerate(MODELS) if m != MARKOV]
        deal = t.of.isin(_DEALS)  # of persons nobody asks for a value
        values = {f"v{name[1:]}": total(ibis.ifelse(deal, t[name] * t.value, ibis.null("float64"))) for name in mine}
        sums = {name: total(t[name]) for name in mine} | values
        counts = {"ways": t.fresh.sum(), "campaign_ways": t.fresh_campaign.sum(), "called": t.called.min()}
        rows = pairs(t.group_by("of", "channel", "campaign").agg(**counts, **sums).order_by("of", "channel", "campaign"))
        u = known.units
        touched = known.paths.filter(known.paths.seq == 0).group_by("of").agg(touched=lambda x: x.count())
        totals = u.group_by("of").agg(n=u.count(), value=total(u.value)).left_join(touched, "of").drop("of_right")
        return cls(rows, {row["of"]: row for row in pairs(totals.order_by("of"))}, known.currency)

    def by_channel(self, scope: Scope, others: Mapping[str, int]) -> Iterator[Metric]:
        for of in (*_DEALS, *steps(scope)):
            if of not in self.totals:
                continue
            mine = [row for row in self.rows if row["of"] == of]
            for i, model in enumerate(MODELS):
                if model != MARKOV:
                    counts, values = _summed(mine, "channel", f"c{i}"), _summed(mine, "channel", f"v{i}")
                    yield from self.shared(of, model, counts, values, _summed(mine, "channel", "ways"), others)

    def shared(
        self, of: str, model: str, counts: Mapping[str, float], values: Mapping[str, float], ways: Mapping[str, float],
        others: Mapping[str, int], bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> Iterator[Metric]:  # fmt: skip
        """A model's credits by channel, with the unattributed rest and the whole."""
        total, bounds = self.totals[of], bounds or {}
        rest = total["n"] - (total["touched"] or 0)
        sizes = {**ways, NOBODY: rest, ALL: total["n"]}
        kinds = [("attributed_deals" if of in _DEALS else "attributed_persons", counts, Decimal(total["n"]), Decimal("0.000001"))]
        if of in _DEALS:
            kinds.append(("attributed_value", values, _cents(total["value"]), Decimal("0.01")))
        for name, parts, whole, least in kinds:
            given = to_the_unit({**parts, NOBODY: float(whole) - sum(parts.values())} if rest else dict(parts), whole, least)
            given = {**given, NOBODY: given.get(NOBODY, Decimal(0)), ALL: whole}
            money = {"currency": self.currency} if name == "attributed_value" else {}
            for channel, value in given.items():
                low, high = (b * float(whole - given[NOBODY]) for b in bounds[channel]) if channel in bounds else (None, None)
                few = {"few ways by this channel": int(sizes[channel])} if model == MARKOV and sizes.get(channel, _FEW) < _FEW else {}
                yield Metric(
                    name, f"credit of {_SAID.get(of, 'persons who reached the milestone')}, not causal lift", {"of": of, "model": model,
                    "channel": channel, **money}, float(value), (self.currency or "units") if money else name.split("_")[1],
                    int(sizes.get(channel, 0)), low=low, high=high, excluded={**(others if money else {}), **few},
                )  # fmt: skip

    def campaigns(self, model: str) -> dict[str, dict[str, dict[str, float]]]:
        """{campaign: {of: {count, value, ways}}} by one model; a campaign is known by its key, `called` as touches call it."""
        i = MODELS.index(model)
        found: dict[str, dict[str, dict[str, float]]] = {}
        for row in self.rows:
            if row["campaign"]:
                at = found.setdefault(row["campaign"], {}).setdefault(row["of"], {"count": 0.0, "value": 0.0, "ways": 0.0})
                at["count"] += row[f"c{i}"]
                at["value"] += row[f"v{i}"] or 0.0
                at["ways"] += row["campaign_ways"]
        return found

    def by_campaign(self, scope: Scope) -> Iterator[Metric]:
        """By the funnel's `attribution_model` only: touches without a campaign are in none of them."""
        model = str(scope.choice("attribution_model"))
        called = {row["campaign"]: row["called"] for row in reversed(self.rows)}
        for campaign, by_unit in sorted(self.campaigns(model).items()):
            for of, got in sorted(by_unit.items()):
                dims = {"of": of, "model": model, "campaign": called[campaign]}
                words = "credit of touches by the campaign, not causal lift"
                name = "attributed_deals" if of in _DEALS else "attributed_persons"
                yield Metric(name, words, dims, round(got["count"], 6), name.split("_")[1], int(got["ways"]))
                if of in _DEALS:
                    value = float(_cents(got["value"]))
                    yield Metric(
                        "attributed_value", words, {**dims, "currency": self.currency}, value, self.currency or "units", int(got["ways"])
                    )


_SAID = {"won": "won deals", "open": "open deals, for their creation"}


def _summed(rows: list[dict[str, Any]], key: str, column: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        found[row[key]] = found.get(row[key], 0.0) + float(row[column] or 0)
    return found


def _cents(value: float | None) -> Decimal:
    return Decimal(repr(float(value or 0))).quantize(Decimal("0.01"))


def to_the_unit(parts: Mapping[str, float], whole: Decimal, least: Decimal) -> dict[str, Decimal]:
    """The parts rounded to the least unit so that they add up to the whole; what rounding left goes to the largest."""
    rounded = {name: Decimal(repr(float(part))).quantize(least) for name, part in parts.items()}
    if rounded:
        largest = max(rounded, key=lambda name: (abs(rounded[name]), name))
        left = whole - sum(rounded.values())
        assert abs(left) <= least * (len(rounded) + 1), f"credits and the whole differ by {left}"
        rounded[largest] += left
    return rounded


def _removed(known: Ways, credits: Credits, of: str, without: tuple[str, ...]) -> Iterator[Metric]:
    """The Markov model: credits by removal effect, and the effects themselves."""
    found = removal(chain(known.paths, of, without)) if of in credits.totals else None
    if found is None:
        return
    mine = [row for row in credits.rows if row["of"] == of]
    ways = _summed(mine, "channel", "ways")
    total = credits.totals[of]
    credited = {i: sum(float(row[i] or 0) for row in mine) for i in ("c0", "v0")}  # whatever the model: of the units with touches
    counts, values = ({name: share * credited[i] for name, share in found.credit.items()} for i in ("c0", "v0"))
    bounds = {name: (found.low[name], found.high[name]) for name in found.low}
    yield from credits.shared(of, MARKOV, counts, values, ways, {}, bounds)
    words = "share of the conversions that would be lost if the channel's ways ended there (Markov, order 1)"
    for name, effect in found.effect.items():
        yield Metric("removal_effect", words, {"of": of, "channel": name}, effect, "share", int(ways.get(name, 0)))
    yield Metric("way_conversion", "ways that ended there ÷ ways", {"of": of}, found.conversion, "share", int(total["touched"] or 0))


def chain(t: ibis.Table, of: str, without: tuple[str, ...]) -> list[Steps]:
    """Steps between channels on the ways to `of` and on those that led nowhere, dealt out into groups of ways."""
    t = t.filter(t.of.isin([of, *without]))
    ends = ibis.ifelse(t.of == of, CONVERTED, LOST)
    t = t.mutate(part=t.no % _GROUPS, to=ibis.coalesce(t.channel.lead().over(group_by="no", order_by="seq"), ends))
    starts = t.filter(t.seq == 0).select("part", here=ibis.literal(START), there="channel")
    moves = ibis.union(starts, t.select("part", here="channel", there="to"))
    parts: dict[int, dict[tuple[str, str], float]] = {}
    for row in pairs(moves.group_by("part", "here", "there").agg(n=moves.count()).order_by("part", "here", "there")):
        parts.setdefault(row["part"], {})[row["here"], row["there"]] = float(row["n"])
    return list(parts.values())


__all__ = ["Removal", "Ways", "chain", "measure", "to_the_unit", "ways"]
