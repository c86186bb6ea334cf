"""A stateful ActiveCampaign (API v3) over loopback HTTP, written from the vendor's documentation.

This file has the door: the key, five requests a second for the whole account, the routes, and the plain lists. Contacts,
deals and imports have rules of their own in the neighbouring modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from connectors.sandbox import activecampaign_wire as wire
from connectors.sandbox.activecampaign_contacts import Contacts
from connectors.sandbox.activecampaign_deals import Deals
from connectors.sandbox.activecampaign_imports import Imports
from connectors.sandbox.activecampaign_others import Others
from connectors.sandbox.activecampaign_wire import Refusal, Row, no_result, stamp
from connectors.sandbox.kit import Emulator, Reply, Request, Route

TOKEN = "sandbox-activecampaign-token"
CALLS, WINDOW_S = 5, 1.0  # per account. Source: https://developers.activecampaign.com/reference/rate-limits


class ActiveCampaignEmulator(Emulator):
    """One ActiveCampaign account."""

    name = "activecampaign"
    keys: ClassVar[Mapping[str, str]] = {"api_token": TOKEN}

    def __init__(self, seed: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)
        self.token = TOKEN
        self.flaky = 0  # so many of the next requests are refused with 403 although the token is right
        self.empty = 0  # so many of the next lists are answered with 200 and nothing
        self.forbidden: set[str] = set()  # first path segments the key's user may not see
        self.contacts = Contacts(self._now)
        self.deals = Deals(self._now)
        self.imports = Imports(self.contacts, self.clock.now)
        self.others = Others(lambda: [row["account"] for row in self.deals.rows.values()])
        self._recent: list[float] = []
        self.edits = self._edits()
        if seed is not None:
            self.load(seed)

    def _now(self) -> int:
        return int(self.clock.now())

    def load(self, seed: Mapping[str, Any]) -> None:
        self.contacts.load(seed)
        self.deals.load(seed)
        self.others.load(seed)

    # -- the door ----------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        """A wrong token is a 403 here, and so is, now and then, a right one."""
        if self.flaky > 0:
            self.flaky -= 1
            return Reply(b"", 403, content_type="text/html")
        if request.headers.get("api-token") != self.token:
            return Reply({"message": "Forbidden"}, 403)
        if request.path.removeprefix("/api/3/").split("/")[0] in self.forbidden:
            return Reply({"message": "Forbidden"}, 403)
        return None

    def limit(self, request: Request) -> Reply | None:
        now = self.clock.now()
        self._recent = [t for t in self._recent if 0 <= now - t < WINDOW_S]  # a clock that was put back has no calls ahead of it
        if len(self._recent) >= CALLS:
            return self.throttled("1")
        self._recent.append(now)
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        return Reply({"message": "Too Many Requests"}, 429, {"Retry-After": retry_after} if retry_after else {})

    def expire_tokens(self) -> None:
        """Nothing: keys live until a user resets them. The edit `reset_key` does."""

    def not_found(self, request: Request) -> Reply:
        return Reply({"message": "No route found"}, 404)

    def decorate(self, request: Request, reply: Reply) -> Reply:
        left = max(0, CALLS - len(self._recent))
        reply.headers = {**reply.headers, "RateLimit-Limit": str(CALLS), "RateLimit-Remaining": str(left)}
        if self.empty > 0 and request.method == "GET" and reply.status == 200:
            self.empty -= 1
            reply.body = b""
        return reply

    def _route(self, request: Request) -> Reply:
        self.imports.settle()
        for fault in self.faults:
            if fault.kind == "move" and request.method == "GET" and fault.take(request.path):
                self._move(request)
        try:
            return super()._route(request)
        except Refusal as refusal:
            return refusal.reply()
        except ValueError:
            return Reply({"errors": "The request could not be read."}, 400)

    def _move(self, request: Request) -> None:
        """Between two pages somebody deletes the first row of the list."""
        if request.path.endswith("/contacts"):
            self.contacts.remove(self.contacts.order[0])
        if request.path.endswith("/deals"):
            self.deals.remove(min(self.deals.rows, key=lambda k: self.deals.rows[k]["made"]))

    # -- routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> Sequence[Route]:
        """Behind each is its page below https://developers.activecampaign.com/reference."""
        c, d, i, x = self.contacts, self.deals, self.imports, self.others
        table: list[tuple[str, str, Callable[[Request], Reply]]] = [
            ("GET", "users/me", x.me),  # /get-user-loggedin
            ("GET", "users", x.users),  # /list-all-users
            ("GET", "contacts", c.index),  # /list-all-contacts
            ("POST", "contacts", c.create),  # /create-a-new-contact
            ("POST", "contact/sync", c.sync),  # /sync-a-contacts-data
            ("GET", "contacts/{id}", c.get),  # /get-contact
            ("PUT", "contacts/{id}", c.update),  # /update-a-contact-new
            ("DELETE", "contacts/{id}", c.delete),  # /delete-contact
            ("GET", "contacts/{id}/fieldValues", self._of("fieldValues", "values", c.shown_value)),  # /list-all-contact-field-values
            ("GET", "contacts/{id}/contactTags", self._of("contactTags", "tagged", c.shown_tagged)),  # /retrieve-a-contacts-tags
            (
                "GET",
                "contacts/{id}/contactLists",
                self._of("contactLists", "memberships", c.shown_membership),
            ),  # /get-contact-contact-lists
            ("GET", "fields", self._fields),  # /retrieve-fields
            ("POST", "fields", c.create_field),  # /create-a-contact-custom-field
            ("POST", "fieldRels", c.relate_field),  # /create-custom-field-relationship-to-list
            ("GET", "fieldValues", self._values),  # /list-all-custom-field-values-1
            ("GET", "fieldValues/{id}", self._value),  # /retrieve-a-fieldvalues
            ("POST", "fieldValues", self._put_value),  # /create-fieldvalue
            ("GET", "tags", self._tags),  # /retrieve-all-tags
            ("POST", "tags", self._create_tag),  # /create-a-new-tag
            ("GET", "contactTags", self._tagged),  # not in the reference; /create-contact-tag names the collection
            ("POST", "contactTags", self._put_tag),  # /create-contact-tag
            ("DELETE", "contactTags/{id}", self._drop_tag),  # /delete-contact-tag
            ("GET", "lists", self._lists),  # /retrieve-all-lists
            ("POST", "contactLists", self._put_membership),  # /update-list-status-for-contact
            ("POST", "import/bulk_import", i.start),  # /bulk-import-contacts
            ("GET", "import/bulk_import", i.totals),  # /bulk-import-status-list
            ("GET", "import/info", i.info),  # /bulk-import-status-info
            ("GET", "deals", d.index),  # /list-all-deals
            ("POST", "deals", d.create),  # /create-a-deal-new
            ("GET", "deals/{id}", d.get),  # /retrieve-a-deal
            ("PUT", "deals/{id}", d.update),  # /update-a-deal-new
            ("DELETE", "deals/{id}", d.delete),  # /delete-a-deal
            ("GET", "deals/{id}/dealActivities", d.list_activities),  # /list-all-deal-activities
            ("GET", "dealActivities", d.list_activities),  # /list-all-deal-activities
            ("GET", "dealGroups", d.list_groups),  # /list-all-pipelines
            ("GET", "dealStages", d.list_stages),  # /list-all-deal-stages
            ("GET", "contactDeals", d.list_more_contacts),  # /list-all-secondary-contacts
            ("GET", "dealCustomFieldMeta", self._meta),  # /retrieve-all-dealcustomfielddata-resources
            ("POST", "dealCustomFieldMeta", d.create_meta),  # /create-dealcustomfieldmeta-resource
            ("GET", "dealCustomFieldData", d.list_data),  # /list-all-custom-field-values
            ("POST", "dealCustomFieldData", d.create_datum),  # /create-a-deal-custom-field-value
            ("PUT", "dealCustomFieldData/{id}", d.update_datum),  # /update-a-dealcustomfielddata-resource
            ("DELETE", "dealCustomFieldData/{id}", d.delete_datum),  # /delete-a-dealcustomfielddata-resource
            ("GET", "accounts", x.accounts),  # /list-all-accounts
            ("GET", "accountContacts", x.account_contacts),  # /list-all-associations-1
            ("GET", "campaigns", x.campaigns),  # /list-all-campaigns
            ("GET", "messages", x.messages),  # /list-all-messages
            ("GET", "automations", x.automations),  # /list-all-automations
            ("GET", "contactAutomations", x.contact_automations),  # /list-all-contact-automations
        ]
        return [Route(method, f"/api/3/{path}", handler) for method, path, handler in table]

    def _of(self, name: str, kind: str, show: Callable[[int], Row]) -> Callable[[Request], Reply]:
        """A contact's own list of something; without meta."""

        def answer(request: Request) -> Reply:
            return Reply({name: [show(k) for k in self.contacts.mine(kind, self.contacts.find(request.params["id"]))]})

        return answer

    def _fields(self, request: Request) -> Reply:
        rows = wire.kept(request, map(self.contacts.shown_field, self.contacts.fields), {"perstag": "perstag"})
        return wire.page(request, "fields", rows, default=100, fieldOptions=[], fieldRels=[])

    def _values(self, request: Request) -> Reply:
        rows = [self.contacts.shown_value(k) for k in self.contacts.values]
        return wire.page(request, "fieldValues", wire.kept(request, rows, {"fieldid": "field", "val": "value"}))

    def _value(self, request: Request) -> Reply:
        key = request.params["id"]
        if not key.isdecimal() or int(key) not in self.contacts.values:
            raise no_result("FieldValue", key, 403)
        return Reply({"fieldValue": self.contacts.shown_value(int(key))})

    def _put_value(self, request: Request) -> Reply:
        body = wire.given(request, "fieldValue")
        if not str(body.get("field") or "").isdecimal() or int(body["field"]) not in self.contacts.fields:
            raise Refusal(403, {"message": "Forbidden"})
        key = self.contacts.find(str(body.get("contact")))
        value = self.contacts.put_value(key, int(body["field"]), body.get("value"))
        return Reply({"contacts": [self.contacts.shown(key)], "fieldValue": self.contacts.shown_value(value)})

    def _tags(self, request: Request) -> Reply:
        said = (request.q("search") or "").lower()
        found = [key for key, row in self.contacts.tags.items() if said in row["tag"].lower()]
        return wire.page(request, "tags", [self.contacts.shown_tag(key) for key in found])

    def _create_tag(self, request: Request) -> Reply:
        body = wire.given(request, "tag")
        if not body.get("tag"):
            raise wire.missing_attribute("tag")
        if any(row["tag"].lower() == str(body["tag"]).lower() for row in self.contacts.tags.values()):
            raise wire.invalid("Tag already exists", "duplicate", "tag")
        return Reply({"tag": self.contacts.shown_tag(self.contacts.tag_named(str(body["tag"])))}, 201)

    def _tagged(self, request: Request) -> Reply:
        return wire.page(request, "contactTags", [self.contacts.shown_tagged(k) for k in self.contacts.tagged])

    def _put_tag(self, request: Request) -> Reply:
        body = wire.given(request, "contactTag")
        for name in ("contact", "tag"):
            if not body.get(name):
                raise wire.missing_attribute(name)
        for name, table in (("contact", self.contacts.rows), ("tag", self.contacts.tags)):
            if int(body[name]) not in table:
                raise Refusal(404, {"errors": [{"status": 404, "title": "Not Found", "detail": f"{name.title()} not found"}]})
        key = self.contacts.put_tag(int(body["contact"]), int(body["tag"]))
        return Reply({"contactTag": self.contacts.shown_tagged(key)}, 201)

    def _drop_tag(self, request: Request) -> Reply:
        self.contacts.drop_tagged(request.params["id"])
        return Reply({})

    def _lists(self, request: Request) -> Reply:
        rows = [{"stringid": row["name"].lower().replace(" ", "-"), "userid": "1", "name": row["name"], "cdate": stamp(row["at"]),
                 "udate": None, "id": str(key), "user": "1"} for key, row in self.contacts.lists.items()]  # fmt: skip
        return wire.page(request, "lists", rows)

    def _put_membership(self, request: Request) -> Reply:
        body = wire.given(request, "contactList")
        for name in ("list", "contact", "status"):
            if body.get(name) in (None, ""):
                raise wire.missing_attribute(name)
        if str(body["status"]) not in ("1", "2"):
            raise wire.invalid("The status is invalid.", "field_invalid", "status")
        key = self.contacts.find(str(body["contact"]))
        if not str(body["list"]).isdecimal() or int(body["list"]) not in self.contacts.lists:
            raise wire.no_result("List", str(body["list"]))
        made = self.contacts.put_membership(key, int(body["list"]), int(body["status"]))
        return Reply({"contacts": [self.contacts.shown(key)], "contactList": self.contacts.shown_membership(made)})

    def _meta(self, request: Request) -> Reply:
        return wire.page(request, "dealCustomFieldMeta", [self.deals.shown_meta(k) for k in self.deals.meta], total=False, default=100)

    # -- what the sandbox and the tour ask -----------------------------------------------------------------------------
    def rows(self) -> Mapping[str, int]:
        c, d = self.contacts, self.deals
        own = {"contactTags": len(c.tagged), "contactDeals": len(d.more_contacts), "dealGroups": len(d.groups)}
        same = ("users", "accountContacts", "campaigns", "automations", "contactAutomations")
        return own | {name: len(self.others.rows[name]) for name in same}

    def _edits(self) -> dict[str, Callable[..., Any]]:
        """What tests and users change behind the API's back."""
        c, d = self.contacts, self.deals
        return {
            "update_contact": lambda id, values: c.change(int(id), values),
            "delete_contact": lambda id: c.remove(int(id)),
            "delete_deal": lambda id: d.remove(int(id)),
            "move_deal": lambda id, stage: d._written(int(id), {"stage": stage, "group": d._group_of(stage)}, 200) and None,
            "close_deal": lambda id, status: d._written(int(id), {"status": status}, 200) and None,
            "set_list": lambda contact, list_id, status: c.put_membership(int(contact), int(list_id), int(status)),
            "tag": lambda contact, name: c.put_tag(int(contact), c.tag_named(name)),
            "hide_deal": lambda id: d.hidden.add(int(id)),
            "reset_key": lambda token: setattr(self, "token", token),
            "knob": self.knob,
        }

    def knob(self, name: str, value: Any) -> None:
        """flaky, empty, forbidden, sideloads, move_shape, step_s, refused."""
        places: dict[str, Any] = {"sideloads": self.contacts, "move_shape": self.deals, "step_s": self.imports, "refused": self.imports}
        setattr(places.get(name, self), name, set(value) if isinstance(value, list) else value)

    def dump(self) -> Any:
        """Custom fields by the record they belong to, so that a value cleared and a value never set look alike."""
        self.imports.settle()
        c, d = self.contacts, self.deals
        contacts = {
            str(k): {**row, "fields": {c.fields[c.values[v]["field"]]["perstag"]: c.values[v]["value"] for v in c.mine("values", k)},
                     "tags": sorted(c.tags[c.tagged[t]["tag"]]["tag"] for t in c.mine("tagged", k)),
                     "lists": {str(c.memberships[m]["list"]): c.memberships[m]["status"] for m in c.mine("memberships", k)}}
            for k, row in c.rows.items()
        }  # fmt: skip
        deals = {
            str(k): {**row, "fields": {d.meta[f]["fieldLabel"]: d.data[v]["value"] for f, v in d.of_data.get(k, {}).items()}}
            for k, row in d.rows.items()
        }
        return {"contacts": contacts, "deals": deals, "fields": {str(k): f["title"] for k, f in c.fields.items()},
                "tags": {str(k): t["tag"] for k, t in c.tags.items()}, "automations_started": c.automations_started,
                "batches": {k: b["status"] for k, b in self.imports.batches.items()}, **self.others.rows}  # fmt: skip
