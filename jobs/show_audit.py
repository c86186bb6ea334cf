"""The audit trail as people and their tools read it. Personal values are shown only to who asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.change import EVENT, event_values
from core.ledger_audit import Entry
from jobs import show_events
from jobs.choosing import SHORT
from jobs.report.content import Section
from jobs.show_private import value_of, without_people
from jobs.show_table import table

_COLUMNS = {
    "when": "at", "who": "by", "what": "kind", "outcome": "outcome", "account": "account", "target": "target", "record": "vendor_id",
    "field": "field", "before": "before", "after": "after", "why": "why", "rule": "rule", "policy": "policy", "detail": "detail",
    "undo": "undo", "run": "run", "plan": "plan", "change": "change_id", "entity": "entity_id",
}  # fmt: skip


def shown(entry: Entry, personal: bool) -> dict[str, Any]:
    """One row under its column's names. Events are said in words; None stays None."""
    row = {name: getattr(entry, attribute) for name, attribute in _COLUMNS.items()}
    if entry.type == EVENT and entry.kind == "apply":
        row["after"] = show_events.said(event_values(entry.after))
    if not personal:
        row |= {name: None if row[name] is None else value_of(entry.field, row[name]) for name in ("before", "after")}
        row |= {name: without_people(row[name]) for name in ("why", "detail")}
    return row | {"when": entry.at.isoformat()}


def whole(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Every column, for machines."""
    return [Section("audit", "Audit trail", (table(list(_COLUMNS), [list(row.values()) for row in rows]),) if rows else (), _sum(rows))]


def brief(rows: Sequence[Mapping[str, Any]], limit: int | None = None) -> list[Section]:
    """What people read of it, of the last `limit` rows."""
    columns = ["when (UTC)", "who", "what", "outcome", "target", "record", "field", "before", "", "after", "change", "undo", "why"]
    lines = [
        [r["when"][:16].replace("T", " "), r["who"], r["what"], r["outcome"], f"{r['account']}/{r['target']}", r["record"], r["field"],
         _said(r["before"]), "→", _said(r["after"]), r["change"][:SHORT], r["undo"], r["why"]]
        for r in rows[-(limit or len(rows)) :]
    ]  # fmt: skip
    note = f"{len(rows) - limit:,} earlier; all of them: --format csv" if limit and len(rows) > limit else ""
    return [Section("audit", "Audit trail", (table(columns, lines, note=note),) if lines else (), _sum(rows))]


def _said(value: str | None) -> str:
    return "(empty)" if value is None else value


def _sum(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "nothing was written"
    return f"{len(rows):,} changes of {len({r['run'] for r in rows}):,} runs, {rows[0]['when'][:10]} to {rows[-1]['when'][:10]}"
