"""Ending subscriptions in ActiveCampaign: one request a contact and list, and one status only, unsubscribed.

A subscription is known by contact, list and its own id ("12:3:45"), because it is changed by the first two and the vendor
shows it by the third. Nobody is put on a list, and nobody is subscribed again, not even by undo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectors.activecampaign_read import beside
from connectors.activecampaign_session import LIMIT, Row, Session
from connectors.activecampaign_write import refused
from core.connector import Write, WriteResult
from core.errors import VendorError

BATCH = 50
FIELD, LEFT = "status", "unsubscribed"
# The vendor's numbers in the words the mapping has for them. Source: …/reference/update-list-status-for-contact and
# https://help.activecampaign.com/hc/en-us/articles/360021838379 (91: taken off the list), read 2026-11-25
STATUS = {"0": "pending", "1": "subscribed", "2": LEFT, "3": "cleaned", "91": "archived"}
LEAVE = 2


def read_back(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The status of each subscription; those that are gone are left out."""
    asked = {vendor_id: vendor_id.split(":") for vendor_id in vendor_ids}
    contacts = list(dict.fromkeys(parts[0] for parts in asked.values()))
    live: dict[str, dict[str, Row]] = {}
    for start in range(0, len(contacts), LIMIT):
        live |= _subscriptions(session, contacts[start : start + LIMIT])
    found: dict[str, dict[str, Any]] = {}
    for vendor_id, parts in asked.items():
        row = live.get(parts[0], {}).get(parts[-1])
        if row is not None and len(parts) == 3:
            found[vendor_id] = {name: STATUS.get(str(row["status"])) if name == FIELD else None for name in fields}
    return found


def _subscriptions(session: Session, contacts: Sequence[str]) -> dict[str, dict[str, Row]]:
    """contact → id → subscription. Whoever the list of contacts leaves out is asked for singly."""
    query = [("ids[]", key) for key in contacts] + [("limit", str(LIMIT)), ("include", "contactLists")]
    listed = session.page("contacts", "contacts", query)
    rows = beside(session, listed, "contactLists")
    for key in set(contacts) - {str(row["id"]) for row in listed.rows}:
        rows[key] = session.get(f"contacts/{key}/contactLists").get("contactLists") or []
    return {key: {str(row["id"]): row for row in rows.get(key, ())} for key in contacts}


def write(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One result per write, as its reply arrives."""
    there = read_back(session, [one.vendor_id for one in writes], [FIELD])
    for one in writes:
        yield _refusal(one, one.vendor_id in there) or _leave(session, one)


def _refusal(one: Write, there: bool) -> WriteResult | None:
    if one.vendor_id.count(":") != 2:
        text = "the mapping's `id` of contactLists must be [contact, list, id]: a subscription is ended by its contact and list"
        return WriteResult(one.key, False, "id", text)
    if strange := [name for name in one.values if name != FIELD]:
        return WriteResult(one.key, False, "unknown_field", f"{', '.join(strange)}: only {FIELD} of a subscription can be written")
    if one.values.get(FIELD) != LEFT:
        text = f"only `{LEFT}` is ever written: nobody is subscribed again on our word"
        return WriteResult(one.key, False, "status_not_allowed", text)
    return None if there else WriteResult(one.key, False, "missing", "the subscription is gone")


def _leave(session: Session, one: Write) -> WriteResult:
    contact, in_list, _ = one.vendor_id.split(":")
    body = {"contactList": {"list": in_list, "contact": contact, "status": LEAVE}}
    try:
        session.send("POST", "contactLists", body, repeatable=True)
    except VendorError as refusal:
        return refused(one.key, refusal)
    return WriteResult(one.key, True)
