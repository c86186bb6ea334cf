"""Config and funnel: mistakes have places, secrets stay out of files, paths are relative to the config."""

from __future__ import annotations

import importlib
from pathlib import Path

import ibis
import pytest
from described_vendors import CONNECTORS, HUBSPOT

from core.config import SHIPPED, Config, load_config, load_setup
from core.errors import CredentialsError, UserError
from core.facts import excluded
from core.funnel import load_funnel
from core.model import LADDER, OFF_LADDER
from core.thresholds import DEFAULTS, policy, threshold

ROOT = Path(__file__).parent.parent
FUNNEL = ROOT / "mappings" / "funnel.yaml"
ORGANISATION = "organisation: {name: Lumen}\n"


def config(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, CONNECTORS)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        config(folder, text)
    return [line.removeprefix(f"{folder / 'config.yaml'}:") for line in str(caught.value).splitlines()]


def test_the_example_config_is_sound_and_names_three_vendors_and_two_jobs() -> None:
    modules = [importlib.import_module(f"connectors.{name}") for name in ("hubspot", "salesforce", "mailchimp")]
    real = {module.CONNECTOR.name: module.CONNECTOR for module in modules}
    setup = load_setup(ROOT / "config.example.yaml", real)
    assert set(setup.config.accounts) == {"hubspot", "salesforce", "mailchimp"}
    assert (setup.config.job("nightly").schedule, setup.config.job("nightly").apply) == ("0 2 * * *", "manual")
    assert "hourly" in setup.config.jobs


def test_paths_are_relative_to_the_config_file(tmp_path: Path) -> None:
    made = config(tmp_path, ORGANISATION + "lake: data/lake\nledger: data/l.db\n")
    assert made.lake == str(tmp_path / "data/lake")
    assert made.ledger_url({}) == f"sqlite:///{tmp_path / 'data/l.db'}"
    assert made.funnel_path == FUNNEL


def test_urls_stay_urls(tmp_path: Path) -> None:
    made = config(tmp_path, ORGANISATION + "lake: s3://bucket/lake\nledger: postgresql+psycopg://u:${PW}@db/t\n")
    assert made.lake == "s3://bucket/lake"
    assert made.ledger_url({"PW": "x"}) == "postgresql+psycopg://u:x@db/t"


def test_a_mapping_beside_the_config_wins_over_the_shipped_one(tmp_path: Path) -> None:
    text = ORGANISATION + "accounts: {hubspot: {vendor: hubspot}, emea: {vendor: hubspot, mapping: emea.yaml}}\n"
    assert config(tmp_path, text).account("hubspot").mapping_path == ROOT / "mappings" / "hubspot.yaml"
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "hubspot.yaml").write_text("vendor: hubspot")
    made = config(tmp_path, text)
    assert made.account("hubspot").mapping_path == tmp_path / "mappings" / "hubspot.yaml"
    assert made.account("emea").mapping_path == tmp_path / "emea.yaml"


# -- secrets -------------------------------------------------------------------------------------------------------------
def test_a_secret_in_the_open_is_refused_with_the_way_out_and_without_the_secret(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, ORGANISATION + "accounts:\n  my-hub:\n    vendor: hubspot\n    settings:\n      token: pat-na1-1234\n")
    assert line.startswith(
        "6:14: 'token' is a secret and must not stand in this file; export MY_HUB_TOKEN=… and write token: ${MY_HUB_TOKEN}"
    )
    assert "1234" not in line


def test_the_sandboxs_keys_may_stand_in_the_open(tmp_path: Path) -> None:
    settings = "{token: pat-na1-sandbox, base_url: 'http://127.0.0.1:8001'}"
    made = config(tmp_path, f"{ORGANISATION}accounts: {{hubspot: {{vendor: hubspot, settings: {settings}}}}}\n")
    assert made.settings("hubspot", HUBSPOT, {})["token"] == "pat-na1-sandbox"


def test_references_are_looked_up_when_an_account_is_opened(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("from-file\n")
    text = (
        ORGANISATION
        + "accounts:\n  a: {vendor: hubspot, settings: {token: '${TOKEN}'}}\n  b: {vendor: hubspot, settings: {token: 'file:key.txt'}}\n"
    )
    made = config(tmp_path, text)
    assert made.settings("a", HUBSPOT, {"TOKEN": "t"}) == {"token": "t", "base_url": "https://api.hubapi.com"}
    assert made.settings("b", HUBSPOT, {})["token"] == "from-file"


def test_a_keyring_entry_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setattr(keyring, "get_password", lambda service, name: {"tundish/hub": "k"}.get(f"{service}/{name}"))
    line = "  {}: {{vendor: hubspot, settings: {{token: 'keyring:{}'}}}}\n"
    text = ORGANISATION + "accounts:\n" + line.format("a", "tundish/hub") + line.format("b", "x/y")
    made = config(tmp_path, text)
    assert made.settings("a", HUBSPOT, {})["token"] == "k"
    with pytest.raises(CredentialsError, match=r"accounts\.b\.settings\.token: the keyring has no entry x/y"):
        made.settings("b", HUBSPOT, {})


def test_a_missing_variable_names_the_setting_and_the_variable(tmp_path: Path) -> None:
    made = config(tmp_path, ORGANISATION + "accounts: {hub: {vendor: hubspot, settings: {token: '${NOPE}'}}}\n")
    with pytest.raises(CredentialsError, match=r"accounts\.hub\.settings\.token: the environment variable NOPE is not set"):
        made.settings("hub", HUBSPOT, {})


def test_a_missing_secret_file_names_the_setting(tmp_path: Path) -> None:
    made = config(tmp_path, ORGANISATION + "accounts: {hub: {vendor: hubspot, settings: {token: 'file:nope'}}}\n")
    with pytest.raises(CredentialsError, match=r"accounts\.hub\.settings\.token: cannot read the secret file nope"):
        made.settings("hub", HUBSPOT, {})


# -- mistakes ---------------------------------------------------------------------------------------------------------------
def test_twelve_mistakes_give_twelve_lines(tmp_path: Path) -> None:
    text = """organisation:
  name: Lumen
  timezone: Europe/Berln
  curency: EUR
accounts:
  hub: {vendor: hubspt}
  sf: {vendor: salesforce, settings: {client_id: x, clientsecret: '${S}'}}
  mc: {vendor: mailchimp, settings: {api_key: abc-us1}, resources: [memberz]}
ledger: postgresql://u:secret@db/t
jobs:
  nightly: {schedule: "0 25 * * *", steps: [synch]}
  hourly: {steps: [sync mcc]}
alerts: ["slack://token/x"]
"""
    found = mistakes(tmp_path, text)
    assert found == [
        "3:13: unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        "4:3: unknown key 'curency'; did you mean 'currency'?",
        "6:17: unknown vendor 'hubspt'; did you mean 'hubspot'?",
        "7:28: the setting 'client_secret' is missing: consumer secret",
        "7:53: salesforce has no setting 'clientsecret'; did you mean 'client_secret'?",
        found[5],
        "8:69: mailchimp has no resource 'memberz'; did you mean 'members'?",
        "9:9: the password must not stand in this file; write ${LEDGER_PASSWORD} in its place",
        "11:23: '25' is not a schedule field from 0 to 23",
        "11:45: unknown step 'synch'; did you mean 'sync'?",
        "12:20: no account 'mcc'; did you mean 'mc'?",
        "13:10: an alert URL holds a secret; export ALERT_URL=… and write ${ALERT_URL}",
    ]
    assert found[5].startswith("8:47: 'api_key' is a secret")


@pytest.mark.parametrize("schedule", ["0 2 * * *", "*/15 7-19 * * 1-5", "0 0 1,15 * mon"])
def test_cron_as_people_write_it_is_accepted(tmp_path: Path, schedule: str) -> None:
    assert config(tmp_path, f"{ORGANISATION}jobs: {{n: {{schedule: '{schedule}', steps: [sync]}}}}").job("n").schedule == schedule


def test_mistakes_of_config_mapping_and_funnel_come_together(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "hubspot.yaml").write_text("vendor: hubspot\nresources: {contcts: {kind: person}}\n")
    (tmp_path / "mappings" / "funnel.yaml").write_text("ladder: [{code: M11, name: x}]\n")
    (tmp_path / "config.yaml").write_text(ORGANISATION + "lakee: x\naccounts: {a: {vendor: hubspot}, b: {vendor: hubspot}}\n")
    with pytest.raises(UserError) as caught:
        load_setup(tmp_path / "config.yaml", CONNECTORS)
    lines = str(caught.value).splitlines()
    assert [line.split("/")[-1].split(":")[0] for line in lines] == ["config.yaml", "hubspot.yaml", "funnel.yaml", "funnel.yaml"]


def test_a_missing_config_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read this file(.|\n)*tundish init"):
        load_config(tmp_path / "config.yaml", CONNECTORS)


def test_unknown_names_are_answered_with_a_suggestion(tmp_path: Path) -> None:
    made = config(tmp_path, ORGANISATION + "accounts: {hub: {vendor: hubspot}}\njobs: {nightly: {steps: [sync]}}\n")
    with pytest.raises(UserError, match="no account 'hubb'; did you mean 'hub'"):
        made.account("hubb")
    with pytest.raises(UserError, match="no job 'nightley'; did you mean 'nightly'"):
        made.job("nightley")


# -- funnel ------------------------------------------------------------------------------------------------------------------
def test_the_shipped_funnel_has_the_whole_ladder_and_every_threshold_at_its_default() -> None:
    funnel = load_funnel(FUNNEL)
    assert {rung.code for rung in funnel.ladder} == {*LADDER, *OFF_LADDER}
    assert {name: threshold(funnel, name) for name in DEFAULTS} == DEFAULTS
    assert policy(funnel, "stage")[0] == "source_of_truth"
    assert policy(funnel, "amount")[1][:2] == ("salesforce", "hubspot")
    assert next(rung.name for rung in funnel.ladder if rung.code == "M30") == "MQL"


def test_colleagues_and_tests_are_left_out() -> None:
    addresses = {"test@acme.io": True, " Ada+Test@acme.io": True, "ada@example.com": True, "ada@acme.io": False, None: False}
    asked = ibis.memtable({"email": list(addresses)}, schema={"email": "string"})
    told = asked.select("email", out=excluded(asked.email, load_funnel(FUNNEL))).to_pyarrow().to_pylist()
    assert {row["email"]: row["out"] for row in told} == addresses


def test_a_policy_a_field_cannot_have_is_told_with_its_place(tmp_path: Path) -> None:
    ladder = "ladder: [" + ", ".join(f"{{code: {code}, name: x}}" for code in (*LADDER, *OFF_LADDER)) + "]\n"
    path = tmp_path / "funnel.yaml"
    said = "policies:\n  amount: {policy: strictest}\n  amont: {policy: max}\n  consent: {policy: most_recent}\n  owner: {policy: newest}\n"
    path.write_text(ladder + said)
    with pytest.raises(UserError) as caught:
        load_funnel(path)
    lines = [line.split("funnel.yaml:")[1] for line in str(caught.value).splitlines() if "funnel.yaml:" in line]
    assert any(line.startswith("6:19: ") for line in lines), lines  # the word that is no policy at all is told first
    path.write_text(ladder + said.replace("newest", "most_recent, tolerance_minutes: 10"))
    with pytest.raises(UserError) as caught:
        load_funnel(path)
    told = str(caught.value)
    assert "funnel.yaml:3:20: amount cannot be 'strictest'; one of source_of_truth, prefer_unless_blank, most_recent, manual" in told
    assert "funnel.yaml:4:3: no policy for 'amont'; did you mean 'amount'" in told
    assert "funnel.yaml:5:21: consent cannot be 'most_recent'; one of strictest" in told


def test_a_rule_may_be_limited_to_accounts_of_the_config(tmp_path: Path) -> None:
    ladder = "ladder: [" + ", ".join(f"{{code: {code}, name: x}}" for code in (*LADDER, *OFF_LADDER)) + "]\n"
    path = tmp_path / "funnel.yaml"
    path.write_text(ladder + "rules: {D-12: {accounts: [hubspot-eu, hubspod], pipelines: [default]}}\n")
    assert load_funnel(path).rule("D-12").pipelines == ["default"]
    with pytest.raises(UserError) as caught:
        load_funnel(path, {"hubspot", "hubspot-eu"})
    assert str(caught.value) == f"{path}:2:39: no account 'hubspod' in the config; did you mean 'hubspot'?"


def test_thresholds_and_switches_are_read_and_misspellings_are_answered(tmp_path: Path) -> None:
    ladder = "ladder: [" + ", ".join(f"{{code: {code}, name: x}}" for code in (*LADDER, *OFF_LADDER)) + "]\n"
    path = tmp_path / "funnel.yaml"
    path.write_text(
        ladder + "thresholds: {amount_share: 0.2, conversion_events: [purchase]}\nrules: {I-04: {enabled: false, severity: S4}}\n"
    )
    funnel = load_funnel(path)
    assert threshold(funnel, "amount_share") == 0.2
    assert threshold(funnel, "conversion_events") == ("purchase",)
    assert (funnel.rule("I-04").enabled, funnel.rule("I-04").severity) == (False, "S4")
    assert funnel.rule("D-01").enabled
    path.write_text(ladder + "thresholds: {amount_shares: 0.2, mirror_hours: soon}\nrules: {I-04: {enable: false}, I4: {}}\n")
    with pytest.raises(UserError) as caught:
        load_funnel(path)
    one, two, three, four = (line.removeprefix(f"{path}:") for line in str(caught.value).splitlines())
    assert one == "2:14: unknown key 'amount_shares'; did you mean 'amount_share'?"
    assert two == "2:48: expected a number"
    assert three == "3:16: unknown key 'enable'; did you mean 'enabled'?"
    assert four.startswith("3:")


def test_an_attribution_model_that_is_none_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "funnel.yaml"
    path.write_text((SHIPPED / "funnel.yaml").read_text().replace("attribution_model: w ", "attribution_model: lineal "))
    with pytest.raises(UserError, match=r"funnel\.yaml:\d+:\d+: unknown model 'lineal'; did you mean 'linear'"):
        load_funnel(path)
