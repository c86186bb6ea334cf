"""An ActiveCampaign account with so many contacts, ten custom fields each. Its pages by id are rendered once and kept."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from connectors.sandbox.activecampaign import TOKEN, ActiveCampaignEmulator
from connectors.sandbox.kit import Emulator, Reply, Request
from connectors.sandbox.world import contacts_only

SEED = 7
LIST = "/api/3/contacts"
FIELDS = {
    "JOB_TITLE": "jobtitle", "CITY": "city", "STATE": "state", "ZIP": "zip", "COUNTRY": "country", "WEBSITE": "website",
    "INDUSTRY": "industry", "SOURCE": "hs_analytics_source", "EMPLOYEES": "numemployees", "HUBSPOT_ID": "hs_object_id",
}  # fmt: skip
PAGE = {"limit": ["100"], "orders[id]": ["ASC"], "include": ["fieldValues"]}


class ReadyPages(ActiveCampaignEmulator):
    """Pages of contacts by `id_greater`, with their custom fields, lie ready. All other requests are the emulator's."""

    ready: dict[str, bytes]

    def handle(self, request: Request) -> tuple[Reply, float]:
        after = request.q("id_greater")
        if request.path != LIST or after not in self.ready or any(request.query.get(k) != v for k, v in PAGE.items()):
            return super().handle(request)
        if (refused := self.authorise(request)) is not None:
            return refused, 0.0
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Reply(self.ready[after], headers={"Content-Encoding": "gzip"}), 0.0
        return Reply(gzip.decompress(self.ready[after])), 0.0

    def limit(self, request: Request) -> Reply | None:
        return None  # the benchmark measures work, not waiting

    def decorate(self, request: Request, reply: Reply) -> Reply:
        return reply


def emulator(size: int) -> Emulator:
    people = contacts_only(size, SEED)["objects"]["contacts"]
    fields = [{"id": str(i), "title": tag.title(), "perstag": tag} for i, tag in enumerate(FIELDS, 1)]
    account = ReadyPages({"fields": fields, "contacts": [_contact(i, person) for i, person in enumerate(people, 1)]})
    account.ready = {}
    account.ready = dict(_rendered(account))
    return account


def _contact(i: int, person: dict[str, Any]) -> dict[str, Any]:
    values = person["properties"]
    return {
        "id": str(i),
        "email": values["email"],
        "firstName": values["firstname"],
        "lastName": values["lastname"],
        "phone": values["phone"],
        "cdate": person["createdAt"],
        "udate": person["updatedAt"],
        "fields": {tag: values[name] for tag, name in FIELDS.items()},
    }


def _rendered(account: ReadyPages) -> Iterator[tuple[str, bytes]]:
    """Up to an empty page, which those ask for who do not count."""
    after, more = "0", True
    while more:
        reply, _ = account.handle(Request("GET", LIST, PAGE | {"id_greater": [after]}, {"api-token": TOKEN}, b""))
        yield after, gzip.compress(reply.payload(), 6)
        more = bool(reply.body["contacts"])
        after = reply.body["contacts"][-1]["id"] if more else after
