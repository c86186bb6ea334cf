"""HubSpot's contacts, their list pages rendered by the emulator once, before anybody measures, and then sent from memory."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from connectors.sandbox.hubspot import HubspotEmulator
from connectors.sandbox.kit import Emulator, Reply, Request
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


def emulator(size: int) -> Emulator:
    seed = contacts_only(size + ODD, SEED)
    contacts = seed["objects"]["contacts"] = seed["objects"]["contacts"][ODD:]
    portal = ReadyPages(seed, limits=False)
    portal.ready = dict(_rendered(portal, list(contacts[0]["properties"])))
    return portal


def _rendered(portal: HubspotEmulator, names: list[str]) -> Iterator[tuple[str, bytes]]:
    after = ""
    while True:
        query = {"limit": ["100"], "properties": [",".join(names)]} | ({"after": [after]} if after else {})
        reply, _ = HubspotEmulator.handle(portal, Request("GET", LIST, query, AUTHORISATION, b""))
        yield after, gzip.compress(reply.payload(), 6)
        if "paging" not in reply.body:
            return
        after = reply.body["paging"]["next"]["after"]
