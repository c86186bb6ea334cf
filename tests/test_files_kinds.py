"""What is read of each kind of file: workbooks, packed files, JSON in its shapes, Parquet."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
from exports import Exports, instant, mapping
from pyarrow.parquet import write_table
from test_files import HEAD, TWO

from connectors import files_read
from connectors.files import CONNECTOR, Session

LOCAL = datetime(2026, 5, 1, 10)  # noqa: DTZ001 - as files have it


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    folder = Exports(tmp_path)
    yield folder
    folder.place.close()


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
