"""Members of Mailchimp lists as the vendor keeps them: one row per list and address, a status machine, merge fields, tags.

Plain state and rules without HTTP; `mailchimp_routes` puts them on the wire. Refusals are raised as `Refusal`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.sandbox.mailchimp_wire import Refusal, Row, gone, invalid, member_hash, stamp

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
PLAIN_FIELDS = ("email_type", "language", "vip", "location", "ip_signup", "ip_opt", "interests", "source", "member_rating")
TEXT_BYTES = 255
COMPLIANCE = "is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+$")


class Audience:
    """One list: its merge fields, its members by id, the addresses deleted for good, its tags."""

    def __init__(self, seed: Mapping[str, Any]) -> None:
        self.info = {"id": seed["id"], "name": seed["name"], "date_created": stamp(seed.get("date_created"))}
        self.merge_fields: list[Row] = []
        self.members: dict[str, Row] = {}
        self.forgotten: set[str] = set()
        self.tag_ids: dict[str, int] = {}
        self.tags_changed: dict[str, str] = {}
        self.waiting: list[Row] = []  # members with tag writes that are not visible yet
        for field in seed.get("merge_fields", ()):
            self.add_merge_field(field)

    @property
    def id(self) -> str:
        return str(self.info["id"])

    def add_merge_field(self, body: Mapping[str, Any]) -> Row:
        name, kind = body.get("name"), body.get("type")
        tag = str(body.get("tag") or f"MMERGE{len(self.merge_fields) + 1}").upper()
        if not name or kind not in MERGE_TYPES:
            raise invalid("name" if not name else "type", "This value is not valid.")
        if len(tag) > 10:
            raise invalid("tag", "Merge tags can be 10 characters at most.")
        if any(f["tag"] == tag for f in self.merge_fields):
            raise Refusal(400, "Invalid Resource", f"Merge Field with Tag {tag} Already Exists For This List")
        row = {
            "merge_id": len(self.merge_fields) + 1, "tag": tag, "name": name, "type": kind, "required": bool(body.get("required")),
            "default_value": body.get("default_value", ""), "public": bool(body.get("public", True)),
            "display_order": len(self.merge_fields) + 2, "options": dict(body.get("options") or {}), "list_id": self.id,
        }  # fmt: skip
        self.merge_fields.append(row)
        return row

    def merged(self, old: Mapping[str, Any], new: Mapping[str, Any], *, skip: bool) -> Row:
        """Merge fields after a write. Unknown tags are dropped and long text is cut, both without a word."""
        values = {f["tag"]: old.get(f["tag"], f["default_value"]) for f in self.merge_fields}
        errors = []
        for field in self.merge_fields:
            tag = field["tag"]
            if tag in new:
                values[tag] = _trimmed(field, new[tag])
                if problem := MERGE_TYPES[field["type"]](values[tag], field) if values[tag] not in ("", None) else "":
                    errors.append({"field": tag, "message": problem})
            if field["required"] and not skip and values[tag] in ("", None):
                errors.append({"field": tag, "message": "This value should not be blank."})
        if errors:
            raise Refusal(400, "Invalid Resource", "Your merge fields were invalid.", errors)
        return values


def _trimmed(field: Row, value: Any) -> Any:
    if value is None:
        return ""
    if field["type"] == "text":
        return str(value).encode()[:TEXT_BYTES].decode(errors="ignore")
    return value


def _any(value: Any, field: Row) -> str:
    return ""


def _number(value: Any, field: Row) -> str:
    return "" if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) else "This value should be numeric."


def _date(value: Any, field: Row) -> str:
    return "" if re.fullmatch(r"\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4}", str(value)) else "Please enter a valid date."


def _birthday(value: Any, field: Row) -> str:
    return "" if re.fullmatch(r"(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])", str(value)) else "Please enter a month (01-12) and a day (01-31)."


def _choice(value: Any, field: Row) -> str:
    return "" if value in field["options"].get("choices", [value]) else "Data did not match any of the accepted formats: choice."


MERGE_TYPES: dict[str, Callable[[Any, Row], str]] = {
    "text": _any, "number": _number, "address": _any, "phone": _any, "date": _date, "url": _any, "imageurl": _any,
    "radio": _choice, "dropdown": _choice, "birthday": _birthday, "zip": _any,
}  # fmt: skip


class Audiences:
    """All lists of the account, and every rule about their members. `now` is the emulator's clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lists: dict[str, Audience] = {}
        self.tag_delay_s = 1.0
        self.tags_move_last_changed = True  # nobody documents it; both answers can be tried
        self.automations_started: list[tuple[str, str]] = []  # (member id, tag): tag writes without is_syncing
        self._serial = 0

    def load(self, seed: Mapping[str, Any]) -> None:
        for info in seed.get("lists", ()):
            self.lists[info["id"]] = Audience(info)
        for list_id, rows in seed.get("members", {}).items():
            for row in rows:
                self._plant(self.lists[list_id], row)

    def find(self, list_id: str) -> Audience:
        if list_id not in self.lists:
            raise gone()
        return self.lists[list_id]

    def member(self, list_id: str, name: str) -> Row:
        """A member by hash, address or contact id."""
        audience = self.find(list_id)
        row = audience.members.get(member_hash(name) if "@" in name else name.lower())
        row = row or next((m for m in audience.members.values() if m["contact_id"] == name), None)
        if row is None:
            raise gone()
        return row

    def _plant(self, audience: Audience, seed: Mapping[str, Any]) -> Row:
        email = seed["email_address"]
        row = self._blank(audience, email) | {k: seed[k] for k in PLAIN_FIELDS if k in seed}
        row["status"] = seed.get("status", "subscribed")
        row["merge_fields"] |= seed.get("merge_fields", {})
        for key in ("timestamp_signup", "timestamp_opt", "last_changed"):
            row[key] = stamp(seed.get(key))
        for key in ("contact_id", "unique_email_id"):
            row[key] = seed.get(key) or row[key]
        for tag in seed.get("tags", ()):
            self._put_tag(audience, row, tag, active=True)
        audience.members[row["id"]] = row
        return row

    def _blank(self, audience: Audience, email: str) -> Row:
        self._serial += 1
        digest = hashlib.sha256(f"{audience.id}/{email.lower()}".encode()).hexdigest()
        return {
            "id": member_hash(email), "email_address": email, "unique_email_id": hashlib.sha256(email.lower().encode()).hexdigest()[:10],
            "contact_id": digest[:32], "full_name": "", "web_id": 100_000_000 + self._serial, "email_type": "html", "status": "subscribed",
            "consents_to_one_to_one_messaging": True, "merge_fields": audience.merged({}, {}, skip=True), "interests": {},
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0}, "ip_signup": "", "timestamp_signup": "", "ip_opt": "", "timestamp_opt": "",
            "member_rating": 2, "last_changed": "", "language": "", "vip": False, "email_client": "",
            "location": {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0, "country_code": "", "timezone": "", "region": ""},
            "source": "API - Generic", "list_id": audience.id, "_tags": {}, "_waiting": [], "_former": "",
        }  # fmt: skip

    # -- the status machine ------------------------------------------------------------------------------------------
    def create(self, list_id: str, body: Mapping[str, Any], *, skip: bool, status: str | None = None) -> Row:
        """A new member. Source: https://mailchimp.com/developer/marketing/api/list-members/add-member-to-list/"""
        audience = self.find(list_id)
        email = str(body.get("email_address") or "")
        if not EMAIL.match(email):
            raise Refusal(400, "Invalid Resource", "Please provide a valid email address.")
        status = status or body.get("status")
        if status not in STATUSES[:5]:
            raise invalid("status", "This value should not be null." if status is None else "The value you selected is not a valid choice.")
        if member_hash(email) in audience.members:
            raise Refusal(400, "Member Exists", f"{email} is already a list member. Use PUT to insert or update list members.")
        if member_hash(email) in audience.forgotten:
            detail = f"{email} was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list."
            raise Refusal(400, "Forgotten Email Not Subscribed", detail)
        row = self._blank(audience, email)
        row["merge_fields"] = audience.merged({}, body.get("merge_fields") or {}, skip=skip)
        now = stamp(self.now())
        row |= {"status": status, "timestamp_signup": now, "timestamp_opt": now if status == "subscribed" else "", "last_changed": now}
        row |= {k: body[k] for k in PLAIN_FIELDS if k in body}
        for tag in body.get("tags", ()):
            self._put_tag(audience, row, tag if isinstance(tag, str) else tag["name"], active=True)
        audience.members[row["id"]] = row
        return row

    def update(self, list_id: str, row: Row, body: Mapping[str, Any], *, skip: bool) -> Row:
        """Changes to an existing member; nothing is changed when anything is refused."""
        audience = self.find(list_id)
        status = self._next_status(row, body.get("status"))
        merged = audience.merged(row["merge_fields"], body.get("merge_fields") or {}, skip=skip)
        email = body.get("email_address") or row["email_address"]
        if member_hash(email) != row["id"]:
            self._readdress(audience, row, email)
        if status == "subscribed" != row["status"]:
            row["timestamp_opt"] = stamp(self.now())
        row |= {k: body[k] for k in PLAIN_FIELDS if k in body}
        row |= {"status": status, "merge_fields": merged, "email_address": email, "last_changed": stamp(self.now())}
        return row

    def _next_status(self, row: Row, wanted: str | None) -> str:
        current = str(row["status"])
        if wanted is None or wanted == current:
            return current
        if wanted not in STATUSES[:5]:
            raise invalid("status", "The value you selected is not a valid choice.")
        held = str(row["_former"]) if current == "archived" else current
        refused = held == "cleaned" or (held == "unsubscribed" and wanted == "subscribed")
        if wanted in ("subscribed", "pending") and refused:
            raise Refusal(400, "Member In Compliance State", f"{row['email_address']} {COMPLIANCE}")
        return wanted

    def _readdress(self, audience: Audience, row: Row, email: str) -> None:
        """The id follows the e-mail: the member is found under a new one, and under the old one no more."""
        new = member_hash(email)
        if new in audience.members:
            raise Refusal(400, "Member Exists", f"{email} is already a list member.")
        del audience.members[row["id"]]
        row |= {"id": new, "email_address": email, "unique_email_id": hashlib.sha256(email.lower().encode()).hexdigest()[:10]}
        audience.members[new] = row

    def archive(self, list_id: str, name: str) -> None:
        row = self.member(list_id, name)
        if row["status"] != "archived":
            row |= {"_former": row["status"], "status": "archived", "last_changed": stamp(self.now())}

    def forget(self, list_id: str, name: str) -> None:
        """Permanent delete: the row vanishes and the address may not be imported again."""
        row = self.member(list_id, name)
        audience = self.find(list_id)
        del audience.members[row["id"]]
        audience.forgotten.add(row["id"])

    def touch(self, rows: Iterable[Row], at: str | None = None) -> None:
        for row in rows:
            row["last_changed"] = stamp(at or self.now())

    # -- tags --------------------------------------------------------------------------------------------------------
    def _put_tag(self, audience: Audience, row: Row, name: str, *, active: bool) -> None:
        audience.tag_ids.setdefault(name, 1000 + len(audience.tag_ids))
        audience.tags_changed[name] = stamp(self.now())
        if active:
            row["_tags"].setdefault(name, stamp(self.now()))
        else:
            row["_tags"].pop(name, None)

    def write_tags(self, list_id: str, row: Row, changes: Sequence[Mapping[str, Any]], *, syncing: bool) -> None:
        """Accepted at once, seen a little later. Without is_syncing, automations start."""
        due = self.now().timestamp() + self.tag_delay_s
        for change in changes:
            if not change.get("name") or change.get("status") not in ("active", "inactive"):
                raise invalid("tags", "Tags need a name and a status of active or inactive.")
        self.find(list_id).waiting.append(row)
        for change in changes:
            row["_waiting"].append((due, change["name"], change["status"] == "active"))
            if not syncing and change["status"] == "active":
                self.automations_started.append((row["id"], change["name"]))

    def replace_tags(self, list_id: str, row: Row, names: Sequence[str], *, whole: bool) -> None:
        if whole:
            for name in [n for n in row["_tags"] if n not in names]:
                self._put_tag(self.find(list_id), row, name, active=False)
        for name in names:
            self._put_tag(self.find(list_id), row, name, active=True)

    def settle(self, list_id: str) -> None:
        """Make the tag writes visible whose time has come."""
        audience, now = self.find(list_id), self.now().timestamp()
        for row in audience.waiting:
            if not (due := [w for w in row["_waiting"] if w[0] <= now]):
                continue
            row["_waiting"] = [w for w in row["_waiting"] if w[0] > now]
            for _, name, active in due:
                self._put_tag(audience, row, name, active=active)
            if self.tags_move_last_changed:
                self.touch([row])
        audience.waiting = [row for row in audience.waiting if row["_waiting"]]

    def shown(self, row: Row) -> Row:
        """The member as the API shows it."""
        audience = self.lists[row["list_id"]]
        tags = [{"id": audience.tag_ids[name], "name": name} for name in row["_tags"]]
        name = f"{row['merge_fields'].get('FNAME', '')} {row['merge_fields'].get('LNAME', '')}".strip()
        visible = {k: v for k, v in row.items() if not k.startswith("_")}
        return visible | {"full_name": name, "tags_count": len(tags), "tags": tags}
