"""Which lake belongs to which ledger. Batch numbers mean something only together: rows written under another ledger would
be taken for this one's, and a lake that was emptied would be taken for vendors without records.

The ledger remembers the id Delta gives every table when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deltalake import DeltaTable
from sqlalchemy import delete, select, text

from core import ledger_tables as t
from core.errors import UserError
from core.ledger import Ledger


def belonging(ledger: Ledger, kind: str, look: Callable[[str], DeltaTable | None], root: str) -> DeltaTable | None:
    """The table `look` finds, when it is the one this ledger knows. A new one, still empty, becomes known.

    Another process may make the table meanwhile; it makes it, lets the ledger know it, then writes. So the ledger is asked
    before the folder whether the table was ever there, and after it which one it is.

    Raises: UserError when the ledger's table is gone, or this one was written under another ledger.
    """
    known = _known(ledger, kind)
    table = look(kind)
    if table is not None and known is None:
        known = _known(ledger, kind)
    if table is None and known is None:
        return None
    if table is None:
        raise UserError(
            f"the lake at {root} has no table '{kind}', which this ledger wrote",
            next_step="bring the lake back to where `lake:` says; if it is lost, read everything again: tundish sync --new-lake",
        )
    own = str(table.metadata().id)
    if known is None and table.version() == 0:  # made a moment ago, here or by another process: rows come after this
        known = _remember(ledger, kind, own)
    if known != own:
        raise UserError(
            f"the table '{kind}' in the lake at {root} was written under another ledger",
            next_step="give `ledger:` the one that wrote it (perhaps from a backup), or give `lake:` an empty folder",
        )
    return table


@contextmanager
def one_at_a_time(ledger: Ledger) -> Iterator[None]:
    """Of all processes over this ledger only one is inside. The ledger cannot be written meanwhile."""
    with ledger.write() as c:  # on SQLite that alone keeps the others out
        if c.dialect.name == "postgresql":
            c.execute(text("SELECT pg_advisory_xact_lock(7480112)"))
        yield


def begin_anew(ledger: Ledger) -> None:
    """Forget the lost lake and how far it had been read. Plans, what was pushed, and erasures stay known."""
    with ledger.write() as c:
        for table in (t.lake_table, t.cursor, t.page, t.missed):
            c.execute(delete(table))


def _known(ledger: Ledger, kind: str) -> str | None:
    with ledger.read() as c:
        return c.execute(select(t.lake_table.c.table_id).where(t.lake_table.c.kind == kind)).scalar()


def _remember(ledger: Ledger, kind: str, table_id: str) -> str | None:
    with ledger.write() as c:
        query = select(t.lake_table.c.table_id).where(t.lake_table.c.kind == kind)
        if (first := c.execute(query).scalar()) is not None:
            return str(first)
        c.execute(t.lake_table.insert().values(kind=kind, table_id=table_id))
    return table_id
