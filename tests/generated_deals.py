"""Deals whose hazards are known, day by day: as facts (core.facts) that metrics can stand on, without resolving anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

STAGES = ("M50", "M60", "M70")
CHANCES = (0.2, 0.5, 0.8)
# Per day and stage: won, lost, forward, back; after four weeks in the stage a seventh of it, as stalled deals are.
RATES = np.array([[0.0, 0.010, 0.050, 0.0], [0.004, 0.012, 0.040, 0.006], [0.030, 0.010, 0.0, 0.008]])
STALE_AFTER, STALE = 28, 0.15
DAY_US = 86_400_000_000
RATIO = 0.9  # won amounts next to quoted ones
CHANGE = {
    "entity_id": "string", "kind": "string", "account": "string", "vendor_id": "string", "field": "string", "value": "string",
    "code": "string", "pipeline": "string", "at": "timestamp('UTC', 6)", "writer": "string", "seq": "int64", "resource": "string",
}  # fmt: skip


def rate(stage: np.ndarray, age: np.ndarray) -> np.ndarray:
    return RATES[stage] * np.where(age >= STALE_AFTER, STALE, 1.0)[:, None]


def journeys(deals: int, days: int, seed: int) -> tuple[np.ndarray, list[tuple[np.ndarray, int, np.ndarray]]]:
    """(day each deal was created, [(deals, day, new state: 0–2 stages, 3 won, 4 lost)])."""
    random = np.random.default_rng(seed)
    created = np.sort(random.integers(0, days, deals))
    stage, since = np.zeros(deals, int), created.copy()
    state_open = np.ones(deals, bool)
    moves = []
    for day in range(days):
        live = np.flatnonzero(state_open & (created <= day))
        edges = np.cumsum(rate(stage[live], day - since[live]), axis=1)
        exit_ = (random.random(len(live))[:, None] > edges).sum(1)
        moved = exit_ < 4
        who, how = live[moved], exit_[moved]
        to = np.where(how == 0, 3, np.where(how == 1, 4, np.where(how == 2, stage[who] + 1, stage[who] - 1)))
        stage[who], since[who] = np.minimum(to, 2), day + 1
        state_open[who[to >= 3]] = False
        moves.append((who, day, to))
    return created, moves


def history(deals: int, days: int, seed: int, until: datetime) -> dict[str, Any]:
    """Arrow tables deal, deals, changes, stages of a company's `days` days before `until`."""
    random = np.random.default_rng(seed + 1)
    created, moves = journeys(deals, days, seed)
    start = int(until.timestamp()) * 1_000_000 - days * DAY_US
    quoted = np.round(random.lognormal(9, 0.8, deals), 2)
    planned = created + random.integers(20, 90, deals)
    who = np.concatenate([np.arange(deals), *(w for w, _, _ in moves)])
    at = np.concatenate([created, *(np.full(len(w), day) for w, day, _ in moves)])
    # Within its day: a deal leaves a stage after it came in.
    within = random.random(len(who)) * 0.4 + np.where(np.arange(len(who)) < deals, 0.0, 0.5)
    state = np.concatenate([np.zeros(deals, int), *(t for _, _, t in moves)])
    order = np.lexsort((at + within, who))
    who, state, when = who[order], state[order], ((at + within)[order] * DAY_US).astype("int64") + start
    first = np.searchsorted(who, np.arange(deals))
    last = np.append(first[1:], len(who)) - 1
    final, closed_at = state[last], when[last]
    codes = np.array([*STAGES, "M80", "M85"])
    won = final == 3
    ratio = np.where(won, RATIO * random.lognormal(0, 0.1, deals), 1.0)
    final_amount = np.round(quoted * ratio, 2)
    close = np.where(final >= 3, closed_at, planned * DAY_US + start)
    ids = np.array([f"dea_{i:07d}" for i in range(deals)])
    parts = [
        _changes(ids[who], "stage", codes[state], when, np.arange(len(who)) - first[who], codes[state]),
        _changes(ids, "amount", quoted.astype(str), when[first], np.zeros(deals, int)),
        _changes(ids[won], "amount", final_amount[won].astype(str), closed_at[won], np.ones(won.sum(), int)),
        _changes(ids, "close_date", _day_texts(planned * DAY_US + start), when[first], np.zeros(deals, int)),
        _changes(ids[final >= 3], "close_date", _day_texts(closed_at[final >= 3]), closed_at[final >= 3], np.ones((final >= 3).sum(), int)),
    ]
    outcome = np.where(won, "won", np.where(final == 4, "lost", "open"))
    stamp = pa.timestamp("us", "UTC")
    deal = {
        "entity_id": ids, "outcome": outcome, "currency": np.full(deals, "EUR"), "amount": final_amount,
        "close_date": pa.array(close, pa.timestamp("us")).cast(pa.timestamp("s"), safe=False).cast(pa.date32(), safe=False),
        "created_at": pa.array(when[first], stamp), "probability": np.array([*CHANCES, 1.0, 0.0])[final],
        "owner_email": np.full(deals, "o@x.example"), "last_activity_at": pa.array(when[last], stamp),
        "source_account": np.full(deals, "salesforce"), "source_resource": np.full(deals, "Opportunity"), "source_id": ids,
        "stage": codes[final], "pipeline_stage": np.array(["Qualifying", "Proposing", "Closing", "Won", "Lost"])[final],
        "stage_entered_at": pa.array(when[last], stamp), "lost_reason": pa.nulls(deals, pa.string()),
        "source": pa.nulls(deals, pa.string()),
        "age_days": np.where(final < 3, (int(until.timestamp()) * 1_000_000 - when[last]) / DAY_US, np.nan),
    }  # fmt: skip
    record = {"entity_id": ids, "account": deal["source_account"], "resource": deal["source_resource"], "vendor_id": ids,
              "forecast_category": pa.nulls(deals, pa.string())}  # fmt: skip
    stages = {"account": ["salesforce"] * 3, "value": list(STAGES), "chance": list(CHANCES)}
    return {"deal": pa.table(deal), "deals": pa.table(record), "changes": pa.concat_tables(parts), "stages": pa.table(stages)}


def _day_texts(at: np.ndarray) -> np.ndarray:
    return (at // DAY_US).astype("datetime64[D]").astype(str)


def _changes(ids: np.ndarray, field: str, value: np.ndarray, at: np.ndarray, seq: np.ndarray, code: np.ndarray | None = None) -> pa.Table:
    n = len(ids)
    columns = {
        "entity_id": pa.array(ids, pa.string()), "kind": pa.array(["deal"] * n, pa.string()), "account": pa.array(["salesforce"] * n),
        "vendor_id": pa.array(ids, pa.string()), "field": pa.array([field] * n), "value": pa.array(value, pa.string()),
        "code": pa.array(code, pa.string()) if code is not None else pa.nulls(n, pa.string()),
        "at": pa.array(at, pa.timestamp("us", "UTC")), "seq": pa.array(seq, pa.int64()), "resource": pa.array(["Opportunity"] * n),
    }  # fmt: skip
    return pa.table(columns)


def facts(tables: Mapping[str, pa.Table]) -> dict[str, ibis.Table]:
    return {name: ibis.memtable(table) for name, table in tables.items()}


UNTIL = datetime(2026, 6, 30, tzinfo=UTC)
