"""Files made from code: the JSON Schemas and docs/connectors.md. `python -m jobs.generate [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from core import schemas
from core.connector import Connector, Target
from jobs.play import emulator_classes
from jobs.wiring import all_connectors

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Connectors

Made from the connectors themselves by `make generated`; do not edit.
"""


def matrix(connectors: dict[str, Connector], emulated: set[str]) -> str:
    """docs/connectors.md as text."""
    rows = ["| vendor | reads | pushes to | sandbox | documentation read |", "|---|---|---|---|---|"]
    for c in connectors.values():
        targets = ", ".join(t.name for t in c.targets) or "nothing"
        sandbox = "yes" if c.name in emulated else "no"
        rows.append(f"| [{c.title}](#{c.name}) | {len(c.resources)} resources | {targets} | {sandbox} | {c.docs_read} |")
    return "\n".join([HEAD, *rows, "", *(_section(c) for c in connectors.values())])


def _section(c: Connector) -> str:
    parts = [f'<a id="{c.name}"></a>\n\n## {c.title}\n', f"Documentation: {c.docs_url}\n", "### Settings\n"]
    parts += ["| setting | secret | required | what |", "|---|---|---|---|"]
    parts += [f"| `{s.name}` | {_yes(s.secret)} | {_yes(s.required)} | {s.help} |" for s in c.settings]
    parts += ["\n### Resources\n", "| resource | after | cursor | deletes | history | completeness |", "|---|---|---|---|---|---|"]
    for r in c.resources:
        parts.append(
            f"| `{r.name}` | {', '.join(r.after)} | {r.cursor or 'read whole'} | {r.deletes} | {r.history or ''} | {r.completeness} |"
        )
    parts += ["\n### Targets\n"]
    if c.targets:
        parts += ["| target | takes | batch | match key | idempotent | partial failure | creates fields |", "|---|---|---|---|---|---|---|"]
    for t in c.targets:
        parts.append(
            f"| `{t.name}` | {_takes(t)} | {t.batch_size} | {t.match_key} | {_yes(t.idempotent)} | {t.partial_failure} "
            f"| {_yes(t.ensure is not None)} |"
        )
    if not c.targets:
        parts.append("None.")
    parts += ["\n### Limits\n", "| bucket | calls | window (s) | at once |", "|---|---|---|---|"]
    parts += [f"| {b.name} | {b.calls} | {b.window_s:g} | {b.concurrent or ''} |" for b in c.buckets]
    traps = [f"- `{r.name}`: {trap}" for r in c.resources for trap in r.traps]
    if traps:
        parts += ["\n### Traps handled\n", *traps]
    if c.cannot:
        parts += ["\n### What it cannot do\n", *(f"- {text}" for text in c.cannot)]
    return "\n".join(parts) + "\n"


def _takes(target: Target) -> str:
    return target.kind if target.max_age_s is None else f"{target.kind} of at most {target.max_age_s / 3600:g} h"


def _yes(value: bool) -> str:
    return "yes" if value else ""


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    files = {schemas.FOLDER / f"{name}.schema.json": schemas.text(name) for name in schemas.MODELS}
    files[ROOT / "docs" / "connectors.md"] = matrix(dict(all_connectors()), set(emulator_classes()))
    return files


def main() -> int:
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"stale: {path.relative_to(ROOT)} (run `make generated`)")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
