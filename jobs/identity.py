"""Decisions about who is who, checked before they are kept: the records exist, are of one kind, and nothing says the opposite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from core.errors import UserError
from core.identity_decisions import ONE, TWO, Decision, agreed, contradiction, is_record
from core.lake_links import kinds_of
from core.ledger_identity import Kept, decide, decided, history
from core.pipeline import Understanding
from core.yaml_positions import did_you_mean
from jobs.doctor import Check
from jobs.show_private import without_people
from jobs.wiring import Hub

_WORDS = {"one": "are one", "two": "are two"}


def make(hub: Hub, left: str, right: str, verdict: Literal["one", "two"], why: str, by: str) -> tuple[str, Decision]:
    """Keep the decision; (its id, the decision). One that holds already is not kept again.

    Raises: UserError when a record is unknown, or when it contradicts identity.yaml or other decisions.
    """
    _check_records(hub, left, right)
    new, now = Decision(left, right, verdict, why), hub.clock()
    _check_file(hub, new)
    standing = [d for d in agreed(hub.setup.identity, decided(hub.ledger, now)) if d.pair != new.pair]
    if contradiction(standing) is None and (broken := contradiction([*standing, new])) is not None:
        others = [d.where for d in standing if d.verdict == ONE] if broken is new else [broken.where]
        raise UserError(
            f"{left} and {right} cannot be {verdict}: other decisions say the opposite ({', '.join(others[:5])})",
            next_step="take one of them back: tundish link --list, then tundish link --undo ID",
        )
    before = next((k for k in reversed(history(hub.ledger)) if k.undone_at is None and k.decision.pair == new.pair), None)
    if before is not None and before.decision.verdict == verdict:  # said twice is said once
        return before.id, before.decision
    return decide(hub.ledger, new, by, now), new


def _check_records(hub: Hub, left: str, right: str) -> None:
    for key in (left, right):
        if not is_record(key):
            raise UserError(f"not a record: {key!r}", next_step="write ACCOUNT:RESOURCE:ID, e.g. hubspot:contacts:151")
        hub.config.account(key.split(":", 1)[0])
    if left == right:
        raise UserError(f"{left} is one record", next_step="name two")
    kinds = kinds_of(hub.lake, [left, right])
    for key in (left, right):
        if key not in kinds:
            step = _mapped(hub, *key.split(":")[:2]) or "check the id, or pull it: tundish sync"
            raise UserError(f"no person, company or deal {key} was ever pulled", next_step=step)
    if kinds[left] != kinds[right]:
        raise UserError(f"{left} is a {kinds[left]}, {right} a {kinds[right]}", next_step="name two records of one kind")


def _mapped(hub: Hub, account: str, resource: str) -> str:
    """What to write instead of a resource that the account's mapping does not have; "" when it has it."""
    known = hub.setup.mappings[account].resources
    return "" if resource in known else f"{account} has no {resource!r}{did_you_mean(resource, known)}"


def now_of(hub: Hub, pair: tuple[str, str]) -> Decision | None:
    """The decision that holds about the pair."""
    return next((d for d in agreed(hub.setup.identity, decided(hub.ledger, hub.clock())) if d.pair == pair), None)


def _check_file(hub: Hub, new: Decision) -> None:
    said = next((d for d in hub.setup.identity if d.pair == new.pair and d.verdict != new.verdict), None)
    if said is not None:
        raise UserError(
            f"the file says that they {_WORDS[said.verdict]}, and it comes first", where=said.where, next_step="change it there"
        )


def checks(hub: Hub) -> list[Check]:
    """What `tundish check` says of the decisions: how many there are, and which name a record nobody knows."""
    decisions = agreed(hub.setup.identity, decided(hub.ledger, hub.clock()))
    if not decisions:
        return []
    known = kinds_of(hub.lake, sorted({key for d in decisions for key in d.pair}))
    lost = [
        Check("", "identity", "warning", text, "correct the record's id, or take the decision back")
        for text in unknown_texts(decisions, known)
    ]
    return lost or [Check("", "identity", "ok", f"{len(decisions)} decisions about who is who")]


def unknown_texts(decisions: Iterable[Decision], known: dict[str, str]) -> list[str]:
    """A line for each record nobody knows, and for two of different kinds: what a reconcile run cannot follow."""
    lines = []
    for d in decisions:
        lost = [key for key in dict.fromkeys(d.pair) if key not in known]
        lines += [f"{d.where}: no record {key} was ever pulled; the decision says nothing" for key in lost]
        if not lost and known[d.left] != known[d.right]:
            kinds = f"{d.left} is a {known[d.left]}, {d.right} a {known[d.right]}"
            lines.append(f"{d.where}: {kinds}; the decision says nothing")
    return lines


def listed(hub: Hub) -> list[dict[str, Any]]:
    """Every decision, those of the file first: id, left, right, verdict, why, author, at, status."""
    of_file = {d.pair: d for d in hub.setup.identity}
    rows = [_row(d.where, d, "", None, "holds") for d in hub.setup.identity]
    kept = history(hub.ledger)
    last = {k.decision.pair: k.id for k in kept if k.undone_at is None}
    return rows + [_row(k.id, k.decision, k.author, k.at, _status(k, of_file.get(k.decision.pair), last)) for k in kept]


def _status(kept: Kept, of_file: Decision | None, last: dict[tuple[str, str], str]) -> str:
    if kept.undone_at is not None:
        return f"taken back {kept.undone_at:%Y-%m-%d} by {kept.undone_by}"
    if of_file is not None:
        return f"overruled by {of_file.where}"
    return "holds" if last[kept.decision.pair] == kept.id else f"replaced by {last[kept.decision.pair]}"


def _row(id_: str, decision: Decision, by: str, at: datetime | None, status: str) -> dict[str, Any]:
    left, right = decision.left, decision.right
    return {
        "id": id_, "left": left, "right": right, "verdict": decision.verdict, "why": without_people(decision.why), "author": by,
        "at": at.isoformat() if at else None, "status": status,
    }  # fmt: skip


def told_unknown(unknown: Sequence[Decision]) -> str:
    """A sentence for each decision that a reconcile run could not follow; "" for none."""
    return "".join(
        f"\nwarning: {d.where}: {d.left} and {d.right} are not both known records of one kind; the decision was not followed"
        for d in unknown
    )


def unanswered(hub: Hub, pairs: pa.Table, found: Understanding) -> pa.Table:
    """The suggested pairs without those of whom people said that they are two."""
    entity = {f"{m['account']}:{m['resource']}:{m['vendor_id']}": m["entity_id"] for m in found.members.to_pylist()}
    decisions = agreed(hub.setup.identity, decided(hub.ledger, hub.clock()))
    two = {frozenset((entity.get(d.left), entity.get(d.right))) for d in decisions if d.verdict == TWO}
    kept = [frozenset((row["left_id"], row["right_id"])) not in two for row in pairs.to_pylist()]
    return pairs.filter(pa.array(kept, pa.bool_()))


def question(row: Mapping[str, Any]) -> str:
    """What a person can answer with: the command that says yes; the one for no is `unlink`."""
    return f"tundish link {row['left_key']} {row['right_key']} --why …"
