"""The /lists part of Mailchimp's API: lists, members, the 500-row batch, tags, segments, merge fields. HTTP only.

The rules live in `mailchimp_members`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.sandbox.kit import Handler, Reply, Request
from connectors.sandbox.mailchimp_members import STATUSES, Audience, Audiences
from connectors.sandbox.mailchimp_wire import (
    Refusal,
    Row,
    collection,
    cut,
    gone,
    invalid,
    linked,
    member_hash,
    nothing,
    ok,
    ordered,
    within,
)

BATCH_ROWS = 500
SORTABLE = ("timestamp_opt", "timestamp_signup", "last_changed")
SEGMENT_HIDES = ("unsubscribed", "cleaned", "transactional")


class ListRoutes:
    def __init__(self, audiences: Audiences, now: Callable[[], datetime], campaigns: Mapping[str, Row]) -> None:
        self.audiences, self.now, self.campaigns = audiences, now, campaigns

    def routes(self) -> list[tuple[str, str, Handler]]:
        one = "/3.0/lists/{list}/members/{member}"
        return [
            ("GET", "/3.0/lists", self.all),
            ("GET", "/3.0/lists/{list}", self.one),
            ("POST", "/3.0/lists/{list}", self.batch),
            ("GET", "/3.0/lists/{list}/members", self.members),
            ("POST", "/3.0/lists/{list}/members", self.create),
            ("GET", one, self.member),
            ("PUT", one, self.put),
            ("PATCH", one, self.patch),
            ("DELETE", one, self.archive),
            ("POST", one + "/actions/delete-permanent", self.forget),
            ("GET", one + "/tags", self.tags),
            ("POST", one + "/tags", self.write_tags),
            ("GET", "/3.0/lists/{list}/merge-fields", self.merge_fields),
            ("POST", "/3.0/lists/{list}/merge-fields", self.add_merge_field),
            ("GET", "/3.0/lists/{list}/segments", self.segments),
            ("GET", "/3.0/lists/{list}/segments/{segment}/members", self.segment_members),
            ("GET", "/3.0/lists/{list}/tag-search", self.tag_search),
        ]

    def _audience(self, request: Request) -> Audience:
        self.audiences.settle(self.audiences.find(request.params["list"]).id)
        return self.audiences.find(request.params["list"])

    def _found(self, request: Request) -> Row:
        self._audience(request)
        return self.audiences.member(request.params["list"], request.params["member"])

    # -- lists: https://mailchimp.com/developer/marketing/api/lists/get-lists-info/ -----------------------------------
    def all(self, request: Request) -> Reply:
        rows = within(request, [self._list(a) for a in self.audiences.lists.values()], "date_created")
        rows = ordered(request, rows, ("date_created",))
        return collection("/lists", "lists", cut(request, rows), len(rows))

    def one(self, request: Request) -> Reply:
        return ok(self._list(self._audience(request)))

    def _list(self, audience: Audience) -> Row:
        by = {status: sum(m["status"] == status for m in audience.members.values()) for status in STATUSES}
        sent = [c for c in self.campaigns.values() if c.get("recipients", {}).get("list_id") == audience.id]
        stats = {
            "member_count": by["subscribed"], "unsubscribe_count": by["unsubscribed"], "cleaned_count": by["cleaned"],
            "campaign_count": len(sent), "campaign_last_sent": max((c["send_time"] for c in sent), default=""),
            "merge_field_count": len(audience.merge_fields), "open_rate": 0, "click_rate": 0,
            "last_sub_date": max((m["timestamp_opt"] for m in audience.members.values()), default=""), "last_unsub_date": "",
        }  # fmt: skip
        row = {"web_id": 1, "permission_reminder": "", "list_rating": 3, "email_type_option": False, "double_optin": False}
        return linked(f"/lists/{audience.id}", audience.info | row | {"stats": stats})

    # -- members: https://mailchimp.com/developer/marketing/api/list-members/list-members-info/ ------------------------
    def members(self, request: Request) -> Reply:
        audience = self._audience(request)
        rows = self._filtered(request, list(audience.members.values()))
        for field in ("timestamp_opt", "last_changed"):
            rows = within(request, rows, field)
        rows = ordered(request, rows, SORTABLE)
        shown = [self._shown(r) for r in cut(request, rows)]
        return collection(f"/lists/{audience.id}/members", "members", shown, len(rows), list_id=audience.id)

    def _filtered(self, request: Request, rows: list[Row]) -> list[Row]:
        status = request.q("status")
        if status is not None and status not in STATUSES:
            raise invalid("status", "The value you selected is not a valid choice.")
        if request.q("unsubscribed_since") and status != "unsubscribed":
            raise invalid("unsubscribed_since", "The status must be unsubscribed to use this filter.")
        rows = [r for r in rows if (r["status"] == status if status else r["status"] != "archived")]
        if unique := request.q("unique_email_id"):
            rows = [r for r in rows if r["unique_email_id"] == unique]
        return rows

    def _shown(self, row: Row) -> Row:
        return linked(f"/lists/{row['list_id']}/members/{row['id']}", self.audiences.shown(row))

    def shift(self, request: Request) -> None:
        """The fault `move`: while page two is being asked for, a row of page one is edited and jumps to the end."""
        if not request.path.endswith("/members") or not (list_id := request.path.split("/")[3]) or list_id not in self.audiences.lists:
            return
        rows = ordered(request, self._filtered(request, list(self.audiences.lists[list_id].members.values())), SORTABLE)
        self.audiences.touch(rows[:1])

    def member(self, request: Request) -> Reply:
        return ok(self._shown(self._found(request)))

    def create(self, request: Request) -> Reply:
        return ok(self._shown(self.audiences.create(request.params["list"], _body(request), skip=_flag(request, "skip_merge_validation"))))

    # https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/
    def put(self, request: Request) -> Reply:
        body, skip = _body(request), _flag(request, "skip_merge_validation")
        try:
            row = self._found(request)
        except Refusal:
            self.audiences.find(request.params["list"])
            body = {"email_address": request.params["member"]} | body
            status = body.get("status_if_new") or body.get("status")
            if status is None:
                raise invalid("status_if_new", "This value should not be null.") from None
            return ok(self._shown(self.audiences.create(request.params["list"], {**body, "tags": []}, skip=skip, status=status)))
        return ok(self._shown(self.audiences.update(request.params["list"], row, body, skip=skip)))

    def patch(self, request: Request) -> Reply:
        row = self._found(request)
        return ok(
            self._shown(self.audiences.update(request.params["list"], row, _body(request), skip=_flag(request, "skip_merge_validation")))
        )

    def archive(self, request: Request) -> Reply:
        self.audiences.archive(request.params["list"], request.params["member"])
        return nothing()

    def forget(self, request: Request) -> Reply:
        self.audiences.forget(request.params["list"], request.params["member"])
        return nothing()

    # -- up to 500 at once: https://mailchimp.com/developer/marketing/api/lists/batch-subscribe-or-unsubscribe/ --------
    def batch(self, request: Request) -> Reply:
        audience, body = self._audience(request), _body(request)
        members = body.get("members")
        if not isinstance(members, list) or not members:
            raise invalid("members", "This value should not be blank.")
        if len(members) > BATCH_ROWS:
            raise invalid("members", f"This collection should contain {BATCH_ROWS} elements or less.")
        done: dict[str, list[Row]] = {"new_members": [], "updated_members": []}
        errors: list[Row] = []
        seen: set[str] = set()
        for row in members:
            email = str(row.get("email_address") or "")
            try:
                if member_hash(email) in seen:
                    if not _flag(request, "skip_duplicate_check"):
                        raise Refusal(400, "Invalid Resource", f"{email} appears more than once in the members list.")
                    continue
                seen.add(member_hash(email))
                self._upsert(request, audience, body, row, done)
            except Refusal as refusal:
                errors.append(_row_error(email, refusal))
        counts = {"total_created": len(done["new_members"]), "total_updated": len(done["updated_members"]), "error_count": len(errors)}
        return ok(linked(f"/lists/{audience.id}", done | {"errors": errors} | counts))

    def _upsert(self, request: Request, audience: Audience, body: Row, row: Row, done: dict[str, list[Row]]) -> None:
        skip = _flag(request, "skip_merge_validation")
        existing = audience.members.get(member_hash(str(row.get("email_address") or "")))
        if existing is None:
            new = self.audiences.create(audience.id, row, skip=skip)
            done["new_members"].append(self._shown(new))
            return
        if not body.get("update_existing"):
            raise Refusal(400, "Member Exists", f"{row['email_address']} is already a list member, do you want to update?")
        changed = self.audiences.update(audience.id, existing, row, skip=skip)
        if "tags" in row:
            self.audiences.replace_tags(audience.id, changed, row["tags"], whole=bool(body.get("sync_tags")))
        done["updated_members"].append(self._shown(changed))

    # -- tags and segments: https://mailchimp.com/developer/marketing/api/list-member-tags/ ----------------------------
    def tags(self, request: Request) -> Reply:
        row, audience = self._found(request), self._audience(request)
        rows = [{"id": audience.tag_ids[n], "name": n, "date_added": at} for n, at in row["_tags"].items()]
        return collection(f"/lists/{audience.id}/members/{row['id']}/tags", "tags", list(cut(request, rows)), len(rows))

    def write_tags(self, request: Request) -> Reply:
        body = _body(request)
        if not isinstance(body.get("tags"), list):
            raise invalid("tags", "This value should not be blank.")
        self.audiences.write_tags(request.params["list"], self._found(request), body["tags"], syncing=bool(body.get("is_syncing")))
        return nothing()

    def _segments(self, audience: Audience) -> list[Row]:
        count = {n: sum(n in m["_tags"] and _in_segment(m, ()) for m in audience.members.values()) for n in audience.tag_ids}
        return [
            {"id": i, "name": n, "member_count": count[n], "type": "static", "created_at": audience.tags_changed[n],
             "updated_at": audience.tags_changed[n], "list_id": audience.id}
            for n, i in audience.tag_ids.items()
        ]  # fmt: skip

    # https://mailchimp.com/developer/marketing/api/list-segments/list-segments/
    def segments(self, request: Request) -> Reply:
        audience = self._audience(request)
        rows = within(request, self._segments(audience), "updated_at")
        rows = [r for r in rows if request.q("type", r["type"]) == r["type"]]
        path = f"/lists/{audience.id}/segments"
        return collection(path, "segments", [linked(f"{path}/{r['id']}", r) for r in cut(request, rows)], len(rows), list_id=audience.id)

    # https://mailchimp.com/developer/marketing/api/list-segment-members/list-members-in-segment/
    def segment_members(self, request: Request) -> Reply:
        """Leaves out the unsubscribed, the cleaned and the transactional unless asked; the archived always."""
        audience = self._audience(request)
        name = next((n for n, i in audience.tag_ids.items() if str(i) == request.params["segment"]), None)
        if name is None:
            raise gone()
        include = [s for s in SEGMENT_HIDES if _flag(request, f"include_{s}")]
        rows = [m for m in audience.members.values() if name in m["_tags"] and _in_segment(m, include)]
        shown = [{k: v for k, v in self._shown(m).items() if k not in ("tags", "tags_count", "contact_id")} for m in cut(request, rows)]
        return collection(f"/lists/{audience.id}/segments/{request.params['segment']}/members", "members", shown, len(rows))

    def tag_search(self, request: Request) -> Reply:
        audience = self._audience(request)
        rows: Sequence[Row] = [{"id": i, "name": n} for n, i in audience.tag_ids.items() if n.startswith(request.q("name") or "")]
        return collection(f"/lists/{audience.id}/tag-search", "tags", rows, len(rows))

    # -- merge fields: https://mailchimp.com/developer/marketing/api/list-merges/ -------------------------------------
    def merge_fields(self, request: Request) -> Reply:
        audience = self._audience(request)
        path, rows = f"/lists/{audience.id}/merge-fields", audience.merge_fields
        shown = [linked(f"{path}/{r['merge_id']}", r) for r in cut(request, rows)]
        return collection(path, "merge_fields", shown, len(rows), list_id=audience.id)

    def add_merge_field(self, request: Request) -> Reply:
        audience = self._audience(request)
        row = audience.add_merge_field(_body(request))
        for member in audience.members.values():
            member["merge_fields"].setdefault(row["tag"], row["default_value"])
        return ok(linked(f"/lists/{audience.id}/merge-fields/{row['merge_id']}", row))


def _in_segment(member: Row, include: Sequence[str]) -> bool:
    return member["status"] != "archived" and (member["status"] not in SEGMENT_HIDES or member["status"] in include)


def _body(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Refusal(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.")
    return body


def _flag(request: Request, name: str) -> bool:
    return request.q(name) == "true" or request.q(name) == "1"


def _row_error(email: str, refusal: Refusal) -> Row:
    """How a refused row shows inside a 200."""
    code = "ERROR_CONTACT_EXISTS" if refusal.title == "Member Exists" else "ERROR_GENERIC"
    first = refusal.errors[0] if refusal.errors else {"field": "", "message": ""}
    return {"email_address": email, "error": refusal.detail, "error_code": code, "field": first["field"], "field_message": first["message"]}
