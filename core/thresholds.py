"""How rules and metrics ask the funnel: a rule's thresholds, a field's policy, and the few choices the funnel has no word for.

The funnel may be core.funnel.Funnel or a plain mapping of the same shape (tests); what it does not say has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.funnel import THRESHOLDS

DEFAULT_ORDER: tuple[str, ...] = ("salesforce", "hubspot", "activecampaign")
# Choices without a place in funnel.yaml: what vendors are for, and the shape of reports.
SETTINGS: dict[str, Any] = {
    "quiet_min": 15.0,
    "quiet_stage_back_h": 24.0,
    "shared_mailbox_records": 5,  # an address with more records in one list or object is a shared mailbox
    "mirror_open_deals": False,  # I-06: should every open deal exist in all CRMs?
    "crm_vendors": ("salesforce", "hubspot", "activecampaign"),
    "lifecycle_vendors": ("hubspot",),
    "lifecycle_resources": ("contacts", "companies"),
    "opt_out_vendors": ("mailchimp", "activecampaign"),
    "mailing_vendors": ("hubspot", "activecampaign", "mailchimp"),
    "timestamp_close_vendors": ("hubspot", "activecampaign"),
    "conversion_events": ("close_convert_lead", "purchase"),
    "conversion_max_days": 365,  # E-01: older sales are history
    "forecast_period": "quarter",
    "funnel_steps": ("M20", "M30", "M40", "M50", "M80"),
    "within_days": (30, 90),
    "window_days": 365,
    "qualified_stages": ("Qualifying", "Proposing", "Closing"),
    "ignored_lost_reasons": ("duplicate", "test", "data error"),
    "currency": None,  # reporting currency; None: the only one there is
}


def _get(thing: Any, name: str) -> Any:
    found = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return None if callable(found) else found


def setting(funnel: Any, name: str) -> Any:
    """One of SETTINGS, as the funnel's `guards`, `measures` or top level has it.

    Raises: KeyError for a name without a default, which is a bug.
    """
    default = SETTINGS[name]
    for place in (_get(funnel, "guards"), _get(funnel, "measures"), funnel):
        found = None if place is None else _get(place, name)
        if found is not None:
            return found
    return default


def _rule(funnel: Any, rule: str) -> Any:
    if isinstance(funnel, Mapping):
        return _get(funnel, "rules") and _get(funnel["rules"], rule)
    return funnel.rule(rule) if hasattr(funnel, "rule") else None


def threshold(funnel: Any, rule: str, name: str) -> Any:
    """One threshold of a rule."""
    found = _get(_rule(funnel, rule), name)
    return THRESHOLDS[rule][name] if found is None else found


def enabled(funnel: Any, rule: str) -> bool:
    return _get(_rule(funnel, rule), "enabled") is not False


def severity(funnel: Any, rule: str, default: str) -> str:
    return str(_get(_rule(funnel, rule), "severity") or default)


def policy(funnel: Any, field: str) -> tuple[str | None, tuple[str, ...]]:
    """(policy, None when the funnel says nothing of the field; vendors or accounts in the order they are believed)."""
    said = _get(_get(funnel, "fields") or {}, field)
    if said is None:
        return None, DEFAULT_ORDER
    named = tuple(str(name) for name in _get(said, "order") or ())
    return _get(said, "policy"), tuple(dict.fromkeys([*named, *DEFAULT_ORDER]))


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


def targets(funnel: Any) -> list[tuple[str, float, str | None]]:
    """(period, amount, currency) of what is to be won."""
    return [(str(_get(t, "period")), float(_get(t, "amount")), _get(t, "currency")) for t in _get(funnel, "targets") or ()]
