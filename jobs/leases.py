"""A lease of the ledger, held for the length of a block and renewed in the background."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from core.errors import UserError
from core.ledger import Ledger

LEASE_S = 60.0


@contextmanager
def held(ledger: Ledger, name: str, clock: Callable[[], datetime]) -> Iterator[None]:
    """Raises: UserError when another process holds it (it runs out by itself a minute after that process dies)."""
    holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"  # the form `core.pull` uses too
    if not ledger.take_lease(name, holder, clock(), LEASE_S):
        other = ledger.lease_holder(name, clock()) or "another process"
        if _dead(other):  # killed: what it left undone is taken up by the same command at once
            ledger.release_lease(name, other)
        if not _dead(other) or not ledger.take_lease(name, holder, clock(), LEASE_S):
            raise UserError(f"{name} is being run by {other}", next_step="wait for it; if it was killed, its lease ends within a minute")
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_S / 3):
            ledger.renew_lease(name, holder, clock(), LEASE_S)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        ledger.release_lease(name, holder)


def _dead(holder: str) -> bool:
    """True when the holder was a process of this machine that no longer runs."""
    host, _, rest = holder.partition("/")
    pid = rest.partition("/")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError as problem:
        return isinstance(problem, ProcessLookupError)
    return False
