"""`python benchmarks/limits.py`: how close each vendor's published limit is used, and how little of a core that takes.

The first sync of each account of the sandbox, alone, on a clock that only waiting moves: what it "takes" is then exactly
what the vendor's limits make it wait. The emulators count and refuse by the same clock; their own work is taken out. A
sync ends after so many seconds of that clock, or so many calls when no limit makes it wait.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from connectors.sandbox.kit import Clock
from core.budget import LONG_WINDOW_S
from core.connector import Bucket
from core.http import Event, Transport
from jobs import steps
from jobs.play import Playground, playground
from jobs.wiring import open_hub

FILLED = 0.9  # the share of a limit from which on it is what made a sync wait
NOW = datetime(2026, 6, 30, tzinfo=UTC)
# Where each limit is published. Read on the dates that stand in the connectors.
SOURCES = {
    "activecampaign": "https://developers.activecampaign.com/reference/rate-limits",
    "ga4": "https://developers.google.com/analytics/devguides/reporting/data/v1/quotas",
    "hotjar": "none of the vendor's own; as others report it",
    "hubspot": "https://developers.hubspot.com/docs/guides/apps/api-usage/usage-details",
    "mailchimp": "https://mailchimp.com/developer/marketing/docs/fundamentals/#throttling",
    "optimizely": "https://docs.developers.optimizely.com/feature-experimentation/reference (rest: our own pace)",
    "salesforce": "https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/",
    "vwo": "https://developers.vwo.com/reference/api-rate-limits-1",
}


@dataclass(frozen=True)
class Row:
    """One bucket of one vendor during one sync. `used`: share (0–1) of the calls it allows a second; `core`: of one core."""

    vendor: str
    bucket: str
    limit: str
    requests: int
    waited_s: float
    per_s: float
    used: float
    refused: int
    cpu_s: float
    core: float
    reply_ms: float  # calls go out one at a time: with slower replies than this the vendor's latency is the limit

    @property
    def verdict(self) -> str:
        if not self.waited_s:
            return "never waited for"
        return f"filled if replies take < {self.reply_ms:,.0f} ms" if self.used > FILLED else "waited for something else"


@dataclass
class Watch:
    """The run in hand: ends the sync (after the page in hand) when it has gone on for long enough."""

    clock: Clock
    seconds: float
    calls: int
    began: float = 0.0
    seen: list[tuple[str, int]] = field(default_factory=list)
    before: int = 0  # calls made before the last wait: so many took the time there was

    def start(self) -> None:
        self.began = self.clock.now()
        self.seen.clear()
        self.before = 0
        steps.STOP.clear()

    def waited(self) -> float:
        return self.clock.now() - self.began

    def sleep(self, seconds: float) -> None:
        self.before = len(self.seen)
        self.clock.advance(seconds)
        if self.waited() > self.seconds:
            steps.STOP.set()

    def note(self, event: Event) -> None:
        if event.kind == "request":
            self.seen.append((event.path, event.status))
            if len(self.seen) >= self.calls and not self.waited():
                steps.STOP.set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2000, help="people in the sandbox (2000)")
    parser.add_argument("--seconds", type=float, default=120, help="of the clock, after which a sync is ended (120)")
    parser.add_argument("--calls", type=int, default=500, help="after so many a sync that no limit makes wait is ended (500)")
    parser.add_argument("--vendor", action="append", default=[], help="only this one (repeatable)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home, playground(Path(home), size=args.size, now=NOW) as play:
        for vendor in args.vendor or play.emulators:
            if play.emulators[vendor].wired:
                found = list(measured(play, vendor, args.seconds, args.calls))
                rows += found
                print(*found, sep="\n", file=sys.stderr, flush=True)
    print(json.dumps([asdict(row) for row in rows], indent=1) if args.json else table(rows))
    return 0


def measured(play: Playground, vendor: str, seconds: float, calls: int) -> Iterator[Row]:
    """The buckets of a vendor that made a first sync wait; the tightest alone when none did."""
    emulator = play.emulators[vendor]
    watch = Watch(emulator.clock, seconds, calls)
    if hasattr(emulator, "ticks"):
        emulator.ticks = emulator.clock.now
    with simulated(watch), open_hub(play.config, clock=emulator.clock.utc) as hub:
        buckets = [b for b in hub.connectors[vendor].buckets if b.window_s < LONG_WINDOW_S] or hub.connectors[vendor].buckets
        cpu = Cpu()
        watch.start()
        result = steps.run_sync(hub, accounts=[vendor], quiet=True)
        used_cpu, waited, stopped = cpu.spent(), watch.waited(), steps.STOP.is_set()
        steps.STOP.clear()
    if result.problems or (result.status != "done" and not stopped):
        raise RuntimeError(f"{vendor}: {result.status}: {result.to_json()}")
    rows = [row(vendor, b, watch, used_cpu) for b in buckets]
    yield from [r for r in rows if r.used > 0.5 and waited] or sorted(rows, key=lambda r: (r.used, r.requests))[-1:]


def row(vendor: str, b: Bucket, watch: Watch, cpu_s: float) -> Row:
    fits = [bool(re.search(b.match, path) and not re.search(b.exclude, path)) for path, _ in watch.seen]
    refused = sum(fit and status == 429 for fit, (_, status) in zip(fits, watch.seen, strict=True))
    waited, usable = watch.waited(), b.calls * (1 - b.reserve_share) / b.window_s
    per_s = sum(fits[: watch.before]) / waited if waited else 0.0
    core = cpu_s / waited if waited else 0.0
    limit = f"{b.calls:,} per {b.window_s:g} s" + (f", {b.reserve_share:.0%} left to others" if b.reserve_share else "")
    return Row(vendor, b.name, limit, sum(fits), waited, per_s, per_s / usable, refused, cpu_s, core, 1000 / usable)


@contextmanager
def simulated(watch: Watch) -> Iterator[None]:
    """Whoever waits moves the clock on instead."""
    transport = partial(Transport, sleep=watch.sleep, monotonic=watch.clock.now, on_event=watch.note)
    with patch("jobs.wiring.Transport", transport):
        yield


class Cpu:
    """Processor time of this process, less that of the threads the emulators run in."""

    def __init__(self) -> None:
        self._emulators = [t.ident for t in threading.enumerate() if t is not threading.main_thread() and t.ident]
        self._began = self._now()

    def _now(self) -> float:
        theirs = sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in self._emulators)
        return time.process_time() - theirs

    def spent(self) -> float:
        return self._now() - self._began


COLUMNS = ("vendor", "bucket", "limit", "requests", "waited s", "calls/s", "of limit", "429", "CPU s", "of a core", "")


def table(rows: list[Row]) -> str:
    """Lines of a Markdown table, and where the limits are published."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for r in rows:
        numbers = f"{r.requests:,}", f"{r.waited_s:.1f}", *shares(r), str(r.refused), f"{r.cpu_s:.2f}"
        lines.append((r.vendor, r.bucket, r.limit, *numbers, f"{r.core:.1%}" if r.used > FILLED else "-", r.verdict))
    sources = [f"{vendor}: {SOURCES.get(vendor, 'see its connector')}" for vendor in dict.fromkeys(r.vendor for r in rows)]
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", *sources])


def shares(r: Row) -> tuple[str, str]:
    """Calls per second and their share of the limit, where the clock moved at all."""
    return (f"{r.per_s:.2f}", f"{r.used:.1%}") if r.waited_s else ("-", "-")


if __name__ == "__main__":
    sys.exit(main())
