"""The engine's view of a Delta table: its files as one SQL relation, and which of its rows are committed."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from core.errors import UserError
from core.ledger import Visible


def scan_into(connection: duckdb.DuckDBPyConnection, name: str, table: DeltaTable, folder: str | None) -> None:
    """Make the table's files readable under `name`: by the engine itself when they lie in a local `folder`, else through Arrow."""
    files = table.file_uris()
    schema = pa.schema(table.schema().to_arrow())
    if folder is None and files:
        connection.register(name, table.to_pyarrow_dataset())
        return
    empty = f"{name}_none"
    connection.execute(f"CREATE TEMP TABLE {empty} AS SELECT {_typed_nulls(schema)} LIMIT 0")
    parts = f"SELECT * FROM {empty}"
    if files:
        # The table's own addresses are percent-encoded; its files are never in sub-folders, as nothing is partitioned.
        listed = ", ".join(f"'{quoted(folder or '')}/{quoted(file.rsplit('/', 1)[1])}'" for file in files)
        parts += f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true)"
    connection.execute(f"CREATE TEMP VIEW {name} AS {parts}")


def visible_sql(visible: Visible) -> str:
    hidden = f" AND batch_id NOT IN ({', '.join(map(str, visible.hidden))})" if visible.hidden else ""
    return f"batch_id <= {visible.upto}{hidden}"


def current_into(
    connection: duckdb.DuckDBPyConnection, name: str, files: str, table: DeltaTable, schema: pa.Schema | None, visible: Visible
) -> None:
    """Under `name` the latest committed version of each record of `files`, with every column of `schema`; the table's others behind.

    Which versions are outdated is found once: few or none are, while every query over the view would look for the latest of all. Written
    by hand: as an expression, all its columns would be compiled anew in whatever is built on it.
    """
    have = [field.name for field in table.schema().fields]
    wanted = schema or pa.schema(table.schema().to_arrow())
    columns = [f'"{f.name}"' if f.name in have else f'NULL::{_sql_type(f.type)} AS "{f.name}"' for f in wanted]
    columns += [f'"{name}"' for name in have if name not in wanted.names]
    seen, key = visible_sql(visible), "account, resource, vendor_id"
    connection.execute(
        f"CREATE TEMP TABLE {name}_outdated AS WITH changed AS (SELECT {key}, max(version) AS latest FROM {files} WHERE {seen} "
        f"GROUP BY {key} HAVING count(*) > 1) SELECT version FROM {files} JOIN changed USING ({key}) WHERE {seen} AND version < latest"
    )
    connection.execute(
        f"CREATE TEMP VIEW {name} AS SELECT {', '.join(columns)} FROM {files} ANTI JOIN {name}_outdated USING (version) WHERE {seen}"
    )


_SQL_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "date32[day]": "DATE", "int32": "INTEGER"}


def _sql_type(type_: pa.DataType) -> str:
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"{_sql_type(type_.value_type)}[]"
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMPTZ" if type_.tz else "TIMESTAMP"
    return "VARCHAR" if pa.types.is_large_string(type_) or pa.types.is_string_view(type_) else _SQL_TYPES[str(type_)]


def _typed_nulls(schema: pa.Schema) -> str:
    return ", ".join(f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in schema)


def quoted(text: str) -> str:
    return text.replace("'", "''")


def only_reads(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raises: UserError when the query is none, or may write a file (the lake's own folder is open to the engine)."""
    found = connection.extract_statements(query)
    kinds = {s.type for s in found}
    reads = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.CREATE}  # CREATE: a pivot makes its own types
    explained = duckdb.StatementType.EXPLAIN in kinds and re.search(r"(?i)\b(copy|export)\b", query)
    if not kinds or kinds - reads or explained:
        what = "only queries that read are run here" if kinds else "the query is empty"
        raise UserError(what, next_step="views are <kind> and <kind>_versions; to export: --format csv")


def committed(rows: Any, visible: Visible) -> Any:
    kept = rows.filter(rows.batch_id <= visible.upto)
    return kept.filter(kept.batch_id.notin(visible.hidden)) if visible.hidden else kept


def typed(rows: Any, schema: pa.Schema | None) -> Any:
    """The rows with every column of `schema`, null where a file is older than the column; other columns stay behind them."""
    if schema is None:
        return rows
    import ibis

    wanted = ibis.Schema.from_pyarrow(schema)
    columns = {name: rows[name] if name in rows.columns else ibis.null(type_) for name, type_ in wanted.items()}
    return rows.select(**columns, **{name: rows[name] for name in rows.columns if name not in columns})
