"""Writing to ActiveCampaign's contacts: a few one by one, many by bulk import; tags one request each. Nobody is created.

Contacts are changed by id. A bulk import goes by e-mail address instead, so it is only used for addresses read back just
before, with automations off, and never to clear a field (no document says what a blank does there). "tag:stage:" is a field
whose value is what follows that prefix in the one tag that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson

from connectors.activecampaign_read import beside
from connectors.activecampaign_session import LIMIT, Listed, Row, Session
from core.connector import PushField, Write, WriteResult
from core.errors import UserError, VendorError

BATCH = 250  # contacts an import takes. Source: …/reference/bulk-import-contacts, read 2026-11-20
IMPORT_BYTES = 350_000  # an import of 400 kB and more is said to be refused; unconfirmed
WAITS_S = (1.0, 2.0, 3.0, 5.0, 8.0, *[15.0] * 20)  # between looks at an import: minutes are normal
PLAIN = {"firstName": "first_name", "lastName": "last_name", "phone": "phone"}  # our name of the field → the import's
TYPES = {"text": "text", "number": "number", "boolean": "text", "date": "date", "datetime": "datetime"}
TAG = "tag:"


@dataclass
class _Parts:
    """One write taken apart."""

    write: Write
    plain: dict[str, str] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)  # field id → value
    tags: dict[str, str | None] = field(default_factory=dict)  # prefix → what should follow it

    @property
    def importable(self) -> bool:
        given = [*self.plain.values(), *self.custom.values()]
        return bool(given) and all(given) and "email" not in self.plain


def as_text(value: Any) -> str:
    """A value as ActiveCampaign takes it: text; "" clears."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def contact_fields(session: Session) -> dict[str, str]:
    """Personalisation tag → id."""
    return {str(row["perstag"]): str(row["id"]) for row in session.every("fields", "fields")}


# -- reading back -----------------------------------------------------------------------------------------------------
def read_back(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Current values by contact; contacts that are gone are left out."""
    custom = [name for name in fields if name not in PLAIN and name != "email" and not name.startswith(TAG)]
    tags = {field_id: name for name, field_id in contact_fields(session).items()} if custom else {}
    found: dict[str, dict[str, Any]] = {}
    asked = list(dict.fromkeys(vendor_ids))
    for start in range(0, len(asked), LIMIT):
        listed = _by_ids(session, asked[start : start + LIMIT])
        values = beside(session, listed, "fieldValues") if custom else {}
        _note_tags(session, listed, any(name.startswith(TAG) for name in fields))
        for row in listed.rows:
            key = str(row["id"])
            own = {tags[v["field"]]: v["value"] for v in values.get(key, ()) if v["field"] in tags}
            found[key] = {name: _value(session, row, own, name) for name in fields}
    return found


def _by_ids(session: Session, ids: Sequence[str]) -> Listed:
    """The contacts with these ids, and what comes beside them. Whoever the list leaves out is asked for singly."""
    query = [("ids[]", i) for i in ids] + [("limit", str(LIMIT)), ("include", "fieldValues,contactTags.tag")]
    listed = session.page("contacts", "contacts", query)
    rows = {str(row["id"]): row for row in listed.rows if str(row["id"]) in ids}
    for missing in [i for i in ids if i not in rows]:
        if alone := session.get(f"contacts/{missing}").get("contact"):
            rows[missing] = alone
            for name in ("fieldValues", "contactTags"):  # known for the others only
                if name in listed.said:
                    listed.said[name] = [*listed.said[name], *(session.get(f"contacts/{missing}/{name}").get(name) or ())]
    session.emails |= {key: row["email"] for key, row in rows.items()}
    return Listed(listed.body, listed.said, list(rows.values()), None)


def _note_tags(session: Session, listed: Listed, needed: bool) -> None:
    """Which tags the contacts carry, by name, with the id by which each can be taken away."""
    if not needed:
        return
    names = {str(tag["id"]): str(tag["tag"]) for tag in listed.said.get("tags") or ()}
    carried = beside(session, listed, "contactTags")
    if any(str(row["tag"]) not in names for rows in carried.values() for row in rows):
        names = {str(tag["id"]): str(tag["tag"]) for tag in session.every("tags", "tags")}
    for row in listed.rows:
        mine = carried.get(str(row["id"]), ())
        session.carried[str(row["id"])] = {names.get(str(one["tag"]), ""): str(one["id"]) for one in mine}


def _value(session: Session, row: Row, custom: Mapping[str, Any], name: str) -> Any:
    if name.startswith(TAG):
        prefix = name.removeprefix(TAG)
        tails = (tag.removeprefix(prefix) for tag in session.carried[str(row["id"])] if tag.startswith(prefix))
        return ", ".join(sorted(tails)) or None
    return (row.get(name) if name in PLAIN or name == "email" else custom.get(name)) or None


# -- writing ------------------------------------------------------------------------------------------------------------
def write(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One result per write. Tags are written after the contact's fields were taken."""
    results: dict[str, WriteResult] = {}
    known = contact_fields(session)
    parts = [p for one in writes if (p := _taken_apart(one, known, results))]
    many = [p for p in parts if p.importable and p.write.vendor_id in session.emails]
    many = many if len(many) >= session.bulk_from else []
    for chunk in _chunks(session, many):
        results |= _import(session, chunk)
    for part in parts:
        if part not in many and (part.plain or part.custom):
            results[part.write.key] = _put(session, part)
    for part in parts:
        if part.tags and results.get(part.write.key, WriteResult("", True)).ok:
            results[part.write.key] = _write_tags(session, part)
    for one in writes:
        yield results.get(one.key) or WriteResult(one.key, True)


def _taken_apart(one: Write, known: Mapping[str, str], results: dict[str, WriteResult]) -> _Parts | None:
    parts = _Parts(one)
    for name, value in one.values.items():
        if name.startswith(TAG):
            parts.tags[name.removeprefix(TAG)] = as_text(value) or None
        elif name in PLAIN or name == "email":
            parts.plain[name] = as_text(value)
        elif name in known:
            parts.custom[known[name]] = as_text(value)
        else:
            text = f"{name} is no field of a contact; ActiveCampaign would drop it without a word"
            results[one.key] = WriteResult(one.key, False, "unknown_field", text)
            return None
    return parts


def _put(session: Session, part: _Parts) -> WriteResult:
    values = [{"field": key, "value": value} for key, value in part.custom.items()]
    body = {"contact": {**part.plain, **({"fieldValues": values} if values else {})}}
    try:
        session.send("PUT", f"contacts/{part.write.vendor_id}", body)
    except VendorError as refusal:
        return refused(part.write.key, refusal)
    return WriteResult(part.write.key, True)


def refused(key: str, refusal: VendorError) -> WriteResult:
    gone = refusal.code == "missing" or refusal.status == 404
    return WriteResult(key, False, "missing" if gone else refusal.code or "refused", refusal.message)


# -- bulk import --------------------------------------------------------------------------------------------------------
def _row(session: Session, part: _Parts) -> Row:
    plain = {PLAIN[name]: value for name, value in part.plain.items()}
    fields = [{"id": int(key), "value": value} for key, value in part.custom.items()]
    return {"email": session.emails[part.write.vendor_id], **plain, "fields": fields, "exclude_automations": True}


def _chunks(session: Session, parts: Iterable[_Parts]) -> Iterator[list[_Parts]]:
    """Within the number and the bytes an import takes."""
    chunk: list[_Parts] = []
    size = 0
    for part in parts:
        more = len(orjson.dumps(_row(session, part))) + 1
        if chunk and (len(chunk) == BATCH or size + more > IMPORT_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(part)
        size += more
    if chunk:
        yield chunk


def _import(session: Session, parts: Sequence[_Parts]) -> dict[str, WriteResult]:
    """Queue the import and wait for its end. When it is refused as a whole, each contact is written by itself."""
    body = {"contacts": [_row(session, part) for part in parts]}
    try:
        said = session.send("POST", "import/bulk_import", body, repeatable=True)
    except VendorError:
        return {part.write.key: _put(session, part) for part in parts}
    done = _awaited(session, str(said.get("batchId", "")))
    taken, failed = set(map(str, done.get("success") or ())), {str(e).lower() for e in done.get("failure") or ()}
    results = {}
    for part in parts:
        key = part.write.key
        if part.write.vendor_id in taken:
            results[key] = WriteResult(key, True)
        elif session.emails[part.write.vendor_id].lower() in failed:
            results[key] = WriteResult(key, False, "import_failed", "ActiveCampaign's import did not take this contact")
        else:
            results[key] = WriteResult(key, False, "unconfirmed", "the import has not said what became of it; read back to know", True)
    return results


def _awaited(session: Session, batch: str) -> Row:
    """What became of the import; {} when it is not done in about five minutes."""
    for seconds in WAITS_S if batch else ():
        session.transport.sleep(seconds)
        said = session.get("import/info", [("batchId", batch)])
        if said.get("status") in ("completed", "failed", "interrupted"):
            return said
    return {}


# -- tags ---------------------------------------------------------------------------------------------------------------
def _write_tags(session: Session, part: _Parts) -> WriteResult:
    """The new tag first, then away with those it replaces."""
    contact = part.write.vendor_id
    if contact not in session.carried:
        read_back(session, [contact], [TAG])
    if contact not in session.carried:
        return WriteResult(part.write.key, False, "missing", "the contact is gone")
    carried = session.carried[contact]
    try:
        for prefix, value in part.tags.items():
            name = None if value is None else f"{prefix}{value}"
            if name is not None and name not in carried:
                body = {"contactTag": {"contact": contact, "tag": _tag_id(session, name)}}
                carried[name] = str(session.send("POST", "contactTags", body, repeatable=True)["contactTag"]["id"])
            for other in [tag for tag in carried if tag.startswith(prefix) and tag != name]:
                session.raw("DELETE", f"contactTags/{carried.pop(other)}", expect=(404,))
    except VendorError as refusal:
        return refused(part.write.key, refusal)
    return WriteResult(part.write.key, True)


def _tag_id(session: Session, name: str) -> str:
    """The tag's id; the tag is made when it is not there. Tags' names do not differ by case alone."""
    for row in session.every("tags", "tags", [("search", name)]):
        if str(row["tag"]).lower() == name.lower() and row.get("tagType") != "template":
            return str(row["id"])
    body = {"tag": {"tag": name, "tagType": "contact", "description": "Written by Tundish"}}
    return str(session.send("POST", "tags", body)["tag"]["id"])


# -- fields of ours -----------------------------------------------------------------------------------------------------
def ensure(session: Session, fields: Sequence[PushField]) -> list[str]:
    """Create missing custom fields, for all lists; tags come into being when written. Raises: UserError for a name we do not get."""
    known = contact_fields(session)
    missing = {f.name: f for f in fields if f.name not in known and f.name not in PLAIN and not f.name.startswith(TAG)}
    missing.pop("email", None)
    for name, wish in missing.items():
        about = {"title": wish.label, "type": TYPES[wish.type], "descript": "Written by Tundish", "perstag": name, "visible": 0}
        made = session.send("POST", "fields", {"field": about})["field"]
        session.send("POST", "fieldRels", {"fieldRel": {"field": int(made["id"]), "relid": 0}}, repeatable=True)
        if made["perstag"] != name:
            step = f"use {made['perstag']} under push.contacts in the mapping"
            raise UserError(f"ActiveCampaign gave the new field {name} the personalisation tag {made['perstag']}", next_step=step)
    return list(missing)
