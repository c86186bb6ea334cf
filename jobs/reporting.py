"""Gather what a report shows, from the ledger and one understanding of the lake."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.agreement import agreement
from core.finding_history import aged, by_severity, resolved, trend
from core.ledger_sync import exchanges
from core.pipeline import Understanding
from core.quality import quality
from core.restated import restated
from core.stages_seen import stages_seen
from jobs import show
from jobs.board import board
from jobs.left_out import left_out
from jobs.notes import noted
from jobs.plan_pages import page
from jobs.report.content import parts_of
from jobs.show_private import masked
from jobs.thaw import frozen_fields
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


def report_data(
    hub: Hub, found: Understanding, metrics: Sequence[Mapping[str, Any]], as_of: datetime | None = None, name: str = "all"
) -> dict[str, Any]:
    """What the renderers need for the report of that name (`jobs.report.render`). `as_of`: of what the lake held then, else now."""
    syncs, compiled = hub.ledger.runs(1, "sync"), found.compiled.also("report")
    made: dict[str, Callable[[], Any]] = {
        "records": lambda: [asdict(c) for c in hub.ledger.counts(syncs[0].id)] if syncs else [],
        "sync": lambda: exchange(hub, as_of),
        "entities": found.entities,
        "findings": lambda: noted(hub, map(opened, found.open_findings())),
        "stages": lambda: [asdict(one) for one in stages_seen(found.facts, found.tables, compiled)],
        "agreement": lambda: [asdict(one) for one in agreement(found.facts, compiled)],
        "set_aside": lambda: set_aside(hub, found),
        "board": lambda: board(found, hub.setup.funnel),
        "plan": lambda: _plan(hub),
        "rejects": lambda: [asdict(r) for r in hub.ledger.rejects(syncs[0].id)] if syncs else [],
    }
    parts = parts_of(name)
    head = {
        "as_of": found.as_of.isoformat(), "organisation": hub.config.organisation.name, "freshness": _freshness(hub, as_of),
        "left_out": left_out(found, compiled), "metrics": list(metrics), "quality": quality_marks(hub, as_of),
    }  # fmt: skip
    through = through_time(hub, found, as_of) if {"ageing", "trend", "resolved"} & set(parts) else {}
    data = {**head, **through, **{key: make() for key, make in made.items() if key in parts}}
    if "findings" in data and not data["findings"]:
        data["silence"] = show.no_findings(found.entities(), 0, as_of)
    compiled.save()
    return data


def _plan(hub: Hub) -> dict[str, Any] | None:
    plans = hub.line.plans.plans(1)
    return page(hub, hub.line.plans.load()) if plans and plans[0].status != "erased" else None


def exchange(hub: Hub, as_of: datetime | None = None) -> list[dict[str, Any]]:
    """How the exchange with each account goes: read when, with what trouble, written how much, and fields frozen on it."""
    frozen = Counter(account for one in frozen_fields(hub) for account in {record[0] for record in one.records})
    return [{**asdict(one), "frozen": frozen[one.account]} for one in exchanges(hub.ledger, hub.config.accounts, as_of or hub.clock())]


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


def _freshness(hub: Hub, as_of: datetime | None) -> dict[str, str]:
    """When each account was last read completely, of what was read by then."""
    fresh: dict[str, str] = {}
    for run in hub.ledger.runs(50, "sync"):
        if run.ended_at is None or (as_of and run.started_at > as_of):
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
    path.write_text(render(data, "html", name), encoding="utf-8")
    return path
