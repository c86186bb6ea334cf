"""Tell a vendor what happened: each event once. Nothing can be read back, so the ledger alone knows what was sent.

Where the vendor would count an event twice, one whose reply was lost (or whose sender was killed) is `uncertain` for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from core.change import Change, Outcome, event_values
from core.connector import Target, Write, WriteResult
from core.errors import TundishError, VendorUnavailable

KEPT = "an event cannot be taken back"
LOST = "no reply came; the vendor may have counted it, so it is never sent again"
LATE = "older than the vendor accepts by the time it was applied; plan again"


class EventBook(Protocol):
    """The part of the ledger's book that events need. `unanswered`: ids of changes that were sent and have no outcome."""

    @property
    def now(self) -> datetime: ...
    def unanswered(self) -> set[str]: ...
    def intend(self, changes: Sequence[Change]) -> None: ...


def send_batch(
    session: Any, target: Target, batch: Sequence[Change], book: EventBook
) -> tuple[list[tuple[Change, Outcome]], TundishError | None]:
    """(outcomes, the trouble that ended it): events in one call of the target's `write`.

    After trouble the caller must record the outcomes and stop: events without an outcome were never sent.
    """
    unanswered = frozenset() if target.idempotent else book.unanswered()
    settled = [(c, o) for c in batch if (o := _before(c, target, book.now, c.change_id in unanswered))]
    decided = {c.change_id for c, _ in settled}
    ready = [c for c in batch if c.change_id not in decided]
    if not ready:
        return settled, None
    book.intend(ready)
    results, trouble = _send(session, target, ready)
    return settled + [(c, _after(c, results.get(c.change_id), target, trouble)) for c in ready], trouble


def _before(change: Change, target: Target, now: datetime, unanswered: bool) -> Outcome | None:
    if unanswered:
        return Outcome(change.change_id, "uncertain", LOST)
    age = (now - datetime.fromisoformat(event_values(change.after)["occurred_at"])).total_seconds()
    if target.max_age_s is not None and age > target.max_age_s:
        return Outcome(change.change_id, "late", LATE)
    return None


def _send(session: Any, target: Target, changes: Sequence[Change]) -> tuple[dict[str, WriteResult], TundishError | None]:
    writes = [Write(c.change_id, c.vendor_id, event_values(c.after)) for c in changes]
    results: dict[str, WriteResult] = {}
    try:
        for result in target.write(session, writes):
            results[result.key] = result
    except TundishError as problem:
        return results, problem
    return results, None


def _after(change: Change, result: WriteResult | None, target: Target, trouble: TundishError | None) -> Outcome:
    if result is None:
        lost = trouble is None or (isinstance(trouble, VendorUnavailable) and "unknown" in trouble.message)
        status = "uncertain" if lost and not target.idempotent else "failed"
        return Outcome(change.change_id, status, LOST if status == "uncertain" else trouble.message if trouble else "no answer for it")
    if result.ok:
        return Outcome(change.change_id, "applied")
    return Outcome(change.change_id, "failed" if result.retryable else "rejected", f"{result.code}: {result.message}".strip(": "))
