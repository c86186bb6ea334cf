"""One account's allowance: how many calls per window, how many at once, how much of the day is left for others.

Shared by every client of one account in a process, safe for threads. The clock and sleep are handed in. It knows
buckets and paths, nothing of requests, replies or vendors.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from core.connector import Bucket
from core.errors import VendorUnavailable

MARGIN = 0.005  # of the window: the vendor's clock sees our calls a little later than ours
ROUNDING_S = 1e-6  # a sleep of exactly the wait must be enough, whatever the clock's last digits
LONG_WINDOW_S = 3600.0  # from here on a bucket is an allowance: it is kept a reserve of, and never waited out
RECHECK_S = 900.0  # after so long a used-up allowance is tried again: the vendor's next reply says whether it was refilled
LATE_SHARE = 0.1  # a vendor's count this much (of the limit) below ours is only calls it sees later than we do
SHAPES_KEPT = 2048
_ID = re.compile(r"/[^/:]*(?:\d{4}|@|%40)[^/:]*")  # what follows a colon is a method: /properties/123456:runReport


class _Gauge:
    """What one bucket has spent: the log of its window, the calls under way, a pause, a stop."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.match = re.compile(bucket.match)
        self.exclude = re.compile(bucket.exclude)
        self.long = bucket.window_s >= LONG_WINDOW_S
        self.window_s = bucket.window_s * (1 + MARGIN)
        self.slot_s = bucket.window_s / 1440 if self.long else 0.0  # a day of calls is counted by the minute
        self.capacity = self._usable(bucket.calls)
        self.log: deque[tuple[float, int]] = deque()
        self.used = 0
        self.active = 0
        self.paused_until = -math.inf
        self.stopped_until = -math.inf
        self.stop_reason = ""

    def _usable(self, limit: int) -> int:
        return max(1, math.floor(limit * (1 - self.bucket.reserve_share)))

    def full(self) -> bool:
        return self.bucket.concurrent is not None and self.active >= self.bucket.concurrent

    def wait_s(self, now: float) -> float:
        """Seconds until one more call fits; 0.0 for now."""
        while self.log and now - self.log[0][0] >= self.window_s - ROUNDING_S:
            self.used -= self.log.popleft()[1]
        wait = self.paused_until - now
        if self.used >= self.capacity:
            wait = max(wait, self.log[0][0] + self.window_s - now)
        return wait if wait > ROUNDING_S else 0.0

    def spend(self, now: float, calls: int = 1) -> None:
        self.used += calls
        if self.log and now - self.log[-1][0] < self.slot_s:
            calls += self.log.pop()[1]
        self.log.append((now, calls))

    def note(self, now: float, remaining: int, limit: int) -> None:
        """Believe the vendor: its limit, and the calls others made. See `Budget.note_remaining`."""
        if limit > 0:
            self.capacity = self._usable(limit)
        if not self.long:
            self.wait_s(now)  # forget what left the window
            others = limit - remaining - self.used
            if others > max(2.0, limit * LATE_SHARE):
                self.spend(now, others)
            return
        if remaining > limit * self.bucket.reserve_share:
            self.stopped_until = -math.inf
            return
        share = f", {self.bucket.reserve_share:.0%} of it is kept for other tools" if self.bucket.reserve_share else ""
        self.stop(now, f"allowance reserve reached: {remaining} of {limit} calls of '{self.bucket.name}' are left{share}")

    def stop(self, now: float, reason: str) -> None:
        self.stopped_until = now + RECHECK_S
        self.stop_reason = reason


class Budget:
    """What one account may still spend. `patience_s`: a longer wait than this is an error, not a sleep.

    `slot(bucket)`: seconds until this process's turn in a bucket that is shared over processes; asking takes the turn.
    """

    def __init__(
        self,
        buckets: Sequence[Bucket],
        *,
        account: str = "",
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: float = 600.0,
        slot: Callable[[Bucket], float] = lambda bucket: 0.0,
    ) -> None:
        self.account = account
        self.patience_s = patience_s
        self._sleep = sleep
        self._slot = slot
        self._monotonic = monotonic
        self._gauges = [_Gauge(b) for b in buckets]
        self._by_shape: dict[str, tuple[_Gauge, ...]] = {}
        self._freed = threading.Condition()

    @contextmanager
    def acquire(self, path: str) -> Iterator[float]:
        """Hold one call's place in every bucket that fits `path`; gives the seconds waited for it.

        Raises: VendorUnavailable when an allowance is down to its reserve, or free only after `patience_s`.
        """
        gauges = self._fitting(path)
        waited_s = self._enter(gauges) if gauges else 0.0
        try:
            yield waited_s + self._turn(gauges)
        finally:
            if gauges:
                self._leave(gauges)

    def pause(self, path: str, seconds: float) -> None:
        """Nothing leaves for `path`'s buckets for so long: the vendor has said "too many"."""
        with self._freed:
            until = self._monotonic() + seconds
            for gauge in self._fitting(path):
                gauge.paused_until = max(gauge.paused_until, until)

    def exhaust(self, path: str, reason: str) -> None:
        """The vendor says the allowance behind `path` is gone: every caller stops, not only the one it told."""
        with self._freed:
            fitting = self._fitting(path)
            for gauge in [g for g in fitting if g.long] or fitting:
                gauge.stop(self._monotonic(), reason)

    def note_remaining(self, bucket: str, remaining: int, limit: int) -> None:
        """Take in the vendor's own count of a bucket, as its response headers tell it.

        Of an allowance (a window of an hour or more) only what is above the bucket's `reserve_share` is spent; below it
        every call raises for a quarter of an hour, then the vendor is asked again. Of a shorter window the calls other
        tools made are counted as ours.
        """
        with self._freed:
            next(g for g in self._gauges if g.bucket.name == bucket).note(self._monotonic(), remaining, limit)

    def _fitting(self, path: str) -> tuple[_Gauge, ...]:
        shape = _ID.sub("/#", path)
        found = self._by_shape.get(shape)
        if found is None:
            if len(self._by_shape) >= SHAPES_KEPT:
                self._by_shape.clear()
            found = tuple(g for g in self._gauges if g.match.search(path) and not g.exclude.search(path))
            self._by_shape[shape] = found
        return found

    def _enter(self, gauges: tuple[_Gauge, ...]) -> float:
        began = now = self._monotonic()
        while True:
            with self._freed:
                while any(g.full() for g in gauges):
                    self._freed.wait()
                now = self._monotonic()
                self._refuse_stopped(gauges, now)
                wait_s = max(g.wait_s(now) for g in gauges)
                if not wait_s:
                    for gauge in gauges:
                        gauge.spend(now)
                        gauge.active += 1
                    return now - began
            if wait_s > self.patience_s:
                raise self._unavailable(f"the allowance is used up; the next call is free in {wait_s / 60:.0f} minutes")
            self._sleep(wait_s)

    def _turn(self, gauges: tuple[_Gauge, ...]) -> float:
        """Wait for this process's turn in buckets that all processes share; gives the seconds."""
        wait_s = max((self._slot(g.bucket) for g in gauges if g.bucket.across), default=0.0)
        if wait_s:
            self._sleep(wait_s)
        return wait_s

    def _refuse_stopped(self, gauges: tuple[_Gauge, ...], now: float) -> None:
        for gauge in gauges:
            if gauge.stopped_until > now:
                raise self._unavailable(gauge.stop_reason)

    def _leave(self, gauges: tuple[_Gauge, ...]) -> None:
        with self._freed:
            for gauge in gauges:
                gauge.active -= 1
            self._freed.notify_all()

    def _unavailable(self, reason: str) -> VendorUnavailable:
        return VendorUnavailable(reason, where=self.account, next_step="run the same command later; it continues where this one stopped")
