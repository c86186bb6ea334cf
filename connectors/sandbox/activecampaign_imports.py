"""ActiveCampaign's bulk import: contacts by the hundred, queued now, done later, and asked for by batch id.

Names are in snake_case here and nowhere else; success is "Success" when it works and "success" when it does not; too many
imports a minute is a 400.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.sandbox.activecampaign_contacts import ACTIVE, EMAIL, UNSUBSCRIBED, Contacts
from connectors.sandbox.activecampaign_wire import Refusal, Row
from connectors.sandbox.kit import Reply, Request

MOST, PER_MINUTE = 250, 100  # Source: https://developers.activecampaign.com/reference/bulk-import-contacts
NAMES = {"first_name": "firstName", "last_name": "lastName", "phone": "phone"}


class Imports:
    """Batches by id. `step_s` is how long a batch waits before it is done."""

    def __init__(self, contacts: Contacts, now: Callable[[], float]) -> None:
        self.contacts, self.now = contacts, now
        self.batches: dict[str, Row] = {}
        self.recent: list[float] = []
        self.step_s = 3.0
        self.refused: set[str] = set()  # addresses the import does not take although they look good

    def start(self, request: Request) -> Reply:
        self._throttle()
        body = request.json()
        rows = body.get("contacts") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not rows or len(rows) > MOST:
            raise _failed("JSON payload did not pass validation.", [f"The contacts must have between 1 and {MOST} items."])
        bad = [{"contact": i, "failureReason": "Field 'email' incorrect format"}
               for i, row in enumerate(rows) if not EMAIL.fullmatch(str(row.get("email", "")))]  # fmt: skip
        if bad:
            text = "JSON payload did not pass validation. Please fix failure Reasons and retry. The import was not queued for processing."
            raise _failed(text, bad)
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"batch {len(self.batches)}"))
        self.batches[key] = {"rows": rows, "due": self.now() + self.step_s, "success": [], "failure": [], "status": "waiting"}
        return Reply({"Success": 1, "queued_contacts": len(rows), "batchId": key, "message": "Contact import queued"})

    def _throttle(self) -> None:
        now = self.now()
        self.recent = [t for t in self.recent if 0 <= now - t < 60]
        if len(self.recent) >= PER_MINUTE:
            why = f"Up to {PER_MINUTE} imports may be requested per minute. Batch contacts into larger requests, or retry in a minute."
            raise _failed("Rate limit exceeded.", [why])
        self.recent.append(now)

    def totals(self, request: Request) -> Reply:
        self.settle()
        waiting = [b for b in self.batches.values() if b["status"] != "completed"]
        done = [b for b in self.batches.values() if b["status"] == "completed"]
        return Reply({"outstanding": _counted(waiting), "recentlyCompleted": _counted(done)})

    def info(self, request: Request) -> Reply:
        self.settle()
        key = request.q("batchId")
        if not key or key not in self.batches:
            raise Refusal(400, {"success": 0, "message": "'batchId' is a required field."})
        batch = self.batches[key]
        return Reply({"status": batch["status"], "success": batch["success"], "failure": batch["failure"]})

    def settle(self) -> None:
        """Do what is due."""
        for batch in self.batches.values():
            if batch["status"] != "completed" and batch["due"] <= self.now():
                batch["status"] = "completed"
                for row in batch["rows"]:
                    self._one(row, batch)

    def _one(self, row: Mapping[str, Any], batch: Row) -> None:
        email, contacts = str(row["email"]), self.contacts
        if email.lower() in self.refused:
            batch["failure"].append(email)
            return
        known = contacts.by_email.get(email.lower())
        values = [{"field": one["id"], "value": one.get("value")} for one in row.get("fields") or ()]
        body = {"email": email, "fieldValues": values} | {ours: row[name] for name, ours in NAMES.items() if name in row}
        key = contacts.made(body) if known is None else contacts.change(known, body)
        if not row.get("exclude_automations"):
            contacts.automations_started.append((key, "contact changed"))
        for tag in row.get("tags") or ():
            contacts.put_tag(key, contacts.tag_named(tag), automations=not row.get("exclude_automations"))
        for name, status in (("subscribe", ACTIVE), ("unsubscribe", UNSUBSCRIBED)):
            for one in row.get(name) or ():
                contacts.put_membership(key, int(one["listid"]), status)
        batch["success"].append(str(key))


def _counted(batches: Sequence[Row]) -> list[Row]:
    contacts = sum(len(batch["rows"]) for batch in batches)
    return [{"forDate": "2026-01-01", "batches": str(len(batches)), "contacts": str(contacts)}] if batches else []


def _failed(message: str, reasons: Sequence[Any]) -> Refusal:
    return Refusal(400, {"success": 0, "message": message, "failureReasons": list(reasons)})
