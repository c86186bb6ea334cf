"""Mailchimp's asynchronous batches: accepted at once, run later, answered as a tar.gz behind a short-lived URL.

Source: https://mailchimp.com/developer/marketing/guides/run-async-requests-batch-endpoint/
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.mailchimp_wire import MAX_COUNT, Refusal, Row, collection, cut, gone, invalid, linked, nothing, ok, stamp

MAX_OPERATIONS, MAX_PENDING = 1000, 500
URL_LIFE_S = 600.0
XML = "application/xml"


class Batches:
    """`run` answers one request of a batch the way the API would; `now` is the emulator's clock."""

    def __init__(self, run: Callable[[Request], Reply], now: Callable[[], datetime]) -> None:
        self.run, self.now = run, now
        self.step_s = 0.5  # how long each of the states before "finished" lasts
        self.batches: dict[str, Row] = {}
        self._serial = 0

    # POST /batches
    def start(self, request: Request) -> Reply:
        operations = (request.json() or {}).get("operations")
        if not isinstance(operations, list) or not operations or len(operations) > MAX_OPERATIONS:
            raise invalid("operations", f"This value should be a list of 1 to {MAX_OPERATIONS} operations.")
        if sum(self._state(b) != "finished" for b in self.batches.values()) >= MAX_PENDING:
            raise Refusal(429, "Too Many Requests", "You have more than 500 pending batches.")
        for op in operations:
            if op.get("method") not in ("GET", "POST", "PUT", "PATCH", "DELETE") or not op.get("path"):
                raise invalid("operations", "Each operation needs a method and a path.")
            if op.get("body") is not None and not isinstance(op["body"], str):
                raise invalid("operations", "The body of an operation is a JSON string.")
        self._serial += 1
        name = f"b{self._serial:09d}"
        batch: Row = {"id": name, "_at": self.now().timestamp(), "_operations": operations, "_auth": dict(request.headers)}
        self.batches[name] = batch | {"submitted_at": stamp(self.now()), "_results": None, "_total": len(operations), "_url": None}
        return ok(self._shown(self.batches[name], request))

    def status(self, request: Request) -> Reply:
        return ok(self._shown(self._find(request), request))

    def all(self, request: Request) -> Reply:
        rows = [self._shown(b, request) for b in self.batches.values()]
        return collection("/batches", "batches", cut(request, rows), len(rows))

    def cancel(self, request: Request) -> Reply:
        del self.batches[self._find(request)["id"]]
        return nothing()

    def _find(self, request: Request) -> Row:
        if request.params["id"] not in self.batches:
            raise gone()
        return self.batches[request.params["id"]]

    def _state(self, batch: Row) -> str:
        steps = int((self.now().timestamp() - batch["_at"]) / self.step_s)
        return ("pending", "preprocessing", "started", "finalizing", "finished")[min(max(steps, 0), 4)]

    def _shown(self, batch: Row, request: Request) -> Row:
        state = self._state(batch)
        if state in ("started", "finalizing", "finished") and batch["_results"] is None:
            answers = [result for op in batch["_operations"] for result in self._operate(op, batch)]
            batch |= {"_results": answers, "_total": len(answers)}
            batch["_done"] = stamp(self.now())
        results: list[Row] = batch["_results"] or []
        url = ""
        if state == "finished":
            self._serial += 1
            batch["_url"] = (f"t{self._serial}", self.now().timestamp() + URL_LIFE_S)
            host = request.headers.get("host", "127.0.0.1")
            url = f"http://{host}/batch-results/{batch['id']}/{batch['_url'][0]}?X-Amz-Signature=sandbox"
        shown = {
            "id": batch["id"], "status": state, "total_operations": batch["_total"],
            "finished_operations": len(results) if state == "finished" else 0,
            "errored_operations": sum(r["status_code"] >= 400 for r in results) if state == "finished" else 0,
            "submitted_at": batch["submitted_at"], "completed_at": batch["_done"] if state == "finished" else "", "response_body_url": url,
        }  # fmt: skip
        return linked(f"/batches/{batch['id']}", shown)

    def _operate(self, op: Row, batch: Row) -> list[Row]:
        """The results of one operation; a GET over a collection fans out into its pages."""
        results: list[Row] = []
        offset = 0
        while True:
            params = {k: [str(v)] for k, v in (op.get("params") or {}).items()}
            fan = op["method"] == "GET" and "offset" not in params
            if fan:
                params |= {"offset": [str(offset)], "count": params.get("count", [str(MAX_COUNT)])}
            url = urlsplit(op["path"])
            path = "/3.0/" + url.path.lstrip("/").removeprefix("3.0/")
            body = (op.get("body") or "").encode()
            reply = self.run(Request(op["method"], path, parse_qs(url.query) | params, batch["_auth"], body))
            result = {"status_code": reply.status, "operation_id": op.get("operation_id"), "response": reply.payload().decode() or "{}"}
            results.append(result)
            offset += MAX_COUNT
            if not fan or reply.status != 200 or orjson.loads(reply.payload()).get("total_items", 0) <= offset:
                return results

    # GET /batch-results/{id}/{token}: a storage service, not the API
    def download(self, request: Request) -> Reply:
        if "authorization" in request.headers:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed; the query string has one already")
        batch = self.batches.get(request.params["id"])
        token, until = (batch or {}).get("_url") or ("", 0.0)
        if batch is None or request.params["token"] != token:
            return _xml(403, "AccessDenied", "Access Denied")
        if self.now().timestamp() > until:
            return _xml(403, "AccessDenied", "Request has expired")
        return Reply(_tar(batch["id"], batch["_results"]), 200, content_type="application/x-gzip")

    def dump(self) -> Any:
        return {b["id"]: {"operations": b["_operations"], "results": b["_results"]} for b in self.batches.values()}


def _xml(status: int, code: str, message: str) -> Reply:
    return Reply(f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), status, content_type=XML)


def _tar(name: str, results: list[Row]) -> bytes:
    """A directory entry, an empty file, and the results out of order over several files."""
    shuffled = list(results)
    random.Random(name).shuffle(shuffled)
    half = (len(shuffled) + 1) // 2
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        folder = tarfile.TarInfo(f"./{name}")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for i, data in enumerate((orjson.dumps(shuffled[:half]), b"", orjson.dumps(shuffled[half:]))):
            info = tarfile.TarInfo(f"./{name}/{i}.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
