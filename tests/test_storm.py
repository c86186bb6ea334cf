"""A storm of refusals at one vendor delays that account only: its neighbours finish, and so does it, later."""

from __future__ import annotations

from collections.abc import Callable

from sandbox_hub import VENDORS, Standing, contents

from connectors.sandbox.kit import Fault
from jobs.contract import exemptions
from jobs.play import emulator_classes
from jobs.steps import run_sync
from jobs.wiring import all_connectors

Stand = Callable[..., Standing]
TOOLS = [v for v in VENDORS if not exemptions(all_connectors()[v], emulator_classes()[v])["wire"]]


def test_a_storm_at_one_vendor_leaves_the_others_done_and_itself_to_be_finished(stand: Stand) -> None:
    sandbox = stand(vendors=TOOLS)
    stormy, *calm = TOOLS
    sandbox.emulators[stormy].faults.append(Fault("throttle", times=-1, after=10, retry_after="30"))
    result = run_sync(sandbox.hub, quiet=True)
    by_account: dict[str, set[str]] = {}
    for count in result.counts:
        by_account.setdefault(count.account, set()).add(count.status)
    assert result.exit_code == 3
    assert {name for name, statuses in by_account.items() if statuses == {"done"}} == set(calm)
    sandbox.emulators[stormy].faults.clear()
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    assert {key[1] for key in contents(sandbox.hub)} == set(TOOLS)
