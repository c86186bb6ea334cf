"""A small Hotjar site for tests: two surveys, responses of a line each, an open session over the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import orjson

from connectors.hotjar import CONNECTOR
from connectors.sandbox.hotjar import CLIENT_ID, CLIENT_SECRET, SITE, HotjarEmulator
from connectors.sandbox.kit import Clock, serve
from core.connector import Ask, Page, State
from core.http import Transport

START = datetime(2026, 6, 30, 9, 0, tzinfo=UTC)
FORM = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def question(id: str, type_: str, text: str = "?") -> dict[str, Any]:
    return {"id": id, "type": type_, "text": text, "is_required": True, "image_url": None, "choices": None, "labels": None}


def survey(id: str, *questions: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {"id": id, "name": f"Survey {id}", "type": "popover", "is_enabled": True, "created_time": f"2026-01-01T00:00:00.{id.zfill(3)}Z"}
    return made | {"sentiment_analysis_enabled": False, "questions": list(questions)} | more


def response(n: int, age: timedelta, answers: dict[str, str | None], **more: Any) -> dict[str, Any]:
    """`age`: how long before START it came."""
    given = [{"question_id": q, "answer": a, "comment": None, "tags": [], "sentiment": None} for q, a in answers.items()]
    row = {
        "id": f"r{n:05}",
        "created_time": (START - age).isoformat().replace("+00:00", "Z"),
        "is_complete": True,
        "hotjar_user_id": f"u{n}",
    }
    page = {"response_origin_url": "https://www.acme.test/pricing", "recording_url": None, "device": "mobile", "country": "NL"}
    return row | page | {"user_attributes": [], "answers": given} | more


NPS = survey("1", question("q1", "nps"), question("q2", "long-text"))
CSAT = survey("2", question("q3", "rating-1-5"), question("q4", "email"), question("q5", "email"))


def seed(responses: dict[str, list[dict[str, Any]]], *surveys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"surveys": list(surveys or (NPS, CSAT)), "responses": responses, **more}


@dataclass
class Site:
    emulator: HotjarEmulator
    url: str
    clock: Clock

    @contextmanager
    def open(self, **settings: str) -> Iterator[Any]:
        """A session of its own, as each run has."""
        transport = Transport(
            "hotjar", buckets=CONNECTOR.buckets, fault=CONNECTOR.fault, safe_posts=CONNECTOR.safe_posts,
            sleep=self.clock.advance, monotonic=self.clock.now, rng=lambda: 0.0,
        )  # fmt: skip
        given = {**self.emulator.settings(self.url), "client_secret": CLIENT_SECRET, "profile": self.emulator.profile}
        with transport:
            yield CONNECTOR.open({**given, **settings}, transport)

    def read(self, name: str, state: State | None = None, **asked: Any) -> list[Page]:
        with self.open() as session:
            return list(CONNECTOR.resource(name).read(session, Ask(name, (), self.clock.utc(), state=state, **asked)))

    def bare(self, method: str, path: str, body: bytes | None = None, token: str | None = None, **query: Any) -> tuple[int, bytes]:
        """One plain HTTP call, as anybody would make it."""
        asked = f"?{urlencode(query)}" if query else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with urlopen(Request(f"{self.url}{path}{asked}", data=body, method=method, headers=headers), timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as refusal:
            return refusal.code, refusal.read()

    def token(self, **more: str) -> str:
        asked = FORM | more
        body = urlencode(asked).encode() if self.emulator.profile == "hotjar" else orjson.dumps(asked | {"scope": "surveys"})
        status, answer = self.bare("POST", "/v1/oauth/token", body)
        assert status == 200
        return str(orjson.loads(answer)["access_token"])

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        """A GET below the site's surveys with a fresh token; the decoded body where it is JSON."""
        base = f"/v1/sites/{SITE}/surveys" if self.emulator.profile == "hotjar" else f"/v1/public/projects/{SITE}/surveys"
        status, body = self.bare("GET", base + path, token=self.token(), **query)
        return status, orjson.loads(body) if status == 200 else body


@contextmanager
def site(world: dict[str, Any], profile: str = "hotjar") -> Iterator[Site]:
    clock = Clock(START.timestamp())
    emulator = HotjarEmulator(world, profile=profile, clock=clock)
    with serve([emulator]) as urls:
        yield Site(emulator, urls["hotjar"], clock)


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in (orjson.loads(page.body)["results"] if page.rows else orjson.loads(page.body))]


def ids(pages: list[Page]) -> list[str]:
    return [row["id"] for row in rows(pages)]
