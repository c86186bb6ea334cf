"""The audit trail as people and their tools read it. Personal values are shown only to who asks for them."""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from core.change import EVENT, event_values
from core.ledger_audit import Entry
from jobs import show_events
from jobs.choosing import SHORT
from jobs.report.content import Section
from jobs.report.plain import safe
from jobs.show_private import value_of, without_people
from jobs.show_table import table

PAGE = 1000  # rows that people read, of Markdown and HTML
_COLUMNS = (
    "when", "who", "what", "outcome", "account", "target", "record", "field", "before", "after", "why", "rule", "policy", "detail",
    "undo", "run", "plan", "change", "entity",
)  # fmt: skip


def shown(entry: Entry, personal: bool) -> dict[str, Any]:
    """One row under its column's names. Events are said in words; None stays None."""
    c = entry.change
    values = (
        entry.at.isoformat(), entry.by, entry.kind, entry.outcome, c.account, c.target, c.vendor_id, c.field, entry.before, entry.after,
        entry.why, c.rule, c.policy, entry.detail, entry.undo, entry.run, entry.plan, c.change_id, c.entity_id,
    )  # fmt: skip
    row = dict(zip(_COLUMNS, values, strict=True))
    if c.type == EVENT and entry.kind == "apply":
        row["after"] = show_events.said(event_values(entry.after))
    if not personal:
        row |= {name: None if row[name] is None else value_of(c.field, row[name]) for name in ("before", "after")}
        row |= {"why": without_people(entry.why), "detail": without_people(entry.detail)}
    return row


# -- for machines: every row and every column, one after the other ------------------------------------------------------------
def to_csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield _csv_line(_COLUMNS)
    for row in rows:
        yield _csv_line(row.values())


def _csv_line(values: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([safe(value) for value in values])
    return out.getvalue()


def to_json(head: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One object: the head, and `changes`, one a line."""
    yield json.dumps(head, default=str)[:-1] + ', "changes": ['
    between = "\n"
    for row in rows:
        yield between + json.dumps(row, default=str, ensure_ascii=False)
        between = ",\n"
    yield "\n]}\n"


# -- for people: the last of them -----------------------------------------------------------------------------------------------
def brief(rows: Iterable[Mapping[str, Any]], limit: int = PAGE, asked: str = "") -> list[Section]:
    """What people read of it, of the last `limit` rows. asked: what was chosen of the trail, in words."""
    last: deque[Mapping[str, Any]] = deque(maxlen=limit)
    number, runs, first = 0, set(), ""
    for row in rows:
        last.append(row)
        runs.add(row["run"])
        number, first = number + 1, first or row["when"]
    columns = ["when (UTC)", "who", "what", "outcome", "target", "record", "field", "before", "", "after", "change", "undo", "why"]
    lines = [
        [r["when"][:16].replace("T", " "), r["who"], r["what"], r["outcome"], f"{r['account']}/{r['target']}", r["record"], r["field"],
         _said(r["before"]), "→", _said(r["after"]), r["change"][:SHORT], r["undo"], r["why"]]
        for r in last
    ]  # fmt: skip
    note = f"{number - limit:,} earlier; all of them: --format csv" if number > limit else ""
    none = f"nothing was written that fits {asked}" if asked else "nothing was written"
    said = f"{number:,} changes of {len(runs):,} runs, {first[:10]} to {last[-1]['when'][:10]}" if last else none
    return [Section("audit", "Audit trail", (table(columns, lines, note=note),) if lines else (), said)]


def _said(value: str | None) -> str:
    return "(empty)" if value is None else value
