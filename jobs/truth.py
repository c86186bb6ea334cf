"""Score findings against the sandbox's ground truth: planted, found, missed and false, per rule. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Record = tuple[str, str, str]  # account, resource, vendor id


def score(findings: Iterable[Mapping[str, Any]], truth: Mapping[str, Any]) -> dict[str, Any]:
    """{"planted", "found", "missed", "false": counts, "rules": the same per rule, "false_records": what fired wrongly}.

    A plant is found when a finding of its rule names at least one of its records. A finding that touches no plant of its
    rule is false.
    """
    by_rule: dict[str, list[set[Record]]] = {}
    for row in findings:
        records = row["records"] if not isinstance(row["records"], str) else json.loads(row["records"])
        by_rule.setdefault(row["rule"], []).append({(r[0], r[1], str(r[2])) for r in records})
    plants: dict[str, list[set[Record]]] = {}
    for plant in truth["planted"]:
        plants.setdefault(plant["rule"], []).append({(r[0], r[1], str(r[2])) for r in plant["records"]})
    rules = {}
    wrong: dict[str, list[list[Record]]] = {}
    for rule in sorted({*by_rule, *plants}):
        got, want = by_rule.get(rule, []), plants.get(rule, [])
        found = sum(1 for p in want if any(p & g for g in got))
        false = [sorted(g) for g in got if not any(p & g for p in want)]
        rules[rule] = {"planted": len(want), "found": found, "missed": len(want) - found, "false": len(false)}
        if false:
            wrong[rule] = false
    total = {name: sum(r[name] for r in rules.values()) for name in ("planted", "found", "missed", "false")}
    return {**total, "rules": rules, "false_records": wrong}
