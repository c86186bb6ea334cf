"""An open HubSpot account: the official client with our transport beneath, answering raw bytes; and what refusals mean."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from core.connector import Fault
from core.errors import CredentialsError

if TYPE_CHECKING:
    from core.http import Response, Transport

PRODUCTION = "https://api.hubapi.com"
TYPES = ("contacts", "companies", "deals", "leads", "line_items")
BATCH_MAX = 100
EMAIL = re.compile(r"[^\s@\"'<>:]+@[^\s@\"'<>]+")
# Source: https://developers.hubspot.com/docs/guides/apps/api-usage/usage-details, read 2026-11-23
WAITS_S = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0}
LOCKED_S = 2.0  # a locked record (423) wants at least this long
TRANSIENT = frozenset({408, 423, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530})
BAD_GRANTS = frozenset({"BAD_REFRESH_TOKEN", "BAD_CLIENT_SECRET", "BAD_CLIENT_ID", "EXPIRED_AUTH_CODE", "invalid_grant", "invalid_client"})


class StaticToken:
    """A private app's token or a service key: never expires, cannot be renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self, send: Callable[..., Response]) -> bool:
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._token,)


class OAuth:
    """A public app's grant: access tokens live 30 minutes and are fetched when first needed, then whenever one has expired."""

    def __init__(self, base_url: str, client_id: str, client_secret: str, refresh_token: str, send: Callable[..., Response]) -> None:
        self._url = f"{base_url}/oauth/v1/token"
        self._form = {"grant_type": "refresh_token", "client_id": client_id, "client_secret": client_secret, "refresh_token": refresh_token}
        self._send = send
        self._access = ""
        self._first = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        with self._first:
            if not self._access:
                self._fetch(lambda *args, **kw: self._send(*args, auth=False, safe=True, **kw))
        return {"Authorization": f"Bearer {self._access}"}

    def renew(self, send: Callable[..., Response]) -> bool:
        self._fetch(send)
        return True

    def _fetch(self, send: Callable[..., Response]) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        given = orjson.loads(send("POST", self._url, headers=form, body=urlencode(self._form).encode()).data)
        self._access = given["access_token"]
        self._form["refresh_token"] = given.get("refresh_token") or self._form["refresh_token"]

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self._access, self._form["client_secret"], self._form["refresh_token"]) if s)


class Pool:
    """The transport's pool for the client; it passes on what HubSpot says is left of the allowances."""

    def __init__(self, transport: Transport) -> None:
        self._budget, self._pool = transport.budget, transport.urllib3_pool()

    def request(self, method: str, url: str, **kw: Any) -> Any:
        reply = self._pool.request(method, url, **kw)
        for bucket, remaining, limit in read_limits(reply.headers):
            self._budget.note_remaining(bucket, remaining, limit)
        return reply


def read_limits(headers: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """(bucket, remaining, limit) as the reply tells them; searches tell nothing, OAuth apps nothing about the day."""
    for bucket, left, most in (("ten_seconds", "Remaining", "Max"), ("daily", "Daily-Remaining", "Daily")):
        found = headers.get(f"x-hubspot-ratelimit-{left.lower()}"), headers.get(f"x-hubspot-ratelimit-{most.lower()}")
        if found[0] and found[1] and found[0].isdigit() and found[1].isdigit():
            yield bucket, int(found[0]), int(found[1])


@dataclass(frozen=True)
class Session:
    """The client's API objects, each built once: every walk over the client's attributes would build a new one."""

    base_url: str
    transport: Transport
    basic: Any
    batch: Any
    search: Any
    owners: Any
    pipelines: Any
    properties: Any
    groups: Any
    links: Any
    events: Any


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    """The official client over the transport.

    Raises: CredentialsError when neither a token nor a whole OAuth grant is set.
    """
    from hubspot import HubSpot
    from hubspot.discovery.discovery_base import DiscoveryBase

    base_url = (settings.get("base_url") or PRODUCTION).rstrip("/")
    transport.credentials = _credentials(settings, base_url, transport)
    pool = Pool(transport)

    def over_transport(package: Any, name: str, config: Mapping[str, Any]) -> Any:
        made = DiscoveryBase._default_api_factory(package, name, config)
        made.api_client.rest_client.pool_manager = pool
        return made

    client = HubSpot(host=base_url, base_url=base_url, api_factory=over_transport)
    objects, properties = client.crm.objects, client.crm.properties
    return Session(
        base_url,
        transport,
        basic=objects.basic_api,
        batch=objects.batch_api,
        search=objects.search_api,
        owners=client.crm.owners.owners_api,
        pipelines=client.crm.pipelines.pipelines_api,
        properties=properties.core_api,
        groups=properties.groups_api,
        links=client.crm.associations.v4.batch_api,
        events=client.events.events_api,
    )


def _credentials(settings: Mapping[str, str], base_url: str, transport: Transport) -> StaticToken | OAuth:
    if token := settings.get("token", "").strip():
        return StaticToken(token)
    grant = [settings.get(name, "").strip() for name in ("client_id", "client_secret", "refresh_token")]
    if not all(grant):
        raise CredentialsError(
            "neither `token` nor all of `client_id`, `client_secret` and `refresh_token` are set",
            where=transport.account,
            next_step="set `token` to the access token of a private app, or to a service key",
        )
    return OAuth(base_url, grant[0], grant[1], grant[2], transport.send)


def raw(call: Callable[..., Any], *args: Any, **kw: Any) -> bytes:
    """The reply's bytes as they came; the client's model objects would cost sixteen times as much and drop unknown keys."""
    data: bytes = call(*args, **kw, _preload_content=False).data
    return data


def data(call: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    return orjson.loads(raw(call, *args, **kw))


# -- what a refusal means -------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """A refusal in our words, by status, category and policy. Vendor messages are passed on without addresses in them."""
    said = _json(body)
    code = str(said.get("policyName") or said.get("category") or said.get("status") or said.get("error") or status)
    if status == 401:
        if code == "EXPIRED_AUTHENTICATION":
            return Fault("expired", code, "HubSpot says the access token has expired")
        return Fault("unauthorised", code, "HubSpot does not accept the token (setting `token`, or the OAuth grant)")
    if code in BAD_GRANTS:
        return Fault("unauthorised", code, "HubSpot does not accept the OAuth grant (`client_id`, `client_secret`, `refresh_token`)")
    if status == 403:
        scopes = ", ".join(_context(said, "requiredGranularScopes", "requiredScopes"))
        return Fault("forbidden", code, f"HubSpot asks for the scope {scopes}" if scopes else f"HubSpot forbids this request ({code})")
    if status == 404:
        return Fault("missing", code, "HubSpot has no such record or endpoint")
    if status == 429:
        return _throttled(code, headers)
    if status == 477:
        return Fault("exhausted", "MIGRATION", "HubSpot is moving this account to another data centre; try again later")
    if status in TRANSIENT:
        wait = LOCKED_S if status == 423 else _retry_after(headers)
        return Fault("transient", code, f"HubSpot answered {status}" if status != 423 else "HubSpot has locked a record for a moment", wait)
    return Fault("refused", _first_code(said) or code, explain(said) or f"HubSpot refused the request ({status})")


def _throttled(policy: str, headers: Mapping[str, str]) -> Fault:
    if policy == "DAILY":
        return Fault("exhausted", policy, "HubSpot's daily allowance for this account is used up; it is renewed at midnight of the account")
    wait = _retry_after(headers)
    return Fault("throttled", policy, f"HubSpot says too many requests ({policy})", wait if wait is not None else WAITS_S.get(policy))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None when absent or not believable (a page of the documentation gives its unit as milliseconds)."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 60 else None


def explain(said: Mapping[str, Any]) -> str:
    """One sentence about a refused value or request: its properties and codes, and the vendor's words without addresses."""
    names, code = ", ".join(_context(said, "propertyName", "name")), _first_code(said)
    words = EMAIL.sub("<address>", str(said.get("message") or "")).split("\n")[0][:200].strip()
    if names:
        return f"HubSpot refused {names} ({code}): {words}"
    return f"HubSpot refused: {words}" if words else ""


def _first_code(said: Mapping[str, Any]) -> str:
    details: Sequence[Mapping[str, Any]] = said.get("errors") or ()
    return next((str(e["code"]) for e in details if e.get("code")), str(said.get("category") or ""))


def _context(said: Mapping[str, Any], *names: str) -> list[str]:
    found: list[str] = []
    for part in (said, *(said.get("errors") or ())):
        for name in names:
            value = (part.get("context") or {}).get(name) or ()
            found += [value] if isinstance(value, str) else [str(v) for v in value]
    return list(dict.fromkeys(found))


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
