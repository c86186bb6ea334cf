"""What a GA4 property has collected: one fact per event, when it becomes visible, and the dimensions and metrics of reports.

Reports are made by adding facts up; nothing is stored as an aggregate.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

HOUR = 3600
QUARTER = 900
DAY = 24 * HOUR
PROCESSING_S = 4 * HOUR  # Source: https://support.google.com/analytics/answer/11198161 (intraday: 2 to 6 hours), read 2026-11-23
ROUND_S = 6 * HOUR  # processing ends four times a day
LATE_SHARE = 25  # one event in so many comes late, from a device that was offline
NOT_SET = "(not set)"


@dataclass(slots=True)
class Fact:
    at: float
    name: str
    client: str
    session: int = 0
    first: bool = False
    engaged: bool = False
    source: str = NOT_SET
    medium: str = NOT_SET
    campaign: str = NOT_SET
    group: str = "Unassigned"
    first_source: str = "(direct)"
    first_medium: str = "(none)"
    first_campaign: str = "(direct)"
    first_group: str = "Direct"
    landing: str = NOT_SET
    page: str = NOT_SET
    country: str = NOT_SET
    device: str = "desktop"
    browser: str = NOT_SET
    variant: str = ""
    value: float | None = None
    currency: str = "EUR"
    day: str = ""  # YYYYMMDD in the property's zone
    seen_at: float = 0.0  # reports show it from then on

    @property
    def visit(self) -> tuple[str, int]:
        return (self.client, self.session)


_COLUMNS = tuple(field.name for field in fields(Fact))


class Facts:
    """All facts of the property, by day."""

    def __init__(self, timezone: str, stream: str, host: str, key_events: Iterable[str]) -> None:
        self.zone, self.stream, self.host = ZoneInfo(timezone), stream, host
        self.key_events = set(key_events)
        self.by_day: dict[str, list[Fact]] = {}
        self._days: dict[float, str] = {}

    def load(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        in_order = tuple(columns) == _COLUMNS[: len(columns)]
        for row in rows:
            fact = Fact(*row) if in_order else Fact(**dict(zip(columns, row, strict=True)))
            self.add(fact, received=fact.at + lateness(fact))

    def add(self, fact: Fact, *, received: float) -> None:
        """`received`: when it reached the vendor. Visible after the next round of processing."""
        fact.day = self._day(fact.at // QUARTER)
        fact.seen_at = -(-(received + PROCESSING_S) // ROUND_S) * ROUND_S
        self.by_day.setdefault(fact.day, []).append(fact)

    def _day(self, quarter: float) -> str:
        """The day of a quarter of an hour since 1970: no zone's day begins within one."""
        if quarter not in self._days:
            self._days[quarter] = datetime.fromtimestamp(quarter * QUARTER, self.zone).strftime("%Y%m%d")
        return self._days[quarter]

    def today(self, now: float) -> date:
        return datetime.fromtimestamp(now, self.zone).date()

    def between(self, first: date, last: date, now: float) -> list[Fact]:
        """What is visible of these days, both included."""
        days = ((first + timedelta(days=n)).strftime("%Y%m%d") for n in range((last - first).days + 1))
        return [fact for day in days for fact in self.by_day.get(day, ()) if fact.seen_at <= now]


def lateness(fact: Fact) -> float:
    """Seconds an event takes to arrive: none for most, one to three days for those of devices that were offline."""
    if not fact.session:
        return 0.0
    luck = zlib.crc32(f"{fact.client}/{fact.at}/{fact.name}".encode())
    return float(DAY * (1 + luck // LATE_SHARE % 3)) if luck % LATE_SHARE == 0 else 0.0


# -- dimensions --------------------------------------------------------------------------------------------------------------
@cache
def _iso_week(day: str) -> str:
    year, week, _ = date(int(day[:4]), int(day[4:6]), int(day[6:])).isocalendar()
    return f"{year}{week:02}"


@dataclass(frozen=True)
class Dimension:
    title: str
    category: str
    of: Callable[[Fact, Facts], str]
    deprecated: tuple[str, ...] = ()
    personal: bool = False  # a report with it may be thresholded


# Source: https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema, read 2026-11-23
DIMENSIONS: Mapping[str, Dimension] = {
    "date": Dimension("Date", "Time", lambda f, p: f.day),
    "dateHour": Dimension("Date + hour (YYYYMMDDHH)", "Time", lambda f, p: datetime.fromtimestamp(f.at, p.zone).strftime("%Y%m%d%H")),
    "isoYearIsoWeek": Dimension("ISO week of ISO year", "Time", lambda f, p: _iso_week(f.day)),
    "yearMonth": Dimension("Year month", "Time", lambda f, p: f.day[:6]),
    "eventName": Dimension("Event name", "Event", lambda f, p: f.name),
    "isKeyEvent": Dimension("Is key event", "Event", lambda f, p: str(f.name in p.key_events).lower(), ("isConversionEvent",)),
    "sessionDefaultChannelGroup": Dimension("Session default channel group", "Traffic Source", lambda f, p: f.group),
    "sessionSource": Dimension("Session source", "Traffic Source", lambda f, p: f.source),
    "sessionMedium": Dimension("Session medium", "Traffic Source", lambda f, p: f.medium),
    "sessionSourceMedium": Dimension("Session source / medium", "Traffic Source", lambda f, p: f"{f.source} / {f.medium}"),
    "sessionCampaignName": Dimension("Session campaign", "Traffic Source", lambda f, p: f.campaign),
    "firstUserDefaultChannelGroup": Dimension("First user default channel group", "Traffic Source", lambda f, p: f.first_group),
    "firstUserSource": Dimension("First user source", "Traffic Source", lambda f, p: f.first_source),
    "firstUserMedium": Dimension("First user medium", "Traffic Source", lambda f, p: f.first_medium),
    "firstUserCampaignName": Dimension("First user campaign", "Traffic Source", lambda f, p: f.first_campaign),
    "landingPage": Dimension("Landing page", "Page / Screen", lambda f, p: f.landing),
    "pagePath": Dimension("Page path", "Page / Screen", lambda f, p: f.page),
    "hostName": Dimension("Hostname", "Page / Screen", lambda f, p: p.host if f.session else NOT_SET),
    "country": Dimension("Country", "Geography", lambda f, p: f.country),
    "deviceCategory": Dimension("Device category", "Platform / Device", lambda f, p: f.device),
    "browser": Dimension("Browser", "Platform / Device", lambda f, p: f.browser),
    "streamId": Dimension("Stream ID", "Platform / Device", lambda f, p: p.stream),
    "newVsReturning": Dimension("New / returning", "User", lambda f, p: "new" if f.first else "returning"),
    "userAgeBracket": Dimension("Age", "Demographics", lambda f, p: "unknown", personal=True),
    "itemName": Dimension("Item name", "Ecommerce", lambda f, p: NOT_SET),
    "customEvent:exp_variant_string": Dimension("Experiment variant", "Custom", lambda f, p: f.variant or NOT_SET),
}


# -- metrics -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Metric:
    title: str
    type: str
    of: Callable[[Sequence[Fact], Facts], float]
    deprecated: tuple[str, ...] = ()


def _clients(facts: Iterable[Fact]) -> int:
    return len({f.client for f in facts})


def _visits(facts: Iterable[Fact]) -> int:
    return len({f.visit for f in facts if f.session})


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _keys(facts: Iterable[Fact], p: Facts) -> list[Fact]:
    return [f for f in facts if f.name in p.key_events]


def _engaged(facts: Iterable[Fact]) -> list[Fact]:
    return [f for f in facts if f.engaged]


METRICS: Mapping[str, Metric] = {
    "totalUsers": Metric("Total users", "TYPE_INTEGER", lambda g, p: _clients(g)),
    "activeUsers": Metric("Active users", "TYPE_INTEGER", lambda g, p: _clients(f for f in g if f.engaged or f.first)),
    "newUsers": Metric("New users", "TYPE_INTEGER", lambda g, p: sum(f.name == "first_visit" for f in g)),
    "sessions": Metric("Sessions", "TYPE_INTEGER", lambda g, p: _visits(g)),
    "engagedSessions": Metric("Engaged sessions", "TYPE_INTEGER", lambda g, p: _visits(_engaged(g))),
    "engagementRate": Metric("Engagement rate", "TYPE_FLOAT", lambda g, p: _share(_visits(_engaged(g)), _visits(g))),
    "bounceRate": Metric("Bounce rate", "TYPE_FLOAT", lambda g, p: 1 - _share(_visits(_engaged(g)), _visits(g)) if _visits(g) else 0.0),
    "eventCount": Metric("Event count", "TYPE_INTEGER", lambda g, p: len(g)),
    "eventValue": Metric("Event value", "TYPE_FLOAT", lambda g, p: sum(f.value or 0 for f in g)),
    "keyEvents": Metric("Key events", "TYPE_FLOAT", lambda g, p: len(_keys(g, p)), ("conversions",)),
    "sessionKeyEventRate": Metric("Session key event rate", "TYPE_FLOAT", lambda g, p: _share(_visits(_keys(g, p)), _visits(g))),
    "userKeyEventRate": Metric("User key event rate", "TYPE_FLOAT", lambda g, p: _share(_clients(_keys(g, p)), _clients(g))),
    "screenPageViews": Metric("Views", "TYPE_INTEGER", lambda g, p: sum(f.name == "page_view" for f in g)),
    "totalRevenue": Metric("Total revenue", "TYPE_CURRENCY", lambda g, p: sum(f.value or 0 for f in g if f.name == "purchase")),
    "advertiserAdCost": Metric("Ads cost", "TYPE_CURRENCY", lambda g, p: 0.0),
    "itemsViewed": Metric("Items viewed", "TYPE_INTEGER", lambda g, p: 0),
}
# What cannot be asked together. Source: …/data/v1/compatibility (item-scoped and cost metrics), read 2026-11-23
APART = (
    ({"itemName"}, set(METRICS) - {"itemsViewed"}),
    ({"eventName", "pagePath", "landingPage", "customEvent:exp_variant_string"}, {"advertiserAdCost"}),
)


def metric(name: str, p: Facts) -> Metric | None:
    """The metric of this name; "keyEvents:<event>" counts one of the key events."""
    base, _, event = name.partition(":")
    if base == "keyEvents" and event in p.key_events:
        return Metric(f"Key event count for {event}", "TYPE_FLOAT", lambda g, p: sum(f.name == event for f in g))
    return METRICS.get(name)
