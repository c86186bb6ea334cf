from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from empty_run import empty_run

from core.compiled import Compiled, as_of, fingerprint, over
from core.reconcile import findings_of
from core.rules import RULES
from core.texts import CACHE, Text, texts_of
from core.thresholds import listening, threshold

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC"))])

SCHEMA_ID = pa.schema([("id", pa.int64())])


def engine_with(ids: list[int], name: str) -> tuple[Any, ibis.Table]:
    engine = ibis.duckdb.connect()
    engine.con.execute("SET TimeZone = 'UTC'")
    return engine, engine.create_table(name, pa.table({"id": pa.array(ids, pa.int64())}), temp=True)


def older(table: ibis.Table) -> ibis.Table:
    return table.select("id", at=as_of() - ibis.interval(days=1)).order_by("id")


def test_a_text_compiled_in_one_run_answers_in_the_next_over_other_tables_and_at_another_instant() -> None:
    engine, table = engine_with([1], "first_run")
    before = Compiled(engine, {"fact.deal": table}, "other run")
    before.rows("R", lambda: older(table), SCHEMA, NOW)

    engine, other = engine_with([2, 3], "second_run")
    after = Compiled(engine, {"fact.deal": other}, "other run")
    rows = after.rows("R", lambda: 1 / 0, SCHEMA, NOW + timedelta(days=10))  # type: ignore[arg-type,return-value]

    text = before.texts.find("R", None)
    assert text is not None
    assert "first_run" not in text.sql
    assert rows.to_pylist() == [{"id": i, "at": NOW + timedelta(days=9)} for i in (2, 3)]


def test_what_stands_on_a_table_nobody_named_is_answered_but_not_kept() -> None:
    engine, table = engine_with([1], "known")
    compiled = Compiled(engine, {"fact.deal": table}, "unnamed")
    unnamed = ibis.memtable({"id": [7]}, schema={"id": "int64"})
    rows = compiled.rows("R", lambda: table.union(unnamed).select("id", at=as_of()).order_by("id"), SCHEMA, NOW)
    assert rows["id"].to_pylist() == [1, 7]
    kept = compiled.keep("K", lambda: table.union(unnamed).select("id", at=as_of()), NOW + timedelta(days=1))
    assert kept.at.to_pyarrow().to_pylist() == [NOW + timedelta(days=1)] * 2
    assert compiled.texts.find("R", None) is compiled.texts.find("K", None) is None


def test_what_is_kept_and_what_is_viewed_stand_in_for_their_queries() -> None:
    for ids, name in (([1, 2], "first_kept"), ([3], "second_kept")):
        engine, table = engine_with(ids, name)
        compiled = Compiled(engine, {"fact.deal": table}, "kept and viewed")
        kept = compiled.keep("kept", lambda t=table: t.mutate(at=as_of(), twice=t.id * 2), NOW)
        viewed = compiled.view("viewed", lambda k=kept: k.filter(k.twice > 2))
        compiled.rows("R", lambda v=viewed: v.select("id", "at"), SCHEMA, NOW + timedelta(days=1))
        assert (kept.schema()["twice"].is_int64(), viewed.id.to_pyarrow().to_pylist()) == (True, [i for i in ids if i > 1])
        assert kept.at.to_pyarrow().to_pylist() == [NOW] * len(ids)


def test_a_view_holds_the_tables_it_reads_and_what_nobody_holds_is_dropped() -> None:
    engine, table = engine_with([1], "held")
    compiled = Compiled(engine, {"fact.deal": table}, "held")
    viewed = compiled.view("viewed", partial(_same, compiled.keep("kept", partial(_same, table))))
    compiled.give("given", pa.table({"x": [1]}))
    del compiled
    gc.collect()
    Compiled(engine, {}, "sweeps")
    assert viewed.id.to_pyarrow().to_pylist() == [1]
    assert [name.rpartition("_")[0] for name in engine.list_tables() if name != "held"] == ["kept", "viewed"]
    del viewed
    gc.collect()
    Compiled(engine, {}, "sweeps")
    assert engine.list_tables() == ["held"]


def _same(table: ibis.Table) -> ibis.Table:
    return table.select("id")


def test_another_part_has_texts_of_its_own_over_the_same_tables() -> None:
    engine, table = engine_with([1], "shared")
    compiled = Compiled(engine, {"fact.deal": table}, "parts")
    one, other = compiled.also({"event": "a"}), compiled.also({"event": "b"})
    assert one.rows("R", lambda: table.select("id"), SCHEMA_ID).to_pylist() == [{"id": 1}]
    assert other.rows("R", lambda: table.select(id=table.id + 1), SCHEMA_ID).to_pylist() == [{"id": 2}]


def quiet(table: ibis.Table, funnel: Any) -> ibis.Table:
    return table.select("id", minutes=ibis.literal(threshold(funnel, "quiet_minutes")))


def test_a_text_holds_under_every_funnel_that_answers_alike_what_was_asked() -> None:
    engine, table = engine_with([1], "asked")
    schema = pa.schema([("id", pa.int64()), ("minutes", pa.int64())])
    compiled: list[tuple[int, str]] = []

    def minutes(funnel: Any, says: str) -> int:
        def build() -> ibis.Table:
            compiled.append((threshold(funnel, "quiet_minutes"), says))
            return quiet(table, funnel)

        found = Compiled(engine, {"fact.deal": table}, "asked", funnel).rows("R", build, schema)
        return int(found["minutes"][0].as_py())

    assert minutes({"thresholds": {"quiet_minutes": 10}}, "first") == 10
    assert minutes({"thresholds": {"quiet_minutes": 10, "mirror_hours": 1}, "free_mail": ["x.test"]}, "differs elsewhere") == 10
    assert minutes({"thresholds": {"quiet_minutes": 20}}, "differs") == 20
    assert minutes({"quiet_minutes": 10}, "the first again") == 10
    assert compiled == [(10, "first"), (20, "differs")]


def test_another_shape_is_another_fingerprint() -> None:
    _, table = engine_with([1], "t")
    assert fingerprint({"fact.deal": table}) == fingerprint({"fact.deal": table.filter(table.id > 1)})
    assert fingerprint({"fact.deal": table}) != fingerprint({"fact.deal": table.mutate(x=1)})


def test_no_query_of_a_run_depends_on_what_it_did_not_ask() -> None:
    """When all texts are known nothing is built: who still asks the funnel would have its answer in texts that do not know of it."""
    for _ in ("cold", "warm"):
        with listening() as asked:
            ctx, run = empty_run({})
            for rule in RULES.values():
                findings_of(rule, ctx, run)
    assert {about for _, about in asked} == {"component_records", "bridge_records"}  # of groups that are cut outside the engine


def test_texts_live_on_in_the_cache_and_a_broken_cache_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    text = Text.of("SELECT 1", {("threshold", "quiet_minutes")}, {}, [("a", "int64")])
    kept = texts_of("kept")
    kept.add("R", text)
    kept.save("kept")
    monkeypatch.setattr("core.texts._texts", {})
    assert texts_of("kept").find("R", {}) == text
    assert texts_of("kept").find("R", {"quiet_minutes": 1}) is None
    for broken in (b"", b"[]", b'{"R": 1}', b'{"R": [[1]]}', b"\xff"):
        (tmp_path / "queries" / "broken.json").write_bytes(broken)
        monkeypatch.setattr("core.texts._texts", {})
        assert texts_of("broken").find("R", {}) is None


def test_nothing_is_lost_where_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    texts_of("nowhere").add("R", Text.of("SELECT 1", (), {}, []))
    texts_of("nowhere").save("nowhere")
    assert texts_of("nowhere").find("R", {}) is not None


def test_the_cache_keeps_the_newest_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    for i in range(40):
        texts_of(f"few {i}").add("R", Text.of("SELECT 1", (), {}, []))
        texts_of(f"few {i}").save(f"few {i}")
    assert len(list((tmp_path / "queries").iterdir())) == 32


def test_one_name_for_two_queries_is_refused() -> None:
    engine, table = engine_with([1, 2], "named_twice")
    _, other = engine_with([3], "named_too")
    run = Compiled(engine, {"fact.deal": table, "fact.person": other}, "named twice")
    for _ in range(2):
        assert run.rows("R", partial(_from, table, 1), SCHEMA_ID).num_rows == 1  # the same query may be asked again
    for build in (partial(_from, table, 2), partial(_from, other, 1), lambda: table.select("id")):
        with pytest.raises(ValueError, match="two queries are called 'R'"):
            run.rows("R", build, SCHEMA_ID)
    assert run.on(engine).builds is run.builds  # what one run asks of two engines has names in common


def _from(table: ibis.Table, least: int) -> ibis.Table:
    return table.filter(table.id > least).select("id")


def test_a_text_over_a_table_that_another_run_has_not_is_made_anew() -> None:
    for logical, least in (("issues.person", 1), ("fact.person", 1)):
        engine, table = engine_with([1, 2], f"of_{logical[:4]}")
        run = Compiled(engine, {logical: table}, "anew")
        assert run.rows("R", partial(_from, table, least), SCHEMA_ID)["id"].to_pylist() == [2]


def test_a_table_called_like_a_column_is_not_taken_for_it() -> None:
    engine = ibis.duckdb.connect()
    table = engine.create_table("deal", pa.table({"deal": ["d1"], "id": [1]}), temp=True)
    run = over({"deal": table}, {})
    assert run.tables["record.deal"].op().name != "deal"
    assert run.tables["record.deal"].deal.to_pyarrow().to_pylist() == ["d1"]
