"""Turns in a bucket that all processes of one hub share: each call takes the next free instant, in one statement.

A process that starts right after another has ended thereby waits a second, where the vendor would make it wait a minute.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite

from core import ledger_tables as t
from core.ledger import Ledger

FURTHEST_MS = 600_000  # a turn further ahead was taken under a clock that has been set back since


def take_turn(ledger: Ledger, account: str, bucket: str, window_s: float, now: datetime) -> float:
    """Seconds until the call may leave: `window_s` after the one before it, or at once."""
    now_ms, window_ms = round(now.timestamp() * 1000), round(window_s * 1000)
    pace = t.pace.c
    free_ms = pace.leaves_ms + window_ms
    later = case(((free_ms > now_ms) & (free_ms < now_ms + FURTHEST_MS), free_ms), else_=now_ms)
    with ledger.write() as c:
        insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
        query = insert(t.pace).values(account=account, bucket=bucket, leaves_ms=now_ms)
        query = query.on_conflict_do_update(index_elements=["account", "bucket"], set_={"leaves_ms": later})
        leaves_ms = c.execute(query.returning(pace.leaves_ms)).scalar_one()
    return max(0.0, (int(leaves_ms) - now_ms) / 1000)
