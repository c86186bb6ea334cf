"""A table of the engine as an Ibis expression, at the cost of one DESCRIBE."""

from __future__ import annotations

from functools import cache
from typing import Any

import ibis
from ibis.backends.sql.datatypes import DuckDBType
from ibis.expr import datatypes, operations


def bound(engine: Any, name: str) -> ibis.Table:
    """The engine's table or view of that name. Ibis's own `table` parses the type of every column each time, 3 ms for a wide one; a plan
    binds a hundred.
    """
    rows = engine.con.execute(f'DESCRIBE "{name}"').fetchall()
    schema = ibis.schema({column: _type(type_, null == "YES") for column, type_, null, *_ in rows})
    return operations.DatabaseTable(name, schema=schema, source=engine, namespace=operations.Namespace()).to_expr()


@cache
def _type(text: str, nullable: bool) -> datatypes.DataType:
    """What the engine calls so. Few texts are different, whatever the data."""
    return DuckDBType.from_string(text, nullable=nullable)
