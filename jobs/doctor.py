"""Is everything in order? Per account: settings, credentials, live fields against the mapping, stages against the tables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from core.connector import Live
from core.errors import CredentialsError, TundishError
from core.fit import definitions, unfit
from core.yaml_positions import did_you_mean
from jobs.wiring import Hub


@dataclass(frozen=True)
class Check:
    """One line of `tundish check`. level: ok, warning or error; `exit_code` of the worst error becomes the command's."""

    account: str
    what: str
    level: str
    text: str
    next_step: str = ""
    exit_code: int = 0


def check_account(hub: Hub, name: str) -> list[Check]:
    """Open the account, make one cheap call, and compare its live fields and stages with the mapping."""
    try:
        with hub.account(name) as opened:
            checks = [Check(name, "credentials", "ok", opened.connector.probe(opened.session)), *_warnings(hub, name)]
            if opened.connector.discover:
                live = opened.connector.discover(opened.session)
                checks += _fields(hub, name, live) + _pushes(hub, name, live) + _stages(hub, name, live)
            return checks
    except TundishError as problem:
        return [Check(name, "credentials", "error", problem.message, problem.next_step, problem.exit_code)]


def _warnings(hub: Hub, name: str) -> list[Check]:
    """What the connector sees coming, such as credentials that end soon."""
    connector = hub.connectors[name]
    found = connector.warnings(hub.config.settings(name, connector, os.environ), hub.clock().date()) if connector.warnings else ()
    return [Check(name, "credentials", "warning", text, step) for text, step in found] + _twins(hub, name)


def _twins(hub: Hub, name: str) -> list[Check]:
    """Accounts with the very same settings are one account under two names: every count doubles, every write comes twice."""
    mine, settings = hub.config.account(name), hub.config.settings(name, hub.connectors[name], os.environ)
    checks = []
    for other, account in hub.config.accounts.items():
        if other == name or account.vendor != mine.vendor:
            continue
        try:
            same = hub.config.settings(other, hub.connectors[other], os.environ) == settings
        except CredentialsError:  # it is told where that account is checked
            continue
        if same:
            text = f"has the same settings as {other}: its records are read, counted and written twice"
            checks.append(
                Check(name, "credentials", "warning", text, f"take one of them out of {hub.config.path.name}, or give it its own key")
            )
    return checks


def _fields(hub: Hub, name: str, live: Live) -> list[Check]:
    """Mapped paths the account does not have; only for resources whose fields the vendor lists."""
    mapping = hub.setup.mappings[name]
    known: dict[str, set[str]] = {}
    for field in live.fields:
        known.setdefault(field.resource, set()).add(field.path)
    checks = []
    for resource, paths in known.items():
        if resource not in mapping.resources:
            continue
        heads = {p.split(".", 1)[0] for p in paths if "." in p}
        asked = mapping.resources[resource].fields_asked
        missing = [p for p in asked if p not in paths and (p.split(".", 1)[0] in heads if "." in p else not heads)]
        for path in sorted(missing):
            text = f"{resource}: the account has no field {path}{did_you_mean(path, paths)}"
            checks.append(Check(name, "fields", "warning", text, f"create it, or take it out of {mapping.path}"))
    total = sum(len(p) for p in known.values())
    return checks or [Check(name, "fields", "ok", f"every mapped field exists ({total} live fields in {len(known)} resources)")]


def _pushes(hub: Hub, name: str, live: Live) -> list[Check]:
    """Fields of people's that the mapping writes and the account has not, or does not let anybody write."""
    known, checks = definitions(live.fields), []
    resources = {t.name: t.resource for t in hub.connectors[name].targets}
    for push in hub.setup.mappings[name].push:
        found = known.get((resources[push.target], push.field))
        if push.field.startswith("tag:") or (push.owned and not found):
            continue
        reason = "the account has no such field" if not found else unfit(found[0], None) if not found[0].writable else ""
        if reason:
            checks.append(Check(name, "push", "warning", f"{push.target}.{push.field}: {reason}", f"take it out of `push:` ({push.where})"))
    return checks


def _stages(hub: Hub, name: str, live: Live) -> list[Check]:
    tables = hub.setup.mappings[name].stages
    checks: list[Check] = []
    if not tables:  # what this vendor calls stages is not mapped as stages (a mailing list's statuses are consent)
        return checks
    for stage in live.stages:
        if not any(table.find(stage.pipeline_id or None, stage.stage_id) for table in tables.values()):
            key = f"{stage.pipeline_id}/{stage.stage_id}" if stage.pipeline_id else stage.stage_id
            called = ": ".join(filter(None, (stage.pipeline_label, stage.label)))
            text = f"stage {key} ({called}) is in no stage table"
            checks.append(Check(name, "stages", "warning", text, f'add a line to `stages:` such as  "{key}": M50'))
    return checks or [Check(name, "stages", "ok", f"all {len(live.stages)} live stages are mapped")]


def as_json(check: Check) -> dict[str, Any]:
    return vars(check)
