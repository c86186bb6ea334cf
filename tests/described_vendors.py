"""Connectors that only say what they have: enough to check and compile a mapping or a config."""

from __future__ import annotations

from dataclasses import replace

from core.connector import Connector, Fault, Resource, Setting, Target


def connector(name: str, resources: dict[str, str], targets: tuple[str, ...] = (), settings: tuple[Setting, ...] = ()) -> Connector:
    """`resources` maps names to the path of the row's id."""
    return Connector(
        name=name,
        title=name.title(),
        docs_url="",
        docs_read="",
        settings=settings,
        buckets=(),
        open=lambda values, transport: None,
        probe=lambda session: "",
        fault=lambda status, headers, body: Fault("refused", "", ""),
        resources=tuple(Resource(r, read=lambda session, ask: iter(()), key=key) for r, key in resources.items()),
        targets=tuple(Target(t, t, 100, write=lambda s, writes: (), read_back=lambda s, ids, fields: {}) for t in targets),
    )


HUBSPOT = connector(
    "hubspot",
    dict.fromkeys(("contacts", "companies", "deals", "leads", "owners", "pipelines", "contact_stages", "deal_stages"), "id"),
    ("contacts", "companies", "deals"),
    (
        Setting("token", "a service key", secret=True, required=False),
        Setting("base_url", "host", required=False, default="https://api.hubapi.com"),
    ),
)
SALESFORCE = connector(
    "salesforce",
    dict.fromkeys(("Account", "Contact", "Lead", "Opportunity"), "Id"),
    ("Contact", "Opportunity"),
    (Setting("client_id", "consumer key"), Setting("client_secret", "consumer secret", secret=True)),
)
MAILCHIMP = connector("mailchimp", {"members": "id"}, ("members",), (Setting("api_key", "API key", secret=True),))
# Takes events of its visitors, none older than three days, and cannot say whether it has one already.
ANALYTICS = replace(
    connector("ga4", {"sessions": "id"}, ("audiences",)),
    targets=(
        Target("collect", "clients", 25, write=lambda s, writes: (), kind="events", idempotent=False, max_age_s=72 * 3600),
        Target("audiences", "audiences", 10, write=lambda s, writes: (), read_back=lambda s, ids, fields: {}),
    ),
)
CONNECTORS = {c.name: c for c in (HUBSPOT, SALESFORCE, MAILCHIMP)}
