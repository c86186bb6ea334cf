"""Files nobody would write on purpose: none of them stops the others, leaves the folder, or fills the memory."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from exports import Exports, mapping

from connectors import files_sheet, files_text
from connectors.files_folder import Seen

GOOD = "Id,Name,E-Mail,Points,Met\n1,Ann,,,\n"


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    folder = Exports(tmp_path)
    folder.write("in/good.csv", GOOD)
    yield folder
    folder.place.close()


def only_good(exports: Exports, status: str, reason: str) -> None:
    """The good file came; the other one is told of."""
    count = exports.pull()
    assert (count.status, count.kept, exports.people()) == (status, 1, {"1": "Ann"})
    assert reason in count.reason


@pytest.mark.parametrize("content", [b"", b"\n\n", b"Id,Name,E-Mail,Points,Met", b"\xef\xbb\xbf", b"\0" * 4096])
def test_a_file_with_nothing_in_it_is_no_trouble(exports: Exports, content: bytes) -> None:
    exports.write("in/b.csv", content)
    only_good(exports, "done", "")


def test_five_hundred_columns_are_only_read_where_mapped(exports: Exports) -> None:
    names = ["Id", "Name", *[f"c{i}" for i in range(498)]]
    exports.write("in/b.csv", ",".join(names) + "\n" + ",".join(["2", "Bo", *["x"] * 498]) + "\n")
    exports.pull()
    assert exports.people() == {"1": "Ann", "2": "Bo"}


class Endless(io.RawIOBase):
    """Half a gigabyte without a line end, then a row; nothing of it is ever held."""

    def __init__(self) -> None:
        self.head = b"Id,Name,E-Mail,Points,Met\n2,"
        self.left = 512 * 1024**2
        self.tail = b"\n3,Cy,,,\n"
        self.block = b"x" * 65_536

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.head:
            part, self.head = self.head[: len(buffer)], self.head[len(buffer) :]
        elif self.left > 0:
            part = self.block[: min(len(buffer), self.left)]
            self.left -= len(part)
        else:
            part, self.tail = self.tail[: len(buffer)], self.tail[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.slow
def test_a_line_of_half_a_gigabyte_costs_one_row_and_no_memory() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = [r for r in files_text.records(files_text.opened(io.BufferedReader(Endless(), 65_536), "utf-8"), ",") if r.cells or r.problem]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (1024 if sys.platform != "darwin" else 1024**2)
    assert [(r.line, r.cells, r.problem) for r in found[1:]] == [
        (2, [], "the line is too long to be a row"),
        (3, ["3", "Cy", "", "", ""], ""),
    ]
    assert grown < 200


def test_nul_bytes_are_dropped_and_the_row_stays(exports: Exports) -> None:
    exports.write("in/b.csv", "Id,Name,E-Mail,Points,Met\n2,B\0o\0,,,\n\0\0\0\n3,Cy,,,\n")
    exports.pull()
    assert exports.people() == {"1": "Ann", "2": "Bo", "3": "Cy"}


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends_of_every_system(exports: Exports, end: str) -> None:
    exports.write("in/b.csv", end.join(["Id,Name,E-Mail,Points,Met", "2,Bo,,,", "3,Cy,,,"]))
    exports.pull()
    assert exports.people() == {"1": "Ann", "2": "Bo", "3": "Cy"}


def test_a_quote_that_is_never_closed_costs_its_row_only(exports: Exports) -> None:
    rows = "".join(f"{i},N{i},,,\n" for i in range(10, 3000))
    exports.write("in/b.csv", f'Id,Name,E-Mail,Points,Met\n2,"open,,,\n{rows}')
    count = exports.pull()
    assert (count.kept, count.rejected) == (2991, 1)
    assert exports.rejects() == ["in/b.csv:2: a quote is opened here and never closed"]


def test_two_columns_of_one_name_are_told_apart(exports: Exports) -> None:
    exports.write("in/b.csv", "Id,Name,Name,E-Mail\n2,Bo,Berg,\n")
    exports.pull(mapping(fields="first_name: Name, last_name: Name (2)"))
    assert exports.column("last_name")["2"] == "Berg"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("in/b.xlsx", GOOD.replace("1,Ann", "2,Bo").encode(), ""),  # a CSV whatever its name says
        ("in/b.xlsx", b"PK\x03\x04 broken", "the archive is damaged or not complete"),
        ("in/b.parquet", b"PAR1 broken", "the Parquet file is damaged or not complete"),
        ("in/b.csv.gz", gzip.compress(GOOD.encode() * 1000)[:-20], "damaged or not complete"),
        ("in/b.zip", b"PK\x05\x06" + b"\0" * 18, "the archive holds no CSV or JSON file"),
        ("in/b.csv", b"<!DOCTYPE html><html><body>Please log in", "a web page, no table"),
        ("in/b.xls", b"<html><table><tr><td>Id</td></tr></table>", "a web page, no table"),
        ("in/b.json", b'{"rows": 5', ""),
        ("in/b.parquet", b"\0\1\2\3", "no parquet file, whatever its name says"),
        ("in/b.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 broken", "the workbook is damaged or not complete"),
    ],
)
def test_a_file_that_is_not_what_it_is_called(exports: Exports, name: str, content: bytes, reason: str) -> None:
    exports.write(name, content)
    count = exports.pull()
    assert exports.people()["1"] == "Ann"
    assert (count.status, reason in count.reason) == ("partial" if reason else "done", True)


def test_what_is_healed_is_read_by_the_next_run(exports: Exports) -> None:
    exports.write("in/b.csv", b"<html>")
    assert exports.pull().status == "partial"
    exports.write("in/b.csv", GOOD.replace("1,Ann", "2,Bo"))
    assert (exports.pull().status, exports.people()) == ("done", {"1": "Ann", "2": "Bo"})


def test_a_link_out_of_the_folder_is_never_opened(exports: Exports) -> None:
    secret = exports.home / "secret.csv"
    secret.write_text(GOOD.replace("1,Ann", "2,Spy"))
    (exports.folder / "in/b.csv").symlink_to(secret)
    (exports.folder / "in/c.csv").symlink_to(exports.folder / "in/good.csv")  # within the folder links are fine
    (exports.home / "elsewhere").mkdir()
    (exports.home / "elsewhere/d.csv").write_text(GOOD.replace("1,Ann", "3,Spy"))
    (exports.folder / "in/sub").symlink_to(exports.home / "elsewhere", target_is_directory=True)
    count = exports.pull(mapping(files="**/*.csv"))
    assert (count.status, exports.people()) == ("done", {"1": "Ann"})
    assert "in/b.csv leads out of the folder: left out" in count.reason


def test_a_folder_and_a_pipe_named_like_a_file_are_left_out(exports: Exports) -> None:
    (exports.folder / "in/dir.csv").mkdir()
    os.mkfifo(exports.folder / "in/pipe.csv")
    only_good(exports, "done", "in/dir.csv is a folder: left out; in/pipe.csv is no plain file: left out")


def test_what_office_programs_leave_behind_is_not_read(exports: Exports) -> None:
    exports.write("in/~$b.csv", "\0\1 lock")
    exports.write("in/.c.csv.swp", "\0\1")
    only_good(exports, "done", "")


def test_a_file_that_may_not_be_read_leaves_the_run_partial(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exports.write("in/b.csv", GOOD)
    honest = Path.open

    def refusing(self: Path, *args: Any, **more: Any) -> Any:
        if self == path.resolve():
            raise PermissionError(13, "Permission denied")
        return honest(self, *args, **more)

    monkeypatch.setattr(Path, "open", refusing)
    only_good(exports, "partial", "in/b.csv may not be read")


def test_one_stray_cell_in_the_last_corner_asks_for_no_memory(exports: Exports) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["Id", "Name"])
        page.write(1_048_575, 16_383, "stray")
    exports.write("in/b.xlsx", out.getvalue())
    only_good(exports, "partial", "in/b.xlsx: the sheet reaches to XFD1048576, more than 5,000,000 cells")


def test_entities_in_a_workbook_are_refused_before_they_unfold(exports: Exports) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet().write_row(0, 0, ["Id", "Name"])
    bomb = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(bomb, "w") as new:
        for item in old.infolist():
            text = old.read(item)
            if item.filename == "xl/worksheets/sheet1.xml":
                text = text.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet', 1)
            new.writestr(item, text)
    exports.write("in/b.xlsx", bomb.getvalue())
    only_good(exports, "partial", "declares entities")


def test_an_archive_that_unpacks_to_gigabytes_is_refused_as_workbook(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_sheet, "PART_BYTES", 1000)
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.add_worksheet().write_row(0, 0, ["Id", "Name"])
    exports.write("in/b.xlsx", out.getvalue())
    only_good(exports, "partial", "unpacks to more than 4 GB")


def test_a_protected_archive_is_told(exports: Exports) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("b.csv", GOOD)
    content = bytearray(out.getvalue())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1  # the flag that says encrypted
    exports.write("in/b.zip", bytes(content))
    only_good(exports, "partial", "the archive is protected by a password")


def test_a_file_that_vanishes_between_look_and_read_is_told(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.write("in/b.csv", GOOD)
    inner = Seen.as_it_was

    def vanishing(self: Seen, then: Any) -> bool:
        if self.name == "in/b.csv":
            self.path.unlink(missing_ok=True)
        return inner(self, then)

    monkeypatch.setattr(Seen, "as_it_was", vanishing)
    only_good(exports, "partial", "in/b.csv could not be read to its end")


def test_reasons_never_show_what_a_cell_says(exports: Exports) -> None:
    exports.write(
        "in/b.csv", 'Id,Name,E-Mail,Points,Met\n2,Bo,secret-value,,\n3,Cy,,secret-value,\n4,Di,,,secret-value\n5,"secret-value"x,,,\n'
    )
    count = exports.pull()
    assert len(exports.rejects()) == 4
    assert "secret-value" not in " ".join([*exports.rejects(), count.reason])
