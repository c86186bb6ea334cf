"""A stateful Optimizely over loopback HTTP, written from the vendor's documentation: REST v2, Flags API v1 and logx on one port.

This file has the door and the plain lists; results, flags and incoming events live in the neighbouring modules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import orjson

from connectors.sandbox.kit import Emulator, Handler, Reply, Request, Route
from connectors.sandbox.optimizely_events import Logx
from connectors.sandbox.optimizely_flags import Flags
from connectors.sandbox.optimizely_results import Results
from connectors.sandbox.optimizely_store import Store
from connectors.sandbox.optimizely_wire import Refusal, Row, bad, listed, moment, whole

TOKEN = "2:sandbox-optimizely-token"
KEY_MAX = 64


class OptimizelyEmulator(Emulator):
    """One Optimizely account. `hidden` projects are those the token's user has no role in: they are left out without a word."""

    name = "optimizely"
    keys: ClassVar[Mapping[str, str]] = {"token": TOKEN}

    def __init__(self, seed: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.tokens = {TOKEN}
        self.revoked = False
        self.hidden: set[int] = set()
        super().__init__(None, **kwargs)
        self.store = Store(self.clock.now)
        self.results = Results(self.store)
        self.flags = Flags(self.store)
        self.logx = Logx(self.store)
        self.edits = {
            "update": self.store.update, "create": lambda kind, **row: self.store.create(kind, row), "delete": self.store.delete,
            "revoke": self.revoke, "hide": self.hidden.add, "stale": self.results.stale.add, "fresh": self.results.stale.discard,
            "computing": self.computing,
        }  # fmt: skip
        if seed is not None:
            self.load(seed)

    def load(self, seed: Mapping[str, Any]) -> None:
        self.store.load(seed)

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        return {"base_url": url, "events_url": url}

    def revoke(self) -> None:
        self.revoked = True

    def computing(self, seconds: float, experiment: int = 0) -> None:
        self.results.computing_s[experiment] = seconds

    # -- the door ----------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        """A bearer token, except at logx. A token that was taken back is a 403, one that never was a 401."""
        if request.path.startswith("/v1/"):
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            return Refusal(401, "unauthorized", "Authentication credentials were not provided or are invalid.").reply(request.path)
        if self.revoked:
            return Refusal(403, "forbidden", "The token has been revoked.").reply(request.path)
        return None

    def limit(self, request: Request) -> Reply | None:
        """Only the Flags API's limit is published. There is no header that tells what is left."""
        if request.path.startswith("/flags/") and self.flags.full():
            return Refusal(429, "too_many_requests", "Rate limit exceeded").reply(request.path)
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        """As v1's documentation has it: wait a minute. No Retry-After, unless a test asks for one."""
        reply = Refusal(429, "too_many_requests", "Rate limit exceeded").reply("/v2/")
        reply.headers = {"Retry-After": retry_after} if retry_after else {}
        return reply

    def expire_tokens(self) -> None:
        """Nothing: personal access tokens are valid until somebody revokes them (the edit `revoke`)."""

    def not_found(self, request: Request) -> Reply:
        return Refusal(404, "not_found", "Nothing matches the given URI").reply(request.path)

    def _route(self, request: Request) -> Reply:
        try:
            return super()._route(request)
        except Refusal as refusal:
            return refusal.reply(request.path)
        except orjson.JSONDecodeError:
            return Refusal(400, "bad_request", "The body is not valid JSON").reply(request.path)

    # -- routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> Sequence[Route]:
        """Pages below https://docs.developers.optimizely.com/, web-experimentation/reference/ for v2."""
        own: list[tuple[str, str, Handler]] = [
            ("GET", "/v2/me", self._me),  # …/get_me
            ("GET", "/v2/projects", self._projects),  # …/list_projects
            ("GET", "/v2/projects/{id}", lambda r: Reply(self.store.project(self._project_id(r.params["id"])))),  # …/get_project
            ("POST", "/v2/projects/{id}/custom_events", self._create_event),  # …/create_custom_event
            ("GET", "/v2/experiments", self._experiments),  # …/list_experiments
            ("GET", "/v2/experiments/{id}", self._one("experiments")),  # …/get_experiment
            ("GET", "/v2/experiments/{id}/results", self.results.results),
            ("GET", "/v2/experiments/{id}/timeseries", self.results.timeseries),
            ("GET", "/v2/experiment_summaries", self._summaries),  # …/get_experiment_summaries
            ("GET", "/v2/changes", self._changes),  # …/list_change_history
            ("GET", "/v2/attribution/{account}/visitor/{visitor}", self._history),  # …/get_bucketing_history
            ("POST", "/v1/events", self.logx.events),
        ]
        own += [("GET", f"/v2/{kind}", self._list(kind)) for kind in ("campaigns", "events", "pages", "audiences")]  # …/list_<kind>
        own += [("GET", f"/v2/{kind}/{{id}}", self._one(kind)) for kind in ("campaigns", "events", "pages", "audiences")]
        flags, base = self.flags, "/flags/v1/projects/{project}"
        own += [
            ("GET", f"{base}/flags", flags.flags),
            ("GET", f"{base}/rules", flags.rules),
            ("GET", f"{base}/environments", flags.environments),
            ("GET", f"{base}/environments/{{environment}}/reports", flags.reports),
            ("GET", f"{base}/flags/{{flag}}/environments/{{environment}}/ruleset", flags.ruleset),
        ]
        return [Route(*row) for row in own]

    def _me(self, request: Request) -> Reply:
        account = self.store.account
        profile = {"email": "ada@lumen-loom.example", "first_name": "Ada", "last_name": "Loom"}
        me = {"id": "b8a7c0d2-0000-4000-8000-000000000001", "profile": profile, "accounts": [account]}
        roles = [{"project_id": p["id"], "role": "editor"} for p in self._visible()]
        return Reply(me | {"current_account": {"id": account["id"]}, "project_roles": roles})

    def _visible(self) -> list[Row]:
        return [p for _, p in sorted(self.store.kinds["projects"].items()) if p["id"] not in self.hidden]

    def _projects(self, request: Request) -> Reply:
        return listed(request, self._visible())

    def _project_id(self, text: str | None) -> int:
        """Raises: Refusal; a project without a role is forbidden, not absent, once it is named."""
        project = int(self.store.project(whole(text, "project_id"))["id"])
        if project in self.hidden:
            raise Refusal(403, "forbidden", "You do not have access to this project")
        return project

    def _list(self, kind: str) -> Handler:
        def answer(request: Request) -> Reply:
            return listed(request, self.store.of_project(kind, self._project_id(request.q("project_id"))))

        return answer

    def _one(self, kind: str) -> Handler:
        def answer(request: Request) -> Reply:
            row = self.store.one(kind, whole(request.params["id"], "id"))
            self._project_id(str(row["project_id"]))
            return Reply(row)

        return answer

    def _experiments(self, request: Request) -> Reply:
        """By project or by campaign. Archived ones are left out here: `experiment_summaries` lists them."""
        campaign = request.q("campaign_id")
        if campaign is None and request.q("project_id") is None:
            raise bad("Either project_id or campaign_id is required")
        if campaign is not None:
            rows = [e for e in self.store.kinds["experiments"].values() if e["campaign_id"] == whole(campaign, "campaign_id")]
        else:
            rows = self.store.of_project("experiments", self._project_id(request.q("project_id")))
        return listed(request, [e for e in rows if e["status"] != "archived"])

    def _summaries(self, request: Request) -> Reply:
        """Experiments and campaigns, told apart by `type`; archived ones only with `archived=true`."""
        project = self._project_id(request.q("project_id"))
        archived = request.q("archived", "false") == "true"
        rows = []
        for kind in ("experiments", "campaigns"):
            for row in self.store.of_project(kind, project):
                named = {k: row.get(k) for k in ("id", "name", "description", "status", "created", "last_modified", "project_id")}
                rows.append(named | {"type": kind[:-1], "archived": row["status"] == "archived", "experiment_type": row["type"]})
        return listed(request, [r for r in rows if archived or not r["archived"]])

    def _changes(self, request: Request) -> Reply:
        """From start_time (inside) to end_time (outside), oldest first."""
        project = self._project_id(request.q("project_id"))
        start, end = moment(request, "start_time"), moment(request, "end_time")
        types = set(request.query.get("entity_type", []))
        rows = [
            c
            for c in self.store.changes
            if c["project_id"] == project
            and (not types or c["entity"]["type"] in types)
            and (start is None or _at(c) >= start)
            and (end is None or _at(c) < end)
        ]
        return listed(request, rows)

    def _create_event(self, request: Request) -> Reply:
        project, asked = self._project_id(request.params["id"]), request.json()
        key = asked.get("key") if isinstance(asked, dict) else None
        if not isinstance(key, str) or not key or len(key) > KEY_MAX or not all(c.isalnum() or c in "-_. " for c in key):
            raise bad("key is required and may hold letters, digits, dashes and underscores", key="Invalid key")
        if any(e["key"] == key for e in self.store.of_project("events", project)):
            raise bad(f"An event with the key {key} exists already", key="Must be unique")
        row = {"project_id": project, "key": key, "name": asked.get("name") or key, "event_type": "custom", "archived": False}
        return Reply(self.store.create("events", row | {"description": asked.get("description", "")}), 201)

    def _history(self, request: Request) -> Reply:
        """What one visitor was shown; an unknown visitor has an empty history. Both bounds are inside; the stamps are milliseconds."""
        if whole(request.params["account"], "account_id") != self.store.account["id"]:
            raise Refusal(403, "forbidden", "You do not have permission to access bucketing history information")
        start, end = moment(request, "start_time"), moment(request, "end_time")
        visitor = request.params["visitor"]
        history = [
            {
                "campaign_id": s.campaign, "experiment_id": s.experiment, "variation_id": s.variation, "is_holdback": s.holdback,
                "timestamp": s.at,
            }
            for s in self.store.seen.get(visitor, ())
            if (start is None or s.at >= start * 1000) and (end is None or s.at <= end * 1000)
        ]  # fmt: skip
        return Reply({"account_id": self.store.account["id"], "visitor_id": visitor, "bucketing_history": history})

    # -- for the tour ---------------------------------------------------------------------------------------------------
    def rows(self) -> Mapping[str, int]:
        experiments = list(self.store.kinds["experiments"].values())
        return {
            "experiments": len(experiments),
            "variations": sum(len(e["variations"]) for e in experiments if e["status"] != "archived"),
            "rules": len(self.store.kinds["rules"]),
            "campaigns": len(self.store.kinds["campaigns"]),
            "changes": len(self.store.changes),
        }

    def change_rows(self, turn: int) -> set[str]:
        """Turn 0: an experiment is renamed. Turn 1: a campaign is."""
        kind = ("experiments", "campaigns")[turn % 2]
        ids = sorted(self.store.kinds[kind])
        self.store.update(kind, ids[0], {"name": f"Renamed in turn {turn}"})
        return {kind, "changes"} if kind == "experiments" else {kind}

    def visitor(self) -> str:
        """Somebody who was shown a running experiment."""
        running = [e["id"] for e in self.store.kinds["experiments"].values() if e["status"] == "running"]
        return min(visitor for e in running for visitor in self.store.shown_in[e])

    def heard(self, visitor: str, event: str) -> int:
        ids = {e["id"] for e in self.store.kinds["events"].values() if e["key"] == event}
        return sum(d.event in ids for d in self.store.done.get(visitor, ()))

    def dump(self) -> Any:
        """Entities as they are; of what visitors did, the number by visitor and a digest."""
        told = {v: [len(d), hashlib.blake2b(repr(d).encode(), digest_size=8).hexdigest()] for v, d in self.store.done.items() if d}
        return {kind: {str(id): row for id, row in rows.items()} for kind, rows in self.store.kinds.items()} | {"heard": told}


def _at(change: Row) -> float:
    return datetime.fromisoformat(change["created"]).timestamp()
