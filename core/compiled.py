"""SQL that was compiled before: compiling a rule costs ten times what the engine needs to answer it, at any size of lake.

What is kept is text with the tables' own names taken out and the instant left to an engine variable, so it holds for
every run over tables of these shapes. A fingerprint of the code, the funnel and the shapes says for how long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from core.tables import MOMENT

VARIABLE = "tundish_as_of"
_CODE = Path(__file__).parent


@ibis.udf.scalar.builtin(name="getvariable", signature=((str,), MOMENT))  # type: ignore[untyped-decorator]
def _variable(of: str) -> datetime:  # type: ignore[empty-body]
    """A variable of the engine's session."""


def as_of() -> ibis.Value:
    """The instant of the run, as a value that does not stand in the text of the query."""
    return _variable(VARIABLE)


@dataclass
class Compiled:
    """Compiled queries by name, over the tables of one run. `known` is what earlier runs left; `fresh` what this one adds."""

    engine: Any
    tables: Mapping[str, ibis.Table]
    known: Mapping[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {name: getattr(table.op(), "name", None) for name, table in self.tables.items()}
        self._names = {name: own for name, own in names.items() if own is not None}

    def rows(self, name: str, build: Callable[[], ibis.Table], schema: pa.Schema, moment: datetime) -> pa.Table:
        """The rows of what `build` describes; it is only called when no text is known."""
        sql = self.known.get(name) or self.fresh.get(name)
        if sql is None:
            expression = build()
            sql = self._general(self.engine.compile(expression), expression)
            if sql is None:
                self._at(moment)
                return self.engine.to_pyarrow(expression)
            self.fresh[name] = sql
        for logical, own in self._names.items():
            sql = sql.replace(f'"{{{logical}}}"', f'"{own}"')
        self._at(moment)
        return self.engine.con.execute(sql).to_arrow_table().cast(schema)

    def _at(self, moment: datetime) -> None:
        self.engine.con.execute(f"SET VARIABLE {VARIABLE} = TIMESTAMPTZ '{moment.isoformat()}'")

    def _general(self, sql: str, expression: ibis.Table) -> str | None:
        """The text without this run's names; None when it stands on a table that has no name of ours."""
        leaves = {getattr(leaf, "name", None) for leaf in expression.op().find(ibis.expr.operations.PhysicalTable)}
        if not leaves <= set(self._names.values()):
            return None
        for logical, own in self._names.items():
            sql = sql.replace(f'"{own}"', f'"{{{logical}}}"')
        return sql


def fingerprint(tables: Mapping[str, ibis.Table], funnel: Any) -> str:
    """Equal when the same names compile to the same text: same code, same libraries, same funnel, tables of the same shapes."""
    shapes = [(name, str(table.schema())) for name, table in sorted(tables.items())]
    return blake2b(repr((_program(), repr(funnel), shapes)).encode(), digest_size=16).hexdigest()


@cache
def _program() -> str:
    digest = blake2b(digest_size=16)
    for path in sorted(_CODE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest() + "".join(version(name) for name in ("ibis-framework", "duckdb", "sqlglot"))
