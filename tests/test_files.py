"""Files as an account: what is read when, and how people's dirt becomes rows; through the lake, as a sync does it."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
from exports import NOW, Exports, instant, mapping
from pyarrow.parquet import write_table

from connectors import files_read
from connectors.files import CONNECTOR, Session
from core.connector import Ask
from core.errors import UserError

LOCAL = datetime(2026, 5, 1, 10)  # noqa: DTZ001 - as files have it
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


# -- how cells are written -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_are_told_from_the_bytes(exports: Exports, encoding: str) -> None:
    exports.write("in/a.csv", HEAD + "1,Jürgen Groß,jg@acme.test,5,2026-05-01\n2,José Peña,,,\n", encoding=encoding)
    exports.pull()
    assert exports.people() == {"1": "Jürgen Groß", "2": "José Peña"}


def test_windows_bytes_within_utf8_are_read_as_such(exports: Exports) -> None:
    exports.write("in/a.csv", (HEAD + "1,Jürgen,,,\n").encode() + "2,Müller,,,\n".encode("cp1252"))
    exports.pull()
    assert exports.people() == {"1": "Jürgen", "2": "Müller"}


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters_are_told_from_the_rows(exports: Exports, sign: str) -> None:
    exports.write("in/a.csv", TWO.replace(",", sign))
    exports.pull()
    assert exports.people() == {"1": "Ann", "2": "Bo"}


def test_a_comma_in_every_number_does_not_hide_the_semicolons(exports: Exports) -> None:
    exports.write("in/a.csv", "Id;Name;Points\n1;A, B;1.234,5\n2;C, D;2,5\n3;E, F;-0,25\n")
    exports.pull(mapping('key: Id, decimal: ","', fields="first_name: Name, score: Points"))
    assert exports.column("score") == {"1": 1234.5, "2": 2.5, "3": -0.25}


def test_dates_and_times_without_a_zone_are_local(exports: Exports) -> None:
    cells = ("2026-05-01 10:00", "01.05.2026 10:00", "46143.4166666667", "2026-05-01T08:00:00Z")
    exports.write("in/a.csv", HEAD + "".join(f"{i},N,,,{cell}\n" for i, cell in enumerate(cells)))
    exports.pull(mapping('key: Id, date_format: "%d.%m.%Y %H:%M"'))
    assert set(exports.column("created_at").values()) == {instant("2026-05-01T10:00:00+02:00")}


def test_blank_lines_repeated_headers_and_sums_are_no_rows(exports: Exports) -> None:
    lines = ["sep=;", "Id;Name;E-Mail;Points;Met", "1;Ann;;5;", "", ";;;;", "Id;Name;E-Mail;Points;Met", "2;Bo;;6;", "Summe;;;11;", ""]
    exports.write("in/a.csv", "\r\n".join(lines))
    count = exports.pull()
    assert (count.kept, count.rejected, exports.people()) == (2, 0, {"1": "Ann", "2": "Bo"})
    assert count.reason == "in/a.csv: its last row only adds up and was left out"


def test_a_company_called_total_is_no_sum(exports: Exports) -> None:
    exports.write("in/a.csv", HEAD + "1,Ann,ann@acme.test,5,2026-05-01\nTotal,Tom,tom@total.test,6,2026-05-02\n")
    exports.pull()
    assert exports.people() == {"1": "Ann", "Total": "Tom"}


def test_every_bad_row_and_value_is_told_with_its_line_and_the_rest_comes(exports: Exports) -> None:
    exports.write(
        "in/a.csv",
        'Id,Name,E-Mail,Points,Met\n1,Ann,,5,\n2,short\n3,Cy,,,,long\n4,"never closed,,,\n5,Eve,not an address,,\n'
        '6,"two\nlines",,,\n7,Gus,,"1,5",\n8,Hal,,,31.12.2026\n,No,,,\n9,Ida,,,\n',
    )
    count = exports.pull()
    assert (count.kept, count.rejected) == (6, 4)
    assert exports.people() == {"1": "Ann", "5": "Eve", "6": "two\nlines", "7": "Gus", "8": "Hal", "9": "Ida"}
    assert count.reason == "3 values could not be read and count as empty (Met 1, Points 1, email 1)"
    by_line = {}
    for text in exports.rejects():
        place, _, reason = text.partition("in/a.csv:")[2].partition(": ")
        by_line[int(place)] = reason
    assert by_line == {
        3: "2 cells under a header of 5",
        4: "6 cells under a header of 5",
        5: "a quote is opened or closed where none should be",
        6: "email: not a value of type email; read as empty",
        9: "Points: not a number with a decimal point and no thousands separators; see `decimal` and `thousands`; read as empty",
        10: "Met: not an ISO date; see `date_format`; read as empty",
        11: "the key Id is empty",
    }
    assert not [text for text in exports.rejects() if "not an address" in text or "31.12" in text]


def test_a_telephone_number_is_no_number(exports: Exports) -> None:
    exports.write("in/a.csv", "Id,Phone,Points\n007,030.123.456,1.000\n")
    exports.pull(mapping('key: Id, decimal: ","', fields="phone: Phone, score: Points"))
    assert (exports.column("phone"), exports.column("score")) == ({"007": "030.123.456"}, {"007": 1000.0})


def test_a_key_that_is_an_address_is_kept_as_a_digest(exports: Exports) -> None:
    exports.write("in/a.csv", TWO.replace("ann@acme.test", "Ann@ACME.test"))
    exports.write("in/b.csv", TWO)
    exports.pull(mapping("key: E-Mail"))
    assert len(exports.people()) == 2
    assert not [key for key in exports.people() if "@" in key or "acme" in key]


def test_rows_without_a_key_are_told_apart_by_all_they_say(exports: Exports) -> None:
    exports.write("in/a.csv", TWO)
    exports.write("in/b.csv", TWO + "2,Bo,,,\n")
    exports.pull(mapping("order: name"))
    assert sorted(exports.people().values()) == ["Ann", "Bo", "Bo"]


def test_a_missing_key_column_leaves_the_file_and_names_a_near_one(exports: Exports) -> None:
    exports.write("in/a.csv", TWO.replace("Id,", "ID ,"))
    exports.write("in/b.csv", TWO)
    count = exports.pull()
    assert (count.status, count.kept) == ("partial", 2)
    assert count.reason.startswith("in/a.csv: no column 'Id'; did you mean 'ID'? it has 'ID', 'Name'")


def test_a_missing_mapped_column_is_said(exports: Exports) -> None:
    exports.write("in/a.csv", "Id,Name\n1,Ann\n")
    count = exports.pull()
    assert (count.status, count.reason) == ("done", "in/a.csv has no column 'E-Mail', 'Points', 'Met'")


def test_a_column_with_a_new_name_is_told_with_the_way_to_read_both(exports: Exports) -> None:
    exports.write("in/a.csv", "Id,Name,E-Mail,Points,Met\n1,Ann,a@a.example,,\n", at=NOW.timestamp() - 90)
    exports.write("in/b.csv", "Id,Name,Email,Points,Met\n2,Bo,b@b.example,,\n", at=NOW.timestamp() - 80)
    assert exports.pull().reason == "in/b.csv has no column 'E-Mail' (renamed? The mapping may name both: [E-Mail, Email])"
    both = mapping(fields="first_name: Name, email: {path: [E-Mail, Email], read: email}")
    exports.pull(both, full=True)
    rows = exports.place.lake.sql("SELECT vendor_id, email FROM person ORDER BY vendor_id").to_pylist()
    assert [tuple(row.values()) for row in rows] == [("1", "a@a.example"), ("2", "b@b.example")]


@pytest.mark.parametrize("name", ["Tel.", "Kunden-Nr.", "Budget (est. EUR)", "2026", "2026.", "A..."])
def test_a_column_may_be_called_as_people_call_them(exports: Exports, name: str) -> None:
    exports.write("in/a.csv", f"Id,{name}\n1,Ann\n")
    count = exports.pull(mapping(fields=f'first_name: "{name}"'))
    assert (count.status, count.reason, exports.people()) == ("done", "", {"1": "Ann"})


@pytest.mark.parametrize("path", [".", ".a", "a..b", "context"])
def test_what_no_column_is_called_is_no_path(path: str) -> None:
    with pytest.raises(UserError, match=r"files.yaml:\d+:\d+"):
        mapping(fields=f'first_name: "{path}"')


def test_files_without_a_header_are_named_by_the_mapping(exports: Exports) -> None:
    exports.write("in/a.csv", "1,Ann,,5,\n2,Bo,,6,\n")
    exports.pull(mapping("key: Id, columns: [Id, Name, E-Mail, Points, Met]"))
    assert exports.people() == {"1": "Ann", "2": "Bo"}


def test_changed_options_read_every_file_again(exports: Exports) -> None:
    exports.write("in/a.csv", 'Id,Name,Points\n1,Ann,"1,5"\n')
    fields = "first_name: Name, score: Points"
    assert exports.pull(mapping(fields=fields)).reason == "1 values could not be read and count as empty (Points 1)"
    assert (exports.pull(mapping('key: Id, decimal: ","', fields=fields)).kept, exports.column("score")) == (1, {"1": 1.5})


# -- kinds of files ------------------------------------------------------------------------------------------------------------
def workbook(rows: list[list[Any]], *, sheet: str = "Leads", options: dict[str, Any] | None = None, hidden: bool = False) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "dd.mm.yyyy hh:mm", **(options or {})}) as book:
        if hidden:
            notes, page = book.add_worksheet("Notes"), book.add_worksheet(sheet)
            page.activate()
            notes.hide()
        else:
            page = book.add_worksheet(sheet)
        for i, row in enumerate(rows):
            page.write_row(i, 0, row)
        page.merge_range("G1:H2", "merged")
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"date_1904": True}])
def test_a_workbook_gives_values_as_excel_shows_them(exports: Exports, options: dict[str, Any]) -> None:
    rows = [["Id", "Name", "E-Mail", "Points", "Met"], [1001, "Ann", "", 1234.5, LOCAL], [1002, "Bo", "", "1.234,5", ""]]
    exports.write("in/a.xlsx", workbook(rows, options=options, hidden=True))
    exports.pull(mapping('key: Id, decimal: ","'))
    assert exports.people() == {"1001": "Ann", "1002": "Bo"}
    assert exports.column("score") == {"1001": 1234.5, "1002": 1234.5}
    assert exports.column("created_at")["1001"] == instant("2026-05-01T10:00:00+02:00")


def test_a_formula_is_what_excel_last_computed(exports: Exports) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["Id", "Points"])
        page.write_number(1, 0, 1)
        page.write_formula(1, 1, "=A2*6", None, 6)
    exports.write("in/a.xlsx", out.getvalue())
    exports.pull(mapping(fields="score: Points"))
    assert exports.column("score") == {"1": 6.0}


def test_a_sheet_is_chosen_by_name_and_its_header_by_row(exports: Exports) -> None:
    rows = [["Confidential"], [], ["Id", "Name"], [1, "Ann"], ["", ""], [2, "Bo"]]
    exports.write("in/a.xlsx", workbook(rows, sheet="List"))
    exports.pull(mapping("key: Id, sheet: List, header_row: 3", fields="first_name: Name"))
    assert exports.people() == {"1": "Ann", "2": "Bo"}
    assert "no sheet 'Lost'; it has List" in exports.pull(mapping("key: Id, sheet: Lost")).reason


def test_a_row_of_a_workbook_is_told_by_excels_number(exports: Exports) -> None:
    exports.write("in/a.xlsx", workbook([["Id", "Name", "Points"], [1, "Ann", 5], [2, "Bo", "many"]]))
    exports.pull(mapping(fields="first_name: Name, score: Points"))
    assert exports.rejects()[0].startswith("in/a.xlsx:3: Points: not a number")


def test_packed_files_are_read_unpacked(exports: Exports) -> None:
    exports.write("in/a.csv.gz", gzip.compress(TWO.encode()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/b.csv", HEAD + "3,Cy,bad,,\n")
        archive.writestr("c.tsv", "Id\tName\tE-Mail\tPoints\tMet\n4\tDi\t\t\t\n")
        archive.writestr("__MACOSX/b.csv", "\0\1")
        archive.writestr("readme.pdf", "%PDF")
    exports.write("in/b.zip", out.getvalue())
    assert (exports.pull().status, exports.people()) == ("done", {"1": "Ann", "2": "Bo", "3": "Cy", "4": "Di"})
    assert "in/b.zip/x/b.csv:2: email" in exports.rejects()[0]


def test_json_lines_and_lists_and_their_bad_rows(exports: Exports) -> None:
    good = [{"Id": str(i), "Name": f"N{i}", "Points": i} for i in range(4)]
    exports.write("in/a.jsonl", json.dumps(good[0]) + "\n\n{broken\n[1]\n{}\n" + json.dumps(good[1]) + "\n")
    exports.write("in/b.json", json.dumps([*good[2:], "text", {"Name": "no id"}], indent=1))
    count = exports.pull()
    assert (count.kept, count.rejected, set(exports.people())) == (4, 5, {"0", "1", "2", "3"})
    assert sorted(exports.rejects()) == [
        "in/a.jsonl:3: the line is not JSON",
        "in/a.jsonl:4: not an object with names",
        "in/a.jsonl:5: the key Id is empty",
        "in/b.json:3: not an object with names",
        "in/b.json:4: the key Id is empty",
    ]


@pytest.mark.parametrize("name", ["in/a.jsonl", "in/a.json", "in/a.parquet"])
def test_a_value_that_cannot_be_read_is_left_empty_in_every_kind_of_file(exports: Exports, name: str) -> None:
    rows = [{"Id": "1", "Name": "Ann", "Met": "31.12.2026"}, {"Id": "2", "Name": "Bo", "Met": "2026-05-01"}]
    if name.endswith("parquet"):
        write_table(pa.Table.from_pylist(rows), exports.folder / name)
    else:
        exports.write(name, json.dumps(rows) if name.endswith("json") else "\n".join(map(json.dumps, rows)))
    count = exports.pull(mapping(fields="first_name: Name, created_at: Met"))
    assert (count.kept, count.reason) == (2, "1 values could not be read and count as empty (Met 1)")
    assert exports.column("created_at") == {"1": None, "2": instant("2026-05-01T00:00:00+02:00")}
    assert exports.rejects() == [f"{name}:1: Met: not an ISO date; see `date_format`; read as empty"]


def test_a_long_json_list_is_read_piece_by_piece(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_read, "PAGE_ROWS", 700)
    rows = [{"Id": str(i), "Name": "ß" * (i % 90), "nested": {"a": [i, "}]"]}} for i in range(5000)]
    exports.write("in/b.json", json.dumps(rows, ensure_ascii=False))
    assert exports.pull().pages == 8
    assert {key: name or "" for key, name in exports.people().items()} == {row["Id"]: row["Name"] for row in rows}


def test_a_list_that_breaks_off_is_left_and_told(exports: Exports) -> None:
    exports.write("in/b.json", json.dumps([{"Id": "1", "Name": "Ann"}])[:-3])
    count = exports.pull()
    assert (count.status, exports.people()) == ("partial", {})
    assert count.reason == "in/b.json: the list breaks off: the file is damaged or not complete"


def test_lists_of_pairs_become_objects(exports: Exports) -> None:
    pairs = [
        {"key": "page", "value": {"string_value": "/a", "int_value": None}},
        {"key": "n", "value": {"string_value": None, "int_value": 7}},
        {"key": "plain", "value": "x"},
    ]
    exports.write("in/a.jsonl", json.dumps({"Id": "1", "params": pairs}))
    more = "    attributes: {plain: params.plain}"
    exports.pull(mapping("key: Id, pairs: params", fields="first_name: params.page, score: params.n", more=more))
    assert (exports.people(), exports.column("score"), exports.column("attributes")) == ({"1": "/a"}, {"1": 7.0}, {"1": '{"plain":"x"}'})


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_gives_the_same_flat_as_csv_and_nested_as_json(exports: Exports, nested: bool) -> None:
    table = {
        "Id": [1, 2], "Name": ["Ann", "Bo"], "E-Mail": ["ann@acme.test", None], "Points": [3.0, None],
        "Met": [LOCAL, None],
    }  # fmt: skip
    fields = "first_name: Name, email: {path: E-Mail, read: email}, score: Points, created_at: Met"
    if nested:
        table = {"Id": table["Id"], "who": [{k: v[i] for k, v in table.items() if k != "Id"} for i in (0, 1)]}
        fields = "first_name: who.Name, email: {path: who.E-Mail, read: email}, score: who.Points, created_at: who.Met"
    write_table(pa.table(table), exports.folder / "in/a.parquet")
    assert exports.pull(mapping(fields=fields)).rejected == 0
    assert exports.people() == {"1": "Ann", "2": "Bo"}
    assert exports.column("score") == {"1": 3.0, "2": None}
    assert exports.column("created_at") == {"1": instant("2026-05-01T10:00:00+02:00"), "2": None}


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


def test_discover_lists_the_columns_of_every_file(exports: Exports) -> None:
    exports.write("in/a.csv", TWO)
    exports.write("in/b.jsonl", '{"Id": 1, "Who": {"x": 1}}\n')
    exports.write("in/c.xlsx", workbook([["Id", "Name"], [1, "Ann"]]))
    assert CONNECTOR.discover is not None
    found: dict[str, list[str]] = {}
    for one in CONNECTOR.discover(Session(exports.folder)).fields:
        found.setdefault(one.resource, []).append(one.path)
    assert found == {
        "in/a.csv": ["Id", "Name", "E-Mail", "Points", "Met"],
        "in/b.jsonl": ["Id", "Who"],
        "in/c.xlsx": ["Id", "Name", *[f"column {i}" for i in range(3, 7)], "merged"],
    }
