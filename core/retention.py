"""How long things are kept: old versions, touches, tallies, results of computation, and the ledger's own history.

What is current is never removed: the newest version of a record, the last run of every job, a plan that may still be
applied. It must not know why a funnel wants what it wants, nor read the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import delete, func, select

from core import ledger_tables as t
from core.lake import Lake
from core.lake_scan import quoted
from core.lake_schema import LOGS
from core.ledger import Ledger
from core.model import KINDS

_DATED = {"touch": "coalesce(occurred_at, observed_at)", "tally": "coalesce(CAST(day AS TIMESTAMPTZ), observed_at)"}
_CHUNK = 500  # ids of one statement


def retain(lake: Lake, ledger: Ledger, days: Any, now: datetime) -> dict[str, int]:
    """Remove what is older than the funnel's `retention` (an object with a number of days, or None, per name); rows removed by name."""

    def limit(name: str) -> datetime | None:
        kept = getattr(days, name)
        return None if kept is None else now - timedelta(days=kept)

    steps: Mapping[str, Callable[[datetime], int]] = {
        "versions": lambda before: sum(_old_versions(lake, kind, before) for kind in KINDS if kind not in _DATED),
        "touches": lambda before: _dated(lake, "touch", before),
        "tallies": lambda before: _dated(lake, "tally", before),
        "findings": lambda before: _old_results(lake, ledger, before),
        "runs": lambda before: _old_runs(ledger, before),
        "plans": lambda before: _old_plans(ledger, before),
    }
    return {name: step(before) for name, step in steps.items() if (before := limit(name)) is not None}


# -- the lake -----------------------------------------------------------------------------------------------------------
def _old_versions(lake: Lake, kind: str, before: datetime) -> int:
    """Versions that a newer one had replaced by then: as of that day nobody saw them any more."""
    followed = "lead(observed_at) OVER (PARTITION BY account, resource, vendor_id ORDER BY version)"
    return _remove(lake, kind, f"SELECT version FROM (SELECT version, {followed} AS replaced FROM rows) WHERE replaced < before", before)


def _dated(lake: Lake, kind: str, before: datetime) -> int:
    return _remove(lake, kind, f"SELECT version FROM rows WHERE {_DATED[kind]} < before", before)


def _remove(lake: Lake, kind: str, query: str, before: datetime) -> int:
    connection = lake.connect()
    try:
        relation = lake.relation(connection, kind)
        if relation is None:
            return 0
        moment = f"TIMESTAMPTZ '{before.isoformat()}'"
        found = connection.execute(f"WITH rows AS (FROM {relation}) {query.replace('before', moment)}").to_arrow_table()
    finally:
        connection.close()
    return lake.remove_versions(kind, found.cast(pa.schema([("version", pa.int64())]))) if found.num_rows else 0


def _old_results(lake: Lake, ledger: Ledger, before: datetime) -> int:
    """Members, links, findings and metrics of runs that ended by then and are not the newest of their kind."""
    removed = 0
    for kind in set(ledger.derived_kinds()) - set(LOGS):
        b = t.batch.c
        mine = (b.account == "") & (b.resource == kind) & (b.status == "committed")
        with ledger.read() as c:
            newest = c.execute(select(func.max(b.id)).where(mine)).scalar()
            runs = list(c.execute(select(b.run_id).where(mine, b.committed_at < before, b.id != newest)).scalars())
        for i in range(0, len(runs), _CHUNK):
            removed += lake.remove(kind, f"run_id IN ({', '.join(_text(r) for r in runs[i : i + _CHUNK])})")
    return removed


def _text(text: str) -> str:
    return f"'{quoted(text)}'"


# -- the ledger -----------------------------------------------------------------------------------------------------------
def _old_runs(ledger: Ledger, before: datetime) -> int:
    """Runs with their counts and rejects. The newest of each job stays; so do batches, which say what the lake holds."""
    r = t.run.c
    with ledger.write() as c:
        newest = select(func.max(r.id)).group_by(r.job)
        old = list(c.execute(select(r.id).where(r.started_at < before, r.status != "running", r.id.not_in(newest))).scalars())
        for i in range(0, len(old), _CHUNK):
            part = old[i : i + _CHUNK]
            for table in (t.count, t.reject):
                c.execute(delete(table).where(table.c.run_id.in_(part)))
            c.execute(delete(t.run).where(r.id.in_(part)))
    return len(old)


def _unplanned(plan_ids: list[str]) -> Any:
    """What notes about changes of these plans only are about."""
    ch = t.change.c
    kept = select(ch.change_id).where(ch.plan_id.not_in(plan_ids))
    return select("change:" + ch.change_id).where(ch.plan_id.in_(plan_ids), ch.change_id.not_in(kept))


def _old_plans(ledger: Ledger, before: datetime) -> int:
    """Plans with their changes, apply runs and outcomes: from then on they cannot be undone. What was pushed last stays known."""
    p, a = t.plan.c, t.apply_run.c
    with ledger.write() as c:
        alive = select(a.plan_id).where((a.started_at >= before) | (a.status == "running"))
        old = list(c.execute(select(p.id).where(p.created_at < before, p.id.not_in(alive))).scalars())
        for i in range(0, len(old), _CHUNK):
            part = old[i : i + _CHUNK]
            applies = select(a.id).where(a.plan_id.in_(part))
            c.execute(delete(t.outcome).where(t.outcome.c.apply_id.in_(applies)))
            for about in (select("plan:" + p.id).where(p.id.in_(part)), _unplanned(part)):
                c.execute(delete(t.note).where(t.note.c.about.in_(about)))
            for table, column in ((t.apply_run, a.plan_id), (t.change, t.change.c.plan_id), (t.plan, p.id)):
                c.execute(delete(table).where(column.in_(part)))
    return len(old)
