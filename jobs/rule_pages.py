"""docs/rules.md, made from the rules themselves. What a rule asks of the thresholds is found out by letting it look at nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from core.compiled import over
from core.facts import facts
from core.model import KINDS
from core.reconcile import complete
from core.resolve import resolve
from core.rules import RULES, Context, Rule
from core.thresholds import DEFAULTS, listening

FAMILIES = {
    "I": "Identity and structure", "S": "Stage and lifecycle", "D": "Deal fields", "C": "Consent and deliverability",
    "E": "Conversion events and measurement", "T": "Time and sync health", "X": "Experiments", "G": "Configuration",
}  # fmt: skip
_NOTHING = 'none is needed: numbers allow for it. What is meant to be so, `tundish note FINDING "why" --accept` sets aside.'
HEAD = """# The rules of reconciliation

Made from the rules themselves by `make generated`; do not edit.

A finding names the rule, the records, what each of them says and since when, and either a safe fix, which `tundish plan` turns into
changes, or a question only a person can answer. Severities: S1 legal or revenue, S2 wrong numbers or a wrong word to a customer,
S3 hygiene, S4 a note. A rule about something that is missing looks only where the vendor and the mapping give that field at all.

In `mappings/funnel.yaml` every rule can be switched off, graded otherwise and limited to accounts and pipelines; a finding is kept whole
when one of its records lies there. Thresholds stand there too:

```yaml
thresholds:
  activity_days: 30
rules:
  D-06: {enabled: false}
  I-04: {severity: S3}
  D-12: {accounts: [hubspot], pipelines: [default]}
```
"""


def thresholds() -> dict[str, list[str]]:
    """rule → the names of the thresholds it asks for, in alphabetical order."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    run = over({}, {})
    nothing = facts({}, resolve({}, {}, compiled=run).members, {}, at, run)
    context = Context({kind: run.tables[f"record.{kind}"] for kind in KINDS}, complete(nothing, run), {}, at)
    asked = {}
    for rule in RULES.values():
        with listening() as questions:
            rule.detect(context)
        asked[rule.id] = sorted(name for question, *about in questions for name in about if question == "threshold")
    return asked


def text() -> str:
    """docs/rules.md as text."""
    asked = thresholds()
    rows = ["| rule | severity | what | settled by |", "|---|---|---|---|", *(_row(rule) for rule in _sorted(RULES.values()))]
    parts = [HEAD, *rows, ""]
    for letter, name in FAMILIES.items():
        mine = [rule for rule in _sorted(RULES.values()) if rule.id.startswith(letter)]
        parts += [f"## {name}\n", *(_section(rule, asked[rule.id]) for rule in mine)] if mine else []
    return "\n".join(parts)


def _sorted(rules: Iterable[Rule]) -> list[Rule]:
    order = list(FAMILIES)
    return sorted(rules, key=lambda rule: (order.index(rule.id[0]), rule.id))


def _row(rule: Rule) -> str:
    by = (
        "a safe fix, else a person"
        if rule.fix and rule.question
        else "a safe fix"
        if rule.fix
        else "a person"
        if rule.question
        else "nobody"
    )
    return f"| [{rule.id}](#{rule.id.lower()}) | {rule.severity} | {rule.title} | {by} |"


def _section(rule: Rule, asked: list[str]) -> str:
    facts = [
        ("When", rule.exact), ("Why", rule.why), ("For example", rule.example), ("Safe fix", _sentence(rule.fix)),
        ("Question", rule.question), ("Fix", "" if rule.fix or rule.question else _NOTHING),
        ("In the work list", f"`{rule.flag}`" if rule.flag else ""),
        ("Thresholds", "; ".join(f"`{name}` {_value(name)}" for name in asked)),
    ]  # fmt: skip
    lines = [f"- **{word}**: {said}" for word, said in facts if said]
    return "\n".join([f'<a id="{rule.id.lower()}"></a>\n\n### {rule.id} {rule.title} ({rule.severity})\n', *lines, ""])


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _value(name: str) -> str:
    default = DEFAULTS[name]
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, dict):
        return "; ".join(f"{name} ({', '.join(words)})" for name, words in default.items()) or "none"
    return (
        ", ".join(str(one) for one in default) or "none"
        if isinstance(default, tuple)
        else f"{default:g}"
        if not isinstance(default, str)
        else default
    )
