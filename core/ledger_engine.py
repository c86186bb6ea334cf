"""How a ledger's database is opened: an SQLite file in WAL, or PostgreSQL by URL."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

BUSY_TIMEOUT_S = 60


def engine_of(url: str) -> Engine:
    """The engine of a file path or database URL. Nothing is opened yet."""

    def dumps(value: Any) -> str:
        return orjson.dumps(value, default=str).decode()

    if "://" not in url:
        Path(url).expanduser().resolve().parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{Path(url).expanduser().resolve()}"
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, json_serializer=dumps, json_deserializer=json.loads, pool_pre_ping=True)
    engine = create_engine(parsed, json_serializer=dumps, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred; ours is not
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_S * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    _into_wal(connection)


def _into_wal(connection: Any) -> None:
    """Turns the file's journal to WAL. SQLite ignores its busy timeout while a file changes its journal
    (https://www.sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode), so of several processes that open a new
    ledger at once all but one are told "locked": they ask again until the change is made."""
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _sqlite_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("tundish_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
