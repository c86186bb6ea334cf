"""How Google's APIs refuse: one error document, by status word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.sandbox.kit import Reply

# Source: https://cloud.google.com/apis/design/errors, read 2026-11-23
WORDS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class Refusal(Exception):
    def __init__(self, status: int, message: str, reason: str = "", details: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.reason, self.details = status, message, reason, list(details)

    def reply(self) -> Reply:
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": WORDS[self.status]}
        details = [*self.details]
        if self.reason:
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason, "domain": "googleapis.com"})
        return Reply({"error": error | ({"details": details} if details else {})}, self.status)


def bad(message: str) -> Refusal:
    return Refusal(400, message)


def known_only(body: Any, names: Sequence[str], where: str = "") -> dict[str, Any]:
    """The body, when it is an object of these names; Google refuses any other name."""
    if not isinstance(body, dict):
        raise bad("Invalid JSON payload received. Root element must be a message.")
    for name in body:
        if name not in names:
            at = f" at '{where}'" if where else ""
            raise bad(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')
    return body


def whole_number(value: Any, name: str, default: int = 0) -> int:
    """An int64: a number, or a text of one."""
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise bad(f"Invalid value at '{name}' (TYPE_INT64), \"{value}\"") from None
