"""A job: steps of the config, one after the other, with one exit code, one summary, and alerts when it is not well."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.change import Plan
from core.errors import TundishError, UserError
from core.pipeline import Understanding
from jobs import steps
from jobs.leases import held
from jobs.wiring import Hub


@dataclass
class JobResult:
    """What a job did, step by step. `exit_code` is the worst of the steps'; a failed step ends the job."""

    job: str
    exit_code: int = 0
    steps: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, step: str, data: Mapping[str, Any], text: str, code: int = 0) -> None:
        self.steps[step] = dict(data)
        self.lines.append(f"{step}: {text}")
        self.exit_code = self.exit_code or code

    def to_json(self) -> dict[str, Any]:
        return {"job": self.job, "exit": self.exit_code, "steps": self.steps}

    def text(self) -> str:
        return "\n".join(self.lines)


def run_job(hub: Hub, name: str, *, quiet: bool = True) -> JobResult:
    """Run one job of the config under its lease. A partial sync goes on to reconcile; a plan from it refuses itself."""
    job = hub.config.job(name)
    result = JobResult(name)
    with held(hub.ledger, f"job:{name}", hub.clock):
        state: dict[str, Any] = {}
        for step in job.steps:
            word, *rest = step.split()
            try:
                _STEPS[word](hub, rest, state, result, job.apply == "auto", quiet)
            except TundishError as problem:
                result.add(word, {"error": problem.message, "next": problem.next_step}, str(problem), problem.exit_code)
                break
            if steps.STOP.is_set():
                result.add("stopped", {}, "asked to stop; the next run continues", 3)
                break
    return result


def _sync(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    done = steps.run_sync(hub, accounts=rest, quiet=quiet)
    result.add("sync", done.to_json(), f"{done.status}, {sum(c.appended for c in done.counts)} rows new or changed", done.exit_code)


def _found(hub: Hub, state: dict[str, Any]) -> Understanding:
    if "found" not in state:
        state["found"] = steps.run_reconcile(hub)
    found: Understanding = state["found"]
    return found


def _reconcile(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    found = _found(hub, state)
    result.add("reconcile", {"findings": found.findings.num_rows, "entities": found.entities()}, f"{found.findings.num_rows} findings")


def _measure(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    found = _found(hub, state)
    result.add("measure", {"metrics": found.metrics.num_rows}, f"{found.metrics.num_rows} numbers")


def _plan(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    plan = state["plan"] = steps.run_plan(hub, found=_found(hub, state))
    data = {"plan": plan.plan_id, "changes": plan.counts(), "held": len(plan.held), "refusals": list(plan.refusals)}
    result.add("plan", data, f"{len(plan.changes)} changes, {len(plan.held)} held" + "".join(f"\n  refused: {r}" for r in plan.refusals))


def _apply(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    plan: Plan | None = state.get("plan")
    if plan is None:
        raise UserError("`apply` needs `plan` before it in the job's steps", where=f"job {result.job}")
    if not auto:
        result.add("apply", {"waiting": plan.plan_id}, f"apply is manual; review, then: tundish apply {plan.plan_id}")
        return
    done = steps.run_apply(hub, plan, quiet=quiet)
    result.add("apply", done.to_json(), ", ".join(f"{n} {s}" for s, n in done.by_status.items()) or "nothing to do", done.exit_code)


def _compact(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    hub.lake.sweep_orphans()
    files = hub.lake.compact()
    result.add("compact", {"rewritten": files}, f"{sum(files.values())} files rewritten")


def _check(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    from jobs.doctor import check_account

    checks = [c for name in hub.accounts(rest) for c in check_account(hub, name)]
    worst = max((c.exit_code for c in checks), default=0)
    bad = [f"{c.account}: {c.text}" for c in checks if c.level != "ok"]
    result.add("check", {"checks": [vars(c) for c in checks]}, "; ".join(bad) or "all in order", worst)


def _report(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    from jobs.reporting import report_data, write_report

    path = write_report(hub, report_data(hub, _found(hub, state)), rest[0] if rest else "all")
    result.add("report", {"file": str(path)}, str(path))


_STEPS = {
    "sync": _sync, "resolve": _reconcile, "reconcile": _reconcile, "measure": _measure, "plan": _plan, "apply": _apply,
    "compact": _compact, "check": _check, "report": _report,
}  # fmt: skip


@contextmanager
def _graceful() -> Iterator[None]:
    """SIGTERM and SIGINT finish the page in hand, then stop."""
    old = {s: signal.signal(s, lambda *_: steps.STOP.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def alert_urls(hub: Hub) -> tuple[str, ...]:
    return hub.config.alert_urls(os.environ)
