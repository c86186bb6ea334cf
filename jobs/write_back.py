"""Apply and undo over an open hub: what `tundish apply`, `undo` and jobs call, and what they say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.carry_out import apply_plan, undo_run
from core.change import Change, Outcome, Plan
from core.ledger_states import left
from jobs import show
from jobs.author import author
from jobs.choosing import EVERYTHING, Choice
from jobs.leases import held
from jobs.steps import STOP
from jobs.wiring import Hub

_WANTING = frozenset({"failed", "rejected", "uncertain", "late"})


@dataclass(frozen=True)
class Done:
    """What an apply or an undo did. `remaining`: changes of the plan that are open still. No run: there was nothing to do."""

    run_id: str
    plan_id: str
    outcomes: tuple[Outcome, ...]
    expected: int
    remaining: int = 0

    @property
    def by_status(self) -> dict[str, int]:
        return dict(Counter(o.status for o in self.outcomes))

    @property
    def exit_code(self) -> int:
        return 3 if len(self.outcomes) < self.expected or any(o.status in _WANTING for o in self.outcomes) else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run_id,
            "plan": self.plan_id,
            "outcomes": self.by_status,
            "details": [asdict(o) for o in self.outcomes],
            "remaining": self.remaining,
            "exit": self.exit_code,
        }

    def text(self) -> str:
        if not self.run_id:
            return f"nothing of plan {self.plan_id} is left to write; what became of it: tundish plan show {self.plan_id}"
        rest = f"{self.remaining:,} changes of the plan stay open: tundish apply {self.plan_id}"
        return "\n".join([show.outcomes_text(self.outcomes), self.run_id, *([rest] if self.remaining else [])])


def to_write(hub: Hub, plan: Plan, choice: Choice = EVERYTHING, limit: int | None = None) -> list[Change]:
    """The changes an apply would write now: the chosen ones that are open, at most `limit` of them, in the plan's order.

    Raises: UserError when the choice fits no change of the plan.
    """
    chosen = {c.change_id for c in choice.of(plan.changes, f"see tundish plan show {plan.plan_id}")}
    return left(plan.changes, hub.line.plans.states(plan.plan_id), lambda c: c.change_id in chosen)[:limit]


def run_apply(
    hub: Hub, plan: Plan, *, allow: frozenset[str] = frozenset(), changes: Sequence[Change] | None = None, by: str = "", quiet: bool = True
) -> Done:
    """Carry a plan out, or only these changes of it, under a lease so that two of us never apply at once.

    Raises: UnsafePlan, UserError.
    """
    wanted = to_write(hub, plan) if changes is None else list(changes)
    if not wanted and not hub.line.plans.open_apply(plan.plan_id):
        return _done(hub, plan, "", [], 0)
    ids = {c.change_id for c in wanted}
    names = sorted({c.account for c in wanted} or {c.account for c in plan.changes})
    with _lease(hub), hub.hands(writes=True, names=names) as hands, show.Progress("apply", quiet=quiet) as progress:
        run_id, outcomes = apply_plan(
            hub.line,
            plan,
            hands,
            hub.clock(),
            allow=allow,
            only=lambda c: c.change_id in ids,
            by=by or author(),
            on_progress=lambda where, n: progress.step(where, "", n, None),
            stopped=STOP.is_set,
            clock=hub.clock,
        )
    return _done(hub, plan, run_id, outcomes, len(wanted))


def _done(hub: Hub, plan: Plan, run_id: str, outcomes: Sequence[Outcome], expected: int) -> Done:
    known = hub.line.plans.states(plan.plan_id)
    return Done(run_id, plan.plan_id, tuple(outcomes), expected, sum(c.change_id not in known for c in plan.changes))


def to_take_back(hub: Hub, apply_id: str | None, choice: Choice = EVERYTHING, since: datetime | None = None) -> dict[str, list[Change]]:
    """What an undo of the run would try, or of every run (begun `since` then), the newest first: {apply run: changes}.

    Raises: UserError for an unknown run, one that is an undo itself, and a choice that fits nothing of it.
    """
    book = hub.line.plans
    if apply_id:
        found = [change for change, _ in book.left_to_undo(apply_id)]
        left_ = {apply_id: choice.of(found, f"see tundish runs {apply_id}") if found else []}
    else:
        runs = [r["id"] for r in book.applies(None) if r["kind"] == "apply" and (since is None or r["started_at"] >= since)]
        left_ = {run: [c for c, _ in book.left_to_undo(run) if choice.keeps(c)] for run in runs}
    return {run: changes for run, changes in left_.items() if changes}


def run_undo(hub: Hub, apply_id: str, *, only: Callable[[Change], bool] | None = None) -> Done:
    """Put before-images back where nobody wrote since. Raises: UserError for an unknown run."""
    changes = [c for c, _ in hub.line.plans.left_to_undo(apply_id) if only is None or only(c)]
    with _lease(hub), hub.hands(writes=True, names=sorted({c.account for c in changes})) as hands:
        run_id, outcomes = undo_run(hub.line, apply_id, hands, hub.clock(), only=only, by=author(), stopped=STOP.is_set, clock=hub.clock)
    return Done(run_id, hub.line.plans.plan_of(apply_id), tuple(outcomes), len(changes))


def _lease(hub: Hub) -> Any:
    return held(hub.ledger, "apply", hub.clock)
