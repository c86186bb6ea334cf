"""What may be written, as plain data: wishes, changes, plans, and the one canonical spelling of a value.

Shared by `core.plan` (decides) and `core.apply` (carries out); it must know neither vendors nor storage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

EVENT = "event"  # the type of a change that tells something that happened: its field is the event's name
ANY_STAYS = "*"  # of a fact `stay_…`: whatever was pushed may stay
ANY = "\0any"  # "whatever stands there": no value can be equal to it
Key = tuple[str, str, str]  # account, target, vendor id


@dataclass(frozen=True)
class Desired:
    """One field of one vendor record as it should be. `value` is text in canonical form (see `canonical`), None clears.

    `before` is what the lake last saw there, when a finding's fix was decided on that value; `ANY` otherwise.
    """

    account: str
    target: str
    vendor_id: str
    field: str
    type: str
    value: str | None
    why: str
    policy: str = "derived"
    rule: str = ""
    entity_id: str = ""
    before: str | None = ANY


@dataclass(frozen=True)
class Change:
    """One field of one vendor record: `before` (live when planned) → `after`. Both canonical text; None is empty.

    Of type `EVENT` it is one event of the visitor `vendor_id`: `before` is None and `after` is `event_text` of its values.
    """

    change_id: str
    account: str
    target: str
    vendor_id: str
    field: str
    type: str
    before: str | None
    after: str | None
    why: str
    policy: str
    rule: str
    entity_id: str


@dataclass(frozen=True)
class Held:
    """A wish that was not planned, and why: a conflict, a policy that forbids it, a record that is gone."""

    account: str
    target: str
    vendor_id: str
    field: str
    live: str | None
    wanted: str | None
    reason: str
    rule: str = ""


@dataclass(frozen=True)
class Plan:
    """What would be written, as plain data. `plan_id` is a hash of the changes: the same changes, the same plan."""

    plan_id: str
    created_at: datetime
    expires_at: datetime
    as_of: datetime
    changes: tuple[Change, ...]
    held: tuple[Held, ...] = ()
    refusals: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)  # write requests this plan will cost, by account

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = vars(self) | {"changes": [dict(vars(c)) for c in self.changes], "held": [dict(vars(h)) for h in self.held]}
        for name in ("created_at", "expires_at", "as_of"):
            data[name] = data[name].isoformat()
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Plan:
        times = {n: datetime.fromisoformat(data[n]) for n in ("created_at", "expires_at", "as_of")}
        changes = tuple(Change(**c) for c in data["changes"])
        held = tuple(Held(**h) for h in data.get("held", ()))
        return Plan(
            data["plan_id"],
            changes=changes,
            held=held,
            refusals=tuple(data.get("refusals", ())),
            requests=data.get("requests", {}),
            **times,
        )

    def counts(self) -> dict[str, int]:
        """Changes by "account/target"."""
        return dict(sorted(Counter(f"{c.account}/{c.target}" for c in self.changes).items()))


@dataclass(frozen=True)
class Outcome:
    """What became of one change. status: applied already drifted gone rejected failed | undone kept.

    Of an event also: uncertain (sent, but no reply came; never sent again) and late (by now too old for the vendor).
    """

    change_id: str
    status: str
    detail: str = ""
    found: str | None = None  # the value found before writing (the before-image), canonical text


@dataclass(frozen=True)
class Written:
    """What we wrote, in the vendor's words, over what, and when; `undone`: a person had it taken back then."""

    value: str | None
    at: datetime
    before: str | None = None
    undone: bool = False


# -- events ------------------------------------------------------------------------------------------------------------
def event_text(values: Mapping[str, Any]) -> str:
    """The one spelling of an event's values (see `core.connector.Target`): JSON with sorted keys."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def event_values(text: str | None) -> dict[str, Any]:
    """The values again; {} for what was erased."""
    values: dict[str, Any] = orjson.loads(text) if text else {}
    return values


def identity(type_: str, after: str | None) -> str:
    """What makes a change the same one when it is planned again: of an event not when it is said to have happened."""
    if type_ != EVENT:
        return after or ""
    return event_text({name: value for name, value in event_values(after).items() if name != "occurred_at"})


# -- canonical text ---------------------------------------------------------------------------------------------------
def canonical(value: Any, type_: str) -> str | None:
    """The one spelling of a value of a push type (text number boolean date datetime tag), for comparing and storing.

    "" and None are both None. Numbers lose trailing zeros, instants are UTC to the second, dates stay dates.
    """
    if value is None or value == "":
        return None
    if type_ == "number":
        return _number(value)
    if type_ == "boolean":
        text = str(value).strip().lower()
        return {"1": "true", "0": "false"}.get(text, text)
    if type_ == "date":
        return _date(value)
    if type_ == "datetime":
        return _datetime(value)
    return str(value).strip() or None


def _number(value: Any) -> str:
    try:
        number = Decimal(str(value)).normalize()
    except InvalidOperation:
        return str(value)
    return format(number, "f") if number else "0"


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    if text.isdigit() and len(text) >= 11:  # epoch milliseconds, as HubSpot stores date properties
        return datetime.fromtimestamp(int(text) / 1000, UTC).date().isoformat()
    return text[:10]


def _datetime(value: Any) -> str:
    if not isinstance(value, datetime):
        text = str(value).strip()
        if text.isdigit() and len(text) >= 11:
            value = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            try:
                value = datetime.fromisoformat(text)
            except ValueError:
                return text
    moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    utc: str = moment.astimezone(UTC).replace(microsecond=0).isoformat()
    return utc.replace("+00:00", "Z")
