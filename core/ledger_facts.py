"""Facts that no lake has, because they are about what the hub did: what it told, read and forgot, and which writes were not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import ibis
import pyarrow as pa

from core.compiled import Compiled
from core.connector import Connector
from core.entity_history import EntityHistory
from core.ledger import Ledger
from core.ledger_events import told_entities
from core.ledger_forget import ERASED, erased
from core.ledger_health import pulled, refused_writes

_MOMENT = pa.timestamp("us", "UTC")
SCHEMAS = {
    # what the hub told vendors of whom
    "told": pa.schema([("entity_id", pa.string()), ("event", pa.string())]),
    # when the hub last read every object whole
    "pulled": pa.schema([("account", pa.string()), ("resource", pa.string()), ("read_at", _MOMENT)]),
    # fields whose last write was not taken
    "refused": pa.schema(
        [*((name, pa.string()) for name in ("account", "resource", "vendor_id", "field", "value", "reason")), ("at", _MOMENT)]
    ),
    **ERASED,
}  # fmt: skip


def ledger_facts(
    ledger: Ledger, connectors: Mapping[str, Connector], compiled: Compiled, until: datetime, past: EntityHistory | None = None
) -> dict[str, ibis.Table]:
    """The tables SCHEMAS describes, as they were then.

    Connectors by account say which object a target writes to; what was told of an entity is known of all that its records belong to now.
    """
    past = past or EntityHistory()
    objects = {(account, target.name): target.resource for account, c in connectors.items() for target in c.targets}
    refused = [(account, objects.get((account, name), name), *rest) for account, name, *rest in refused_writes(ledger, until)]
    told = sorted({(heir, event) for entity, event, at in told_entities(ledger, until) for heir in past.heirs(entity, at)})
    rows: dict[str, Sequence[tuple[object, ...]]] = {"told": told, "pulled": pulled(ledger, until), "refused": refused}
    tables = {name: _table(some, SCHEMAS[name]) for name, some in rows.items()} | erased(ledger)
    return {name: compiled.give(f"fact.{name}", table) for name, table in tables.items()}


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
