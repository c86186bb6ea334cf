"""Which wishes wait: fields that two writers fight over, and differences that too few pulls have seen.

It must not decide values nor write; `core.plan` holds what is named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from core.change import Desired, Held
from core.ledger import Ledger
from core.mapping import Mapping as VendorMapping
from core.thresholds import threshold
from core.wishes import PUSHED_FROM


def frozen(findings: Sequence[Mapping[str, Any]], members: pa.Table, mappings: Mapping[str, VendorMapping]) -> frozenset[tuple[str, str]]:
    """(vendor id, vendor's field) where two writers alternate (rule T-05): in that record and in its mirrors, or the fight moves there."""
    fought = {(row["entity_id"], PUSHED_FROM.get(row["field"], row["field"])) for row in findings if row["rule"] == "T-05"}
    if not fought:
        return frozenset()
    entities = {entity_id for entity_id, _ in fought}
    records = [(r["account"], r["vendor_id"], r["entity_id"]) for r in members.to_pylist() if r["entity_id"] in entities]
    return frozenset(
        (vendor_id, push.field)
        for account, vendor_id, entity_id in records
        for push in mappings[account].push
        if not push.owned and (entity_id, push.source) in fought
    )


def lasting(ledger: Ledger, funnel: Any, findings: Sequence[Mapping[str, Any]]) -> set[str]:
    """Ids of the findings that enough pulls have seen; one about consent waits for nothing."""
    wanted = int(threshold(funnel, "quiet_pulls"))
    pulls = [r.started_at for r in ledger.runs(max(20, wanted), "sync")] if wanted > 1 else []

    def seen(row: Mapping[str, Any]) -> int:
        return 1 + len([at for at in pulls if at > row["first_seen"]])

    return {r["finding_id"] for r in findings if seen(r) >= wanted or r["rule"].startswith("C-")}


def early(wishes: Iterable[Desired]) -> list[Held]:
    """These wishes, as held for those pulls."""
    reason = "not seen by enough pulls yet (thresholds.quiet_pulls)"
    return [Held(w.account, w.target, w.vendor_id, w.field, None, w.value, reason, w.rule) for w in wishes]
