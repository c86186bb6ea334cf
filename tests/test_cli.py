"""The command line as a user meets it: quick help, exit codes, mistakes with places, and reading commands that only read."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox_hub import VENDORS, Standing, standing, tundish

from connectors.sandbox.kit import Fault
from jobs.cli import COMMANDS, main
from jobs.wiring import all_connectors

Stand = Callable[..., Standing]
HEAVY = ("duckdb", "ibis", "pyarrow", "deltalake", "pydantic", "sqlalchemy", "requests", "pandas", "numpy", "scipy", "rich", "uvicorn")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("cli"), rules=["D-01", "D-06", "I-01"]) as it:
        yield it


# -- help ------------------------------------------------------------------------------------------------------------------
def test_help_imports_nothing_heavy() -> None:
    """What help costs is what it imports; a stopwatch would measure the machine."""
    said = subprocess.run([sys.executable, "-X", "importtime", "-m", "jobs.cli", "--help"], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in said.stderr.splitlines() if "|" in line}
    assert "click" in imported
    assert imported & set(HEAVY) == set()
    assert "tundish" in said.stdout.lower()


def test_help_lists_every_command_and_the_exit_codes() -> None:
    said = tundish("--help")
    assert said.code == 0
    assert [name for name in COMMANDS if f"  {name} " not in said.out] == []
    assert "5 credentials" in " ".join(said.out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    said = tundish(name, "--help")
    assert said.code == 0
    assert f"Usage: tundish {name}" in said.out
    assert f"  tundish {name}" in said.out.partition("Example")[2] or name == "compact"


@pytest.mark.parametrize(("typed", "meant"), [("snyc", "sync"), ("repot", "report"), ("reconsile", "reconcile")])
def test_an_unknown_command_is_met_with_a_suggestion(typed: str, meant: str) -> None:
    said = tundish(typed)
    assert said.code == 2
    assert f"Did you mean '{meant}'?" in said.err


# -- mistakes of the user ----------------------------------------------------------------------------------------------------
def test_who_stops_reading_ends_the_command_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "closed")

    monkeypatch.setattr(sys, "argv", ["tundish", "audit", "--help"])
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def test_no_config_names_the_command_that_writes_one(tmp_path: Path) -> None:
    said = tundish("--config", tmp_path / "config.yaml", "sync")
    assert said.code == 2
    assert "tundish init" in said.err


@pytest.mark.parametrize("words", [["sync", "hubspt"], ["sync", "--resource", "contcts"], ["discover", "nobody"], ["runs", "none"]])
def test_an_unknown_name_is_exit_2_and_says_what_there_is(sandbox: Standing, words: list[str]) -> None:
    said = tundish("--config", sandbox.config, *words)
    assert said.code == 2
    assert words[-1] in said.err
    assert any(way_out in said.err for way_out in ("next:", "did you mean", "known:"))


TEN_MISTAKES = """vendor: hubspot
resources:
  contcts: {kind: person}
  contacts:
    kind: person
    fields:
      emial: properties.email
      score: {path: properties.x, raed: number}
      updated_at: {path: updatedAt, read: dat}
      marketable: {path: properties.y, values: {yes: maybe}}
    stage: {path: properties.s, table: lifecyle}
  deals:
    kind: dael
stages:
  lifecycle:
    won: M81
push:
  contact: {}
  contacts:
    tundish_stage: {from: stag}
"""


def test_ten_mistakes_in_a_mapping_give_ten_lines_with_places(stand: Stand) -> None:
    sandbox = stand(vendors=["hubspot"])
    (sandbox.home / "mappings").mkdir(exist_ok=True)
    (sandbox.home / "mappings/hubspot.yaml").write_text(TEN_MISTAKES)
    said = tundish("--config", sandbox.config, "sync")
    assert said.code == 2
    lines = [line for line in said.err.splitlines() if "hubspot.yaml:" in line]
    assert [int(line.split("hubspot.yaml:")[1].split(":")[0]) for line in lines] == [3, 7, 8, 9, 10, 11, 13, 16, 18, 20]
    assert sum("did you mean" in line for line in lines) == 9
    assert sandbox.requests() == 0


# -- credentials -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", [["sync"], ["check"]])
@pytest.mark.parametrize("vendor", [v for v in VENDORS if any(s.secret for s in all_connectors()[v].settings)])
def test_a_wrong_key_is_exit_5_and_names_the_setting(vendor: str, command: list[str], stand: Stand) -> None:
    sandbox = stand(vendors=[vendor])
    secret = next(s.name for s in all_connectors()[vendor].settings if s.secret and (sandbox.home / f"secrets/{vendor}.{s.name}").exists())
    (sandbox.home / f"secrets/{vendor}.{secret}").write_text("wrong-key-of-nobody-us1")
    said = tundish("--config", sandbox.config, *command)
    assert said.code == 5
    assert secret in said.out + said.err
    assert "wrong-key-of-nobody" not in said.out + said.err


def test_a_missing_secret_file_is_told_before_the_first_request(stand: Stand) -> None:
    sandbox = stand(vendors=VENDORS[:1])
    for place in (sandbox.home / "secrets").iterdir():
        place.unlink()
    said = tundish("--config", sandbox.config, "sync")
    assert said.code in (2, 5)
    assert "secrets/" in said.out + said.err
    assert sandbox.requests() == 0


# -- trouble of the vendor ----------------------------------------------------------------------------------------------------
def test_a_vendor_that_is_down_is_exit_6_and_its_neighbours_are_read_all_the_same(stand: Stand) -> None:
    sandbox = stand(vendors=VENDORS[:3])
    [down, *others] = VENDORS[:3]
    sandbox.emulators[down].faults.append(Fault("error", times=-1))
    said = tundish("--config", sandbox.config, "sync", "--json")
    assert said.code == 6
    assert set(said.json["problems"]) == {down}
    assert {r["account"] for r in said.json["records"] if r["status"] == "done"} == set(others)
    assert said.json["status"] == "partial"


# -- reading commands only read ------------------------------------------------------------------------------------------------
def test_commands_that_read_send_no_write(sandbox: Standing) -> None:
    for words in (["check"], ["sync"], ["report", "records"], ["runs"], ["sql", "select 1"], ["discover", VENDORS[0]]):
        said = tundish("--config", sandbox.config, *words)
        assert said.code == 0, (words, said.err)
        assert said.out
    assert sandbox.requests() > 50
    assert sandbox.writes() == []


@pytest.mark.parametrize("words", [["apply", "--yes"], ["apply", "--yes", "--json"], ["apply", "latest", "--json"]])
def test_nothing_is_applied_that_nobody_named_or_could_be_asked_about(words: list[str], stand: Stand) -> None:
    sandbox = stand(vendors=VENDORS[:1])
    said = tundish("--config", sandbox.config, *words)
    assert (said.code, sandbox.writes()) == (2, [])
    assert "--yes" in said.out + said.err
