"""Saved plans over an open hub: a page with all that is known of one, and the list of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.change import Change, Plan
from core.ledger_notes import notes_about
from jobs import show_events, show_plan
from jobs.choosing import EVERYTHING, Choice
from jobs.report.content import Section
from jobs.report.plain import safe
from jobs.wiring import Hub


def page(hub: Hub, plan: Plan, choice: Choice = EVERYTHING, by: str | None = None) -> dict[str, Any]:
    """See `jobs.show_plan`."""
    subjects = [f"plan:{plan.plan_id}", *(f"change:{c.change_id}" for c in plan.changes)]
    book, notes = hub.line.plans, notes_about(hub.ledger, subjects)
    if not plan.changes:  # all plans of nothing have one id: what was said of an earlier one is not about this
        notes = [n for n in notes if n.at >= plan.created_at]
    return show_plan.page_of(
        plan, status=book.status(plan.plan_id), now=hub.clock(), states=book.states(plan.plan_id),
        notes=notes, choice=choice, by=by,
    )  # fmt: skip


def listed(hub: Hub, limit: int) -> list[dict[str, Any]]:
    """Saved plans, newest first. A plan that was never begun and no longer can be is `expired`."""
    rows, now = [], hub.clock()
    for row in hub.line.plans.plans(limit):
        expired = row.expires_at is not None and row.expires_at < now
        status = "expired" if expired and row.status in ("open", "refused") else row.status
        open_ = 0 if row.status == "erased" else row.changes - len(hub.line.plans.states(row.plan_id))
        notes = sum(n.at >= row.created_at or row.changes > 0 for n in notes_about(hub.ledger, [f"plan:{row.plan_id}"]))
        rows.append({**asdict(row), "status": status, "expired": expired, "open": open_, "notes": notes})
    return rows


_DIFFERENCE = ("difference", "account", "target", "record", "field", "before", "after", "why", "rule", "policy", "change")


def diff_csv(found: Mapping[str, Any]) -> str:
    """One table, whatever differs: each line says whether its change was added, is gone, or how it was and is."""
    said = [(name, c) for name in ("added", "gone") for c in found[name]]
    said += [(name, pair[version]) for pair in found["changed"] for name, version in (("was", "old"), ("is", "new"))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_DIFFERENCE)
    for name, raw in said:
        c = Change(**raw)
        values = (c.account, c.target, c.vendor_id, c.field, c.before, show_events.new(c), c.why, c.rule, c.policy, c.change_id)
        writer.writerow([safe(value) for value in (name, *values)])
    return out.getvalue()


def diff_sections(found: Mapping[str, Any]) -> list[Section]:
    text = f"{len(found['added'])} added, {len(found['gone'])} gone, {len(found['changed'])} changed, {found['same']} the same."
    return [Section("difference", "What differs", tuple(show_plan.difference_tables(found)), text)]
