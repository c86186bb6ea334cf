"""An open ActiveCampaign account: requests over our transport, and what its many kinds of refusal mean.

There is no client worth having: addresses and bodies are few, so they are written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from core.connector import Fault
from core.errors import CredentialsError, UserError, VendorError, VendorUnavailable
from core.http_credentials import FixedKey

if TYPE_CHECKING:
    from core.http import Transport

LIMIT, UNASKED = 100, 20  # rows a page at most, and unless asked. Source: …/reference/pagination, read 2026-11-20
EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
NOT_ALLOWED = "ActiveCampaign refuses the key, or what its user may see"
IMPORT_WAIT_S = 60.0  # a hundred bulk imports a minute; the refusal is a 400 that says to come back in a minute
_NO_DATE = re.compile(rb'"0000-00-00(?: 00:00:00)?"')
Query = Sequence[tuple[str, str]]
Row = dict[str, Any]


@dataclass
class Session:
    """An open account. `moves` says how deal activities tell a stage move: (dataType, key of the new stage, key of the old).

    `emails` and `deals` are what was last read by id; `works` that the key was accepted once.
    """

    base: str
    transport: Transport
    bulk_from: int
    moves: tuple[str, str, str] | None
    works: bool = False
    emails: dict[str, str] = field(default_factory=dict)
    deals: dict[str, Row] = field(default_factory=dict)
    carried: dict[str, dict[str, str]] = field(default_factory=dict)  # contact → tag name → id of the contactTag

    def raw(self, method: str, path: str, query: Query = (), body: Any = None, **how: Any) -> bytes:
        """The answer's bytes. Raises: CredentialsError when the key was never accepted; VendorError."""
        url = f"{self.base}/{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        sent = orjson.dumps(body) if body is not None else None
        try:
            reply = self.transport.send(method, url, headers=headers, body=sent, **how)
        except VendorUnavailable as problem:
            if not problem.message.startswith(NOT_ALLOWED):
                raise
            raise self._refusal(problem) from problem
        self.works = True
        return b"" if reply.status == 404 else reply.data

    def _refusal(self, problem: VendorUnavailable) -> CredentialsError | VendorError:
        """A 403 is a wrong key, or a right one whose user may not see this, or a mood: repeated 403s are not the last."""
        if self.works or self.transport.send("GET", f"{self.base}/users/me", expect=(403,)).status != 403:
            step = "give the user's group the permission, or leave the resource out"
            text = "the user this key belongs to may not use this part of ActiveCampaign"
            return VendorError(text, where=problem.where, next_step=step, status=403, code="forbidden")
        return CredentialsError(
            "ActiveCampaign does not accept the setting api_token (or base_url is another account's)",
            where=problem.where, next_step="copy both from ActiveCampaign: Settings → Developer",
        )  # fmt: skip

    def get(self, path: str, query: Query = ()) -> Row:
        """A decoded answer; {} when the record is gone (404) or the body empty, which happens."""
        return orjson.loads(self.raw("GET", path, query, expect=(404,)) or b"{}")  # type: ignore[no-any-return]

    def send(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        return orjson.loads(self.raw(method, path, body=body, **how) or b"{}")

    def page(self, path: str, name: str, query: Query) -> Listed:
        """One page of a list, with "0000-00-00" as the null it means."""
        body = _NO_DATE.sub(b"null", self.raw("GET", path, query))
        if not body.strip():
            return Listed(orjson.dumps({name: []}), {name: []}, [], None, nothing=True)
        said = orjson.loads(body)
        return Listed(body, said, said.get(name) or [], _total(said), nothing=name not in said)

    def every(self, path: str, name: str, query: Query = ()) -> Iterator[Row]:
        """All rows of a short list."""
        for listed, _, _ in self.offsets(path, name, query):
            yield from listed.rows

    def offsets(self, path: str, name: str, query: Query = (), offset: int = 0) -> Iterator[tuple[Listed, int, bool]]:
        """(page, offset of the next, is it the last) of a list; steps back when rows in front of the page have left.

        A page shorter than asked is no end where there is a total: rows may be hidden. Lists without one end with a page that
        is short even for an address that does not hear `limit`.
        """
        before = 0
        while True:
            listed = self.page(path, name, [*query, ("limit", str(LIMIT)), ("offset", str(offset))])
            size, total, lost = len(listed.rows), listed.total, 0
            if total is not None:
                lost, before = max(0, before - total), total
            last = size == 0 or (size < UNASKED if total is None else not lost and offset + size >= total)
            offset = max(0, offset - lost) if lost else offset + size
            yield listed, offset, last
            if last:
                return


@dataclass(frozen=True)
class Listed:
    """A page: its bytes, the same decoded, its rows and the vendor's count. `nothing`: it says less than an empty list."""

    body: bytes
    said: Row
    rows: list[Row]
    total: int | None
    nothing: bool = False


def _total(said: Row) -> int | None:
    """Text in most lists, a number in some, absent in others."""
    meta = said.get("meta")
    total = str(meta.get("total", "")) if isinstance(meta, dict) else ""
    return int(total) if total.isdecimal() else None


def open_session(settings: Mapping[str, str], transport: Transport) -> Session:
    """Raises: UserError for a setting that cannot be."""
    transport.credentials = FixedKey("Api-Token", settings["api_token"].strip())
    base = settings["base_url"].strip().rstrip("/").removesuffix("/api/3")
    told = settings.get("stage_moves", "").strip()
    moves = tuple(told.split(":"))
    if told and len(moves) != 3:
        raise UserError(f"stage_moves is {told!r}", next_step="write dataType:new:old, such as stage:dataId:dataOldval, or nothing")
    return Session(f"{base}/api/3", transport, int(settings.get("bulk_from") or 10), moves if told else None)  # type: ignore[arg-type]


# -- refusals ---------------------------------------------------------------------------------------------------------
def fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """ActiveCampaign's refusal in our words. Any 403 may pass: the vendor gives them to good keys now and then.

    Source: https://developers.activecampaign.com/reference/errors and …/rate-limits, read 2026-11-20
    """
    said = _json(body)
    text = EMAIL.sub("the address", "; ".join(_texts(said)))[:300]
    message = f"ActiveCampaign says: {text}" if text else f"ActiveCampaign answered {status} without an explanation"
    wait = headers.get("retry-after", "")
    if status == 429:
        return Fault("throttled", "429", "ActiveCampaign takes five requests a second for the whole account", _seconds(wait))
    if status == 400 and "rate limit exceeded" in text.lower():
        return Fault("throttled", "imports", "ActiveCampaign takes a hundred bulk imports a minute", IMPORT_WAIT_S)
    if status == 404 or (status == 403 and "no result found" in text.lower()):
        return Fault("missing", "missing", message)
    if status in (401, 403):
        return Fault("transient", str(status), NOT_ALLOWED)
    if status >= 500 or status == 408:
        return Fault("transient", str(status), message, _seconds(wait))
    return Fault("refused", _code(said) or str(status), message)


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return {}


def _texts(said: Any) -> Iterator[str]:
    """What is said in any of the shapes: message, errors as text, as texts, as objects, reasons of a failed import."""
    if not isinstance(said, dict):
        return
    if said.get("message"):
        yield str(said["message"])
    for error in _listed(said.get("errors")):
        if isinstance(error, dict):
            where = str((error.get("source") or {}).get("pointer", "")).rpartition("/")[2]
            words = [str(error[name]) for name in ("title", "detail") if error.get(name)]
            yield ": ".join(filter(None, [where, ", ".join(words)]))
        else:
            yield str(error)
    for reason in _listed(said.get("failureReasons")):
        yield str(reason.get("failureReason", "")) if isinstance(reason, dict) else str(reason)


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _code(said: Any) -> str:
    errors = _listed(said.get("errors")) if isinstance(said, dict) else ()
    return next((str(e["code"]) for e in errors if isinstance(e, dict) and e.get("code")), "")


def read_limits(headers: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    left, most = headers.get("ratelimit-remaining", ""), headers.get("ratelimit-limit", "")
    if left.isdecimal() and most.isdecimal():
        yield "account", int(left), int(most)
