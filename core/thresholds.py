"""The numbers and orders that operations people may change, with their defaults, and how to ask the funnel for them.

The funnel (mappings/funnel.yaml) may be a mapping or any object with attributes; what it does not say holds as written here.
It must not know rules, vendors' APIs or storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "quiet_minutes": 15,  # a field must differ this long
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
    "ping_pong_days": 7,
    "ping_pong_times": 3,
    "shared_mailbox_records": 5,  # an address with more records in one list or object is a shared mailbox
    "shared_web_id_records": 3,  # a visitor's id with more records in one list or object is a shared device
    "crm_vendors": ("salesforce", "hubspot"),  # I-06: systems that mirror each other; ActiveCampaign mostly has deals of its own
    "lifecycle_vendors": ("hubspot",),
    "lifecycle_resources": ("contacts", "companies"),
    "opt_out_vendors": ("mailchimp", "activecampaign"),
    "mailing_vendors": ("hubspot", "activecampaign", "mailchimp"),
    "forecast_period": "quarter",
    "funnel_steps": ("M20", "M30", "M40", "M50", "M80"),
    "within_days": (30, 90),
    "window_days": 365,
    "qualified_stages": ("Qualifying", "Proposing", "Closing"),
    "ignored_lost_reasons": ("duplicate", "test", "data error"),
    "currency": None,  # reporting currency; None: the only one there is
    "target": None,  # won amount wanted in the current period
}
DEFAULT_ORDER: tuple[str, ...] = ("salesforce", "hubspot", "activecampaign")


def _get(thing: Any, name: str) -> Any:
    """One entry of a mapping or attribute of an object; None for nothing (and for methods)."""
    found = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return None if callable(found) else found


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


def policy(funnel: Any, field: str) -> tuple[str | None, tuple[str, ...]]:
    """(policy, None when the funnel says nothing of the field; vendors or accounts in the order they are believed)."""
    said = _get(_get(funnel, "policies") or {}, field)
    if said is None:
        return None, DEFAULT_ORDER
    named = tuple(str(name) for name in _get(said, "order") or ())
    return _get(said, "policy"), tuple(dict.fromkeys([*named, *DEFAULT_ORDER]))


def _rule(funnel: Any, rule: str) -> Any:
    return _get(_get(funnel, "rules") or {}, rule) or {}


def enabled(funnel: Any, rule: str) -> bool:
    return _get(_rule(funnel, rule), "enabled") is not False


def severity(funnel: Any, rule: str, default: str) -> str:
    return str(_get(_rule(funnel, rule), "severity") or default)


def scope(funnel: Any, rule: str) -> dict[str, list[str]]:
    """{"accounts": […], "pipelines": […]}: where the rule looks, without what is not limited."""
    said = {name: [str(one) for one in _get(_rule(funnel, rule), name) or ()] for name in ("accounts", "pipelines")}
    return {name: wanted for name, wanted in said.items() if wanted}


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


def free_mail(funnel: Any) -> list[str]:
    return [str(domain) for domain in _get(funnel, "free_mail") or ()]
