"""SQL that was compiled before: compiling costs ten times what the engine needs to answer, at any size of lake.

What is kept is text with the tables' own names taken out and the instant left to an engine variable, so it holds for
every run over tables of these shapes, and under every funnel that answers alike what was asked while it was compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from hashlib import blake2b
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

import ibis
import pyarrow as pa

from core.bound import bound
from core.lake_schema import record_schema
from core.model import KINDS
from core.tables import MOMENT
from core.texts import Text, digest, texts_of
from core.thresholds import listening

VARIABLE = "tundish_as_of"
_CODE = Path(__file__).parent
_OWN = '"{}"'  # in a text: the table or view that it makes
_NAMED = re.compile(r'"\{([^{}"]+)\}"')  # in a text: a table of the run, by what it is
_NUMBERED = re.compile(r"_\d+$")  # how the lake's and a run's own tables end
_numbers = count()
_ground: WeakKeyDictionary[Any, Sequence[ibis.Table]] = WeakKeyDictionary()  # view → the tables it reads
_gone: WeakKeyDictionary[Any, list[tuple[str, str]]] = WeakKeyDictionary()  # connection → (kind, name) that nobody holds any more
_moments: WeakKeyDictionary[Any, datetime] = WeakKeyDictionary()  # connection → what its variable says
_shapes: dict[pa.Schema, ibis.Schema] = {}  # of rows that were given: what the engine makes of them


@ibis.udf.scalar.builtin(name="getvariable", signature=((str,), MOMENT))  # type: ignore[untyped-decorator]
def _variable(of: str) -> datetime:  # type: ignore[empty-body]
    """A variable of the engine's session."""


def as_of() -> ibis.Value:
    """The instant of the run, as a value that does not stand in the text of the query."""
    return _variable(VARIABLE)


@cache
def _type(name: str) -> Any:
    return ibis.dtype(name)


@dataclass
class Compiled:
    """Queries by name over the tables of one run. `build` is only called for those whose text is not known.

    A name must say all that its query depends on beside `key`, the tables, and the funnel, which nobody but `build` may ask: one
    name for two queries is refused, as the second would be answered with the text of the first.
    What is kept or viewed lives as long as somebody holds its table, and becomes one of the `tables` that later queries
    stand on.
    """

    engine: Any
    tables: dict[str, ibis.Table]
    key: str
    funnel: Any = None
    builds: dict[str, object] = field(default_factory=dict)  # name → what made its query in this run

    def __post_init__(self) -> None:
        self.texts = texts_of(self.key)
        self._sweep()

    def rows(self, name: str, build: Callable[[], ibis.Table], schema: pa.Schema, moment: datetime | None = None) -> pa.Table:
        """The rows of what `build` describes, as of the moment."""
        text = self._text(name, build)
        self._at(moment)
        if text is None:
            return self.engine.to_pyarrow(build()).cast(schema)
        return self.engine.con.execute(text.sql).to_arrow_table().cast(schema)

    def keep(self, name: str, build: Callable[[], ibis.Table], moment: datetime | None = None) -> ibis.Table:
        """The same rows, computed once, as a temporary table."""

        def filled(expression: ibis.Table) -> str:
            columns = ", ".join(c.sql("duckdb") for c in expression.schema().to_sqlglot_column_defs("duckdb"))
            return f"CREATE TEMP TABLE {_OWN} ({columns}); INSERT INTO {_OWN} {self.engine.compile(expression)}"

        return self._made("TABLE", name, build, filled, moment)

    def view(self, name: str, build: Callable[[], ibis.Table]) -> ibis.Table:
        """The same rows, computed whenever they are asked for. They must not depend on the moment."""
        return self._made("VIEW", name, build, lambda e: f"CREATE TEMP VIEW {_OWN} AS {self.engine.compile(e)}", None)

    def give(self, name: str, rows: pa.Table) -> ibis.Table:
        """Rows that come from elsewhere, as a table of the run."""
        own = _unique(name)
        self.engine.con.register(own, rows)
        if rows.schema not in _shapes:
            _shapes[rows.schema] = bound(self.engine, own).schema()
        return self._held("ROWS", name, own, _shapes[rows.schema])

    def let_go(self, *names: str) -> None:
        """Nothing later will stand on these: what nobody else holds is dropped."""
        for name in names:
            self.tables.pop(name, None)

    def also(self, part: object) -> Compiled:
        """The same run's tables with the texts of another part, which also depends on `part`."""
        return Compiled(self.engine, self.tables, digest(self.key, part), self.funnel)

    def on(self, engine: Any) -> Compiled:
        """The same run's texts over another engine, which has no tables yet."""
        return Compiled(engine, {}, self.key, self.funnel, self.builds)

    def save(self) -> None:
        """What had to be compiled is known to the next run."""
        self.texts.save(self.key)

    def _made(
        self, kind: str, name: str, build: Callable[[], ibis.Table], statement: Callable[[ibis.Table], str], moment: datetime | None
    ) -> ibis.Table:
        text = self._text(name, build, statement)
        self._sweep()
        self._at(moment)
        if text is None:
            self.tables[name] = table = build().cache()
            return table
        own = _unique(name)
        self.engine.con.execute(text.sql.replace(_OWN, f'"{own}"'))
        ground = [t for t in self.tables.values() if f'"{t.get_name()}"' in text.sql] if kind == "VIEW" else []
        return self._held(kind, name, own, ibis.schema({column: _type(said) for column, said in text.columns}), ground)

    def _held(self, kind: str, name: str, own: str, shape: ibis.Schema, ground: Sequence[ibis.Table] = ()) -> ibis.Table:
        """The table of that name, until nobody holds it or what stands on it. Asking the engine for its columns costs as a query does."""
        table = ibis.expr.operations.DatabaseTable(own, schema=shape, source=self.engine).to_expr()
        _ground[table.op()] = ground
        finalize(table.op(), _gone.setdefault(self.engine.con, []).append, (kind, own))
        self.tables[name] = table
        return table

    def _sweep(self) -> None:
        """Drop what nobody holds any more; here and not when it is let go, which may be in the middle of another answer."""
        gone = _gone.get(self.engine.con, [])
        while gone:
            kind, own = gone.pop()
            if kind == "ROWS":
                self.engine.con.unregister(own)
            else:
                self.engine.con.execute(f'DROP {kind} IF EXISTS temp.main."{own}"')

    def _text(self, name: str, build: Callable[[], ibis.Table], statement: Callable[[ibis.Table], str] | None = None) -> Text | None:
        """The statement over this run's tables; None when it stands on a table that has no name of ours."""
        names = {logical: table.op().name for logical, table in self.tables.items() if _bound(table)}
        made_by = _made_by(build, {own: logical for logical, own in names.items()})
        if self.builds.setdefault(name, made_by) != made_by:
            raise ValueError(f"two queries are called {name!r}: {self.builds[name]} and {made_by}; a name must say all that differs")
        text = self.texts.find(name, self.funnel)
        if text is None or not set(_NAMED.findall(text.sql)) <= set(names):  # or made over a table that this run has not
            with listening() as asked:
                expression = build()
            leaves = {getattr(leaf, "name", None) for leaf in expression.op().find(ibis.expr.operations.PhysicalTable)}
            if not leaves <= set(names.values()):
                return None
            sql = statement(expression) if statement else self.engine.compile(expression)
            for logical, own in names.items():
                sql = sql.replace(f'"{own}"', f'"{{{logical}}}"')
            text = Text.of(sql, asked, self.funnel, ((column, str(type_)) for column, type_ in expression.schema().items()))
            self.texts.add(name, text)
        return text._replace(sql=_NAMED.sub(lambda found: f'"{names.get(found[1], found[1])}"', text.sql))

    def _at(self, moment: datetime | None) -> None:
        if moment is not None and _moments.get(self.engine.con) != moment:
            _moments[self.engine.con] = moment
            self.engine.con.execute(f"SET VARIABLE {VARIABLE} = TIMESTAMPTZ '{moment.isoformat()}'")


def over(tables: Mapping[str, ibis.Table], funnel: Any, facts: Mapping[str, ibis.Table] | None = None) -> Compiled:
    """Ready to compile over record tables by kind, as `record.<kind>`, and facts, as `fact.<name>`.

    A kind of which nothing was pulled is empty.
    """
    given = [*tables.values(), *(facts or {}).values()]
    engine = next((ibis.get_backend(table) for table in given if _bound(table)), None) or ibis.get_backend()
    compiled = Compiled(engine, {}, "")
    for kind in KINDS:
        if kind in tables and _bound(tables[kind]):
            compiled.tables[f"record.{kind}"] = _by_a_name_of_its_own(engine, tables[kind], kind)
        else:
            compiled.give(f"record.{kind}", tables[kind].to_pyarrow() if kind in tables else record_schema(kind).empty_table())
    named = compiled.tables | {f"fact.{name}": table for name, table in (facts or {}).items()}
    return Compiled(engine, named, fingerprint(named), funnel)


def _by_a_name_of_its_own(engine: Any, table: ibis.Table, kind: str) -> ibis.Table:
    """The table, or a view of it: texts name tables by what they are, and `person` or `deal` are columns too."""
    name = table.op().name
    if _NUMBERED.search(name):
        return table
    own = _unique(kind)
    engine.con.execute(f'CREATE TEMP VIEW "{own}" AS {engine.compile(table)}')
    return ibis.expr.operations.DatabaseTable(own, schema=table.schema(), source=engine).to_expr()


def _made_by(build: Any, names: Mapping[str, str]) -> object:
    """By what two builds are told apart: their code, and the plain values and named tables that it holds."""
    held: list[Any] = []
    while isinstance(build, partial):
        held += [*build.args, *build.keywords.values()]
        build = build.func
    code = build.__code__
    held += [*(cell.cell_contents for cell in build.__closure__ or ()), *(build.__defaults__ or ())]
    plain = [names.get(v.op().name) if isinstance(v, ibis.Table) and _bound(v) else v for v in held]
    return Path(code.co_filename).name, code.co_firstlineno, [v for v in plain if isinstance(v, str | int | float | tuple)]


def _bound(table: ibis.Table) -> bool:
    return isinstance(table.op(), ibis.expr.operations.DatabaseTable)


def _unique(name: str) -> str:
    return f"{re.sub(r'[^a-z0-9]', '_', name.lower())}_{next(_numbers)}"


def fingerprint(tables: Mapping[str, ibis.Table]) -> str:
    """Equal when the same names compile to the same text under one funnel: same code, same libraries, tables of the same shapes."""
    shapes = [(name, str(table.schema())) for name, table in sorted(tables.items())]
    return digest(_program(), shapes)


@cache
def _program() -> str:
    program = blake2b(digest_size=16)
    for path in sorted(_CODE.rglob("*.py")):
        program.update(path.read_bytes())
    return program.hexdigest() + "".join(version(name) for name in ("ibis-framework", "duckdb", "sqlglot"))
