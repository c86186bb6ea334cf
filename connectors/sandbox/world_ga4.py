"""The web site as Google Analytics 4 saw it: one hit per event, and the same hits in the shape of the BigQuery export.

The emulator's reports add these hits up. What is only in aggregates there (thresholds, sampling, "(other)") is not in here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.sandbox.world_names import DAY, HOUR
from connectors.sandbox.world_web import COUNTED, TIMEZONE, TRIALS, Channel, Visit, Visitor

if TYPE_CHECKING:
    from connectors.sandbox.world_model import Deal, Draft

PROPERTY = "314159265"
STREAM = "2718281828"
MEASUREMENT_ID = "G-LUMENLOOM1"
HOST = "www.lumen-loom.example"
KEY_EVENTS = ("generate_lead", "close_convert_lead")
COLUMNS = (
    "at", "name", "client", "session", "first", "engaged", "source", "medium", "campaign", "group", "first_source", "first_medium",
    "first_campaign", "first_group", "landing", "page", "country", "device", "browser", "variant", "value", "currency",
)  # fmt: skip
UNKNOWN = Channel("(not set)", "(not set)", "(not set)", "Unassigned")
_ZONE = ZoneInfo(TIMEZONE)
_TRIAL = {trial.key: trial for trial in (*TRIALS, *(one.trial for one in COUNTED.values()))}


@dataclass(frozen=True, slots=True)
class Hit:
    """One event as it was collected. `session` is 0 for events that belong to none (sent by a server)."""

    at: float  # seconds since 1970
    name: str
    client: str
    session: int
    first: bool  # the session is the visitor's first
    engaged: bool
    channel: Channel  # of the session
    origin: Channel  # of the visitor's first session
    landing: str
    page: str
    country: str
    device: str
    browser: str
    variant: str = ""  # of experience_impression: exp_variant_string
    cents: int | None = None
    currency: str = "EUR"


def seed(draft: Draft) -> dict[str, Any]:
    """The GA4 emulator's seed."""
    return {
        "property": PROPERTY,
        "stream": STREAM,
        "measurement_id": MEASUREMENT_ID,
        "name": "Lumen & Loom",
        "host": HOST,
        "timezone": TIMEZONE,
        "currency": "EUR",
        "key_events": list(KEY_EVENTS),
        "columns": COLUMNS,
        "hits": [_flat(hit) for hit in hits(draft)],
    }


def _flat(hit: Hit) -> list[Any]:
    channel, origin = hit.channel, hit.origin
    return [
        hit.at, hit.name, hit.client, hit.session, hit.first, hit.engaged, channel.source, channel.medium, channel.campaign, channel.group,
        origin.source, origin.medium, origin.campaign, origin.group, hit.landing, hit.page, hit.country, hit.device, hit.browser,
        hit.variant, None if hit.cents is None else hit.cents / 100, hit.currency,
    ]  # fmt: skip


def hits(draft: Draft) -> Iterator[Hit]:
    """Everything collected before now: what visitors did, then what the company's server told of its sales."""
    for visitor in draft.web.visitors:
        for visit in () if visitor.hidden else visitor.visits:
            if visit.at < draft.now:
                yield from (hit for hit in _of_visit(visitor, visit) if hit.at < draft.now)
    for deal in draft.deals:
        if deal.event and deal.people and deal.people[0].key in draft.web.of:
            hit = _of_sale(draft.web.of[deal.people[0].key], deal)
            if hit.at < draft.now:
                yield hit


def _of_visit(visitor: Visitor, visit: Visit) -> Iterator[Hit]:
    first = visit is visitor.visits[0]

    def hit(name: str, at: float, page: str, **more: Any) -> Hit:
        return Hit(
            at, name, visitor.client_id, visit.at, first, visit.engaged, visit.channel, visitor.visits[0].channel, visit.pages[0], page,
            visitor.country, visitor.device, visitor.browser, **more,
        )  # fmt: skip

    if first:
        yield hit("first_visit", visit.at, visit.pages[0])
    yield hit("session_start", visit.at, visit.pages[0])
    shown = {key: variant for key, (variant, seen) in visitor.variants.items() if seen == visit.at}
    for i, page in enumerate(visit.pages):
        at = visit.at + 0.25 + 20 * i
        yield hit("page_view", at, page)
        for key in [k for k in shown if _TRIAL[k].page == page]:
            yield hit("experience_impression", at + 0.5, page, variant=f"{_TRIAL[key].tool}-{_TRIAL[key].name}-{shown.pop(key)}")
    for event in () if visitor.unsent else visit.events:
        yield hit(event.name, event.at, event.page, cents=event.cents)
    if visit.engaged:
        yield hit("user_engagement", visit.at + 20 * len(visit.pages), visit.pages[-1])


def _of_sale(visitor: Visitor, deal: Deal) -> Hit:
    """The won deal's own event, an hour after it was won; it belongs to no session."""
    at, origin = deal.path_hs[-1][1] + HOUR, visitor.visits[0].channel
    return Hit(
        at, "close_convert_lead", visitor.client_id, 0, False, False, UNKNOWN, origin, "(not set)", "(not set)", visitor.country,
        visitor.device, visitor.browser, cents=deal.cents,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _offset(hour: int) -> float:
    """Seconds the site's zone is ahead of UTC in this hour since 1970."""
    return datetime.fromtimestamp(hour * HOUR, _ZONE).utcoffset().total_seconds()  # type: ignore[union-attr]


def local_day(at: float) -> str:
    """YYYYMMDD by the property's zone, which decides what a day is."""
    return _day_text(int(at + _offset(int(at // HOUR))) // DAY)


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y%m%d")


# -- the BigQuery export ---------------------------------------------------------------------------------------------------
def bigquery_events(draft: Draft) -> Iterator[dict[str, Any]]:
    """The same hits as rows of `events_YYYYMMDD`, in order of time: JSON-able, nested as exported, integers as integers.

    Source: https://support.google.com/analytics/answer/7029846 (schema of the export), read 2026-11-23
    """
    for hit in sorted(hits(draft), key=lambda h: (h.at, h.client)):
        yield _exported(hit)


def _exported(hit: Hit) -> dict[str, Any]:
    micros = round(hit.at * 1_000_000)
    sent = hit.session == 0
    return {
        "event_date": local_day(hit.at),
        "event_timestamp": micros,
        "event_name": hit.name,
        "event_params": _params(hit),
        "event_value_in_usd": None,
        "user_id": None,
        "user_pseudo_id": hit.client,
        "user_first_touch_timestamp": micros if hit.name == "first_visit" else None,
        "device": {"category": hit.device, "language": "en", "web_info": {"browser": hit.browser, "hostname": None if sent else HOST}},
        "geo": {"country": hit.country},
        "traffic_source": {"name": hit.origin.campaign, "medium": hit.origin.medium, "source": hit.origin.source},
        "collected_traffic_source": _collected(hit) if hit.name in ("session_start", "first_visit") else None,
        "session_traffic_source_last_click": None if sent else {"cross_channel_campaign": _last_click(hit.channel)},
        "stream_id": STREAM,
        "platform": "WEB",
        "is_active_user": hit.engaged or hit.first,
    }


def _params(hit: Hit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def add(key: str, **value: Any) -> None:
        found.append({"key": key, "value": {"string_value": None, "int_value": None, "float_value": None, "double_value": None} | value})

    if hit.session:
        add("ga_session_id", int_value=hit.session)
        add("page_location", string_value=f"https://{HOST}{hit.page}")
        add("session_engaged", string_value="1" if hit.engaged else "0")
    if hit.variant:
        add("exp_variant_string", string_value=hit.variant)
    if hit.cents is not None:
        add("value", double_value=hit.cents / 100)
        add("currency", string_value=hit.currency)
    return found


def _collected(hit: Hit) -> dict[str, Any] | None:
    """The UTM parameters as they stood in the address; direct and unpaid search have none."""
    named = not hit.channel.campaign.startswith("(")
    values = (hit.channel.source, hit.channel.medium, hit.channel.campaign)
    return dict(zip(("manual_source", "manual_medium", "manual_campaign_name"), values, strict=True)) if named else None


def _last_click(channel: Channel) -> dict[str, Any]:
    return {
        "source": channel.source,
        "medium": channel.medium,
        "campaign_name": channel.campaign,
        "default_channel_group": channel.group,
    }
