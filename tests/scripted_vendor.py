"""A vendor on 127.0.0.1 that gives the answers a test wrote down, and keeps what it was asked."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.connector import Bucket, Fault
from core.http import Response, Transport


@dataclass
class Answer:
    """`cut` hangs up in the middle of the body, `silent` never answers, `drop` hangs up before the status line."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False
    drop: bool = False
    zipped: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int = 0  # of the caller: says which connection it was


class Vendor:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.url = ""
        self.lock = threading.Lock()
        self.by_token: dict[str, Answer] = {}  # authorization header -> standing answer

    def next(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            standing = self.by_token.get(asked.headers.get("authorization", ""))
            return standing or (self.answers.pop(0) if self.answers else Answer())


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body, self.client_address[1])
            answer = vendor.next(asked)
            if answer.silent:
                vendor.ended.wait(10)
            if answer.silent or answer.drop:
                self.close_connection = True
                return
            data = gzip.compress(answer.body) if answer.zipped else answer.body
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(data)), **answer.headers}.items():
                if value:
                    self.send_header(name, value)
            if answer.zipped:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if answer.cut else data)
            self.close_connection = self.close_connection or answer.cut or answer.headers.get("Content-Length") == ""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = answer

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@contextmanager
def serve(*answers: Answer) -> Iterator[Vendor]:
    vendor = Vendor(*answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(vendor))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    vendor.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vendor
    finally:
        vendor.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


KINDS = {401: "unauthorised", 403: "forbidden", 404: "missing", 419: "expired", 429: "throttled", 460: "exhausted"}


def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """An invented vendor: its kinds by status, its sentence is its body."""
    kind = KINDS.get(status, "transient" if status >= 500 else "refused")
    after = headers.get("retry-after")
    return Fault(kind, f"CODE_{status}", body.decode() or "it said nothing", float(after) if after else None)  # type: ignore[arg-type]


class Token:
    """Credentials whose renewal turns token 1 into token 2 and so on."""

    def __init__(self, number: int = 1, renewable: bool = True) -> None:
        self.number = number
        self.renewable = renewable
        self.renewals = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer secret-token-{self.number}"}

    def renew(self, send: Any) -> bool:
        self.renewals += 1
        if self.renewable:
            reply: Response = send("POST", self.token_url, body=b"grant_type=refresh_token")
            assert reply.status == 200
            self.number += 1
        return self.renewable

    token_url = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (f"secret-token-{self.number}",)


def transport(watch: Watch | None = None, **options: Any) -> Transport:
    watch = watch or Watch()
    settings: dict[str, Any] = {
        "buckets": (Bucket("all", 1000, 10),),
        "fault": fault,
        "sleep": watch.sleep,
        "monotonic": watch.monotonic,
        "rng": lambda: 1.0,
        "timeout_s": (1, 5),
    }
    return Transport("acme", **{**settings, **options})
