"""The ledger's tables, as data. What each row means is said here; who may write it is said in `core.ledger`.

Times are aware UTC. JSON values are plain data. Nothing here holds a secret or a vendor's row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

SCHEMA_VERSION = 1
metadata = MetaData()
BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only for INTEGER


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC instant; SQLite keeps it without a zone, and gives it back with one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware times only")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


def _text(name: str, **options: Any) -> Column[Any]:
    return Column(name, Text, **options)


def _key(name: str) -> Column[Any]:
    return Column(name, String(512), primary_key=True)


def _time(name: str, **options: Any) -> Column[Any]:
    return Column(name, UtcTime, **options)


def _number(name: str, default: int = 0) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, default=default)


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

# -- runs and who may run --------------------------------------------------------------------------------------------
# status: running done partial failed
run = Table(
    "run", metadata, _key("id"), _text("job", nullable=False), _time("started_at", nullable=False), _time("ended_at"),
    _text("status", nullable=False), Column("detail", JSON), Index("run_started", "started_at"),
)  # fmt: skip
lease = Table("lease", metadata, _key("name"), _text("holder", nullable=False), _time("until", nullable=False))
schedule = Table("schedule", metadata, _key("job"), _time("last_due"), _time("last_run"), _text("run_id"), Column("detail", JSON))

# -- what the lake holds ---------------------------------------------------------------------------------------------
# A batch is opened (its number taken) before the lake is written; only `committed` ones are read. Numbers only grow.
batch = Table(
    "batch", metadata, Column("id", BigId, primary_key=True, autoincrement=True), _text("run_id", nullable=False),
    _text("account", nullable=False), _text("resource", nullable=False), _number("rows"),
    Column("status", String(16), nullable=False), _time("opened_at", nullable=False), _time("committed_at"),
    Index("batch_status", "status"), Index("batch_account", "account", "resource"), sqlite_autoincrement=True,
)  # fmt: skip
# `open_pass` are the counts of a pass that has not come to its end yet (null: the last one did).
cursor = Table(
    "cursor", metadata, _key("account"), _key("resource"), Column("state", JSON), _text("mapping"), Column("open_pass", JSON),
    _time("updated_at", nullable=False),
)  # fmt: skip
# One page as it came: `marks` are 16 bytes per record made from it (hash of the id, hash of the content).
page = Table(
    "page", metadata, _key("account"), _key("resource"), Column("digest", LargeBinary(16), primary_key=True),
    _text("pass_id", nullable=False), _number("seq"), Column("whole", Boolean, nullable=False), _number("rows"),
    Column("marks", LargeBinary, nullable=False), Index("page_seq", "account", "resource", "pass_id", "seq"),
)  # fmt: skip
# Live records that the last whole pass did not list: 8 bytes each (hash of the id).
missed = Table("missed", metadata, _key("account"), _key("resource"), Column("marks", LargeBinary, nullable=False))
count = Table(
    "count", metadata, _key("run_id"), _key("account"), _key("resource"), Column("vendor_total", BigInteger), _number("kept"),
    _number("rejected"), _number("appended"), _number("deleted"), _number("pages"), _number("skipped_pages"),
    _text("status", nullable=False), _text("reason", nullable=False, default=""),
)  # fmt: skip
reject = Table(
    "reject", metadata, Column("id", BigId, primary_key=True, autoincrement=True), _text("run_id", nullable=False),
    _text("account", nullable=False), _text("resource", nullable=False), _text("vendor_id"), _text("place"),
    _text("reason", nullable=False), _time("at", nullable=False), Index("reject_run", "run_id", "account", "resource"),
)  # fmt: skip
tombstone = Table("tombstone", metadata, _key("account"), _key("resource"), _key("vendor_id"), _time("at", nullable=False), _text("why"))
# By what an erased person is known again: digests of his addresses, and records with a tombstone that a vendor listed since.
erased_address = Table("erased_address", metadata, _key("digest"), _time("at", nullable=False))
erased_seen = Table("erased_seen", metadata, _key("account"), _key("resource"), _key("vendor_id"), _time("at", nullable=False))

# -- what was decided and done ---------------------------------------------------------------------------------------
# plan.status: open empty refused applying applied partial undoing undone erased. `body` is compressed JSON.
plan = Table(
    "plan", metadata, _key("id"), _text("hash", nullable=False), _time("created_at", nullable=False), _time("expires_at"),
    _text("status", nullable=False), Column("body", LargeBinary, nullable=False),
)  # fmt: skip
change = Table(
    "change", metadata, _key("plan_id"), _key("change_id"), _number("position"), _text("account", nullable=False),
    _text("target", nullable=False), _text("vendor_id", nullable=False), _text("field", nullable=False), Column("before", JSON),
    Column("after", JSON), _text("why", nullable=False, default=""), _text("entity_id"), Column("detail", JSON),
    Index("change_record", "account", "target", "vendor_id"),
)  # fmt: skip
# kind: apply or undo; `of` is the apply run that an undo takes back. `detail`: `by` (who wanted it), `closed` (its plan was made again).
apply_run = Table(
    "apply_run", metadata, _key("id"), _text("plan_id", nullable=False), _text("kind", nullable=False), _text("of"),
    _time("started_at", nullable=False), _time("ended_at"), _text("status", nullable=False), Column("detail", JSON),
)  # fmt: skip
# status: sent (asked, answer unknown) applied unchanged drifted refused failed gone
outcome = Table(
    "outcome", metadata, _key("apply_id"), _key("change_id"), _text("status", nullable=False), _text("detail", nullable=False, default=""),
    Column("before_image", JSON), _time("at", nullable=False),
)  # fmt: skip
# The last value all sides agreed on. `key` is an entity id, or "account:resource:vendor_id".
base_value = Table(
    "base_value", metadata, _key("key"), _key("field"), Column("value", JSON), _text("value_hash", nullable=False),
    _time("at", nullable=False),
)  # fmt: skip
pushed = Table(
    "pushed", metadata, _key("account"), _key("resource"), _key("vendor_id"), _key("field"), _text("value_hash", nullable=False),
    _time("at", nullable=False),
)  # fmt: skip
# When the last call of a bucket leaves that all processes share, in milliseconds since 1970.
pace = Table("pace", metadata, _key("account"), _key("bucket"), Column("leaves_ms", BigInteger, nullable=False))
# The id of each of the lake's tables that were made under this ledger.
lake_table = Table("lake_table", metadata, _key("kind"), _text("table_id", nullable=False))
# What people said of two records (account:resource:id). verdict: one or two; the last of a pair that was not taken back holds.
identity_decision = Table(
    "identity_decision", metadata, _key("id"), _text("left_key", nullable=False), _text("right_key", nullable=False),
    _text("verdict", nullable=False), _text("why", nullable=False, default=""), _text("author", nullable=False),
    _time("at", nullable=False), _time("undone_at"), _text("undone_by"),
)  # fmt: skip
# What people decided about a finding; the last one holds. status: open accepted muted_until:2026-07-01
verdict = Table(
    "verdict", metadata, Column("id", BigId, primary_key=True, autoincrement=True), _text("finding_id", nullable=False),
    Column("status", String(32), nullable=False), _text("author", nullable=False), _time("at", nullable=False),
)  # fmt: skip
# What people said; `about` is "plan:id", "change:id" or "finding:id".
note = Table(
    "note", metadata, Column("id", BigId, primary_key=True, autoincrement=True), _text("about", nullable=False),
    _text("text", nullable=False), _text("author"), _time("at", nullable=False), Index("note_about", "about"),
)  # fmt: skip
