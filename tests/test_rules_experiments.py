# ruff: noqa: E501  (the literals are tables)
"""Rules of experiments from literals: samples, persons in several variants, tests in each other's way; each beside its near miss."""

from __future__ import annotations

import json
from typing import Any

from rule_families import (  # noqa: F401
    findings,
    pytest_generate_tests,
    test_a_rule_finds,
    test_a_rule_leaves_the_near_miss_alone,
    test_every_rule_has_a_hit_a_near_miss_and_an_exact_sentence,
)
from test_reconcile import contact, found_in, hit, miss
from unified_rows import row

MINE = ("X-01", "X-02", "X-04")


def trial(id: str, *, account: str = "vwo", **values: Any) -> dict[str, Any]:
    shape = {"name": f"Test {id}", "status": "running", "started_at": "2026-05-01"}
    return row("experiment", account, id, **{**shape, **values})


def arm(experiment: str, variation: int, share: float | None, visitors: float | None, **more: Any) -> list[dict[str, Any]]:
    """The planned share and the visitors of one variation."""
    about = {
        "experiment_id": int(experiment) if experiment.isdecimal() else experiment,
        "variation_id": str(variation),
        "variant": f"v{variation}",
    }
    text = json.dumps({**about, **more}, separators=(",", ":"))
    told = (("experiment_share", share), ("experiment_visitors", visitors))
    return [
        row("tally", "vwo", f"{experiment}:{variation}:{measure}", measure=measure, value=value, attributes=text)
        for measure, value in told
        if value is not None
    ]


def sample(experiment: str, *arms: tuple[float | None, float | None], type: str = "ab", **more: Any) -> dict[str, list[dict[str, Any]]]:
    tallies = [
        one for i, (share, visitors) in enumerate(arms, 1) for one in arm(experiment, i, share, visitors, **(more if i == 1 else {}))
    ]
    return {"experiment": [trial(experiment, attributes=f'{{"type":"{type}"}}')], "tally": tallies}


def shown(person: str, experiment: str, variant: str, at: str = "2026-05-10", account: str = "optimizely", **values: Any) -> dict[str, Any]:
    told = {"kind": "exposure", "campaign_id": experiment, "event": variant, "occurred_at": at, "links": [f"optimizely:visitors:{person}"]}
    return row("touch", account, f"{person}-{experiment}-{variant}-{at}", **{**told, **values})


def visitor(id: str, *ids: str) -> dict[str, Any]:
    return contact(id, links=[f"optimizely:visitors:{one}" for one in ids or (id,)])


def on(page: str, id: str, account: str = "vwo", **values: Any) -> dict[str, Any]:
    return trial(id, account=account, pages=[page], **values)


# Kohavi, Tang & Xu: 821,588 against 815,482 visitors at half and half have chi-square 22.8. Of two variants 10.83 is one in a thousand.
CASES = [
    hit("X-01", "the textbook's example", "101", {"values": {"vwo": "v1 821588, v2 815482"}, "severity": "S1",
        "evidence.notes": ["Test 101: planned 50.0 %, 50.0 %; chi-square 22.8 where 10.8 is the limit"]}, **sample("101", (0.5, 821_588), (0.5, 815_482))),
    hit("X-01", "just above the limit: (553-500)² / 500 + (447-500)² / 500 = 11.2", "102", **sample("102", (0.5, 553), (0.5, 447))),
    hit("X-01", "three variants, one of which nobody saw", "103", {"values": {"vwo": "v1 50, v2 50, 3 0"}}, **sample("103", (0.4, 50), (0.4, 50), (0.2, None))),
    miss("X-01", "just below the limit: 10.8", **sample("104", (0.5, 552), (0.5, 448))),
    miss("X-01", "as planned, shares in whatever unit", **sample("105", (80, 800), (20, 200))),
    miss("X-01", "a bandit", **sample("106", (0.5, 900), (0.5, 100), type="multi_armed_bandit")),
    miss("X-01", "a variant that was switched off", **sample("107", (0.5, 900), (0.5, 100), disabled=True)),
    miss("X-01", "a variant that was paused", **sample("108", (0.5, 900), (0.5, 100), status="paused")),
    miss("X-01", "too few visitors: four were due", **sample("109", (0.5, 8), (0.5, 0))),
    miss("X-01", "nobody says what was planned", **sample("110", (None, 900), (None, 100))),
    miss("X-01", "three variants at 12.2: the limit is 13.8", **sample("111", (1, 1045), (1, 1045), (1, 910))),
    hit("X-02", "one browser, reassigned", "p1-201-a-2026-05-10 p1-201-b-2026-05-20",
        {"values": {"optimizely:touch:p1-201-a-2026-05-10": "a", "optimizely:touch:p1-201-b-2026-05-20": "b"}, "entity_kind": "person",
         "evidence.notes": ["Test 201: 2 of 3 known visitors (66.7 %)"]},
        person=[visitor("p1"), visitor("p2"), visitor("p3", "p3", "p3x")], experiment=[trial("201", account="optimizely")],
        touch=[shown("p1", "201", "a"), shown("p1", "201", "b", "2026-05-20"), shown("p1", "201", "b", "2026-05-21"), shown("p2", "201", "a")]),
    hit("X-02", "two browsers", "p3-201-a-2026-05-10 p3x-201-b-2026-05-10", touch=[shown("p3", "201", "a"), shown("p3x", "201", "b")]),
    miss("X-02", "the same variant twice; a variant each of two tests; of two accounts; another kind of touch; an unknown visitor",
         person=[visitor("p4"), visitor("p5"), visitor("p6"), visitor("p7")],
         touch=[shown("p4", "202", "a"), shown("p4", "202", "a", "2026-05-20"), shown("p5", "203", "a"), shown("p5", "204", "b"),
                shown("p6", "205", "a"), shown("p6", "205", "b", account="optimizely-two"), shown("p7", "206", "a"), shown("p7", "206", "b", kind="click"),
                shown("nobody", "207", "a"), shown("nobody", "207", "b")]),
    hit("X-04", "two tools on one page, however it is written", "401 402", {"severity": "S4", "values": {"vwo": "Test 401", "optimizely": "Test 402"},
        "evidence.notes": ["us.example/a: together for 30 days"], "question": None},
        experiment=[on("https://www.us.example/a/?utm=x", "401"), on("http://us.example/A#top", "402", "optimizely", started_at="2026-05-31")]),
    hit("X-04", "a day together, both over", "403 404",
        experiment=[on("https://us.example/b", "403", status="ended", ended_at="2026-05-11"), on("https://us.example/b", "404", started_at="2026-05-10")]),
    miss("X-04", "one after the other; a draft; half a day together; another page; its end is not known; a pattern",
         experiment=[on("https://us.example/c", "405", status="ended", ended_at="2026-05-09"), on("https://us.example/c", "406", started_at="2026-05-10"),
                     on("https://us.example/c", "407", status="draft", started_at=None),
                     on("https://us.example/d", "408", status="ended", ended_at="2026-05-10T12:00"), on("https://us.example/d", "409", started_at="2026-05-10"),
                     on("https://us.example/d/e", "410"), on("https://us.example/d", "411", status="ended"),
                     on("https://us.example/f/*", "412"), on("https://us.example/f/*", "413")]),
    miss("X-04", "of one layer",
         experiment=[on("https://us.example/g", id, "optimizely", attributes='{"project_id":7,"campaign_id":9}') for id in ("414", "415")]),
]  # fmt: skip


def test_one_person_among_many_is_a_note():
    people = [visitor(f"n{i}") for i in range(101)]
    touches = [shown(f"n{i}", "1", "a") for i in range(101)] + [shown("n0", "1", "b")]
    assert [f["severity"] for f in found_in(rules=["X-02"], person=people, touch=touches).to_pylist()] == ["S4"]
    assert [f["severity"] for f in found_in(rules=["X-02"], person=people[:99], touch=touches[:99] + touches[-1:]).to_pylist()] == ["S2"]


def test_thresholds_of_the_funnel_hold():
    rows = sample("1", (0.5, 552), (0.5, 448))
    assert found_in(rules=["X-01"], funnel={"thresholds": {"sample_ratio_p": 0.01}}, **rows).num_rows == 1
    pages = [on("https://us.example/", "1"), on("https://us.example", "2", started_at="2026-06-29T12:00")]
    assert found_in(rules=["X-04"], experiment=pages).num_rows == 0
    assert found_in(rules=["X-04"], funnel={"thresholds": {"overlap_days": 0.4}}, experiment=pages).num_rows == 1
