"""CSV pages are taken apart in parts: awkward cells, missing columns, row numbers across parts, and what is no table."""

from __future__ import annotations

import pytest

from core import csv_cells
from core.csv_cells import parts
from core.errors import VendorError


def cells(body: bytes, *names: str) -> list[tuple[str | None, ...]]:
    return [row for part in parts(body, names, "Contact") for row in part]


def test_awkward_cells_come_as_they_are() -> None:
    body = '\ufeff"Id","Name"\r\n"1","a ""b"", c"\r\n"2","one\r\ntwo"\r\n\r\n"3",""\r\n4,NULL\r\n'.encode()
    assert cells(body, "Id", "Name") == [("1", 'a "b", c'), ("2", "one\r\ntwo"), ("3", None), ("4", "NULL")]


def test_columns_come_as_asked_for_and_missing_ones_are_empty() -> None:
    assert cells(b"A,B,C\n1,2,3\n", "C", "Z", "A", "C") == [("3", None, "1", "3")]
    assert cells(b"A\n1\n", "A") == [("1",)]
    assert cells(b"A,B\n", "A") == cells(b"", "A") == cells(b"\n", "A") == []


def test_a_value_may_be_longer_than_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cells, "PART_ROWS", 2)
    long = "x" * 3_000_000
    found = list(parts(f'A\n"{long}"\n2\n3\n'.encode(), ["A"], "Contact"))
    assert [len(part) for part in found] == [2, 1]
    assert found[0][0] == (long,)


@pytest.mark.parametrize("body", [b"A,B\n1,2,3\n", b"A,B\n1\n", b"A,B\n\xff,2\n"])
def test_what_is_no_table_is_said_without_its_cells(body: bytes) -> None:
    with pytest.raises(VendorError, match="Contact: the answer is not a table") as refusal:
        cells(body, "A", "B")
    assert "1" not in refusal.value.message.replace(f"({len(body)} bytes)", "")
