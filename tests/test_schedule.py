"""Jobs run when they are due: once a night over daylight saving, once over two schedulers, once after a missed week."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.errors import VendorUnavailable
from core.ledger import Ledger
from jobs.alerts import Seen, alert, history_of, message, should_alert, state_of
from jobs.cron import due, next_due, parse
from jobs.schedule import Hooks, ledger_hooks, serve

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(line: str, start: str, end: str, tz: str = BERLIN) -> list[str]:
    """All due instants after start and not after end, in UTC."""
    found, here = [], at(start)
    while (here := next_due(line, tz, here) or at("9999-01-01")) <= at(end):
        found.append(f"{here:%d %H:%M}")
    return found


# -- daylight saving ----------------------------------------------------------------------------------------------------
def test_a_time_that_spring_skips_is_due_once_at_the_first_valid_moment() -> None:
    assert fires("30 2 * * *", "2026-03-28T00:00", "2026-03-31T00:00") == ["28 01:30", "29 01:00", "30 00:30"]


def test_several_times_inside_the_gap_are_one_run() -> None:
    assert fires("*/15 2 * * *", "2026-03-28T12:00", "2026-03-29T12:00") == ["29 01:00"]
    assert fires("0 2,3 * * *", "2026-03-28T12:00", "2026-03-29T12:00") == ["29 01:00"]


def test_a_time_that_autumn_repeats_is_due_once_the_first_time() -> None:
    assert fires("30 2 * * *", "2026-10-24T12:00", "2026-10-27T00:00") == ["25 00:30", "26 01:30"]


def test_a_job_of_every_hour_runs_every_real_hour_through_both_changes() -> None:
    assert fires("0 * * * *", "2026-03-28T23:30", "2026-03-29T03:00") == ["29 00:00", "29 01:00", "29 02:00", "29 03:00"]
    assert fires("0 * * * *", "2026-10-24T23:30", "2026-10-25T03:00") == ["25 00:00", "25 01:00", "25 02:00", "25 03:00"]


def test_asking_in_the_repeated_hour_does_not_owe_the_night_again() -> None:
    first = at("2026-10-25T00:30")
    assert due("30 2 * * *", BERLIN, first, at("2026-10-25T01:30")) is None
    assert due("30 2 * * *", BERLIN, first - timedelta(days=1), at("2026-10-25T01:31")) == first


def test_asking_after_the_gap_owes_the_skipped_night_once() -> None:
    moment = at("2026-03-29T01:00")
    assert due("30 2 * * *", BERLIN, at("2026-03-28T01:30"), moment - timedelta(minutes=1)) is None
    assert due("30 2 * * *", BERLIN, at("2026-03-28T01:30"), moment) == moment
    assert due("30 2 * * *", BERLIN, moment, at("2026-03-29T05:00")) is None


def test_a_skipped_day_is_made_up_at_its_end() -> None:
    assert fires("0 9 30 12 *", "2011-12-01T00:00", "2012-01-31T00:00", "Pacific/Apia") == ["30 10:00"]  # Samoa had no 30 December 2011


# -- cron lines ---------------------------------------------------------------------------------------------------------
def test_weekdays_count_from_sunday_as_cron_does() -> None:
    assert fires("0 6 * * 1", "2026-06-01T12:00", "2026-06-15T12:00", "UTC") == ["08 06:00", "15 06:00"]  # Mondays
    assert fires("0 6 * * 0", "2026-06-01T12:00", "2026-06-15T12:00", "UTC") == fires(
        "0 6 * * 7", "2026-06-01T12:00", "2026-06-15T12:00", "UTC"
    )
    assert fires("0 6 * * mon-fri", "2026-06-05T12:00", "2026-06-08T12:00", "UTC") == ["08 06:00"]


def test_day_and_weekday_together_mean_either() -> None:
    assert fires("0 0 10 * sun", "2026-06-05T12:00", "2026-06-15T12:00", "UTC") == ["07 00:00", "10 00:00", "14 00:00"]


def test_a_leap_day_is_found_and_a_day_that_never_comes_is_none() -> None:
    assert next_due("0 0 29 2 *", "UTC", at("2026-06-01")) == at("2028-02-29")
    assert next_due("0 0 30 2 *", "UTC", at("2026-06-01")) is None


@pytest.mark.parametrize("line", ["* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "0 0 * * noday", "0 0 0 * *"])
def test_a_broken_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        parse(line)


def test_a_missed_week_owes_one_run_and_a_new_job_owes_none() -> None:
    assert due("0 2 * * *", "UTC", at("2026-06-01T02:00"), at("2026-06-08T09:00")) == at("2026-06-08T02:00")
    assert due("0 2 * * *", "UTC", None, at("2026-06-08T09:00")) is None
    assert due("0 2 * * *", "UTC", at("2026-06-08T02:00"), at("2026-06-08T09:00")) is None


# -- the service --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Job:
    schedule: str | None


class Shared:
    """A ledger-like memory two schedulers share. `refused` is set once somebody was refused a lease."""

    def __init__(self, **last: datetime) -> None:
        self.last: dict[str, datetime] = dict(last)
        self.held: set[str] = set()
        self.lock = threading.Lock()
        self.refused = threading.Event()

    @contextmanager
    def lease(self, job: str) -> Iterator[bool]:
        with self.lock:
            mine = job not in self.held
            self.held.add(job)
        if not mine:
            self.refused.set()
        yield mine
        if mine:
            with self.lock:
                self.held.discard(job)

    @property
    def hooks(self) -> Hooks:
        return Hooks(self.last.get, self.last.__setitem__, self.lease)


NOW = at("2026-06-08T09:00")
NIGHTLY = {"nightly": Job("0 2 * * *"), "by_hand": Job(None)}
LAST = at("2026-06-01T02:00")


def serving(shared: Shared, run: Callable[[str], int], stop: threading.Event, results: list[tuple[str, datetime, int]]) -> None:
    def on_result(job: str, due_at: datetime, code: int) -> None:
        results.append((job, due_at, code))
        stop.set()

    serve(NIGHTLY, run, timezone="UTC", hooks=shared.hooks, stop=stop, on_result=on_result, clock=lambda: NOW, signals=False)


def test_a_missed_run_is_caught_up_once_at_the_start() -> None:
    shared, ran, results = Shared(nightly=LAST), [], []
    serving(shared, lambda job: ran.append(job) or 0, threading.Event(), results)
    assert ran == ["nightly"]
    assert results == [("nightly", at("2026-06-08T02:00"), 0)]
    assert shared.last["nightly"] == at("2026-06-08T02:00")


def test_two_schedulers_on_one_ledger_run_a_job_once() -> None:
    shared, ran = Shared(nightly=LAST), []
    stops = (threading.Event(), threading.Event())
    results: list[tuple[str, datetime, int]] = []

    def run(job: str) -> int:
        ran.append(job)
        assert shared.refused.wait(30), "the other scheduler never asked for the lease"
        for stop in stops:
            stop.set()
        return 0

    threads = [threading.Thread(target=serving, args=(shared, run, stop, results)) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert ran == ["nightly"]
    assert len(results) == 1


def test_a_scheduler_that_comes_late_finds_the_job_done() -> None:
    shared, ran, results = Shared(nightly=at("2026-06-08T02:00")), [], []
    with_stop = threading.Event()
    with_stop.set()
    serving(shared, lambda job: ran.append(job) or 0, with_stop, results)
    assert ran == []


def test_a_run_owed_for_longer_than_the_grace_is_dropped() -> None:
    stop = threading.Event()
    shared, ran = Shared(nightly=LAST), []
    seen = shared.last.__setitem__

    def set_due(job: str, when: datetime) -> None:
        seen(job, when)
        stop.set()

    hooks = Hooks(shared.last.get, set_due, shared.lease)

    def run(job: str) -> int:
        ran.append(job)
        return 0

    serve(NIGHTLY, run, timezone="UTC", hooks=hooks, stop=stop, clock=lambda: NOW, misfire_grace_s=3600, signals=False)
    assert ran == []
    assert shared.last["nightly"] == at("2026-06-08T02:00")


def test_a_run_cut_short_by_a_stop_is_still_owed() -> None:
    shared, stop, results = Shared(nightly=LAST), threading.Event(), []

    def run(job: str) -> int:
        stop.set()
        return 3

    serving(shared, run, stop, results)
    assert shared.last["nightly"] == LAST
    assert results[0][2] == 3


def test_a_job_that_raises_ends_with_its_exit_code_and_not_the_service() -> None:
    def unavailable(job: str) -> int:
        raise VendorUnavailable("no answer", where="hubspot")

    def bug(job: str) -> int:
        raise ZeroDivisionError

    for run, code in ((unavailable, 6), (bug, 1)):
        results: list[tuple[str, datetime, int]] = []
        serving(Shared(nightly=LAST), run, threading.Event(), results)
        assert results[0][2] == code


def test_sigterm_finishes_the_job_in_hand_and_returns() -> None:
    stop, finished = threading.Event(), []
    shared = Shared(nightly=LAST)
    before = signal.getsignal(signal.SIGTERM)

    def run(job: str) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(30)
        finished.append(job)
        return 0

    serve(NIGHTLY, run, timezone="UTC", hooks=shared.hooks, stop=stop, clock=lambda: NOW)
    assert finished == ["nightly"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_ledger_remembers_and_its_lease_decides(tmp_path: object) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    hooks = ledger_hooks(ledger, lambda: NOW)
    assert hooks.last_due("nightly") is None
    hooks.set_due("nightly", LAST)
    assert hooks.last_due("nightly") == LAST
    with hooks.lease("nightly") as first, hooks.lease("nightly") as second:
        assert (first, second) == (True, False)
    with hooks.lease("nightly") as again:
        assert again
    ledger.close()


# -- alerts -------------------------------------------------------------------------------------------------------------
def hours(*runs: tuple[float, str, str]) -> list[Seen]:
    return [Seen(NOW + timedelta(hours=h), state, alerted) for h, state, alerted in runs]


def after(h: float) -> datetime:
    return NOW + timedelta(hours=h)


@pytest.mark.parametrize("state", ["failed", "partial", "unsafe"])
def test_the_first_trouble_is_told_at_once(state: str) -> None:
    assert should_alert(hours((0, "done", ""), (1, state, "")), after(1)) == state


def test_trouble_that_lasts_is_told_again_with_growing_pauses() -> None:
    history, told = [], []
    for half_hour in range(2 * 80):
        h = half_hour / 2
        kind = should_alert([*history, Seen(after(h), "failed")], after(h))
        told += [h] if kind else []
        history.append(Seen(after(h), "failed", kind or ""))
    assert told == [0, 1, 5, 29, 53, 77]


def test_a_worse_trouble_is_told_at_once_and_a_lesser_one_waits() -> None:
    assert should_alert(hours((0, "partial", "partial"), (0.5, "failed", "")), after(0.5)) == "failed"
    assert should_alert(hours((0, "failed", "failed"), (0.5, "partial", "")), after(0.5)) is None


def test_recovered_is_told_once_and_only_after_told_trouble() -> None:
    healed = hours((0, "failed", "failed"), (1, "done", ""))
    assert should_alert(healed, after(1)) == "recovered"
    assert should_alert(hours((0, "failed", "failed"), (1, "done", "recovered"), (2, "done", "")), after(2)) is None
    assert should_alert(hours((0, "done", ""), (1, "done", "")), after(1)) is None
    assert should_alert([], NOW) is None


def test_a_recovery_that_could_not_be_told_is_told_later() -> None:
    assert should_alert(hours((0, "failed", "failed"), (1, "done", ""), (2, "done", "")), after(2)) == "recovered"


def test_new_trouble_after_a_recovery_is_told_at_once() -> None:
    assert should_alert(hours((0, "failed", "failed"), (1, "done", "recovered"), (1.5, "failed", "")), after(1.5)) == "failed"


def test_an_alert_says_since_when_and_shows_no_address() -> None:
    history = hours((0, "done", ""), (24, "failed", "failed"), (48, "failed", ""))
    title, body = message("nightly", "failed", history, "hubspot: jane@example.com was refused")
    assert title == "Tundish: nightly failed"
    assert "Last good run: 2026-06-08 09:00 UTC" in body
    assert "2 runs in a row" in body
    assert "jane" not in body


def test_runs_of_the_ledger_become_a_history_oldest_first() -> None:
    @dataclass(frozen=True)
    class Run:
        started_at: datetime
        ended_at: datetime | None
        status: str
        detail: dict[str, object] | None

    newest_first = [
        Run(after(3), None, "running", None),
        Run(after(2), after(2.5), "done", {"exit": 4}),
        Run(NOW, after(1), "failed", {"alerted": "failed"}),
    ]
    assert history_of(newest_first) == hours((1, "failed", "failed"), (2.5, "unsafe", ""))
    assert [state_of(code) for code in (0, 1, 2, 3, 4, 5, 6)] == ["done", "failed", "failed", "partial", "unsafe", "failed", "failed"]


@contextmanager
def listener(status: int = 200) -> Iterator[tuple[str, list[dict[str, str]]]]:
    got: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_an_alert_arrives_over_http_and_leaves_no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), listener() as (host, got):
        assert alert([f"json://user:s3cretpass@{host}/t0ken-path"], "Tundish: nightly failed", "hubspot: no answer") == ()
    assert got[0]["title"] == "Tundish: nightly failed"
    assert got[0]["message"] == "hubspot: no answer"
    assert "s3cretpass" not in caplog.text
    assert "t0ken-path" not in caplog.text


def test_a_channel_that_fails_is_named_without_its_secret_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), listener(500) as (bad, _), listener() as (good, got):
        trouble = alert([f"json://user:s3cretpass@{bad}/", "nonsense://s3cretpass", f"json://{good}/"], "t", "b")
    assert [line.split(":")[0] for line in trouble] == ["alerts[1] (json)", "alerts[2] (nonsense)"]
    assert len(got) == 1
    assert "s3cretpass" not in " ".join(trouble) + caplog.text


def test_no_urls_send_nothing() -> None:
    assert alert([], "t", "b") == ()
