"""The mappings we ship, over the sandbox's HTTP: every row fits, every mapped field is filled, REST and Bulk agree."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox.activecampaign import TOKEN, ActiveCampaignEmulator
from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Clock, serve
from connectors.sandbox.mailchimp import MailchimpEmulator
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.world import build
from core.connector import Ask, Connector
from core.http import Transport
from core.mapping import load_mapping

SHIPPED = Path(__file__).parent.parent / "mappings"
NOW = datetime(2026, 6, 30, tzinfo=UTC)
SETTINGS = {
    "hubspot": {"token": "pat-na1-sandbox"},
    "salesforce": {"client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "sf-refresh"},
    "mailchimp": {"api_key": "sandbox-us1"},
    "activecampaign": {"api_token": TOKEN},
}
CLOCK = Clock(NOW.timestamp())  # of the emulators and of whoever waits for them
NEVER_IN_THE_WORLD = {"merged_into", "merged_ids", "parent_id"}  # nobody there was merged in every object, nobody is a subsidiary


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    seeds, clock = build(60, 7).seeds, CLOCK
    hubspot = HubspotEmulator(seeds["hubspot"], clock=clock, limits=False)
    others = [
        SalesforceEmulator(seeds["salesforce"], clock=clock), MailchimpEmulator(seeds["mailchimp"], clock=clock),
        ActiveCampaignEmulator(seeds["activecampaign"], clock=clock),
    ]  # fmt: skip
    with serve([hubspot, *others]) as urls:
        yield urls


def hashes(url: str, name: str, **more: str) -> tuple[dict[str, dict[tuple[str, str], int]], dict[str, set[str]], list[str]]:
    """By resource: content hash by (kind, id), and the mapped fields that no record has; the reasons of all rejects."""
    connector: Connector = importlib.import_module(f"connectors.{name}").CONNECTOR
    mapping = load_mapping(SHIPPED / f"{name}.yaml", connector, timezone="Europe/Berlin", currency="EUR")
    transport = Transport(
        name, buckets=connector.buckets, fault=connector.fault, safe_posts=connector.safe_posts, sleep=CLOCK.advance, monotonic=CLOCK.now
    )
    defaults = {s.name: s.default for s in connector.settings if s.default}
    session = connector.open({**defaults, **SETTINGS[name], "base_url": url, "login_url": url, **more}, transport)
    found: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    empty: dict[str, set[str]] = {}
    reasons: list[str] = []
    for resource in connector.resources:
        if resource.name not in mapping.resources:
            continue
        compiled, filled, mapped = mapping.resource(resource.name), set(), set()
        ask = Ask(resource.name, compiled.fields_asked, NOW, known_ids=lambda r: iter([[i for _, i in found[r]]]))
        for page in resource.read(session, ask):
            parsed = compiled.parse(page.body, page.rows, page.format)
            reasons += [reason for reject in parsed.rejects for reason in compiled.reasons(reject)]
            for kind, columns in compiled.columns(parsed.rows, page.context):
                keys = [(kind, vendor_id) for vendor_id in columns["vendor_id"]]
                found[resource.name].update(zip(keys, compiled.hashes(kind, columns), strict=True))
                mapped |= set(columns)
                filled |= {column for column, values in columns.items() if any(not _nothing(v) for v in values)}
        empty[resource.name] = mapped - filled - NEVER_IN_THE_WORLD
    return found, empty, reasons


def _nothing(value: Any) -> bool:
    return value in (None, (), "{}")


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_row_fits_and_every_mapped_field_is_filled(urls: dict[str, str], name: str) -> None:
    found, empty, reasons = hashes(urls[name], name)
    assert reasons == []
    assert all(found.values())
    assert {resource: fields for resource, fields in empty.items() if fields} == {}


def test_rest_and_bulk_give_the_same_content(urls: dict[str, str]) -> None:
    rest, _, _ = hashes(urls["salesforce"], "salesforce")
    bulk, _, reasons = hashes(urls["salesforce"], "salesforce", bulk_above="0")
    assert reasons == []
    assert {name: {key for key in rest[name] if rest[name][key] != bulk[name].get(key)} for name in rest} == {name: set() for name in rest}
