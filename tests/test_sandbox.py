"""The sandbox as `tundish sandbox` serves it: what may go wrong is counted per vendor, and the config fits it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sandbox_hub import tundish

from connectors.sandbox.kit import parse_faults
from jobs.play import playground

NOW = datetime(2026, 6, 30, tzinfo=UTC)


def test_each_vendor_has_its_own_count_of_a_fault_and_one_can_be_named(tmp_path: Path) -> None:
    faults = [parse_faults("throttle,times=2,retry_after=1"), parse_faults("cut,vendor=mailchimp")]
    with playground(tmp_path, size=2, now=NOW, faults=faults) as play:
        hubspot, mailchimp = play.emulators["hubspot"].faults, play.emulators["mailchimp"].faults
    assert [f.kind for f in hubspot] == ["throttle"]
    assert [f.kind for f in mailchimp] == ["throttle", "cut"]
    hubspot[0].take("/")
    assert (hubspot[0].times, mailchimp[0].times) == (1, 2)


def test_where_a_token_is_to_expire_hubspot_is_opened_by_one_that_can_and_the_sync_survives_it(tmp_path: Path) -> None:
    with playground(tmp_path, size=2, now=NOW, faults=[parse_faults("expire,vendor=hubspot,after=2")]) as play:
        said = tundish("--config", play.config, "sync", "hubspot", "--resource", "contacts")
        answers = [(path, status) for _, path, status in play.emulators["hubspot"].log]
    assert said.code == 0, said.err
    assert 401 in [status for _, status in answers]
    assert [status for path, status in answers if path == "/oauth/v1/token"] == [200, 200]


@pytest.mark.parametrize("fault", ["flood", "cut,vendor=hubspt", "cut,colour=red", "cut,times=many", "cut,match=["])
def test_a_fault_that_does_not_exist_is_refused(fault: str, tmp_path: Path) -> None:
    said = tundish("sandbox", "--fault", fault, "--home", tmp_path, "--for", "0")
    assert said.code == 2
    assert "--fault" in said.err
