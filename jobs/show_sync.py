"""How the exchange with the accounts goes, and how far they agree, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.show_private import without_people
from jobs.show_table import Table, table

Row = Mapping[str, Any]


def exchange_table(rows: Sequence[Row]) -> Table:
    """One line an account (core.ledger_sync.Exchange, with `frozen`)."""
    lines = [[r["account"], _lag(r), r["rejected"], r["written"], r["refused"], r["frozen"], without_people(r["trouble"])] for r in rows]
    numbers = ("rows rejected", "written, 24 h", "refused, 24 h", "fields frozen")
    note = (
        "Behind: since the resource furthest behind was last read whole. Frozen fields: tundish thaw. What vendors refused: tundish audit."
    )
    return table(
        ["account", "behind", *numbers, "trouble of the last reading"],
        lines,
        numbers=numbers,
        note=note,
        title="Exchange with the accounts",
    )


def _lag(row: Row) -> str:
    """ "0.4 h", "12 d (deals)", "never (contacts)"."""
    hours = row["lag_hours"]
    said = "never" if hours is None else f"{hours:g} h" if hours < 48 else f"{hours / 24:.0f} d"
    return f"{said} ({row['behind']})" if row["behind"] and (hours is None or hours >= 24) else said


def agreement_table(rows: Sequence[Row]) -> Table:
    """Field by field, each pair of accounts (core.agreement.Agreement)."""
    lines = [
        [r["kind"], r["field"], r["left"], r["right"], r["both"], r["both"] - r["equal"], f"{100 * r['equal'] / r['both']:.1f} %"]
        for r in rows
    ]
    numbers = ("both say it", "differ", "equal")
    return table(["of", "field", "account", "and", *numbers], lines, numbers=numbers, title="How far the systems agree")
