"""JSON, Markdown and CSV of a report's selected data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from core.ledger_states import OPEN
from jobs import show_events, show_quality
from jobs.report.content import TITLES, Section, findings_table, sections, through_time
from jobs.show_findings import by_rule
from jobs.show_marks import marks
from jobs.show_metrics import label
from jobs.show_plan import changes
from jobs.show_table import Table, tame

_METRIC = ("value", "numerator", "denominator", "n", "low", "high", "unit")
# A spreadsheet runs a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


# -- JSON ---------------------------------------------------------------------------------------------------------------
def to_json(data: Mapping[str, Any], name: str) -> str:
    if data.get("plan"):
        data = {**data, "plan": show_events.opened(data["plan"])}
    return json.dumps({"report": name, **data}, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value.isoformat() if hasattr(value, "isoformat") else str(value)


# -- Markdown -----------------------------------------------------------------------------------------------------------
def to_markdown(data: Mapping[str, Any], name: str) -> str:
    head = (data.get("organisation", "Tundish"), name, data.get("as_of", "?"), data.get("freshness") or {})
    return markdown(*head, sections(data), without(data))


def without(data: Mapping[str, Any]) -> str:
    """Who is in no number, in words; "" where that was not counted."""
    return "" if data.get("left_out") is None else f"In no number: {show_quality.left_out_text(data['left_out'])}."


def markdown(organisation: str, title: str, as_of: str, freshness: Mapping[str, str], made: Iterable[Section], left_out: str = "") -> str:
    """Sections as Markdown under a heading."""
    lines = [f"# {_md(organisation)}: {_md(title)}", "", f"As of {_md(as_of)}.", ""]
    if freshness:
        lines += ["Read completely: " + ", ".join(f"{_md(a)} {_md(t)}" for a, t in freshness.items()) + ".", ""]
    lines += [_md(left_out), ""] if left_out else []
    for section in made:
        lines += [f"## {section.title}", ""]
        lines += [_md(section.text), ""] if section.text else []
        for shown in (*section.first, *section.tables, *section.more):
            lines += [*_markdown_table(shown), ""]
    return "\n".join(lines)


def _markdown_table(shown: Table) -> list[str]:
    title = [f"### {_md(shown.title)}", ""] if shown.title else []
    rule = ["---:" if i in shown.numbers else "---" for i in range(len(shown.columns))]
    rows = [_row(shown.columns), _row(rule), *(_row([_md(value) for value in row]) for row in shown.rows)]
    return [*title, *rows, *(["", _md(shown.note)] if shown.note else [])]


def _row(values: Iterable[str]) -> str:
    return "| " + " | ".join(values) + " |"


def _md(value: Any) -> str:
    """Text that Markdown takes literally."""
    text = tame(str(value)).replace("\\", "\\\\").replace("\n", " ")
    for mark in "|*_`[]<>#":
        text = text.replace(mark, "\\" + mark)
    return text


# -- CSV ----------------------------------------------------------------------------------------------------------------
def to_csv(data: Mapping[str, Any], name: str) -> str:
    """One table for a named report. `all` is all of them, each under its title, with an empty line between."""
    filled = [(title, columns, rows) for title, columns, rows in blocks(data, name) if rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for place, (title, columns, rows) in enumerate(filled):
        if len(filled) > 1:
            writer.writerows([[]] * bool(place) + [[safe(title)]])
        writer.writerow([safe(c) for c in columns])
        writer.writerows([safe(value) for value in row] for row in rows)
    return out.getvalue()


def safe(value: Any) -> Any:
    """A cell no spreadsheet takes for a formula: text that begins with = + - @ gets an apostrophe. Numbers stay numbers."""
    if value is None or isinstance(value, (int, float, Decimal)):
        return value
    text = "\r".join(map(tame, str(value).split("\r")))
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) or text.startswith(_FORMULA) else text


Block = tuple[str, Sequence[str], list[list[Any]]]


def blocks(data: Mapping[str, Any], name: str) -> list[Block]:
    """(title, columns, rows), with numbers as numbers."""
    made = [metric_block(data["metrics"])] if "metrics" in data else []
    if data.get("quality"):
        shown = show_quality.quality_table(data["quality"])
        made.append(("data quality", shown.columns, [list(row) for row in shown.rows]))
    if data.get("findings"):
        shown = findings_table(data["findings"])
        made.append(("findings", shown.columns, [list(row) for row in shown.rows]))
    if name == "all" and data.get("findings"):
        made.append(("findings by rule", ("severity", "rule", "finding", "number"), [list(row) for row in by_rule(data["findings"])]))
    for section in through_time(data):
        made += [(t.title.lower(), t.columns, [list(row) for row in t.rows]) for t in section.tables]
    if data.get("plan"):
        made.append(_plan_block(data))
    made += [(key, ("outcome", "number"), [list(i) for i in data[key].items()]) for key in ("apply", "undo") if data.get(key)]
    for key in ("records", "sync", "rejects", "agreement", "stages"):
        if data.get(key):
            columns = list(dict.fromkeys(column for row in data[key] for column in row))
            made.append((key, columns, [[row.get(c) for c in columns] for row in data[key]]))
    if name in ("all", "records") and data.get("entities"):
        made.append(("entities", ("entity", "number"), [list(i) for i in data["entities"].items()]))
    return made


def metric_block(metrics: Sequence[Mapping[str, Any]]) -> Block:
    """One line a metric, a column for each dimension that any of them has."""
    dims = list(dict.fromkeys(d for row in metrics for d in row["dimensions"]))
    rows = [
        [row["name"], *(row["dimensions"].get(d) for d in dims), *(row.get(c) for c in _METRIC), "; ".join(marks(row)) or None]
        for row in metrics
    ]
    return ("metrics", ["metric", *dims, *_METRIC, "marks"], rows)


def _plan_block(data: Mapping[str, Any]) -> Block:
    plan = data["plan"]
    columns = ("account", "target", "vendor_id", "field", "type", "before", "after", "why", "rule", "policy", "change_id")
    states, said = plan.get("states") or {}, _said(plan.get("notes") or ())
    rows = [
        [
            *(getattr(c, column) for column in columns),
            states.get(c.change_id, {}).get("status", OPEN),
            said.get(f"change:{c.change_id}", ""),
        ]
        for c in (replace(c, after=show_events.new(c)) for c in changes(plan))
    ]
    return ("plan", (*columns, "state", "notes"), rows)


def _said(notes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Notes by what they are about, each "who: text"."""
    said: dict[str, str] = {}
    for note in notes:
        line = f"{note['author']}: {note['text']}"
        said[note["about"]] = f"{said[note['about']]}; {line}" if note["about"] in said else line
    return said


def title_of(name: str) -> str:
    return TITLES.get(name, label(name).capitalize())


def instant(text: Any) -> str:
    """ "2026-06-30 02:00 UTC" of an ISO instant; anything else as it is."""
    iso = str(text)
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) >= 16 and iso.endswith(("Z", "+00:00")) else iso
