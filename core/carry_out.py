"""A plan applied, or an apply undone, as a run of the ledger: begun, gone on with after a kill, and ended."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core.apply import Hand, apply, check, kept, undo
from core.change import Change, Outcome, Plan
from core.ledger_states import left
from core.outdated import check_hands, check_pushes
from core.pipeline import Line


def apply_plan(
    line: Line,
    plan: Plan,
    hands: Mapping[str, Hand],
    now: datetime,
    *,
    allow: frozenset[str] = frozenset(),
    only: Callable[[Change], bool] | None = None,
    by: str = "",
    on_progress: Callable[[str, int], None] = lambda where, n: None,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], datetime] | None = None,
) -> tuple[str, list[Outcome]]:
    """(apply run id, outcomes). Called again after a kill, or after `stopped` said so between two batches, it goes on with the same run.
    What `only` leaves out stays open, and what an earlier run of the plan settled is not touched again; ("", []) when nothing is left.
    `clock` says when the run ended; without one it is `now`.

    Raises: UnsafePlan (expired, refused, or config and mappings say otherwise by now).
    """
    check(plan, now, allow=allow)
    changes = left(plan.changes, line.plans.states(plan.plan_id), only)
    check_hands(changes, hands)
    check_pushes(changes, line.mappings)
    apply_id = line.plans.open_apply(plan.plan_id)
    if not changes and not apply_id:
        return "", []
    apply_id = apply_id or line.plans.start_apply(plan.plan_id, "apply", now, _id("apply", now), by=by)
    _ensure(changes, line, hands)
    book = line.plans.book(apply_id, now)
    tried = apply(changes, hands, book, on_progress=on_progress, stopped=stopped)
    outcomes = _with_unreached(line.plans.outcomes(apply_id), tried)
    line.plans.end_apply(apply_id, "done" if _whole(changes, outcomes) else "partial", clock() if clock else now)
    return apply_id, outcomes


def _whole(changes: Sequence[Change], outcomes: Sequence[Outcome]) -> bool:
    """True when each of the changes has an outcome, and nothing the run tried is to be tried again."""
    return not any(o.status == "failed" for o in outcomes) and {c.change_id for c in changes} <= {o.change_id for o in outcomes}


def _ensure(changes: Sequence[Change], line: Line, hands: Mapping[str, Hand]) -> None:
    """Create the hub-owned fields the changes need, where the vendor lets us and they are missing."""
    wanted = {(c.account, c.target, c.field) for c in changes}
    for account, hand in hands.items():
        for target in hand.targets.values():
            fields = [
                p.as_field() for p in line.mappings[account].pushes(target.name) if p.owned and (account, target.name, p.field) in wanted
            ]
            if fields and target.ensure:
                target.ensure(hand.session, fields)


def undo_run(
    line: Line,
    apply_id: str,
    hands: Mapping[str, Hand],
    now: datetime,
    *,
    only: Callable[[Change], bool] | None = None,
    by: str = "",
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], datetime] | None = None,
) -> tuple[str, list[Outcome]]:
    """(undo run id, outcomes): before-images put back where nobody wrote since. What an undo has put back before is let be:
    if it stands there again, somebody wants it so.

    Raises: UserError for an unknown run, and for one that is an undo itself.
    """
    applied = [(c, found) for c, found in line.plans.left_to_undo(apply_id) if only is None or only(c)]
    check_hands([c for c, _ in applied if not kept(c)], hands)
    undo_id = line.plans.open_undo(apply_id) or line.plans.start_apply(
        line.plans.plan_of(apply_id), "undo", now, _id("undo", now), of=apply_id, by=by
    )
    book = line.plans.book(undo_id, now)
    tried = undo(applied, hands, book, stopped=stopped)
    outcomes = _with_unreached(line.plans.outcomes(undo_id), tried)
    line.plans.end_apply(undo_id, "done" if _whole([c for c, _ in applied], outcomes) else "partial", clock() if clock else now)
    return undo_id, outcomes


def _with_unreached(recorded: Sequence[Outcome], tried: Sequence[Outcome]) -> list[Outcome]:
    """What the ledger holds, and what an account's trouble kept from being tried, with the reason."""
    known = {o.change_id for o in recorded}
    return [*recorded, *(o for o in tried if o.status == "failed" and o.change_id not in known)]


def _id(kind: str, now: datetime) -> str:
    return f"{kind}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
