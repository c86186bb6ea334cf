"""The quotas of a standard property, counted in tokens on the emulator's clock, and the five ways they say no.

Source: https://developers.google.com/analytics/devguides/reporting/data/v1/quotas, read 2026-11-23
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.ga4_wire import Refusal
from connectors.sandbox.kit import Clock

HOUR, DAY = 3600.0, 86_400.0
_SOON = "These quota tokens will return in under one hour."
LIMITS = {
    "tokensPerDay": (200_000, DAY, "Exhausted property tokens per day. These quota tokens will return in under 24 hours."),
    "tokensPerHour": (40_000, HOUR, f"Exhausted property tokens per hour. {_SOON}"),
    "tokensPerProjectPerHour": (14_000, HOUR, f"Exhausted property tokens for a project per hour. {_SOON}"),
    "potentiallyThresholdedRequestsPerHour": (120, HOUR, "Exhausted potentially thresholded requests quota."),
    "serverErrorsPerProjectPerHour": (10, HOUR, "Exhausted server errors quota of the project. It will return in under one hour."),
}  # fmt: skip
CONCURRENT = 10
BUSY = "Exhausted concurrent requests quota."
TOKENS = ("tokensPerDay", "tokensPerHour", "tokensPerProjectPerHour")


@dataclass
class Quota:
    """`others` are requests under way from other tools. Spending is remembered by the second it was done in."""

    clock: Clock
    limits: dict[str, int] = field(default_factory=lambda: {name: limit for name, (limit, _, _) in LIMITS.items()})
    others: int = 0
    spent: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def used(self, name: str) -> int:
        since = self.clock.now() - LIMITS[name][1]
        self.spent[name] = [(at, n) for at, n in self.spent.get(name, []) if at > since]
        return sum(n for _, n in self.spent[name])

    def spend(self, name: str, n: int) -> None:
        self.spent.setdefault(name, []).append((self.clock.now(), n))

    def check(self) -> None:
        """Raises: Refusal when one of the quotas is used up before this request."""
        if self.others >= CONCURRENT:
            raise Refusal(429, BUSY)
        for name, (_, _, message) in LIMITS.items():
            if self.used(name) >= self.limits[name]:
                raise Refusal(429, message)

    def charge(self, days: int, dimensions: int, rows: int, personal: bool) -> int:
        """The price of a report, in tokens: more for more days, dimensions and rows. What it is exactly, no document says."""
        tokens = 1 + days // 30 + dimensions // 4 + rows // 5_000
        for name in TOKENS:
            self.spend(name, tokens)
        if personal:
            self.spend("potentiallyThresholdedRequestsPerHour", 1)
        return tokens

    def shown(self, consumed: int, personal: bool = False) -> dict[str, Any]:
        """`propertyQuota` of a reply. Zeros are left out, as everywhere."""
        own = dict.fromkeys(TOKENS, consumed) | {"potentiallyThresholdedRequestsPerHour": int(personal)}
        found = {name: _status(own.get(name, 0), self.limits[name] - self.used(name)) for name in LIMITS}
        return found | {"concurrentRequests": _status(0, CONCURRENT - self.others)}


def _status(consumed: int, remaining: int) -> dict[str, int]:
    return {name: n for name, n in (("consumed", consumed), ("remaining", max(0, remaining))) if n}
