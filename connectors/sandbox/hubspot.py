"""HubSpot's CRM v3 and v4 on loopback, stateful: what is written can be read back, and it refuses what HubSpot refuses.

Written from the public documentation (developers.hubspot.com/docs, read 2026-11-23). The parts: store (state), objects
(list, get, batch read), search, writes, links (associations), portal (properties, pipelines, owners, events, tokens).
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from connectors.sandbox.hubspot_links import Links
from connectors.sandbox.hubspot_objects import Objects
from connectors.sandbox.hubspot_portal import Portal, Tokens, envelope
from connectors.sandbox.hubspot_search import Search
from connectors.sandbox.hubspot_store import Refused, Store
from connectors.sandbox.hubspot_writes import Writes
from connectors.sandbox.kit import Clock, Emulator, Handler, Reply, Request, Route

# https://developers.hubspot.com/docs/guides/apps/api-usage/usage-details
URI_MAX = 16_300  # characters; measured by others, not documented
BURST, BURST_WINDOW_S, SEARCHES, SEARCH_WINDOW_S, DAILY = 190, 10.0, 5, 1.0, 625_000


class HubspotEmulator(Emulator):
    """One portal. `limits`: refuse beyond HubSpot's real allowances (time by `ticks`, the machine's unless given).

    `precomputed` keeps ready list pages; `text_ids` orders record ids as text; `merge_mints_ids` gives a merge of companies
    or deals a new id. `writes.strict` refuses whole batches even with trace ids; `links.page_size` pages associations.
    """

    name = "hubspot"
    keys: ClassVar[Mapping[str, str]] = {"token": "pat-na1-sandbox"}
    ways: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "refresh token": {"client_id": "hub-client", "client_secret": "hub-secret", "refresh_token": "hub-refresh"}
    }

    def __init__(
        self,
        seed: Mapping[str, Any] | None = None,
        *,
        clock: Clock | None = None,
        limits: bool = True,
        precomputed: bool = False,
        text_ids: bool = False,
        merge_mints_ids: bool = False,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits, self.ticks = limits, ticks
        clock = clock or Clock()
        self.store = Store(clock, text_ids=text_ids, merge_mints_ids=merge_mints_ids)
        self.objects = Objects(self.store, precomputed=precomputed)
        self.searches = Search(self.store)
        self.writes = Writes(self.store)
        self.links = Links(self.store)
        self.portal = Portal(self.store)
        self.tokens = Tokens(clock)
        self.daily_left = DAILY
        self._recent: dict[str, deque[float]] = {"search": deque(), "burst": deque()}
        super().__init__(seed, clock=clock)
        self.objects.moves = self.searches.moves = self._moves
        self.searches.lag_s = self._lag
        self.edits = {
            "update": self._update, "archive": self._archive, "merge": self._merge, "associate": self._associate,
            "dissociate": self._dissociate, "touch_many": self._touch_many, "create": self._create,
            "take_scope": self._take_scope, "give_scope": self._give_scope,
        }  # fmt: skip

    def load(self, seed: Mapping[str, Any]) -> None:
        self.store.load(seed)

    def routes(self) -> Sequence[Route]:
        parts = (self.tokens, self.searches, self.writes, self.objects, self.links, self.portal)
        return [Route(r.method, r.pattern, guarded(r.handler)) for part in parts for r in part.routes()]

    def authorise(self, request: Request) -> Reply | None:
        return too_long(request) or self.tokens.check(request)

    def expire_tokens(self) -> None:
        self.tokens.expire()

    def not_found(self, request: Request) -> Reply:
        return envelope(404, "OBJECT_NOT_FOUND", f"resource not found: {request.path}")

    # -- limits ------------------------------------------------------------------------------------------------------
    def throttled(self, retry_after: str | None) -> Reply:
        return too_many("TEN_SECONDLY_ROLLING", "ten_secondly_rolling", retry_after)

    def limit(self, request: Request) -> Reply | None:
        if request.path.startswith(Tokens.OPEN):
            return None
        name, most, window_s = ("search", SEARCHES, SEARCH_WINDOW_S) if is_search(request) else ("burst", BURST, BURST_WINDOW_S)
        times, now = self._recent[name], self.ticks()
        while times and times[0] <= now - window_s:
            times.popleft()
        if self.limits and self.daily_left <= 0:
            return too_many("DAILY", "daily", None)
        if self.limits and len(times) >= most:
            return too_many("SECONDLY", "secondly", None) if name == "search" else self.throttled(None)
        times.append(now)
        self.daily_left -= 1
        return None

    def decorate(self, request: Request, reply: Reply) -> Reply:
        if not is_search(request) and not request.path.startswith(Tokens.OPEN):
            left = max(0, BURST - len(self._recent["burst"]))
            reply.headers |= {
                "X-HubSpot-RateLimit-Max": str(BURST),
                "X-HubSpot-RateLimit-Remaining": str(left),
                "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            }
            if request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens.static:
                daily = {"X-HubSpot-RateLimit-Daily": str(DAILY), "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, self.daily_left))}
                reply.headers |= daily
        return reply

    def _moves(self, path: str) -> bool:
        return any(f.kind == "move" and f.take(path) for f in self.faults)

    def _lag(self, path: str) -> float:
        return max((f.seconds for f in self.faults if f.kind == "lag" and f.take(path)), default=0.0)

    # -- the control door --------------------------------------------------------------------------------------------
    def _update(self, type: str, id: str, properties: Mapping[str, Any], at: str | None = None, by: str | None = None) -> str:
        """As a user in HubSpot would: anything may be set, a lifecycle stage may go back, computed values too. `by`: who."""
        values = {n: None if v in ("", None) else str(v) for n, v in properties.items()}
        who = {"source": "CRM_UI", "by": by} if by else {}
        self.store.change(type, self.store.tables[type].rows[id], values, at=at, **who)
        return id

    def _create(self, type: str, properties: Mapping[str, Any]) -> str:
        return self.store.create(type, dict(properties)).id

    def _archive(self, type: str, id: str, at: str | None = None) -> bool:
        return self.store.archive(type, id, at)

    def _associate(self, from_type: str, from_id: str, to_type: str, to_id: str, type_id: int, category: str = "HUBSPOT_DEFINED") -> None:
        self.store.link(from_type, from_id, to_type, to_id, type_id, category)

    def _merge(self, type: str, winner: str, loser: str) -> str:
        return self.store.merge(type, winner, loser)

    def _dissociate(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        self.store.unlink(from_type, from_id, to_type, to_id)

    def _take_scope(self, scope: str) -> None:
        self.tokens.missing.add(scope)

    def _give_scope(self, scope: str) -> None:
        self.tokens.missing.discard(scope)

    def _touch_many(self, type: str, ids: Sequence[str], properties: Mapping[str, Any], at: str | None = None) -> int:
        """A bulk edit: many records get the same values and the very same modification stamp."""
        at = at or self.store.now()
        for oid in ids:
            self._update(type, oid, properties, at)
        return len(ids)

    def dump(self) -> Any:
        """Every record, edge and own property of the portal."""
        objects = {
            kind: {
                t.id: {"properties": {n: v for n, v in t.props.items() if v is not None}, "updatedAt": t.updated, "archived": t.archived}
                for t in table.rows.values()
            }
            for kind, table in self.store.tables.items()
        }
        links = self.store.links.items()
        edges = sorted([a, x, b, y, c, t] for (a, b), far in links for x, to in far.items() for y, ts in to.items() for c, t in ts)
        own = {kind: sorted(n for n, p in names.items() if not p["hubspotDefined"]) for kind, names in self.store.properties.items()}
        return {"objects": objects, "associations": edges, "properties": own, "merged": {k: t.gone for k, t in self.store.tables.items()}}


def guarded(handler: Handler) -> Handler:
    """The handler with its refusals turned into HubSpot's error envelope."""

    def handle(request: Request) -> Reply:
        try:
            return handler(request)
        except Refused as no:
            return envelope(no.status, no.category, no.message, **no.extra)
        except (KeyError, TypeError, ValueError) as wrong:
            return envelope(400, "VALIDATION_ERROR", f"Invalid input JSON: {type(wrong).__name__} {wrong}")

    return handle


def too_long(request: Request) -> Reply | None:
    size = sum(len(quote(value, safe="")) + len(name) + 2 for name, values in request.query.items() for value in values)
    return Reply(b"<html>URI Too Long</html>", 414, content_type="text/html") if size > URI_MAX else None


def is_search(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/search")


def too_many(policy: str, words: str, retry_after: str | None) -> Reply:
    body = {
        "status": "error", "message": f"You have reached your {words} limit.", "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()), "policyName": policy, "requestId": str(uuid.uuid4()),
    }  # fmt: skip
    return Reply(body, 429, {"Retry-After": retry_after} if retry_after else {})
