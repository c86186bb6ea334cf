"""How ActiveCampaign's API v3 speaks: texts for numbers, the account's clock, many shapes of refusal, pages. No state in here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.kit import Reply, Request

ZONE = ZoneInfo("America/Chicago")  # the account's: times carry its offset, which moves with daylight saving
DEFAULT_LIMIT, MAX_LIMIT = 20, 100  # Source: https://developers.activecampaign.com/reference/pagination
NO_DAY, NO_TIME = "0000-00-00", "0000-00-00 00:00:00"
Row = dict[str, Any]


class Refusal(Exception):
    """The vendor says no. Raised deep inside, answered with a body of whatever shape that endpoint has."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body

    def reply(self) -> Reply:
        return Reply(self.body, self.status)


def no_result(model: str, key: str, status: int = 404) -> Refusal:
    """The vendor's inner names leak: Subscriber is a contact. A few objects that are missing answer 403 instead."""
    return Refusal(status, {"message": f"No Result found for {model} with id {key}"})


def invalid(title: str, code: str, pointer: str) -> Refusal:
    error = {"title": title, "detail": "", "code": code, "source": {"pointer": f"/data/attributes/{pointer}"}}
    return Refusal(422, {"errors": [error]})


def missing_attribute(pointer: str) -> Refusal:
    error = {"status": 422, "title": "Missing attribute", "source": {"pointer": f"/data/attributes/{pointer}"}}
    return Refusal(422, {"errors": [error]})


# -- times ------------------------------------------------------------------------------------------------------------
def epoch(when: str | None) -> int:
    """Seconds since 1970 of a seed's ISO instant; 0 for none."""
    return int(datetime.fromisoformat(when).timestamp()) if when else 0


@lru_cache(maxsize=65_536)
def stamp(at: int) -> str | None:
    """With the account's offset: "2026-06-01T07:00:00-05:00"."""
    return datetime.fromtimestamp(at, ZONE).isoformat() if at else None


@lru_cache(maxsize=65_536)
def naive(at: int) -> str:
    """The same clock without an offset, as the …_timestamp fields have it (those named utc too)."""
    return datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d %H:%M:%S") if at else NO_TIME


def asked_time(text: str | None) -> float | None:
    """A date of a filter; without an offset it is the account's clock. What is no date filters nothing, without a word."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).astimezone(UTC).timestamp()


# -- lists ------------------------------------------------------------------------------------------------------------
def number(request: Request, name: str, default: int) -> int:
    text = request.q(name) or ""
    return int(text) if text.isdecimal() else default


def cut(request: Request, rows: Sequence[Any], default: int = DEFAULT_LIMIT) -> Sequence[Any]:
    """The asked page: twenty rows unless told, never more than a hundred, and no word about it."""
    offset, limit = number(request, "offset", 0), min(number(request, "limit", default), MAX_LIMIT)
    return rows[offset : offset + limit]


def kept(request: Request, rows: Iterable[Row], columns: dict[str, str]) -> list[Row]:
    """Rows that pass `filters[name]=`, for the names of `columns` (name → column); other filters are ignored silently."""
    wanted = {column: value for name, column in columns.items() if (value := request.q(f"filters[{name}]")) is not None}
    return [row for row in rows if all(str(row[column]) == value for column, value in wanted.items())]


def directions(request: Request) -> list[tuple[str, bool]]:
    """(field, descending) of every `orders[…]`, in the order of the address."""
    found = []
    for name, values in request.query.items():
        if match := re.fullmatch(r"orders\[([\w-]+)\]", name):
            if values[0].upper() not in ("ASC", "DESC"):
                raise Refusal(422, {"errors": [{"title": "Invalid order direction", "status": 422}]})
            found.append((match[1], values[0].upper() == "DESC"))
    return found


def ordered(request: Request, rows: list[Row], columns: dict[str, str]) -> list[Row]:
    for name, descending in reversed(directions(request)):
        if name in columns:
            rows = sorted(rows, key=lambda row: row[columns[name]], reverse=descending)
    return rows


def page(request: Request, name: str, rows: Sequence[Row], *, total: bool = True, default: int = DEFAULT_LIMIT, **more: Any) -> Reply:
    """A plural key and, mostly, `meta` with the total as text."""
    meta = {"meta": {"total": str(len(rows))}} if total else {}
    return Reply({**more, name: list(cut(request, rows, default)), **meta})


def linked(path: str, *names: str) -> dict[str, str]:
    return {name: f"https://lumen.api-us1.com/api/3/{path}/{name}" for name in names}


def given(request: Request, name: str) -> Row:
    """The object a body is about. Raises: Refusal when the body is no JSON or does not have it."""
    try:
        body = request.json()
    except ValueError:
        raise Refusal(400, {"errors": ["Invalid JSON"]}) from None
    if not isinstance(body, dict) or not isinstance(body.get(name), dict):
        raise Refusal(400, {"message": f"The {name} was not provided."})
    return dict(body[name])
