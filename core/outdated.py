"""What of a saved plan may no longer be written, because config or mappings have changed since it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.apply import Hand
from core.change import EVENT, Change
from core.errors import UnsafePlan
from core.mapping import Mapping as VendorMapping


def check_hands(changes: Sequence[Change], hands: Mapping[str, Hand]) -> None:
    """Raises: UnsafePlan when an account or a target of the changes is not open to writing any more."""
    closed = sorted({f"{c.account}/{c.target}" for c in changes if c.account not in hands or c.target not in hands[c.account].targets})
    if closed:
        raise UnsafePlan(
            f"not open to writing: {', '.join(closed)}",
            next_step="`push: false` in the config, or a missing setting, says so; change it there, or leave them out with --only",
        )


def check_pushes(changes: Sequence[Change], mappings: Mapping[str, VendorMapping]) -> None:
    """Raises: UnsafePlan when a mapping does not name a field or an event of the changes any more."""
    gone = sorted({f"{c.account}/{c.target} {c.field}" for c in changes if not _named(c, mappings[c.account])})
    if gone:
        raise UnsafePlan(
            f"the mapping no longer says to write {', '.join(gone)}",
            next_step="make a new plan: tundish plan; or apply only the rest with --only",
        )


def _named(change: Change, mapping: VendorMapping) -> bool:
    if change.type == EVENT:
        return any(event.name == change.field for event in mapping.events_to(change.target))
    return any(push.field == change.field for push in mapping.pushes(change.target))
