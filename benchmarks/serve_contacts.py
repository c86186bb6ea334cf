"""The server of the benchmark, a process of its own: a vendor's emulator with a given number of contacts.

    python benchmarks/serve_contacts.py hubspot 200000

Prints its address when it is ready and serves until it is ended. HubSpot's list pages are rendered by the emulator once,
before anybody measures, and then sent from memory, the same bytes to everybody who asks for contacts.
"""

from __future__ import annotations

import gzip
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Emulator, Reply, Request, serve
from connectors.sandbox.salesforce import SalesforceEmulator
from connectors.sandbox.salesforce_describe import make_id
from connectors.sandbox.world import contacts_only

SEED = 7
LIST = "/crm/v3/objects/contacts"
AUTHORISATION = {"authorization": "Bearer pat-na1-sandbox"}
ODD = 37  # contacts left out at the start: the emulator decorates pages that end with a round number, which would be every page


class ReadyPages(HubspotEmulator):
    """A portal whose pages of live contacts lie ready, compressed. All other requests are the emulator's."""

    ready: dict[str, bytes]

    def handle(self, request: Request) -> tuple[Reply, float]:
        if request.path != LIST or request.method != "GET" or (request.q("archived") or "").lower() == "true":
            return super().handle(request)
        page = self.ready[request.q("after") or ""]
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Reply(page, headers={"Content-Encoding": "gzip"}), 0.0
        return Reply(gzip.decompress(page)), 0.0

    def decorate(self, request: Request, reply: Reply) -> Reply:
        return reply  # no rate limit headers: the benchmark measures work, not waiting


def hubspot(size: int) -> Emulator:
    seed = contacts_only(size + ODD, SEED)
    contacts = seed["objects"]["contacts"] = seed["objects"]["contacts"][ODD:]
    emulator = ReadyPages(seed, limits=False)
    emulator.ready = dict(_rendered(emulator, list(contacts[0]["properties"])))
    return emulator


def _rendered(emulator: HubspotEmulator, names: list[str]) -> Iterator[tuple[str, bytes]]:
    after = ""
    while True:
        query = {"limit": ["100"], "properties": [",".join(names)]} | ({"after": [after]} if after else {})
        reply, _ = HubspotEmulator.handle(emulator, Request("GET", LIST, query, AUTHORISATION, b""))
        yield after, gzip.compress(reply.payload(), 6)
        if "paging" not in reply.body:
            return
        after = reply.body["paging"]["next"]["after"]


def salesforce(size: int) -> Emulator:
    """An org whose contacts have the people of the HubSpot portal. Bulk results are made when the job runs, not while they are fetched."""
    people = contacts_only(size, SEED)["objects"]["contacts"]
    return SalesforceEmulator({"objects": {"Contact": [_contact(i, p) for i, p in enumerate(people, 1)]}})


def _contact(i: int, person: dict[str, Any]) -> dict[str, Any]:
    values = person["properties"]
    return {
        "Id": make_id("003", i),
        "AccountId": make_id("001", i % 5000 + 1),
        "OwnerId": make_id("005", i % 5 + 1),
        "FirstName": values["firstname"],
        "LastName": values["lastname"],
        "Email": values["email"],
        "Phone": values["phone"],
        "MobilePhone": values["mobilephone"],
        "HomePhone": values["phone"],
        "Fax": values["phone"],
        "Title": values["jobtitle"],
        "Department": values["industry"],
        "LeadSource": values["hs_analytics_source"],
        "Description": values["hs_analytics_source_data_1"],
        "Salutation": "Dr.",
        "Birthdate": "1980-02-03",
        "LastActivityDate": person["updatedAt"][:10],
        "MailingStreet": values["address"],
        "MailingCity": values["city"],
        "MailingState": values["state"],
        "MailingPostalCode": values["zip"],
        "MailingCountry": values["country"],
        "OtherStreet": values["address"],
        "OtherCity": values["city"],
        "OtherCountry": values["country"],
        "HasOptedOutOfEmail": False,
        "CreatedDate": person["createdAt"],
        "LastModifiedDate": person["updatedAt"],
        "SystemModstamp": person["updatedAt"],
        "IsDeleted": False,
    }


def main(vendor: str, size: int) -> None:
    emulator = {"hubspot": hubspot, "salesforce": salesforce}[vendor](size)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with serve([emulator]) as urls:
        print(urls[vendor], flush=True)
        stop.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
