"""Killed, stopped and started twice: what a run leaves behind is told as it is, and the same command goes on from there."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from sandbox_hub import live_records, standing, true_records, tundish

from core.holders import dead, holder
from core.ledger_lost import run_lease
from jobs import show, steps
from jobs.leases import held, running
from jobs.schedule import ledger_hooks


def stopping(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The signal comes when the first page was stored, or the first batch written."""
    real = show.Progress.step

    def step(self: Any, *args: Any) -> None:
        monkeypatch.setattr(show.Progress, "step", real)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(show.Progress, "step", step)


def test_sigterm_ends_a_sync_after_the_page_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing(tmp_path, size=8, vendors=["hubspot"]) as sandbox:
        stopping(monkeypatch, signal.SIGTERM)
        said = tundish("--config", sandbox.config, "sync", "--json")
        assert said.code == 143, said.err
        assert said.json["status"] == "partial"
        assert "stopping after what is in hand" in said.err
        assert tundish("--config", sandbox.config, "sync", "--json").code == 0
        assert live_records(sandbox.hub) == true_records(sandbox.truth, ["hubspot"])


def test_ctrl_c_ends_an_apply_after_the_batch_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing(tmp_path, size=8, vendors=["hubspot", "salesforce"]) as sandbox:
        steps.run_sync(sandbox.hub, quiet=True)
        plan = steps.run_plan(sandbox.hub)
        stopping(monkeypatch, signal.SIGINT)
        first = tundish("--config", sandbox.config, "apply", plan.plan_id, "--yes", "--json")
        assert first.code == 130, first.err
        assert 0 < len(first.json["details"]) < len(plan.changes)
        writes = len(sandbox.writes())
        second = tundish("--config", sandbox.config, "apply", plan.plan_id, "--yes", "--json")
        assert second.code == 0, second.out
        assert second.json["run"] == first.json["run"]
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
