"""A stateful Google Analytics 4 over loopback HTTP, written from the vendor's documentation: all of Google's hosts on one port.

The token endpoint, the Data API (reports), the Admin API, the Measurement Protocol and the Data Manager API. This file has
the door (hosts, tokens, quotas, routes) and what changes behind the API's back; the rules live in the neighbouring modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any, ClassVar

import orjson

from connectors.sandbox import ga4_auth
from connectors.sandbox.ga4_admin import Admin
from connectors.sandbox.ga4_auth import Tokens
from connectors.sandbox.ga4_collect import Collect, Collected
from connectors.sandbox.ga4_facts import Fact, Facts
from connectors.sandbox.ga4_funnel import Funnels
from connectors.sandbox.ga4_ingest import Ingest
from connectors.sandbox.ga4_quota import BUSY, Quota
from connectors.sandbox.ga4_reports import MOST_REPORTS, Reports
from connectors.sandbox.ga4_wire import Refusal, bad, known_only
from connectors.sandbox.kit import Emulator, Reply, Request, Route
from connectors.sandbox.world_ga4 import MEASUREMENT_ID, PROPERTY, STREAM

API_SECRET = "sandboxMpSecret-7kQ"
OPEN = ("/token", "/mp/collect", "/debug/mp/collect")


class Ga4Emulator(Emulator):
    """One property of one account, with one web stream. `admin_enabled` False: the Admin API is off in the Cloud project."""

    name = "ga4"

    def __init__(self, seed: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.admin_enabled = True
        super().__init__(seed, **kwargs)

    def load(self, seed: Mapping[str, Any]) -> None:
        self.property = seed["property"]
        self.tokens = Tokens(self.clock)
        self.facts = Facts(seed["timezone"], seed["stream"], seed["host"], seed["key_events"])
        self.facts.load(seed["columns"], seed["hits"])
        self.quota = Quota(self.clock)
        self.reports = Reports(self.facts, self.quota, self.clock, seed["currency"])
        self.funnels = Funnels(self.reports)
        self.admin = Admin(seed, self.facts, {"hub": API_SECRET})
        self.collected = Collected(self.facts, self.clock)
        self.collect = Collect(self.collected, self.clock, seed["measurement_id"], lambda: self.admin.secrets)
        self.ingest = Ingest(self.collected, self.clock, seed["property"], seed["measurement_id"])
        self.edits = {"restate": self.restate, "late_visit": self.late_visit, "knob": self.knob, "expire": self.tokens.expire}

    # -- the door ----------------------------------------------------------------------------------------------------------
    @classmethod
    def secrets(cls, url: str) -> Mapping[str, str]:
        return {"service_account": ga4_auth.key_file(f"{url}/token"), "api_secret": API_SECRET}

    keys: ClassVar[Mapping[str, str]] = {"api_secret": API_SECRET}
    ways: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "refresh token": {
            "client_id": ga4_auth.CLIENT_ID, "client_secret": ga4_auth.CLIENT_SECRET, "refresh_token": ga4_auth.REFRESH_TOKEN,
            "api_secret": API_SECRET,
        }
    }  # fmt: skip

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        bases = dict.fromkeys(("data_url", "admin_url", "collect_url", "datamanager_url"), url)
        return {"property_id": PROPERTY, "stream_id": STREAM, "measurement_id": MEASUREMENT_ID, "token_uri": f"{url}/token", **bases}

    def authorise(self, request: Request) -> Reply | None:
        if request.path in OPEN:
            return None
        if request.path.startswith("/v1/"):
            return self.tokens.check(request, "datamanager")
        return self.tokens.check(request, "analytics.readonly", "analytics")

    def throttled(self, retry_after: str | None) -> Reply:
        reply = Refusal(429, BUSY).reply()
        reply.headers = {"Retry-After": retry_after} if retry_after else {}
        return reply

    def expire_tokens(self) -> None:
        self.tokens.expire()

    def not_found(self, request: Request) -> Reply:
        return Reply(b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", 404, content_type="text/html; charset=UTF-8")

    def handle(self, request: Request) -> tuple[Reply, float]:
        """A server error costs one of the ten an hour that a project may see."""
        reply, delay = super().handle(request)
        if reply.status >= 500 and ":run" in request.path.lower():
            self.quota.spend("serverErrorsPerProjectPerHour", 1)
        return reply, delay

    def _route(self, request: Request) -> Reply:
        try:
            return super()._route(request)
        except Refusal as refusal:
            return refusal.reply()
        except orjson.JSONDecodeError:
            return bad("Invalid JSON payload received. Unexpected token.").reply()

    def routes(self) -> Sequence[Route]:
        admin, v1beta = self.admin, "/v1beta/properties/{property}"
        return [
            # https://developers.google.com/identity/protocols/oauth2/service-account#httprest
            Route("POST", "/token", self.tokens.issue),
            # https://developers.google.com/analytics/devguides/reporting/data/v1/rest/v1beta/properties/runReport
            Route("POST", f"{v1beta}:runReport", self._report),
            # …/rest/v1beta/properties/batchRunReports
            Route("POST", f"{v1beta}:batchRunReports", self._batch),
            # …/rest/v1beta/properties/checkCompatibility
            Route("POST", f"{v1beta}:checkCompatibility", self._compatibility),
            # …/rest/v1beta/properties/getMetadata
            Route("GET", f"{v1beta}/metadata", admin.metadata),
            # …/rest/v1alpha/properties/runFunnelReport
            Route("POST", "/v1alpha/properties/{property}:runFunnelReport", self._funnel),
            # …/rest/v1alpha/properties/getPropertyQuotasSnapshot
            Route("GET", "/v1alpha/properties/{property}/propertyQuotasSnapshot", self._quotas),
            # https://developers.google.com/analytics/devguides/config/admin/v1/rest/v1beta/accountSummaries/list
            Route("GET", "/v1beta/accountSummaries", self._administered(admin.account_summaries)),
            # …/rest/v1beta/properties/get
            Route("GET", v1beta, self._administered(admin.get_property)),
            # …/rest/v1beta/properties.dataStreams/list
            Route("GET", f"{v1beta}/dataStreams", self._administered(admin.streams)),
            # …/rest/v1beta/properties.dataStreams.measurementProtocolSecrets/list
            Route("GET", v1beta + "/dataStreams/{stream}/measurementProtocolSecrets", self._administered(admin.stream_secrets)),
            # …/rest/v1beta/properties.keyEvents/list
            Route("GET", f"{v1beta}/keyEvents", self._administered(admin.key_events)),
            # https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
            Route("POST", "/mp/collect", self.collect.collect),
            # https://developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events
            Route("POST", "/debug/mp/collect", self.collect.debug),
            # https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest
            Route("POST", "/v1/events:ingest", self.ingest.ingest),
            # https://developers.google.com/data-manager/api/reference/rest/v1/requestStatus/retrieve
            Route("GET", "/v1/requestStatus:retrieve", self.ingest.status),
        ]

    # -- reports -----------------------------------------------------------------------------------------------------------
    def _report(self, request: Request) -> Reply:
        self.admin.own(request)
        return Reply(self.reports.run(request.json(), ints=_ints(request)))

    def _batch(self, request: Request) -> Reply:
        self.admin.own(request)
        asked = known_only(request.json(), ["property", "requests"]).get("requests") or []
        if not 0 < len(asked) <= MOST_REPORTS:
            raise bad(f"The number of requests in a batch must be 1 to {MOST_REPORTS}. This batch has {len(asked)}.")
        for one in asked:  # one bad request fails the batch before anything is charged
            self.reports.checked(one)
        reports = [self.reports.run(one, ints=_ints(request)) for one in asked]
        return Reply({"reports": reports, "kind": "analyticsData#batchRunReports"})

    def _compatibility(self, request: Request) -> Reply:
        self.admin.own(request)
        return Reply(self.reports.compatibility(request.json()))

    def _funnel(self, request: Request) -> Reply:
        self.admin.own(request)
        return Reply(self.funnels.run(request.json()))

    def _quotas(self, request: Request) -> Reply:
        self.admin.own(request)
        shown = {f"{name}": {"remaining": q.get("remaining", 0)} for name, q in self.quota.shown(0).items()}
        return Reply({"corePropertyQuota": shown, "name": f"properties/{self.property}/propertyQuotasSnapshot"})

    def _administered(self, handler: Any) -> Any:
        def answer(request: Request) -> Reply:
            if not self.admin_enabled:
                message = "Google Analytics Admin API has not been used in project 100 before or it is disabled. Enable it and retry."
                raise Refusal(403, message, "SERVICE_DISABLED")
            reply: Reply = handler(request)
            return reply

        return answer

    # -- behind the API's back -------------------------------------------------------------------------------------------------
    def day(self, ago: int) -> str:
        """YYYYMMDD of the day so many days before the property's today."""
        return (self.facts.today(self.clock.now()) - timedelta(days=ago)).strftime("%Y%m%d")

    def restate(self, ago: Sequence[int] = (1, 2, 3)) -> dict[str, int]:
        """Of each of these days: the first source's visits are taken for a robot's and dropped, another visit arrives late."""
        changed = {}
        for n in ago:
            facts = self.facts.by_day.get(self.day(n), [])
            source = min((f.source for f in facts if f.session), default="")
            kept = [f for f in facts if f.source != source]
            self.facts.by_day[self.day(n)] = kept
            self.late_visit(n)
            changed[self.day(n)] = len(facts) - len(kept)
        return changed

    def late_visit(self, ago: int, source: str = "restated.example", client: str = "777.888") -> None:
        """A whole visit of that day that only shows from now on."""
        day = self.facts.today(self.clock.now()) - timedelta(days=ago)
        noon = datetime.combine(day, time(12), self.facts.zone).timestamp()
        visit = Fact(
            noon, "session_start", client, int(noon), True, True, source, "referral", "(referral)", "Referral", landing="/", page="/"
        )
        for at, name in ((noon, "first_visit"), (noon, "session_start"), (noon + 1, "page_view"), (noon + 60, "generate_lead")):
            fact = replace(visit, at=at, name=name)
            self.facts.add(fact, received=0)

    def knob(self, name: str, value: Any) -> None:
        """threshold, cardinality, sampling, others (requests under way elsewhere), admin_enabled, or a quota's limit by its name."""
        if name in ("threshold", "cardinality", "sampling"):
            setattr(self.reports.knobs, name, value)
        elif name in self.quota.limits:
            self.quota.limits[name] = value
        else:
            setattr(self if name == "admin_enabled" else self.quota, name, value)

    def change_rows(self, turn: int) -> set[str]:
        """A late visit of yesterday, from another source each turn."""
        self.late_visit(1, f"turn{turn}.example", f"777.{turn}")
        return {"traffic", "visitors", "events"}

    def visitor(self) -> str:
        return next(f.client for facts in self.facts.by_day.values() for f in facts if f.session)

    def heard(self, visitor: str, event: str) -> int:
        return self.collected.count(visitor, event)

    def dump(self) -> Any:
        return {"collected": self.collected.events, "hits": {day: len(facts) for day, facts in self.facts.by_day.items()}}


def _ints(request: Request) -> bool:
    """The vendor's own REST client asks for enums as numbers: ?$alt=json;enum-encoding=int"""
    return "enum-encoding=int" in (request.q("$alt") or "")
