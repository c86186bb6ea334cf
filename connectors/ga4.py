"""Google Analytics 4: reports as tallies, events back. What the vendor is, as data.

Tokens are made in `ga4_auth`, requests in `ga4_session`, days chosen in `ga4_days`, reports read in `ga4_read`, events
sent in `ga4_write`.
"""

from __future__ import annotations

from connectors.ga4_auth import TOKEN_URI
from connectors.ga4_funnel import Funnel, read_funnel
from connectors.ga4_ingest import BATCH, ingest
from connectors.ga4_read import ONE_NUMBER, Report, read_report
from connectors.ga4_session import ADMIN_URL, COLLECT_URL, DATA_MANAGER_URL, DATA_URL, Session, fault, open_session
from connectors.ga4_write import collect
from core.connector import Bucket, Connector, Live, LiveField, Resource, Setting, Target
from core.errors import CredentialsError, VendorError

REPORTS = r":(run|batchRun)\w*Reports?$"
LATEST_S = 72 * 3600.0  # an older event is moved to now, or refused. Source: …/protocol/ga4/reference#timestamp, read 2026-11-23


def probe(session: Session) -> str:
    """With a secret to send events with, it is looked for among the stream's: the collecting server would not say that it is wrong."""
    if session.settings.get("api_secret") and session.settings.get("measurement_id"):
        try:
            return f"Google Analytics property {session.property_id} answers; {_secret_known(session)}"
        except VendorError as refusal:
            if refusal.status != 403 or refusal.code != "SERVICE_DISABLED":
                raise
    reply = session.ask("runReport", ONE_NUMBER)
    left = ((reply.get("propertyQuota") or {}).get("tokensPerDay") or {}).get("remaining", 0)
    return f"Google Analytics property {session.property_id} answers: {session.zone}, {session.currency}; {left} tokens left of today's"


def _secret_known(session: Session) -> str:
    """Raises: CredentialsError when the stream has no such secret."""
    stream = _stream_id(session)
    path = f"properties/{session.property_id}/dataStreams/{stream}/measurementProtocolSecrets"
    if session.settings["api_secret"] not in {row.get("secretValue") for row in session.admin_rows(path, "measurementProtocolSecrets")}:
        raise CredentialsError(
            "the setting `api_secret` is none of the stream's Measurement Protocol secrets: what is sent with it would be lost silently",
            where=session.transport.account,
            next_step="Analytics › Admin › Data streams › your stream › Measurement Protocol API secrets",
        )
    return "the secret for events is one of its stream's"


def _stream_id(session: Session) -> str:
    """The number of the stream events go to. Raises: CredentialsError when no web stream of the property has the measurement id,
    or another one than `stream_id` says has it: the collecting server takes events for any stream and answers 204.
    """
    wanted, said = session.settings["measurement_id"], session.settings.get("stream_id")
    for row in session.admin_rows(f"properties/{session.property_id}/dataStreams", "dataStreams"):
        if (row.get("webStreamData") or {}).get("measurementId") == wanted:
            number = str(row["name"]).rpartition("/")[2]
            if said and said != number:
                raise CredentialsError(
                    f"the settings `measurement_id` and `stream_id` are of two streams: {wanted} is stream {number}, not {said}",
                    where=session.transport.account,
                    next_step="correct the wrong one, or leave stream_id out",
                )
            return number
    raise CredentialsError(
        f"the setting `measurement_id` ({wanted}) is no web stream of property {session.property_id}, so `api_secret` fits nothing",
        where=session.transport.account,
        next_step="Analytics › Admin › Data streams shows the measurement ids",
    )


def discover(session: Session) -> Live:
    """Fields for reports, and as far as the Admin API is on: properties, streams and key events."""
    metadata = session.metadata()
    fields = [
        LiveField(
            "report", row["apiName"], row.get("uiName", ""), row.get("type", "dimension"), writable=False, calculated=kind == "metrics"
        )
        for kind in ("dimensions", "metrics")
        for row in metadata.get(kind, ())
    ]
    try:
        fields += _administered(session)
    except VendorError as refusal:
        if refusal.status != 403:
            raise
    return Live(tuple(fields))


def _administered(session: Session) -> list[LiveField]:
    own = f"properties/{session.property_id}"
    found = []
    for account in session.admin_rows("accountSummaries", "accountSummaries"):
        for row in account.get("propertySummaries", ()):
            found.append(
                LiveField("properties", row["property"].rpartition("/")[2], row.get("displayName", ""), "property", writable=False)
            )
    for row in session.admin_rows(f"{own}/dataStreams", "dataStreams"):
        measurement = (row.get("webStreamData") or {}).get("measurementId") or row["name"].rpartition("/")[2]
        found.append(LiveField("streams", measurement, row.get("displayName", ""), row.get("type", ""), writable=False))
    for row in session.admin_rows(f"{own}/keyEvents", "keyEvents"):
        found.append(LiveField("key_events", row["eventName"], row["eventName"], row.get("countingMethod", ""), writable=False))
    return found


CONNECTOR = Connector(
    name="ga4",
    title="Google Analytics 4",
    docs_url="https://developers.google.com/analytics/devguides/reporting/data/v1",
    docs_read="2026-11-23",
    settings=(
        Setting("property_id", "Number of the property: Admin › Property details"),
        Setting("service_account", "JSON key of a service account that is a Viewer of the property", secret=True, required=False),
        Setting("client_id", "Instead of the key, an OAuth grant: its client id", required=False),
        Setting("client_secret", "OAuth: client secret", secret=True, required=False),
        Setting("refresh_token", "OAuth: refresh token with the scope analytics.readonly", secret=True, required=False),
        Setting("measurement_id", "To send events: measurement id of the web stream (G-…)", required=False),
        Setting("api_secret", "To send events: a Measurement Protocol API secret of that stream", secret=True, required=False),
        Setting("stream_id", "Number of that stream; if given, `check` compares it with the measurement id", required=False),
        Setting("collect_url", "Where events go; in the EU: https://region1.google-analytics.com", required=False, default=COLLECT_URL),
        Setting("datamanager", "on: events may go through the Data Manager API (target ingest)", required=False),
        Setting("data_url", "Address of the Data API", required=False, default=DATA_URL),
        Setting("admin_url", "Address of the Admin API", required=False, default=ADMIN_URL),
        Setting("datamanager_url", "Address of the Data Manager API", required=False, default=DATA_MANAGER_URL),
        Setting("token_uri", "OAuth: address of the token endpoint", required=False, default=TOKEN_URI),
    ),
    # Counted in tokens by the vendor; what is left of each comes with every report. See `ga4_session.QUOTAS`.
    buckets=(
        Bucket("reports", 600, 60.0, match=REPORTS, concurrent=5),
        Bucket("tokens_day", 200_000, 86_400.0, match=REPORTS, reserve_share=0.1),
        Bucket("tokens_hour", 40_000, 3600.0, match=REPORTS, reserve_share=0.1),
        Bucket("project_hour", 14_000, 3600.0, match=REPORTS, reserve_share=0.1),
        Bucket("thresholded_hour", 120_000, 3600.0, match=REPORTS, reserve_share=0.1),
        Bucket("server_errors", 10_000, 3600.0, match=REPORTS, reserve_share=0.3),
    ),
    open=open_session,
    probe=probe,
    fault=fault,
    resources=(
        Resource(
            "report",
            read_report,
            key="key",
            cursor="date",
            deletes="sweep",
            history="each restated value is a new version; the one before it stays",
            completeness="rowCount of every report",
            template=Report,
            traps=(
                "today's row is part of a day: never read",
                "the last days are restated: read again and replaced whole",
                "without an order, pages overlap and leave gaps",
                "what is zero or empty is left out of the reply",
                "users do not add up over rows or days",
                "sampling, thresholding and (other) are told in the metadata and kept as attributes",
                "the property's time zone decides what a day is",
                "a metric's name may be retired: the property is asked for its fields",
            ),
        ),
        Resource(
            "funnel",
            read_funnel,
            key="key",
            cursor="date",
            deletes="sweep",
            completeness="every period is one request",
            template=Funnel,
            traps=("an alpha version of the API: it may change",),
        ),
    ),
    targets=(
        Target(
            "collect", "clients", 1, collect, kind="events", idempotent=False, max_age_s=LATEST_S, partial_failure="one event a request",
            needs=("measurement_id", "api_secret"),
        ),
        Target(
            "ingest", "clients", BATCH, ingest, kind="events", idempotent=False, max_age_s=LATEST_S,
            partial_failure="asked for by request id: reasons with the places of the events", needs=("measurement_id", "datamanager"),
        ),
    ),
    discover=discover,
    safe_posts=(REPORTS, r":checkCompatibility$", r"^/debug/mp/collect$", r"^/token$"),
    cannot=(
        "users or events one by one (the BigQuery export has them: read it as files)",
        "exact totals under thresholding or (other)",
        "confirm that an event sent by the Measurement Protocol was counted",
        "take an event back, or date one back by more than 72 hours",
        "upload costs or offline files",
    ),
)  # fmt: skip
