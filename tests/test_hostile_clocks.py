"""Clocks that disagree: a vendor's that goes before or after ours, and ours set back. Nothing is lost and nothing comes twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sandbox_hub import live_records, standing, true_records, versions

from connectors.sandbox.kit import Clock
from jobs import steps
from jobs.write_back import run_apply

HELD = frozenset({"large", "partial"})


class Skewed(Clock):
    """Another clock, always so many seconds off."""

    def __init__(self, right: Clock, off_s: float) -> None:
        super().__init__(right.now())
        self.right, self.off_s = right, off_s

    def now(self) -> float:
        return self.right.now() + self.off_s


@pytest.mark.parametrize(("vendor", "off_s"), [("hubspot", 600), ("hubspot", -600), ("activecampaign", -600)])
def test_a_vendor_s_clock_ten_minutes_off(tmp_path: Path, vendor: str, off_s: float) -> None:
    with standing(tmp_path, size=3, vendors=[vendor], rules=()) as sandbox:  # what the hub owns is written all the same
        sandbox.emulators[vendor].clock = Skewed(sandbox.clock, off_s)
        assert steps.run_sync(sandbox.hub, quiet=True).status == "done"
        assert live_records(sandbox.hub) == true_records(sandbox.truth, [vendor])
        sandbox.clock.advance(60)
        plan = steps.run_plan(sandbox.hub)
        assert run_apply(sandbox.hub, plan, allow=HELD).exit_code == 0
        sandbox.clock.advance(60)
        changed = steps.run_sync(sandbox.hub, quiet=True)
        assert sum(c.appended for c in changed.counts) > 0
        rows = versions(sandbox.hub)
        sandbox.clock.advance(60)
        steps.run_sync(sandbox.hub, full=True, quiet=True)  # a full reading finds nothing that the changes did not bring
        assert versions(sandbox.hub) == rows


def test_our_own_clock_set_back_behind_the_last_run(tmp_path: Path) -> None:
    with standing(tmp_path, size=3, vendors=["hubspot", "salesforce"]) as sandbox:
        steps.run_sync(sandbox.hub, quiet=True)
        rows, right = versions(sandbox.hub), sandbox.hub.clock
        for back in (timedelta(minutes=10), timedelta(days=2)):
            sandbox.hub.clock = lambda back=back: right() - back
            assert steps.run_sync(sandbox.hub, quiet=True).status == "done"
            assert versions(sandbox.hub) == rows
        sandbox.hub.clock = right
        sandbox.clock.advance(60)
        assert steps.run_sync(sandbox.hub, quiet=True).status == "done"
        assert versions(sandbox.hub) == rows
