"""Gather what a report shows, from the ledger and one understanding of the lake."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.finding_history import aged, by_severity, resolved, trend
from core.pipeline import Understanding
from core.quality import quality
from core.restated import restated
from jobs.board import board
from jobs.notes import noted
from jobs.plan_pages import page
from jobs.show_private import masked
from jobs.wiring import Hub

RESOLVED_DAYS = 30
_JSON_COLUMNS = ("records", "values", "fix", "evidence", "systems")


def opened(row: Mapping[str, Any]) -> dict[str, Any]:
    """A finding with its JSON columns opened."""
    return {k: _loads(v) if k in _JSON_COLUMNS else v for k, v in row.items()}


def _loads(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in '[{"':
        return value
    return json.loads(value)


def report_data(hub: Hub, found: Understanding, metrics: Sequence[Mapping[str, Any]], as_of: datetime | None = None) -> dict[str, Any]:
    """Everything the renderers need; see `jobs.report.render`. `as_of`: of what the lake held then, else now."""
    syncs = hub.ledger.runs(1, "sync")
    counts = hub.ledger.counts(syncs[0].id) if syncs else []
    rejects = hub.ledger.rejects(syncs[0].id) if syncs else []
    plans = hub.line.plans.plans(1)
    return {
        **through_time(hub, found, as_of),
        "as_of": found.as_of.isoformat(),
        "organisation": hub.config.organisation.name,
        "freshness": _freshness(hub),
        "records": [asdict(c) for c in counts],
        "entities": found.entities(),
        "findings": noted(hub, map(opened, found.open_findings())),
        "set_aside": set_aside(hub, found),
        "truth": None,
        "metrics": list(metrics),
        "board": board(found, hub.setup.funnel),
        "quality": quality_marks(hub, as_of),
        "plan": page(hub, hub.line.plans.load()) if plans and plans[0].status != "erased" else None,
        "apply": None,
        "undo": None,
        "rejects": [asdict(r) for r in rejects],
    }


def quality_marks(hub: Hub, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """What spoils the vendors' own counts, by account, report and mark."""
    return [*quality(hub.lake, as_of), *restated(hub.lake, as_of)]


def set_aside(hub: Hub, found: Understanding) -> list[dict[str, Any]]:
    """Findings that people accepted or muted, with what they said."""
    return noted(hub, [opened(r) for r in found.findings.to_pylist() if r["status"] not in ("open", "fixed")])


def through_time(hub: Hub, found: Understanding, as_of: datetime | None = None) -> dict[str, Any]:
    """The findings' ages against `sla_days`, their trend, and what was resolved in the last 30 days; without personal values."""
    limits = hub.setup.funnel.sla_days
    rows = aged(found.open_findings(), limits, found.as_of)
    gone = resolved(hub.lake, hub.ledger, found.as_of - timedelta(days=RESOLVED_DAYS), as_of)
    return {
        "ageing": {"severities": by_severity(rows, limits), "over": [_aged(row) for row in rows if row["over_days"] is not None]},
        "trend": [asdict(day) for day in trend(hub.lake, hub.ledger, as_of)],
        "resolved": [_aged(row) for row in gone],
    }


_AGED = (
    "finding_id", "rule", "severity", "title", "entity_kind", "entity_id", "field", "records", "first_seen", "age_days", "due", "over_days",
    "resolved_at", "days",
)  # fmt: skip


def _aged(row: Mapping[str, Any]) -> dict[str, Any]:
    return masked(opened({name: row[name] for name in _AGED if name in row}))


def _freshness(hub: Hub) -> dict[str, str]:
    """When each account was last read completely."""
    fresh: dict[str, str] = {}
    for run in hub.ledger.runs(50, "sync"):
        if run.ended_at is None:
            continue
        bad = {c.account for c in hub.ledger.counts(run.id) if c.status != "done"}
        for count in hub.ledger.counts(run.id):
            if count.account not in bad:
                fresh.setdefault(count.account, run.started_at.isoformat())
    return fresh


def write_report(hub: Hub, data: Mapping[str, Any], name: str) -> Path:
    """reports/<name>-<day>.html beside the config."""
    from jobs.report import render

    folder = hub.config.folder / "reports"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{data['as_of'][:10]}.html"
    path.write_text(render(data, "html"), encoding="utf-8")
    return path
