"""mappings/funnel.yaml: our stages, who decides a field, the thresholds, who is left out, how long things are kept."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, create_model

from core.checked import Written, check
from core.mapping_document import Policy
from core.model import LADDER, OFF_LADDER
from core.yaml_positions import Document, did_you_mean, raise_mistakes, read_yaml

Severity = Literal["S1", "S2", "S3", "S4"]
FunnelStage = Literal["Awareness", "Interest", "Consideration", "Conversion", "Retention"]
PipelineStage = Literal["Prospecting", "Qualifying", "Proposing", "Closing", "Won", "Lost"]


# Thresholds of the rules, with their defaults. A rule without thresholds can still be switched off or graded otherwise.
THRESHOLDS: dict[str, dict[str, Any]] = {
    "I-01": {},
    "I-04": {},
    "I-06": {"after_h": 24.0},
    "I-10": {"amount_share": 0.01, "created_within_d": 7.0, "name_similarity": 0.9},
    "S-01": {},
    "S-02": {},
    "S-03": {},
    "S-05": {"quiet_min": 15.0},
    "S-06": {"after_h": 24.0},
    "S-07": {"human_above": 2},
    "S-09": {},
    "S-11": {},
    "D-01": {"share": 0.01, "units": 1.0},
    "D-02": {"share": 0.01, "units": 1.0},
    "D-03": {"from_milestone": "M60"},
    "D-05": {"days": 1.0, "days_if_time": 2.0},
    "D-06": {"grace_d": 0.0},
    "D-09": {},
    "D-11": {"percentile": 0.9, "min_won": 30, "fallback_d": 30.0},
    "D-15": {},
    "C-01": {},
    "C-03": {},
    "E-01": {"within_h": 72.0},
    "G-01": {},
    "T-05": {"alternations": 3, "within_d": 7.0},
}


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


class Guards(Written):
    """Patience before a difference counts, and what is too ambiguous to act on."""

    quiet_min: float = 15
    """Minutes a difference must last before it counts."""
    quiet_stage_back_h: float = 24
    """Hours a stage that went backward, or won against lost, must last."""
    shared_mailbox_records: int = 5
    """An address on more records than this of one system is a shared mailbox and identifies nobody."""
    mirror_open_deals: bool = False
    """I-06: must every open deal stand in all CRMs, or only those flagged to sync?"""


class Measures(Written):
    """Choices that change what a number means; reports print them."""

    conversion_events: list[str] = Field(default_factory=lambda: ["close_convert_lead", "purchase"])
    """E-01: the events that say a deal was won."""
    conversion_max_days: int = 365
    """E-01: sales older than this are history."""
    funnel_steps: list[str] = Field(default_factory=lambda: ["M20", "M30", "M40", "M50", "M80"])
    """The milestones of the conversion report."""
    within_days: list[int] = Field(default_factory=lambda: [30, 90])
    """The spans of "converted within"."""
    window_days: int = 365
    """How far back period reports look."""
    currency: str | None = None
    """Reporting currency. Default: the only one there is."""


class Target(Written):
    """What is to be won in a period."""

    period: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-(Q[1-4]|[0-9]{2}))?$")]
    """2026, 2026-Q3 (of the fiscal year) or 2026-07."""
    amount: Decimal
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    """Default: the organisation's."""


class Rule(Written):
    """One rule of the catalogue: on or off, how bad its findings are, its thresholds."""

    enabled: bool = True
    severity: Severity | None = None
    """S1 legal or revenue, S2 wrong numbers, S3 hygiene, S4 a note. Default: the catalogue's."""

    @property
    def thresholds(self) -> dict[str, Any]:
        return {name: value for name, value in self.model_dump().items() if name not in ("enabled", "severity")}


def _rule_model(rule: str, thresholds: Mapping[str, Any]) -> type[Rule]:
    fields: dict[str, Any] = {name: (type(default), default) for name, default in thresholds.items()}
    return create_model(f"Rule_{rule.replace('-', '_')}", __base__=Rule, **fields)


_RULES: dict[str, type[Rule]] = {rule: _rule_model(rule, thresholds) for rule, thresholds in THRESHOLDS.items()}
_RULE_FIELDS: dict[str, Any] = {rule.replace("-", "_"): (model, Field(default_factory=model, alias=rule)) for rule, model in _RULES.items()}
Rules: Any = create_model("Rules", __base__=Written, __doc__="Rules by id. What is not named here has its default.", **_RULE_FIELDS)


class Funnel(Written):
    """Our stages, rules and policies: the same for all vendors."""

    version: Literal[1] = 1
    ladder: list[Rung]
    """The milestones in order, the outcomes after them."""
    fields: dict[str, FieldPolicy] = Field(default_factory=dict)
    """Who decides, per field (stage, amount, owner, …); `person` and `company` stand for all their other fields."""
    rules: Rules = Field(default_factory=Rules)
    exclude: Exclude = Field(default_factory=Exclude)
    free_mail: list[str] = Field(default_factory=list)
    """Domains that say nothing about the employer."""
    retention: Retention = Field(default_factory=Retention)
    guards: Guards = Field(default_factory=Guards)
    measures: Measures = Field(default_factory=Measures)
    targets: list[Target] = Field(default_factory=list)

    def rule(self, rule: str) -> Rule:
        """The rule's settings; a rule the funnel does not know is on, with the catalogue's severity."""
        return getattr(self.rules, rule.replace("-", "_"), None) or Rule()

    def name_of(self, code: str | None) -> str | None:
        return next((rung.name for rung in self.ladder if rung.code == code), None)

    def order_of(self, field: str) -> tuple[str, ...]:
        """Whom to trust for the field, best first; nobody in particular when no policy says."""
        return tuple(self.fields[field].order) if field in self.fields else ()

    def is_excluded(self, email: str | None) -> bool:
        """True for addresses of colleagues and tests. The address must be in normal form."""
        if not email:
            return False
        own = email.rpartition("@")[2] in self.exclude.domains
        return own or any(fnmatch.fnmatchcase(email, pattern.lower()) for pattern in self.exclude.emails)


def load_funnel(path: Path | str) -> Funnel:
    """The funnel in the file. Raises: UserError with one line per mistake, each with file:line:column."""
    document = read_yaml(path)
    funnel = check(document, Funnel)
    if funnel is not None:
        _check(document, funnel)
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
    milestone = funnel.rule("D-03").thresholds["from_milestone"]
    if milestone not in codes:
        document.wrong(("rules", "D-03", "from_milestone"), f"unknown milestone {milestone!r}{did_you_mean(milestone, codes)}")
    for i, step in enumerate(funnel.measures.funnel_steps):
        if step not in codes:
            document.wrong(("measures", "funnel_steps", i), f"unknown milestone {step!r}{did_you_mean(step, codes)}")
