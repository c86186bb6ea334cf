"""sync and reconcile."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from jobs.cli import emit
from jobs.instants import Instant
from jobs.outputs import Output, output_options


def json_option(f: Any) -> Any:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(f)


@click.command()
@click.argument("accounts", nargs=-1)
@click.option("--full", is_flag=True, help="Read everything again, not only what changed.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Limit a first read to rows changed since this day.")
@click.option("--resource", "resources", multiple=True, help="Only these resources (repeatable).")
@click.option("--new-lake", is_flag=True, help="The lake was lost: begin a new one, and keep the ledger.")
@json_option
@click.pass_obj
def sync(
    obj: dict[str, Any],
    accounts: tuple[str, ...],
    full: bool,
    since: datetime | None,
    resources: tuple[str, ...],
    new_lake: bool,
    as_json: bool,
) -> int:
    """Pull what changed from the vendors into the lake.

    \b
    Examples:
      tundish sync                      all accounts
      tundish sync hubspot --full       read everything again
      tundish sync --resource contacts
    """
    from jobs.interrupt import interruptible
    from jobs.steps import STOP, run_sync
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        day = since.replace(tzinfo=UTC) if since else None
        with interruptible(STOP) as came:
            result = run_sync(hub, accounts=accounts, full=full, since=day, resources=resources, quiet=as_json, new_lake=new_lake)
        emit(result.to_json(), as_json, result.text())
        return came.exit_code(result.exit_code)


@click.command()
@click.option("--as-of", type=Instant(), help="What was known then (UTC); nothing is stored.")
@click.option("--rule", "rules", multiple=True, help="Only these rules, e.g. --rule D-01 (repeatable).")
@click.option("--severity", type=click.Choice(["S1", "S2", "S3", "S4"]), help="Only this severity and worse.")
@click.option("--account", "accounts", multiple=True, help="Only findings with a record of this account (repeatable).")
@click.option("--record", "records", multiple=True, metavar="ACCOUNT:RESOURCE:ID", help="Only findings with this record (repeatable).")
@click.option("--over", is_flag=True, help="Only findings that are over their limit of days (sla_days in funnel.yaml).")
@click.option("--max", "limit", type=click.IntRange(min=0), default=50, show_default=True, help="At most so many findings in the table.")
@output_options(("table", "json", "csv", "md", "html"))
@click.pass_obj
def reconcile(
    obj: dict[str, Any],
    as_of: datetime | None,
    rules: tuple[str, ...],
    severity: str | None,
    accounts: tuple[str, ...],
    records: tuple[str, ...],
    over: bool,
    limit: int,
    output: Output,
) -> int:
    """Resolve who is who and list where systems disagree.

    \b
    Examples:
      tundish reconcile
      tundish reconcile --severity S1
      tundish reconcile --as-of 2026-06-01 --rule D-01
      tundish reconcile --over --account hubspot
      tundish reconcile --severity S1 --format csv --output grave.csv
    """
    from core.finding_history import aged
    from jobs import show, show_findings, steps
    from jobs.choosing import choice_of
    from jobs.identity import told_unknown
    from jobs.notes import noted
    from jobs.report import render
    from jobs.reporting import set_aside
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        choice = choice_of(hub, rules=rules, accounts=accounts, records=records)
        found = steps.run_reconcile(hub, as_of=as_of)
        rows = [r for r in found.open_findings() if (not severity or r["severity"] <= severity) and choice.fits(r)]
        if over:
            late = {r["finding_id"] for r in aged(rows, hub.setup.funnel.sla_days, found.as_of) if r["over_days"] is not None}
            rows = [r for r in rows if r["finding_id"] in late]
        aside = [r for r in set_aside(hub, found) if choice.fits(r)]
        data: dict[str, Any] = {"run": found.run_id, "as_of": found.as_of, "entities": found.entities()}
        unknown = told_unknown(found.unknown)
        if output.format == "json":
            findings = [_plain(r) for r in noted(hub, rows)]
            output.write_json(data | {"findings": findings, "set_aside": aside, "unknown_decisions": [vars(d) for d in found.unknown]})
        elif output.format == "table":
            none = show.no_findings(data["entities"], len(found.open_findings()), as_of)
            told = [show.entities_text(data["entities"]), show.findings_text(rows, limit, none)]
            output.write("\n".join([*told, *show_findings.said_texts(noted(hub, rows), aside)]) + unknown)
        else:
            head = data | {"as_of": found.as_of.isoformat(), "organisation": hub.config.organisation.name}
            output.write(render(head | {"findings": noted(hub, rows), "set_aside": aside}, output.format, "findings"))
            click.echo(unknown.strip(), err=True, nl=bool(unknown))
        return 0


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A finding with its JSON columns opened."""
    return {k: json.loads(v) if k in ("records", "values", "fix", "evidence") and v else v for k, v in row.items()}
