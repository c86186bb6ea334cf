"""run, serve and runs: jobs of the config."""

from __future__ import annotations

from typing import Any

import click

from jobs.cli import emit


@click.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def run(obj: dict[str, Any], job: str, as_json: bool) -> int:
    """Run a job of the config now. Exit code and --json are the contract for cron, systemd, Kubernetes and Airflow.

    \b
    Example:
      tundish run nightly --json
    """
    from jobs.wiring import open_hub
    from jobs.work import run_job

    with open_hub(obj["config"]) as hub:
        result = run_job(hub, job, quiet=as_json)
        emit(result.to_json(), as_json, result.text())
        return result.exit_code


@click.command()
@click.option("--job", "jobs", multiple=True, help="Only these jobs (repeatable).")
@click.pass_obj
def serve(obj: dict[str, Any], jobs: tuple[str, ...]) -> int:
    """Run the jobs of the config on their schedules, until stopped. Two may run: the ledger's lease decides.

    \b
    Example:
      tundish serve
    """
    from jobs.wiring import open_hub
    from jobs.work import serve_jobs

    with open_hub(obj["config"]) as hub:
        return serve_jobs(hub, jobs)


@click.command()
@click.argument("run_id", metavar="RUN", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def runs(obj: dict[str, Any], run_id: str | None, limit: int, as_json: bool) -> int:
    """List past runs, or one run's counts and rejected rows, or the outcomes of an apply or undo.

    \b
    Examples:
      tundish runs
      tundish runs 20260630T020000-1f2e3d
      tundish runs apply-20260630-020500-1f2e
    """
    from dataclasses import asdict

    from core.errors import UserError
    from core.ledger_lost import lost_applies, lost_runs
    from jobs import show
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        if run_id and run_id.startswith(("apply-", "undo-")):
            plan_id, outcomes = hub.line.plans.plan_of(run_id), hub.line.plans.outcomes(run_id)
            data = {"run": run_id, "plan": plan_id, "outcomes": [asdict(o) for o in outcomes]}
            emit(data, as_json, f"plan {plan_id}\n{show.outcomes_text(outcomes)}")
            return 0
        if run_id:
            run = hub.ledger.run(run_id)
            if run is None:
                raise UserError(f"no run {run_id!r}", next_step="list them: tundish runs")
            counts, rejects = [asdict(c) for c in hub.ledger.counts(run_id)], [asdict(r) for r in hub.ledger.rejects(run_id)]
            text = show.records_text(counts) + "".join(f"\nrow {r['vendor_id'] or '?'}: {r['reason']} ({r['place']})" for r in rejects)
            emit({"run": asdict(run), "records": counts, "rejects": rejects}, as_json, text)
            return 0
        applied = [
            {"job": r["kind"], "detail": {"plan": r["plan_id"]}} | {name: r[name] for name in ("id", "started_at", "ended_at", "status")}
            for r in hub.line.plans.applies(limit)
        ]
        lost = lost_runs(hub.ledger, hub.clock()) | lost_applies(hub.ledger, hub.clock())
        every = [r | ({"status": "lost"} if r["id"] in lost else {}) for r in (*(asdict(r) for r in hub.ledger.runs(limit)), *applied)]
        rows = sorted(every, key=lambda r: r["started_at"], reverse=True)[:limit]
        lines = [[r["id"], r["job"], r["status"], f"{r['started_at']:%Y-%m-%d %H:%M:%S}", _length(r)] for r in rows]
        note = "\nlost: its process was killed; what it had done holds, and the same command goes on from there"
        text = show.table_text(["run", "job", "status", "started (UTC)", "took"], lines)
        emit({"runs": rows}, as_json, text + (note if any(r["status"] == "lost" for r in rows) else ""))
        return 0


def _length(row: dict[str, Any]) -> str:
    return f"{(row['ended_at'] - row['started_at']).total_seconds():.1f} s" if row["ended_at"] else ""
