"""A client of somebody else's, written for the real vendor, gets on with the emulator."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
from activecampaign_account import START, contact, deal, world

from connectors.sandbox.activecampaign import TOKEN, ActiveCampaignEmulator
from connectors.sandbox.kit import Clock, serve

PACKAGE = "activecampaign-python"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("activecampaign") is None and os.environ.get("CI") != "true",
    reason=f"{PACKAGE} is not installed (group conformance)",
)


class Unhurried:
    """The client's parts, a second apart: it knows no limits."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client, self._clock = client, clock

    def __getattr__(self, part: str) -> Any:
        self._clock.advance(1)
        return getattr(self._client, part)


@pytest.fixture
def client() -> Iterator[Unhurried]:
    from activecampaign.client import Client

    clock = Clock(START)
    emulator = ActiveCampaignEmulator(world([contact(i) for i in range(1, 31)], deals=[deal(7)]), clock=clock)
    with serve([emulator]) as urls:
        yield Unhurried(Client(urls["activecampaign"], TOKEN), clock)


def test_it_lists_and_pages(client: Unhurried) -> None:
    assert len(client.contacts.list_all_contacts()["contacts"]) == 20
    assert [row["id"] for row in client.contacts.list_all_contacts(limit=2, offset=29)["contacts"]] == ["30"]
    assert client.users.list_all_users()["users"][0]["username"] == "noor"


def test_it_writes_a_contact_and_reads_it(client: Unhurried) -> None:
    made = client.contacts.create_or_update_contact({"contact": {"email": "new@acme.test", "firstName": "New"}})["contact"]
    client.contacts.update_a_contact(made["id"], {"contact": {"lastName": "Name"}})
    found = client.contacts.retrieve_a_contact(made["id"])["contact"]
    assert (found["firstName"], found["lastName"]) == ("New", "Name")
    client.contacts.delete_a_contact(made["id"])
    assert "No Result found" in client.contacts.retrieve_a_contact(made["id"])["message"]


def test_it_moves_a_deal_and_sees_what_happened(client: Unhurried) -> None:
    assert client.deals.retrieve_a_deal("7")["deal"]["value"] == "123450"
    assert client.deals.update_a_deal("7", {"deal": {"stage": "21"}})["deal"]["stage"] == "21"
    assert len(client.dealActivities.list_all_deal_activities(deal="7")["dealActivities"]) == 2


def test_it_makes_a_tag(client: Unhurried) -> None:
    assert client.tags.create_a_tag({"tag": {"tag": "New", "tagType": "contact"}})["tag"]["id"] == "2"
    assert [row["tag"] for row in client.tags.list_all_tags()["tags"]] == ["Hot", "New"]
