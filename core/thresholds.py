"""The numbers and orders that operations people may change, with their defaults, and how to ask the funnel for them.

The funnel (mappings/funnel.yaml) may be a mapping or any object with attributes; what it does not say holds as written here.
It must not know rules, vendors' APIs or storage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Question = tuple[str, ...]  # which of the functions below, and what about

DEFAULTS: dict[str, Any] = {
    "quiet_minutes": 15,  # a field must differ this long
    "quiet_pulls": 1,  # and be seen by so many pulls before it is written (an opt-out by one)
    "quiet_backward_hours": 24,  # a stage going backward, an outcome conflict
    "mirror_hours": 24,  # I-06: time a mirror may take to appear
    "mirror_open_deals": False,  # I-06: should every open deal exist in all CRMs?
    "amount_share": 0.01,
    "amount_units": 1.0,
    "close_date_days": 1,
    "close_date_days_timestamp": 2,  # where one side keeps a moment instead of a day
    "timestamp_close_vendors": ("hubspot", "activecampaign"),
    "duplicate_deal_days": 7,
    "duplicate_name_share": 0.9,
    "negative_duration_days": 1,
    "stalled_days": 30,
    "stalled_quantile": 0.9,
    "stalled_min_won": 30,
    "close_date_pushes": 3,  # D-07
    "probability_points": 0.15,  # D-10
    "activity_days": 21,  # D-12
    "activity_days_closing": 14,
    "outlier_factor": 20,  # D-16
    "outlier_min_won": 5,
    "outlier_digits": 7,  # a whole number with so many digits may be an id or a phone number
    "line_items_share": 0.01,  # D-17
    "recycle_days": 30,  # S-04: so long after the last lost deal
    "recycled_statuses": ("recycled", "BAD_TIMING", "Nurture", "Nurturing"),
    "disqualified_days": 30,  # S-12: older disqualifications are history
    "churn_grace_days": 0,  # S-13: time a renewal may take
    "customer_campaigns": (),  # S-13: names of campaigns for customers; where there are any, only who is in one counts
    "lifecycle_rungs": 2,  # S-15
    "conversion_hours": 72,
    "conversion_max_days": 365,  # E-01: older sales are history
    "conversion_events": ("close_convert_lead", "purchase"),
    "lead_events": ("generate_lead", "sign_up"),  # E-02, E-07: the events that say a lead came
    "lead_hours": 24,  # E-02
    "lead_max_days": 90,
    "event_value_share": 0.01,  # E-04
    "campaign_days": 1,  # E-06
    "campaign_answers": ("visit", "click", "form", "conversion", "response"),  # kinds of touches by which somebody answers a campaign
    "same_campaigns": {},  # a campaign's name in the CRM: its names elsewhere, where they are not the same
    "lead_count_share": 0.15,  # E-07
    "lead_count_min": 10,
    "lead_count_days": 90,
    "source_groups": {  # E-05: HubSpot's original sources and usual words of Salesforce's lead source
        "organic search": ("ORGANIC_SEARCH", "Organic Search", "SEO"),
        "paid search": ("PAID_SEARCH", "Paid Search", "Google Ads", "AdWords"),
        "social": ("SOCIAL_MEDIA", "Social", "Social Media", "Organic Social"),
        "paid social": ("PAID_SOCIAL", "Paid Social"),
        "email": ("EMAIL_MARKETING", "Email", "Email Marketing", "Newsletter"),
        "referral": ("REFERRALS", "Referral", "External Referral", "Employee Referral", "Partner Referral"),
        "direct": ("DIRECT_TRAFFIC", "Direct"),
        "offline": ("OFFLINE", "Trade Show", "Event", "Phone Inquiry", "Cold Call", "Word of mouth"),
    },
    "pull_minutes": 15,  # T-01
    "refused_days": 90,  # T-06
    "ping_pong_days": 7,
    "ping_pong_times": 3,
    "future_minutes": 5,  # T-02
    "milestone_days": 1,  # T-03
    "bulk_stamp_share": 0.2,  # T-04
    "bulk_stamp_records": 10,
    "sample_ratio_p": 0.001,
    "several_variants_share": 0.01,
    "experiment_visitors_share": 0.02,
    "experiment_conversions_share": 0.05,
    "experiment_least": 50,
    "experiment_goals": {},  # an event of our own: what experiment tools call it, where it is not the same
    "overlap_days": 1,
    "sync_users": ("hubspot",),  # G-06: words in the names of Salesforce's users that HubSpot's own sync signs in as
    "sync_days": 90,
    "shared_mailbox_records": 5,  # an address with more records in one list or object is a shared mailbox
    "shared_web_id_records": 3,  # a visitor's id with more records in one list or object is a shared device
    "component_records": 50,  # I-09, I-02: more live records than this are not one person, company or deal
    "bridge_records": 6,  # one weak piece of evidence does not join two groups of so many live records each
    "duplicate_probability": 0.7,  # I-02: as probably one person as this
    "shared_phone_persons": 5,  # I-02: a telephone of more persons is a switchboard
    "hierarchy_vendors": ("hubspot", "salesforce"),  # I-11: systems where a company can be another's parent
    "crm_vendors": ("salesforce", "hubspot"),  # I-06: systems that mirror each other; ActiveCampaign mostly has deals of its own
    "lifecycle_vendors": ("hubspot",),
    "lifecycle_resources": ("contacts", "companies"),
    "opt_out_vendors": ("mailchimp", "activecampaign"),
    "mailing_vendors": ("hubspot", "activecampaign", "mailchimp"),
    "forecast_period": "quarter",
    "forecast_days": 90,
    "funnel_steps": ("M20", "M30", "M40", "M50", "M80"),
    "funnel_by": ("source", "owner"),
    "within_days": (30, 90),
    "funnel_levels": ("M20", "M30", "M35", "M40", "M50", "M80", "M90"),  # the full funnel's, after the visitors
    "episode_days": 90,  # who is disqualified and comes back so many days later or more is counted again, in a new cohort
    "funnel_months": 12,  # whole months whose visitors and leads the full funnel is about
    "retained_days": 90,  # a customer still here so long after he was won is retained
    "business_days": (1, 2, 3, 4, 5),  # of the week, Monday is 1; lead response counts business hours …
    "business_hours": (9, 17),  # … from this hour of the day to that …
    "business_timezone": None,  # … by this clock; None: the organisation's
    "visitor_measures": ("totalUsers", "activeUsers", "visitors"),  # what counts of visitors are called; of an account the first it has
    "visitor_channels": ("firstUserDefaultChannelGroup", "sessionDefaultChannelGroup", "channel"),  # dimensions that say whence they came
    "renewal_days": 365,  # what says no end is bought for so long; the terms of the tail, too
    "renewal_types": ("renewal", "Existing Customer - Replacement", "Existing Customer - Downgrade"),  # such a deal replaces earlier ones
    "existing_types": ("existingbusiness", "Existing Customer - Upgrade"),  # … and such a one adds to them: no deal of a new customer
    "score_bands": (75, 50, 25),  # a person's score from which on his band is A, B, C; below it is D
    "score_days": 90,  # a lead's score: the probability of an opportunity within so many days
    "score_min_positives": 100,  # leads that became opportunities; with fewer nothing is learned and points are given
    "score_fields": ("role", "employees", "industry", "country", "rating"),  # of records, as they were known at the time
    "score_fixed": ("source",),  # fields that are set when a record is made and stay: today's value was known then
    "score_senior": ("chief", "ceo", "cto", "cfo", "cio", "coo", "cmo", "vp", "president", "head", "director", "founder", "owner"),
    "score_points": {
        "base": 20,
        "form": 25,
        "visits": 10,
        "click": 5,
        "response": 10,
        "sales": 10,
        "recent": 10,
        "silent": -20,
        "mql": 20,
        "company_email": 10,
        "free_email": -10,
        "no_email": -20,
        "senior": 15,
        "large": 10,
    },
    "follow_up": {  # the numbers of the next steps (core.measure.follow_rules); days unless they say otherwise
        "inbound_days": 14,
        "respond_hours": 1,
        "accept_hours": 48,
        "attempts": 6,
        "attempts_days": 14,
        "revisit_days": 60,
        "qualify_days": 7,
        "quiet_days": 7,
        "closing_days": 14,
        "lost_days": 90,
        "onboarding_days": 30,
        "renewal_days": 120,
    },
    "follow_up_off": (),  # steps nobody wants to hear of
    "follow_up_pages": ("pricing",),  # words of pages that say "call today"
    "follow_up_lost": ("timing", "budget"),  # words of lost reasons after which a deal is worth another try
    "window_days": 365,
    "qualified_stages": ("Qualifying", "Proposing", "Closing"),
    "ignored_lost_reasons": ("duplicate", "test", "data error"),
    "experiment_days": 30,  # a visitor counts once this long ago; what became of him within is the outcome
    "experiment_won_days": 90,  # the same for sales
    "experiment_before_days": 90,  # whose visits before the test are the covariate (CUPED)
    "experiment_power": 0.8,
    "experiment_detect_share": 0.1,  # the lift whose sample size is told
    "experiment_planned": 5000,  # visitors at which the always-valid interval is tightest
    "experiment_cap_quantile": 0.999,  # of won amounts: larger ones count as this much
    "experiment_guardrails": (),  # goals whose p-values are not corrected for there being many
    "attribution_touches": ("visit", "click", "form", "response"),  # kinds that get credit; a form's event where it was in no visit
    "attribution_not": ("survey",),  # channels of touches that are no marketing
    "attribution_model": "w",  # whose numbers campaigns are told by
    "session_minutes": 30,  # touches of one person by one channel without a longer pause are one
    "lookback_days": 365,  # before the deal was created, or the person known
    "half_life_days": 30,  # of the model "time decay"
    "influence_days": 90,
    "sales_touches": ("meeting", "call"),  # kinds that are sales' work, not marketing's
    "sales_sources": ("Cold Call", "Outbound", "Sales"),  # lead sources that are not marketing's
    "currency": None,  # reporting currency; None: the one most deals are in
    "exchange_rates": {},  # of amounts in other currencies, to `currency`: {"USD": ("2026-01-01 0.92", …)}, each from its day on
    "target": None,  # won amount wanted in the current period
}
ATTRIBUTION_MODELS = ("first", "last", "linear", "time decay", "u", "w", "full path", "j", "inverse j", "shapley")  # of single touches
FOLLOW_UPS = (
    "respond", "escalate", "recycle", "make_deal", "second_contact", "call_today", "follow_up", "book_meeting", "re_date", "review",
    "revisit", "revisit_personally", "onboard", "renew",
)  # fmt: skip
SIGNALS = tuple(DEFAULTS["score_points"])  # what points may be given for (core.measure.lead_points)
DEFAULT_ORDER: tuple[str, ...] = ("salesforce", "hubspot", "activecampaign")


_asked: ContextVar[tuple[set[Question], ...]] = ContextVar("asked", default=())
_about: dict[str, Callable[..., Any]] = {}


@contextmanager
def listening() -> Iterator[set[Question]]:
    """What the funnel is asked meanwhile: only of that can a result depend on it."""
    mine: set[Question] = set()
    token = _asked.set((*_asked.get(), mine))
    try:
        yield mine
    finally:
        _asked.reset(token)


def answers(funnel: Any, questions: Iterable[Question]) -> list[Any]:
    """What the funnel says to each of the questions."""
    return [_about[name](funnel, *about) for name, *about in questions]


def _heard(function: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A question to the funnel that `listening` hears."""

    @wraps(function)
    def ask(funnel: Any, /, *about: P.args, **named: P.kwargs) -> R:
        for heard in _asked.get():
            heard.add((function.__name__, *map(str, about), *map(str, named.values())))
        return function(funnel, *about, **named)

    _about[function.__name__] = function
    return ask


def _get(thing: Any, name: str) -> Any:
    """One entry of a mapping or attribute of an object; None for nothing (and for methods)."""
    found = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return None if callable(found) else found


@_heard
def threshold(funnel: Any, name: str) -> Any:
    """One of DEFAULTS, as the funnel's `thresholds` or its top level has it.

    Raises: KeyError for a name without a default, which is a bug.
    """
    default = DEFAULTS[name]
    for place in (_get(funnel, "thresholds"), funnel):
        found = None if place is None else _get(place, name)
        if found is not None:
            return found
    return default


@_heard
def policy(funnel: Any, field: str) -> tuple[str | None, tuple[str, ...]]:
    """(policy, None when the funnel says nothing of the field; vendors or accounts in the order they are believed)."""
    said = _get(_get(funnel, "policies") or {}, field)
    if said is None:
        return None, DEFAULT_ORDER
    named = tuple(str(name) for name in _get(said, "order") or ())
    return _get(said, "policy"), tuple(dict.fromkeys([*named, *DEFAULT_ORDER]))


@_heard
def policy_tolerance(funnel: Any, field: str) -> float:
    """Minutes that clocks of two systems may be apart before one edit counts as the newer."""
    said = _get(_get(funnel, "policies") or {}, field)
    minutes = None if said is None else _get(said, "tolerance_minutes")
    return 2.0 if minutes is None else float(minutes)


def _rule(funnel: Any, rule: str) -> Any:
    return _get(_get(funnel, "rules") or {}, rule) or {}


@_heard
def enabled(funnel: Any, rule: str) -> bool:
    return _get(_rule(funnel, rule), "enabled") is not False


@_heard
def severity(funnel: Any, rule: str, default: str) -> str:
    return str(_get(_rule(funnel, rule), "severity") or default)


@_heard
def scope(funnel: Any, rule: str) -> dict[str, list[str]]:
    """{"accounts": […], "pipelines": […]}: where the rule looks, without what is not limited."""
    said = {name: [str(one) for one in _get(_rule(funnel, rule), name) or ()] for name in ("accounts", "pipelines")}
    return {name: wanted for name, wanted in said.items() if wanted}


@_heard
def excluded_patterns(funnel: Any) -> list[str]:
    """Regular expressions of the addresses that are not counted: colleagues and tests."""
    exclude = _get(funnel, "exclude")
    if exclude is None:
        return []
    domains = [f"@{_literal(domain)}$" for domain in _get(exclude, "domains") or ()]
    return domains + [f"^{_literal(pattern)}$" for pattern in _get(exclude, "emails") or ()]


def _literal(pattern: str) -> str:
    """A pattern with * and ? as a regular expression every engine reads alike."""
    special = {"*": ".*", "?": "."}
    return "".join(special.get(c) or (c if c.isalnum() or c in "@_-" else f"\\{c}") for c in pattern.lower())


@_heard
def free_mail(funnel: Any) -> list[str]:
    return [str(domain) for domain in _get(funnel, "free_mail") or ()]
