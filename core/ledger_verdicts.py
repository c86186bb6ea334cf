"""What people decided about findings: accepted, muted until a day, open again. Kept in the ledger; a reconcile run follows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from sqlalchemy import delete, insert, select

from core import ledger_tables as t
from core.ledger import Ledger

ACCEPTED, OPEN, MUTED = "accepted", "open", "muted_until:"
_CHUNK = 500  # findings of one statement


@dataclass(frozen=True)
class Verdict:
    """`status` as findings have it: open, accepted, or muted_until:2026-07-01."""

    finding_id: str
    status: str
    author: str
    at: datetime


def say_verdict(ledger: Ledger, verdict: Verdict) -> None:
    with ledger.write() as c:
        c.execute(insert(t.verdict).values(**vars(verdict)))


def verdicts(ledger: Ledger, until: datetime) -> dict[str, Verdict]:
    """The last verdict of each finding that was said by then, by the finding's id."""
    v = t.verdict.c
    query = select(v.finding_id, v.status, v.author, v.at).where(v.at <= until).order_by(v.id)
    with ledger.read() as c:
        return {row.finding_id: Verdict(*row) for row in c.execute(query)}


def judged(findings: pa.Table | None, said: Mapping[str, Verdict]) -> pa.Table | None:
    """The findings of the last run with the status people gave them. What was settled and is there again is a new question."""
    if findings is None or not said:
        return findings
    rows = zip(*(findings[name].to_pylist() for name in ("finding_id", "status", "first_seen")), strict=True)
    statuses = [said[id_].status if id_ in said and status != "fixed" and said[id_].at >= first else status for id_, status, first in rows]
    return findings.set_column(findings.column_names.index("status"), "status", pa.array(statuses, pa.string()))


def forget_findings(ledger: Ledger, finding_ids: Collection[str]) -> None:
    """Erase what was said and decided about these findings."""
    ids = sorted(finding_ids)
    with ledger.write() as c:
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            c.execute(delete(t.verdict).where(t.verdict.c.finding_id.in_(part)))
            c.execute(delete(t.note).where(t.note.c.about.in_([f"finding:{id_}" for id_ in part])))
