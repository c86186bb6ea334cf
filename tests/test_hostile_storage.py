"""Disks that are full, files that are damaged, a lake without its ledger and the other way round: told, never mixed up, never green."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_hub import Standing, standing, tundish

from core import storage
from jobs import steps
from jobs.work import do_job

VENDORS = ["mailchimp"]


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Standing]:
    with standing(tmp_path, size=3, vendors=VENDORS) as sandbox:
        assert steps.run_sync(sandbox.hub, quiet=True).status == "done"
        yield sandbox


def count(sandbox: Standing) -> int:
    said = tundish("--config", sandbox.config, "sql", "select count(*) n, count(distinct vendor_id) ids from person", "--json")
    assert said.code == 0, said.err
    row = said.json["rows"][0]
    assert row["n"] == row["ids"]
    return int(row["n"])


def test_a_lake_that_was_emptied_is_refused_until_a_new_one_is_asked_for(synced: Standing) -> None:
    people = count(synced)
    shutil.rmtree(synced.home / "state" / "lake")
    for words in (["sync"], ["reconcile"], ["sql", "select 1 from person"]):
        said = tundish("--config", synced.config, *words)
        assert said.code == 2, said.out
        assert "which this ledger wrote" in said.err
        assert "sync --new-lake" in said.err
    assert tundish("--config", synced.config, "sync", "--new-lake").code == 0
    assert count(synced) == people
    again = tundish("--config", synced.config, "sync", "--new-lake")
    assert again.code == 2
    assert "still has a table" in again.err


def test_a_lake_written_under_another_ledger_is_refused(synced: Standing) -> None:
    """Its batch numbers mean other batches here: every person would be there twice."""
    for file in (synced.home / "state").glob("ledger.db*"):
        file.rename(file.with_suffix(f"{file.suffix}.old"))
    for words in (["sync"], ["sql", "select 1 from person"]):
        said = tundish("--config", synced.config, *words)
        assert said.code == 2, said.out
        assert "was written under another ledger" in said.err
    shutil.rmtree(synced.home / "state" / "lake")
    assert tundish("--config", synced.config, "sync").code == 0
    assert count(synced) > 0


def damaged_log(home: Path) -> Path:
    log = max((home / "state" / "lake" / "person" / "_delta_log").glob("*.json"))
    log.write_bytes(log.read_bytes()[:100])
    return log.parent.parent


def lost_file(home: Path) -> Path:
    file = next((home / "state" / "lake" / "person").glob("*.parquet"))
    file.unlink()
    return file


def cut_file(home: Path) -> Path:
    file = next((home / "state" / "lake" / "person").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:300])
    return file


@pytest.mark.parametrize("harm", [damaged_log, lost_file, cut_file])
def test_a_damaged_lake_is_named_and_is_no_bug(synced: Standing, harm: object) -> None:
    place = harm(synced.home)  # type: ignore[operator]
    for words in (["sql", "select count(first_name) from person"], ["compact"]):
        said = tundish("--config", synced.config, *words)
        assert said.code == 2, said.err
        assert str(place) in said.err
        assert "restore the lake" in said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize("bytes_", [b"not a database at all" * 300, None])
def test_a_damaged_ledger_is_named_and_is_no_bug(synced: Standing, bytes_: bytes | None) -> None:
    synced.hub.close()
    path = synced.home / "state" / "ledger.db"
    path.write_bytes(bytes_ if bytes_ is not None else path.read_bytes()[:5000])
    for beside in ("ledger.db-wal", "ledger.db-shm"):
        (path.parent / beside).unlink(missing_ok=True)
    said = tundish("--config", synced.config, "runs")
    assert said.code == 2, said.err
    assert str(path) in said.err
    assert "restore the ledger from a backup" in said.err


def test_a_lake_that_is_read_only_can_still_be_read(synced: Standing) -> None:
    people = count(synced)
    synced.hub.lake.close()
    spill = synced.home / "state" / "lake" / "_tmp"
    shutil.rmtree(spill, ignore_errors=True)
    spill.write_text("a file where the engine would spill: no folder can be made here, whoever asks")
    assert count(synced) == people


def test_a_full_disk_ends_a_job_with_a_sentence_and_an_end_in_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **named: object) -> None:
        raise OSError("Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)")

    with standing(tmp_path, size=3, vendors=VENDORS) as sandbox:
        monkeypatch.setattr(sandbox.hub.lake, "append", full)
        result = do_job(sandbox.hub, "nightly")
        assert result.exit_code == 2
        assert "make room on the disk" in result.text()
        assert {run.status for run in sandbox.hub.ledger.runs(50)} == {"failed"}


def test_what_the_storage_did_not_cause_stays_a_bug() -> None:
    assert storage.trouble(ValueError("x")) is None
    assert storage.trouble(FileNotFoundError(2, "No such file", "x")) is None
    assert storage.trouble(KeyError("os error 28")) is None
