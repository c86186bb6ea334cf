"""A CSV page → its cells by column, a few hundred rows at a time. "" and a column that is missing are None.

Arrow takes the page apart, five times as fast as Python's reader; texts are only made for the part in hand, so a page of
any size takes little more than its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from core.errors import VendorError

PART_ROWS = 400  # their values stay in the processor's cache while they are read, made columns and turned into Arrow


def parts(body: bytes, names: Sequence[str], resource: str) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in parts; each row has a cell for every one of `names`, which may repeat. An empty body has no parts.

    Raises: VendorError when it is no CSV, or a row has more or fewer cells than the header.
    """
    if not body or body.isspace():
        return
    table = _table(body, list(dict.fromkeys(names)), resource)
    columns = [table.column(name) for name in names]
    for start in range(0, table.num_rows, PART_ROWS):
        part = (column.slice(start, PART_ROWS).to_numpy(zero_copy_only=False).tolist() for column in columns)
        yield list(zip(*part, strict=True))


def _table(body: bytes, names: list[str], resource: str) -> pa.Table:
    whole = arrow_csv.ReadOptions(use_threads=False, block_size=len(body) + 1)  # one block: a value may be of any length
    texts = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        include_missing_columns=True,
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        return arrow_csv.read_csv(pa.BufferReader(body), whole, arrow_csv.ParseOptions(newlines_in_values=True), texts)
    except pa.ArrowInvalid:  # its own words may hold cells
        message = f"{resource}: the answer is not a table of comma-separated values ({len(body)} bytes)"
        raise VendorError(message, next_step="run again; if it stays so, see the vendor's status page") from None
