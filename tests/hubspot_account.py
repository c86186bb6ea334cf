"""An emulated HubSpot portal for tests: through the connector with time that passes only when somebody sleeps, and over bare HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3

from connectors.hubspot import CONNECTOR
from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Clock, serve
from core.connector import Ask, Page, Write
from core.http import Transport

TOKEN = "pat-na1-sandbox"
START = 1_780_000_000.0  # 2026-05-28T20:26:40Z
NOW = datetime.fromtimestamp(START, UTC)
OLD, LATER = "2026-05-01T12:00:00Z", "2026-05-28T20:00:00Z"
GRANT = {"client_id": "hub-client", "client_secret": "hub-secret", "refresh_token": "hub-refresh"}


def thing(oid: int, updated: str = OLD, **properties: Any) -> dict[str, Any]:
    more = {k: properties.pop(k) for k in ("archived", "archivedAt", "history") if k in properties}
    return {"id": str(oid), "properties": properties, "createdAt": "2026-04-01T08:00:00Z", "updatedAt": updated, "archived": False, **more}


def people(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [thing(i, email=f"p{i}@x.test", lifecyclestage="lead") for i in range(first, first + count)]


class Ticks:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Account:
    emulator: HubspotEmulator
    transport: Transport
    session: Any
    ticks: Ticks

    def read(self, resource: str, fields: Sequence[str] = ("properties.email",), **asked: Any) -> list[Page]:
        return list(CONNECTOR.resource(resource).read(self.session, Ask(resource, tuple(fields), asked.pop("now", NOW), **asked)))

    def again(self, pages: Sequence[Page], resource: str = "contacts", **asked: Any) -> list[Page]:
        return self.read(resource, state=pages[-1].state, **asked)

    def write(self, *writes: Write, kind: str = "contacts") -> dict[str, Any]:
        return {r.key: r for r in CONNECTOR.target(kind).write(self.session, writes)}

    def value(self, oid: str, name: str, kind: str = "contacts") -> Any:
        return self.emulator.store.tables[kind].rows[oid].props.get(name)


@contextmanager
def account(
    contacts: list[dict[str, Any]] | None = None,
    *,
    objects: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    writes: bool = False,
    cls: type[HubspotEmulator] = HubspotEmulator,
    text_ids: bool = False,
    **seed: Any,
) -> Iterator[Account]:
    ticks = Ticks()
    seeded = {"objects": {"contacts": contacts or [], **(objects or {})}, **seed}
    emulator = cls(seeded, clock=Clock(START), ticks=ticks.monotonic, text_ids=text_ids)
    fakes: dict[str, Any] = {"sleep": ticks.sleep, "monotonic": ticks.monotonic, "rng": lambda: 0.5}
    shared: dict[str, Any] = {"buckets": CONNECTOR.buckets, "fault": CONNECTOR.fault, "safe_posts": CONNECTOR.safe_posts, "writes": writes}
    with serve([emulator]) as urls, Transport("hubspot", **shared, **fakes) as transport:
        given = settings or {"token": "pat-na1-sandbox"}
        yield Account(emulator, transport, CONNECTOR.open({**given, "base_url": urls["hubspot"]}, transport), ticks)


def rows(pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in orjson.loads(page.body)["results"]]


def ids(pages: Sequence[Page], *passes: str) -> list[str]:
    return [row["id"] for row in rows([p for p in pages if not passes or p.pass_name in passes])]


def sent(account: Account, ending: str) -> int:
    return sum(path.endswith(ending) for _, path, _ in account.emulator.log)


# -- bare HTTP ---------------------------------------------------------------------------------------------------------
def portal(contacts: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {"objects": {"contacts": contacts or [], **more.pop("objects", {})}, **more}


class Door:
    """Bare HTTP to one served emulator."""

    def __init__(self, emulator: HubspotEmulator, url: str) -> None:
        self.emulator, self.url, self.token = emulator, url, TOKEN
        self.pool = urllib3.PoolManager(retries=False)

    def ask(self, method: str, path: str, body: Any = None, **fields: Any) -> tuple[int, Any]:
        reply = self.reply(method, path, body, **fields)
        return reply.status, orjson.loads(reply.data) if reply.data else None

    def reply(self, method: str, path: str, body: Any = None, **fields: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else orjson.dumps(body)
        query = [(k, v) for k, v in fields.items() if v is not None]
        if query:
            path += "?" + urlencode(query)
        return self.pool.request(method, self.url + path, body=data, headers=headers)

    def search(self, kind: str = "contacts", **body: Any) -> tuple[int, Any]:
        return self.ask("POST", f"/crm/v3/objects/{kind}/search", body)

    def form(self, path: str, **fields: str) -> tuple[int, Any]:
        reply = self.pool.request("POST", self.url + path, fields=fields, encode_multipart=False)
        return reply.status, orjson.loads(reply.data)


@contextmanager
def opened(seed: dict[str, Any], **options: Any) -> Iterator[Door]:
    emulator = HubspotEmulator(seed, clock=Clock(START), **{"limits": False, **options})
    with serve([emulator]) as urls:
        yield Door(emulator, urls["hubspot"])
