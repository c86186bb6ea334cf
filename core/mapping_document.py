"""What ops write in mappings/<vendor>.yaml, as pydantic models. From these the JSON Schema is generated.

A mapping says which vendor field becomes which unified field, what the vendor's stages mean, and what is pushed back.
No expressions, no templates: what cannot be said here is a connector's or a metric's business.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from core.checked import Written
from core.model import KINDS, Kind

Scalar = str | bool | int | float | None
ReadName = Literal[
    "text", "email", "integer", "number", "decimal", "money", "currency", "boolean", "date", "datetime",
    "midnight", "epoch_s", "epoch_ms", "epoch_us", "percent", "basis_points", "domain", "decimal_text", "list", "id18", "json",
]  # fmt: skip
Policy = Literal[
    "derived", "source_of_truth", "prefer_unless_blank", "most_recent", "furthest_stage", "never_regress",
    "max", "min", "union", "strictest", "fill_blank", "manual",
]  # fmt: skip
PushType = Literal["text", "number", "boolean", "date", "datetime", "tags"]
Milestone = Annotated[str, StringConstraints(min_length=2)]

# What can be pushed, and how it looks unless the mapping says otherwise: what we know of a person, company or deal
# (core.facts), and the fields a rule may want corrected (core.rules).
PUSH_SOURCES: dict[str, PushType] = {
    "stage": "text", "stage_date": "date", "furthest_stage": "text", "pipeline_stage": "text", "outcome": "text", "lifecycle": "text",
    "days_in_stage": "number", "open_deals": "number", "won_deals": "number", "lost_deals": "number", "systems": "number",
    "score": "number", "consent": "text", "marketable": "boolean", "source": "text", "lead_status": "text", "email": "text",
    "phone": "text", "first_name": "text", "last_name": "text", "name": "text", "company_name": "text", "owner_email": "text",
    "owner_id": "text", "owner": "text", "domain": "text", "industry": "text", "country": "text", "employees": "number",
    "amount": "number", "currency": "text", "close_date": "date", "probability": "number", "lost_reason": "text", "next_step": "text",
    "pipeline_id": "text", "created_at": "datetime", "last_activity_at": "datetime", "entity_id": "text", "flags": "text",
    "data_issues": "number", "worst_issue": "text", "next_action": "text", "client_id": "text", "user_id": "text",
    "company_id": "text", "band": "text", "next_action_due": "date",
    "follow_up": "text", "win_probability": "number", "expected_close": "date",
    "forecast_category": "text", "days_in_stage_band": "text", "first_channel": "text", "last_channel": "text",
    "credited_channel": "text", "sourced": "text", "attribution_model": "text", "lead_score": "number", "lead_band": "text",
    "lead_value": "number", "lead_currency": "text",
    "campaign_leads": "number", "campaign_mqls": "number", "campaign_opportunities": "number", "campaign_won_deals": "number",
    "campaign_influence": "number", "campaign_pipeline": "number", "campaign_won_value": "number", "campaign_model": "text",
}  # fmt: skip
# An event carries no personal data: analytics and experiment tools must not hold any.
PERSONAL_SOURCES = ("email", "phone", "first_name", "last_name", "name", "owner", "owner_email", "user_id", "client_id")
EVENT_SOURCES = [name for name in PUSH_SOURCES if name not in PERSONAL_SOURCES]
EVENT_VALUES = [name for name in EVENT_SOURCES if PUSH_SOURCES[name] == "number"]
CODES = {"stage", "furthest_stage", "pipeline_stage", "outcome"}
FIELD_NAMES = sorted({name for model in KINDS.values() for name in model.model_fields})


def _as_field(value: Any) -> Any:
    if not isinstance(value, str | list | dict | FieldSpec):
        raise ValueError("expected a path, or a block with `path` or `const`")
    return {"path": value} if isinstance(value, str | list) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _as_stage(value: Any) -> Any:
    return {"milestone": value} if isinstance(value, str) else value


class FieldSpec(Written):
    """Where one value comes from and how it is read."""

    path: str | list[str] | None = None
    """Path of the value in the vendor's row: `properties.email`, `^.id` (the row around an exploded list), `context.list_id`.
    Of several paths the first that is not empty counts, or all of them with `join`."""
    join: str | None = None
    """For several paths: the text to put between their values, such as " " for a name."""
    const: Scalar = None
    """A value that is the same for every row."""
    read: ReadName | None = None
    """How the value is read; by default what the unified field is (text, date, …). "" is empty for every read.
    midnight: a plain date where an instant is wanted. percent: 0 to 100 becomes 0 to 1; it also
    turns hundredths into units. basis_points: 0 to 10,000 becomes 0 to 1. id18: Salesforce ids of 15 characters become 18.
    decimal_text: a number as text, in one spelling."""
    separator: str = ";"
    """For `read: list`: what stands between the items."""
    negate: bool = Field(default=False, alias="not")
    """Turn a boolean round."""
    values: dict[str, Scalar] | None = None
    """A table from the vendor's values to ours."""
    otherwise: Literal["keep", "null", "reject"] | None = Field(
        default=None, alias="else", json_schema_extra={"anyOf": [{"enum": ["keep", "null", "reject"]}, {"type": "null"}]}
    )
    """For `values`: what becomes of a value that is not in the table. Default: keep for texts, null otherwise."""
    minor_units: bool = False
    """For `read: money`: the vendor counts in the smallest unit of the currency (cents; none for JPY)."""
    currency: str | None = None
    """For `read: money`: the path of the currency, or an ISO 4217 code in capitals. Fills the field `currency`."""
    default: Scalar = None
    """The value when the vendor's is empty."""

    @field_validator("otherwise", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: Any) -> Any:
        return "null" if value is None else value

    def paths(self) -> list[str]:
        return self.path if isinstance(self.path, list) else [self.path] if self.path else []


FieldValue = Annotated[FieldSpec, BeforeValidator(_as_field, json_schema_input_type=str | list[str] | FieldSpec)]


class StageSpec(Written):
    """Which stage the row is in."""

    path: str
    """Path of the vendor's stage."""
    table: str
    """The table under `stages` that says what it means."""
    pipeline: str | None = None
    """Path of the pipeline id, for stages that only mean something within a pipeline."""


class Output(Written):
    """One unified record made from each row (or from each item of a list inside the row)."""

    kind: Kind
    """The kind of record."""
    id: str | list[FieldValue] | None = None
    """Path, or parts joined with ":", of the record's id. Default: the resource's key."""
    each: str | None = None
    """Path of a list inside the row; one record per item. Paths are then the item's; `^.` leads back to the row."""
    when: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    """Only rows whose value at the path is this value (or one of these)."""
    fields: dict[str, FieldValue] = Field(default_factory=dict, json_schema_extra={"propertyNames": {"enum": list(FIELD_NAMES)}})
    """Unified field: path, or a block."""
    stage: StageSpec | None = None
    """Fills raw_stage and stage; on deals also pipeline_id, pipeline_stage and outcome."""
    links: dict[str, FieldValue] = Field(default_factory=dict)
    """The id of the same thing in another system, by "vendor.Resource"."""
    attributes: dict[str, FieldValue] = Field(default_factory=dict)
    """Custom fields carried along under a name of yours."""


class StageEntry(Written):
    """What one vendor stage means, and since when."""

    milestone: Milestone | None = None
    """Code of the ladder in funnel.yaml; empty when the stage says nothing about the ladder."""
    stage: Literal["Prospecting", "Qualifying", "Proposing", "Closing", "Won", "Lost"] | None = None
    """Pipeline stage of a deal. Default: by the milestone."""
    outcome: Literal["open", "won", "lost"] | None = None
    """Outcome of a deal. Default: by the milestone."""
    valid_from: date | None = None
    """First day on which the stage means this."""
    valid_to: date | None = None
    """First day on which it no longer does."""
    label: str | None = None
    """What the vendor called the stage when this line was written; rule G-02 tells when it is called otherwise."""
    probability: float | None = Field(default=None, ge=0, le=1)
    """The stage's default probability at that time, 0 to 1; G-02 tells when it changes."""
    preferred: bool = False
    """When several vendor stages mean the same, the one we write."""


StageValue = Annotated[StageEntry, BeforeValidator(_as_stage, json_schema_input_type=Milestone | StageEntry)]


def _as_entries(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


StageValues = Annotated[list[StageValue], BeforeValidator(_as_entries, json_schema_input_type=StageValue | list[StageValue])]
Outputs = Annotated[list[Output], BeforeValidator(_as_list, json_schema_input_type=Output | list[Output])]


class PushSpec(Written):
    """One vendor field the hub writes."""

    source: str = Field(alias="from", json_schema_extra={"enum": [*map(str, PUSH_SOURCES)]})
    """Which of our values is written."""
    policy: Policy = "derived"
    """Who decides when both sides have a value. derived: the field is the hub's alone."""
    type: PushType | None = None
    """Type of the vendor field. tags: the value becomes a tag."""
    label: str | None = None
    """Label of the field when the hub creates it."""
    only_when: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    """Write only when our value of this name is this (or one of these)."""
    values: dict[str, Scalar] | None = None
    """A table from our values to the vendor's."""
    table: str | None = None
    """Stage table read backwards: our milestone becomes the vendor's stage value."""
    prefix: str = ""
    """For `type: tags`: what the tags start with. `values` says which value becomes which tag; no other tag is ever touched."""


def _as_param(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


class ParamSpec(Written):
    """What one parameter of an event says."""

    source: str | None = Field(default=None, alias="from", json_schema_extra={"enum": [*EVENT_SOURCES, None]})
    """Which of our values. One that is empty is left out."""
    const: Scalar = None
    """The same for every event."""


ParamValue = Annotated[ParamSpec, BeforeValidator(_as_param, json_schema_input_type=str | ParamSpec)]


class EventSpec(Written):
    """Something that happened to a person or a deal, told once to a target that takes events."""

    of: Literal["person", "deal"]
    """Whose event it is. A deal's goes to the visitor of its first person who is known there."""
    reached: Milestone | None = None
    """The milestone whose date is the event's: it is told when the person or deal has got there."""
    outcome: Literal["won", "lost"] | None = None
    """Instead of `reached`: how the deal ended, if it still stands so."""
    value: str | None = Field(default=None, json_schema_extra={"enum": [*EVENT_VALUES, None]})
    """Which of our numbers is the event's value; a deal's amount brings its currency."""
    params: dict[str, ParamValue] = Field(default_factory=dict)
    """Parameters under the vendor's names: one of our values, or `const`."""
    late: Literal["skip", "now"] = "skip"
    """For an event older than the vendor accepts. skip: it is held back. now: it is told with the current time, and its own
    in the parameter `original_timestamp`."""
    max_age_days: float = Field(default=30, gt=0)
    """Older events are history and never told, whatever the vendor accepts."""


class ReadSpec(Written):
    """A resource of your own making, where the vendor lets you say what is read: a report, or files of a folder."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    like: str
    """Which of the connector's templates it follows; the other keys are that template's options (docs/connectors.md)."""


class MappingDocument(Written):
    """Mapping of one vendor's fields and stages to ours, and of our values to its fields."""

    vendor: str
    """Name of the connector."""
    version: Literal[1] = 1
    """Version of this file format."""
    reads: dict[str, ReadSpec] = Field(default_factory=dict)
    """Resources of your own making, by a name of yours; each is then mapped under `resources`."""
    resources: dict[str, Outputs] = Field(default_factory=dict)
    """What is made from each resource of the vendor."""
    stages: dict[str, dict[str, StageValues]] = Field(default_factory=dict)
    """Tables from the vendor's stage ids (`pipeline/stage` where a pipeline is given) to milestones."""
    push: dict[str, dict[str, PushSpec]] = Field(default_factory=dict)
    """Per target: the vendor fields the hub writes."""
    synced_natively: dict[str, list[str]] = Field(default_factory=dict)
    """Per target: the vendor fields that another integration keeps equal, such as HubSpot's own sync with Salesforce. The hub
    never writes them, whatever `push` says; rule G-06 names those it would have written."""
    events: dict[str, dict[str, EventSpec]] = Field(default_factory=dict)
    """Per target that takes events: what is told, under the vendor's name of the event."""
