"""The numbers and orders that operations people may change, with their defaults, and how to ask the funnel for them.

The funnel (mappings/funnel.yaml) may be a mapping or any object with attributes; what it does not say holds as written here.
It must not know rules, vendors' APIs or storage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Source: the rule catalogue's defaults (reference of the domain, §2.2 and §2.5); hours and days in the names.
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
    "conversion_hours": 72,
    "conversion_max_days": 365,
    "conversion_events": ("close_convert_lead", "purchase"),
    "ping_pong_days": 7,
    "ping_pong_times": 3,
    "shared_mailbox_records": 5,
    "crm_vendors": ("salesforce", "hubspot", "activecampaign"),
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
    "currency": None,  # reporting currency
    "target": None,  # won amount wanted in the current period
}
DEFAULT_ORDER: tuple[str, ...] = ("salesforce", "hubspot", "activecampaign")
_POLICY_WITH_SYSTEM = re.compile(r"(\w+)\s*\(\s*([\w, ]+)\s*\)")


def ask(funnel: Any, path: str, default: Any = None) -> Any:
    """What the funnel says at a dotted path; `default` when it says nothing (or null)."""
    here = funnel
    for name in path.split("."):
        here = here.get(name) if isinstance(here, Mapping) else getattr(here, name, None)
        if here is None:
            return default
    return here


def threshold(funnel: Any, name: str) -> Any:
    """One number or list of DEFAULTS, as the funnel's `thresholds`, `limits` or top level has it.

    Raises: KeyError for a name without a default, which is a bug.
    """
    default = DEFAULTS[name]
    for path in (f"thresholds.{name}", f"limits.{name}", name):
        found = ask(funnel, path)
        if found is not None:
            return found
    return default


def policy(funnel: Any, field: str) -> tuple[str | None, tuple[str, ...]]:
    """(policy name or None when the funnel does not say, vendors in the order they are believed) for one unified field.

    Understood: "source_of_truth(salesforce)", {"policy": …, "order": […]}, {"source_of_truth": "salesforce"}, ["salesforce", …].
    """
    said = ask(funnel, f"policies.{field}")
    if said is None:
        return None, DEFAULT_ORDER
    if isinstance(said, str):
        match = _POLICY_WITH_SYSTEM.fullmatch(said.strip())
        return (match[1], _order(match[2].split(","))) if match else (said.strip(), DEFAULT_ORDER)
    if isinstance(said, Sequence):
        return "source_of_truth", _order(said)
    name = ask(said, "policy")
    for key in ("order", "systems", "source_of_truth", "system", "source"):
        order = ask(said, key)
        if order is not None:
            return name or "source_of_truth", _order([order] if isinstance(order, str) else order)
    return name, DEFAULT_ORDER


def _order(first: Sequence[str]) -> tuple[str, ...]:
    named = [str(vendor).strip().lower() for vendor in first]
    return tuple(dict.fromkeys([*named, *DEFAULT_ORDER]))
