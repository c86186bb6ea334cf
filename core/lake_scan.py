"""The engine's view of a Delta table: its files as one SQL relation, and which of its rows are committed."""

from __future__ import annotations

import re

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


def current_sql(files: str, table: DeltaTable, schema: pa.Schema | None, visible: Visible) -> str:
    """The latest committed version of each record of `files`, with every column of `schema`; the table's other columns behind."""
    have = [field.name for field in table.schema().fields]
    wanted = schema or pa.schema(table.schema().to_arrow())
    columns = [f'"{f.name}"' if f.name in have else f'NULL::{_sql_type(f.type)} AS "{f.name}"' for f in wanted]
    columns += [f'"{name}"' for name in have if name not in wanted.names]
    latest = f"SELECT max(version) FROM {files} WHERE {visible_sql(visible)} GROUP BY account, resource, vendor_id"
    return f"SELECT {', '.join(columns)} FROM {files} WHERE {visible_sql(visible)} AND version IN ({latest})"


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
