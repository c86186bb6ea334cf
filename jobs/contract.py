"""The contract every connector is toured by (tests/test_contract_tour.py), in levels; which apply to whom, and why not to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.sandbox.kit import Emulator
from core.connector import Connector


@dataclass(frozen=True)
class Level:
    """`unless`: why the level does not apply to a vendor, in words; "" where it does."""

    name: str
    what: str
    unless: Callable[[Connector, type[Emulator]], str] = lambda connector, emulator: ""


def _no_wire(connector: Connector, emulator: type[Emulator]) -> str:
    return "" if emulator.wired else "it is not read over a network"


def _no_fields(connector: Connector, emulator: type[Emulator]) -> str:
    return "" if any(t.kind == "fields" for t in connector.targets) else "none of its fields can be written"


def _no_events(connector: Connector, emulator: type[Emulator]) -> str:
    return "" if any(t.kind == "events" for t in connector.targets) else "it takes no events"


def _one_way(connector: Connector, emulator: type[Emulator]) -> str:
    return "" if emulator.ways else "there is one way to sign in"


LEVELS = (
    Level("reads", "the probe is cheap; every row of every mapped resource arrives exactly once; a second sync appends nothing"),
    Level("changes", "what is changed at the vendor is picked up, even at the instant of the last read, and nothing else"),
    Level("wire", "wrong keys are named; throttling, 5xx, cut and slow answers, expiry change nothing; what is missing is told", _no_wire),
    Level("ways in", "with any of its kinds of credentials the same arrives; wrong ones are named, expired ones renewed", _one_way),
    Level("fields", "what is written reads back, can be cleared, and fails row by row; a read-only session sends no write", _no_fields),
    Level("events", "an event is told once; where a reply is lost it is never told twice", _no_events),
    Level("silence", "no secret and no address in any log"),
)  # fmt: skip


def exemptions(connector: Connector, emulator: type[Emulator]) -> dict[str, str]:
    """Level → why it does not apply; "" where it does."""
    return {level.name: level.unless(connector, emulator) for level in LEVELS}
