# ruff: noqa: E501  (the literals are tables)
"""X-03 from literals: what a tool counted against what our own touches saw; each beside its near miss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import found_in, hit, ids, look, miss
from unified_rows import row

MINE = ("X-03",)
Rows = dict[str, list[dict[str, Any]]]


def trial(id: str, **values: Any) -> dict[str, Any]:
    """From the second of May to the fourth."""
    shape = {"name": f"Test {id}", "started_at": "2026-05-02T06:00", "ended_at": "2026-05-04T18:00"}
    return row("experiment", "vwo", id, **{**shape, **values})


def count(test: str, variation: str, value: float, metric: str | None = None, day: str = "2026-05-04", **more: Any) -> dict[str, Any]:
    about = {"experiment_id": test, "variation_id": variation, "variant": f"v{variation}", **({"metric": metric} if metric else {}), **more}
    measure = "experiment_conversions" if metric else "experiment_visitors"
    text = json.dumps(about, separators=(",", ":"))
    return row("tally", "vwo", f"{test}:{variation}:{metric}", measure=measure, value=value, day=day, attributes=text)


def seen(
    test: str, event: str, people: int, first: int = 0, at: str = "2026-05-03", account: str = "files", **values: Any
) -> list[dict[str, Any]]:
    """So many browsers, one exposure each."""
    return [
        row("touch", account, f"{test}:{event}:{i}:{at}", **{"kind": "exposure", "event": event, "occurred_at": at,
            "links": [f"ga4:clients:{test}-{i}"], **values})
        for i in range(first, first + people)
    ]  # fmt: skip


def did(test: str, people: int, event: str = "generate_lead", at: str = "2026-05-03T12:00", account: str = "files") -> list[dict[str, Any]]:
    return seen(test, event, people, at=at, account=account, kind="conversion")


def days(account: str, *numbers: int) -> list[dict[str, Any]]:
    return [row("touch", account, f"day{n}", kind="visit", occurred_at=f"2026-05-0{n}T12:00", links=["ga4:clients:x"]) for n in numbers]


def pair(test: str, theirs: int, ours: int, spelled: str = "VWO-{}-1", account: str = "files", **values: Any) -> Rows:
    """A test of one variation, so many visitors by the tool and by our own touches."""
    return {
        "experiment": [trial(test, **values)],
        "tally": [count(test, "1", theirs)],
        "touch": seen(test, spelled.format(test), ours, account=account),
    }


def both(*parts: Rows) -> Rows:
    return {kind: [one for part in parts for one in part.get(kind, [])] for kind in {k for part in parts for k in part}}


WHOLE = (1, 2, 3, 4, 5)
BASE = {"touch": [*days("files", *WHOLE), *days("short", 2, 3, 4, 5), *days("cut", 1, 2, 3, 4), *days("gap", 1, 2, 3, 5)]}
CASES = [
    hit("X-03", "we saw 3 % fewer", "101", {"field": "visitors", "entity_kind": "experiment", "values": {"vwo": "100"}, "fix": None,
        "evidence.notes": ["Test 101: visitors 100 by vwo, 97 by files: 3.0 % apart"]}, **pair("101", 100, 97)),
    hit("X-03", "we saw more", "102", **pair("102", 100, 103)),
    hit("X-03", "fifty are enough; called by names, in other spelling", "103", **pair("103", 50, 48, "vwo / test_{} / V1")),
    hit("X-03", "called without the tool", "104", **pair("104", 100, 90, "{}-1")),
    hit("X-03", "each of two variations is near, both together are not", "105", {"values": {"vwo": "100"}},
        experiment=[trial("105")], tally=[count("105", "1", 50), count("105", "2", 50)], touch=[*seen("105", "vwo-105-1", 49), *seen("105", "vwo-105-2", 48, first=60)]),
    miss("X-03", "2 % is not more than 2 %", **pair("201", 100, 98)),
    miss("X-03", "forty-nine are too few", **pair("202", 49, 40)),
    miss("X-03", "who saw it twice is one; before it began and after it ended nobody counts",
         **both(pair("203", 100, 100), {"touch": [*seen("203", "vwo-203-1", 100, at="2026-05-04"), *seen("203", "vwo-203-1", 30, first=200, at="2026-05-02T05:00"),
                                                  *seen("203", "vwo-203-1", 30, first=300, at="2026-05-04T19:00")]})),
    miss("X-03", "it runs; it has no end; nobody knows when it began",
         **both(pair("204", 100, 50, ended_at="2026-07-04"), pair("205", 100, 50, ended_at=None), pair("206", 100, 50, started_at=None))),
    miss("X-03", "our touches begin on its first day, end on its last, or lack a day",
         **both(pair("207", 100, 50, account="short"), pair("208", 100, 50, account="cut"), pair("209", 100, 50, "vwo-{}-1", account="gap", ended_at="2026-05-04T18:00"))),
    miss("X-03", "exposures the tool itself told; another test's; one whose name two tests have",
         **both(pair("210", 100, 50, account="vwo"), pair("211", 100, 50, "vwo-other-1"), pair("212", 100, 50, "twin-v1", name="Twin"), pair("213", 100, 50, "x", name="Twin"))),
    miss("X-03", "the tool had not counted to the end", experiment=[trial("214")], tally=[count("214", "1", 100, day="2026-05-02")], touch=seen("214", "vwo-214-1", 50)),
    hit("X-03", "as many visitors, 6 % fewer leads", "301", {"field": "conversions", "values": {"vwo": "50"},
        "evidence.notes": ["Test 301: generate-lead 50 by vwo, 47 by files: 6.0 % apart"]},
        **both(pair("301", 100, 100), {"tally": [count("301", "1", 50, "Generate lead")], "touch": did("301", 47)})),
    miss("X-03", "5 % of leads; leads before the sight of it, after its end, and of visitors who did not see it",
         **both(pair("302", 100, 100), {"tally": [count("302", "1", 60, "generate_lead")], "touch": [*did("302", 57), *did("302", 90, at="2026-05-02T23:00"),
                *did("302", 90, at="2026-05-04T19:00"), *did("303", 80)]})),
    miss("X-03", "a goal that is no event of ours", **both(pair("304", 100, 100), {"tally": [count("304", "1", 90, "Scrolled down")]})),
]  # fmt: skip


def test_a_goal_that_we_saw_nobody_reach_is_apart() -> None:
    rows = both(BASE, pair("1", 100, 100), {"tally": [count("1", "1", 60, "generate_lead")], "touch": did("other", 1)})
    (one,) = found_in(rules=["X-03"], **rows).to_pylist()
    assert look(one, "evidence.notes") == ["Test 1: generate-lead 60 by vwo, 0 by files: 100.0 % apart"]


@pytest.mark.parametrize(
    ("goals", "found"), [({}, 0), ({"generate_lead": ["Asked for an offer"]}, 1), ({"sign_up": ["Asked for an offer"]}, 0)]
)
def test_a_goal_may_be_called_otherwise(goals: dict[str, list[str]], found: int) -> None:
    rows = both(BASE, pair("1", 100, 100), {"tally": [count("1", "1", 60, "Asked for an offer")], "touch": did("1", 50)})
    assert found_in(rules=["X-03"], funnel={"thresholds": {"experiment_goals": goals}}, **rows).num_rows == found


@pytest.mark.parametrize(
    ("limits", "found"), [({"experiment_visitors_share": 0.03}, 0), ({"experiment_least": 101}, 0), ({"experiment_least": 100}, 1)]
)
def test_how_far_apart_counts_may_be_is_a_threshold(limits: dict[str, float], found: int) -> None:
    assert found_in(rules=["X-03"], funnel={"thresholds": limits}, **both(BASE, pair("1", 100, 97))).num_rows == found


def test_two_sources_of_touches_are_two_findings() -> None:
    rows = both(BASE, {"touch": days("two", *WHOLE)}, pair("1", 100, 90), {"touch": seen("1", "vwo-1-1", 80, account="two")})
    found = found_in(rules=["X-03"], **rows).to_pylist()
    assert sorted(look(one, "evidence.notes")[0] for one in found) == [
        "Test 1: visitors 100 by vwo, 80 by two: 20.0 % apart",
        "Test 1: visitors 100 by vwo, 90 by files: 10.0 % apart",
    ]
    assert {frozenset(ids(one)) for one in found} == {frozenset({"1"})}
