"""`tundish serve`: the jobs of the config, run when they are due, by however many schedulers are up.

APScheduler wakes us; whether a job is owed is decided by `jobs.cron.due` against the ledger, under the job's lease. So
two schedulers run a job once, a missed run is caught up once, and daylight saving neither skips nor doubles a night.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from jobs.cron import due, next_due, parse
from jobs.interrupt import interruptible

if TYPE_CHECKING:
    from core.ledger import Ledger

__all__ = ["Hooks", "JobSpec", "due", "ledger_hooks", "next_due", "serve"]
log = logging.getLogger("tundish.schedule")
RETRY = timedelta(minutes=5)  # after a lease was refused: if its holder died, somebody must still run the job


class JobSpec(Protocol):
    """A job as the config has it; one without a schedule runs on demand only."""

    @property
    def schedule(self) -> str | None: ...


@dataclass(frozen=True)
class Hooks:
    """What the scheduler remembers, and where. `lease` yields False when another scheduler has the job in hand."""

    last_due: Callable[[str], datetime | None]
    set_due: Callable[[str, datetime], None]
    lease: Callable[[str], AbstractContextManager[bool]]


def ledger_hooks(ledger: Ledger, clock: Callable[[], datetime]) -> Hooks:
    """Hooks kept in the ledger, so that every scheduler on the same ledger shares them."""
    from core.errors import Busy
    from jobs.leases import held

    @contextmanager
    def lease(job: str) -> Iterator[bool]:
        with ExitStack() as stack:
            try:
                stack.enter_context(held(ledger, f"job:{job}", clock))
            except Busy:
                yield False
                return
            yield True

    return Hooks(lambda job: ledger.schedule(job)[0], lambda job, at: ledger.set_schedule(job, at, clock()), lease)


def serve(
    jobs: Mapping[str, JobSpec],
    run: Callable[[str], int],
    *,
    timezone: str,
    hooks: Hooks,
    stop: threading.Event,
    on_result: Callable[[str, datetime, int], None] = lambda job, due_at, exit_code: None,
    misfire_grace_s: float | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    signals: bool = True,
) -> None:
    """Run the jobs until `stop` is set (SIGTERM and SIGINT set it), then wait for those in hand and return.

    run: does the job, answers an exit code; it should look at `stop` and end early (a run so cut short is owed again).
    on_result: told after each run. misfire_grace_s: a run owed for longer than this is dropped; None: caught up however late.
    Raises: ValueError for a schedule that does not parse; nothing runs then.
    """
    crons = {name: spec.schedule for name, spec in jobs.items() if spec.schedule}
    for line in crons.values():
        parse(line)
    service = _Service(crons, run, timezone, hooks, stop, on_result, misfire_grace_s, clock)
    with interruptible(stop) if signals else nullcontext():
        service.serve()


@dataclass
class _Service:
    crons: Mapping[str, str]
    run: Callable[[str], int]
    timezone: str
    hooks: Hooks
    stop: threading.Event
    on_result: Callable[[str, datetime, int], None]
    misfire_grace_s: float | None
    clock: Callable[[], datetime]
    scheduler: Any = field(init=False)
    busy: dict[str, threading.Lock] = field(default_factory=dict)

    def serve(self) -> None:
        from apscheduler.events import EVENT_SCHEDULER_STARTED
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.blocking import BlockingScheduler

        # One thread for each job, so that a long night never delays the hour.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # "maximum number of running instances reached" is as it should be
        pool = ThreadPoolExecutor(2 * len(self.crons) + 1)
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}  # how late is too late: see _too_late
        self.scheduler = BlockingScheduler(timezone=UTC, executors={"default": pool}, job_defaults=defaults)
        for name, line in self.crons.items():
            self._add(name, line)
        watcher = threading.Thread(target=self._end, name="tundish-stop", daemon=True)
        self.scheduler.add_listener(lambda event: watcher.start(), EVENT_SCHEDULER_STARTED)
        self.scheduler.start()
        for lock in self.busy.values():  # what is in hand holds its lock; what has not begun will not get it any more
            lock.acquire()

    def _add(self, name: str, line: str) -> None:
        """A job that was never seen owes nothing before now; one that owes a run starts at once."""
        now = self.clock()
        self.busy[name] = threading.Lock()
        if self.hooks.last_due(name) is None:
            self.hooks.set_due(name, now)
        owed = due(line, self.timezone, self.hooks.last_due(name), now)
        first = datetime.now(UTC) if owed else next_due(line, self.timezone, now)
        if first is not None:
            self.scheduler.add_job(self.fire, _trigger(line, self.timezone), args=[name], id=name, next_run_time=first)
            log.info("%s: next at %s", name, first.isoformat(timespec="minutes"))

    def _end(self) -> None:
        self.stop.wait()
        log.info("stopping; finishing what is in hand")
        self.scheduler.shutdown(wait=False)  # waiting there would hold a lock that a job in hand may need (_look_again)

    def fire(self, name: str) -> None:
        """Run the job if it is owed and nobody else has it in hand."""
        if self.stop.is_set() or not self.busy[name].acquire(blocking=False):
            return
        try:
            with self.hooks.lease(name) as mine:
                if mine:
                    self._settle(name)
                else:
                    log.info("%s: another scheduler has it in hand", name)
                    self._look_again(name)
        finally:
            self.busy[name].release()

    def _look_again(self, name: str) -> None:
        when = datetime.now(UTC) + RETRY
        if not self.stop.is_set():
            self.scheduler.add_job(self.fire, "date", run_date=when, args=[name], id=f"{name}/again", replace_existing=True)

    def _settle(self, name: str) -> None:
        now = self.clock()
        owed = due(self.crons[name], self.timezone, self.hooks.last_due(name), now)
        if owed is None:
            return
        if self._too_late(owed, now):
            log.warning("%s: missed at %s, longer ago than the grace; waiting for the next", name, owed.isoformat())
            self.hooks.set_due(name, owed)
            return
        code = self._run(name)
        if code == 0 or not self.stop.is_set():  # cut short by a stop: still owed, and resumed at the next start
            self.hooks.set_due(name, owed)
        self.on_result(name, owed, code)

    def _too_late(self, owed: datetime, now: datetime) -> bool:
        return self.misfire_grace_s is not None and (now - owed).total_seconds() > self.misfire_grace_s

    def _run(self, name: str) -> int:
        from core.errors import TundishError
        from core.storage import trouble

        log.info("%s: starts", name)
        try:
            code = self.run(name)
        except TundishError as problem:
            log.error("%s: %s", name, problem)
            code = problem.exit_code
        except Exception as problem:  # a bug in one job must not end the service; it is logged whole and reported as exit 1
            told = trouble(problem)
            code = told.exit_code if told else 1
            log.error("%s: %s", name, told or "failed", exc_info=None if told else problem)
        log.info("%s: ended with exit code %d", name, code)
        return code


def _trigger(line: str, tz: str) -> Any:
    from apscheduler.triggers.base import BaseTrigger

    class Due(BaseTrigger):  # type: ignore[misc]
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            return next_due(line, tz, now)  # from now, not from the previous: many missed instants are one run

    return Due()
