"""An open VWO workspace over our transport; the many shapes its answers take, and what its refusals mean.

There is no official client of the REST API (the vendor's SDKs serve variations, they do not read reports).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from core.connector import Fault
from core.errors import VendorError
from core.http_credentials import FixedKey

if TYPE_CHECKING:
    from core.http import Transport

Row = dict[str, Any]
# "Wait at least 60 seconds" after a 429 or 503. Source: https://developers.vwo.com/reference/api-rate-limits-1, read 2026-11
REST_S = 60.0
KEPT = 300  # answers that wait for their second use
TOKEN = re.compile(r"\btoken\b|authenti", re.IGNORECASE)


@dataclass
class Session:
    """An open workspace. `told`: campaigns the change log named in this session; `answers`: what was read once already.

    One call a second is all there is, so what two resources need is asked once; `forget` makes room when it was used.
    """

    base: str
    events: str
    workspace: str
    transport: Transport
    told: set[int] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)
    asked_at: Any = None
    number: str = ""

    def get(self, path: str, **query: Any) -> bytes:
        """The body of an answer that is no error, whatever its status says."""
        asked = f"?{urlencode({k: v for k, v in query.items() if v is not None})}" if query else ""
        body = self.transport.send("GET", f"{self.base}/accounts/{self.workspace}{path}{asked}").data
        refuse_hidden_error(body)
        return body

    def once(self, now: Any, path: str, **query: Any) -> Any:
        """The decoded answer, asked at most once in the run that began at `now`."""
        if self.asked_at != now:
            self.answers.clear()
            self.asked_at = now
        key = f"{path}?{urlencode(query)}"
        if key not in self.answers:
            if len(self.answers) >= KEPT:
                self.answers.pop(next(iter(self.answers)))
            self.answers[key] = orjson.loads(self.get(path, **query))
        return self.answers[key]

    def workspace_number(self) -> str:
        """The workspace's number, also when it is only known as the token's own."""
        if not self.number:
            self.number = str(thing(orjson.loads(self.get("")), "the workspace")["id"])
        return self.number

    def forget(self, path: str) -> None:
        self.answers.pop(f"{path}?", None)


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    transport.credentials = FixedKey("token", settings["token"].strip())  # the plain word: `Authorization` is not looked at
    base, events = settings["base_url"].rstrip("/"), settings["events_url"].rstrip("/")
    return Session(base, events, settings.get("workspace_id") or "current", transport)


# -- shapes -------------------------------------------------------------------------------------------------------------
def collection(answer: Any, what: str) -> tuple[list[Row], int | None]:
    """The rows of a list and, where it says, how many there are in all.

    Wrapped in `_data.partialCollection` or lying in `_data`; the key is left out, or holds something that is no list,
    when there is nothing. Raises: VendorError on any other shape, because reading it as empty would lose everything.
    """
    data = answer.get("_data") if isinstance(answer, dict) else answer
    total = None
    if isinstance(data, dict) and "partialCollection" in data:
        total = data.get("totalCount")
        data = data["partialCollection"]
    if not data and (isinstance(answer, dict) or answer == []):
        data = []
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise VendorError(f"VWO sent {what} in a shape nobody knows", next_step="report it: the vendor's API has changed")
    return data, total


def thing(answer: Any, what: str) -> Row:
    """The one object in `_data`. Raises: VendorError."""
    data = answer.get("_data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise VendorError(f"VWO sent {what} in a shape nobody knows", next_step="report it: the vendor's API has changed")
    return data


def rows_or_none(value: Any) -> list[Row]:
    """A list that may be missing, or an empty array where an object stands otherwise."""
    return value if isinstance(value, list) else []


def fields_or_none(value: Any) -> Row:
    """An object that is an empty array when there is nothing."""
    return value if isinstance(value, dict) else {}


# -- refusals -------------------------------------------------------------------------------------------------------------
def refuse_hidden_error(body: bytes) -> None:
    """Retired versions answer 200 with an error in it. Raises: VendorError.

    Source: https://github.com/nextafter-michael/unofficial-vwo-mcp-server (README), read 2026-11
    """
    if b'"API_ERROR"' not in body and b'"_errors"' not in body:
        return
    answer = orjson.loads(body)
    if isinstance(answer, dict) and ("API_ERROR" in answer or answer.get("_errors")):
        message = str(answer.get("API_ERROR_DESCRIPTION") or _first_error(answer)[1] or "an error without an explanation")
        raise VendorError(
            f"VWO says, although with status 200: {message}", next_step="check base_url: this version may be retired", code="api_error"
        )


def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """VWO's list of errors in our words.

    A missing token is 401; a wrong one is 403, and so is a workspace the token may not see: the message tells them apart.
    Source: https://developers.vwo.com/reference/error-codes-1, read 2026-11
    """
    try:
        code, text = _first_error(orjson.loads(body))
    except orjson.JSONDecodeError:
        code, text = "", ""
    message = f"VWO says: {text}" if text else f"VWO answered {status} without an explanation"
    wait = _seconds(headers.get("retry-after"))
    if status == 401 or (status == 403 and TOKEN.search(text)):
        return Fault("unauthorised", code, f"{message}; check the setting token")
    if status == 403:
        return Fault("forbidden", code, f"{message}; the token may not see this, or it was revoked")
    if status == 404:
        return Fault("missing", code, message)
    if status == 429:
        return Fault("throttled", code, "VWO is asked too often: one request a second per token", REST_S if wait is None else wait)
    if status >= 500:
        return Fault("transient", code, message, (REST_S if status == 503 else None) if wait is None else wait)
    return Fault("refused", code, message)


def _first_error(answer: Any) -> tuple[str, str]:
    errors = answer.get("_errors") if isinstance(answer, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return str(first.get("code", "")), str(first.get("message", ""))


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
