"""How the exchange with an account goes: the resource furthest behind, trouble of the last run, and what was written today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from core import ledger_tables as t
from core.ledger import Ledger
from core.ledger_sync import Exchange, exchanges

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def ran(ledger: Ledger, hours: float, *counts: tuple[str, str, str, int, str]) -> None:
    """A sync that began so many hours before NOW; counts are (account, resource, status, rejected, reason)."""
    at = NOW - timedelta(hours=hours)
    run_id = f"{at:%Y%m%dT%H%M%S}"
    names = ("account", "resource", "status", "rejected", "reason")
    with ledger.write() as c:
        c.execute(insert(t.run), {"id": run_id, "job": "sync", "started_at": at, "status": "done"})
        c.execute(insert(t.count), [{"run_id": run_id, **dict(zip(names, count, strict=True))} for count in counts])


def wrote(ledger: Ledger, run: str, hours: float, *statuses: str) -> None:
    at = NOW - timedelta(hours=hours)
    with ledger.write() as c:
        c.execute(insert(t.apply_run), {"id": run, "plan_id": run, "kind": "apply", "started_at": at, "status": "done"})
        for i, status in enumerate(statuses):
            change = {"plan_id": run, "change_id": f"c{i}", "account": "hubspot", "target": "deals", "vendor_id": str(i), "field": "amount"}
            c.execute(insert(t.change), change)
            c.execute(insert(t.outcome), {"apply_id": run, "change_id": f"c{i}", "status": status, "at": at})


def test_the_lag_is_that_of_the_resource_furthest_behind_and_trouble_that_of_the_last_run(ledger: Ledger) -> None:
    ran(ledger, 30, ("hubspot", "contacts", "done", 0, ""), ("hubspot", "deals", "done", 5, ""))
    ran(ledger, 2, ("hubspot", "contacts", "done", 1, ""), ("hubspot", "deals", "partial", 2, "cut off"))
    ran(ledger, -1, ("hubspot", "deals", "done", 0, ""))  # after the instant that is asked about
    assert exchanges(ledger, ["hubspot", "vwo"], NOW) == [
        Exchange("hubspot", 2, 30.0, "deals", 3, "deals: cut off", 0, 0), Exchange("vwo", 0, None, "", 0, "", 0, 0),
    ]  # fmt: skip


def test_a_resource_that_was_never_read_whole_has_no_lag(ledger: Ledger) -> None:
    ran(ledger, 1, ("vwo", "campaigns", "failed", 0, ""), ("vwo", "changes", "done", 0, ""))
    [vwo] = exchanges(ledger, ["vwo"], NOW)
    assert (vwo.lag_hours, vwo.behind, vwo.trouble) == (None, "campaigns", "campaigns: failed")


def test_of_the_last_day_it_counts_what_vendors_took_and_what_they_did_not(ledger: Ledger) -> None:
    wrote(ledger, "early", 25, "applied")
    wrote(ledger, "today", 3, "applied", "applied", "undone", "already", "drifted", "rejected", "failed", "uncertain")
    wrote(ledger, "later", -1, "applied")
    [hubspot] = exchanges(ledger, ["hubspot"], NOW)
    assert (hubspot.written, hubspot.refused) == (3, 3)
