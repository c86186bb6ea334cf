"""What to do about a failure, as pure functions: which error it is, whether it may be tried again, how long to wait first."""

from __future__ import annotations

from collections.abc import Callable

from core.connector import Fault
from core.errors import CredentialsError, TundishError, VendorError, VendorUnavailable
from core.http_wire import Broken, Response

LONGEST_WAIT_S = 60.0  # a vendor that asks for more than this is not believed (some give milliseconds)
THROTTLED_BASE_S = 2.0
TRANSIENT_BASE_S = 0.5
BACKOFF_CAP_S = 30.0
LATER = "run the same command later; it continues where this one stopped"


def wait_s(fault: Fault, failures: int, rng: Callable[[], float]) -> float:
    """What the vendor asked for, if that is a minute at most; else exponential with full jitter."""
    asked = fault.retry_after_s
    if asked is not None and 0 <= asked <= LONGEST_WAIT_S:
        return asked
    base = THROTTLED_BASE_S if fault.kind == "throttled" else TRANSIENT_BASE_S
    return rng() * min(BACKOFF_CAP_S, base * 2.0 ** (failures - 1))


def final(fault: Fault, reply: Response | Broken, repeatable: bool, account: str, where: str) -> TundishError | None:
    """The error to raise at once, or None when the call may be sent again after a wait."""
    if fault.kind == "throttled":
        return None
    if fault.kind != "transient" or (isinstance(reply, Broken) and reply.final):
        return error(fault, 0 if isinstance(reply, Broken) else reply.status, account, where)
    if repeatable or not _may_be_done(reply):
        return None
    return VendorUnavailable(
        f"{fault.message}; whether the write was done is unknown, so it was not sent again",
        where=where,
        next_step="run the same command again: it reads the records back before it writes",
    )


def error(fault: Fault, status: int, account: str, where: str) -> TundishError:
    """The fault as an error for the person who must act. The message must be redacted already."""
    if fault.kind in ("unauthorised", "expired"):
        return CredentialsError(fault.message, where=where, next_step=f"correct the credentials of account '{account}'")
    if fault.kind in ("exhausted", "throttled", "transient"):
        return VendorUnavailable(fault.message, where=where, next_step=LATER)
    step = f"grant the missing permission to account '{account}'" if fault.kind == "forbidden" else ""
    return VendorError(fault.message, where=where, next_step=step, status=status, code=fault.code)


def _may_be_done(reply: Response | Broken) -> bool:
    """503 and 4xx say "not done"; any other 5xx, and a connection cut after the request left, leave it open."""
    return reply.sent if isinstance(reply, Broken) else reply.status >= 500 and reply.status != 503
