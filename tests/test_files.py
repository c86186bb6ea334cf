"""Files as an account: what is read when, and how people's dirt becomes rows; through the lake, as a sync does it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from exports import NOW, Exports, mapping

from connectors import files_read
from connectors.files import CONNECTOR, Session
from core.connector import Ask
from core.errors import UserError

HEAD = "Id,Name,E-Mail,Points,Met\n"
TWO = HEAD + "1,Ann,ann@acme.test,5,2026-05-01\n2,Bo,bo@acme.test,6,2026-05-02\n"


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    folder = Exports(tmp_path)
    yield folder
    folder.place.close()


# -- which files are read when ------------------------------------------------------------------------------------------------
def test_an_unchanged_file_is_not_opened_again(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.write("in/a.csv", TWO)
    assert (exports.pull().kept, exports.people()) == (2, {"1": "Ann", "2": "Bo"})
    monkeypatch.setattr(files_read, "parts", lambda *a: pytest.fail("it was opened"))
    assert (exports.pull().kept, exports.pull().status) == (0, "done")


def test_a_file_whose_times_alone_changed_is_known_by_its_digest(exports: Exports) -> None:
    path = exports.write("in/a.csv", TWO)
    exports.pull()
    os.utime(path, (1, 1))
    count = exports.pull()
    assert (count.kept, count.pages) == (0, 0)


def test_a_change_that_keeps_size_and_time_is_seen(exports: Exports) -> None:
    path = exports.write("in/a.csv", TWO, at=1_000_000)
    exports.pull()
    path.write_text(TWO.replace("Ann,", "Eva,"))
    os.utime(path, (1_000_000, 1_000_000))
    assert (exports.pull().appended, exports.people()["1"]) == (1, "Eva")


def test_a_changed_file_is_read_whole_and_says_nothing_about_rows_it_lost(exports: Exports) -> None:
    exports.write("in/a.csv", TWO)
    exports.pull()
    exports.write("in/a.csv", TWO.replace("1,Ann,ann@acme.test,5,2026-05-01\n", "3,Cy,,,\n"))
    assert (exports.pull().kept, exports.people()) == (2, {"1": "Ann", "2": "Bo", "3": "Cy"})


def test_a_file_that_is_taken_away_says_nothing_about_its_rows(exports: Exports) -> None:
    path = exports.write("in/a.csv", TWO)
    exports.pull()
    path.unlink()
    count = exports.pull()
    assert (count.status, count.kept, exports.people()) == ("done", 0, {"1": "Ann", "2": "Bo"})


def test_a_file_that_grew_is_read_from_its_old_end(exports: Exports) -> None:
    path = exports.write("in/a.csv", TWO)
    exports.pull()
    with path.open("a") as file:
        file.write("3,Cy,cy@acme.test,7,2026-05-03\n4,Di,x,7,\n")
    count = exports.pull()
    assert (count.kept, count.rejected, count.appended) == (2, 0, 2)
    assert exports.rejects()[0].partition("in/a.csv:")[2].startswith("5: email: ")  # lines go on counting


def test_a_file_that_grew_after_an_unfinished_line_is_read_whole(exports: Exports) -> None:
    path = exports.write("in/a.csv", TWO + "3,Cy,cy@acme.test,7,2026-05-03")
    exports.pull()
    with path.open("a") as file:
        file.write("T00:00:00Z\n")
    assert (exports.pull().kept, exports.column("created_at")["3"]) == (3, datetime(2026, 5, 3, tzinfo=UTC))


def test_a_file_that_grew_and_was_edited_before_is_read_whole(exports: Exports) -> None:
    exports.write("in/a.csv", TWO)
    exports.pull()
    exports.write("in/a.csv", TWO.replace("Ann", "Eva") + "3,Cy,,,\n")
    assert (exports.pull().kept, exports.people()) == (3, {"1": "Eva", "2": "Bo", "3": "Cy"})


def test_growing_lines_of_json_are_read_from_the_old_end(exports: Exports) -> None:
    rows = [json.dumps({"Id": str(i), "Name": f"N{i}"}) + "\n" for i in range(3)]
    exports.write("in/a.jsonl", "".join(rows[:2]))
    exports.pull()
    exports.write("in/a.jsonl", "".join(rows))
    assert (exports.pull().kept, exports.people()) == (1, {"0": "N0", "1": "N1", "2": "N2"})


def test_files_are_read_oldest_first_so_that_the_newest_word_counts(exports: Exports) -> None:
    exports.write("in/a.csv", HEAD + "1,New,,,\n", at=2_000)
    exports.write("in/b.csv", HEAD + "1,Old,,,\n", at=1_000)
    exports.pull()
    assert exports.people() == {"1": "New"}


def test_files_ordered_by_name_count_numbers_as_numbers(exports: Exports) -> None:
    exports.write("in/week-10.csv", HEAD + "1,Tenth,,,\n", at=1_000)
    exports.write("in/week-9.csv", HEAD + "1,Ninth,,,\n", at=2_000)
    exports.pull(mapping("key: Id, order: name"))
    assert exports.people() == {"1": "Tenth"}


def test_a_new_snapshot_takes_away_what_it_no_longer_lists(exports: Exports) -> None:
    snapshots = mapping("key: Id, whole: true")
    exports.write("in/may.csv", TWO, at=1_000)
    exports.pull(snapshots)
    exports.write("in/june.csv", HEAD + "2,Bo,,,\n3,Cy,,,\n", at=2_000)
    count = exports.pull(snapshots)
    assert (count.status, count.deleted, exports.people()) == ("done", 1, {"2": "Bo", "3": "Cy"})
    (exports.folder / "in/june.csv").unlink()  # the older one does not come back to life
    assert (exports.pull(snapshots).kept, exports.people()) == (0, {"2": "Bo", "3": "Cy"})


def test_of_several_snapshots_only_the_newest_is_read(exports: Exports) -> None:
    exports.write("in/may.csv", TWO, at=1_000)
    exports.write("in/june.csv", HEAD + "3,Cy,,,\n", at=2_000)
    assert (exports.pull(mapping("key: Id, whole: true")).kept, exports.people()) == (1, {"3": "Cy"})


@pytest.mark.parametrize("content", ["", HEAD, "\n\n"])
def test_an_empty_snapshot_is_not_believed(exports: Exports, content: str) -> None:
    snapshots = mapping("key: Id, whole: true")
    exports.write("in/may.csv", TWO, at=1_000)
    exports.pull(snapshots)
    exports.write("in/june.csv", content, at=2_000)
    count = exports.pull(snapshots)
    assert (count.status, exports.people()) == ("partial", {"1": "Ann", "2": "Bo"})
    assert "in/june.csv lists nothing" in count.reason


def test_a_snapshot_with_unreadable_rows_deletes_nobody(exports: Exports) -> None:
    snapshots = mapping("key: Id, whole: true")
    exports.write("in/may.csv", TWO, at=1_000)
    exports.pull(snapshots)
    exports.write("in/june.csv", HEAD + "2,Bo,,,\nbroken\n", at=2_000)
    count = exports.pull(snapshots)
    assert (count.rejected, count.deleted, set(exports.people())) == (1, 0, {"1", "2"})
    assert "rejected rows may be among them" in count.reason


def test_a_file_that_is_written_while_it_is_read_waits_for_the_next_run(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exports.write("in/a.csv", TWO)
    exports.write("in/b.csv", HEAD + "9,Zoe,,,\n")
    inner = files_read.parts

    def slow(seen: Any, given: Any) -> Any:
        found = inner(seen, given)
        if seen.name == "in/a.csv":
            path.write_text(TWO + "3,Cy,,,\n")
        return found

    monkeypatch.setattr(files_read, "parts", slow)
    count = exports.pull()
    assert (count.status, exports.people()) == ("partial", {"9": "Zoe"})
    assert count.reason == "in/a.csv was being written while it was read: it waits for the next run"
    monkeypatch.undo()
    assert (exports.pull().status, set(exports.people())) == ("done", {"1", "2", "3", "9"})


def test_a_young_file_waits_where_the_mapping_says_so(exports: Exports) -> None:
    exports.write("in/a.csv", TWO, at=NOW.timestamp() - 30)
    patient = mapping("key: Id, settle_s: 60")
    assert exports.pull(patient).reason == "in/a.csv changed less than 60 s ago: it waits for the next run"
    assert exports.pull(patient, now=NOW + timedelta(minutes=1)).kept == 2


def test_an_interrupted_read_goes_on_in_the_middle_of_its_file(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_read, "PAGE_ROWS", 2)
    exports.write("in/a.csv", HEAD + "".join(f"{i},N{i},,,\n" for i in range(9)))
    table = mapping()
    ask = Ask("leads", table.resource("leads").fields_asked, NOW, reads=table.reads["leads"].options)
    session = Session(exports.folder)
    pages = list(files_read.read(session, ask))
    assert [page.body.count(b"N") - 1 for page in pages] == [2, 2, 2, 2, 1]
    for k, page in enumerate(pages):
        again = Ask("leads", ask.fields, NOW, state=json.loads(json.dumps(page.state)), reads=ask.reads)
        assert [p.body for p in files_read.read(session, again)] == [p.body for p in pages[k + 1 :]]


def test_no_file_at_all_is_not_taken_for_an_empty_table(exports: Exports) -> None:
    count = exports.pull()
    assert (count.status, count.reason) == ("partial", f"no file fits in/* in {exports.folder}")


def test_a_since_limits_the_first_read(exports: Exports) -> None:
    exports.write("in/a.csv", TWO, at=1_000)
    exports.write("in/b.csv", HEAD + "9,Zoe,,,\n", at=1_700_000_000)
    exports.pull(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert exports.people() == {"9": "Zoe"}


# -- what a user is told -------------------------------------------------------------------------------------------------------
def test_every_mistake_in_the_options_is_told_at_its_place() -> None:
    with pytest.raises(UserError) as caught:
        mapping('key: Id, decimal: ";", date_format: "%d", encoding: utf-9, delimiter: "ab", sheets: x', files="../secrets/*.csv")
    text = str(caught.value)
    assert text.count("files.yaml:4:") == 6
    for said in (
        "stays inside the account's folder",
        "names day, month and year",
        "no encoding 'utf-9'",
        "one sign",
        "did you mean 'sheet'",
    ):
        assert said in text


def test_a_folder_that_is_not_there_is_told_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        CONNECTOR.open({"folder": str(tmp_path / "nowhere")}, None)  # type: ignore[arg-type]
    assert "setting `folder`" in str(caught.value)
