"""Who is a customer from when to when, and for how much a year: contracts where their ends are known, else a stand-in that says so.

One query; what follows are arrays, one place a won deal, ordered by customer and by the day it was won. Times are days since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.measure.known import days_of
from core.measure.metric import Scope
from core.measure.pipeline import reporting_currency
from core.tables import MOMENT

Array = NDArray[Any]
MONTH, YEAR = 30.4375, 365.25
_FAR = 1e7  # days; more than any date


@dataclass(frozen=True)
class Customers:
    """Won deals by customer: a company; where a deal has none its first person, else the deal is a customer of its own."""

    deals: tuple[str, ...]
    who: Array  # place of the customer, 0 …
    start: Array
    end: Array  # of what was sold; where nobody says, so many days after it was won
    dated: Array
    renewal: Array  # by its type: it takes the place of what was sold before
    existing: Array  # by its type: sold to a customer
    amount: Array  # in the reporting currency, nan: none or another
    currency: str | None
    now: float
    grace: float
    later: int  # won after now: left out

    @property
    def n(self) -> int:
        return len(self._first)

    @cached_property
    def _first(self) -> Array:
        """Of each customer the place of his first deal."""
        return np.flatnonzero(np.diff(self.who, prepend=-1))

    @cached_property
    def since(self) -> Array:
        """Of each customer the day he became one."""
        days: Array = self.start[self._first]
        return days

    @cached_property
    def months(self) -> Array:
        """Of each customer the month he became one, "2025-03"."""
        return np.asarray((np.floor(self.since).astype("datetime64[D]")).astype("datetime64[M]").astype(str))

    @cached_property
    def _made(self) -> dict[tuple[str, float], Array]:
        return {}

    def aged(self, what: str, days: float) -> Array:
        """Of each customer so many days after he became one: `active`, `value`, or whether he `bought` in the month before. Kept."""
        if (what, days) not in self._made:
            at = self.since + days
            self._made[what, days] = (
                self.bought(at - MONTH, at) if what == "bought" else self.active(at) if what == "active" else self.value(at)
            )
        return self._made[what, days]

    @cached_property
    def known_from_start(self) -> Array:
        """False: the first deal we know of is a renewal or the like, so he was a customer before."""
        return np.asarray(~self.existing[self._first])

    @cached_property
    def valued(self) -> Array:
        """Of each customer: have all his deals an amount in the reporting currency?"""
        return np.asarray(np.bincount(self.who, np.isnan(self.amount), self.n) == 0)

    @cached_property
    def _next(self) -> Array:
        """When the same customer bought next; far away where he did not."""
        after = np.append(self.start[1:], _FAR)
        same = np.append(self.who[1:] == self.who[:-1], False)
        return np.asarray(np.where(same, after, _FAR))

    @cached_property
    def reach(self) -> Array:
        """The latest end of what the customer bought so far."""
        apart = self.who * _FAR
        return np.asarray(np.maximum.accumulate(self.end + apart) - apart, float)

    @cached_property
    def _bridged(self) -> Array:
        """Was the next bought before the grace after all ends was over, or may that still happen?"""
        waiting = (self._next == _FAR) & (self.reach + self.grace > self.now)
        return np.asarray((self._next <= self.reach + self.grace) | waiting)

    @cached_property
    def held(self) -> Array:
        """Until when he stays a customer by what he bought so far."""
        return np.where(self._bridged, np.maximum(np.minimum(self._next, self.now + 1), self.reach), self.reach)

    @cached_property
    def left(self) -> tuple[Array, Array]:
        """Of each customer: the day he first left, or now; and did he leave?"""
        gone = np.flatnonzero(~self._bridged & (self.reach <= self.now))
        day, did = np.full(self.n, self.now), np.zeros(self.n, bool)
        day[self.who[gone][::-1]] = self.reach[gone][::-1]  # of several the first is written last
        did[self.who[gone]] = True
        return day, did

    def active(self, at: Array) -> Array:
        """Is each customer one on a day of his own?"""
        mine = at[self.who]
        return np.bincount(self.who[(self.start <= mine) & (self.held > mine)], minlength=self.n) > 0

    def bought(self, after: Array, until: Array) -> Array:
        """Did each win another deal in the days after … until?"""
        there = (self.start > after[self.who]) & (self.start <= until[self.who])
        return np.bincount(self.who[there], minlength=self.n) > 0

    @cached_property
    def _yearly(self) -> tuple[Array, Array]:
        """(value a year of each deal, until when): a renewal takes the place of what was sold before."""
        index = np.arange(len(self.who))
        renewals = np.minimum.accumulate(np.where(self.renewal, index, len(index))[::-1])[::-1] if len(index) else index
        following = np.minimum(np.append(renewals[1:], len(index)), len(index) - 1) if len(index) else index
        replaced = self.renewal[following] & (following > index) & (self.who[following] == self.who) & (self.start[following] < self.end)
        until = np.where(replaced, np.minimum(self.end, self.start[following]), self.end)
        last = self._bridged & (self.end == self.reach)  # what waits for its renewal counts on
        until = np.where(last & ~replaced, np.maximum(until, self.held), until)
        return np.nan_to_num(self.amount) * YEAR / np.maximum(self.end - self.start, 1.0), until

    def value(self, at: Array) -> Array:
        """Of each customer: what he pays a year on a day of his own."""
        yearly, until = self._yearly
        mine = at[self.who]
        there = (self.start <= mine) & (until > mine)
        return np.round(np.bincount(self.who[there], yearly[there], self.n), 2)

    def of(self, who: Array) -> list[str]:
        """The deals of these customers (a place each)."""
        return [self.deals[i] for i in np.flatnonzero(np.isin(self.who, who))]


def customers(scope: Scope) -> Customers:
    return scope.once("customers", lambda: _customers(scope))


def _customers(scope: Scope) -> Customers:
    t = _won(scope).to_pyarrow()
    now, days = days_of(scope.as_of), float(scope.choice("renewal_days"))
    currency, _ = reporting_currency(scope)
    start, end = (np.asarray(t[name].cast(pa.float64()).to_numpy(), float) for name in ("start", "end"))
    there = start <= now
    ours = np.array([currency is not None and name == currency for name in t["currency"].to_pylist()], bool)
    amount = np.where(ours, np.asarray(t["amount"].cast(pa.float64()).to_numpy(), float), np.nan)
    dated = end > start
    end = np.where(dated, end, start + days)
    renewal, existing = (np.asarray(t[name].to_numpy(), bool) for name in ("renewal", "existing"))
    names = np.array(t["customer"].to_pylist(), object)[there]
    who = np.unique(names.astype(str), return_inverse=True)[1] if len(names) else np.zeros(0, int)
    deals = tuple(np.array(t["entity_id"].to_pylist(), object)[there].tolist())
    return Customers(deals, who, start[there], end[there], dated[there], renewal[there], existing[there], amount[there], currency, now,
                     float(scope.choice("churn_grace_days")), int((~there).sum()))  # fmt: skip


def _won(scope: Scope) -> ibis.Table:
    d = scope.facts["deal"]
    won_at = ibis.coalesce(d.close_date.cast(MOMENT), d.stage_entered_at)
    d = d.filter(d.outcome == "won", won_at.notnull()).select("entity_id", "company_entity", "amount", "currency", won_at=won_at)
    pairs = scope.facts["deal_person"]
    first = pairs.group_by(entity_id="deal").agg(person=pairs.person.min())
    records = scope.facts["deals"]
    renewals, others = ([str(word).lower() for word in scope.choice(name)] for name in ("renewal_types", "existing_types"))
    type_ = records.deal_type.fill_null("").lower()
    told = records.group_by("entity_id").agg(
        ends=records.end_date.max(),
        renewal=type_.isin([*renewals, "(none)"]).any(),
        existing=type_.isin([*renewals, *others, "(none)"]).any(),
    )
    for part in (first, told):
        d = d.left_join(part, "entity_id").drop("entity_id_right")
    d = d.mutate(customer=ibis.coalesce(d.company_entity, d.person, d.entity_id))
    d = d.select(
        "entity_id", "customer", "amount", "currency", start=d.won_at.epoch_seconds() / 86400.0,
        end=(d.ends.epoch_days() + 1).cast("float64"), renewal=d.renewal.fill_null(False),
        existing=d.existing.fill_null(False),
    )  # fmt: skip
    return d.order_by("customer", "start", "entity_id")


def behind(scope: Scope, deals: list[str]) -> ibis.Table:
    """These won deals, for `explain`."""
    return ibis.memtable(pa.table({"entity_id": pa.array(deals, pa.string())}))
