"""Connections straight to one host, kept open between calls: the standard library's, with nothing around them.

A pool of urllib3 takes every URL apart again and quotes it character by character; with the names of thirty columns in
it that, and its reply objects, cost more than all the rest of a call. No policy here, and no proxies.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress

KEPT = 16  # idle connections per host

Answer = tuple[int, dict[str, str], bytes]  # status, headers (names in lower case), the body as it came


class ConnectFailed(Exception):
    """No connection was made, so nothing was sent. The cause says why."""


class Lines:
    """The connections to one host, shared by threads; each call has one to itself."""

    def __init__(self, host: str, port: int | None, tls: ssl.SSLContext | None, timeout_s: tuple[float, float]) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._connect_s, self._read_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The whole reply. Raises: ConnectFailed (nothing was sent), TimeoutError, OSError or HTTPException (something was)."""
        line = self._take()
        try:
            with suppress(BrokenPipeError):  # the vendor hung up before it had read everything; its answer may say why
                line.request(method, target, body, headers)
            reply = line.getresponse()
            data = reply.read()
        except BaseException:
            line.close()
            raise
        self._give(line)
        return reply.status, _merged(reply.headers), data

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _take(self) -> http.client.HTTPConnection:
        """An idle connection the vendor has not closed meanwhile, else a new one."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                return self._new()
            if line.sock is not None and not _readable(line.sock):
                return line
            line.close()

    def _give(self, line: http.client.HTTPConnection) -> None:
        if line.sock is None:  # the vendor closes after every answer
            return
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append(line)
                return
        line.close()

    def _new(self) -> http.client.HTTPConnection:
        if self._tls is None:
            line = http.client.HTTPConnection(self._host, self._port, timeout=self._connect_s)
        else:
            line = http.client.HTTPSConnection(self._host, self._port, timeout=self._connect_s, context=self._tls)
        try:
            line.connect()
        except OSError as error:
            line.close()
            raise ConnectFailed from error
        line.sock.settimeout(self._read_s)
        return line


def _readable(sock: socket.socket) -> bool:
    """An idle connection with something to read was closed by the other side."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _merged(headers: http.client.HTTPMessage) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
