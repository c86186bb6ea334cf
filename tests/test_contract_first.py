"""A vendor's first sync, and what the syncs after it bring: made once for the tests that follow it. It names no vendor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sandbox_hub import VENDORS, Standing, contents, held, live_records, standing, true_records
from test_contract_tour import FIELDS, edit, ids_of, own_ids, reasons, sync, toured_at

from jobs.steps import SyncResult


@dataclass(frozen=True)
class First:
    """A vendor after its first sync: what that brought and said."""

    vendor: str
    sandbox: Standing
    result: SyncResult
    held: tuple[dict[Any, Any], int]
    live: set[tuple[str, str, str]]


@pytest.fixture(params=VENDORS, scope="module")
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    with standing(tmp_path_factory.mktemp("first"), vendors=[request.param]) as sandbox:
        result = sync(sandbox)
        yield First(request.param, sandbox, result, held(sandbox.hub), live_records(sandbox.hub))


def test_every_row_of_every_mapped_resource_arrives_exactly_once(first: First) -> None:
    vendor, sandbox, result = first.vendor, first.sandbox, first.result
    assert (result.status, result.exit_code, reasons(result)) == ("done", 0, [])
    assert {c.resource for c in result.counts} == set(sandbox.hub.setup.mappings[vendor].resources)
    assert own_ids(first.live) == own_ids(true_records(sandbox.truth, [vendor]))
    found, versions = first.held
    assert versions == len(found) == sum(c.appended for c in result.counts)
    assert sum(c.rejected for c in result.counts) == 0
    kept = {c.resource: c.kept for c in result.counts}
    rows = sandbox.emulators[vendor].rows()
    assert {name: kept[name] for name in rows} == rows


def test_a_second_sync_appends_nothing(first: First) -> None:
    again = sync(first.sandbox)
    assert (again.status, {c.resource: c.appended for c in again.counts if c.appended}) == ("done", {})


def test_edits_are_all_picked_up_and_nothing_else(first: First) -> None:
    (its_fields_are_edited if first.vendor in toured_at("fields") else its_own_people_change_it)(first.vendor, first.sandbox)


def its_fields_are_edited(vendor: str, sandbox: Standing) -> None:
    """At the very instant of the last read; the second edit carries the same stamp as the first, which was read already."""
    instant = sandbox.clock.now()
    known = contents(sandbox.hub)
    for turn in (0, 1):
        edited = set()
        for target in FIELDS[vendor]:
            ids = ids_of(sandbox, vendor, target.resource)[turn * 2 : turn * 2 + 2]
            sandbox.clock.advance(instant - sandbox.clock.now())
            edit(sandbox, vendor, target, ids, f"Edited {turn}")
            edited |= {(target.resource, i) for i in ids}
        result = sync(sandbox)
        now = contents(sandbox.hub)
        changed = {(key[2], key[3]) for key in now if now[key] != known.get(key)}
        assert (result.status, reasons(result)) == ("done", [])
        assert changed == edited
        assert sum(c.appended for c in result.counts) == len(edited)
        known = now


def its_own_people_change_it(vendor: str, sandbox: Standing) -> None:
    known = contents(sandbox.hub)
    for turn in (0, 1):
        resources = sandbox.emulators[vendor].change_rows(turn)
        result = sync(sandbox)
        now = contents(sandbox.hub)
        changed = {key for key in now if now[key] != known.get(key)}
        assert (result.status, reasons(result)) == ("done", [])
        assert resources
        assert {key[2] for key in changed} == resources
        assert sum(c.appended for c in result.counts) == len(changed) < len(known)
        known = now
    assert sum(c.appended for c in sync(sandbox).counts) == 0
