"""VWO (Wingify): campaigns and their reports from the REST API v2, conversions to the event collection. What it is, as data.

How campaigns are walked is in `vwo_read`, how events are told in `vwo_write`.
"""

from __future__ import annotations

import orjson

from connectors.vwo_read import FEEDS_OVERLAP_S, campaigns, feeds, labels, listed, results, users
from connectors.vwo_session import Session, fault, open_session, thing
from connectors.vwo_write import tell
from core.connector import Bucket, Connector, Live, LiveField, Resource, Setting, Target


def probe(session: Session) -> str:
    workspace = thing(orjson.loads(session.get("")), "the workspace")
    return f"VWO workspace {workspace['id']} ({workspace.get('name') or 'without a name'})"


def discover(session: Session) -> Live:
    """What there is to compare, by the ids that results and experiments name: VWO describes no fields. A call for 25 of them."""
    found, _ = listed(session, None)
    return Live(tuple(
        LiveField("tests", str(row["id"]), str(row.get("name") or ""), f"{row.get('type')}, {row.get('status')}".lower(), writable=False)
        for row in found
        if not row.get("isDeleted")
    ))  # fmt: skip


CONNECTOR = Connector(
    name="vwo",
    title="VWO (Wingify)",
    docs_url="https://developers.vwo.com/reference/introduction-1",
    docs_read="2026-11-25",
    settings=(
        Setting("token", "API token: app.vwo.com → Developers → Tokens; belongs to one workspace", secret=True),
        Setting("workspace_id", "Number of the workspace; by default the token's own", required=False, default="current"),
        Setting(
            "base_url", "Address of the REST API; also https://app.wingify.com/api/v2", required=False, default="https://app.vwo.com/api/v2"
        ),
        Setting("events_url", "Address of the event collection", required=False, default="https://dev.visualwebsiteoptimizer.com"),
    ),
    # One request a second per token, and a refusal costs a minute: a tenth of a second is left for the way there.
    # Source: https://developers.vwo.com/reference/api-rate-limits-1, read 2026-11. Of the collection no limit is published.
    buckets=(
        Bucket("token", calls=1, window_s=1.1, match=r"/api/v2/", concurrent=1, across=True),
        Bucket("events", calls=10, window_s=1.0, match=r"/events/t$", concurrent=2),
    ),
    open=open_session,
    probe=probe,
    fault=fault,
    discover=discover,
    resources=(
        Resource(
            "feeds",
            feeds,
            cursor="when",
            overlap_s=FEEDS_OVERLAP_S,
            completeness="paged until a page brings nothing new",
            traps=("`when` is a number written as text", "lines about the workspace name no campaign"),
        ),
        Resource(
            "campaigns",
            campaigns,
            cursor="feeds",
            deletes="flag",
            history="the change log (feeds)",
            completeness="totalCount, on whole reads",
            traps=(
                "lists come in two shapes, and without the key when empty",
                "a limit above 25 is 25 without a word: paged by totalCount",
                "deleted campaigns stay in the list (isDeleted); archived ones still say STOPPED",
                "lists cut variations and goals: taken from the campaign itself",
                "empty reports are arrays where objects are expected",
                "no modified-since: looked at again when running, changed in the list, named in feeds, or weekly",
            ),
        ),
        Resource(
            "results",
            results,
            key="variation.id",
            after=("campaigns",),
            cursor="feeds",
            completeness="every variation × goal the campaign reports",
            traps=(
                "no date range can be asked for: the days are in intervalWise",
                "an interval is a midnight in epoch seconds: the day is the workspace's",
                "visitors stand beside every goal: counted once, by the primary goal",
            ),
        ),
        Resource("users", users, deletes="sweep", completeness="one piece"),
        Resource("labels", labels, deletes="sweep", completeness="one piece", traps=("without labels the key is left out",)),
    ),
    targets=(
        Target(
            "events",
            "visitors",
            batch_size=1,
            write=tell,
            match_key="_vwo_uuid cookie",
            partial_failure="400; else silence: an event nobody registered in VWO is not counted",
            idempotent=False,
            kind="events",
        ),
    ),
    cannot=(
        "reports between two dates, or of campaigns changed since: neither can be asked",
        "who saw which variation: there are no visitors to read",
        "conversions through the REST API, or a sign that an event was counted",
        "delete campaigns: deleting is a status",
        "the numbers of Feature Experimentation tests: no documented endpoint",
    ),
)
