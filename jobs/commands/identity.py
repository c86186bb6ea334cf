"""link and unlink: what people say about who is who."""

from __future__ import annotations

from typing import Any, Literal

import click

from jobs.cli import emit


def _options(command: Any) -> Any:
    for option in (
        click.argument("left", metavar="[RECORD", required=False),
        click.argument("right", metavar="RECORD]", required=False),
        click.option("--why", help="Why, for those who come later; no personal data, please."),
        click.option("--by", help="Who says so. Default: who is logged in."),
        click.option("--list", "list_", is_flag=True, help="List all decisions instead."),
        click.option("--undo", metavar="ID", help="Take a decision back instead."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.pass_obj,
    )[::-1]:
        command = option(command)
    return command


@click.command()
@_options
def link(obj: dict[str, Any], **options: Any) -> int:
    """Say that two records (ACCOUNT:RESOURCE:ID) are one person, company or deal. It holds against all evidence, until taken back.

    \b
    Examples:
      tundish link hubspot:contacts:151 salesforce:Contact:0031 --why "same desk, new name"
      tundish link --list
      tundish link --undo id-3f2a9c01
    """
    return _say(obj, "one", **options)


@click.command()
@_options
def unlink(obj: dict[str, Any], **options: Any) -> int:
    """Say that two records (ACCOUNT:RESOURCE:ID) are not one. They come apart where the evidence is weakest, and stay apart.

    \b
    Examples:
      tundish unlink hubspot:contacts:151 salesforce:Contact:0031 --why "father and son"
      tundish unlink --undo id-3f2a9c01
    """
    return _say(obj, "two", **options)


def _say(
    obj: dict[str, Any], verdict: Literal["one", "two"], left: str | None, right: str | None, why: str | None, by: str | None, list_: bool,
    undo: str | None, as_json: bool,
) -> int:  # fmt: skip
    from core.errors import UserError
    from core.ledger_identity import take_back
    from jobs import identity
    from jobs.author import author
    from jobs.wiring import open_hub

    if (list_, undo is not None, bool(left or right or why)).count(True) > 1:
        raise UserError("--list, --undo and two records are three different things", next_step="ask for one of them")
    with open_hub(obj["config"]) as hub:
        if list_:
            rows = identity.listed(hub)
            emit({"decisions": rows}, as_json, "" if as_json else _listed(rows))
            return 0
        if undo is not None:
            kept = take_back(hub.ledger, undo, by or author(), hub.clock())
            holds = identity.now_of(hub, kept.decision.pair)
            then = "goes by the evidence again" if holds is None else f"goes by {holds.where}: they are {holds.verdict}"
            emit({"undone": kept.id}, as_json, f"{kept.id} no longer holds; `tundish reconcile` {then}")
            return 0
        if not (left and right and why and why.strip()):
            raise UserError("two records and --why are needed", next_step='tundish link ACCOUNT:RESOURCE:ID ACCOUNT:RESOURCE:ID --why "…"')
        id_, said = identity.make(hub, left, right, verdict, why, by or author())
        when = "from the next `tundish reconcile` on" if said.why == why else f"already, by {id_}: its reason is kept"
        words = f"{said.left} and {said.right} are {verdict} {when}; take it back: tundish link --undo {id_}"
        emit({"decision": id_, "left": said.left, "right": said.right, "verdict": verdict}, as_json, words)
        return 0


def _listed(rows: list[dict[str, Any]]) -> str:
    from jobs import show

    if not rows:
        return "nobody decided anything about who is who"
    names = ["id", "verdict", "left", "right", "author", "at", "status", "why"]
    lines = [[row[n] if n != "at" else str(row[n] or "")[:16].replace("T", " ") for n in names] for row in rows]
    return show.table_text(["id", "they are", "record", "record", "by", "at (UTC)", "status", "why"], lines)


@click.command()
@click.option("--least", default=0.95, show_default=True, type=click.FloatRange(0.5, 1), help="Only pairs as probable as this.")
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many pairs in the table.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def suggest(obj: dict[str, Any], least: float, limit: int, as_json: bool) -> int:
    """Ask about persons who are probably one, by a model trained on your data (needs tundish[suggest]). Nothing is linked.

    \b
    Examples:
      tundish suggest
      tundish suggest --least 0.99 --json
    """
    from core.suggest import suggest as pairs_of
    from jobs import identity, show
    from jobs.steps import run_reconcile
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        found = run_reconcile(hub)
        pairs = pairs_of(found.facts, hub.setup.funnel, least)
        rows = identity.unanswered(hub, pairs, found)
        hub.lake.append_derived("suggestion", [rows], found.run_id, hub.clock())
        asked = [row | {"question": identity.question(row)} for row in rows.to_pylist()]
        lines = [[row["match_weight"], row["probability"], row["question"]] for row in asked[:limit]]
        note = f"\n{len(asked)} pairs" if asked else ""
        text = (
            show.table_text(["weight", "probability", "are they one person?"], lines) + note
            if asked
            else "nobody is probably somebody else"
        )
        emit({"suggestions": asked}, as_json, "" if as_json else text)
        return 0
