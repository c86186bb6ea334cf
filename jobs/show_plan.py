"""A plan as people review it: field by field old → new and why, what became of each change, and what was said about it.

A page is a plan's JSON with, where they are known: `status`, `expired`, `states` {change id: {status, run, at}}, `notes`,
`of` (changes of the whole plan), `choice` (what is shown of it) and `by` (rule or record). Plain data in, tables out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.change import EVENT, Change, Plan
from core.ledger_notes import Note
from core.ledger_states import OPEN, State
from jobs import show_events
from jobs.choosing import SHORT, Choice
from jobs.show_private import without_people
from jobs.show_table import Table, cell, table, text

GROUPS = ("rule", "record")
_NO_RULE = "Fields the hub owns, and events"


def page_of(
    plan: Plan, *, status: str, now: datetime, states: Mapping[str, State], notes: Sequence[Note], choice: Choice, by: str | None
) -> dict[str, Any]:
    """The page of the chosen changes and of what is held back of them."""
    kept = [c for c in plan.changes if choice.keeps(c)]
    about = {f"plan:{plan.plan_id}", *(f"change:{c.change_id}" for c in kept)}
    return plan.to_json() | {
        "changes": [dict(vars(c)) for c in kept], "held": [dict(vars(h)) for h in plan.held if choice.keeps(h)], "of": len(plan.changes),
        "choice": str(choice), "by": by, "status": status, "expired": now > plan.expires_at,
        "states": {c.change_id: asdict(states[c.change_id]) for c in kept if c.change_id in states},
        "notes": [asdict(n) | {"at": n.at.isoformat(), "text": without_people(n.text)} for n in notes if n.about in about],
    }  # fmt: skip


def changes(page: Mapping[str, Any]) -> list[Change]:
    return [Change(**c) for c in page.get("changes", ())]


# -- tables -------------------------------------------------------------------------------------------------------------
def change_tables(page: Mapping[str, Any], limit: int | None = None) -> list[Table]:
    """One table; by rule one for each; by record one in the records' order. Of a long plan `limit` changes."""
    every = changes(page)
    shown = every if limit is None else fair_share(every, limit)
    if not shown:
        return []
    if page.get("by") == "rule":
        rules = sorted({c.rule for c in shown}, key=lambda rule: (not rule, rule))
        return [_table(page, [c for c in shown if c.rule == rule], title=_rule_title(rule, every)) for rule in rules]
    if page.get("by") == "record":
        return [_table(page, sorted(shown, key=_record), blank=True)]
    return [_table(page, shown)]


def _rule_title(rule: str, every: Sequence[Change]) -> str:
    from core.rules import RULES  # half a second that only this needs

    title = f"{rule} {RULES[rule].title}" if rule in RULES else rule or _NO_RULE
    return f"{title}: {sum(c.rule == rule for c in every):,} changes"


def _record(change: Change) -> tuple[str, str, str]:
    return change.account, change.target, change.vendor_id


def plan_table(shown: Sequence[Change]) -> Table:
    return _table({}, shown)


def _table(page: Mapping[str, Any], shown: Sequence[Change], title: str = "", blank: bool = False) -> Table:
    """blank: a record is named once, on its first line."""
    states: Mapping[str, Any] = page.get("states") or {}
    columns, rows, last = ["change", *(["state"] if states else []), "target", "record", "field", "old", "", "new", "why"], [], None
    for c in shown:
        state = [states.get(c.change_id, {}).get("status", OPEN)] if states else []
        names = ("", "") if blank and _record(c) == last else (f"{c.account}/{c.target}", c.vendor_id)
        rows.append([c.change_id[:SHORT], *state, *names, c.field, *_old_and_new(c), why(c)])
        last = _record(c)
    return table(columns, rows, title=title)


def _old_and_new(change: Change) -> tuple[str, str, str]:
    return "event" if change.type == EVENT else old(change.before), "→", old(show_events.new(change))


def old(value: str | None) -> str:
    return "(empty)" if value is None else value


def why(change: Change) -> str:
    return f"{change.rule}: {change.why}" if change.rule and not change.why.startswith(change.rule) else change.why


def notes_table(page: Mapping[str, Any]) -> Table | None:
    """What people said, oldest first; None when nobody said anything."""
    by_id = {c.change_id: c for c in changes(page)}
    rows = []
    for note in page.get("notes") or ():
        kind, _, id_ = note["about"].partition(":")
        c = by_id.get(id_)
        about = f"change {id_[:SHORT]} ({c.account}/{c.target} {c.vendor_id} {c.field})" if c else f"{kind} {id_}"
        rows.append([str(note["at"])[:16].replace("T", " "), note["author"], about, note["text"]])
    return table(["when (UTC)", "who", "about", "note"], rows, title="Notes") if rows else None


def held_table(page: Mapping[str, Any]) -> Table | None:
    rows = [[f"{h['account']}/{h['target']}", h["vendor_id"], h["field"], without_people(h["reason"])] for h in page.get("held") or ()]
    return table(["target", "record", "field", "reason"], rows, title="Held back") if rows else None


# -- two plans ----------------------------------------------------------------------------------------------------------
def difference(one: Plan, other: Plan) -> dict[str, Any]:
    """{added, gone: changes of only one of them; changed: [{old, new}] of one field with other values or rule; same: how many}."""
    old_, new = ({_place(c): c for c in p.changes} for p in (one, other))
    both = [(old_[place], new[place]) for place in old_ if place in new]
    return {
        "added": [dict(vars(c)) for place, c in new.items() if place not in old_],
        "gone": [dict(vars(c)) for place, c in old_.items() if place not in new],
        "changed": [{"old": dict(vars(a)), "new": dict(vars(b))} for a, b in both if _said(a) != _said(b)],
        "same": sum(_said(a) == _said(b) for a, b in both),
    }


def _place(change: Change) -> tuple[str, ...]:
    """What a change is about: of an event also whom it tells of, as one visitor may have two."""
    return (*_record(change), change.field, change.entity_id if change.type == EVENT else "")


def _said(change: Change) -> tuple[str | None, ...]:
    return change.before, change.after, change.rule, change.policy


def difference_tables(found: Mapping[str, Any]) -> list[Table]:
    """What was added, is gone and changed; the last with both versions, one under the other."""
    made = []
    for name in ("added", "gone"):
        if found[name]:
            made.append(_table({}, [Change(**c) for c in found[name]], title=f"{name.capitalize()}: {len(found[name]):,}"))
    if found["changed"]:
        pairs = [(Change(**pair["old"]), Change(**pair["new"])) for pair in found["changed"]]
        rows = [
            [version, f"{c.account}/{c.target}", c.vendor_id, c.field, *_old_and_new(c), why(c)]
            for pair in pairs
            for version, c in zip(("was", "is"), pair, strict=True)
        ]
        made.append(table(["plan", "target", "record", "field", "old", "", "new", "why"], rows, title=f"Changed: {len(pairs):,}"))
    return made


# -- in words -----------------------------------------------------------------------------------------------------------
def head(page: Mapping[str, Any]) -> list[str]:
    """What the page is about, in sentences without their full stop."""
    shown, of = changes(page), page.get("of", len(page.get("changes", ())))
    if not of:
        return [f"plan {page['plan_id']}: nothing to change"]
    records = len({_record(c) for c in shown})
    told = sum(c.type == EVENT for c in shown)
    events = f", {told:,} of them events" if told else ""
    chosen = f" (chosen: {page['choice']})" if page.get("choice") else ""
    part = f" of its {of:,}{chosen}" if len(shown) < of else chosen
    lines = [f"plan {page['plan_id']}: {len(shown):,} changes{part} on {records:,} records{events}, {expiry(page)}"]
    if states := page.get("states"):
        counts = Counter(states.get(c.change_id, {}).get("status", OPEN) for c in shown)
        lines.append(f"status {page['status']}: " + ", ".join(f"{n:,} {status}" for status, n in sorted(counts.items())))
    elif page.get("status") not in (None, "open", "refused", "empty"):
        lines.append(f"status {page['status']}")
    if len(shown) == of and (requests := page.get("requests")):  # of a part nobody counted them
        lines.append("requests it costs: " + ", ".join(f"{account} {n:,}" for account, n in sorted(requests.items())))
    return [cell(line) for line in lines]


def expiry(page: Mapping[str, Any]) -> str:
    until = f"{str(page['expires_at'])[:16].replace('T', ' ')} UTC"
    return f"expired {until}; make a new one: tundish plan" if page.get("expired") else f"good until {until}"


def page_text(page: Mapping[str, Any], limit: int = 40) -> str:
    """For a terminal: of a long plan `limit` lines, every target with its share."""
    shown = changes(page)
    rest = len(shown) - limit
    parts = [text(t) for t in change_tables(page, limit)] if limit > 0 else []
    if (notes := notes_table(page)) is not None:
        parts.append(text(notes))
    more = [f"{rest:,} more changes; show all with --max {len(shown)}"] if rest > 0 else []
    counts = [f"  {target}: {n:,}" for target, n in sorted(Counter(f"{c.account}/{c.target}" for c in shown).items())]
    refused = [cell(f"refused: {reason}") for reason in page.get("refusals", ())]
    gap = "\n\n" if len(parts) > 1 else "\n"
    first, *others = head(page)
    return "\n".join([*([gap.join(parts)] if parts else []), *more, first, *counts, *others, *_held_lines(page), *refused])


def plan_text(plan: Plan, limit: int = 40) -> str:
    """The same of a plan alone, without what became of it."""
    return page_text(plan.to_json(), limit)


def fair_share(every: Sequence[Change], limit: int) -> list[Change]:
    """At most `limit` changes, dealt out in turns so that no target hides another, in the plan's order.

    Fixes of findings and values that are overwritten go before fields of ours that are filled.
    """
    telling = sorted(range(len(every)), key=lambda i: (not every[i].rule, every[i].before is None, i))
    turns: Counter[tuple[str, str]] = Counter()
    ranked = []
    for place in telling:
        target = (every[place].account, every[place].target)
        ranked.append((turns[target], place))
        turns[target] += 1
    return [every[place] for place in sorted(place for _, place in sorted(ranked)[:limit])]


def _held_lines(page: Mapping[str, Any]) -> list[str]:
    held: Iterable[Mapping[str, Any]] = page.get("held") or ()
    reasons = Counter(f"{h['account']}/{h['target']}: {without_people(h['reason'])}" for h in held)
    return [f"held back {n:,}: {cell(reason)}" for reason, n in sorted(reasons.items())]
