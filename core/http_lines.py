"""Connections straight to one host, kept open between calls: HTTP/1.1 over a socket, replies taken apart by httptools.

urllib3's pool takes every URL apart again and quotes it character by character, and the standard library reads headers
as an e-mail's; for a page of a hundred records that cost more than all the rest of the call. No policy here, no proxies.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress

import httptools

KEPT = 16  # idle connections per host
_CHUNK = 65_536
_PORTS = {False: 80, True: 443}

Answer = tuple[int, dict[str, str], bytes]  # status, headers (names in lower case), the body as it came


class ConnectFailed(Exception):
    """No connection was made, so nothing was sent. The cause says why."""


class CutOff(OSError):
    """The reply ended early, or was none."""


class Lines:
    """The connections to one host, shared by threads; each call has one to itself."""

    def __init__(self, host: str, port: int | None, tls: ssl.SSLContext | None, timeout_s: tuple[float, float]) -> None:
        self._address = host, port or _PORTS[tls is not None]
        name = f"[{host}]" if ":" in host else host
        self._host = f"{name}:{port}" if port else name
        self._tls = tls
        self._connect_s, self._read_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The whole reply. Raises: ConnectFailed (nothing was sent), TimeoutError or OSError (something may have been)."""
        request = self._request(method, target, headers, body)
        line = self._take()
        try:
            with suppress(BrokenPipeError):  # the vendor hung up before it had read everything; its answer may say why
                line.sendall(request)
            reply = _Reply(method)
            reply.read(line)
        except BaseException:
            line.close()
            raise
        self._give(line, reply.reusable)
        return reply.status, reply.headers, b"".join(reply.parts)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        head = [f"{method} {target} HTTP/1.1", f"host: {self._host}", *(f"{name}: {value}" for name, value in headers.items())]
        if body is not None or method in ("POST", "PUT", "PATCH"):
            head.append(f"content-length: {len(body or b'')}")
        if any("\r" in line or "\n" in line for line in head):
            raise ValueError("a header must be one line")
        return "\r\n".join([*head, "\r\n"]).encode("latin-1") + (body or b"")

    def _take(self) -> socket.socket:
        """An idle connection the vendor has not closed meanwhile, else a new one."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                return self._new()
            if not _readable(line):
                return line
            line.close()

    def _give(self, line: socket.socket, reusable: bool) -> None:
        if reusable:
            with self._lock:
                if len(self._idle) < KEPT:
                    self._idle.append(line)
                    return
        line.close()

    def _new(self) -> socket.socket:
        line: socket.socket | None = None
        try:
            line = socket.create_connection(self._address, self._connect_s)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                line = self._tls.wrap_socket(line, server_hostname=self._address[0])
        except OSError as error:
            if line is not None:
                line.close()
            raise ConnectFailed from error
        line.settimeout(self._read_s)
        return line


class _Reply:
    """One reply being read. httptools calls the `on_…` methods."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self._complete = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.reusable = False

    def read(self, line: socket.socket) -> None:
        """Raises: CutOff when the vendor hangs up too early or talks no HTTP; TimeoutError, OSError."""
        while not self._complete:
            data = line.recv(_CHUNK)
            if not data and self._ends_with_the_connection():
                return
            if not data:
                raise CutOff("the connection was cut")
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                if not self._complete:  # what comes after a whole reply is nobody's
                    raise CutOff("the reply is not HTTP") from error
                self.reusable = False

    def _ends_with_the_connection(self) -> bool:
        told = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        return self.status != 0 and not told

    def on_message_begin(self) -> None:
        if self._complete:  # a second reply nobody asked for
            self.reusable = False
        else:
            self.headers, self.parts = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or status < 200:  # 100 Continue and the like: the reply itself is still to come
            return
        self.status = status
        self._complete = self._method == "HEAD"  # no body follows, whatever the headers say of its length

    def on_body(self, data: bytes) -> None:
        if not self._complete:
            self.parts.append(data)

    def on_message_complete(self) -> None:
        if self.status and not self._complete:
            self._complete, self.reusable = True, self._parser.should_keep_alive()


def _readable(line: socket.socket) -> bool:
    """An idle connection with something to read was closed by the other side."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([line], [], [], 0)[0])
    poll = select.poll()
    poll.register(line, select.POLLIN)
    return bool(poll.poll(0))
