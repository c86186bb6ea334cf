"""The one transport under every vendor client: read-only guard, budget, retries, time-outs, redaction, one set of connections.

A vendor's client above never sees a throttled or failed call: `send` either returns a usable reply or raises one of
our errors. What a refusal means is the connector's `fault`; what to do about it is decided here and nowhere else.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from core.budget import Budget
from core.connector import Bucket, Fault
from core.errors import TundishError, VendorError
from core.http_retry import error, final, wait_s
from core.http_wire import Address, Broken, Response, Wire, locate
from core.redaction import redact, remember

if TYPE_CHECKING:
    import requests

    from core.http_adapters import Pool

__all__ = ["Credentials", "Event", "ReadOnlyError", "Response", "Transport"]

REDIRECTS = 5
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "cookie")  # headers a client may not decide

log = logging.getLogger("tundish.http")


class ReadOnlyError(TundishError):
    """A write was attempted through a transport that was opened for reading: a bug, caught before a byte was sent."""


class Credentials(Protocol):
    def headers(self) -> Mapping[str, str]:
        """The authorisation headers as of now; they win over what a vendor's client puts in."""

    def renew(self, send: Callable[..., Response]) -> bool:
        """Get a new token through `send` (no authorisation added, allowed although a POST). False: it cannot be renewed."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must never be printed."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened on the wire, for progress and statistics. `path` has no query and no e-mail address."""

    kind: Literal["request", "wait", "renew"]
    account: str
    method: str
    path: str
    status: int = 0
    seconds: float = 0.0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Manner:
    """How calls made inside `expecting`/`repeatable` differ, for callers that reach us only through a vendor's client."""

    expect: frozenset[int] = frozenset()
    repeatable: bool = False


_PLAIN = _Manner()
_manner: ContextVar[_Manner] = ContextVar("manner", default=_PLAIN)


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    address: Address
    headers: dict[str, str]
    body: bytes | None
    reads: bool
    repeatable: bool  # sending it twice does what sending it once does
    auth: bool
    expect: frozenset[int]


class Transport:
    """One account's way to its vendor. Thread-safe; `credentials` is set by the connector's `open`.

    `read_limits(headers)` yields (bucket name, remaining, limit) as the vendor's headers tell them.
    """

    def __init__(
        self,
        account: str,
        *,
        buckets: Sequence[Bucket],
        fault: Callable[[int, Mapping[str, str], bytes], Fault],
        safe_posts: Sequence[str] = (),
        writes: bool = False,
        budget: Budget | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
        attempts: int = 6,
        timeout_s: tuple[float, float] = (5, 120),
        on_event: Callable[[Event], None] | None = None,
        read_limits: Callable[[Mapping[str, str]], Iterable[tuple[str, int, int]]] | None = None,
        proxy_url: str | None = None,
        ca_bundle: str | None = None,
        slot: Callable[[Bucket], float] = lambda bucket: 0.0,
    ) -> None:
        self.account = account
        self._credentials: Credentials | None = None
        self.writes = writes
        self.budget = budget or Budget(buckets, account=account, sleep=sleep, monotonic=monotonic, slot=slot)
        self._fault = fault
        self._safe = re.compile("|".join(f"(?:{p})" for p in safe_posts) or r"(?!)")
        self._sleep, self._monotonic, self._rng = sleep, monotonic, rng
        self._attempts = attempts
        self._on_event = on_event
        self._read_limits = read_limits
        self._wire = Wire(timeout_s, proxy_url, ca_bundle)
        self._rewrites: tuple[tuple[str, str], ...] = ()
        self._renewing = threading.Lock()
        self._generation = 0  # of the token: whoever saw an older one expire just takes the new one
        self._beyond_renewal = -1  # the generation that could not be renewed: one request says so, not one per thread
        self._counting = threading.Lock()
        self._counts = {"requests": 0, "retries": 0, "bytes": 0, "waits_s": 0.0}

    @property
    def credentials(self) -> Credentials | None:
        return self._credentials

    @credentials.setter
    def credentials(self, given: Credentials) -> None:
        self._credentials = given
        remember(*given.secrets)

    # -- for connectors ---------------------------------------------------------------------------------------------
    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        safe: bool = False,
        auth: bool = True,
        expect: Iterable[int] = (),
        repeatable: bool | None = None,
    ) -> Response:
        """The vendor's reply: any 2xx (207 too), 304, or a status of `expect`; everything else was retried or raises.

        `safe`: only reads, although it is not a GET. `repeatable`: a POST that may be sent again when nobody knows
        whether it arrived; other methods always may. `auth=False` for addresses that must not see our credentials.

        Raises: CredentialsError, VendorUnavailable (retries or the allowance used up), VendorError (with status and
        code), ReadOnlyError (before any byte), UserError (not https).
        """
        call = self._call(method, url, headers, body, safe=safe, auth=auth, expect=expect, repeatable=repeatable)
        failures, renewed, moves = 0, False, 0
        while True:
            generation = self._generation
            reply = self._exchange(call)
            if isinstance(reply, Response):
                if reply.status < 300 or reply.status == 304 or reply.status in call.expect:
                    return reply
                if call.method in _READS and reply.status in _REDIRECTS and "location" in reply.headers and moves < REDIRECTS:
                    call, moves = self._redirected(call, reply.headers["location"]), moves + 1
                    continue
            fault = self._read_fault(reply)
            if fault.kind == "expired" and call.auth and not renewed:
                renewed = self._renew(generation, call, fault)
                continue
            self._raise_if_final(call, fault, reply)
            failures += 1
            self._pause(call, fault, failures)

    def rewrite(self, prefix: str, to: str) -> None:
        """Send what is addressed to `prefix` to `to` instead: for vendor clients that hard-code https or the host."""
        self._rewrites = (*self._rewrites, (prefix.rstrip("/"), to.rstrip("/")))

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Inside, these statuses are returned, for calls made through a vendor's client. Do not `yield` inside."""
        with self._manner(expect=_manner.get().expect | set(statuses)):
            yield

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Inside, POSTs are sent again after a cut connection (the vendor's batch updates, say). Do not `yield` inside."""
        with self._manner(repeatable=True):
            yield

    def requests_session(self) -> requests.Session:
        """A session whose every request goes through `send`; its own time-outs, proxies, cookies and netrc do not count."""
        from core.http_adapters import session

        return session(self)

    def urllib3_pool(self) -> Pool:
        """What a client that wants a urllib3 PoolManager is given. Replies have their bytes in `.data`."""
        from core.http_adapters import Pool

        return Pool(self)

    # -- for whoever runs it ----------------------------------------------------------------------------------------
    def spent(self) -> dict[str, float]:
        """Counts so far: requests, retries, bytes (as they came over the wire), waits_s (budget and back-off)."""
        with self._counting:
            return dict(self._counts)

    def sleep(self, seconds: float) -> None:
        """Wait between two looks at an asynchronous job of the vendor (the transport's clock, so tests need not wait)."""
        self._sleep(seconds)

    def redact(self, text: str) -> str:
        """The text without this account's secrets (and without anything that looks like one)."""
        if self._credentials:
            remember(*self._credentials.secrets)
        return redact(text)

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- one call ---------------------------------------------------------------------------------------------------
    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        *,
        safe: bool,
        auth: bool,
        expect: Iterable[int],
        repeatable: bool | None,
    ) -> _Call:
        method = method.upper()
        address = locate(self._rewritten(url))
        sent = {k.lower(): v for k, v in headers.items()} if headers else {}
        for name in _OURS:
            sent.pop(name, None)
        sent["accept-encoding"] = "gzip"
        sent.setdefault("user-agent", "tundish")
        acts_as = sent.get("x-http-method-override", method).upper()
        reads = safe or acts_as in _READS or (acts_as == "POST" and self._safe.search(address.path) is not None)
        if not reads and not self.writes:
            raise ReadOnlyError(f"{acts_as} refused: this command only reads", where=self._where(method, address))
        manner = _manner.get()
        may_repeat = reads or acts_as != "POST" or (manner.repeatable if repeatable is None else repeatable)
        return _Call(method, address, sent, body, reads, may_repeat, auth, manner.expect.union(expect))

    def _rewritten(self, url: str) -> str:
        for prefix, to in self._rewrites:
            if url.startswith(prefix) and url[len(prefix) : len(prefix) + 1] in ("", "/", "?"):
                return to + url[len(prefix) :]
        return url

    def _exchange(self, call: _Call) -> Response | Broken:
        headers = call.headers
        if call.auth and self._credentials:
            headers = headers | {k.lower(): v for k, v in self._credentials.headers().items()}
        with self.budget.acquire(call.address.path) as waited_s:
            began = self._monotonic()
            outcome = self._wire.exchange(call.method, call.address, headers, call.body)
            took_s = self._monotonic() - began
        reply, size = (outcome, 0) if isinstance(outcome, Broken) else outcome
        self._count(requests=1, bytes=size, waits_s=waited_s)
        self._tell("request", call, reply.status if isinstance(reply, Response) else 0, took_s, size)
        if self._read_limits and isinstance(reply, Response):
            for bucket, remaining, limit in self._read_limits(reply.headers):
                self.budget.note_remaining(bucket, remaining, limit)
        return reply

    def _redirected(self, call: _Call, location: str) -> _Call:
        address = call.address.moved(location)
        if address.origin() != call.address.origin():
            raise VendorError(
                f"sent us on to another host ({address.host}), which we do not follow",
                where=self._where(call.method, call.address),
                next_step="check base_url",
            )
        return replace(call, address=address)

    # -- after a failure --------------------------------------------------------------------------------------------
    def _read_fault(self, reply: Response | Broken) -> Fault:
        fault = reply.fault if isinstance(reply, Broken) else self._fault(reply.status, reply.headers, reply.data)
        return replace(fault, message=self.redact(fault.message))

    def _raise_if_final(self, call: _Call, fault: Fault, reply: Response | Broken) -> None:
        if fault.kind == "exhausted":
            self.budget.exhaust(call.address.path, fault.message)
        if stop := final(fault, reply, call.repeatable, self.account, self._where(call.method, call.address)):
            raise stop

    def _pause(self, call: _Call, fault: Fault, failures: int) -> None:
        """Sleep before the next attempt, if there is one. A throttled bucket rests as a whole."""
        where = self._where(call.method, call.address)
        if failures >= self._attempts:
            raise error(replace(fault, message=f"{fault.message} ({failures} attempts)"), 0, self.account, where)
        seconds = wait_s(fault, failures, self._rng)
        if fault.kind == "throttled":
            self.budget.pause(call.address.path, seconds)
        log.info("%s: %s; attempt %d in %.1f s", where, fault.message, failures + 1, seconds)
        self._count(retries=1, waits_s=seconds)
        self._tell("wait", call, 0, seconds, 0)
        self._sleep(seconds)

    def _renew(self, generation: int, call: _Call, fault: Fault) -> bool:
        """True when there is a token newer than `generation`. One thread fetches it, the others wait for it."""
        with self._renewing:
            if self._generation == generation:
                owner = self._credentials
                if owner is None or self._beyond_renewal == generation or not owner.renew(partial(self.send, auth=False, safe=True)):
                    self._beyond_renewal = generation
                    raise error(fault, 401, self.account, self._where(call.method, call.address))
                remember(*owner.secrets)
                self._generation += 1
                self._tell("renew", call, 0, 0.0, 0)
        return True

    # -- telling ----------------------------------------------------------------------------------------------------
    def _where(self, method: str, address: Address) -> str:
        return f"{self.account} {method} {self.redact(address.path)}"

    def _count(self, **more: float) -> None:
        with self._counting:
            for name, value in more.items():
                self._counts[name] += value

    def _tell(self, kind: Literal["request", "wait", "renew"], call: _Call, status: int, seconds: float, size: int) -> None:
        if kind == "request" and log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s, %d bytes, %.3f s", self._where(call.method, call.address), status or "broken", size, seconds)
        if self._on_event:
            path = self.redact(call.address.path)
            self._on_event(Event(kind, self.account, call.method, path, status, seconds, size))

    @staticmethod
    @contextmanager
    def _manner(*, expect: frozenset[int] | None = None, repeatable: bool | None = None) -> Iterator[None]:
        now = _manner.get()
        token = _manner.set(_Manner(now.expect if expect is None else expect, now.repeatable if repeatable is None else repeatable))
        try:
            yield
        finally:
            _manner.reset(token)
