"""Writing to Mailchimp members: merge fields 500 at a time, tags by the member or in batches, one status: unsubscribed.

A member's record id is "<list id>:<member id>". Tags are written in two ways. "tag:stage:" is a field whose value is
what follows that prefix in the one tag that has it: writing "mql" puts tag "stage:mql" in the place of any "stage:…". And
"+tag:Hot" is a statement: "true" when the member carries the tag, else None; "-tag:Hot" is its opposite. Nobody is ever
created or subscribed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.mailchimp_batches import Answer, Operation, run
from connectors.mailchimp_read import list_ids
from connectors.mailchimp_session import COUNT, Session, data, refusal_code, without_emails
from core.connector import PushField, Write, WriteResult
from core.errors import UserError, VendorError

BATCH = 500  # Source: https://mailchimp.com/developer/marketing/api/lists/batch-subscribe-or-unsubscribe/
TAG_LETTERS = 10  # of a merge field's tag
BATCHES_ABOVE = 100  # tag writes: one call each up to here; a batch takes a while whatever its size
SINGLY = 20  # up to so many members are read one by one, more by paging through the list
TYPES = {"text": "text", "number": "number", "boolean": "text", "date": "date", "datetime": "text"}
MEMBER = ("id", "email_address", "status", "merge_fields", "tags")
MERGE_TAG = re.compile(r"[A-Z][A-Z0-9_]*")
NO = (None, "", False, "false", "no", "0")


@dataclass
class _Parts:
    """One write taken apart."""

    write: Write
    list_id: str
    member_id: str
    merge: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, bool] = field(default_factory=dict)  # name → should it be there
    prefixes: dict[str, str | None] = field(default_factory=dict)  # prefix → what should follow it
    leaves: bool = False


# -- reading back -------------------------------------------------------------------------------------------------------
def read_back(session: Session, vendor_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Current values by member. Members that are gone (or whose address changed: then the id did too) are left out.

    Mailchimp shows tags a little after it has accepted them; until then what it accepted in this session counts.
    """
    found: dict[str, dict[str, Any]] = {}
    for list_id, ids in _by_list(vendor_ids).items():
        for member_id, row in _members(session, list_id, ids).items():
            vendor_id = f"{list_id}:{member_id}"
            found[vendor_id] = {name: _value(session, vendor_id, row, name) for name in fields}
    return found


def _by_list(vendor_ids: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for vendor_id in dict.fromkeys(vendor_ids):
        list_id, _, member_id = vendor_id.partition(":")
        groups.setdefault(list_id, []).append(member_id)
    return groups


def _members(session: Session, list_id: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The members by id. Many are looked for in the list's pages first; whoever is not met there is asked for singly."""
    found: dict[str, dict[str, Any]] = {}
    wanted = set(ids)
    if len(wanted) > SINGLY:
        for row in _scan(session, list_id, pages=len(wanted) // 2):
            if row["id"] in wanted:
                found[row["id"]] = row
            if len(found) == len(wanted):
                break
    for member_id in wanted - set(found):
        with session.transport.expecting(404):
            reply = session.client.lists.get_list_member(list_id, member_id, fields=list(MEMBER))
        if reply.status_code != 404:
            row = data(reply)
            found[row["id"]] = row
    for member_id, row in found.items():
        vendor_id = f"{list_id}:{member_id}"
        session.emails[vendor_id] = row["email_address"]
        session.carried[vendor_id] = _carried(session, vendor_id, {tag["name"] for tag in row["tags"]})
    return found


def _carried(session: Session, vendor_id: str, shown: set[str]) -> set[str]:
    """The member's tags: those shown, corrected by what was accepted and is not shown yet."""
    waiting = {n: on for n, on in session.tags_sent.pop(vendor_id, {}).items() if on != (n in shown)}
    if waiting:
        session.tags_sent[vendor_id] = waiting
    return {n for n in shown if waiting.get(n, True)} | {n for n, on in waiting.items() if on}


def _scan(session: Session, list_id: str, pages: int) -> Iterator[dict[str, Any]]:
    fields = [*(f"members.{name}" for name in MEMBER), "total_items"]
    for page in range(pages):
        body = data(session.client.lists.get_list_members_info(list_id, count=COUNT, offset=page * COUNT, fields=fields))
        yield from body["members"]
        if (page + 1) * COUNT >= body["total_items"]:
            return


def _value(session: Session, vendor_id: str, row: Mapping[str, Any], name: str) -> Any:
    if name == "status":
        return row["status"]
    carried = session.carried[vendor_id]
    if (prefix := _prefix(name)) is not None:
        return ", ".join(sorted(tag.removeprefix(prefix) for tag in carried if tag.startswith(prefix))) or None
    if (tag := _tag(name)) is not None:
        return "true" if (tag in carried) == name.startswith("+") else None
    value = row["merge_fields"].get(_merge(name))
    return None if value == "" else value


def _tag(name: str) -> str | None:
    return name[5:] if name.startswith(("+tag:", "-tag:")) else None


def _prefix(name: str) -> str | None:
    return name[4:] if name.startswith("tag:") else None


def _merge(name: str) -> str:
    return name.removeprefix("merge_fields.")


# -- writing --------------------------------------------------------------------------------------------------------------
def write(session: Session, writes: Sequence[Write]) -> Iterator[WriteResult]:
    """One result per write, as they come in. Tags are sent after the member's merge fields were taken."""
    results: dict[str, WriteResult] = {}
    parts = [p for w in writes if (p := _taken_apart(w, results))]
    for group in _lists(parts):
        results |= _write_merge_fields(session, [p for p in group if p.merge and not p.leaves])
        results |= {p.write.key: _leave(session, p) for p in group if p.leaves}
    results |= _write_tags(session, [p for p in parts if (p.tags or p.prefixes) and results.get(p.write.key, WriteResult("", True)).ok])
    for one in writes:
        yield results.get(one.key) or WriteResult(one.key, True)


def _taken_apart(one: Write, results: dict[str, WriteResult]) -> _Parts | None:
    list_id, _, member_id = one.vendor_id.partition(":")
    parts = _Parts(one, list_id, member_id)
    for name, value in one.values.items():
        if name == "status":
            if value != "unsubscribed":
                message = "only `unsubscribed` is ever written: nobody is subscribed again on our word"
                results[one.key] = WriteResult(one.key, False, "status_not_allowed", message)
                return None
            parts.leaves = True
        elif (prefix := _prefix(name)) is not None:
            parts.prefixes[prefix] = None if value in NO else str(value)
        elif (tag := _tag(name)) is not None:
            parts.tags[tag] = (value not in NO) == name.startswith("+")
        elif not MERGE_TAG.fullmatch(_merge(name)):
            results[one.key] = WriteResult(one.key, False, "unknown_field", f"{name} is no merge field; Mailchimp would drop it silently")
            return None
        else:
            parts.merge[_merge(name)] = _plain(value)
    return parts


def _plain(value: Any) -> Any:
    """A value as Mailchimp's JSON wants it; "" clears."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _lists(parts: Sequence[_Parts]) -> list[list[_Parts]]:
    groups: dict[str, list[_Parts]] = {}
    for part in parts:
        groups.setdefault(part.list_id, []).append(part)
    return list(groups.values())


def _write_merge_fields(session: Session, parts: Sequence[_Parts]) -> dict[str, WriteResult]:
    """The rows of one list. Without a status: whoever is not on the list is refused by the vendor, not created."""
    if not parts:
        return {}
    list_id = parts[0].list_id
    if unknown := [p.member_id for p in parts if f"{list_id}:{p.member_id}" not in session.emails]:
        _members(session, list_id, unknown)
    results = {p.write.key: WriteResult(p.write.key, False, "missing", "the member is gone") for p in parts}
    known = [p for p in parts if f"{list_id}:{p.member_id}" in session.emails]
    for start in range(0, len(known), BATCH):
        results |= _send_batch(session, list_id, known[start : start + BATCH])
    return results


def _send_batch(session: Session, list_id: str, parts: Sequence[_Parts]) -> dict[str, WriteResult]:
    emails = {p.write.key: session.emails[f"{list_id}:{p.member_id}"] for p in parts}
    body = {"members": [{"email_address": emails[p.write.key], "merge_fields": p.merge} for p in parts], "update_existing": True}
    query = [("skip_merge_validation", "true"), ("fields", "errors,total_created,total_updated,error_count")]
    try:
        with session.transport.repeatable():  # the same update twice is the update once
            reply = session.client.api_client.call_api("/lists/{id}", "POST", path_params={"id": list_id}, query_params=query, body=body)
    except VendorError as refusal:
        return {p.write.key: _refused(p.write.key, refusal) for p in parts}
    answer = data(reply)
    errors = {str(e["email_address"]).lower(): e for e in answer["errors"]}
    whole = answer["total_created"] + answer["total_updated"] + len(errors) == len(parts)
    return {key: _row_result(key, errors.get(email.lower()), whole) for key, email in emails.items()}


def _row_result(key: str, error: Mapping[str, Any] | None, whole: bool) -> WriteResult:
    if error is None:
        lost = "Mailchimp's counts do not add up to the rows sent; read back to know"
        return WriteResult(key, True) if whole else WriteResult(key, False, "unconfirmed", lost, retryable=True)
    text = str(error.get("error") or "")
    code = refusal_code(text, str(error.get("error_code"))) or str(error.get("error_code") or "refused").lower()
    field_text = f" ({error['field']}: {error.get('field_message', '')})" if error.get("field") else ""
    return WriteResult(key, False, code, without_emails(text + field_text))


def _refused(key: str, refusal: VendorError) -> WriteResult:
    code = refusal_code(refusal.code, refusal.message) or ("missing" if refusal.status == 404 else refusal.code or "refused")
    return WriteResult(key, False, code, without_emails(refusal.message))


def _leave(session: Session, part: _Parts) -> WriteResult:
    """By PATCH, which cannot create anybody."""
    body: dict[str, Any] = {"status": "unsubscribed"} | ({"merge_fields": part.merge} if part.merge else {})
    try:
        session.client.lists.update_list_member(part.list_id, part.member_id, body, skip_merge_validation="true")
    except VendorError as refusal:
        return _refused(part.write.key, refusal)
    return WriteResult(part.write.key, True)


def _write_tags(session: Session, parts: Sequence[_Parts]) -> dict[str, WriteResult]:
    """One call for each member, or batches of calls when there are many."""
    for group in _lists([p for p in parts if p.write.vendor_id not in session.carried]):
        _members(session, group[0].list_id, [p.member_id for p in group])
    tags = {p.write.key: p.tags | _replaced(session.carried.get(p.write.vendor_id, set()), p.prefixes) for p in parts}
    send = _tag_in_batches if len(parts) > BATCHES_ABOVE else _tag_singly
    results = send(session, parts, tags)
    for part in parts:
        if results[part.write.key].ok:
            _carry(session, part.write.vendor_id, tags[part.write.key])
    return results


def _tag_body(tags: Mapping[str, bool]) -> dict[str, Any]:
    """With is_syncing, so that no automation starts because of us."""
    return {"tags": [{"name": n, "status": "active" if on else "inactive"} for n, on in tags.items()], "is_syncing": True}


def _tag_singly(session: Session, parts: Sequence[_Parts], tags: Mapping[str, Mapping[str, bool]]) -> dict[str, WriteResult]:
    results = {}
    for part in parts:
        key = part.write.key
        try:
            with session.transport.repeatable():
                session.client.lists.update_list_member_tags(part.list_id, part.member_id, _tag_body(tags[key]))
            results[key] = WriteResult(key, True)
        except VendorError as refusal:
            results[key] = _refused(key, refusal)
    return results


def _tag_in_batches(session: Session, parts: Sequence[_Parts], tags: Mapping[str, Mapping[str, bool]]) -> dict[str, WriteResult]:
    operations = {
        p.write.key: Operation("POST", f"/lists/{p.list_id}/members/{p.member_id}/tags", _tag_body(tags[p.write.key])) for p in parts
    }
    answers = run(session, operations)
    return {key: _answered(key, answers.get(key)) for key in operations}


def _answered(key: str, answer: Answer | None) -> WriteResult:
    if answer is None:
        return WriteResult(key, False, "unconfirmed", "Mailchimp's batch ended without an answer for this member", retryable=True)
    if answer.status < 400:
        return WriteResult(key, True)
    title, detail = str(answer.body.get("title") or answer.status), str(answer.body.get("detail") or "")
    code = "missing" if answer.status == 404 else refusal_code(title, detail) or title
    retryable = answer.status == 429 or answer.status >= 500
    return WriteResult(key, False, code, without_emails(f"{title}: {detail}".strip(": ")), retryable)


def _carry(session: Session, vendor_id: str, tags: Mapping[str, bool]) -> None:
    """Mailchimp shows accepted tags a little later; until then they count."""
    session.tags_sent[vendor_id] = session.tags_sent.get(vendor_id, {}) | dict(tags)
    now = session.carried.setdefault(vendor_id, set())
    now.update(name for name, on in tags.items() if on)
    now.difference_update(name for name, on in tags.items() if not on)


def _replaced(carried: set[str], prefixes: Mapping[str, str | None]) -> dict[str, bool]:
    """The new tag of each prefix, and away with its others."""
    tags = {tag: False for tag in sorted(carried) for prefix in prefixes if tag.startswith(prefix)}
    return tags | {f"{prefix}{value}": True for prefix, value in prefixes.items() if value is not None}


# -- fields of ours -----------------------------------------------------------------------------------------------------------
def merge_fields(session: Session, list_id: str) -> list[dict[str, Any]]:
    fields = [f"merge_fields.{name}" for name in ("tag", "name", "type", "required", "options")]
    return list(data(session.client.lists.get_list_merge_fields(list_id, count=COUNT, fields=fields)).get("merge_fields", []))


def ensure(session: Session, fields: Sequence[PushField]) -> list[str]:
    """Create missing merge fields in every list; tags come into being when written. Raises: UserError for a name too long."""
    wanted = {_merge(f.name): f for f in fields if f.name != "status" and f.type != "tags" and not (_tag(f.name) or _prefix(f.name))}
    if long := [name for name in wanted if len(name) > TAG_LETTERS or name != name.upper()]:
        raise UserError(
            f"Mailchimp merge fields have names of at most {TAG_LETTERS} capital letters: {', '.join(long)}",
            next_step="rename them under push.members in the mapping, such as TSTAGE",
        )
    created: list[str] = []
    for list_id in list_ids(session):
        there = {row["tag"] for row in merge_fields(session, list_id)}
        for name in wanted.keys() - there:
            body = {"name": wanted[name].label, "tag": name, "type": TYPES[wanted[name].type], "required": False, "public": False}
            session.client.lists.add_list_merge_field(list_id, body)
            created.append(name)
    return list(dict.fromkeys(created))
