"""Entities through time: what a merge, a split and a move leave behind, and what follows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import ibis
import pyarrow as pa
import pytest
from test_event_wishes import WON, deal, joined, person, said, wished
from unified_rows import NOW

from core.compiled import Compiled
from core.entity_history import EntityHistory, changes, moves
from core.event_wishes import Told, event_id
from core.finding_heirs import called, finding_id, follow
from core.reconcile import FINDINGS, renamed
from core.resolve import MEMBERS
from jobs.explain_path import path

DAY = timedelta(days=1)


def members(**entities: str) -> pa.Table:
    """members(per_a="1 2"): records by the entity they belong to."""
    rows = [
        {"entity_id": entity, "kind": "person", "account": "hubspot", "resource": "contacts", "vendor_id": id_, "live": True}
        for entity, ids in entities.items()
        for id_ in ids.split()
    ]
    return pa.Table.from_pylist(rows, schema=MEMBERS)


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> pa.Table:
    return moves(members(**before), members(**after), Compiled(ibis.duckdb.connect(), {}, "test"))


def became(before: Mapping[str, str], after: Mapping[str, str], at: datetime = NOW) -> list[tuple[str, str, str, int]]:
    return [(r["change"], r["entity_id"], r["other_id"], r["records"]) for r in changes(moved(before, after), at).to_pylist()]


def history(*steps: Mapping[str, str]) -> EntityHistory:
    """The history of these states, a day apart, the first change at NOW."""
    return EntityHistory.of(*(changes(moved(a, b), NOW + n * DAY) for n, (a, b) in enumerate(pairwise(steps))))


# -- rows --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        ({"a": "1 2", "b": "3"}, {"a": "1 2 3"}, [("merged", "b", "a", 1)]),
        ({"a": "1 2 3"}, {"a": "1", "b": "2 3"}, [("split", "b", "a", 2)]),
        ({"a": "1 2", "b": "3"}, {"a": "1", "b": "2 3"}, [("moved", "b", "a", 1)]),
        ({"a": "1 2"}, {"a": "2", "b": "3"}, []),
        ({"a": "1 2", "b": "3 4"}, {"b": "1 3", "c": "2 4"}, [("merged", "a", "b", 1), ("merged", "a", "c", 1), ("split", "c", "b", 1)]),
    ],
)
def test_what_became_of_entities_is_told_in_rows(
    before: dict[str, str], after: dict[str, str], rows: Sequence[tuple[str, str, str, int]]
) -> None:
    assert became(before, after) == list(rows)


def test_the_first_run_has_no_history() -> None:
    assert moves(None, members(a="1"), Compiled(ibis.duckdb.connect(), {}, "test")).num_rows == 0


def test_an_id_that_is_no_more_leads_to_what_it_is_now_step_by_step() -> None:
    past = history({"a": "1", "b": "2", "c": "3"}, {"b": "1 2", "c": "3"}, {"c": "1 2 3"})
    assert (past.now("a"), past.now("b"), past.now("c"), past.now("x")) == ("c", "c", "c", "x")
    assert past.before("c") == {"b": NOW + DAY, "a": NOW}


def test_who_knows_what_was_told_is_who_the_records_came_to_since() -> None:
    past = history({"a": "1", "b": "2"}, {"b": "1 2"}, {"b": "2", "a": "1"})
    assert past.heirs("a", NOW - DAY) == {"a", "b"}
    assert past.heirs("b", NOW) == {"b", "a"}  # told of both while they were one
    assert past.heirs("a", NOW + 2 * DAY) == {"a"}
    assert past.now("a") == "a"  # it is there again
    assert past.before("b") == {"a": NOW}
    assert past.before("a") == {"b": NOW + DAY}


# -- what follows ----------------------------------------------------------------------------------------------------------------
def test_a_sale_told_before_two_mirrors_became_one_is_not_told_again() -> None:
    given = {"person": [person("1")], "deal": [deal()], "association": [joined("1")], "stage_change": WON}
    [event] = said(wished(**given))
    mine = wished(**given).wishes[0].entity_id
    assert mine is not None
    merge = pa.Table.from_pylist(
        [{"kind": "deal", "entity_id": "dea_old", "change": "merged", "other_id": mine, "records": 1, "changed_at": NOW}]
    )
    past, former = EntityHistory.of(merge), event_id("ga4", "collect", "dea_old", event["event"])
    assert wished(told=Told({former: NOW - DAY}), past=past, **given).wishes == []
    assert len(wished(told=Told({former: NOW + DAY}), past=past, **given).wishes) == 1  # the old id is another deal's again
    assert len(wished(told=Told({former: NOW - DAY}), **given).wishes) == 1


def finding(entity: str, *records: str, part: str = "", **more: Any) -> dict[str, Any]:
    keys = json.dumps([["hubspot", "contacts", r] for r in records], separators=(",", ":"))
    base = {"rule": "I-02", "entity_kind": "person", "entity_id": entity, "field": "person", "records": keys, "status": "open"}
    own = {"finding_id": finding_id("I-02", entity, "person", part), "evidence": json.dumps({"part": part}), "first_seen": NOW}
    return dict.fromkeys(FINDINGS.names) | base | own | more


def followed(before: Mapping[str, str], after: Mapping[str, str], *rows: dict[str, Any]) -> list[dict[str, Any]]:
    table = follow(pa.Table.from_pylist(list(rows), schema=FINDINGS), moved(before, after))
    assert table is not None
    return table.to_pylist()


def test_a_finding_goes_with_its_entity_into_another_one_and_out_of_it() -> None:
    one, two = {"a": "1", "b": "2"}, {"a": "1 2"}
    [merged] = followed(one, two, finding("b", "2", status="accepted"))
    assert (merged["entity_id"], merged["finding_id"]) == ("a", finding_id("I-02", "a", "person"))
    assert (merged["status"], merged["first_seen"]) == ("accepted", NOW)
    assert called(merged) == [finding_id("I-02", "b", "person"), merged["finding_id"]]  # what was said of it is found under both
    [parted] = followed(two, one, finding("a", "2"))
    assert parted["entity_id"] == "b"
    [stays] = followed(two, one, finding("a", "1", "2"))
    assert stays["entity_id"] == "a"


def test_a_finding_about_two_entities_follows_both() -> None:
    [row] = followed({"b": "1", "c": "2", "d": "3"}, {"a": "1", "c": "2", "d": "3"}, finding("b", "1", "2", part="c"))
    assert row["finding_id"] == finding_id("I-02", "a", "person", "c")
    [row] = followed({"b": "1", "c": "2", "d": "3"}, {"b": "1", "a": "2", "d": "3"}, finding("b", "1", "2", part="c"))
    assert row["finding_id"] == finding_id("I-02", "a", "person", "b")


def test_where_two_findings_become_one_it_is_open_if_either_was_and_as_old_as_the_older() -> None:
    rows = (finding("a", "1", status="accepted", first_seen=NOW - DAY), finding("b", "2"))
    [row] = followed({"a": "1", "b": "2"}, {"a": "1 2"}, *rows)
    assert (row["status"], row["first_seen"]) == ("open", NOW - DAY)
    assert called(row) == [finding_id("I-02", "b", "person"), finding_id("I-02", "a", "person")]


def test_a_finding_told_at_another_of_its_entities_is_the_same_by_its_records() -> None:
    old, new = finding("a", "1", "2"), finding("b", "1", "2")
    assert renamed([new], {old["finding_id"]: old}) == {new["finding_id"]: old}
    assert renamed([new], {old["finding_id"]: {**old, "status": "fixed"}}) == {}
    assert renamed([new, old], {old["finding_id"]: old}) == {}


# -- the way between two records ------------------------------------------------------------------------------------------------------
def link(left: str, right: str, evidence: str) -> dict[str, str]:
    return {"left_key": left, "right_key": right, "evidence": evidence, "detail": ""}


def test_the_way_between_two_records_is_the_shortest_and_of_those_the_strongest() -> None:
    links = [link("a", "b", "web_id"), link("b", "d", "web_id"), link("a", "c", "email"), link("c", "d", "link"), link("d", "e", "merged")]
    assert [(r["from"], r["to"], r["evidence"]) for r in path(links, {"a"}, {"e"})] == [
        ("a", "c", "email"), ("c", "d", "link"), ("d", "e", "merged"),
    ]  # fmt: skip
    assert path(links, {"a"}, {"x"}) == []
