"""Writing to Salesforce: collections of 200, one Bulk ingest job above 2,000 rows, read-back, and fields of our own.

Every row has its own outcome, told by our key. Nothing is tried again here; `retryable` says what may be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connectors import salesforce_jobs as jobs
from connectors.salesforce_session import PASSING, Session
from core.connector import PushField, Write, WriteResult
from core.errors import UserError, VendorError

COLLECTION = 200  # records per call. Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm
RETRIEVE = 2000  # ids per call
BULK_ABOVE = 2000  # writes at once, from which one job is cheaper than calls
JOB_ROWS = 50_000  # keeps a job's file well under 100 MB
PARENTS = {"Contact": "AccountId", "Opportunity": "AccountId"}  # what a write of the child locks
RETRYABLE = PASSING | {"ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUEST_LIMIT_EXCEEDED"}
NULL = "#N/A"  # Bulk's word for null; an empty cell means "leave alone"
PERMISSION_SET = "Tundish"
METADATA: dict[str, dict[str, Any]] = {
    "text": {"type": "Text", "length": 255},
    "number": {"type": "Number", "precision": 18, "scale": 6},
    "boolean": {"type": "Checkbox", "defaultValue": False},
    "date": {"type": "Date"},
    "datetime": {"type": "DateTime"},
}


def write(sobject: str, session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """An outcome for each write, in any order, as they become known."""
    writes = _by_parent(sobject, session, [w if len(w.vendor_id) != 15 else _long(w) for w in writes])
    by_call = writes
    if len(writes) > BULK_ABOVE:
        by_call = [w for w in writes if NULL in w.values.values()]  # Bulk would take this text for null
        rest = [w for w in writes if NULL not in w.values.values()]
        for start in range(0, len(rest), JOB_ROWS):
            yield from _explained(sobject, session, _job(sobject, session, rest[start : start + JOB_ROWS]))
    for start in range(0, len(by_call), COLLECTION):
        yield from _explained(sobject, session, _collection(sobject, session, by_call[start : start + COLLECTION]))


def read_back(sobject: str, session: Session, ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The live values of the fields by id as given; rows that are gone, merged away or unknown are left out.

    A field the org does not have (yet) reads as empty: a plan may be made before its fields are created.
    """
    found: dict[str, Mapping[str, Any]] = {}
    shown = session.fields(sobject) or {}
    known = [f for f in fields if f in shown] or ["Id"]
    for start in range(0, len(ids), RETRIEVE):
        part = list(ids[start : start + RETRIEVE])
        rows = session.json("POST", f"composite/sobjects/{sobject}", {"ids": part, "fields": known})
        found |= {given: {f: row.get(f) for f in fields} for given, row in zip(part, rows, strict=True) if row}
    return found


# -- one channel each -----------------------------------------------------------------------------------------------
Failed = tuple[Write, str, str]  # the write, code ("" when it succeeded), message


def _collection(sobject: str, session: Session, writes: Sequence[Write]) -> list[Failed]:
    records = [{"attributes": {"type": sobject}, "Id": w.vendor_id, **w.values} for w in writes]
    body = json.dumps({"allOrNone": False, "records": records}, default=_json).encode()
    reply = session.request("PATCH", "composite/sobjects", body=body, headers={"Sforce-Auto-Assign": "FALSE"})
    answers = json.loads(reply.content)
    if len(answers) != len(writes):
        raise VendorError(f"Salesforce answered {len(answers)} of {len(writes)} records", where=session.transport.account)
    return [(w, *_error(a)) for w, a in zip(writes, answers, strict=True)]


def _error(answer: Mapping[str, Any]) -> tuple[str, str]:
    if answer.get("success"):
        return "", ""
    first = (answer.get("errors") or [{}])[0]
    return str(first.get("statusCode") or first.get("errorCode") or "UNKNOWN"), str(first.get("message") or "no reason given")


def _job(sobject: str, session: Session, writes: Sequence[Write]) -> list[Failed]:
    names = list(dict.fromkeys(n for w in writes for n in w.values))
    rows = [[w.vendor_id, *(_cell(w.values[n]) if n in w.values else "" for n in names)] for w in writes]
    said = dict(jobs.ingest(session, sobject, ["Id", *names], rows))
    lost = "NOT_PROCESSED:the Bulk job ended without a result for this row"
    return [(w, *_split(said.get(w.vendor_id, lost))) for w in writes]


def _split(said: str) -> tuple[str, str]:
    code, _, message = said.partition(":")
    return code, message.removesuffix("--").rstrip(":")


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no Salesforce form for {type(value).__name__}")


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else str(_json(value))


def _by_parent(sobject: str, session: Session, writes: list[Write]) -> list[Write]:
    """Children of one parent side by side, so that two chunks do not wait for the same parent's lock."""
    name = PARENTS.get(sobject)
    if not name or len(writes) <= COLLECTION:
        return writes
    parents = read_back(sobject, session, [w.vendor_id for w in writes], [name])
    return sorted(writes, key=lambda w: str((parents.get(w.vendor_id) or {}).get(name) or ""))


def _long(write: Write) -> Write:
    return Write(write.key, long_id(write.vendor_id), write.values)


def long_id(short: str) -> str:
    """The 18-character id of a 15-character one: three letters saying which characters are capitals, five by five."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    return short + "".join(letters[sum(1 << i for i, c in enumerate(short[at : at + 5]) if "A" <= c <= "Z")] for at in (0, 5, 10))


# -- why a row was refused ------------------------------------------------------------------------------------------
def _explained(sobject: str, session: Session, outcomes: Sequence[Failed]) -> Iterator[WriteResult]:
    gone = [w.vendor_id for w, code, _ in outcomes if code == "ENTITY_IS_DELETED"]
    converted = [w.vendor_id for w, code, _ in outcomes if code == "CANNOT_UPDATE_CONVERTED_LEAD"]
    why = _whereabouts(session, sobject, gone, "MasterRecordId") | _whereabouts(
        session, sobject, converted, "ConvertedContactId", "ConvertedOpportunityId"
    )
    for one, code, message in outcomes:
        row = why.get(one.vendor_id, {})
        if row.get("MasterRecordId"):
            message = f"merged into {sobject} {row['MasterRecordId']}; the next sync repoints it, then write there"
        elif code == "ENTITY_IS_DELETED":
            message = "deleted in Salesforce"
        elif row.get("ConvertedContactId"):
            deal = row.get("ConvertedOpportunityId")
            message = f"converted leads are read-only; write to Contact {row['ConvertedContactId']}" + (
                f" or Opportunity {deal}" if deal else ""
            )
        yield WriteResult(one.key, not code, code, message, code in RETRYABLE or code == "NOT_PROCESSED")


def _whereabouts(session: Session, sobject: str, ids: Sequence[str], *names: str) -> dict[str, dict[str, Any]]:
    """What became of refused rows, by id."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), COLLECTION):
        listed = ", ".join(f"'{i}'" for i in ids[start : start + COLLECTION])
        rows = session.select(f"SELECT Id, {', '.join(names)} FROM {sobject} WHERE Id IN ({listed})", deleted=True)
        found |= {row["Id"]: row for row in rows}
    return found


# -- our own fields -------------------------------------------------------------------------------------------------
def ensure(sobject: str, session: Session, fields: Sequence[PushField]) -> Sequence[str]:
    """Create the missing custom fields and let the integration user see them; the names that were created.

    A new field is invisible even to its maker until a permission set grants it: ours is called Tundish.
    Raises: UserError for a name that is not a custom field's.
    """
    shown = session.fields(sobject) or {}
    missing = [f for f in fields if f.name not in shown]
    if wrong := [f.name for f in missing if not f.name.endswith("__c")]:
        raise UserError(
            f"Salesforce {sobject} has no field {', '.join(wrong)}",
            where=session.transport.account,
            next_step="fields the hub may create must end in __c (Tundish_Stage__c); correct the mapping's push section",
        )
    created = [f.name for f in missing if _create(session, sobject, f)]
    if missing:
        _grant(session, sobject, [f.name for f in missing])
    return created


def _create(session: Session, sobject: str, field: PushField) -> bool:
    metadata = {**METADATA[field.type], "label": field.label[:40]}
    data = {"FullName": f"{sobject}.{field.name}", "Metadata": metadata}
    return _made(session, "tooling/sobjects/CustomField", data, "DUPLICATE_DEVELOPER_NAME")


def _grant(session: Session, sobject: str, names: Sequence[str]) -> None:
    sets = session.select(f"SELECT Id FROM PermissionSet WHERE Name = '{PERMISSION_SET}'")
    if sets:
        owner = sets[0]["Id"]
    else:
        values = {"Name": PERMISSION_SET, "Label": PERMISSION_SET, "Description": "Fields written by Tundish"}
        owner = session.json("POST", "sobjects/PermissionSet", values)["id"]
    assigned = {"PermissionSetId": owner, "AssigneeId": session.tokens.user_id}
    _made(session, "sobjects/PermissionSetAssignment", assigned, "DUPLICATE_VALUE")
    for name in names:
        field = {"SobjectType": sobject, "Field": f"{sobject}.{name}", "PermissionsRead": True, "PermissionsEdit": True}
        _made(session, "sobjects/FieldPermissions", {"ParentId": owner, **field}, "DUPLICATE_VALUE")


def _made(session: Session, path: str, values: Mapping[str, Any], there_already: str) -> bool:
    try:
        session.json("POST", path, values)
    except VendorError as error:
        if error.code != there_already:
            raise
        return False
    return True
