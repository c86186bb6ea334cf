"""VWO's event collection: takes almost anything with a 200, and counts only what somebody has registered before."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.vwo_reports import Campaigns

VISITOR = re.compile(r"[DJ][0-9A-Fa-f]{32}|[0-9A-F]{32}")  # the _vwo_uuid cookie; or a server-side user's id


class Collector:
    """`registered`: event → (campaign, goal) pairs whose metric it is. `heard`: how often a (visitor, event) counted."""

    def __init__(self, campaigns: Campaigns) -> None:
        self.campaigns = campaigns
        self.registered: dict[str, list[tuple[int, int]]] = {}
        self.heard: Counter[tuple[str, str]] = Counter()
        self.unregistered: Counter[str] = Counter()

    def load(self, workspace: int, events: Mapping[str, Sequence[Sequence[int]]]) -> None:
        self.workspace = str(workspace)
        for name, goals in events.items():
            self.register(name, goals)

    def register(self, name: str, goals: Sequence[Sequence[int]] = ()) -> None:
        """Somebody saves the event in Data360 and makes it the metric of these goals. What came before stays uncounted."""
        self.registered[name] = [(int(campaign), int(goal)) for campaign, goal in goals]

    def take(self, request: Request) -> Reply:
        """Nothing in the answer tells what became of the event; a body that is no event at all is refused."""
        try:
            sent = request.json()["d"]
            event, visitor = sent["event"], str(sent["visId"])
            name, at, props = str(event["name"]), int(event["time"]) // 1000, event["props"]
            complete = bool(sent["msgId"]) and int(sent["sessionId"]) > 0 and props["isCustomEvent"] is True
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            return Reply({"message": "Bad Request"}, 400)
        mine = complete and request.q("a") == self.workspace and request.q("en") == name and VISITOR.fullmatch(visitor)
        if mine and name not in self.registered:
            self.unregistered[name] += 1
        elif mine:
            self._count(visitor, name, at, props)
        return Reply(b"", content_type="text/plain")

    def _count(self, visitor: str, name: str, at: int, props: Mapping[str, Any]) -> None:
        """The same event twice counts twice: no document says that messages are told apart."""
        self.heard[visitor, name] += 1
        worth = props.get("revenue", 0)
        for campaign, goal in self.registered[name]:
            self.campaigns.convert(campaign, goal, visitor, at, float(worth) if isinstance(worth, int | float) else 0.0)
