"""Feature Experimentation: the emulated Flags API v1. Linked collections, problem documents, two requests a second."""

from __future__ import annotations

from collections import deque

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.optimizely_store import Store
from connectors.sandbox.optimizely_wire import Row, collection, gone, ordered, whole

SORTS = {"name": "name", "key": "key", "created_time": "created_time", "updated_time": "updated_time"}
# Source: https://docs.developers.optimizely.com/feature-experimentation/reference/rate-limits-and-errors, read 2026-08-13
LIMITS = ((2, 1.0), (120, 60.0))


# What the emulator keeps to find rows by, and the vendor does not show: rules and reports name no project.
UNSHOWN = {"rules": ("project_id",), "reports": ("project_id", "environment_key")}


def shown(kind: str, row: Row) -> Row:
    return {k: v for k, v in row.items() if k not in UNSHOWN[kind]}


class Flags:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._calls: deque[float] = deque(maxlen=120)

    def full(self) -> bool:
        """Whether this request is one too many; one that is not counts."""
        now = self.store.now()
        for calls, window_s in LIMITS:
            if len(self._calls) >= calls and now - self._calls[-calls] < window_s:
                return True
        self._calls.append(now)
        return False

    # https://docs.developers.optimizely.com/feature-experimentation/reference/list_flags
    def flags(self, request: Request) -> Reply:
        rows = self._rows("flags", request)
        return collection(request, ordered(request, [self._flag(row) for row in rows], SORTS))

    # https://docs.developers.optimizely.com/feature-experimentation/reference/list_environments
    def environments(self, request: Request) -> Reply:
        return collection(request, ordered(request, self._rows("environments", request), {"priority": "priority"}))

    # https://docs.developers.optimizely.com/feature-experimentation/reference/list_rules
    def rules(self, request: Request) -> Reply:
        rows = self._rows("rules", request)
        types, places = request.q("rule_types"), request.q("environments")
        rows = [r for r in rows if not types or r["type"] in types.split(",")]
        rows = [r for r in rows if not places or r["environment_key"] in places.split(",")]
        return collection(request, ordered(request, [shown("rules", r) for r in rows], SORTS))

    # https://docs.developers.optimizely.com/feature-experimentation/reference/fetch_ruleset
    def ruleset(self, request: Request) -> Reply:
        project = self._project(request)
        flag = next((f for f in self.store.of_project("flags", project) if f["key"] == request.params["flag"]), None)
        place = self._environment(project, request.params["environment"])
        if flag is None:
            raise gone()
        rules = {r["key"]: shown("rules", r) for r in self._rules_of(flag, place)}
        body: Row = {"id": flag["id"] * 10 + place.startswith("p"), "flag_key": flag["key"], "environment_key": place, "rules": rules}
        body |= {"rule_priorities": sorted(rules), "enabled": bool(rules), "status": "running" if rules else "draft", "archived": False}
        url = request.path.removeprefix("/flags/v1")
        return Reply(body | {"urn": f"rulesets.flags.optimizely.com::{body['id']}", "url": url, "updated_time": flag["updated_time"]})

    # https://docs.developers.optimizely.com/feature-experimentation/reference/list_reports
    def reports(self, request: Request) -> Reply:
        place = self._environment(self._project(request), request.params["environment"])
        host = request.headers.get("host", "api.optimizely.com")
        base = f"http://{host}/v2" if host.startswith("127.") else "https://api.optimizely.com/v2"
        rows = [
            shown("reports", row) | {"fetch_results_api_url": f"{base}/experiments/{row['layer_experiment_id']}/results"}
            for row in self._rows("reports", request)
            if row["environment_key"] == place
        ]
        return collection(request, ordered(request, rows, SORTS))

    def _project(self, request: Request) -> int:
        return int(self.store.project(whole(request.params["project"], "project_id"), flags=True)["id"])

    def _environment(self, project: int, key: str) -> str:
        if key not in {e["key"] for e in self.store.of_project("environments", project)}:
            raise gone()
        return key

    def _rows(self, kind: str, request: Request) -> list[Row]:
        archived = request.q("archived")
        rows = self.store.of_project(kind, self._project(request))
        return [r for r in rows if archived is None or r["archived"] is (archived == "true")]

    def _rules_of(self, flag: Row, environment: str) -> list[Row]:
        rules = self.store.of_project("rules", flag["project_id"])
        return [r for r in rules if (r["flag_key"], r["environment_key"]) == (flag["key"], environment)]

    def _flag(self, row: Row) -> Row:
        """With its environments by key, and in each the rules by their type."""
        places = {}
        for place in self.store.of_project("environments", row["project_id"]):
            rules = self._rules_of(row, place["key"])
            summary: dict[str, Row] = {}
            for rule in rules:
                summary.setdefault(rule["type"], {"keys": []})["keys"].append(rule["key"])
            named = {"key": place["key"], "name": place["name"], "priority": place["priority"], "id": place["id"]}
            places[place["key"]] = named | {"enabled": bool(rules), "status": "running" if rules else "draft", "rules_summary": summary}
        return {**row, "environments": places, "url": f"/projects/{row['project_id']}/flags/{row['key']}"}
