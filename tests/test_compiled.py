from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from core.compiled import Compiled, as_of, fingerprint
from core.ledger import Ledger
from core.ledger_memo import KEPT, recall, remember

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


def engine_with(ids: list[int], name: str) -> tuple[Any, ibis.Table]:
    engine = ibis.duckdb.connect()
    engine.con.execute("SET TimeZone = 'UTC'")
    return engine, engine.create_table(name, pa.table({"id": pa.array(ids, pa.int64())}), temp=True)


def older(table: ibis.Table) -> ibis.Table:
    return table.select("id", at=as_of() - ibis.interval(days=1)).order_by("id")


def test_a_text_compiled_in_one_run_answers_in_the_next_over_other_tables_and_at_another_instant() -> None:
    engine, table = engine_with([1], "first_run")
    before = Compiled(engine, {"fact.deal": table})
    before.rows("R", lambda: older(table), SCHEMA, NOW)

    engine, other = engine_with([2, 3], "second_run")
    after = Compiled(engine, {"fact.deal": other}, before.fresh)
    rows = after.rows("R", lambda: 1 / 0, SCHEMA, NOW + timedelta(days=10))  # type: ignore[arg-type,return-value]

    assert "first_run" not in before.fresh["R"]
    assert rows.to_pylist() == [{"id": i, "at": NOW + timedelta(days=9)} for i in (2, 3)]


def test_what_stands_on_a_table_nobody_named_is_answered_but_not_kept() -> None:
    engine, table = engine_with([1], "known")
    compiled = Compiled(engine, {"fact.deal": table})
    unnamed = ibis.memtable({"id": [7]}, schema={"id": "int64"})
    rows = compiled.rows("R", lambda: table.union(unnamed).select("id", at=as_of()).order_by("id"), SCHEMA, NOW)
    assert rows["id"].to_pylist() == [1, 7]
    assert compiled.fresh == {}


def test_another_funnel_or_another_shape_is_another_fingerprint() -> None:
    _, table = engine_with([1], "t")
    base = fingerprint({"fact.deal": table}, {"thresholds": {"quiet_minutes": 15}})
    assert base == fingerprint({"fact.deal": table}, {"thresholds": {"quiet_minutes": 15}})
    assert base != fingerprint({"fact.deal": table}, {"thresholds": {"quiet_minutes": 16}})
    assert base != fingerprint({"fact.deal": table.mutate(x=1)}, {"thresholds": {"quiet_minutes": 15}})


def test_the_ledger_keeps_the_newest_few(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for i in range(KEPT + 2):
        remember(ledger, f"f{i}", {"R": f"SELECT {i}"}, NOW + timedelta(minutes=i))
    assert recall(ledger, "f0") == {}
    assert recall(ledger, f"f{KEPT + 1}") == {"R": f"SELECT {KEPT + 1}"}
    ledger.close()
