"""Deals of the emulated ActiveCampaign: pipelines, stages, custom fields, what happened to a deal, accounts.

Plain state and rules. What a stage move looks like among a deal's activities is not documented; `move_shape` sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from connectors.sandbox import activecampaign_wire as wire
from connectors.sandbox.activecampaign_wire import NO_TIME, Refusal, Row, epoch, naive, no_result, stamp
from connectors.sandbox.kit import Reply, Request

COLUMNS = ("title", "value", "currency", "group", "stage", "owner", "contact", "account", "percent", "description", "status")
NUMBERS = ("value", "status", "percent")
FILTERS = {"stage": "stage", "group": "group", "status": "status", "owner": "owner", "title": "title"}
ORDERS = {"title": "title", "value": "value", "cdate": "made"}
FIELD_TYPES = ("text", "textarea", "date", "datetime", "dropdown", "multiselect", "radio", "checkbox", "hidden", "currency", "number")
# How a move to another stage is told: (dataType, where the new stage stands, where the old one).
SHAPES = {"data": ("stage", "dataId", "dataOldval"), "column": ("d_stageid", "d_stageid", "dataOldval"), "none": ("", "", "")}


class Deals:
    """Deals and what hangs on them. `now` gives whole seconds. Ids are ints inside, texts on the wire."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.rows: dict[int, Row] = {}
        self.groups: dict[int, Row] = {}
        self.stages: dict[int, Row] = {}
        self.activities: dict[int, Row] = {}
        self.of_deal: dict[int, list[int]] = {}  # activities
        self.meta: dict[int, Row] = {}
        self.data: dict[int, Row] = {}
        self.of_data: dict[int, dict[int, int]] = {}  # deal → custom field → datum
        self.last_datum = 0
        self.more_contacts: dict[int, Row] = {}
        self.move_shape = "data"
        self.hidden: set[int] = set()  # deals of pipelines the key may not see

    def load(self, seed: Mapping[str, Any]) -> None:
        for row in seed.get("dealGroups", ()):
            self.groups[int(row["id"])] = {"title": row["title"], "currency": row.get("currency", "eur"), "at": epoch(row.get("cdate"))}
        for row in seed.get("dealStages", ()):
            self.stages[int(row["id"])] = {"title": row["title"], "group": int(row["group"]), "order": int(row["order"])}
        for row in seed.get("dealCustomFieldMeta", ()):
            about = {"fieldLabel": row["fieldLabel"], "fieldType": row["fieldType"]}
            self.meta[int(row["id"])] = {**about, "fieldDefaultCurrency": row.get("fieldDefaultCurrency"), "at": 0}
        for row in seed.get("deals", ()):
            self._load_one(row)

    def _load_one(self, row: Mapping[str, Any]) -> None:
        """`path` are the stages entered, oldest first; its last step may be "won" or "lost"."""
        key, path = int(row["id"]), [(place, epoch(at)) for place, at in row["path"]]
        stages = [place for place, _ in path if place not in ("won", "lost")]
        status = {"won": 1, "lost": 2}.get(path[-1][0], 0)
        ends = {name: str(row.get(name) or "") for name in ("owner", "contact", "account")}
        self.rows[key] = {
            "title": row["title"], "value": int(row["value"]), "currency": row["currency"], "group": str(row["group"]), "stage": stages[-1],
            **ends, "percent": 0, "description": row.get("description", ""), "status": status, "made": path[0][1],
            "changed": epoch(row.get("mdate")) or path[-1][1],
        }  # fmt: skip
        self.happened(key, "", "add", at=path[0][1])
        for (before, _), (place, at) in pairwise(path):
            if place in ("won", "lost"):
                self.happened(key, "status", str(status), old="0", at=at)
            else:
                self.moved(key, before, place, at)
        for field, value in row.get("fields", {}).items():
            self.put_datum(key, int(field), value, at=path[0][1])
        for contact in row.get("contacts", ()):
            self.more_contacts[len(self.more_contacts) + 1] = {"deal": key, "contact": int(contact), "at": path[0][1]}

    # -- what happened -------------------------------------------------------------------------------------------------
    def happened(
        self, deal: int, kind: str, action: str, *, data: str = "0", old: str = "", stage: str = "0", at: int | None = None
    ) -> None:
        key = len(self.activities) + 15_001
        row = {"deal": deal, "type": kind, "action": action, "data": data, "old": old, "stage": stage, "at": at or self.now()}
        self.activities[key] = row
        self.of_deal.setdefault(deal, []).append(key)

    def moved(self, deal: int, old: str, new: str, at: int | None = None) -> None:
        kind, place, _ = SHAPES[self.move_shape]
        if kind:
            told = {"data": new} if place == "dataId" else {"stage": new}
            self.happened(deal, kind, "update", old=old, at=at, **told)

    def shown_activity(self, key: int) -> Row:
        row = self.activities[key]
        return {
            "d_id": str(row["deal"]), "d_stageid": row["stage"], "userid": "1", "dataId": row["data"], "dataType": row["type"],
            "dataAction": row["action"], "dataOldval": row["old"], "cdate": stamp(row["at"]), "sortdate": stamp(row["at"]),
            "isAddtask": "0", "deleted": "0", "seriesid": "0", "links": wire.linked(f"dealActivities/{key}", "deal", "stage", "user"),
            "id": str(key), "deal": str(row["deal"]), "stage": None if row["stage"] == "0" else row["stage"], "user": "1",
            "automation": None,
        }  # fmt: skip

    def list_activities(self, request: Request) -> Reply:
        deal = request.params.get("id") or request.q("deal")
        if "id" in request.params:
            self.find(request.params["id"])
        keys = self.of_deal.get(int(deal), []) if deal and deal.isdecimal() else list(self.activities)
        kind, data = request.q("filters[data_type]"), request.q("filters[data_id]")
        found = [k for k in keys if kind in (None, self.activities[k]["type"]) and data in (None, self.activities[k]["data"])]
        shown = [self.shown_activity(k) for k in wire.cut(request, found)]
        return Reply({"dealActivities": shown})  # no meta

    # -- deals ---------------------------------------------------------------------------------------------------------
    def find(self, text: str) -> int:
        if not text.isdecimal() or int(text) not in self.rows:
            raise no_result("SubscriberDeal", text)
        return int(text)

    def shown(self, key: int, *, echo: bool = False) -> Row:
        """`echo`: as POST and PUT answer, with numbers as numbers. A deal the key may not see shrinks to three keys."""
        row = self.rows[key]
        if key in self.hidden:
            return {"id": str(key), "isDisabled": 1, "title": row["title"]}
        numbers = {name: row[name] if echo else str(row[name]) for name in NUMBERS}
        ends = {"owner": row["owner"], "contact": row["contact"] or None, "account": row["account"] or None}
        return {
            **ends, "organization": row["account"] or None, "customerAccount": row["account"] or None, "group": row["group"],
            "stage": row["stage"], "title": row["title"], "description": row["description"], **numbers, "cdate": stamp(row["made"]),
            "mdate": stamp(row["changed"]), "nextdate": None, "nexttaskid": None, "currency": row["currency"], "winProbability": 44,
            "activitycount": str(len(self.of_deal.get(key, ()))), "nextdealid": str(key), "edate": NO_TIME, "hash": f"{key:08x}",
            "links": {n: f"/api/3/deals/{key}/{n}" for n in ("dealActivities", "contact", "stage", "dealCustomFieldData")},
            "id": str(key), "isDisabled": False,
        }  # fmt: skip

    def index(self, request: Request) -> Reply:
        found = [row | {"id": key} for key, row in self.rows.items()]
        found = wire.kept(request, found, FILTERS)
        for name, column, later in (("updated_after", "changed", True), ("updated_before", "changed", False),
                                    ("created_after", "made", True), ("created_before", "made", False)):  # fmt: skip
            if (at := wire.asked_time(request.q(f"filters[{name}]"))) is not None:
                found = [row for row in found if (row[column] >= at) == later]
        if least := request.q("filters[minimum_value]"):
            found = [row for row in found if row["value"] >= float(least) * 100]
        found = wire.ordered(request, found, ORDERS)
        value: dict[str, int] = {}
        for row in found:
            value[row["currency"].upper()] = value.get(row["currency"].upper(), 0) + row["value"]
        sums = {code: {"currency": code, "total": str(len(found)), "value": str(cents)} for code, cents in value.items()}
        shown = [self.shown(row["id"]) for row in wire.cut(request, found)]
        return Reply({"deals": shown, "meta": {"currencies": sums, "total": len(found)}})  # here the total is a number

    def get(self, request: Request) -> Reply:
        return Reply({"deal": self.shown(self.find(request.params["id"]))})

    def create(self, request: Request) -> Reply:
        body = wire.given(request, "deal")
        if not body.get("title"):
            raise Refusal(400, {"errors": ["Deal title is required"]})
        if not (body.get("contact") or body.get("account")):
            raise Refusal(400, {"errors": ["Deal contact or account is required"]})
        key, at = max(self.rows, default=0) + 1, self.now()
        first = next((str(k) for k, s in sorted(self.stages.items()) if str(s["group"]) == str(body.get("group"))), "")
        stage = str(body.get("stage") or first)
        self.rows[key] = dict.fromkeys(COLUMNS, "") | {"value": 0, "percent": 0, "status": 0, "made": at, "changed": at, "stage": stage,
                                                       "group": self._group_of(stage)}  # fmt: skip
        self.happened(key, "", "add")
        try:
            return self._written(key, body, 201)
        except Refusal:
            self.remove(key)
            raise

    def update(self, request: Request) -> Reply:
        key = self.find(request.params["id"])
        if key in self.hidden:
            raise Refusal(403, {"message": "Forbidden"})
        return self._written(key, wire.given(request, "deal"), 200)

    def delete(self, request: Request) -> Reply:
        self.remove(self.find(request.params["id"]))
        return Reply(b"")

    def _group_of(self, stage: str) -> str:
        if not stage.isdecimal() or int(stage) not in self.stages:
            raise Refusal(422, {"errors": [{"title": "The stage does not exist.", "detail": "", "code": "related_missing",
                                            "source": {"pointer": "/data/attributes/stage"}}]})  # fmt: skip
        return str(self.stages[int(stage)]["group"])

    def _written(self, key: int, body: Mapping[str, Any], status: int) -> Reply:
        row = self.rows[key]
        new = {name: body[name] for name in COLUMNS if name in body}
        if "value" in new and (not isinstance(new["value"], int) or new["value"] < 0):
            raise wire.invalid("Deal value is not valid", "field_invalid", "value")
        if "status" in new and new["status"] not in (0, 1, 2):
            raise wire.invalid("Deal status is not valid", "field_invalid", "status")
        stage, group = str(new.get("stage", row["stage"])), str(new.get("group", row["group"]))
        if self._group_of(stage) != group:
            raise wire.invalid("The stage does not belong to the pipeline.", "field_invalid", "stage")
        fields = [(int(f["customFieldId"]), f.get("fieldValue")) for f in body.get("fields") or ()]
        for field, value in fields:
            self.check_datum(field, value)
        old = dict(row)
        row |= {name: value if name in NUMBERS else str(value or "") for name, value in new.items()} | {"changed": self.now()}
        if row["stage"] != old["stage"]:
            self.moved(key, old["stage"], row["stage"])
        if row["status"] != old["status"]:
            self.happened(key, "status", str(row["status"]), old=str(old["status"]))
        for field, value in fields:
            self.put_datum(key, field, value)
        return Reply({"contacts": [], "deal": self.shown(key, echo=True), "dealStages": [self.shown_stage(int(row["stage"]))]}, status)

    def remove(self, key: int) -> None:
        del self.rows[key]
        for activity in self.of_deal.pop(key, []):
            del self.activities[activity]
        for datum in self.of_data.pop(key, {}).values():
            del self.data[datum]
        self.more_contacts = {k: row for k, row in self.more_contacts.items() if row["deal"] != key}

    # -- pipelines -----------------------------------------------------------------------------------------------------
    def shown_stage(self, key: int) -> Row:
        row = self.stages[key]
        return {
            "cardRegion1": "title", "cdate": None, "color": "32B0FC", "dealOrder": "next-action DESC", "group": str(row["group"]),
            "id": str(key), "links": {"group": f"/api/3/dealStages/{key}/group"}, "order": str(row["order"]), "title": row["title"],
            "udate": None, "width": "280",
        }  # fmt: skip

    def list_groups(self, request: Request) -> Reply:
        shown = []
        for key, row in self.groups.items():
            stages = [str(k) for k, s in self.stages.items() if s["group"] == key]
            dates = {"cdate": stamp(row["at"]), "udate": stamp(row["at"])}
            shown.append({"allgroups": "1", "allusers": "1", "autoassign": "0", **dates, "currency": row["currency"], "id": str(key),
                          "links": {"stages": f"/api/3/dealGroups/{key}/stages"}, "stages": stages, "title": row["title"]})  # fmt: skip
        some = list(wire.cut(request, shown))
        beside = [self.shown_stage(int(k)) for group in some for k in group["stages"]]
        return Reply({"dealGroups": some, "dealStages": beside, "meta": {"total": str(len(shown))}})

    def list_stages(self, request: Request) -> Reply:
        found = [row | {"id": key} for key, row in self.stages.items()]
        found = wire.ordered(request, wire.kept(request, found, {"d_groupid": "group", "title": "title"}), {"title": "title"})
        return wire.page(request, "dealStages", [self.shown_stage(row["id"]) for row in found])

    def list_more_contacts(self, request: Request) -> Reply:
        rows: list[Row] = [{"deal": str(r["deal"]), "contact": str(r["contact"]), "cdate": stamp(r["at"]), "links": [], "id": str(k)}
                for k, r in self.more_contacts.items()]  # fmt: skip
        return wire.page(request, "contactDeals", rows)

    # -- custom fields -------------------------------------------------------------------------------------------------
    def shown_meta(self, key: int) -> Row:
        row = self.meta[key]
        return {
            "id": str(key), "fieldLabel": row["fieldLabel"], "fieldType": row["fieldType"], "fieldOptions": None, "fieldDefault": None,
            "fieldDefaultCurrency": row["fieldDefaultCurrency"], "isFormVisible": 0, "isRequired": 0, "displayOrder": key,
            "personalization": "", "knownFieldId": None, "hideFieldFlag": 0, "createdTimestamp": naive(row["at"]),
            "updatedTimestamp": naive(row["at"]), "links": wire.linked(f"dealCustomFieldMeta/{key}", "dealCustomFieldData"),
        }  # fmt: skip

    def create_meta(self, request: Request) -> Reply:
        body = wire.given(request, "dealCustomFieldMetum")
        for name, said in (("fieldLabel", "field label"), ("fieldType", "field type")):
            if not body.get(name):
                raise Refusal(422, {"errors": [{"title": f"The {said} field is required.", "detail": "", "code": 422}]})
        if body["fieldType"] not in FIELD_TYPES:
            raise Refusal(422, {"errors": [{"title": "The selected field type is invalid.", "detail": "", "code": 422}]})
        key = max(self.meta, default=0) + 1
        about = {name: body.get(name) for name in ("fieldLabel", "fieldType", "fieldDefaultCurrency")}
        self.meta[key] = about | {"at": self.now()}
        return Reply({"dealCustomFieldMetum": self.shown_meta(key)})

    def check_datum(self, field: int, value: Any) -> None:
        if field not in self.meta:
            raise Refusal(422, {"errors": [{"detail": f"The custom field `{field}` does not exist."}]})
        kind = self.meta[field]["fieldType"]
        good = {"date": wire.asked_time(str(value)) is not None, "number": str(value).replace(".", "", 1).lstrip("-").isdecimal()}
        if not good.get(kind, True):
            said = f"The custom field value `{value}` could not be saved to the custom field of type `{kind}`."
            raise Refusal(422, {"errors": [{"detail": said}]})

    def put_datum(self, deal: int, field: int, value: Any, *, at: int | None = None) -> int:
        mine, now = self.of_data.setdefault(deal, {}), at or self.now()
        if field not in mine:
            self.last_datum += 1
            mine[field] = self.last_datum
            self.data[mine[field]] = {"deal": deal, "field": field, "made": now}
        self.data[mine[field]] |= {"value": value, "changed": now}
        return mine[field]

    def shown_datum(self, key: int) -> Row:
        row = self.data[key]
        meta = self.meta[row["field"]]
        currency = {"fieldCurrency": meta["fieldDefaultCurrency"]} if meta["fieldType"] == "currency" else {}
        return {
            "id": str(key), "dealCustomFieldMetumId": row["field"], "dealId": row["deal"], "customFieldId": row["field"],
            "createdTimestamp": naive(row["made"]), "updatedTimestamp": naive(row["changed"]), "fieldValue": row["value"], **currency,
            "links": wire.linked(f"dealCustomFieldData/{key}", "deal", "dealCustomFieldMetum"),
        }  # fmt: skip

    def list_data(self, request: Request) -> Reply:
        deal = request.q("filters[dealId]")
        keys = self.of_data.get(int(deal), {}).values() if deal and deal.isdecimal() else self.data
        return Reply({"dealCustomFieldData": [self.shown_datum(k) for k in wire.cut(request, list(keys))]})  # no meta

    def datum(self, request: Request) -> int:
        text = request.params["id"]
        if not text.isdecimal() or int(text) not in self.data:
            raise Refusal(404, {"errors": [{"status": 404, "title": "Not Found"}]})
        return int(text)

    def delete_datum(self, request: Request) -> Reply:
        row = self.data.pop(self.datum(request))
        del self.of_data[row["deal"]][row["field"]]
        return Reply({"message": "DealCustomFieldData deleted."})

    def update_datum(self, request: Request) -> Reply:
        key, body = self.datum(request), wire.given(request, "dealCustomFieldDatum")
        row = self.data[key]
        self.check_datum(row["field"], body.get("fieldValue"))
        self.put_datum(row["deal"], row["field"], body.get("fieldValue"))
        return Reply({"dealCustomFieldDatum": self.shown_datum(key)})

    def create_datum(self, request: Request) -> Reply:
        body = wire.given(request, "dealCustomFieldDatum")
        deal, field = self.find(str(body.get("dealId"))), int(body.get("customFieldId") or 0)
        self.check_datum(field, body.get("fieldValue"))
        return Reply({"dealCustomFieldDatum": self.shown_datum(self.put_datum(deal, field, body.get("fieldValue")))})
