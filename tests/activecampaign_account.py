"""An emulated ActiveCampaign account and our connector before it, in a time that moves only when somebody waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors.activecampaign import CONNECTOR
from connectors.sandbox.activecampaign import TOKEN, ActiveCampaignEmulator
from connectors.sandbox.kit import Clock, serve
from core.connector import Ask, Page, Write, WriteResult
from core.http import Transport

START = 1_780_000_000.0  # 2026-05-28
NOW = datetime.fromtimestamp(START, UTC)
STAGES = [{"id": str(20 + i), "title": f"Stage {i}", "group": "2", "order": 1 + i // 2} for i in range(4)]
FIELDS = [{"id": "1", "title": "Job title", "perstag": "JOB_TITLE"}, {"id": "2", "title": "Likes", "perstag": "LIKES", "type": "listbox"}]


def day(n: float) -> str:
    """So many days before the start."""
    return datetime.fromtimestamp(START - n * 86_400, UTC).isoformat()


def contact(i: int, age: float | None = None, **more: Any) -> dict[str, Any]:
    changed = day(30 - i / 100 if age is None else age)
    return {"id": str(i), "email": f"p{i}@acme.test", "firstName": f"P{i}", "lastName": "Q", "cdate": day(40), "udate": changed} | more


def member(i: int, list_id: int = 1, status: int = 1) -> dict[str, Any]:
    return {"id": str(500 + 10 * i + list_id), "list": str(list_id), "status": status, "sdate": day(9), "udate": day(8)}


def deal(i: int, *path: tuple[str, float], **more: Any) -> dict[str, Any]:
    steps = [[place, day(age)] for place, age in path or (("20", 30 - i / 100),)]
    base = {
        "id": str(i),
        "title": f"Deal {i}",
        "value": 123_450,
        "currency": "eur",
        "group": "2",
        "owner": "1",
        "contact": "1",
        "path": steps,
    }
    return base | more


def world(contacts: Sequence[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
    base = {
        "users": [{"id": "1", "firstName": "Noor", "lastName": "Calder", "email": "noor@acme.test"}],
        "fields": FIELDS,
        "lists": [{"id": "1", "name": "Letter", "cdate": day(99)}, {"id": "2", "name": "Tips", "cdate": day(99)}],
        "tags": [{"id": "1", "tag": "Hot", "cdate": day(99)}],
        "dealGroups": [{"id": "2", "title": "Partner deals", "cdate": day(99)}, {"id": "3", "title": "Other", "cdate": day(99)}],
        "dealStages": [*STAGES, {"id": "31", "title": "Elsewhere", "group": "3", "order": 1}],
        "dealCustomFieldMeta": [
            {"id": "1", "fieldLabel": "Partner name", "fieldType": "text"},
            {"id": "2", "fieldLabel": "Commission", "fieldType": "currency", "fieldDefaultCurrency": "EUR"},
            {"id": "3", "fieldLabel": "Start", "fieldType": "date"},
        ],
        "contacts": list(contacts),
    }
    return base | more


@dataclass
class Account:
    emulator: ActiveCampaignEmulator
    transport: Transport
    session: Any
    clock: Clock
    url: str

    def read(self, resource: str, **asked: Any) -> list[Page]:
        fields = tuple(asked.pop("fields", ()))
        now = asked.pop("now", self.clock.utc())
        return list(CONNECTOR.resource(resource).read(self.session, Ask(resource, fields, now, **asked)))

    def write(self, target: str, *writes: Write) -> dict[str, WriteResult]:
        return {r.key: r for r in CONNECTOR.target(target).write(self.session, writes)}

    def read_back(self, target: str, ids: Sequence[str], fields: Sequence[str]) -> Any:
        return CONNECTOR.target(target).current(self.session, ids, fields)

    def calls(self, word: str) -> int:
        """Requests whose "METHOD /path" contains the word."""
        return sum(n for name, n in self.emulator.calls.items() if word in name)


@contextmanager
def account(seed: Mapping[str, Any], *, writes: bool = False, token: str = TOKEN, **settings: str) -> Iterator[Account]:
    clock = Clock(START)
    emulator = ActiveCampaignEmulator(seed, clock=clock)
    with serve([emulator]) as urls:
        url = urls["activecampaign"]
        made = Transport(
            "activecampaign", buckets=CONNECTOR.buckets, fault=CONNECTOR.fault, writes=writes, read_limits=CONNECTOR.read_limits,
            sleep=clock.advance, monotonic=clock.now, rng=lambda: 0.5,
        )  # fmt: skip
        defaults = {s.name: s.default for s in CONNECTOR.settings if s.default}
        with made as transport:
            session = CONNECTOR.open({**defaults, "api_token": token, "base_url": url, **settings}, transport)
            yield Account(emulator, transport, session, clock, url)


def rows(pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in orjson.loads(page.body)[page.rows]]


def ids(pages: Sequence[Page]) -> list[str]:
    return [row["id"] for row in rows(pages)]


def complete(pages: Sequence[Page]) -> bool:
    """Did as many different rows come as the smallest count says?"""
    return len(set(ids(pages))) >= min((p.total for p in pages if p.total is not None), default=0)
