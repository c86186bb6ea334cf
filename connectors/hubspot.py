"""HubSpot (CRM v3, associations v4), through the official client `hubspot-api-client`. What the vendor is, as data.

How records are walked is in `hubspot_read`, what surrounds them in `hubspot_portal`, how they are written in `hubspot_write`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors.hubspot_portal import discover, events, life_cycle, links, owners, pipelines, probe
from connectors.hubspot_read import OVERLAP_S, history, modified, objects
from connectors.hubspot_session import BATCH_MAX, PRODUCTION, TYPES, fault, open_session
from connectors.hubspot_write import ensure, read_back, writer
from core.connector import Bucket, Connector, Resource, Setting, Target

READ_TRAPS = (
    "the search stops at 10,000 rows: it is paged by record id, not by offset",
    "thousands of records may share one modification stamp",
    "ids may be ordered as text: they are never compared or counted with here",
    "the search index lags: every read starts a little before the last one",
    "archiving does not change the modification stamp: archived records are listed on every read",
    "a merged record vanishes from every list; its survivor names it",
    "writes of this hub change the modification stamp too",
    "all values are text; an empty one may have been cleared or never set",
)

STAGES = {"contacts": "contact_stages", "companies": "company_stages", "deals": "deal_stages", "leads": "lead_stages"}  # their history


def _records(kind: str) -> Resource:
    return Resource(
        kind,
        objects(kind),
        cursor=f"properties.{modified(kind)}",
        overlap_s=OVERLAP_S,
        deletes="sweep",
        history=STAGES.get(kind),
        completeness="the search's own count when the pass begins, and of the untouched records when it ends",
        stamped=True,
        traps=READ_TRAPS,
    )


def _history(name: str, kind: str) -> Resource:
    return Resource(
        name,
        history(kind),
        cursor=f"properties.{modified(kind)}",
        overlap_s=OVERLAP_S,
        history="values of the stage properties with their instants, newest first",
        completeness="the walk is that of the records, which are counted",
        stamped=True,
        traps=(
            "only the last entries are kept by HubSpot",
            "50 records a page with history",
            "history of calculated properties means nothing",
        ),
    )


def _links(name: str, source: str, target: str) -> Resource:
    return Resource(
        name,
        links(source, target),
        key="from.id",
        after=(source,),
        deletes="sweep",
        completeness="every known record is asked for",
        traps=(
            "an edge changes without touching either record",
            "the edges of one record are paged",
            "a record without edges is answered by an error",
        ),
    )


def _target(kind: str) -> Target:
    return Target(
        kind,
        kind,
        BATCH_MAX,
        writer(kind),
        read_back(kind),
        partial_failure="207, each error with the trace id of its record; a whole batch refused is halved",
        ensure=ensure(kind),
    )


# Object types in addresses: https://developers.hubspot.com/docs/guides/api/crm/understanding-the-crm, read 2026-11-26
_PAGES = {"contacts": "0-1", "companies": "0-2", "deals": "0-3", "leads": "0-136"}


def _page(settings: Mapping[str, str], resource: str, vendor_id: str, attributes: Mapping[str, Any]) -> str:
    base = (settings.get("app_url") or "").rstrip("/")
    return f"{base}/record/{_PAGES[resource]}/{quote(vendor_id, safe='')}" if base and resource in _PAGES else ""


CONNECTOR = Connector(
    name="hubspot",
    title="HubSpot",
    docs_url="https://developers.hubspot.com/docs/guides/api/crm/understanding-the-crm",
    docs_read="2026-11-23",
    settings=(
        Setting("token", "Access token of a private app, or a service key (or give the three OAuth settings)", secret=True, required=False),
        Setting("client_id", "OAuth: client id of your public app", required=False),
        Setting("client_secret", "OAuth: client secret of your public app", secret=True, required=False),
        Setting("refresh_token", "OAuth: refresh token of this portal", secret=True, required=False),
        Setting("base_url", "Address of the API", required=False, default=PRODUCTION),
        Setting(
            "app_url", "Portal in the browser, such as https://app.hubspot.com/contacts/1234567: `explain` links there", required=False
        ),
    ),
    # Private apps of Professional and Enterprise portals; smaller plans tell their limit in the reply's headers.
    # Source: https://developers.hubspot.com/docs/guides/apps/api-usage/usage-details, read 2026-11-23
    buckets=(
        Bucket("ten_seconds", 190, 10.0, exclude=r"/search$|^/oauth/"),
        Bucket("search", 5, 1.0, match=r"/search$"),
        Bucket("daily", 625_000, 86_400.0, exclude=r"^/oauth/", reserve_share=0.1),
    ),
    open=open_session,
    probe=probe,
    fault=fault,
    resources=(
        Resource(
            "owners", owners, deletes="flag", completeness="paged until no next page is named", traps=("archived owners are listed apart",)
        ),
        Resource(
            "pipelines", pipelines("deals"), deletes="sweep", traps=("labels change, ids do not", "stage ids are unique only in a pipeline")
        ),
        Resource("lead_pipelines", pipelines("leads"), deletes="sweep"),
        Resource("life_cycle", life_cycle, key="name", deletes="sweep", traps=("portals rename, add and hide stages; the value stays",)),
        *(_records(kind) for kind in TYPES),
        *(_history(name, kind) for kind, name in STAGES.items()),
        _links("contact_companies", "contacts", "companies"),
        _links("deal_contacts", "deals", "contacts"),
        _links("deal_companies", "deals", "companies"),
        _links("deal_line_items", "deals", "line_items"),
        Resource("events", events, cursor="occurredAt", overlap_s=OVERLAP_S, completeness="paged until no next page is named"),
    ),
    targets=tuple(_target(kind) for kind in ("contacts", "companies", "deals")),
    discover=discover,
    page=_page,
    safe_posts=(r"^/crm/v3/objects/[^/]+/search$", r"/batch/read$", r"^/oauth/v\d+/token$"),
    cannot=(
        "list what was deleted for good: a full read finds out what is missing",
        "say when an association was made or removed",
        "keep more than the last values of a property",
        "move a life cycle stage back in one write",
    ),
)
