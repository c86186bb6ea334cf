"""The unified model: what every vendor's rows become. Frozen values; no vendor, no storage, no clock in here.

A record is one vendor's view of one thing. Its key is (account, resource, vendor_id). Times are aware UTC,
plain dates stay dates, money is a Decimal beside an ISO 4217 currency. None means "the vendor says nothing".
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "person", "company", "deal", "campaign", "touch", "stage_change", "tally",
    "owner", "stage_definition", "association", "experiment", "task", "line_item",
]  # fmt: skip
Outcome = Literal["open", "won", "lost"]
# The ladder of milestones; M85 (lost) and MX (off the ladder) are outcomes, not rungs.
LADDER: tuple[str, ...] = ("M00", "M10", "M20", "M30", "M35", "M40", "M50", "M60", "M70", "M80", "M90", "M95")
OFF_LADDER: tuple[str, ...] = ("M85", "MX")
PIPELINE_STAGES: tuple[str, ...] = ("Prospecting", "Qualifying", "Proposing", "Closing", "Won", "Lost")
FUNNEL_STAGES: tuple[str, ...] = ("Awareness", "Interest", "Consideration", "Conversion", "Retention")


class Record(BaseModel):
    """What all records share. `attributes` are the mapping's custom fields, carried along as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    vendor: str
    resource: str
    vendor_id: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    observed_at: datetime
    deleted: bool = False
    merged_into: str | None = None
    merged_ids: tuple[str, ...] = ()  # losers named by the survivor (HubSpot)
    raw_stage: str | None = None
    stage: str | None = None  # milestone code of the ladder, or M85 / MX; None when unmapped
    links: tuple[str, ...] = ()  # "vendor:resource:id" of the same thing in another system
    attributes: dict[str, Any] = {}


class Person(Record):
    email: str | None = None
    other_emails: tuple[str, ...] = ()
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company_id: str | None = None
    company_name: str | None = None
    owner_id: str | None = None
    source: str | None = None
    lead_status: str | None = None
    consent: str | None = None  # subscribed unsubscribed cleaned pending archived transactional
    marketable: bool | None = None  # may this system mail the person?
    client_id: str | None = None  # web analytics ids
    user_id: str | None = None
    score: float | None = None
    list_id: str | None = None
    converted: bool | None = None
    converted_at: date | None = None
    converted_person_id: str | None = None
    converted_company_id: str | None = None
    converted_deal_id: str | None = None
    last_activity_at: datetime | None = None


class Company(Record):
    name: str | None = None
    domain: str | None = None
    lead_status: str | None = None
    parent_id: str | None = None
    owner_id: str | None = None
    industry: str | None = None
    employees: int | None = None
    country: str | None = None


class Deal(Record):
    name: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    close_date: date | None = None
    pipeline_id: str | None = None
    pipeline_stage: str | None = None
    outcome: str | None = None  # mapped: open won lost
    closed: bool | None = None  # the vendor's own flags, kept beside the mapped outcome (rule G-03)
    won: bool | None = None
    probability: float | None = None  # 0 to 1
    forecast_category: str | None = None
    owner_id: str | None = None
    company_id: str | None = None
    person_id: str | None = None
    campaign_id: str | None = None
    source: str | None = None
    deal_type: str | None = None
    lost_reason: str | None = None
    next_step: str | None = None
    stage_entered_at: datetime | None = None
    last_activity_at: datetime | None = None
    next_activity_at: datetime | None = None  # the next one planned, where the vendor keeps it on the deal
    end_date: date | None = None  # the day what was sold ends, unless it is renewed


class Campaign(Record):
    name: str | None = None
    channel: str | None = None
    status: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cost: Decimal | None = None
    currency: str | None = None
    sent: int | None = None
    opens: int | None = None
    clicks: int | None = None


class Experiment(Record):
    name: str | None = None
    status: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    variants: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()  # addresses of the pages it changes


class Touch(Record):
    """A dated interaction of one person. `event` is the vendor's word, `kind` ours (open click form conversion …)."""

    person_id: str | None = None
    email: str | None = None
    campaign_id: str | None = None
    deal_id: str | None = None
    kind: str | None = None
    event: str | None = None
    channel: str | None = None
    source: str | None = None
    occurred_at: datetime | None = None
    value: Decimal | None = None
    currency: str | None = None


class StageChange(Record):
    """One field of one record took a value at an instant. `field`: stage, lifecycle, amount, close_date, owner_id, probability, status,
    consent.
    """

    record_kind: str | None = None
    record_id: str | None = None
    field: str | None = None
    value: str | None = None
    pipeline_id: str | None = None
    entered_at: datetime | None = None
    writer: str | None = None
    origin: str | None = None  # history (the vendor says so) or snapshot (we saw it)


class Tally(Record):
    day: date | None = None
    measure: str | None = None
    value: float | None = None
    dimensions: str | None = None  # JSON object, keys sorted


class Owner(Record):
    email: str | None = None
    name: str | None = None
    active: bool | None = None


class StageDefinition(Record):
    record_kind: str | None = None
    pipeline_id: str | None = None
    pipeline_label: str | None = None
    label: str | None = None
    position: int | None = None
    probability: float | None = None
    closed: bool | None = None
    won: bool | None = None
    active: bool | None = None
    forecast_category: str | None = None


class Association(Record):
    """An edge between two records of the same account, where the vendor keeps edges apart from records."""

    from_kind: str | None = None
    from_id: str | None = None
    to_kind: str | None = None
    to_id: str | None = None
    label: str | None = None


class Task(Record):
    """A piece of sales work on a deal: a task, a call or a meeting, planned or done. Not a touch: it is in nobody's journey."""

    deal_id: str | None = None
    due_at: datetime | None = None
    done: bool | None = None  # None: a meeting, which is over when its time is


class LineItem(Record):
    """A part of what a deal sells. Which deal it belongs to is said here or by an association."""

    deal_id: str | None = None
    amount: Decimal | None = None  # net, quantity and discount counted
    currency: str | None = None
    billing_period: str | None = None  # of what is paid again and again


KINDS: dict[str, type[Record]] = {
    "person": Person,
    "company": Company,
    "deal": Deal,
    "campaign": Campaign,
    "experiment": Experiment,
    "touch": Touch,
    "stage_change": StageChange,
    "tally": Tally,
    "owner": Owner,
    "stage_definition": StageDefinition,
    "association": Association,
    "task": Task,
    "line_item": LineItem,
}
