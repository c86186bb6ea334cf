"""What people say about plans, changes and findings, kept in the ledger. `about` is "plan:id", "change:id" or "finding:id"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from core import ledger_tables as t
from core.ledger import Ledger

_CHUNK = 500  # subjects of one statement


@dataclass(frozen=True)
class Note:
    about: str
    text: str
    author: str
    at: datetime


def add_note(ledger: Ledger, note: Note) -> None:
    with ledger.write() as c:
        c.execute(insert(t.note).values(**vars(note)))


def notes_about(ledger: Ledger, subjects: Iterable[str]) -> list[Note]:
    """Oldest first."""
    wanted, n = list(subjects), t.note.c
    rows: list[tuple[int, Note]] = []
    with ledger.read() as c:
        for start in range(0, len(wanted), _CHUNK):
            query = select(n.id, n.about, n.text, n.author, n.at).where(n.about.in_(wanted[start : start + _CHUNK]))
            rows += [(id_, Note(about, text, author or "", at)) for id_, about, text, author, at in c.execute(query)]
    return [note for _, note in sorted(rows, key=lambda row: row[0])]
