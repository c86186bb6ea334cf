"""Runs that began and never said how they ended: their process was killed. A run lives as long as its lease is kept up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update

from core import ledger_tables as t
from core.holders import dead
from core.ledger import Ledger


def run_lease(run_id: str) -> str:
    """The name of the lease that a run holds while it lasts."""
    return f"run:{run_id}"


def held_now(ledger: Ledger, name: str, now: datetime) -> bool:
    """True while a process that may be alive holds the lease."""
    other = ledger.lease_holder(name, now)
    return other is not None and not dead(other)


def lost_runs(ledger: Ledger, now: datetime, job: str | None = None) -> set[str]:
    """Ids of runs that are called running and that nobody carries on; of one job, or of all."""
    query = select(t.run.c.id).where(t.run.c.status == "running")
    with ledger.read() as c:
        open_ = list(c.execute(query if job is None else query.where(t.run.c.job == job)).scalars())
    return {run_id for run_id in open_ if not held_now(ledger, run_lease(run_id), now)}


def lost_applies(ledger: Ledger, now: datetime) -> set[str]:
    """The same of apply and undo runs. One of them runs at a time, so only the last begun may be alive."""
    a = t.apply_run.c
    with ledger.read() as c:
        open_ = list(c.execute(select(a.id).where(a.status == "running").order_by(a.started_at.desc())).scalars())
    return set(open_[1:] if held_now(ledger, "apply", now) else open_)


def note_lost(ledger: Ledger, run_ids: Iterable[str]) -> None:
    """Call them lost for good, unless they have ended since."""
    with ledger.write() as c:
        for run_id in run_ids:
            c.execute(update(t.run).where(t.run.c.id == run_id, t.run.c.status == "running").values(status="lost"))
