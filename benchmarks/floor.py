"""The floor: fetch every page with requests, decode it (orjson, or csv.reader), and throw it away."""

from __future__ import annotations

import csv
import io
import sys

import ga4_reports
import leg
import orjson
import requests
import salesforce_job


def hubspot(url: str) -> int:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {leg.TOKEN}"
    ask = {"limit": "100", "properties": ",".join(leg.CONTACT_PROPERTIES)}
    records, after = 0, ""
    while after is not None:
        reply = session.get(f"{url}/crm/v3/objects/contacts", params=ask | ({"after": after} if after else {}))
        page = orjson.loads(reply.content)
        records += len(page["results"])
        after = page.get("paging", {}).get("next", {}).get("after")
    return records


def salesforce(url: str) -> int:
    records = 0
    for page in salesforce_job.pages(url, requests.Session()):
        records += sum(1 for _ in csv.reader(io.StringIO(page.decode()))) - 1
    return records


def activecampaign(url: str) -> int:
    session = requests.Session()
    session.headers["Api-Token"] = leg.KEY
    ask = {"orders[id]": "ASC", "limit": "100", "include": "fieldValues"}
    records, total, after = 0, None, "0"
    while total is None or records < total:
        page = orjson.loads(session.get(f"{url}/api/3/contacts", params=ask | {"id_greater": after}).content)
        total = int(page["meta"]["total"]) if total is None else total  # later pages count what is left
        records, after = records + len(page["contacts"]), page["contacts"][-1]["id"]
    return records


def ga4(url: str) -> int:
    return sum(len(report.get("rows", ())) for report in ga4_reports.replies(url, requests.Session()))


if __name__ == "__main__":
    leg.done({"hubspot": hubspot, "salesforce": salesforce, "ga4": ga4, "activecampaign": activecampaign}[sys.argv[1]](sys.argv[2]))
