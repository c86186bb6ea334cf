"""A stateful VWO (REST API v2 and event collection) over loopback HTTP, written from the vendor's documentation.

This file has the door (token, one call a second, odd error bodies) and the routes; `vwo_reports` counts what campaigns saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.sandbox.kit import Emulator, Reply, Request, Route
from connectors.sandbox.vwo_collector import Collector
from connectors.sandbox.vwo_reports import Campaigns, Row

TOKEN = "vwo-sandbox-7c1d0f0e5b"
CALL_S = 1.0  # Source: https://developers.vwo.com/reference/api-rate-limits-1, read 2026-11: one request a second per token
CAMPAIGNS_MAX = 25  # asked for more, 25 come and nothing is said
FEEDS_MAX = 100
STATUSES = ("ACTIVE", "DELETED", "ARCHIVED", "RUNNING", "PAUSED", "STOPPED", "NOT_STARTED")


class Refusal(Exception):
    """The vendor says no; answered in its `_errors` list."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def reply(self) -> Reply:
        return Reply({"_errors": [{"code": self.status, "message": self.message}]}, self.status)


class VwoEmulator(Emulator):
    """One VWO workspace. `retired` makes the API answer as a retired version does: 200 with an error in it."""

    name = "vwo"
    keys: ClassVar[Mapping[str, str]] = {"token": TOKEN}

    def __init__(self, seed: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.tokens = {TOKEN}
        self.retired = False
        self._last_call = float("-inf")
        super().__init__(None, **kwargs)
        self.campaigns = Campaigns()
        self.collector = Collector(self.campaigns)
        self.edits = {
            "rename": self.rename, "set_status": self.set_status, "remove": self.remove, "archive": self.archive, "expose": self.expose,
            "register_event": self.collector.register, "revoke_token": self.tokens.clear, "knob": self.knob,
        }  # fmt: skip
        if seed is not None:
            self.load(seed)

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        return {"base_url": f"{url}/api/v2", "events_url": url}

    def load(self, seed: Mapping[str, Any]) -> None:
        self.workspace: Row = dict(seed["workspace"])
        self.workspaces: list[Row] = [dict(w) for w in seed.get("workspaces", [])]
        self.users, self.labels = list(seed.get("users", [])), list(seed.get("labels", []))
        self.feeds: list[Row] = list(seed.get("feeds", []))  # oldest first
        self.campaigns.load(seed["campaigns"], self.workspace["timezone"])
        self.collector.load(self.workspace["id"], seed.get("events", {}))

    # -- the door ----------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        """The header is `token`; a missing one is 401, a wrong one 403. The collector asks nobody.

        Source: https://developers.vwo.com/reference/error-codes-1, read 2026-11
        """
        if not request.path.startswith("/api/v2/"):
            return None
        token = request.headers.get("token")
        if not token:
            return Refusal(401, "Authentication token missing").reply()
        return None if token in self.tokens else Refusal(403, "Invalid API token").reply()

    def limit(self, request: Request) -> Reply | None:
        if not request.path.startswith("/api/v2/"):
            return None
        now = self.clock.now()
        if now - self._last_call < CALL_S - 1e-6:
            return self.throttled(None)
        self._last_call = now
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        reply = Refusal(429, "API rate limit exceeded").reply()
        reply.headers = {"Retry-After": retry_after} if retry_after else {}
        return reply

    def expire_tokens(self) -> None:
        """Nothing: tokens do not expire. The edit `revoke_token` takes them away."""

    def not_found(self, request: Request) -> Reply:
        return Refusal(404, "Resource not found").reply()

    def _route(self, request: Request) -> Reply:
        if request.path.startswith("/api/v1/") or (self.retired and request.path.startswith("/api/v2/")):
            return Reply({"API_ERROR": 410, "API_ERROR_DESCRIPTION": "This version of the API is no longer available"})
        try:
            return super()._route(request)
        except Refusal as refusal:
            return refusal.reply()

    # -- routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> Sequence[Route]:
        at = "/api/v2/accounts/{account}"
        return [
            Route("GET", "/api/v2/accounts", self._workspaces),  # https://developers.vwo.com/reference/get-all-sub-accounts
            Route("GET", at, self._workspace),  # https://developers.vwo.com/reference/get-specific-sub-account
            Route("GET", f"{at}/campaigns", self._list),  # https://developers.vwo.com/reference/get-the-campaigns-of-an-account
            Route("GET", f"{at}/campaigns/{{id}}", self._detail),  # https://developers.vwo.com/reference/get-details-of-a-specific-campaign
            Route(
                "GET", f"{at}/campaigns/{{id}}/goals", self._goals
            ),  # https://developers.vwo.com/reference/get-all-the-goals-of-a-campaign
            Route("GET", f"{at}/campaigns/{{id}}/variations", self._variations),  # https://developers.vwo.com/reference/get-variations
            Route("GET", f"{at}/feeds", self._feeds),  # https://developers.vwo.com/reference/get-feeds
            Route("GET", f"{at}/users", self._users),  # https://developers.vwo.com/reference/get-the-users-of-an-account
            Route("GET", f"{at}/labels", self._labels),  # https://developers.vwo.com/reference/get-labels
            # https://developers.vwo.com/docs/data360-events ; the shape is that of the vendor's own SDKs
            Route("POST", "/events/t", self.collector.take),
        ]

    def _own(self, request: Request) -> None:
        """`current` or this workspace's number; anybody else's looks missing. Raises: Refusal."""
        if request.params["account"] not in ("current", str(self.workspace["id"])):
            raise Refusal(404, "Account not found")

    def _workspaces(self, request: Request) -> Reply:
        """The token's own workspace is left out unless asked for."""
        own = [self.workspace] if request.q("includeCurrent") == "true" else []
        return Reply({"_data": [*own, *self.workspaces]})

    def _workspace(self, request: Request) -> Reply:
        self._own(request)
        return Reply({"_data": self.workspace})

    def _users(self, request: Request) -> Reply:
        self._own(request)
        return Reply({"_data": self.users})

    def _labels(self, request: Request) -> Reply:
        """Without labels there is no `_data` at all."""
        self._own(request)
        return Reply({"_data": self.labels} if self.labels else {})

    def _list(self, request: Request) -> Reply:
        """Two envelopes: wrapped, with a count; and a bare list as soon as `status` is asked for. Unknown filters are ignored."""
        self._own(request)
        limit, offset = min(_number(request, "limit", CAMPAIGNS_MAX), CAMPAIGNS_MAX), _number(request, "offset", 0)
        rows = self.campaigns.listed(request.q("type"), request.q("platform"))
        status = request.q("status")
        if status is None:
            page = rows[offset : offset + limit]
            return Reply({"_data": {"partialCollection": page or {}, "totalCount": len(rows), "offset": offset}})
        if status not in STATUSES:
            raise Refusal(400, "status has an invalid value")
        return Reply({"_data": self.campaigns.with_status(rows, status)[offset : offset + limit]})

    def _campaign(self, request: Request) -> Row:
        self._own(request)
        found = self.campaigns.by_id.get(request.params["id"])
        if found is None:
            raise Refusal(404, "Campaign not found")
        return found

    def _detail(self, request: Request) -> Reply:
        return Reply({"_data": self.campaigns.detail(self._campaign(request))})

    def _goals(self, request: Request) -> Reply:
        return Reply({"_data": self._campaign(request)["goals"]})

    def _variations(self, request: Request) -> Reply:
        return Reply({"_data": self._campaign(request)["variations"]})

    def _feeds(self, request: Request) -> Reply:
        """Newest first. `when` is a number written as text."""
        self._own(request)
        limit, offset = min(_number(request, "limit", FEEDS_MAX), FEEDS_MAX), _number(request, "offset", 0)
        start, end = _number(request, "startTime", 0), _number(request, "endTime", 1 << 60)
        rows = [f for f in reversed(self.feeds) if start <= int(f["when"]) <= end]
        return Reply({"_data": rows[offset : offset + limit]})

    # -- what tests and users change behind the API's back ------------------------------------------------------------
    def _tell(self, campaign: Row, what: str) -> None:
        about = {k: campaign[k] for k in ("id", "name", "platform", "type")}
        entry = {"type": "campaign", "what": what, "when": str(int(self.clock.now())), "who": {"name": "Uma Tarn"}, "campaign": about}
        self.feeds.append({"id": max((f["id"] for f in self.feeds), default=45_000_000) + 1, **entry})

    def rename(self, id: int, name: str) -> None:
        campaign = self.campaigns.by_id[str(id)]
        campaign["name"] = name
        self._tell(campaign, "Campaign name <b>changed</b>")

    def set_status(self, id: int, status: str) -> None:
        campaign = self.campaigns.by_id[str(id)]
        campaign["status"] = status
        self._tell(campaign, f"Campaign <b>{status.lower()}</b>")

    def remove(self, id: int) -> None:
        """Deleting is a status: the campaign stays in the list."""
        self.campaigns.by_id[str(id)]["isDeleted"] = True
        self.set_status(id, "STOPPED")

    def archive(self, id: int) -> None:
        """Another axis: the campaign's own status stays what it was."""
        self.campaigns.archived.add(int(id))
        self._tell(self.campaigns.by_id[str(id)], "Campaign <b>archived</b>")

    def expose(self, id: int, visitor: str, variation: int) -> None:
        self.campaigns.expose(str(id), visitor, variation, int(self.clock.now()))

    def knob(self, name: str, value: Any) -> None:
        """retired."""
        setattr(self, name, value)

    # -- what the sandbox and the tour ask ----------------------------------------------------------------------------
    def rows(self) -> Mapping[str, int]:
        results = sum(len(self.campaigns.detail(c)["variationGoalData"]) for c in self.campaigns.by_id.values())
        return {"campaigns": len(self.campaigns.by_id), "results": results, "feeds": len(self.feeds), "users": len(self.users)}

    def change_rows(self, turn: int) -> set[str]:
        """A campaign gets another name; in odd turns the running test sees one more visitor."""
        tests = [c for c in self.campaigns.by_id.values() if c["type"] == "ab"]
        self.rename(tests[turn]["id"], f"{tests[turn]['name']} ({turn})")
        if turn % 2 == 0:
            return {"campaigns", "feeds"}
        running = next(c for c in tests if c["status"] == "RUNNING")
        self.expose(running["id"], f"D{turn:032X}", running["variations"][0]["id"])
        return {"campaigns", "feeds", "results"}

    def visitor(self) -> str:
        return self.campaigns.visitor()

    def heard(self, visitor: str, event: str) -> int:
        return self.collector.heard[visitor, event]

    def dump(self) -> Any:
        return {
            "workspace": self.workspace,
            "users": self.users,
            "campaigns": {i: self.campaigns.shown(c) for i, c in self.campaigns.by_id.items()},
            "archived": sorted(self.campaigns.archived),
            "feeds": self.feeds,
            "heard": {f"{visitor}/{event}": n for (visitor, event), n in self.collector.heard.items()},
            "unregistered": dict(self.collector.unregistered),
        }


def _number(request: Request, name: str, default: int) -> int:
    text = request.q(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise Refusal(400, f"{name} must be a number")
    return int(text)


__all__ = ["TOKEN", "VwoEmulator"]
