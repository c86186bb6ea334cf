"""One call a window over all processes of a hub, because the ledger gives the turns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sandbox_hub import Standing

from core.budget import Budget
from core.connector import Bucket
from core.ledger import Ledger
from core.ledger_pace import take_turn
from jobs.wiring import open_hub

NOW = datetime(2026, 6, 30, tzinfo=UTC)


def test_turns_are_a_window_apart_whoever_takes_them(url: str) -> None:
    one, other = Ledger(url), Ledger(url)
    waits = [take_turn(ledger, "vwo", "token", 1.1, NOW) for ledger in (one, other, one)]
    assert waits == pytest.approx([0, 1.1, 2.2])
    assert take_turn(other, "vwo-eu", "token", 1.1, NOW) == 0  # another account has its own
    assert take_turn(other, "vwo", "token", 1.1, NOW + timedelta(seconds=3)) == pytest.approx(0.3)
    assert take_turn(one, "vwo", "token", 1.1, NOW + timedelta(minutes=1)) == 0
    assert take_turn(one, "vwo", "token", 1.1, NOW - timedelta(days=1)) == 0  # the clock was set back: nobody waits a day
    one.close()
    other.close()


def test_turns_taken_at_once_are_all_different(url: str) -> None:
    ledgers = [Ledger(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda i: take_turn(ledgers[i % 4], "vwo", "token", 1.0, NOW), range(40)))
    assert sorted(waits) == [float(i) for i in range(40)]
    for ledger in ledgers:
        ledger.close()


def test_only_buckets_that_say_so_wait_for_a_turn() -> None:
    slept: list[float] = []
    buckets = (Bucket("token", 1, 1.0, match="/api", across=True), Bucket("rest", 100, 1.0))
    budget = Budget(buckets, sleep=slept.append, monotonic=lambda: 0.0, slot=lambda bucket: {"token": 0.7}[bucket.name])
    with budget.acquire("/events") as waited:
        assert waited == 0
    with budget.acquire("/api/v2") as waited:
        assert waited == 0.7
    assert slept == [0.7]


def test_a_process_that_starts_right_after_another_is_not_refused(stand: Callable[..., Standing]) -> None:
    sandbox = stand(vendors=["vwo"])
    began = sandbox.clock.now()
    for _ in range(5):  # each opens the account anew, with an empty budget of its own
        with open_hub(sandbox.config) as hub, hub.account("vwo") as opened:
            opened.connector.probe(opened.session)
    assert {status for *_, status in sandbox.emulators["vwo"].log} == {200}
    assert sandbox.clock.now() - began == pytest.approx(4.4, abs=0.2)
