"""An open Hotjar site, or the same site after its move to Contentsquare: its token, its addresses, what refusals mean.

There is no official client. Nothing here can write: `Session.get` is the only way out, and it only gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from core.connector import Fault
from core.errors import UserError, VendorError

if TYPE_CHECKING:
    from core.http import Response, Transport

TOKEN_PATH = "/v1/oauth/token"
# Hotjar's credentials end after exactly one year and cannot be prolonged; Contentsquare's likewise.
# Source: https://help.hotjar.com/hc/en-us/articles/36820005914001-Hotjar-API-Reference, read 2026-11
VALID, AHEAD = timedelta(days=365), timedelta(days=30)


@dataclass(frozen=True)
class Profile:
    """Where the same API lies, and how its token is asked for."""

    host: str
    path: str  # of the surveys
    form: bool  # the token is asked for with a form, else with JSON that names the scope


# Source: the above, and https://docs.contentsquare.com/en/api/responses/authentication/, read 2026-11
PROFILES = {
    "hotjar": Profile("https://api.hotjar.io", "/v1/sites/{site}/surveys", True),
    "contentsquare": Profile("https://api.contentsquare.com", "/v1/public/projects/{site}/surveys", False),
}


class Tokens:
    """A token for an hour, from the credentials. `endpoint`: where Contentsquare says to ask with it."""

    def __init__(self, settings: Mapping[str, str], profile: Profile, base: str) -> None:
        self._id, self._secret = settings["client_id"].strip(), settings["client_secret"].strip()
        self._profile, self._url = profile, f"{base}{TOKEN_PATH}"
        self._token = ""
        self.endpoint = base

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self._secret, self._token) if s)

    def renew(self, send: Callable[..., Response]) -> bool:
        asked = {"grant_type": "client_credentials", "client_id": self._id, "client_secret": self._secret}
        if self._profile.form:
            body, kind = urlencode(asked).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = orjson.dumps(asked | {"scope": "surveys"}), "application/json"
        answer = orjson.loads(send("POST", self._url, headers={"Content-Type": kind}, body=body).data)
        self._token = answer["access_token"]
        self.endpoint = (answer.get("endpoint") or self.endpoint).rstrip("/")
        return True


class Session:
    """What the connector's functions are given. It signs in at the first call."""

    def __init__(self, settings: Mapping[str, str], transport: Transport) -> None:
        name = settings.get("profile") or "hotjar"
        if name not in PROFILES:
            raise UserError(f"unknown profile {name!r}", next_step=f"set profile to one of: {', '.join(PROFILES)}")
        self.profile = PROFILES[name]
        self.site = settings["site_id"].strip()
        self.transport = transport
        self.tokens = Tokens(settings, self.profile, (settings.get("base_url") or self.profile.host).rstrip("/"))
        transport.credentials = self.tokens

    def get(self, path: str = "", **query: Any) -> bytes:
        """The body of a GET below the site's surveys."""
        if not self.tokens.headers():
            self.tokens.renew(lambda *args, **more: self.transport.send(*args, safe=True, auth=False, **more))
            self.transport.credentials = self.tokens  # so that the new token is known as a secret
        asked = urlencode({k: v for k, v in query.items() if v is not None})
        place = self.profile.path.format(site=quote(self.site, safe=""))
        return self.transport.send("GET", f"{self.tokens.endpoint}{place}{path}?{asked}").data


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    return Session(settings, transport)


def envelope(body: bytes) -> tuple[list[dict[str, Any]], str | None]:
    """(rows, cursor of the next page). Raises: VendorError when it is another shape."""
    answer = orjson.loads(body)
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise VendorError("Hotjar sent a list without results", next_step="report it: the vendor's API has changed")
    return rows, answer.get("next_cursor") or None


# -- refusals and warnings ----------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """By the status alone: what Hotjar's bodies say is in no document. A 401 may be an old token, so a new one is tried first."""
    wait = headers.get("retry-after", "")
    seconds = float(wait) if wait.isdecimal() else None
    if status == 401:
        text = "Hotjar does not accept the credentials; check the settings client_id and client_secret (they end after one year)"
        return Fault("expired", "401", text)
    if status == 403:
        return Fault("forbidden", "403", "Hotjar refuses: the plan has no survey export, or the credential has no scope for it")
    if status == 404:
        return Fault("missing", "404", "Hotjar knows no such site or survey; check the setting site_id")
    if status == 429:
        return Fault("throttled", "429", "Hotjar is asked too often: 3000 requests a minute", seconds)
    if status >= 500:
        return Fault("transient", str(status), f"Hotjar has trouble (status {status})", seconds)
    return Fault("refused", str(status), f"Hotjar refuses the request (status {status})")


def warnings(settings: Mapping[str, str], today: date) -> Iterator[tuple[str, str]]:
    """From 30 days before the credentials end, if it is known when they were created."""
    written = settings.get("created")
    if not written:
        return
    step = "create new ones in Hotjar (only an Admin can) and set client_id, client_secret and created anew"
    try:
        ends = date.fromisoformat(written) + VALID
    except ValueError:
        yield "the setting created is no date", "write the day the credentials were created as 2026-01-31"
        return
    if today >= ends:
        yield f"the credentials ended on {ends}", step
    elif today >= ends - AHEAD:
        yield f"the credentials end on {ends}, in {(ends - today).days} days, and cannot be prolonged", step
