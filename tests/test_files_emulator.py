"""The sandbox's folder of exports: it has the dirt it is there for, always the same, and the shipped mapping reads all of it."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox_hub import Standing

from connectors.sandbox.files import FilesEmulator
from connectors.sandbox.kit import Clock
from connectors.sandbox.world import NOW, build
from jobs.steps import run_sync

Stand = Callable[..., Standing]
AT = Clock(1_782_777_600.0)


@pytest.fixture(scope="module")
def emulator() -> FilesEmulator:
    return FilesEmulator(build(60, 7, NOW, vendors=["files"]).seeds["files"], clock=AT)


def content(emulator: FilesEmulator, name: str) -> bytes:
    return (emulator.folder / name).read_bytes()


def test_the_same_seed_writes_the_same_folder(emulator: FilesEmulator) -> None:
    again = FilesEmulator(build(60, 7, NOW, vendors=["files"]).seeds["files"], clock=AT)
    assert again.dump() == emulator.dump()
    assert len(emulator.dump()) > 15


def test_the_lead_lists_have_the_dirt_of_their_makers(emulator: FilesEmulator) -> None:
    first, second = content(emulator, "leads/fair-day1.csv"), content(emulator, "leads/fair-day2.csv")
    with pytest.raises(UnicodeDecodeError):
        first.decode("utf-8")
    assert second.startswith(b"\xef\xbb\xbf")
    text = first.decode("cp1252")
    assert text.startswith("Badge;Vorname;Nachname; E-Mail ;")
    assert "Prüfstand gezeigt – Rückruf" in text + second.decode("utf-8-sig")
    assert text.rstrip().splitlines()[-1].startswith("Summe;;")
    assert ",50 €" in text or ",00 €" in text


def test_the_costs_are_utf16_and_the_workbook_hides_a_sheet(emulator: FilesEmulator) -> None:
    assert content(emulator, "costs/campaigns.tsv").decode("utf-16").startswith("Monat\tKampagne\t")
    with zipfile.ZipFile(emulator.folder / "partner/registrations.xlsx") as book:
        assert b'state="hidden"' in book.read("xl/workbook.xml")
        assert b"<f>" in book.read("xl/worksheets/sheet2.xml")


def test_finished_days_of_the_event_export_are_packed(emulator: FilesEmulator) -> None:
    days = sorted((emulator.folder / "ga4").iterdir())
    assert [path.suffix for path in days[:-1]] == [".gz"] * (len(days) - 1)
    for path in days:
        lines = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).splitlines()
        assert {json.loads(line)["event_date"] for line in lines} == {path.name[7:15]}


def test_leads_and_registrations_are_things_the_crms_know() -> None:
    world = build(60, 7, NOW)
    seed = world.seeds["files"]
    contacts = {c["properties"]["email"] for c in world.seeds["hubspot"]["objects"]["contacts"]}
    deals = {d["id"]: d["properties"] for d in world.seeds["hubspot"]["objects"]["deals"]}
    assert {row["email"] for row in seed["leads"]} <= contacts
    assert {row["email"] for row in seed["answers"]} <= contacts
    assert {float(deals[row["crm_id"]]["amount"]) * 100 == row["cents"] for row in seed["deals"]} == {True}


def test_every_mapped_field_of_the_shipped_mapping_is_filled(stand: Stand) -> None:
    sandbox = stand(vendors=["files"], size=60)
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    filled = {
        "person": ("created_at", "email", "first_name", "last_name", "company_name", "phone", "source", "stage"),
        "deal": ("created_at", "name", "amount", "currency", "close_date", "stage", "pipeline_stage", "outcome", "links"),
        "tally": ("day", "measure", "value"),
        "touch": ("email", "kind", "event", "channel", "source", "campaign_id", "occurred_at", "value", "links"),
    }
    for kind, names in filled.items():
        counts = ", ".join(f"count({name}) AS {name}" for name in names)
        [row] = sandbox.hub.lake.sql(f"SELECT {counts} FROM {kind}").to_pylist()
        assert [name for name, n in row.items() if not n] == []


def test_local_times_decimal_commas_and_excels_numbers_arrive_as_they_are_meant(stand: Stand) -> None:
    sandbox = stand(vendors=["files"], size=60)
    run_sync(sandbox.hub, quiet=True)
    seed: dict[str, Any] = sandbox.emulators["files"].seed  # type: ignore[attr-defined]
    rows = {r["vendor_id"]: r for r in sandbox.hub.lake.sql("SELECT vendor_id, email, created_at, attributes FROM person").to_pylist()}
    for lead in seed["leads"]:
        row = rows[lead["badge"]]
        assert row["email"] == lead["email"]
        assert row["created_at"].isoformat()[:16] == lead["scanned"][:16]
        assert round(float(json.loads(row["attributes"])["budget"]) * 100) == lead["budget"]
    deals = {r["vendor_id"]: r for r in sandbox.hub.lake.sql("SELECT vendor_id, amount, links, close_date FROM deal").to_pylist()}
    for deal in seed["deals"]:
        row = deals[deal["registration"]]
        assert (int(row["amount"] * 100), row["links"]) == (deal["cents"], [f"hubspot:deals:{deal['crm_id']}"])
        assert row["close_date"].isoformat() == deal["close"]


def test_a_registration_the_partner_withdraws_is_gone(stand: Stand) -> None:
    sandbox = stand(vendors=["files"], size=60)
    run_sync(sandbox.hub, quiet=True)
    emulator: Any = sandbox.emulators["files"]
    gone = emulator.seed["deals"].pop()["registration"]
    sandbox.clock.advance(3600)
    emulator.write_deals()
    result = run_sync(sandbox.hub, quiet=True)
    assert [c.deleted for c in result.counts if c.resource == "deals"] == [1]
    [row] = sandbox.hub.lake.sql(f"SELECT deleted FROM deal WHERE vendor_id = '{gone}'").to_pylist()
    assert row["deleted"]
    assert Path(emulator.folder / "partner/registrations.xlsx").exists()
