"""What the hub may forget: results of work that only depends on a fingerprint, kept so that the next run need not repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select

from core import ledger_tables as t
from core.ledger import Ledger, upsert

KEPT = 4  # fingerprints: an older version of the program, or another funnel, may be in use beside this one


def recall(ledger: Ledger, fingerprint: str) -> dict[str, str]:
    """What was kept under the fingerprint; nothing when there is none."""
    with ledger.read() as c:
        found = c.execute(select(t.memo.c.value).where(t.memo.c.fingerprint == fingerprint)).scalar()
    return dict(found or {})


def remember(ledger: Ledger, fingerprint: str, value: Mapping[str, str], now: datetime) -> None:
    """Keep it, and let go of all but the newest few."""
    with ledger.write() as c:
        upsert(c, t.memo, [{"fingerprint": fingerprint, "value": dict(value), "at": now}])
        newest = select(t.memo.c.fingerprint).order_by(t.memo.c.at.desc()).limit(KEPT)
        c.execute(delete(t.memo).where(t.memo.c.fingerprint.not_in(list(c.execute(newest).scalars()))))
