"""runFunnelReport (v1alpha): how many users went step by step through named events.

Source: https://developers.google.com/analytics/devguides/reporting/data/v1/rest/v1alpha/properties/runFunnelReport, read 2026-11-23
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.sandbox.ga4_facts import Fact
from connectors.sandbox.ga4_reports import Reports
from connectors.sandbox.ga4_wire import bad, known_only

BODY = (
    "property", "dateRanges", "funnel", "funnelBreakdown", "funnelNextAction", "funnelVisualizationType", "segments", "limit",
    "dimensionFilter", "returnPropertyQuota",
)  # fmt: skip
STEP = ("name", "isDirectlyFollowedBy", "withinDurationFromPriorStep", "filterExpression")
METRICS = (
    ("activeUsers", "TYPE_INTEGER"), ("funnelStepCompletionRate", "TYPE_FLOAT"), ("funnelStepAbandonments", "TYPE_INTEGER"),
    ("funnelStepAbandonmentRate", "TYPE_FLOAT"),
)  # fmt: skip


class Funnels:
    def __init__(self, reports: Reports) -> None:
        self.reports = reports

    def run(self, body: Any) -> dict[str, Any]:
        """Raises: Refusal."""
        known_only(body, BODY)
        funnel = known_only(body.get("funnel") or {}, ["isOpenFunnel", "steps"], "funnel")
        steps = [(str(known_only(s, STEP, "funnel.steps").get("name") or ""), _event(s)) for s in funnel.get("steps") or ()]
        if not steps:
            raise bad("The funnel must have at least one step.")
        _, first, last = self.reports._ranges(body)[0]
        self.reports.quota.check()
        facts = sorted(self.reports.facts.between(first, last, self.reports.clock.now()), key=lambda f: f.at)
        reached = _reached(facts, [event for _, event in steps], bool(funnel.get("isOpenFunnel")))
        tokens = self.reports.quota.charge((last - first).days + 1, 1, len(steps), False)
        report = {
            "dimensionHeaders": [{"name": "funnelStepName"}],
            "metricHeaders": [{"name": name, "type": kind} for name, kind in METRICS],
            "rows": [_row(i, name, reached) for i, (name, _) in enumerate(steps)],
            "metadata": {},
        }
        seen = {**report, "metricHeaders": report["metricHeaders"][:1], "rows": [_first(r) for r in report["rows"]]}  # type: ignore[index]
        found: dict[str, Any] = {"funnelTable": report, "funnelVisualization": seen, "kind": "analyticsData#runFunnelReport"}
        return found | ({"propertyQuota": self.reports.quota.shown(tokens)} if body.get("returnPropertyQuota") else {})


def _event(step: Mapping[str, Any]) -> str:
    inside = (step.get("filterExpression") or {}).get("funnelEventFilter") or {}
    if not inside.get("eventName"):
        raise bad("A funnel step must have a filter expression with an event name.")
    return str(inside["eventName"])


def _reached(facts: Sequence[Fact], events: Sequence[str], open_: bool) -> list[int]:
    """Users per step; into a closed funnel one comes by its first step only."""
    at: dict[str, int] = {}
    users: list[set[str]] = [set() for _ in events]
    for fact in facts:
        done = at.get(fact.client, 0)
        for i in range(done, len(events)):
            if events[i] == fact.name:
                users[i].add(fact.client)
                at[fact.client] = i + 1
                break
            if not open_:
                break
    return [len(u) for u in users]


def _row(i: int, name: str, reached: Sequence[int]) -> dict[str, Any]:
    here, after = reached[i], reached[i + 1] if i + 1 < len(reached) else 0
    last = i + 1 == len(reached)
    share = after / here if here and not last else 0.0
    values = [str(here), repr(share), str(0 if last else here - after), repr(0.0 if last or not here else 1 - share)]
    return {"dimensionValues": [{"value": f"{i + 1}. {name}"}], "metricValues": [{"value": v} for v in values]}


def _first(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "metricValues": row["metricValues"][:1]}
