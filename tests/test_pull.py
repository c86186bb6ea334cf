from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pulled import MAPPING, NOW, Place, Toy, connector, mapping, person

from core.collector import long_lived
from core.connector import Ask, Page
from core.errors import Busy, CredentialsError, VendorError, VendorUnavailable
from core.ledger import Ledger
from core.normalise import Batch
from core.pull import Source, in_order, in_waves, one_ahead, pull

LATER = NOW + timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Toy([person(i) for i in range(1, 9)], [{"id": "f1", "name": "Acme", "size": 5}]))
    yield made
    made.close()


def test_every_row_arrives_once_over_several_pages_and_batches(place: Place) -> None:
    result = place.pull(batch_rows=4)
    assert result.status == "done"
    assert [(c.resource, c.kept, c.appended, c.vendor_total) for c in result.counts] == [("people", 8, 8, 8), ("firms", 1, 1, 1)]
    assert place.people() == {str(i): "Ann" for i in range(1, 9)}


def test_second_identical_pull_appends_nothing_and_skips_whole_pages(place: Place) -> None:
    place.pull()
    again = place.pull(now=LATER, full=True)
    assert [(c.kept, c.appended, c.pages, c.skipped_pages) for c in again.counts] == [(8, 0, 3, 3), (1, 0, 1, 1)]
    assert place.versions() == 8


def test_a_changed_row_makes_one_new_version_and_its_neighbours_none(place: Place) -> None:
    place.pull()
    place.toy.people[4]["name"] = "Bob"
    again = place.pull(now=LATER, full=True)
    assert (again.counts[0].appended, again.counts[0].skipped_pages) == (1, 2)
    assert place.people()["5"] == "Bob"
    assert place.people(as_of=NOW)["5"] == "Ann"
    assert place.versions() == 9


def test_a_row_that_went_back_to_an_old_value_is_seen_although_its_page_is_known(place: Place) -> None:
    place.pull()
    place.toy.people[0]["name"] = "Bob"
    place.pull(now=LATER, full=True)
    place.toy.people[0]["name"] = "Ann"
    place.pull(now=LATER + timedelta(days=1), full=True)
    assert place.people()["1"] == "Ann"
    assert place.versions() == 10


def test_increments_start_from_the_committed_state(place: Place) -> None:
    vendor = connector(cursor="at")
    place.pull(connector=vendor)
    place.toy.people += [person(i) for i in range(9, 13)]
    place.toy.total_offset = -9
    place.pull(now=LATER, connector=vendor)
    assert place.toy.asked[-2].state == {"v": 1, "next": 9}
    assert sorted(place.people(), key=int) == [str(i) for i in (*range(1, 9), *range(10, 13))]  # the toy reads on by place


@pytest.mark.parametrize("moment", ["before the append", "between append and commit", "after the commit"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_crash_loses_nothing_and_doubles_nothing(place: Place, moment: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    class Killed(BaseException):
        pass

    def dying(real: object, *, after: bool) -> object:
        def call(*args: object, **kw: object) -> object:
            nonlocal calls
            calls += 1
            if calls == batch and not after:
                raise Killed
            out = real(*args, **kw)  # type: ignore[operator]
            if calls == batch and after:
                raise Killed
            return out

        return call

    with monkeypatch.context() as patch:
        name, owner = ("append", place.lake) if moment == "before the append" else ("commit_batch", place.ledger)
        patch.setattr(owner, name, dying(getattr(owner, name), after=moment == "after the commit"))
        with pytest.raises(Killed):
            place.pull(batch_rows=4, connector=connector(cursor="at"))
    seen = place.people()
    assert set(seen) <= {str(i) for i in range(1, 9)}
    if moment == "between append and commit" and batch == 1:
        assert seen == {}  # the orphan rows lie in the lake, but nobody sees them
    result = place.pull(now=LATER, batch_rows=4, connector=connector(cursor="at"))
    assert result.status == "done"
    assert len(place.people()) == 8
    assert place.versions() == 8
    stored = place.lake._fresh("person").to_pyarrow_table().num_rows  # type: ignore[union-attr]
    assert stored == 8  # orphans were swept


def _pull_and_die(folder: str, page: int) -> None:
    place = Place(Path(folder), Toy([person(i) for i in range(1, 31)]))

    def die(resource: str, number: int) -> None:
        if resource == "people" and number == page:
            os.kill(os.getpid(), signal.SIGKILL)

    place.toy.before_page = die
    place.pull(batch_rows=4, connector=connector(cursor="at"))


@pytest.mark.parametrize("page", [0, 3, 9])
def test_after_kill_minus_nine_the_same_command_ends_as_if_undisturbed(tmp_path: Path, page: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_pull_and_die, args=(str(tmp_path), page))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    place = Place(tmp_path, Toy([person(i) for i in range(1, 31)]))
    result = place.pull(now=LATER, batch_rows=4, connector=connector(cursor="at"))  # takes the dead run's lease at once
    assert (result.status, place.versions(), len(place.people())) == ("done", 30, 30)
    place.close()


def test_a_count_that_does_not_add_up_is_partial_and_read_again_next_time(place: Place) -> None:
    place.toy.total_offset = 2
    result = place.pull(connector=connector(cursor="at"))
    assert result.status == "partial"
    assert "people: the vendor counts 10, 2 rows did not come" in result.reasons[0]
    place.toy.total_offset = 0
    assert place.pull(now=LATER, connector=connector(cursor="at")).status == "done"
    assert place.toy.asked[2].state is None


def test_a_row_listed_twice_does_not_hide_one_that_never_came(place: Place) -> None:
    place.toy.people[7] = place.toy.people[0]
    result = place.pull()
    assert result.counts[0].status == "partial"


def test_a_read_that_says_it_is_not_at_its_end_is_partial_and_goes_on_from_there(place: Place) -> None:
    read = place.toy.read

    def in_parts(name: str, ask: Ask) -> Iterator[Page]:
        for i, page in enumerate(read(name, ask)):
            yield replace(page, unfinished="3 people a run are enough" if name == "people" and i == 0 else "")
            if name == "people":
                return

    place.toy.read = in_parts  # type: ignore[method-assign]
    first = place.pull()
    assert (first.status, first.counts[0].status) == ("partial", "partial")
    assert first.counts[0].reason == "3 people a run are enough; the next run goes on from here"
    assert sorted(place.people()) == ["1", "2", "3"]
    place.toy.read = read  # type: ignore[method-assign]
    assert place.pull(now=LATER).status == "done"
    assert [ask.state for ask in place.toy.asked if ask.resource == "people"] == [None, {"v": 1, "next": 3}]
    assert sorted(place.people()) == [str(i) for i in range(1, 9)]


def test_a_value_that_cannot_be_read_is_told_and_counted_by_field_and_its_record_is_kept(place: Place) -> None:
    place.toy.people[2]["email"] = "no address"
    result = place.pull()
    assert (result.status, result.counts[0].kept, result.counts[0].rejected) == ("done", 8, 0)
    assert result.counts[0].reason == "1 values could not be read and count as empty (email 1)"
    (told,) = place.ledger.rejects(place.run_id)
    assert (told.vendor_id, told.reason) == ("3", "email: not a value of type email; read as empty")
    assert told.place.startswith("mapping.yaml:")


def test_a_bad_row_is_parked_with_its_place_and_the_rest_is_kept(place: Place) -> None:
    place.toy.people[2]["gone"] = "perhaps"
    result = place.pull()
    assert (result.status, result.counts[0].kept, result.counts[0].rejected) == ("done", 7, 1)
    (reject,) = place.ledger.rejects(place.run_id)
    assert reject.vendor_id == "3"
    assert reject.place.startswith("mapping.yaml:")


def test_a_number_too_large_for_its_column_costs_its_row_only(place: Place) -> None:
    place.toy.firms += [{"id": "f2", "name": "Big", "size": 10**30}, {"id": "f3", "name": "Cee", "size": 7}]
    firms = place.pull().counts[1]
    assert (firms.kept, firms.rejected, firms.appended, firms.status) == (2, 1, 2, "done")
    assert place.ledger.rejects(place.run_id)[0].reason.startswith("company.employees")


def test_a_resource_that_fails_leaves_the_others_alone_and_blocks_what_needs_it(place: Place) -> None:
    def refuse(resource: str, page: int) -> None:
        if resource == "firms":
            raise VendorError("the scope companies.read is missing", status=403)

    place.toy.before_page = refuse
    result = place.pull()
    assert (result.status, [c.status for c in result.counts]) == ("partial", ["done", "failed"])
    assert result.reasons == ("toy/firms: the scope companies.read is missing",)
    place.toy.before_page = lambda resource, page: (_ for _ in ()).throw(VendorError("no"))
    assert [c.reason for c in place.pull(now=LATER).counts] == ["no", "not read: it needs people, which failed"]


def test_pages_before_an_error_are_kept_and_the_next_run_goes_on_from_there(place: Place) -> None:
    def cut(resource: str, page: int) -> None:
        if page == 2:
            raise VendorError("broken page")

    place.toy.before_page = cut
    assert place.pull(connector=connector(cursor="at")).counts[0].status == "failed"
    assert len(place.people()) == 6
    place.toy.before_page = lambda resource, page: None
    result = place.pull(now=LATER, connector=connector(cursor="at"))
    assert (result.status, result.counts[0].kept, len(place.people())) == ("done", 2, 8)


def test_a_wrong_credential_stops_the_account_only(place: Place) -> None:
    def wrong() -> object:
        raise CredentialsError("token is wrong")

    run_id = place.ledger.start_run("sync", NOW)
    sources = [Source("a", connector(), mapping(), wrong), Source("b", connector(), mapping(), lambda: place.toy)]
    results = pull(sources, place.ledger, place.lake, run_id, now=NOW, threads=2)
    assert [(r.account, r.status) for r in results] == [("a", "failed"), ("b", "done")]
    assert isinstance(results[0].error, CredentialsError)


def test_an_account_that_reads_by_the_ids_of_others_comes_after_them() -> None:
    vendors = {"web": connector(linked="visitors"), "crm": connector(), "mail": connector()}
    assert in_waves(["web", "crm", "mail"], vendors.__getitem__) == [["crm", "mail"], ["web"]]


def test_a_vendor_that_never_answers_is_said_to_be_unavailable(place: Place) -> None:
    place.toy.before_page = lambda resource, page: (_ for _ in ()).throw(VendorUnavailable("no answer after 6 attempts"))
    with pytest.raises(VendorUnavailable):
        place.pull(only={"people"})


def test_stopping_finishes_the_page_in_hand_and_commits_it(place: Place) -> None:
    stop = threading.Event()
    result = place.pull(connector=connector(cursor="at"), stop=stop, on_progress=lambda *a: stop.set())
    assert [c.status for c in result.counts] == ["partial", "partial"]
    assert len(place.people()) == 3
    assert place.pull(now=LATER, connector=connector(cursor="at")).counts[0].kept == 5


def test_a_record_is_gone_only_after_two_whole_passes_missed_it(place: Place) -> None:
    place.pull()
    del place.toy.people[3]
    assert place.pull(now=LATER).counts[0].deleted == 0
    assert "4" in place.people()
    assert place.pull(now=LATER + timedelta(days=1)).counts[0].deleted == 1
    assert "4" not in place.people()
    place.toy.people.insert(3, person(4))
    place.pull(now=LATER + timedelta(days=2))
    assert "4" in place.people()


def test_a_resource_that_is_swept_believes_one_pass_unless_most_records_vanish(place: Place) -> None:
    place.toy.people = [person(i) for i in range(1, 21)]
    swept = connector(deletes="sweep")
    place.pull(connector=swept)
    del place.toy.people[0]
    assert place.pull(now=LATER, connector=swept).counts[0].deleted == 1
    del place.toy.people[2:]
    assert place.pull(now=LATER + timedelta(days=1), connector=swept).counts[0].deleted == 0
    assert place.pull(now=LATER + timedelta(days=2), connector=swept).counts[0].deleted == 17
    assert sorted(place.people(), key=int) == ["2", "3"]


def test_a_known_record_whose_row_cannot_be_read_is_not_taken_for_gone(place: Place) -> None:
    swept = connector(deletes="sweep")
    place.pull(connector=swept)
    place.toy.people[2]["gone"] = "perhaps"
    result = place.pull(now=LATER, connector=swept)
    assert (result.counts[0].rejected, result.counts[0].deleted) == (1, 0)
    assert "3" in place.people()


def test_losers_of_a_merge_point_to_their_survivor(place: Place) -> None:
    place.pull()
    place.toy.people[0]["merged"] = "7;8"
    del place.toy.people[6:]
    place.pull(now=LATER)
    rows = place.lake.sql("SELECT vendor_id, merged_into FROM person WHERE merged_into IS NOT NULL ORDER BY 1").to_pylist()
    assert rows == [{"vendor_id": "7", "merged_into": "1"}, {"vendor_id": "8", "merged_into": "1"}]
    place.toy.people.append(person(7, gone=True))  # the vendor's list of deleted ones names a loser again
    assert place.pull(now=LATER + timedelta(days=1)).counts[0].appended == 0


def test_a_changed_mapping_reads_everything_again(place: Place) -> None:
    vendor = connector(cursor="at")
    place.pull(connector=vendor)
    place.pull(now=LATER, connector=vendor, mapping=mapping(MAPPING.replace("first_name: name", "last_name: name")))
    assert place.toy.asked[-2].full
    assert place.lake.sql("SELECT count(*) AS n FROM person WHERE last_name = 'Ann'").to_pylist() == [{"n": 8}]


def test_forgotten_people_do_not_come_back(place: Place) -> None:
    place.pull()
    assert place.lake.forget([("toy", "people", "2")], LATER) == 1
    place.pull(now=LATER, full=True)
    assert "2" not in place.people()
    files = b"".join(f.read_bytes() for f in (place.folder / "lake" / "person").glob("*.parquet"))
    assert b"p1@example.com" in files
    assert b"p2@example.com" not in files


def test_two_runs_of_one_account_do_not_go_at_once(place: Place) -> None:
    place.ledger.take_lease("pull:toy", f"elsewhere/{os.getpid()}/x", NOW, 60)
    with pytest.raises(Busy, match="is being pulled by elsewhere"):
        place.pull()


def test_a_run_whose_batch_was_given_up_by_another_cannot_commit_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = place.lake.append

    def stall(kind: str, table: pa.Table) -> None:
        real(kind, table)
        Ledger(place.folder / "ledger.db").abandon_batches("toy")

    monkeypatch.setattr(place.lake, "append", stall)
    with pytest.raises(Busy, match="given up by another run"):
        place.pull()
    assert place.people() == {}


def test_resources_come_after_what_they_need() -> None:
    people, firms = connector().resources
    assert [r.name for r in in_order((firms, people), {"people", "firms"})] == ["people", "firms"]
    assert [r.name for r in in_order((firms, people), {"people", "firms"}, {"firms"})] == ["firms"]


def test_exactly_one_page_is_fetched_ahead() -> None:
    from concurrent.futures import ThreadPoolExecutor

    fetched: list[int] = []
    second = threading.Event()

    def pages() -> Iterator[int]:
        for i in range(4):
            fetched.append(i)
            if i == 1:
                second.set()
            yield i

    with ThreadPoolExecutor(1) as pool:
        ahead = one_ahead(pages(), pool)  # type: ignore[arg-type]
        next(ahead)
        assert second.wait(10)
        assert fetched == [0, 1]
        assert [*ahead] == [1, 2, 3]


def test_a_batch_keeps_columns_equally_long_when_pages_map_different_ones() -> None:
    batch = Batch("a", "toy", "people")
    batch._extend("person", {"vendor_id": ["1"], "first_name": ["Ann"]}, 1)
    batch._extend("person", {"vendor_id": ["2"], "links": [("x",)]}, 1)
    table = batch.tables(NOW)[0]["person"]
    assert table.select(["vendor_id", "first_name", "links"]).to_pylist() == [
        {"vendor_id": "1", "first_name": "Ann", "links": []},
        {"vendor_id": "2", "first_name": None, "links": ["x"]},
    ]


def test_the_collector_is_itself_again_after_the_last_pull_is_out() -> None:
    before = gc.get_threshold()
    with long_lived():
        with long_lived():
            pass
        assert gc.get_threshold() == (max(before[0], 5000), before[1], 1000)
    assert gc.get_threshold() == before
