"""What all emulators share: routes over loopback HTTP, a clock that can be moved, faults on demand, a control door.

An emulator is plain state and plain functions; uvicorn runs them one at a time in one thread, so no locks. The
control door `/_sandbox/...` is ours, not the vendor's: tests and users change the clock, the faults and the data there.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Seconds since the epoch: the machine's, plus an offset; or standing still at a given instant."""

    def __init__(self, at: float | None = None) -> None:
        self._frozen = at
        self._offset = 0.0

    def now(self) -> float:
        return (time.time() if self._frozen is None else self._frozen) + self._offset

    def utc(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        self._offset += seconds


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    params: Mapping[str, str] = field(default_factory=dict)

    def q(self, name: str, default: str | None = None) -> str | None:
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        return orjson.loads(self.body or b"null")


@dataclass
class Reply:
    """A response. `body` may be bytes (sent as they are) or data (sent as JSON). `cut_at` sends so many bytes, then hangs up."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=utf-8"
    cut_at: int | None = None

    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


Handler = Callable[[Request], Reply]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: str  # "/crm/v3/objects/{type}/{id}"; a name ending in "path" takes slashes
    handler: Handler

    def regex(self) -> re.Pattern[str]:
        parts = re.split(r"(\{\w+\})", self.pattern)
        names = [f"(?P<{p[1:-1]}>{'.+' if p[1:-1].endswith('path') else '[^/]+'})" if p.startswith("{") else re.escape(p) for p in parts]
        return re.compile("".join(names) + r"/?$")


FAULT_KINDS = ("throttle", "error", "cut", "slow", "expire", "lag", "move")


@dataclass
class Fault:
    """Something that goes wrong on purpose for the next `times` requests whose path matches.

    kinds: throttle (the vendor's own 429/403 body, with Retry-After if `retry_after` is set), error (status `status`,
    no JSON), cut (hang up mid-body), slow (`seconds` before the answer), expire (the token is expired now), lag (search
    index `seconds` behind), move (rows move between pages). `after` requests pass first. times=-1: for ever.
    A sandbox gives a copy to the emulator of `vendor`, or to each: it is counted per vendor.
    """

    kind: str
    match: str = ""
    times: int = 1
    after: int = 0
    status: int = 503
    seconds: float = 0.2
    retry_after: str | None = None
    vendor: str = ""

    def take(self, path: str) -> bool:
        if self.times == 0 or not re.search(self.match, path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times > 0:
            self.times -= 1
        return True


class Emulator:
    """Base of one vendor's emulator. Subclasses set `name`, fill `routes()` and say how they throttle and refuse.

    Hooks: `authorise(request)` → Reply to refuse, or None; `throttled(retry_after)` → the vendor's own refusal;
    `limit(request)` → Reply when one of the vendor's limits is passed; `expire_tokens()`; `decorate(request, reply)`.
    `edits` are named functions the control door may call: POST /_sandbox/edit/{name} with a JSON object of arguments.
    """

    name = "vendor"
    keys: ClassVar[Mapping[str, str]] = {}  # secret settings → what opens the emulator; they open nothing else
    ways: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # other ways to sign in than `secrets`: what each is called → its settings
    address = "base_url"  # the setting that says where it is
    wired = True  # False: it shows itself without a port (`place`), such as a folder

    def __init__(self, seed: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.log: deque[tuple[str, str, int]] = deque(maxlen=20_000)  # method, path, status
        self.edits: dict[str, Callable[..., Any]] = {}
        self._table: list[tuple[str, re.Pattern[str], Handler]] = []
        if seed is not None:
            self.load(seed)

    # -- what a vendor fills in ------------------------------------------------------------------------------------
    def load(self, seed: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def routes(self) -> Sequence[Route]:
        raise NotImplementedError

    def authorise(self, request: Request) -> Reply | None:
        return None

    def limit(self, request: Request) -> Reply | None:
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        headers = {"Retry-After": retry_after} if retry_after else {}
        return Reply({"error": "too many requests"}, 429, headers)

    def not_found(self, request: Request) -> Reply:
        return Reply({"error": "not found"}, 404)

    def expire_tokens(self) -> None:
        """All tokens given so far are expired from now on."""

    def decorate(self, request: Request, reply: Reply) -> Reply:
        return reply

    # -- the machine ------------------------------------------------------------------------------------------------
    def handle(self, request: Request) -> tuple[Reply, float]:
        """The answer to one request, and for how many seconds to hold it back."""
        delay = 0.0
        if request.path.startswith("/_sandbox/"):
            return self._control(request), 0.0
        cut = False
        for fault in self.faults:
            if fault.kind in ("lag", "move") or not fault.take(request.path):
                continue
            if fault.kind == "throttle":
                return self._done(request, self.throttled(fault.retry_after)), 0.0
            if fault.kind == "error":
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                return self._done(request, Reply(b"<html>upstream error</html>", fault.status, headers, "text/html")), 0.0
            if fault.kind == "expire":
                self.expire_tokens()
            if fault.kind == "slow":
                delay = fault.seconds
            cut = cut or fault.kind == "cut"
        reply = self.authorise(request) or self.limit(request) or self._route(request)
        reply = self.decorate(request, reply)
        if cut:
            reply.cut_at = max(1, len(reply.payload()) // 2)
        return self._done(request, reply), delay

    def _route(self, request: Request) -> Reply:
        if not self._table:
            self._table = [(r.method, r.regex(), r.handler) for r in self.routes()]
        for method, regex, handler in self._table:
            if method == request.method and (m := regex.match(request.path)):
                return handler(Request(request.method, request.path, request.query, request.headers, request.body, m.groupdict()))
        return self.not_found(request)

    def _done(self, request: Request, reply: Reply) -> Reply:
        self.calls[f"{request.method} {request.path}"] += 1
        self.log.append((request.method, request.path, reply.status))
        return reply

    def _control(self, request: Request) -> Reply:
        what = request.path.removeprefix("/_sandbox/")
        args = request.json() or {}
        if what == "fault":
            self.faults.append(Fault(**args))
            return Reply({"faults": len(self.faults)})
        if what == "calm":
            self.faults.clear()
            return Reply({"faults": 0})
        if what == "clock":
            self.clock.advance(float(args["advance"]))
            return Reply({"now": self.clock.utc().isoformat()})
        if what == "calls":
            return Reply({"calls": dict(self.calls), "log": list(self.log)})
        if what.startswith("edit/") and (edit := self.edits.get(what.removeprefix("edit/"))):
            return Reply({"result": edit(**args)})
        if what == "dump":
            return Reply(self.dump())
        return Reply({"error": f"no such control: {what}", "edits": sorted(self.edits)}, 404)

    # -- what the sandbox and the tour ask -----------------------------------------------------------------------------
    @classmethod
    def secrets(cls, url: str) -> Mapping[str, str]:
        """The secret settings of an account at this address."""
        return cls.keys

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        """The other settings of an account at this address."""
        return {cls.address: url}

    def place(self) -> str:
        """The address of an emulator without a port."""
        raise NotImplementedError

    def rows(self) -> Mapping[str, int]:
        """How many rows a whole read of each resource brings; resources that the truth knows better are left out."""
        return {}

    def change_rows(self, turn: int) -> set[str]:
        """Change a few rows as the vendor's own user would, others each turn, so that a mapping sees it; the resources they are of.

        Only asked of vendors whose records the connector cannot write.
        """
        raise NotImplementedError

    def visitor(self) -> str:
        """The id of a visitor the vendor knows. Only asked of vendors that take events."""
        raise NotImplementedError

    def heard(self, visitor: str, event: str) -> int:
        """How often the vendor counts this event of this visitor. Only asked of vendors that take events."""
        raise NotImplementedError

    def dump(self) -> Any:
        """Everything a test may compare: the vendor's whole state as JSON-able data."""
        raise NotImplementedError


def parse_faults(text: str) -> Fault:
    """`throttle,match=search,times=5,retry_after=1` → a Fault (the form of `tundish sandbox --fault`)."""
    kind, *rest = text.split(",")
    if kind not in FAULT_KINDS:
        raise ValueError(f"no kind {kind!r}; known: {', '.join(FAULT_KINDS)}")
    values: dict[str, Any] = dict(part.partition("=")[::2] for part in rest)
    if unknown := set(values) - {f.name for f in fields(Fault)} - {"kind"}:
        raise ValueError(f"{text!r}: no option {min(unknown)!r}")
    try:
        re.compile(values.get("match", ""))
    except re.error as problem:
        raise ValueError(f"match={values['match']!r} is no regular expression: {problem}") from problem
    for key, cast in (("times", int), ("after", int), ("status", int), ("seconds", float)):
        if key in values:
            values[key] = cast(values[key])
    return Fault(kind, **values)


def asgi(emulator: Emulator) -> Callable[..., Any]:
    """The emulator as an ASGI application."""

    async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return
        chunks: list[bytes] = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        headers = {k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]}
        request = Request(
            scope["method"],
            unquote(scope["path"]),
            parse_qs(scope["query_string"].decode(), keep_blank_values=True),
            headers,
            b"".join(chunks),
        )
        reply, delay = emulator.handle(request)
        if delay:
            await asyncio.sleep(delay)
        body = reply.payload()
        out = {"content-type": reply.content_type, **{k.lower(): v for k, v in reply.headers.items()}}
        if "gzip" in headers.get("accept-encoding", "") and len(body) > 1024 and "content-encoding" not in out:
            body = gzip.compress(body, 1)
            out["content-encoding"] = "gzip"
        if reply.status in (204, 304):
            body = b""
        out["content-length"] = str(len(body))
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": [(k.encode(), v.encode("latin-1")) for k, v in out.items()]}
        )
        await send({"type": "http.response.body", "body": body if reply.cut_at is None else body[: min(reply.cut_at, len(body) // 2)]})

    return app


@contextmanager
def serve(emulators: Sequence[Emulator], *, host: str = "127.0.0.1", ports: Sequence[int] = ()) -> Iterator[dict[str, str]]:
    """Serve each wired emulator on a port of its own (free ones unless given); yields {name: address}."""
    import uvicorn

    servers: list[uvicorn.Server] = []
    threads: list[threading.Thread] = []
    urls: dict[str, str] = {}
    for emulator in emulators:
        if not emulator.wired:
            urls[emulator.name] = emulator.place()
    for i, emulator in enumerate(e for e in emulators if e.wired):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on: 40 ms a call
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, ports[i] if i < len(ports) else 0))
        urls[emulator.name] = f"http://{host}:{sock.getsockname()[1]}"
        config = uvicorn.Config(asgi(emulator), log_level="critical", access_log=False, lifespan="off", timeout_keep_alive=600)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        servers.append(server)
        threads.append(thread)
    while not all(s.started for s in servers):
        time.sleep(0.005)
    try:
        yield urls
    finally:
        for server in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(timeout=5)


def control(base_url: str, what: str, **args: Any) -> Any:
    """Call the control door of a served emulator from another process."""
    from urllib.request import Request as Call
    from urllib.request import urlopen

    call = Call(f"{base_url}/_sandbox/{what}", data=json.dumps(args).encode(), method="POST")
    with urlopen(call, timeout=30) as answer:
        return json.load(answer)
