"""Optimizely (Web and Feature Experimentation): what the vendor is, as data. There is no official client for its REST APIs.

How lists, experiments and visitors are read is in `optimizely_read`, results in `optimizely_results`, events in `optimizely_write`.
"""

from __future__ import annotations

import orjson

from connectors.optimizely_read import (
    OVERLAP_S,
    VISITORS_PER_RUN,
    changes,
    collected,
    events,
    experiments,
    exposures,
    listing,
    projects,
    rules,
    rulesets,
    variations,
)  # fmt: skip
from connectors.optimizely_results import reading
from connectors.optimizely_session import Session, fault, open_session, pages, rows_of
from connectors.optimizely_write import BATCH, ensure, write
from core.connector import Bucket, Connector, Live, LiveField, Resource, Setting, Target

# What the mapped rows have. Source: REST API v2 and Flags API v1, schemas of the same names, read 2026-08-13
FIELDS = {
    "experiments": (
        ("id", "Experiment id", "number"), ("name", "Name", "text"), ("key", "Key", "text"), ("type", "Type", "choice"),
        ("status", "Status", "choice"), ("project_id", "Project", "number"), ("campaign_id", "Layer or campaign", "number"),
        ("description", "Hypothesis", "text"), ("variants", "Variations by name", "list"), ("pages", "Addresses of its pages", "list"),
        ("shares", "Their shares in basis points", "json"), ("traffic_allocation", "Traffic in basis points", "number"),
        ("holdback", "Holdback in basis points", "number"),
        ("earliest", "First activated", "datetime"), ("latest", "Last active", "datetime"), ("created", "Created", "datetime"),
        ("last_modified", "Last modified", "datetime"), ("deleted", "Deleted, as the change feed says", "boolean"),
    ),
    "rules": (
        ("id", "Rule id", "number"), ("experiment_id", "Experiment id", "number"), ("project_id", "Project", "number"),
        ("key", "Key", "text"), ("name", "Name", "text"),
        ("flag_key", "Flag", "text"), ("environment_key", "Environment", "choice"), ("type", "Type", "choice"),
        ("status", "Status", "choice"), ("variants", "Variations by key", "list"), ("shares", "Their shares in basis points", "json"),
        ("enabled", "Enabled", "boolean"),
        ("created_time", "Created", "datetime"), ("updated_time", "Updated", "datetime"), ("archived", "Archived", "boolean"),
    ),
}  # fmt: skip
REVENUE_TRAP = "revenue is in hundredths of a unit; the first metric is the primary one"
WINDOW_TRAP = "bounds are moved to whole five minutes, and the end is outside"


def probe(session: Session) -> str:
    me = orjson.loads(session.get("/v2/me").data)
    return f"Optimizely account {me['current_account']['id']}: {len(me.get('project_roles') or ())} projects to see"


def discover(session: Session) -> Live:
    """The fields of experiments and rules, and the keys of the custom events that can be told."""
    found = [LiveField(name, path, label, kind, writable=False) for name, rows in FIELDS.items() for path, label, kind in rows]
    rows = [row for project in session.projects() for row in rows_of(pages(session, "/v2/events", project_id=project["id"]))]
    custom = [LiveField("events", row["key"], row["name"], "event") for row in rows if row.get("event_type") == "custom"]
    return Live((*found, *custom))


CONNECTOR = Connector(
    name="optimizely",
    title="Optimizely",
    docs_url="https://docs.developers.optimizely.com/",
    docs_read="2026-08-13",
    settings=(
        Setting("token", "Personal access token: Profile › API Access", secret=True),
        Setting("project_id", "Project whose custom events are told; by default the first web project", required=False),
        Setting("base_url", "Address of the API", required=False, default="https://api.optimizely.com"),
        Setting(
            "events_url",
            "Where events are told; https://eu.logx.optimizely.com for accounts hosted in the EU",
            required=False,
            default="https://logx.optimizely.com",
        ),
    ),
    # REST v2 publishes no number, so this pace is our own; a 429 costs a minute.
    # Flags API: 2 a second and 120 a minute; a little slower, because two clocks count it.
    # Source: https://docs.developers.optimizely.com/feature-experimentation/reference (Flags API v1, rate limits), read 2026-08-13
    buckets=(
        Bucket("rest", calls=300, window_s=60.0, concurrent=2, exclude=r"^/v1/"),
        Bucket("flags second", calls=2, window_s=1.1, match=r"^/flags/"),
        Bucket("flags minute", calls=120, window_s=61.0, match=r"^/flags/"),
        Bucket("events", calls=600, window_s=60.0, match=r"^/v1/"),
    ),
    open=open_session,
    probe=probe,
    fault=fault,
    resources=(
        Resource("projects", projects, deletes="flag", traps=("projects without a role are left out without a word",)),
        Resource(
            "experiments",
            experiments,
            cursor="created of the change feed",
            overlap_s=OVERLAP_S,
            deletes="feed",
            traps=(
                "no total and no modified-since filter: changes are learnt from the change feed",
                "archived experiments may be missing in the list; the summaries have them",
                "ids are int64: a float makes other ids of them",
                "shares are in basis points, of 10,000",
            ),
        ),
        Resource("variations", variations, traps=("web variations have no key, only a name and an id",)),
        Resource(
            "results",
            reading("results"),
            key="experiment_id",
            cursor="end_time",
            completeness="an answer for every experiment that ever ran; those still computed leave the run partial",
            traps=("202 still computing, 204 no data yet, is_stale an old cache: none is zero", WINDOW_TRAP, REVENUE_TRAP),
        ),
        Resource(
            "timeseries",
            reading("timeseries"),
            key="experiment_id",
            cursor="end_time",
            completeness="as for results",
            traps=("points seem to be cumulative; the last of a day is kept", WINDOW_TRAP, REVENUE_TRAP),
        ),
        Resource(
            "exposures",
            exposures,
            key="visitor_id",
            cursor="timestamp",
            completeness=f"one request per linked visitor; at most {VISITORS_PER_RUN} a run, the rest later",
            traps=("there is no list of visitors: only those that a CRM record links to can be asked about",),
            linked="visitors",
        ),
        Resource(
            "changes", changes, cursor="created", overlap_s=OVERLAP_S, history="who changed what and when", traps=("start is inside",)
        ),
        Resource("campaigns", listing("campaigns"), deletes="flag", traps=("standalone experiments name a campaign that does not exist",)),
        Resource("events", events, deletes="flag", traps=("pages are among them, as pageview events",)),
        Resource("pages", listing("pages"), deletes="flag"),
        Resource("audiences", listing("audiences"), deletes="flag"),
        Resource("flags", collected("flags"), deletes="flag", completeness="total_count"),
        Resource(
            "rules",
            rules,
            deletes="flag",
            completeness="total_count",
            traps=("next_url is an array", "the experiment behind a rule has another id than the rule"),
        ),
        Resource("environments", collected("environments"), deletes="flag", completeness="total_count"),
        Resource("rulesets", rulesets, traps=("one request per flag and environment, two a second",)),
    ),
    targets=(
        Target(
            "events",
            "visitors",
            batch_size=BATCH,
            write=write,
            partial_failure="strict mode refuses a batch as a whole; it is sent again one by one",
            idempotent=True,  # the vendor drops replays by their UUID
            ensure=ensure,
            kind="events",
        ),
    ),
    discover=discover,
    cannot=(
        "list visitors: only the history of a known visitor id can be read",
        "raw events, without the plan that exports them to S3",
        "write anything but events: no field of an experiment takes a metric of ours",
        "say whether an event counted: 204 only means that it was queued",
        "tell how many calls are left: there are no rate headers, and REST v2 publishes no limit",
        "the Stats Engine's own digits: significance is the vendor's, kept as it came",
    ),
)
