"""Which of the vendors' fields the mappings let the hub write, and which of them they leave to another integration: for rule G-06."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from core.change import Desired, Held
from core.connector import Connector
from core.mapping import Mapping as VendorMapping

WRITTEN = pa.schema([(name, pa.string()) for name in ("account", "vendor", "resource", "kind", "field", "ours", "place", "synced")])
# What a field is called in histories (StageChange.field), by what is written into it.
_HISTORY = {
    "amount": "amount", "close_date": "close_date", "stage": "stage", "lifecycle": "lifecycle", "lead_status": "status",
    "consent": "consent", "marketable": "consent",
}  # fmt: skip


def written_fields(mappings: Mapping[str, VendorMapping], connectors: Mapping[str, Connector]) -> pa.Table:
    """One row per pushed field. `ours`: what histories call it, unless it is the hub's own; `synced`: where it is left to others."""
    return pa.Table.from_pylist([*_rows(mappings, connectors)], schema=WRITTEN)


def _rows(mappings: Mapping[str, VendorMapping], connectors: Mapping[str, Connector]) -> Iterator[dict[str, Any]]:
    for account, mapping in mappings.items():
        objects = {target.name: target.resource for target in connectors[account].targets}
        for push in mapping.push:
            resource = objects[push.target]
            kinds = mapping.resources[resource].kinds if resource in mapping.resources else ()
            yield {
                "account": account, "vendor": mapping.vendor, "resource": resource, "field": push.field,
                "kind": next((kind for kind in kinds if kind in ("person", "company", "deal")), None),
                "ours": None if push.owned else _HISTORY.get(push.source), "place": push.where, "synced": push.synced or None,
            }  # fmt: skip


def left_to_others(wishes: list[Desired], mappings: Mapping[str, VendorMapping]) -> tuple[list[Desired], list[Held]]:
    """The wishes without those for fields another integration owns, and these as held.

    A field of the hub's own is wished for every record at once, so it is held once.
    """
    synced = {(account, p.target, p.field): p.synced for account, mapping in mappings.items() for p in mapping.push if p.synced}
    held: dict[tuple[str, ...], Held] = {}
    for wish in wishes:
        where = synced.get((wish.account, wish.target, wish.field))
        if where:
            reason = f"another integration owns this field ({where}, `synced_natively`): the hub only reads it (G-06)"
            one = "*" if wish.policy == "derived" else wish.vendor_id
            value = None if wish.policy == "derived" else wish.value
            key = (wish.account, wish.target, one, wish.field, wish.rule)
            held[key] = Held(wish.account, wish.target, one, wish.field, None, value, reason, wish.rule)
    return [w for w in wishes if (w.account, w.target, w.field) not in synced], list(held.values())
