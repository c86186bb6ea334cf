"""`make bench`: how much work the hub needs per record, next to dlt, a Singer pair, and the floor nobody can go below.

Every leg is a process of its own that fetches the same bytes from the same server process; the operating system says
what it used. Rounds are interleaved, so that a busy minute of the machine hits every leg. Standard library only: a
child's peak memory counts from its parent's, so this parent must stay small.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MILLION = 1_000_000
FEW = 100  # contacts of the small run beside each large one
SIZES = {  # rows for the hub and the floor, and what they are
    "hubspot": (200_000, "contacts with 30 fields"),
    "salesforce": (200_000, "contacts with 30 fields"),
    "ga4": (250_000, "rows of a report, three tallies each"),
    "activecampaign": (100_000, "contacts with 10 custom fields"),
}
MEMORY_MB = 400  # what the hub may take at its peak


@dataclass(frozen=True)
class Leg:
    """One contestant. `scripts` are piped into each other; `after` runs on the folder another leg has filled."""

    name: str
    vendor: str
    scripts: tuple[str, ...]
    peer: bool = False
    after: str | None = None


LEGS = (
    Leg("floor", "hubspot", ("floor.py",)),
    Leg("hub", "hubspot", ("hub.py",)),
    Leg("hub, again unchanged", "hubspot", ("hub.py",), after="hub"),
    Leg("dlt, Parquet loader", "hubspot", ("dlt_parquet.py",), peer=True),
    Leg("Singer tap and target", "hubspot", ("singer_tap.py", "singer_target.py"), peer=True),
    Leg("dlt, default", "hubspot", ("dlt_default.py",), peer=True),
    Leg("floor", "salesforce", ("floor.py",)),
    Leg("hub", "salesforce", ("hub.py",)),
    Leg("hub, again unchanged", "salesforce", ("hub.py",), after="hub"),
    Leg("dlt, Parquet loader", "salesforce", ("dlt_parquet.py",), peer=True),
    Leg("dlt, default", "salesforce", ("dlt_default.py",), peer=True),
    Leg("floor", "ga4", ("floor.py",)),
    Leg("hub", "ga4", ("hub.py",)),
    Leg("hub, again unchanged", "ga4", ("hub.py",), after="hub"),
    Leg("floor", "activecampaign", ("floor.py",)),
    Leg("hub", "activecampaign", ("hub.py",)),
    Leg("hub, again unchanged", "activecampaign", ("hub.py",), after="hub"),
    Leg("dlt, Parquet loader", "activecampaign", ("dlt_parquet.py",), peer=True),
    Leg("dlt, default", "activecampaign", ("dlt_default.py",), peer=True),
)


@dataclass(frozen=True)
class Used:
    """What the whole processes of one leg took."""

    records: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    appended: int | None = None


@dataclass(frozen=True)
class Result:
    """A leg at full size, beside the same leg with `FEW` contacts: what that takes is start-up, not work per record."""

    full: Used
    few: Used

    @property
    def cpu_per_million(self) -> float:
        return (self.full.cpu_s - self.few.cpu_s) / (self.full.records - self.few.records) * MILLION

    @property
    def per_second(self) -> float:
        """Records per second of the whole process, start-up and all."""
        return self.full.records / self.full.wall_s


# -- measuring ------------------------------------------------------------------------------------------------------
def measure(leg: Leg, python: str, url: str, folder: Path) -> Used:
    """Run a leg to its end. Raises: RuntimeError when it fails or does not say how many records it moved."""
    children: list[subprocess.Popen[bytes]] = []
    began = time.monotonic()
    answers = [folder / f"leg-{i}.json" for i in range(len(leg.scripts))]
    source = None
    for i, script in enumerate(leg.scripts):
        last = i == len(leg.scripts) - 1
        with (folder / f"leg-{i}.log").open("wb") as log:
            child = subprocess.Popen(
                [python, str(HERE / script), *(() if len(leg.scripts) > 1 else (leg.vendor, url, str(folder)))],
                stdin=source,
                stdout=log if last else subprocess.PIPE,
                stderr=log,
                env=_environment(leg, folder, url, answers[i]),
                cwd=folder,
            )
        if source:
            source.close()  # the children hold it now; or a tap would wait for ever for a target that has died
        source = child.stdout
        children.append(child)
    cpu_s, peak_mb = 0.0, 0.0
    for i, child in enumerate(children):
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{leg.scripts[i]} failed:\n{(folder / f'leg-{i}.log').read_text()[-2000:]}")
        cpu_s, peak_mb = cpu_s + usage.ru_utime + usage.ru_stime, peak_mb + usage.ru_maxrss / 1024
    wall_s = time.monotonic() - began
    said = [json.loads(answer.read_text()) for answer in answers]
    if said[-1].get("status", "done") != "done":
        raise RuntimeError(f"{leg.name} ended {said[-1]['status']}: {said[-1].get('reasons')}")
    return Used(said[-1]["records"], cpu_s, wall_s, peak_mb, said[-1].get("appended"))


def _environment(leg: Leg, folder: Path, url: str, answer: Path) -> dict[str, str]:
    own = {"LEG_RESULT": str(answer), "SANDBOX_URL": url, "TARGET_FILE": str(folder / "target.db"), "HOME": str(folder)}
    own |= {} if leg.peer else {"PYTHONPATH": str(ROOT)}
    return {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")} | own


@contextmanager
def server(vendor: str, size: int) -> Iterator[str]:
    """Serve so many contacts from a process of its own; yields its address."""
    command = [sys.executable, str(HERE / "serve.py"), vendor, str(size)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ) | {"PYTHONPATH": str(ROOT)})
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the server of {size} {vendor} contacts did not start")
        yield url
    finally:
        child.terminate()
        child.wait()


def rounds(legs: Sequence[Leg], pythons: Mapping[bool, str], urls: Mapping[bool, str], few_url: str, count: int) -> dict[str, Result]:
    """Every leg once per round, in turn, and medians over the rounds. `urls` by whether the leg is a peer's."""
    full: dict[str, list[Used]] = {leg.name: [] for leg in legs}
    few: dict[str, list[Used]] = {leg.name: [] for leg in legs}
    for number in range(count):
        for used, url in ((few, dict.fromkeys(urls, few_url)), (full, urls)):
            with tempfile.TemporaryDirectory(prefix="tundish-bench-") as name:
                for leg in legs:
                    folder = Path(name) / (leg.after or leg.name).replace(" ", "-").replace(",", "")
                    folder.mkdir(exist_ok=True)
                    used[leg.name].append(measure(leg, pythons[leg.peer], url[leg.peer], folder))
                    if not any(other.after == leg.name for other in legs):
                        shutil.rmtree(folder)
        for leg in legs:
            result = Result(full[leg.name][-1], few[leg.name][-1])
            print(f"  round {number + 1}: {leg.vendor} {leg.name}: {result.cpu_per_million:.1f} CPU s per million", file=sys.stderr)
    return {leg.name: Result(median(full[leg.name]), median(few[leg.name])) for leg in legs}


def median(runs: Sequence[Used]) -> Used:
    """Each quantity's own median."""
    cpu_s, wall_s, peak_mb = (statistics.median(getattr(run, name) for run in runs) for name in ("cpu_s", "wall_s", "peak_mb"))
    return Used(runs[0].records, cpu_s, wall_s, peak_mb, runs[0].appended)


# -- telling --------------------------------------------------------------------------------------------------------
COLUMNS = ("", "records", "records/s", "CPU s", "of it start-up", "CPU s per million", "peak MB", "× floor", "× hub")


def table(title: str, results: Mapping[str, Result]) -> str:
    """One line per leg. CPU seconds per million and the ratios leave start-up out; records/s and CPU s have it in."""
    lines = [COLUMNS]
    for name, result in results.items():
        per_million, full = result.cpu_per_million, result.full
        ratios = [f"{per_million / results[other].cpu_per_million:.2f}" if other in results else "" for other in ("floor", "hub")]
        counts = f"{full.records:,}", f"{result.per_second:,.0f}", f"{full.cpu_s:.1f}", f"{result.few.cpu_s:.1f}"
        lines.append((name, *counts, f"{per_million:.1f}", f"{full.peak_mb:.0f}", *ratios))
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join([title, rows[0], "-" * len(rows[0]), *rows[1:]])


def verdicts(results: Mapping[str, Result]) -> list[str]:
    """The promises that can be read from these results, each with what was measured."""
    hub = results["hub"]
    promises = [("CPU seconds per million at most 25", hub.cpu_per_million, hub.cpu_per_million <= 25)]
    promises.append((f"peak memory under {MEMORY_MB} MB", hub.full.peak_mb, hub.full.peak_mb < MEMORY_MB))
    for name, least in (("dlt, default", 20), ("dlt, Parquet loader", 7)):
        if name in results:
            times = results[name].cpu_per_million / hub.cpu_per_million
            promises.append((f"at least {least}× less than {name}", times, times >= least))
    if again := results.get("hub, again unchanged"):
        times = hub.cpu_per_million / again.cpu_per_million
        promises.append(("unchanged again at least 3× less", times, times >= 3))
        promises.append(("unchanged again appends nothing", float(again.full.appended or 0), not again.full.appended))
    return [f"{'met    ' if met else 'NOT MET'}  {words}: {value:.1f}" for words, value, met in promises]


# -- the peers' environment -----------------------------------------------------------------------------------------
def peers(venv: Path) -> str:
    """The python that has the peers; installs them once."""
    python, wanted = venv / "bin" / "python", (HERE / "requirements.txt").read_text()
    stamp = venv / "requirements.installed"
    if python.exists() and (not stamp.exists() or stamp.read_text() == wanted):
        return str(python)
    print(f"installing the peers into {venv.name} (once) ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(HERE / "requirements.txt")], check=True
    )
    stamp.write_text(wanted)
    return str(python)


def memory(sizes: Sequence[int]) -> dict[str, Result]:
    """The hub's first sync and the one after it, at several sizes, once each."""
    found = {}
    legs = [leg for leg in LEGS if leg.vendor == "hubspot" and leg.scripts == ("hub.py",)]
    with server("hubspot", FEW) as few_url:
        for size in sizes:
            with server("hubspot", size) as url:
                for name, result in rounds(legs, {False: sys.executable}, {False: url}, few_url, 1).items():
                    found[f"{name}, {size:,}"] = result
    return found


def options(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, help="rows for the hub and the floor (100,000 to 250,000, by vendor)")
    parser.add_argument("--peer-size", type=int, default=50_000, help="contacts for the peers, which are slow; ratios are per record")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vendors", nargs="*", default=[*SIZES], choices=[*SIZES])
    parser.add_argument("--no-peers", action="store_true", help="only the floor and the hub")
    parser.add_argument("--memory", nargs="*", type=int, metavar="SIZE", help="only the hub, at 100,000 and 1,000,000 or these")
    parser.add_argument("--bench-venv", type=Path, default=ROOT / ".venv-bench", help="the peers' environment; made when missing")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    chosen = parser.parse_args(args)
    if min(chosen.size or MILLION, chosen.peer_size, *(chosen.memory or [MILLION])) <= FEW:
        parser.error(f"sizes must be above {FEW}: so many contacts are what a leg's start-up is measured with")
    return chosen


def main(args: Sequence[str] | None = None) -> None:
    chosen = options(args)
    if chosen.memory is not None:
        print(table("The hub's memory by size", memory(chosen.memory or [100_000, MILLION])))
        return
    pythons = {False: sys.executable} | ({} if chosen.no_peers else {True: peers(chosen.bench_venv)})
    everything = {}
    for vendor in chosen.vendors:
        usual, what = SIZES[vendor]
        size = chosen.size or usual
        peer_size = min(chosen.peer_size, size)
        legs = [leg for leg in LEGS if leg.vendor == vendor and leg.peer in pythons]
        with ExitStack() as stack:
            sizes = {FEW, size} | ({peer_size} if any(leg.peer for leg in legs) else set())
            urls = {n: stack.enter_context(server(vendor, n)) for n in sizes}
            results = rounds(legs, pythons, {False: urls[size], True: urls.get(peer_size, "")}, urls[FEW], chosen.rounds)
        everything[vendor] = {name: asdict(result) | {"cpu_s_per_million": result.cpu_per_million} for name, result in results.items()}
        fewer = f"; the peers had {peer_size:,}" if peer_size != size and any(leg.peer for leg in legs) else ""
        title = f"\n{vendor}: {size:,} {what}, medians of {chosen.rounds} interleaved rounds{fewer}"
        print(table(title, results), *(verdicts(results) if vendor == "hubspot" else ()), sep="\n", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
