"""An open Optimizely account: REST v2, the Flags API and logx over our transport, answering raw bytes; and what refusals mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from core.connector import Fault
from core.errors import VendorError
from core.http_credentials import FixedKey

if TYPE_CHECKING:
    from core.http import Response, Transport

PER_PAGE = 100  # the most a page may have. Source: REST API v2, parameter per_page, read 2026-08-13
WAIT_S = 60.0  # "wait at least a minute" after 429 or 503; there is no header. Source: REST API v1 documentation, read 2026-08-13
_NEXT = re.compile(r'rel="?next"?')
Row = dict[str, Any]


@dataclass
class Session:
    """What was asked for once in a session is kept: small lists that several resources need.

    `variants`: variation id → what it is called; `event_ids`: key → id of the told project's events.
    """

    transport: Transport
    base: str
    events_url: str
    project_id: str = ""
    _kept: dict[str, list[Row]] = field(default_factory=dict)
    variants: dict[int, str] = field(default_factory=dict)
    event_ids: dict[str, int] = field(default_factory=dict)

    def get(self, path: str, *expect: int, **query: Any) -> Response:
        """The reply to a GET; `path` starts with /v2 or /flags/v1. Lists become repeated parameters."""
        url = f"{self.base}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        return self.transport.send("GET", url, expect=expect)

    def projects(self, *, flags: bool | None = None) -> list[Row]:
        """The account's projects, as far as the token's user has a role in them; Classic ones have no REST API v2."""
        kept = [p for p in self.once("/v2/projects", lambda: rows_of(pages(self, "/v2/projects"))) if not p.get("is_classic")]
        return [p for p in kept if flags is None or bool(p.get("is_flags_enabled")) is flags]

    def once(self, name: str, read: Callable[[], list[Row]]) -> list[Row]:
        """What `read` gives, read when it is first asked for in this session."""
        if name not in self._kept:
            self._kept[name] = read()
        return self._kept[name]

    def account_id(self) -> int:
        """Raises: VendorError when the token's user has no project."""
        projects = self.projects()
        if not projects:
            raise VendorError("the token's user has no role in any project", next_step="give the user a role in Optimizely: Settings")
        return int(projects[0]["account_id"])


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    transport.credentials = FixedKey("Authorization", settings["token"].strip(), "Bearer ")
    base, events = ((settings.get(name) or "").rstrip("/") for name in ("base_url", "events_url"))
    return Session(transport, base.removesuffix("/v2"), events.removesuffix("/v1"), (settings.get("project_id") or "").strip())


def rows_of(bodies: Iterator[bytes]) -> list[Row]:
    return [row for body in bodies for row in orjson.loads(body)]


def items_of(pages: Iterator[tuple[bytes, int]]) -> list[Row]:
    return [row for body, _ in pages for row in orjson.loads(body)["items"]]


# -- paging -----------------------------------------------------------------------------------------------------------
def pages(session: Session, path: str, **query: Any) -> Iterator[bytes]:
    """Bare arrays, page by page. The Link header says whether more follows; where there is none, a full page does.

    Source: REST API v2; the header and its unquoted rel as the vendor's own command line reads it, read 2026-08-13
    """
    page = 1
    while True:
        reply = session.get(path, **query, page=page, per_page=PER_PAGE)
        yield reply.data
        link = reply.headers.get("link")
        if not (_NEXT.search(link) if link else _length(reply.data) >= PER_PAGE):
            return
        page += 1


def _length(body: bytes) -> int:
    rows = orjson.loads(body)
    if not isinstance(rows, list):
        raise VendorError("Optimizely sent no list where one was expected", next_step="run again; the vendor's API may have changed")
    return len(rows)


def linked_pages(session: Session, path: str, **query: Any) -> Iterator[tuple[bytes, int]]:
    """The Flags API's collections: (body, total_count). `next_url` is an array whose first element is the next page.

    Only its page token is used: the address stays ours. Source: Flags API v1, schema Flags, read 2026-08-13
    """
    token: dict[str, str] = {}
    while True:
        body = session.get(f"/flags/v1{path}", **query, per_page=PER_PAGE, **token).data
        answer = orjson.loads(body)
        yield body, int(answer["total_count"])
        links = answer.get("next_url") or []
        following = links if isinstance(links, str) else next(iter(links), "")
        found = parse_qs(urlsplit(following).query).get("page_token")
        if not found:
            return
        token = {"page_token": found[0]}


# -- refusals ---------------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """v2's {code, message} or the Flags API's problem document, in our words. No header tells how long to wait.

    Source: REST API v2 and Flags API v1, schemas Error and ProblemDetail, read 2026-08-13
    """
    problem = _problem(body)
    code = str(problem.get("code") or problem.get("title") or f"status {status}")
    said = str(problem.get("message") or problem.get("detail") or problem.get("title") or f"status {status} without an explanation")
    more = problem.get("messages")
    if isinstance(more, dict) and more:
        said += f" ({'; '.join(f'{name}: {text}' for name, text in more.items())})"
    asked = headers.get("retry-after", "")
    wait = float(asked) if asked.isdecimal() else WAIT_S
    message = f"Optimizely says: {said}"
    if status == 429:
        return Fault("throttled", code, "Optimizely wants fewer requests", wait)
    if status == 401:
        return Fault("unauthorised", code, f"{message}; check the setting token")
    if status == 403:
        return Fault("forbidden", code, f"{message}; the token's user has no role there, or the token was revoked")
    if status == 404:
        return Fault("missing", code, message)
    if status >= 500:
        return Fault("transient", code, message, wait if status == 503 else None)
    return Fault("refused", code, message)


def _problem(body: bytes) -> Row:
    try:
        found = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
