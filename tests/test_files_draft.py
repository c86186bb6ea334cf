"""A mapping made from a folder's own headers: it can be used as it is, and says what could not be known."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis.strategies import DataObject, data, lists, sampled_from
from ruamel.yaml import YAML
from sandbox_hub import tundish

from connectors.files import CONNECTOR, Session, drafted
from connectors.files_folder import look
from connectors.sandbox.files import FilesEmulator
from connectors.sandbox.kit import Clock
from connectors.sandbox.world import NOW, build
from core.mapping import compile_mapping

CONTACTS = "Record ID,First Name,Last Name,Email,Lifecycle Stage\n1,Ann,Bly,ann@a.example,Lead\n2,Bo,Cay,bo@b.example,Customer\n"
KUNDEN = """Kunden-Nr.;Vorname;Nachname;E-Mail;Tel.;Geändert am
1;Jörg;Groß;j@a.example;+49 1;01.02.2026
2;Bo;Cay;b@b.example;+49 2;13.02.2026
"""


def written(folder: Path, **files: str | bytes) -> Any:
    """The mapping for these files; "__" stands for a dot. It compiles."""
    for i, (name, content) in enumerate(files.items()):
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (1_780_000_000 + i, 1_780_000_000 + i))
    text = drafted(Session(folder))
    if text:
        compile_mapping(text, CONNECTOR, name="files.yaml", timezone="UTC")
    return YAML(typ="safe").load(text) if text else None


def test_init_maps_the_folders_own_columns_and_the_line_runs_on_it(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "Kundenliste Köln 2026.csv").write_bytes(KUNDEN.encode("cp1252"))
    (exports / "deals-2026-05-01.csv").write_text("Deal ID,Deal Name,Amount,Deal Stage,Close Date\n7,Pumps,1200.50,Closed Won,2026-04-01\n")
    about = ("--organisation", "Acme", "--timezone", "Europe/Berlin", "--currency", "EUR")
    assert tundish("init", "--vendor", "files", "--folder", tmp_path, "--set", f"files.folder={exports}", *about).code == 0
    checked = tundish("--config", tmp_path / "config.yaml", "check", "--json")
    assert {c["level"] for c in checked.json["checks"]} == {"ok"}
    synced = tundish("--config", tmp_path / "config.yaml", "sync")
    assert synced.code == 0, synced.out + synced.err
    query = "SELECT first_name, last_name, phone, updated_at::date::text AS day FROM person ORDER BY vendor_id"
    people = tundish("--config", tmp_path / "config.yaml", "sql", query, "--json").json["rows"]
    assert [list(row.values()) for row in people] == [
        ["Jörg", "Groß", "+49 1", "2026-01-31"], ["Bo", "Cay", "+49 2", "2026-02-12"],
    ]  # fmt: skip  # midnight in Berlin
    query = "SELECT name, amount::double::text AS amount, stage FROM deal"
    deal = tundish("--config", tmp_path / "config.yaml", "sql", query, "--json").json["rows"]
    assert [list(row.values()) for row in deal] == [["Pumps", "1200.5", "M80"]]


def test_the_sandboxs_folder_is_recognised_but_for_what_happened(tmp_path: Path) -> None:
    emulator = FilesEmulator(build(60, 7, NOW, vendors=["files"]).seeds["files"], clock=Clock(1_782_777_600.0))
    folder = emulator.folder
    made = written(folder)
    assert {name: (o["kind"] if isinstance(o, dict) else o[0]["kind"]) for name, o in made["resources"].items()} == {
        "campaigns": "tally", "fair_day": "person", "registrations": "deal",
    }  # fmt: skip
    assert made["reads"]["fair_day"] == {"like": "table", "files": "leads/fair-day*.csv", "key": "Badge", "date_format": "%d.%m.%Y %H:%M"}
    assert made["reads"]["registrations"]["header_row"] == 3
    assert made["resources"]["campaigns"][0]["id"] == ["Monat", "Kampagne", "Kanal", {"const": "cost"}]
    assert "rows repeat an earlier one's id: the later one counts" in drafted(Session(folder))
    assert "# Not recognised: survey/answers.parquet" in drafted(Session(folder))


def test_files_that_differ_in_digits_or_have_one_header_are_one_table(tmp_path: Path) -> None:
    newer = CONTACTS.replace("Email", "E-mail", 1)
    made = written(tmp_path, **{"contacts-2026-04-01__csv": CONTACTS, "contacts-2026-05-01__csv": newer})
    assert [(r["files"], r["key"]) for r in made["reads"].values()] == [("contacts-*.csv", "Record ID")]
    for name in ("north", "south"):
        (tmp_path / "by region").mkdir(exist_ok=True)
        (tmp_path / f"by region/{name}.csv").write_text(CONTACTS)
    assert [r["files"] for r in written(tmp_path)["reads"].values()] == ["by region/*.csv", "contacts-*.csv"]


def test_a_pattern_takes_no_other_tables_files(tmp_path: Path) -> None:
    deals = "Deal ID,Deal Name,Amount,Deal Stage\n7,Pumps,1200.50,Closed Won\n"
    made = written(tmp_path, **{"1__csv": CONTACTS, "2 deals__csv": deals})
    assert {name: read["files"] for name, read in made["reads"].items()} == {"deals": "* deals.csv", "export": "1.csv"}


@pytest.mark.parametrize(
    ("dates", "date_format", "fields"),
    [
        (("13/02/2026", "01/03/2026"), "%d/%m/%Y", {"name", "amount", "close_date"}),
        (("02/13/2026", "01/03/2026"), "%m/%d/%Y", {"name", "amount", "close_date"}),
        (("02/03/2026", "01/03/2026"), None, {"name", "amount"}),  # nobody can know
        (("2026-02-13", "2026-03-01"), None, {"name", "amount", "close_date"}),
        (("soon", "later"), None, {"name", "amount"}),
    ],
)
def test_dates_are_read_the_one_way_that_fits_all_or_left_out(
    tmp_path: Path, dates: tuple[str, str], date_format: str | None, fields: set[str]
) -> None:
    made = written(tmp_path, deals__csv=f"Id,Deal,Amount,Close date,Stage\n1,a,5,{dates[0]},New\n2,b,6,{dates[1]},Won\n")
    assert (made["reads"]["deals"].get("date_format"), set(made["resources"]["deals"]["fields"])) == (date_format, fields)


@pytest.mark.parametrize(
    ("amounts", "day", "decimal", "there"),
    [
        (("1.234,50", "12,00"), "2026-02-13", ",", True),
        (("1,234.50", "12.00"), "2026-02-13", ".", True),
        (("1234.50", "12"), "2026-02-13", None, True),
        (("1,234", "2,000"), "2026-02-13", None, False),  # one and a bit, or more than a thousand
        (("1.234", "2.000"), "2026-02-13", None, False),
        (("1.234", "2.000"), "13.02.2026", ",", True),  # who writes dates so, writes numbers so
    ],
)
def test_numbers_are_read_the_one_way_that_fits_all_or_left_out(
    tmp_path: Path, amounts: tuple[str, str], day: str, decimal: str | None, there: bool
) -> None:
    made = written(tmp_path, deals__csv=f"Id;Deal;Amount;Close date;Stage\n1;a;{amounts[0]};{day};New\n2;b;{amounts[1]};{day};Won\n")
    assert (made["reads"]["deals"].get("decimal"), "amount" in made["resources"]["deals"]["fields"]) == (decimal, there)


def test_what_yaml_or_a_terminal_would_take_for_something_else_stays_text(tmp_path: Path) -> None:
    made = written(tmp_path, deals__csv='Id,"a: b",Amount,"Stage",\x1b[31mred\n1,x,5,No,y\n2,x,6,"Won: #1 {x}",y\n')
    assert made["stages"]["deals"] == {"No": "M50", "Won: #1 {x}": "M80"}
    assert "\x1b" not in drafted(Session(tmp_path))


def test_a_title_above_the_header_is_none(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "Kontakte.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Export of 1 May"])
        sheet.write_row(2, 0, ["Id", "Vorname", "Nachname", "E-Mail"])
        for i in range(3):
            sheet.write_row(3 + i, 0, [i, "A", "B", f"a{i}@a.example"])
    assert written(tmp_path)["reads"]["kontakte"] == {"like": "table", "files": "Kontakte.xlsx", "header_row": 3, "key": "Id"}


def test_several_rows_an_address_are_no_people(tmp_path: Path) -> None:
    assert written(tmp_path, contacts__csv="Email,Company,Opened\na@a.example,A,2026-01-01\na@a.example,A,2026-01-02\n") is None


@pytest.mark.parametrize("content", [b"", b"\n\n", b"Email\n", b"PK\x03\x04broken", b"<html>", "x\n".encode("utf-16")])
def test_what_is_no_table_is_passed_over(tmp_path: Path, content: bytes) -> None:
    assert written(tmp_path, contacts__csv=content) is None


NAMES = [
    "Id", "Email", "E-Mail", "First Name", "Last Name", "Amount", "Stage", "Status", "Close Date", "Date", "Kosten", "Klicks", "Name", "",
    "a: b", "#x", "- y", "{z}", "[l]", "context", "context.x", "^", "^.a", "..", "a..b", ".a", "Tel.", "2026", "null", "Yes", "a b", "a_b",
    "a,b", "a\\b", "*", "&r", "!t", "@u", "`v", "|", "a #b", "\x07", "Ü.Ö", "e\u0301",
]  # fmt: skip
CELLS = [
    "",
    "a@b.example",
    "1",
    "1.234",
    "1,234.5",
    "01.02.2026",
    "02/03/2026",
    "2026-01-01",
    "Won: #1",
    "No",
    "~",
    "{x}",
    "\x1b[2J",
    "n/a",
    "'",
]
FILES = ["contacts", "deals 1", "table", "1", "ä ö", "a*b", "x?y", "#h", "it's", "~t", "a:b", "null", "yes.csv", "sub/1", "sub/deals"]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data())
def test_whatever_the_headers_are_the_mapping_compiles(drawn: DataObject) -> None:
    with TemporaryDirectory() as place:
        for name in drawn.draw(lists(sampled_from(FILES), min_size=1, max_size=3, unique=True)):
            header = drawn.draw(lists(sampled_from(NAMES), min_size=1, max_size=8, unique=True))
            rows = drawn.draw(lists(lists(sampled_from(CELLS), min_size=len(header), max_size=len(header)), max_size=4))
            path = Path(place) / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream, delimiter=";").writerows([header, *rows])
        text = drafted(Session(Path(place)))
        assert not text or compile_mapping(text, CONNECTOR, name="files.yaml", timezone="UTC")
        for read in YAML(typ="safe").load(text)["reads"].values() if text else ():
            patterns = read["files"] if isinstance(read["files"], list) else [read["files"]]
            assert look(Path(place), patterns)[0], patterns


def test_where_nothing_is_recognised_the_shipped_example_is_written(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    about = ("--organisation", "Acme", "--timezone", "UTC", "--currency", "EUR", "--set", "files.folder=exports")
    assert tundish("init", "--vendor", "files", "--folder", tmp_path, *about).code == 0
    assert "this one is an example" in (tmp_path / "mappings/files.yaml").read_text()
