"""A lease of the ledger, held for the length of a block and renewed in the background."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from core.errors import Busy
from core.holders import dead, holder
from core.ledger import Ledger
from core.ledger_lost import lost_runs, note_lost, run_lease

LEASE_S = 60.0


@contextmanager
def held(ledger: Ledger, name: str, clock: Callable[[], datetime]) -> Iterator[None]:
    """Raises: Busy when another process holds it (it runs out by itself a minute after that process dies)."""
    me = holder(secrets.token_hex(2))
    if not ledger.take_lease(name, me, clock(), LEASE_S):
        other = ledger.lease_holder(name, clock()) or "another process"
        if dead(other):  # killed: what it left undone is taken up by the same command at once
            ledger.release_lease(name, other)
        if not dead(other) or not ledger.take_lease(name, me, clock(), LEASE_S):
            raise Busy(f"{name} is being run by {other}", next_step="wait for it; if it was killed, its lease ends within a minute")
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_S / 3):
            ledger.renew_lease(name, me, clock(), LEASE_S)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        ledger.release_lease(name, me)


@contextmanager
def running(ledger: Ledger, job: str, clock: Callable[[], datetime], detail: Mapping[str, Any]) -> Iterator[str]:
    """A run of the ledger that others see living: its id. Earlier runs of the job that were killed are called lost by then.

    The caller says how it ended.
    """
    note_lost(ledger, lost_runs(ledger, clock(), job))
    run_id = ledger.start_run(job, clock(), detail)
    with held(ledger, run_lease(run_id), clock):
        yield run_id
