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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MILLION = 1_000_000
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
)


@dataclass(frozen=True)
class Used:
    """What one run of a leg took. Start-up is imports, before the first request; `wall_s` is without it."""

    records: int
    cpu_s: float
    startup_cpu_s: float
    wall_s: float
    peak_mb: float
    appended: int | None = None

    @property
    def cpu_per_million(self) -> float:
        return (self.cpu_s - self.startup_cpu_s) / self.records * MILLION

    @property
    def per_second(self) -> float:
        return self.records / self.wall_s


# -- measuring ------------------------------------------------------------------------------------------------------
def measure(leg: Leg, python: str, url: str, folder: Path) -> Used:
    """Run a leg to its end. Raises: RuntimeError when it fails or does not say how many records it moved."""
    children: list[subprocess.Popen[bytes]] = []
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
                env=_environment(folder, url, answers[i]),
                cwd=folder,
            )
        source = child.stdout
        children.append(child)
    cpu_s, peak_mb = 0.0, 0.0
    for i, child in enumerate(children):
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.stdout:
            child.stdout.close()
        if child.returncode:
            raise RuntimeError(f"{leg.scripts[i]} failed:\n{(folder / f'leg-{i}.log').read_text()[-2000:]}")
        cpu_s, peak_mb = cpu_s + usage.ru_utime + usage.ru_stime, peak_mb + usage.ru_maxrss / 1024
    ended = time.time()
    said = [json.loads(answer.read_text()) for answer in answers]
    if said[-1].get("status", "done") != "done":
        raise RuntimeError(f"{leg.name} ended {said[-1]['status']}: {said[-1].get('reasons')}")
    startup_s = sum(s["ready"]["cpu_s"] for s in said)
    began = max(s["ready"]["at"] for s in said)
    return Used(said[-1]["records"], cpu_s, startup_s, ended - began, peak_mb, said[-1].get("appended"))


def _environment(folder: Path, url: str, answer: Path) -> dict[str, str]:
    own = {"LEG_RESULT": str(answer), "SANDBOX_URL": url, "TARGET_FILE": str(folder / "target.db"), "HOME": str(folder)}
    return {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")} | own


@contextmanager
def server(vendor: str, size: int) -> Iterator[str]:
    """Serve so many contacts from a process of its own; yields its address."""
    child = subprocess.Popen([sys.executable, str(HERE / "serve_contacts.py"), vendor, str(size)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the server of {size} {vendor} contacts did not start")
        yield url
    finally:
        child.terminate()
        child.wait()


def rounds(legs: Sequence[Leg], pythons: dict[bool, str], urls: dict[bool, str], count: int) -> dict[str, list[Used]]:
    """Each leg once per round, in turn. `urls` by whether the leg is a peer's (it may get fewer records)."""
    used: dict[str, list[Used]] = {leg.name: [] for leg in legs}
    for number in range(count):
        with tempfile.TemporaryDirectory(prefix="tundish-bench-") as name:
            for leg in legs:
                folder = Path(name) / (leg.after or leg.name).replace(" ", "-").replace(",", "")
                folder.mkdir(exist_ok=True)
                found = measure(leg, pythons[leg.peer], urls[leg.peer], folder)
                used[leg.name].append(found)
                print(f"  round {number + 1}: {leg.vendor} {leg.name}: {found.cpu_per_million:.1f} CPU s per million", file=sys.stderr)
                if not any(other.after == leg.name for other in legs):
                    shutil.rmtree(folder)
    return used


def median(runs: Sequence[Used]) -> Used:
    """Each quantity's own median."""
    parts = {name: statistics.median(getattr(run, name) for run in runs) for name in ("cpu_s", "startup_cpu_s", "wall_s", "peak_mb")}
    return Used(records=runs[0].records, appended=runs[0].appended, **parts)


# -- telling --------------------------------------------------------------------------------------------------------
COLUMNS = ("", "records", "records/s", "CPU s", "of it start-up", "CPU s per million", "peak MB", "× floor", "× hub")


def table(title: str, results: dict[str, Used]) -> str:
    """One line per leg. Ratios are of CPU seconds per record, start-up aside."""
    lines = [COLUMNS]
    for name, used in results.items():
        ratios = [f"{used.cpu_per_million / results[other].cpu_per_million:.2f}" if other in results else "" for other in ("floor", "hub")]
        lines.append(
            (
                name, f"{used.records:,}", f"{used.per_second:,.0f}", f"{used.cpu_s:.1f}", f"{used.startup_cpu_s:.1f}",
                f"{used.cpu_per_million:.1f}", f"{used.peak_mb:.0f}", *ratios,
            )
        )  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    rows = ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))) for line in lines]
    return "\n".join([title, rows[0], "-" * len(rows[0]), *rows[1:]])


def verdicts(results: dict[str, Used]) -> list[str]:
    """The promises that can be read from these results, each with what was measured."""
    hub = results["hub"]
    promises = [("CPU seconds per million at most 25", hub.cpu_per_million, hub.cpu_per_million <= 25)]
    promises.append((f"peak memory under {MEMORY_MB} MB", hub.peak_mb, hub.peak_mb < MEMORY_MB))
    for name, least in (("dlt, default", 20), ("dlt, Parquet loader", 7)):
        if name in results:
            times = results[name].cpu_per_million / hub.cpu_per_million
            promises.append((f"at least {least}× less than {name}", times, times >= least))
    if again := results.get("hub, again unchanged"):
        times = hub.cpu_per_million / again.cpu_per_million
        promises.append(("unchanged again at least 3× less", times, times >= 3))
        promises.append(("unchanged again appends nothing", float(again.appended or 0), not again.appended))
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


def memory(sizes: Sequence[int]) -> dict[str, Used]:
    """The hub's first sync and the one after at several sizes, once each."""
    found = {}
    hub_legs = [leg for leg in LEGS if leg.vendor == "hubspot" and leg.scripts == ("hub.py",)]
    for size in sizes:
        with server("hubspot", size) as url:
            for name, runs in rounds(hub_legs, {False: sys.executable}, {False: url}, 1).items():
                found[f"{name} {size:,}"] = runs[0]
    return found


def options(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=200_000, help="contacts for the hub and the floor")
    parser.add_argument("--peer-size", type=int, help="contacts for the peers, when they take too long; ratios stay per record")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vendors", nargs="*", default=["hubspot", "salesforce"], choices=["hubspot", "salesforce"])
    parser.add_argument("--no-peers", action="store_true", help="only the floor and the hub")
    parser.add_argument("--memory", nargs="*", type=int, metavar="SIZE", help="only the hub's memory, at 100,000 and 1,000,000 or the given sizes")
    parser.add_argument("--bench-venv", type=Path, default=ROOT / ".venv-bench", help="the peers' environment; made when missing")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None) -> None:
    chosen = options(args)
    if chosen.memory is not None:
        print(table("The hub's memory by size", memory(chosen.memory or [100_000, MILLION])))
        return
    pythons = {False: sys.executable} | ({} if chosen.no_peers else {True: peers(chosen.bench_venv)})
    peer_size = chosen.peer_size or chosen.size
    everything = {}
    for vendor in chosen.vendors:
        legs = [leg for leg in LEGS if leg.vendor == vendor and leg.peer in pythons]
        with ExitStack() as stack:
            urls = {size: stack.enter_context(server(vendor, size)) for size in {chosen.size, peer_size}}
            used = rounds(legs, pythons, {False: urls[chosen.size], True: urls[peer_size]}, chosen.rounds)
        results = {name: median(runs) for name, runs in used.items()}
        everything[vendor] = {name: asdict(found) for name, found in results.items()}
        fewer = f"; the peers had {peer_size:,}" if peer_size != chosen.size and True in pythons else ""
        title = f"\n{vendor}: {chosen.size:,} contacts with 30 fields, medians of {chosen.rounds} interleaved rounds{fewer}"
        print(table(title, results), *(verdicts(results) if vendor == "hubspot" else ()), sep="\n", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
