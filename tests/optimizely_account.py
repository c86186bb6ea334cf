"""An Optimizely account that is emulated and served, and the connector's session on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from connectors.optimizely import CONNECTOR
from connectors.sandbox.kit import Clock, serve
from connectors.sandbox.optimizely import TOKEN, OptimizelyEmulator
from connectors.sandbox.world import build
from core.connector import Ask, Page, State, Write
from core.http import Transport
from core.mapping import load_mapping

NOW = datetime(2026, 6, 30, tzinfo=UTC)
E1 = 9_300_000_000_000_001  # ended
E2 = E1 + 100  # running
NOT_STARTED, FRESH, ARCHIVED = E1 + 200, E1 + 300, E1 + 400
MAPPING = load_mapping(Path("mappings/optimizely.yaml"), CONNECTOR, timezone="Europe/Berlin", currency="EUR")


@dataclass
class Account:
    emulator: OptimizelyEmulator
    transport: Transport
    session: Any
    clock: Clock

    def read(self, resource: str, *, visitors: tuple[str, ...] = (), **asked: Any) -> list[Page]:
        asked = {"now": self.clock.utc(), "linked_ids": lambda name: iter([visitors] if visitors else [])} | asked
        return list(CONNECTOR.resource(resource).read(self.session, Ask(resource, (), **asked)))

    def rows(self, resource: str, **asked: Any) -> list[dict[str, Any]]:
        return [row for page in self.read(resource, **asked) for row in rows_of(page)]

    def mapped(self, resource: str, **asked: Any) -> dict[str, dict[str, Any]]:
        """vendor id → the record the shipped mapping makes."""
        compiled, found = MAPPING.resource(resource), {}
        for page in self.read(resource, **asked):
            parsed = compiled.parse(page.body, page.rows)
            assert parsed.rejects == []
            for _, columns in compiled.columns(parsed.rows, page.context):
                for values in zip(*columns.values(), strict=True):
                    record = dict(zip(columns, values, strict=True))
                    found[record["vendor_id"]] = record
        return found

    def write(self, *writes: Write) -> dict[str, Any]:
        return {r.key: r for r in CONNECTOR.target("events").write(self.session, writes)}

    def asked(self, ending: str) -> list[str]:
        return [path for _, path, _ in self.emulator.log if path.endswith(ending)]


def rows_of(page: Page) -> list[dict[str, Any]]:
    body = orjson.loads(page.body)
    return list(body[page.rows] if page.rows else body)


@contextmanager
def account(*, writes: bool = False, **settings: str) -> Iterator[Account]:
    clock = Clock(NOW.timestamp())
    emulator = OptimizelyEmulator(build(60, 7, vendors=["optimizely"]).seeds["optimizely"], clock=clock)
    with (
        serve([emulator]) as urls,
        Transport(
            "web",
            buckets=CONNECTOR.buckets,
            fault=CONNECTOR.fault,
            writes=writes,
            sleep=clock.advance,
            monotonic=clock.now,
            rng=lambda: 0.0,
        ) as wire,
    ):
        given = {"token": TOKEN, "base_url": urls["optimizely"], "events_url": urls["optimizely"]} | settings
        yield Account(emulator, wire, CONNECTOR.open(given, wire), clock)


def shown(web: Account, experiment: int, n: int = 0) -> str:
    return sorted(web.emulator.store.shown_in[experiment])[n]


def won(visitor: str, key: str = "w1", **values: Any) -> Write:
    id_ = str(uuid5(NAMESPACE_URL, key))
    base = {"event": "deal_won", "id": id_, "occurred_at": "2026-06-29T23:00:00Z", "value": "1200.50", "currency": "EUR"}
    return Write(key, visitor, base | values)


def last(pages: list[Page]) -> State:
    """The state as the ledger gives it back."""
    return dict(orjson.loads(orjson.dumps(pages[-1].state)))
