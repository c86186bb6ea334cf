"""A stateful Mailchimp (Marketing API 3.0) over loopback HTTP, written from the vendor's documentation.

What is written can be read back; limits, error bodies and oddities are the vendor's. This file has the door (keys,
limits, routes); the rules of members, reports and batches live in the neighbouring modules.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.sandbox.kit import Emulator, Reply, Request, Route
from connectors.sandbox.mailchimp_batches import Batches
from connectors.sandbox.mailchimp_lists import ListRoutes
from connectors.sandbox.mailchimp_members import Audiences
from connectors.sandbox.mailchimp_reports import Sends
from connectors.sandbox.mailchimp_wire import PLAIN, PROBLEM, Refusal, gone, linked, ok, project

API_KEY = "sandbox-us1"
CONNECTIONS = 10  # Source: https://mailchimp.com/developer/marketing/docs/fundamentals/#throttling


class MailchimpEmulator(Emulator):
    """One Mailchimp account. `bare_throttle` makes throttling the body-less kind the edge gives under extreme load."""

    name = "mailchimp"
    keys: ClassVar[Mapping[str, str]] = {"api_key": API_KEY}

    def __init__(self, seed: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.api_keys = {API_KEY}
        self.revoked = False
        self.bare_throttle: int | None = None
        self.busy_elsewhere = 0  # connections other tools of the account hold open
        self._open_until: list[float] = []
        super().__init__(None, **kwargs)
        self.audiences = Audiences(self.clock.utc)
        self.sends = Sends(self.audiences, self.clock.utc)
        self.batches = Batches(self._answer, self.clock.utc)
        self.lists = ListRoutes(self.audiences, self.clock.utc, self.sends.campaigns)
        self.edits = self._edits()
        if seed is not None:
            self.load(seed)

    def load(self, seed: Mapping[str, Any]) -> None:
        self.audiences.load(seed)
        self.sends.load(seed)

    # -- the door ----------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        if request.path.startswith("/batch-results/"):
            return None
        key = _key(request.headers.get("authorization", ""))
        if not key:
            return Refusal(401, "API Key Missing", "Your request did not include an API key.").reply()
        if key in self.api_keys and not self.revoked:
            return None
        if key.rpartition("-")[0] in {k.rpartition("-")[0] for k in self.api_keys}:
            detail = "The API key provided is linked to a different data center."
            return Refusal(403, "Wrong Datacenter", detail).reply() if not self.revoked else self._invalid_key()
        return self._invalid_key()

    def _invalid_key(self) -> Reply:
        detail = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
        return Refusal(401, "API Key Invalid", detail).reply()

    def handle(self, request: Request) -> tuple[Reply, float]:
        """Slow answers hold a connection open; the eleventh at once is refused."""
        reply, delay = super().handle(request)
        if delay:
            self._open_until.append(time.monotonic() + delay)
        return reply, delay

    def limit(self, request: Request) -> Reply | None:
        now = time.monotonic()
        self._open_until = [t for t in self._open_until if t > now]
        if len(self._open_until) + self.busy_elsewhere >= CONNECTIONS:
            return self.throttled(None)
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        if self.bare_throttle:
            return Reply(b"", self.bare_throttle, content_type="text/html")
        reply = Refusal(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.").reply()
        reply.headers = {"Retry-After": retry_after} if retry_after else {}
        return reply

    def expire_tokens(self) -> None:
        """Nothing: Mailchimp's keys and tokens never expire. The edit `revoke_key` takes them away."""

    def not_found(self, request: Request) -> Reply:
        if any(regex.match(request.path) for _, regex, _ in self._table):
            return Refusal(405, "Method Not Allowed", "The requested method and resource are not compatible.").reply()
        return gone().reply()

    def decorate(self, request: Request, reply: Reply) -> Reply:
        if reply.content_type == PLAIN and isinstance(reply.body, dict):
            reply.body = project(request, reply.body)
        return reply

    def _route(self, request: Request) -> Reply:
        for fault in self.faults:
            if fault.kind == "move" and request.method == "GET" and fault.take(request.path):
                self.lists.shift(request)
        try:
            return super()._route(request)
        except Refusal as refusal:
            return refusal.reply()
        except json.JSONDecodeError:
            return Refusal(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.").reply()

    def _answer(self, request: Request) -> Reply:
        """One request of a batch, without the door's limits."""
        return self.decorate(request, self._route(request))

    # -- routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> Sequence[Route]:
        sends, batches = self.sends, self.batches
        own = [
            ("GET", "/3.0/ping", self._ping),  # https://mailchimp.com/developer/marketing/api/ping/
            ("GET", "/3.0/", self._root),  # https://mailchimp.com/developer/marketing/api/root/
            ("GET", "/3.0/campaigns", sends.list_campaigns),
            ("GET", "/3.0/campaigns/{id}", sends.get_campaign),
            ("GET", "/3.0/reports", sends.list_reports),
            ("GET", "/3.0/reports/{id}", sends.get_report),
            ("GET", "/3.0/reports/{id}/email-activity", sends.email_activity),
            ("GET", "/3.0/lists/{list}/members/{member}/activity", sends.member_activity),
            ("GET", "/3.0/automations", sends.list_automations),
            ("GET", "/3.0/automations/{id}", sends.get_automation),
            ("POST", "/3.0/batches", batches.start),
            ("GET", "/3.0/batches", batches.all),
            ("GET", "/3.0/batches/{id}", batches.status),
            ("DELETE", "/3.0/batches/{id}", batches.cancel),
            ("GET", "/batch-results/{id}/{token}", batches.download),
        ]
        return [Route(*r) for r in own] + [Route(*r) for r in self.lists.routes()]

    def _ping(self, request: Request) -> Reply:
        return ok({"health_status": "Everything's Chimpy!"})

    def _root(self, request: Request) -> Reply:
        subscribers = sum(m["status"] == "subscribed" for a in self.audiences.lists.values() for m in a.members.values())
        body = {"account_id": "8d3a3db4d97663a9074efcc16", "login_id": "1", "account_name": "Sandbox", "email": "owner@example.test",
                "role": "owner", "pro_enabled": False, "account_timezone": "UTC", "total_subscribers": subscribers}  # fmt: skip
        return ok(linked("/", body))

    # -- what tests and users change behind the API's back ------------------------------------------------------------
    def _edits(self) -> dict[str, Any]:
        return {
            "update_member": self.update_member, "archive": self.audiences.archive, "delete_permanent": self.audiences.forget,
            "unsubscribe": lambda list_id, email: self.update_member(list_id, email, {"status": "unsubscribed"}),
            "change_email": lambda list_id, old, new: self.update_member(list_id, old, {"email_address": new}),
            "touch_many": self.touch_many, "tag": self.tag, "engage": self.sends.engage, "bounce": self.sends.bounce,
            "revoke_key": lambda: setattr(self, "revoked", True), "reissue_key": lambda: setattr(self, "revoked", False),
            "knob": self.knob,
        }  # fmt: skip

    def update_member(self, list_id: str, email: str, values: Mapping[str, Any], at: str | None = None) -> str:
        """A change made in Mailchimp's own screens (no merge validation); gives the member's id after it."""
        row = self.audiences.update(list_id, self.audiences.member(list_id, email), values, skip=True)
        if at:
            self.audiences.touch([row], at)
        return str(row["id"])

    def touch_many(self, list_id: str, emails: Sequence[str], values: Mapping[str, Any], at: str) -> int:
        """The same change on many members at the same second."""
        for email in emails:
            self.update_member(list_id, email, values, at)
        return len(emails)

    def tag(self, list_id: str, email: str, name: str, active: bool = True) -> None:
        change = [{"name": name, "status": "active" if active else "inactive"}]
        self.audiences.write_tags(list_id, self.audiences.member(list_id, email), change, syncing=True)

    def knob(self, name: str, value: Any) -> None:
        """bare_throttle, busy_elsewhere, tag_delay_s, tags_move_last_changed, batch_step_s."""
        place: Any = self.audiences if name in ("tag_delay_s", "tags_move_last_changed") else self
        if name == "batch_step_s":
            place, name = self.batches, "step_s"
        setattr(place, name, value)

    def dump(self) -> Any:
        lists = self.audiences.lists
        return {
            "lists": {i: a.info | {"merge_fields": a.merge_fields} for i, a in lists.items()},
            "members": {i: {h: self.audiences.shown(m) for h, m in a.members.items()} for i, a in lists.items()},
            "forgotten": {i: sorted(a.forgotten) for i, a in lists.items()},
            "campaigns": self.sends.campaigns,
            "activity": self.sends.activity,
            "automations": self.sends.automations,
            "automations_started": self.audiences.automations_started,
            "batches": self.batches.dump(),
        }


def _key(header: str) -> str:
    """The key out of `Basic any:key`, `Bearer key` or `OAuth key`."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("bearer", "oauth"):
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:
        return ""


__all__ = ["API_KEY", "PROBLEM", "MailchimpEmulator"]
