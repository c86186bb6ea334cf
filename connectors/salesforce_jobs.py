"""Bulk API 2.0 jobs: order one, wait for it, fetch what it made. Polling pauses on the transport's clock."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from connectors.salesforce_session import Session
from core.errors import VendorError, VendorUnavailable

RESULT_ROWS = 10_000  # a page of results, one batch of the lake; the vendor would send far more at once
POLL_S, POLL_MAX_S, PATIENCE_S = 0.2, 10.0, 7200.0
NOT_BULK = ("INVALIDENTITY", "FEATURENOTENABLED", "INVALIDJOB", "API_DISABLED_FOR_ORG")  # this query must go by REST
LOST = ("JOB_FAILED", "INVALIDLOCATOR", "INVALIDJOBSTATE", "VERSION_MISMATCH", "NOT_FOUND")  # a job not worth resuming


def _client(session: Session, sobject: str) -> Any:
    return getattr(session.sf.bulk2, sobject)._client


def order(session: Session, sobject: str, soql: str, *, deleted: bool) -> str:
    """The id of a new query job. Raises: VendorError (code in NOT_BULK: this query is not for Bulk)."""
    return str(_client(session, sobject).create_job("queryAll" if deleted else "query", query=soql)["id"])


def wait(session: Session, sobject: str, job_id: str, *, query: bool = True) -> Mapping[str, Any]:
    """The job's description once it is complete.

    Raises: VendorError with code JOB_FAILED, VendorUnavailable when it takes more than two hours (it can be resumed).
    """
    waited_s, pause_s = 0.0, POLL_S
    while True:
        info: Mapping[str, Any] = _client(session, sobject).get_job(job_id, query)
        if info["state"] == "JobComplete":
            return info
        if info["state"] in ("Failed", "Aborted"):
            said = info.get("errorMessage") or "no reason given"
            raise VendorError(
                f"Salesforce ended Bulk job {job_id} on {sobject} as {info['state']}: {said}",
                where=session.transport.account,
                next_step="run the same command again; it orders a new job",
                status=200,
                code="JOB_FAILED",
            )
        if waited_s > PATIENCE_S:
            raise VendorUnavailable(
                f"Bulk job {job_id} on {sobject} is still {info['state']} after two hours",
                where=session.transport.account,
                next_step="run the same command later; it goes on with the same job",
            )
        session.pause(pause_s)
        waited_s, pause_s = waited_s + pause_s, min(POLL_MAX_S, pause_s * 1.6)


def results(session: Session, job_id: str, locator: str) -> tuple[bytes, str, int]:
    """One page of a query job's CSV, the locator of the next ("" after the last), and its number of rows."""
    asked = {"maxRecords": str(RESULT_ROWS)} | ({"locator": locator} if locator else {})
    reply = session.request("GET", f"jobs/query/{job_id}/results?{urlencode(asked)}", headers={"Accept": "text/csv"})
    following = reply.headers.get("sforce-locator", "")
    body = reply.content
    if b"\0" in body:
        body = body.replace(b"\0", b"")
    return body, "" if following == "null" else following, int(reply.headers.get("sforce-numberofrecords") or 0)


def ingest(session: Session, sobject: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Update rows (the first column is Id) in one job. Yields (id, "" or "CODE:message") in no order.

    A row that stands in neither result file is not yielded: nobody knows what became of it.
    """
    client = _client(session, sobject)
    job_id = client.create_job("update")["id"]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    client.upload_job_data(job_id, text.getvalue())
    client.close_job(job_id)
    wait(session, sobject, job_id, query=False)
    for name in ("successfulResults", "failedResults"):
        body = session.request("GET", f"jobs/ingest/{job_id}/{name}", headers={"Accept": "text/csv"}).content
        for row in csv.DictReader(io.StringIO(body.decode("utf-8"), newline="")):
            yield row["Id"], "" if name == "successfulResults" else row["sf__Error"]
