"""Salesforce: accounts, contacts, leads, opportunities with their stage history, campaigns, users; fields of our own written back.

What this module says is data; reading, writing, jobs and the session have modules of their own beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from connectors import salesforce_influence as influence
from connectors.salesforce_read import OVERLAP_S, Source, read
from connectors.salesforce_session import BULK_ABOVE, DAILY, LOGIN, VERSION, Session, fault, read_limits
from connectors.salesforce_write import ensure, read_back, write
from core.connector import Bucket, Connector, Live, LiveField, LiveStage, Resource, Setting, Target

__all__ = ["CONNECTOR"]

TIES = "many rows may share one SystemModstamp: >= with an overlap, repeats are dropped by content"
LATE = "a row can be committed minutes after its stamp: the overlap reads it again"
FORMULA = "formula and roll-up fields change without moving SystemModstamp: with one mapped, everything is read again once a week"


def _resource(
    sobject: str,
    *,
    cursor: str | None = "SystemModstamp",
    bin: bool = True,
    bulk: bool = True,
    after: tuple[str, ...] = (),
    history: str | None = None,
    traps: tuple[str, ...] = (),
) -> Resource:
    return Resource(
        name=sobject,
        read=partial(read, Source(sobject, cursor, bin, bulk)),
        key="Id",
        after=after,
        cursor=cursor,
        overlap_s=OVERLAP_S if cursor else 0.0,
        deletes="flag" if bin else "sweep" if cursor is None else "none",
        history=history,
        completeness="totalSize of the query, or COUNT() and numberRecordsProcessed of the Bulk job",
        stamped=cursor is not None,
        traps=(TIES, LATE, FORMULA, *traps) if cursor == "SystemModstamp" else traps,
    )


RESOURCES = (
    _resource("User", bin=False),
    _resource("OpportunityStage", cursor=None, bin=False, bulk=False, traps=("probabilities are today's defaults, not the deals'",)),
    _resource("LeadStatus", cursor=None, bin=False, bulk=False),
    _resource("Account", traps=("merged accounts stay as deleted rows that name MasterRecordId",)),
    _resource("Contact", after=("Account",), traps=("merged contacts stay as deleted rows that name MasterRecordId",)),
    _resource("Lead", history="LeadHistory, where the org tracks Status", traps=("converted leads are read-only",)),
    _resource("Campaign"),
    _resource("Opportunity", after=("Account",), history="OpportunityHistory", traps=("CloseDate is a plain date without a zone",)),
    _resource("OpportunityHistory", after=("Opportunity",), traps=("rows are also written when only Amount or CloseDate changed",)),
    _resource("OpportunityContactRole", after=("Opportunity", "Contact")),
    _resource("CampaignMember", after=("Campaign",)),
    _resource(
        "Task", after=("Opportunity",), traps=("a task does not move its opportunity's SystemModstamp", "archived a year after it was due")
    ),
    _resource("Event", after=("Opportunity",), traps=("an all-day event has a date and no time",)),
    _resource(
        "LeadHistory",
        cursor="CreatedDate",
        bulk=False,
        after=("Lead",),
        traps=("exists only where Lead history is tracked; kept 18 months",),
    ),
)


def _target(sobject: str) -> Target:
    return Target(
        name=sobject,
        resource=sobject,
        batch_size=10_000,
        write=partial(write, sobject),
        read_back=partial(read_back, sobject),
        match_key="Id",
        partial_failure="an error per row inside a 200; failedResults of a Bulk job",
        ensure=partial(ensure, sobject),
    )


def _probe(session: Session) -> str:
    """One call that tells how much is left of the day."""
    daily = session.json("GET", "limits")["DailyApiRequests"]
    return f"Salesforce org {session.tokens.org_id}: {daily['Remaining']:,} of {daily['Max']:,} API calls left in the last 24 hours"


def _discover(session: Session) -> Live:
    fields: list[LiveField] = []
    for resource in RESOURCES:
        for described in (session.fields(resource.name) or {}).values():
            fields.append(_field(resource.name, described))
            if described.get("relationshipName"):
                path = f"{described['relationshipName']}.Name"
                fields.append(LiveField(resource.name, path, f"{described['label']}: name", "string", writable=False))
    return Live(tuple(fields), tuple(_stages(session)))


def _field(resource: str, described: dict[str, Any]) -> LiveField:
    return LiveField(
        resource=resource,
        path=described["name"],
        label=described["label"],
        type=described["type"],
        options=tuple(v["value"] for v in described.get("picklistValues") or () if v["active"]),
        writable=bool(described["updateable"]),
        calculated=bool(described["calculated"]),
        required=not described["nillable"] and not described["defaultedOnCreate"],
        restricted=bool(described.get("restrictedPicklist")),
        length=int(described.get("length") or 0),
    )


def _stages(session: Session) -> list[LiveStage]:
    names = "ApiName, MasterLabel, SortOrder, IsClosed, IsWon, DefaultProbability"
    deals = session.select(f"SELECT {names} FROM OpportunityStage WHERE IsActive = true ORDER BY SortOrder")
    leads = session.select("SELECT ApiName, MasterLabel, SortOrder, IsConverted FROM LeadStatus ORDER BY SortOrder")
    found = [
        LiveStage(
            "deal",
            "",
            "Sales process",
            r["ApiName"],
            r["MasterLabel"],
            r["SortOrder"],
            r["IsClosed"],
            r["IsWon"],
            r["DefaultProbability"] / 100,
        )
        for r in deals
    ]
    return found + [
        LiveStage("person", "", "Lead status", r["ApiName"], r["MasterLabel"], r["SortOrder"], bool(r["IsConverted"]), False) for r in leads
    ]


_WITH_PAGE = ("Account", "Campaign", "Contact", "Lead", "Opportunity")


def _page(settings: Mapping[str, str], resource: str, vendor_id: str, attributes: Mapping[str, Any]) -> str:
    """A host and a record's id lead to its page, whatever the object.

    Source: https://help.salesforce.com/s/articleView?id=sf.domain_name_url_formats.htm, read 2026-11-26
    """
    written = (settings.get("app_url"), settings.get("base_url"), settings.get("login_url"))
    own = [url.rstrip("/") for url in written if url and (url == settings.get("app_url") or url.endswith(".my.salesforce.com"))]
    return f"{own[0]}/{quote(vendor_id, safe='')}" if own and resource in _WITH_PAGE else ""


CONNECTOR = Connector(
    name="salesforce",
    title="Salesforce",
    docs_url="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/",
    docs_read="2026-05-20",
    read_limits=read_limits,
    settings=(
        Setting("client_id", "consumer key of the connected app"),
        Setting("client_secret", "consumer secret of the connected app", secret=True),
        Setting(
            "refresh_token",
            "refresh token of the integration user; without it the client-credentials flow is used",
            secret=True,
            required=False,
        ),
        Setting("login_url", "where tokens are given: login, test or the My Domain host", required=False, default=LOGIN),
        Setting("base_url", "host of the org, if not the one the token names", required=False),
        Setting("app_url", "the org in the browser; by default its My Domain host, where login_url or base_url names it", required=False),
        Setting("api_version", "REST API version", required=False, default=VERSION),
        Setting(
            influence.SETTING,
            "API name of a campaign influence model of the hub's own, for credits of campaigns (push: CampaignInfluence)",
            required=False,
        ),
        Setting("bulk_above", "rows from which a read goes by Bulk API 2.0", required=False, default=str(BULK_ABOVE)),
    ),
    buckets=(
        # 100,000 and more per 24 hours, by licences; the header of every reply corrects it. A fifth is left to other integrations.
        # Source: https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/
        Bucket(DAILY, 100_000, 86_400, match=r"^/services/data/", reserve_share=0.2),
        Bucket("at once", 1_000, 10, match=r"^/services/data/", concurrent=10),  # 25 calls of over 20 s; 5 in a Developer Edition
    ),
    open=Session,
    probe=_probe,
    fault=fault,
    resources=RESOURCES,
    targets=(
        *(_target(name) for name in ("Account", "Contact", "Lead", "Opportunity", "Campaign")),
        Target(
            name="CampaignInfluence",
            resource="CampaignInfluence",
            batch_size=influence.BATCH,
            write=influence.write,
            read_back=influence.read_back,
            match_key="OpportunityId:CampaignId",
            partial_failure="an error per row inside a 200",
            kind="links",
            ends=("Opportunity", "Campaign"),
            needs=(influence.SETTING,),
        ),
    ),
    discover=_discover,
    page=_page,
    safe_posts=(r"/services/oauth2/token$", r"/composite/sobjects/\w+$", r"/jobs/query$"),
    cannot=(
        "convert a lead (SOAP and Apex only)",
        "say what was purged from the recycle bin (only a full read shows it)",
        "refresh formula fields in an increment",
    ),
)
