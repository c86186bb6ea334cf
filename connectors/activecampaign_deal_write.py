"""Writing to ActiveCampaign's deals: one request per deal, custom fields with it; values are cleared one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.activecampaign_deals import deal_fields, slug, values_of
from connectors.activecampaign_session import LIMIT, Row, Session
from connectors.activecampaign_write import as_text, refused
from core.connector import PushField, Write, WriteResult
from core.errors import VendorError
from core.values import from_minor_units, to_minor_units

BATCH = 50
SINGLY = 10  # up to so many deals are read one by one, more by paging through the list
COLUMNS = ("title", "value", "currency", "stage", "group", "status", "owner", "contact", "account", "percent", "description")
NUMBERS = ("status", "percent")
TYPES = {"text": "text", "number": "number", "boolean": "text", "date": "date", "datetime": "datetime"}


# -- reading back -------------------------------------------------------------------------------------------------------
def read_back(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Current values by deal; deals that are gone, or no longer to be seen, are left out. `value` in units of the currency."""
    asked = list(dict.fromkeys(vendor_ids))
    names = {str(row["id"]): name for name, row in deal_fields(session).items()} if set(fields) - set(COLUMNS) else {}
    found: dict[str, dict[str, Any]] = {}
    for key, row in _deals(session, asked).items():
        data = {names[str(d["customFieldId"])]: d for d in (values_of(session, key) if names else ()) if str(d["customFieldId"]) in names}
        session.deals[key] = {"currency": row.get("currency"), "data": {name: str(d["id"]) for name, d in data.items()}}
        found[key] = {name: _value(row, data, name) for name in fields}
    return found


def _deals(session: Session, ids: Sequence[str]) -> dict[str, Row]:
    """The deals by id. Many are looked for in the list's pages first; whoever is not met there is asked for singly."""
    wanted, found = set(ids), dict[str, Row]()
    if len(wanted) > SINGLY:
        query = [("orders[cdate]", "ASC")]
        for page, (listed, _, _) in enumerate(session.offsets("deals", "deals", query)):
            found |= {str(row["id"]): row for row in listed.rows if str(row["id"]) in wanted}
            if len(found) == len(wanted) or page >= len(wanted) // 2 or (listed.total or 0) > LIMIT * len(wanted):
                break
    for key in wanted - set(found):
        if row := session.get(f"deals/{key}").get("deal"):
            found[key] = row
    return {key: row for key, row in found.items() if "stage" in row}


def _value(row: Row, data: Mapping[str, Row], name: str) -> Any:
    if name == "value":
        return from_minor_units(Decimal(str(row["value"])), str(row["currency"]))
    value = row.get(name) if name in COLUMNS else data.get(name, {}).get("fieldValue")
    return None if value in (None, "") else value


# -- writing --------------------------------------------------------------------------------------------------------------
def write(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    custom = {n for w in writes for n in w.values} - set(COLUMNS)
    known = deal_fields(session) if custom else {}
    for one in writes:
        if strange := [name for name in one.values if name not in COLUMNS and name not in known]:
            yield WriteResult(one.key, False, "unknown_field", f"{', '.join(strange)}: no field of a deal")
            continue
        try:
            _write_one(session, one, known)
        except VendorError as refusal:
            yield refused(one.key, refusal)
        else:
            yield WriteResult(one.key, True)


def _write_one(session: Session, one: Write, known: Mapping[str, Row]) -> None:
    """`stage` may be "pipeline/stage". An empty custom field is taken away: its value is a record of its own."""
    if one.vendor_id not in session.deals:
        read_back(session, [one.vendor_id], list(one.values))
    held = session.deals.get(one.vendor_id, {})
    body = {name: _column(name, value, held) for name, value in one.values.items() if name in COLUMNS}
    if "/" in str(body.get("stage", "")):
        body["group"], _, body["stage"] = str(body["stage"]).partition("/")
    custom = {name: value for name, value in one.values.items() if name not in COLUMNS}
    fields = [{"customFieldId": int(known[n]["id"]), "fieldValue": as_text(v)} for n, v in custom.items() if as_text(v)]
    if fields:
        body["fields"] = fields
    cleared = [held.get("data", {}).get(n) for n, v in custom.items() if not as_text(v)]
    if body or not any(cleared):
        session.send("PUT", f"deals/{one.vendor_id}", {"deal": body})
    for datum in filter(None, cleared):
        session.raw("DELETE", f"dealCustomFieldData/{datum}", expect=(404,))


def _column(name: str, value: Any, held: Row) -> Any:
    if name == "value":
        return to_minor_units(Decimal(as_text(value) or "0"), held.get("currency"))
    return int(as_text(value) or 0) if name in NUMBERS else as_text(value)


# -- fields of ours -------------------------------------------------------------------------------------------------------
def ensure(session: Session, fields: Sequence[PushField]) -> list[str]:
    """Create missing custom fields. They have a label only, and are called by it: where it does not give the name, the name is it."""
    known = deal_fields(session)
    missing = {f.name: f for f in fields if f.name not in known and f.name not in COLUMNS}
    for name, wish in missing.items():
        about = {"fieldLabel": wish.label if slug(wish.label) == name else name, "fieldType": TYPES[wish.type], "isFormVisible": 0}
        session.send("POST", "dealCustomFieldMeta", {"dealCustomFieldMetum": about})
    return list(missing)
