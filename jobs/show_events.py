"""Events of a plan as people read them: when, how much, and the vendor's parameters. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.change import EVENT, Change, event_values

_OURS = frozenset({"event", "id", "occurred_at", "value", "currency"})


def new(change: Change) -> str | None:
    """What the change writes, as a person reads it; None clears a field."""
    return said(event_values(change.after)) if change.type == EVENT else change.after


def said(values: Mapping[str, Any]) -> str:
    """Such as "2026-06-29 10:00 UTC, 1200 EUR, lead_source=ads"; "erased" when nothing is left of it."""
    if not values:
        return "erased"
    when = str(values["occurred_at"]).replace("T", " ")[:16] + " UTC"
    money = " ".join(str(values[name]) for name in ("value", "currency") if values.get(name) is not None)
    params = [f"{name}={value}" for name, value in sorted(values.items()) if name not in _OURS]
    return ", ".join([when, *([money] if money else []), *params])


def opened(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's JSON in which every event has its values as an object, `told`, beside the text that is hashed."""
    changes = [{**c, "told": event_values(c["after"])} if c["type"] == EVENT else c for c in plan.get("changes", ())]
    return {**plan, "changes": changes}
