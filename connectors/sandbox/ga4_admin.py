"""The Admin API as far as it is read: accounts, the property, its streams with their secrets, its key events; and the fields of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.sandbox.ga4_facts import DIMENSIONS, METRICS, Facts
from connectors.sandbox.ga4_wire import Refusal, bad, whole_number
from connectors.sandbox.kit import Reply, Request

MOST = 200


class Admin:
    def __init__(self, seed: Mapping[str, Any], facts: Facts, secrets: Mapping[str, str]) -> None:
        self.seed, self.facts, self.secrets = seed, facts, dict(secrets)
        self.property = f"properties/{seed['property']}"
        self.stream = f"{self.property}/dataStreams/{seed['stream']}"

    def own(self, request: Request) -> None:
        """Raises: Refusal unless the path's property is the one this user may see."""
        if request.params.get("property") != self.seed["property"]:
            message = "User does not have sufficient permissions for this property. To learn more about Property ID, see the guide."
            raise Refusal(403, message)

    def account_summaries(self, request: Request) -> Reply:
        summary = {
            "property": self.property,
            "displayName": self.seed["name"],
            "propertyType": "PROPERTY_TYPE_ORDINARY",
            "parent": "accounts/1",
        }
        return _page(request, "accountSummaries", [
            {"name": "accountSummaries/1", "account": "accounts/1", "displayName": self.seed["name"], "propertySummaries": [summary]},
        ])  # fmt: skip

    def get_property(self, request: Request) -> Reply:
        self.own(request)
        return Reply(
            {
                "name": self.property, "parent": "accounts/1", "account": "accounts/1", "displayName": self.seed["name"],
                "timeZone": self.seed["timezone"], "currencyCode": self.seed["currency"], "serviceLevel": "GOOGLE_ANALYTICS_STANDARD",
                "propertyType": "PROPERTY_TYPE_ORDINARY", "createTime": "2023-01-10T09:00:00Z", "updateTime": "2025-06-01T09:00:00Z",
            }
        )  # fmt: skip

    def streams(self, request: Request) -> Reply:
        self.own(request)
        web = {"measurementId": self.seed["measurement_id"], "defaultUri": f"https://{self.seed['host']}"}
        return _page(request, "dataStreams", [
            {"name": self.stream, "type": "WEB_DATA_STREAM", "displayName": "Web", "webStreamData": web},
        ])  # fmt: skip

    def stream_secrets(self, request: Request) -> Reply:
        self.own(request)
        if request.params.get("stream") != self.seed["stream"]:
            raise Refusal(404, "Requested entity was not found.")
        name = f"{self.stream}/measurementProtocolSecrets"
        rows = [{"name": f"{name}/{i}", "displayName": i, "secretValue": value} for i, value in self.secrets.items()]
        return _page(request, "measurementProtocolSecrets", rows)

    def key_events(self, request: Request) -> Reply:
        self.own(request)
        rows = [
            {
                "name": f"{self.property}/keyEvents/{i + 1}", "eventName": name, "createTime": "2023-01-10T09:10:00Z", "deletable": True,
                "custom": False, "countingMethod": "ONCE_PER_EVENT",
            }
            for i, name in enumerate(sorted(self.facts.key_events))
        ]  # fmt: skip
        return _page(request, "keyEvents", rows)

    def metadata(self, request: Request) -> Reply:
        """Property 0 has the fields that all properties have."""
        common = request.params.get("property") == "0"
        if not common:
            self.own(request)
        dimensions = [
            _field(n, d.title, d.category, d.deprecated) for n, d in DIMENSIONS.items() if not (common and d.category == "Custom")
        ]
        metrics = [_field(n, m.title, "", m.deprecated) | {"type": m.type} for n, m in METRICS.items()]
        if not common:
            metrics += [_field(f"keyEvents:{n}", n, "", ()) | {"type": "TYPE_FLOAT"} for n in sorted(self.facts.key_events)]
        return Reply({"name": f"properties/{request.params['property']}/metadata", "dimensions": dimensions, "metrics": metrics})


def _field(name: str, title: str, category: str, deprecated: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiName": name,
        "uiName": title,
        "description": f"{title}.",
        "category": category,
        "deprecatedApiNames": list(deprecated),
    }
    found |= {"customDefinition": True} if name.startswith("custom") else {}
    return {key: value for key, value in found.items() if value}


def _page(request: Request, name: str, rows: list[dict[str, Any]]) -> Reply:
    size = min(whole_number(request.q("pageSize"), "page_size", 50) or 50, MOST)
    token = request.q("pageToken") or ""
    if token and not token.isdecimal():
        raise bad("The page token is invalid.")
    start = int(token or 0)
    found: dict[str, Any] = {name: rows[start : start + size]}
    if start + size < len(rows):
        found["nextPageToken"] = str(start + size)
    return Reply({key: value for key, value in found.items() if value})
