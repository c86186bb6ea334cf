"""A small VWO workspace for tests: campaigns of a line each, an open session over the emulator, a clock that waiting moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import orjson

from connectors.sandbox.kit import Clock, serve
from connectors.sandbox.vwo import TOKEN, VwoEmulator
from connectors.vwo import CONNECTOR
from core.connector import Ask, Page, State, Write, WriteResult
from core.http import Transport

START = datetime(2026, 6, 30, 9, 0, tzinfo=UTC)
WORKSPACE = 5551
GOALS = (
    {"id": 1, "name": "Lead", "type": "formSubmit", "isPrimary": True},
    {"id": 2, "name": "Sale", "type": "revenue", "isPrimary": False},
)
VARIATIONS = (
    {"id": 1, "name": "control", "isControl": True, "isDisabled": False, "percentSplit": 50},
    {"id": 2, "name": "blue; or not", "isControl": False, "isDisabled": False, "percentSplit": 50},
)


def visitor(n: int) -> str:
    return f"D{n:032X}"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def campaign(id: int, type_: str = "ab", status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    tested = (
        {"variations": [dict(v) for v in VARIATIONS], "goals": [dict(g) for g in GOALS]}
        if type_ in ("ab", "split")
        else {"variations": [], "goals": []}
    )
    head = {"id": id, "name": f"Campaign {id}", "type": type_, "platform": "website", "status": status, "createdOn": 1_780_000_000 + id}
    by = {"id": 7, "name": "Uma Tarn", "imageUrl": ""}
    url = "https://www.acme.test/"
    return head | {"isDeleted": False, "createdBy": by, "primaryUrl": url, "urls": [], "labels": []} | tested | more


def seed(*campaigns: dict[str, Any], timezone: str = "Europe/Berlin", **more: Any) -> dict[str, Any]:
    workspace = {"id": WORKSPACE, "name": "Acme", "createdOn": 1_700_000_000, "timezone": timezone, "enabled": True}
    return {"workspace": workspace, "campaigns": list(campaigns), **more}


@dataclass
class Workspace:
    emulator: VwoEmulator
    url: str
    clock: Clock
    writes: bool = False

    @contextmanager
    def open(self, token: str = TOKEN) -> Iterator[Any]:
        """A session of its own, as each run has."""
        transport = Transport(
            "vwo", buckets=CONNECTOR.buckets, fault=CONNECTOR.fault, writes=self.writes,
            sleep=self.clock.advance, monotonic=self.clock.now, rng=lambda: 0.0,
        )  # fmt: skip
        defaults = {s.name: s.default for s in CONNECTOR.settings if s.default}
        with transport:
            yield CONNECTOR.open({**defaults, **self.emulator.settings(self.url), "token": token}, transport)

    def read(self, *names: str, state: State | None = None, **asked: Any) -> list[Page]:
        """The pages of the last of these resources, all read in one session."""
        with self.open() as session:
            now = self.clock.utc()
            for name in names:
                own = state if name == names[-1] or state is None else {"v": 1, "since": int(START.timestamp())}
                pages = list(CONNECTOR.resource(name).read(session, Ask(name, (), now, state=own, **asked)))
        return pages

    def tell(self, *writes: Write) -> list[WriteResult]:
        with self.open() as session:
            return list(CONNECTOR.target("events").write(session, writes))

    def asked(self, part: str) -> int:
        """How many GETs so far had this in their path."""
        return sum(n for call, n in self.emulator.calls.items() if call.startswith("GET") and part in call)

    def bare(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any) -> tuple[int, Any]:
        """One plain HTTP call a second later, as anybody would make it."""
        self.clock.advance(1)
        asked = f"?{urlencode(query)}" if query else ""
        sent = {"token": TOKEN} if headers is None else headers
        call = Request(f"{self.url}{path}{asked}", data=None if body is None else orjson.dumps(body), method=method, headers=sent)
        try:
            with urlopen(call, timeout=10) as answer:
                text = answer.read()
                return answer.status, orjson.loads(text) if text else None
        except HTTPError as refusal:
            return refusal.code, orjson.loads(refusal.read())

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return self.bare("GET", f"/api/v2/accounts/current{path}", **query)


@contextmanager
def workspace(world: dict[str, Any], *, writes: bool = False) -> Iterator[Workspace]:
    clock = Clock(START.timestamp())
    emulator = VwoEmulator(world, clock=clock)
    with serve([emulator]) as urls:
        yield Workspace(emulator, urls["vwo"], clock, writes)


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in orjson.loads(page.body)]
