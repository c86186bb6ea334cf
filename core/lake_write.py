"""How rows are written to a Delta table: columns, statistics, and again after another writer's commit. And what the engine may take."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import ColumnProperties, DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

_STATISTICS = ("account", "resource", "batch_id", "version", "run_id")  # what readers prune files by; on wide text it only costs
ONCE: dict[str, Any] = {"compression": "SNAPPY"}  # appended rows are read a few times before `compact` writes them anew
KEPT: dict[str, Any] = {"compression": "ZSTD", "compression_level": 1}
_TRIES = 8
LEAST_MEMORY = "1GB"


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the schema's columns, nulls for what it lacks; extra columns stay behind them."""
    n = table.num_rows
    columns = [table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(n, f.type) for f in schema]
    extra = [name for name in table.column_names if schema.get_field_index(name) < 0]
    fields = [*schema, *(table.schema.field(name) for name in extra)]
    return pa.Table.from_arrays([*columns, *(table[name] for name in extra)], schema=pa.schema(fields))


def writer(names: Sequence[str], compression: Mapping[str, Any]) -> WriterProperties:
    plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    pruned = ColumnProperties(dictionary_enabled=False, statistics_enabled="CHUNK")
    return WriterProperties(
        **compression,
        default_column_properties=plain,
        column_properties={name: pruned for name in names if name in _STATISTICS},
    )


def again(act: Any, table: DeltaTable) -> Any:
    """Appends, deletes and compactions may meet another writer's commit: look again and repeat."""
    for left in reversed(range(_TRIES)):
        try:
            return act()
        except CommitFailedError:
            if left == 0:
                raise
            table.update_incremental()
    return None


def spill_folder(root: str | None) -> str:
    """A folder of its own for each: two engines' spill files share names. In the machine's own where the lake is read-only."""
    if root is not None:
        parent = os.path.join(root, "_tmp")
        with suppress(OSError):
            os.makedirs(parent, exist_ok=True)
            return tempfile.mkdtemp(prefix="engine-", dir=parent)
    return tempfile.mkdtemp(prefix="engine-")


@cache
def part_of_the_machine() -> str:
    """Half of what the engine would take by itself, which is four fifths of what the machine, or its container, has."""
    with duckdb.connect(":memory:") as connection:
        [said] = connection.execute("SELECT current_setting('memory_limit')").fetchone() or (LEAST_MEMORY,)
    number, _, unit = str(said).partition(" ")
    return f"{float(number) / 2:.1f}{unit}" if unit in ("GiB", "TiB") and float(number) > 2 else LEAST_MEMORY
