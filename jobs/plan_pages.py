"""Saved plans over an open hub: a page with all that is known of one, the list of them, and what people say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.change import Plan
from core.errors import UserError
from core.ledger_notes import Note, add_note, notes_about
from jobs import show_plan
from jobs.author import author as login
from jobs.choosing import EVERYTHING, SHORT, Choice
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


def say(hub: Hub, about: str, text: str, author: str | None) -> Note:
    """Keep a note about a plan or a change. Raises: UserError when there is neither, or no text."""
    if not text.strip():
        raise UserError("a note needs a text", next_step='tundish plan note latest "checked with sales"')
    note = Note(_subject(hub, about), text.strip(), author or login(), hub.clock())
    add_note(hub.ledger, note)
    return note


def _subject(hub: Hub, about: str) -> str:
    found = hub.line.plans.changes_like(about) if len(about) >= SHORT else []
    if len(found) > 1:
        raise UserError(f"more than one change begins with {about!r}", next_step="write more of its id: tundish plan show --format csv")
    return f"change:{found[0]}" if found else f"plan:{hub.line.plans.load(about).plan_id}"


def diff_sections(found: Mapping[str, Any]) -> list[Section]:
    text = f"{len(found['added'])} added, {len(found['gone'])} gone, {len(found['changed'])} changed, {found['same']} the same."
    return [Section("difference", "What differs", tuple(show_plan.difference_tables(found)), text)]
