"""The benchmark's own legs work: a small run of the floor and the hub against the benchmark's server, in real processes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SIZE = 500


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["hubspot", "salesforce", "ga4", "activecampaign"])
def served(run: ModuleType, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with run.server(request.param, SIZE) as url:
        yield request.param, url


def leg(run: ModuleType, vendor: str, name: str):
    return next(leg for leg in run.LEGS if (leg.vendor, leg.name) == (vendor, name))


def test_the_floor_sees_every_row(run: ModuleType, served: tuple[str, str], tmp_path: Path) -> None:
    vendor, url = served
    used = run.measure(leg(run, vendor, "floor"), sys.executable, url, tmp_path)
    assert used.records == SIZE
    assert used.cpu_s > 0
    assert used.peak_mb > 0


def test_the_hub_stores_every_row_once(run: ModuleType, served: tuple[str, str], tmp_path: Path) -> None:
    vendor, url = served
    first = run.measure(leg(run, vendor, "hub"), sys.executable, url, tmp_path)
    again = run.measure(leg(run, vendor, "hub, again unchanged"), sys.executable, url, tmp_path)
    records = SIZE * 3 if vendor == "ga4" else SIZE  # a tally for each of the report's three metrics
    assert (first.records, first.appended) == (SIZE, records)
    assert (again.records, again.appended) == (SIZE, 0)


def test_start_up_is_left_out_of_the_work_per_record(run: ModuleType) -> None:
    few, full = run.Used(100, cpu_s=1.0, wall_s=1.0, peak_mb=50), run.Used(100_100, cpu_s=4.0, wall_s=5.0, peak_mb=60)
    assert run.Result(full, few).cpu_per_million == pytest.approx(30.0)


def test_the_table_compares_every_leg_with_the_floor_and_the_hub(run: ModuleType) -> None:
    few = run.Used(100, cpu_s=0.0, wall_s=1.0, peak_mb=50)
    results = {
        name: run.Result(run.Used(1100, cpu_s, 1.0, 60, 0), few) for name, cpu_s in (("floor", 1.0), ("hub", 2.0), ("dlt, default", 60.0))
    }
    lines = run.table("title", results).splitlines()
    assert [line.split()[-2:] for line in lines[3:]] == [["1.00", "0.50"], ["2.00", "1.00"], ["60.00", "30.00"]]


def test_what_is_not_met_is_said(run: ModuleType) -> None:
    few = run.Used(100, cpu_s=0.0, wall_s=1.0, peak_mb=50)
    results = {"hub": run.Result(run.Used(1_000_100, cpu_s=26.0, wall_s=9.0, peak_mb=399), few)}
    assert [line.startswith("met") for line in run.verdicts(results)] == [False, True]
