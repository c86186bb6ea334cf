"""A job: steps of the config, one after the other, with one exit code, one summary, and alerts when it is not well."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from core.change import Plan
from core.config_document import JobDocument
from core.errors import TundishError, UserError
from core.finding_history import aged
from core.pipeline import Understanding
from core.storage import trouble
from jobs import steps
from jobs.alerts import alert, history_of, message, should_alert
from jobs.interrupt import interruptible
from jobs.leases import held, running
from jobs.schedule import ledger_hooks, serve
from jobs.wiring import Hub
from jobs.write_back import run_apply


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
    """Run one job of the config under its lease. Raises: Busy when another process runs it."""
    hub.config.job(name)
    with held(hub.ledger, f"job:{name}", hub.clock), interruptible(steps.STOP) as came:
        result = do_job(hub, name, quiet=quiet)
    result.exit_code = came.exit_code(result.exit_code)
    return result


def do_job(hub: Hub, name: str, *, quiet: bool = True) -> JobResult:
    """The steps of a job, remembered as a run of its name, with an alert when it is not well. The caller holds the lease.

    A partial sync goes on to reconcile; a plan from it refuses itself.
    """
    job = hub.config.job(name)
    result = JobResult(name)
    with running(hub.ledger, name, hub.clock, {"steps": list(job.steps)}) as run_id:
        return _do(hub, job, run_id, result, quiet)


def _do(hub: Hub, job: JobDocument, run_id: str, result: JobResult, quiet: bool) -> JobResult:
    name = result.job
    state: dict[str, Any] = {}
    bug: Exception | None = None
    for step in job.steps:
        word, *rest = step.split()
        try:
            _STEPS[word](hub, rest, state, result, job.apply == "auto", quiet)
        except Exception as problem:
            told = problem if isinstance(problem, TundishError) else trouble(problem)
            bug = None if told else problem
            told = told or TundishError(f"{type(problem).__name__}", next_step="this is a bug; report it with the traceback")
            result.add(word, {"error": told.message, "next": told.next_step}, str(told), told.exit_code)
            break
        if steps.STOP.is_set():
            result.add("stopped", {}, "asked to stop; the next run continues", 3)
            break
    status = {0: "done", 3: "partial"}.get(result.exit_code, "failed")
    hub.ledger.end_run(run_id, status, hub.clock(), {"exit": result.exit_code})
    _alert(hub, name, run_id, status, result)
    if bug is not None:  # the run has its end and people are told; the traceback belongs to whoever started it
        raise bug
    return result


def _alert(hub: Hub, name: str, run_id: str, status: str, result: JobResult) -> None:
    """Tell the alert URLs about trouble (again with growing pauses) and about recovery (once)."""
    history = history_of(hub.ledger.runs(200, name))
    kind = should_alert(history, hub.clock())
    if kind is None or not hub.config.alerts:
        return
    problems = alert(hub.config.alert_urls(os.environ), *message(name, kind, history, result.text()))
    result.lines += [f"alert: {problem}" for problem in problems]
    hub.ledger.end_run(run_id, status, hub.clock(), {"exit": result.exit_code, "alerted": kind})


def serve_jobs(hub: Hub, names: Sequence[str] = ()) -> int:
    """Run the scheduled jobs until stopped. Raises: UserError when no job of the config has a schedule."""
    jobs = {name: hub.config.job(name) for name in (names or hub.config.jobs)}
    scheduled = {name: job for name, job in jobs.items() if job.schedule}
    if not scheduled:
        raise UserError("no job of the config has a schedule", where=str(hub.config.path), next_step="see `jobs:` in config.example.yaml")
    for name, job in scheduled.items():
        click.echo(f"{name}: {job.schedule} ({hub.config.organisation.timezone})")

    def run(name: str) -> int:
        result = do_job(hub, name)
        click.echo(f"{hub.clock():%Y-%m-%d %H:%M:%S} {name}: exit {result.exit_code}\n{result.text()}")
        return result.exit_code

    serve(
        scheduled,
        run,
        timezone=hub.config.organisation.timezone,
        hooks=ledger_hooks(hub.ledger, hub.clock),
        stop=steps.STOP,
        clock=hub.clock,
    )
    return 0


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
    open_ = found.open_findings()
    over = sum(row["over_days"] is not None for row in aged(open_, hub.setup.funnel.sla_days, found.as_of))
    late = f", {over} over their limit of days" if over else ""
    result.add("reconcile", {"findings": len(open_), "over": over, "entities": found.entities()}, f"{len(open_)} findings{late}")


def _measure(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    metrics = state["metrics"] = steps.run_measure(hub, _found(hub, state))
    result.add("measure", {"metrics": len(metrics)}, f"{len(metrics)} numbers")


def _plan(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    plan = state["plan"] = steps.run_plan(hub, found=_found(hub, state))
    data = {"plan": plan.plan_id, "changes": plan.counts(), "held": len(plan.held), "refusals": list(plan.refusals)}
    refused = "".join(f"\n  refused: {r}" for r in plan.refusals)
    result.add("plan", data, f"{len(plan.changes)} changes, {len(plan.held)} held{refused}", 4 if plan.refusals else 0)


def _apply(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    plan: Plan | None = state.get("plan")
    if plan is None:
        raise UserError("`apply` needs `plan` before it in the job's steps", where=f"job {result.job}")
    if not auto:
        result.add("apply", {"waiting": plan.plan_id}, f"apply is manual; review, then: tundish apply {plan.plan_id}")
        return
    done = run_apply(hub, plan, by=f"job {result.job}", quiet=quiet)
    result.add("apply", done.to_json(), ", ".join(f"{n} {s}" for s, n in done.by_status.items()) or "nothing to do", done.exit_code)


def _compact(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    done = steps.run_compact(hub)
    result.add("compact", done, steps.compact_text(done))


def _check(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    from jobs.doctor import check_account

    checks = [c for name in hub.accounts(rest) for c in check_account(hub, name)]
    worst = max((c.exit_code for c in checks), default=0)
    bad = [f"{c.account}: {c.text}" for c in checks if c.level != "ok"]
    result.add("check", {"checks": [vars(c) for c in checks]}, "; ".join(bad) or "all in order", worst)


def _report(hub: Hub, rest: list[str], state: dict[str, Any], result: JobResult, auto: bool, quiet: bool) -> None:
    from jobs.reporting import report_data, write_report

    metrics = state.get("metrics") or steps.run_measure(hub, _found(hub, state))
    path = write_report(hub, report_data(hub, _found(hub, state), metrics), rest[0] if rest else "all")
    result.add("report", {"file": str(path)}, str(path))


_STEPS = {
    "sync": _sync, "resolve": _reconcile, "reconcile": _reconcile, "measure": _measure, "plan": _plan, "apply": _apply,
    "compact": _compact, "check": _check, "report": _report,
}  # fmt: skip
