"""What people say about a plan, a change or a finding, and what they decide about a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from core.errors import UserError
from core.finding_heirs import called
from core.lake_findings import findings_like
from core.ledger_notes import Note, add_note, notes_about
from core.ledger_verdicts import ACCEPTED, MUTED, OPEN, Verdict, say_verdict
from jobs.author import author
from jobs.choosing import SHORT
from jobs.show_private import without_people
from jobs.wiring import Hub

_WORDS = {ACCEPTED: "accepted: ", OPEN: "open again: "}


def say(hub: Hub, about: str, text: str, by: str | None, status: str = "") -> Note:
    """Keep a note, and with a `status` the verdict about a finding. Raises: UserError when there is nothing of that id, or no text."""
    text, now = text.strip(), hub.clock()
    if not text:
        raise UserError("a note needs a text", next_step='tundish note latest "checked with sales"')
    kind, id_ = _subject(hub, about)
    if status and kind != "finding":
        raise UserError(f"{about} is a {kind}: only a finding can be accepted, muted or opened again", next_step="leave the option out")
    _check_day(status, now.date())
    note = Note(f"{kind}:{id_}", words(status) + text, by or author(), now)
    if status:
        say_verdict(hub.ledger, Verdict(id_, status, note.author, now))
    add_note(hub.ledger, note)
    return note


def _check_day(status: str, today: date) -> None:
    if status.startswith(MUTED) and date.fromisoformat(status.removeprefix(MUTED)) <= today:
        raise UserError(f"{status.removeprefix(MUTED)} is over: nothing would be muted", next_step="give a day that is to come")


def words(status: str) -> str:
    """What stands before the reason in the note."""
    return _WORDS.get(status) or (f"muted until {status.removeprefix(MUTED)}: " if status else "")


def _subject(hub: Hub, about: str) -> tuple[str, str]:
    """("finding", "change" or "plan"; its whole id)."""
    found = [("change", id_) for id_ in hub.line.plans.changes_like(about)] if len(about) >= SHORT else []
    found += [("finding", row["finding_id"]) for row in findings_like(hub.lake, about)]
    if len(found) > 1:
        raise UserError(
            f"more than one finding or change begins with {about!r}", next_step="write more of its id: --format csv shows it whole"
        )
    return found[0] if found else ("plan", _plan(hub, about))


def _plan(hub: Hub, about: str) -> str:
    try:
        return hub.line.plans.load(about).plan_id
    except UserError as problem:
        step = "`tundish reconcile` shows the ids of findings, `tundish plan show` those of changes, `tundish plans` those of plans"
        raise UserError(f"nothing to note about: {problem.message}", next_step=step) from problem


def noted(hub: Hub, findings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings, each with its `notes`, oldest first."""
    rows = [dict(row) for row in findings]
    names = {row["finding_id"]: called(row) for row in rows}
    said: dict[str, list[dict[str, Any]]] = {}
    for note in notes_about(hub.ledger, [f"finding:{id_}" for ids in names.values() for id_ in ids]):
        line = {"at": note.at.isoformat(), "author": note.author, "text": without_people(note.text)}
        said.setdefault(note.about.removeprefix("finding:"), []).append(line)
    return [row | {"notes": sorted((n for id_ in names[row["finding_id"]] for n in said.get(id_, ())), key=_when)} for row in rows]


def _when(note: Mapping[str, Any]) -> str:
    return str(note["at"])
