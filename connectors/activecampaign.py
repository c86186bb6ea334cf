"""ActiveCampaign (API v3). What the vendor is, as data.

How contacts and lists are walked is in `activecampaign_read`, deals and their history in `activecampaign_deals`, what is
written in `activecampaign_write`, `activecampaign_deal_write` and `activecampaign_list_write`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors import activecampaign_deal_write as deal_write
from connectors import activecampaign_list_write as list_write
from connectors import activecampaign_write as contact_write
from connectors.activecampaign_deals import activities, deal_fields, deals, snapshots
from connectors.activecampaign_read import OVERLAP_S, contact_lists, contact_tags, contacts, pipelines, whole
from connectors.activecampaign_session import Session, fault, open_session, read_limits
from core.connector import Bucket, Connector, Live, LiveField, LiveStage, Resource, Setting, Target

# What every contact and deal has besides its custom fields. Source: …/reference/contact and …/reference/deal, read 2026-11-20
CONTACT_FIELDS = (
    ("id", "Contact id", "text"),
    ("email", "E-mail address", "text"),
    ("firstName", "First name", "text"),
    ("lastName", "Last name", "text"),
    ("phone", "Phone", "text"),
    ("cdate", "Created", "datetime"),
    ("udate", "Updated", "datetime"),
    ("bounced_hard", "Hard bounces", "number"),
    ("bounced_soft", "Soft bounces", "number"),
    ("bounced_date", "Bounced", "date"),
    ("deleted", "Deleted (legacy)", "boolean"),
    ("hash", "Hash", "text"),
    ("orgid", "Organisation (legacy)", "text"),
)
DEAL_FIELDS = (
    ("id", "Deal id", "text"),
    ("title", "Title", "text"),
    ("value", "Value in the smallest unit", "number"),
    ("currency", "Currency", "text"),
    ("status", "Status: 0 open, 1 won, 2 lost", "choice"),
    ("group", "Pipeline", "choice"),
    ("stage", "Stage", "choice"),
    ("place", "Stage while open, else won or lost", "choice"),
    ("owner", "Owner", "text"),
    ("contact", "Contact", "text"),
    ("account", "Account", "text"),
    ("customerAccount", "Account", "text"),
    ("percent", "Percent", "number"),
    ("winProbability", "Win probability", "number"),
    ("cdate", "Created", "datetime"),
    ("mdate", "Updated", "datetime"),
    ("nextdate", "Next task", "datetime"),
    ("description", "Description", "text"),
    ("isDisabled", "May not be seen", "boolean"),
)
# A contact as it comes with its lists; `status` stands in each of them. Source: …/reference/update-list-status-for-contact, read 2026-11-25
LIST_FIELDS = (
    ("id", "Contact id", "text"),
    ("email", "E-mail address", "text"),
    ("contactLists", "Lists", "list"),
    ("status", "Status", "text"),
)
WRITABLE = ("email", *contact_write.PLAIN, *deal_write.COLUMNS)


def probe(session: Session) -> str:
    """Names the address: keys carry no mark that tells a test account from a live one."""
    user = session.get("users/me").get("user", {})
    return f"ActiveCampaign at {session.base.removesuffix('/api/3')} answers to user {user.get('id', 'unknown')}"


def discover(session: Session) -> Live:
    """Contact and deal fields, own ones among them, and the stages of all pipelines with the two ways a deal ends."""
    fields = [LiveField("contacts", path, label, kind, (), path in WRITABLE) for path, label, kind in CONTACT_FIELDS]
    fields += [LiveField("deals", path, label, kind, (), path in WRITABLE) for path, label, kind in DEAL_FIELDS]
    fields += [LiveField("contactLists", path, label, kind, (), path == list_write.FIELD) for path, label, kind in LIST_FIELDS]
    for row in session.every("fields", "fields"):
        fields.append(LiveField("contacts", f"fields.{row['perstag']}", row["title"], row.get("type") or "text"))
    for name, row in deal_fields(session).items():
        fields.append(LiveField("deals", f"fields.{name}", row["fieldLabel"], row["fieldType"], tuple(row.get("fieldOptions") or ())))
        if row["fieldType"] == "currency":
            fields.append(LiveField("deals", f"fields.{name}_currency", f"{row['fieldLabel']}: currency", "text", (), False))
    titles = {str(row["id"]): str(row["title"]) for row in session.every("dealGroups", "dealGroups")}
    stages = []
    for row in session.every("dealStages", "dealStages"):
        group = str(row["group"])
        stages.append(
            LiveStage("deal", group, titles.get(group, ""), str(row["id"]), row["title"], int(row.get("order") or 0), False, False)
        )
    ends = [
        LiveStage("deal", "", "every pipeline", end, end.title(), 1000 + i, True, end == "won") for i, end in enumerate(("won", "lost"))
    ]
    return Live(tuple(fields), (*stages, *ends))


OFFSETS = "offsets shift when rows are deleted: the read steps back as many"

# Source: addresses as the account shows them; the API has no such links. Read 2026-11-26
_PAGES = {"contacts": "contacts", "contactLists": "contacts", "deals": "deals", "accounts": "accounts"}


def _page(settings: Mapping[str, str], resource: str, vendor_id: str, attributes: Mapping[str, Any]) -> str:
    base, own = (settings.get("app_url") or "").rstrip("/"), vendor_id.partition(":")[0]
    return f"{base}/app/{_PAGES[resource]}/{quote(own, safe='')}" if base and resource in _PAGES else ""


CONNECTOR = Connector(
    name="activecampaign",
    title="ActiveCampaign",
    docs_url="https://developers.activecampaign.com/reference/overview",
    docs_read="2026-11-20",
    settings=(
        Setting("api_token", "API key of a user who may see contacts and deals: Settings → Developer", secret=True),
        Setting("base_url", "API URL as that page shows it, such as https://lumen.api-us1.com; never made up from the account's name"),
        Setting(
            "stage_moves",
            "how deal activities tell a stage move, as dataType:new:old; not documented, believed only where the account shows it",
            required=False,
            default="stage:dataId:dataOldval",
        ),
        Setting("app_url", "Account in the browser, such as https://lumen.activehosted.com: `explain` links there", required=False),
        Setting("bulk_from", "from so many contacts on, changes go by bulk import", required=False, default="10"),
    ),
    # Five a second for the account, over all keys and tools. Source: …/reference/rate-limits, read 2026-11-20
    buckets=(
        Bucket("account", calls=5, window_s=1.0),
        Bucket("imports", calls=100, window_s=60.0, match=r"/import/bulk_import$"),
    ),
    open=open_session,
    probe=probe,
    fault=fault,
    read_limits=read_limits,
    resources=(
        Resource("users", whole("users"), deletes="sweep", completeness="meta.total"),
        Resource(
            "contacts",
            contacts,
            cursor="udate",
            overlap_s=OVERLAP_S,
            deletes="sweep",
            history="none",
            completeness="meta.total of the first page, asked again when it is not reached",
            stamped=True,
            traps=(
                "deep offsets are slow: walked by id_greater",
                "the cursor is set by the last page only: pages are not in order of change",
                "custom fields are no part of the row; `include`, which no document mentions, brings them, or each contact is asked",
                "no document says that a changed custom field, tag or list moves udate",
                "deleted for good, without a flag: only a full read shows it",
                "times carry the account's offset; the …_timestamp fields do not",
                "an empty date is null, an empty text or 0000-00-00",
            ),
        ),
        Resource(
            "contactLists",
            contact_lists,
            deletes="sweep",
            completeness="meta.total of contacts",
            traps=("read whole each time, because leaving a list is consent", "a contact's status is per list"),
        ),
        Resource("lists", whole("lists"), deletes="sweep", completeness="meta.total"),
        Resource("tags", whole("tags"), deletes="sweep", completeness="meta.total", traps=("tags of templates are among them",)),
        Resource("contactTags", contact_tags, completeness="meta.total", traps=("the list itself is not in the reference", OFFSETS)),
        Resource("accounts", whole("accounts"), completeness="meta.total", traps=("counts are 0 unless count_deals is asked for",)),
        Resource("accountContacts", whole("accountContacts"), completeness="meta.total"),
        Resource("dealGroups", pipelines, deletes="sweep", completeness="meta.total"),
        Resource("dealStages", whole("dealStages"), deletes="sweep", completeness="meta.total", traps=("the order is not unique",)),
        Resource(
            "deals",
            deals,
            cursor="mdate",
            overlap_s=OVERLAP_S,
            history="dealActivities, or dealSnapshots",
            completeness="meta.total",
            stamped=True,
            traps=(
                "the value is a text in cents, the currency in lower case",
                "a stage never says won or lost: status does; `place` is both in one",
                "deals the key may not see shrink to an id and a title, and make short pages",
                "deleted for good, without a flag: only two full reads in a row show it",
                OFFSETS,
            ),
        ),
        Resource(
            "dealActivities",
            activities,
            after=("deals",),
            cursor="mdate of the deal",
            overlap_s=OVERLAP_S,
            history="stage moves and outcomes; the setting stage_moves says how they are told",
            completeness="the activities of every deal listed",
            traps=(
                "how a stage move is told is not documented: only what names known stages is believed",
                "no date filter: the activities of changed deals are read, one request a deal",
                "the first stage stands in no activity: what the first move left, or where the deal still is",
            ),
        ),
        Resource(
            "dealSnapshots",
            snapshots,
            after=("deals",),
            cursor="mdate",
            overlap_s=OVERLAP_S,
            history="each state of a deal that a read saw; moves between two reads are one",
            stamped=True,
        ),
        Resource(
            "contactDeals", whole("contactDeals"), completeness="meta.total", traps=("further contacts only; the first is in the deal",)
        ),
        Resource(
            "campaigns", whole("campaigns"), deletes="sweep", completeness="meta.total", traps=("counters grow without a date: read whole",)
        ),
        Resource("messages", whole("messages", without=("html", "text")), deletes="sweep", completeness="meta.total"),
        Resource("automations", whole("automations"), deletes="sweep", completeness="meta.total"),
        Resource("contactAutomations", whole("contactAutomations"), completeness="meta.total", traps=(OFFSETS,)),
    ),
    targets=(
        Target(
            "contacts",
            "contacts",
            batch_size=contact_write.BATCH,
            write=contact_write.write,
            read_back=contact_write.read_back,
            partial_failure="an import names the addresses it did not take; when it is refused as a whole, contacts are written one by one",
            ensure=contact_write.ensure,
        ),
        Target(
            "contactLists",
            "contactLists",
            batch_size=list_write.BATCH,
            write=list_write.write,
            read_back=list_write.read_back,
            match_key="contact:list:id",
            partial_failure="one request a subscription; only `unsubscribed` is ever written",
        ),
        Target(
            "deals",
            "deals",
            batch_size=deal_write.BATCH,
            write=deal_write.write,
            read_back=deal_write.read_back,
            partial_failure="one request a deal",
            ensure=deal_write.ensure,
        ),
    ),
    discover=discover,
    page=_page,
    cannot=(
        "opens and clicks of single contacts in bulk: one request a contact",
        "subscribe anybody: subscriptions are only ended",
        "see deleted records other than by their absence",
        "a documented history of deal stages",
        "more than five requests a second",
        "write a tag without starting the automations that wait for it",
    ),
)
