"""demo: the whole line on the sandbox, in one process, from an empty lake to an undone apply."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--size", type=click.IntRange(min=1), default=60, show_default=True, help="People in the fictional company.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same company.")
@click.option(
    "--home", default=".tundish/demo", show_default=True, help="Where the demo keeps its lake, ledger and report (emptied first)."
)
@click.option("--max", "limit", default=25, show_default=True, help="Show at most so many changes of the plan.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(size: int, seed: int, home: str, limit: int, as_json: bool) -> int:
    """Run the whole line against the sandbox: pull, reconcile, measure, plan, apply, again, undo, report.

    \b
    Examples:
      tundish demo
      tundish demo --size 500 --seed 11
      tundish demo --json | jq .truth
    """
    from jobs.play import playground

    place = Path(home)
    _empty(place)
    with playground(place, size=size, seed=seed) as play:
        result = _Demo(place, play, as_json, limit).run()
    if as_json:
        click.echo(json.dumps(result, default=str))
    return 0 if result["ok"] else 3


def _empty(place: Path) -> None:
    """Remove an earlier demo. Raises: UserError for a folder that holds anything else."""
    from core.errors import UserError

    if place.exists() and any(place.iterdir()) and not (place / "truth.json").exists():
        raise UserError(f"{place} is not a demo's folder; it would be emptied", next_step="give --home a new folder")
    shutil.rmtree(place, ignore_errors=True)


class _Demo:
    """The steps in order; each says what it did."""

    def __init__(self, home: Path, play: Any, as_json: bool, limit: int) -> None:
        self.home, self.play, self.as_json, self.limit = home, play, as_json, limit
        self.started = time.monotonic()

    def say(self, title: str, text: str = "") -> None:
        if not self.as_json:
            click.secho(f"\n{title}", bold=True)
            if text:
                click.echo(text)

    def run(self) -> dict[str, Any]:
        from jobs import show, steps
        from jobs.truth import score
        from jobs.wiring import open_hub
        from jobs.write_back import run_apply, run_undo

        with open_hub(self.play.config) as hub:
            self.say("1. Pull", "from " + ", ".join(f"{n} ({u})" for n, u in self.play.urls.items()))
            first = steps.run_sync(hub, quiet=self.as_json)
            self.say("Rows per account and resource", first.text())
            found = steps.run_reconcile(hub)
            rows = found.open_findings()
            truth = score(rows, self.play.truth)
            self.say("2. Resolve", show.entities_text(found.entities()))
            self.say("3. Reconcile: findings by rule, against the sandbox's ground truth", show.truth_text(truth, rows))
            metrics = steps.run_measure(hub, found)
            shown = [_in_short(metrics, found.as_of), *(show.metrics_text(metrics, name) for name in ("funnel", "pipeline"))]
            self.say("4. Measure", "\n\n".join([*shown, "all other numbers: in the report below, or by `tundish report NAME`"]))
            plan = steps.run_plan(hub, found=found)
            self.say("5. Plan", show.plan_text(plan, self.limit))
            applied = run_apply(hub, plan, quiet=True)
            self.say("6. Apply", applied.text())
            second = steps.run_sync(hub, quiet=True)
            again_found = steps.run_reconcile(hub)
            again = steps.run_plan(hub, found=again_found)
            self.say(
                "7. Second run",
                f"{sum(c.appended for c in second.counts)} rows changed by our own writes; second run: {len(again.changes)} changes",
            )
            undone = run_undo(hub, applied.run_id)
            self.say("8. Undo", undone.text())
            files = self._report(hub, first, found, rows, truth, metrics, plan, applied, undone)
            self.say("9. Report", "\n".join(f"{kind}: {path}" for kind, path in files.items()))
            seconds = time.monotonic() - self.started
            look = f"tundish --config {self.play.config} sql 'show tables'"
            self.say(f"Done in {seconds:.1f} s. Everything is in {self.home}; look around with: {look}")
        ok = first.exit_code == 0 and not truth["missed"] and not truth["false"] and not again.changes
        return {
            "ok": ok,
            "records": [asdict(c) for c in first.counts],
            "entities": found.entities(),
            "findings": [_open(r) for r in rows],
            "truth": truth,
            "metrics": metrics,
            "plan": plan.to_json(),
            "apply": applied.to_json(),
            "second_sync": {"status": second.status, "appended": sum(c.appended for c in second.counts)},
            "second_plan_changes": len(again.changes),
            "undo": undone.to_json(),
            "report": {kind: str(path) for kind, path in files.items()},
            "seconds": round(seconds, 2),
        }

    def _report(
        self, hub: Any, first: Any, found: Any, rows: list[dict[str, Any]], truth: Any, metrics: Any, plan: Any, applied: Any, undone: Any
    ) -> dict[str, Path]:
        from jobs.report import render
        from jobs.reporting import report_data

        data = {
            **report_data(hub, found, metrics),
            "freshness": {name: found.as_of.isoformat() for name in hub.config.accounts},
            "records": [asdict(c) for c in first.counts],
            "findings": [_open(r) for r in rows],
            "truth": truth,
            "plan": plan.to_json(),
            "apply": applied.by_status,
            "undo": undone.by_status,
            "rejects": [asdict(r) for r in hub.ledger.rejects(first.run_id)],
        }
        files = {}
        for kind in ("html", "json"):
            path = self.home / f"report.{kind}"
            path.write_text(render(data, kind), encoding="utf-8")
            files[kind] = path
        return files


def _in_short(metrics: Any, as_of: Any) -> str:
    from jobs.report.content import selected
    from jobs.report.overview import overview_table
    from jobs.show_table import text

    short = overview_table(selected({"metrics": metrics, "as_of": as_of.isoformat()}, "all"))
    return text(short) if short is not None else ""


def _open(row: dict[str, Any]) -> dict[str, Any]:
    """A finding with its JSON columns opened."""
    return {k: json.loads(v) if k in ("records", "values", "fix", "evidence") and v else v for k, v in row.items()}
