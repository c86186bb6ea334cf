"""The floor: fetch every page with requests, decode it (orjson, or csv.reader), and throw it away."""

from __future__ import annotations

import csv
import io
import sys

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


if __name__ == "__main__":
    leg.done({"hubspot": hubspot, "salesforce": salesforce}[sys.argv[1]](sys.argv[2]))
