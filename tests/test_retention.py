"""`retention` in funnel.yaml, acted on: what goes, what stays whatever the number of days."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
from test_lake import NOW, Shelf, rows

from core.change import Change, Plan
from core.funnel import Retention
from core.ledger import Commit, Count, RejectRow
from core.ledger_notes import Note, add_note, notes_about
from core.ledger_plans import PlanBook
from core.retention import retain

DAY = timedelta(days=1)
NEVER = Retention(versions=None, touches=None, tallies=None, findings=None, runs=None, plans=None)


def gone(shelf: Shelf, at: datetime, **days: int) -> dict[str, int]:
    return retain(shelf.lake, shelf.ledger, NEVER.model_copy(update=days), at)


def test_null_keeps_everything(shelf: Shelf) -> None:
    shelf.put("person", ["1"], first_name="Ada")
    assert retain(shelf.lake, shelf.ledger, NEVER, NOW + 9999 * DAY) == {}
    assert shelf.names() == {"1": "Ada"}


def test_a_version_goes_when_its_successor_is_old_enough_and_the_current_one_never(shelf: Shelf) -> None:
    for i, name in enumerate(("Ada", "Adele", "Addy")):
        seen = [NOW + i * 100 * DAY]
        batch = shelf.ledger.open_batch("r", "hubspot", "contacts", seen[0])
        table = rows(batch, ["1"], first_name=name)
        table = table.set_column(table.column_names.index("observed_at"), "observed_at", pa.array(seen, pa.timestamp("us", "UTC")))
        shelf.lake.append("person", table)
        shelf.ledger.commit_batch(batch, Commit(1, Count("r", "hubspot", "contacts")), seen[0])
    # Adele replaced Ada on day 100, Addy replaced Adele on day 200.
    assert gone(shelf, NOW + 160 * DAY, versions=50) == {"versions": 1}
    assert gone(shelf, NOW + 160 * DAY, versions=50) == {"versions": 0}
    assert sorted(shelf.lake.versions("person").select("first_name").to_pyarrow()["first_name"].to_pylist()) == ["Addy", "Adele"]
    assert gone(shelf, NOW + 9000 * DAY, versions=1) == {"versions": 1}
    assert shelf.names() == {"1": "Addy"}


def test_touches_and_tallies_go_by_when_they_happened(shelf: Shelf) -> None:
    shelf.put("touch", ["a"], occurred_at=NOW - 200 * DAY)
    shelf.put("touch", ["b"], occurred_at=NOW - 100 * DAY)
    shelf.put("tally", ["c"], day=(NOW - 200 * DAY).date())
    shelf.put("tally", ["d"], day=(NOW - 100 * DAY).date())
    assert gone(shelf, NOW, touches=150, tallies=150) == {"touches": 1, "tallies": 1}
    assert shelf.lake.current("touch").select("vendor_id").to_pyarrow()["vendor_id"].to_pylist() == ["b"]
    assert shelf.lake.current("tally").select("vendor_id").to_pyarrow()["vendor_id"].to_pylist() == ["d"]


def test_results_of_old_runs_go_and_the_last_ones_stay(shelf: Shelf) -> None:
    for i in range(3):
        shelf.lake.append_derived("finding", [pa.table({"finding_id": [f"f{i}"]})], f"run{i}", NOW + i * DAY)
    assert gone(shelf, NOW + 900 * DAY, findings=30) == {"findings": 2}
    assert shelf.lake.latest_run("finding").select("finding_id").to_pyarrow()["finding_id"].to_pylist() == ["f2"]


def test_runs_go_with_their_counts_and_rejects_but_the_last_of_each_job_stays(shelf: Shelf) -> None:
    old, new = (shelf.ledger.start_run("sync", NOW + i * DAY) for i in range(2))
    for run in (old, new):
        count = Count(run, "hubspot", "contacts")
        shelf.ledger.commit_batch(None, Commit(0, count, rejects=(RejectRow("1", "m.yaml:1:1", "bad"),)), NOW)
        shelf.ledger.end_run(run, "done", NOW)
    assert gone(shelf, NOW + 900 * DAY, runs=30) == {"runs": 1}
    assert [r.id for r in shelf.ledger.runs()] == [new]
    assert (shelf.ledger.counts(old), shelf.ledger.rejects(old)) == ([], [])
    assert len(shelf.ledger.rejects(new)) == 1


def test_plans_go_with_what_could_be_undone_and_what_was_pushed_last_stays_known(shelf: Shelf) -> None:
    book = PlanBook(shelf.ledger)
    change = Change("c1", "hubspot", "contacts", "1", "x", "text", None, "M30", "why", "derived", "", "e1")
    for i in range(2):
        at = NOW + i * 400 * DAY
        book.save(Plan(f"p{i}", at, at + DAY, at, (change,)), {}, at)
        book.start_apply(f"p{i}", "apply", at, f"a{i}")
        book.end_apply(f"a{i}", "done", at)
    book.set_pushed([(("hubspot", "contacts", "1", "x"), "mark")], NOW)
    for about in ("plan:p0", "plan:p1", "change:c1"):
        add_note(shelf.ledger, Note(about, "checked", "ana", NOW))
    assert gone(shelf, NOW + 500 * DAY, plans=365) == {"plans": 1}
    assert ([p.plan_id for p in book.plans()], [a["id"] for a in book.applies()]) == (["p1"], ["a1"])
    assert book.pushed("hubspot").num_rows == 1
    assert [n.about for n in notes_about(shelf.ledger, ["plan:p0", "plan:p1", "change:c1"])] == ["plan:p1", "change:c1"]
    assert gone(shelf, NOW + 9000 * DAY, plans=365) == {"plans": 1}
    assert notes_about(shelf.ledger, ["plan:p1", "change:c1"]) == []


def test_a_run_that_goes_on_keeps_its_plan(shelf: Shelf) -> None:
    book = PlanBook(shelf.ledger)
    book.save(Plan("p", NOW, NOW + DAY, NOW, ()), {}, NOW)
    book.start_apply("p", "apply", NOW, "a")
    assert gone(shelf, NOW + 9000 * DAY, plans=1) == {"plans": 0}
