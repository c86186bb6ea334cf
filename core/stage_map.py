"""What the mappings say the vendors' stages were called when their lines were written: rows for rule G-02 to compare with today's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from core.mapping import Mapping as VendorMapping

STAGE_MAP = pa.schema(
    [("account", pa.string()), ("resource", pa.string()), ("key", pa.string()), ("label", pa.string()), ("probability", pa.float64())]
)


def stage_map(mappings: Mapping[str, VendorMapping]) -> pa.Table:
    """One row per line of a stage table that tells a label or a probability, for each resource whose stages are defined by the table."""
    return pa.Table.from_pylist([*_rows(mappings)], schema=STAGE_MAP)


def _rows(mappings: Mapping[str, VendorMapping]) -> Iterator[dict[str, Any]]:
    for account, mapping in mappings.items():
        for resource, kind, table in mapping.stage_uses:
            for key, row in mapping.stages[table].current.items() if kind == "stage_definition" else ():
                if row.label is not None or row.probability is not None:
                    yield {"account": account, "resource": resource, "key": key, "label": row.label, "probability": row.probability}
