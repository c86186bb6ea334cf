"""A stateful Salesforce org over HTTP, written from the vendor's documentation: sign-in, REST, collections, feeds, Tooling.

Bulk API 2.0, SOQL, the data's own rules and the screens' edits have modules of their own beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

from connectors.sandbox.kit import Clock, Emulator, Reply, Request, Route
from connectors.sandbox.salesforce_bulk import Bulk, refuse, upsert
from connectors.sandbox.salesforce_describe import custom_field, describe_field, describe_object, make_id, to18
from connectors.sandbox.salesforce_edits import Edits
from connectors.sandbox.salesforce_org import Org, RowError
from connectors.sandbox.salesforce_query import PAGE, Found, Queries, Selected
from connectors.sandbox.salesforce_soql import Compiler, SoqlError, canonical

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "sf-client", "sf-secret", "sf-refresh"
ORG_ID = make_id("00D", 1)
TOKEN_LIFE_S = 7200.0  # the default session policy; it slides with use
COLLECTION = 200
URI_LIMIT = 16_384
TOTAL = "TotalRequests Limit exceeded."
CONCURRENT = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."


class SalesforceEmulator(Emulator):
    name = "salesforce"
    keys: ClassVar[Mapping[str, str]] = {"client_id": "sf-client", "client_secret": "sf-secret", "refresh_token": "sf-refresh"}
    ways: ClassVar[Mapping[str, Mapping[str, str]]] = {"client credentials": {"client_id": "sf-client", "client_secret": "sf-secret"}}
    address = "login_url"

    def __init__(self, seed: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> None:
        self.tokens: dict[str, float] = {}  # token -> the moment it expires
        self.refresh_token = REFRESH_TOKEN
        self.rotate = False  # give a new refresh token with every refresh, and forget the old one
        self.spurious_grants = 0  # so many refreshes answer invalid_grant although the token is good
        self.issued = 0
        self.used, self.allowed = 0, 100_000
        super().__init__(None, clock=clock)
        self.org = Org(self.clock)
        self.queries = Queries(self.org)
        self.bulk = Bulk(self.org, self.queries)
        self.screens = Edits(self.org)
        self.edits = {n: getattr(self.screens, n) for n in dir(self.screens) if not n.startswith("_") and n != "org"}
        self.edits |= {"allowance": self.allowance, "expire_locators": self.queries.locators.clear, "short_pages": self._short_pages}
        self.edits |= {"rotate": self._rotate, "fail_next_job": self._fail_next_job}
        self.load(seed or {})

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        return {**super().settings(url), "influence_model": "Tundish"}

    def load(self, seed: Mapping[str, Any]) -> None:
        self.org.load(seed)

    def dump(self) -> Any:
        return {name: sorted(rows.values(), key=lambda r: str(r["Id"])) for name, rows in self.org.tables.items()}

    # -- edits of the service itself --------------------------------------------------------------------------------
    def allowance(self, used: int, allowed: int) -> None:
        self.used, self.allowed = used, allowed

    def _short_pages(self, rows: int) -> None:
        self.queries.short_pages = rows

    def _rotate(self, on: bool = True) -> None:
        self.rotate = on

    def _fail_next_job(self, message: str) -> None:
        self.bulk.fail_next = message

    # -- the door ---------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        if request.path.startswith("/services/oauth2/token"):
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ").removeprefix("OAuth ")
        if self.tokens.get(token, 0.0) <= self.clock.now():
            return refuse(401, "INVALID_SESSION_ID", "Session expired or invalid")
        self.tokens[token] = self.clock.now() + TOKEN_LIFE_S
        return None

    def limit(self, request: Request) -> Reply | None:
        if not request.path.startswith("/services/data"):
            return None
        if sum(len(k) + len(v) + 2 for k, values in request.query.items() for v in values) + len(request.path) > URI_LIMIT:
            return Reply(b"<html>URI Too Long</html>", 414, {}, "text/html")
        if self.used >= self.allowed:
            return refuse(403, "REQUEST_LIMIT_EXCEEDED", TOTAL)
        self.used += 1
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        return refuse(403, "REQUEST_LIMIT_EXCEEDED", CONCURRENT)

    def not_found(self, request: Request) -> Reply:
        return refuse(404, "NOT_FOUND", "The requested resource does not exist")

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def decorate(self, request: Request, reply: Reply) -> Reply:
        if request.path.startswith("/services/data"):
            reply.headers.setdefault("Sforce-Limit-Info", f"api-usage={self.used}/{self.allowed}")
        return reply

    def routes(self) -> Sequence[Route]:
        v, bulk = "/services/data/{v}", self.bulk

        def guarded(handler: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
            return lambda request: _refusals(handler, request)

        # https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_endpoints.htm
        # https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_list.htm
        rest: list[tuple[str, str, Callable[[Request], Reply]]] = [
            ("POST", "/services/oauth2/token", self.token),
            ("GET", "/services/oauth2/userinfo", lambda r: Reply({"user_id": self.org.api_user, "organization_id": ORG_ID})),
            ("GET", f"{v}/limits/recordCount", self.record_count),
            ("GET", f"{v}/limits", self.limits),
            ("GET", f"{v}/query/{{locator}}", self.query_more),
            ("GET", f"{v}/queryAll/{{locator}}", self.query_more),
            ("GET", f"{v}/query", lambda r: self.query(r, False)),
            ("GET", f"{v}/queryAll", lambda r: self.query(r, True)),
            ("GET", f"{v}/sobjects", self.global_describe),
            ("GET", f"{v}/sobjects/{{sobject}}/describe", self.describe),
            ("GET", f"{v}/sobjects/{{sobject}}/deleted", self.deleted),
            ("GET", f"{v}/sobjects/{{sobject}}/updated", self.updated),
            ("POST", f"{v}/sobjects/{{sobject}}", self.create),
            ("GET", f"{v}/sobjects/{{sobject}}/{{id}}", self.get),
            ("PATCH", f"{v}/sobjects/{{sobject}}/{{id}}", self.patch),
            ("DELETE", f"{v}/sobjects/{{sobject}}/{{id}}", self.remove),
            ("GET", f"{v}/sobjects/{{sobject}}/{{key}}/{{value}}", self.get_by_key),
            ("PATCH", f"{v}/sobjects/{{sobject}}/{{key}}/{{value}}", self.patch_by_key),
            ("POST", f"{v}/composite/sobjects", lambda r: self.collection(r, self._create_one)),
            ("PATCH", f"{v}/composite/sobjects", lambda r: self.collection(r, self._update_one)),
            ("DELETE", f"{v}/composite/sobjects", self.delete_many),
            ("POST", f"{v}/composite/sobjects/{{sobject}}", self.retrieve),
            ("PATCH", f"{v}/composite/sobjects/{{sobject}}/{{key}}", lambda r: self.collection(r, self._upsert_one)),
            ("POST", f"{v}/tooling/sobjects/CustomField", self.create_field),
            ("POST", f"{v}/jobs/query", bulk.create_query),
            ("GET", f"{v}/jobs/query/{{id}}/results", bulk.query_results),
            ("POST", f"{v}/jobs/ingest", bulk.create_ingest),
            ("PUT", f"{v}/jobs/ingest/{{id}}/batches", bulk.upload),
            ("GET", f"{v}/jobs/ingest/{{id}}/{{which}}", bulk.ingest_results),
        ]
        for kind in ("query", "ingest"):
            rest += [
                ("GET", f"{v}/jobs/{kind}/{{id}}", lambda r, kind=kind: bulk.poll(r, kind)),  # type: ignore[misc]
                ("PATCH", f"{v}/jobs/{kind}/{{id}}", lambda r, kind=kind: bulk.change(r, kind)),  # type: ignore[misc]
                ("DELETE", f"{v}/jobs/{kind}/{{id}}", lambda r, kind=kind: bulk.remove(r, kind)),  # type: ignore[misc]
            ]
        return [Route(method, pattern, guarded(handler)) for method, pattern, handler in rest]

    # -- sign-in ----------------------------------------------------------------------------------------------------
    def token(self, request: Request) -> Reply:
        form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        if form.get("client_id") != CLIENT_ID:
            return Reply({"error": "invalid_client_id", "error_description": "client identifier invalid"}, 400)
        if form.get("client_secret") != CLIENT_SECRET:
            return Reply({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        grant = form.get("grant_type")
        if grant not in ("refresh_token", "client_credentials"):
            return Reply({"error": "unsupported_grant_type", "error_description": "grant type not supported"}, 400)
        if self.spurious_grants > 0 or (grant == "refresh_token" and form.get("refresh_token") != self.refresh_token):
            self.spurious_grants = max(0, self.spurious_grants - 1)
            return Reply({"error": "invalid_grant", "error_description": "expired access/refresh token"}, 400)
        self.issued += 1
        token = f"{ORG_ID}!sandbox.{self.issued}"
        self.tokens[token] = self.clock.now() + TOKEN_LIFE_S
        base = f"http://{request.headers.get('host', '127.0.0.1')}"
        out = {"access_token": token, "instance_url": base, "id": f"{base}/id/{ORG_ID}/{self.org.api_user}", "token_type": "Bearer"}
        out |= {"issued_at": str(int(self.clock.now() * 1000)), "signature": "c2FuZGJveA=="}
        if self.rotate and grant == "refresh_token":
            self.refresh_token = out["refresh_token"] = f"{REFRESH_TOKEN}-{self.issued}"
        return Reply(out)

    # -- reading ----------------------------------------------------------------------------------------------------
    def query(self, request: Request, include_deleted: bool) -> Reply:
        hint = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        page = min(PAGE, max(200, int(hint[1]))) if hint else PAGE
        return Reply(self.queries.run(request.q("q") or "", _version(request), include_deleted, page))

    def query_more(self, request: Request) -> Reply:
        return Reply(self.queries.more(request.params["locator"], _version(request)))

    def limits(self, request: Request) -> Reply:
        daily = {"Max": self.allowed, "Remaining": self.allowed - self.used}
        jobs = {"Max": 10_000, "Remaining": 10_000 - len(self.bulk.jobs)}
        return Reply({"DailyApiRequests": daily, "DailyBulkV2QueryJobs": jobs})

    def record_count(self, request: Request) -> Reply:
        asked = (request.q("sObjects") or ",".join(self.org.tables)).split(",")
        counts = [(n, sum(not r.get("IsDeleted") for r in self.org.tables[n].values())) for n in asked if n in self.org.tables]
        return Reply({"sObjects": [{"count": count, "name": name} for name, count in counts]})

    def global_describe(self, request: Request) -> Reply:
        shown = [describe_object(n, _version(request)) for n in sorted(self.org.visible())]
        return Reply({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": shown})

    def describe(self, request: Request) -> Reply:
        name = self._sobject(request)
        fields = [describe_field(f, self.org.picklist(name, n)) for n, f in self.org.visible()[name].items()]
        return Reply({**describe_object(name, _version(request)), "fields": fields, "childRelationships": [], "recordTypeInfos": []})

    def deleted(self, request: Request) -> Reply:
        start, end, covered = self._window(request, days=15)
        rows = [
            r for r in self.org.tables[self._sobject(request)].values() if r.get("IsDeleted") and start <= r["SystemModstamp"] < covered
        ]
        shown = [{"id": r["Id"], "deletedDate": _plus(r["SystemModstamp"])} for r in rows]
        earliest = canonical((self.clock.utc() - timedelta(days=15)).isoformat())
        return Reply({"deletedRecords": shown, "earliestDateAvailable": _plus(earliest), "latestDateCovered": _plus(min(end, covered))})

    def updated(self, request: Request) -> Reply:
        start, end, covered = self._window(request, days=30)
        rows = self.org.tables[self._sobject(request)].values()
        ids = [r["Id"] for r in rows if not r.get("IsDeleted") and start <= r["SystemModstamp"] < covered]
        return Reply({"ids": ids, "latestDateCovered": _plus(min(end, covered))})

    def _window(self, request: Request, days: int) -> tuple[str, str, str]:
        """start, end and how far the feed has got: a minute behind now."""
        try:
            start, end = (datetime.fromisoformat((request.q(n) or "").replace(" ", "+")).astimezone(UTC) for n in ("start", "end"))
        except ValueError as error:
            raise SoqlError("INVALID_FIELD", "start and end must be dateTime") from error
        start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
        if end - start < timedelta(minutes=1):
            raise SoqlError(
                "INVALID_REPLICATION_DATE", "startDate before org replication enabled date or less than a minute before endDate"
            )
        if start < self.clock.utc() - timedelta(days=days, minutes=1):
            raise SoqlError("INVALID_REPLICATION_DATE", f"start date must be within {days} days")
        covered = min(end, (self.clock.utc() - timedelta(minutes=1)).replace(second=0, microsecond=0))
        return canonical(start.isoformat()), canonical(end.isoformat()), canonical(covered.isoformat())

    def _sobject(self, request: Request) -> str:
        name = request.params["sobject"]
        found = next((n for n in self.org.visible() if n.lower() == name.lower()), None)
        if found is None:
            raise RowError("NOT_FOUND", "The requested resource does not exist")
        return found

    def _shown(self, name: str, ids: Sequence[str], fields: Sequence[str], version: str) -> list[dict[str, Any] | None]:
        compiler = Compiler(self.org.visible(), self.org.find)
        columns = [Selected(path, f.type, get) for f, get, path in (compiler.field(name, n) for n in fields)]
        rows = [self.org.tables[name].get(to18(i)) for i in ids]
        live = [r for r in rows if r is not None and not r.get("IsDeleted")]
        shown = iter(self.queries.records(Found(name, columns, live), live, version))
        return [next(shown) if r is not None and not r.get("IsDeleted") else None for r in rows]

    def get(self, request: Request) -> Reply:
        name = self._sobject(request)
        plain = [n for n, f in self.org.visible()[name].items() if f.type != "address"]
        fields = (request.q("fields") or ",".join(plain)).split(",")
        shown = self._shown(name, [request.params["id"]], fields, _version(request))[0]
        return Reply(shown) if shown else refuse(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")

    def retrieve(self, request: Request) -> Reply:
        asked = request.json()
        if len(asked["ids"]) > 2000:
            return refuse(400, "LIMIT_EXCEEDED", "The number of ids must not exceed 2000")
        shown = self._shown(self._sobject(request), asked["ids"], ["Id", *(f for f in asked["fields"] if f != "Id")], _version(request))
        return Reply(shown)

    # -- writing one row --------------------------------------------------------------------------------------------
    def create(self, request: Request) -> Reply:
        name = self._sobject(request)
        row_id = self.org.insert(name, request.json())
        if name in ("FieldPermissions", "PermissionSetAssignment"):
            self.org.grant()
        return Reply({"id": row_id, "success": True, "errors": []}, 201)

    def patch(self, request: Request) -> Reply:
        self.org.update(self._sobject(request), request.params["id"], request.json())
        return Reply(b"", 204)

    def remove(self, request: Request) -> Reply:
        self.org.delete(self._sobject(request), request.params["id"])
        return Reply(b"", 204)

    def _matches(self, request: Request) -> list[str]:
        name, key = self._sobject(request), request.params["key"]
        if not (found := self.org.visible()[name].get(key)) or not (found.external_id or key == "Id"):
            raise RowError("NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + key)
        rows = self.org.tables[name].values()
        return [r["Id"] for r in rows if str(r.get(key)) == request.params["value"] and not r.get("IsDeleted")]

    def get_by_key(self, request: Request) -> Reply:
        ids = self._matches(request)
        if len(ids) > 1:
            return Reply([f"/services/data/{request.params['v']}/sobjects/{self._sobject(request)}/{i}" for i in ids], 300)
        return self.get(replace(request, params={**request.params, "id": ids[0] if ids else ""}))

    def patch_by_key(self, request: Request) -> Reply:
        ids, key = self._matches(request), request.params["key"]
        if key in request.json():
            raise RowError("INVALID_FIELD", f"The {key} field should not be specified in the sobject data.", [key])
        if len(ids) > 1:
            return Reply([f"/services/data/{request.params['v']}/sobjects/{self._sobject(request)}/{i}" for i in ids], 300)
        row_id, made = upsert(self.org, self._sobject(request), key, {**request.json(), key: request.params["value"]})
        return Reply({"id": row_id, "success": True, "errors": [], "created": made}, 201 if made else 200)

    # -- collections ------------------------------------------------------------------------------------------------
    def collection(self, request: Request, one: Callable[[Request, dict[str, Any]], dict[str, Any]]) -> Reply:
        asked = request.json() or {}
        records = asked.get("records") or []
        if len(records) > COLLECTION:
            return refuse(400, "LIMIT_EXCEEDED", "The number of records must not exceed 200")
        if any(not (r.get("attributes") or {}).get("type") for r in records):
            return refuse(400, "INVALID_INPUT", "Include an attributes.type in every record")
        results = self._together(bool(asked.get("allOrNone")), [lambda r=r: one(request, r) for r in records])  # type: ignore[misc]
        return Reply(results)

    def delete_many(self, request: Request) -> Reply:
        ids = [i for i in (request.q("ids") or "").split(",") if i]
        if len(ids) > COLLECTION:
            return refuse(400, "LIMIT_EXCEEDED", "The number of records must not exceed 200")
        return Reply(self._together(request.q("allOrNone") == "true", [lambda i=i: self._delete_one(i) for i in ids]))  # type: ignore[misc]

    def _together(self, all_or_none: bool, writes: Sequence[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
        before = {name: dict(rows) for name, rows in self.org.tables.items()} if all_or_none else {}
        results = []
        for write in writes:
            try:
                results.append(write())
            except RowError as error:
                failure = {"statusCode": error.code, "message": error.message, "fields": error.fields}
                results.append({"success": False, "errors": [failure]})
        if all_or_none and any(not r["success"] for r in results):
            self.org.restore(before)
            rolled = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": "Record rolled back", "fields": []}
            results = [r if not r["success"] else {"success": False, "errors": [rolled]} for r in results]
        return results

    def _typed(self, record: dict[str, Any]) -> str:
        name = record["attributes"]["type"]
        if name not in self.org.visible():
            raise RowError("INVALID_TYPE", f"sObject type '{name}' is not supported.")
        return str(name)

    def _create_one(self, request: Request, record: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.org.insert(self._typed(record), record), "success": True, "errors": []}

    def _update_one(self, request: Request, record: dict[str, Any]) -> dict[str, Any]:
        row_id = record.get("Id") or record.get("id") or ""
        self.org.update(self._typed(record), row_id, {k: v for k, v in record.items() if k != "id"})
        return {"id": to18(row_id), "success": True, "errors": []}

    def _upsert_one(self, request: Request, record: dict[str, Any]) -> dict[str, Any]:
        row_id, made = upsert(self.org, self._typed(record), request.params["key"], record)
        return {"id": row_id, "success": True, "errors": [], "created": made}

    def _delete_one(self, row_id: str) -> dict[str, Any]:
        name = next((n for n, rows in self.org.tables.items() if to18(row_id) in rows), "Account")
        self.org.delete(name, row_id)
        return {"id": to18(row_id), "success": True, "errors": []}

    # -- custom fields ----------------------------------------------------------------------------------------------
    # https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_customfield.htm
    def create_field(self, request: Request) -> Reply:
        asked = request.json()
        sobject, _, name = asked["FullName"].partition(".")
        if sobject not in self.org.schemas or not name.endswith("__c"):
            return refuse(400, "INVALID_FIELD", f"Invalid fullName: {asked['FullName']}")
        if name in self.org.schemas[sobject]:
            return refuse(400, "DUPLICATE_DEVELOPER_NAME", f"There is already a field named {name.removesuffix('__c')} on {sobject}.")
        self.org.schemas[sobject][name] = custom_field({"name": name, **asked["Metadata"]})
        self.org.hidden.add((sobject, name))  # nobody may see it until a permission set grants it
        self.org.schema_changed()
        return Reply({"id": make_id("00N", len(self.org.schemas[sobject])), "success": True, "errors": [], "warnings": []}, 201)


def _version(request: Request) -> str:
    return request.params["v"].removeprefix("v")


def _plus(stamp: str) -> str:
    return stamp[:-1] + "+0000"


def _refusals(handler: Callable[[Request], Reply], request: Request) -> Reply:
    """The handler's answer; what a row or a statement was refused for as the vendor's array of errors."""
    try:
        return handler(request)
    except SoqlError as error:
        return refuse(400, error.code, error.message)
    except RowError as error:
        status = 404 if error.code in ("NOT_FOUND", "ENTITY_IS_DELETED") else 400
        return Reply([{"message": error.message, "errorCode": error.code, "fields": error.fields}], status)
