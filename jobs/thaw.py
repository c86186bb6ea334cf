"""Fields that rule T-05 froze because two writers alternate on them, and letting them be written again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import UserError
from core.ledger_echo import thaw, thaws
from jobs.wiring import Hub


@dataclass(frozen=True)
class Frozen:
    """One field of one entity. `records` are (account, object, id) of those on which the writers alternate."""

    finding_id: str
    entity_id: str
    field: str
    values: dict[str, str]
    records: tuple[tuple[str, str, str], ...]


def frozen_fields(hub: Hub) -> list[Frozen]:
    """Those that the last reconcile run found and nobody has thawed since."""
    try:
        rows = hub.lake.engine.to_pyarrow(hub.lake.latest_run("finding")).to_pylist()
    except UserError:  # nothing was reconciled yet
        return []
    thawed = thaws(hub.ledger)
    found = [(_of(r), r["last_seen"]) for r in rows if r["rule"] == "T-05" and r["status"] == "open"]
    return [one for one, seen in found if not all(thawed.get((*record, one.field), seen) > seen for record in one.records)]


def _of(row: Mapping[str, Any]) -> Frozen:
    records = tuple((account, resource, vendor_id) for account, resource, vendor_id in json.loads(row["records"]))
    return Frozen(row["finding_id"], row["entity_id"], row["field"], json.loads(row["values"]), records)


def chosen(frozen: Sequence[Frozen], words: Sequence[str]) -> list[Frozen]:
    """Those with one of the ids: of the entity, the finding or a record. Raises: UserError for a word that names none."""
    for word in words:
        if not any(word in _ids(one) for one in frozen):
            raise UserError(f"nothing is frozen under {word!r}", next_step="list what is: tundish thaw")
    return [one for one in frozen if set(words) & _ids(one)]


def _ids(one: Frozen) -> set[str]:
    return {one.entity_id, one.finding_id, *(vendor_id for _, _, vendor_id in one.records)}


def thaw_fields(hub: Hub, frozen: Iterable[Frozen]) -> None:
    """From now on only what happens later counts as alternating."""
    thaw(hub.ledger, [(*record, one.field) for one in frozen for record in one.records], hub.clock())


def thaw_text(frozen: Sequence[Frozen], done: bool) -> str:
    if not frozen:
        return "nothing is frozen"
    lines = [f"{one.entity_id}  {one.field:12} {', '.join(' '.join(pair) for pair in one.values.items())}" for one in frozen]
    end = "thawed; the next `tundish plan` may write them again" if done else "thaw one with `tundish thaw ID` once it has one writer"
    return "\n".join([*lines, end])
