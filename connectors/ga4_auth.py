"""Google's access tokens through `google-auth`, whose requests go through our transport like all others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.errors import CredentialsError

if TYPE_CHECKING:
    from core.http import Response, Transport

TOKEN_URI = "https://oauth2.googleapis.com/token"
READ = "https://www.googleapis.com/auth/analytics.readonly"
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
KEY_FIELDS = ("client_email", "private_key", "token_uri")


class GoogleToken:
    """An access token, fetched when first needed and whenever Google says it has expired. `more` are secrets of other doors."""

    def __init__(self, google: Any, send: Callable[..., Response], lasting: tuple[str, ...]) -> None:
        self._google, self._send, self._lasting = google, send, lasting
        self._first = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        with self._first:
            if not self._google.token:
                self._google.refresh(_request(lambda *a, **kw: self._send(*a, auth=False, safe=True, **kw)))
        return {"Authorization": f"Bearer {self._google.token}"}

    def renew(self, send: Callable[..., Response]) -> bool:
        self._google.refresh(_request(send))
        return True

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self._lasting, *([self._google.token] if self._google.token else []))


def credentials(settings: Mapping[str, str], transport: Transport, scopes: list[str]) -> GoogleToken:
    """What opens the property: a service account's key, or a user's refresh token.

    Raises: CredentialsError when neither is there, or the key is no key.
    """
    also = tuple(filter(None, [settings.get("api_secret", "").strip()]))
    if key := settings.get("service_account", "").strip():
        google, info = _service_account(key, transport.account, scopes)
        return GoogleToken(google, transport.send, (key, info["private_key"], *also))
    grant = {name: settings.get(name, "").strip() for name in ("client_id", "client_secret", "refresh_token")}
    if missing := [name for name, value in grant.items() if not value]:
        raise CredentialsError(
            f"neither `service_account` nor all of the OAuth grant is set ({', '.join(f'`{m}`' for m in missing)} missing)",
            where=transport.account,
            next_step="set `service_account` to the JSON key of a service account that is a Viewer of the property",
        )
    from google.oauth2.credentials import Credentials

    token_uri = settings.get("token_uri") or TOKEN_URI
    google = Credentials(None, token_uri=token_uri, **grant)
    return GoogleToken(google, transport.send, (grant["client_secret"], grant["refresh_token"], *also))


def _service_account(key: str, account: str, scopes: list[str]) -> tuple[Any, dict[str, str]]:
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    try:
        info = json.loads(key)
        if not isinstance(info, dict) or any(not info.get(name) for name in KEY_FIELDS):
            raise ValueError
        return Credentials.from_service_account_info(info, scopes=scopes), info
    except (ValueError, GoogleAuthError):  # the library's own words may hold parts of the key
        raise CredentialsError(
            "the setting `service_account` is not the JSON key of a service account",
            where=account,
            next_step="Google Cloud console › IAM › Service accounts › Keys: create a JSON key and give the whole file (file:path)",
        ) from None


def _request(send: Callable[..., Response]) -> Any:
    """`send` as what google-auth calls; it only ever sees good replies, because ours raises otherwise."""
    from google.auth.transport import Request

    class Ours(Request):  # type: ignore[misc]
        def __call__(self, url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **_: Any) -> Response:
            return send(method, url, headers=headers, body=body)

    return Ours()
