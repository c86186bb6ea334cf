"""`tundish init`: a config and mappings that work, from the live account, and nothing overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from sandbox_hub import Said, Standing, standing, tundish

from jobs.wiring import all_connectors


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
    wrong = {c["text"] for c in checked.json["checks"] if c["level"] != "ok"}  # the portal's own life cycle stages are for a person to map
    assert wrong == {f"stage {stage} is in no stage table" for stage in ("48203371 (Trial)", "48203399 (Former partner)")}
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


@pytest.mark.parametrize(
    ("typed", "variables", "settings"),
    [
        ("\n\n\n", {}, {"token": "${HUBSPOT_TOKEN}"}),
        ("-\nmy-app\n\n\n\n\n", {"HUBSPOT_CLIENT_SECRET", "HUBSPOT_REFRESH_TOKEN"},
         {"client_id": "my-app", "client_secret": "${HUBSPOT_CLIENT_SECRET}", "refresh_token": "${HUBSPOT_REFRESH_TOKEN}"}),
    ],
)  # fmt: skip
def test_what_need_not_be_set_is_not_asked_for_in_the_config(
    typed: str, variables: set[str], settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HUBSPOT_TOKEN", "HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET", "HUBSPOT_REFRESH_TOKEN", "HUBSPOT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in variables:
        monkeypatch.setenv(name, "x")
    connect = "".join("y\n" if name == "hubspot" else "n\n" for name in all_connectors())
    said = tundish("init", "--folder", tmp_path, "--offline", answer=f"{connect}Acme\nUTC\nEUR\n{typed}")
    assert said.code == 0
    written = YAML(typ="safe").load((tmp_path / "config.yaml").read_text())["accounts"]["hubspot"]["settings"]
    assert {k: v for k, v in written.items() if k != "base_url"} == settings


def test_an_account_that_cannot_be_looked_at_is_told(tmp_path: Path, sandbox: Standing) -> None:
    (sandbox.home / "secrets/wrong").write_text("mistyped-key-of-mine")
    said = init(tmp_path, sandbox, "--json", key="wrong")
    assert said.code == 0
    assert "token" in said.json["not_looked_at"]["hubspot"]
    assert "mistyped" not in said.out + said.err
    assert (tmp_path / "mappings/hubspot.yaml").exists()
