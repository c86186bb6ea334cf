"""`python benchmarks/reconcile_score.py`: is every planted discrepancy found and nothing else, and what does it take at scale?

    --seeds 20 --size 5000         so many sandboxes pulled over HTTP and reconciled: precision and recall per rule
    --people 100000 1000000        one sandbox, multiplied in the lake to so many people: time, memory and the same score
    --people … --resolve           the same for resolve alone: who is who, once from nothing and once after a run before

A multiplied world gives every copy ids, addresses, domains and names of its own, so copies have nothing in common but owners,
pipelines and campaigns. Exit code 1 when a rule misses its goal: 1.0 and 1.0, for probable duplicates (I-02) 0.99 and 0.95.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import pyarrow.compute as pc
from copies import copied_plants, multiply
from limits import Watch, simulated

from core.compiled import over
from core.entity_history import moves
from core.ledger import Count
from core.model import KINDS
from core.resolve import resolve
from jobs.play import Playground, playground
from jobs.steps import SyncResult, run_reconcile, run_sync
from jobs.truth import score
from jobs.wiring import open_hub

NOW = datetime(2026, 6, 30, tzinfo=UTC)
PROBABLE = {"I-02": (0.99, 0.95)}  # rule → precision and recall that are enough; all others must be exact
NOT_MULTIPLIED = {  # what copies cannot say, so that a multiplied world is not scored by it
    "T-01": "how far the hub has read is the ledger's, and is not copied",
    "T-04": "copies share their times, which is what a bulk stamp looks like",
    "X-01": "an odd split of few visitors becomes a telling one of many",
}
COUNTS = ("planted", "found", "missed", "false")


def main() -> int:
    args = arguments()
    what = RESOLVE if args.resolve else RECONCILE
    if args.one:
        print(json.dumps(what.one(Path(args.one))))
        return 0
    if args.people:
        return grown(args.people, args.size, args.first_seed, what)
    total: Counter[tuple[str, str]] = Counter()
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        began = time.monotonic()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own:  # a world of 5,000 people leaves its memory behind
            found = own.submit(sandbox_score, args.size, seed).result()
        total.update({(rule, name): n for rule, counts in found["rules"].items() for name, n in counts.items()})
        print(
            f"seed {seed}: {found['planted']} planted, {found['missed']} missed, {found['false']} false, {time.monotonic() - began:.0f} s",
            file=sys.stderr,
        )
        for rule, records in found["false_records"].items():
            print(f"  {rule} fired wrongly on {records[:3]}", file=sys.stderr)
    print(f"\n{args.seeds} sandboxes of {args.size:,} people, seeds from {args.first_seed}")
    return told(rules_of(total))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="sandboxes (3)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=500, help="people in a sandbox, beside those of the planted cases (500)")
    parser.add_argument("--people", type=int, nargs="*", default=(), help="multiply the sandbox to so many people")
    parser.add_argument("--resolve", action="store_true", help="with --people: measure resolve alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a prepared home, measured in a process of its own
    return parser.parse_args()


# -- many sandboxes --------------------------------------------------------------------------------------------------
def sandbox_score(size: int, seed: int) -> dict[str, Any]:
    """The score of one sandbox that was pulled over HTTP. Waiting costs nothing: the clock is moved instead."""
    with tempfile.TemporaryDirectory(prefix="tundish-score-") as home, playground(Path(home), size=size, seed=seed, now=NOW) as play:
        pulled(play)
        with open_hub(play.config, clock=lambda: NOW) as hub:
            return score(run_reconcile(hub).open_findings(), play.truth)


def pulled(play: Playground) -> None:
    """Pull the whole sandbox; a read that a run may only begin (Optimizely asks about 6,000 visitors a run) is gone on with."""
    for emulator in play.emulators.values():
        if hasattr(emulator, "ticks"):  # its limits go by the clock that waiting moves
            emulator.ticks = emulator.clock.now
    watch = Watch(next(iter(play.emulators.values())).clock, float("inf"), sys.maxsize)
    with simulated(watch), open_hub(play.config, clock=lambda: NOW) as hub:
        done = run_sync(hub, quiet=True)
        while begun := _begun(done):
            done = run_sync(hub, accounts=sorted({c.account for c in begun}), resources=sorted({c.resource for c in begun}), quiet=True)
    if done.status != "done":
        raise RuntimeError(f"the sandbox was not pulled whole: {done.text()}")


def _begun(done: SyncResult) -> list[Count]:
    """What is not whole yet, when the next run goes on with all of it."""
    open_ = [count for count in done.counts if count.status != "done"]
    return open_ if all("goes on from here" in count.reason and count.kept for count in open_) else []


# -- one sandbox, multiplied -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Column:
    """A number of a measured size: its heading, how wide it is, how it is written."""

    name: str
    width: int
    form: str = ",.0f"


@dataclass(frozen=True)
class Measured:
    """What is multiplied, what of it is measured, and how a size is told."""

    kinds: Sequence[str]
    one: Callable[[Path], dict[str, Any]]
    columns: Sequence[Column]
    option: tuple[str, ...] = ()  # how the process that measures one size is told what to measure


def grown(sizes: Sequence[int], base: int, seed: int, what: Measured) -> int:
    """Each size in a process of its own, so that its peak memory is its own."""
    worst = 0
    columns = (Column("people", 10), Column("copies", 8), *what.columns)
    with tempfile.TemporaryDirectory(prefix="tundish-grown-") as home, playground(Path(home), size=base, seed=seed, now=NOW) as play:
        pulled(play)
        people = len(play.truth["people"])
        print("".join(f"{c.name:>{c.width}}" for c in columns))
        for size in sizes:
            copies = max(1, round(size / people))
            known = {"people": people * copies, "copies": copies, "records": multiply(play.config, copies, what.kinds)}
            done = subprocess.run([sys.executable, __file__, "--one", home, *what.option], stdout=subprocess.PIPE, check=True)
            row = known | json.loads(done.stdout)
            if "found" in row:
                scored = [one for one in row["found"] if one["rule"] not in NOT_MULTIPLIED]
                planted = (plant for plant in copied_plants(play.truth["planted"], copies) if plant["rule"] not in NOT_MULTIPLIED)
                found = score(scored, {"planted": list(planted)})
                row |= {"missed": found["missed"], "false": found["false"], "findings": len(row["found"])}
                worst = max(worst, told({rule: c for rule, c in found["rules"].items() if c["missed"] or c["false"]}, quiet=True))
            print("".join(f"{row[c.name]:>{c.width}{c.form}}" for c in columns), flush=True)
    return worst


@contextmanager
def watched(row: dict[str, Any]) -> Iterator[None]:
    """Into the row: seconds, processor seconds, and the peak of the process so far."""
    wall, cpu = time.monotonic(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row |= {"s": time.monotonic() - wall, "CPU s": time.process_time() - cpu, "peak MB": peak}


def reconciled(home: Path) -> dict[str, Any]:
    """Reconcile a prepared home, measured; `found` are the open findings: [{rule, records}]."""
    row: dict[str, Any] = {}
    with open_hub(home / "grown.yaml", clock=lambda: NOW) as hub, watched(row):
        findings = run_reconcile(hub).findings
    open_ = findings.filter(pc.equal(findings["status"], "open")).select(["rule", "records"]).to_pylist()
    return row | {"found": [{"rule": one["rule"], "records": json.loads(one["records"])} for one in open_]}


def resolved(home: Path) -> dict[str, Any]:
    """Resolve over a prepared home, measured: from nothing, then with the members of the run before and what moved since."""
    row: dict[str, Any] = {}
    with open_hub(home / "grown.yaml", clock=lambda: NOW) as hub, hub.lake.lent() as engine:
        tables = {kind: hub.lake.current(kind) for kind in KINDS}
        compiled = over(tables, hub.setup.funnel)
        with watched(row):
            first = resolve(tables, hub.setup.funnel, None, compiled, engine=engine)
        wall = time.monotonic()
        again = resolve(tables, hub.setup.funnel, first.members, compiled, engine=engine)
        moved = moves(first.members, again.members, compiled).num_rows
        again_s = time.monotonic() - wall
    if moved or not again.members.equals(first.members):
        raise RuntimeError("the same records were resolved otherwise the second time")
    entities = first.members.group_by("entity_id").aggregate([]).num_rows
    counts = {"records": first.members.num_rows, "entities": entities, "links": first.links.num_rows, "cuts": first.cuts.num_rows}
    return row | counts | {"again s": again_s}


_TIMES = (Column("s", 8, ",.1f"), Column("CPU s", 8, ",.1f"), Column("peak MB", 9))
RECONCILE = Measured(
    KINDS, reconciled, (Column("records", 12), Column("findings", 10), *_TIMES, Column("missed", 8), Column("false", 7)),
)  # fmt: skip
RESOLVE = Measured(
    ("person", "company", "deal", "association"), resolved,
    (Column("records", 12), Column("entities", 11), Column("links", 11), Column("cuts", 7), *_TIMES, Column("again s", 9, ",.1f")),
    ("--resolve",),
)  # fmt: skip


# -- telling ---------------------------------------------------------------------------------------------------------
def rules_of(total: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    return {rule: {name: total[rule, name] for name in COUNTS} for rule in sorted({rule for rule, _ in total})}


def told(rules: Mapping[str, Mapping[str, int]], *, quiet: bool = False) -> int:
    """Print a line per rule; 1 when one of them misses its goal."""
    if not quiet:
        print(f"{'rule':<8}{'planted':>9}{'found':>8}{'missed':>8}{'false':>7}{'precision':>11}{'recall':>8}")
    worst = 0
    for rule, n in rules.items():
        precision = n["found"] / (n["found"] + n["false"]) if n["found"] + n["false"] else 1.0
        recall = n["found"] / n["planted"] if n["planted"] else 1.0
        goal = PROBABLE.get(rule, (1.0, 1.0))
        met = precision >= goal[0] and recall >= goal[1]
        worst = max(worst, not met)
        print(
            f"{rule:<8}{n['planted']:>9}{n['found']:>8}{n['missed']:>8}{n['false']:>7}{precision:>11.3f}{recall:>8.3f}"
            f"{'' if met else '   below its goal'}"
        )
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
