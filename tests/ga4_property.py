"""A served GA4 property and a session on it, for the tests of the emulator and of the connector."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Call
from urllib.request import urlopen

from connectors.ga4 import CONNECTOR
from connectors.sandbox.ga4 import Ga4Emulator
from connectors.sandbox.kit import Clock, serve
from connectors.sandbox.world import build
from core.http import Transport

NOW = datetime(2026, 6, 30, tzinfo=UTC)
DAYS = {"startDate": "2026-06-01", "endDate": "2026-06-29"}

SIZE = 20  # people: so many that some of what they did in the last days has not been processed yet


def emulator(size: int = SIZE) -> Ga4Emulator:
    seed = build(size, 7, now="2026-06-30T00:00:00Z", vendors=["ga4"]).seeds["ga4"]
    return Ga4Emulator(seed, clock=Clock(NOW.timestamp()))


@dataclass
class Property:
    """`call` speaks to the emulator as any client would; `session` is the connector's."""

    emulator: Ga4Emulator
    url: str
    waits: list[float] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token() if token is None else token}"}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Call(f"{self.url}{path}", data=data, headers=headers, method=method), timeout=20) as reply:
                status, text = reply.status, reply.read()
        except HTTPError as refusal:
            status, text = refusal.code, refusal.read()
        return status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def token(self, *scopes: str) -> str:
        """A token as the endpoint would give it, without asking."""
        named = [f"https://www.googleapis.com/auth/{name}" for name in scopes or ("analytics.readonly", "datamanager")]
        return str(self.emulator.tokens._token(named).body["access_token"])

    def report(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        return self.call("POST", "/v1beta/properties/314159265:runReport", body)

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.emulator.clock.advance(seconds)

    @contextmanager
    def session(self, *, writes: bool = False, **settings: str) -> Iterator[Any]:
        given = {**self.emulator.secrets(self.url), **self.emulator.settings(self.url), **settings}
        with Transport(
            "ga4", buckets=CONNECTOR.buckets, fault=CONNECTOR.fault, safe_posts=CONNECTOR.safe_posts, writes=writes,
            sleep=self._sleep, monotonic=self.emulator.clock.now, rng=lambda: 1.0,
        ) as transport:  # fmt: skip
            yield CONNECTOR.open({k: v for k, v in given.items() if v}, transport)


@contextmanager
def served(size: int = SIZE) -> Iterator[Property]:
    made = emulator(size)
    with serve([made]) as urls:
        yield Property(made, urls["ga4"])


def values(reply: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A report's rows as texts, dimensions then metrics."""
    return [tuple(v["value"] for v in [*row.get("dimensionValues", ()), *row.get("metricValues", ())]) for row in reply.get("rows", ())]
