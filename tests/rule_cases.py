"""Cases of rules as tables of literals: what must be found, and the near miss that must not. All are reconciled in one go.

Cases must not touch each other: ids are a case's own, and an account of its own ("hubspot-x") where a rule looks at whole accounts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unified_rows import NOW, row, tables

from core.compiled import over
from core.facts import facts
from core.reconcile import reconcile
from core.resolve import resolve

Rows = dict[str, list[dict[str, Any]]]
Finding = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`found`: vendor ids of the records of each finding, one text each. `expect`: columns of the first ("fix.value" is a key of one)."""

    rule: str
    says: str
    rows: Rows
    found: tuple[str, ...] = ()
    expect: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule} {self.says}"


def hit(rule: str, says: str, *found: str, expect: dict[str, Any] | None = None, **rows: list[dict[str, Any]]) -> Case:
    return Case(rule, says, rows, found, expect or {})


def miss(rule: str, says: str, **rows: list[dict[str, Any]]) -> Case:
    return Case(rule, says, rows)


def findings(cases: Sequence[Case], rules: Sequence[str], funnel: Any, **more: list[dict[str, Any]]) -> list[Finding]:
    """What the rules find in all cases' rows together."""
    rows: Rows = dict(more)
    for case in cases:
        for kind, some in case.rows.items():
            rows.setdefault(kind, []).extend(some)
    known = tables(**rows)
    run = over(known, funnel)
    members = resolve(known, funnel, compiled=run).members
    return list(reconcile(known, members, facts(known, members, funnel, NOW, run), funnel, NOW, rules=rules, compiled=run).to_pylist())


def of(case: Case, found: Sequence[Finding]) -> dict[str, Finding]:
    """The findings of the case's rule that touch its records, by the ids of all their records in order."""
    own = {(kind, r["account"], r["vendor_id"]) for kind, some in case.rows.items() for r in some}
    mine = {}
    for finding in found:
        records = json.loads(finding["records"])
        if finding["rule"] == case.rule and any((finding["entity_kind"], r[0], r[2]) in own for r in records):
            mine[" ".join(sorted(r[2] for r in records))] = finding
    return mine


def look(finding: Finding, name: str) -> Any:
    """A column, JSON decoded; "fix.value" is a key of one, "note" the evidence's words."""
    if name == "note":
        return "; ".join(json.loads(finding["evidence"])["notes"])
    column, _, key = name.partition(".")
    value = json.loads(finding[column]) if column in ("fix", "values", "evidence") and finding[column] else finding[column]
    return value[key] if key else value


def person(id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    return row("person", account, id, **values)


def lead(id: str, account: str = "salesforce", **values: Any) -> dict[str, Any]:
    return row("person", account, id, resource="Lead", **{"converted": False, **values})


def company(id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    return row("company", account, id, **values)


def deal(id: str, account: str = "hubspot", **values: Any) -> dict[str, Any]:
    open_ = {"stage": "M50", "closed": False, "won": False, "raw_stage": "q", "amount": 1000, "currency": "EUR"}
    return row("deal", account, id, **{**open_, **values})


def tie(account: str, from_kind: str, from_id: str, to_kind: str, to_id: str) -> dict[str, Any]:
    return row("association", account, f"{from_id}-{to_id}", from_kind=from_kind, from_id=from_id, to_kind=to_kind, to_id=to_id)
