"""What the ledger adds to mirrored records, as facts for the rules: bases, decisions, fights with another writer, and thaws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import ibis

from core.compiled import Compiled
from core.compiled import as_of as moment
from core.connector import Connector
from core.ledger import Ledger
from core.ledger_echo import bases, fights, fought_table, our_moves, thawed_table, thaws
from core.ledger_health import pulled
from core.ledger_writes import SharedFields, last_named, repeated_writes
from core.mapping import Mapping as VendorMapping
from core.merged import merge_mirrors
from core.model import KINDS
from core.rules import Context
from core.thresholds import threshold


@dataclass(frozen=True)
class Mirrored:
    """`agreed`: (pair, field, value) to keep as bases; `since`: when that was seen at the earliest."""

    facts: Mapping[str, ibis.Table]
    agreed: list[tuple[str, str, str]]
    since: datetime


def mirror_facts(
    ledger: Ledger, connectors: Mapping[str, Connector], mappings: Mapping[str, VendorMapping], funnel: Any,
    known: Mapping[str, ibis.Table], compiled: Compiled, at: datetime,
) -> Mirrored:  # fmt: skip
    """The facts base, merged, fought and thawed, over the facts that are known already."""
    shared, thawed = SharedFields(connectors, mappings), thaws(ledger)
    span, ours = timedelta(days=float(threshold(funnel, "ping_pong_days"))), our_moves(int(threshold(funnel, "ping_pong_times")))
    fought = fights(repeated_writes(ledger, shared, ours, at), thawed, span, ours)
    given = {"base": bases(ledger, at), "fought": fought_table(fought), "thawed": thawed_table(thawed)}
    facts = {name: compiled.give(f"fact.{name}", rows) for name, rows in given.items()}
    ctx = Context({kind: compiled.tables[f"record.{kind}"] for kind in KINDS}, {**known, **facts}, funnel, at, clock=moment())
    merged = merge_mirrors(ctx, compiled, lambda keys: last_named(ledger, shared, keys, at))
    facts["merged"] = compiled.give("fact.merged", merged.decisions)
    return Mirrored(facts, merged.agreed, _last_read(ledger, mappings, at))


def _last_read(ledger: Ledger, mappings: Mapping[str, VendorMapping], at: datetime) -> datetime:
    """Since when at the earliest somebody may have changed a deal unknown to us: the beginning of the oldest of their last reads."""
    holds_deals = {(account, name) for account, m in mappings.items() for name, r in m.resources.items() if "deal" in r.kinds}
    return min((read_at for account, name, read_at in pulled(ledger, at) if (account, name) in holds_deals), default=at)
