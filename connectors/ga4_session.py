"""An open Google Analytics 4 property: its addresses, how reports are asked for, and what refusals mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from connectors.ga4_auth import DATA_MANAGER, READ, credentials
from core.connector import Fault
from core.errors import UserError

if TYPE_CHECKING:
    from core.http import Transport

DATA_URL = "https://analyticsdata.googleapis.com"
ADMIN_URL = "https://analyticsadmin.googleapis.com"
COLLECT_URL = "https://www.google-analytics.com"
DATA_MANAGER_URL = "https://datamanager.googleapis.com"
JSON = {"Content-Type": "application/json"}
BUSY_S = 30.0  # until one of the ten places is free again
ADDRESS = re.compile(r"[^\s@\"'<>:]+@[^\s@\"'<>]+")
# Quotas of a standard property; a 360 property has ten times as much of each. Ours → Google's name, what there is of it, and the
# factor it is counted with: requests do not spend these, so their counts are blown up past what calls could ever spend.
# Source: https://developers.google.com/analytics/devguides/reporting/data/v1/quotas, read 2026-11-23
QUOTAS = {
    "tokens_day": ("tokensPerDay", 200_000, 1),
    "tokens_hour": ("tokensPerHour", 40_000, 1),
    "project_hour": ("tokensPerProjectPerHour", 14_000, 1),
    "thresholded_hour": ("potentiallyThresholdedRequestsPerHour", 120, 1000),
    "server_errors": ("serverErrorsPerProjectPerHour", 10, 1000),
}


@dataclass
class Session:
    """`zone` is the property's time zone, `currency` its money, once a reply has told them."""

    transport: Transport
    settings: Mapping[str, str]
    zone: str = ""
    currency: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def property_id(self) -> str:
        return self.settings["property_id"]

    def url(self, name: str) -> str:
        default = {"data_url": DATA_URL, "admin_url": ADMIN_URL, "collect_url": COLLECT_URL, "datamanager_url": DATA_MANAGER_URL}[name]
        return (self.settings.get(name) or default).rstrip("/")

    def admin(self, path: str, **query: Any) -> dict[str, Any]:
        asked = f"?{urlencode(query)}" if query else ""
        return _object(self.transport.send("GET", f"{self.url('admin_url')}/v1beta/{path}{asked}").data)

    def admin_rows(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self.admin(path, pageSize=200, **({"pageToken": token} if token else {}))
            yield from page.get(name, ())
            token = page.get("nextPageToken", "")
            if not token:
                return

    def metadata(self) -> dict[str, Any]:
        """The dimensions and metrics this property has; asked for once a session."""
        if "metadata" not in self.seen:
            url = f"{self.url('data_url')}/v1beta/properties/{self.property_id}/metadata"
            self.seen["metadata"] = _object(self.transport.send("GET", url).data)
        found: dict[str, Any] = self.seen["metadata"]
        return found

    def ask(
        self, method: str, body: Mapping[str, Any], version: str = "v1beta", read: Callable[[bytes], dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """The reply of `properties/<id>:<method>`, decoded by `read`; what is left of the quotas goes into the budget."""
        url = f"{self.url('data_url')}/{version}/properties/{self.property_id}:{method}"
        reply = (read or _object)(self.transport.send("POST", url, headers=JSON, body=orjson.dumps(body)).data)
        for report in reply.get("reports") or [reply]:
            self._note(report.get("propertyQuota") or {})
            about = report.get("metadata") or {}
            self.zone = about.get("timeZone") or self.zone
            self.currency = about.get("currencyCode") or self.currency
        return reply

    def _note(self, quota: Mapping[str, Mapping[str, int]]) -> None:
        for bucket, (name, limit, factor) in QUOTAS.items():
            if name in quota:
                remaining = int(quota[name].get("remaining", 0))  # zero is left out of a reply
                most = limit * 10 if remaining > limit else limit
                self.transport.budget.note_remaining(bucket, remaining * factor, most * factor)


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    """Raises: UserError for a property id that is a measurement id; CredentialsError when nothing opens it."""
    given = {name: str(value).strip() for name, value in settings.items()}
    given["property_id"] = given.get("property_id", "").removeprefix("properties/")
    if not given["property_id"].isdecimal():
        raise UserError(
            "property_id is a number such as 314159265, not the measurement id of a stream (G-…)",
            where=transport.account,
            next_step="Analytics › Admin › Property details shows it",
        )
    scopes = [READ, DATA_MANAGER] if given.get("datamanager", "off") == "on" else [READ]
    transport.credentials = credentials(given, transport, scopes)
    return Session(transport, given)


def _object(body: bytes) -> dict[str, Any]:
    found = orjson.loads(body or b"{}")
    return found if isinstance(found, dict) else {}


# -- what a refusal means -------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Google's error document in our words. The token endpoint's has only a word and a sentence."""
    error = _error(body)
    if isinstance(error, str):
        return _token_refused(status, error, body)
    code = str(error.get("status") or status)
    reasons = [str(d.get("reason")) for d in error.get("details") or () if isinstance(d, dict) and d.get("reason")]
    words = ADDRESS.sub("<address>", str(error.get("message") or "")).split("\n")[0][:300].strip()
    if status == 401:
        return Fault("expired", code, "Google does not accept the access token (`service_account`, or the OAuth grant)")
    if status == 403:
        return _forbidden(code, reasons, words)
    if status == 404:
        return Fault("missing", code, f"Google has no such thing: {words or 'unknown address'}")
    if status == 429:
        return _exhausted(words)
    if status >= 500:
        return Fault("transient", code, f"Google Analytics answered {status}")
    return Fault("refused", reasons[0] if reasons else code, f"Google Analytics refused: {words or status}")


def _exhausted(words: str) -> Fault:
    """Ten requests at once are waited for; hours and days are not: the next run goes on where this one stopped."""
    text = words.lower()
    if "concurrent" in text:
        return Fault("throttled", "CONCURRENT", "Google Analytics: ten requests at once are under way for this property", BUSY_S)
    names = {
        "PER_DAY": ("per day", "the property's tokens of the day are used up; they return within 24 hours"),
        "PROJECT_HOUR": ("for a project per hour", "the Cloud project's tokens of the hour are used up"),
        "PER_HOUR": ("tokens per hour", "the property's tokens of the hour are used up"),
        "THRESHOLDED": ("thresholded", "120 reports in an hour that may be thresholded are the most"),
        "SERVER_ERRORS": ("server error", "too many server errors in this hour: the property is locked for the rest of it"),
    }
    for code, (phrase, meaning) in names.items():
        if phrase in text:
            return Fault("exhausted", code, f"Google Analytics: {meaning}")
    return Fault("exhausted", "RESOURCE_EXHAUSTED", f"Google Analytics: {words or 'a quota is used up'}")


def _forbidden(code: str, reasons: list[str], words: str) -> Fault:
    if "SERVICE_DISABLED" in reasons or "has not been used in project" in words:
        name = re.search(r"Google Analytics \w+ API|[A-Z][\w ]+ API", words)
        return Fault("forbidden", "SERVICE_DISABLED", f"{name[0] if name else 'This API'} is off in the Cloud project: enable it there")
    if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons or "insufficient authentication scopes" in words:
        return Fault("forbidden", "SCOPE", "the access token lacks a scope; give the OAuth grant analytics.readonly (datamanager to send)")
    if "permission" in words.lower():
        return Fault("forbidden", code, "no access to the property: check property_id; the service account (or user) must be its Viewer")
    return Fault("forbidden", code, f"Google Analytics forbids this: {words}")


def _token_refused(status: int, error: str, body: bytes) -> Fault:
    words = ADDRESS.sub("<address>", str(_loaded(body).get("error_description") or ""))[:200]
    said = f"{error}: {words}" if words else error
    if status >= 500:
        return Fault("transient", error, f"Google's token endpoint answered {status}")
    if error in ("invalid_client", "unauthorized_client"):
        return Fault("unauthorised", error, f"Google does not know the OAuth client (`client_id`, `client_secret`): {said}")
    if "JWT" in words or "account not found" in words:
        return Fault("unauthorised", error, f"Google does not accept the key in `service_account` ({said}); make a new one")
    return Fault("unauthorised", error, f"Google does not accept `service_account`, or `refresh_token` of the OAuth grant ({said})")


def _error(body: bytes) -> Any:
    found = _loaded(body).get("error")
    return found if isinstance(found, str | dict) else {}


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        return _object(body)
    except orjson.JSONDecodeError:
        return {}
