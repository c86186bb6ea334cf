"""An open Mailchimp account: the official client with our transport beneath, answering raw bytes; and what refusals mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from core.connector import Fault
from core.errors import CredentialsError
from core.http_adapters import swagger_request, unwrapped

if TYPE_CHECKING:
    from core.http import Response, Transport

COUNT = 1000  # rows per page at most; more is cut to this without a word. Source: …/docs/methods-parameters/#pagination
EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
# The vendor has reworded these before, so several titles and phrases mean the same thing.
# Source: https://mailchimp.com/developer/marketing/docs/errors/, read 2026-08-13
REFUSALS = (
    ("compliance", ("compliance state", "compliance related")),
    ("forgotten", ("forgotten email", "permanently deleted", "cannot be re-imported")),
    ("exists", ("member exists", "already a list member", "error_contact_exists")),
    ("invalid_email", ("fake or invalid", "valid email address")),
)


@dataclass
class Session:
    """An open account. By "<list>:<member id>": `emails` and `carried` (tags) as last read, `tags_sent` the tag writes
    Mailchimp has accepted but does not show yet (name → should it be there)."""

    client: Any
    transport: Transport
    emails: dict[str, str] = field(default_factory=dict)
    carried: dict[str, set[str]] = field(default_factory=dict)
    tags_sent: dict[str, dict[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiKey:
    """Mailchimp keys never expire, so there is nothing to renew."""

    key: str

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"tundish:{self.key}".encode()).decode()

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Basic {self._basic}"}

    def renew(self, send: Callable[..., Response]) -> bool:
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key, self._basic)


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    """The official client over the transport.

    The client replaces the word "server" anywhere in a URL by its setting of that name, so a list or path with that
    word would be corrupted; naming the server "server" makes the replacement harmless, and the host is set beside it.

    Raises: CredentialsError when the key does not name its data centre.
    """
    from mailchimp_marketing import Client

    key = settings["api_key"].strip()
    base = (settings.get("base_url") or "").rstrip("/").removesuffix("/3.0") or production(key)
    transport.credentials = ApiKey(key)
    client = Client({"api_key": key, "server": "server"})
    client.api_client.host = f"{base}/3.0"
    client.api_client.request = swagger_request(transport)
    client.api_client.call_api = unwrapped(client.api_client.call_api)
    return Session(client, transport)


def production(key: str) -> str:
    """The address of the key's data centre, which is the part after its dash."""
    centre = re.search(r"-([a-z]+\d+)$", key)
    if centre is None:
        raise CredentialsError(
            "the setting api_key does not end in a data centre such as -us19",
            next_step="copy the whole key from Mailchimp: Account → Extras → API keys",
        )
    return f"https://{centre[1]}.api.mailchimp.com"


def data(reply: Any) -> Any:
    """The decoded body of a small answer; None when it is empty."""
    return orjson.loads(reply.content or b"null")


# -- refusals ---------------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Mailchimp's problem document in our words. A 403 without one comes from the edge and means "slow down".

    Source: https://mailchimp.com/developer/marketing/docs/errors/, read 2026-08-13
    """
    problem = _problem(headers, body)
    title = str(problem.get("title") or f"status {status}")
    detail = without_emails("; ".join([str(problem.get("detail") or ""), *_field_errors(problem)]).strip("; "))
    message = f"Mailchimp says: {title}" + (f" ({detail})" if detail and detail != title else "")
    if status == 429 or (status == 403 and not problem):
        return Fault("throttled", title, "Mailchimp is busy: ten connections at once per account", _seconds(headers.get("retry-after")))
    if status == 401 or title in ("Wrong Datacenter", "User Disabled"):
        return Fault("unauthorised", title, f"{message}; check the setting api_key")
    if status == 403 or (status == 503 and refusal_code(title) == "compliance"):
        return Fault("forbidden", title, message)
    if status == 404:
        return Fault("missing", title, message)
    if status >= 500:
        return Fault("transient", title, message, _seconds(headers.get("retry-after")))
    return Fault("refused", title, message)


def _problem(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if "json" not in headers.get("content-type", ""):
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _field_errors(problem: Mapping[str, Any]) -> list[str]:
    return [f"{e.get('field', '')}: {e.get('message', '')}" for e in problem.get("errors") or () if isinstance(e, dict)]


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None


def without_emails(text: str) -> str:
    return EMAIL.sub("the address", text)


def refusal_code(*texts: str) -> str:
    """One of our codes for a refused row, "" when none of the known wordings fits."""
    text = " ".join(texts).lower()
    return next((code for code, phrases in REFUSALS if any(p in text for p in phrases)), "")
