"""Decisions about who is who in the ledger: who said it, when, why, and whether it was taken back. Nothing is ever overwritten."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from core import ledger_tables as t
from core.errors import UserError
from core.identity_decisions import Decision
from core.ledger import Ledger


@dataclass(frozen=True)
class Kept:
    """A decision with its history."""

    id: str
    decision: Decision
    author: str
    at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None


def decide(ledger: Ledger, decision: Decision, author: str, now: datetime) -> str:
    """Keep a decision; the last one about a pair holds. Returns its id."""
    id_ = f"id-{secrets.token_hex(4)}"
    left, right = decision.pair
    values = {"id": id_, "left_key": left, "right_key": right, "verdict": decision.verdict, "why": decision.why}
    with ledger.write() as c:
        c.execute(insert(t.identity_decision).values(**values, author=author, at=now))
    return id_


def take_back(ledger: Ledger, id_: str, author: str, now: datetime) -> Kept:
    """The decision no longer holds; an earlier one about the pair does again. Raises: UserError for none, or one taken back before."""
    found = next((kept for kept in history(ledger) if kept.id == id_), None)
    if found is None or found.undone_at is not None:
        problem = f"no decision {id_!r}" if found is None else f"{id_} was taken back before"
        raise UserError(problem, next_step="list them: tundish link --list")
    d = t.identity_decision.c
    with ledger.write() as c:
        c.execute(update(t.identity_decision).where(d.id == id_, d.undone_at.is_(None)).values(undone_at=now, undone_by=author))
    return found


def history(ledger: Ledger) -> list[Kept]:
    """Every decision ever made by command, oldest first."""
    d = t.identity_decision
    with ledger.read() as c:
        return [_kept(row) for row in c.execute(select(d).order_by(d.c.at, d.c.id)).mappings()]


def decided(ledger: Ledger, until: datetime) -> list[Decision]:
    """The decisions that held then, oldest first."""
    return [k.decision for k in history(ledger) if k.at <= until and (k.undone_at is None or k.undone_at > until)]


def forget_decisions(c: Any, keys: Iterable[str]) -> None:
    """In the transaction `c`: erase what was decided about these records (account:resource:id)."""
    d = t.identity_decision.c
    for key in keys:
        c.execute(delete(t.identity_decision).where(or_(d.left_key == key, d.right_key == key)))


def _kept(row: Any) -> Kept:
    decision = Decision(row["left_key"], row["right_key"], row["verdict"], row["why"], row["id"])
    return Kept(row["id"], decision, row["author"], row["at"], row["undone_at"], row["undone_by"])
