"""`tundish thaw`: what is frozen, letting it be written again, and how it says no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sandbox_hub import tundish

from core.ledger_echo import thaws
from core.reconcile import FINDINGS
from jobs.play import write_config
from jobs.wiring import Hub, open_hub

DEAL = ["hubspot", "deals", "3001"]


def finding(id_: str, entity: str, field: str, *records: list[str], **more: Any) -> dict[str, Any]:
    row = {"finding_id": id_, "rule": "T-05", "entity_kind": "deal", "entity_id": entity, "field": field, "status": "open"}
    return {**row, "records": json.dumps(records), "values": json.dumps({"hubspot": "1 ↔ 2"}), **more}


def reconciled(hub: Hub, *rows: dict[str, Any]) -> None:
    at = hub.clock()
    seen = [{**dict.fromkeys(FINDINGS.names), "last_seen": at, **row} for row in rows]
    run = hub.ledger.start_run("reconcile", at)
    hub.lake.append_derived("finding", [pa.Table.from_pylist(seen, schema=FINDINGS)], run, at)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with open_hub(write_config(tmp_path, {"hubspot": "http://127.0.0.1:9"})) as opened:
        yield opened


def thaw(tmp_path: Path, *words: str) -> Any:
    return tundish("--config", tmp_path / "config.yaml", "thaw", *words)


def test_before_anything_was_reconciled_nothing_is_frozen(hub: Hub, tmp_path: Path) -> None:
    assert thaw(tmp_path, "--json").json == {"frozen": []}
    said = thaw(tmp_path)
    assert (said.code, said.out) == (0, "nothing is frozen\n")


def test_what_is_frozen_is_told_and_thawed_by_entity_finding_or_record(hub: Hub, tmp_path: Path) -> None:
    settled = finding("f9", "dea_9", "amount", DEAL, status="fixed")
    reconciled(
        hub, finding("f1", "dea_1", "amount", DEAL, ["salesforce", "Opportunity", "006"]), finding("f2", "dea_2", "stage", DEAL), settled,
        finding("f3", "dea_3", "owner_id", ["hubspot", "deals", "3003"]), finding("f4", "dea_4", "amount", DEAL, rule="D-01"),
    )  # fmt: skip
    assert [one["finding_id"] for one in thaw(tmp_path, "--json").json["frozen"]] == ["f1", "f2", "f3"]
    said = thaw(tmp_path)
    assert "dea_1  amount" in said.out
    assert said.out.endswith("thaw one with `tundish thaw ID` once it has one writer\n")
    assert [one["finding_id"] for one in thaw(tmp_path, "dea_1", "f2", "3003", "--json").json["thawed"]] == ["f1", "f2", "f3"]
    assert set(thaws(hub.ledger)) == {
        (*DEAL, "amount"), ("salesforce", "Opportunity", "006", "amount"), (*DEAL, "stage"), ("hubspot", "deals", "3003", "owner_id"),
    }  # fmt: skip


def test_what_was_thawed_is_no_longer_listed_until_it_is_found_again(hub: Hub, tmp_path: Path) -> None:
    reconciled(hub, finding("f1", "dea_1", "amount", DEAL, last_seen=hub.clock() - timedelta(minutes=1)))
    said = thaw(tmp_path, "dea_1")
    assert (said.code, said.out.splitlines()[-1]) == (0, "thawed; the next `tundish plan` may write them again")
    assert thaw(tmp_path, "--json").json == {"frozen": []}
    reconciled(hub, finding("f1", "dea_1", "amount", DEAL))
    assert len(thaw(tmp_path, "--json").json["frozen"]) == 1


def test_a_word_that_names_nothing_frozen_thaws_nothing(hub: Hub, tmp_path: Path) -> None:
    reconciled(hub, finding("f1", "dea_1", "amount", DEAL))
    said = thaw(tmp_path, "dea_1", "dea_7")
    assert said.code == 2
    assert "nothing is frozen under 'dea_7'" in said.err
    assert "tundish thaw" in said.err
    assert thaws(hub.ledger) == {}


def test_help_says_what_an_id_is() -> None:
    said = tundish("thaw", "--help")
    assert said.code == 0
    assert "ID: an entity, a finding or a record" in " ".join(said.out.split())
