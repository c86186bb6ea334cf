"""What ops write in config.yaml, as pydantic models. From these the JSON Schema is generated."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from core.checked import Written
from core.yaml_positions import did_you_mean

STEPS = ("sync", "resolve", "reconcile", "measure", "plan", "apply", "report", "compact", "check")
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_WORD = re.compile(r"(?:\*|[0-9]+|[a-z]{3})(?:-(?:[0-9]+|[a-z]{3}))?(?:/[0-9]+)?", re.IGNORECASE)


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"unknown time zone {name!r}{did_you_mean(name, available_timezones())}")
    return name


def _cron(text: str) -> str:
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(f"a schedule has five fields (minute hour day month weekday), {text!r} has {len(parts)}")
    for part, (low, high) in zip(parts, _CRON_RANGES, strict=True):
        for word in part.split(","):
            numbers = [int(n) for n in re.findall(r"\d+", word.split("/")[0])]
            if not _CRON_WORD.fullmatch(word) or any(not low <= n <= high for n in numbers):
                raise ValueError(f"{part!r} is not a schedule field from {low} to {high}")
    return text


def _step(text: str) -> str:
    word = (text.split() or [""])[0]
    if word not in STEPS:
        raise ValueError(f"unknown step {word!r}{did_you_mean(word, STEPS)}")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", text):
        near = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_0123456789") or "hubspot_eu"
        raise ValueError(f"a name is made of small letters, digits, - and _, and begins with a letter, such as {near}")
    return text


def _some(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("an empty list reads nothing; leave `resources` out to read all, or take the account out")
    return names


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": "^[a-z][a-z0-9_-]*$"})]
Share = Annotated[float, Field(ge=0, le=1)]


class Organisation(Written):
    """Who we are: what a day, a quarter and a sum of money mean here."""

    name: str
    """Shown on reports."""
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    """IANA name, such as Europe/Berlin. Days, quarters and schedules are counted in it."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"
    """ISO 4217 code. Money without a currency of its own is in this one."""
    fiscal_year_start: Annotated[int, Field(ge=1, le=12)] = 1
    """Month in which the fiscal year begins."""
    country_code: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{1,3}$")] | None = None
    """Telephone country code of numbers written without one, such as +49. Empty: such numbers match nobody."""


class AccountDocument(Written):
    """One connected portal, org or account. Several of one vendor are allowed."""

    vendor: str
    """Name of the connector: hubspot, salesforce, mailchimp, …"""
    mapping: str | None = None
    """Mapping file, relative to this file. Default: mappings/<vendor>.yaml beside this file, else the one that comes with Tundish."""
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """What the connector needs. Secrets only as ${NAME}, file:path or keyring:service/name."""
    resources: Annotated[list[str], AfterValidator(_some), Field(json_schema_extra={"minItems": 1})] | None = None
    """Read only these resources. Default: all that the mapping names."""
    push: bool = True
    """false: never write to this account, whatever a plan says."""


class JobDocument(Written):
    """Steps that run one after the other, on a schedule or by `tundish run NAME`."""

    schedule: Annotated[str, AfterValidator(_cron)] | None = None
    """Cron: minute hour day month weekday, in the organisation's time zone. Empty: on demand only."""
    steps: list[Annotated[str, AfterValidator(_step)]] = Field(min_length=1)
    """sync [ACCOUNT …], reconcile, measure, plan, apply, report NAME, compact, check."""
    apply: Literal["manual", "auto"] = "manual"
    """manual: the plan waits for `tundish apply`. auto: a plan that no guard refuses is applied."""


class LimitsDocument(Written):
    """Guards: what a plan may do without a person saying yes."""

    max_changes: Annotated[int, Field(ge=0)] = 500
    """More changes than this in one plan need `tundish apply --allow-large`."""
    max_share: Share = 0.05
    """Largest share of a target's records that one plan may change."""
    share_floor: Annotated[int, Field(ge=0)] = 25
    """Below so many changes the share is not asked."""
    max_drop: Share = 0.5
    """A resource that lost more than this share of its records since the last run stops the plan."""
    plan_expires_h: Annotated[float, Field(gt=0)] = 72
    """Hours after which a plan must be made anew."""
    rewrite_h: Annotated[float, Field(ge=0)] = 24
    """A field that people also write is written at most once in so many hours."""
    extra_overlap_s: Annotated[float, Field(ge=0)] = 0
    """Seconds to read again before the last cursor, on top of each connector's own overlap."""
    memory: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(MB|GB|TB|MiB|GiB|TiB)$")] | None = None
    """What the engine may take, such as 8GB; more than that goes to disk. Empty: two fifths of the machine's memory."""
    workers: Annotated[int, Field(ge=1, le=32)] = 4
    """Accounts read at the same time."""


class ConfigDocument(Written):
    """Tundish: accounts, places, jobs and guards."""

    organisation: Organisation
    accounts: dict[Name, AccountDocument] = Field(default_factory=dict)
    """The connected accounts by a name of yours."""
    lake: str = "tundish-data/lake"
    """Where everything seen is kept: a folder, relative to this file, or an s3://, gs:// or abfss:// URL."""
    ledger: str = "tundish-data/ledger.db"
    """What the hub did: an SQLite file, relative to this file, or a postgresql:// URL."""
    engine: str = "duckdb"
    """What computes: duckdb, or the URL of another Ibis engine, such as sc://host:15002 (Spark)."""
    funnel: str | None = None
    """Our stages, rules and policies. Default: mappings/funnel.yaml beside this file, else the one that comes with Tundish."""
    identity: str | None = None
    """What people decided about who is who (links and cuts win over all evidence). Default: identity.yaml beside this file, if any."""
    jobs: dict[Name, JobDocument] = Field(default_factory=dict)
    """Jobs by name."""
    alerts: list[str] = Field(default_factory=list)
    """Apprise URLs told about failures and refused plans; secrets in them as ${NAME}."""
    limits: LimitsDocument = Field(default_factory=LimitsDocument)
