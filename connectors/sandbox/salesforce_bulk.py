"""Bulk API 2.0 of the sandbox's Salesforce: query jobs and ingest jobs. A job moves one state per poll.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.salesforce_describe import NOT_IN_BULK, make_id, to18
from connectors.sandbox.salesforce_org import Org, RowError
from connectors.sandbox.salesforce_query import Found, Queries, cells
from connectors.sandbox.salesforce_soql import Statement

CSV = "text/csv;charset=UTF-8"
DONE = ("JobComplete", "Failed", "Aborted")
INGEST_LIMIT_BYTES = 100_000_000
RESULT_PAGE = 50_000


@dataclass
class Job:
    info: dict[str, Any]
    header: bytes = b""
    lines: list[bytes] = field(default_factory=list)
    uploaded: str | None = None
    results: dict[str, list[list[str]]] = field(default_factory=dict)
    made: Statement | None = None


def refuse(status: int, code: str, message: str) -> Reply:
    return Reply([{"errorCode": code, "message": message}], status)


class Bulk:
    def __init__(self, org: Org, queries: Queries) -> None:
        self.org, self.queries = org, queries
        self.jobs: dict[str, Job] = {}
        self.fail_next = ""  # the errorMessage the next job to run fails with

    def _new(self, version: str, **values: Any) -> Job:
        now = self.org.now().replace("Z", "+0000")
        info = {
            "id": make_id("750", len(self.jobs) + 1),
            **values,
            "createdById": self.org.api_user,
            "createdDate": now,
            "systemModstamp": now,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(version),
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        job = self.jobs[info["id"]] = Job(info)
        return job

    def _find(self, request: Request, kind: str) -> Job | Reply:
        job = self.jobs.get(to18(request.params["id"]))
        if job is None or ("query" in str(job.info["operation"]).lower()) != (kind == "query"):
            return refuse(404, "NOT_FOUND", "The requested resource does not exist")
        if job.info["apiVersion"] != float(request.params["v"].removeprefix("v")):
            return refuse(409, "VERSION_MISMATCH", f"The job was created with API version {job.info['apiVersion']}")
        return job

    # -- query jobs -------------------------------------------------------------------------------------------------
    def create_query(self, request: Request) -> Reply:
        asked = request.json() or {}
        if asked.get("operation") not in ("query", "queryAll"):
            return refuse(400, "INVALIDJOB", "Unknown operation")
        if asked.get("lineEnding", "LF") != "LF" or asked.get("columnDelimiter", "COMMA") != "COMMA":
            return refuse(400, "INVALIDJOB", "The sandbox writes LF and COMMA only")
        made = self.queries.statement(asked.get("query") or "")
        if made.sobject in NOT_IN_BULK:
            return refuse(400, "INVALIDENTITY", f"Entity '{made.sobject}' is not supported by the Bulk API.")
        if made.aggregates or made.offset:
            return refuse(400, "INVALIDJOB", "Aggregate functions, GROUP BY and OFFSET are not supported in Bulk Query")
        found = self.queries.select(made, False)  # refuses unknown fields now
        if any(c.type == "address" for c in found.columns):
            return refuse(400, "FEATURENOTENABLED", "Selecting compound data not supported in Bulk Query")
        job = self._new(request.params["v"].removeprefix("v"), operation=asked["operation"], object=made.sobject, state="UploadComplete")
        job.made = made
        return Reply(job.info)

    def poll(self, request: Request, kind: str) -> Reply:
        job = self._find(request, kind)
        if isinstance(job, Reply):
            return job
        if job.info["state"] == "UploadComplete":
            job.info["state"] = "InProgress"
        elif job.info["state"] == "InProgress":
            self._finish(job)
        extra = {"jobType": "V2Query" if kind == "query" else "V2Ingest", "retries": 0, "totalProcessingTime": 100}
        return Reply({**job.info, **extra, "numberRecordsProcessed": job.info.get("numberRecordsProcessed", 0)})

    def _finish(self, job: Job) -> None:
        if self.fail_next:
            job.info |= {"state": "Failed", "errorMessage": self.fail_next}
            self.fail_next = ""
            return
        if job.made is not None:
            found: Found = self.queries.select(job.made, job.info["operation"] == "queryAll")
            job.header, job.lines = cells(found)
            job.info |= {"state": "JobComplete", "numberRecordsProcessed": len(job.lines)}
            return
        self._ingest(job)
        failed = len(job.results["failedResults"]) - 1
        total = failed + len(job.results["successfulResults"]) - 1
        job.info |= {"state": "JobComplete", "numberRecordsProcessed": total, "numberRecordsFailed": failed}

    def query_results(self, request: Request) -> Reply:
        job = self._find(request, "query")
        if isinstance(job, Reply):
            return job
        if job.info["state"] != "JobComplete":
            return refuse(400, "INVALIDJOBSTATE", f"The job is {job.info['state']}, not JobComplete")
        size = int(request.q("maxRecords") or RESULT_PAGE)
        start = _unlocator(request.q("locator") or "")
        if start is None or start > len(job.lines):
            return refuse(400, "INVALIDLOCATOR", "Invalid locator")
        lines = job.lines[start : start + size]
        last = start + size >= len(job.lines)
        headers = {"Sforce-Locator": "null" if last else _locator(start + size), "Sforce-NumberOfRecords": str(len(lines))}
        return Reply(job.header + b"".join(lines), 200, headers, CSV)

    def change(self, request: Request, kind: str) -> Reply:
        job = self._find(request, kind)
        if isinstance(job, Reply):
            return job
        state = (request.json() or {}).get("state")
        if state == "Aborted" and job.info["state"] not in DONE:
            job.info["state"] = "Aborted"
        elif state == "UploadComplete" and kind == "ingest" and job.info["state"] == "Open" and job.uploaded is not None:
            job.info["state"] = "UploadComplete"
        else:
            return refuse(400, "INVALIDJOBSTATE", f"A job that is {job.info['state']} cannot become {state}")
        return Reply(job.info)

    def remove(self, request: Request, kind: str) -> Reply:
        job = self._find(request, kind)
        if isinstance(job, Reply):
            return job
        if job.info["state"] not in DONE:
            return refuse(400, "INVALIDJOBSTATE", "The job is not in a terminal state")
        del self.jobs[job.info["id"]]
        return Reply(b"", 204)

    # -- ingest jobs ------------------------------------------------------------------------------------------------
    def create_ingest(self, request: Request) -> Reply:
        asked = request.json() or {}
        version = request.params["v"].removeprefix("v")
        if asked.get("operation") not in ("insert", "update", "upsert", "delete"):
            return refuse(400, "INVALIDJOB", "Unknown operation")
        if asked.get("object") not in self.org.visible():
            return refuse(400, "INVALIDENTITY", f"Entity '{asked.get('object')}' is not supported by the Bulk API.")
        if asked["operation"] == "upsert" and not asked.get("externalIdFieldName"):
            return refuse(400, "INVALIDJOB", "An external id field is required for upsert")
        job = self._new(version, operation=asked["operation"], object=asked["object"], state="Open")
        job.info |= {"contentUrl": f"services/data/v{version}/jobs/ingest/{job.info['id']}/batches"}
        job.info["externalIdFieldName"] = asked.get("externalIdFieldName")
        return Reply(job.info)

    def upload(self, request: Request) -> Reply:
        job = self._find(request, "ingest")
        if isinstance(job, Reply):
            return job
        if job.info["state"] != "Open" or job.uploaded is not None:
            return refuse(400, "INVALIDJOBSTATE", "Only one upload per job, while it is Open")
        if len(request.body) > INGEST_LIMIT_BYTES:
            return refuse(413, "FILESIZEEXCEEDED", "The file is larger than 100 MB")
        job.uploaded = request.body.decode()
        return Reply(b"", 201)

    def _ingest(self, job: Job) -> None:
        reader = csv.reader(io.StringIO(job.uploaded or ""))
        columns = next(reader, [])
        done: list[list[str]] = [["sf__Id", "sf__Created", *columns]]
        failed: list[list[str]] = [["sf__Id", "sf__Error", *columns]]
        for line in reader:
            given = dict(zip(columns, line, strict=False))
            values: dict[str, Any] = {n: None if v == "#N/A" else v for n, v in given.items() if v != "" and n != "Id"}
            try:
                row_id, created = self._one(job.info, given.get("Id", ""), values)
                done.append([row_id, "true" if created else "false", *line])
            except RowError as error:
                failed.append([given.get("Id", ""), f"{error.code}:{error.message}:{','.join(error.fields)}--", *line])
        done[1:] = reversed(done[1:])  # the vendor keeps no order either
        job.results = {"successfulResults": done, "failedResults": failed, "unprocessedrecords": [columns]}

    def _one(self, info: dict[str, Any], row_id: str, values: dict[str, Any]) -> tuple[str, bool]:
        operation, sobject = info["operation"], info["object"]
        if operation == "insert":
            return self.org.insert(sobject, values), True
        if operation == "upsert":
            return upsert(self.org, sobject, info["externalIdFieldName"], values, row_id)
        if operation == "delete":
            self.org.delete(sobject, row_id)
        else:
            self.org.update(sobject, row_id, values)
        return str(to18(row_id)), False

    def ingest_results(self, request: Request) -> Reply:
        job = self._find(request, "ingest")
        if isinstance(job, Reply):
            return job
        if job.info["state"] not in DONE:
            return refuse(400, "INVALIDJOBSTATE", "The job has not ended")
        return Reply(_written(job.results.get(request.params["which"], [])), 200, {}, CSV)


def upsert(org: Org, sobject: str, key: str, values: dict[str, Any], row_id: str = "") -> tuple[str, bool]:
    """Update the one row whose `key` has the value, or insert. → (id, created). Raises: RowError."""
    values = dict(values)
    wanted = (row_id or values.pop("Id", None)) if key == "Id" else values.get(key)
    if key != "Id" and wanted in (None, ""):
        raise RowError("MISSING_ARGUMENT", f"{key} not specified", [])
    if key == "Id":
        if not wanted:
            return org.insert(sobject, values), True
        org.update(sobject, wanted, values)
        return str(to18(wanted)), False
    matches = [r["Id"] for r in org.tables[sobject].values() if r.get(key) == wanted and not r.get("IsDeleted")]
    if len(matches) > 1:
        raise RowError("DUPLICATE_EXTERNAL_ID", f"{key}: more than one record found for external id field: {matches}", [key])
    if not matches:
        return org.insert(sobject, values), True
    org.update(sobject, matches[0], values)
    return str(matches[0]), False


def _written(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _locator(start: int) -> str:
    return f"MT{start * 7 + 13:X}"


def _unlocator(text: str) -> int | None:
    if not text:
        return 0
    try:
        number = int(text.removeprefix("MT"), 16) - 13
    except ValueError:
        return None
    return number // 7 if text.startswith("MT") and number >= 0 and number % 7 == 0 else None
