"""A sandbox Salesforce org per test, sessions on it, and reads of the connector drained into rows."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from connectors.salesforce import CONNECTOR
from connectors.salesforce_session import Session
from connectors.sandbox.kit import Clock, serve
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import make_id
from core.connector import Ask, Page, State
from core.http import Transport

NOW = datetime(2026, 6, 30, tzinfo=UTC)
START = NOW - timedelta(days=90)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def row(prefix: str, n: int, at: datetime | None = None, **values: Any) -> dict[str, Any]:
    stamp = iso(at or START + timedelta(minutes=n))
    return {"Id": make_id(prefix, n), "CreatedDate": stamp, "SystemModstamp": stamp, **values}


def accounts(count: int, at: datetime | None = None) -> dict[str, Any]:
    return {"objects": {"Account": [row("001", n, at, Name=f"Firm {n}") for n in range(1, count + 1)]}}


def contacts(count: int, **values: Any) -> dict[str, Any]:
    people = [row("003", n, LastName=f"P{n}", AccountId=make_id("001", n % 3 + 1), **values) for n in range(1, count + 1)]
    return {"objects": {**accounts(3)["objects"], "Contact": people}}


@dataclass
class Read:
    pages: list[Page] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [r for page in self.pages for r in rows_of(page)]

    @property
    def ids(self) -> list[str]:
        return [r["Id"] for r in self.rows]

    @property
    def state(self) -> State:
        return orjson.loads(orjson.dumps(self.pages[-1].state))  # type: ignore[no-any-return]


def rows_of(page: Page) -> list[dict[str, Any]]:
    if page.format == "csv":
        return list(csv.DictReader(io.StringIO(page.body.decode(), newline="")))
    return list(orjson.loads(page.body)[page.rows])


class Org:
    """An emulator of its own, and sessions on it."""

    def __init__(self, url: str, emulator: SalesforceEmulator) -> None:
        self.url, self.emulator = url, emulator
        self.waits: list[float] = []

    def session(self, *, writes: bool = False, **settings: str) -> Session:
        transport = Transport(
            "acme",
            buckets=CONNECTOR.buckets,
            fault=CONNECTOR.fault,
            safe_posts=CONNECTOR.safe_posts,
            writes=writes,
            sleep=self.waits.append,
            monotonic=lambda: time.monotonic() + sum(self.waits),  # whoever sleeps finds the time gone
        )
        known = {"client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "sf-refresh", "login_url": self.url}
        opened: Session = CONNECTOR.open(known | settings, transport)
        return opened

    def edit(self, edit: str, /, **values: Any) -> Any:
        return self.emulator.edits[edit](**values)

    def asked(self, part: str) -> int:
        return sum(part in path for _, path, _ in self.emulator.log)


@pytest.fixture(scope="session")
def salesforce_served() -> Iterator[tuple[SalesforceEmulator, str]]:
    emulator = SalesforceEmulator({})
    with serve([emulator]) as urls:
        yield emulator, urls["salesforce"]


@pytest.fixture
def org_with(salesforce_served: tuple[SalesforceEmulator, str]) -> Any:
    emulator, url = salesforce_served

    def filled(seed: dict[str, Any]) -> Org:
        emulator.__init__(seed, clock=Clock(NOW.timestamp()))  # type: ignore[misc]
        return Org(url, emulator)

    return filled


def begin(session: Session, resource: str, fields: tuple[str, ...] = ("Id",), state: State | None = None, **more: Any) -> Iterator[Page]:
    return CONNECTOR.resource(resource).read(session, Ask(resource, fields, more.pop("now", NOW), state, **more))


def pull(session: Session, resource: str, fields: tuple[str, ...] = ("Id",), state: State | None = None, **more: Any) -> Read:
    return Read(list(begin(session, resource, fields, state, **more)))
