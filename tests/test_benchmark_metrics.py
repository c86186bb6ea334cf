"""The benchmark of metrics says the same as SQL by hand, and, where Spark is installed, as Spark."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import ibis
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    before = ibis.get_backend()
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("metrics")
    finally:
        sys.path.remove(str(FOLDER))
        ibis.set_backend(before)


@pytest.fixture(scope="module")
def bench(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tables")
    benchmark.generate(folder, 400, 1000)
    return benchmark.Bench(folder)


@pytest.fixture(scope="module")
def known(bench: Any) -> Any:
    return bench.facts()


def test_the_funnel_and_the_velocity_come_out_as_by_hand(benchmark: ModuleType, known: Any) -> None:
    said = benchmark.by_hand(known, rounds=1)
    assert [line.split(" | ")[0].strip("| ") for line in said.splitlines()[2:]] == ["funnel", "velocity"]


def test_what_comes_out_differently_is_no_comparison(benchmark: ModuleType, known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.metrics_by_hand, "velocity", lambda *given: {("deal_moves", "regressed"): (0, 0)})
    with pytest.raises(AssertionError, match="velocity: by hand it comes out differently"):
        benchmark.by_hand(known, rounds=1)


def test_the_first_number_that_differs_is_shown(benchmark: ModuleType) -> None:
    one = [{"name": "won", "value": 1.5}, {"name": "lost", "value": 2.0}]
    assert benchmark.difference(one, [dict(row) for row in one]) == "yes, 2 numbers"
    said = benchmark.difference(one, [one[0], {"name": "lost", "value": 2.1}])
    assert said.startswith("NO: ")
    assert '"value": 2.1' in said
    assert benchmark.difference(one, one[:1]) == "NO: 2 rows / 1 rows"


@pytest.mark.slow
def test_spark_says_the_same_to_the_last_byte(benchmark: ModuleType, bench: Any, known: Any, tmp_path: Path) -> None:
    if importlib.util.find_spec("pyspark") is None and os.environ.get("CI") != "true":
        pytest.skip('needs Spark: pip install -e ".[spark]", and Java 17')
    bench.measure(known, ("pipeline", "sources"), lambda words: None)
    said = list(benchmark.on_spark(bench, known, tmp_path, lambda words: None))
    assert sum("| yes, " in line for line in said) == 2, said
