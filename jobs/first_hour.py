"""What `tundish init` writes: config.yaml, and per vendor a mapping with the live account's own stages filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core.config import SHIPPED, load_setup
from core.connector import Connector, Live, LiveStage
from core.errors import TundishError

# Words in a stage's label → milestone, first match wins. Source: reference stage names of common CRMs, read 2026-11.
_WORDS = (
    ("M85", ("lost", "dead", "disqualified")),
    ("M80", ("won", "signed", "closed won")),
    ("M70", ("negot", "contract", "verbal", "legal", "sign")),
    ("M60", ("propos", "quote", "demo", "present", "trial")),
    ("M50", ("qualif", "discover", "need", "prospect", "appoint", "contact", "new")),
)
SCHEMA_LINE = "# yaml-language-server: $schema=mappings/schema/config.schema.json\n"


@dataclass(frozen=True)
class Answers:
    organisation: str
    timezone: str
    currency: str
    settings: Mapping[str, Mapping[str, str]]  # vendor → setting → value or reference


def guess(stage: LiveStage) -> str:
    """The milestone a live stage probably means: the vendor's own flags first, then its label, then its probability."""
    if stage.closed:
        return "M80" if stage.won else "M85"
    label = stage.label.lower()
    for milestone, words in _WORDS[2:]:
        if any(word in label for word in words):
            return milestone
    p = stage.probability or 0.0
    return "M70" if p >= 0.8 else "M60" if p >= 0.5 else "M50"


def live_mappings(answers: Answers, connectors: Mapping[str, Connector], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(a mapping for every account that can be looked at, why the others cannot); those get the shipped mapping."""
    import tempfile

    from jobs.wiring import Hub

    found: dict[str, str] = {}
    unseen: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temp:
        path = Path(temp) / "config.yaml"
        path.write_text(config_text(answers, absolute=folder.resolve()))
        try:
            hub = Hub(load_setup(path, connectors))
        except TundishError as problem:
            return found, dict.fromkeys(answers.settings, str(problem))
        for name in answers.settings:
            try:
                with hub.account(name) as opened:
                    found[name] = _live_mapping(name, opened.connector, opened.session)
            except TundishError as problem:
                unseen[name] = str(problem)
        hub.close()
    return found, unseen


def _live_mapping(name: str, connector: Connector, session: Any) -> str:
    drafted = connector.draft(session) if connector.draft else ""
    live = connector.discover(session) if connector.discover and not drafted else None
    return drafted or mapping_text(shipped(name), live)


def shipped(name: str) -> str:
    return (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")


def config_text(answers: Answers, absolute: Path | None = None) -> str:
    """config.yaml; file: references made absolute for a config that is read from another folder."""
    settings = {
        name: {
            "vendor": name,
            "settings": {k: _absolute(v, absolute) if absolute else v for k, v in given.items()},
        }
        for name, given in answers.settings.items()
    }
    data = {
        "organisation": {"name": answers.organisation, "timezone": answers.timezone, "currency": answers.currency},
        "accounts": settings,
        "lake": "tundish-data/lake",
        "ledger": "tundish-data/ledger.db",
        "jobs": {
            "nightly": {"schedule": "0 2 * * *", "steps": ["sync", "reconcile", "measure", "plan"], "apply": "manual"},
            "hourly": {"schedule": "15 * * * *", "steps": ["sync"]},
        },
    }
    out = StringIO()
    yaml = YAML()
    yaml.dump(data, out)
    return SCHEMA_LINE + "# Written by `tundish init`. Every setting is explained in config.example.yaml.\n" + out.getvalue()


def _absolute(value: str, folder: Path) -> str:
    return f"file:{folder / value.removeprefix('file:')}" if value.startswith("file:") else value


def places(vendors: Iterable[str], folder: Path) -> list[Path]:
    """What `init` writes for these vendors, in order: the config, a mapping each, and the schemas editors read."""
    mappings = [folder / "mappings" / f"{name}.yaml" for name in vendors]
    return [folder / "config.yaml", *mappings, *(folder / "mappings" / "schema" / name for name in sorted(_schemas()))]


def in_the_way(vendors: Iterable[str], folder: Path) -> list[Path]:
    """Those of the places where something else lies already."""
    schemas = _schemas()
    return [p for p in places(vendors, folder) if p.exists() and schemas.get(p.name) != p.read_text(encoding="utf-8")]


def _schemas() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (SHIPPED / "schema").glob("*.json")}


def write_files(
    answers: Answers, connectors: Mapping[str, Connector], folder: Path, live: Mapping[str, str], keep: frozenset[Path]
) -> list[Path]:
    """Write what is not in `keep`; returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mappings" / "schema").mkdir(parents=True, exist_ok=True)
    texts = {"config.yaml": config_text(answers)} | _schemas()
    for name in answers.settings:
        texts[f"{name}.yaml"] = live[name] if name in live else shipped(name)
    written = [path for path in places(answers.settings, folder) if path not in keep]
    for path in written:
        part = path.with_suffix(".part")
        part.write_text(texts[path.name], encoding="utf-8")
        part.replace(path)
    return written


def mapping_text(shipped: str, live: Live | None) -> str:
    """The shipped mapping, with the live account's unmapped deal stages added; each is marked as guessed."""
    if live is None:
        return shipped
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)  # as the shipped mappings are written
    data: Any = yaml.load(shipped)
    table = data.get("stages", {}).get("deals")
    if table is None:
        return shipped
    before = len(table)
    for stage in live.stages:
        key = f"{stage.pipeline_id}/{stage.stage_id}" if stage.pipeline_id else stage.stage_id
        if stage.record_kind != "deal" or key in table or stage.stage_id in table:
            continue
        table[key] = guess(stage)
        table.yaml_add_eol_comment(f"guessed from '{stage.label}' in '{stage.pipeline_label}': confirm", key)
    if len(table) == before:
        return shipped
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()
