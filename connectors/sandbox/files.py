"""A folder of exports, as people and programs leave them: it has no API, its dirt is the point.

CSV dialects by RFC 4180 and what Excel makes of it in other countries; workbooks, Parquet, and BigQuery's event export.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connectors.sandbox.kit import Clock, Emulator, Route

LEAD_COLUMNS = (
    "Badge", "Vorname", "Nachname", " E-Mail ", "Firma", "Funktion", "Telefon", "Gescannt am", "Budget", "Notiz", "Newsletter", "",
)  # fmt: skip
DEAL_COLUMNS = ("Registration", "CRM deal", "Deal", "Amount", "Status", "Expected close", "Registered on", "Margin", "Net")
HALL = ZoneInfo("Europe/Berlin")  # whose clock the scanner shows
PARTNER_NOTE = "Deal registrations, confidential"


class FilesEmulator(Emulator):
    """The folder is written when it is asked for, and again whenever a row changes."""

    name = "files"
    address = "folder"
    wired = False

    def __init__(self, seed: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> None:
        self._home = TemporaryDirectory(prefix="exports-")
        self.folder = Path(self._home.name)
        super().__init__(seed, clock=clock)
        self.edits = {"change_rows": lambda turn: sorted(self.change_rows(turn)), "take_away": self.take_away}

    def load(self, seed: Mapping[str, Any]) -> None:
        self.seed = {name: list(rows) for name, rows in seed.items() if name != "now"}
        self.made_at = int(seed["now"])
        self.write_all()

    def routes(self) -> Sequence[Route]:
        return ()

    def place(self) -> str:
        return str(self.folder)

    def rows(self) -> Mapping[str, int]:
        """How many rows each table of the shipped mapping has."""
        return {
            "leads": len(self.seed["leads"]), "deals": len(self.seed["deals"]), "costs": len(self.seed["costs"]),
            "answers": len(self.seed["answers"]), "ga4_events": len(self.seed["events"]),
        }  # fmt: skip

    def dump(self) -> Any:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    # -- what people do to the folder --------------------------------------------------------------------------------------
    def change_rows(self, turn: int) -> set[str]:
        """Somebody corrects a lead and exports the list again; the survey's newest answers are exported; a day of hits grows."""
        leads, answers = self.seed["leads"], self.seed["answers"]
        leads[turn % len(leads)]["company"] += " (new)"
        answers[turn % len(answers)]["nps"] = (answers[turn % len(answers)]["nps"] + 1) % 11
        self.write_leads()
        self.write_answers()
        last = dict(self.seed["events"][-1])
        last |= {"event_timestamp": last["event_timestamp"] + 1 + turn, "event_name": "session_start", "event_params": []}
        self.seed["events"].append(last)
        with self._event_file(last["event_date"]).open("ab") as file:
            file.write(orjson.dumps(last) + b"\n")
        return {"leads", "answers", "ga4_events"}

    def take_away(self, name: str) -> None:
        (self.folder / name).unlink()

    # -- the exports -------------------------------------------------------------------------------------------------------
    def write_all(self) -> None:
        self.write_leads()
        self.write_deals()
        self.write_costs()
        self.write_answers()
        self.write_events()

    def _save(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (self.clock.now(), self.clock.now()))

    def write_leads(self) -> None:
        """The fair's scanner: on its first day through a German Excel (Windows-1252, semicolons), on its second as UTF-8."""
        for day, encoding, sign in ((1, "cp1252", ";"), (2, "utf-8-sig", ",")):
            out = io.StringIO(newline="")
            writer = csv.writer(out, delimiter=sign)
            writer.writerow(LEAD_COLUMNS)
            mine = [row for row in self.seed["leads"] if row["day"] == day]
            for i, row in enumerate(mine):
                if i % 20 == 10:  # the scanner's app begins a new page
                    out.write("\r\n")
                    writer.writerow(LEAD_COLUMNS)
                writer.writerow(_lead_cells(row))
            writer.writerow(["Summe", *[""] * 7, _euros(sum(row["budget"] for row in mine)), *[""] * 3])
            self._save(f"leads/fair-day{day}.csv", out.getvalue().encode(encoding))

    def write_deals(self) -> None:
        """The partner's workbook: a title above the header, a sheet of notes first, hidden; dates and shares as Excel has them."""
        import xlsxwriter

        out = io.BytesIO()
        with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
            # The workbook's own dates must not depend on the day it is written.
            book.set_properties({"created": datetime.fromtimestamp(self.made_at)})  # noqa: DTZ006
            notes, sheet = book.add_worksheet("Notes"), book.add_worksheet("Registrations")
            notes.write("A1", PARTNER_NOTE)
            sheet.activate()
            notes.hide()
            day, share = book.add_format({"num_format": "dd.mm.yyyy"}), book.add_format({"num_format": "0%"})
            sheet.merge_range("A1:D1", PARTNER_NOTE)
            sheet.write_row(2, 0, DEAL_COLUMNS)
            for i, row in enumerate(self.seed["deals"], 3):
                sheet.write_row(i, 0, (row["registration"], int(row["crm_id"]), row["name"], row["cents"] / 100, row["status"]))
                sheet.write_datetime(i, 5, datetime.fromisoformat(row["close"]), day)
                sheet.write_datetime(i, 6, datetime.fromisoformat(row["registered"]), day)
                sheet.write_number(i, 7, row["margin"], share)
                sheet.write_formula(i, 8, f"=D{i + 1}*(1-H{i + 1})", None, round(row["cents"] * (1 - row["margin"])) / 100)
        self._save("partner/registrations.xlsx", out.getvalue())

    def write_costs(self) -> None:
        """The agency's report: tabulators, decimal commas, a sum at the end."""
        lines = [["Monat", "Kampagne", "Kanal", "Kosten", "Klicks"]]
        for row in self.seed["costs"]:
            day = date.fromisoformat(row["month"])
            lines.append([f"{day:%d.%m.%Y}", row["campaign"], row["channel"], _euros(row["cents"]), _thousands(row["clicks"])])
        lines.append(["Gesamt", "", "", _euros(sum(row["cents"] for row in self.seed["costs"])), ""])
        self._save("costs/campaigns.tsv", "".join("\t".join(line) + "\n" for line in lines).encode("utf-16"))

    def write_answers(self) -> None:
        """The survey tool's Parquet file."""
        import pyarrow as pa
        from pyarrow.parquet import write_table

        columns: dict[str, list[Any]] = {name: [row[name] for row in self.seed["answers"]] for name in _ANSWER}
        columns["answered"] = [datetime.fromisoformat(text) for text in columns["answered"]]
        out = io.BytesIO()
        write_table(pa.table(columns, pa.schema(list(_answer_types(pa).items()))), out, row_group_size=1000)
        self._save("survey/answers.parquet", out.getvalue())

    def write_events(self) -> None:
        """BigQuery's event export, a file a day: https://support.google.com/analytics/answer/7029846. Finished days are packed."""
        days: dict[str, list[bytes]] = {}
        for row in self.seed["events"]:
            days.setdefault(row["event_date"], []).append(orjson.dumps(row) + b"\n")
        newest = max(days, default="")
        for day, lines in days.items():
            content = b"".join(lines)
            name = self._event_file(day).relative_to(self.folder).as_posix()
            self._save(name if day == newest else f"{name}.gz", content if day == newest else gzip.compress(content, 6, mtime=0))

    def _event_file(self, day: str) -> Path:
        return self.folder / "ga4" / f"events_{day}.jsonl"


_ANSWER = ("answer", "email", "answered", "nps", "heard_of_us", "comment")


def _answer_types(pa: Any) -> dict[str, Any]:
    return {name: pa.string() for name in _ANSWER} | {"answered": pa.timestamp("us", "UTC"), "nps": pa.int32()}


def _lead_cells(row: Mapping[str, Any]) -> list[str]:
    """As the scanner's app writes a row: addresses in capitals at times, blanks around them, local times."""
    n = int(row["badge"][-5:])
    email = row["email"].upper() if n % 3 == 0 else f" {row['email']} "
    scanned = datetime.fromisoformat(row["scanned"]).astimezone(HALL)
    return [
        row["badge"], row["first"], row["last"], email, row["company"], row["title"], row["phone"], f"{scanned:%d.%m.%Y %H:%M}",
        _euros(row["budget"]), row["note"], "ja" if row["newsletter"] else "nein", "",
    ]  # fmt: skip


def _euros(cents: int) -> str:
    """1.234,50 €"""
    return f"{_thousands(cents // 100)},{cents % 100:02d} €"


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", ".")
