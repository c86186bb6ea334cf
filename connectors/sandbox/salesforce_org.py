"""The data of the sandbox's Salesforce org and what the platform does by itself when a row changes.

Rows are dicts replaced, never edited, so an open query keeps seeing what it saw. Datetimes are kept as
"2026-05-01T12:00:00.000Z"; each channel (JSON, CSV) spells them its own way.
Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from connectors.sandbox.kit import Clock
from connectors.sandbox.salesforce_describe import (
    CREATED_ONLY,
    FORECAST_NAMES,
    INFLUENCE,
    LEAD_STATUSES,
    NO_BIN,
    NUMBERS,
    OBJECTS,
    ONCE,
    PICKLISTS,
    STAGES,
    FieldType,
    Schema,
    custom_field,
    make_id,
    schemas,
    to18,
)
from connectors.sandbox.salesforce_soql import Row, canonical

WATCHED = ("StageName", "Amount", "Probability", "CloseDate")  # a change of one of these writes an OpportunityHistory row
READ_ONLY = {"CampaignInfluenceModel", "OpportunityHistory", "OpportunityFieldHistory", "LeadHistory", "OpportunityStage", "LeadStatus"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class RowError(Exception):
    """One row refused, with the vendor's code."""

    def __init__(self, code: str, message: str, fields: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.fields = code, message, list(fields)


class Org:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.schemas: dict[str, Schema] = schemas()
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in OBJECTS}
        self.hidden: set[tuple[str, str]] = set()  # (object, field) that field-level security keeps from the API user
        self.tracked: dict[str, set[str]] = {"Lead": {"Status"}, "Opportunity": set()}
        self.locked: dict[str, int] = {}  # row id -> how many more writes find it locked
        self.rejects: dict[str, tuple[str, str]] = {}  # row id -> (code, message) of a validation rule
        self.influence = True  # Customizable Campaign Influence is switched on
        self.api_user = make_id("005", 1)
        self.number = 1_000_000
        self._ordered: dict[str, list[Row]] = {}
        self._visible: dict[str, Schema] | None = None

    # -- loading ----------------------------------------------------------------------------------------------------
    def load(self, seed: Mapping[str, Any]) -> None:
        for sobject, specs in (seed.get("fields") or {}).items():
            for spec in specs:
                self.schemas[sobject][spec["name"]] = custom_field(spec)
        for sobject, rows in (seed.get("objects") or {}).items():
            self._load_rows(sobject, rows)
        self._defaults()

    def _load_rows(self, sobject: str, rows: Iterable[Mapping[str, Any]]) -> None:
        schema, table = self.schemas[sobject], self.tables[sobject]
        times = [n for n, f in schema.items() if f.type == "datetime"]
        flags = {n: False for n, f in schema.items() if f.type == "boolean"}
        for given in rows:
            row = {**flags, **given}
            for name in times:
                if row.get(name):
                    row[name] = canonical(row[name])
            row.setdefault("CreatedDate", row.get("SystemModstamp"))
            row.setdefault("SystemModstamp", row["CreatedDate"])
            row.setdefault("LastModifiedDate", row["SystemModstamp"])
            row["Id"] = to18(row["Id"])
            table[row["Id"]] = self._computed(sobject, row)
        for name in (
            {n for row in table.values() for n in row} - set(schema) - {"SystemModstamp", "LastModifiedDate", "IsDeleted", "attributes"}
        ):
            schema[name] = FieldType(name, "string", length=255, custom=name.endswith("__c"))

    def _defaults(self) -> None:
        stamp = canonical("2020-01-01T00:00:00Z")
        system = {"CreatedDate": stamp, "LastModifiedDate": stamp, "SystemModstamp": stamp}
        if not self.tables["OpportunityStage"]:
            for i, (label, probability, closed, won, category) in enumerate(STAGES, 1):
                row = {
                    "Id": make_id("01J", i),
                    "MasterLabel": label,
                    "ApiName": label,
                    "IsActive": True,
                    "SortOrder": i,
                    "IsClosed": closed,
                }
                row |= {"IsWon": won, "ForecastCategory": category, "ForecastCategoryName": FORECAST_NAMES[category]}
                self.tables["OpportunityStage"][str(row["Id"])] = {**row, "DefaultProbability": probability, "Description": None, **system}
        if not self.tables["LeadStatus"]:
            for i, (label, converted) in enumerate(LEAD_STATUSES, 1):
                row = {"Id": make_id("01J", 100 + i), "MasterLabel": label, "ApiName": label, "SortOrder": i, "IsDefault": i == 1}
                self.tables["LeadStatus"][str(row["Id"])] = {**row, "IsConverted": converted, **system}
        if self.api_user not in self.tables["User"]:
            row = {"Id": self.api_user, "Name": "Integration User", "LastName": "User", "FirstName": "Integration", "IsActive": True}
            row |= {"Username": "integration@example.com", "Email": "integration@example.com", "UserType": "Standard"}
            self.tables["User"][self.api_user] = row | system

    # -- reading ----------------------------------------------------------------------------------------------------
    def visible(self) -> dict[str, Schema]:
        """The schemas without what field-level security hides; history objects only where something is tracked."""
        if self._visible is None:
            shown = {s: {n: f for n, f in fields.items() if (s, n) not in self.hidden} for s, fields in self.schemas.items()}
            for history, owner in (("LeadHistory", "Lead"), ("OpportunityFieldHistory", "Opportunity")):
                if not self.tracked[owner]:
                    del shown[history]
            for name in () if self.influence else INFLUENCE:
                del shown[name]
            self._visible = shown
        return self._visible

    def schema_changed(self) -> None:
        self._visible = None

    def grant(self) -> None:
        """Show what the permission sets of the API user let it read."""
        sets = {r["PermissionSetId"] for r in self.tables["PermissionSetAssignment"].values() if r["AssigneeId"] == self.api_user}
        for row in self.tables["FieldPermissions"].values():
            if row["PermissionsRead"] and row["ParentId"] in sets:
                self.hidden.discard((row["SobjectType"], row["Field"].partition(".")[2]))
        self.schema_changed()

    def find(self, refers: tuple[str, ...], row_id: str) -> Row | None:
        return next((row for target in refers if (row := self.tables.get(target, {}).get(row_id))), None)

    def ordered(self, sobject: str) -> list[Row]:
        """All rows by (SystemModstamp, Id), kept until something changes."""
        if sobject not in self._ordered:
            stamp = "CreatedDate" if sobject in CREATED_ONLY else "SystemModstamp"
            self._ordered[sobject] = sorted(self.tables[sobject].values(), key=lambda r: (r[stamp] or "", r["Id"]))
        return self._ordered[sobject]

    def picklist(self, sobject: str, name: str) -> tuple[str, ...]:
        if (sobject, name) in (("Opportunity", "StageName"), ("Lead", "Status")):
            table = self.tables["OpportunityStage" if sobject == "Opportunity" else "LeadStatus"]
            return tuple(str(r["ApiName"] or r["MasterLabel"]) for r in sorted(table.values(), key=lambda r: r.get("SortOrder") or 0))
        return PICKLISTS.get(name, ()) if self.schemas[sobject][name].type == "picklist" else ()

    # -- writing ----------------------------------------------------------------------------------------------------
    def now(self) -> str:
        return self.clock.utc().strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def put(self, sobject: str, row: Row) -> None:
        self.tables[sobject][row["Id"]] = row
        self._ordered.pop(sobject, None)

    def restore(self, tables: dict[str, dict[str, Row]]) -> None:
        self.tables = tables
        self._ordered.clear()

    def new_id(self, sobject: str) -> str:
        self.number += 1
        return make_id(OBJECTS[sobject][0], self.number)

    def insert(self, sobject: str, values: Mapping[str, Any]) -> str:
        """The id of a new row. Raises: RowError."""
        if sobject in READ_ONLY:
            raise RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject} does not support create")
        clean = self._checked(sobject, values, None)
        missing = [n for n, f in self.schemas[sobject].items() if f.required and clean.get(n) in (None, "")]
        if missing:
            raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
        self._no_twin_member(sobject, clean)
        now = self.now()
        row: Row = {n: False for n, f in self.schemas[sobject].items() if f.type == "boolean"}
        row |= {"Id": self.new_id(sobject), "CreatedDate": now, "CreatedById": self.api_user, "OwnerId": self.api_user}
        row |= {"LastModifiedDate": now, "LastModifiedById": self.api_user, "SystemModstamp": now}
        if sobject == "Lead":
            row["Status"] = next((r["ApiName"] for r in self.tables["LeadStatus"].values() if r.get("IsDefault")), None)
        row = {n: v for n, v in row.items() if n in self.schemas[sobject]} | clean
        row = self._after(sobject, {}, row, clean, now)
        self.put(sobject, row)
        return str(row["Id"])

    def update(self, sobject: str, row_id: str, values: Mapping[str, Any], *, by: str | None = None) -> None:
        """Saved by a user, or the API's. Raises: RowError, as the platform for gone, merged, converted, locked and invalid rows."""
        if sobject in READ_ONLY:
            raise RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject} does not support update")
        row = self.live(sobject, row_id)
        if sobject == "Lead" and row.get("IsConverted"):
            raise RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        clean = self._checked(sobject, values, row)
        self.refuse_locked(row["Id"])
        now = self.now()
        new = row | clean | {"LastModifiedDate": now, "LastModifiedById": by or self.api_user, "SystemModstamp": now}
        self.put(sobject, self._after(sobject, row, new, clean, now))

    def live(self, sobject: str, row_id: Any) -> Row:
        if not isinstance(row_id, str) or len(row_id) not in (15, 18) or not row_id.isalnum():
            raise RowError("MALFORMED_ID", f"{sobject} ID: id value of incorrect type: {row_id}", ["Id"])
        row = self.tables[sobject].get(to18(row_id))
        if row is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])
        if row.get("IsDeleted"):
            raise RowError("ENTITY_IS_DELETED", "entity is deleted", [])
        return row

    def refuse_locked(self, row_id: str) -> None:
        if self.locked.get(row_id, 0) > 0:
            self.locked[row_id] -= 1
            raise RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: " + row_id)
        if row_id in self.rejects:
            raise RowError(*self.rejects[row_id])

    def delete(self, sobject: str, row_id: str) -> None:
        row = self.live(sobject, row_id)
        if sobject in READ_ONLY or sobject == "User":
            raise RowError("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        now = self.now()
        gone = {"IsDeleted": True, "SystemModstamp": now, "LastModifiedDate": now}
        if sobject in NO_BIN:
            del self.tables[sobject][row["Id"]]
            self._ordered.pop(sobject, None)
            return
        self.put(sobject, row | gone)
        if sobject == "Opportunity":
            for child in ("OpportunityHistory", "OpportunityContactRole"):
                for r in [r for r in self.tables[child].values() if r["OpportunityId"] == row["Id"] and not r.get("IsDeleted")]:
                    self.put(child, r | gone)

    def undelete(self, sobject: str, row_id: str) -> None:
        now = self.now()
        self.put(sobject, self.tables[sobject][to18(row_id)] | {"IsDeleted": False, "SystemModstamp": now, "LastModifiedDate": now})

    def purge(self, sobject: str, days: int = 15) -> list[str]:
        """Empty the recycle bin of rows deleted more than `days` ago; their ids."""
        limit = (self.clock.utc() - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        gone = [i for i, r in self.tables[sobject].items() if r.get("IsDeleted") and r["SystemModstamp"] <= limit]
        for row_id in gone:
            del self.tables[sobject][row_id]
        self._ordered.pop(sobject, None)
        return gone

    # -- rules ------------------------------------------------------------------------------------------------------
    def _checked(self, sobject: str, values: Mapping[str, Any], row: Row | None) -> Row:
        schema = self.visible()[sobject]
        clean: Row = {}
        for given, value in values.items():
            if given in ("attributes", "Id"):
                continue
            found = schema.get(given) or next((f for n, f in schema.items() if n.lower() == given.lower()), None)
            if found is None:
                raise RowError("INVALID_FIELD", f"No such column '{given}' on sobject of type {sobject}", [given])
            if not found.writable or (row is not None and found.name in ONCE.get(sobject, ())):
                raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {found.name}.", [found.name])
            clean[found.name] = self._value(sobject, found, value)
            if row is not None and found.required and clean[found.name] is None:
                raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{found.name}]", [found.name])
        for name, value in clean.items():
            if schema[name].unique and value is not None:
                twins = (r for r in self.tables[sobject].values() if r.get(name) == value and not r.get("IsDeleted"))
                twin = next((r for r in twins if row is None or r["Id"] != row["Id"]), None)
                if twin:
                    message = f"duplicate value found: {name} duplicates value on record with id: {twin['Id']}"
                    raise RowError("DUPLICATE_VALUE", message, [])
        return clean

    def _value(self, sobject: str, found: FieldType, value: Any) -> Any:
        if value is None or value == "":
            return False if found.type == "boolean" else None
        try:
            return _CAST[found.type](value) if found.type in _CAST else self._text(sobject, found, value)
        except (ValueError, TypeError) as error:
            message = f"Cannot deserialize instance of {found.type} from value {value}"
            raise RowError("JSON_PARSER_ERROR", message, [found.name]) from error

    def _text(self, sobject: str, found: FieldType, value: Any) -> Any:
        text = str(value)
        if found.type == "reference":
            key = to18(text)
            if self.find(found.refers, key) is None and "Group" not in found.refers:
                raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [found.name])
            return key
        if found.length and len(text) > found.length:
            raise RowError("STRING_TOO_LONG", f"{found.label}: data value too large: {text[:40]} (max length={found.length})", [found.name])
        if found.type == "email" and not _EMAIL.fullmatch(text):
            raise RowError("INVALID_EMAIL_ADDRESS", f"{found.label}: invalid email address: {text}", [found.name])
        if found.name in ("StageName", "Status") and (allowed := self.picklist(sobject, found.name)) and text not in allowed:
            message = f"{found.label}: bad value for restricted picklist field: {text}"
            raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [found.name])
        return text

    def _no_twin_member(self, sobject: str, values: Row) -> None:
        if sobject == "CampaignMember" and any(
            r["CampaignId"] == values.get("CampaignId")
            and any(values.get(k) and r.get(k) == values.get(k) for k in ("LeadId", "ContactId"))
            for r in self.tables[sobject].values()
            if not r.get("IsDeleted")
        ):
            raise RowError("DUPLICATE_VALUE", "Already a campaign member.", [])

    def _after(self, sobject: str, old: Row, new: Row, written: Row, now: str) -> Row:
        if sobject == "Opportunity":
            new = self._staged(old, new, written, now)
        for name in self.tracked.get(sobject, ()):
            if old and name in written and old.get(name) != new.get(name):
                self.track(sobject, new["Id"], name, old.get(name), new.get(name), now)
        return self._computed(sobject, new)

    def _staged(self, old: Row, new: Row, written: Row, now: str) -> Row:
        if "StageName" in written and old.get("StageName") != new["StageName"]:
            stage = next(
                (r for r in self.tables["OpportunityStage"].values() if new["StageName"] in (r["ApiName"], r["MasterLabel"])), None
            )
            if stage:
                new = new | {"IsClosed": stage["IsClosed"], "IsWon": stage["IsWon"], "LastStageChangeDate": now}
                if "Probability" not in written:
                    new["Probability"] = stage["DefaultProbability"]
                category = stage.get("ForecastCategory") or "Pipeline"
                new |= {"ForecastCategory": category, "ForecastCategoryName": stage.get("ForecastCategoryName") or FORECAST_NAMES[category]}
        if new.get("Amount") is not None and new.get("Probability") is not None:
            new = new | {"ExpectedRevenue": round(float(new["Amount"]) * float(new["Probability"]) / 100, 2)}
        if any(old.get(name) != new.get(name) for name in WATCHED):
            copied = {n: new.get(n) for n in (*WATCHED, "ExpectedRevenue", "ForecastCategory")}
            previous = {"PrevAmount": old.get("Amount"), "PrevCloseDate": old.get("CloseDate")}
            self._history("OpportunityHistory", {"OpportunityId": new["Id"], **copied, **previous}, now, new.get("LastModifiedById"))
        return new

    def _history(self, sobject: str, values: Row, now: str, by: str | None = None) -> None:
        system = {"Id": self.new_id(sobject), "IsDeleted": False, "CreatedDate": now, "CreatedById": by or self.api_user}
        self.put(sobject, {**values, **system, "SystemModstamp": now, "LastModifiedDate": now})

    def track(self, sobject: str, row_id: str, name: str, old: Any, new: Any, now: str) -> None:
        history = "LeadHistory" if sobject == "Lead" else "OpportunityFieldHistory"
        values = {f"{sobject}Id": row_id, "Field": name, "DataType": "Text", "OldValue": old, "NewValue": new}
        self._history(history, values, now)

    def _computed(self, sobject: str, row: Row) -> Row:
        if sobject in ("Contact", "Lead", "User") and (row.get("LastName") or row.get("FirstName")):
            row["Name"] = " ".join(p for p in (row.get("FirstName"), row.get("LastName")) if p)
        if sobject == "CampaignInfluence":
            amount = self.tables["Opportunity"].get(row["OpportunityId"], {}).get("Amount")
            row = row | {"RevenueShare": None if amount is None else round(float(amount) * float(row.get("Influence") or 0) / 100, 2)}
        return row


def _boolean(value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ValueError(value)
    return str(value).lower() in ("true", "1")


def _date(value: Any) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)[:10]):
        raise ValueError(value)
    return str(value)[:10]


def _whole(value: Any) -> int:
    if float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


_CAST: dict[str, Callable[[Any], Any]] = {"boolean": _boolean, "date": _date, "datetime": lambda v: canonical(str(v)), "int": _whole}
_CAST |= dict.fromkeys(NUMBERS - {"int"}, float)
