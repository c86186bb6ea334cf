"""A Singer target on the SDK's SQL sink: SQLite, replaced by primary key. (The published ones do not install beside the current SDK.)"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import leg
from singer_sdk import typing as th
from singer_sdk.sql import SQLConnector, SQLSink, SQLTarget


class Connector(SQLConnector):
    allow_temp_tables = False

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        return f"sqlite:///{os.environ['TARGET_FILE']}"


class Sink(SQLSink):
    connector_class = Connector

    def generate_insert_statement(self, full_table_name: Any, schema: dict[str, Any]) -> Any:
        return super().generate_insert_statement(full_table_name, schema).prefix_with("OR REPLACE")


class SqliteTarget(SQLTarget):
    name = "target-sqlite"
    default_sink_class = Sink
    config_jsonschema = th.PropertiesList().to_dict()


if __name__ == "__main__":
    SqliteTarget.cli(standalone_mode=False)
    with sqlite3.connect(os.environ["TARGET_FILE"]) as connection:
        leg.done(connection.execute("SELECT count(*) FROM contacts").fetchone()[0])
