"""The traffic report in plain requests: what the legs without a connector use. Asks for the same days and pages as the hub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import leg
import orjson
import requests

DIMENSIONS = ("date", "sessionDefaultChannelGroup", "sessionSource", "sessionMedium", "sessionCampaignName")
METRICS = ("sessions", "engagedSessions", "keyEvents")
LAST, DAYS, WINDOW = date(2026, 6, 29), 400, 31
BATCH, LIMIT = 5, 10_000


def replies(url: str, session: requests.Session) -> Iterator[dict[str, Any]]:
    """Every page of every window."""
    grant = {"grant_type": "refresh_token", **leg.GRANT}
    session.headers["Authorization"] = f"Bearer {session.post(f'{url}/token', data=grant).json()['access_token']}"
    session.headers["Content-Type"] = "application/json"
    address = f"{url}/v1beta/properties/{leg.PROPERTY}"
    bodies = [_request(window, 0) for window in _windows()]
    for at in range(0, len(bodies), BATCH):
        group = bodies[at : at + BATCH]
        many = orjson.loads(session.post(f"{address}:batchRunReports", data=orjson.dumps({"requests": group})).content)
        for body, report in zip(group, many["reports"], strict=True):
            yield report
            for offset in range(LIMIT, int(report.get("rowCount", 0)), LIMIT):
                more = body | {"offset": str(offset)}
                yield orjson.loads(session.post(f"{address}:runReport", data=orjson.dumps(more)).content)


def _windows() -> Iterator[tuple[date, date]]:
    first = LAST - timedelta(days=DAYS - 1)
    while first <= LAST:
        yield first, min(LAST, first + timedelta(days=WINDOW - 1))
        first += timedelta(days=WINDOW)


def _request(window: tuple[date, date], offset: int) -> dict[str, Any]:
    return {
        "dimensions": [{"name": name} for name in DIMENSIONS],
        "metrics": [{"name": name} for name in METRICS],
        "dateRanges": [{"startDate": window[0].isoformat(), "endDate": window[1].isoformat()}],
        "orderBys": [
            {"dimension": {"dimensionName": n, "orderType": "ALPHANUMERIC" if i else "NUMERIC"}} for i, n in enumerate(DIMENSIONS)
        ],
        "limit": str(LIMIT),
        "offset": str(offset),
        "returnPropertyQuota": True,
    }
