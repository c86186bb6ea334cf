"""How cells are written: encodings, delimiters, dates, keys, columns, and rows that are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from exports import NOW, Exports, instant, mapping
from test_files import HEAD, TWO

from core.errors import UserError


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    folder = Exports(tmp_path)
    yield folder
    folder.place.close()


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
