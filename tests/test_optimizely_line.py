"""From a CRM's won deal back to the experiment its visitor saw: the whole way between two vendors, by the commands a user types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox_hub import Standing, standing, tundish

from connectors.sandbox.optimizely_store import Seen
from connectors.sandbox.world_optimizely import FIRST_EXPERIMENT

RUNNING = FIRST_EXPERIMENT + 100
VARIATION = RUNNING + 4


def tallies(sandbox: Standing) -> dict[str, float]:
    rows = sandbox.hub.lake.sql("SELECT vendor_id, value FROM tally WHERE resource = 'results' AND account = 'optimizely'").to_pylist()
    return {row["vendor_id"]: row["value"] for row in rows}


def test_a_won_deal_counts_for_the_variation_its_visitor_was_shown(tmp_path: Path) -> None:
    with standing(tmp_path, size=20, vendors=["hubspot", "optimizely"]) as sandbox:

        def say(*words: str) -> Any:
            said = tundish("--config", sandbox.config, *words, "--json")
            assert said.code == 0, said.err
            return said.json

        say("sync")
        plan = say("plan")
        deals = [c for c in plan["changes"] if (c["account"], c["field"]) == ("optimizely", "deal_won")]
        assert deals
        visitor = deals[0]["vendor_id"]
        revenue = sum(float(c["told"]["value"]) for c in deals if c["vendor_id"] == visitor)
        assert revenue > 0
        store = sandbox.emulators["optimizely"].store
        assert RUNNING not in {s.experiment for s in store.seen[visitor]}
        begun = min(s.at for seen in store.seen.values() for s in seen if s.experiment == RUNNING)
        store.decide(visitor, Seen(RUNNING, VARIATION, RUNNING + 50, begun))
        say("sync")
        before = tallies(sandbox)
        say("apply", plan["plan_id"], "--yes")
        again = say("sync")
        after = tallies(sandbox)
        assert [r["status"] for r in again["records"] if r["status"] != "done"] == []
        total = f"{RUNNING}:{VARIATION}:all.sum.revenue.visitor"
        assert after[total] == before[total] + revenue
        moved = {key for key in after if after[key] != before[key]}
        assert {key.split(":")[1] for key in moved} == {str(VARIATION)}
