"""kill -9 at any moment of sync or apply, then the same command again: the same lake, the same vendors as without it.

The killed processes are real ones that run the command line; the vendors they talk to live in this process, which counts
their requests and kills when the time has come. Nothing in the product knows that it is being tested.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sandbox_hub import READS, VENDORS, Leaves, differing, held, loaded, only, state, tundish_process

from connectors.sandbox.kit import Clock, Emulator, Reply, Request, serve
from core.pipeline import read_live
from jobs.play import write_config
from jobs.steps import run_plan, run_sync
from jobs.wiring import all_connectors, open_hub

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = multiprocessing.get_context("forkserver")  # forks from a process that has imported everything once: ten times quicker
SIZE, SEED = 6, 7
# Who allows a few calls a second would only make real processes wait.
BRISK = [v for v in VENDORS if all(b.calls > (2 if b.match else 5) or b.window_s > 2 for b in all_connectors()[v].buckets)]
HALVES = BRISK[::2], BRISK[1::2]  # a sync of all of them takes twice as long and is killed no better
WRITTEN = [v for v in BRISK if all_connectors()[v].targets]
NOW = datetime.now(UTC).replace(microsecond=0)  # the processes' clock is the machine's, so the world must be of today


class Vendors:
    """Served emulators that kill a process at a chosen request: before they have done it, or after it, unanswered."""

    def __init__(self, emulators: Mapping[str, Emulator], urls: Mapping[str, str]) -> None:
        self.emulators, self.urls = emulators, urls
        self.requests = 0
        self.changes = 0
        self.pid: int | None = None
        self.at_request: int | None = None
        self.at_change: int | None = None
        self.lose_request = False
        self._lock = threading.Lock()
        for emulator in emulators.values():
            if getattr(emulator, "limits", None) is True:
                emulator.limits = False  # type: ignore[attr-defined]
            emulator.handle = self._watched(emulator.handle)  # type: ignore[method-assign]

    def _watched(self, handle: Callable[[Request], tuple[Reply, float]]) -> Callable[[Request], tuple[Reply, float]]:
        def watched(request: Request) -> tuple[Reply, float]:
            due = self._due(request)
            if due and self.lose_request:
                self.kill()
                return Reply(b"", 500), 0.0
            answer = handle(request)
            if due:
                self.kill()
            return answer

        return watched

    def _due(self, request: Request) -> bool:
        with self._lock:
            self.requests += 1
            changes = request.method not in READS | {"POST"} or "batch/update" in request.path or request.path.endswith("/tags")
            self.changes += changes
            return self.requests == self.at_request or (changes and self.changes == self.at_change)

    def kill(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            self.pid = None

    def run(self, config: Path, *words: str, watch: Callable[[], bool] = lambda: False) -> int:
        """Run `tundish` until it ends or is killed: -9 then. `watch` is asked all the time whether to kill it now."""
        line = ["--config", str(config), *words]
        process = PROCESSES.Process(target=tundish_process, args=(line, str(config.parent / "said.txt")))
        process.start()
        self.pid = process.pid
        while process.exitcode is None:
            if watch():
                self.kill()
            process.join(0.001)
        self.pid = None
        return process.exitcode


@contextmanager
def vendors(of: Sequence[str]) -> Iterator[Vendors]:
    emulators, _ = loaded(SIZE, SEED, NOW, Clock(), of)
    for emulator in emulators.values():
        if hasattr(emulator, "ticks"):
            emulator.ticks = time.monotonic
    with serve(list(emulators.values())) as urls:
        yield Vendors(emulators, urls)


def lake_of(config: Path) -> tuple[dict[Any, Any], int]:
    with open_hub(config) as hub:
        return held(hub)


@pytest.fixture(scope="module", autouse=True)
def imported_once() -> None:
    """The processes' common ancestor has the product's modules and nothing of this test's threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        PROCESSES.set_forkserver_preload(["sandbox_hub", "core.pull", "jobs.steps", "jobs.commands.line", "jobs.commands.plans"])
        first = PROCESSES.Process(target=os.getpid)
        first.start()
        first.join()


# -- sync ------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Quiet:
    """A sync nobody disturbed, and what it took."""

    vendors: Vendors
    lake: tuple[dict[Any, Any], int]
    requests: int
    batches: int


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Quiet]]:
    """Of one of the HALVES."""
    with ExitStack() as stack:

        @cache
        def of(half: int) -> Quiet:
            served = stack.enter_context(vendors(HALVES[half]))
            config = write_config(tmp_path_factory.mktemp("quiet"), served.urls)
            assert served.run(config, "sync") == 0
            return Quiet(served, lake_of(config), served.requests, batches(config, "committed"))

        yield of


def batches(config: Path, status: str) -> int:
    """How many batches the ledger holds with this status; 0 while there is no ledger."""
    try:
        with closing(sqlite3.connect(f"file:{config.parent}/state/ledger.db?mode=ro", uri=True, timeout=0)) as db:
            return int(db.execute("SELECT count(*) FROM batch WHERE status = ?", (status,)).fetchone()[0])
    except sqlite3.Error:
        return 0


def between_lake_and_ledger(config: Path, committed: int) -> Callable[[], bool]:
    """True in the moment when a batch is open, its rows perhaps in the lake already, and so many are committed."""
    return lambda: batches(config, "committed") >= committed and batches(config, "open") > 0


@pytest.mark.parametrize(("half", "share"), [(0, 0.15), (1, 0.6)])
def test_a_sync_killed_at_a_request_and_run_again_leaves_the_same_lake(
    half: int, share: float, quiet: Callable[[int], Quiet], tmp_path: Path
) -> None:
    config, served = write_config(tmp_path, quiet(half).vendors.urls), quiet(half).vendors
    served.at_request = served.requests + int(quiet(half).requests * share)
    assert served.run(config, "sync") == -signal.SIGKILL
    assert served.run(config, "sync") == 0
    assert lake_of(config) == quiet(half).lake


def test_a_sync_killed_between_lake_and_ledger_and_run_again_leaves_the_same_lake(quiet: Callable[[int], Quiet], tmp_path: Path) -> None:
    config, served = write_config(tmp_path, quiet(1).vendors.urls), quiet(1).vendors
    assert served.run(config, "sync", watch=between_lake_and_ledger(config, quiet(1).batches // 2)) == -signal.SIGKILL
    assert served.run(config, "sync") == 0
    assert lake_of(config) == quiet(1).lake


def test_a_sync_killed_again_and_again_comes_to_the_same_lake(quiet: Callable[[int], Quiet], tmp_path: Path) -> None:
    config, served = write_config(tmp_path, quiet(0).vendors.urls), quiet(0).vendors
    for turn in range(1, 4):
        served.at_request = served.requests + 5 * turn
        assert served.run(config, "sync", watch=between_lake_and_ledger(config, turn * quiet(0).batches // 4)) == -signal.SIGKILL
    served.at_request = None
    assert served.run(config, "sync") == 0
    assert lake_of(config) == quiet(0).lake


# -- apply -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Planned:
    """A hub with a plan nobody has applied yet, to be copied; and what applying it undisturbed does to the vendors."""

    home: Path
    plan_id: str
    vendors: Leaves
    changes: int

    @contextmanager
    def again(self, home: Path) -> Iterator[tuple[Vendors, Path]]:
        """The same hub and the same vendors, as they were before anything was applied."""
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        with vendors(WRITTEN) as served:
            yield served, write_config(home, served.urls)

    def apply(self, served: Vendors, config: Path) -> int:
        return served.run(config, "apply", self.plan_id, "--yes", "--json")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    with vendors(WRITTEN) as served:
        home = tmp_path_factory.mktemp("planned")
        only((), home / "mappings" / "funnel.yaml")  # what the hub owns is enough to be written
        with open_hub(write_config(home, served.urls)) as hub:
            assert run_sync(hub, quiet=True).exit_code == 0
            plan = run_plan(hub)
    assert plan.changes
    assert not plan.refusals
    blank = Planned(home, plan.plan_id, {}, 0)
    with blank.again(tmp_path_factory.mktemp("undisturbed")) as (served, config):
        assert blank.apply(served, config) == 0
        changes = served.changes
        yield Planned(home, plan.plan_id, settled(served, config), changes)


def settled(served: Vendors, config: Path) -> Leaves:
    """What the vendors hold once all of it shows: a vendor may show what it took only later, when asked."""
    with open_hub(config) as hub, hub.hands() as hands:
        for emulator in served.emulators.values():
            emulator.clock.advance(60)
        read_live(hub.line.plans.load().changes, hands)
    return {path: value for path, value in state(served.emulators).items() if "batches" not in path}


@pytest.mark.parametrize(("share", "lose_request"), [(0.0, True), (0.4, False), (0.8, True)])
def test_an_apply_killed_and_run_again_leaves_the_vendors_the_same(
    share: float, lose_request: bool, planned: Planned, tmp_path: Path
) -> None:
    with planned.again(tmp_path) as (served, config):
        served.at_change, served.lose_request = 1 + int(planned.changes * share), lose_request
        assert planned.apply(served, config) == -signal.SIGKILL
        assert planned.apply(served, config) == 0
        assert differing(settled(served, config), planned.vendors) == set()
        with open_hub(config) as hub:
            [apply_id] = [row["id"] for row in hub.line.plans.applies()]
            outcomes = hub.line.plans.outcomes(apply_id)
        assert {o.status for o in outcomes} == {"applied"}
        assert len(outcomes) == len({o.change_id for o in outcomes}) == len(hub.line.plans.load(planned.plan_id).changes)
