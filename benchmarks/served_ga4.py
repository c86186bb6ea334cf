"""A Google Analytics property whose traffic report has so many rows, over 400 days. Each reply is rendered once and kept."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.sandbox import world_ga4
from connectors.sandbox.ga4 import Ga4Emulator
from connectors.sandbox.kit import Emulator, Reply, Request

LAST = datetime(2026, 6, 29, 12, tzinfo=UTC)  # the day before the hub's leg runs
DAYS = 400  # as far back as a first read of the shipped mapping goes
CHANNELS = (("Organic Search", "google", "organic"), ("Paid Social", "linkedin", "paid"), ("Email", "newsletter", "email"))


class ReadyReports(Ga4Emulator):
    """Reports asked for a second time come from memory: the benchmark measures who asks, not who adds up."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ready: dict[tuple[str, bytes], bytes] = {}
        super().__init__(*args, **kwargs)

    def handle(self, request: Request) -> tuple[Reply, float]:
        if not request.path.endswith("Reports") or self.authorise(request):
            return super().handle(request)
        key = request.path, request.body
        if key not in self.ready:
            reply, _ = super().handle(request)
            if reply.status != 200:
                return reply, 0.0
            self.ready[key] = gzip.compress(reply.payload(), 6)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Reply(self.ready[key], headers={"Content-Encoding": "gzip"}), 0.0
        return Reply(gzip.decompress(self.ready[key])), 0.0


def emulator(size: int) -> Emulator:
    seed = {
        "property": world_ga4.PROPERTY,
        "stream": world_ga4.STREAM,
        "measurement_id": world_ga4.MEASUREMENT_ID,
        "name": "Benchmark",
        "host": world_ga4.HOST,
        "timezone": "UTC",
        "currency": "EUR",
        "key_events": ["generate_lead"],
        "columns": ("at", "name", "client", "session", "engaged", "source", "medium", "campaign", "group"),
        "hits": _hits(size),
    }
    return ReadyReports(seed)


def _hits(size: int) -> Iterator[tuple[Any, ...]]:
    """One session for each row: every day has as many campaigns as rows."""
    for i in range(size):
        day, number = divmod(i, max(1, -(-size // DAYS)))
        group, source, medium = CHANNELS[number % len(CHANNELS)]
        at = (LAST - timedelta(days=day)).timestamp()
        yield at, "session_start", f"{i}.1", int(at), number % 3 > 0, source, medium, f"campaign {number:05} spring", group
