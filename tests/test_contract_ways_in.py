"""The contract tour for every other way to sign in that an emulator knows: what arrives is what arrives with the usual one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from sandbox_hub import VENDORS, Standing, contents
from test_contract_tour import reasons, sync, toured_at, undisturbed

from connectors.sandbox.kit import Fault
from core.errors import CredentialsError
from jobs.play import emulator_classes
from jobs.wiring import all_connectors

WAYS = [(vendor, way) for vendor in VENDORS for way in emulator_classes()[vendor].ways]
Stand = Callable[..., Standing]


@pytest.fixture(params=WAYS, ids=lambda pair: "-".join(pair))
def account(request: pytest.FixtureRequest, stand: Stand) -> tuple[str, dict[str, str], Standing]:
    """(vendor, its settings, a sandbox whose config signs in by them)."""
    vendor, way = request.param
    cls: Any = emulator_classes()[vendor]
    with patch.object(cls, "secrets", classmethod(lambda cls, url: cls.ways[way])):
        sandbox = stand(vendors=[vendor])
    return vendor, dict(cls.ways[way]), sandbox


def test_those_who_have_other_ways_are_toured_by_them() -> None:
    assert {vendor for vendor, _ in WAYS} == set(toured_at("ways in")) >= {"hubspot", "salesforce", "ga4"}


def test_the_same_arrives_and_tokens_that_end_in_the_middle_are_renewed(account: tuple[str, dict[str, str], Standing]) -> None:
    vendor, _, sandbox = account
    sandbox.emulators[vendor].faults += [Fault("expire", times=1, after=5), Fault("expire", times=1, after=11)]
    result = sync(sandbox)
    assert (result.status, reasons(result)) == ("done", [])
    assert all(f.times == 0 for f in sandbox.emulators[vendor].faults)
    assert contents(sandbox.hub) == undisturbed(vendor)[0]


def test_a_wrong_one_is_told_by_its_setting_and_never_shown(account: tuple[str, dict[str, str], Standing]) -> None:
    vendor, given, sandbox = account
    secret = {s.name for s in all_connectors()[vendor].settings if s.secret}
    for name in sorted(secret & set(given)):
        place = sandbox.home / f"secrets/{vendor}.{name}"
        place.write_text(f"wrong-{given[name]}")
        with pytest.raises(CredentialsError) as caught, sandbox.hub.account(vendor) as opened:
            opened.connector.probe(opened.session)
        assert name in str(caught.value)
        assert given[name] not in str(caught.value)
        place.write_text(given[name])
