"""What a plan's wishes are made of: the facts, and beside them the measured values that a mapping asks for.

A plan for which no mapping asks for any pays nothing for measuring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ibis
import pyarrow as pa

from core.apply import Hand
from core.change import ANY_STAYS
from core.compiled import Compiled
from core.connector import Target
from core.mapping import Mapping as VendorMapping
from core.measure.metric import Scope
from core.wishes import NOTHING

_MEMBER = ("entity_id", "kind", "account", "resource", "vendor_id", "live")
KINDS = ("person", "company", "deal", "campaign")


@dataclass(frozen=True)
class Ground:
    """`members`: the records that may be written to, with campaigns and links where any are; `sizes`: those by (account, object)."""

    facts: Mapping[str, ibis.Table]
    members: ibis.Table
    sizes: Mapping[tuple[str, str], int]


def wanted(mappings: Mapping[str, VendorMapping], hands: Mapping[str, Hand]) -> dict[str, set[str]]:
    """The measured values that are pushed or told, by kind."""
    asked: dict[str, set[str]] = {}
    for account, hand in hands.items():
        mapping = mappings[account]
        for push in mapping.push:
            if push.owned and push.target in hand.targets:
                for kind in () if hand.targets[push.target].kind == "links" else mapping.resource(hand.targets[push.target].resource).kinds:
                    asked.setdefault(kind, set()).update((push.source, *push.only_when))
        for event in mapping.events:
            if event.target in hand.targets:
                money = {"lead_currency"} if event.value == "lead_value" else set()
                asked.setdefault(event.of, set()).update({*event.sources.values(), event.value or "", *money})
    return _of_those_measured(asked)


def _of_those_measured(asked: Mapping[str, set[str]]) -> dict[str, set[str]]:
    if not any(asked.values()):
        return {}
    from core.measure.pushed import measured

    return {kind: names for kind, some in asked.items() if kind in KINDS and (names := some & measured(kind))}


Link = tuple[str, Target]  # account, and a target of kind "links"


def linked(mappings: Mapping[str, VendorMapping], hands: Mapping[str, Hand]) -> list[Link]:
    """The targets that take links, where a mapping says what they say."""
    return [
        (account, target)
        for account, hand in hands.items()
        for target in hand.targets.values()
        if target.kind == "links" and mappings[account].pushes(target.name)
    ]


def ground(
    scope: Callable[[], Scope], facts: Mapping[str, ibis.Table], members: ibis.Table, asked: Mapping[str, set[str]],
    links: Sequence[Link], pushed: Callable[[str], pa.Table], compiled: Compiled,
) -> Ground:  # fmt: skip
    """The facts with what is asked for beside them. `scope` is only called where something is; `pushed`: by account what was written."""
    if not asked and not links:
        return Ground(facts, members, {})
    from core.measure.pushed import pushable
    from core.measure.pushed_campaigns import campaign_keys

    made, known, added = scope(), dict(facts), []
    for kind, names in sorted(asked.items()):
        rows = pushable(made, kind, names)
        if rows is None:
            continue
        given = compiled.give(f"pushable.{kind}", rows)
        known[kind] = compiled.view(f"measured.{kind}", partial(_beside, facts[kind], given)) if kind in facts else given
        if kind == "campaign":
            own = campaign_keys(made).select("entity_id", "account", "resource", "vendor_id").to_pyarrow()
            added.append(_as_members(own, "campaign"))
    if links:
        rows, own = _links(made, links, pushed)
        known["influence"] = compiled.give("pushable.influence", rows)
        added.append(_as_members(own, "influence"))
    if added:
        more = pa.concat_tables(added)
        members = compiled.view("writable.more", partial(_all, members, compiled.give("more members", more)))
        return Ground(known, members, _sizes(more))
    return Ground(known, members, {})


_LINK = pa.schema([(name, pa.string()) for name in ("entity_id", "campaign_influence", "stay_campaign_influence")])
_OWN = pa.schema([(name, pa.string()) for name in ("entity_id", "account", "resource", "vendor_id")])


def _links(scope: Scope, links: Sequence[Link], pushed: Callable[[str], pa.Table]) -> tuple[pa.Table, pa.Table]:
    """(the share of each link, the links as records): those that are due, and those written before that no longer are.

    What was written for deals nobody looks at any more stays as it is.
    """
    from core.measure.influence import influence

    shares: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    for account, target in links:
        due, seen = influence(scope, account, target.ends or ("", ""))
        written = [r["vendor_id"] for r in pushed(account).to_pylist() if r["target"] == target.name and r["value_hash"] != NOTHING]
        for pair in sorted({*due, *written}):
            name = f"{account}:{pair}"
            stay = None if pair.partition(":")[0] in seen else ANY_STAYS
            shares.append({"entity_id": name, "campaign_influence": due.get(pair), "stay_campaign_influence": stay})
            own.append({"entity_id": name, "account": account, "resource": target.resource, "vendor_id": pair})
    return pa.Table.from_pylist(shares, schema=_LINK), pa.Table.from_pylist(own, schema=_OWN)


def _beside(facts: ibis.Table, given: ibis.Table) -> ibis.Table:
    columns = [name for name in given.columns if name == "entity_id" or name not in facts.columns]
    return facts.left_join(given.select(columns), "entity_id").drop("entity_id_right")


def _as_members(own: pa.Table, kind: str) -> pa.Table:
    columns: dict[str, Any] = {name: own[name] for name in ("entity_id", "account", "resource", "vendor_id")}
    columns |= {"kind": pa.array([kind] * own.num_rows, pa.string()), "live": pa.array([True] * own.num_rows, pa.bool_())}
    return pa.table({name: columns[name] for name in _MEMBER})


def _all(members: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    return ibis.union(members.select(*_MEMBER), campaigns.select(*_MEMBER))


def _sizes(own: pa.Table) -> dict[tuple[str, str], int]:
    rows = own.group_by(["account", "resource"]).aggregate([("vendor_id", "count")]).to_pylist()
    return {(row["account"], row["resource"]): row["vendor_id_count"] for row in rows}
