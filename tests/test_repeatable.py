"""The same records give the same numbers to the last byte: in any order, with any number of threads, in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import ibis
import pyarrow as pa
import pytest
from sandbox_hub import standing, tundish
from unified_rows import NOW, arrow, row

from core.compiled import over
from core.facts import facts
from core.measure import measure
from core.measure.exact import mean, total
from core.measure.metric import Metric
from core.measure.seconds import DAY_S
from core.resolve import resolve
from jobs.steps import run_sync

AMOUNTS = [1000.1 + 977.13 * i**2 for i in range(400)]


@pytest.fixture(autouse=True)
def _engine_of_its_own() -> Iterator[None]:
    before = ibis.get_backend()
    yield
    ibis.set_backend(before)


def engine(threads: int) -> Any:
    made = ibis.duckdb.connect()
    made.con.execute(f"SET TimeZone = 'UTC'; SET threads = {threads}")
    ibis.set_backend(made)
    return made


def company() -> dict[str, list[dict[str, Any]]]:
    """Persons created in one second by different sources, each on deals whose amounts have no exact binary fraction."""
    persons = [row("person", "hubspot", f"p{i}", created_at="2026-03-02T10:00", source=f"source {i % 7}", company_id=f"c{i // 3}",
                   email=f"p{i}@x.test")
               for i in range(60)]  # fmt: skip
    persons += [row("person", "salesforce", f"P{i}", created_at="2026-03-02T10:00", source=f"other {i % 5}", email=f"p{i}@x.test")
                for i in range(30)]  # fmt: skip
    deals = [
        row("deal", "hubspot", f"d{i}", person_id=f"p{i}", amount=f"{1000.1 + 977.13 * i:.2f}", currency="EUR", probability=0.1 * (i % 10),
            stage="M80" if i % 3 == 0 else "M50", pipeline_stage="Qualifying", closed=i % 3 == 0, won=i % 3 == 0, close_date="2026-05-04",
            created_at=f"2026-0{3 + i % 2}-10")
        for i in range(60)
    ]  # fmt: skip
    touches = [
        row("touch", "hubspot", f"t{i}", kind="visit", person_id=f"p{i % 60}", occurred_at=f"2026-02-{1 + i % 27:02d}T0{i % 9}:00",
            channel=("Email", "Paid Search", "Direct", "Referral")[i // 60 % 4], campaign_id=f"campaign {i % 3}")
        for i in range(240)
    ]  # fmt: skip
    return {"person": persons, "deal": deals, "touch": touches}


def measured(given: dict[str, list[dict[str, Any]]], threads: int, families: tuple[str, ...]) -> str:
    made = engine(threads)
    tables = {kind: made.create_table(kind, arrow(kind, rows), temp=True) for kind, rows in given.items()}
    run = over(tables, {})
    members = resolve(tables, {}, compiled=run).members
    return str(measure(facts(tables, members, {}, NOW, run), {}, NOW, families).to_pylist())


def test_the_order_of_records_changes_no_number() -> None:
    families = ("pipeline", "winrate", "sources", "attribution")
    given = company()
    plain = measured(given, 1, families)
    mixed = {kind: Random(3).sample(rows, len(rows)) for kind, rows in given.items()}
    assert measured(mixed, 2, families) == plain


@pytest.mark.parametrize("exact", [total, mean])
def test_sums_are_the_same_from_either_end(exact: Any) -> None:
    made = engine(1)
    there, back = (made.create_table(name, pa.table({"x": rows})) for name, rows in (("there", AMOUNTS), ("back", AMOUNTS[::-1])))
    assert there.x.sum().execute() != back.x.sum().execute(), "binary fractions that come out the same show nothing"
    assert exact(there.x).execute() == exact(back.x).execute()


def test_nothing_to_add_up_is_no_number() -> None:
    t = engine(1).create_table("one", pa.table({"x": [None, 2.5]}, pa.schema([("x", pa.float64())])))
    found = t.agg(total=total(t.x, t.x > 3), mean=mean(t.x, t.x > 3), of_some=mean(t.x)).to_pyarrow().to_pylist()
    assert found == [{"total": None, "mean": None, "of_some": 2.5}]


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (0.1 + 0.2, 0.3), (2 / 3, 0.6666666667), (1 / 7e6, 1.428571429e-07), (123_456_789_012.34, 123_456_789_012.34), (0.0, 0.0),
        (1234.56789012345, 1234.56789), (-0.1 - 0.2, -0.3), (float("inf"), float("inf")), (None, None),
    ],
)  # fmt: skip
def test_numbers_are_kept_to_ten_digits_and_never_less_than_a_millionth(number: float | None, kept: float | None) -> None:
    metric = Metric("x", "of a test", {"y": number}, number, "number", 1, excluded={"left": {"z": number}})
    found = metric.row("funnel", NOW)
    assert found["value"] == kept
    if number is not None and abs(number) < 1e300:
        assert found["dimensions"] == f'{{"y": {kept}}}'
        assert found["excluded"] == f'{{"left": {{"z": {kept}}}}}'


# What a process of its own runs: the command line, on the day after the sandbox's.
AFTERWARDS = """
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
import jobs.wiring
from jobs.cli import main
jobs.wiring.datetime = SimpleNamespace(now=lambda zone: datetime(2026, 7, 1, tzinfo=UTC))
main()
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with standing(tmp_path_factory.mktemp("hub"), size=12, vendors=("hubspot", "salesforce")) as there:
        run_sync(there.hub, quiet=True)
        there.clock.advance(DAY_S)
        yield there.config


def test_a_report_is_the_same_bytes_in_every_process(config: Path) -> None:
    words = ["--config", str(config), "report", "all", "--format", "json", "--as-of", "2026-06-30T12:00"]
    seeded = {**os.environ, "PYTHONHASHSEED": "1"}  # sets and hashes in another order than here
    other = subprocess.run([sys.executable, "-c", AFTERWARDS, *words], env=seeded, stdout=subprocess.PIPE, check=True).stdout
    first = tundish(*words).out
    assert first.encode() == other
    assert {row["family"] for row in json.loads(first)["metrics"]} >= {"funnel", "pipeline", "movement", "attribution", "forecast"}
