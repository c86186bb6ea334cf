"""plan (make, show, diff) and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from jobs.choosing import Choice, choice_of, choice_options, completed
from jobs.cli import emit
from jobs.outputs import Output, output_options

LIMIT = 40  # changes in a terminal's table unless --max says otherwise


plan_ids = completed(lambda hub: [row.plan_id for row in hub.line.plans.plans(50)])


class PlanGroup(click.Group):
    """Makes a plan where no subcommand is named."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            ctx.fail(f"no command '{args[0]}'. To show a saved plan: tundish plan show {args[0]}")
        return super().resolve_command(ctx, args)


def view_options(f: Any) -> Any:
    """How a plan is shown."""
    f = output_options(("table", "md", "csv", "html", "json"))(f)
    f = click.option(
        "--max", "limit", type=click.IntRange(min=0), help=f"Show at most so many changes. Default: {LIMIT} in a table, else all."
    )(f)
    return click.option("--by", type=click.Choice(["rule", "record"]), help="Group the changes.")(f)


@click.group(cls=PlanGroup, invoke_without_command=True)
@choice_options(only=False)
@view_options
@click.pass_context
def plan(ctx: click.Context, /, by: str | None, limit: int | None, output: Output, **chosen: Sequence[str]) -> int:
    """Work out what would be written back; writes nothing to a vendor.

    \b
    Examples:
      tundish plan
      tundish plan --rule S-02
      tundish plan --account hubspot --by record --format html --output plan.html
      tundish plan show --by rule       the latest plan again
      tundish plan diff 3fa9 77b0       what differs between two plans
    """
    if ctx.invoked_subcommand:
        if given := [name for name in ctx.params if ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)]:
            ctx.fail(f"write the options after `{ctx.invoked_subcommand}`: {', '.join(given)} would be ignored here")
        return 0
    from jobs.steps import run_plan
    from jobs.wiring import open_hub

    with open_hub(ctx.obj["config"]) as hub:
        choice = choice_of(hub, **chosen)
        made = run_plan(hub, choice=choice)
        asked = f"\nonly {choice} was asked for" if choice and not made.changes else ""
        _show(hub, made, Choice(), by, limit, output, nowhere=asked + _nowhere(hub))
        return 4 if made.refusals else 0


def _nowhere(hub: Any) -> str:
    """A word for who connected only accounts that cannot be written to."""
    if any(hub.connectors[name].targets and hub.config.account(name).push for name in hub.config.accounts):
        return ""
    return "\nNo connected account takes changes; what to correct by hand: tundish report findings"


def _show(hub: Any, made: Any, choice: Choice, by: str | None, limit: int | None, output: Output, nowhere: str = "") -> None:
    from jobs import show_events, show_plan
    from jobs.plan_pages import page
    from jobs.report import render

    shown = page(hub, made, choice, by)
    if limit is not None and output.format != "table":
        few = {c.change_id for c in show_plan.fair_share(show_plan.changes(shown), limit)}
        shown["changes"] = [c for c in shown["changes"] if c["change_id"] in few]
    if output.format == "json":
        output.write_json(show_events.opened(shown))
    elif output.format == "table":
        output.write(show_plan.page_text(shown, LIMIT if limit is None else limit) + nowhere)
    else:
        head = {"as_of": made.as_of.isoformat(), "organisation": hub.config.organisation.name}
        output.write(render({**head, "plan": shown}, output.format, "plan"))


@plan.command("show")
@click.argument("plan_id", metavar="[PLAN]", default="latest", shell_complete=plan_ids)
@choice_options()
@view_options
@click.pass_obj
def show_(obj: dict[str, Any], /, plan_id: str, by: str | None, limit: int | None, output: Output, **chosen: Sequence[str]) -> int:
    """Show a saved plan (default: the latest): what became of each change, what people noted, when it expires.

    \b
    Examples:
      tundish plan show
      tundish plan show 3fa9 --rule D-01 --by record
      tundish plan show 3fa9 --format html --output plan.html
    """
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        made = hub.line.plans.load(plan_id)
        choice = choice_of(hub, **chosen)
        choice.of([*made.changes, *made.held], f"tundish plan show {made.plan_id}")
        _show(hub, made, choice, by, limit, output)
        return 0


@plan.command()
@click.argument("old", metavar="OLD", shell_complete=plan_ids)
@click.argument("new", metavar="NEW", default="latest", shell_complete=plan_ids)
@output_options(("table", "md", "csv", "html", "json"))
@click.pass_obj
def diff(obj: dict[str, Any], old: str, new: str, output: Output) -> int:
    """What a plan (default: the latest) has that an older one had not, has no more, and writes otherwise.

    \b
    Example:
      tundish plan diff 3fa9 77b0
    """
    from jobs.plan_pages import diff_csv, diff_sections
    from jobs.report.tables import write_sections
    from jobs.show_plan import difference
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        one, other = hub.line.plans.load(old), hub.line.plans.load(new)
        found = difference(one, other)
        if output.format == "json":
            output.write_json({"old": one.plan_id, "new": other.plan_id, **found})
        elif output.format == "csv":
            output.write(diff_csv(found))
        else:
            title = f"Plan {one.plan_id} against {other.plan_id}"
            output.write(write_sections(hub.config.organisation.name, title, other.as_of, diff_sections(found), output.format))
        return 0


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def plans(obj: dict[str, Any], limit: int, as_json: bool) -> int:
    """List saved plans, newest first: when they expire, what became of them, how many of their changes are open.

    \b
    Example:
      tundish plans
    """
    from jobs import show
    from jobs.plan_pages import listed
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        rows = listed(hub, limit)
        columns = ["plan", "made (UTC)", "expires (UTC)", "status", "changes", "open", "notes"]
        lines = [
            [r["plan_id"], f"{r['created_at']:%Y-%m-%d %H:%M}", f"{r['expires_at']:%Y-%m-%d %H:%M}" if r["expires_at"] else "",
             r["status"], r["changes"], r["open"], r["notes"]]
            for r in rows
        ]  # fmt: skip
        text = show.table_text(columns, lines, numbers=("changes", "open", "notes")) if rows else "no plan yet; make one: tundish plan"
        emit({"plans": rows}, as_json, text)
        return 0
