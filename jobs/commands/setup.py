"""init, check and discover: from keys to a working config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from jobs.cli import emit


@click.command()
@click.option("--account", "only", multiple=True, help="Only these accounts (repeatable).")
@click.option("--offline", is_flag=True, help="Only the files; ask no vendor.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def check(obj: dict[str, Any], only: tuple[str, ...], offline: bool, as_json: bool) -> int:
    """Check config, mappings, credentials, fields and stages; every mistake at once.

    \b
    Examples:
      tundish check
      tundish check --offline
    """
    from jobs import identity
    from jobs.doctor import Check, check_account
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        names = hub.accounts(only)
        checks = [Check("", "files", "ok", f"{hub.config.path.name}, {len(names)} mappings and the funnel are in order")]
        checks += identity.checks(hub)
        if not offline:
            checks += [c for name in names for c in check_account(hub, name)]
    marks = {
        "ok": click.style("ok     ", fg="green"),
        "warning": click.style("warning", fg="yellow"),
        "error": click.style("error  ", fg="red"),
    }
    lines = [
        f"{marks[c.level]} {c.account:12} {c.what:12} {c.text}" + (f"\n        next: {c.next_step}" if c.next_step else "") for c in checks
    ]
    emit({"checks": [vars(c) for c in checks]}, as_json, "\n".join(lines))
    return max((c.exit_code for c in checks), default=0)


@click.command()
@click.argument("account")
@click.option("--stages", is_flag=True, help="Only pipelines and stages.")
@click.option("--resource", "resources", multiple=True, help="Only fields of these resources (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def discover(obj: dict[str, Any], account: str, stages: bool, resources: tuple[str, ...], as_json: bool) -> int:
    """List an account's live fields and stages, and whether the mapping knows them.

    \b
    Examples:
      tundish discover hubspot --stages
      tundish discover salesforce --resource Opportunity
    """
    from core.errors import UserError
    from jobs import show
    from jobs.wiring import open_hub

    with open_hub(obj["config"]) as hub:
        [name] = hub.accounts([account])
        with hub.account(name) as opened:
            if opened.connector.discover is None:
                raise UserError(f"{opened.connector.title} cannot list its fields", next_step=f"see {opened.connector.docs_url}")
            live = opened.connector.discover(opened.session)
        mapping = hub.setup.mappings[name]
        asked = {r: set(c.fields_asked) for r, c in mapping.resources.items()}
    fields = [f for f in live.fields if not resources or f.resource in resources]
    data = {"fields": [vars(f) for f in fields], "stages": [vars(s) for s in live.stages]}
    parts = []
    if not stages:
        rows = [[f.resource, f.path, f.type, f.label, "mapped" if f.path in asked.get(f.resource, ()) else ""] for f in fields]
        parts.append(show.table_text(["resource", "path", "type", "label", "mapping"], rows))
    if live.stages and not resources:
        rows = [[s.pipeline_label, s.pipeline_id, s.stage_id, s.label, _meaning(mapping, s)] for s in live.stages]
        parts.append(show.table_text(["pipeline", "pipeline id", "stage id", "label", "means"], rows))
    emit(data, as_json, "\n".join(parts))
    return 0


def _meaning(mapping: Any, stage: Any) -> str:
    for table in mapping.stages.values():
        row = table.find(stage.pipeline_id or None, stage.stage_id)
        if row is not None:
            return f"{row.milestone or ''} {row.pipeline_stage or ''}".strip()
    return "UNMAPPED"


@click.command()
@click.option(
    "--folder", default=".", show_default=True, type=click.Path(file_okay=False), help="Where to write config.yaml and mappings/."
)
@click.option("--vendor", "vendors", multiple=True, help="Connect these vendors without asking (repeatable).")
@click.option("--set", "given", multiple=True, metavar="VENDOR.SETTING=VALUE", help="A setting; secrets as ${NAME}, file: or keyring:.")
@click.option("--organisation", help="Your organisation's name.")
@click.option("--timezone", help="IANA time zone, e.g. Europe/Berlin.")
@click.option("--currency", help="ISO 4217 code, e.g. EUR.")
@click.option("--offline", is_flag=True, help="Do not look at the live accounts.")
@click.option("--overwrite", is_flag=True, help="Replace existing files without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def init(
    folder: str,
    vendors: tuple[str, ...],
    given: tuple[str, ...],
    organisation: str | None,
    timezone: str | None,
    currency: str | None,
    offline: bool,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write a working config and mappings for your accounts. Asks before it overwrites anything.

    \b
    Examples:
      tundish init
      tundish init --vendor hubspot --set 'hubspot.token=${HUBSPOT_TOKEN}' --organisation Acme --timezone UTC --currency USD
    """
    from jobs.first_hour import Answers, in_the_way, live_mappings, write_files
    from jobs.wiring import all_connectors

    known = all_connectors()
    names = list(vendors) or [n for n, c in known.items() if click.confirm(f"Connect {c.title}?", default=True)]
    answers = Answers(
        organisation or click.prompt("Organisation"),
        timezone or click.prompt("Time zone", default=os.environ.get("TZ") or "UTC"),
        currency or click.prompt("Currency", default="EUR"),
        {name: _settings(known[name], name, given, ask=not vendors) for name in names},
    )
    place = Path(folder)
    keep = frozenset(p for p in in_the_way(names, place) if not (overwrite or _may_replace(p, ask=not as_json)))
    live, unseen = ({}, {}) if offline else live_mappings(answers, known, place)
    for name, why in unseen.items():
        click.echo(f"{name}: the live account could not be looked at, so the mapping is the shipped one\n  {why}", err=True)
    written = write_files(answers, known, place, live, keep)
    text = "\n".join(f"wrote {p}" for p in written) + f"\nNext: tundish --config {place / 'config.yaml'} check"
    emit({"written": [str(p) for p in written], "kept": [str(p) for p in sorted(keep)], "not_looked_at": unseen}, as_json, text)
    return 0


def _may_replace(path: Path, ask: bool) -> bool:
    if ask and click.confirm(f"{path} exists. Overwrite it?", default=False):
        return True
    click.echo(f"left alone: {path}", err=True)
    return False


def _settings(connector: Any, name: str, given: tuple[str, ...], ask: bool) -> dict[str, str]:
    """What was given, and the answers to what was not: what is required and every secret; all of the rest once something is left out."""
    mine = dict(text.removeprefix(f"{name}.").split("=", 1) for text in given if text.startswith(f"{name}."))
    first = next((s.name for s in connector.settings if s.secret), "")
    left_out = False
    for setting in connector.settings:
        if setting.name in mine or not ask or not (setting.required or setting.secret or left_out):
            continue
        variable = f"{name}_{setting.name}".upper()
        suggested = variable in os.environ or (setting.secret and (setting.required or setting.name == first))
        default = f"${{{variable}}}" if suggested else setting.default if setting.required else setting.default or ""
        hint = "" if setting.required else "; - leaves it out"
        answer = click.prompt(f"{connector.title} {setting.name} ({setting.help}{hint})", default=default)
        if answer in ("", "-"):
            left_out = left_out or answer == "-"
        else:
            mine[setting.name] = answer
    return mine
