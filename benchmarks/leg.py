"""What every leg tells the measuring parent: when it was ready to begin, and how many records it moved. Standard library only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

CONTACT_PROPERTIES = (
    "email,firstname,lastname,phone,mobilephone,company,jobtitle,address,city,state,zip,country,website,industry,lifecyclestage,"
    "hs_lead_status,hubspot_owner_id,hs_analytics_source,hs_analytics_source_data_1,hs_latest_source,hs_email_optout,"
    "hs_marketable_status,num_conversion_events,hubspotscore,annualrevenue,numemployees,ga_client_id,createdate,lastmodifieddate,hs_object_id"
).split(",")
TOKEN = "pat-na1-sandbox"
_ready: dict[str, float] = {}


def ready() -> None:
    """Call after the imports, before the first request: what it cost so far is start-up, whatever the number of records."""
    _ready.update(cpu_s=time.process_time(), at=time.time())


def done(records: int, **more: Any) -> None:
    """Call at the end. The parent reads it; CPU time and memory it asks the operating system for."""
    Path(os.environ["LEG_RESULT"]).write_text(json.dumps({"records": records, "ready": _ready, **more}))
