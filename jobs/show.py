"""What the jobs print for a person: plain data in, text out. Rich is imported only when somebody looks at a terminal.

Every `*_text` function answers aligned plain lines where standard output is no terminal. It must not compute anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.change import Outcome
from jobs import show_findings, show_pivots
from jobs.show_plan import plan_table, plan_text
from jobs.show_private import without_people
from jobs.show_progress import Progress
from jobs.show_table import Table, cell, table, text

__all__ = [
    "Progress", "entities_text", "findings_text", "metrics_text", "no_findings", "outcomes_text", "plan_table", "plan_text",
    "records_table", "records_text", "rejects_text", "table_text", "truth_text",
]  # fmt: skip
_RECORD_COLUMNS = ("account", "resource", "vendor says", "rows", "appended", "deleted", "rejected", "status", "reason")
_NUMBERS = ("vendor says", "rows", "appended", "deleted", "rejected")
_OUTCOMES = {
    "applied": "written and read back, or an event taken", "already": "stood there already",
    "drifted": "changed by somebody since; not touched", "gone": "the record is no more", "rejected": "refused by the vendor",
    "failed": "not written; apply again", "uncertain": "sent, but no reply came; never sent again",
    "late": "too old for the vendor by now; plan again", "undone": "put back",
    "kept": "changed by somebody since, an event or an opt-out; left as it is",
}  # fmt: skip


_NAMED = ("failed", "rejected", "uncertain", "kept")  # one by one, in this order


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Sequence[str] = ()) -> str:
    """Any table. "none" when there are no rows."""
    return text(table(columns, rows, numbers=numbers)) if rows else "none"


# -- what was pulled ------------------------------------------------------------------------------------------------------
def records_table(counts: Sequence[Mapping[str, Any]]) -> Table:
    """Rows per account and resource (ledger counts as dicts), with their sum."""
    counted = ("kept", "appended", "deleted", "rejected")
    rows = [
        [c["account"], c["resource"], c.get("vendor_total"), *(c.get(n) or 0 for n in counted), c.get("status", ""), c.get("reason", "")]
        for c in counts
    ]
    sums = [sum(c.get(n) or 0 for c in counts) for n in counted]
    return table(_RECORD_COLUMNS, [*rows, ["all", "", None, *sums, "", ""]], numbers=_NUMBERS)


def records_text(counts: Sequence[Mapping[str, Any]]) -> str:
    return text(records_table(counts)) if counts else "no rows were read"


def rejects_text(rejects: Sequence[Mapping[str, Any]], limit: int = 20) -> str:
    """Rows that could not be used: where the mapping says so, and why."""
    rows = [[r.get("vendor_id") or "?", r.get("place", ""), without_people(str(r.get("reason", "")))] for r in rejects[:limit]]
    note = f"{len(rejects) - limit} more" if len(rejects) > limit else ""
    return text(table(["row", "mapping", "reason"], rows, note=note)) if rows else "no row was rejected"


def entities_text(entities: Mapping[str, int]) -> str:
    rows = [[kind, n] for kind, n in sorted(entities.items())]
    return text(table(["entity", "number"], rows, numbers=["number"])) if rows else "no entity is known yet"


# -- what was found -------------------------------------------------------------------------------------------------------
def findings_text(findings: Sequence[Mapping[str, Any]], limit: int = 50, none: str = "") -> str:
    """Number by rule, then the worst `limit` one by one. People's addresses are never shown. none: what to say where there are none."""
    if not findings:
        return none or "no findings: the systems agree"
    return "\n\n".join((text(show_findings.summary_table(findings)), text(show_findings.findings_table(findings, limit))))


def no_findings(entities: Mapping[str, int], others: int, as_of: datetime | None) -> str:
    """Why nothing is listed, where that is no agreement: nothing was pulled, or the `others` were not asked for."""
    if not entities:
        return "no findings: nothing had been pulled by then" if as_of else "no findings: nothing was pulled yet; pull it: tundish sync"
    return f"none of the {others:,} findings is what was asked for" if others else ""


def truth_text(truth: Mapping[str, Any], findings: Sequence[Mapping[str, Any]] = ()) -> str:
    """Findings by rule beside what the sandbox planted: {planted, found, missed, false, rules: {rule: the same}}."""
    return text(show_findings.truth_table(truth, findings))


def metrics_text(metrics: Iterable[Mapping[str, Any]], name: str | None = None) -> str:
    """All metrics, or one family (jobs.show_metrics.FAMILIES)."""
    return "\n\n".join(text(t) for t in show_pivots.tables(metrics, name, sparks=True)) or "nothing to measure yet"


# -- what is written ------------------------------------------------------------------------------------------------------
def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """Outcomes of an apply or an undo by status, and each one that needs a person or was left as it is by an undo."""
    if not outcomes:
        return "nothing to do"
    counts = Counter(o.status for o in outcomes)
    rows = [[status, counts[status], meaning] for status, meaning in _OUTCOMES.items() if counts[status]]
    rows += [[status, n, ""] for status, n in sorted(counts.items()) if status not in _OUTCOMES]
    lines = [text(table(["outcome", "number", "meaning"], rows, numbers=["number"]))]
    bad = sorted((o for o in outcomes if o.status in _NAMED), key=lambda o: _NAMED.index(o.status))
    lines += [f"{o.status} {o.change_id}: {cell(without_people(o.detail))}" for o in bad[:10]]
    return "\n".join([*lines, f"{len(bad) - 10} more"] if len(bad) > 10 else lines)
