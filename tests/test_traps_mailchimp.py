"""Mailchimp's traps that need the mapping or many threads (docs/traps.md)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from test_mailchimp import account, mailed, world

from connectors.mailchimp import CONNECTOR
from connectors.sandbox.kit import Fault
from core.mapping import load_mapping


def test_two_clicks_of_one_member_in_one_campaign_are_two_touches_and_no_more() -> None:
    """And the same minute in another campaign is a third: no key shorter than the event joins them."""
    reads = load_mapping(Path(__file__).parent.parent / "mappings" / "mailchimp.yaml", CONNECTOR).resource("activity")
    with account(mailed()) as mc:
        for campaign, minute in (("c3", 1), ("c3", 2), ("c2", 1)):
            mc.emulator.sends.engage(campaign, "p1@acme.test", "click", f"2026-05-22T00:0{minute}:00Z", url="https://acme.test/")
        ids = []
        for _ in range(2):  # read twice: the same touches
            for page in mc.read("activity"):
                parsed = reads.parse(page.body, page.rows)
                ids += [id_ for _, columns in reads.columns(parsed.rows) for id_ in columns["vendor_id"] if ":click:" in id_]
    assert (len(ids), len(set(ids))) == (6, 3)


def test_twenty_threads_never_open_the_eleventh_connection() -> None:
    with account(world([])) as mc, ThreadPoolExecutor(20) as pool:
        mc.emulator.knob("busy_elsewhere", 4)
        mc.emulator.faults.append(Fault("slow", seconds=0.03, times=-1))
        list(pool.map(lambda _: mc.session.transport.send("GET", f"{mc.url}/3.0/ping"), range(40)))
        assert [status for _, path, status in mc.emulator.log if path.endswith("/ping")] == [200] * 40
