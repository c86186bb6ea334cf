"""Killed, stopped and started twice: what a run leaves behind is told as it is, and the same command goes on from there."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sandbox_hub import NOW, live_records, standing, true_records, tundish, tundish_process

from core.holders import dead, holder
from core.ledger_lost import run_lease
from jobs import show, steps, wiring
from jobs.leases import held, running
from jobs.schedule import ledger_hooks


def stopped_process(words: Sequence[str], said: str, number: int) -> None:
    """A command, in a process of its own, that gets the signal when its first page was stored, or its first batch written."""
    once = threading.Lock()  # resources are read side by side, and a second signal would end the process at once

    def step(self: Any, *args: Any) -> None:
        if once.acquire(blocking=False):
            os.kill(os.getpid(), number)

    show.Progress.step = step  # type: ignore[method-assign]
    wiring.datetime = SimpleNamespace(now=lambda zone: NOW)  # type: ignore[attr-defined]
    tundish_process(words, said)


def stopped(config: Path, number: int, *words: str) -> tuple[int, dict[str, Any], str]:
    """Its exit code, what it printed as JSON, and all it said."""
    said = config.parent / "said.txt"
    line = ["--config", str(config), *words]
    process = multiprocessing.get_context("spawn").Process(target=stopped_process, args=(line, str(said), number))
    process.start()
    process.join(120)
    text = said.read_text()
    return process.exitcode or 0, json.loads(text[text.index("{") : text.rindex("}") + 1]), text


def test_sigterm_ends_a_sync_after_the_page_in_hand(tmp_path: Path) -> None:
    with standing(tmp_path, size=8, vendors=["hubspot"]) as sandbox:
        code, told, said = stopped(sandbox.config, signal.SIGTERM, "sync", "--json")
        assert (code, told["status"]) == (143, "partial"), said
        assert "stopping after what is in hand" in said
        assert tundish("--config", sandbox.config, "sync", "--json").code == 0
        assert live_records(sandbox.hub) == true_records(sandbox.truth, ["hubspot"])


def test_ctrl_c_ends_an_apply_after_the_batch_in_hand(tmp_path: Path) -> None:
    with standing(tmp_path, size=8, vendors=["hubspot", "salesforce"]) as sandbox:
        steps.run_sync(sandbox.hub, quiet=True)
        plan = steps.run_plan(sandbox.hub)
        code, first, said = stopped(sandbox.config, signal.SIGINT, "apply", plan.plan_id, "--yes", "--json")
        assert code == 130, said
        assert 0 < len(first["details"]) < len(plan.changes)
        writes = len(sandbox.writes())
        second = tundish("--config", sandbox.config, "apply", plan.plan_id, "--yes", "--json")
        assert second.code == 0, second.out
        assert second.json["run"] == first["run"]
        assert len(second.json["details"]) == len(plan.changes)
        assert writes < len(sandbox.writes())


def test_a_run_that_was_killed_is_shown_as_lost(tmp_path: Path) -> None:
    with standing(tmp_path, size=3, vendors=["mailchimp"]) as sandbox:
        ledger, clock = sandbox.hub.ledger, sandbox.hub.clock
        killed = ledger.start_run("sync", clock(), {})
        ledger.take_lease(run_lease(killed), f"{socket.gethostname()}/999999999/x/y", clock(), 60)
        with running(ledger, "reconcile", clock, {}) as alive:
            said = tundish("--config", sandbox.config, "runs", "--json")
            assert {run["id"]: run["status"] for run in said.json["runs"]} == {killed: "lost", alive: "running"}
        steps.run_sync(sandbox.hub, quiet=True)
        kept = ledger.run(killed)
        assert kept is not None
        assert kept.status == "lost"


def test_a_job_run_by_hand_and_by_the_scheduler_runs_once(tmp_path: Path) -> None:
    with standing(tmp_path, size=3, vendors=["mailchimp"]) as sandbox:
        with ledger_hooks(sandbox.hub.ledger, sandbox.hub.clock).lease("nightly") as mine:
            assert mine
            said = tundish("--config", sandbox.config, "run", "nightly", "--json")
            assert said.code == 6, said.out
            assert "is being run by" in said.json["error"]
        hooks = ledger_hooks(sandbox.hub.ledger, sandbox.hub.clock)
        with held(sandbox.hub.ledger, "job:nightly", sandbox.hub.clock), hooks.lease("nightly") as mine:
            assert not mine


def test_a_container_started_anew_is_not_the_one_that_was_killed() -> None:
    """It has the same name and process number, and would wait for itself until the lease runs out."""
    assert not dead(holder("x"))
    assert dead(f"{socket.gethostname()}/{os.getpid()}/other/x")
    assert not dead(f"elsewhere/{os.getpid()}/other/x")
