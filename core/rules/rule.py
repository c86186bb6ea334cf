"""What a rule is: a frozen value with a query. And what all queries give: one row per record that takes part in a finding.

A rule must not write, decide or read the clock: `Context.now` is the as-of instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import ibis

from core.tables import MOMENT, instant, records, stack
from core.thresholds import policy, threshold

Severity = Literal["S1", "S2", "S3", "S4"]
# A finding is (entity_kind, entity_id, field, part). `value` is what this record says and `at` since when; `fix_value` is
# what should be written into this record (at most one record of a finding has one); `note` is evidence for a person. `severity`
# grades this finding otherwise than its rule; the most severe side counts.
SIDES: dict[str, str] = {
    **dict.fromkeys(("entity_kind", "entity_id", "field", "part", "account", "resource", "vendor_id", "value"), "string"),
    "at": MOMENT,
    **dict.fromkeys(("fix_value", "fix_before", "fix_pipeline", "note", "severity"), "string"),
}


@dataclass(frozen=True)
class Context:
    """Everything a rule may look at. `facts` as core.facts gives them."""

    tables: Mapping[str, ibis.Table]
    facts: Mapping[str, ibis.Table]
    funnel: Any
    as_of: datetime
    clock: ibis.Value | None = None  # as_of as a value of the engine's, where compiled queries are kept for other instants

    @property
    def now(self) -> ibis.Value:
        return instant(self.as_of) if self.clock is None else self.clock

    @property
    def today(self) -> ibis.Value:
        return self.now.date()

    def ago(self, **span: float) -> ibis.Value:
        """The instant this long before now: ago(hours=24)."""
        return self.now - ibis.interval(seconds=round(timedelta(**span).total_seconds()))

    @property
    def quiet(self) -> ibis.Value:
        """Fields must differ since before this instant to count."""
        return self.ago(minutes=float(self.limit("quiet_minutes")))

    @property
    def quiet_backward(self) -> ibis.Value:
        return self.ago(hours=float(self.limit("quiet_backward_hours")))

    def limit(self, name: str) -> Any:
        """One of core.thresholds.DEFAULTS, as the funnel has it."""
        return threshold(self.funnel, name)

    def policy(self, field: str) -> tuple[str | None, tuple[str, ...]]:
        return policy(self.funnel, field)

    def records(self, kind: str) -> ibis.Table:
        return records(self.tables, kind)


OF_THE_FUNNEL = "of the funnel"


@dataclass(frozen=True)
class Rule:
    """One row of the catalogue. `fix` says in words what is safe to do; `question` is what a person decides otherwise.

    `fix_field` and `policy` (OF_THE_FUNNEL: the one funnel.yaml has for that field) complete the fix of a side with a fix_value.
    `flag` marks the entity in the work list. `exact` says in a sentence when it fires, `example` tells one such case; what it asks of
    the thresholds is found out (docs/rules.md).
    """

    id: str
    title: str
    severity: Severity
    why: str
    detect: Callable[[Context], ibis.Table]
    fix: str = ""
    question: str = ""
    fix_field: str = ""
    policy: str = ""
    flag: str = ""
    exact: str = ""
    example: str = ""


def side(t: ibis.Table, kind: str, field: str | ibis.Value, **columns: Any) -> ibis.Table:
    """Rows of t as sides of findings. Columns not given are taken from t by name, else null; plain values become constants."""
    given = {"entity_kind": kind, "field": field, "part": "", **columns}
    out: dict[str, Any] = {}
    for name, type_ in SIDES.items():
        value = given[name] if name in given else (t[name] if name in t.columns else None)
        out[name] = value.cast(type_) if isinstance(value, ibis.Value) else ibis.literal(value, type=type_)
    return t.select(**out)


def sides(*parts: ibis.Table) -> ibis.Table:
    return stack(parts, SIDES)


def record_key(t: ibis.Table, prefix: str = "") -> ibis.Value:
    return t[f"{prefix}account"].concat(":", t[f"{prefix}resource"], ":", t[f"{prefix}vendor_id"])


def prefixed(t: ibis.Table, prefix: str, *keys: str) -> ibis.Table:
    """All columns renamed with the prefix, except the keys."""
    return t.select(*keys, **{f"{prefix}{name}": name for name in t.columns if name not in keys})


_RECORD = ("account", "resource", "vendor_id")


def one_side(t: ibis.Table, prefix: str, kind: str, field: str, **columns: Any) -> ibis.Table:
    """One end of a pair table as a side: its record columns carry the prefix."""
    return side(t, kind, field, **{name: t[f"{prefix}{name}"] for name in _RECORD}, **columns)
