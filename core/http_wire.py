"""One exchange on the wire: where a URL leads, a reply's bytes, and what a broken connection means.

No policy here: nothing is retried, counted or logged. Plain http is for loopback hosts only, and TLS is always verified.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

import certifi
import urllib3
from isal import isal_zlib  # zlib's interface, thrice as fast; a tenth of an unchanged read's work was zlib's
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError
from urllib3.exceptions import TimeoutError as WireTimeout

from core.connector import Fault
from core.errors import UserError
from core.http_lines import KEPT, Answer, ConnectFailed, Lines

_UNSENDABLE = re.compile(r"[^!-~]+")  # in a request line; a client that quotes nothing must not break it


@dataclass(frozen=True, slots=True)
class Response:
    """A reply the caller can use. Header names are in lower case; `data` is decoded (never gzip)."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes. `target` is path and query as sent, `path` the part that may be logged."""

    scheme: str
    host: str
    port: int | None
    target: str
    path: str

    def origin(self) -> tuple[str, str, int | None]:
        return self.scheme, self.host, self.port

    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}{self.target}"

    def moved(self, location: str) -> Address:
        return locate(urljoin(self.url(), location))


@lru_cache(maxsize=256)
def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def locate(url: str) -> Address:
    """Take a URL apart. Raises: UserError for anything but https, or http to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(host)):
        raise UserError(
            f"will not send to {parts.scheme or '?'}://{host or '?'}: only https leaves this machine",
            next_step="correct base_url; plain http is for the sandbox on 127.0.0.1",
        )
    path = parts.path or "/"
    target = _UNSENDABLE.sub(lambda found: quote(found[0]), f"{path}?{parts.query}" if parts.query else path)
    return Address(parts.scheme, host, parts.port, target, path)


@dataclass(frozen=True, slots=True)
class Broken:
    """No usable reply came. `sent`: the vendor may have acted on the request."""

    fault: Fault
    sent: bool
    final: bool = False


class Damaged(Exception):
    """A compressed body that cannot be unpacked."""


class Wire:
    """Connections of one account, kept open and shared by its threads: straight to the vendor, or through a proxy."""

    def __init__(self, timeout_s: tuple[float, float], proxy_url: str | None = None, ca_bundle: str | None = None) -> None:
        self.timeout_s = timeout_s
        self._ca_bundle = ca_bundle
        self._proxied = urllib3.ProxyManager(proxy_url, num_pools=8, maxsize=KEPT, retries=False) if proxy_url else None
        self._lines: dict[tuple[str, str, int | None], Lines] = {}
        self._lock = threading.Lock()

    def exchange(self, method: str, address: Address, headers: Mapping[str, str], body: bytes | None) -> tuple[Response, int] | Broken:
        """The reply and how many bytes it took on the wire; or how it broke."""
        try:
            if self._proxied is None or _loopback(address.host):
                status, found, data = self._straight(address).exchange(method, address.target, headers, body)
            else:
                status, found, data = self._through_proxy(method, address, headers, body)
            encoding = found.get("content-encoding")
            return Response(status, found, _decoded(data, encoding) if encoding and data else data), len(data)
        except (ConnectFailed, HTTPError, OSError, Damaged) as error:
            return _broken(error, address, self.timeout_s)

    def close(self) -> None:
        for lines in self._lines.values():
            lines.close()
        self._lines.clear()
        if self._proxied:
            self._proxied.clear()

    def _straight(self, address: Address) -> Lines:
        lines = self._lines.get(address.origin())
        if lines is None:
            with self._lock:
                tls = _tls(self._ca_bundle) if address.scheme == "https" else None
                lines = self._lines.setdefault(address.origin(), Lines(address.host, address.port, tls, self.timeout_s))
        return lines

    def _through_proxy(self, method: str, address: Address, headers: Mapping[str, str], body: bytes | None) -> Answer:
        assert self._proxied is not None
        pool = self._proxied.connection_from_host(
            address.host, address.port, address.scheme, pool_kwargs={"ssl_context": _tls(self._ca_bundle)}
        )
        raw = pool.urlopen(
            method,
            address.target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=self.timeout_s[0], read=self.timeout_s[1]),
            decode_content=False,
        )
        return raw.status, {k.lower(): v for k, v in raw.headers.items()}, raw.data


@lru_cache(maxsize=4)
def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    """The system's authorities and certifi's, or only the given bundle. Made on the first https call: it takes 20 ms."""
    context = ssl.create_default_context(cafile=ca_bundle)
    if ca_bundle is None:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _decoded(data: bytes, encoding: str) -> bytes:
    """Raises: Damaged when the stream is, or ends early (a cut body without a length looks whole otherwise)."""
    if encoding.lower() in ("identity", ""):
        return data
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise Damaged(f"content-encoding {encoding} was not asked for")
    parts = []
    while data:
        stream = isal_zlib.decompressobj(31)
        try:
            parts.append(stream.decompress(data))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub says it is an instance
            raise Damaged("the compressed body cannot be read") from error
        if not stream.eof:
            raise Damaged("the compressed body ends early")
        data = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _broken(error: Exception, address: Address, timeout_s: tuple[float, float]) -> Broken:
    """Say what went wrong, but not in the library's words: they may hold the URL's query."""
    transient = Fault("transient", "cut", f"the connection to {address.host} was cut before the whole answer came")
    if isinstance(error, Damaged):
        return Broken(replace(transient, code="encoding", message=f"{address.host} sent a damaged compressed answer"), sent=True)
    if isinstance(error, ConnectFailed | ConnectTimeoutError | NewConnectionError | ProxyError) or _refused_certificate(error):
        return _unconnected(error.__cause__ if isinstance(error, ConnectFailed) else error, transient, address, timeout_s[0])
    if isinstance(error, TimeoutError | WireTimeout):
        return Broken(replace(transient, code="timeout", message=f"{address.host} did not answer in {timeout_s[1]:g} s"), sent=True)
    return Broken(transient, sent=True)


def _unconnected(error: BaseException | None, transient: Fault, address: Address, timeout_s: float) -> Broken:
    if _refused_certificate(error):
        message = f"the certificate of {address.host} cannot be verified (a proxy between? give its authority as ca_bundle)"
        return Broken(replace(transient, code="certificate", message=message), sent=False, final=True)
    slow = isinstance(error, TimeoutError | ConnectTimeoutError) and not isinstance(error, NewConnectionError)
    message = f"{address.host} did not take the call in {timeout_s:g} s" if slow else f"cannot connect to {address.host}"
    return Broken(replace(transient, code="connect", message=message), sent=False)


def _refused_certificate(error: BaseException | None) -> bool:
    return isinstance(error, ssl.SSLError | SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
