"""Measured values that mappings may push: of deals, persons and campaigns, in steps that do not move every night.

Beside a column may stand `stay_<column>`: another value that may stay where it stands, because the number has hardly moved ("*":
whatever stands there may). So a probability on the edge between two steps is not written to and fro.
Only what is asked for is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.change import ANY_STAYS
from core.measure import forecast, lead_score
from core.measure import hazards as hz
from core.measure.attribution_models import weights
from core.measure.attribution_origin import flags as origins
from core.measure.exact import total
from core.measure.follow_rules import RULES
from core.measure.follow_up import follow_ups, lead_worth
from core.measure.metric import Scope, pairs
from core.measure.pipeline import reporting_currency
from core.measure.pushed_campaigns import campaigns, shared_ways

Array = NDArray[Any]
STEP, SLACK = 5, 1.5  # per cent: steps of a probability or score, and how far beyond half a step the old one may stay
EDGE = 0.02  # how far beyond its edge a band may stay
LATE = timedelta(days=5)  # how far beyond the end of a month an expected close may be and stay
_SPENT = ((0, "0-30"), (31, "31-60"), (61, "61-90"), (91, "91-180"), (181, "over 180"))
Row = dict[str, Any]


def stepped(value: float) -> tuple[int, int | None]:
    """(the nearest step, the other one that may stay)."""
    near = int(STEP * np.floor(value / STEP + 0.5))
    other = near + STEP if value >= near else near - STEP
    return near, other if abs(value - other) <= STEP / 2 + SLACK else None


def banded(value: float, limits: Iterable[tuple[float, str]]) -> tuple[str, str | None]:
    """(the band, the neighbour that may stay), of (from, name) in any order."""
    ordered = sorted(limits)
    place = max((i for i, (low, _) in enumerate(ordered) if value >= low), default=0)
    if place + 1 < len(ordered) and ordered[place + 1][0] - value <= EDGE:
        return ordered[place][1], ordered[place + 1][1]
    return ordered[place][1], ordered[place - 1][1] if place and value - ordered[place][0] <= EDGE else None


def month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def closing(day: date) -> tuple[date, date | None]:
    """(the end of the month, the neighbour's that may stay)."""
    end = month_end(day)
    before = month_end(day - LATE)
    after = month_end(day + LATE)
    return end, before if before != end else after if after != end else None


# -- deals ------------------------------------------------------------------------------------------------------------------
def _outlook(scope: Scope) -> list[Row]:
    """Of open deals: win_probability (per cent), expected_close (the end of a month), forecast_category.

    The category goes by the chance to be ever won: the current period's would jump for all deals when the next one begins.
    """
    found = forecast.chances(scope)
    days = _half(found.hazards, *found.place)
    limits = list(zip([0.0, *(below for _, below in forecast.BANDS[:-1])], [name for name, _ in forecast.BANDS], strict=True))
    return [
        {
            "entity_id": name,
            **_pair("win_probability", stepped(100 * ever)),
            **_pair("forecast_category", banded(ever, limits)),
            **_pair("expected_close", closing(scope.as_of.date() + timedelta(days=int(until)))),
        }
        for name, ever, until in zip(found.names, found.ever.tolist(), days.tolist(), strict=True)
    ]


def _half(h: hz.Hazards, place: Array, age: Array) -> Array:
    """Of each deal the days within which half of the chance to be ever won has come, between months as a straight line."""
    marks = (0, 30, 61, 91, 122, 152, 182, 274, 365, 548, forecast.EVER)
    curve = np.array([np.zeros(len(place)) if not days else hz.won_within(h, days)[place, age] for days in marks])
    goal = curve[-1] / 2
    at = np.clip((curve < goal).sum(0), 1, len(marks) - 1)
    low, high = (np.take_along_axis(curve, (at + k)[None], 0)[0] for k in (-1, 0))
    first, last = np.array(marks)[at - 1], np.array(marks)[at]
    share = np.where(high > low, (goal - low) / np.maximum(high - low, 1e-12), 1.0)
    return np.asarray(first + share * (last - first))


def _spent(scope: Scope) -> list[Row]:
    """Of open deals: days_in_stage_band."""
    d = scope.facts["deal"].filter(lambda t: (t.outcome == "open") & t.age_days.notnull())
    return [{"entity_id": r["entity_id"], "days_in_stage_band": next(name for low, name in reversed(_SPENT) if r["age_days"] >= low)}
            for r in pairs(d.select("entity_id", age_days=d.age_days.floor())) if r["age_days"] >= 0]  # fmt: skip


def _origin(scope: Scope) -> list[Row]:
    """Of deals that are open or were closed lately: first_channel, last_channel, credited_channel, sourced (marketing or other;
    Salesforce's checkboxes cannot be emptied again, so it is a text), attribution_model.

    Of older ones what was said then stays.
    """
    known = shared_ways(scope)
    model = str(scope.choice("attribution_model"))
    t = known.paths.filter(known.paths.of.isin(["won", "open", "lost"]))
    t = t.mutate(weight=weights(t, float(scope.choice("half_life_days")))[model])
    by = t.group_by("unit", "channel").agg(weight=total(t.weight))
    best = by.group_by("unit").agg(credited=by.channel.argmax(by.weight.round(9).cast("string").concat(by.channel)))
    ends = t.group_by("unit").agg(first=t.channel.argmin(t.seq), last=t.channel.argmax(t.seq))
    told = {r["unit"]: r for r in pairs(ends.inner_join(best, "unit"))}
    said = origins(scope, known.paths, known.units)
    sourced = {r["unit"]: r["first_touch"] for r in pairs(said.select("unit", "first_touch"))}
    units = known.units.filter(known.units.of.isin(["won", "open", "lost"])).select("unit").distinct()
    counted = {r["unit"] for r in pairs(units)}
    rows = []
    for r in pairs(scope.facts["deal"].select("entity_id")):
        unit = r["entity_id"]
        way = told.get(unit, {})
        by = {True: "marketing", False: "other"}
        values = {
            "first_channel": way.get("first"), "last_channel": way.get("last"), "credited_channel": way.get("credited"),
            "sourced": by[bool(sourced[unit])] if unit in sourced else None, "attribution_model": model if way else None,
        }  # fmt: skip
        stays = [name for name in values if unit not in counted or (name == "sourced" and unit not in sourced)]
        rows.append({"entity_id": unit, **values, **{f"stay_{name}": ANY_STAYS for name in stays}})
    return rows


def _next(scope: Scope, kind: str) -> list[Row]:
    """next_action, next_action_due and follow_up (the step's name, for tags) of who needs a step."""
    t = follow_ups(scope)
    return [{"entity_id": r["entity_id"], "next_action": RULES[r["rule"]].action, "next_action_due": r["due"],
             "follow_up": r["rule"]}
            for r in pairs(t.filter(t.kind == kind))]  # fmt: skip


# -- persons ------------------------------------------------------------------------------------------------------------------
def _scored(scope: Scope) -> list[Row]:
    """lead_score (0 to 100) and lead_band of who is no opportunity yet."""
    s = lead_score.scored(scope)
    limits = [(low, name) for low, name in lead_score.BANDS]
    rows = []
    for i, name in enumerate(s.leads.who):
        band: tuple[str, str | None] = (s.band[i], None) if s.model is None else banded(s.rank[i], limits)
        rows.append({"entity_id": name, **_pair("lead_score", stepped(s.score[i])), **_pair("lead_band", band)})
    return rows


def _valued(scope: Scope) -> list[Row]:
    """lead_value of who is no opportunity yet: chance of one × win rate × mean won amount; it is told once, so it has no steps."""
    currency, _ = reporting_currency(scope)
    return [{"entity_id": name, "lead_value": round(worth, 2), "lead_currency": currency} for name, worth in lead_worth(scope).items()]


def _pair(name: str, values: tuple[Any, Any]) -> Row:
    return {name: values[0], f"stay_{name}": values[1]}


Make = Callable[[Scope], list[Row]]
GROUPS: Mapping[str, tuple[tuple[tuple[str, ...], Make], ...]] = {
    "deal": (
        (("win_probability", "expected_close", "forecast_category"), _outlook),
        (("days_in_stage_band",), _spent),
        (("first_channel", "last_channel", "credited_channel", "sourced", "attribution_model"), _origin),
        (("next_action", "next_action_due", "follow_up"), partial(_next, kind="deal")),
    ),
    "person": (
        (("lead_score", "lead_band"), _scored),
        (("next_action", "next_action_due", "follow_up"), partial(_next, kind="person")),
        (("lead_value", "lead_currency"), _valued),
    ),
    "campaign": (
        (("campaign_leads", "campaign_mqls", "campaign_opportunities", "campaign_won_deals", "campaign_pipeline", "campaign_won_value",
          "campaign_model"), campaigns),
    ),
}  # fmt: skip


def pushable(scope: Scope, kind: str, wanted: Collection[str]) -> pa.Table | None:
    """entity_id and the wanted columns (texts, with their `stay_`) of the kind; None where nothing measured is wanted."""
    groups = [(names, make) for names, make in GROUPS.get(kind, ()) if set(names) & set(wanted)]
    if not groups:
        return None
    rows: dict[str, Row] = {}
    columns: list[str] = []
    for names, make in groups:
        mine = [column for name in names if name in wanted for column in (name, f"stay_{name}")]
        columns += mine
        for row in make(scope):
            rows.setdefault(row["entity_id"], {}).update({column: _text(row.get(column)) for column in mine})
    schema = pa.schema([(name, pa.string()) for name in ("entity_id", *columns)])
    return pa.Table.from_pylist([{"entity_id": name, **rows[name]} for name in sorted(rows)], schema=schema)


def measured(kind: str) -> set[str]:
    """The columns that have to be measured."""
    return {name for names, _ in GROUPS.get(kind, ()) for name in names}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else f"{value:.0f}" if isinstance(value, float) else str(value)
