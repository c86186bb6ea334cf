"""Google's token endpoint: signed assertions of service accounts (the signature is verified) and refresh tokens.

Source: https://developers.google.com/identity/protocols/oauth2/service-account, read 2026-11-23
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import orjson

from connectors.sandbox.ga4_wire import Refusal
from connectors.sandbox.kit import Clock, Reply, Request

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever address the assertion is posted to
EMAIL = "tundish@lumen-loom-sandbox.iam.gserviceaccount.com"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "sandbox.apps.googleusercontent.com", "GOCSPX-sandbox-secret", "1//sandbox-refresh"
SCOPE = "https://www.googleapis.com/auth/"
LIVES_S = 3599
LONGEST_S = 3600


@cache
def private_key() -> Any:
    """The service account's key; made once per process, so that no key stands in the sources."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(token_uri: str) -> str:
    """The JSON key as the Cloud console gives it."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "lumen-loom-sandbox",
            "private_key_id": "5a4dbox",
            "private_key": pem,
            "client_email": EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": token_uri,
        }
    )


class Tokens:
    """Access tokens given out, with their scopes and ends."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.given: dict[str, tuple[float, frozenset[str]]] = {}
        self.granted = frozenset(SCOPE + name for name in ("analytics.readonly", "datamanager"))  # of the refresh token

    def expire(self) -> None:
        self.given = {token: (0.0, scopes) for token, (_, scopes) in self.given.items()}

    def issue(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") == GRANT:
            return self._token(self._asserted(form.get("assertion", "")))
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form)
        return _refused("unsupported_grant_type", "Invalid grant_type: " + form.get("grant_type", ""))

    def _refreshed(self, form: dict[str, str]) -> Reply:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return Reply({"error": "invalid_client", "error_description": "The OAuth client was not found."}, 401)
        if form.get("refresh_token") != REFRESH_TOKEN:
            return _refused("invalid_grant", "Bad Request")
        return self._token(self.granted)

    def _asserted(self, assertion: str) -> Iterable[str] | Reply:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            head, claims, signature = (_decoded(part) for part in assertion.split("."))
            header, said = orjson.loads(head), orjson.loads(claims)
            if header.get("alg") != "RS256":
                return _refused("invalid_grant", "Invalid JWT: unsupported algorithm.")
            signed = assertion.rpartition(".")[0].encode()
            private_key().public_key().verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            return _refused("invalid_grant", "Invalid JWT Signature.")
        except (ValueError, binascii.Error):
            return _refused("invalid_grant", "Invalid JWT: malformed.")
        return _claimed(said)

    def _token(self, scopes: Iterable[str] | Reply) -> Reply:
        if isinstance(scopes, Reply):
            return scopes
        token = f"ya29.sandbox-{len(self.given) + 1:06}"
        self.given[token] = (self.clock.now() + LIVES_S, frozenset(scopes))
        return Reply({"access_token": token, "expires_in": LIVES_S, "token_type": "Bearer"})

    def check(self, request: Request, *names: str) -> Reply | None:
        """A refusal unless the request carries a live token with one of these scopes."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        until, scopes = self.given.get(token, (0.0, frozenset()))
        if scheme != "Bearer" or until <= self.clock.now():
            message = "Request had invalid authentication credentials. Expected OAuth 2 access token or other valid credential."
            return Refusal(401, message, "ACCESS_TOKEN_EXPIRED" if token in self.given else "ACCESS_TOKEN_TYPE_UNSUPPORTED").reply()
        if not scopes & {SCOPE + name for name in names}:
            return Refusal(403, "Request had insufficient authentication scopes.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT").reply()
        return None


def _claimed(said: Any) -> Iterable[str] | Reply:
    """The scopes of a properly signed assertion. Its life is checked, not its age: the caller's clock is another than ours."""
    if said.get("iss") != EMAIL:
        return _refused("invalid_grant", "Invalid grant: account not found")
    if said.get("aud") != AUDIENCE:
        return _refused("invalid_grant", "Invalid JWT: aud must be the token endpoint.")
    issued, ends = said.get("iat"), said.get("exp")
    if not isinstance(issued, int) or not isinstance(ends, int) or not 0 < ends - issued <= LONGEST_S:
        return _refused("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
    scopes = str(said.get("scope") or "").split()
    if not scopes or not all(scope.startswith(SCOPE) for scope in scopes):
        return _refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    return scopes


def _refused(error: str, words: str) -> Reply:
    return Reply({"error": error, "error_description": words}, 400)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
