"""Troubles of the disk, the ledger's database and the lake's files, told as something a person can mend.

It knows the storage libraries' exceptions and nothing else; whoever runs a command asks it before calling an exception a bug.
"""

from __future__ import annotations

import re

from core.errors import CredentialsError, TundishError, UserError, VendorUnavailable
from core.redaction import redact

# What the libraries say → what to do. First match wins.
_STEPS = (
    (r"disk is full|no space left|os error 28|disk quota|file too large|os error 27", "make room on the disk, then run the command again"),
    (
        r"read-?only|permission denied|os error (13|30)|unable to open database",
        "give the user who runs tundish the right to write there",
    ),
    (r"disk i/o error", "see whether the disk is full or failing, then run the command again"),
    (r"malformed|not a database", "restore the ledger from a backup; undo and erasures are remembered only there"),
    (r"database is locked", "another process keeps it locked; wait for it, or end it"),
    (r"commit failed|concurrent", "other processes kept writing at the same moments; run the command again"),
    (r"out of memory|memory limit", "close other programs, or run it on a machine with more memory"),
)
_LEDGER_STEP = "check that the database answers, then run the command again"
_LAKE_STEP = "restore the lake's folder from a backup; or empty it and read everything again: tundish sync --new-lake"
# What an object store says → whose turn it is, and what to do. First match wins.
_STORE = re.compile(r"Generic (S3|GCS|MicrosoftAzure) error|error performing (GET|PUT|HEAD|POST|DELETE) https?://", re.IGNORECASE)
_STORE_STEPS: tuple[tuple[str, type[TundishError], str], ...] = (
    (r"NoSuchBucket|ContainerNotFound|bucket does not exist", UserError, "create the bucket, or correct `lake:`"),
    (
        r"169\.254\.|metadata|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|\b40[13]\b|credential",
        CredentialsError,
        "export the store's keys, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and see that they may read, write and list there",
    ),
    (r"region", UserError, "export AWS_REGION"),
)
_STORE_DOWN = "see whether the store answers (AWS_ENDPOINT_URL for one that is not Amazon's), then run the command again"


def trouble(problem: BaseException) -> TundishError | None:
    """What the user must be told about an exception of the ledger's database, the lake's files or the disk; None: it is none of these."""
    if told := _store_trouble(problem):
        return told
    said = _first_line(problem)
    if _from(problem, "sqlalchemy", "OperationalError", "DatabaseError", "InterfaceError"):
        return UserError(f"the ledger cannot be used: {said}", next_step=_step(said, _LEDGER_STEP))
    if _from(problem, "_internal", "DeltaError", "DeltaProtocolError", "TableNotFoundError", "CommitFailedError"):
        return UserError(f"the lake cannot be used: {said}", next_step=_step(said, _LAKE_STEP))
    if _from(problem, "_duckdb", "IOException", "OutOfMemoryException") or (_from(problem, "_duckdb", "Error") and ".parquet" in said):
        return UserError(f"the lake cannot be read: {said}", next_step=_step(said, _LAKE_STEP))
    if isinstance(problem, MemoryError):
        return UserError("there is not enough memory", next_step=_step("out of memory", ""))
    if isinstance(problem, OSError) and re.search(r"os error|errno (28|30|122|5)\b", said, re.IGNORECASE):
        return UserError(f"the disk cannot be used: {said}", next_step=_step(said, "check the disk, then run the command again"))
    return None


def _store_trouble(problem: BaseException) -> TundishError | None:
    """The same, where the lake lies in an object store: its library tells everything in one exception of a few lines."""
    said = " ".join(re.sub(r"\x1b\[[0-9;]*m|↳", " ", str(problem)).split())
    if not isinstance(problem, OSError) and not _from(problem, "_internal", "DeltaError"):
        return None
    if (found := _STORE.search(said)) is None:
        return None
    told = redact(said[found.start() :])[:300]
    for pattern, kind, step in _STORE_STEPS:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"the lake's object store refuses: {told}", next_step=step)
    return VendorUnavailable(f"the lake's object store does not answer: {told}", next_step=_STORE_DOWN)


def _from(problem: BaseException, package: str, *names: str) -> bool:
    """By name, so that asking imports no library that the failed command did not use."""
    return any(c.__name__ in names and c.__module__.split(".")[0] == package for c in type(problem).__mro__)


def _step(said: str, otherwise: str) -> str:
    return next((step for pattern, step in _STEPS if re.search(pattern, said, re.IGNORECASE)), otherwise)


def _first_line(problem: BaseException) -> str:
    """The library's own words, without its traces and addresses of help pages."""
    text = redact(str(getattr(problem, "orig", None) or problem)).strip()
    return text.splitlines()[0].strip()[:500] if text else type(problem).__name__
