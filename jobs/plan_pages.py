"""Saved plans over an open hub: a page with all that is known of one, and the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.change import Plan
from core.ledger_notes import notes_about
from jobs import show_plan
from jobs.choosing import EVERYTHING, Choice
from jobs.report.content import Section
from jobs.wiring import Hub


def page(hub: Hub, plan: Plan, choice: Choice = EVERYTHING, by: str | None = None) -> dict[str, Any]:
    """See `jobs.show_plan`."""
    subjects = [f"plan:{plan.plan_id}", *(f"change:{c.change_id}" for c in plan.changes)]
    book = hub.line.plans
    return show_plan.page_of(
        plan, status=book.status(plan.plan_id), now=hub.clock(), states=book.states(plan.plan_id),
        notes=notes_about(hub.ledger, subjects), choice=choice, by=by,
    )  # fmt: skip


def listed(hub: Hub, limit: int) -> list[dict[str, Any]]:
    """Saved plans, newest first. A plan that was never begun and no longer can be is `expired`."""
    rows, now = [], hub.clock()
    for row in hub.line.plans.plans(limit):
        expired = row.expires_at is not None and row.expires_at < now
        status = "expired" if expired and row.status in ("open", "refused") else row.status
        open_ = 0 if row.status == "erased" else row.changes - len(hub.line.plans.states(row.plan_id))
        notes = len(notes_about(hub.ledger, [f"plan:{row.plan_id}"]))
        rows.append({**asdict(row), "status": status, "expired": expired, "open": open_, "notes": notes})
    return rows


def diff_sections(found: Mapping[str, Any]) -> list[Section]:
    text = f"{len(found['added'])} added, {len(found['gone'])} gone, {len(found['changed'])} changed, {found['same']} the same."
    return [Section("difference", "What differs", tuple(show_plan.difference_tables(found)), text)]
