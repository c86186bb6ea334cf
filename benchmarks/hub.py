"""The hub's leg: one whole sync of the contacts (of GA4, a report), through the real connector, into a ledger and a lake in FOLDER.

python hub.py hubspot URL FOLDER      (a second time with the same folder: nothing has changed)
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import leg

from core.http import Transport
from core.lake import Lake
from core.ledger import Ledger
from core.mapping import load_mapping
from core.pull import pull_account

HERE = Path(__file__).resolve().parent
RESOURCE = {"hubspot": "contacts", "salesforce": "Contact", "ga4": "traffic", "activecampaign": "contacts"}
NOW = datetime(2026, 6, 30, tzinfo=UTC)


def settings(vendor: str, url: str) -> dict[str, str]:
    return {
        "hubspot": {"token": leg.TOKEN, "base_url": url},
        "salesforce": {"client_id": "sf-client", "client_secret": "sf-secret", "login_url": url},
        "ga4": {"property_id": leg.PROPERTY, "token_uri": f"{url}/token", "data_url": url, "admin_url": url, **leg.GRANT},
        "activecampaign": {"api_token": leg.KEY, "base_url": url},
    }[vendor]


def main(vendor: str, url: str, folder: str) -> None:
    connector = import_module(f"connectors.{vendor}").CONNECTOR
    mapping = load_mapping(HERE / f"{vendor}.yaml", connector)
    unlimited = [replace(bucket, calls=10**9) for bucket in connector.buckets]  # at HubSpot's own limit this would take 105 s, idle
    with Transport(vendor, buckets=unlimited, fault=connector.fault, safe_posts=connector.safe_posts) as transport:
        session = connector.open(settings(vendor, url), transport)
        ledger = Ledger(f"{folder}/ledger.db")
        lake = Lake(f"{folder}/lake", ledger)
        run_id = ledger.start_run("sync", NOW, {})
        only = {RESOURCE[vendor]}
        result = pull_account(connector, session, mapping, ledger, lake, run_id, account=vendor, now=NOW, full=True, only=only)
        count = result.counts[0]
        lake.close()
        ledger.close()
    leg.done(count.kept, appended=count.appended, status=result.status, reasons=result.reasons)


if __name__ == "__main__":
    main(*sys.argv[1:])
