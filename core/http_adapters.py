"""The transport in the clothes vendors' clients expect: a requests session, a urllib3 pool, a generated client's `request`.

Our errors pass through all three. No vendor is known here, only the libraries their clients are made with.
"""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import quote_plus, urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.filepost import encode_multipart_formdata

from core.errors import TundishError

if TYPE_CHECKING:
    from core.http import Response, Transport

P = ParamSpec("P")
T = TypeVar("T")


# -- requests -------------------------------------------------------------------------------------------------------
class TransportAdapter(HTTPAdapter):
    """Mounted on a session, it hands every request to the transport. Time-outs, proxies and `verify` are the transport's."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._transport = transport

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        headers = {k: v.decode("latin-1") if isinstance(v, bytes) else v for k, v in request.headers.items()}
        reply = self._transport.send(request.method or "GET", request.url or "", headers=headers, body=as_bytes(request.body))
        return _requests_response(request, reply)


def session(transport: Transport) -> requests.Session:
    """A requests session over the transport; it reads neither proxies nor netrc from the environment."""
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", TransportAdapter(transport))
    made.mount("http://", TransportAdapter(transport))
    return made


def as_bytes(body: Any) -> bytes | None:
    """A whole body, because a retry must be able to send it again."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return as_bytes(body.read())
    return b"".join(as_bytes(part) or b"" for part in body)


def _requests_response(request: requests.PreparedRequest, reply: Response) -> requests.Response:
    made = requests.Response()
    made.status_code = reply.status
    made.reason = http.client.responses.get(reply.status, "")
    made.headers = CaseInsensitiveDict(reply.headers)
    made.encoding = get_encoding_from_headers(made.headers)
    made.url = request.url or ""
    made.request = request
    made.raw = io.BytesIO(reply.data)
    made._content = reply.data
    made._content_consumed = True  # type: ignore[attr-defined]
    return made


# -- urllib3 --------------------------------------------------------------------------------------------------------
class PoolReply:
    """What generated clients read of a urllib3 response. `data` is the page as it came, not copied."""

    __slots__ = ("data", "headers", "reason", "status")

    def __init__(self, reply: Response) -> None:
        self.status = reply.status
        self.reason = http.client.responses.get(reply.status, "")
        self.headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(reply.headers)
        self.data = reply.data

    def getheaders(self) -> CaseInsensitiveDict[str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)

    def read(self, *_: Any, **__: Any) -> bytes:
        return self.data

    def close(self) -> None:
        """Nothing is held."""

    release_conn = close


class Pool:
    """Stands in for a PoolManager: `api.api_client.rest_client.pool_manager = transport.urllib3_pool()`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        encode_multipart: bool = True,
        **_: Any,  # preload_content, timeout, retries: the transport decides
    ) -> PoolReply:
        sent = dict(headers or {})
        if fields and method.upper() in ("GET", "HEAD", "DELETE", "OPTIONS"):
            url = f"{url}{'&' if '?' in url else '?'}{_query(fields)}"
        elif fields and encode_multipart:
            body, sent["Content-Type"] = encode_multipart_formdata(fields)
        elif fields:
            body = urlencode(fields)
        return PoolReply(self._transport.send(method, url, headers=sent, body=as_bytes(body)))


def _query(fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """`urlencode`, but the long list of columns that every page's query repeats is quoted once."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return "&".join(f"{_quoted(str(name))}={_quoted(value if isinstance(value, bytes) else str(value))}" for name, value in pairs)


_quoted = lru_cache(maxsize=64)(quote_plus)


# -- swagger-generated clients on module-level requests -------------------------------------------------------------
class RawReply:
    """A reply a generated client hands on untouched, because it names no content type. `content` is the page as it came."""

    __slots__ = ("content", "headers", "ok", "status_code")

    def __init__(self, reply: Response) -> None:
        self.status_code = reply.status
        self.content = reply.data
        self.headers: dict[str, str] = {}
        self.ok = reply.status < 400


def swagger_request(transport: Transport) -> Callable[..., RawReply]:
    """A replacement for `ApiClient.request` of clients that call `requests.get(...)` themselves.

    Every API method of such a client then returns a `RawReply`: no JSON is decoded and no failure is hidden. Use with
    `unwrapped`, on the one instance::

        client.api_client.request = swagger_request(transport)
        client.api_client.call_api = unwrapped(client.api_client.call_api)
    """

    def request(
        method: str,
        url: str,
        query_params: Iterable[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> RawReply:
        if query_params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(list(query_params), doseq=True)}"
        return RawReply(transport.send(method, url, headers=headers, body=None if body is None else json.dumps(body).encode()))

    return request


def unwrapped(call: Callable[P, T]) -> Callable[P, T]:
    """The same function, but when a client wrapped one of our errors in its own, ours comes out."""

    @wraps(call)
    def calling(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except TundishError:
            raise
        except Exception as error:
            if ours := _ours_inside(error):
                raise ours from None
            raise

    return calling


def _ours_inside(error: BaseException | None) -> TundishError | None:
    while error is not None:
        if isinstance(error, TundishError):
            return error
        error = error.__cause__ or error.__context__
    return None
