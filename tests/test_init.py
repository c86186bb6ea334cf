"""`tundish init`: a config and mappings that work, from the live account, and nothing overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_hub import Said, Standing, standing, tundish


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("portal"), vendors=["hubspot"]) as it:
        yield it


def init(folder: Path, sandbox: Standing, *more: str, key: str = "hubspot.token", answer: str = "") -> Said:
    url = next(line.split('"')[1] for line in sandbox.config.read_text().splitlines() if "base_url" in line)
    settings = ("--set", f"hubspot.token=file:{sandbox.home}/secrets/{key}", "--set", f"hubspot.base_url={url}")
    about = ("--organisation", "Acme", "--timezone", "UTC", "--currency", "EUR")
    return tundish("init", "--vendor", "hubspot", "--folder", folder, *settings, *about, *more, answer=answer)


def everything(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_what_init_writes_is_complete_and_knows_the_live_accounts_own_stages(tmp_path: Path, sandbox: Standing) -> None:
    said = init(tmp_path, sandbox)
    assert (said.code, said.err) == (0, "")
    checked = tundish("--config", tmp_path / "config.yaml", "check", "--json")
    assert checked.code == 0
    assert {c["level"] for c in checked.json["checks"]} == {"ok"}
    mapping = (tmp_path / "mappings/hubspot.yaml").read_text()
    assert "guessed from 'Referred' in 'Partner referrals': confirm" in mapping


def test_editors_find_the_schemas_the_files_name(tmp_path: Path, sandbox: Standing) -> None:
    init(tmp_path, sandbox, "--offline")
    for path in (tmp_path / "config.yaml", tmp_path / "mappings/hubspot.yaml"):
        named = path.read_text().splitlines()[0].partition("$schema=")[2]
        assert (path.parent / named).is_file()


def test_a_file_is_replaced_only_when_the_user_says_yes_to_it(tmp_path: Path, sandbox: Standing) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "config.yaml").write_text("mine: 1\n")
    (tmp_path / "mappings/hubspot.yaml").write_text("mine: 2\n")
    said = init(tmp_path, sandbox, "--offline", answer="n\ny\n")
    assert (tmp_path / "config.yaml").read_text() == "mine: 1\n"
    assert "mine" not in (tmp_path / "mappings/hubspot.yaml").read_text()
    assert said.err.count("left alone: ") == 1


@pytest.mark.parametrize("more", [("--json",), ()])
def test_without_an_answer_nothing_is_replaced(tmp_path: Path, sandbox: Standing, more: tuple[str, ...]) -> None:
    init(tmp_path, sandbox, "--offline")
    (tmp_path / "config.yaml").write_text("mine: 1\n")
    before = everything(tmp_path)
    init(tmp_path, sandbox, "--offline", *more)
    assert everything(tmp_path) == before
    assert init(tmp_path, sandbox, "--offline", "--overwrite").code == 0
    assert "mine" not in (tmp_path / "config.yaml").read_text()


def test_an_account_that_cannot_be_looked_at_is_told(tmp_path: Path, sandbox: Standing) -> None:
    (sandbox.home / "secrets/wrong").write_text("mistyped-key-of-mine")
    said = init(tmp_path, sandbox, "--json", key="wrong")
    assert said.code == 0
    assert "token" in said.json["not_looked_at"]["hubspot"]
    assert "mistyped" not in said.out + said.err
    assert (tmp_path / "mappings/hubspot.yaml").exists()
