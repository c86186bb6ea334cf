"""What surrounds the records: properties, pipelines, owners, events, tokens, the account itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.hubspot_objects import checked_inputs, finished, limit_of, page, seal, unseal
from connectors.sandbox.hubspot_store import Refused, Store, iso, millis
from connectors.sandbox.kit import Clock, Reply, Request, Route

PORTAL_ID, TOKEN_LIFE_S = 7_654_321, 1_800
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
TYPES = {"bool", "date", "datetime", "enumeration", "number", "phone_number", "string"}


class Portal:
    def __init__(self, store: Store) -> None:
        self.store = store

    def kind(self, request: Request) -> str:
        name = schema.PLURAL.get(request.params["type"], request.params["type"])
        if name not in schema.TYPES:
            raise Refused(404, "OBJECT_NOT_FOUND", f"Unable to infer object type from: {name}")
        return name

    # https://developers.hubspot.com/docs/guides/api/crm/properties
    def properties(self, request: Request) -> Reply:
        if (request.q("archived") or "false").lower() == "true":
            return Reply({"results": []})
        # the stage timers exist as values but are not listed, as in many portals
        return Reply({"results": list(self.store.properties[self.kind(request)].values())})

    def one_property(self, request: Request) -> Reply:
        found = self.store.properties[self.kind(request)].get(request.params["name"])
        if found is None:
            raise Refused(404, "OBJECT_NOT_FOUND", f"Property {request.params['name']} does not exist")
        return Reply(found)

    def create_property(self, request: Request) -> Reply:
        return Reply(self._add(self.kind(request), request.json()), 201)

    def create_properties(self, request: Request) -> Reply:
        kind, done, errors = self.kind(request), [], []
        for given in checked_inputs(request.json(), 100):
            try:
                done.append(self._add(kind, given))
            except Refused as no:
                errors.append({"status": "error", "category": no.category, "message": no.message, "context": {"name": [given["name"]]}})
        return finished(self.store, done, errors, 201)

    def _add(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        for need in ("name", "label", "groupName", "type", "fieldType"):
            if not given.get(need):
                raise Refused(400, "VALIDATION_ERROR", f"Invalid input JSON: {need} is required")
        if given["name"] in self.store.properties[kind]:
            raise Refused(409, "OBJECT_ALREADY_EXISTS", f"A property named '{given['name']}' already exists.")
        if not NAME.match(given["name"]) or given["type"] not in TYPES:
            raise Refused(400, "VALIDATION_ERROR", f"Property name or type is not valid: {given['name']} ({given['type']})")
        if given["groupName"] not in self.store.groups[kind]:
            raise Refused(400, "VALIDATION_ERROR", f"Property group '{given['groupName']}' does not exist")
        made = self.store.own_property(kind, given)
        self.store.properties[kind][made["name"]] = made
        return made

    def groups(self, request: Request) -> Reply:
        rows = self.store.groups[self.kind(request)].items()
        return Reply({"results": [{"name": n, "label": label, "displayOrder": i, "archived": False} for i, (n, label) in enumerate(rows)]})

    def create_group(self, request: Request) -> Reply:
        kind, given = self.kind(request), request.json()
        if given["name"] in self.store.groups[kind]:
            raise Refused(409, "OBJECT_ALREADY_EXISTS", f"A property group named '{given['name']}' already exists.")
        self.store.groups[kind][given["name"]] = given["label"]
        return Reply({**given, "displayOrder": -1, "archived": False}, 201)

    # https://developers.hubspot.com/docs/guides/api/crm/pipelines
    def pipelines(self, request: Request) -> Reply:
        name = request.params["type"]
        if name not in self.store.pipelines:
            raise Refused(404, "OBJECT_NOT_FOUND", f"There is no pipeline for {name}")
        return Reply({"results": [_dated(p) for p in self.store.pipelines[name]]})

    def one_pipeline(self, request: Request) -> Reply:
        return Reply(self._pipeline(request))

    def stages(self, request: Request) -> Reply:
        return Reply({"results": self._pipeline(request)["stages"]})

    def _pipeline(self, request: Request) -> dict[str, Any]:
        kind, wanted = request.params["type"], request.params["id"]
        found = next((p for p in self.store.pipelines.get(kind, ()) if p["id"] == wanted), None)
        if found is None:
            raise Refused(404, "OBJECT_NOT_FOUND", f"There is no pipeline {wanted} for {kind}")
        return _dated(found)

    # https://developers.hubspot.com/docs/guides/api/crm/owners
    def owners(self, request: Request) -> Reply:
        archived = (request.q("archived") or "false").lower() == "true"
        limit, after, email = limit_of(request.q("limit"), 500, 100), request.q("after"), request.q("email")
        rows = [o for o in self.store.owners if bool(o.get("archived")) == archived and email in (None, o.get("email"))]
        start = int(unseal(after)) if after else 0
        more = seal(str(start + limit)) if start + limit < len(rows) else None
        return Reply(page([_owner(o) for o in rows[start : start + limit]], more, request.path))

    # https://developers.hubspot.com/docs/guides/api/analytics-and-events/event-analytics
    def events(self, request: Request) -> Reply:
        limit, after = limit_of(request.q("limit"), 1_000), request.q("after")
        rows = sorted((e for e in self.store.events if _asked(e, request)), key=lambda e: (millis(e["occurredAt"]), str(e["id"])))
        start = int(unseal(after)) if after else 0
        more = seal(str(start + limit)) if start + limit < len(rows) else None
        return Reply(page(rows[start : start + limit], more, request.path))

    def event_types(self, request: Request) -> Reply:
        return Reply({"eventTypes": sorted({e["eventType"] for e in self.store.events})})

    # https://developers.hubspot.com/docs/guides/api/settings/account-information-api
    def account(self, request: Request) -> Reply:
        return Reply(
            {"portalId": PORTAL_ID, "accountType": "STANDARD", "timeZone": "Europe/Berlin", "companyCurrency": "EUR",
             "additionalCurrencies": [], "utcOffset": "+02:00", "utcOffsetMilliseconds": 7_200_000,
             "uiDomain": "app.hubspot.com",
             "dataHostingLocation": "na1"}
        )  # fmt: skip

    def routes(self) -> list[Route]:
        at = "/crm/v3/properties/{type}"
        return [
            Route("GET", at, self.properties),
            Route("GET", at + "/groups", self.groups),
            Route("POST", at + "/groups", self.create_group),
            Route("POST", at + "/batch/create", self.create_properties),
            Route("GET", at + "/{name}", self.one_property),
            Route("POST", at, self.create_property),
            Route("GET", "/crm/v3/pipelines/{type}", self.pipelines),
            Route("GET", "/crm/v3/pipelines/{type}/{id}", self.one_pipeline),
            Route("GET", "/crm/v3/pipelines/{type}/{id}/stages", self.stages),
            Route("GET", "/crm/v3/owners", self.owners),
            Route("GET", "/events/v3/events", self.events),
            Route("GET", "/events/v3/events/event-types", self.event_types),
            Route("GET", "/account-info/v3/details", self.account),
        ]


class Tokens:
    """Static tokens (private app, service key) and OAuth: access tokens live 30 minutes, the refresh token stays.

    https://developers.hubspot.com/docs/guides/api/app-management/oauth-tokens
    """

    OPEN = ("/oauth/v1/token", "/oauth/v1/access-tokens/")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.static = {"pat-na1-sandbox"}
        self.clients = {"hub-client": "hub-secret"}
        self.refresh = {"hub-refresh": "hub-client"}
        self.given: dict[str, float] = {}  # access token → until
        self.missing: set[str] = set()  # scopes taken away on demand

    def expire(self) -> None:
        self.given = {token: min(until, self.clock.now() - 1) for token, until in self.given.items()}

    def check(self, request: Request) -> Reply | None:
        if request.path.startswith(self.OPEN):
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if token in self.given and self.given[token] <= self.clock.now():
            message, when = "The OAuth token used to make this call expired 0 second(s) ago.", iso(self.clock.utc())
            return envelope(401, "EXPIRED_AUTHENTICATION", message, context={"expire time": [when]})
        if token not in self.static and token not in self.given:
            message = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
            return envelope(401, "INVALID_AUTHENTICATION", message, {"x-hubspot-auth-failure": "401 Unauthorized"})
        needed = scopes(request)
        if lacking := [s for s in needed if s in self.missing]:
            message = "This app hasn't been granted all required scopes to make this call."
            return envelope(403, "MISSING_SCOPES", message, errors=[{"message": message, "context": {"requiredGranularScopes": lacking}}])
        return None

    def grant(self, request: Request) -> Reply:
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        client, refresh = form.get("client_id", ""), form.get("refresh_token", "")
        if self.clients.get(client) != form.get("client_secret"):
            return _bad_grant("BAD_CLIENT_SECRET", "missing or invalid client secret")
        if form.get("grant_type") != "refresh_token" or self.refresh.get(refresh) != client:
            return _bad_grant("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
        token = f"oauth-{len(self.given) + 1}-{uuid.uuid5(uuid.NAMESPACE_OID, str(len(self.given))).hex}"
        self.given[token] = self.clock.now() + TOKEN_LIFE_S
        return Reply({"token_type": "bearer", "refresh_token": refresh, "access_token": token, "expires_in": TOKEN_LIFE_S})

    def info(self, request: Request) -> Reply:
        token = request.params["token"]
        if token not in self.given:
            return envelope(404, "OBJECT_NOT_FOUND", "access token not found")
        left = max(0, int(self.given[token] - self.clock.now()))
        about = {"token": token, "user": "ops@example.com", "hub_id": PORTAL_ID, "scopes": ["oauth"]}
        return Reply({**about, "expires_in": left, "token_type": "access"})

    def routes(self) -> list[Route]:
        return [Route("POST", "/oauth/v1/token", self.grant), Route("GET", "/oauth/v1/access-tokens/{token}", self.info)]


def _bad_grant(status: str, message: str) -> Reply:
    return Reply({"status": status, "message": message, "correlationId": str(uuid.uuid4())}, 400)


def envelope(status: int, category: str, message: str, headers: dict[str, str] | None = None, **extra: Any) -> Reply:
    """HubSpot's error body. https://developers.hubspot.com/docs/reference/api/other-resources/error-handling"""
    body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), "category": category, **extra}
    return Reply(body, status, dict(headers or {}))


def scopes(request: Request) -> Sequence[str]:
    """The scope a request needs. Reading posts (search, batch read) need the read scope."""
    path = request.path
    if path.startswith("/crm/v3/owners"):
        return ["crm.objects.owners.read"]
    found = re.match(r"/crm/v[34]/(objects|properties|pipelines|associations)/([^/]+)", path)
    if not found:
        return []
    family, name = found.groups()
    kind = schema.PLURAL.get(name, name)
    reads = request.method == "GET" or path.endswith(("/search", "/batch/read"))
    return [f"crm.{'schemas' if family == 'properties' else 'objects'}.{kind}.{'read' if reads else 'write'}"]


def _asked(event: dict[str, Any], request: Request) -> bool:
    for name in ("objectType", "objectId", "eventType"):
        wanted = request.q(name)
        if wanted is not None and str(event[name]).upper() != wanted.upper():
            return False
    at, after, before = millis(event["occurredAt"]), request.q("occurredAfter"), request.q("occurredBefore")
    return (after is None or at > millis(after)) and (before is None or at < millis(before))


def _owner(owner: dict[str, Any]) -> dict[str, Any]:
    user = owner.get("userId")
    dates = {"createdAt": "2023-01-10T08:00:00.000Z", "updatedAt": "2025-01-10T08:00:00.000Z"}
    return {**dates, "type": "PERSON", "userIdIncludingInactive": user, **owner, "userId": None if owner.get("archived") else user}


def _dated(pipeline: dict[str, Any]) -> dict[str, Any]:
    dates = {"createdAt": "2023-01-10T08:00:00Z", "updatedAt": "2023-01-10T08:00:00Z", "archived": False}
    stages = [{**dates, "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT", **s} for s in pipeline["stages"]]
    return {**dates, **pipeline, "stages": stages}
