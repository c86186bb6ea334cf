"""note."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from jobs.cli import emit


@click.command()
@click.argument("about", metavar="FINDING|PLAN|CHANGE")
@click.argument("text")
@click.option("--accept", is_flag=True, help="A finding: it is right as it is; it is told and counted no more.")
@click.option("--mute-until", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="A finding: not before that day (UTC).")
@click.option("--reopen", is_flag=True, help="A finding: neither accepted nor muted any more.")
@click.option("--by", help="Who says so. Default: who is logged in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def note(
    obj: dict[str, Any], about: str, text: str, accept: bool, mute_until: datetime | None, reopen: bool, by: str | None, as_json: bool
) -> int:
    """Say something about a finding, a plan or a change; it is shown with it, in every format. No personal data, please.

    \b
    Examples:
      tundish note 53a8ecc1 "asked finance on Monday"
      tundish note 53a8ecc1 "the deal is billed in two parts" --accept
      tundish note 53a8ecc1 "migration under way" --mute-until 2026-07-01
      tundish note latest "checked with sales"
      tundish note 9c41d2aa "the owner says 1,200 is right"
    """
    from dataclasses import asdict

    from core.errors import UserError
    from core.ledger_verdicts import ACCEPTED, MUTED, OPEN
    from jobs.notes import say
    from jobs.wiring import open_hub

    wanted = [s for s in (ACCEPTED * accept, f"{MUTED}{mute_until:%Y-%m-%d}" if mute_until else "", OPEN * reopen) if s]
    if len(wanted) > 1:
        raise UserError("--accept, --mute-until and --reopen exclude each other", next_step="give one of them")
    with open_hub(obj["config"]) as hub:
        said = say(hub, about, text, by, *wanted)
        kind, _, id_ = said.about.partition(":")
        holds = "; it holds from the next `tundish reconcile` on" if wanted else ""
        emit(asdict(said) | {"status": wanted[0] if wanted else None}, as_json, f"noted about {kind} {id_}{holds}")
        return 0
