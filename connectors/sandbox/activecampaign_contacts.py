"""Contacts of the emulated ActiveCampaign: custom fields, tags, lists, and what of them is written.

Plain state and rules; `activecampaign` puts them on the wire. No document says that values, tags or lists move a contact's
`udate` when they are written by themselves, so here they do not.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connectors.sandbox import activecampaign_wire as wire
from connectors.sandbox.activecampaign_wire import NO_DAY, NO_TIME, Refusal, Row, epoch, invalid, naive, no_result, stamp
from connectors.sandbox.kit import Reply, Request

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
LINKS = ("bounceLogs", "contactAutomations", "contactLists", "contactTags", "deals", "fieldValues", "scoreValues", "trackingLogs")
PLAIN = ("firstName", "lastName", "phone")
TYPES = ("dropdown", "hidden", "checkbox", "date", "text", "datetime", "textarea", "listbox", "radio", "number")
ACTIVE, UNSUBSCRIBED = 1, 2  # of a contact's list


class Contacts:
    """Everything about people. `now` gives whole seconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.rows: dict[int, Row] = {}
        self.order: list[int] = []
        self.by_email: dict[str, int] = {}
        self.fields: dict[int, Row] = {}
        self.values: dict[int, Row] = {}
        self.tags: dict[int, Row] = {}
        self.tagged: dict[int, Row] = {}  # contactTags
        self.lists: dict[int, Row] = {}
        self.memberships: dict[int, Row] = {}  # contactLists
        self.of: dict[str, dict[int, list[int]]] = {"values": {}, "tagged": {}, "memberships": {}}  # ids by contact
        self.last = dict.fromkeys(self.of, 0)
        self.automations_started: list[tuple[int, str]] = []
        self.sideloads = True  # does a list of contacts take `include`? Only its use by others says so

    def load(self, seed: Mapping[str, Any]) -> None:
        for row in seed.get("fields", ()):
            self.fields[int(row["id"])] = {"title": row["title"], "perstag": row["perstag"], "type": row.get("type", "text"), "at": 0}
        for row in seed.get("tags", ()):
            self.tags[int(row["id"])] = {"tag": row["tag"], "at": epoch(row.get("cdate"))}
        for row in seed.get("lists", ()):
            self.lists[int(row["id"])] = {"name": row["name"], "at": epoch(row.get("cdate"))}
        ids = {f["perstag"]: key for key, f in self.fields.items()}
        for row in seed.get("contacts", ()):
            self._load_one(row, ids)
        self.order = sorted(self.rows)

    def _load_one(self, row: Mapping[str, Any], field_ids: Mapping[str, int]) -> None:
        key = int(row["id"])
        made, changed = epoch(row["cdate"]), epoch(row["udate"])
        plain = {name: row.get(name, "") for name in PLAIN}
        self.rows[key] = {"email": row["email"], **plain, "made": made, "changed": changed, "bounced": epoch(row.get("bounced"))}
        self.by_email[row["email"].lower()] = key
        for tag, value in row.get("fields", {}).items():
            self._add("values", self.values, key, {"field": field_ids[tag], "value": value, "made": made, "changed": changed})
        for member in row.get("lists", ()):
            at = {"made": epoch(member["sdate"]), "changed": epoch(member["udate"])}
            self._add("memberships", self.memberships, key, {"list": int(member["list"]), "status": member["status"], **at}, member["id"])
        for tag in row.get("tags", ()):
            self._add("tagged", self.tagged, key, {"tag": int(tag), "made": made})

    def _add(self, kind: str, table: dict[int, Row], contact: int, row: Row, given: str | None = None) -> int:
        key = self.last[kind] + 1 if given is None else int(given)
        self.last[kind] = max(self.last[kind], key)
        table[key] = row | {"contact": contact}
        self.of[kind].setdefault(contact, []).append(key)
        return key

    def mine(self, kind: str, contact: int) -> list[int]:
        return self.of[kind].get(contact, [])

    # -- contacts ------------------------------------------------------------------------------------------------------
    def find(self, text: str) -> int:
        if not text.isdecimal() or int(text) not in self.rows:
            raise no_result("Subscriber", text)
        return int(text)

    def shown(self, key: int) -> Row:
        row, bounced = self.rows[key], self.rows[key]["bounced"]
        return {
            "cdate": stamp(row["made"]), "email": row["email"], "phone": row["phone"], "firstName": row["firstName"],
            "lastName": row["lastName"], "orgid": "0", "segmentio_id": "", "bounced_hard": "1" if bounced else "0", "bounced_soft": "0",
            "bounced_date": naive(bounced)[:10] if bounced else NO_DAY, "ip": "0",
            "hash": hashlib.md5(str(key).encode(), usedforsecurity=False).hexdigest(), "socialdata_lastcheck": NO_TIME,
            "deleted": "0", "anonymized": "0", "adate": None, "udate": stamp(row["changed"]), "edate": None, "deleted_at": NO_TIME,
            "created_utc_timestamp": naive(row["made"]), "updated_utc_timestamp": naive(row["changed"]), "scoreValues": [],
            "links": wire.linked(f"contacts/{key}", *LINKS), "id": str(key), "organization": None,
        }  # fmt: skip

    def index(self, request: Request) -> Reply:
        after = request.q("id_greater") or ""
        start = bisect_right(self.order, int(after)) if after.isdecimal() else 0
        keys: Iterable[int] = self.order[start:]
        for test in self._tests(request):
            keys = filter(test, keys)
        found = list(keys)
        for name, descending in reversed(wire.directions(request)):
            if name in ("id", "cdate", "email"):
                found.sort(key=lambda k: k if name == "id" else self.rows[k]["made" if name == "cdate" else name], reverse=descending)
        some = wire.cut(request, found)
        echo = {"limit": wire.number(request, "limit", wire.DEFAULT_LIMIT), "offset": wire.number(request, "offset", 0), "status": -1}
        meta = {"total": str(len(found)), "page_input": echo}
        return Reply({"scoreValues": [], **self.beside(request, some), "contacts": [self.shown(k) for k in some], "meta": meta})

    def _tests(self, request: Request) -> list[Callable[[int], bool]]:
        rows, tests = self.rows, list[Callable[[int], bool]]()
        if wanted := {text for name in ("ids[]", "ids") for text in request.query.get(name, ())}:
            tests.append(lambda k: str(k) in wanted)
        if (email := request.q("email")) is not None:
            tests.append(lambda k: rows[k]["email"].lower() == email.lower())
        for name, column, later in (("updated_after", "changed", True), ("updated_before", "changed", False),
                                    ("created_after", "made", True), ("created_before", "made", False)):  # fmt: skip
            if (at := wire.asked_time(request.q(f"filters[{name}]"))) is not None:
                tests.append(lambda k, at=at, c=column, later=later: rows[k][c] > at if later else rows[k][c] < at)  # type: ignore[misc]
        if listid := request.q("listid"):
            status = request.q("status", "-1")
            tests.append(lambda k: any(str(m["list"]) == listid and status in ("-1", str(m["status"])) for m in self._members(k)))
        if tagid := request.q("tagid"):
            tests.append(lambda k: any(str(self.tagged[t]["tag"]) == tagid for t in self.mine("tagged", k)))
        return tests

    def _members(self, contact: int) -> list[Row]:
        return [self.memberships[m] for m in self.mine("memberships", contact)]

    def beside(self, request: Request, keys: Iterable[int]) -> Row:
        """What `include` brings along with contacts."""
        asked = (request.q("include") or "").split(",") if self.sideloads else []
        found: Row = {}
        if "fieldValues" in asked:
            found["fieldValues"] = [self.shown_value(v) for k in keys for v in self.mine("values", k)]
        if "contactLists" in asked:
            found["contactLists"] = [self.shown_membership(m) for k in keys for m in self.mine("memberships", k)]
        if "contactTags" in asked or "contactTags.tag" in asked:
            tagged = [t for k in keys for t in self.mine("tagged", k)]
            found["contactTags"] = [self.shown_tagged(t) for t in tagged]
            if "contactTags.tag" in asked:
                found["tags"] = [self.shown_tag(t) for t in dict.fromkeys(self.tagged[t]["tag"] for t in tagged)]
        return found

    def get(self, request: Request) -> Reply:
        key = self.find(request.params["id"])
        values = [self.shown_value(v) for v in self.mine("values", key)]
        lists = [self.shown_membership(m) for m in self.mine("memberships", key)]
        return Reply({"contactAutomations": [], "contactLists": lists, "fieldValues": values, "contact": self.shown(key)})

    def create(self, request: Request) -> Reply:
        body = wire.given(request, "contact")
        if str(body.get("email", "")).lower() in self.by_email:
            raise invalid("Email address already exists in the system", "duplicate", "email")
        return self._answer(self.made(body), 201)

    def sync(self, request: Request) -> Reply:
        body = wire.given(request, "contact")
        key = self.by_email.get(str(body.get("email", "")).lower())
        return self._answer(self.made(body) if key is None else self.change(key, body), 201 if key is None else 200)

    def update(self, request: Request) -> Reply:
        key = self.find(request.params["id"])
        return self._answer(self.change(key, wire.given(request, "contact")), 200)

    def delete(self, request: Request) -> Reply:
        self.remove(self.find(request.params["id"]))
        return Reply({})

    def _answer(self, key: int, status: int) -> Reply:
        values = [self.shown_value(v) for v in self.mine("values", key)]
        return Reply({"fieldValues": values, "contact": self.shown(key)}, status)

    def made(self, body: Mapping[str, Any]) -> int:
        """A new contact. Raises: Refusal without a good address."""
        email = str(body.get("email") or "")
        if not email:
            raise invalid("Contact Email Address is not valid.", "field_missing", "email")
        if not EMAIL.fullmatch(email):
            raise invalid("Contact Email Address is not valid.", "field_invalid", "email")
        key, at = max(self.rows, default=0) + 1, self.now()
        self.rows[key] = {"email": email, **dict.fromkeys(PLAIN, ""), "made": at, "changed": at, "bounced": 0}
        self.by_email[email.lower()] = key
        insort(self.order, key)
        return self.change(key, body)

    def change(self, key: int, body: Mapping[str, Any]) -> int:
        """Only what is sent changes; fields that do not exist are dropped without a word."""
        row = self.rows[key]
        email = str(body.get("email") or row["email"])
        if self.by_email.get(email.lower(), key) != key:
            raise invalid("Email address already exists in the system", "duplicate", "email")
        if not EMAIL.fullmatch(email):
            raise invalid("Contact Email Address is not valid.", "field_invalid", "email")
        del self.by_email[row["email"].lower()]
        self.by_email[email.lower()] = key
        row |= {"email": email, "changed": self.now()} | {n: str(body[n] or "") for n in PLAIN if n in body}
        for one in body.get("fieldValues") or ():
            if int(one["field"]) in self.fields:
                self.put_value(key, int(one["field"]), one.get("value"))
        return key

    def remove(self, key: int) -> None:
        """For good: no flag, no feed, no webhook."""
        del self.by_email[self.rows.pop(key)["email"].lower()]
        self.order.remove(key)
        for kind, table in (("values", self.values), ("tagged", self.tagged), ("memberships", self.memberships)):
            for one in self.of[kind].pop(key, []):
                del table[one]

    # -- fields and their values ---------------------------------------------------------------------------------------
    def put_value(self, contact: int, field: int, value: Any) -> int:
        key = next((v for v in self.mine("values", contact) if self.values[v]["field"] == field), None)
        at = self.now()
        if key is None:
            key = self._add("values", self.values, contact, {"field": field, "made": at})
        self.values[key] |= {"value": "" if value is None else str(value), "changed": at}
        return key

    def shown_value(self, key: int) -> Row:
        row = self.values[key]
        dates = {"cdate": stamp(row["made"]), "udate": stamp(row["changed"]), "created_by": None, "updated_by": None}
        contact = str(row["contact"])
        return {"contact": contact, "field": str(row["field"]), "value": row["value"], **dates, "id": str(key), "owner": contact,
                "links": wire.linked(f"fieldValues/{key}", "owner", "field")}  # fmt: skip

    def shown_field(self, key: int) -> Row:
        row = self.fields[key]
        return {
            "title": row["title"], "descript": None, "type": row["type"], "isrequired": "0", "perstag": row["perstag"], "defval": None,
            "visible": "1", "ordernum": str(key), "cdate": stamp(row["at"]), "udate": stamp(row["at"]), "options": [], "relations": [],
            "links": wire.linked(f"fields/{key}", "options", "relations"), "id": str(key),
        }  # fmt: skip

    def create_field(self, request: Request) -> Reply:
        body = wire.given(request, "field")
        title = str(body.get("title") or "")
        if not title:
            raise Refusal(400, {"errors": ["Field name is required"]})
        if body.get("type") not in TYPES:
            raise invalid("Field type is not valid", "field_invalid", "type")
        if any(f["title"] == title for f in self.fields.values()):
            detail = f"There is already a field named '{title}' -- choose another name"
            error = {"title": "There is already a field with this title", "detail": detail, "code": "duplicate"}
            raise Refusal(422, {"errors": [error]})
        key = max(self.fields, default=0) + 1
        tag = re.sub(r"[^A-Z0-9]+", "_", str(body.get("perstag") or title).upper()).strip("_")
        self.fields[key] = {"title": title, "perstag": tag, "type": body["type"], "at": self.now(), "related": False}
        return Reply({"field": self.shown_field(key)}, 201)

    def relate_field(self, request: Request) -> Reply:
        body = wire.given(request, "fieldRel")
        key = int(body.get("field") or 0)
        if key not in self.fields:
            raise Refusal(403, {"message": "Forbidden"})
        self.fields[key]["related"] = True
        made: Row = {"field": key, "relid": int(body.get("relid") or 0), "cdate": stamp(self.now()), "links": [], "id": str(key)}
        return Reply({"fieldRel": made}, 201)

    # -- tags and lists ------------------------------------------------------------------------------------------------
    def shown_tag(self, key: int) -> Row:
        row = self.tags[key]
        return {"tagType": "contact", "tag": row["tag"], "description": "", "cdate": stamp(row["at"]), "id": str(key),
                "links": wire.linked(f"tags/{key}", "contactGoalTags")}  # fmt: skip

    def tag_named(self, name: str) -> int:
        found = next((key for key, row in self.tags.items() if row["tag"].lower() == name.lower()), None)
        if found is None:
            found = max(self.tags, default=0) + 1
            self.tags[found] = {"tag": name, "at": self.now()}
        return found

    def shown_tagged(self, key: int) -> Row:
        row = self.tagged[key]
        ends = {"contact": str(row["contact"]), "tag": str(row["tag"])}
        dates = {"cdate": stamp(row["made"]), "created_timestamp": naive(row["made"]), "updated_timestamp": naive(row["made"])}
        return {**ends, **dates, "links": wire.linked(f"contactTags/{key}", "tag", "contact"), "id": str(key)}

    def put_tag(self, contact: int, tag: int, *, automations: bool = True) -> int:
        known = next((t for t in self.mine("tagged", contact) if self.tagged[t]["tag"] == tag), None)
        if known is not None:
            return known
        if automations:
            self.automations_started.append((contact, self.tags[tag]["tag"]))
        return self._add("tagged", self.tagged, contact, {"tag": tag, "made": self.now()})

    def drop_tagged(self, text: str) -> None:
        if not text.isdecimal() or int(text) not in self.tagged:
            raise no_result("SubscriberTag", text)
        self.of["tagged"][self.tagged.pop(int(text))["contact"]].remove(int(text))

    def shown_membership(self, key: int) -> Row:
        row = self.memberships[key]
        names = {"contact": str(row["contact"]), "list": str(row["list"])}
        person = self.rows[row["contact"]]
        return {
            **names, "form": None, "seriesid": "0", "sdate": stamp(row["made"]), "udate": stamp(row["changed"]),
            "status": str(row["status"]), "responder": "1", "sync": "0", "unsubreason": None, "campaign": None, "message": None,
            "first_name": person["firstName"], "last_name": person["lastName"], "sourceid": "0", "autosyncLog": None,
            "created_timestamp": naive(row["made"]), "updated_timestamp": naive(row["changed"]), "unsubscribeAutomation": None,
            "links": wire.linked(f"contactLists/{key}", "list", "contact"), "id": str(key),
        }  # fmt: skip

    def put_membership(self, contact: int, list_id: int, status: int) -> int:
        key = next((m for m in self.mine("memberships", contact) if self.memberships[m]["list"] == list_id), None)
        at = self.now()
        if key is None:
            key = self._add("memberships", self.memberships, contact, {"list": list_id, "made": at})
        self.memberships[key] |= {"status": status, "changed": at}
        return key
