"""Carry out a plan, or take it back: re-read, skip what drifted, write in batches, read back, record each outcome.

It must not decide what to write. Interrupted anywhere, run it again: changes with an outcome are not written twice, and
a change that was sent but has no outcome is settled by re-reading (already as wanted → applied). Events are another
matter: see `core.apply_events`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from core.apply_events import KEPT, EventBook, send_batch
from core.change import EVENT, Change, Outcome, Plan, canonical
from core.connector import Target, Write, WriteResult
from core.errors import TundishError, UnsafePlan, VendorUnavailable


class Book(EventBook, Protocol):
    """Where outcomes are kept (the ledger): written as they arrive, one transaction a batch.

    `intend` is recorded before a batch is sent, so that after a kill a value found as wanted is known to be ours.
    """

    def settled(self) -> set[str]: ...
    def intended(self) -> set[str]: ...
    def record(self, outcomes: Sequence[tuple[Change, Outcome]]) -> None: ...


@dataclass(frozen=True)
class Hand:
    """One account's open session and its targets by name."""

    session: Any
    targets: Mapping[str, Target]


FINAL = frozenset({"applied", "already", "drifted", "gone", "rejected"})


def check(plan: Plan, now: datetime, *, allow: frozenset[str] = frozenset()) -> None:
    """Raises: UnsafePlan when the plan has expired or carries a refusal that is not allowed by name."""
    if now > plan.expires_at:
        raise UnsafePlan(f"plan {plan.plan_id} expired at {plan.expires_at:%Y-%m-%d %H:%M} UTC", next_step="make a new one: tundish plan")
    open_ = [r for r in plan.refusals if not any(f"--allow-{word}" in r for word in allow)]
    if open_:
        raise UnsafePlan("this plan is refused as unsafe:\n  - " + "\n  - ".join(open_), next_step="see the reasons above")


def apply(
    changes: Sequence[Change],
    hands: Mapping[str, Hand],
    book: Book,
    *,
    on_progress: Callable[[str, int], None] = lambda where, n: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Write the changes that have no outcome yet. Per account and target, in batches; one account's trouble stops only itself.

    stopped: asked before each batch; what was not reached then has no outcome.
    """
    done = book.settled()
    outcomes: list[Outcome] = []
    for (account, name), group in _groups(changes, done).items():
        hand = hands[account]
        try:
            for batch in _batches(group, hand.targets[name].batch_size):
                if stopped():
                    return outcomes
                got, trouble = _carry_out(hand.session, hand.targets[name], batch, book)
                book.record(got)
                outcomes += [o for _, o in got]
                on_progress(f"{account}/{name}", len(got))
                if trouble is not None:
                    raise trouble
        except TundishError as problem:
            outcomes += _unreached(group, outcomes, problem)
    return outcomes


def _unreached(group: Sequence[Change], outcomes: Sequence[Outcome], problem: TundishError) -> list[Outcome]:
    """Told, but not recorded: what was never sent must not look as if it had been (see `Book.intended`)."""
    known = {o.change_id for o in outcomes}
    return [Outcome(c.change_id, "failed", problem.message) for c in group if c.change_id not in known]


def undo(
    changes: Sequence[tuple[Change, str | None]], hands: Mapping[str, Hand], book: Book, *, stopped: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Put before-images back where the live value is still what we wrote; leave alone what anybody changed since, events, and consent:
    an opt-out is never taken back on our word. One account's trouble stops only itself.
    """
    done = book.settled()
    open_ = [(change, found) for change, found in changes if change.change_id not in done]
    told = [(change, Outcome(change.change_id, "kept", kept(change))) for change, _ in open_ if kept(change)]
    book.record(told)
    outcomes = [outcome for _, outcome in told]
    backwards = [_reverse(change, found) for change, found in open_ if not kept(change)]
    for (account, name), group in _groups(backwards, frozenset()).items():
        hand = hands[account]
        try:
            for batch in _batches(group, hand.targets[name].batch_size):
                if stopped():
                    return outcomes
                got = [(c, _undone(o)) for c, o in _write_batch(hand.session, hand.targets[name], batch, book)]
                book.record(got)
                outcomes += [o for _, o in got]
        except TundishError as problem:
            outcomes += _unreached(group, outcomes, problem)
    return outcomes


def kept(change: Change) -> str:
    """Why a change is never taken back; "" when it may be."""
    if change.type == EVENT:
        return KEPT
    return "consent is never loosened, not even by undo" if change.policy == "strictest" else ""


def _reverse(change: Change, found: str | None) -> Change:
    return replace(change, before=change.after, after=found, why="undo", policy="derived")


def _undone(outcome: Outcome) -> Outcome:
    if outcome.status == "drifted":
        return Outcome(outcome.change_id, "kept", "someone changed it since; left as it is", outcome.found)
    return replace(outcome, status="undone") if outcome.status == "applied" else outcome


def _groups(changes: Iterable[Change], done: set[str] | frozenset[str]) -> dict[tuple[str, str], list[Change]]:
    groups: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        if change.change_id not in done:
            groups[(change.account, change.target)].append(change)
    return groups


def _batches(changes: Sequence[Change], size: int) -> Iterator[list[Change]]:
    """Batches of at most `size` records, all fields of a record in one batch; or of so many events."""
    by_record: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_record[change.change_id if change.type == EVENT else change.vendor_id].append(change)
    records = iter(by_record.values())
    while group := list(islice(records, size)):
        yield [c for record in group for c in record]


def _carry_out(
    session: Any, target: Target, batch: Sequence[Change], book: Book
) -> tuple[list[tuple[Change, Outcome]], TundishError | None]:
    if target.kind == "events":
        return send_batch(session, target, batch, book)
    return _write_batch(session, target, batch, book), None


def _write_batch(session: Any, target: Target, batch: Sequence[Change], book: Book) -> list[tuple[Change, Outcome]]:
    live = _read(session, target, batch)
    ours = book.intended()
    settled = [(c, o) for c in batch if (o := _before_write(c, live.get(c.vendor_id), c.change_id in ours))]
    decided = {c.change_id for c, _ in settled}
    ready = [c for c in batch if c.change_id not in decided]
    if not ready:
        return settled
    book.intend(ready)
    results = _send(session, target, ready)
    after = _read(session, target, ready)
    return settled + [(c, _after_write(c, results.get(c.vendor_id), after.get(c.vendor_id))) for c in ready]


def _read(session: Any, target: Target, changes: Sequence[Change]) -> Mapping[str, Mapping[str, Any]]:
    ids = list(dict.fromkeys(c.vendor_id for c in changes))
    fields = list(dict.fromkeys(c.field for c in changes))
    return target.current(session, ids, fields)


def _before_write(change: Change, record: Mapping[str, Any] | None, ours: bool) -> Outcome | None:
    """An outcome when nothing must be written; None when the live value is still the planned before-image."""
    if record is None:
        return Outcome(change.change_id, "gone", "the record was deleted or merged away since the plan")
    live = canonical(record.get(change.field), change.type)
    if live == change.after:
        return Outcome(change.change_id, "applied" if ours else "already", "", change.before if ours else live)
    if live != change.before:
        return Outcome(change.change_id, "drifted", "changed in the vendor since the plan; not touched", live)
    return None


def _send(session: Any, target: Target, changes: Sequence[Change]) -> dict[str, WriteResult]:
    by_record: dict[str, dict[str, Any]] = defaultdict(dict)
    before: dict[str, dict[str, Any]] = defaultdict(dict)
    for change in changes:
        by_record[change.vendor_id][change.field] = change.after
        before[change.vendor_id][change.field] = change.before
    writes = [Write(vendor_id, vendor_id, values, before[vendor_id]) for vendor_id, values in by_record.items()]
    try:
        return {r.key: r for r in target.write(session, writes)}
    except VendorUnavailable as problem:
        if "unknown" not in problem.message:  # the reply was lost: reading back tells whether the write took
            raise
        return {w.key: WriteResult(w.key, False, "reply_lost", problem.message, True) for w in writes}


def _after_write(change: Change, result: WriteResult | None, record: Mapping[str, Any] | None) -> Outcome:
    found = change.before  # the re-read just before the write said so
    taken = record is not None and canonical(record.get(change.field), change.type) == change.after
    if taken:
        return Outcome(change.change_id, "applied", "", found)
    if result is not None and not result.ok:
        status = "failed" if result.retryable else "rejected"
        return Outcome(change.change_id, status, f"{result.code}: {result.message}".strip(": "), found)
    return Outcome(change.change_id, "rejected", "the vendor accepted the write but the value read back differs (T-06)", found)
