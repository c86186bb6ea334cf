"""`python benchmarks/metrics.py --people 1000000 --touches 10000000`: what each family of metrics takes, and how much memory.

    --people 20000 --touches 200000     a quick look (the default)
    --families attribution experiments  only these
    --tables FOLDER                     keep the generated tables there, or use those that are

Tables as the lake has them are generated as Parquet: people with their lifecycle, companies of five, a deal for every tenth
person, visits by seven channels, and an experiment that every tenth person and as many strangers saw. Facts are computed once and
timed for themselves; every family stands on them. CPU seconds are of all threads; memory is the process's peak during the family.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import duckdb
import ibis
import pyarrow as pa

from core.compiled import over
from core.facts import facts
from core.lake_schema import record_schema
from core.measure import FAMILIES, measure

NOW = datetime(2026, 6, 30, tzinfo=UTC)
FUNNEL: dict[str, Any] = {"thresholds": {"currency": "EUR"}}
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EPOCH = "TIMESTAMPTZ '2026-06-30 00:00:00+00'"


def luck(salt: int, of: str = "i") -> str:
    """A number from 0 to 1, the same for the same row every time."""
    return f"((hash({of} * 64 + {salt}) % 1000003) / 1000003.0)"


def days_ago(days: str) -> str:
    return f"({_EPOCH} - to_seconds(CAST(({days}) * 86400 AS BIGINT)))"


def one_of(words: Sequence[str], number: str) -> str:
    return f"{list(words)}[1 + CAST({number} AS BIGINT) % {len(words)}]"


SOURCES = ("ORGANIC_SEARCH", "PAID_SEARCH", "REFERRALS", "OFFLINE")
CHANNELS = ("Organic Search", "Paid Search", "Email", "Direct", "Referral", "Organic Social", "Display")
SAID = '\'{"experiment_id":"41","variation_id":"\' || (1 + i % 2) || \'","variant":"\' || [\'old\', \'new\'][1 + i % 2] || \'"}\''
CREATED = days_ago(f"720 * {luck(1)} + 2")
# kind → (how many rows, as an expression of people and touches; column → SQL over i)
TABLES: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]] = {
    "person": [("people", {
        "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'contacts'", "vendor_id": "'p' || i", "created_at": CREATED,
        "company_id": "'c' || (i // 5)", "source": one_of(SOURCES, f"4 * {luck(2)}"),
        "links": "['web:clients:v' || i]",
    })],
    "company": [("people // 5", {
        "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'companies'", "vendor_id": "'c' || i", "created_at": days_ago("800"),
        "links": "[]::VARCHAR[]",
    })],
    "deal": [("people // 10", {
        "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'deals'", "vendor_id": "'d' || i", "person_id": "'p' || (i * 10)",
        "company_id": "'c' || (i * 2)", "created_at": days_ago(f"40 + 500 * {luck(3)}"), "amount": f"round(1000 + 99000 * {luck(4)}, 2)",
        "currency": "'EUR'", "closed": f"{luck(5)} < 0.7", "won": f"{luck(5)} < 0.4", "probability": "0.5",
        "close_date": f"CAST({days_ago(f'10 + 300 * {luck(6)}')} AS DATE)", "pipeline_stage": "'Qualifying'",
        "stage": f"CASE WHEN {luck(5)} < 0.4 THEN 'M80' WHEN {luck(5)} < 0.7 THEN 'M85' ELSE 'M50' END", "links": "[]::VARCHAR[]",
    })],
    "stage_change": [("people * 2", {
        "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'contact_stages'", "vendor_id": "'s' || i", "record_kind": "'person'",
        "record_id": "'p' || (i // 2)", "field": "'lifecycle'", "value": "CASE i % 2 WHEN 0 THEN 'lead' ELSE 'mql' END",
        "stage": "CASE i % 2 WHEN 0 THEN 'M20' ELSE 'M30' END", "links": "[]::VARCHAR[]",
        "entered_at": days_ago(f"1 + 600 * {luck(7, '(i // 2)')} / (1 + i % 2)"),
    })],
    "touch": [
        ("touches", {
            "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'visits'", "vendor_id": "'t' || i", "kind": "'visit'",
            "person_id": f"'p' || CAST(people * pow({luck(8)}, 2) AS BIGINT)", "occurred_at": days_ago(f"700 * {luck(9)}"),
            "channel": one_of(CHANNELS, f"7 * {luck(10)}"),
            "campaign_id": f"CASE WHEN {luck(11)} < 0.3 THEN 'campaign ' || (i % 40) END", "links": "[]::VARCHAR[]",
        }),
        ("people // 5", {
            "vendor": "'web'", "account": "'web'", "resource": "'events'", "vendor_id": "'e' || i", "kind": "'exposure'",
            "event": "'vwo-41-' || (1 + i % 2)", "occurred_at": days_ago(f"120 + 60 * {luck(12)}"),
            "links": "['web:clients:' || CASE WHEN i % 4 < 2 THEN 'v' || (i * 5) ELSE 'x' || i END]",
        }),
    ],
    "campaign": [("40", {
        "vendor": "'salesforce'", "account": "'salesforce'", "resource": "'Campaign'", "vendor_id": "'k' || i", "name": "'Campaign ' || i",
        "cost": "1000 * (i + 1)", "currency": "'EUR'", "started_at": days_ago("200"), "links": "[]::VARCHAR[]",
    })],
    "experiment": [("1", {
        "vendor": "'vwo'", "account": "'vwo'", "resource": "'campaigns'", "vendor_id": "'41'", "name": "'Prices'",
        "variants": "['old', 'new']",
        "started_at": days_ago("181"), "ended_at": days_ago("119"), "links": "[]::VARCHAR[]",
    })],
    "tally": [("4", {
        "vendor": "'vwo'", "account": "'vwo'", "resource": "'results'", "vendor_id": "'y' || i", "day": "DATE '2026-03-03'",
        "links": "[]::VARCHAR[]", "attributes": SAID, "value": "CASE i // 2 WHEN 0 THEN 0.5 ELSE people // 10 END",
        "measure": "CASE i // 2 WHEN 0 THEN 'experiment_share' ELSE 'experiment_visitors' END",
    })],
}  # fmt: skip
_MEMBER_KINDS = ("person", "company", "deal")


def generate(folder: Path, people: int, touches: int) -> None:
    """One Parquet file for each kind."""
    connection = duckdb.connect()
    for kind, parts in TABLES.items():
        connection.register("shape", record_schema(kind).empty_table())
        connection.execute(f"CREATE OR REPLACE TABLE {kind} AS SELECT * FROM shape")
        for rows, columns in parts:
            base = {"observed_at": _EPOCH, "deleted": "false", "attributes": "'{}'", "merged_ids": "[]::VARCHAR[]", **columns}
            listed = ", ".join(f"{sql} AS {name}" for name, sql in base.items())
            numbers = f"(SELECT range AS i, {people} AS people, {touches} AS touches FROM range({_count(rows, people, touches)}))"
            connection.execute(f"INSERT INTO {kind} BY NAME SELECT {listed} FROM {numbers}")
        connection.execute(f"COPY {kind} TO '{folder / kind}.parquet' (FORMAT parquet)")
        connection.execute(f"DROP TABLE {kind}")


def _count(rows: str, people: int, touches: int) -> int:
    return int(eval(rows, {"__builtins__": {}}, {"people": people, "touches": touches}))  # of TABLES, nobody else's


@dataclass
class Timed:
    """What one piece of work took."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0
    rows: int = 0


@contextmanager
def timed(name: str, into: list[Timed]) -> Iterator[Timed]:
    """Fills in a row of `into`; memory is looked at every 20 ms."""
    row, over_ = Timed(name), threading.Event()

    def look() -> None:
        while not over_.wait(0.02):
            row.peak_mb = max(row.peak_mb, resident_mb())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    wall, cpu = time.monotonic(), time.process_time()
    try:
        yield row
    finally:
        row.seconds, row.cpu = time.monotonic() - wall, time.process_time() - cpu
        row.peak_mb = max(row.peak_mb, resident_mb())
        over_.set()
        watcher.join()
        into.append(row)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


@dataclass
class Bench:
    """The generated tables behind an engine, and what was measured."""

    folder: Path
    done: list[Timed] = field(default_factory=list)

    def run(self, families: Sequence[str], say: Callable[[str], None]) -> list[Timed]:
        engine = ibis.duckdb.connect()
        engine.con.execute("SET TimeZone = 'UTC'")
        ibis.set_backend(engine)
        for kind in TABLES:
            engine.con.execute(f"CREATE VIEW {kind} AS SELECT * FROM read_parquet('{self.folder / kind}.parquet')")
        tables = {kind: engine.table(kind) for kind in TABLES}
        with timed("facts", self.done) as row:
            known = facts(tables, self._members(engine), FUNNEL, NOW, over(tables, FUNNEL))
            row.rows = sum(int(known[kind].count().execute()) for kind in ("person", "deal"))
        for family in families:
            say(family)
            with timed(family, self.done) as row:
                row.rows = measure(known, FUNNEL, NOW, (family,)).num_rows
        return self.done

    def _members(self, engine: Any) -> pa.Table:
        """Every record is an entity of its own."""
        parts = [
            f"SELECT '{kind[:3]}_' || vendor_id AS entity_id, '{kind}' AS kind, account, resource, vendor_id, true AS live FROM {kind}"
            for kind in _MEMBER_KINDS
        ]
        found: pa.Table = engine.con.execute(" UNION ALL ".join(parts)).to_arrow_table()
        return found


def told(done: Sequence[Timed]) -> str:
    lines = ["| | numbers | seconds | CPU s | peak MB |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.rows:,} | {row.seconds:.1f} | {row.cpu:.1f} | {row.peak_mb:,.0f} |" for row in done]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--touches", type=int, default=200_000)
    parser.add_argument("--families", nargs="*", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--tables", type=Path, help="a folder for the generated tables")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.tables or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "tally.parquet").exists():
            print(f"generating {args.people:,} people and {args.touches:,} touches", file=sys.stderr)
            generate(folder, args.people, args.touches)
        done = Bench(folder).run(args.families, lambda family: print(f"measuring {family}", file=sys.stderr))
    print(told(done))
    if args.json:
        args.json.write_text(json.dumps([vars(row) for row in done], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
