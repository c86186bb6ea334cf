"""plan, apply and undo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from core.change import Change
from core.errors import UserError
from jobs.cli import emit

if TYPE_CHECKING:
    from core.ledger_plans import PlanRow

ALLOW = {"large": "more changes than the limits say", "shrunk": "a source lost many rows", "partial": "the last sync was incomplete"}


@click.command()
@click.option("--rule", "rules", multiple=True, help="Only fixes of these rules (repeatable).")
@click.option("--list", "listing", is_flag=True, help="List saved plans.")
@click.option("--show", "plan_id", help="Show a saved plan (id, or 'latest').")
@click.option("--max", "limit", default=40, show_default=True, help="At most so many changes in the table.")
@click.option("--format", "format_", type=click.Choice(["table", "md", "csv", "html"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def plan(obj: dict[str, Any], rules: tuple[str, ...], listing: bool, plan_id: str | None, limit: int, format_: str, as_json: bool) -> int:
    """Work out what would be written back; writes nothing to a vendor.

    \b
    Examples:
      tundish plan
      tundish plan --rule S-02
      tundish plan --show latest --format md
    """
    from jobs import show, show_events
    from jobs.report import render
    from jobs.steps import check_rules, run_plan
    from jobs.wiring import open_hub

    check_rules(rules)
    with open_hub(obj["config"]) as hub:
        if listing:
            now = hub.clock()
            rows = [replace(r, status="expired") if _outlived(r, now) else r for r in hub.line.plans.plans()]
            text = "\n".join(f"{r.plan_id}  {r.created_at:%Y-%m-%d %H:%M}  {r.status:9} {r.changes} changes" for r in rows)
            emit({"plans": [vars(r) for r in rows]}, as_json, text or "no plan yet; make one: tundish plan")
            return 0
        made = hub.line.plans.load(plan_id) if plan_id else run_plan(hub, rules=frozenset(rules) or None)
        if format_ != "table" and not as_json:
            click.echo(
                render({"as_of": made.as_of.isoformat(), "organisation": hub.config.organisation.name, "plan": made.to_json()}, format_)
            )
        else:
            emit(show_events.opened(made.to_json()), as_json, "" if as_json else show.plan_text(made, limit) + _nowhere(hub))
        return 4 if made.refusals else 0


def _outlived(row: PlanRow, now: datetime) -> bool:
    """True for a plan that was never begun and can no longer be."""
    return row.status in ("open", "refused") and row.expires_at is not None and row.expires_at < now


def _nowhere(hub: Any) -> str:
    """A word for who connected only accounts that cannot be written to."""
    if any(hub.connectors[name].targets and hub.config.account(name).push for name in hub.config.accounts):
        return ""
    return "\nNo connected account takes changes; what to correct by hand: tundish report findings"


def _wanted(only: tuple[str, ...], changes: Iterable[Change]) -> Any:
    """A filter on changes: each word is an account, target, field, rule, vendor id or change id; any match is enough.

    Raises: UserError when it leaves none of the changes.
    """
    if not only:
        return None

    def keep(change: Change) -> bool:
        return bool({change.account, change.target, change.field, change.rule, change.vendor_id, change.change_id} & set(only))

    if not any(map(keep, changes)):
        raise UserError(f"--only {' '.join(only)} matches no change", next_step="see `tundish plan --show latest --format csv`")
    return keep


def _consented(named: str | None, yes: bool, as_json: bool) -> None:
    """Nothing is written unasked. Raises: UserError where nobody could be asked, or when --yes says yes to what is not named."""
    if as_json and not yes:
        raise UserError("--json cannot ask whether to write", next_step="add --yes and the id")
    if yes and not named:
        raise UserError("--yes needs the id of what it says yes to", next_step="`tundish plan --list` shows plans; or write `latest`")


@click.command()
@click.argument("plan_id", metavar="PLAN", required=False)
@click.option("--only", multiple=True, help="Only changes of this account, target, field, rule, record or change id (repeatable).")
@click.option("--allow-large", is_flag=True, help=f"Apply although: {ALLOW['large']}.")
@click.option("--allow-shrunk", is_flag=True, help=f"Apply although: {ALLOW['shrunk']}.")
@click.option("--allow-partial", is_flag=True, help=f"Apply although: {ALLOW['partial']}.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def apply(
    obj: dict[str, Any],
    plan_id: str | None,
    only: tuple[str, ...],
    allow_large: bool,
    allow_shrunk: bool,
    allow_partial: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Carry out a plan (default: the latest, after asking). Interrupted, run it again: it continues.

    \b
    Examples:
      tundish apply                     the latest plan, after asking
      tundish apply 3fa9 --only S-02
      tundish apply 3fa9 --allow-large --yes
    """
    from jobs import show
    from jobs.interrupt import interruptible
    from jobs.steps import STOP, run_apply
    from jobs.wiring import open_hub

    _consented(plan_id, yes, as_json)
    allow = frozenset(w for w, on in (("large", allow_large), ("shrunk", allow_shrunk), ("partial", allow_partial)) if on)
    with open_hub(obj["config"]) as hub:
        made = hub.line.plans.load(plan_id or "latest")
        wanted = _wanted(only, made.changes)
        if not yes:
            click.echo(show.plan_text(made, 20))
            chosen = [c for c in made.changes if wanted is None or wanted(c)]
            click.confirm(f"Write {len(chosen)} changes to {len({c.account for c in chosen})} accounts?", abort=True)
        with interruptible(STOP) as came:
            result = run_apply(hub, made, allow=allow, only=wanted, quiet=as_json)
        emit(result.to_json(), as_json, result.text())
        return came.exit_code(result.exit_code)


@click.command()
@click.argument("apply_id", metavar="APPLY_RUN", required=False)
@click.option("--only", multiple=True, help="Only changes of this account, target, field, rule, record or change id (repeatable).")
@click.option("--list", "listing", is_flag=True, help="List apply and undo runs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def undo(obj: dict[str, Any], apply_id: str | None, only: tuple[str, ...], listing: bool, yes: bool, as_json: bool) -> int:
    """Take an apply run back: before-images are restored where nobody wrote since.

    \b
    Examples:
      tundish undo --list
      tundish undo apply-20260630-020500-1f2e
      tundish undo apply-20260630-020500-1f2e --only salesforce
    """
    from jobs.interrupt import interruptible
    from jobs.steps import STOP, run_undo
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        if listing or not apply_id:
            runs = hub.line.plans.applies()
            text = "\n".join(f"{r['id']}  plan {r['plan_id']}  {r['kind']:5} {r['status']}" for r in runs)
            emit({"runs": runs}, as_json, text or "nothing was applied yet")
            return 0
        _consented(apply_id, yes, as_json)
        left = [change for change, _ in hub.line.plans.left_to_undo(apply_id)]
        if not left:
            text = f"nothing is left to take back of {apply_id}; what it wrote, an undo has put back: tundish undo --list"
            emit({"run": apply_id, "outcomes": {}, "details": [], "exit": 0}, as_json, text)
            return 0
        wanted = _wanted(only, left)
        if not yes:
            chosen = [c for c in left if wanted is None or wanted(c)]
            click.confirm(f"Take back {len(chosen)} changes of {apply_id}?", abort=True)
        with interruptible(STOP) as came:
            result = run_undo(hub, apply_id, only=wanted)
        emit(result.to_json(), as_json, result.text())
        return came.exit_code(result.exit_code)
