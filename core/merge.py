"""Who wins when two mirrored records differ: a three-way merge against the last value both agreed on, and the policies as functions.

Pure; plain data in and out. It must not know vendors, storage or the engine. `core.merged` feeds it, the D- and S-rules use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal

from core.model import LADDER

Wins = Literal["a", "b", ""]


@dataclass(frozen=True)
class Side:
    """One record's value of the field, in a form that is the same for all systems; None is blank.

    changed_in: (no earlier than, no later than) the value got there. Both are one instant where the field has a history; else
    the first is when the old value was last seen, and the second when the record was last changed. None: not known.
    moved: somebody put the value there since both agreed, though no history says so.
    """

    value: str | None
    changed_in: tuple[datetime | None, datetime | None] = (None, None)
    moved: bool = False


@dataclass(frozen=True)
class Base:
    """The last value both sides agreed on, or that we wrote to make them agree, and when."""

    value: str
    at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """Whose value both are to have; "" for neither: a person decides. `why` is for him."""

    wins: Wins
    why: str = ""


@dataclass(frozen=True)
class Terms:
    """How a field is decided. a is the side the funnel believes; `ranked`: it says so itself. `same`: are two values one?"""

    policy: str
    ranked: bool = True
    tolerance: timedelta = timedelta(minutes=2)
    same: Callable[[str | None, str | None], bool] = lambda one, other: one == other


def decide(terms: Terms, a: Side, b: Side, base: Base | None) -> Decision:
    """The decision for two values that differ. Without a base only the source of truth may replace a value by another."""
    if terms.policy in ("source_of_truth", "prefer_unless_blank"):
        return Decision("b" if a.value is None else "a")
    if a.value is None or b.value is None:
        return Decision("a" if b.value is None else "b", "the other one is blank") if terms.policy != "manual" else Decision("")
    if base is None and terms.policy in MERGED:
        return Decision("", "they never agreed since both are known: no common value to compare with")
    policy = MERGED.get(terms.policy)
    return policy(terms, a, b, base) if policy and base else Decision("")


def three_way(terms: Terms, a: Side, b: Side, base: Base) -> Decision:
    """Only one differs from the base: that one. Both: the newer edit; where no clock can tell, the side the funnel believes."""
    if untouched(terms, a, base):
        return Decision("b", "only this one was changed since both agreed")
    if untouched(terms, b, base):
        return Decision("a", "only the other one was changed since both agreed")
    newer = newest(a, b, terms.tolerance)
    if newer:
        return Decision(newer, "both were changed since they agreed; the newer edit counts")
    if terms.ranked:
        return Decision("a", "both were changed at about the same time; the order of the policy counts")
    return Decision("", "both were changed at about the same time")


def untouched(terms: Terms, side: Side, base: Base) -> bool:
    """Does the base stand there, and nobody put it there anew? A history, or our own write, tells of one who came back."""
    if side.moved:
        return False
    since, until = side.changed_in
    came_back = base.at is not None and since is not None and since == until and since > base.at + terms.tolerance
    return terms.same(side.value, base.value) and not came_back


def newest(a: Side, b: Side, tolerance: timedelta) -> Wins:
    """Whose change is certainly the newer one, over clocks that may be `tolerance` apart; "" when nobody can say."""
    (a_from, a_to), (b_from, b_to) = a.changed_in, b.changed_in
    if b_from and a_to and b_from > a_to + tolerance:
        return "b"
    if a_from and b_to and a_from > b_to + tolerance:
        return "a"
    return ""


def furthest_stage(terms: Terms, a: Side, b: Side, base: Base) -> Decision:
    """The one further up the ladder; off the ladder nobody is further."""
    place = {code: i for i, code in enumerate(LADDER)}
    one, other = place.get(a.value or ""), place.get(b.value or "")
    if one is None or other is None or one == other:
        return Decision("")
    return Decision("a" if one > other else "b", "it is further")


def largest(terms: Terms, a: Side, b: Side, base: Base) -> Decision:
    order = compared(a.value, b.value)
    return Decision("a" if order > 0 else "b", "it is the larger one") if order else Decision("")


def smallest(terms: Terms, a: Side, b: Side, base: Base) -> Decision:
    order = compared(a.value, b.value)
    return Decision("a" if order < 0 else "b", "it is the smaller one") if order else Decision("")


def compared(one: str | None, other: str | None) -> int:
    """-1, 0 or 1: numbers as numbers, days and all else as text."""
    try:
        left, right = Decimal(one or ""), Decimal(other or "")
        return (left > right) - (left < right)
    except InvalidOperation:
        return ((one or "") > (other or "")) - ((one or "") < (other or ""))


Policy = Callable[[Terms, Side, Side, Base], Decision]
MERGED: Mapping[str, Policy] = {
    "most_recent": three_way, "furthest_stage": furthest_stage, "never_regress": furthest_stage, "max": largest, "min": smallest,
}  # fmt: skip

# Which policies a field of the funnel can have. `person`, `company` and `lost_reason` are never written back by a rule: their order
# says whose value we show.
_SHOWN = ("source_of_truth", "prefer_unless_blank")
_MIRRORED = (*_SHOWN, "most_recent", "manual")
POLICIES_OF: Mapping[str, tuple[str, ...]] = {
    "stage": (*_MIRRORED, "furthest_stage", "never_regress"),
    "amount": (*_MIRRORED, "max", "min"),
    "close_date": (*_MIRRORED, "max", "min"),
    "owner": _MIRRORED,
    "lifecycle": ("never_regress", "furthest_stage", "manual"),
    "consent": ("strictest",),
    "lost_reason": _SHOWN,
    "person": _SHOWN,
    "company": _SHOWN,
}
