"""What a plan's wishes are made of: the facts, and beside them the measured values that a mapping asks for.

A plan for which no mapping asks for any pays nothing for measuring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ibis
import pyarrow as pa

from core.apply import Hand
from core.compiled import Compiled
from core.mapping import Mapping as VendorMapping
from core.measure.metric import Scope

_MEMBER = ("entity_id", "kind", "account", "resource", "vendor_id", "live")
KINDS = ("person", "company", "deal", "campaign")


@dataclass(frozen=True)
class Ground:
    """`members`: the records that may be written to, campaigns among them where any is; `sizes`: live campaigns by (account, object)."""

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
                for kind in mapping.resource(hand.targets[push.target].resource).kinds:
                    asked.setdefault(kind, set()).update((push.source, *push.only_when))
        for event in mapping.events:
            if event.target in hand.targets:
                asked.setdefault(event.of, set()).update({*event.sources.values(), event.value or ""})
    return _of_those_measured(asked)


def _of_those_measured(asked: Mapping[str, set[str]]) -> dict[str, set[str]]:
    if not any(asked.values()):
        return {}
    from core.measure.pushed import measured

    return {kind: names for kind, some in asked.items() if kind in KINDS and (names := some & measured(kind))}


def ground(
    scope: Callable[[], Scope], facts: Mapping[str, ibis.Table], members: ibis.Table, asked: Mapping[str, set[str]], compiled: Compiled
) -> Ground:
    """The facts with what is asked for beside them. `scope` is only called where something is."""
    if not asked:
        return Ground(facts, members, {})
    from core.measure.pushed import campaign_keys, pushable

    made, known, sizes = scope(), dict(facts), {}
    for kind, names in sorted(asked.items()):
        rows = pushable(made, kind, names)
        if rows is None:
            continue
        given = compiled.give(f"pushable.{kind}", rows)
        known[kind] = compiled.view(f"measured.{kind}", partial(_beside, facts[kind], given)) if kind in facts else given
        if kind == "campaign":
            own = campaign_keys(made).select("entity_id", "account", "resource", "vendor_id").to_pyarrow()
            sizes = _sizes(own)
            members = compiled.view("writable.campaigns", partial(_all, members, compiled.give("campaign members", _as_members(own))))
    return Ground(known, members, sizes)


def _beside(facts: ibis.Table, given: ibis.Table) -> ibis.Table:
    columns = [name for name in given.columns if name == "entity_id" or name not in facts.columns]
    return facts.left_join(given.select(columns), "entity_id").drop("entity_id_right")


def _as_members(own: pa.Table) -> pa.Table:
    columns: dict[str, Any] = {name: own[name] for name in ("entity_id", "account", "resource", "vendor_id")}
    columns |= {"kind": pa.array(["campaign"] * own.num_rows, pa.string()), "live": pa.array([True] * own.num_rows, pa.bool_())}
    return pa.table({name: columns[name] for name in _MEMBER})


def _all(members: ibis.Table, campaigns: ibis.Table) -> ibis.Table:
    return ibis.union(members.select(*_MEMBER), campaigns.select(*_MEMBER))


def _sizes(own: pa.Table) -> dict[tuple[str, str], int]:
    rows = own.group_by(["account", "resource"]).aggregate([("vendor_id", "count")]).to_pylist()
    return {(row["account"], row["resource"]): row["vendor_id_count"] for row in rows}
