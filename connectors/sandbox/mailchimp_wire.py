"""How Mailchimp's API speaks: problem documents, time stamps, paging, `fields` and `exclude_fields`. No state in here."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.kit import Reply, Request

PLAIN = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"
DEFAULT_COUNT, MAX_COUNT = 10, 1000
Row = dict[str, Any]


class Refusal(Exception):
    """The vendor says no. Raised deep inside, answered as a problem document (or as a row of a batch's errors)."""

    def __init__(self, status: int, title: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(title)
        self.status, self.title, self.detail, self.errors = status, title, detail, list(errors)

    def reply(self) -> Reply:
        body: Row = {
            "type": "https://mailchimp.com/developer/marketing/docs/errors/",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": str(uuid.uuid4()),
        }
        return Reply(body | ({"errors": self.errors} if self.errors else {}), self.status, content_type=PROBLEM)


def invalid(field: str, message: str) -> Refusal:
    detail = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
    return Refusal(400, "Invalid Resource", detail, [{"field": field, "message": message}])


def gone(what: str = "The requested resource could not be found.") -> Refusal:
    return Refusal(404, "Resource Not Found", what)


def ok(body: Any, status: int = 200) -> Reply:
    return Reply(body, status, content_type=PLAIN)


def nothing() -> Reply:
    return Reply(b"", 204, content_type=PLAIN)


def member_hash(email: str) -> str:
    """The member id: MD5 of the lower-case address."""
    return hashlib.md5(email.strip().lower().encode()).hexdigest()


def stamp(when: datetime | str | None) -> str:
    """Mailchimp's way to write an instant: whole seconds, +00:00; "" when unset."""
    if not when:
        return ""
    moment = when if isinstance(when, datetime) else datetime.fromisoformat(when)
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def asked_stamp(request: Request, name: str) -> str | None:
    """A time from the query, comparable with `stamp`. A raw + arrives as a blank, which the vendor does not forgive either."""
    text = request.q(name)
    if not text:
        return None
    try:
        return stamp(text)
    except ValueError:
        raise invalid(name, "This value is not a valid datetime.") from None


def within(request: Request, rows: Iterable[Row], field: str) -> list[Row]:
    """Rows between since_<field> and before_<field>, the first bound outside, the second inside."""
    since, before = asked_stamp(request, f"since_{field}"), asked_stamp(request, f"before_{field}")
    return [r for r in rows if (since is None or r[field] > since) and (before is None or (r[field] and r[field] <= before))]


def ordered(request: Request, rows: list[Row], allowed: Sequence[str]) -> list[Row]:
    field = request.q("sort_field")
    if field is None:
        return rows
    if field not in allowed:
        raise invalid("sort_field", "The value you selected is not a valid choice.")
    return sorted(rows, key=lambda r: str(r[field]), reverse=(request.q("sort_dir") or "ASC").upper() == "DESC")


def number(request: Request, name: str, default: int) -> int:
    text = request.q(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise invalid(name, "This value should be a non-negative integer.")
    return int(text)


def cut(request: Request, rows: Sequence[Any]) -> Sequence[Any]:
    """The asked page: ten rows unless told, never more than a thousand, and no word about it.

    Source: https://mailchimp.com/developer/marketing/docs/methods-parameters/#pagination
    """
    count = min(number(request, "count", DEFAULT_COUNT), MAX_COUNT)
    offset = number(request, "offset", 0)
    return rows[offset : offset + count]


def linked(path: str, row: Row) -> Row:
    """The row with the link list every Mailchimp object drags along."""
    link = {"rel": "self", "href": f"https://us1.api.mailchimp.com/3.0{path}", "method": "GET"}
    parent = {"rel": "parent", "href": f"https://us1.api.mailchimp.com/3.0{path.rpartition('/')[0]}", "method": "GET"}
    schema = {"targetSchema": "https://us1.api.mailchimp.com/schema/3.0/Definitions/Response.json"}
    return row | {"_links": [link | schema, parent | schema]}


def collection(path: str, name: str, rows: Sequence[Row], total: int, **more: Any) -> Reply:
    return ok(linked(path, {name: list(rows), **more, "total_items": total}))


def _tree(paths: Iterable[str]) -> Row:
    root: Row = {}
    for path in paths:
        node = root
        for part in path.strip().split("."):
            node = node.setdefault(part, {})
    return root


def _keep(data: Any, tree: Row) -> Any:
    if isinstance(data, list):
        return [_keep(item, tree) for item in data]
    if not tree or not isinstance(data, dict):
        return data
    return {k: _keep(v, tree[k]) for k, v in data.items() if k in tree}


def _drop(data: Any, tree: Row) -> Any:
    if isinstance(data, list):
        return [_drop(item, tree) for item in data]
    if not isinstance(data, dict):
        return data
    return {k: (_drop(v, tree[k]) if k in tree else v) for k, v in data.items() if k not in tree or tree[k]}


def project(request: Request, data: Any) -> Any:
    """What `fields` and `exclude_fields` (dot paths that start at the top of the body) leave of an answer."""
    if fields := request.q("fields"):
        data = _keep(data, _tree(fields.split(",")))
    if excluded := request.q("exclude_fields"):
        data = _drop(data, _tree(excluded.split(",")))
    return data
