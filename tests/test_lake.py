from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.errors import UserError
from core.lake import Lake
from core.lake_links import named_touches
from core.lake_schema import BATCH_SHIFT, record_schema
from core.ledger import Commit, Count, Ledger
from core.ledger_forget import erased
from core.model import KINDS

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rows(batch: int, ids: list[str], account: str = "hubspot", resource: str = "contacts", **columns: Any) -> pa.Table:
    n = len(ids)
    own = {
        "account": [account] * n, "vendor": ["hubspot"] * n, "resource": [resource] * n, "vendor_id": ids, "observed_at": [NOW] * n,
        "deleted": [False] * n, "version": [(batch << BATCH_SHIFT) + i for i in range(n)], "content_hash": [1] * n,
        "batch_id": [batch] * n, "run_id": ["r"] * n,
    }  # fmt: skip
    return pa.table({**own, **{name: [value] * n for name, value in columns.items()}})


class Shelf:
    """A lake with its ledger, and a short way to put rows into it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.lake = Lake(folder / "the lake's", self.ledger, memory="200MB", threads=1)

    def put(self, kind: str, ids: list[str], at: datetime = NOW, *, commit: bool = True, **columns: Any) -> int:
        batch = self.ledger.open_batch("r", "hubspot", "contacts", at)
        self.lake.append(kind, rows(batch, ids, **columns))
        if commit:
            self.ledger.commit_batch(batch, Commit(len(ids), Count("r", "hubspot", "contacts")), at)
        return batch

    def names(self, as_of: datetime | None = None) -> dict[str, str]:
        table = self.lake.current("person", as_of).select("vendor_id", "first_name").order_by("vendor_id").to_pyarrow()
        return {row["vendor_id"]: row["first_name"] for row in table.to_pylist()}


def test_a_kind_without_a_table_is_empty_and_typed(shelf: Shelf) -> None:
    for kind in KINDS:
        table = shelf.lake.current(kind).to_pyarrow()
        assert table.num_rows == 0
        assert table.column_names == record_schema(kind).names


def test_the_latest_version_of_each_record_is_current(shelf: Shelf) -> None:
    shelf.put("person", ["1", "2"], first_name="Ann")
    shelf.put("person", ["2", "3"], first_name="Bob")
    assert shelf.names() == {"1": "Ann", "2": "Bob", "3": "Bob"}
    assert shelf.lake.versions("person").count().execute() == 4


def test_the_same_id_in_two_accounts_is_two_records(shelf: Shelf) -> None:
    shelf.put("person", ["1"], first_name="Ann")
    shelf.put("person", ["1"], account="other", first_name="Bob")
    assert shelf.lake.current("person").count().execute() == 2


def test_as_of_shows_what_was_committed_then(shelf: Shelf) -> None:
    shelf.put("person", ["1"], NOW, first_name="Ann")
    shelf.put("person", ["1"], NOW + HOUR, first_name="Bob")
    assert shelf.names(NOW) == {"1": "Ann"}
    assert shelf.names(NOW + HOUR) == {"1": "Bob"}
    assert shelf.names(NOW - HOUR) == {}
    assert shelf.lake.sql("SELECT first_name FROM person", NOW).to_pylist() == [{"first_name": "Ann"}]


def test_rows_of_an_uncommitted_batch_are_invisible_then_swept(shelf: Shelf) -> None:
    shelf.put("person", ["1"], first_name="Ann")
    shelf.put("person", ["1", "2"], commit=False, first_name="Ghost")
    shelf.put("person", ["3"], first_name="Cee")
    assert shelf.names() == {"1": "Ann", "3": "Cee"}
    assert shelf.lake.sweep_orphans() == 0  # it may still be in the making
    shelf.ledger.abandon_batches("hubspot")
    assert shelf.lake.sweep_orphans() == 2
    assert shelf.names() == {"1": "Ann", "3": "Cee"}


def test_an_expression_keeps_its_moment_while_others_append(shelf: Shelf) -> None:
    shelf.put("person", ["1"], first_name="Ann")
    before = shelf.lake.current("person")
    shelf.put("person", ["1", "2"], first_name="Bob")
    assert before.count().execute() == 1
    assert len(shelf.names()) == 2


def test_values_come_back_as_they_went_in(shelf: Shelf) -> None:
    shelf.put(
        "deal", ["1"], amount=Decimal("12.345678"), close_date=NOW.date(), created_at=NOW, won=True, probability=0.5, attributes='{"a":1}'
    )
    shelf.put("person", ["1"], merged_ids=["7", "8"])
    (deal,) = shelf.lake.sql("SELECT amount, close_date, created_at, won, probability, attributes FROM deal").to_pylist()
    assert deal == {
        "amount": Decimal("12.345678"), "close_date": NOW.date(), "created_at": NOW, "won": True, "probability": 0.5,
        "attributes": '{"a":1}',
    }  # fmt: skip
    assert shelf.lake.current("person").to_pyarrow()["merged_ids"].to_pylist() == [["7", "8"]]


def test_a_column_that_came_later_is_null_in_older_rows(shelf: Shelf) -> None:
    batch = shelf.ledger.open_batch("r", "hubspot", "contacts", NOW)
    shelf.lake.append("person", rows(batch, ["1"]))
    shelf.ledger.commit_batch(batch, Commit(1, Count("r", "hubspot", "contacts")), NOW)
    batch = shelf.ledger.open_batch("r", "hubspot", "contacts", NOW)
    shelf.lake.append("person", rows(batch, ["2"], shoe_size=42))
    shelf.ledger.commit_batch(batch, Commit(1, Count("r", "hubspot", "contacts")), NOW)
    table = shelf.lake.sql("SELECT vendor_id, shoe_size FROM person ORDER BY 1").to_pylist()
    assert table == [{"vendor_id": "1", "shoe_size": None}, {"vendor_id": "2", "shoe_size": 42}]


def _append(folder: str, name: str, done: Any) -> None:
    shelf = Shelf(Path(folder))
    for i in range(15):
        shelf.put("person", [f"{name}{i}"], first_name=name)
    shelf.lake.close()
    done.put(name)


def test_processes_append_to_one_table_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    writers = [context.Process(target=_append, args=(str(tmp_path), name, done)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    assert {done.get(timeout=120) for _ in writers} == {"a", "b"}
    for writer in writers:
        writer.join(60)
    shelf = Shelf(tmp_path)
    assert len(shelf.names()) == 30
    shelf.lake.close()


def test_computed_rows_of_a_run_replace_those_of_the_run_before(shelf: Shelf) -> None:
    shelf.lake.append_derived("finding", [pa.table({"rule": ["D-01", "D-02"]})], "r1", NOW)
    shelf.lake.append_derived("finding", [pa.table({"rule": ["D-03"]})], "r2", NOW + HOUR)
    assert shelf.lake.latest_run("finding").to_pyarrow()["rule"].to_pylist() == ["D-03"]
    assert sorted(shelf.lake.latest_run("finding", NOW).to_pyarrow()["rule"].to_pylist()) == ["D-01", "D-02"]
    shelf.lake.append_derived("finding", [pa.table({"rule": pa.array([], pa.string())})], "r3", NOW + 2 * HOUR)
    assert shelf.lake.latest_run("finding").count().execute() == 0
    assert shelf.lake.sql("SELECT count(*) AS n FROM finding_versions").to_pylist() == [{"n": 3}]
    with pytest.raises(UserError, match="nothing was computed yet: metric"):
        shelf.lake.latest_run("metric")


def test_compaction_joins_files_and_vacuum_removes_the_old_ones(shelf: Shelf) -> None:
    for i in range(5):
        shelf.put("person", [str(i)], first_name="Ann")
    before = shelf.names()
    assert shelf.lake.compact() == {"person": 4}
    assert shelf.lake.vacuum(0) == 5
    assert len(list(Path(shelf.lake.root, "person").glob("*.parquet"))) == 1
    assert shelf.names() == before


def test_erasure_takes_every_version_and_what_hangs_on_it(shelf: Shelf) -> None:
    shelf.put("person", ["1", "2"], first_name="Ann")
    shelf.put("person", ["1"], first_name="Anna")
    shelf.put("touch", ["t1"], person_id="1", email="ann@example.com")
    shelf.put("touch", ["t2"], person_id="2")
    assert shelf.lake.forget([("hubspot", "contacts", "1")], NOW) == 3
    assert shelf.names(NOW) == {"2": "Ann"}
    assert shelf.lake.current("touch").to_pyarrow()["vendor_id"].to_pylist() == ["t2"]
    files = b"".join(f.read_bytes() for f in Path(shelf.lake.root, "touch").glob("*.parquet"))
    assert b"ann@example.com" not in files


def test_live_ids_are_those_neither_deleted_nor_merged(shelf: Shelf) -> None:
    shelf.put("person", ["1", "2", "3", "4"])
    batch = shelf.ledger.open_batch("r", "hubspot", "contacts", NOW)
    gone = rows(batch, ["2"]).set_column(5, "deleted", pa.array([True]))
    shelf.lake.append("person", pa.concat_tables([gone, rows(batch, ["3"], merged_into="1")], promote_options="default"))
    shelf.ledger.commit_batch(batch, Commit(2, Count("r", "hubspot", "contacts")), NOW)
    assert list(shelf.lake.live_ids("person", "hubspot", "contacts", size=1)) == [["1"], ["4"]]
    assert list(shelf.lake.live_ids("person", "nobody", "contacts")) == []


def test_sql_sees_the_lake_and_nothing_else(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    shelf.put("person", ["1"], first_name="Ann")
    assert shelf.lake.sql("SELECT first_name FROM person").to_pylist() == [{"first_name": "Ann"}]
    with pytest.raises(UserError, match="does not run"):
        shelf.lake.sql(f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(UserError, match="does not run"):
        shelf.lake.sql("SELECT nonsense FROM person")
    for writes in ("SET enable_external_access = true", f"COPY person TO '{tmp_path}/out.csv'", "DELETE FROM person", "ATTACH 'x.db'"):
        with pytest.raises(UserError, match="only queries that read"):
            shelf.lake.sql(writes)
    with pytest.raises(UserError, match="empty"):
        shelf.lake.sql("  ")


def test_touches_that_name_a_forgotten_person_by_address_or_link_are_erased_and_nobody_elses(shelf: Shelf) -> None:
    shelf.put("person", ["1"], email="Ann@Acme.test", links=["ga4:clients:1.2"], other_emails=["a@old.test"])
    shelf.put("person", ["2"], email="bo@acme.test")
    answers, visits = {"account": "hotjar", "resource": "responses"}, {"account": "files", "resource": "ga4_events"}
    shelf.put("touch", ["by address"], email="ann@acme.test ", **answers)
    shelf.put("touch", ["by an older address"], email="a@old.test", **answers)
    shelf.put("touch", ["by the browser"], links=["ga4:clients:1.2"], **visits)
    shelf.put("touch", ["by the record"], links=["hubspot:contacts:1"], **visits)
    shelf.put("touch", ["another's"], email="bo@acme.test", links=["ga4:clients:9.9"], **answers)
    found = named_touches(shelf.lake, [("hubspot", "contacts", "1")])
    assert {name for _, _, name in found} == {"by address", "by an older address", "by the browser", "by the record"}
    shelf.lake.forget([("hubspot", "contacts", "1"), *found], NOW)
    assert shelf.lake.sql("SELECT vendor_id FROM touch_versions").to_pylist() == [{"vendor_id": "another's"}]
    assert shelf.lake.sql("SELECT vendor_id FROM person_versions").to_pylist() == [{"vendor_id": "2"}]
    assert shelf.ledger.tombstones("hotjar", "responses") == {"by address", "by an older address"}


def test_of_a_forgotten_person_only_digests_of_the_addresses_stay_and_none_of_a_roles(shelf: Shelf) -> None:
    shelf.put("person", ["1"], email="Ann@Acme.test", other_emails=["info@acme.test"])
    shelf.put("person", ["1"], email="ann.new@acme.test ")
    shelf.put("person", ["2"], email="bo@acme.test")
    shelf.lake.forget([("hubspot", "contacts", "1")], NOW)
    kept = erased(shelf.ledger)["erased_address"]["digest"].to_pylist()
    assert set(kept) == {sha256(address).hexdigest() for address in (b"ann@acme.test", b"ann.new@acme.test")}


def test_a_table_that_another_process_makes_in_this_very_moment_is_no_lost_one(tmp_path: Path) -> None:
    first, second = Shelf(tmp_path), Shelf(tmp_path)
    look = second.lake._open

    def late(kind: str) -> Any:
        found = look(kind)
        if found is None:
            first.put("person", ["1"], first_name="a")
        return found

    second.lake._open = late  # type: ignore[method-assign]
    second.put("person", ["2"], first_name="b")
    assert len(first.names()) == 2
    for shelf in (first, second):
        shelf.lake.close()
