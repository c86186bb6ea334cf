"""`python benchmarks/limits.py`: how close each vendor's published limit is used, and how little of a core that takes.

Every account of the sandbox is synced alone, on a clock that only waiting moves: what a sync "takes" is then exactly what
the vendor's limits make it wait. The emulators count and refuse by the same clock; their own work is taken out.
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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.connector import Bucket
from core.http import Transport
from jobs.play import Playground, playground
from jobs.steps import run_sync
from jobs.wiring import open_hub

NOW = datetime(2026, 6, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One bucket of one vendor during one first sync. `used` is the share (0–1) of what it allowed in the time the sync took."""

    vendor: str
    bucket: str
    limit: str
    requests: int
    waited_s: float
    used: float
    refused: int
    cpu_s: float
    core: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2000, help="people in the sandbox (2000)")
    parser.add_argument("--vendor", action="append", default=[], help="only this one (repeatable)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, playground(Path(home), size=args.size, now=NOW) as play:
        rows = [row for vendor in args.vendor or play.emulators for row in measured(play, vendor)]
    print(json.dumps([asdict(row) for row in rows], indent=1) if args.json else table(rows))
    return 0


def measured(play: Playground, vendor: str) -> Iterator[Row]:
    """The buckets of a vendor that made a first sync wait; the tightest alone when none did."""
    emulator = play.emulators[vendor]
    clock = emulator.clock
    if hasattr(emulator, "ticks"):
        emulator.ticks = clock.now
    began, cpu = clock.now(), Cpu()
    with simulated(play), open_hub(play.config) as hub:
        result = run_sync(hub, accounts=[vendor], quiet=True)
        buckets = hub.connectors[vendor].buckets
    used_cpu, waited = cpu.spent(), clock.now() - began
    if result.status != "done":
        raise RuntimeError(f"{vendor}: {result.status}: {result.to_json()}")
    refused = sum(1 for *_, status in emulator.log if status == 429)
    rows = [row(vendor, b, [p for _, p, _ in emulator.log], waited, refused, used_cpu) for b in buckets]
    tight = [r for r in rows if r.used > 0.5] or sorted(rows, key=lambda r: r.used)[-1:]
    yield from tight


def row(vendor: str, b: Bucket, paths: list[str], waited: float, refused: int, cpu_s: float) -> Row:
    n = sum(1 for path in paths if re.search(b.match, path) and not re.search(b.exclude, path))
    allowed = b.calls * (1 + waited / b.window_s)  # the first window is free to be filled at once
    limit = f"{b.calls} per {b.window_s:g} s"
    return Row(vendor, b.name, limit, n, waited, n / allowed, refused, cpu_s, cpu_s / waited if waited else 0.0)


@contextmanager
def simulated(play: Playground) -> Iterator[None]:
    """Whoever waits moves the clock on instead."""
    clock = next(iter(play.emulators.values())).clock
    with patch("jobs.wiring.Transport", partial(Transport, sleep=clock.advance, monotonic=clock.now)):
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


def table(rows: list[Row]) -> str:
    names = ("vendor", "bucket", "limit", "requests", "waited s", "of limit", "429", "CPU s", "of a core")
    widths = (16, 18, 22, 9, 10, 10, 5, 8, 11)
    lines = [
        (r.vendor, r.bucket, r.limit, r.requests, f"{r.waited_s:.1f}", f"{r.used:.1%}", r.refused, f"{r.cpu_s:.2f}", share(r))
        for r in rows
    ]  # fmt: skip
    return "\n".join("".join(f"{cell!s:<{w}}" if i < 3 else f"{cell!s:>{w}}" for i, (cell, w) in enumerate(zip(line, widths, strict=True)))
                     for line in [names, *lines])  # fmt: skip


def share(r: Row) -> str:
    return f"{r.core:.1%}" if r.waited_s else "no wait"


if __name__ == "__main__":
    sys.exit(main())
