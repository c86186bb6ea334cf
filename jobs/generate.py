"""Files made from code: the JSON Schemas, docs/connectors.md and docs/rules.md. `python -m jobs.generate [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.sandbox.kit import Emulator
from core import schemas
from core.connector import Connector, Resource, Target
from jobs import rule_pages
from jobs.contract import LEVELS, exemptions
from jobs.play import emulator_classes
from jobs.wiring import all_connectors

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Connectors

Made from the connectors themselves by `make generated`; do not edit.
"""


def matrix(connectors: dict[str, Connector], emulators: dict[str, type[Emulator]]) -> str:
    """docs/connectors.md as text."""
    rows = [
        "| vendor | reads | incremental | deletes | history | pushes | limits | contract |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(c, emulators.get(c.name)) for c in connectors.values()),
        "\nContract levels, shown by the tour against the sandbox's emulator of each vendor:\n",
        *(f"- **{level.name}**: {level.what}" for level in LEVELS),
    ]
    return "\n".join([HEAD, *rows, "", *(_section(c, emulators.get(c.name)) for c in connectors.values())])


def _row(c: Connector, emulator: type[Emulator] | None) -> str:
    own = [r for r in c.resources if r.template is None]
    made = [r for r in c.resources if r.template is not None]
    reads = " and ".join(filter(None, (_many(own, "resource"), _many(made, "kind") + " of your own" if made else "")))
    deletes = ", ".join(sorted({r.deletes for r in c.resources} - {"none"})) or "not seen"
    history = ", ".join(r.name for r in c.resources if r.history and not r.history.startswith("none")) or "none"
    pushes = ", ".join(f"{t.name} ({t.kind})" for t in c.targets) or "nothing"
    limits = "; ".join(f"{b.calls} per {b.window_s:g} s" for b in c.buckets) or "none"
    levels = [name for name, why in exemptions(c, emulator).items() if not why] if emulator else ["none: no emulator"]
    incremental = f"{sum(1 for r in c.resources if r.cursor)} of {len(c.resources)}"
    return f"| [{c.title}](#{c.name}) | {reads} | {incremental} | {deletes} | {history} | {pushes} | {limits} | {', '.join(levels)} |"


def _many(things: list[Resource], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}" if things else ""


def _section(c: Connector, emulator: type[Emulator] | None) -> str:
    parts = [f'<a id="{c.name}"></a>\n\n## {c.title}\n', f"Documentation: {c.docs_url} (read {c.docs_read})\n", "### Settings\n"]
    parts += ["| setting | secret | required | what |", "|---|---|---|---|"]
    parts += [f"| `{s.name}` | {_yes(s.secret)} | {_yes(s.required)} | {s.help} |" for s in c.settings]
    parts += ["\n### Resources\n", "| resource | after | cursor | deletes | history | completeness |", "|---|---|---|---|---|---|"]
    for r in c.resources:
        if r.template is not None:
            continue
        parts.append(
            f"| `{r.name}` | {', '.join(r.after)} | {r.cursor or 'read whole'} | {r.deletes} | {r.history or ''} | {r.completeness} |"
        )
    for r in c.resources:
        parts += _template(r) if r.template is not None else []
    parts += ["\n### Targets\n"]
    if c.targets:
        parts += ["| target | takes | batch | match key | idempotent | partial failure | creates fields |", "|---|---|---|---|---|---|---|"]
    for t in c.targets:
        what = f"{t.kind} of {t.resource}{_age(t)}"
        yes = _yes(t.idempotent), _yes(t.ensure is not None)
        parts.append(f"| `{t.name}` | {what} | {t.batch_size} | {t.match_key} | {yes[0]} | {t.partial_failure} | {yes[1]} |")
    if not c.targets:
        parts.append("None.")
    parts += ["\n### Limits\n", "| bucket | calls | window (s) | at once |", "|---|---|---|---|"]
    parts += [f"| {b.name} | {b.calls} | {b.window_s:g} | {b.concurrent or ''} |" for b in c.buckets]
    traps = [f"- `{r.name}`: {trap}" for r in c.resources for trap in r.traps]
    if traps:
        parts += ["\n### Traps handled\n", *traps]
    without = {name: why for name, why in exemptions(c, emulator).items() if why} if emulator else {}
    if without:
        parts += ["\n### Contract levels that do not apply\n", *(f"- {name}: {why}" for name, why in without.items())]
    if c.cannot:
        parts += ["\n### What it cannot do\n", *(f"- {text}" for text in c.cannot)]
    return "\n".join(parts) + "\n"


def _template(r: Resource) -> list[str]:
    """The options a mapping's `reads` may give a resource like this one."""
    assert r.template is not None
    shape = r.template.model_json_schema()
    needed = set(shape.get("required", ()))
    rows = [
        f"| `{name}` | {_yes(name in needed)} | {' '.join(str(field.get('description', '')).split())} |"
        for name, field in shape.get("properties", {}).items()
    ]
    facts = f"Cursor: {r.cursor or 'read whole'}; deletes: {r.deletes}; completeness: {r.completeness}."
    return [f"\n`reads: {{NAME: {{like: {r.name}, …}}}}`: {facts}\n", "| option | required | what |", "|---|---|---|", *rows]


def _age(target: Target) -> str:
    return "" if target.max_age_s is None else f", at most {target.max_age_s / 3600:g} h old"


def _yes(value: bool) -> str:
    return "yes" if value else ""


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    files = {schemas.FOLDER / f"{name}.schema.json": schemas.text(name) for name in schemas.MODELS}
    files[ROOT / "docs" / "connectors.md"] = matrix(dict(all_connectors()), emulator_classes())
    files[ROOT / "docs" / "rules.md"] = rule_pages.text()
    return files


def main() -> int:
    files = generated()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)} (run `make generated`)")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
