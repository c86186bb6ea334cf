"""From visitor to retained, level by level, for one cohort: those who became leads in the last whole months.

Volume, step, cumulative rate, median days and value of each level. Persons and deals are different units and stand apart; visitors are
counted by another system. As the persons are one cohort, the step rates multiply to the overall rate, or nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from math import isclose, prod
from typing import Any

import ibis
import numpy as np

from core.measure import visitors
from core.measure.customers import behind as these_deals
from core.measure.customers import customers
from core.measure.distrust import left_out
from core.measure.exact import total
from core.measure.funnel import _sound, progress_of, waits
from core.measure.metric import Metric, Scope, pairs, share, survival
from core.measure.pipeline import reporting_currency
from core.measure.touch_names import group
from core.tables import instant, keep

VISITORS, OPPORTUNITY, WON, RETAINED = "M00", "M50", "M80", "M90"
OPENED, CLOSED = "M50 deals", "M80 deals"
REACHED = "persons who became leads in these months and have evidence of this milestone or a later one"
KEPT = "of them those who are still customers so many days after they were won, or bought again"


@dataclass(frozen=True)
class Cohort:
    """Those who became leads in the months: one row a person, with `lead_month`, `channel` and `kept`; and their deals."""

    scope: Scope
    levels: tuple[str, ...]
    name: str
    people: ibis.Table
    excluded: Mapping[str, Any]

    def reached(self, code: str) -> ibis.Value:
        t = self.people
        if code == self.levels[0]:
            return ibis.literal(True) & t.top.notnull()
        further = (t.top >= code).fill_null(False)
        return further | (t.kept & (t.top >= WON).fill_null(False)) if code == RETAINED else further

    @cached_property
    def counts(self) -> dict[str, int]:
        """Persons by level, and `young`: won too lately to be retained."""
        t, days = self.people, int(self.scope.choice("retained_days"))
        late = instant(self.scope.as_of - timedelta(days=days))
        young = self.reached(WON) & ~self.reached(RETAINED) & (t[f"at_{WON}"] > late).fill_null(False)
        row = pairs(t.agg(**{f"n_{code}": self.reached(code).sum() for code in self.levels}, young=young.sum()))[0]
        return {name.removeprefix("n_"): int(n or 0) for name, n in row.items()}

    @cached_property
    def deals(self) -> ibis.Table:
        """The deals these persons are on, with `kept`: is their customer retained?"""
        on = self.scope.facts["deal_person"].semi_join(self.people.select(person="entity_id"), "person")
        d = self.scope.facts["deal"].semi_join(on.select(entity_id="deal").distinct(), "entity_id")
        return _with_kept(self.scope, d.filter(d.outcome.isin(["open", "won", "lost"])))


def measure(scope: Scope) -> Iterator[Metric]:
    found = cohort(scope)
    yield from visitors.by_month(scope, _leads(found, "lead_month"))
    yield from visitors.by_channel(scope, _leads(found, "lead_month", "channel"))
    yield from _visitors(found)
    yield from _persons(found)
    yield from _days(found)
    yield from _deals(found)


def cohort(scope: Scope) -> Cohort:
    return scope.once("full funnel", lambda: _cohort(scope))


def _cohort(scope: Scope) -> Cohort:
    levels, months = tuple(sorted(set(scope.choice("funnel_levels")))), visitors.spans(scope)
    t = progress_of(scope)
    began = t[f"at_{levels[0]}"].date()
    later = pairs(t.agg(n=(began.isnull() & (t.top > levels[0]).fill_null(False)).sum()))[0]["n"]
    t = t.filter(began >= ibis.literal(months[0][1]), began <= ibis.literal(months[-1][2]))
    sound = _sound(t, levels[0])
    row = pairs(t.agg(disordered=t.disordered.sum(), stamped=(~t.disordered & ~sound).sum()))[0]
    excluded = left_out(disordered=row["disordered"] or 0, stamped=row["stamped"] or 0)
    excluded |= {f"first known beyond {levels[0]}": int(later)} if later else {}
    source = scope.persons.select("entity_id", channel=lambda p: group(scope, p.source))
    on = scope.facts["deal_person"]
    kept = _kept(scope)
    kept = on.semi_join(kept.select(deal="entity_id"), "deal").select(entity_id="person").distinct().mutate(kept=ibis.literal(True))
    t = t.filter(sound).mutate(lead_month=t[f"at_{levels[0]}"].strftime("%Y-%m"))
    for part in (source, kept):
        t = t.left_join(part, "entity_id").drop("entity_id_right")
    people = keep(t.mutate(kept=t.kept.fill_null(False)))
    return Cohort(scope, levels, f"{months[0][0]} to {months[-1][0]}", people, {**scope.left_out, **excluded})


def _kept(scope: Scope) -> ibis.Table:
    """(entity_id) of the won deals of customers who were still there `retained_days` after they were won."""
    known, days = customers(scope), float(scope.choice("retained_days"))
    there = known.aged("active", days) & (known.since + days <= known.now) if known.n else np.zeros(0, bool)
    return these_deals(scope, known.of(np.flatnonzero(there)))


def _with_kept(scope: Scope, d: ibis.Table) -> ibis.Table:
    d = d.left_join(_kept(scope).mutate(kept=ibis.literal(True)), "entity_id").drop("entity_id_right")
    return d.mutate(kept=d.kept.fill_null(False) & (d.outcome == "won"))


def _leads(found: Cohort, *by: str) -> dict[Any, int]:
    t = found.people
    rows = pairs(t.group_by(*by).agg(n=t.count()))
    return {tuple(r[name] for name in by) if len(by) > 1 else r[by[0]]: int(r["n"]) for r in rows}


# -- the levels -----------------------------------------------------------------------------------------------------------
def _visitors(found: Cohort) -> Iterator[Metric]:
    """The level before the cohort: only of months that have a number, whose leads alone are set against it."""
    known = [c for c in visitors.visitors(found.scope) if not c.channel]
    if not known:
        return
    months = {c.month for c in known}
    users = sum(c.users for c in known)
    missing = len(visitors.spans(found.scope)) - len(months)
    excluded = visitors.added_up(known) | ({f"no visitors counted in {missing} of the months": ""} if missing else {})
    words = "users in the months, as web analytics counts them"
    yield Metric("level_volume", words, _dims(found, VISITORS), users, "users", int(users), excluded=excluded)
    leads = sum(n for month, n in _leads(found, "lead_month").items() if month in months)
    made = visitors.leads_per_visitor({**_dims(found, found.levels[0]), "from": VISITORS}, leads, known)
    yield Metric("level_step", made.definition, made.dimensions, made.value, "ratio", made.n, made.numerator, made.denominator,
                 excluded=dict(made.excluded) | excluded)  # fmt: skip


def _dims(found: Cohort, level: str) -> dict[str, Any]:
    return {"cohort": found.name, "level": level}


def _persons(found: Cohort) -> Iterator[Metric]:
    counts, first = found.counts, found.levels[0]
    multiplied([counts[code] for code in found.levels])
    for before, code in zip((None, *found.levels), found.levels, strict=False):
        excluded = {**found.excluded, **_of_retained(found, code)}
        words = f"{REACHED}; {KEPT}" if code == RETAINED else REACHED
        yield Metric("level_volume", words, _dims(found, code), counts[code], "persons", counts[code], excluded=excluded)
        if before is not None:
            dims = {**_dims(found, code), "from": before}
            yield share("level_step", f"{words} ÷ those at the level before", dims, counts[code], counts[before], excluded=excluded)
        yield share("level_overall", f"{words} ÷ all of the cohort", _dims(found, code), counts[code], counts[first], excluded=excluded)


def _of_retained(found: Cohort, code: str) -> dict[str, Any]:
    if code != RETAINED:
        return {}
    days, young, dated = int(found.scope.choice("retained_days")), found.counts["young"], customers(found.scope).dated
    blank = int((~dated).sum())
    said = {"proxy of retention": f"({blank} of {len(dated)} won deals say no end and count for renewal_days)"} if blank else {}
    return said | ({f"won less than {days} days ago": young} if young else {})


def multiplied(counts: Sequence[int]) -> float | None:
    """The product of the step rates, which is the overall rate of the cohort; None where a level has nobody.

    Raises: AssertionError where it is not, or a level has more than the one before: that would be no cohort.
    """
    if any(n > before for before, n in pairwise(counts)):
        raise AssertionError(f"more persons at a level than at the one before: {counts}")
    if not all(counts[:-1]):
        return None
    product = prod(n / before for before, n in pairwise(counts))
    if not isclose(product, counts[-1] / counts[0], rel_tol=1e-9):
        raise AssertionError(f"step rates that do not multiply to the overall rate: {counts}")
    return product


def _days(found: Cohort) -> Iterator[Metric]:
    words = "median days from the level before, those still waiting as far as watched (Kaplan-Meier)"
    for start, end in pairwise(code for code in found.levels if code != RETAINED):
        rows, excluded = waits(found.scope, found.people, start, end, [])
        curve = survival((float(r["wait"]), bool(r["event"]), int(r["n"])) for r in rows)
        value = curve.quantile(0.5) if curve.n else None
        yield Metric("level_days", words, {**_dims(found, end), "from": start}, value, "days", curve.n, curve.events, excluded=excluded)


def _deals(found: Cohort) -> Iterator[Metric]:
    """Opportunities and won deals, which are no persons; what they are worth; and what was won for each at the levels before."""
    currency, _ = reporting_currency(found.scope)
    d = found.deals
    ours, won = d.currency.identical_to(ibis.literal(currency, type="string")), d.outcome == "won"
    row = pairs(
        d.agg(n=d.count(), won=won.sum(), value=total(d.amount, ours), won_value=total(d.amount, ours & won),
              kept_value=total(d.amount, ours & d.kept), others=(~ours & d.amount.notnull()).sum(), blank=d.amount.isnull().sum())
    )[0]  # fmt: skip
    n, n_won = int(row["n"]), int(row["won"] or 0)
    blank = {"in other currencies": row["others"], "no amount": row["blank"]}
    excluded = {**found.excluded, **{why: int(k) for why, k in blank.items() if k}}
    yield Metric("level_volume", "deals these persons are on", _dims(found, OPENED), n, "deals", n, excluded=found.excluded)
    yield Metric("level_volume", "won deals these persons are on", _dims(found, CLOSED), n_won, "deals", n_won, excluded=found.excluded)
    dims = {**_dims(found, CLOSED), "from": OPENED}
    yield share("level_step", "won deals ÷ deals these persons are on", dims, n_won, n, excluded=found.excluded)
    values = {OPENED: row["value"], CLOSED: row["won_value"], RETAINED: row["kept_value"]}
    for level, value in values.items():
        words = "amount of the deals at this level (retained: of won deals whose customer stayed)"
        dims = {**_dims(found, level), "currency": currency}
        yield Metric("level_value", words, dims, value or 0.0, currency or "units", n, excluded=excluded)
    yield from _worth(found, currency, row["won_value"] or 0.0, excluded)


def _worth(found: Cohort, currency: str | None, won: float, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    for level in (code for code in found.levels if code <= OPPORTUNITY):
        n = found.counts[level]
        words = "amount won from the cohort ÷ its persons at this level: what one of them was worth"
        dims = {**_dims(found, level), "currency": currency}
        value = won / n if n else None
        yield Metric("level_worth", words, dims, value, currency or "units", n, won, n, excluded=excluded)


# -- rows -----------------------------------------------------------------------------------------------------------------
def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The persons, deals or counts at a level."""
    level, found = str(dims["level"]), cohort(scope)
    if level == VISITORS:
        return visitors.behind(scope, {})
    if level in (OPENED, CLOSED):
        return found.deals.filter(found.deals.outcome == "won") if level == CLOSED else found.deals
    return found.people.filter(found.reached(level))


def deals_behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals whose amounts a level's value is: of retained customers, won ones, or all."""
    found, level = cohort(scope), str(dims["level"])
    if level == RETAINED:
        return found.deals.filter(found.deals.kept)
    return behind(scope, {"level": level if level == OPENED else CLOSED})
