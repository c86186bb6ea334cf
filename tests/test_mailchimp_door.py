"""Keys, addresses, throttling and faults of Mailchimp."""

from __future__ import annotations

import pytest
from test_mailchimp import A, B, account, keys, person, world

from connectors.mailchimp import CONNECTOR
from connectors.mailchimp_session import production
from connectors.sandbox.kit import Fault
from core.errors import CredentialsError, VendorUnavailable


# -- the door -------------------------------------------------------------------------------------------------------------
def test_probe_and_discover_name_the_account_its_lists_and_fields() -> None:
    with account(world([person(1)])) as mc:
        assert "Chimpy" in CONNECTOR.probe(mc.session)
        assert CONNECTOR.discover is not None
        live = {f.path: f for f in CONNECTOR.discover(mc.session).fields}
        assert live["merge_fields.NOTE"].label == "Note"
        assert live["list_id"].options == (f"{A} News", f"{B} server-side tips")


def test_a_wrong_key_names_the_setting_and_never_shows_the_key() -> None:
    with account(world([]), key="secretsecret-us1") as mc:
        with pytest.raises(CredentialsError, match="api_key") as caught:
            CONNECTOR.probe(mc.session)
        assert "secretsecret" not in str(caught.value)


def test_the_address_comes_from_the_key() -> None:
    assert production("0123abc-us19") == "https://us19.api.mailchimp.com"
    with pytest.raises(CredentialsError, match="data centre"):
        production("0123abc")


@pytest.mark.parametrize("bare", [None, 429, 403])
def test_throttling_in_each_of_its_forms_is_waited_out(bare: int | None) -> None:
    with account(world([person(1)])) as mc:
        mc.emulator.knob("bare_throttle", bare)
        mc.emulator.faults.append(Fault("throttle", times=2))
        assert "Chimpy" in CONNECTOR.probe(mc.session)
        assert mc.transport.spent()["retries"] == 2


def test_a_cut_page_and_a_server_error_are_asked_for_again() -> None:
    with account(world([person(i) for i in range(5)])) as mc:
        mc.emulator.faults += [Fault("cut", match="members"), Fault("error", match="members", status=500)]
        assert len(keys(mc.read("members"))) == 5


def test_an_account_that_stays_busy_is_unavailable_not_empty() -> None:
    with account(world([person(1)]), attempts=2) as mc:
        mc.emulator.knob("busy_elsewhere", 10)
        with pytest.raises(VendorUnavailable):
            mc.read("members")


def test_a_list_with_server_in_its_id_is_reached() -> None:
    seed = world([])
    seed["lists"].append({"id": "server01", "name": "x", "date_created": "2026-03-01T00:00:00Z"})
    seed["members"]["server01"] = [person(1)]
    with account(seed) as mc:
        assert ("server01", "p1@acme.test") in keys(mc.read("members"))
