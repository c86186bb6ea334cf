"""What every leg knows of the others, and what it tells the measuring parent. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

CONTACT_PROPERTIES = [
    "email", "firstname", "lastname", "phone", "mobilephone", "company", "jobtitle", "address", "city", "state", "zip", "country",
    "website", "industry", "lifecyclestage", "hs_lead_status", "hubspot_owner_id", "hs_analytics_source",
    "hs_analytics_source_data_1", "hs_latest_source", "hs_email_optout", "hs_marketable_status", "num_conversion_events",
    "hubspotscore", "annualrevenue", "numemployees", "ga_client_id", "createdate", "lastmodifieddate", "hs_object_id",
]  # fmt: skip
TOKEN = "pat-na1-sandbox"
KEY = "sandbox-activecampaign-token"
PROPERTY = "314159265"
GRANT = {
    "client_id": "sandbox.apps.googleusercontent.com",
    "client_secret": "GOCSPX-sandbox-secret",
    "refresh_token": "1//sandbox-refresh",
}


def done(records: int, **more: Any) -> None:
    """Say how many records there are now. CPU time and memory the parent asks the operating system for."""
    Path(os.environ["LEG_RESULT"]).write_text(json.dumps({"records": records, **more}))
