"""mappings/funnel.yaml: our stages, who decides a field, the thresholds, who is left out, how long things are kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import Field, StringConstraints, create_model

from core.checked import Written, check
from core.mapping_document import Policy
from core.merge import POLICIES_OF
from core.model import LADDER, OFF_LADDER
from core.threshold_bounds import mistakes
from core.thresholds import DEFAULTS, threshold
from core.yaml_positions import Document, did_you_mean, raise_mistakes, read_yaml

Severity = Literal["S1", "S2", "S3", "S4"]
RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z]-[0-9]{2}$")]
FunnelStage = Literal["Awareness", "Interest", "Consideration", "Conversion", "Retention"]
PipelineStage = Literal["Prospecting", "Qualifying", "Proposing", "Closing", "Won", "Lost"]


class Rung(Written):
    """One milestone of the ladder."""

    code: str
    """M00 … M95 in order; M85 (lost) and MX (off the ladder) are outcomes."""
    name: str
    """What reports call it."""
    funnel_stage: FunnelStage | None = None
    """The roll-up for the funnel view."""
    pipeline_stage: PipelineStage | None = None
    """The roll-up for the pipeline view."""


class FieldPolicy(Written):
    """Who decides when systems disagree on a field."""

    policy: Policy
    order: list[str] = Field(default_factory=list)
    """Vendors or accounts, the most trusted first. The first that has a value wins."""
    tolerance_minutes: float = Field(default=2, ge=0)
    """For most_recent: edits closer to each other than this are at the same time, and the order counts."""


class Exclude(Written):
    """Who is not counted: colleagues, tests."""

    domains: list[str] = Field(default_factory=list)
    """E-mail domains of our own."""
    emails: list[str] = Field(default_factory=list)
    """Patterns of addresses, with * and ?."""


class Retention(Written):
    """How many days things are kept. null: for ever."""

    versions: int | None = 730
    """Old versions of records."""
    touches: int | None = 1095
    tallies: int | None = None
    findings: int | None = 730
    runs: int | None = 365
    plans: int | None = 730


class SlaDays(Written):
    """Within how many days of being first seen a finding should be settled, by severity. null: no limit."""

    S1: float | None = Field(default=1, gt=0)
    S2: float | None = Field(default=7, gt=0)
    S3: float | None = Field(default=30, gt=0)
    S4: float | None = Field(default=None, gt=0)


class RuleSwitch(Written):
    """One rule of the catalogue: on or off, how bad its findings are, and where it looks."""

    enabled: bool = True
    severity: Severity | None = None
    """S1 legal or revenue, S2 wrong numbers, S3 hygiene, S4 a note. Default: the catalogue's."""
    accounts: list[str] = Field(default_factory=list)
    """Only findings with a record of one of these accounts. Default: all accounts."""
    pipelines: list[str] = Field(default_factory=list)
    """Only findings with a deal in one of these pipelines (ids, as `tundish discover ACCOUNT --stages` shows them). Default: all."""


def _threshold(default: Any) -> Any:
    """(type, default) of a threshold: lists are written as YAML lists, and one without a default takes a text or a number."""
    if default is None:
        return (str | float | None, None)
    if isinstance(default, bool):
        return (bool, default)
    if isinstance(default, dict):
        numbers = any(isinstance(value, int | float) for value in default.values())
        return (dict[str, float] if numbers else dict[str, tuple[str, ...]], default)
    if isinstance(default, tuple):
        return (tuple[int, ...] if default and isinstance(default[0], int) else tuple[str, ...], default)
    return (float | int if isinstance(default, int | float) else type(default), default)


_THRESHOLDS: dict[str, Any] = {name: _threshold(default) for name, default in DEFAULTS.items()}
Thresholds: Any = create_model(
    "Thresholds", __base__=Written, __doc__="When a difference is a finding, and what numbers mean.", **_THRESHOLDS
)


class Funnel(Written):
    """Our stages, rules and policies: the same for all vendors."""

    version: Literal[1] = 1
    ladder: list[Rung]
    """The milestones in order, the outcomes after them."""
    policies: dict[str, FieldPolicy] = Field(default_factory=dict)
    """Who decides, per field (stage, amount, owner, …); `person` and `company` stand for all their other fields."""
    thresholds: Thresholds = Field(default_factory=Thresholds)
    rules: dict[RuleId, RuleSwitch] = Field(default_factory=dict)
    """Switches by rule id. A rule that is not named is on, with the catalogue's severity."""
    sla_days: SlaDays = Field(default_factory=SlaDays)
    exclude: Exclude = Field(default_factory=Exclude)
    free_mail: list[str] = Field(default_factory=list)
    """Domains that say nothing about the employer."""
    retention: Retention = Field(default_factory=Retention)

    def rule(self, rule: str) -> RuleSwitch:
        """The rule's switch; a rule that is not named is on."""
        return self.rules.get(rule) or RuleSwitch()

    def at(self, timezone: str) -> Funnel:
        """The funnel with business hours by the organisation's clock, unless it names one."""
        if threshold(self, "business_timezone") is not None:
            return self
        return self.model_copy(update={"thresholds": self.thresholds.model_copy(update={"business_timezone": timezone})})


def load_funnel(path: Path | str, accounts: Collection[str] | None = None) -> Funnel:
    """The funnel in the file; `accounts` are those of the config, where it is known.

    Raises: UserError with one line per mistake, each with file:line:column.
    """
    document = read_yaml(path)
    funnel = check(document, Funnel)
    if funnel is not None:
        _check(document, funnel)
        _check_policies(document, funnel)
        _check_scopes(document, funnel, accounts)
    raise_mistakes([document])
    assert funnel is not None  # no mistakes, so there is a funnel
    return funnel


def _check(document: Document, funnel: Funnel) -> None:
    codes = (*LADDER, *OFF_LADDER)
    seen: list[str] = []
    for i, rung in enumerate(funnel.ladder):
        if rung.code not in codes:
            document.wrong(("ladder", i, "code"), f"unknown milestone {rung.code!r}{did_you_mean(rung.code, codes)}")
        elif rung.code in seen:
            document.wrong(("ladder", i, "code"), f"{rung.code} stands on the ladder twice")
        seen.append(rung.code)
    rungs = [code for code in seen if code in LADDER]
    if rungs != sorted(rungs):
        document.wrong(("ladder",), "the rungs must stand in the order of their codes", key=True)
    missing = [code for code in codes if code not in seen]
    if missing:
        document.wrong(("ladder",), f"the ladder lacks {', '.join(missing)}", key=True)
    for which in ("funnel_steps", "funnel_levels"):
        for i, step in enumerate(threshold(funnel, which)):
            if step not in codes:
                document.wrong(("thresholds", which, i), f"unknown milestone {step!r}{did_you_mean(step, codes)}")
    _check_rates(document, funnel)
    zone = threshold(funnel, "business_timezone")
    if zone is not None and zone not in available_timezones():
        document.wrong(("thresholds", "business_timezone"), f"unknown time zone {zone!r}{did_you_mean(str(zone), available_timezones())}")
    for where, what, is_key in mistakes(partial(threshold, funnel)):
        document.wrong(("thresholds", *where), what, key=is_key)


def _check_rates(document: Document, funnel: Funnel) -> None:
    given = threshold(funnel, "exchange_rates")
    if given and not threshold(funnel, "currency"):
        document.wrong(("thresholds", "exchange_rates"), "rates need `currency`, to which they convert", key=True)
    for currency, lines in given.items():
        for i, line in enumerate(lines):
            try:
                day, rate = str(line).split()
                date.fromisoformat(day)
                good = float(rate) > 0
            except ValueError:
                good = False
            if not good:
                where = ("thresholds", "exchange_rates", currency, i)
                document.wrong(where, f'{line!r} is no day and rate such as "2026-01-01 0.92"')


def _check_policies(document: Document, funnel: Funnel) -> None:
    for name, said in funnel.policies.items():
        allowed = POLICIES_OF.get(name)
        if allowed is None:
            document.wrong(("policies", name), f"no policy for {name!r}{did_you_mean(name, POLICIES_OF)}", key=True)
        elif said.policy not in allowed:
            document.wrong(("policies", name, "policy"), f"{name} cannot be {said.policy!r}; one of {', '.join(allowed)}")


def _check_scopes(document: Document, funnel: Funnel, accounts: Collection[str] | None) -> None:
    for rule, switch in funnel.rules.items():
        for i, name in enumerate(switch.accounts):
            if accounts is not None and name not in accounts:
                document.wrong(("rules", rule, "accounts", i), f"no account {name!r} in the config{did_you_mean(name, accounts)}")
