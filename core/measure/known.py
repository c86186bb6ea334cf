"""What a forecast may know, for many instants at once: four queries over all of them, and then only arrays.

Everything is cut at its instant: a stay that ended later is still open there, a deal won later is not won.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.measure import hazards as hz
from core.measure.metric import Scope, pairs
from core.measure.spells import LOST, WON, positions, stays, wins
from core.tables import instant

Array = NDArray[Any]


@dataclass(frozen=True)
class Open:
    """Open deals at one instant, in the order of their ids. Times are days since 1970; amounts may be nan."""

    stage: Array
    age: Array
    amount: Array
    due: Array
    chance: Array
    won_at: Array  # when it was next won; inf: not yet
    won_amount: Array  # … and at what amount
    stands: Array  # and is it won today?
    sound: Array
    amount_dated: Array


@dataclass(frozen=True)
class Wins:
    created: Array
    at: Array
    amount: Array  # as known when it was won
    final_at: Array
    final_amount: Array


@dataclass(frozen=True)
class Evidence:
    stages: tuple[str, ...]
    finished: tuple[hz.Counts, ...]  # by mark, of stays that had ended
    outcomes: Array  # (mark, stage, won/lost): deals that had closed, by stages they had been in
    wins: Wins
    first: float  # the first day anything is known of
    unsound: int  # finished stays whose dates are not believed
    _open: pa.Table
    _bounds: Array

    def open(self, mark: int) -> Open:
        part = self._open.slice(self._bounds[mark], self._bounds[mark + 1] - self._bounds[mark])
        columns = ("stage", "age", "amount", "due", "chance", "won_at", "won_amount", "stands", "sound", "amount_dated")
        return Open(**{name: _numbers(part[name], np.inf if name == "won_at" else np.nan) for name in columns})

    def entities(self, mark: int) -> list[str]:
        ids: list[str] = self._open["entity_id"].slice(self._bounds[mark], self._bounds[mark + 1] - self._bounds[mark]).to_pylist()
        return ids

    def place(self, stage: Array) -> Array:
        codes: Array = np.asarray(self.stages, object)[stage.astype(int)]
        return codes


def days_of(moment: datetime) -> float:
    return moment.timestamp() / 86400


def _numbers(column: pa.ChunkedArray, missing: float) -> Array:
    if pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy(), bool)
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    values = np.asarray(column.cast(pa.float64()).to_numpy(), float)
    return np.where(np.isnan(values), missing, values)


def evidence(scope: Scope, instants: Sequence[datetime], currency: str | None) -> Evidence:
    """instants: ascending; a mark is a place among them."""
    counted = _finished(scope, instants)
    opened = _opened(scope, instants, currency)
    codes = sorted({"?", *counted["code"].to_pylist(), *opened["code"].unique().to_pylist()}, key=lambda code: (code != "?", code))
    place = {code: i for i, code in enumerate(codes)}
    at = pa.array([place[code] for code in opened["code"].to_pylist()], pa.int64())
    opened = opened.append_column("stage", at)
    edges = np.searchsorted(opened["mark"].to_numpy(), np.arange(len(instants) + 1))
    sound = counted.filter(counted["sound"])
    return Evidence(
        tuple(codes), _by_mark(sound, place, len(instants)), _outcomes(scope, instants, place), _wins(scope, currency),
        days_of(first_stay(scope) or scope.as_of),
        int(np.sum(counted["n"].to_numpy())) - int(np.sum(sound["n"].to_numpy())), opened, edges,
    )  # fmt: skip


def _bucket(moment: ibis.Value, instants: Sequence[datetime]) -> ibis.Value:
    """The first mark at which it was known: how many instants lie before it."""
    return reduce(add, [(moment > instant(at)).cast("int64") for at in instants])


def _finished(scope: Scope, instants: Sequence[datetime]) -> pa.Table:
    s = stays(scope)
    s = s.filter(s.until.notnull())
    days = ibis.greatest((s.until.epoch_seconds() - s.since.epoch_seconds()) / 86400.0, 0.0).floor().cast("int64")
    s = s.mutate(days=days, mark=_bucket(s.until, instants))
    return s.group_by("code", "days", "to", "mark", "sound").agg(n=s.count()).order_by("mark", "code", "days", "to").to_pyarrow()


def _by_mark(rows: pa.Table, place: dict[str, int], marks: int) -> tuple[hz.Counts, ...]:
    stage = np.array([place[code] for code in rows["code"].to_pylist()], int)
    to = np.array([place.get(code, -1) for code in rows["to"].to_pylist()], int)
    kind = np.where(to > stage, hz.FORWARD, hz.BACK)
    for word, exit_ in ((WON, hz.WON), (LOST, hz.LOST)):
        kind[np.array([code == word for code in rows["to"].to_pylist()], bool)] = exit_
    days, n, mark = (rows[name].to_numpy() for name in ("days", "n", "mark"))
    made = []
    total = hz.watched(len(place), np.array([], int), np.array([], int))
    for i in range(marks):
        mine = mark == i
        if mine.any():
            total = total + hz.finished(len(place), stage[mine], days[mine], to[mine], kind[mine], n[mine].astype(float))
        made.append(total)
    return tuple(made)


def _outcomes(scope: Scope, instants: Sequence[datetime], place: dict[str, int]) -> Array:
    s = stays(scope)
    s = s.filter(s.closed_at.notnull())
    s = s.mutate(mark=_bucket(s.closed_at, instants))
    rows = s.group_by("code", "result", "mark").agg(n=s.entity_id.nunique()).to_pyarrow().to_pylist()
    found = np.zeros((len(instants), len(place), 2))
    for row in rows:
        found[row["mark"], place[row["code"]], int(row["result"] == LOST)] += row["n"]
    return np.cumsum(found, axis=0)


def _days(moment: ibis.Value) -> ibis.Value:
    return moment.epoch_seconds().cast("float64") / 86400.0


def _opened(scope: Scope, instants: Sequence[datetime], currency: str | None) -> pa.Table:
    t = positions(scope, instants)
    t = t.filter(t.currency.identical_to(ibis.literal(currency, type="string")) | t.amount.isnull())
    t = t.left_join(wins(scope).select("entity_id", "won_amount"), "entity_id").drop("entity_id_right")
    t = t.select(
        "mark", "entity_id", "code", "age", "amount", "chance", "sound", "amount_dated", "won_amount",
        due=t.due.epoch_days().cast("float64"), won_at=_days(t.won_at), stands=(t.outcome == WON).fill_null(False),
    )  # fmt: skip
    return t.order_by("mark", "entity_id").to_pyarrow().combine_chunks()


def _wins(scope: Scope, currency: str | None) -> Wins:
    w = wins(scope)
    w = w.filter(w.currency.identical_to(ibis.literal(currency, type="string")))
    w = w.select("entity_id", created=_days(w.created_at), at=_days(w.won_at), amount="won_amount", final_at=_days(w.final_at),
                 final_amount="final_amount")  # fmt: skip
    rows = w.order_by("entity_id").to_pyarrow()
    missing = {"created": np.nan, "at": np.nan, "amount": 0.0, "final_at": np.nan, "final_amount": 0.0}
    return Wins(**{name: _numbers(rows[name], value) for name, value in missing.items()})


def first_stay(scope: Scope) -> datetime | None:
    """When the first deal came into a stage; None without any."""
    s = stays(scope)
    first: datetime | None = pairs(s.agg(first=s.since.min()))[0]["first"]
    return first
