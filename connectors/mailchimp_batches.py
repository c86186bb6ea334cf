"""Many small writes at once, through Mailchimp's asynchronous batches: started, waited for, and every answer read.

A batch that was accepted is not done: it is done when each of its operations has an answer of its own.
Source: https://mailchimp.com/developer/marketing/guides/run-async-requests-batch-endpoint/, read 2026-11-25
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.mailchimp_session import Session, data
from core.errors import VendorError, VendorUnavailable

OPERATIONS = 500  # of one batch; more makes Mailchimp take its time
POLL_S, POLL_MAX_S, PATIENCE_S = 0.5, 15.0, 3600.0
URL_TRIES = 3


@dataclass(frozen=True)
class Operation:
    """One request of a batch. `path` begins with a slash and has no host; doing it twice must be doing it once."""

    method: str
    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Mapping[str, Any]


def run(session: Session, operations: Mapping[str, Operation]) -> dict[str, Answer]:
    """The answer to each operation by its key; a key without one was not answered at all.

    Raises: VendorUnavailable when a batch is not finished within an hour; what became of it is unknown then.
    """
    answers: dict[str, Answer] = {}
    keys = list(operations)
    for start in range(0, len(keys), OPERATIONS):
        part = {key: operations[key] for key in keys[start : start + OPERATIONS]}
        answers |= {key: answer for key, answer in _results(session, _start(session, part)) if key in part}
    return answers


def _start(session: Session, operations: Mapping[str, Operation]) -> str:
    rows = [
        {"method": o.method, "path": o.path, "operation_id": key, "body": orjson.dumps(o.body).decode()} for key, o in operations.items()
    ]
    with session.transport.repeatable():
        return str(data(session.client.batches.start({"operations": rows}))["id"])


def _results(session: Session, batch_id: str) -> Iterator[tuple[str, Answer]]:
    _finished(session, batch_id)
    for left in reversed(range(URL_TRIES)):
        url = data(session.client.batches.status(batch_id))["response_body_url"]  # a new one each time, good for ten minutes
        reply = session.transport.send("GET", url, auth=False, expect=(403,))
        if reply.status != 403:
            yield from _unpacked(reply.data)
            return
        if left == 0:
            raise VendorError(f"the results of Mailchimp's batch {batch_id} cannot be fetched", where=session.transport.account, status=403)


def _finished(session: Session, batch_id: str) -> None:
    waited_s, pause_s = 0.0, POLL_S
    while (state := data(session.client.batches.status(batch_id))["status"]) != "finished":
        if waited_s > PATIENCE_S:
            raise VendorUnavailable(
                f"Mailchimp's batch {batch_id} is still {state} after an hour; what became of its writes is unknown",
                where=session.transport.account,
                next_step="apply the same plan again later; what is written by then is not written twice",
            )
        session.transport.sleep(pause_s)
        waited_s, pause_s = waited_s + pause_s, min(POLL_MAX_S, pause_s * 1.6)


def _unpacked(archive: bytes) -> Iterator[tuple[str, Answer]]:
    """The answers, in no order, from the files of the archive; some of them may be empty."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            text = (tar.extractfile(member) or io.BytesIO()).read() if member.isfile() else b""
            for row in orjson.loads(text) if text else ():
                yield str(row["operation_id"]), Answer(int(row["status_code"]), _object(row.get("response")))


def _object(text: Any) -> Mapping[str, Any]:
    """An operation's own answer is a JSON text inside the JSON."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
