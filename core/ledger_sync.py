"""How the exchange with each account goes, as the ledger knows it: read when, with what trouble, and written how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from core import ledger_tables as t
from core.ledger import Ledger
from core.ledger_health import pulled

DAY = timedelta(hours=24)
_WRITTEN, _REFUSED = ("applied", "undone"), ("rejected", "failed", "uncertain")


@dataclass(frozen=True)
class Exchange:
    """One account. Lags are hours up to the instant asked about; None: never."""

    account: str
    resources: int
    lag_hours: float | None  # since the last whole reading of the resource that is furthest behind
    behind: str  # that resource
    rejected: int  # rows of the last run that could not be used
    trouble: str  # why the last run did not read all of it
    written: int  # changes vendors took in the last 24 hours
    refused: int  # … and did not take


def exchanges(ledger: Ledger, accounts: Iterable[str], now: datetime) -> list[Exchange]:
    """Of each account, in the order given."""
    whole, last, writes = _whole(ledger, now), _last(ledger, now), _writes(ledger, now)
    return [_of(name, whole.get(name, {}), last.get(name, []), writes.get(name, (0, 0)), now) for name in accounts]


_Counts = list[tuple[str, str, int, str]]  # resource, status, rejected, reason


def _of(account: str, whole: dict[str, datetime], last: _Counts, writes: tuple[int, int], now: datetime) -> Exchange:
    unread = sorted(resource for resource, *_ in last if resource not in whole)
    behind = unread[0] if unread else min(whole, key=lambda name: (whole[name], name), default="")
    lag = None if unread or not whole else round((now - whole[behind]).total_seconds() / 3600, 1)
    trouble = "; ".join(dict.fromkeys(f"{resource}: {reason or status}" for resource, status, _, reason in last if status != "done"))
    rejected = sum(n for _, _, n, _ in last)
    return Exchange(account, len({*whole, *(r for r, *_ in last)}), lag, behind, rejected, trouble, *writes)


def _whole(ledger: Ledger, now: datetime) -> dict[str, dict[str, datetime]]:
    """By account and resource: the beginning of the last run that read it whole."""
    found: dict[str, dict[str, datetime]] = {}
    for account, resource, at in pulled(ledger, now):
        found.setdefault(account, {})[resource] = at
    return found


def _last(ledger: Ledger, now: datetime) -> dict[str, _Counts]:
    """Of each account, what its last run says of its resources."""
    n, r = t.count.c, t.run.c
    runs = select(n.account, func.max(r.id)).join_from(t.count, t.run, n.run_id == r.id).where(r.started_at <= now).group_by(n.account)
    found: dict[str, _Counts] = {}
    with ledger.read() as c:
        for account, run_id in c.execute(runs).all():
            rows = c.execute(select(n.resource, n.status, n.rejected, n.reason).where(n.run_id == run_id, n.account == account))
            found[account] = [(resource, status, rejected, reason) for resource, status, rejected, reason in rows]
    return found


def _writes(ledger: Ledger, now: datetime) -> dict[str, tuple[int, int]]:
    """By account: changes taken and not taken in the last 24 hours."""
    o, ch, a = t.outcome.c, t.change.c, t.apply_run.c
    taken, refused = (func.sum(case((o.status.in_(some), 1), else_=0)) for some in (_WRITTEN, _REFUSED))
    query = select(ch.account, taken, refused).join_from(t.outcome, t.apply_run, o.apply_id == a.id)
    query = query.join(t.change, (ch.plan_id == a.plan_id) & (ch.change_id == o.change_id))
    query = query.where(o.at > now - DAY, o.at <= now).group_by(ch.account)
    with ledger.read() as c:
        return {account: (int(taken or 0), int(refused or 0)) for account, taken, refused in c.execute(query)}
