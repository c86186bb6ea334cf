"""What the rules of every family are asked alike. A family's module has MINE (its rules) and CASES, and imports the five names below.

It may also have BASE (rows that all cases stand on), FUNNEL, and `worded`, which completes the rows of all cases.
"""

from __future__ import annotations

from typing import Any

import pytest
from test_reconcile import FUNNEL, Case, found_in, ids, look

from core.rules import RULES

NOTES = {"D-10", "S-10", "X-04"}  # rules that neither mend nor ask


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases: list[Case] = metafunc.module.CASES
    if "found_case" in metafunc.fixturenames:
        metafunc.parametrize("found_case", [c for c in cases if c.found], ids=lambda c: f"{c.rule} {c.says}")
    if "near_miss" in metafunc.fixturenames:
        metafunc.parametrize("near_miss", [c for c in cases if not c.found], ids=lambda c: f"{c.rule} {c.says}")
    if "family_rule" in metafunc.fixturenames:
        metafunc.parametrize("family_rule", metafunc.module.MINE)


@pytest.fixture(scope="module")
def findings(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What the family's rules find in all cases' rows together."""
    family = request.module
    rows: dict[str, list[dict[str, Any]]] = {kind: list(some) for kind, some in getattr(family, "BASE", {}).items()}
    for case in family.CASES:
        for kind, some in case.rows.items():
            rows.setdefault(kind, []).extend(some)
    rows = getattr(family, "worded", lambda rows: rows)(rows)
    found: list[dict[str, Any]] = found_in(rules=list(family.MINE), funnel=getattr(family, "FUNNEL", FUNNEL), **rows).to_pylist()
    return found


def test_a_rule_finds(found_case: Case, findings: list[dict[str, Any]]) -> None:
    rule = RULES[found_case.rule]
    (mine,) = (f for f in findings if f["rule"] == rule.id and ids(f) == set(found_case.found.split()))
    expect = {"severity": rule.severity} | found_case.expect
    assert {name: look(mine, name) for name in expect} == expect
    assert rule.fix or mine["fix"] is None
    assert mine["fix"] or mine["question"] or rule.id in NOTES


def test_a_rule_leaves_the_near_miss_alone(near_miss: Case, findings: list[dict[str, Any]]) -> None:
    own = {r["vendor_id"] for some in near_miss.rows.values() for r in some}
    assert [(f["rule"], f["values"]) for f in findings if f["rule"] == near_miss.rule and ids(f) & own] == []


def test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence(family_rule: str, request: pytest.FixtureRequest) -> None:
    assert {bool(c.found) for c in request.module.CASES if c.rule == family_rule} == {True, False}
    assert RULES[family_rule].exact
