"""How Optimizely's APIs speak: bare arrays with a Link header (v2), linked collections (flags), two kinds of error. No state."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.kit import Reply, Request

PROBLEM = "application/problem+json"
DEFAULT_PER_PAGE, MAX_PER_PAGE = 25, 100
WINDOW_S = 300  # results are computed over whole five minutes
Row = dict[str, Any]


class Refusal(Exception):
    """The vendor says no; how it looks depends on the API that was asked."""

    def __init__(self, status: int, code: str, message: str, **messages: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.messages = status, code, message, messages

    def reply(self, path: str) -> Reply:
        mark = str(uuid.uuid4())
        if path.startswith("/flags/"):  # RFC 7807. Source: Flags API v1, ProblemDetail
            title = self.code.replace("_", " ").capitalize()
            body: Row = {"type": "about:blank", "title": title, "status": self.status, "detail": self.message, "uuid": mark}
            return Reply(body, self.status, content_type=PROBLEM)
        body = {"code": self.code, "message": self.message, "uuid": mark}
        return Reply(body | ({"messages": self.messages} if self.messages else {}), self.status)


def gone() -> Refusal:
    return Refusal(404, "not_found", "Nothing matches the given URI")


def bad(message: str, **messages: str) -> Refusal:
    return Refusal(400, "bad_request", message, **messages)


# -- what is asked ------------------------------------------------------------------------------------------------------
def whole(text: str | None, name: str, default: int | None = None) -> int:
    """A number of the query or of the path. Ids are int64, so a text with a point or an exponent is none."""
    if text is None:
        if default is None:
            raise bad(f"{name} is required", **{name: "This field is required"})
        return default
    if not text.isdecimal():
        raise bad(f"{name} must be an integer", **{name: "Not a valid integer"})
    return int(text)


def moment(request: Request, name: str) -> float | None:
    """An ISO 8601 instant of the query, in seconds; without a zone it is UTC."""
    text = request.q(name)
    if text is None:
        return None
    try:
        asked = datetime.fromisoformat(text)
    except ValueError:
        raise bad(f"{name} is not a valid ISO 8601 time", **{name: "Invalid time"}) from None
    return (asked if asked.tzinfo else asked.replace(tzinfo=UTC)).timestamp()


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# -- v2: bare arrays ------------------------------------------------------------------------------------------------------
def listed(request: Request, rows: Sequence[Row]) -> Reply:
    """One page: an array without an envelope or a total. The Link header, whose `rel` has no quotes, says what follows.

    Source: https://docs.developers.optimizely.com/web-experimentation/reference; the header's form as vendor clients test it.
    """
    per_page = whole(request.q("per_page"), "per_page", DEFAULT_PER_PAGE)
    page = whole(request.q("page"), "page", 1)
    if not 1 <= per_page <= MAX_PER_PAGE or page < 1:
        raise bad("per_page must be between 1 and 100 and page at least 1")
    last = max(1, -(-len(rows) // per_page))
    links = []
    if page < last:
        links = [f"<{_again(request, page=page + 1)}>; rel=next", f"<{_again(request, page=last)}>; rel=last"]
    body = list(rows[(page - 1) * per_page : page * per_page])
    return Reply(body, 200, {"Link": ", ".join(links)} if links else {})


def _again(request: Request, **changed: Any) -> str:
    query = {name: values[0] for name, values in request.query.items()} | {name: str(value) for name, value in changed.items()}
    host = request.headers.get("host", "api.optimizely.com")
    scheme = "http" if host.startswith("127.") else "https"
    return f"{scheme}://{host}{request.path}?{'&'.join(f'{k}={v}' for k, v in query.items())}"


# -- flags: linked collections -----------------------------------------------------------------------------------------------
def collection(request: Request, rows: Sequence[Row]) -> Reply:
    """One page with links; `next_url` and `prev_url` are arrays, and absent at the ends.

    Source: https://docs.developers.optimizely.com/feature-experimentation/reference (Flags API v1), schema Flags
    """
    per_page = whole(request.q("per_page"), "per_page", DEFAULT_PER_PAGE)
    if not 1 <= per_page <= MAX_PER_PAGE:
        raise bad("per_page must be between 1 and 100")
    page = _page_of(request)
    last = max(1, -(-len(rows) // per_page))
    items = list(rows[(page - 1) * per_page : page * per_page])

    def link(number: int) -> str:
        return f"{request.path.removeprefix('/flags/v1')}?per_page={per_page}&page_token={_token(number)}#{number}"

    body: Row = {"url": link(page), "first_url": link(1), "last_url": link(last), "items": items}
    body |= {"count": len(items), "page": page, "total_count": len(rows), "total_pages": last}
    body |= {"next_url": [link(page + 1)]} if page < last else {}
    body |= {"prev_url": [link(page - 1)]} if page > 1 else {}
    return Reply(body)


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"page:{number}".encode()).decode().rstrip("=")


def _page_of(request: Request) -> int:
    token = request.q("page_token")
    if token is None:
        return 1
    try:
        return int(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().removeprefix("page:"))
    except ValueError:
        raise bad("page_token is not valid") from None


def ordered(request: Request, rows: Sequence[Row], allowed: Mapping[str, str]) -> list[Row]:
    """Flags API's `sort=updated_time:desc`."""
    found = list(rows)
    for asked in request.query.get("sort", []):
        field, _, direction = asked.partition(":")
        if field not in allowed or direction not in ("asc", "desc"):
            raise bad(f"cannot sort by {asked}")
        found.sort(key=lambda row: str(row[allowed[field]]), reverse=direction == "desc")
    return found
