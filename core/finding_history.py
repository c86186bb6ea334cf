"""Findings through time: how many were open on each day, what was settled when, how old the open ones are, which are over their limit.

It reads what reconcile runs have stored; it must not know rules.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import select

from core import ledger_tables as t
from core.lake import Lake
from core.ledger import Ledger

SEVERITIES = ("S1", "S2", "S3", "S4")
AGES = (7, 30, 90)  # days; the edges of the groups in which ages are counted
# New is what a run saw first. Two runs of one instant both say "first seen now": the earlier one was the first.
_COUNTS = """SELECT run_id, rule, severity, status, count(*) AS n, count(*) FILTER (first_seen = last_seen AND turn = 1) AS new
             FROM (SELECT *, row_number() OVER (PARTITION BY finding_id, first_seen ORDER BY batch_id) AS turn FROM finding_versions)
             GROUP BY ALL"""
_FIXED = """SELECT run_id, finding_id, rule, severity, title, entity_kind, entity_id, field, records, first_seen
            FROM finding_versions WHERE status = 'fixed'"""


@dataclass
class Day:
    """One day (UTC). `open` by rule and by severity as the day's last run left it; `new` and `fixed` over all its runs."""

    day: str
    open: dict[str, int] = field(default_factory=dict)
    severities: dict[str, int] = field(default_factory=dict)
    new: int = 0
    fixed: int = 0

    @property
    def total(self) -> int:
        return sum(self.open.values())


def trend(lake: Lake, ledger: Ledger, as_of: datetime | None = None) -> list[Day]:
    """The days on which the systems were reconciled, oldest first."""
    runs = _runs(ledger, as_of)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _ask(lake, _COUNTS, as_of):
        rows[row["run_id"]].append(row)
    days: dict[str, Day] = {}
    for run_id, (at, stored) in runs.items():
        if stored and not rows[run_id]:  # past their retention, which is not the same as none
            continue
        day = days.setdefault(f"{at:%Y-%m-%d}", Day(f"{at:%Y-%m-%d}"))
        open_ = [r for r in rows[run_id] if r["status"] == "open"]
        day.open, day.severities = _sums(open_, "rule"), _sums(open_, "severity")
        day.new += sum(r["new"] for r in open_)
        day.fixed += sum(r["n"] for r in rows[run_id] if r["status"] == "fixed")
    return list(days.values())


def resolved(lake: Lake, ledger: Ledger, since: datetime, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """Findings that were gone when a run after `since` looked, newest first, with `resolved_at` and the days they stood open."""
    runs = _runs(ledger, as_of)
    found = [{**row, "resolved_at": runs[row["run_id"]][0]} for row in _ask(lake, _FIXED, as_of) if row["run_id"] in runs]
    late = [row | {"days": _days(row["resolved_at"] - row["first_seen"])} for row in found if row["resolved_at"] > since]
    return sorted(late, key=lambda row: (row["resolved_at"], row["finding_id"]), reverse=True)


def aged(findings: Iterable[Mapping[str, Any]], limits: Any, as_of: datetime) -> list[dict[str, Any]]:
    """Open findings with `age_days` since first seen, `due` (None: no limit) and `over_days` (None: not over), the most overdue first."""
    rows = [_aged(finding, getattr(limits, str(finding["severity"]), None), as_of) for finding in findings]
    return sorted(rows, key=lambda row: (-(row["over_days"] or -1), str(row["severity"]), row["first_seen"], str(row["finding_id"])))


def by_severity(rows: Sequence[Mapping[str, Any]], limits: Any) -> list[dict[str, Any]]:
    """Of `aged` findings per severity: limit, open, how many are how old, the oldest, the median age, and how many are over their limit."""
    made = []
    for severity in SEVERITIES:
        mine = [row for row in rows if row["severity"] == severity]
        ages = [row["age_days"] for row in mine]
        groups = Counter(next((str(edge) for edge in AGES if age <= edge), "older") for age in ages)
        made.append(
            {
                "severity": severity,
                "limit_days": getattr(limits, severity, None),
                "open": len(mine),
                "ages": {name: groups[name] for name in (*map(str, AGES), "older")},
                "oldest_days": max(ages, default=None),
                "median_days": round(median(ages), 1) if ages else None,
                "over": sum(row["over_days"] is not None for row in mine),
            }
        )
    return made


def _aged(finding: Mapping[str, Any], limit: float | None, as_of: datetime) -> dict[str, Any]:
    first = finding["first_seen"]
    due = None if limit is None else first + timedelta(days=limit)
    over = None if due is None or as_of <= due else _days(as_of - due)
    return {**finding, "age_days": _days(as_of - first), "due": due, "over_days": over}


def _days(span: timedelta) -> float:
    return round(span.total_seconds() / 86400, 1)


def _sums(rows: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row[name]] += row["n"]
    return dict(sorted(sums.items()))


def _runs(ledger: Ledger, as_of: datetime | None) -> dict[str, tuple[datetime, int]]:
    """Every run that stored findings, in their order: when, and how many."""
    b = t.batch.c
    mine = (b.account == "") & (b.resource == "finding") & (b.status == "committed")
    query = select(b.run_id, b.committed_at, b.rows).where(mine if as_of is None else mine & (b.committed_at <= as_of)).order_by(b.id)
    with ledger.read() as c:
        return {run_id: (at, rows) for run_id, at, rows in c.execute(query)}


def _ask(lake: Lake, query: str, as_of: datetime | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.sql(query, as_of).to_pylist() if "finding" in lake.kinds() else []
    return rows
