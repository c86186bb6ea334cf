"""How long the forecast and its backtest take over deals of a known history: python benchmarks/forecast.py --deals 100000

Times are wall and processor seconds of the whole, queries and draws; `measure(deals)` is for a benchmark of several families.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import ibis

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import generated_deals

from core.measure import FAMILIES
from core.measure.metric import Scope

DAYS = 1900  # more than the twelve past quarters
NAMES = ("forecast", "backtest", "waterfall", "movement")


def measure(deals: int, families: Sequence[str] = NAMES) -> Iterator[tuple[str, float, float, int]]:
    """(family, wall s, processor s, numbers) of each, in this order: the later ones stand on what the first have made."""
    engine = ibis.duckdb.connect()
    ibis.set_backend(engine)
    facts = {
        name: engine.create_table(name, table) for name, table in generated_deals.history(deals, DAYS, 3, generated_deals.UNTIL).items()
    }
    scope = Scope(facts, {}, generated_deals.UNTIL)
    for name in families:
        wall, spent = time.perf_counter(), time.process_time()
        numbers = sum(1 for part in FAMILIES[name] for _ in part(scope))
        yield name, time.perf_counter() - wall, time.process_time() - spent, numbers


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--deals", type=int, default=100_000)
    asked = arguments.parse_args()
    print(f"{asked.deals:,} deals, {DAYS} days")
    for name, wall, spent, numbers in measure(asked.deals):
        print(f"{name:10} {wall:7.1f} s wall {spent:7.1f} s processor {numbers:5} numbers")


if __name__ == "__main__":
    main()
