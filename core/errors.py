"""Errors, grouped by who must act. Every message says what, where, and the next step; never a secret, never a bare status code.

TundishError
├── UserError            fix a file                         exit 2
├── UnsafePlan           a guard refused; says which one    exit 4
├── CredentialsError     a key is wrong, expired, too weak  exit 5
├── VendorUnavailable    try again later                    exit 6
├── Busy                 another run has it; wait           exit 6
└── VendorError          they refused, or made no sense     exit 3 (the run is partial)
"""

from __future__ import annotations


class TundishError(Exception):
    """Something a person can act on. `next_step` is shown on its own line."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.next_step = next_step

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  next: {self.next_step}" if self.next_step else head


class UserError(TundishError):
    """A file or an argument must be changed. One error may carry many lines."""

    exit_code = 2


class UnsafePlan(TundishError):
    """A guard refused a plan or an apply; the message names the setting or command that resolves it."""

    exit_code = 4


class CredentialsError(TundishError):
    """A credential is missing, wrong, expired or lacks a scope. Names the setting, never its value."""

    exit_code = 5


class VendorUnavailable(TundishError):
    """The vendor did not answer well after all retries, or the day's allowance is used up."""

    exit_code = 6


class Busy(TundishError):
    """Another process has in hand what was asked for. Nothing needs mending: the same command works later."""

    exit_code = 6


class VendorError(TundishError):
    """The vendor refused one request, or answered something its documentation does not allow."""

    exit_code = 3

    def __init__(self, message: str, *, where: str = "", next_step: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(message, where=where, next_step=next_step)
        self.status = status
        self.code = code
