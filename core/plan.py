"""Decide what would be written: desired against live values → changes, holds and refusals. Pure; plain data in and out.

It must not know vendors, read anything, or write anything. `core.apply` carries a plan out; `core.pipeline` feeds both.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from core.change import ANY, EVENT, Change, Desired, Held, Key, Plan, Written, canonical, identity
from core.merge import compared
from core.model import LADDER

FieldKey = tuple[str, str, str, str]
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Limits:
    """The guards of one plan. Shares are 0 to 1. A hub-owned field that is filled for the first time is not counted."""

    max_changes: int = 500
    max_share: float = 0.05
    share_floor: int = 25  # below so many changes the share is not asked
    max_drop: float = 0.5  # a resource that lost more than this share of its live rows since the last run is suspicious
    expires_h: float = 72.0
    rewrite_h: float = 24.0  # a field of people's is written at most once in so many hours


# -- from wishes to a plan --------------------------------------------------------------------------------------------
def build(
    wishes: Iterable[Desired],
    live: Mapping[Key, Mapping[str, Any]],
    *,
    now: datetime,
    as_of: datetime,
    limits: Limits,
    rungs: Mapping[tuple[str, str, str], Mapping[str, str]] | None = None,
    frozen: frozenset[tuple[str, str]] = frozenset(),
    written: Mapping[FieldKey, Written] | None = None,
) -> Plan:
    """The plan for `wishes`, given the live values of every record they touch.

    live: {(account, target, vendor id): {field: raw value}}; a record that is missing there is held as gone. Events have no
    live value: each that is wished is planned.
    rungs: {(account, target, field): {vendor value: milestone}}, for policies that compare stages.
    frozen: (vendor id, field) pairs nobody may write now (rule T-05).
    written: {(account, target, vendor id, field): our last write}, for fields we share with people.
    """
    changes: dict[str, Change] = {}
    held: list[Held] = []
    for wish in _one_per_field(wishes, held):
        if wish.type == EVENT:
            told = _change(wish, None)
            changes[told.change_id] = told
            continue
        record = live.get((wish.account, wish.target, wish.vendor_id))
        if record is None:
            held.append(_held(wish, None, "the record is gone from the vendor (deleted or merged away)"))
            continue
        now_there = canonical(record.get(wish.field), wish.type)
        if now_there == wish.value:
            continue
        ladder = (rungs or {}).get((wish.account, wish.target, wish.field), {})
        reason = (
            "frozen: two writers alternate on this field (T-05); once it has one writer: tundish thaw"
            if (wish.vendor_id, wish.field) in frozen
            else _forbidden(wish, now_there, ladder)
            or _too_soon(wish, now_there, (written or {}).get((wish.account, wish.target, wish.vendor_id, wish.field)), now, limits)
        )
        if reason:
            held.append(_held(wish, now_there, reason))
        else:
            change = _change(wish, now_there)
            changes[change.change_id] = change
    ordered = tuple(sorted(changes.values(), key=lambda c: (c.account, c.target, c.vendor_id, c.field)))
    return Plan(_hash(ordered), now, now + timedelta(hours=limits.expires_h), as_of, ordered, tuple(held))


def without(plan: Plan, change_ids: frozenset[str], held: Sequence[Held]) -> Plan:
    """The same plan less some changes (and so with another id); why they are held is told."""
    kept = tuple(c for c in plan.changes if c.change_id not in change_ids)
    return replace(plan, plan_id=_hash(kept), changes=kept, held=(*plan.held, *held))


def _one_per_field(wishes: Iterable[Desired], held: list[Held]) -> list[Desired]:
    """Wishes without contradictions: two wishes for one field that differ are both held, equal ones are one."""
    by_field: dict[tuple[str, ...], Desired] = {}
    torn: set[tuple[str, ...]] = set()
    for wish in wishes:
        key: tuple[str, ...] = (wish.account, wish.target, wish.vendor_id, wish.field)
        key += (wish.entity_id,) if wish.type == EVENT else ()  # one visitor may have two deals that were won
        other = by_field.setdefault(key, wish)
        if other.value != wish.value and key not in torn:
            torn.add(key)
            held.append(_held(wish, None, f"two rules want different values ({other.why}; {wish.why})"))
    return [wish for key, wish in by_field.items() if key not in torn]


def _forbidden(wish: Desired, live: str | None, ladder: Mapping[str, str]) -> str:
    """Why the policy forbids this wish; "" when it may be written."""
    if wish.policy == "manual":
        return "policy manual: a person decides"
    if wish.before != ANY and not _stands(wish.before, live):
        return "changed in the vendor since the last sync; sync again"
    if wish.policy == "fill_blank" and live is not None:
        return "policy fill_blank: the field is not empty"
    if wish.policy == "strictest" and not _stricter(wish, live):
        return "policy strictest: consent is never loosened"
    if wish.policy in ("never_regress", "furthest_stage") and live is not None and not _further(ladder, live, wish.value):
        return f"policy {wish.policy}: the live stage is further, or unmapped"
    if wish.policy in ("max", "min") and live is not None and not _beyond(wish, live):
        return f"policy {wish.policy}: the live value is {'larger' if wish.policy == 'max' else 'smaller'}"
    if wish.policy not in ("derived", "propagate_null") and wish.value is None:
        return "an empty value never overwrites"
    return ""


def _too_soon(wish: Desired, live: str | None, last: Written | None, now: datetime, limits: Limits) -> str:
    """Why a field we share with people is left alone for now; "" when it may be written. An opt-out never waits."""
    if last is None or wish.policy in ("derived", "strictest"):
        return ""
    if last.undone and (last.before, last.value) == (live, wish.value):
        return f"undone by a person on {last.at:%Y-%m-%d}; edit either side, or apply that plan again"
    if now - last.at < timedelta(hours=limits.rewrite_h):
        return f"written less than {limits.rewrite_h:g} hours ago (limits.rewrite_h); a later plan will ask again"
    return ""


def _stands(seen: str | None, live: str | None) -> bool:
    """Is it still what the lake saw? Of an instant it keeps our own day, so one on the day beside it may be it."""
    if seen and live and _DAY.fullmatch(seen) and "T" in live:
        return abs((date.fromisoformat(live[:10]) - date.fromisoformat(seen)).days) <= 1
    return seen == live


def _stricter(wish: Desired, live: str | None) -> bool:
    order = {"false": 1, "unsubscribed": 1, "true": 0, "subscribed": 0, None: 0}
    if wish.field.lower().endswith(("optout", "optedoutofemail")):  # fields whose true means "may not be mailed"
        order = {"true": 1, "false": 0, None: 0}
    return order.get(wish.value, -1) > order.get(live, 1)


def _beyond(wish: Desired, live: str) -> bool:
    order = compared(wish.value, live)
    return order > 0 if wish.policy == "max" else order < 0


def _further(ladder: Mapping[str, str], live: str, wanted: str | None) -> bool:
    place = {code: i for i, code in enumerate(LADDER)}
    a, b = place.get(ladder.get(live, "")), place.get(ladder.get(wanted or "", ""))
    return a is not None and b is not None and b > a


def _held(wish: Desired, live: str | None, reason: str) -> Held:
    return Held(wish.account, wish.target, wish.vendor_id, wish.field, live, wish.value, reason, wish.rule)


def _change(wish: Desired, before: str | None) -> Change:
    text = "\x1f".join((wish.account, wish.target, wish.vendor_id, wish.field, before or "", identity(wish.type, wish.value)))
    change_id = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Change(
        change_id,
        wish.account,
        wish.target,
        wish.vendor_id,
        wish.field,
        wish.type,
        before,
        wish.value,
        wish.why,
        wish.policy,
        wish.rule,
        wish.entity_id,
    )


def _hash(changes: Sequence[Change]) -> str:
    return hashlib.blake2b(orjson.dumps([c.change_id for c in changes]), digest_size=6).hexdigest()


# -- guards -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SourceSize:
    """Live rows of one resource now and after the last complete run (None: there was none)."""

    account: str
    resource: str
    now: int
    before: int | None
    complete: bool = True


def guard(plan: Plan, sizes: Mapping[tuple[str, str], int], sources: Sequence[SourceSize], limits: Limits) -> Plan:
    """The plan with the reasons why it must not be applied as it is; each names the setting or command that resolves it.

    sizes: live records by (account, target). A target that takes events has none, so no share is asked of it.
    """
    counted = [c for c in plan.changes if not (c.policy == "derived" and c.before is None)]
    per_target = Counter((c.account, c.target) for c in counted)
    records = Counter(key for key in {(c.account, c.target, c.vendor_id) for c in counted})
    touched = Counter((account, target) for account, target, _ in records)
    told = {(c.account, c.target) for c in counted if c.type == EVENT}
    reasons = []
    for (account, target), n in sorted(per_target.items()):
        share = touched[(account, target)] / max(1, sizes.get((account, target), 0))
        word = "events" if (account, target) in told else "changes"
        if n > limits.max_changes:
            reasons.append(
                f"{account}/{target}: {n} {word}, more than limits.max_changes = {limits.max_changes}; "
                "review, then `tundish apply PLAN --allow-large`"
            )
        elif word == "changes" and n > limits.share_floor and share > limits.max_share:
            reasons.append(
                f"{account}/{target}: {share:.0%} of all records would change, more than limits.max_share = {limits.max_share:.0%}; "
                "review, then `tundish apply PLAN --allow-large`"
            )
    reasons += [r for s in sources if (r := _suspicious(s, limits))]
    return replace(plan, refusals=tuple(reasons))


def _suspicious(source: SourceSize, limits: Limits) -> str:
    where = f"{source.account}/{source.resource}"
    if not source.complete:
        return f"{where}: the last sync was not complete; run `tundish sync {source.account}` until it is, or apply with --allow-partial"
    if source.before and source.now < source.before * (1 - limits.max_drop):
        return (
            f"{where}: {source.before} live rows before, {source.now} now; a source that empties suddenly is not trusted. "
            "Check it, then apply with --allow-shrunk"
        )
    return ""
