"""apply, undo and audit: what changes at a vendor, what takes it back, and who did so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from core.errors import UserError
from jobs.choosing import choice_of, choice_options, completed
from jobs.cli import emit
from jobs.commands.plans import plan_ids
from jobs.instants import Instant
from jobs.outputs import Output, output_options

ALLOW = {"large": "more changes than the limits say", "shrunk": "a source lost many rows", "partial": "the last sync was incomplete"}


run_ids = completed(lambda hub: [r["id"] for r in hub.line.plans.applies(50) if r["kind"] == "apply"])


def _consented(named: object, yes: bool, as_json: bool) -> None:
    """Nothing is written unasked. Raises: UserError where nobody could be asked, or when --yes says yes to what is not named."""
    if as_json and not yes:
        raise UserError("--json cannot ask whether to write", next_step="add --yes and the id")
    if yes and not named:
        raise UserError("--yes needs the id of what it says yes to", next_step="`tundish plans` shows plans; or write `latest`")


def _ask(question: str) -> None:
    """Raises: click.Abort for a no, UserError where nobody answers: in a script, a job or a pipe."""
    try:
        click.confirm(question, abort=True)
    except click.Abort as no:
        if isinstance(no.__context__, EOFError) and not sys.stdin.isatty():
            raise UserError("nobody answered, so nothing was done", next_step="add --yes and the id") from no
        raise


@click.command()
@click.argument("plan_id", metavar="[PLAN]", required=False, shell_complete=plan_ids)
@choice_options()
@click.option("--max", "limit", type=click.IntRange(min=1), help="Write at most so many changes; the rest stays open.")
@click.option("--allow-large", is_flag=True, help=f"Apply although: {ALLOW['large']}.")
@click.option("--allow-shrunk", is_flag=True, help=f"Apply although: {ALLOW['shrunk']}.")
@click.option("--allow-partial", is_flag=True, help=f"Apply although: {ALLOW['partial']}.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def apply(
    obj: dict[str, Any],
    /,
    plan_id: str | None,
    limit: int | None,
    allow_large: bool,
    allow_shrunk: bool,
    allow_partial: bool,
    yes: bool,
    as_json: bool,
    **chosen: Sequence[str],
) -> int:
    """Carry out a plan, or the chosen part of it (default: the latest, after asking). Interrupted, run it again: it continues.

    What is not chosen stays open in the plan until it expires.

    \b
    Examples:
      tundish apply                     the latest plan, after asking
      tundish apply 3fa9 --rule S-02 --account hubspot
      tundish apply 3fa9 --only 9c41d2aa --only 77b01c3e
      tundish apply 3fa9 --max 10
      tundish apply 3fa9 --allow-large --yes
    """
    from jobs.interrupt import interruptible
    from jobs.plan_pages import page
    from jobs.show_plan import page_text
    from jobs.steps import STOP
    from jobs.wiring import open_hub
    from jobs.write_back import run_apply, to_write

    _consented(plan_id, yes, as_json)
    allow = frozenset(w for w, on in (("large", allow_large), ("shrunk", allow_shrunk), ("partial", allow_partial)) if on)
    with open_hub(obj["config"]) as hub:
        made, choice = hub.line.plans.load(plan_id), choice_of(hub, **chosen)
        changes = to_write(hub, made, choice, limit)
        if changes and not yes:
            ids = {c.change_id for c in changes}
            shown = page(hub, made, choice)
            click.echo(page_text(shown | {"changes": [c for c in shown["changes"] if c["change_id"] in ids]}, 20))
            _ask(f"Write {len(changes)} changes to {len({c.account for c in changes})} accounts?")
        with interruptible(STOP) as came:
            result = run_apply(hub, made, allow=allow, changes=changes, quiet=as_json)
        emit(result.to_json(), as_json, result.text())
        return came.exit_code(result.exit_code)


@click.command()
@click.argument("apply_id", metavar="[APPLY_RUN]", required=False, shell_complete=run_ids)
@choice_options()
@click.option("--since", type=Instant(), help="Every run begun since then (UTC), the newest first.")
@click.option("--list", "listing", is_flag=True, help="List apply and undo runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def undo(
    obj: dict[str, Any],
    /,
    apply_id: str | None,
    since: datetime | None,
    listing: bool,
    yes: bool,
    as_json: bool,
    **chosen: Sequence[str],
) -> int:
    """Take back what was applied: before-images are restored where nobody wrote since.

    A run, or the chosen part of it. Without a run: what was chosen, of every run (--since then), the newest first.

    \b
    Examples:
      tundish undo --list
      tundish undo apply-20260630-020500-1f2e
      tundish undo apply-20260630-020500-1f2e --account salesforce
      tundish undo --record hubspot:contacts:151 --field lifecyclestage
      tundish undo --since 2026-06-26T16:00 --account hubspot
    """
    from core.ledger_lost import lost_applies
    from jobs import show
    from jobs.interrupt import interruptible
    from jobs.steps import STOP
    from jobs.wiring import open_hub
    from jobs.write_back import run_undo, to_take_back

    with open_hub(obj["config"]) as hub:
        choice = choice_of(hub, **chosen)
        if apply_id and since:
            raise UserError("a run and --since cannot be had together", next_step="leave one of them out")
        if listing or not (apply_id or choice or since):
            lost = lost_applies(hub.ledger, hub.clock())
            runs = [r | ({"status": "lost"} if r["id"] in lost else {}) for r in hub.line.plans.applies()]
            rows = [[r["id"], r["kind"], r["plan_id"], r["status"], (r["detail"] or {}).get("by")] for r in runs]
            text = show.table_text(["run", "what", "plan", "status", "who"], rows) if rows else ""
            emit({"runs": runs}, as_json, text or "nothing was applied yet")
            return 0
        _consented(apply_id or choice or since, yes, as_json)
        left = to_take_back(hub, apply_id, choice, since)
        if not left:
            what = f"of {apply_id}" if apply_id else f"for {choice or f'--since {since}'}"
            text = f"nothing is left to take back {what}: nothing of it was written, or an undo has put it back (tundish undo --list)"
            emit({"run": apply_id, "outcomes": {}, "details": [], "exit": 0}, as_json, text)
            return 0
        if not yes:
            of = apply_id or f"{len(left)} runs"
            _ask(f"Take back {sum(map(len, left.values()))} changes of {of}?")
        with interruptible(STOP) as came:
            done = [run_undo(hub, id_, only=set(changes).__contains__) for id_, changes in left.items() if not STOP.is_set()]
        code = came.exit_code(next((d.exit_code for d in done if d.exit_code), 0))
        data = done[0].to_json() if apply_id else {"runs": [d.to_json() for d in done], "exit": code}
        emit(data, as_json, "\n\n".join(d.text() for d in done))
        return code


@click.command()
@click.option("--since", type=Instant(), help="From then on (UTC).")
@click.option("--until", type=Instant(), help="Before then (UTC).")
@choice_options()
@click.option("--personal", is_flag=True, help="Show personal values too (addresses, names, telephone numbers).")
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="The last so many in the table.")
@output_options(("table", "csv", "json", "md", "html"))
@click.pass_obj
def audit(
    obj: dict[str, Any],
    /,
    since: datetime | None,
    until: datetime | None,
    personal: bool,
    limit: int,
    output: Output,
    **chosen: Sequence[str],
) -> int:
    """List every change that was ever written or taken back: who, when, why, before, after, what became of it.

    \b
    Examples:
      tundish audit --since 2026-06-01
      tundish audit --record hubspot:contacts:151
      tundish audit --since 2026-06-01 --format csv --output audit.csv
    """
    from core.ledger_audit import audit as entries
    from jobs import show_audit
    from jobs.report.tables import write_sections
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        choice = choice_of(hub, True, **chosen)
        rows = (show_audit.shown(e, personal) for e in entries(hub.ledger, since, until) if choice.keeps(e.change))
        if output.format == "json":
            output.stream(show_audit.to_json({"since": since, "until": until}, rows))
        elif output.format == "csv":
            output.stream(show_audit.to_csv(rows))
        else:
            sections = show_audit.brief(rows, limit if output.format == "table" else show_audit.PAGE, str(choice))
            output.write(write_sections(hub.config.organisation.name, "Audit trail", hub.clock(), sections, output.format))
        return 0
