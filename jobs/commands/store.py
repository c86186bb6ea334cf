"""sql, compact and forget: the lake by hand."""

from __future__ import annotations

import math
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import click

from jobs.cli import emit
from jobs.instants import Instant


@click.command()
@click.argument("query")
@click.option("--as-of", type=Instant(), help="What was known then (UTC).")
@click.option("--format", "format_", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def sql(obj: dict[str, Any], query: str, as_of: datetime | None, format_: str, as_json: bool) -> int:
    """Query the lake with SQL: one view per kind (current rows), and <kind>_versions with every version.

    \b
    Examples:
      tundish sql "select stage, count(*) from person group by 1 order by 1"
      tundish sql "select * from deal_versions where vendor_id = '17'" --json
      tundish sql "select count(*) from deal" --as-of 2026-06-01
    """
    import csv
    import sys

    import duckdb

    from core.errors import UserError
    from jobs import show
    from jobs.report.plain import safe
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        try:
            table = hub.lake.sql(query, as_of)
        except duckdb.Error as problem:
            raise UserError(str(problem), next_step="`tundish sql 'show tables'` lists what there is") from problem
        rows = [{k: _json_number(v) for k, v in row.items()} for row in table.to_pylist()]
        if as_json or format_ == "json":
            emit({"columns": table.column_names, "rows": rows}, True)
        elif format_ == "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow([safe(name) for name in table.column_names])
            writer.writerows([safe(value) for value in row.values()] for row in rows)
        else:
            click.echo(show.table_text(table.column_names, [list(row.values()) for row in rows]))
        return 0


def _json_number(value: Any) -> Any:
    """NaN and infinity are no JSON."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@click.command()
@click.option("--vacuum-hours", default=168, show_default=True, help="Drop files no version has used for so long.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def compact(obj: dict[str, Any], vacuum_hours: int, as_json: bool) -> int:
    """Compact the lake's files, leave out what is past its retention (funnel.yaml), drop unused files."""
    from jobs import steps
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        done = steps.run_compact(hub, vacuum_hours)
        emit(done, as_json, steps.compact_text(done))
        return 0


@click.command()
@click.argument("record", metavar="ACCOUNT:RESOURCE:ID", nargs=-1, required=True)
@click.option("--why", default="erasure request", show_default=True, help="Kept with the tombstone; no personal data, please.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def forget(obj: dict[str, Any], record: tuple[str, ...], why: str, yes: bool, as_json: bool) -> int:
    """Erase records from the lake for good, and keep a tombstone that stops them from being pulled again.

    \b
    Example:
      tundish forget hubspot:contacts:151 mailchimp:members:a1f0:9e26471d35a78862c17e467d87cddedf
    """
    from core.errors import UserError
    from core.lake_findings import findings_about
    from core.lake_links import carried_ids, named_touches
    from core.ledger_events import forget_events
    from core.ledger_verdicts import forget_findings
    from jobs.leases import held
    from jobs.wiring import open_hub

    keys = [tuple(r.split(":", 2)) for r in record]
    if wrong := [r for r, key in zip(record, keys, strict=True) if len(key) != 3]:
        raise UserError(f"not a record: {wrong[0]!r}", next_step="write ACCOUNT:RESOURCE:ID, e.g. hubspot:contacts:151")
    with open_hub(obj["config"]) as hub:
        hub.accounts([key[0] for key in keys])
        if as_json and not yes:
            raise UserError("--json cannot ask whether to erase", next_step="add --yes")
        if not yes:
            click.confirm(f"Erase {len(keys)} records from the lake? This cannot be undone.", abort=True)
        records = [(a, r, i) for a, r, i in keys]
        with ExitStack() as stack:
            for account in sorted({a for a, _, _ in records}):  # a pull under way has the person in hand, and would bring it back
                stack.enter_context(held(hub.ledger, f"pull:{account}", hub.clock))
            forget_events(hub.ledger, carried_ids(hub.lake, records))
            erased = [*records, *named_touches(hub.lake, records)]
            forget_findings(hub.ledger, findings_about(hub.lake, erased))
            rows = hub.lake.forget(erased, hub.clock(), why)
        emit({"erased_rows": rows, "tombstones": len(erased)}, as_json, f"{rows} rows erased, {len(erased)} tombstones set")
        return 0
