from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from core import ledger_tables as t
from core.errors import Busy, UserError
from core.ledger import Commit, Count, Cursor, Ledger, PageRow, RejectRow, upsert

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    made = Ledger(url)
    yield made
    made.close()


def count(run_id: str = "r", **more: Any) -> Count:
    return Count(run_id, "hubspot", "contacts", **more)


def test_runs_come_newest_first_with_their_end(ledger: Ledger) -> None:
    first = ledger.start_run("sync", NOW, {"accounts": ["hubspot"]})
    second = ledger.start_run("reconcile", NOW + HOUR)
    ledger.end_run(first, "partial", NOW + HOUR, {"why": "a scope is missing"})
    assert [r.id for r in ledger.runs()] == [second, first]
    run = ledger.run(first)
    assert run is not None
    assert (run.status, run.started_at, run.ended_at, run.detail) == ("partial", NOW, NOW + HOUR, {"why": "a scope is missing"})
    assert [r.job for r in ledger.runs(job="sync")] == ["sync"]


def test_a_lease_belongs_to_one_until_it_runs_out_or_is_released(ledger: Ledger) -> None:
    assert ledger.take_lease("nightly", "a", NOW, 60)
    assert ledger.take_lease("nightly", "a", NOW, 60)
    assert not ledger.take_lease("nightly", "b", NOW, 60)
    assert ledger.renew_lease("nightly", "a", NOW + timedelta(seconds=50), 60)
    assert not ledger.take_lease("nightly", "b", NOW + timedelta(seconds=100), 60)
    assert ledger.take_lease("nightly", "b", NOW + timedelta(seconds=110), 60)
    assert not ledger.renew_lease("nightly", "a", NOW + timedelta(seconds=111), 60)
    assert ledger.lease_holder("nightly", NOW + timedelta(seconds=111)) == "b"
    ledger.release_lease("nightly", "a")
    assert ledger.lease_holder("nightly", NOW + timedelta(seconds=111)) == "b"
    ledger.release_lease("nightly", "b")
    assert ledger.lease_holder("nightly", NOW + timedelta(seconds=111)) is None


def _grab(url: str, holder: str, won: Any, start: Any) -> None:
    ledger = Ledger(url)
    start.wait()
    for i in range(20):
        if ledger.take_lease(f"job{i}", holder, NOW, 60):
            won.put((i, holder))


def test_of_racing_processes_exactly_one_gets_each_lease(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    won, start = context.Queue(), context.Barrier(3)
    racers = [context.Process(target=_grab, args=(url, f"p{i}", won, start), daemon=True) for i in range(3)]
    for racer in racers:
        racer.start()
    got = [won.get(timeout=60) for _ in range(20)]
    for racer in racers:
        racer.join(60)
    assert won.empty()
    assert sorted(i for i, _ in got) == list(range(20))


def test_a_batch_is_visible_from_its_commit_on_and_never_before(ledger: Ledger) -> None:
    one, two, three = (ledger.open_batch("r", "hubspot", "contacts", NOW) for _ in range(3))
    assert one < two < three
    ledger.commit_batch(three, Commit(5, count()), NOW + HOUR)
    assert ledger.visible() == ledger.visible(NOW + HOUR)
    assert (ledger.visible().upto, ledger.visible().hidden) == (three, (one, two))
    ledger.commit_batch(one, Commit(5, count()), NOW + 2 * HOUR)
    assert ledger.visible().hidden == (two,)
    assert ledger.visible(NOW + HOUR).hidden == (one, two)
    assert ledger.visible(NOW).upto == 0


def test_batch_cursor_pages_counts_and_rejects_are_committed_together(ledger: Ledger) -> None:
    batch = ledger.open_batch("r", "hubspot", "contacts", NOW)
    cursor = Cursor({"v": 1, "after": "x"}, "m1", {"id": "p1"}, NOW)
    page = PageRow(b"d" * 16, "p1", 0, True, 2, b"m" * 32)
    reject = RejectRow("7", "mappings/hubspot.yaml:9:3", "no e-mail")
    ledger.commit_batch(batch, Commit(2, count(kept=2, vendor_total=3, rejected=1), cursor, (page,), (reject,)), NOW)
    assert ledger.cursor("hubspot", "contacts") == cursor
    assert ledger.page_digests("hubspot", "contacts") == {b"d" * 16: ("p1", 0)}
    assert ledger.pages("hubspot", "contacts", "p1") == [page]
    assert ledger.counts("r") == [count(kept=2, vendor_total=3, rejected=1)]
    assert ledger.rejects("r", "hubspot", "contacts") == [reject]


def test_nothing_of_a_commit_stays_when_its_batch_was_given_up(ledger: Ledger) -> None:
    batch = ledger.open_batch("r", "hubspot", "contacts", NOW)
    assert ledger.abandon_batches("hubspot") == [batch]
    with pytest.raises(Busy, match="given up by another run"):
        ledger.commit_batch(batch, Commit(2, count(), Cursor({"v": 1}, "m", None, NOW)), NOW)
    assert ledger.cursor("hubspot", "contacts") is None
    assert ledger.counts("r") == []
    assert ledger.orphans() == [batch]


def test_a_finished_increment_forgets_earlier_increments_but_not_the_whole_pass(ledger: Ledger) -> None:
    def pages(pass_id: str, whole: bool, digest: bytes) -> None:
        row = PageRow(digest * 16, pass_id, 0, whole, 1, b"")
        ledger.commit_batch(None, Commit(0, count(), Cursor({}, "m", {"id": pass_id}, NOW), (row,)), NOW)

    pages("whole1", True, b"a")
    pages("inc1", False, b"b")
    ledger.end_pass("hubspot", "contacts", ["inc1"], whole=False)
    pages("inc2", False, b"c")
    ledger.end_pass("hubspot", "contacts", ["inc2"], whole=False)
    assert {p for p, _ in ledger.page_digests("hubspot", "contacts").values()} == {"whole1", "inc2"}
    pages("whole2", True, b"d")
    ledger.end_pass("hubspot", "contacts", ["whole2"], whole=True)
    assert {p for p, _ in ledger.page_digests("hubspot", "contacts").values()} == {"whole2"}
    found = ledger.cursor("hubspot", "contacts")
    assert found is not None
    assert found.open_pass is None


def test_the_newest_complete_run_of_a_computed_kind_is_known(ledger: Ledger) -> None:
    for i, run_id in enumerate(("r1", "r2")):
        ledger.commit_derived({ledger.open_batch(run_id, "", "finding", NOW): 3}, NOW + i * HOUR)
    ledger.open_batch("r3", "", "finding", NOW + 2 * HOUR)
    assert ledger.latest_derived("finding") == "r2"
    assert ledger.latest_derived("finding", NOW) == "r1"
    assert ledger.latest_derived("metric") is None


def test_times_are_aware_utc_and_nothing_else_is_taken(ledger: Ledger) -> None:
    ledger.set_schedule("nightly", NOW, NOW + HOUR)
    assert ledger.schedule("nightly") == (NOW, NOW + HOUR)
    with pytest.raises(Exception, match="aware times only"):
        ledger.start_run("sync", NOW.replace(tzinfo=None))


def test_a_ledger_of_a_newer_program_is_refused_with_the_way_out(url: str) -> None:
    ledger = Ledger(url)
    with ledger.write() as c:
        c.execute(update(t.schema_version).values(version=99))
    ledger.close()
    with pytest.raises(UserError, match="schema 99"):
        Ledger(url)


def test_forgetting_erases_values_and_leaves_a_tombstone(ledger: Ledger) -> None:
    from core.ledger_forget import forget_records

    key = ("hubspot", "contacts", "7")
    with ledger.write() as c:
        c.execute(insert(t.plan).values(id="p", hash="h", created_at=NOW, status="open", body=b"Ann"))
        row = {"plan_id": "p", "change_id": "c", "position": 0, "account": key[0], "target": key[1], "vendor_id": key[2]}
        c.execute(insert(t.change).values(**row, field="name", before="Ann", after="Bob", why="Ann is Bob"))
        c.execute(insert(t.outcome).values(apply_id="a", change_id="c", status="applied", before_image="Ann", at=NOW))
        upsert(c, t.base_value, [{"key": ":".join(key), "field": "name", "value": "Ann", "value_hash": "x", "at": NOW}])
    forget_records(ledger, [key], NOW, "asked by mail")
    assert ledger.tombstones("hubspot", "contacts") == {"7"}
    with ledger.read() as c:
        left = [tuple(row) for table in (t.plan, t.change, t.outcome, t.base_value) for row in c.execute(table.select())]
    assert "Ann" not in repr(left)


def test_two_processes_may_open_a_new_ledger_at_once(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    won, start = context.Queue(), context.Barrier(2)
    racers = [context.Process(target=_open, args=(url, won, start), daemon=True) for _ in range(2)]
    for racer in racers:
        racer.start()
    assert [won.get(timeout=60) for _ in racers] == ["ok", "ok"]
    for racer in racers:
        racer.join(60)


def _open(url: str, won: Any, start: Any) -> None:
    start.wait()
    try:
        Ledger(url).close()
        won.put("ok")
    except Exception as e:
        won.put(repr(e))


def test_a_new_ledger_waits_while_another_process_has_its_file_locked(tmp_path: Path) -> None:
    """SQLite does not wait by itself when the journal's kind is to change, whatever its busy timeout says."""
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.rollback)
    release.start()
    Ledger(tmp_path / "ledger.db").close()
    release.join()
    other.close()
