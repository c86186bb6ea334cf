"""`python benchmarks/metrics.py --people 1000000 --touches 10000000`: what each family of metrics takes, and how much memory.

    --people 20000 --touches 200000     a quick look (the default)
    --families attribution experiments  only these
    --tables FOLDER                     keep the generated tables there, or use those that are
    --engine spark                      every family on local Spark, too, its numbers next to DuckDB's (metrics_on_spark.py)

Tables as the lake has them are generated as Parquet: people with their lifecycle, companies of five, a deal for every tenth
person, visits by seven channels, and an experiment that every tenth person and as many strangers saw. Facts are computed once and
timed for themselves; every family stands on them. CPU seconds are of all threads; memory is the process's peak during the family.
The funnel and the velocity are timed next to SQL by hand over the same facts (metrics_by_hand.py), and must say the same.
"""

from __future__ import annotations

import argparse
import cProfile
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
sys.path.insert(0, str(Path(__file__).resolve().parent))

import duckdb
import ibis
import metrics_by_hand
import pyarrow as pa

from core.compiled import over
from core.facts import facts
from core.lake_schema import record_schema
from core.lake_write import part_of_the_machine
from core.measure import FAMILIES, funnel, measure, velocity
from core.measure.metric import Scope, table

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
ENDING = " ".join(["CASE", *(f"WHEN {luck(5, '(i // 3)')} < {share} THEN '{code}'" for share, code in ((0.4, "M80"), (0.7, "M85"))),
                   f"WHEN {luck(14)} < 0.3 THEN 'M50' ELSE 'M70' END"])  # fmt: skip
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
    "stage_change": [("people // 10 * 3", {
        "vendor": "'hubspot'", "account": "'hubspot'", "resource": "'deal_stages'", "vendor_id": "'h' || i", "record_kind": "'deal'",
        "record_id": "'d' || (i // 3)", "field": "'stage'", "value": "'stage ' || (i % 3)", "links": "[]::VARCHAR[]",
        "stage": f"CASE i % 3 WHEN 0 THEN 'M50' WHEN 1 THEN CASE WHEN {luck(13)} < 0.8 THEN 'M60' ELSE 'M70' END ELSE {ENDING} END",
        "entered_at": days_ago(f"(40 + 500 * {luck(3, '(i // 3)')}) * (1 - 0.3 * (i % 3))"),
    }), ("people * 2", {
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
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # family → its metrics

    def facts(self) -> dict[str, ibis.Table]:
        engine = ibis.duckdb.connect()
        engine.con.execute("SET TimeZone = 'UTC'")
        engine.con.execute(f"SET temp_directory = '{self.folder / 'spilled'}'")
        engine.con.execute(f"SET memory_limit = '{part_of_the_machine()}'; SET preserve_insertion_order = false")  # as the lake's engine
        ibis.set_backend(engine)
        for kind in TABLES:
            engine.con.execute(f"CREATE VIEW {kind} AS SELECT * FROM read_parquet('{self.folder / kind}.parquet')")
        tables = {kind: engine.table(kind) for kind in TABLES}
        with timed("facts", self.done) as row:
            known = facts(tables, self._members(engine), FUNNEL, NOW, over(tables, FUNNEL))
            row.rows = sum(int(known[kind].count().execute()) for kind in ("person", "deal"))
        return known

    def measure(self, known: Mapping[str, ibis.Table], families: Sequence[str], say: Callable[[str], None]) -> None:
        for family in families:
            say(f"measuring {family}")
            with timed(family, self.done) as row:
                self.said[family] = measure(known, FUNNEL, NOW, (family,)).to_pylist()
                row.rows = len(self.said[family])

    def _members(self, engine: Any) -> pa.Table:
        """Every record is an entity of its own."""
        parts = [
            f"SELECT '{kind[:3]}_' || vendor_id AS entity_id, '{kind}' AS kind, account, resource, vendor_id, true AS live FROM {kind}"
            for kind in _MEMBER_KINDS
        ]
        found: pa.Table = engine.con.execute(" UNION ALL ".join(parts)).to_arrow_table()
        return found


def by_hand(known: Mapping[str, ibis.Table], rounds: int = 3) -> str:
    """CPU seconds of the queries, ours and by hand, the least of the rounds. Raises: AssertionError when they do not say the same."""
    engine = ibis.get_backend(known["person"])
    name = {fact: f'"{table.get_name()}"' for fact, table in known.items()}
    pairs = {"funnel": (funnel.measure, metrics_by_hand.funnel, metrics_by_hand.funnel_said),
             "velocity": (velocity.measure, metrics_by_hand.velocity, metrics_by_hand.velocity_said)}  # fmt: skip
    lines = ["| | ours, CPU s | of it in the engine | by hand, CPU s | queries ÷ by hand | numbers equal |", "|---|---|---|---|---|---|"]
    for what, (ours, hand, said) in pairs.items():

        def measured(ours: Callable[[Scope], Any] = ours, what: str = what) -> list[dict[str, Any]]:
            return table(((what, metric) for metric in ours(Scope(known, FUNNEL, NOW))), NOW).to_pylist()

        taken, asking, theirs = [], [], []
        for _ in range(rounds):
            began = time.process_time()
            found = measured()
            taken.append(time.process_time() - began)
            asking.append(in_engine(measured))
            began = time.process_time()
            answers = hand(engine.con, name, FUNNEL, NOW)
            theirs.append(time.process_time() - began)
            assert said(found) == answers, f"{what}: by hand it comes out differently"
        ratio = min(asking) / min(theirs)
        lines.append(f"| {what} | {min(taken):.2f} | {min(asking):.2f} | {min(theirs):.2f} | {ratio:.2f} | {len(answers):,} |")
    return "\n".join(lines)


def in_engine(work: Callable[[], object]) -> float:
    """CPU seconds, of all threads, that the work spends inside the engine's calls; the rest builds expressions and makes metrics."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(work)
    return sum(entry.inlinetime for entry in profile.getstats() if "_duckdb" in str(entry.code))


def on_spark(bench: Bench, known: Mapping[str, ibis.Table], folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """Every measured family again on Spark, line by line: seconds, and whether it says the same to the last byte, or why it cannot run."""
    import metrics_on_spark as spark

    say("handing the facts over")
    spark.hand_over(known, folder / "facts")
    began: list[Timed] = []
    with timed("start", began):
        engine = spark.connect(folder)
        ibis.set_backend(engine)
        there = spark.facts_there(engine, folder / "facts")
    yield from ("| | DuckDB s | Spark s | the same JSON |", "|---|---|---|---|", f"| start | | {began[0].seconds:.1f} | |")
    for row in [row for row in bench.done if row.name in bench.said]:
        say(f"measuring {row.name} on Spark")
        started = time.monotonic()
        try:
            found = measure(there, FUNNEL, NOW, (row.name,)).to_pylist()
            same = difference(bench.said[row.name], found)
        except Exception as problem:
            same = f"cannot run: {type(problem).__name__}: {str(problem).splitlines()[0][:120]}"
        yield f"| {row.name} | {row.seconds:.1f} | {time.monotonic() - started:.1f} | {same} |"
    yield f"\nSpark's own process took {peak_mb(spark.process()):,.0f} MB at most."


def difference(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> str:
    """Of two engines' metrics: how many are the same as JSON, or the first that is not."""
    here, there = ([json.dumps(row, default=str) for row in rows] for rows in (one, other))
    if here == there:
        return f"yes, {len(here):,} numbers"
    first = next((pair for pair in zip(here, there, strict=False) if pair[0] != pair[1]), (f"{len(here)} rows", f"{len(there)} rows"))
    return f"NO: {first[0]} / {first[1]}"


def peak_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1e3


def told(done: Sequence[Timed]) -> str:
    lines = ["| | numbers | seconds | CPU s | peak MB |", "|---|---|---|---|---|"]
    lines += [f"| {row.name} | {row.rows:,} | {row.seconds:.1f} | {row.cpu:.1f} | {row.peak_mb:,.0f} |" for row in done]
    return "\n".join(lines)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--touches", type=int, default=200_000)
    parser.add_argument("--families", nargs="*", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--tables", type=Path, help="a folder for the generated tables")
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.tables or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "tally.parquet").exists():
            say(f"generating {args.people:,} people and {args.touches:,} touches")
            generate(folder, args.people, args.touches)
        bench = Bench(folder)
        known = bench.facts()
        bench.measure(known, args.families, say)
        print(told(bench.done), flush=True)
        if {"funnel", "movement"} <= set(args.families):
            say("the same by hand")
            print(f"\n{by_hand(known)}", flush=True)
        if args.engine == "spark":
            print()
            for line in on_spark(bench, known, Path(temporary), say):
                print(line, flush=True)
    if args.json:
        args.json.write_text(json.dumps([vars(row) for row in bench.done], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
