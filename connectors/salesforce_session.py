"""An open Salesforce org: the official client over our transport, raw bytes from its session, and its token.

The client's own refresh is never used (it loops, drops headers and does not cover Bulk); `Tokens.renew` does it once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson

from core.connector import Fault, FaultKind
from core.errors import CredentialsError, VendorError

if TYPE_CHECKING:
    import requests

    from core.http import Response, Transport

LOGIN = "https://login.salesforce.com"
VERSION = "66.0"
BULK_ABOVE = 10_000
DAILY = "daily API calls"
# Refusals that pass by themselves. Source: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION"})
GRANT_REFUSED = frozenset({"invalid_grant", "invalid_client", "invalid_client_id", "unsupported_grant_type", "unauthorized_client"})
_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Tokens:
    """The access token and how to get the next one: a refresh token if there is one, else client credentials.

    A refresh token the vendor rotates is kept here at once and used from then on; `rotated` says that it happened.
    """

    def __init__(self, settings: Mapping[str, str], login_url: str) -> None:
        self._id, self._secret = settings["client_id"], settings["client_secret"]
        self._refresh = settings.get("refresh_token") or ""
        self._url = f"{login_url.rstrip('/')}/services/oauth2/token"
        self._token = ""
        self._seen: list[str] = [s for s in (self._secret, self._refresh) if s]
        self.instance_url = ""
        self.user_id = ""
        self.org_id = ""
        self.rotated = False

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self._seen)

    def renew(self, send: Callable[..., Response]) -> bool:
        form = {"grant_type": "client_credentials", "client_id": self._id, "client_secret": self._secret}
        if self._refresh:
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            reply = send("POST", self._url, headers=headers, body=urlencode(form).encode())
        except CredentialsError:  # two refreshes at once sometimes get a spurious invalid_grant
            reply = send("POST", self._url, headers=headers, body=urlencode(form).encode())
        self._take(orjson.loads(reply.data))
        return True

    def _take(self, answer: Mapping[str, str]) -> None:
        self._token = answer["access_token"]
        self.instance_url = answer["instance_url"]
        self.org_id, self.user_id = (answer.get("id") or "//").rstrip("/").split("/")[-2:]
        if answer.get("refresh_token") and answer["refresh_token"] != self._refresh:
            self._refresh, self.rotated = answer["refresh_token"], True
        self._seen = [*dict.fromkeys([*self._seen, self._refresh, self._token])][-20:]
        self._seen = [s for s in self._seen if s]


class Session:
    """What the connector's functions are given. Signs in at the first call, so opening costs nothing."""

    def __init__(self, settings: Mapping[str, str], transport: Transport) -> None:
        base = settings.get("base_url") or ""
        login = settings.get("login_url") or LOGIN
        self.login_url = base if base and login == LOGIN and _is_loopback(base) else login
        self.base_url = base or (self.login_url if _is_loopback(self.login_url) else "")
        self.version = settings.get("api_version") or VERSION
        self.bulk_above = int(settings.get("bulk_above") or BULK_ABOVE)
        self.influence_model = settings.get("influence_model") or ""
        self.transport = transport
        self.tokens = Tokens(settings, self.login_url)
        transport.credentials = self.tokens
        self._signing_in = threading.Lock()

    @cached_property
    def sf(self) -> Any:
        """The official client, signed in."""
        from simple_salesforce import Salesforce

        with self._signing_in:
            if not self.tokens.instance_url:
                self.tokens.renew(lambda *args, **kw: self.transport.send(*args, safe=True, auth=False, **kw))
                self.transport.credentials = self.tokens  # so that the new token is known as a secret
        host = urlsplit(self.tokens.instance_url).netloc
        if self.base_url:  # the client always dials https
            self.transport.rewrite(f"https://{host}", self.base_url)
        return Salesforce(
            instance_url=f"https://{host}",
            session_id="held by the transport",
            version=self.version,
            session=self.transport.requests_session(),
            object_pairs_hook=None,
        )

    # -- calls ------------------------------------------------------------------------------------------------------
    def request(self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> requests.Response:
        """The reply with its bytes in `.content`. `path` is below /services/data/vNN/, or absolute on the org's host.

        Raises: what the transport raises.
        """
        sf = self.sf
        url = f"https://{sf.sf_instance}{path}" if path.startswith("/") else f"{sf.base_url}{path}"
        sent = {k: v for k, v in sf.headers.items() if k not in ("X-PrettyPrint", "Authorization")} | dict(headers or {})
        reply: requests.Response = sf.session.request(method, url, data=body, headers=sent)
        for bucket, remaining, limit in read_limits(reply.headers):
            self.transport.budget.note_remaining(bucket, remaining, limit)
        return reply

    def get(self, path: str) -> bytes:
        return self.request("GET", path).content

    def json(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else orjson.dumps(value)
        reply = self.request(method, path, body=body)
        return orjson.loads(reply.content) if reply.content else None

    def pause(self, seconds: float) -> None:
        """Let the vendor work on a job we ordered. The transport's clock, so tests do not wait."""
        self.transport.sleep(seconds)

    # -- small questions --------------------------------------------------------------------------------------------
    def select(self, soql: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """All rows of a small query."""
        path: str | None = query_path(soql, deleted)
        rows: list[dict[str, Any]] = []
        while path:
            page = self.json("GET", path)
            rows += page["records"]
            path = page.get("nextRecordsUrl")
        return rows

    def count(self, soql: str, *, deleted: bool) -> int:
        return int(self.json("GET", query_path(soql, deleted))["totalSize"])

    def fields(self, sobject: str) -> dict[str, dict[str, Any]] | None:
        """The fields this user may see, by name; None when there is no such object (or it is hidden)."""
        try:
            described = self.json("GET", f"sobjects/{sobject}/describe")
        except VendorError as error:
            if error.status == 404:
                return None
            raise
        return {f["name"]: f for f in described["fields"]}


def query_path(soql: str, deleted: bool) -> str:
    return f"{'queryAll' if deleted else 'query'}?q={quote_plus(soql)}"


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def read_limits(headers: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """(bucket, remaining, limit) of the rolling day's calls. Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm"""
    if found := _USAGE.search(headers.get("sforce-limit-info", "")):
        used, allowed = int(found[1]), int(found[2])
        yield DAILY, max(0, allowed - used), allowed


# -- refusals -------------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """What a refusal means, by (status, errorCode)."""
    code, message = _said(body)
    return Fault(_kind(status, code, message), code or str(status), _sentence(status, code, message))


def _said(body: bytes) -> tuple[str, str]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[:40].decode("latin-1").strip()
        return (text, text) if text == "Bad_OAuth_Token" else ("", "")
    if isinstance(said, list):
        said = said[0] if said else {}
    if not isinstance(said, dict):
        return "", ""
    code = said.get("errorCode") or said.get("statusCode") or said.get("error") or ""
    return str(code), str(said.get("message") or said.get("error_description") or "")


def _kind(status: int, code: str, message: str) -> FaultKind:
    if code in GRANT_REFUSED:
        return "unauthorised"
    if code in ("INVALID_SESSION_ID", "Bad_OAuth_Token") or status == 401:
        return "expired"
    if code == "REQUEST_LIMIT_EXCEEDED":
        return "throttled" if "concurrent" in message.lower() else "exhausted"
    if code in PASSING or status in (408, 420, 429) or status >= 500:
        return "transient"
    if status == 403 or code in ("API_DISABLED_FOR_ORG", "INSUFFICIENT_ACCESS"):
        return "forbidden"
    return "missing" if status == 404 else "refused"


def _sentence(status: int, code: str, message: str) -> str:
    if code in GRANT_REFUSED:
        return f"Salesforce refused the sign-in ({code}: {message}); check client_id, client_secret, refresh_token and login_url"
    if code in ("INVALID_SESSION_ID", "Bad_OAuth_Token"):
        return "the Salesforce session expired; a new token was refused too: check client_id, client_secret and refresh_token"
    if code == "REQUEST_LIMIT_EXCEEDED" and "concurrent" not in message.lower():
        return "the org's allowance of API calls for 24 hours, shared by all its integrations, is used up"
    last = message.strip().splitlines()[-1] if message.strip() else ""
    said = _EMAIL.sub("…@…", last)[:200]
    if code:
        return f"Salesforce answered {code}" + (f": {said}" if said else "")
    return f"Salesforce answered with status {status} and no error code"
