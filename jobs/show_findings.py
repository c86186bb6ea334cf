"""Findings and the score against a ground truth, as tables. Record keys are shown; people's addresses are not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.ledger_verdicts import MUTED
from jobs.show_private import masked, without_people
from jobs.show_table import Table, table, text

_JSON = ("records", "values", "fix", "evidence")
SHORT = 8  # characters of a finding's id that are shown and name it
_COUNTS = ("planted", "found", "missed", "false")


def opened(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding whose JSON columns are values, whether the lake's row or opened before; personal values masked."""
    row = dict(finding)
    for name in _JSON:
        if isinstance(row.get(name), str) and row[name][:1] in tuple('[{"n'):
            row[name] = json.loads(row[name])
    return masked(row)


def keys(finding: Mapping[str, Any]) -> str:
    """The records of an opened finding as account:resource:id, space-separated."""
    return " ".join(":".join(str(part) for part in r) if isinstance(r, (list, tuple)) else str(r) for r in finding.get("records") or ())


def values(finding: Mapping[str, Any]) -> str:
    """ "hubspot 1000, salesforce 1200" of an opened finding."""
    pairs = finding.get("values") or {}
    return ", ".join(f"{name} {value}" for name, value in pairs.items()) if isinstance(pairs, Mapping) else str(pairs)


def remedy(finding: Mapping[str, Any]) -> str:
    """What happens next: the safe fix, or the question for a person."""
    fix = finding.get("fix")
    if isinstance(fix, Mapping):
        return f"set {fix.get('account', '')} {fix.get('field', '')} = {fix.get('value')}"
    return str(fix or finding.get("question") or "")


def day(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value or "")[:10]


def findings_table(findings: Sequence[Mapping[str, Any]], limit: int) -> Table:
    """The worst `limit` findings, most severe first. `tundish explain ID` tells all of one."""
    rows = sorted((opened(f) for f in findings), key=lambda f: (str(f.get("severity")), str(f.get("rule"))))
    shown = [
        [
            str(f.get("finding_id") or "")[:SHORT],
            f.get("severity"),
            f.get("rule"),
            f.get("title"),
            f.get("field"),
            values(f),
            day(f.get("since")),
            day(f.get("first_seen")),
            keys(f),
            remedy(f),
        ]
        for f in rows[:limit]
    ]
    rest = len(rows) - len(shown)
    note = f"{rest} more; show them with --max {len(rows)}" if rest else ""
    return table(["id", "sev", "rule", "finding", "field", "values", "since", "first seen", "records", "fix or question"], shown, note=note)


def notes_table(findings: Iterable[Mapping[str, Any]]) -> Table | None:
    """What people said about these findings (opened before); None when nobody said anything."""
    rows = [
        [f["finding_id"][:SHORT], f["rule"], str(note["at"])[:16].replace("T", " "), note["author"], note["text"]]
        for f in findings
        for note in f.get("notes") or ()
    ]
    return table(["id", "rule", "when (UTC)", "who", "note"], rows, title="Notes") if rows else None


def set_aside_table(findings: Sequence[Mapping[str, Any]]) -> Table | None:
    """Those that people accepted or muted (opened before); None for none."""
    rows = [[f["finding_id"][:SHORT], f["severity"], f["rule"], f["title"], f["entity_id"], said(f["status"]), keys(f)] for f in findings]
    columns = ["id", "sev", "rule", "finding", "entity", "status", "records"]
    return table(columns, rows, title="Accepted or muted; not counted above") if rows else None


def said_texts(findings: Iterable[Mapping[str, Any]], aside: Iterable[Mapping[str, Any]]) -> list[str]:
    """For a terminal: what people said of findings (in any form), and which they set aside."""
    one, other = [opened(f) for f in findings], [opened(f) for f in aside]
    return [text(shown) for shown in (notes_table([*one, *other]), set_aside_table(other)) if shown is not None]


def said(status: str) -> str:
    """A finding's status in words."""
    if status == "fixed":
        return "gone when last looked for"
    return f"muted until {status.removeprefix(MUTED)}" if status.startswith(MUTED) else status


def by_rule(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """(severity, rule, title, number), most severe first."""
    counts = Counter((str(f.get("severity") or ""), str(f["rule"]), without_people(str(f.get("title") or ""))) for f in findings)
    return [(*key, n) for key, n in sorted(counts.items())]


def summary_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    rows = [[*row] for row in by_rule(findings)]
    return table(["sev", "rule", "finding", "number"], rows, numbers=["number"], note=f"{len(findings)} findings")


def truth_table(truth: Mapping[str, Any], findings: Sequence[Mapping[str, Any]] = ()) -> Table:
    """Per rule: planted, found, missed and false, and their sums. Severity and title come from the findings."""
    names = {rule: (severity, title) for severity, rule, title, _ in by_rule(findings)}
    rules: Mapping[str, Mapping[str, int]] = truth.get("rules") or {}
    rows: list[list[Any]] = []
    for rule in sorted(rules, key=lambda r: (names.get(r, ("S9", ""))[0], r)):
        severity, title = names.get(rule, ("", ""))
        rows.append([severity, rule, title, *(rules[rule].get(name, 0) for name in _COUNTS)])
    rows.append(["", "all", "", *(truth.get(name, 0) for name in _COUNTS)])
    return table(["sev", "rule", "finding", *_COUNTS], rows, numbers=_COUNTS)
