"""Mailchimp (Marketing API 3.0), through the official client `mailchimp-marketing`. What the vendor is, as data.

How pages are walked is in `mailchimp_read`, how members are written in `mailchimp_write`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.mailchimp_read import OVERLAP_S, activity, automations, campaigns, list_ids, lists, members, reports, tags
from connectors.mailchimp_session import COUNT, Session, data, fault, open_session
from connectors.mailchimp_write import BATCH, ensure, merge_fields, read_back, write
from core.connector import Bucket, Connector, Live, LiveField, LiveStage, Resource, Setting, Target

TEXT_BYTES = 255  # of a text merge field. Source: https://mailchimp.com/help/manage-audience-signup-form-fields/, read 2026-11-25
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
# What every member has besides its merge fields. Source: …/api/list-members/list-members-info/, read 2026-08-13
MEMBER_FIELDS = (
    ("id", "Member id (MD5 of the address)", "text"), ("contact_id", "Contact id", "text"), ("unique_email_id", "Address id", "text"),
    ("email_address", "E-mail address", "text"), ("email_type", "E-mail type", "text"), ("full_name", "Full name", "text"),
    ("status", "Status", "choice"), ("unsubscribe_reason", "Reason for leaving", "text"), ("list_id", "Audience", "choice"),
    ("member_rating", "Rating, 1 to 5", "number"), ("last_changed", "Last changed", "datetime"), ("language", "Language", "text"),
    ("timestamp_signup", "Signed up", "datetime"), ("timestamp_opt", "Opted in", "datetime"), ("vip", "VIP", "boolean"),
    ("stats.avg_open_rate", "Average open rate", "number"), ("stats.avg_click_rate", "Average click rate", "number"),
    ("source", "Source", "text"), ("tags", "Tags", "list"), ("location.country_code", "Country", "text"), ("web_id", "Web id", "number"),
)  # fmt: skip


def probe(session: Session) -> str:
    return f"Mailchimp answers: {data(session.client.ping.get())['health_status']}"


def discover(session: Session) -> Live:
    """Member fields, the merge fields of all lists, and the statuses a member can have."""
    names = data(session.client.lists.get_all_lists(count=COUNT, fields=["lists.id", "lists.name"])).get("lists", [])
    options = {"status": STATUSES, "list_id": tuple(f"{row['id']} {row['name']}" for row in names)}
    fields = {path: LiveField("members", path, label, kind, options.get(path, ()), path == "status") for path, label, kind in MEMBER_FIELDS}
    merged: dict[str, LiveField] = {}
    others: list[LiveField] = []  # the same tag may mean something else in another audience
    for list_id in list_ids(session):
        for row in merge_fields(session, list_id):
            field = _merge_field(row)
            if field != merged.setdefault(field.path, field):
                others.append(replace(field, scope=f"{list_id}:"))
    stages = tuple(LiveStage("person", "", "", status, status, i, False, False) for i, status in enumerate(STATUSES))
    return Live((*fields.values(), *merged.values(), *others), stages)


def _merge_field(row: Mapping[str, Any]) -> LiveField:
    """A required field may still be left empty: we write with `skip_merge_validation`, as Mailchimp's own forms cannot."""
    options = row.get("options") or {}
    length = TEXT_BYTES if row["type"] == "text" else 0
    return LiveField("members", f"merge_fields.{row['tag']}", row["name"], row["type"], tuple(options.get("choices", ())), length=length)


def _page(settings: Mapping[str, str], resource: str, vendor_id: str, attributes: Mapping[str, Any]) -> str:
    """A member's, by its web id. Source: https://mailchimp.com/developer/marketing/api/list-members/ (web_id), read 2026-11-26"""
    centre, web_id = settings.get("api_key", "").strip().rpartition("-")[2], attributes.get("web_id")
    return f"https://{centre}.admin.mailchimp.com/lists/members/view?id={web_id}" if resource == "members" and centre and web_id else ""


CONNECTOR = Connector(
    name="mailchimp",
    title="Mailchimp",
    docs_url="https://mailchimp.com/developer/marketing/api/",
    docs_read="2026-08-13",
    settings=(
        Setting("api_key", "API key, with its data centre: the part after the dash, such as -us19", secret=True),
        Setting("base_url", "Address of the API; by default that of the key's data centre", required=False),
    ),
    # Ten connections at once per user, over all keys and tools; no other limit is published. Half is left to others.
    # Source: https://mailchimp.com/developer/marketing/docs/fundamentals/#throttling, read 2026-08-13
    buckets=(Bucket("connections", calls=1000, window_s=10.0, concurrent=5),),
    open=open_session,
    probe=probe,
    fault=fault,
    resources=(
        Resource("lists", lists, deletes="sweep", completeness="total_items"),
        Resource(
            "members",
            members,
            after=("lists",),
            cursor="last_changed",
            overlap_s=OVERLAP_S,
            deletes="sweep",
            history="none: a member has one status and one date of last change",
            completeness="total_items per list and status, less what left the window before it was read",
            stamped=True,
            traps=(
                "the list leaves out the archived unless asked for",
                "since_last_changed leaves out its instant",
                "offsets shift while members change; windows by last_changed instead",
                "the id is unique per list only, and follows the e-mail address",
                "permanently deleted members just vanish",
                "an unset date is an empty text",
            ),
        ),
        Resource(
            "tags",
            tags,
            after=("lists",),
            deletes="sweep",
            completeness="total_items per list and tag",
            traps=("no document says that a tag moves last_changed", "segments hide the unsubscribed and cleaned unless asked"),
        ),
        Resource("campaigns", campaigns, deletes="sweep", completeness="total_items", traps=("no updated-since filter: read whole",)),
        Resource(
            "reports",
            reports,
            cursor="send_time",
            completeness="total_items",
            traps=("counters move for weeks without a date: recent sends are read again",),
        ),
        Resource(
            "activity",
            activity,
            key="email_id",
            cursor="send_time",
            completeness="total_items per campaign",
            traps=(
                "recipients without activity come with an empty list",
                "a late bounce is dated like the send, so `since` would lose it",
                "about 1,000 opens and 1,000 clicks per member at most",
            ),
        ),
        Resource("automations", automations, deletes="sweep", completeness="total_items", traps=("classic automations only",)),
    ),
    targets=(
        Target(
            "members",
            "members",
            batch_size=BATCH,
            write=write,
            read_back=read_back,
            match_key="list_id:id",
            partial_failure="200 with errors[] by e-mail address",
            ensure=ensure,
        ),
    ),
    discover=discover,
    page=_page,
    cannot=(
        "customer journeys: not readable",
        "status history of a member",
        "subscribe again somebody who left",
        "see permanently deleted members other than by their absence",
    ),
)
