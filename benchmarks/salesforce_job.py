"""A Bulk API 2.0 query job on the sandbox, in plain requests: what the legs without a connector use."""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests

FIELDS = (
    "AccountId,OwnerId,FirstName,LastName,Email,Phone,MobilePhone,HomePhone,Fax,Title,Department,LeadSource,Description,Salutation,"
    "Birthdate,LastActivityDate,MailingStreet,MailingCity,MailingState,MailingPostalCode,MailingCountry,OtherStreet,OtherCity,"
    "OtherCountry,HasOptedOutOfEmail,CreatedDate,LastModifiedDate,IsDeleted,SystemModstamp,Id"
)
ROWS = 10_000  # as many a page as our connector asks for


def pages(url: str, session: requests.Session) -> Iterator[bytes]:
    """The CSV pages of all contacts."""
    grant = {"grant_type": "client_credentials", "client_id": "sf-client", "client_secret": "sf-secret"}
    token = session.post(f"{url}/services/oauth2/token", data=grant).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    jobs = f"{url}/services/data/v66.0/jobs/query"
    ask = {"operation": "queryAll", "query": f"SELECT {FIELDS} FROM Contact"}
    job = f"{jobs}/{session.post(jobs, json=ask).json()['id']}"
    while session.get(job).json()["state"] != "JobComplete":
        time.sleep(0.05)
    locator = ""
    while locator != "null":
        reply = session.get(f"{job}/results", params={"maxRecords": ROWS} | ({"locator": locator} if locator else {}))
        yield reply.content
        locator = reply.headers["Sforce-Locator"]
    session.delete(job)
